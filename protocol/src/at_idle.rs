//! What becomes of the rest of a deposit when a channel has been idle: an extension of the draft's session intent.
//!
//! A server that can leave a deposit in escrow says so in its challenges, `methodDetails.depositAtIdleOptions`, and a
//! payer that wants it answers in its `open` or `topUp`, `depositAtIdle`. Whoever does not know these members ignores
//! them, and gets what the draft has: the channel ends, and the rest is refunded.

use std::str::FromStr;

use serde_json::Value;

use crate::Amount;
use crate::json::{Member, Members};

/// What becomes of the rest of a deposit when its channel has been idle for its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DepositAtIdle {
    /// It goes back to the payer.
    Refund,
    /// It stays in escrow: the payee pays itself what it has earned, and the payer's next session needs no
    /// transaction. The payer can leave at any time, as ever.
    Keep,
}

impl DepositAtIdle {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::Keep => "keep",
        }
    }
}

impl FromStr for DepositAtIdle {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Refund, Self::Keep].into_iter().find(|one| one.as_str() == word).ok_or(())
    }
}

impl Member for DepositAtIdle {
    const EXPECTED: &'static str = "refund or keep";

    fn read(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

/// Where a channel stands, as its server says in a challenge that resumes it. For the payer to compare with what it
/// signed and with the chain, not to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Tokens escrowed since the open, in base units.
    pub deposit: Amount,
    /// What the payee has of them for good, in base units.
    pub settled: Amount,
    /// The highest cumulative amount that was accepted, in base units.
    pub accepted: Amount,
}

/// The options of a challenge. What another server means by words of its own is not ours to know.
pub(crate) fn read_options(details: &Members<'_>) -> Vec<DepositAtIdle> {
    let entries = details.find_array(OPTIONS).ok().flatten();
    entries.into_iter().flatten().filter_map(DepositAtIdle::read).collect()
}

/// The options as they are written, if there are any.
pub(crate) fn write_options(options: &[DepositAtIdle]) -> Option<Vec<&'static str>> {
    (!options.is_empty()).then(|| options.iter().map(|option| option.as_str()).collect())
}

/// The channel's figures, if all of them are there.
pub(crate) fn read_standing(details: &Members<'_>) -> Option<Standing> {
    let amount = |member| details.find(member).ok().flatten();
    Some(Standing {
        deposit: amount("deposit")?,
        settled: amount("settled")?,
        accepted: amount("acceptedCumulative")?,
    })
}

/// Member of a challenge's `methodDetails`.
pub(crate) const OPTIONS: &str = "depositAtIdleOptions";

/// Member of the payload of an `open` or `topUp`.
pub(crate) const CHOICE: &str = "depositAtIdle";
