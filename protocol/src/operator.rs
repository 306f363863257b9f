//! The key of a server that signs vouchers for its payers.

use std::fmt;

use ed25519_dalek::SigningKey;
use solana_pubkey::Pubkey;

use crate::voucher::trust;
use crate::{BatchVoucher, SignedBatch, SignedVoucher, VerifiedVoucher, Voucher};

/// The operator of operator-signed sessions: the authorized signer of their channels.
///
/// It signs vouchers and batches of them, and nothing else: whoever holds it can take from channels of which it is the
/// authorized signer, up to their deposits, for their payees, and can move nothing besides.
/// Source: draft-solana-session, "Voucher Signer".
#[derive(Clone)]
pub struct OperatorKey {
    key: SigningKey,
    address: Pubkey,
}

impl OperatorKey {
    /// The key with this secret, the first half of a key file's 64 bytes.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(secret);
        let address = Pubkey::new_from_array(key.verifying_key().to_bytes());
        Self { key, address }
    }

    /// The authorized signer that it is.
    pub const fn pubkey(&self) -> Pubkey {
        self.address
    }

    /// Promises `voucher`. What was signed here needs no check here.
    pub fn sign(&self, voucher: Voucher) -> VerifiedVoucher {
        trust(SignedVoucher::sign(voucher, &self.key))
    }

    /// Promises `batch`.
    pub fn sign_batch(&self, batch: BatchVoucher) -> SignedBatch {
        SignedBatch::sign(batch, &self.key)
    }

    /// Whether it signs for a channel with this authorized signer.
    pub fn signs_for(&self, authorized_signer: &Pubkey) -> bool {
        self.address == *authorized_signer
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OperatorKey").field(&self.address).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_signs_for_its_own_address_only() {
        let key = OperatorKey::from_secret(&[7; 32]);
        let other = OperatorKey::from_secret(&[8; 32]);
        assert!(key.signs_for(&key.pubkey()));
        assert!(!key.signs_for(&other.pubkey()));
    }

    #[test]
    fn an_operators_key_is_shown_by_its_address() {
        let key = OperatorKey::from_secret(&[7; 32]);
        assert_eq!(format!("{key:?}"), format!("OperatorKey({:?})", key.pubkey()));
    }
}
