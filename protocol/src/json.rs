//! Reading typed members out of JSON objects, with errors that name the member.

use serde_json::{Map, Value};
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use thiserror::Error;

use crate::{Amount, ChannelId, Split, Splits, SplitsError, base64_decode, parse_u64};

/// Largest integer that every JSON reader holds exactly: 2^53 − 1.
pub(crate) const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Why JSON is not the document it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Not JSON, or an object names a member twice.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// A required member is not there.
    #[error("{member} is missing")]
    Missing {
        /// Path of the member.
        member: String,
    },
    /// A member has another type, or text that does not parse.
    #[error("{member} must be {expected}")]
    Invalid {
        /// Path of the member.
        member: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// Splits that break a rule.
    #[error("{member} cannot be used: {source}")]
    Splits {
        /// Path of the member.
        member: String,
        /// The rule.
        source: SplitsError,
    },
}

/// A value that a JSON member can hold.
pub(crate) trait Member: Sized {
    /// What belongs there, for the error.
    const EXPECTED: &'static str;

    /// Reads it, or `None` when it is something else.
    fn read(value: &Value) -> Option<Self>;
}

/// A u64 that travels as a decimal string: salts and slots.
pub(crate) struct Decimal(pub(crate) u64);

/// Transaction bytes in standard base64.
pub(crate) struct Base64(pub(crate) Vec<u8>);

macro_rules! text_members {
    ($($type:ty: $expected:literal, $parse:expr;)*) => {$(
        impl Member for $type {
            const EXPECTED: &'static str = $expected;

            fn read(value: &Value) -> Option<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                value.as_str().and_then(parse)
            }
        }
    )*};
}

text_members! {
    String: "a string", |text| Some(text.to_owned());
    Amount: "a decimal string of a u64", |text| text.parse().ok();
    Decimal: "a decimal string of a u64", |text| parse_u64(text).ok().map(Decimal);
    Pubkey: "the base58 of 32 bytes", |text| text.parse().ok();
    ChannelId: "the base58 of 32 bytes", |text| text.parse().ok();
    Hash: "the base58 of 32 bytes", |text| text.parse().ok();
    Signature: "the base58 of 64 bytes", |text| text.parse().ok();
    Base64: "base64 in the standard alphabet", |text| base64_decode(text).ok().map(Base64);
}

impl Member for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Member for u8 {
    const EXPECTED: &'static str = "an integer from 0 to 255";

    fn read(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Member for u16 {
    const EXPECTED: &'static str = "an integer from 0 to 65535";

    fn read(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Member for u32 {
    const EXPECTED: &'static str = "an integer from 0 to 4294967295";

    fn read(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Member for i64 {
    const EXPECTED: &'static str = "an integer from 0 to 2^53 - 1";

    fn read(value: &Value) -> Option<Self> {
        value.as_i64().filter(|number| (0..=MAX_SAFE_INTEGER).contains(number))
    }
}

impl Member for Map<String, Value> {
    const EXPECTED: &'static str = "an object";

    fn read(value: &Value) -> Option<Self> {
        value.as_object().cloned()
    }
}

/// The members of one JSON object, and the path that leads to it.
#[derive(Clone)]
pub(crate) struct Members<'a> {
    object: &'a Map<String, Value>,
    path: String,
}

impl<'a> Members<'a> {
    /// The members of `value`, found at `path`.
    pub(crate) fn of(value: &'a Value, path: &str) -> Result<Self, JsonError> {
        match value.as_object() {
            Some(object) => Ok(Self { object, path: path.to_owned() }),
            None => Err(JsonError::Invalid { member: path.to_owned(), expected: "an object" }),
        }
    }

    /// Whether the member is there, whatever it holds.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// A required member.
    pub(crate) fn get<T: Member>(&self, name: &str) -> Result<T, JsonError> {
        self.find(name)?.ok_or_else(|| self.missing(name))
    }

    /// An optional member; one of the wrong type, null included, is still an error.
    pub(crate) fn find<T: Member>(&self, name: &str) -> Result<Option<T>, JsonError> {
        let read = |value| T::read(value).ok_or_else(|| self.invalid(name, T::EXPECTED));
        self.object.get(name).map(read).transpose()
    }

    /// A required member that holds an object.
    pub(crate) fn object(&self, name: &str) -> Result<Members<'a>, JsonError> {
        self.find_object(name)?.ok_or_else(|| self.missing(name))
    }

    /// An optional member that holds an object.
    pub(crate) fn find_object(&self, name: &str) -> Result<Option<Members<'a>>, JsonError> {
        self.object.get(name).map(|value| Members::of(value, &self.path(name))).transpose()
    }

    /// A required member that must hold exactly `text`.
    pub(crate) fn exactly(&self, name: &str, text: &'static str) -> Result<(), JsonError> {
        if self.get::<String>(name)? == text { Ok(()) } else { Err(self.invalid(name, text)) }
    }

    /// The elements of an optional array.
    pub(crate) fn find_array(&self, name: &str) -> Result<Option<&'a Vec<Value>>, JsonError> {
        let read = |value: &'a Value| value.as_array().ok_or_else(|| self.invalid(name, "an array"));
        self.object.get(name).map(read).transpose()
    }

    /// Optional splits: an array of `{recipient, shareBps}`.
    pub(crate) fn find_splits(&self, name: &str) -> Result<Option<Splits>, JsonError> {
        let Some(entries) = self.find_array(name)? else { return Ok(None) };
        read_splits(entries, &self.path(name)).map(Some)
    }

    /// The error for a member that is not there.
    pub(crate) fn missing(&self, name: &str) -> JsonError {
        JsonError::Missing { member: self.path(name) }
    }

    /// The error for a member that does not hold what it should.
    pub(crate) fn invalid(&self, name: &str, expected: &'static str) -> JsonError {
        JsonError::Invalid { member: self.path(name), expected }
    }

    fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// Splits out of an array of `{recipient, shareBps}` found at `path`.
pub(crate) fn read_splits(entries: &[Value], path: &str) -> Result<Splits, JsonError> {
    let splits = entries.iter().enumerate().map(|(index, entry)| {
        let entry = Members::of(entry, &format!("{path}[{index}]"))?;
        Ok(Split { recipient: entry.get("recipient")?, share_bps: entry.get("shareBps")? })
    });
    Splits::new(splits.collect::<Result<_, JsonError>>()?)
        .map_err(|source| JsonError::Splits { member: path.to_owned(), source })
}

/// Splits as an array of `{recipient, shareBps}`.
pub(crate) fn write_splits(splits: &Splits) -> Value {
    let entry = |split: &Split| {
        Object::default().text("recipient", split.recipient).with("shareBps", split.share_bps).into_value()
    };
    Value::Array(splits.as_slice().iter().map(entry).collect())
}

/// A JSON object under construction; absent members are left out.
#[derive(Default)]
pub(crate) struct Object(Map<String, Value>);

impl Object {
    /// Adds a member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a member written as text.
    pub(crate) fn text(self, name: &str, value: impl ToString) -> Self {
        self.with(name, value.to_string())
    }

    /// Adds a member written as text, if there is one.
    pub(crate) fn maybe_text(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Adds a member, if there is one.
    pub(crate) fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds splits as an array, if there are any.
    pub(crate) fn splits(self, name: &str, splits: Option<&Splits>) -> Self {
        self.maybe(name, splits.map(write_splits))
    }

    /// The finished object.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// Serde through a type's own `to_json` and `from_json`, which check every rule.
macro_rules! serde_through_json {
    ($($type:ty),*) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.to_json().serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let crate::canonical::Strict(value) = serde::Deserialize::deserialize(deserializer)?;
                Self::from_json(&value).map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use serde_through_json;
