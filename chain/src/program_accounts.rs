//! Finding channels by what their accounts say, however many there are.
//!
//! The node filters, so the answer is as long as the list of matches. Only addresses travel: anybody may open a
//! channel to anybody, and a stranger's thousand must not cost a thousand accounts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use toll_protocol::{CHANNEL_DISCRIMINATOR, CHANNEL_SIZE, CHANNEL_VERSION, ChannelAccount, ChannelStatus};

use crate::ChainError;

/// The call that finds accounts of a program.
pub(crate) const METHOD: &str = "getProgramAccounts";

/// Which channels are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelFilter {
    /// The channel program.
    pub program: Pubkey,
    /// Who earns.
    pub payee: Pubkey,
    /// Where the channel stands.
    pub status: ChannelStatus,
}

/// Channels that matched a filter, and the slot at which they did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundChannels {
    /// The slot of the answer.
    pub slot: u64,
    /// The channels' addresses, in no order.
    pub addresses: Vec<Pubkey>,
}

impl ChannelFilter {
    /// Whether this account data is that of a channel that matches. For chains that filter themselves.
    pub fn matches(&self, data: &[u8]) -> bool {
        ChannelAccount::decode(data)
            .is_ok_and(|account| account.payee == self.payee && account.status == self.status)
    }

    /// The filter as nodes take it: `commitment`, no account data, and at least `min_slot` where there is one.
    pub(crate) fn config(&self, commitment: &str, min_slot: Option<u64>) -> Value {
        let equals = |offset: usize, bytes: &[u8]| json!({ "memcmp": { "offset": offset, "bytes": STANDARD.encode(bytes), "encoding": "base64" } });
        let mut config = json!({
            "commitment": commitment,
            "encoding": "base64",
            "dataSlice": { "offset": 0, "length": 0 },
            "withContext": true,
            // Most nodes take at most four filters.
            "filters": [
                { "dataSize": CHANNEL_SIZE },
                equals(0, &[CHANNEL_DISCRIMINATOR, CHANNEL_VERSION]),
                equals(ChannelAccount::STATUS_OFFSET, &[self.status as u8]),
                equals(ChannelAccount::PAYEE_OFFSET, self.payee.as_ref()),
            ],
        });
        if let Some(slot) = min_slot {
            config["minContextSlot"] = slot.into();
        }
        config
    }

    /// The parameters of the query.
    pub(crate) fn params(&self, commitment: &str, min_slot: u64) -> Value {
        json!([self.program.to_string(), self.config(commitment, Some(min_slot))])
    }
}

/// Reads a node's answer to the query.
pub(crate) fn read(answer: &Value) -> Result<FoundChannels, ChainError> {
    let malformed = |reason: &str| ChainError::Malformed { what: METHOD, reason: reason.to_owned() };
    // A node that leaves the context out does not say when this was true.
    let slot = answer.pointer("/context/slot").and_then(Value::as_u64).ok_or_else(|| malformed("no slot"))?;
    let found = answer.get("value").and_then(Value::as_array).ok_or_else(|| malformed("no list"))?;
    let addresses = found.iter().map(|one| {
        let address = one.get("pubkey").and_then(Value::as_str).ok_or_else(|| malformed("no address"))?;
        address.parse().map_err(|_| malformed(&format!("address {address}")))
    });
    Ok(FoundChannels { slot, addresses: addresses.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> ChannelFilter {
        ChannelFilter {
            program: Pubkey::from([1; 32]),
            payee: Pubkey::from([2; 32]),
            status: ChannelStatus::Closing,
        }
    }

    #[test]
    fn query_asks_for_addresses_of_channels_of_one_payee_and_status() {
        let params = filter().params("confirmed", 77);
        assert_eq!(params[0], json!(Pubkey::from([1; 32]).to_string()));
        let config = &params[1];
        assert_eq!(config["minContextSlot"], json!(77));
        assert_eq!(config["withContext"], json!(true));
        assert_eq!(config["dataSlice"], json!({ "offset": 0, "length": 0 }));
        let filters = config["filters"].as_array().unwrap();
        assert_eq!(filters[0], json!({ "dataSize": 256 }));
        let compared: Vec<_> = filters[1..].iter().map(|one| one["memcmp"].clone()).collect();
        assert_eq!(compared.len(), 3);
        assert_eq!(compared[1], json!({ "offset": 3, "bytes": "Ag==", "encoding": "base64" }));
        assert_eq!(compared[2]["offset"], json!(120));
        assert_eq!(compared[2]["bytes"], json!(STANDARD.encode([2; 32])));
    }

    #[test]
    fn answer_is_a_slot_and_addresses() {
        let address = Pubkey::from([5; 32]);
        let answer =
            json!({ "context": { "slot": 9 }, "value": [{ "pubkey": address.to_string(), "account": {} }] });
        assert_eq!(read(&answer).unwrap(), FoundChannels { slot: 9, addresses: vec![address] });
    }

    #[test]
    fn answer_without_a_slot_or_with_nonsense_is_malformed() {
        let answers = [
            json!([]),
            json!({ "value": [] }),
            json!({ "context": { "slot": 1 } }),
            json!({ "context": { "slot": 1 }, "value": [{}] }),
            json!({ "context": { "slot": 1 }, "value": [{ "pubkey": "0" }] }),
        ];
        for answer in answers {
            assert!(matches!(read(&answer), Err(ChainError::Malformed { .. })), "{answer}");
        }
    }
}
