//! Challenges that were recognized before: every request of a session echoes the same one.
//!
//! What a challenge is worth never depends on being here. Only authentic ones are entered, as a whole and with the terms
//! they state, and one that differs in a single byte is checked like any other. Expiry and single use are asked of the
//! `open` every time, from the challenge itself.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use toll_protocol::{Challenge, SessionRequest};

use crate::secrets::Ring;

/// Most challenges in memory, some two kilobytes each.
const MOST: NonZeroUsize = NonZeroUsize::new(4_096).expect("not zero");

/// The challenges in memory, the one that was longest without a request going first.
#[derive(Debug)]
pub(crate) struct RecognizedChallenges(Mutex<LruCache<String, Arc<Recognized>>>);

/// An authentic challenge.
#[derive(Debug)]
pub(crate) struct Recognized {
    challenge: Challenge,
    /// Which secrets recognized it.
    generation: u64,
    /// What it asks for, or why that cannot be read.
    pub(crate) request: Result<SessionRequest, String>,
}

impl Default for RecognizedChallenges {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl RecognizedChallenges {
    /// The challenge, if it was made under one of `secrets` that counts at `now`.
    pub(crate) fn recognize(
        &self,
        challenge: &Challenge,
        secrets: &Ring,
        now: i64,
    ) -> Option<Arc<Recognized>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&challenge.id).cloned();
        if let Some(known) =
            known.filter(|known| known.generation == secrets.generation && known.challenge == *challenge)
        {
            return Some(known);
        }
        let is_lasting = challenge.is_authentic(&secrets.current);
        if !is_lasting && !secrets.remembers(challenge, now) {
            return None;
        }
        let request = challenge.session_request().map_err(|error| error.to_string());
        let generation = secrets.generation;
        let recognized = Arc::new(Recognized { challenge: challenge.clone(), generation, request });
        if !is_lasting {
            return Some(recognized);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(challenge.id.clone(), Arc::clone(&recognized));
        Some(recognized)
    }
}

#[cfg(test)]
mod tests {
    use toll_protocol::{ChallengeSecret, CredentialField};

    use crate::secrets::Secrets;

    use super::*;

    /// A challenge of `realm` that was made under `secret`.
    fn challenge(secret: &[u8], realm: &str) -> Challenge {
        let mut challenge = Challenge {
            id: String::new(),
            realm: realm.to_owned(),
            method: "solana".to_owned(),
            intent: "session".to_owned(),
            request: "e30".to_owned(),
            expires: Some("2026-11-22T00:00:00Z".to_owned()),
            digest: None,
            description: None,
            opaque: None,
            field: CredentialField::Authorization,
        };
        challenge.id = challenge.id_under(secret);
        challenge
    }

    fn secret(byte: u8) -> Arc<Ring> {
        Secrets::new(ChallengeSecret::new(vec![byte; 32]).expect("32 bytes")).ring()
    }

    #[test]
    fn one_that_is_known_is_not_another_that_has_its_id() {
        let known = RecognizedChallenges::default();
        let challenge = challenge(&[1; 32], "a");
        assert!(known.recognize(&challenge, &secret(1), 0).is_some());
        let changes: [fn(&mut Challenge); 7] = [
            |other| other.realm.push('b'),
            |other| other.request.push('A'),
            |other| other.expires = None,
            |other| other.digest = Some("sha-256=:AA==:".to_owned()),
            |other| other.opaque = Some("e30".to_owned()),
            |other| other.intent = "charge".to_owned(),
            |other| other.field = CredentialField::PaymentAuthorization,
        ];
        for change in changes {
            let mut other = challenge.clone();
            change(&mut other);
            assert!(known.recognize(&other, &secret(1), 0).is_none(), "{other:?}");
        }
        assert!(known.recognize(&challenge, &secret(1), 0).is_some());
    }

    #[test]
    fn only_what_is_authentic_is_entered_and_never_more_than_the_bound() {
        let known = RecognizedChallenges::default();
        assert!(known.recognize(&challenge(&[2; 32], "a"), &secret(1), 0).is_none());
        assert_eq!(known.0.lock().expect("lock").len(), 0);
        for number in 0..MOST.get() + 10 {
            assert!(known.recognize(&challenge(&[1; 32], &number.to_string()), &secret(1), 0).is_some());
        }
        assert_eq!(known.0.lock().expect("lock").len(), MOST.get());
    }

    #[test]
    fn one_that_states_no_terms_is_recognized_and_says_why_it_is_of_no_use() {
        let known = RecognizedChallenges::default();
        let recognized = known.recognize(&challenge(&[1; 32], "a"), &secret(1), 0).expect("authentic");
        assert!(recognized.request.as_ref().is_err_and(|reason| reason.contains("amount")));
    }

    #[test]
    fn one_of_an_earlier_secret_is_recognized_until_that_ends_and_not_by_memory() {
        let secret = |byte| ChallengeSecret::new(vec![byte; 32]).expect("32 bytes");
        let (known, secrets) = (RecognizedChallenges::default(), Secrets::new(secret(1)));
        let recognizes =
            |challenge: &Challenge, now| known.recognize(challenge, &secrets.ring(), now).is_some();
        let (first, second) = (challenge(&[1; 32], "a"), challenge(&[2; 32], "a"));
        assert!(recognizes(&first, 0) && !recognizes(&second, 0));

        assert!(!secrets.rotate(secret(1), 0, 9));
        assert!(secrets.rotate(secret(2), 0, 10));
        assert!(secrets.rotate(secret(3), 5, 15));

        for (now, expected) in
            [(9, (true, true)), (10, (false, true)), (14, (false, true)), (15, (false, false))]
        {
            assert_eq!((recognizes(&first, now), recognizes(&second, now)), expected, "{now}");
        }
        assert!(recognizes(&challenge(&[3; 32], "a"), 1_000));
    }
}
