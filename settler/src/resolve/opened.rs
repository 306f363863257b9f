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
    let differs = match account {
        None => Some("is not there"),
        Some(account) => difference(record, account),
    };
    match (account, differs) {
        (Some(account), None) => {
            ledger.open_landed(&record.id, account, slot).await?;
            info!(channel = %record.id, "open");
        }
        (_, differs) => {
            let reason = format!("the channel on chain {}", differs.unwrap_or("is not there"));
            error!(channel = %record.id, reason, "open landed but is not what was agreed");
            ledger.open_failed(&record.id, &reason).await?;
        }
    }
    Ok(())
}

/// What differs between an opened channel and what was agreed (draft, "Open" step 14); `None` when nothing
/// does. The closing state is not compared: a channel that its payer closes at once is one of ours too.
fn difference(record: &ChannelRecord, account: &ChannelAccount) -> Option<&'static str> {
    let checks = [
        (account.payer == record.terms.payer, "has another payer"),
        (account.payee == record.terms.payee, "has another payee"),
        (account.mint == record.terms.mint, "has another mint"),
        (account.authorized_signer == record.terms.authorized_signer, "has another authorized signer"),
        (account.salt == record.terms.salt, "has another salt"),
        (account.open_slot == record.terms.open_slot, "has another open slot"),
        (account.bump == record.bump, "has another bump"),
        (account.deposit >= record.watermarks.deposit, "has a smaller deposit"),
        (account.grace_period == record.grace_period && account.grace_period > 0, "has another grace period"),
        (account.distribution_hash == record.splits.hash(), "has other splits"),
        (account.rent_payer == record.rent_payer, "has another rent payer"),
    ];
    checks.into_iter().find(|(same, _)| !same).map(|(_, reason)| reason)
}
