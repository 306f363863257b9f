//! Batches: the bytes that one key signs for many channels.

use crate::program::program_id;
use sha2::{Digest, Sha256};
use solana_pubkey::Pubkey;

/// First bytes of what is hashed into a batch.
pub const BATCH_DOMAIN: &[u8] = b"payment_channels:batch_voucher:v2";

/// A batch's fields before they are signed, each of which a test may bend.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub magic: [u8; 2],
    pub count: u8,
    /// Unix seconds; 0 means never.
    pub expires_at: i64,
    pub domain: Vec<u8>,
    pub program: Pubkey,
    /// Channels and their targets, in the order in which they are hashed and listed.
    pub targets: Vec<(Pubkey, u64)>,
}

impl Batch {
    /// A good batch for `targets`, put into ascending order.
    pub fn of(targets: impl IntoIterator<Item = (Pubkey, u64)>) -> Self {
        let mut targets: Vec<_> = targets.into_iter().collect();
        targets.sort_unstable();
        Self {
            magic: [0x56, 0x02],
            count: targets.len() as u8,
            expires_at: 0,
            domain: BATCH_DOMAIN.to_vec(),
            program: program_id(),
            targets,
        }
    }

    /// The channels in their order.
    pub fn channels(&self) -> Vec<Pubkey> {
        self.targets.iter().map(|(channel, _)| *channel).collect()
    }

    /// The message to sign.
    pub fn encode(&self) -> Vec<u8> {
        let mut hashed = self.domain.clone();
        hashed.extend(self.program.to_bytes());
        hashed.push(self.count);
        hashed.extend(self.channels().iter().flat_map(Pubkey::to_bytes));
        let mut bytes = self.magic.to_vec();
        bytes.push(self.count);
        bytes.extend(self.expires_at.to_le_bytes());
        bytes.extend(Sha256::digest(hashed));
        bytes.extend(self.targets.iter().flat_map(|(_, target)| target.to_le_bytes()));
        bytes
    }
}
