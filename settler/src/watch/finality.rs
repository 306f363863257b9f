//! Waits for finalized blocks to show what confirmed ones did.

use toll_chain::Chain;
use toll_ledger::{Finality, Ledger};
use tracing::{debug, error, warn};

use super::view::{MOST, channel_account};
use crate::SettlerError;

/// Compares the channels that opened or ended lately with finalized blocks, up to [`MOST`] of them. One that is not
/// what it seemed goes back to where the chain has it. Returns how many did.
pub(crate) async fn compare(ledger: &Ledger, chain: &dyn Chain) -> Result<usize, SettlerError> {
    let awaiting = ledger.awaiting_finality(MOST).await?;
    if awaiting.is_empty() {
        return Ok(0);
    }
    let addresses: Vec<_> = awaiting.iter().map(|record| record.id.pubkey()).collect();
    let found = chain.finalized_accounts(&addresses).await?;
    let mut taken_back = 0;
    for (record, account) in awaiting.iter().zip(&found.accounts) {
        let account = channel_account(record, account.as_ref());
        match ledger.observe_finalized(&record.id, account.as_ref(), found.slot).await {
            Ok(Finality::TakenBack { before, after }) => {
                taken_back += 1;
                warn!(channel = %record.id, %before, %after, "a confirmed block was taken back");
            }
            Ok(Finality::Final) => debug!(channel = %record.id, "final"),
            Ok(Finality::TooEarly) => {}
            Err(error) if error.is_survivable() => error!(channel = %record.id, %error, "not observed"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(taken_back)
}
