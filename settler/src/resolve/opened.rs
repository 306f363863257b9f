//! Puts a landed open's channel into service, or gives it up.

use toll_ledger::{ChannelRecord, Ledger};
use toll_protocol::ChannelAccount;
use tracing::{error, info};

use crate::SettlerError;

/// Compares a channel that an open made with what was agreed, and puts it into service.
pub(crate) async fn opened(
    ledger: &Ledger,
    record: &ChannelRecord,
    account: Option<&ChannelAccount>,
    slot: u64,
) -> Result<(), SettlerError> {
    let agreed = &record.agreement;
    let differs = match account {
        None => Some("is not there".to_owned()),
        Some(account) => {
            agreed.difference(account, record.watermarks.deposit).map(|difference| difference.to_string())
        }
    };
    match (account, differs) {
        (Some(account), None) => {
            ledger.open_landed(&record.id, account, slot).await?;
            info!(channel = %record.id, "open");
        }
        (_, differs) => {
            let reason = format!("the channel on chain {}", differs.unwrap_or_default());
            error!(channel = %record.id, reason, "open landed but is not what was agreed");
            ledger.open_failed(&record.id, &reason).await?;
        }
    }
    Ok(())
}
