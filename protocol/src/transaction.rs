//! Transactions as bytes, and the instructions in them.

use bincode::Options;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::VersionedMessage;
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

/// The bytes of a transaction.
pub fn encode_transaction(transaction: &VersionedTransaction) -> Vec<u8> {
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
