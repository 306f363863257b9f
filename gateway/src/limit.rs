//! Token buckets per key, in memory. Time is the caller's, in whole seconds: a bucket is refilled when a second begins.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Duration;

/// Most keys remembered. Full buckets are forgotten first: forgetting them changes nothing.
const MAX_KEYS: usize = 16_384;

/// Lets `per_period` events per key and period through, with bursts of as many.
#[derive(Debug)]
pub(crate) struct RateLimit<K> {
    burst: f64,
    per_second: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    /// Unix seconds.
    filled_at: i64,
}

impl<K: Eq + Hash> RateLimit<K> {
    pub(crate) fn new(per_period: u32, period: Duration) -> Self {
        let burst = f64::from(per_period.max(1));
        Self { burst, per_second: burst / period.as_secs_f64(), buckets: Mutex::default() }
    }

    /// Takes one event of `key` at `now` (unix seconds), or says after how many seconds to try again.
    pub(crate) fn take(&self, key: K, now: i64) -> Result<(), u32> {
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Whoever is known goes on: a flood of new keys must not lock the others out.
        if buckets.len() >= MAX_KEYS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| self.level(bucket, now) < self.burst);
            if buckets.len() >= MAX_KEYS {
                return Err(1);
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: self.burst, filled_at: now });
        let tokens = self.level(bucket, now);
        *bucket = Bucket { tokens, filled_at: now };
        if tokens < 1.0 {
            return Err(((1.0 - tokens) / self.per_second).ceil().clamp(1.0, 3_600.0) as u32);
        }
        bucket.tokens -= 1.0;
        Ok(())
    }

    fn level(&self, bucket: &Bucket, now: i64) -> f64 {
        // A clock that is set back refills nothing, and goes on from there.
        let elapsed = now.saturating_sub(bucket.filled_at).max(0);
        (bucket.tokens + elapsed as f64 * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_790_000_000;

    #[test]
    fn a_burst_passes_and_the_next_event_waits() {
        let limit = RateLimit::new(3, Duration::from_secs(60));
        for _ in 0..3 {
            assert_eq!(limit.take("a", START), Ok(()));
        }
        assert_eq!(limit.take("a", START), Err(20));
        assert_eq!(limit.take("b", START), Ok(()));
        assert_eq!(limit.take("a", START + 20), Ok(()));
    }

    #[test]
    fn a_clock_that_is_set_back_neither_refills_nor_locks_out() {
        let limit = RateLimit::new(1, Duration::from_secs(1));
        assert_eq!(limit.take("a", START), Ok(()));
        assert_eq!(limit.take("a", START - 3_600), Err(1));
        assert_eq!(limit.take("a", START - 3_599), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_refilled_keys_are_forgotten() {
        let limit = RateLimit::new(1, Duration::from_secs(2));
        for key in 0..MAX_KEYS {
            assert_eq!(limit.take(key, START), Ok(()));
        }
        assert_eq!(limit.take(MAX_KEYS, START), Err(1));
        assert_eq!(limit.take(0, START + 1), Err(1), "still empty");
        assert_eq!(limit.buckets.lock().expect("lock")[&0].filled_at, START + 1, "but not turned away");
        assert_eq!(limit.take(MAX_KEYS, START + 3), Ok(()));
        assert_eq!(limit.buckets.lock().expect("lock").len(), 1);
    }
}
