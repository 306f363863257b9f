//! Addresses as base58 text, for `#[serde(with = "toll_protocol::base58")]`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
use solana_pubkey::Pubkey;

/// Writes an address as text.
pub fn serialize<S: Serializer>(key: &Pubkey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

/// Reads an address, and names the text that is none.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pubkey, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

fn parse<E: Error>(text: &str) -> Result<Pubkey, E> {
    text.parse().map_err(|_| E::custom(format!("{text:?} is not a base58 key of 32 bytes")))
}

/// The same for a member that may be missing; it needs `#[serde(default)]` as well.
pub mod optional {
    use super::*;

    /// Writes an address as text, or nothing.
    pub fn serialize<S: Serializer>(key: &Option<Pubkey>, serializer: S) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => super::serialize(key, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads an address that is there.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Pubkey>, D::Error> {
        Option::<String>::deserialize(deserializer)?.as_deref().map(parse).transpose()
    }
}

/// The same for arrays.
pub mod list {
    use super::*;

    /// Writes addresses as an array of texts.
    pub fn serialize<S: Serializer>(keys: &[Pubkey], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(keys.iter().map(ToString::to_string))
    }

    /// Reads an array of addresses.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pubkey>, D::Error> {
        Vec::<String>::deserialize(deserializer)?.iter().map(|text| parse(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;
    use solana_pubkey::Pubkey;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Keys {
        #[serde(with = "super")]
        one: Pubkey,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "super::optional")]
        maybe: Option<Pubkey>,
        #[serde(with = "super::list")]
        many: Vec<Pubkey>,
    }

    #[test]
    fn addresses_are_text_wherever_they_stand() {
        let key = Pubkey::new_from_array([7; 32]);
        for maybe in [Some(key), None] {
            let keys = Keys { one: key, maybe, many: vec![key, key] };
            let written = serde_json::to_value(&keys).unwrap();
            assert_eq!(written["one"], key.to_string());
            assert_eq!(written["many"][1], key.to_string());
            assert_eq!(serde_json::from_value::<Keys>(written).unwrap(), keys);
        }
    }

    #[test]
    fn a_text_that_is_no_address_is_named() {
        let refused = serde_json::from_value::<Keys>(json!({ "one": "nonsense", "many": [] })).unwrap_err();
        assert!(refused.to_string().contains("\"nonsense\""), "{refused}");
    }
}
