//! Keys in configuration files: base58 text.

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use solana_pubkey::Pubkey;

pub(super) fn serialize<S: Serializer>(key: &Pubkey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pubkey, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

fn parse<E: Error>(text: &str) -> Result<Pubkey, E> {
    text.parse().map_err(|_| E::custom(format!("{text:?} is not a base58 key of 32 bytes")))
}

/// The same for arrays.
pub(super) mod list {
    use super::*;

    pub(in crate::config) fn serialize<S: Serializer>(
        keys: &[Pubkey],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(keys.iter().map(ToString::to_string))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Pubkey>, D::Error> {
        Vec::<String>::deserialize(deserializer)?.iter().map(|text| parse(text)).collect()
    }
}
