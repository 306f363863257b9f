//! The five payloads.

use std::fmt;

use serde_json::{Map, Value};
use solana_pubkey::Pubkey;

use super::{Authentication, CredentialError};
use crate::at_idle::{self, DepositAtIdle};
use crate::json::{Base64, Decimal, Members, Object};
use crate::{Amount, ChannelId, SignedVoucher, Splits, base64_encode, canonical_json};

/// Largest `authorizationPolicy`, in bytes of canonical JSON.
const MAX_POLICY: usize = 1_024;

/// What a client wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a channel with the deposit in a transaction.
    Open(Box<OpenAction>),
    /// Pay for a request with a higher voucher.
    Voucher(VoucherAction),
    /// Use an operator-signed session, proven by bearer.
    Use(UseAction),
    /// Raise the deposit.
    TopUp(TopUpAction),
    /// Settle, pay out and refund.
    Close(CloseAction),
}

/// Opens a channel. The transaction is the request; everything else is only a claim about it.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenAction {
    /// The address the transaction's terms derive.
    pub channel_id: ChannelId,
    /// Who deposits.
    pub payer: Pubkey,
    /// Who earns.
    pub payee: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// The voucher key.
    pub authorized_signer: Pubkey,
    /// Tells apart channels of the same parties.
    pub salt: u64,
    /// The deposit.
    pub deposit: Amount,
    /// Grace period in seconds, above zero.
    pub grace_period: u32,
    /// The idle timeout chosen from those offered, in seconds.
    pub idle_timeout: Option<u32>,
    /// The incarnation's epoch.
    pub open_slot: u64,
    /// The splits, if stated.
    pub splits: Option<Splits>,
    /// A policy for the voucher key; grants nothing.
    pub authorization_policy: Option<Map<String, Value>>,
    /// The bearer proof to bind: required in operator mode, forbidden in client mode.
    pub authentication: Option<Authentication>,
    /// What becomes of the deposit when the channel is idle, when the challenge gives a choice.
    pub at_idle: Option<DepositAtIdle>,
    /// The signed or, when sponsored, payer-signed transaction.
    pub transaction: Vec<u8>,
}

/// Pays with a higher voucher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoucherAction {
    /// The channel; the voucher must name the same.
    pub channel_id: ChannelId,
    /// The voucher.
    pub voucher: SignedVoucher,
}

/// Uses an operator-signed session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseAction {
    /// The channel.
    pub channel_id: ChannelId,
    /// The proof bound at `open`.
    pub authentication: Authentication,
}

/// Raises the deposit.
#[derive(Clone, PartialEq, Eq)]
pub struct TopUpAction {
    /// The channel.
    pub channel_id: ChannelId,
    /// By how much.
    pub additional: Amount,
    /// What becomes of the deposit when the channel is idle, from now on; absent: as before.
    pub at_idle: Option<DepositAtIdle>,
    /// The signed or, when sponsored, payer-signed transaction.
    pub transaction: Vec<u8>,
}

/// Closes a channel cooperatively.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseAction {
    /// The channel.
    pub channel_id: ChannelId,
    /// What entitles the client to close it.
    pub authority: CloseAuthority,
}

/// What entitles a client to close its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseAuthority {
    /// A final voucher: client-signed sessions.
    Voucher(SignedVoucher),
    /// The proof bound at `open`: operator-signed sessions.
    Authentication(Authentication),
}

impl Action {
    /// The value of `payload.action`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Voucher(_) => "voucher",
            Self::Use(_) => "use",
            Self::TopUp(_) => "topUp",
            Self::Close(_) => "close",
        }
    }

    /// The channel the action is about.
    pub fn channel_id(&self) -> ChannelId {
        match self {
            Self::Open(open) => open.channel_id,
            Self::Voucher(voucher) => voucher.channel_id,
            Self::Use(usage) => usage.channel_id,
            Self::TopUp(top_up) => top_up.channel_id,
            Self::Close(close) => close.channel_id,
        }
    }

    /// The payload as JSON.
    pub fn to_json(&self) -> Value {
        let payload = Object::default().text("action", self.name()).text("channelId", self.channel_id());
        match self {
            Self::Open(open) => open.write(payload),
            Self::Voucher(voucher) => payload.with("voucher", voucher.voucher.to_json()),
            Self::Use(usage) => payload.with("authentication", usage.authentication.to_json()),
            Self::TopUp(top_up) => payload
                .text("additionalAmount", top_up.additional)
                .maybe_text(at_idle::CHOICE, top_up.at_idle.map(DepositAtIdle::as_str))
                .text("transaction", base64_encode(&top_up.transaction)),
            Self::Close(close) => match &close.authority {
                CloseAuthority::Voucher(voucher) => payload.with("voucher", voucher.to_json()),
                CloseAuthority::Authentication(proof) => payload.with("authentication", proof.to_json()),
            },
        }
        .into_value()
    }

    pub(super) fn read(payload: &Members<'_>) -> Result<Self, CredentialError> {
        if !payload.has("action") && payload.has("type") {
            return Err(CredentialError::ChargePayload);
        }
        let action: String = payload.get("action")?;
        let read = match action.as_str() {
            "open" => OpenAction::read(payload).map(|open| Self::Open(Box::new(open))),
            "voucher" => VoucherAction::read(payload).map(Self::Voucher),
            "use" => UseAction::read(payload).map(Self::Use),
            "topUp" => TopUpAction::read(payload).map(Self::TopUp),
            "close" => CloseAction::read(payload).map(Self::Close),
            _ => Err(CredentialError::UnknownAction(action.chars().take(32).collect())),
        };
        read.map_err(|error| superseded(&action, payload).unwrap_or(error))
    }
}

/// The member that shows a payload to be of the wire that was used before the draft.
///
/// Asked only about payloads that already failed: an extra member alone is no fault.
fn superseded(action: &str, payload: &Members<'_>) -> Option<CredentialError> {
    let replaced: &[(&'static str, &'static str)] = match action {
        "commit" => &[("deliveryId", "a voucher action on the resource itself")],
        "open" if !payload.has("openSlot") => {
            &[("mode", "openSlot"), ("deposit", "depositAmount"), ("gracePeriod", "gracePeriodSeconds")]
        }
        "topUp" => &[("newDeposit", "additionalAmount")],
        _ => &[],
    };
    let replaced = replaced.iter().find(|(found, _)| payload.has(found)).copied();
    let unwrapped = payload.find_object("voucher").ok().flatten().filter(|voucher| voucher.has("data"));
    replaced
        .or(unwrapped.map(|_| ("voucher.data", "payload.voucher.voucher")))
        .map(|(found, expected)| CredentialError::Superseded { found, expected })
}

impl OpenAction {
    fn write(&self, payload: Object) -> Object {
        payload
            .text("payer", self.payer)
            .text("payee", self.payee)
            .text("mint", self.mint)
            .text("authorizedSigner", self.authorized_signer)
            .text("salt", self.salt)
            .text("depositAmount", self.deposit)
            .with("gracePeriodSeconds", self.grace_period)
            .maybe("idleTimeoutSeconds", self.idle_timeout)
            .text("openSlot", self.open_slot)
            .splits("distributionSplits", self.splits.as_ref())
            .maybe("authorizationPolicy", self.authorization_policy.clone())
            .maybe("authentication", self.authentication.as_ref().map(Authentication::to_json))
            .maybe_text(at_idle::CHOICE, self.at_idle.map(DepositAtIdle::as_str))
            .text("transaction", base64_encode(&self.transaction))
    }

    /// Whether the policy, where it names a voucher key, names the one that was declared.
    pub fn policy_agrees(&self) -> bool {
        let Some(policy) = &self.authorization_policy else { return true };
        let declared = self.authorized_signer.to_string();
        let mut named = ["authorizedSigner", "signer"].into_iter().filter_map(|name| policy.get(name));
        named.all(|key| key.as_str() == Some(&declared))
    }

    fn read(payload: &Members<'_>) -> Result<Self, CredentialError> {
        // A client's bump can hide behind a right address, so its mere presence is refused.
        for member in ["bump", "voucher"] {
            if payload.has(member) {
                return Err(CredentialError::Forbidden { member, action: "open" });
            }
        }
        let grace_period = payload.get("gracePeriodSeconds")?;
        if grace_period == 0 {
            return Err(payload.invalid("gracePeriodSeconds", "above zero").into());
        }
        let authorization_policy: Option<Map<String, Value>> = payload.find("authorizationPolicy")?;
        if authorization_policy.as_ref().is_some_and(|policy| json_size(policy) > MAX_POLICY) {
            return Err(payload.invalid("authorizationPolicy", "an object of at most 1024 bytes").into());
        }
        let authentication = payload.find_object("authentication")?;
        Ok(Self {
            channel_id: payload.get("channelId")?,
            payer: payload.get("payer")?,
            payee: payload.get("payee")?,
            mint: payload.get("mint")?,
            authorized_signer: payload.get("authorizedSigner")?,
            salt: payload.get::<Decimal>("salt")?.0,
            deposit: payload.get("depositAmount")?,
            grace_period,
            idle_timeout: payload.find("idleTimeoutSeconds")?,
            open_slot: payload.get::<Decimal>("openSlot")?.0,
            splits: payload.find_splits("distributionSplits")?,
            authorization_policy,
            authentication: authentication.map(|proof| Authentication::read(&proof)).transpose()?,
            at_idle: payload.find(at_idle::CHOICE)?,
            transaction: payload.get::<Base64>("transaction")?.0,
        })
    }
}

impl VoucherAction {
    fn read(payload: &Members<'_>) -> Result<Self, CredentialError> {
        Ok(Self {
            channel_id: payload.get("channelId")?,
            voucher: SignedVoucher::read(&payload.object("voucher")?)?,
        })
    }
}

impl UseAction {
    fn read(payload: &Members<'_>) -> Result<Self, CredentialError> {
        Ok(Self {
            channel_id: payload.get("channelId")?,
            authentication: Authentication::read(&payload.object("authentication")?)?,
        })
    }
}

impl TopUpAction {
    fn read(payload: &Members<'_>) -> Result<Self, CredentialError> {
        Ok(Self {
            channel_id: payload.get("channelId")?,
            additional: payload.get("additionalAmount")?,
            at_idle: payload.find(at_idle::CHOICE)?,
            transaction: payload.get::<Base64>("transaction")?.0,
        })
    }
}

impl CloseAction {
    fn read(payload: &Members<'_>) -> Result<Self, CredentialError> {
        let channel_id = payload.get("channelId")?;
        let authority = match (payload.find_object("voucher")?, payload.find_object("authentication")?) {
            (Some(voucher), None) => CloseAuthority::Voucher(SignedVoucher::read(&voucher)?),
            (None, Some(proof)) => CloseAuthority::Authentication(Authentication::read(&proof)?),
            (Some(_), Some(_)) | (None, None) => return Err(CredentialError::CloseAuthority),
        };
        Ok(Self { channel_id, authority })
    }
}

fn json_size(object: &Map<String, Value>) -> usize {
    canonical_json(object).map_or(usize::MAX, |bytes| bytes.len())
}

impl fmt::Debug for OpenAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAction")
            .field("channel_id", &self.channel_id)
            .field("payer", &self.payer)
            .field("payee", &self.payee)
            .field("mint", &self.mint)
            .field("authorized_signer", &self.authorized_signer)
            .field("salt", &self.salt)
            .field("deposit", &self.deposit)
            .field("grace_period", &self.grace_period)
            .field("idle_timeout", &self.idle_timeout)
            .field("open_slot", &self.open_slot)
            .field("splits", &self.splits)
            .field("authentication", &self.authentication)
            .field("transaction_bytes", &self.transaction.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TopUpAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopUpAction")
            .field("channel_id", &self.channel_id)
            .field("additional", &self.additional)
            .field("transaction_bytes", &self.transaction.len())
            .finish()
    }
}
