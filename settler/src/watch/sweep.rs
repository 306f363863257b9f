//! Compares every channel with one list of them, when their turn would take too long to come around.
//!
//! The list costs one question, however many channels there are; what it does not show, or shows otherwise than the
//! ledger, is looked at by itself.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use solana_pubkey::Pubkey;
use toll_chain::{Chain, ListedChannels};
use toll_ledger::{ChannelRecord, Ledger};
use toll_protocol::{ChannelId, ChannelStanding};
use tracing::{info, warn};

use super::search::{PAYEES, too_late};
use crate::SettlerError;

/// How much longer than the search for forced closes a list of all channels may take.
const TIMES_LONGER: u32 = 10;

/// Seconds that a node which gave no list is not asked again for.
const REST: i64 = 60;

/// When channels are listed, and how.
pub(crate) struct Sweep {
    program: Pubkey,
    /// How old a comparison may get, in seconds.
    within: i64,
    timeout: Duration,
    /// Until when nobody is asked, in unix seconds; 0 while lists come.
    off_until: AtomicI64,
}

impl Sweep {
    pub(crate) fn new(program: Pubkey, within: Duration, query_timeout: Duration) -> Self {
        let within = i64::try_from(within.as_secs()).unwrap_or(i64::MAX);
        Self { program, within, timeout: query_timeout * TIMES_LONGER, off_until: AtomicI64::new(0) }
    }

    /// Whether some channel was last compared so long before `now` that a list has to be asked for: what is in
    /// the list of then is compared before its time is over.
    pub(crate) async fn is_due(&self, ledger: &Ledger, now: i64) -> Result<bool, SettlerError> {
        let oldest = ledger.oldest_comparison().await?;
        let rests = now < self.off_until.load(Ordering::Relaxed);
        Ok(!rests && oldest.is_some_and(|at| now.saturating_sub(at) > self.within / 2))
    }

    /// Whether some channel has not been compared for longer than it may at `now`.
    pub(crate) async fn is_late(&self, ledger: &Ledger, now: i64) -> Result<bool, SettlerError> {
        let oldest = ledger.oldest_comparison().await?;
        Ok(oldest.is_some_and(|at| now.saturating_sub(at) > self.within))
    }

    /// Every channel of the payees of live channels at `min_slot` or later; `None` where the node does not say.
    pub(crate) async fn list(
        &self,
        ledger: &Ledger,
        chain: &dyn Chain,
        min_slot: u64,
    ) -> Result<Option<Vec<ListedChannels>>, SettlerError> {
        let payees = ledger.live_payees(PAYEES + 1).await?;
        if payees.len() > PAYEES {
            return Ok(None);
        }
        let was_off = self.off_until.load(Ordering::Relaxed) > 0;
        let mut lists = Vec::with_capacity(payees.len());
        for payee in payees {
            let asked = chain.list_channels(&self.program, &payee, min_slot);
            let answer = tokio::time::timeout(self.timeout, asked).await;
            match answer.map_err(|_| too_late(self.timeout)).flatten() {
                Ok(list) => lists.push(list),
                Err(error) => {
                    if !was_off {
                        warn!(%error, "the node does not list channels; they are compared in turn");
                    }
                    self.off_until.store(ledger.now().saturating_add(REST), Ordering::Relaxed);
                    return Ok(None);
                }
            }
        }
        if was_off {
            info!("the node lists channels again");
            self.off_until.store(0, Ordering::Relaxed);
        }
        Ok(Some(lists))
    }
}

/// Sorts live channels by whether the list shows them as the ledger has them. Those that are not live are left out.
pub(super) async fn sort(
    ledger: &Ledger,
    listed: &[(Pubkey, ChannelStanding)],
    slot: u64,
) -> Result<(Vec<ChannelId>, Vec<ChannelRecord>), SettlerError> {
    let addresses = listed.iter().map(|(address, _)| ChannelId::new(address.to_bytes())).collect();
    let (mut same, mut other) = (Vec::new(), Vec::new());
    let records = ledger.live_among(addresses).await?;
    for (record, (_, standing)) in records.into_iter().zip(listed) {
        let Some(record) = record else { continue };
        match is_as_listed(&record, standing, slot) {
            true => same.push(record.id),
            false => other.push(record),
        }
    }
    Ok((same, other))
}

fn is_as_listed(record: &ChannelRecord, standing: &ChannelStanding, slot: u64) -> bool {
    let marks = &record.watermarks;
    slot >= record.observed_slot
        && record.chain_status == Some(standing.status)
        && marks.deposit == standing.deposit
        && marks.settled == standing.settled
        && marks.payout_watermark == standing.payout_watermark
        && record.payer_withdrawn_at.unwrap_or(0) == standing.payer_withdrawn_at
}
