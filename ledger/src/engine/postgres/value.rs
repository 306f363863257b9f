//! Values on PostgreSQL's wire.

use bytes::BytesMut;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::engine::error::{DatabaseError, DatabaseErrorKind};
use crate::engine::value::Value;

type Refused = Box<dyn std::error::Error + Sync + Send>;

/// A parameter.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) Value<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Refused> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(value) if *of == Type::INT8 => value.to_sql(of, out),
            Value::Integer(value) if *of == Type::INT4 => i32::try_from(value)?.to_sql(of, out),
            Value::Integer(value) if *of == Type::INT2 => i16::try_from(value)?.to_sql(of, out),
            Value::Integer(value) if *of == Type::BOOL => (value != 0).to_sql(of, out),
            Value::Text(text) if <&str as ToSql>::accepts(of) => text.to_sql(of, out),
            Value::Bytes(bytes) if *of == Type::BYTEA => bytes.to_sql(of, out),
            _ => Err(format!("a parameter cannot be of type {of}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Refused> {
        match *of {
            Type::INT8 => i64::from_sql(of, raw).map(Value::Integer),
            Type::INT4 => i32::from_sql(of, raw).map(|value| Value::Integer(value.into())),
            Type::INT2 => i16::from_sql(of, raw).map(|value| Value::Integer(value.into())),
            Type::BOOL => bool::from_sql(of, raw).map(|value| Value::Integer(value.into())),
            Type::BYTEA => <&[u8]>::from_sql(of, raw).map(Value::Bytes),
            _ => <&str>::from_sql(of, raw).map(Value::Text),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Refused> {
        Ok(Value::Null)
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::INT8 | Type::INT4 | Type::INT2 | Type::BOOL | Type::BYTEA)
            || <&str as ToSql>::accepts(of)
    }
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(cause: tokio_postgres::Error) -> Self {
        let Some(said) = cause.as_db_error() else {
            let kind = match std::error::Error::source(&cause) {
                Some(source) if !source.is::<std::io::Error>() && !cause.is_closed() => {
                    DatabaseErrorKind::Other
                }
                _ => DatabaseErrorKind::Disconnected,
            };
            return Self::new(kind, with_source(&cause));
        };
        let code = said.code();
        let kind = match code.code().get(..2) {
            _ if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) => {
                DatabaseErrorKind::Conflict
            }
            Some("23") => DatabaseErrorKind::Constraint,
            // Nowhere to write, or nothing to think with.
            Some("53") if *code == SqlState::TOO_MANY_CONNECTIONS => DatabaseErrorKind::Disconnected,
            Some("53") => DatabaseErrorKind::Full,
            // The connection failed, or an operator or a starting server ended it.
            Some("08" | "57") => DatabaseErrorKind::Disconnected,
            _ if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => DatabaseErrorKind::Disconnected,
            // A former primary that follows another one now.
            _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseErrorKind::Disconnected,
            _ => DatabaseErrorKind::Other,
        };
        Self::new(kind, format!("{} ({})", said.message(), code.code()))
    }
}

fn with_source(cause: &tokio_postgres::Error) -> String {
    match std::error::Error::source(cause) {
        Some(source) => format!("{cause}: {source}"),
        None => cause.to_string(),
    }
}
