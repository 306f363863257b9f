//! What goes into the `Authorization` header, and what the payer signs for it.

use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{Credential, encode_transaction, format_authorization};

use crate::error::PayError;

/// The header's value.
pub(crate) fn authorization(credential: &Credential) -> Result<String, PayError> {
    format_authorization(credential).map_err(|error| PayError::Malformed(error.to_string()))
}

/// A transaction with `fee_payer` in front, signed by `payer` only; the sponsor's slot stays empty.
pub(crate) fn sign_as_payer(
    payer: &Keypair,
    fee_payer: &Pubkey,
    instructions: &[Instruction],
    blockhash: Hash,
) -> Result<Vec<u8>, PayError> {
    let message =
        VersionedMessage::Legacy(Message::new_with_blockhash(instructions, Some(fee_payer), &blockhash));
    let signers = usize::from(message.header().num_required_signatures);
    let place = message.static_account_keys()[..signers]
        .iter()
        .position(|key| *key == payer.pubkey())
        .ok_or_else(|| PayError::Malformed("the payer does not sign".into()))?;
    let mut signatures = vec![Signature::default(); signers];
    signatures[place] = payer.sign_message(&message.serialize());
    Ok(encode_transaction(&VersionedTransaction { signatures, message }))
}
