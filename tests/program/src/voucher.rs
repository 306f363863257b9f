//! Vouchers and ceilings: the 50 bytes, and the key that signs them.

use ed25519_dalek::SigningKey;
use solana_pubkey::Pubkey;

/// A voucher's fields before they are signed.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voucher {
    pub magic: [u8; 2],
    pub channel: Pubkey,
    pub cumulative: u64,
    /// Unix seconds; 0 means never.
    pub expires_at: i64,
}

impl Voucher {
    /// The message to sign.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.channel.to_bytes());
        bytes.extend(self.cumulative.to_le_bytes());
        bytes.extend(self.expires_at.to_le_bytes());
        assert_eq!(bytes.len(), 50);
        bytes
    }
}

/// The voucher key whose seed is `seed` thirty-two times.
pub fn voucher_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}
