//! Rust values as columns.

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::{Amount, ChannelId};

use crate::engine::{DatabaseError, Row};
use crate::error::LedgerError;

/// `value` as it is stored, 63 bits; the ledger refuses what does not fit.
pub(crate) fn integer(value: u64) -> Result<i64, LedgerError> {
    i64::try_from(value).map_err(|_| LedgerError::AmountTooLarge { amount: value })
}

/// `amount` as it is stored.
pub(crate) fn amount(amount: Amount) -> Result<i64, LedgerError> {
    integer(amount.get())
}

/// The error for a column that holds a value of no meaning.
pub(crate) fn undecodable(column: &'static str) -> DatabaseError {
    DatabaseError::undecodable(column)
}

/// Typed reads of columns by name.
pub(crate) trait Columns {
    fn amount(&self, column: &'static str) -> Result<Amount, DatabaseError>;
    fn optional_amount(&self, column: &'static str) -> Result<Option<Amount>, DatabaseError>;
    fn unsigned(&self, column: &'static str) -> Result<u64, DatabaseError>;
    fn optional_unsigned(&self, column: &'static str) -> Result<Option<u64>, DatabaseError>;
    fn pubkey(&self, column: &'static str) -> Result<Pubkey, DatabaseError>;
    fn channel_id(&self, column: &'static str) -> Result<ChannelId, DatabaseError>;
    fn signature(&self, column: &'static str) -> Result<Signature, DatabaseError>;
    fn optional_signature(&self, column: &'static str) -> Result<Option<Signature>, DatabaseError>;
}

impl Columns for Row<'_> {
    fn amount(&self, column: &'static str) -> Result<Amount, DatabaseError> {
        self.unsigned(column).map(Amount::new)
    }

    fn optional_amount(&self, column: &'static str) -> Result<Option<Amount>, DatabaseError> {
        Ok(self.optional_unsigned(column)?.map(Amount::new))
    }

    fn unsigned(&self, column: &'static str) -> Result<u64, DatabaseError> {
        u64::try_from(self.get::<_, i64>(column)?).map_err(|_| undecodable(column))
    }

    fn optional_unsigned(&self, column: &'static str) -> Result<Option<u64>, DatabaseError> {
        self.get::<_, Option<i64>>(column)?
            .map(|value| u64::try_from(value).map_err(|_| undecodable(column)))
            .transpose()
    }

    fn pubkey(&self, column: &'static str) -> Result<Pubkey, DatabaseError> {
        self.get::<_, [u8; 32]>(column).map(Pubkey::from)
    }

    fn channel_id(&self, column: &'static str) -> Result<ChannelId, DatabaseError> {
        self.get::<_, [u8; 32]>(column).map(ChannelId::new)
    }

    fn signature(&self, column: &'static str) -> Result<Signature, DatabaseError> {
        self.get::<_, [u8; 64]>(column).map(Signature::from)
    }

    fn optional_signature(&self, column: &'static str) -> Result<Option<Signature>, DatabaseError> {
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

        impl $crate::engine::Parameter for $name {
            fn value(&self) -> $crate::engine::Value<'_> {
                $crate::engine::Value::Text(self.as_str())
            }
        }

        impl $crate::engine::FromValue for $name {
            fn from_value(value: $crate::engine::Value<'_>) -> Option<Self> {
                match value {
                    $($crate::engine::Value::Text($word) => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use words;
