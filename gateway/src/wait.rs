//! Waiting for the settler, through the ledger.

use std::time::Duration;

use tokio::time::Instant;
use toll_ledger::{Ledger, LedgerError};

/// How often the ledger is looked at anyway: a settler in another process wakes nobody here.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Least time between two looks: with many waiting, every commit would have all of them read.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Calls `look` after every change of the ledger until it finds something, or returns `None` after `patience`.
pub(crate) async fn until<T, Found>(
    ledger: &Ledger,
    patience: Duration,
    mut look: impl FnMut() -> Found,
) -> Result<Option<T>, LedgerError>
where
    Found: Future<Output = Result<Option<T>, LedgerError>>,
{
    let deadline = Instant::now() + patience;
    // Subscribed before the first look, so that no change falls between.
    let mut changes = ledger.changes();
    loop {
        if let Some(found) = look().await? {
            return Ok(Some(found));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        tokio::time::sleep(left.min(BETWEEN_LOOKS)).await;
        changes.changed(left.min(POLL_INTERVAL)).await;
    }
}
