//! The key under challenge ids, and its rotation.

use std::fmt;

use super::ChallengeError;

/// Fewest bytes of a secret.
pub const SECRET_MIN: usize = 32;

/// The key that binds challenges. Never printed, never sent.
///
/// After a rotation the previous secret still recognizes its challenges; drop it once they have expired.
#[derive(Clone, PartialEq, Eq)]
pub struct ChallengeSecret {
    current: Vec<u8>,
    previous: Option<Vec<u8>>,
}

impl ChallengeSecret {
    /// A secret of at least [`SECRET_MIN`] bytes. A textual secret is its UTF-8 bytes.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, ChallengeError> {
        Ok(Self { current: long_enough(secret.into())?, previous: None })
    }

    /// The same secret, with `previous` still recognized.
    pub fn with_previous(mut self, previous: impl Into<Vec<u8>>) -> Result<Self, ChallengeError> {
        self.previous = Some(long_enough(previous.into())?);
        Ok(self)
    }

    pub(super) fn current(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().map(Vec::as_slice)
    }
}

fn long_enough(secret: Vec<u8>) -> Result<Vec<u8>, ChallengeError> {
    if secret.len() < SECRET_MIN { Err(ChallengeError::ShortSecret(secret.len())) } else { Ok(secret) }
}

impl fmt::Debug for ChallengeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChallengeSecret").finish_non_exhaustive()
    }
}
