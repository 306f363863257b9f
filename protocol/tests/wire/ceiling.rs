use ed25519_dalek::SigningKey;
use solana_pubkey::Pubkey;
use toll_protocol::*;

use crate::sample::key;

fn ceiling() -> Ceiling {
    Ceiling { channel_id: ChannelId::new([7; 32]), maximum: Amount::new(16), expires_at: 99 }
}

#[test]
fn a_ceiling_is_a_voucher_but_for_its_magic() {
    let Ceiling { channel_id, maximum: cumulative_amount, expires_at } = ceiling();
    let voucher = Voucher { channel_id, cumulative_amount, expires_at };
    assert_eq!(ceiling().encode()[..2], CEILING_MAGIC);
    assert_eq!(ceiling().encode()[2..], voucher.encode()[2..]);
    assert_eq!(Ceiling::decode(&ceiling().encode()), Ok(ceiling()));
}

#[test]
fn neither_reads_as_the_other() {
    let Ceiling { channel_id, maximum: cumulative_amount, expires_at } = ceiling();
    let voucher = Voucher { channel_id, cumulative_amount, expires_at };
    assert_eq!(Voucher::decode(&ceiling().encode()), Err(BadMagic));
    assert_eq!(Ceiling::decode(&voucher.encode()), Err(BadMagic));
    assert_eq!(BatchMessage::decode(&ceiling().encode()), Err(BatchError::BadMagic));
}

#[test]
fn a_ceiling_expires_as_a_voucher_does() {
    for (expires_at, now, expired) in [(0, i64::MAX, false), (5, 4, false), (5, 5, true), (-1, 0, true)] {
        assert_eq!(Ceiling { expires_at, ..ceiling() }.is_expired(now), expired);
    }
}

#[test]
fn a_signature_is_good_for_its_ceiling_and_key_and_for_no_voucher() {
    let signing = SigningKey::from_bytes(&[3; 32]);
    let signed = SignedCeiling::sign(ceiling(), &signing);
    let signer = Pubkey::new_from_array(signing.verifying_key().to_bytes());
    assert!(signed.is_signed_by(&signer));
    assert!(!signed.is_signed_by(&key(4)));
    let other = Ceiling { maximum: Amount::new(17), ..ceiling() };
    assert!(!SignedCeiling { ceiling: other, ..signed.clone() }.is_signed_by(&signer));

    let Ceiling { channel_id, maximum: cumulative_amount, expires_at } = ceiling();
    let voucher = Voucher { channel_id, cumulative_amount, expires_at };
    let as_voucher = SignedVoucher { voucher, signer, signature: signed.signature };
    assert_eq!(as_voucher.verify(&channel_id, &signer), Err(VoucherError::Signature));
    // A gateway that reads the proof sees no voucher in it either.
    assert_eq!(decode_ed25519(&ed25519_verify_ceiling(&signed).data), Err(InstructionError::Ed25519));
}
