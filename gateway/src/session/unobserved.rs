//! Selling while the chain is out of sight.
//!
//! A payer may force a close that nobody sees, and what it owes has to be settled before its grace period ends. So
//! the time for which forced closes were not looked for may use up a part of that period and no more, and what is at
//! stake meanwhile stays below limits: should the chain stay away for longer, that is what can be lost.

use tokio::sync::Mutex;
use toll_ledger::{ChannelRecord, Ledger};
use toll_protocol::Amount;

use crate::gateway::Gateway;
use crate::reject::Rejection;

/// What is unsettled on all channels, as of a second, and what was let through since.
#[derive(Debug, Default)]
pub(crate) struct Exposure(Mutex<Option<Reading>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: i64,
    exposure: Amount,
}

impl Exposure {
    /// Whether `increment` more leaves everything unsettled within `limit`. If so it counts from now on.
    async fn admit(&self, ledger: &Ledger, increment: Amount, limit: Amount) -> Result<bool, Rejection> {
        let mut reading = self.0.lock().await;
        let now = ledger.now();
        let known = match *reading {
            Some(known) if known.at == now => known,
            // The sum is over every channel: once a second is enough, since what is let through is added to it.
            _ => Reading { at: now, exposure: ledger.exposure().await? },
        };
        let exposure = Amount::new(known.exposure.get().saturating_add(increment.get()));
        let admitted = exposure <= limit;
        *reading = Some(if admitted { Reading { exposure, ..known } } else { known });
        Ok(admitted)
    }
}

/// Refuses a voucher up to `cumulative` on a channel whose forced close may be unknown for too long, or whose
/// settlement has become worth too much to be put off.
pub(crate) async fn check(
    gateway: &Gateway,
    channel: &ChannelRecord,
    cumulative: Amount,
) -> Result<(), Rejection> {
    let unavailable =
        |detail: &str| Err(Rejection::Unavailable { detail: detail.to_owned(), retry_after: 5 });
    let terms = &gateway.terms;
    let limit = terms.observation_limit(channel.agreement.grace_period);
    // It never goes back, so what was known a while ago is good enough as long as it suffices.
    if gateway.ledger.known_observed_at().is_some_and(|at| gateway.now().saturating_sub(at) <= limit) {
        return Ok(());
    }
    let Some(observed_at) = gateway.ledger.channels_observed_at().await? else {
        return unavailable("the channel was never compared with the chain");
    };
    let unobserved = gateway.now().saturating_sub(observed_at);
    if unobserved <= limit {
        return Ok(());
    }
    if unobserved > terms.unobserved_limit(channel.agreement.grace_period) {
        return unavailable("the channel was not compared with the chain lately");
    }
    let watermarks = channel.watermarks;
    if cumulative.saturating_sub(watermarks.settled) > terms.max_unobserved_exposure {
        return unavailable("the chain is out of sight, and too much is unsettled on the channel");
    }
    let increment = cumulative.saturating_sub(watermarks.accepted);
    let limit = terms.max_unobserved_exposure_total;
    if !gateway.exposure.admit(&gateway.ledger, increment, limit).await? {
        return unavailable("the chain is out of sight, and too much is unsettled");
    }
    Ok(())
}
