//! What time it is for whoever looks at the chain: the host's, as far as the chain's clock bears it out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How far a public cluster's clock may be from ours, in seconds, before ours is taken to have jumped, or its node to
/// lag.
pub(super) const CLOCK_SLACK: i64 = 60;

/// The chain's clock as it was last seen, and when that was.
#[derive(Debug, Default)]
pub(super) struct ChainTime(Mutex<Option<(i64, Instant)>>);

impl ChainTime {
    /// Notes what the chain's clock showed, in unix seconds. It never goes back: a node that lags is not believed.
    pub(super) fn saw(&self, unix_timestamp: i64) {
        let mut seen = self.seen();
        if seen.is_none_or(|(before, _)| before < unix_timestamp) {
            *seen = Some((unix_timestamp, Instant::now()));
        }
    }

    /// The time, in unix seconds, of a host whose clock shows `host`. A host's clock that was set forth or back tells
    /// nobody that all was looked at just now, or that nothing needs to be for a while.
    pub(super) fn now(&self, host: i64) -> i64 {
        let Some((timestamp, at)) = *self.seen() else { return host };
        let elapsed = i64::try_from(at.elapsed().as_secs()).unwrap_or(i64::MAX);
        let chain = timestamp.saturating_add(elapsed);
        host.clamp(chain.saturating_sub(CLOCK_SLACK), chain.saturating_add(CLOCK_SLACK))
    }

    fn seen(&self) -> MutexGuard<'_, Option<(i64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_believed_as_far_as_the_chain_bears_it_out() {
        let time = ChainTime::default();
        assert_eq!(time.now(1_000), 1_000);
        time.saw(2_000);
        time.saw(1_500);
        for (host, now) in [(1_400, 1_940), (1_940, 1_940), (2_000, 2_000), (2_060, 2_060), (2_600, 2_060)] {
            assert_eq!(time.now(host), now);
        }
    }
}
