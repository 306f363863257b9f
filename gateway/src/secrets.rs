//! The challenge secret of a running gateway, and those it had before.
//!
//! Another one takes over at once; what the one before made is recognized for as long as a challenge may be answered
//! (draft-httpauth-payment, "Server-Side Secret Management"). A client-signed session whose challenge is older goes on
//! with the fresh one of its next refusal; an operator-signed one has no other, so its secret stays in
//! `gateway.previous_secret_file` while such sessions last.

use std::sync::{Arc, PoisonError, RwLock};

use toll_protocol::{Challenge, ChallengeSecret};

/// The secrets of a gateway.
#[derive(Debug)]
pub(crate) struct Secrets(RwLock<Arc<Ring>>);

/// The secrets at one time.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Makes challenges, and recognizes them.
    pub(crate) current: ChallengeSecret,
    /// Which of the gateway's rings this is. What was recognized by another is asked again.
    pub(crate) generation: u64,
    /// Earlier secrets, each with the unix second from which on it recognizes nothing.
    retired: Vec<(ChallengeSecret, i64)>,
}

impl Secrets {
    pub(crate) fn new(current: ChallengeSecret) -> Self {
        Self(RwLock::new(Arc::new(Ring { current, generation: 0, retired: Vec::new() })))
    }

    /// The secrets now.
    pub(crate) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with `secret`; the one before recognizes until `until`. Whether that is a change.
    pub(crate) fn rotate(&self, secret: ChallengeSecret, now: i64, until: i64) -> bool {
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if ring.current == secret {
            return false;
        }
        let mut retired: Vec<_> = ring.retired.iter().filter(|(_, end)| now < *end).cloned().collect();
        retired.push((ring.current.clone(), until));
        *ring = Arc::new(Ring { current: secret, generation: ring.generation + 1, retired });
        true
    }
}

impl Ring {
    /// Whether `challenge` was made under an earlier secret that still counts at `now`.
    pub(crate) fn remembers(&self, challenge: &Challenge, now: i64) -> bool {
        self.retired.iter().any(|(secret, end)| now < *end && challenge.is_authentic(secret))
    }
}
