//! Forgetting channels that are over.

use rand::seq::IteratorRandom;
use toll_protocol::ChannelStatus;

use crate::channel::{ChannelStage, SavedChannel};
use crate::clock::unix_now;
use crate::conversation::Conversation;

/// Seconds for which a closed channel is remembered after its last use, for whoever wants to see what it cost.
const KEPT: i64 = 7 * 86_400;

/// Most closed channels that are looked up in one go.
const LOOKS: usize = 4;

impl Conversation<'_> {
    /// Forgets some closed channels that have nothing of the payer's any more, if the chain may be asked: their
    /// accounts are gone, or paid out with a rent that is somebody else's.
    ///
    /// That tidies the state file and no more, so whatever goes wrong waits for the next time.
    pub(crate) async fn retire(&self) {
        let (Some(cluster), now) = (&self.payer.cluster, unix_now()) else { return };
        let over = self.book.channels().into_iter().filter(|channel| {
            channel.stage == ChannelStage::Closed
                && channel.payer == self.payer.address()
                && channel.network == self.payer.policy.network
                && now.saturating_sub(last_used(channel)) > KEPT
        });
        // Not always the same ones: some may never get that far.
        for channel in over.choose_multiple(&mut rand::rngs::OsRng, LOOKS) {
            let is_empty = match cluster.channel(&channel.channel_id, &channel.program).await {
                Ok(None) => true,
                Ok(Some(account)) => {
                    account.status == ChannelStatus::Distributed && account.rent_payer != channel.payer
                }
                Err(error) => {
                    tracing::debug!(channel = %channel.channel_id, %error, "a closed channel is kept");
                    false
                }
            };
            if is_empty && let Err(error) = self.book.remove(&channel.channel_id) {
                tracing::warn!(%error, "channel state");
            }
        }
    }
}

fn last_used(channel: &SavedChannel) -> i64 {
    let receipt = channel.last_receipt.as_ref().map_or(0, |receipt| receipt.timestamp);
    let signed = channel.unanswered.iter().map(|voucher| voucher.signed_at).max().unwrap_or(0);
    channel.opened_at.max(receipt).max(signed)
}
