//! Whether payers have the tokens that their transactions escrow: asked for many at once, before anything is spent
//! on them.

use std::collections::HashMap;

use solana_account::Account;
use solana_pubkey::Pubkey;
use toll_chain::Chain;
use toll_ledger::{ChannelRecord, Submission, SubmissionKind};
use toll_protocol::{Amount, associated_token_address};

use crate::SettlerError;

/// Tokens that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfunded {
    /// What the transaction escrows.
    pub needed: Amount,
    /// What is left for it, in base units.
    pub found: u64,
}

/// For each request what its payer lacks, or `None`. Requests of one payer draw on the same account, in order.
pub(super) async fn unfunded(
    chain: &dyn Chain,
    requests: &[(Submission, ChannelRecord)],
) -> Result<Vec<Option<Unfunded>>, SettlerError> {
    let mut accounts: Vec<_> = requests.iter().map(|(_, record)| account_of(record)).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let found = chain.accounts(&accounts).await?.accounts;
    let mut left: HashMap<_, _> = accounts.into_iter().zip(found.iter().map(tokens)).collect();
    let lacks = requests.iter().map(|(request, record)| {
        let needed = match request.kind {
            SubmissionKind::Open => record.watermarks.deposit,
            _ => request.amount.unwrap_or(Amount::ZERO),
        };
        let left = left.entry(account_of(record)).or_default();
        match left.checked_sub(needed.get()) {
            Some(rest) => {
                *left = rest;
                None
            }
            None => Some(Unfunded { needed, found: *left }),
        }
    });
    Ok(lacks.collect())
}

fn account_of(record: &ChannelRecord) -> Pubkey {
    associated_token_address(
        &record.agreement.terms.payer,
        &record.agreement.terms.mint,
        &record.agreement.token_program,
    )
}

/// Base units in a token account; none where there is no such account.
fn tokens(account: &Option<Account>) -> u64 {
    let amount = account.as_ref().and_then(|account| account.data.get(64..72));
    amount.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
