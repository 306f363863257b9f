//! The two text encodings of the wire: base64 in both alphabets, and canonical JSON (RFC 8785).
//!
//! Parsing is strict where two readers could disagree: a JSON object that names a member twice is refused.

use std::fmt;

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};
use thiserror::Error;

use crate::JsonError;

const fn engine(alphabet: &Alphabet, pad: bool) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(pad)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

const BASE64URL: GeneralPurpose = engine(&URL_SAFE, false);
const BASE64: GeneralPurpose = engine(&STANDARD, true);

/// The text is not what its encoding allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodingError {
    /// Not base64url.
    #[error("not base64url")]
    Base64Url,
    /// Not base64 in the standard alphabet.
    #[error("not base64 in the standard alphabet")]
    Base64,
}

/// base64url without padding.
pub fn base64url_encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL.encode(bytes)
}

/// Reads base64url, with or without padding.
pub fn base64url_decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, EncodingError> {
    BASE64URL.decode(text).map_err(|_| EncodingError::Base64Url)
}

/// base64 in the standard alphabet, with padding: how a transaction travels in JSON.
pub fn base64_encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64.encode(bytes)
}

/// Reads base64 in the standard alphabet, with or without padding; `-` and `_` are refused.
pub fn base64_decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, EncodingError> {
    BASE64.decode(text).map_err(|_| EncodingError::Base64)
}

/// `value` as canonical JSON.
///
/// Numbers are written the way ECMAScript writes doubles, so integers above 2^53 lose digits: amounts are
/// strings.
pub fn canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, JsonError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| JsonError::Syntax(error.to_string()))
}

/// Parses one JSON value; an object that names a member twice is refused.
pub fn parse_json(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict::deserialize(&mut deserializer).and_then(|Strict(value)| {
        deserializer.end()?;
        Ok(value)
    });
    value.map_err(|error| JsonError::Syntax(error.to_string()))
}

/// A JSON value in which no object names a member twice.
pub(crate) struct Strict(pub(crate) Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictVisitor.deserialize(deserializer).map(Self)
    }
}

struct StrictVisitor;

impl<'de> DeserializeSeed<'de> for StrictVisitor {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(StrictVisitor)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(StrictVisitor)?;
            if object.contains_key(&name) {
                return Err(de::Error::custom(format_args!("member {name:?} appears twice")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}
