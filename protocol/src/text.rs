//! How core values read as text and in JSON: addresses in base58, amounts as decimal strings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use solana_pubkey::{ParsePubkeyError, Pubkey};

use crate::{Amount, ChannelId};

impl ChannelId {
    /// The address as the key type that the chain's libraries use.
    pub const fn pubkey(&self) -> Pubkey {
        Pubkey::new_from_array(*self.as_bytes())
    }
}

impl From<Pubkey> for ChannelId {
    fn from(address: Pubkey) -> Self {
        Self::new(address.to_bytes())
    }
}

impl From<ChannelId> for Pubkey {
    fn from(id: ChannelId) -> Self {
        id.pubkey()
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pubkey().fmt(f)
    }
}

impl FromStr for ChannelId {
    type Err = ParsePubkeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Pubkey>().map(Self::from)
    }
}

impl Serialize for ChannelId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChannelId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("not the base58 of 32 bytes"))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl From<Amount> for serde_json::Value {
    fn from(amount: Amount) -> Self {
        Self::String(amount.to_string())
    }
}
