//! `settle_batch`: many channels, one signature.

use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

use super::ed25519::{decode_message, verify_message};
use super::{InstructionError, discriminator};
use crate::{BatchVoucher, ChannelId, INSTRUCTIONS_SYSVAR, SignedBatch, event_authority};

/// Proves `batch` to a [`settle_batch`] right after it.
pub fn ed25519_verify_batch(batch: &SignedBatch) -> Instruction {
    verify_message(&batch.signer, &batch.signature, &batch.batch.encode())
}

/// Raises `settled` of every channel of the batch in the Ed25519 instruction right before to its target. Anyone may
/// send it.
///
/// Channels that cannot settle any more are skipped, and an event names each. For that the instruction has two
/// accounts after the channels; without them it is the one that the reference program's authors propose, and such a
/// channel fails it.
///
/// More than about a dozen channels need a version 0 transaction with a lookup table, and more than 59 do not fit.
pub fn settle_batch(batch: &BatchVoucher) -> Instruction {
    let program = *batch.program();
    let mut accounts = vec![AccountMeta::new_readonly(INSTRUCTIONS_SYSVAR, false)];
    accounts.extend(batch.channels().map(|channel| AccountMeta::new(channel.pubkey(), false)));
    accounts.push(AccountMeta::new_readonly(event_authority(&program), false));
    accounts.push(AccountMeta::new_readonly(program, false));
    Instruction { program_id: program, accounts, data: vec![discriminator::SETTLE_BATCH] }
}

/// The channels among the accounts of a `settle_batch`: those between the sysvar and the two for events, if they are
/// there. No two channels pass for those: one is derived from the other.
pub(super) fn batch_channels(accounts: &[Pubkey]) -> Option<Vec<ChannelId>> {
    let channels = match accounts.get(1..)? {
        [channels @ .., authority, program] if event_authority(program) == *authority => channels,
        channels => channels,
    };
    (!channels.is_empty()).then(|| channels.iter().copied().map(ChannelId::from).collect())
}

/// Reads the batch that an Ed25519 instruction's `data` proves to the `settle_batch` of `program` right after it,
/// which has these `accounts`.
///
/// After that transaction landed, each channel has settled at least its target, but for those that an event names:
/// [`Skipped`](crate::ChannelEvent::Skipped) or [`Vacant`](crate::ChannelEvent::Vacant).
pub fn decode_settle_batch(
    data: &[u8],
    program: &Pubkey,
    accounts: &[Pubkey],
) -> Result<SignedBatch, InstructionError> {
    let decode = || {
        let (signer, signature, message) = decode_message(data)?;
        let channels = batch_channels(accounts)?;
        let batch = BatchVoucher::decode(message, *program, &channels)?;
        Some(SignedBatch { batch, signer, signature })
    };
    decode().ok_or(InstructionError::Batch)
}
