//! What a charge asks for: how much, in which token, to whom.

use serde_json::Value;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use thiserror::Error;

use crate::json::{Members, Object, serde_through_json};
use crate::{Amount, JsonError, Network, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, UnknownNetwork};

/// The intent's name in a challenge.
pub const CHARGE_INTENT: &str = "charge";

/// Most splits of a charge.
pub const MAX_CHARGE_SPLITS: usize = 8;

/// Longest memo, and longest `externalId`, in bytes.
pub const MAX_MEMO: usize = 566;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 256;

/// The word for lamports in place of a mint.
const SOL: &str = "sol";

/// What a charge challenge asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRequest {
    /// What the payer pays in all, in base units, above zero.
    pub amount: Amount,
    /// The mint.
    pub currency: Pubkey,
    /// Who gets what the splits leave: the key that owns the token account, not the account.
    pub recipient: Pubkey,
    /// Text for a person.
    pub description: Option<String>,
    /// The seller's own reference, which a memo of the transaction repeats.
    pub external_id: Option<String>,
    /// The Solana part.
    pub method_details: ChargeDetails,
}

/// The Solana part of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeDetails {
    /// The cluster; `mainnet` where the challenge does not say.
    pub network: Network,
    /// Decimals of the mint, 0 to 9.
    pub decimals: u8,
    /// SPL Token or Token-2022; when absent the client looks it up on chain.
    pub token_program: Option<Pubkey>,
    /// The key that pays the fee; none when the client pays it.
    pub fee_payer_key: Option<Pubkey>,
    /// Who else is paid out of the amount, in order.
    pub splits: Vec<ChargeSplit>,
    /// A blockhash to sign with. It may have run out when the challenge has not.
    pub recent_blockhash: Option<Hash>,
}

/// A fixed part of a charge that goes to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeSplit {
    /// The key that owns the token account.
    pub recipient: Pubkey,
    /// How much, in base units, above zero.
    pub amount: Amount,
    /// Text that a memo of the transaction repeats.
    pub memo: Option<String>,
    /// Whether the transaction creates the recipient's token account, if it is not there.
    pub creates_account: bool,
}

/// One transfer that a charge consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The key that owns the token account.
    pub recipient: Pubkey,
    /// How much, in base units.
    pub amount: Amount,
}

/// Why a charge cannot be asked for, or is not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChargeError {
    /// A member is missing or is not what it should be.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Lamports instead of a token.
    #[error("charges in {SOL} are not supported, only in a token")]
    Sol,
    /// A confidential transfer.
    #[error("confidential charges are not supported")]
    Confidential,
    /// A sponsor's key where nobody sponsors.
    #[error("methodDetails.feePayerKey is given, but feePayer is not true")]
    IdleFeePayer,
    /// More splits than a transaction takes.
    #[error("methodDetails.splits has {0} entries, at most {MAX_CHARGE_SPLITS} are allowed")]
    TooManySplits(usize),
    /// The splits leave nothing for the recipient.
    #[error("methodDetails.splits leave nothing of {0} for the recipient")]
    NothingLeft(Amount),
}

impl ChargeRequest {
    /// The request as JSON.
    pub fn to_json(&self) -> Value {
        Object::default()
            .text("amount", self.amount)
            .text("currency", self.currency)
            .text("recipient", self.recipient)
            .maybe_text("description", self.description.as_ref())
            .maybe_text("externalId", self.external_id.as_ref())
            .with("methodDetails", self.method_details.to_json())
            .into_value()
    }

    /// Reads and checks a request. Unknown members are ignored.
    pub fn from_json(value: &Value) -> Result<Self, ChargeError> {
        let request = Members::of(value, "request")?;
        if request.find::<String>("currency")?.as_deref() == Some(SOL) {
            return Err(ChargeError::Sol);
        }
        let read = Self {
            amount: request.get("amount")?,
            currency: request.get("currency")?,
            recipient: request.get("recipient")?,
            description: request.find("description")?,
            external_id: request.find("externalId")?,
            method_details: ChargeDetails::read(&request.object("methodDetails")?)?,
        };
        read.check()?;
        Ok(read)
    }

    /// Whether the values keep the draft's rules. What is read does already; a server asks before it issues.
    pub fn check(&self) -> Result<(), ChargeError> {
        let details = &self.method_details;
        if self.amount.is_zero() {
            return Err(broken("request.amount", "above zero"));
        }
        if self.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
            return Err(broken("request.description", "at most 256 characters"));
        }
        if self.external_id.as_ref().is_some_and(|text| text.len() > MAX_MEMO) {
            return Err(broken("request.externalId", "at most 566 bytes"));
        }
        if details.decimals > 9 {
            return Err(broken("request.methodDetails.decimals", "an integer from 0 to 9"));
        }
        if details
            .token_program
            .is_some_and(|program| program != TOKEN_PROGRAM && program != TOKEN_2022_PROGRAM)
        {
            return Err(broken("request.methodDetails.tokenProgram", "SPL Token or Token-2022"));
        }
        if details.splits.len() > MAX_CHARGE_SPLITS {
            return Err(ChargeError::TooManySplits(details.splits.len()));
        }
        for split in &details.splits {
            if split.amount.is_zero() {
                return Err(broken("request.methodDetails.splits.amount", "above zero"));
            }
            if split.memo.as_ref().is_some_and(|text| text.len() > MAX_MEMO) {
                return Err(broken("request.methodDetails.splits.memo", "at most 566 bytes"));
            }
        }
        self.remainder().map(|_| ())
    }

    /// What the splits leave for the recipient, above zero.
    fn remainder(&self) -> Result<Amount, ChargeError> {
        let mut splits = self.method_details.splits.iter();
        splits
            .try_fold(self.amount, |left, split| left.checked_sub(split.amount))
            .filter(|left| !left.is_zero())
            .ok_or(ChargeError::NothingLeft(self.amount))
    }

    /// The transfers that pay it: the recipient's first, then those of the splits, in order. Equal ones stay apart.
    pub fn legs(&self) -> Result<Vec<Leg>, ChargeError> {
        let primary = Leg { recipient: self.recipient, amount: self.remainder()? };
        let splits = self.method_details.splits.iter();
        let splits = splits.map(|split| Leg { recipient: split.recipient, amount: split.amount });
        Ok(std::iter::once(primary).chain(splits).collect())
    }

    /// The memos that its transaction carries, once each: `externalId`, then those of the splits, in order.
    pub fn memos(&self) -> Vec<&str> {
        let splits = self.method_details.splits.iter().filter_map(|split| split.memo.as_deref());
        self.external_id.as_deref().into_iter().chain(splits).filter(|memo| !memo.is_empty()).collect()
    }
}

impl ChargeDetails {
    /// The Solana part as JSON.
    pub fn to_json(&self) -> Value {
        let splits: Vec<Value> = self.splits.iter().map(ChargeSplit::to_json).collect();
        Object::default()
            .text("network", self.network)
            .with("decimals", self.decimals)
            .maybe_text("tokenProgram", self.token_program)
            .maybe("feePayer", self.fee_payer_key.map(|_| true))
            .maybe_text("feePayerKey", self.fee_payer_key)
            .maybe("splits", Some(splits).filter(|splits| !splits.is_empty()))
            .maybe_text("recentBlockhash", self.recent_blockhash)
            .into_value()
    }

    fn read(details: &Members<'_>) -> Result<Self, ChargeError> {
        if details.find("confidential")?.unwrap_or(false) {
            return Err(ChargeError::Confidential);
        }
        let network = match details.find::<String>("network")? {
            None => Network::Mainnet,
            Some(name) => name
                .parse()
                .map_err(|UnknownNetwork(_)| details.invalid("network", "mainnet, devnet or localnet"))?,
        };
        let fee_payer_key = match (details.find("feePayer")?.unwrap_or(false), details.find("feePayerKey")?) {
            (true, Some(key)) => Some(key),
            (true, None) => return Err(details.missing("feePayerKey").into()),
            (false, None) => None,
            (false, Some(_)) => return Err(ChargeError::IdleFeePayer),
        };
        let splits = details.find_array("splits")?.into_iter().flatten().enumerate();
        let splits = splits.map(|(index, split)| {
            ChargeSplit::read(&Members::of(split, &format!("request.methodDetails.splits[{index}]"))?)
        });
        Ok(Self {
            network,
            decimals: details.get("decimals")?,
            token_program: details.find("tokenProgram")?,
            fee_payer_key,
            splits: splits.collect::<Result<_, JsonError>>()?,
            recent_blockhash: details.find("recentBlockhash")?,
        })
    }
}

impl ChargeSplit {
    fn to_json(&self) -> Value {
        Object::default()
            .text("recipient", self.recipient)
            .text("amount", self.amount)
            .maybe_text("memo", self.memo.as_ref())
            .maybe("ataCreationRequired", self.creates_account.then_some(true))
            .into_value()
    }

    fn read(split: &Members<'_>) -> Result<Self, JsonError> {
        Ok(Self {
            recipient: split.get("recipient")?,
            amount: split.get("amount")?,
            memo: split.find("memo")?,
            creates_account: split.find("ataCreationRequired")?.unwrap_or(false),
        })
    }
}

fn broken(member: &str, expected: &'static str) -> ChargeError {
    JsonError::Invalid { member: member.to_owned(), expected }.into()
}

serde_through_json!(ChargeRequest);
