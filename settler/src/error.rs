//! Why the settler stops or starts over.

use solana_pubkey::Pubkey;
use thiserror::Error;
use toll_chain::ChainError;
use toll_ledger::LedgerError;
use tracing::warn;

use crate::PurseError;

/// Anything that keeps the settler from going on.
///
/// Errors met while running are logged and tried again; the ones about the set-up are returned by
/// [`Settler::start`](crate::Settler::start) and say what to do.
#[derive(Debug, Error)]
pub enum SettlerError {
    /// The cluster did not answer, or not well.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The ledger refused or failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A setting of the purse cannot work.
    #[error(transparent)]
    Purse(#[from] PurseError),
    /// Another settler works on the same ledger.
    #[error("another settler holds this ledger; stop it, or give this one a ledger of its own")]
    AlreadyRunning,
    /// The channel program is not on the cluster.
    #[error("no program at {program}: {found}; deploy the channel program there or correct `program`")]
    NoProgram {
        /// The configured address.
        program: Pubkey,
        /// What is there instead.
        found: &'static str,
    },
    /// Transactions of version 1 are not taken yet.
    #[error("settler.transaction_version: the cluster does not take version 1 yet; set it to \"v0\"")]
    TransactionVersion,
    /// A listed mint is not a mint of its token program.
    #[error("{mint} is not a mint of token program {token_program}; correct the mint list")]
    NoMint {
        /// The listed mint.
        mint: Pubkey,
        /// Its configured token program.
        token_program: Pubkey,
    },
    /// The treasury cannot receive a listed mint, so no channel of that mint could ever pay out.
    #[error(
        "the treasury's token account {account} for mint {mint} does not exist; create it (owner {owner}) or set `create_treasury_accounts`"
    )]
    NoTreasuryAccount {
        /// The listed mint.
        mint: Pubkey,
        /// The missing token account.
        account: Pubkey,
        /// The treasury's owner.
        owner: Pubkey,
    },
    /// Our payee cannot receive a listed mint. Other payees' accounts are their own affair.
    #[error(
        "the payee's token account {account} for mint {mint} is {problem}; create or mend it (owner {owner}), or set `create_payee_accounts`"
    )]
    PayeeAccount {
        /// The listed mint.
        mint: Pubkey,
        /// The token account.
        account: Pubkey,
        /// The payee.
        owner: Pubkey,
        /// What it is.
        problem: &'static str,
    },
    /// The start-up transaction that creates the treasury's token accounts did not land.
    #[error("could not create the treasury's token accounts: {reason}")]
    Treasury {
        /// The cluster's reason.
        reason: String,
    },
    /// A transaction does not fit a packet however it is cut.
    #[error("{kind} of {size} bytes does not fit a transaction of 1232 bytes")]
    TooLarge {
        /// What it was to do.
        kind: &'static str,
        /// Its size in bytes.
        size: usize,
    },
    /// A transaction could not be put together.
    #[error("{what} cannot be built: {reason}")]
    Build {
        /// What it was to do.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl SettlerError {
    /// Whether a later attempt may not meet this error again, or it concerns one channel only. A ledger that
    /// fails altogether ends the settler.
    pub(crate) fn is_survivable(&self) -> bool {
        !matches!(self, Self::Ledger(error) if !error.is_survivable())
    }
}

/// Logs an error that the settler survives; returns one that it does not.
pub(crate) fn survive<T>(
    what: &'static str,
    outcome: Result<T, SettlerError>,
) -> Result<Option<T>, SettlerError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_survivable() => {
            warn!(%error, "{what}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
