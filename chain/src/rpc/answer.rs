//! What a node answers, as far as it is read.

use serde::Deserialize;
use solana_account::Account;
use solana_rpc_client_api::response::{TransactionConfirmationStatus, UiAccount};

use crate::chain::Fate;
use crate::consensus::Consensus;
use crate::{ChainError, Failure};

/// A transaction's status, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    slot: u64,
    /// Blocks since, and `None` when it is rooted.
    confirmations: Option<u64>,
    confirmation_status: Option<TransactionConfirmationStatus>,
    err: Option<Failure>,
}

impl Status {
    /// What became of the transaction, where blocks are agreed on by `consensus`.
    pub(super) fn fate(self, consensus: Consensus) -> Fate {
        use TransactionConfirmationStatus::{Confirmed, Finalized, Processed};
        let confirmed = match self.confirmation_status {
            Some(Processed) => false,
            Some(Confirmed) => consensus == Consensus::Tower,
            Some(Finalized) => true,
            // Nodes that leave the status out mark rooted transactions with `confirmations: null`.
            None => self.confirmations.is_none(),
        };
        match self.err {
            _ if !confirmed => Fate::Pending,
            None => Fate::Landed { slot: self.slot },
            Some(Failure::PayerCannotPay(reason)) => Fate::DidNotRun { slot: self.slot, reason },
            Some(reason) => Fate::Failed { slot: self.slot, error: reason.to_string() },
        }
    }
}

/// How a simulation went, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Simulated {
    pub(super) err: Option<Failure>,
    pub(super) units_consumed: Option<u64>,
}

/// What a node keeps of a landed transaction, as far as it is read.
#[derive(Deserialize)]
pub(super) struct Indexed {
    pub(super) meta: Option<Meta>,
}

/// A transaction that a node keeps, whole.
#[derive(Deserialize)]
pub(super) struct Kept {
    pub(super) slot: u64,
    /// Its bytes, and their encoding.
    pub(super) transaction: (String, String),
    pub(super) meta: Option<KeptMeta>,
}

#[derive(Deserialize)]
pub(super) struct KeptMeta {
    pub(super) err: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) fee: u64,
    pub(super) compute_units_consumed: Option<u64>,
    #[serde(default)]
    pre_balances: Vec<u64>,
    #[serde(default)]
    post_balances: Vec<u64>,
}

impl Meta {
    /// What left the fee payer, who is the first account of every transaction.
    pub(super) fn paid(&self) -> i64 {
        let signed = |lamports: u64| i64::try_from(lamports).unwrap_or(i64::MAX);
        match (self.pre_balances.first(), self.post_balances.first()) {
            (Some(before), Some(after)) => signed(*before) - signed(*after),
            _ => signed(self.fee),
        }
    }
}

pub(super) fn malformed(what: &'static str, reason: impl Into<String>) -> ChainError {
    ChainError::Malformed { what, reason: reason.into() }
}

/// What an answer says of one account.
pub(crate) fn account(what: &'static str, found: &UiAccount) -> Result<Account, ChainError> {
    found.to_account().ok_or_else(|| malformed(what, "an account's owner or data cannot be decoded"))
}

/// A list that has as many entries as were asked for.
pub(super) fn list<T>(list: Vec<T>, what: &'static str, expected: usize) -> Result<Vec<T>, ChainError> {
    if list.len() != expected {
        return Err(malformed(what, format!("expected a list of {expected}")));
    }
    Ok(list)
}
