//! Requests that may be paid for although no answer came, on channels that buy nothing more.
//!
//! A server may take a voucher, say that the channel is closed, and redeem the voucher all the same. So a request for
//! which a voucher went out is paid from another channel only once the chain shows that voucher void: the old channel
//! is sealed or paid out below it. As long as the payee has it, or may get it, the request counts as paid.

use std::time::{Duration, Instant};

use toll_protocol::{Amount, ChannelAccount, ChannelStatus};

use crate::channel::{ChannelStage, SavedChannel};
use crate::clock::unix_now;
use crate::conversation::Conversation;
use crate::error::PayError;
use crate::purchase::Purchase;

/// Seconds without use after which the chain is asked whether a channel still is open, before it is given another
/// voucher: an idle channel was closed and paid out by its server, and afterwards the chain no longer shows what for.
const LATELY: i64 = 60;

/// How long to wait before the chain is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// What became of a voucher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The payee has redeemed it, or a higher one.
    Redeemed(Amount),
    /// What the payee redeemed is below it, for good.
    Void,
    /// The payee may have redeemed it, or may yet.
    Unknown,
}

impl Fate {
    /// The fate of a voucher for `cumulative`, by its channel's account. An account that is gone was paid out, and
    /// does not say what for; one that is not there yet may still come.
    fn of(cumulative: Amount, account: Option<&ChannelAccount>) -> Self {
        match account {
            Some(account) if account.settled >= cumulative => Self::Redeemed(account.settled),
            Some(account) if !is_undecided(account) => Self::Void,
            _ => Self::Unknown,
        }
    }
}

/// Whether more may be settled on the channel.
fn is_undecided(account: &ChannelAccount) -> bool {
    matches!(account.status, ChannelStatus::Open | ChannelStatus::Closing)
}

impl Conversation<'_> {
    /// Refuses a request for which a voucher went out on a channel that was closed since, unless that voucher is void.
    ///
    /// A server says that a channel is closed a moment before the chain does: `patience` is how long to wait for that.
    pub(crate) async fn check_unpaid(
        &self,
        purchase: &Purchase<'_>,
        patience: Duration,
    ) -> Result<(), PayError> {
        let (origin, now) = (purchase.request.origin(), unix_now());
        let ended = self.book.channels().into_iter().filter(|channel| {
            !matches!(channel.stage, ChannelStage::Opening | ChannelStage::Open)
                && (&channel.origin, channel.payer) == (&origin, self.payer.address())
                && channel.network == self.payer.policy.network
        });
        for mut channel in ended {
            let doubtful = channel.unanswered(&purchase.fingerprint).filter(|voucher| voucher.is_kept(now));
            let Some(cumulative) = doubtful.map(|voucher| voucher.cumulative) else { continue };
            let id = channel.channel_id;
            match self.fate(&channel, cumulative, patience).await {
                Fate::Void => {
                    channel.forget(&purchase.fingerprint);
                    self.book.put(channel)?;
                }
                Fate::Redeemed(settled) => return Err(PayError::Redeemed { channel: id, settled }),
                Fate::Unknown => return Err(PayError::MaybeRedeemed { channel: id, cumulative }),
            }
        }
        Ok(())
    }

    /// The channel, unless it was idle for a while and the chain shows that it is not open any more.
    ///
    /// So no voucher is given to a channel that its server closed in the meantime, and nothing is in doubt. Where the
    /// chain cannot be asked, the server is.
    pub(crate) async fn check_open(
        &self,
        purchase: &Purchase<'_>,
        mut channel: SavedChannel,
    ) -> Result<Option<SavedChannel>, PayError> {
        let Some(cluster) = &self.payer.cluster else { return Ok(Some(channel)) };
        let used_at = channel.last_receipt.as_ref().map_or(0, |receipt| receipt.timestamp);
        let lately = unix_now() - used_at.max(channel.opened_at) < LATELY;
        // A voucher that went out is presented again: that promises nothing new, and may bring the answer.
        if lately || channel.unanswered(&purchase.fingerprint).is_some() {
            return Ok(Some(channel));
        }
        let stage = match cluster.channel(&channel.channel_id, &channel.program).await {
            Ok(Some(account)) => match account.status {
                ChannelStatus::Open => {
                    channel.take_amounts(&account);
                    return Ok(Some(channel));
                }
                ChannelStatus::Closing => ChannelStage::Closing,
                ChannelStatus::Sealed | ChannelStatus::Distributed => ChannelStage::Closed,
            },
            Ok(None) => ChannelStage::Closed,
            Err(error) => {
                tracing::warn!(%error, "the server's word is all there is for the channel");
                return Ok(Some(channel));
            }
        };
        channel.end(stage);
        self.book.put(channel)?;
        Ok(None)
    }

    async fn fate(&self, channel: &SavedChannel, cumulative: Amount, patience: Duration) -> Fate {
        let Some(cluster) = &self.payer.cluster else { return Fate::Unknown };
        let started = Instant::now();
        loop {
            match cluster.channel(&channel.channel_id, &channel.program).await {
                Ok(account) => {
                    let fate = Fate::of(cumulative, account.as_ref());
                    let may_change = fate == Fate::Unknown && account.is_some();
                    if !may_change || started.elapsed() >= patience {
                        return fate;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "what became of a voucher is not known");
                    return Fate::Unknown;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use solana_pubkey::Pubkey;

    use super::*;

    fn account(status: ChannelStatus, settled: u64) -> ChannelAccount {
        let key = Pubkey::new_from_array([1; 32]);
        ChannelAccount {
            bump: 255,
            status,
            salt: 1,
            deposit: Amount::new(100),
            settled: Amount::new(settled),
            payout_watermark: Amount::ZERO,
            closure_started_at: 0,
            payer_withdrawn_at: 0,
            grace_period: 900,
            distribution_hash: [0; 32],
            payer: key,
            payee: key,
            authorized_signer: key,
            mint: key,
            rent_payer: key,
            open_slot: 1,
        }
    }

    #[test]
    fn a_voucher_is_void_only_when_less_was_redeemed_for_good() {
        use ChannelStatus::{Closing, Distributed, Open, Sealed};
        let fate = |status, settled| Fate::of(Amount::new(20), Some(&account(status, settled)));
        for status in [Open, Closing, Sealed, Distributed] {
            assert_eq!(fate(status, 20), Fate::Redeemed(Amount::new(20)));
            assert_eq!(fate(status, 21), Fate::Redeemed(Amount::new(21)));
        }
        for status in [Open, Closing] {
            assert_eq!(fate(status, 19), Fate::Unknown);
        }
        for status in [Sealed, Distributed] {
            assert_eq!(fate(status, 19), Fate::Void);
        }
        assert_eq!(Fate::of(Amount::new(20), None), Fate::Unknown);
    }
}
