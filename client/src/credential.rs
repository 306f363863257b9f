//! What goes into the `Authorization` header, and what the payer signs for it.

use http::header::{AUTHORIZATION, HeaderName};
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{
    Challenge, Credential, CredentialField, encode_transaction, format_authorization, parse_payment,
};

use crate::error::PayError;

/// The header's value.
pub(crate) fn authorization(credential: &Credential) -> Result<String, PayError> {
    format_authorization(credential).map_err(|error| PayError::Malformed(error.to_string()))
}

/// `Payment-Authorization`.
const PAYMENT_AUTHORIZATION: HeaderName = HeaderName::from_static("payment-authorization");

/// The header that takes a credential for `challenge`.
pub(crate) fn header_for(challenge: &Challenge) -> HeaderName {
    match challenge.field {
        CredentialField::Authorization => AUTHORIZATION,
        CredentialField::PaymentAuthorization => PAYMENT_AUTHORIZATION,
    }
}

/// The header of a credential that is written already, with its value.
pub(crate) fn header_of(authorization: &str) -> (HeaderName, String) {
    let credential = parse_payment(authorization).and_then(Result::ok);
    let name = credential.map_or(AUTHORIZATION, |credential| header_for(credential.challenge()));
    (name, authorization.to_owned())
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
