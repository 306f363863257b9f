//! Batches as their signer knows them: with the channels' addresses.

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use solana_pubkey::Pubkey;
use solana_signature::Signature;

use super::{BATCH_DOMAIN, BATCH_MAGIC, BatchError, BatchMessage, MAX_BATCH, batch_size};
use crate::voucher::{verify_strict, verifying_key};
use crate::{Amount, ChannelId};

/// Targets for channels of one program, in ascending order of address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchVoucher {
    program: Pubkey,
    targets: Vec<(ChannelId, Amount)>,
    expires_at: i64,
}

impl BatchVoucher {
    /// Targets for channels of `program`, given in any order. `expires_at` is in unix seconds, 0 means never.
    pub fn new(
        program: Pubkey,
        mut targets: Vec<(ChannelId, Amount)>,
        expires_at: i64,
    ) -> Result<Self, BatchError> {
        targets.sort_unstable();
        if targets.is_empty() || targets.len() > MAX_BATCH {
            return Err(BatchError::Size);
        }
        if targets.iter().any(|(_, target)| target.is_zero()) {
            return Err(BatchError::ZeroTarget);
        }
        if targets.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(BatchError::DuplicateChannel);
        }
        Ok(Self { program, targets, expires_at })
    }

    /// The program whose channels these are.
    pub const fn program(&self) -> &Pubkey {
        &self.program
    }

    /// Channels and targets, ascending by address.
    pub fn targets(&self) -> &[(ChannelId, Amount)] {
        &self.targets
    }

    /// Unix seconds from which it no longer settles; 0 means never.
    pub const fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// The channels alone, ascending.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelId> {
        self.targets.iter().map(|(channel, _)| channel)
    }

    /// What binds the message to its channels.
    pub fn channels_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(BATCH_DOMAIN);
        hash.update(self.program);
        hash.update([self.targets.len() as u8]);
        self.channels().for_each(|channel| hash.update(channel.as_bytes()));
        hash.finalize().into()
    }

    /// The bytes to sign.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(batch_size(self.targets.len()));
        bytes.extend_from_slice(&BATCH_MAGIC);
        bytes.push(self.targets.len() as u8);
        bytes.extend_from_slice(&self.expires_at.to_le_bytes());
        bytes.extend_from_slice(&self.channels_hash());
        for (_, target) in &self.targets {
            bytes.extend_from_slice(&target.get().to_le_bytes());
        }
        bytes
    }

    /// Reads the bytes back, for the channels that they were signed for; `None` for any others.
    pub fn decode(message: &[u8], program: Pubkey, channels: &[ChannelId]) -> Option<Self> {
        let message = BatchMessage::decode(message).ok()?;
        let targets = channels.iter().copied().zip(message.targets()).collect();
        let batch = Self::new(program, targets, message.expires_at()).ok()?;
        let same = channels.len() == message.count()
            && batch.channels().eq(channels)
            && batch.channels_hash() == *message.channels_hash();
        same.then_some(batch)
    }
}

/// A batch with the signature of the key that its channels share. Nothing says yet that the signature is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBatch {
    /// What is promised.
    pub batch: BatchVoucher,
    /// Who promises.
    pub signer: Pubkey,
    /// Ed25519 over the batch's bytes.
    pub signature: Signature,
}

impl SignedBatch {
    /// Signs `batch` with `key`.
    pub fn sign(batch: BatchVoucher, key: &SigningKey) -> Self {
        let signature = Signature::from(key.sign(&batch.encode()).to_bytes());
        Self { batch, signer: Pubkey::new_from_array(key.verifying_key().to_bytes()), signature }
    }

    /// Whether the signature is `authorized_signer`'s, by the strict rules of the Ed25519 precompile.
    pub fn is_signed_by(&self, authorized_signer: &Pubkey) -> bool {
        self.signer == *authorized_signer
            && verifying_key(&self.signer)
                .is_some_and(|key| verify_strict(&key, &self.batch.encode(), &self.signature))
    }
}
