//! Waits for finalized blocks to show what confirmed ones did.

use futures::future::try_join_all;
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
    // Together, since what is written at the same time is synced once.
    let compared = awaiting.iter().zip(&found.accounts).map(|(record, account)| async move {
        let account = channel_account(record, account.as_ref());
        match ledger.observe_finalized(&record.id, account.as_ref(), found.slot).await {
            Ok(Finality::TakenBack { before, after }) => {
                warn!(channel = %record.id, %before, %after, "a confirmed block was taken back");
                return Ok(true);
            }
            Ok(Finality::Final) => debug!(channel = %record.id, "final"),
            Ok(Finality::TooEarly) => {}
            Err(error) if error.is_survivable() => error!(channel = %record.id, %error, "not observed"),
            Err(error) => return Err(SettlerError::from(error)),
        }
        Ok(false)
    });
    let taken_back = try_join_all(compared).await?;
    Ok(taken_back.into_iter().filter(|taken_back| *taken_back).count())
}
