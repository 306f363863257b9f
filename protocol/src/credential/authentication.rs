//! The bearer proof of operator-signed sessions.
//!
//! Whoever holds it can use the session: it is a secret, and it is bound to one channel and the challenge
//! that opened it. Source: draft-solana-session, "Session Bearer Proof".

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use serde_json::Value;
use sha2::{Digest, Sha256};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use thiserror::Error;

use crate::json::{Members, Object};
use crate::voucher::{verify_strict, verifying_key};
use crate::{ChannelId, JsonError, canonical_json};

/// Keeps the proof's message apart from everything else the payer signs.
pub const PROOF_DOMAIN: &str = "mpp-session-auth-v1";

/// A payer's proof that it opened a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Authentication {
    /// The opening challenge's id.
    pub challenge_id: String,
    /// The key that signed, and deposits.
    pub payer: Pubkey,
    /// Ed25519 over [`Authentication::message`].
    pub signature: Signature,
}

/// Why a proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// It answers another challenge.
    #[error("proof is for challenge {found:?}, not {expected:?}")]
    ChallengeMismatch {
        /// The opening challenge.
        expected: String,
        /// The challenge the proof names.
        found: String,
    },
    /// Another key signed it.
    #[error("proof is signed by {found}, the payer is {expected}")]
    PayerMismatch {
        /// The channel's payer.
        expected: Pubkey,
        /// The key the proof names.
        found: Pubkey,
    },
    /// The key is no curve point, or one for which anyone can make signatures.
    #[error("{0} is not a usable Ed25519 key")]
    UnusableKey(Pubkey),
    /// The signature does not verify.
    #[error("proof signature is not valid")]
    Signature,
}

impl Authentication {
    /// Proves that `key` opens `channel` in answer to the challenge.
    pub fn sign(channel: &ChannelId, challenge_id: &str, key: &SigningKey) -> Self {
        let payer = Pubkey::new_from_array(key.verifying_key().to_bytes());
        let signature = key.sign(&message(channel, challenge_id, &payer)).to_bytes();
        Self { challenge_id: challenge_id.to_owned(), payer, signature: Signature::from(signature) }
    }

    /// The signed bytes: canonical JSON, signed as it is.
    pub fn message(&self, channel: &ChannelId) -> Vec<u8> {
        message(channel, &self.challenge_id, &self.payer)
    }

    /// Checks that `payer` signed this proof for `channel` and the challenge that opened it.
    pub fn verify(&self, channel: &ChannelId, challenge_id: &str, payer: &Pubkey) -> Result<(), ProofError> {
        if self.challenge_id != challenge_id {
            let (expected, found) = (challenge_id.to_owned(), self.challenge_id.clone());
            return Err(ProofError::ChallengeMismatch { expected, found });
        }
        if self.payer != *payer {
            return Err(ProofError::PayerMismatch { expected: *payer, found: self.payer });
        }
        let key = verifying_key(payer).ok_or(ProofError::UnusableKey(*payer))?;
        let verified = verify_strict(&key, &self.message(channel), &self.signature);
        if verified { Ok(()) } else { Err(ProofError::Signature) }
    }

    /// What to remember of a proof that was verified: uses of the session carry the very same one, and what is
    /// remembered lets nobody make it.
    pub fn digest(&self) -> [u8; 32] {
        let members = canonical_json(&self.to_json()).expect("an object of strings serializes");
        Sha256::digest(members).into()
    }

    /// The proof as JSON.
    pub fn to_json(&self) -> Value {
        Object::default()
            .text("type", "proof")
            .text("challengeId", &self.challenge_id)
            .text("payer", self.payer)
            .text("signature", self.signature)
            .into_value()
    }

    pub(super) fn read(proof: &Members<'_>) -> Result<Self, JsonError> {
        proof.exactly("type", "proof")?;
        Ok(Self {
            challenge_id: proof.get("challengeId")?,
            payer: proof.get("payer")?,
            signature: proof.get("signature")?,
        })
    }
}

fn message(channel: &ChannelId, challenge_id: &str, payer: &Pubkey) -> Vec<u8> {
    let message = Object::default()
        .text("channelId", channel)
        .text("domain", PROOF_DOMAIN)
        .text("payer", payer)
        .text("sessionChallengeId", challenge_id)
        .into_value();
    canonical_json(&message).expect("an object of strings serializes")
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication")
            .field("challenge_id", &self.challenge_id)
            .field("payer", &self.payer)
            .finish_non_exhaustive()
    }
}
