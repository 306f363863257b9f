//! The 256 bytes of a channel account.

use solana_pubkey::Pubkey;

/// The status byte.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    Open = 0,
    Sealed = 1,
    Closing = 2,
    Distributed = 3,
}

/// Every field of a channel account, in the order of its bytes.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelState {
    pub discriminator: u8,
    pub version: u8,
    pub bump: u8,
    pub status: u8,
    pub salt: u64,
    pub deposit: u64,
    pub settled: u64,
    pub payout_watermark: u64,
    pub closure_started_at: i64,
    pub payer_withdrawn_at: i64,
    pub grace_period: u32,
    pub distribution_hash: [u8; 32],
    pub payer: Pubkey,
    pub payee: Pubkey,
    pub authorized_signer: Pubkey,
    pub mint: Pubkey,
    pub rent_payer: Pubkey,
    pub open_slot: u64,
}

impl ChannelState {
    /// The account's data.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.discriminator, self.version, self.bump, self.status];
        for number in [self.salt, self.deposit, self.settled, self.payout_watermark] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.closure_started_at.to_le_bytes());
        bytes.extend(self.payer_withdrawn_at.to_le_bytes());
        bytes.extend(self.grace_period.to_le_bytes());
        bytes.extend(self.distribution_hash);
        for key in [self.payer, self.payee, self.authorized_signer, self.mint, self.rent_payer] {
            bytes.extend(key.to_bytes());
        }
        bytes.extend(self.open_slot.to_le_bytes());
        assert_eq!(bytes.len(), 256);
        bytes
    }

    /// Reads the account's data.
    pub fn decode(data: &[u8]) -> Self {
        assert_eq!(data.len(), 256, "a channel account has 256 bytes");
        let word = |at: usize| u64::from_le_bytes(data[at..at + 8].try_into().expect("8 bytes"));
        let key = |at: usize| Pubkey::new_from_array(data[at..at + 32].try_into().expect("32 bytes"));
        Self {
            discriminator: data[0],
            version: data[1],
            bump: data[2],
            status: data[3],
            salt: word(4),
            deposit: word(12),
            settled: word(20),
            payout_watermark: word(28),
            closure_started_at: word(36) as i64,
            payer_withdrawn_at: word(44) as i64,
            grace_period: u32::from_le_bytes(data[52..56].try_into().expect("4 bytes")),
            distribution_hash: data[56..88].try_into().expect("32 bytes"),
            payer: key(88),
            payee: key(120),
            authorized_signer: key(152),
            mint: key(184),
            rent_payer: key(216),
            open_slot: word(248),
        }
    }
}
