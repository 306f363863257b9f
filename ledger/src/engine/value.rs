//! What is stored: integers, text, bytes, or nothing.

use super::error::DatabaseError;

/// One stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// NULL.
    Null,
    /// A number, or a truth as 0 and 1.
    Integer(i64),
    /// Words.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// What a statement may be given.
pub(crate) trait Parameter {
    /// How it is stored.
    fn value(&self) -> Value<'_>;
}

/// What may be read from a column.
pub(crate) trait FromValue: Sized {
    /// The value in Rust's terms; `None` when the column cannot hold that.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

/// A statement's parameters, in order.
macro_rules! params {
    () => { &[] as &[&dyn $crate::engine::Parameter] };
    ($($parameter:expr),+ $(,)?) => { &[$(&$parameter as &dyn $crate::engine::Parameter),+][..] };
}
pub(crate) use params;

/// One row, as long as it is looked at.
pub(crate) enum Row<'a> {
    /// SQLite's.
    Sqlite(&'a rusqlite::Row<'a>),
    /// PostgreSQL's.
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// How many columns there are.
    #[cfg(feature = "testing")]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Sqlite(row) => row.as_ref().column_count(),
            Self::Postgres(row) => row.len(),
        }
    }

    /// The value in `column`, by its place or its name.
    pub(crate) fn get<C: Column, T: FromValue>(&self, column: C) -> Result<T, DatabaseError> {
        let value = match self {
            Self::Sqlite(row) => column.of_sqlite(row)?,
            Self::Postgres(row) => column.of_postgres(row)?,
        };
        T::from_value(value).ok_or_else(|| DatabaseError::undecodable(column))
    }
}

/// Where in a row.
pub(crate) trait Column: Copy + std::fmt::Display {
    fn of_sqlite<'a>(self, row: &'a rusqlite::Row<'_>) -> Result<Value<'a>, DatabaseError>;
    fn of_postgres(self, row: &tokio_postgres::Row) -> Result<Value<'_>, DatabaseError>;
}

impl Column for usize {
    fn of_sqlite<'a>(self, row: &'a rusqlite::Row<'_>) -> Result<Value<'a>, DatabaseError> {
        super::sqlite::value(row.get_ref(self)?)
    }

    fn of_postgres(self, row: &tokio_postgres::Row) -> Result<Value<'_>, DatabaseError> {
        Ok(row.try_get(self)?)
    }
}

impl Column for &'static str {
    fn of_sqlite<'a>(self, row: &'a rusqlite::Row<'_>) -> Result<Value<'a>, DatabaseError> {
        super::sqlite::value(row.get_ref(self)?)
    }

    fn of_postgres(self, row: &tokio_postgres::Row) -> Result<Value<'_>, DatabaseError> {
        Ok(row.try_get(self)?)
    }
}

macro_rules! integers {
    ($($integer:ty),+) => {$(
        impl FromValue for $integer {
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Integer(value) => value.try_into().ok(),
                    _ => None,
                }
            }
        }
    )+};
}
integers!(i64, u32, u16, u8, usize);

macro_rules! small_integers {
    ($($integer:ty),+) => {$(
        impl Parameter for $integer {
            fn value(&self) -> Value<'_> {
                Value::Integer(i64::from(*self))
            }
        }
    )+};
}
small_integers!(i64, u32, u16, u8, bool);

/// How many rows; no table has more than `i64::MAX`.
impl Parameter for usize {
    fn value(&self) -> Value<'_> {
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl Parameter for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Parameter for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Parameter for [u8] {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl Parameter for Vec<u8> {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<const N: usize> Parameter for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<T: Parameter + ?Sized> Parameter for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Parameter::value)
    }
}
