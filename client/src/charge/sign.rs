//! The transaction that pays a charge, signed by the payer alone.

use solana_hash::Hash;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use toll_protocol::{
    ChargeCredential, ChargePayload, MAX_TRANSACTION, base64_encode, compute_unit_limit, compute_unit_price,
    decode_transaction, format_payment,
};

use super::{ChargeOffer, SavedCharge};
use crate::clock::unix_now;
use crate::credential::sign_as_payer;
use crate::error::PayError;
use crate::request::Request;

/// Compute units for a transfer to each of nine recipients, with memos. Sponsors allow no more (reference SDK).
const COMPUTE_UNITS: u32 = 200_000;

/// Micro-lamports per compute unit: a lamport at most, within what any sponsor allows.
const COMPUTE_UNIT_PRICE: u64 = 1;

/// How the transaction gets to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The server sends it.
    Pull,
    /// The payer sends it, and shows its signature.
    Push,
}

/// Signs what `offer` asks for, and puts it in a credential. The fee is the sponsor's, or else the payer's.
///
/// The message is a legacy one, which every server takes: price and limit of compute units, accounts that splits ask
/// for, the transfers, the memos.
pub(super) fn sign(
    key: &Keypair,
    request: &Request,
    offer: &ChargeOffer,
    token_program: &Pubkey,
    blockhash: Hash,
    way: Way,
    idempotency_key: String,
) -> Result<SavedCharge, PayError> {
    let (payer, details) = (key.pubkey(), &offer.request.method_details);
    let malformed = |error: &dyn std::fmt::Display| PayError::Malformed(error.to_string());
    let mut instructions = vec![compute_unit_price(COMPUTE_UNIT_PRICE), compute_unit_limit(COMPUTE_UNITS)];
    instructions
        .extend(offer.request.instructions(&payer, token_program).map_err(|error| malformed(&error))?);
    let fee_payer = details.fee_payer_key.unwrap_or(payer);
    let transaction = sign_as_payer(key, &fee_payer, &instructions, blockhash)?;
    if transaction.len() > MAX_TRANSACTION {
        let size = transaction.len();
        return Err(PayError::Malformed(format!("paying it takes {size} bytes, {MAX_TRANSACTION} at most")));
    }
    let signature = signature_of(&payer, &transaction)?;
    let payload = match way {
        Way::Pull => ChargePayload::Transaction(transaction.clone()),
        Way::Push => ChargePayload::Signature(signature),
    };
    let credential = ChargeCredential { challenge: offer.challenge.clone(), payload, source: None };
    Ok(SavedCharge {
        fingerprint: request.fingerprint(),
        url: request.url.to_string(),
        method: request.method.to_string(),
        network: details.network,
        payer,
        recipient: offer.request.recipient,
        mint: offer.request.currency,
        token_program: *token_program,
        decimals: details.decimals,
        amount: offer.request.amount,
        sponsored: details.fee_payer_key.is_some(),
        pushed: (way == Way::Push).then(|| base64_encode(&transaction)),
        signature: signature.to_string(),
        blockhash: blockhash.to_string(),
        authorization: format_payment(&credential.into()).map_err(|error| malformed(&error))?,
        idempotency_key,
        signed_at: unix_now(),
    })
}

/// The payer's own signature: the transaction's first one where the payer pays the fee.
fn signature_of(payer: &Pubkey, transaction: &[u8]) -> Result<Signature, PayError> {
    let unsigned = || PayError::Malformed("the payer does not sign".into());
    let transaction = decode_transaction(transaction).map_err(|_| unsigned())?;
    let place = transaction.message.static_account_keys().iter().position(|key| key == payer);
    place.and_then(|place| transaction.signatures.get(place).copied()).ok_or_else(unsigned)
}

#[cfg(test)]
mod tests {
    use toll_protocol::{
        COMPUTE_BUDGET_PROGRAM, ChargeCaps, PaymentCredential, TOKEN_PROGRAM, parse_payment,
        static_instructions, verify_charge,
    };

    use super::super::offer::testing::offer;
    use super::*;

    /// What the reference SDK takes of those who are sponsored.
    const CAPS: ChargeCaps = ChargeCaps { unit_limit: 200_000, unit_price: 10_000 };

    fn signed(key: &Keypair, offer: &ChargeOffer, way: Way) -> SavedCharge {
        let request = Request::get("http://h:1/a".parse().unwrap());
        sign(key, &request, offer, &TOKEN_PROGRAM, Hash::new_from_array([7; 32]), way, "k".into()).unwrap()
    }

    fn payload(charge: &SavedCharge) -> ChargePayload {
        match parse_payment(&charge.authorization).unwrap().unwrap() {
            PaymentCredential::Charge(credential) => credential.payload,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_sponsored_charge_pays_what_is_asked_and_leaves_the_sponsors_place_empty() {
        let (key, offer) = (Keypair::new(), offer());
        let charge = signed(&key, &offer, Way::Pull);

        let ChargePayload::Transaction(bytes) = payload(&charge) else { panic!("{charge:?}") };
        let verified = verify_charge(&bytes, &offer.request, &TOKEN_PROGRAM, &CAPS).unwrap();
        assert_eq!(
            (verified.payer, Some(verified.fee_payer)),
            (key.pubkey(), offer.request.method_details.fee_payer_key)
        );
        assert_eq!(verified.transaction.signatures[0], Signature::default());
        assert_eq!(verified.transaction.signatures[1].to_string(), charge.signature);
        assert!(charge.sponsored && charge.pushed.is_none());
        let programs = static_instructions(&verified.transaction).unwrap();
        assert!(programs[..2].iter().all(|first| first.program_id == COMPUTE_BUDGET_PROGRAM));
    }

    #[test]
    fn a_charge_that_nobody_sponsors_is_signed_whole() {
        let (key, mut offer) = (Keypair::new(), offer());
        offer.request.method_details.fee_payer_key = None;
        for way in [Way::Pull, Way::Push] {
            let charge = signed(&key, &offer, way);
            let bytes = match payload(&charge) {
                ChargePayload::Transaction(bytes) => bytes,
                ChargePayload::Signature(signature) => {
                    assert_eq!(signature.to_string(), charge.signature);
                    toll_protocol::base64_decode(charge.pushed.as_ref().unwrap()).unwrap()
                }
            };
            let transaction = decode_transaction(&bytes).unwrap();
            assert_eq!(transaction.message.static_account_keys()[0], key.pubkey());
            assert_eq!(transaction.signatures.len(), 1);
            assert!(
                transaction.signatures[0].verify(key.pubkey().as_ref(), &transaction.message.serialize())
            );
        }
    }

    #[test]
    fn equal_splits_are_paid_one_by_one() {
        let (key, mut offer) = (Keypair::new(), offer());
        let split = offer.request.method_details.splits[1].clone();
        offer.request.method_details.splits = vec![split.clone(), split];
        let charge = signed(&key, &offer, Way::Pull);
        let ChargePayload::Transaction(bytes) = payload(&charge) else { panic!("{charge:?}") };
        verify_charge(&bytes, &offer.request, &TOKEN_PROGRAM, &CAPS).unwrap();
    }
}
