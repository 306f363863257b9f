//! Token buckets per key, in memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;
use std::time::{Duration, Instant};

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
    filled_at: Instant,
}

impl<K: Eq + Hash> RateLimit<K> {
    pub(crate) fn new(per_period: u32, period: Duration) -> Self {
        let burst = f64::from(per_period.max(1));
        Self { burst, per_second: burst / period.as_secs_f64(), buckets: Mutex::default() }
    }

    /// Takes one event of `key`, or says after how many seconds to try again.
    pub(crate) fn take(&self, key: K) -> Result<(), u32> {
        self.take_at(key, Instant::now())
    }

    fn take_at(&self, key: K, now: Instant) -> Result<(), u32> {
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

    fn level(&self, bucket: &Bucket, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        (bucket.tokens + elapsed * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_next_event_waits() {
        let limit = RateLimit::new(3, Duration::from_secs(60));
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limit.take_at("a", start), Ok(()));
        }
        assert_eq!(limit.take_at("a", start), Err(20));
        assert_eq!(limit.take_at("b", start), Ok(()));
        assert_eq!(limit.take_at("a", start + Duration::from_secs(20)), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_refilled_keys_are_forgotten() {
        let limit = RateLimit::new(1, Duration::from_secs(1));
        let start = Instant::now();
        for key in 0..MAX_KEYS {
            assert_eq!(limit.take_at(key, start), Ok(()));
        }
        assert_eq!(limit.take_at(MAX_KEYS, start), Err(1));
        let half_later = start + Duration::from_millis(500);
        assert_eq!(limit.take_at(0, half_later), Err(1), "still empty");
        assert_eq!(limit.buckets.lock().expect("lock")[&0].filled_at, half_later, "but not turned away");
        assert_eq!(limit.take_at(MAX_KEYS, start + Duration::from_secs(2)), Ok(()));
        assert_eq!(limit.buckets.lock().expect("lock").len(), 1);
    }
}
