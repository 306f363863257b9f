//! Ceilings with the signature that makes them promises.

use ed25519_dalek::{Signer, SigningKey};
use solana_pubkey::Pubkey;
use solana_signature::Signature;

use super::Ceiling;
use crate::voucher::{verify_strict, verifying_key};

/// A ceiling with the signature of the key that vouches. Nothing says yet that the signature is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCeiling {
    /// What is promised.
    pub ceiling: Ceiling,
    /// Who promises.
    pub signer: Pubkey,
    /// Ed25519 over the ceiling's 50 bytes.
    pub signature: Signature,
}

impl SignedCeiling {
    /// Signs `ceiling` with `key`.
    pub fn sign(ceiling: Ceiling, key: &SigningKey) -> Self {
        let signature = Signature::from(key.sign(&ceiling.encode()).to_bytes());
        Self { ceiling, signer: Pubkey::new_from_array(key.verifying_key().to_bytes()), signature }
    }

    /// Whether the signature is `authorized_signer`'s, by the strict rules of the Ed25519 precompile.
    pub fn is_signed_by(&self, authorized_signer: &Pubkey) -> bool {
        self.signer == *authorized_signer
            && verifying_key(&self.signer)
                .is_some_and(|key| verify_strict(&key, &self.ceiling.encode(), &self.signature))
    }
}
