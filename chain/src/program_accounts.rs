//! Finding channels by what their accounts say, however many there are.
//!
//! The node filters, so the answer is as long as the list of matches, and it carries no more of each account than is
//! asked for: anybody may open a channel to anybody, and a stranger's thousand must not cost a thousand accounts.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use solana_rpc_client_api::response::{Response, RpcKeyedAccount};
use toll_protocol::{
    CHANNEL_DISCRIMINATOR, CHANNEL_SIZE, CHANNEL_VERSION, ChannelAccount, ChannelId, ChannelStanding,
    ChannelStatus,
};

use crate::ChainError;
use crate::rpc::account;

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

/// Every channel of a payee, and the slot at which they stood so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedChannels {
    /// The slot of the answer.
    pub slot: u64,
    /// The channels, in no order.
    pub channels: Vec<(Pubkey, ChannelStanding)>,
}

impl ChannelFilter {
    /// Whether this account data is that of a channel that matches. For chains that filter themselves.
    pub fn matches(&self, data: &[u8]) -> bool {
        ChannelAccount::decode(data)
            .is_ok_and(|account| account.payee == self.payee && account.status == self.status)
    }

    /// The filter as nodes take it: `commitment`, no account data, and at least `min_slot` where there is one.
    pub(crate) fn config(&self, commitment: &str, min_slot: Option<u64>) -> Value {
        let status = equals(ChannelAccount::STATUS_OFFSET, &[self.status as u8]);
        config(&self.payee, Some(status), (0, 0), commitment, min_slot)
    }

    /// The parameters of the query.
    pub(crate) fn params(&self, commitment: &str, min_slot: u64) -> Value {
        json!([self.program.to_string(), self.config(commitment, Some(min_slot))])
    }
}

fn equals(offset: usize, bytes: &[u8]) -> Value {
    json!({ "memcmp": { "offset": offset, "bytes": STANDARD.encode(bytes), "encoding": "base64" } })
}

fn is_channel() -> Value {
    equals(0, &[CHANNEL_DISCRIMINATOR, CHANNEL_VERSION])
}

/// The parameters of a query for every channel of `program` that `payer` opened, accounts included: nobody opens one
/// in another's name, so there are as many as it made.
pub(crate) fn of_payer(program: &Pubkey, payer: &Pubkey, commitment: &str) -> Value {
    let payer = equals(ChannelAccount::PAYER_OFFSET, payer.as_ref());
    let filters = json!([{ "dataSize": CHANNEL_SIZE }, is_channel(), payer]);
    json!([
        program.to_string(),
        { "commitment": commitment, "encoding": "base64", "withContext": true, "filters": filters },
    ])
}

/// The channels in a node's answer to that query. What lies at another address than its seeds make is no channel.
pub(crate) fn channels(
    answer: &Response<Vec<RpcKeyedAccount>>,
    program: &Pubkey,
) -> Result<Vec<(ChannelId, ChannelAccount)>, ChainError> {
    let mut channels = Vec::new();
    for found in &answer.value {
        let data = account(METHOD, &found.account)?.data;
        let channel = ChannelAccount::decode(&data)
            .map_err(|error| ChainError::Malformed { what: METHOD, reason: error.to_string() })?;
        let id = channel.terms().address(program).0;
        if found.pubkey == id.to_string() {
            channels.push((id, channel));
        }
    }
    Ok(channels)
}

fn config(
    payee: &Pubkey,
    status: Option<Value>,
    (offset, length): (usize, usize),
    commitment: &str,
    min_slot: Option<u64>,
) -> Value {
    // Most nodes take at most four filters.
    let filters: Vec<_> = [json!({ "dataSize": CHANNEL_SIZE }), is_channel()]
        .into_iter()
        .chain(status)
        .chain([equals(ChannelAccount::PAYEE_OFFSET, payee.as_ref())])
        .collect();
    let mut config = json!({
        "commitment": commitment,
        "encoding": "base64",
        "dataSlice": { "offset": offset, "length": length },
        "withContext": true,
        "filters": filters,
    });
    if let Some(slot) = min_slot {
        config["minContextSlot"] = slot.into();
    }
    config
}

/// The parameters of the query for every channel of `payee`, with what changes of each.
pub(crate) fn list_params(program: &Pubkey, payee: &Pubkey, commitment: &str, min_slot: u64) -> Value {
    let part = (ChannelStanding::OFFSET, ChannelStanding::SIZE);
    json!([program.to_string(), config(payee, None, part, commitment, Some(min_slot))])
}

/// The addresses in a node's answer.
pub(crate) fn addresses(answer: &Response<Vec<RpcKeyedAccount>>) -> Result<FoundChannels, ChainError> {
    let addresses = answer.value.iter().map(|found| {
        let reason = |_| ChainError::Malformed { what: METHOD, reason: format!("address {}", found.pubkey) };
        found.pubkey.parse().map_err(reason)
    });
    Ok(FoundChannels { slot: answer.context.slot, addresses: addresses.collect::<Result<_, _>>()? })
}

/// One entry of a long list, decoded as it is read: there may be hundreds of thousands.
#[derive(Deserialize)]
pub(crate) struct Listed {
    #[serde(deserialize_with = "address")]
    pubkey: Pubkey,
    account: Part,
}

#[derive(Deserialize)]
struct Part {
    #[serde(deserialize_with = "standing")]
    data: Option<ChannelStanding>,
}

/// The channels in a node's answer. One in a state that is not known here is left out: it is compared by itself.
pub(crate) fn listed(answer: Response<Vec<Listed>>) -> ListedChannels {
    let channels = answer.value.into_iter().filter_map(|one| Some((one.pubkey, one.account.data?)));
    ListedChannels { slot: answer.context.slot, channels: channels.collect() }
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Pubkey, D::Error> {
    Cow::<str>::deserialize(from)?.parse().map_err(|_| D::Error::custom("no address"))
}

fn standing<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ChannelStanding>, D::Error> {
    let (text, _) = <(Cow<'de, str>, IgnoredAny)>::deserialize(from)?;
    let part = STANDARD.decode(text.as_ref()).map_err(|_| D::Error::custom("no base64"))?;
    Ok(ChannelStanding::decode(&part).ok())
}

#[cfg(test)]
mod tests {
    use toll_protocol::Amount;

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
    fn list_asks_for_what_changes_of_every_channel_of_one_payee() {
        let params = list_params(&Pubkey::from([1; 32]), &Pubkey::from([2; 32]), "confirmed", 77);
        let config = &params[1];
        assert_eq!(config["dataSlice"], json!({ "offset": 3, "length": 49 }));
        let offsets: Vec<_> =
            config["filters"].as_array().unwrap().iter().map(|one| one["memcmp"]["offset"].clone()).collect();
        assert_eq!(offsets, [Value::Null, json!(0), json!(120)]);
    }

    fn keyed(address: &str) -> Value {
        let owner = Pubkey::from([1; 32]).to_string();
        let account = json!({ "lamports": 1, "owner": owner, "data": ["", "base64"], "executable": false,
            "rentEpoch": u64::MAX, "space": 256 });
        json!({ "pubkey": address, "account": account })
    }

    fn read(answer: Value) -> Result<FoundChannels, ChainError> {
        let malformed =
            |error: serde_json::Error| ChainError::Malformed { what: METHOD, reason: error.to_string() };
        addresses(&serde_json::from_value(answer).map_err(malformed)?)
    }

    #[test]
    fn answer_is_a_slot_and_addresses() {
        let address = Pubkey::from([5; 32]);
        let answer = json!({ "context": { "slot": 9 }, "value": [keyed(&address.to_string())] });
        assert_eq!(read(answer).unwrap(), FoundChannels { slot: 9, addresses: vec![address] });
    }

    #[test]
    fn answer_without_a_slot_or_with_nonsense_is_malformed() {
        let answers = [
            json!([]),
            json!({ "value": [] }),
            json!({ "context": { "slot": 1 } }),
            json!({ "context": { "slot": 1 }, "value": [{}] }),
            json!({ "context": { "slot": 1 }, "value": [keyed("0")] }),
        ];
        for answer in answers {
            assert!(matches!(read(answer.clone()), Err(ChainError::Malformed { .. })), "{answer}");
        }
    }

    #[test]
    fn list_has_the_standing_of_each_channel_and_leaves_out_what_it_does_not_know() {
        let entry = |seed: u8, part: &[u8]| {
            let data = json!([STANDARD.encode(part), "base64"]);
            json!({ "pubkey": Pubkey::from([seed; 32]).to_string(), "account": { "data": data } })
        };
        let mut part = [0; ChannelStanding::SIZE];
        part[0] = ChannelStatus::Sealed as u8;
        part[9] = 7;
        let unknown = [9; ChannelStanding::SIZE];
        let answer = json!({ "context": { "slot": 9 }, "value": [entry(5, &part), entry(6, &unknown)] });

        let found = listed(serde_json::from_value(answer).unwrap());

        let standing = ChannelStanding::decode(&part).unwrap();
        assert_eq!((standing.status, standing.deposit.get()), (ChannelStatus::Sealed, 7));
        assert_eq!(found, ListedChannels { slot: 9, channels: vec![(Pubkey::from([5; 32]), standing)] });
    }

    #[test]
    fn query_for_a_payer_compares_the_payer() {
        let params = of_payer(&Pubkey::from([1; 32]), &Pubkey::from([3; 32]), "confirmed");
        let payer = &params[1]["filters"][2]["memcmp"];
        assert_eq!((&payer["offset"], &payer["bytes"]), (&json!(88), &json!(STANDARD.encode([3; 32]))));
    }

    #[test]
    fn what_a_payers_query_found_lies_where_its_seeds_say() {
        let program = Pubkey::from([1; 32]);
        let key = Pubkey::from([3; 32]);
        let account = ChannelAccount {
            bump: 255,
            status: ChannelStatus::Open,
            salt: 7,
            deposit: Amount::new(100),
            settled: Amount::ZERO,
            payout_watermark: Amount::ZERO,
            closure_started_at: 0,
            payer_withdrawn_at: 0,
            grace_period: 900,
            distribution_hash: [0; 32],
            payer: key,
            payee: key,
            authorized_signer: key,
            mint: key,
            rent_payer: key,
            open_slot: 9,
        };
        let id = account.terms().address(&program).0;
        let found = |address: String| {
            let data = [STANDARD.encode(account.encode()), "base64".to_owned()];
            let account = json!({
                "data": data, "owner": program.to_string(), "lamports": 1, "executable": false, "rentEpoch": 0,
            });
            let answer =
                json!({ "context": { "slot": 1 }, "value": [{ "pubkey": address, "account": account }] });
            channels(&serde_json::from_value(answer).unwrap(), &program).unwrap()
        };
        assert_eq!(found(id.to_string()), [(id, account.clone())]);
        assert_eq!(found(key.to_string()), []);
        let none = json!({ "context": { "slot": 1 }, "value": [{ "pubkey": key.to_string() }] });
        assert!(serde_json::from_value::<Response<Vec<RpcKeyedAccount>>>(none).is_err());
    }
}
