//! Rust values as SQLite columns.

use rusqlite::Row;
use rusqlite::types::Type;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::{Amount, ChannelId};

use crate::error::LedgerError;

/// `value` as a SQLite integer; the ledger refuses what does not fit.
pub(crate) fn integer(value: u64) -> Result<i64, LedgerError> {
    i64::try_from(value).map_err(|_| LedgerError::AmountTooLarge { amount: value })
}

/// `amount` as a SQLite integer.
pub(crate) fn amount(amount: Amount) -> Result<i64, LedgerError> {
    integer(amount.get())
}

/// A stored value that is not what the schema promises.
#[derive(Debug, thiserror::Error)]
#[error("column {0} holds no valid value")]
struct Undecodable(&'static str);

/// The error for a column that holds a value of no meaning.
pub(crate) fn undecodable(column: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, Box::new(Undecodable(column)))
}

/// Typed reads of columns by name.
pub(crate) trait Columns {
    fn amount(&self, column: &'static str) -> rusqlite::Result<Amount>;
    fn optional_amount(&self, column: &'static str) -> rusqlite::Result<Option<Amount>>;
    fn unsigned(&self, column: &'static str) -> rusqlite::Result<u64>;
    fn optional_unsigned(&self, column: &'static str) -> rusqlite::Result<Option<u64>>;
    fn pubkey(&self, column: &'static str) -> rusqlite::Result<Pubkey>;
    fn channel_id(&self, column: &'static str) -> rusqlite::Result<ChannelId>;
    fn signature(&self, column: &'static str) -> rusqlite::Result<Signature>;
    fn optional_signature(&self, column: &'static str) -> rusqlite::Result<Option<Signature>>;
}

impl Columns for Row<'_> {
    fn amount(&self, column: &'static str) -> rusqlite::Result<Amount> {
        self.unsigned(column).map(Amount::new)
    }

    fn optional_amount(&self, column: &'static str) -> rusqlite::Result<Option<Amount>> {
        Ok(self.optional_unsigned(column)?.map(Amount::new))
    }

    fn unsigned(&self, column: &'static str) -> rusqlite::Result<u64> {
        u64::try_from(self.get::<_, i64>(column)?).map_err(|_| undecodable(column))
    }

    fn optional_unsigned(&self, column: &'static str) -> rusqlite::Result<Option<u64>> {
        self.get::<_, Option<i64>>(column)?
            .map(|value| u64::try_from(value).map_err(|_| undecodable(column)))
            .transpose()
    }

    fn pubkey(&self, column: &'static str) -> rusqlite::Result<Pubkey> {
        self.get::<_, [u8; 32]>(column).map(Pubkey::from)
    }

    fn channel_id(&self, column: &'static str) -> rusqlite::Result<ChannelId> {
        self.get::<_, [u8; 32]>(column).map(ChannelId::new)
    }

    fn signature(&self, column: &'static str) -> rusqlite::Result<Signature> {
        self.get::<_, [u8; 64]>(column).map(Signature::from)
    }

    fn optional_signature(&self, column: &'static str) -> rusqlite::Result<Option<Signature>> {
        Ok(self.get::<_, Option<[u8; 64]>>(column)?.map(Signature::from))
    }
}

/// Gives a field-less enum its words: in SQL, in text and in the mouth of `Display`.
macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it, in lower case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl rusqlite::types::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                match value.as_str()? {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(rusqlite::types::FromSqlError::InvalidType),
                }
            }
        }
    };
}
pub(crate) use words;
