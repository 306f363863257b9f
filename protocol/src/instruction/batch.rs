//! `settle_batch`: many channels, one signature.

use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

use super::ed25519::{decode_message, verify_message};
use super::{InstructionError, discriminator};
use crate::{BatchVoucher, ChannelId, INSTRUCTIONS_SYSVAR, SignedBatch};

/// Proves `batch` to a [`settle_batch`] right after it.
pub fn ed25519_verify_batch(batch: &SignedBatch) -> Instruction {
    verify_message(&batch.signer, &batch.signature, &batch.batch.encode())
}

/// Raises `settled` of every channel of the batch in the Ed25519 instruction right before to its target, or of none.
/// Anyone may send it.
///
/// More than about a dozen channels need a version 0 transaction with a lookup table.
pub fn settle_batch(batch: &BatchVoucher) -> Instruction {
    let mut accounts = vec![AccountMeta::new_readonly(INSTRUCTIONS_SYSVAR, false)];
    accounts.extend(batch.channels().map(|channel| AccountMeta::new(channel.pubkey(), false)));
    Instruction { program_id: *batch.program(), accounts, data: vec![discriminator::SETTLE_BATCH] }
}

/// Reads the batch that an Ed25519 instruction's `data` proves to the `settle_batch` of `program` right after it,
/// which has these `accounts`.
///
/// After that transaction landed, each channel has settled at least its target.
pub fn decode_settle_batch(
    data: &[u8],
    program: &Pubkey,
    accounts: &[Pubkey],
) -> Result<SignedBatch, InstructionError> {
    let decode = || {
        let (signer, signature, message) = decode_message(data)?;
        let channels: Vec<_> = accounts.get(1..)?.iter().copied().map(ChannelId::from).collect();
        let batch = BatchVoucher::decode(message, *program, &channels)?;
        Some(SignedBatch { batch, signer, signature })
    };
    decode().ok_or(InstructionError::Batch)
}
