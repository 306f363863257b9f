//! Why a transaction does not take effect, as far as anybody decides by it.

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use solana_rpc_client_api::response::{TransactionError, UiTransactionError};

/// A cluster's reason why a transaction has, or would have, no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The node does not know the blockhash: too old, or too new for this node.
    BlockhashNotFound,
    /// It is on chain already.
    AlreadyProcessed,
    /// The fee payer cannot pay for it, so nothing ran (SIMD-0290): there is no such account, it holds less
    /// than the fee, or it would be left with less than an account must hold.
    PayerCannotPay(String),
    /// It ran, or would run, and fails.
    Ran {
        /// The instruction that failed, counted from zero, if it was one of them.
        instruction: Option<u8>,
        /// The cluster's words.
        words: String,
    },
}

impl Failure {
    /// Reads a node's `err`. A reason that this build has no name for is one that ran.
    fn of(reason: Value) -> Self {
        let words = reason.to_string();
        let known = serde_json::from_value::<UiTransactionError>(reason);
        known.map_or(Self::Ran { instruction: None, words: words.clone() }, |error| {
            Self::sorted(&error.into(), words)
        })
    }

    fn sorted(error: &TransactionError, words: String) -> Self {
        match error {
            TransactionError::BlockhashNotFound => Self::BlockhashNotFound,
            TransactionError::AlreadyProcessed => Self::AlreadyProcessed,
            // Account 0 is the fee payer; another account's rent is judged after the transaction ran.
            TransactionError::AccountNotFound
            | TransactionError::InsufficientFundsForFee
            | TransactionError::InsufficientFundsForRent { account_index: 0 } => Self::PayerCannotPay(words),
            TransactionError::InstructionError(instruction, _) => {
                Self::Ran { instruction: Some(*instruction), words }
            }
            _ => Self::Ran { instruction: None, words },
        }
    }
}

impl From<TransactionError> for Failure {
    fn from(error: TransactionError) -> Self {
        Self::sorted(&error, format!("{error:?}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockhashNotFound => f.write_str("its blockhash is not known"),
            Self::AlreadyProcessed => f.write_str("it is on chain already"),
            Self::PayerCannotPay(words) => write!(f, "its fee payer cannot pay: {words}"),
            Self::Ran { words, .. } => f.write_str(words),
        }
    }
}

impl<'de> Deserialize<'de> for Failure {
    /// Never fails on a reason that is not known: one odd transaction must not hide the others' fates.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fee_payer_that_cannot_pay_is_told_from_a_program_that_failed() {
        let cannot = [
            json!("AccountNotFound"),
            json!("InsufficientFundsForFee"),
            json!({ "InsufficientFundsForRent": { "account_index": 0 } }),
        ];
        for reason in cannot {
            assert!(matches!(Failure::of(reason.clone()), Failure::PayerCannotPay(_)), "{reason}");
        }
        let ran = [
            (json!({ "InsufficientFundsForRent": { "account_index": 3 } }), None),
            (json!({ "InstructionError": [1, { "Custom": 234 }] }), Some(1)),
            (json!({ "InstructionError": [7, "InsufficientFunds"] }), Some(7)),
            (json!("ANewReason"), None),
            (json!({ "Another": [1] }), None),
        ];
        for (reason, instruction) in ran {
            let words = reason.to_string();
            assert_eq!(Failure::of(reason), Failure::Ran { instruction, words });
        }
    }

    #[test]
    fn a_blockhash_and_a_repeat_have_reasons_of_their_own() {
        assert_eq!(Failure::of(json!("BlockhashNotFound")), Failure::BlockhashNotFound);
        assert_eq!(Failure::of(json!("AlreadyProcessed")), Failure::AlreadyProcessed);
    }
}
