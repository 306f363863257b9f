//! The 256 bytes of a channel account.

use solana_pubkey::Pubkey;
use thiserror::Error;

use crate::{
    Amount, CHANNEL_DISCRIMINATOR, CHANNEL_SIZE, CHANNEL_VERSION, ChannelStatus, ChannelTerms, UnknownStatus,
};

/// A channel as the chain has it. Whoever reads one checks the account's owner first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelAccount {
    /// Canonical bump of the address.
    pub bump: u8,
    /// Where the channel stands in its life.
    pub status: ChannelStatus,
    /// Tells apart channels of the same parties.
    pub salt: u64,
    /// Tokens escrowed in all.
    pub deposit: Amount,
    /// Cumulative amount payable.
    pub settled: Amount,
    /// The part of `settled` that was distributed. Not kept up once the channel is sealed.
    pub payout_watermark: Amount,
    /// When the payer asked to leave, in unix seconds; 0 when it did not or the channel is sealed.
    pub closure_started_at: i64,
    /// When the payer was refunded, in unix seconds; 0 when it was not.
    pub payer_withdrawn_at: i64,
    /// Seconds between a payer's request to leave and the first permissionless seal.
    pub grace_period: u32,
    /// SHA-256 of the splits preimage.
    pub distribution_hash: [u8; 32],
    /// Who deposited.
    pub payer: Pubkey,
    /// Who earns what the splits leave over.
    pub payee: Pubkey,
    /// The key whose vouchers count.
    pub authorized_signer: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// The incarnation's epoch.
    pub open_slot: u64,
}

/// What changes of a channel while it lives: all that comparing many of them needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelStanding {
    /// Where the channel stands in its life.
    pub status: ChannelStatus,
    /// Tokens escrowed in all.
    pub deposit: Amount,
    /// Cumulative amount payable.
    pub settled: Amount,
    /// The part of `settled` that was distributed.
    pub payout_watermark: Amount,
    /// When the payer was refunded, in unix seconds; 0 when it was not.
    pub payer_withdrawn_at: i64,
}

/// Why bytes are no channel account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AccountError {
    /// Not as long as a channel.
    #[error("account has {0} bytes, a channel has {CHANNEL_SIZE}")]
    Size(usize),
    /// Another kind of account, or a blank one.
    #[error("account discriminator is {0}, a channel's is {CHANNEL_DISCRIMINATOR}")]
    Discriminator(u8),
    /// A layout this crate does not know.
    #[error("channel layout version is {0}, this reads {CHANNEL_VERSION}")]
    Version(u8),
    /// A status this crate does not know.
    #[error("channel status byte {0} is unknown")]
    Status(u8),
}

impl ChannelAccount {
    /// Where the status byte is, for queries that filter by it.
    pub const STATUS_OFFSET: usize = 3;
    /// Where the payer is, for queries that filter by it.
    pub const PAYER_OFFSET: usize = 88;
    /// Where the payee is, for queries that filter by it.
    pub const PAYEE_OFFSET: usize = 120;

    /// Reads a channel from account data.
    pub fn decode(data: &[u8]) -> Result<Self, AccountError> {
        let bytes: &[u8; CHANNEL_SIZE] = data.try_into().map_err(|_| AccountError::Size(data.len()))?;
        if bytes[0] != CHANNEL_DISCRIMINATOR {
            return Err(AccountError::Discriminator(bytes[0]));
        }
        if bytes[1] != CHANNEL_VERSION {
            return Err(AccountError::Version(bytes[1]));
        }
        let status = ChannelStatus::try_from(bytes[Self::STATUS_OFFSET])
            .map_err(|UnknownStatus(byte)| AccountError::Status(byte))?;
        Ok(Self {
            bump: bytes[2],
            status,
            salt: u64::from_le_bytes(field(bytes, 4)),
            deposit: Amount::new(u64::from_le_bytes(field(bytes, 12))),
            settled: Amount::new(u64::from_le_bytes(field(bytes, 20))),
            payout_watermark: Amount::new(u64::from_le_bytes(field(bytes, 28))),
            closure_started_at: i64::from_le_bytes(field(bytes, 36)),
            payer_withdrawn_at: i64::from_le_bytes(field(bytes, 44)),
            grace_period: u32::from_le_bytes(field(bytes, 52)),
            distribution_hash: field(bytes, 56),
            payer: Pubkey::new_from_array(field(bytes, Self::PAYER_OFFSET)),
            payee: Pubkey::new_from_array(field(bytes, Self::PAYEE_OFFSET)),
            authorized_signer: Pubkey::new_from_array(field(bytes, 152)),
            mint: Pubkey::new_from_array(field(bytes, 184)),
            rent_payer: Pubkey::new_from_array(field(bytes, 216)),
            open_slot: u64::from_le_bytes(field(bytes, 248)),
        })
    }

    /// The account data of this channel.
    pub fn encode(&self) -> [u8; CHANNEL_SIZE] {
        let mut bytes = [0; CHANNEL_SIZE];
        bytes[..4].copy_from_slice(&[CHANNEL_DISCRIMINATOR, CHANNEL_VERSION, self.bump, self.status as u8]);
        bytes[4..12].copy_from_slice(&self.salt.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.deposit.get().to_le_bytes());
        bytes[20..28].copy_from_slice(&self.settled.get().to_le_bytes());
        bytes[28..36].copy_from_slice(&self.payout_watermark.get().to_le_bytes());
        bytes[36..44].copy_from_slice(&self.closure_started_at.to_le_bytes());
        bytes[44..52].copy_from_slice(&self.payer_withdrawn_at.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.grace_period.to_le_bytes());
        bytes[56..88].copy_from_slice(&self.distribution_hash);
        bytes[88..120].copy_from_slice(self.payer.as_ref());
        bytes[120..152].copy_from_slice(self.payee.as_ref());
        bytes[152..184].copy_from_slice(self.authorized_signer.as_ref());
        bytes[184..216].copy_from_slice(self.mint.as_ref());
        bytes[216..248].copy_from_slice(self.rent_payer.as_ref());
        bytes[248..].copy_from_slice(&self.open_slot.to_le_bytes());
        bytes
    }

    /// The seeds of the address this account must live at.
    pub fn terms(&self) -> ChannelTerms {
        ChannelTerms {
            payer: self.payer,
            payee: self.payee,
            mint: self.mint,
            authorized_signer: self.authorized_signer,
            salt: self.salt,
            open_slot: self.open_slot,
        }
    }
}

impl ChannelStanding {
    /// Where it begins in an account, for queries that take a part.
    pub const OFFSET: usize = ChannelAccount::STATUS_OFFSET;
    /// Its length in bytes.
    pub const SIZE: usize = 49;

    /// Reads it from the [`Self::SIZE`] bytes at [`Self::OFFSET`] of an account.
    pub fn decode(part: &[u8]) -> Result<Self, AccountError> {
        if part.len() != Self::SIZE {
            return Err(AccountError::Size(part.len()));
        }
        let mut whole = [0; CHANNEL_SIZE];
        whole[..2].copy_from_slice(&[CHANNEL_DISCRIMINATOR, CHANNEL_VERSION]);
        whole[Self::OFFSET..Self::OFFSET + Self::SIZE].copy_from_slice(part);
        ChannelAccount::decode(&whole).map(|account| Self::from(&account))
    }
}

impl From<&ChannelAccount> for ChannelStanding {
    fn from(account: &ChannelAccount) -> Self {
        Self {
            status: account.status,
            deposit: account.deposit,
            settled: account.settled,
            payout_watermark: account.payout_watermark,
            payer_withdrawn_at: account.payer_withdrawn_at,
        }
    }
}

/// The `N` bytes at `offset`. Every offset in this file is inside the account.
fn field<const N: usize>(bytes: &[u8; CHANNEL_SIZE], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().expect("a field lies inside the account")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_is_read_from_the_part_of_an_account_that_changes() {
        let key = |seed| Pubkey::new_from_array([seed; 32]);
        let account = ChannelAccount {
            bump: 255,
            status: ChannelStatus::Closing,
            salt: u64::MAX,
            deposit: Amount::new(1_000),
            settled: Amount::new(600),
            payout_watermark: Amount::new(400),
            closure_started_at: 1_700_000_000,
            payer_withdrawn_at: 1_700_000_900,
            grace_period: 900,
            distribution_hash: [1; 32],
            payer: key(2),
            payee: key(3),
            authorized_signer: key(4),
            mint: key(5),
            rent_payer: key(6),
            open_slot: 7,
        };
        let bytes = account.encode();
        let part = &bytes[ChannelStanding::OFFSET..ChannelStanding::OFFSET + ChannelStanding::SIZE];

        assert_eq!(ChannelStanding::decode(part), Ok(ChannelStanding::from(&account)));

        assert_eq!(ChannelStanding::decode(&part[1..]), Err(AccountError::Size(48)));
        let mut unknown = part.to_vec();
        unknown[0] = 9;
        assert_eq!(ChannelStanding::decode(&unknown), Err(AccountError::Status(9)));
    }
}
