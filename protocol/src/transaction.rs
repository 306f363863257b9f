//! Transactions as bytes, and the instructions in them.

use bincode::Options;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::{VersionedMessage, v1};
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use thiserror::Error;

/// Largest transaction that the network carries, in bytes.
pub const MAX_TRANSACTION: usize = 1_232;

/// Why bytes are not a transaction we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TransactionError {
    /// Larger than the network carries.
    #[error("transaction has {0} bytes, at most {MAX_TRANSACTION} fit")]
    TooLarge(usize),
    /// Not a transaction, or more than one.
    #[error("bytes are not exactly one transaction")]
    Malformed,
    /// A message that is neither legacy nor version 0.
    #[error("transaction message is neither legacy nor version 0")]
    Version,
    /// Indexes or counts in it do not fit together.
    #[error("transaction indexes or counts contradict each other")]
    Inconsistent,
    /// It takes accounts from lookup tables, which cannot be read here.
    #[error("transaction uses address lookup tables")]
    LookupTables,
}

/// Reads one transaction of at most [`MAX_TRANSACTION`] bytes, with nothing after it.
///
/// Legacy and version 0 messages are read; indexes are checked. Signatures are not.
pub fn decode_transaction(bytes: &[u8]) -> Result<VersionedTransaction, TransactionError> {
    if bytes.len() > MAX_TRANSACTION {
        return Err(TransactionError::TooLarge(bytes.len()));
    }
    let transaction: VersionedTransaction = bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(MAX_TRANSACTION as u64)
        .reject_trailing_bytes()
        .deserialize(bytes)
        .map_err(|_| TransactionError::Malformed)?;
    if !matches!(transaction.message, VersionedMessage::Legacy(_) | VersionedMessage::V0(_)) {
        return Err(TransactionError::Version);
    }
    transaction.sanitize().map_err(|_| TransactionError::Inconsistent)?;
    Ok(transaction)
}

/// Largest transaction of version 1, in bytes (SIMD-0385).
pub const MAX_TRANSACTION_V1: usize = v1::MAX_TRANSACTION_SIZE;

/// Reads one transaction of any version, of at most [`MAX_TRANSACTION_V1`] bytes if it is of version 1. For what we
/// made ourselves: payers' transactions are read by [`decode_transaction`].
pub fn decode_any_transaction(bytes: &[u8]) -> Result<VersionedTransaction, TransactionError> {
    if bytes.first() != Some(&v1::V1_PREFIX) {
        return decode_transaction(bytes);
    }
    if bytes.len() > MAX_TRANSACTION_V1 {
        return Err(TransactionError::TooLarge(bytes.len()));
    }
    // The message's own header says how many signatures follow it.
    let signers = usize::from(*bytes.get(1).ok_or(TransactionError::Malformed)?);
    let end = bytes.len().checked_sub(signers * size_of::<Signature>());
    let (message, signatures) =
        bytes.split_at_checked(end.unwrap_or(0)).ok_or(TransactionError::Malformed)?;
    let message = message.get(1..).ok_or(TransactionError::Malformed)?;
    let message = v1::deserialize(message).map_err(|_| TransactionError::Malformed)?;
    let signatures = signatures.as_chunks::<64>().0.iter().copied().map(Signature::from).collect();
    let transaction = VersionedTransaction { signatures, message: VersionedMessage::V1(message) };
    // What was left over in the middle would be found here.
    if encode_transaction(&transaction) != bytes {
        return Err(TransactionError::Malformed);
    }
    transaction.sanitize().map_err(|_| TransactionError::Inconsistent)?;
    Ok(transaction)
}

/// The bytes of a transaction.
pub fn encode_transaction(transaction: &VersionedTransaction) -> Vec<u8> {
    if let VersionedMessage::V1(message) = &transaction.message {
        // The signatures follow, and their number is in the message.
        let signatures =
            transaction.signatures.iter().flat_map(|signature| signature.as_ref().iter().copied());
        return message.serialize().into_iter().chain(signatures).collect();
    }
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .serialize(transaction)
        .expect("a transaction serializes into memory")
}

/// The instructions of a transaction that names all its accounts itself, with the flags the message gives
/// them.
///
/// The fee payer is writable and a signer wherever it appears, whatever the instruction asked for.
pub fn static_instructions(transaction: &VersionedTransaction) -> Result<Vec<Instruction>, TransactionError> {
    let message = &transaction.message;
    if message.address_table_lookups().is_some_and(|lookups| !lookups.is_empty()) {
        return Err(TransactionError::LookupTables);
    }
    let keys = message.static_account_keys();
    let meta = |index: u8| {
        let index = usize::from(index);
        let pubkey = *keys.get(index).ok_or(TransactionError::Inconsistent)?;
        let (is_signer, is_writable) = (message.is_signer(index), is_writable(message, index));
        Ok(AccountMeta { pubkey, is_signer, is_writable })
    };
    let instruction = |compiled: &solana_message::compiled_instruction::CompiledInstruction| {
        Ok(Instruction {
            program_id: meta(compiled.program_id_index)?.pubkey,
            accounts: compiled.accounts.iter().map(|index| meta(*index)).collect::<Result<_, _>>()?,
            data: compiled.data.clone(),
        })
    };
    message.instructions().iter().map(instruction).collect()
}

/// Whether the header marks the static account at `index` writable.
fn is_writable(message: &VersionedMessage, index: usize) -> bool {
    let header = message.header();
    let signers = usize::from(header.num_required_signatures);
    let (start, end, readonly) = if index < signers {
        (0, signers, header.num_readonly_signed_accounts)
    } else {
        (signers, message.static_account_keys().len(), header.num_readonly_unsigned_accounts)
    };
    debug_assert!(start <= index);
    index < end.saturating_sub(usize::from(readonly))
}
