//! The `session` intent's request: what one unit costs, and on which channel it can be paid.
//!
//! Source: draft-solana-session, "Request Schema".

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use thiserror::Error;

use crate::at_idle::{self, DepositAtIdle, Standing};
use crate::json::{Decimal, Members, Object, serde_through_json};
use crate::{Amount, ChannelId, JsonError, Splits, TOKEN_2022_PROGRAM, TOKEN_PROGRAM};

/// Longest idle timeout: 30 days, in seconds.
pub const MAX_IDLE_TIMEOUT: u32 = 2_592_000;

/// The cluster a challenge speaks of. There is no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Real money.
    Mainnet,
    /// The public test cluster.
    Devnet,
    /// A validator of one's own.
    Localnet,
}

/// Who holds the key that signs vouchers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VoucherSigner {
    /// The client: each metered request carries a voucher.
    #[default]
    Client,
    /// The server, with this key: each metered request carries a bearer proof.
    Operator(Pubkey),
}

/// The channel a challenge asks for: a new one, or one that is already open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelOffer {
    /// Open a channel.
    New {
        /// The blockhash the `open` transaction must carry.
        recent_blockhash: Hash,
        /// The slot that blockhash was read at; `open_slot` may not be above it.
        recent_slot: u64,
        /// Seconds between a payer's request to leave and the first permissionless seal.
        grace_period: u32,
        /// Idle timeouts to choose from, in seconds, rising; empty when the server chooses.
        idle_timeout_options: Vec<u32>,
    },
    /// Go on with an open channel.
    Resume {
        /// That channel.
        channel_id: ChannelId,
        /// The idle timeout in force, in seconds.
        idle_timeout: u32,
        /// Where the channel stands, when the server says so.
        standing: Option<Standing>,
    },
}

/// The Solana part of a session request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodDetails {
    /// The cluster.
    pub network: Network,
    /// The channel program on that cluster.
    pub channel_program: Pubkey,
    /// Decimals of the mint, 0 to 9.
    pub decimals: u8,
    /// SPL Token or Token-2022; when absent the client looks it up on chain.
    pub token_program: Option<Pubkey>,
    /// The key that sponsors fees and rent; none when the client pays them.
    pub fee_payer_key: Option<Pubkey>,
    /// Who signs vouchers.
    pub voucher_signer: VoucherSigner,
    /// Smallest accepted increase of a voucher.
    pub min_voucher_delta: Option<Amount>,
    /// Suggested length of the session in seconds; a hint without effect.
    pub ttl_seconds: Option<u32>,
    /// Who shares in what the channel pays.
    pub splits: Splits,
    /// What the payer may choose to become of its deposit when the channel is idle; empty when there is no choice.
    pub at_idle_options: Vec<DepositAtIdle>,
    /// The channel asked for.
    pub channel: ChannelOffer,
}

/// What a session challenge asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// Price of one unit, above zero.
    pub amount: Amount,
    /// The mint.
    pub currency: Pubkey,
    /// The payee: the key that owns the token account, not the account.
    pub recipient: Pubkey,
    /// What one unit is: `request`, `token`, `byte`, …
    pub unit_type: Option<String>,
    /// A hint for the deposit.
    pub suggested_deposit: Option<Amount>,
    /// Smallest deposit an `open` may bring.
    pub minimum_deposit: Option<Amount>,
    /// Text for a person.
    pub description: Option<String>,
    /// The merchant's own reference.
    pub external_id: Option<String>,
    /// The Solana part.
    pub method_details: MethodDetails,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// A member is missing or is not what it should be.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A member that this kind of challenge must not have.
    #[error("{member} does not belong in a challenge for {kind}")]
    Misplaced {
        /// Path of the member.
        member: &'static str,
        /// "a new channel" or "an open channel".
        kind: &'static str,
    },
    /// The floor is stated twice, differently.
    #[error("minimumDeposit is {shared} in the request and {details} in methodDetails")]
    MinimumDeposits {
        /// At the top level.
        shared: Amount,
        /// In `methodDetails`.
        details: Amount,
    },
    /// The shape used before the draft.
    #[error("superseded session wire: the request has a cap and no methodDetails")]
    Superseded,
}

const NEW: &str = "a new channel";
const RESUME: &str = "an open channel";

impl SessionRequest {
    /// The request as JSON.
    pub fn to_json(&self) -> Value {
        Object::default()
            .text("amount", self.amount)
            .text("currency", self.currency)
            .text("recipient", self.recipient)
            .maybe_text("unitType", self.unit_type.as_ref())
            .maybe_text("suggestedDeposit", self.suggested_deposit)
            .maybe_text("minimumDeposit", self.minimum_deposit)
            .maybe_text("description", self.description.as_ref())
            .maybe_text("externalId", self.external_id.as_ref())
            .with("methodDetails", self.method_details.to_json())
            .into_value()
    }

    /// Reads and checks a request. Unknown members are ignored.
    pub fn from_json(value: &Value) -> Result<Self, RequestError> {
        let request = Members::of(value, "request")?;
        if request.has("cap") && !request.has("methodDetails") {
            return Err(RequestError::Superseded);
        }
        let amount: Amount = request.get("amount")?;
        if amount.is_zero() {
            return Err(request.invalid("amount", "above zero").into());
        }
        let details = request.object("methodDetails")?;
        let minimum_deposit = match (request.find("minimumDeposit")?, details.find("minimumDeposit")?) {
            (Some(shared), Some(details)) if shared != details => {
                return Err(RequestError::MinimumDeposits { shared, details });
            }
            (shared, details) => shared.or(details),
        };
        Ok(Self {
            amount,
            currency: request.get("currency")?,
            recipient: request.get("recipient")?,
            unit_type: request.find("unitType")?,
            suggested_deposit: request.find("suggestedDeposit")?,
            minimum_deposit,
            description: request.find("description")?,
            external_id: request.find("externalId")?,
            method_details: MethodDetails::read(&details)?,
        })
    }
}

impl MethodDetails {
    /// The Solana part as JSON.
    pub fn to_json(&self) -> Value {
        let details = Object::default()
            .text("network", self.network)
            .text("channelProgram", self.channel_program)
            .with("decimals", self.decimals)
            .maybe_text("tokenProgram", self.token_program)
            .maybe("feePayer", self.fee_payer_key.map(|_| true))
            .maybe_text("feePayerKey", self.fee_payer_key)
            .maybe_text("minVoucherDelta", self.min_voucher_delta)
            .maybe("ttlSeconds", self.ttl_seconds)
            .splits("distributionSplits", Some(&self.splits).filter(|splits| !splits.is_empty()))
            .maybe(at_idle::OPTIONS, at_idle::write_options(&self.at_idle_options));
        let details = match self.voucher_signer {
            VoucherSigner::Client => details.text("voucherSigner", "client"),
            VoucherSigner::Operator(key) => details.text("voucherSigner", "operator").text("operator", key),
        };
        match &self.channel {
            ChannelOffer::New { recent_blockhash, recent_slot, grace_period, idle_timeout_options } => {
                details
                    .text("recentBlockhash", recent_blockhash)
                    .text("recentSlot", recent_slot)
                    .with("gracePeriodSeconds", *grace_period)
                    .maybe(
                        "idleTimeoutOptionsSeconds",
                        Some(idle_timeout_options.clone()).filter(|options| !options.is_empty()),
                    )
            }
            ChannelOffer::Resume { channel_id, idle_timeout, standing } => details
                .text("channelId", channel_id)
                .with("idleTimeoutSeconds", *idle_timeout)
                .maybe_text("deposit", standing.map(|standing| standing.deposit))
                .maybe_text("settled", standing.map(|standing| standing.settled))
                .maybe_text("acceptedCumulative", standing.map(|standing| standing.accepted)),
        }
        .into_value()
    }

    fn read(details: &Members<'_>) -> Result<Self, RequestError> {
        let network = details.get::<String>("network")?.parse();
        let network =
            network.map_err(|UnknownNetwork(_)| details.invalid("network", "mainnet, devnet or localnet"))?;
        let decimals = details.get("decimals")?;
        if decimals > 9 {
            return Err(details.invalid("decimals", "an integer from 0 to 9").into());
        }
        let token_program = details.find("tokenProgram")?;
        if token_program.is_some_and(|program| program != TOKEN_PROGRAM && program != TOKEN_2022_PROGRAM) {
            return Err(details.invalid("tokenProgram", "SPL Token or Token-2022").into());
        }
        let fee_payer_key = match details.find("feePayer")? {
            Some(true) => Some(details.get("feePayerKey")?),
            Some(false) | None => None,
        };
        let voucher_signer = match details.find::<String>("voucherSigner")?.as_deref() {
            None | Some("client") => VoucherSigner::Client,
            Some("operator") => VoucherSigner::Operator(details.get("operator")?),
            Some(_) => return Err(details.invalid("voucherSigner", "client or operator").into()),
        };
        Ok(Self {
            network,
            channel_program: details.get("channelProgram")?,
            decimals,
            token_program,
            fee_payer_key,
            voucher_signer,
            min_voucher_delta: details.find("minVoucherDelta")?,
            ttl_seconds: details.find("ttlSeconds")?,
            splits: details.find_splits("distributionSplits")?.unwrap_or_default(),
            at_idle_options: at_idle::read_options(details),
            channel: ChannelOffer::read(details)?,
        })
    }
}

impl ChannelOffer {
    fn read(details: &Members<'_>) -> Result<Self, RequestError> {
        match details.find("channelId")? {
            Some(channel_id) => Self::read_resume(details, channel_id),
            None => Self::read_new(details),
        }
    }

    fn read_new(details: &Members<'_>) -> Result<Self, RequestError> {
        if details.has("idleTimeoutSeconds") {
            return Err(RequestError::Misplaced { member: "idleTimeoutSeconds", kind: NEW });
        }
        let grace_period = details.get("gracePeriodSeconds")?;
        if grace_period == 0 {
            return Err(details.invalid("gracePeriodSeconds", "above zero").into());
        }
        Ok(Self::New {
            recent_blockhash: details.get("recentBlockhash")?,
            recent_slot: details.get::<Decimal>("recentSlot")?.0,
            grace_period,
            idle_timeout_options: idle_timeout_options(details)?,
        })
    }

    fn read_resume(details: &Members<'_>, channel_id: ChannelId) -> Result<Self, RequestError> {
        for member in ["recentBlockhash", "recentSlot", "idleTimeoutOptionsSeconds"] {
            if details.has(member) {
                return Err(RequestError::Misplaced { member, kind: RESUME });
            }
        }
        let idle_timeout = details.get("idleTimeoutSeconds")?;
        if !(1..=MAX_IDLE_TIMEOUT).contains(&idle_timeout) {
            return Err(details.invalid("idleTimeoutSeconds", "an integer from 1 to 2592000").into());
        }
        Ok(Self::Resume { channel_id, idle_timeout, standing: at_idle::read_standing(details) })
    }
}

/// The optional idle timeouts: not empty, strictly rising, each from 1 to [`MAX_IDLE_TIMEOUT`].
fn idle_timeout_options(details: &Members<'_>) -> Result<Vec<u32>, JsonError> {
    const MEMBER: &str = "idleTimeoutOptionsSeconds";
    let Some(entries) = details.find_array(MEMBER)? else { return Ok(Vec::new()) };
    let options: Option<Vec<u32>> = entries
        .iter()
        .map(|entry| entry.as_u64().and_then(|seconds| seconds.try_into().ok()))
        .map(|seconds| seconds.filter(|seconds| (1..=MAX_IDLE_TIMEOUT).contains(seconds)))
        .collect();
    options
        .filter(|options| !options.is_empty() && options.is_sorted_by(|earlier, later| earlier < later))
        .ok_or_else(|| details.invalid(MEMBER, "strictly rising integers from 1 to 2592000"))
}

/// The text names no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not mainnet, devnet or localnet")]
pub struct UnknownNetwork(pub String);

impl Network {
    /// The network's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Devnet => "devnet",
            Self::Localnet => "localnet",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Mainnet, Self::Devnet, Self::Localnet]
            .into_iter()
            .find(|network| network.as_str() == text)
            .ok_or_else(|| UnknownNetwork(text.to_owned()))
    }
}

impl serde::Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

serde_through_json!(SessionRequest);
