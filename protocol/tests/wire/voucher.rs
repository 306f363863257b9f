use ed25519_dalek::Verifier;
use sha2::{Digest, Sha512};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::*;

use crate::sample::*;

/// The curve's points of order 8 and below, in their canonical encodings.
const SMALL_ORDER: [[u8; 32]; 3] = {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut order_two = [0xff; 32];
    order_two[0] = 0xec;
    order_two[31] = 0x7f;
    [identity, [0; 32], order_two]
};

#[test]
fn a_good_voucher_verifies_and_keeps_its_signature() {
    let signed = voucher(16);
    let verified = signed.verify(&channel_id(), &signed.signer).expect("the voucher is good");
    assert_eq!(verified.signed(), &signed);
    assert_eq!(verified.voucher().cumulative_amount, Amount::new(16));
    assert_eq!(verified.into_signed(), signed);
}

#[test]
fn voucher_for_another_channel_is_refused() {
    let (signed, expected) = (voucher(16), ChannelId::from(key(9)));
    let error = VoucherError::ChannelMismatch { expected, found: channel_id() };
    assert_eq!(signed.verify(&expected, &signed.signer), Err(error));
}

#[test]
fn voucher_by_another_key_is_refused() {
    let signed = voucher(16);
    let error = VoucherError::SignerMismatch { expected: pubkey(&payer()), found: signed.signer };
    assert_eq!(signed.verify(&channel_id(), &pubkey(&payer())), Err(error));
}

#[test]
fn voucher_naming_a_key_that_did_not_sign_is_refused() {
    let signed = SignedVoucher { signer: pubkey(&payer()), ..voucher(16) };
    assert_eq!(signed.verify(&channel_id(), &signed.signer), Err(VoucherError::Signature));
}

#[test]
fn every_changed_field_breaks_the_signature() {
    let signed = voucher(16);
    let raised = Voucher { cumulative_amount: Amount::new(17), ..signed.voucher };
    let extended = Voucher { expires_at: 1, ..signed.voucher };
    for voucher in [raised, extended] {
        let changed = SignedVoucher { voucher, ..signed.clone() };
        assert_eq!(changed.verify(&channel_id(), &signed.signer), Err(VoucherError::Signature));
    }
}

#[test]
fn every_flipped_bit_of_the_signature_is_refused() {
    let signed = voucher(16);
    for bit in 0..512 {
        let mut bytes = *signed.signature.as_array();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = SignedVoucher { signature: Signature::from(bytes), ..signed.clone() };
        assert_eq!(changed.verify(&channel_id(), &signed.signer), Err(VoucherError::Signature), "bit {bit}");
    }
}

// Adding the group order to the scalar gives a second signature that a lax verifier accepts.
#[test]
fn malleable_signature_is_refused() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let signed = voucher(16);
    let mut bytes = *signed.signature.as_array();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let changed = SignedVoucher { signature: Signature::from(bytes), ..signed.clone() };
    assert_eq!(changed.verify(&channel_id(), &signed.signer), Err(VoucherError::Signature));
}

// With the identity for R and s = H(R, A, M)·a the plain equation holds, but not the strict rules. The
// precompile is strict too: accepting this would be accepting a voucher that cannot settle.
#[test]
fn signature_with_a_point_of_small_order_is_refused() {
    let (key, signed) = (voucher_key(), voucher(16));
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let message = signed.voucher.encode();
    let hash = Sha512::new().chain_update(&bytes[..32]).chain_update(signed.signer).chain_update(message);
    let secret = key.to_scalar();
    let mut s = secret - secret;
    for byte in hash.finalize().into_iter().rev() {
        for bit in (0..8).rev() {
            s += s;
            if byte >> bit & 1 == 1 {
                s += secret;
            }
        }
    }
    bytes[32..].copy_from_slice(s.as_bytes());

    let lax = key.verifying_key().verify(&message, &ed25519_dalek::Signature::from_bytes(&bytes));
    assert!(lax.is_ok(), "the plain equation holds");
    let forged = SignedVoucher { signature: Signature::from(bytes), ..signed.clone() };
    assert_eq!(forged.verify(&channel_id(), &signed.signer), Err(VoucherError::Signature));
}

// Under a key of small order one signature fits many messages: R = A, s = 0.
#[test]
fn keys_of_small_order_are_refused() {
    for bytes in SMALL_ORDER {
        let signer = Pubkey::new_from_array(bytes);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&bytes);
        let forged = SignedVoucher { signer, signature: Signature::from(signature), ..voucher(16) };
        assert_eq!(forged.verify(&channel_id(), &signer), Err(VoucherError::UnusableKey(signer)));
        assert!(!is_voucher_key(&signer));
    }
}

#[test]
fn keys_off_the_curve_are_refused() {
    let (address, _) = terms().address(&PROGRAM_ID);
    let signer = address.pubkey();
    let forged = SignedVoucher { signer, ..voucher(16) };
    assert_eq!(forged.verify(&channel_id(), &signer), Err(VoucherError::UnusableKey(signer)));
    assert!(!is_voucher_key(&signer));
    assert!(is_voucher_key(&pubkey(&voucher_key())));
}

#[test]
fn expiry_counts_from_its_own_second_and_zero_never_expires() {
    let at = |expires_at| Voucher { expires_at, ..voucher(16).voucher };
    assert!(!at(1_000).is_expired(999));
    assert!(at(1_000).is_expired(1_000));
    assert!(!at(0).is_expired(i64::MAX));
    assert!(at(-1).is_expired(0));
}

#[test]
fn message_with_another_magic_is_no_voucher() {
    for magic in [[0x56, 0x02], [0x57, 0x01], [0, 0]] {
        let mut bytes = voucher(16).voucher.encode();
        bytes[..2].copy_from_slice(&magic);
        assert_eq!(Voucher::decode(&bytes), Err(BadMagic));
    }
}

#[test]
fn debug_shows_no_signature() {
    let (signed, proof) = (voucher(16), proof());
    let verified = signed.verify(&channel_id(), &signed.signer).expect("the voucher is good");
    let shown = format!("{signed:?} {verified:?} {proof:?}");
    assert!(!shown.contains(&signed.signature.to_string()));
    assert!(!shown.contains(&proof.signature.to_string()));
    assert!(shown.contains("SignedVoucher") && shown.contains("Authentication"));
}

#[test]
fn absent_expiry_and_zero_are_one_voucher() {
    let mut json = voucher(16).to_json();
    assert!(json["voucher"].get("expiresAt").is_none());
    json["voucher"]["expiresAt"] = 0.into();
    assert_eq!(SignedVoucher::from_json(&json), Ok(voucher(16)));
}

#[test]
fn unknown_members_of_a_voucher_are_ignored() {
    let mut json = voucher(16).to_json();
    json["voucher"]["nonce"] = 7.into();
    json["note"] = "x".into();
    assert_eq!(SignedVoucher::from_json(&json), Ok(voucher(16)));
}

#[test]
fn proof_binds_channel_challenge_and_payer() {
    let (proof, payer) = (proof(), pubkey(&payer()));
    assert_eq!(proof.verify(&channel_id(), "opening", &payer), Ok(()));
    assert_eq!(proof.verify(&ChannelId::from(key(9)), "opening", &payer), Err(ProofError::Signature));
    let (expected, found) = ("other".to_owned(), "opening".to_owned());
    assert_eq!(
        proof.verify(&channel_id(), "other", &payer),
        Err(ProofError::ChallengeMismatch { expected, found })
    );
    assert_eq!(
        proof.verify(&channel_id(), "opening", &key(9)),
        Err(ProofError::PayerMismatch { expected: key(9), found: payer })
    );
    let renamed = Authentication { challenge_id: "other".to_owned(), ..proof };
    assert_eq!(renamed.verify(&channel_id(), "other", &payer), Err(ProofError::Signature));
}
