use ed25519_dalek::SigningKey;
use solana_pubkey::Pubkey;
use toll_protocol::*;

use crate::sample::key;

fn id(byte: u8) -> ChannelId {
    ChannelId::new([byte; 32])
}

fn batch(targets: &[(u8, u64)]) -> Result<BatchVoucher, BatchError> {
    let targets = targets.iter().map(|(byte, target)| (id(*byte), Amount::new(*target))).collect();
    BatchVoucher::new(key(9), targets, 77)
}

#[test]
fn a_batch_is_put_in_order_and_reads_back() {
    let batch = batch(&[(3, 30), (1, 10), (2, 20)]).expect("a batch");
    let channels: Vec<_> = batch.channels().copied().collect();
    assert_eq!(channels, [id(1), id(2), id(3)]);
    let bytes = batch.encode();
    assert_eq!(bytes.len(), batch_size(3));
    assert_eq!(bytes[..3], [0x56, 0x02, 3]);
    let message = BatchMessage::decode(&bytes).expect("a batch");
    assert_eq!((message.count(), message.expires_at()), (3, 77));
    assert_eq!(*message.channels_hash(), batch.channels_hash());
    assert_eq!(message.targets().map(Amount::get).collect::<Vec<_>>(), [10, 20, 30]);
    assert_eq!(BatchVoucher::decode(&bytes, key(9), &channels), Some(batch));
}

#[test]
fn a_batch_reads_back_for_its_own_channels_and_program_only() {
    let batch = batch(&[(1, 10), (2, 20)]).expect("a batch");
    let bytes = batch.encode();
    let read = |program: Pubkey, channels: &[u8]| {
        let channels: Vec<_> = channels.iter().map(|byte| id(*byte)).collect();
        BatchVoucher::decode(&bytes, program, &channels)
    };
    assert!(read(key(9), &[1, 2]).is_some());
    assert_eq!(read(key(8), &[1, 2]), None);
    for channels in [&[2, 1][..], &[1, 3], &[1], &[1, 2, 3], &[]] {
        assert_eq!(read(key(9), channels), None, "{channels:?}");
    }
}

#[test]
fn empty_batches_zero_targets_and_repeated_channels_are_refused() {
    assert_eq!(batch(&[]), Err(BatchError::Size));
    assert_eq!(batch(&[(1, 1), (2, 0)]), Err(BatchError::ZeroTarget));
    assert_eq!(batch(&[(1, 1), (2, 2), (1, 3)]), Err(BatchError::DuplicateChannel));
    let many = |count: u8| batch(&(1..=count).map(|byte| (byte, 1)).collect::<Vec<_>>());
    assert!(many(60).is_ok());
    assert_eq!(many(61), Err(BatchError::Size));
}

#[test]
fn no_batch_is_as_long_as_a_voucher() {
    assert!((1..=MAX_BATCH).all(|count| batch_size(count) != VOUCHER_SIZE));
}

#[test]
fn messages_of_another_shape_are_refused() {
    let bytes = batch(&[(1, 10), (2, 20)]).expect("a batch").encode();
    for size in 2..bytes.len() {
        assert_eq!(BatchMessage::decode(&bytes[..size]), Err(BatchError::Size), "{size} bytes");
    }
    assert_eq!(BatchMessage::decode(&[bytes.as_slice(), &[0]].concat()), Err(BatchError::Size));
    for magic in [[0x56, 0x01], [0x57, 0x02], [0, 0]] {
        let changed = [&magic, &bytes[2..]].concat();
        assert_eq!(BatchMessage::decode(&changed), Err(BatchError::BadMagic));
    }
    assert_eq!(BatchMessage::decode(&[0x56]), Err(BatchError::BadMagic));
    let empty = [&[0x56, 0x02, 0][..], &[0; 40]].concat();
    assert_eq!(BatchMessage::decode(&empty), Err(BatchError::Size));
}

#[test]
fn a_batch_expires_as_a_voucher_does() {
    for (expires_at, now, expired) in
        [(0, i64::MAX, false), (5, 4, false), (5, 5, true), (-1, i64::MIN + 9, false)]
    {
        let batch = BatchVoucher::new(key(9), vec![(id(1), Amount::new(1))], expires_at).expect("a batch");
        let bytes = batch.encode();
        let voucher = Voucher { channel_id: id(1), cumulative_amount: Amount::new(1), expires_at };
        let message = BatchMessage::decode(&bytes).expect("a batch");
        assert_eq!((message.is_expired(now), voucher.is_expired(now)), (expired, expired));
    }
}

#[test]
fn a_signature_is_good_for_its_batch_and_key() {
    let signing = SigningKey::from_bytes(&[3; 32]);
    let signed = SignedBatch::sign(batch(&[(1, 10)]).expect("a batch"), &signing);
    let signer = Pubkey::new_from_array(signing.verifying_key().to_bytes());
    assert!(signed.is_signed_by(&signer));
    assert!(!signed.is_signed_by(&key(4)));
    let other = SignedBatch { batch: batch(&[(1, 11)]).expect("a batch"), ..signed };
    assert!(!other.is_signed_by(&signer));
}

#[test]
fn the_instructions_read_back_and_any_change_shows() {
    let signing = SigningKey::from_bytes(&[3; 32]);
    let signed = SignedBatch::sign(batch(&[(1, 10), (2, 20)]).expect("a batch"), &signing);
    let (proof, settle) = (ed25519_verify_batch(&signed), settle_batch(&signed.batch));
    let keys: Vec<_> = settle.accounts.iter().map(|meta| meta.pubkey).collect();
    assert_eq!(keys, [INSTRUCTIONS_SYSVAR, key(1), key(2), event_authority(&key(9)), key(9)]);
    assert_eq!((settle.program_id, &settle.data), (key(9), &vec![10]));
    let writable: Vec<_> = settle.accounts.iter().map(|meta| meta.is_writable).collect();
    assert_eq!(writable, [false, true, true, false, false]);
    assert!(settle.accounts.iter().all(|meta| !meta.is_signer));
    assert_eq!(decode_settle_batch(&proof.data, &key(9), &keys), Ok(signed.clone()));
    let named = ChannelInstruction::SettleBatch(vec![id(1), id(2)]);
    assert_eq!(ChannelInstruction::decode(&settle.data, &keys), Ok(named.clone()));
    // The same without the two for events, and with one of them.
    assert_eq!(decode_settle_batch(&proof.data, &key(9), &keys[..3]), Ok(signed));
    assert_eq!(ChannelInstruction::decode(&settle.data, &keys[..3]), Ok(named));
    assert_eq!(decode_settle_batch(&proof.data, &key(9), &keys[..4]), Err(InstructionError::Batch));
    assert_eq!(decode_settle_batch(&proof.data, &key(9), &keys[..1]), Err(InstructionError::Batch));
    // The header, and what the hash is over; key, signature and targets are the signature's own to check.
    for index in (0..16).chain(112..115).chain(123..155) {
        let mut changed = proof.data.clone();
        changed[index] ^= 1;
        let read = decode_settle_batch(&changed, &key(9), &keys);
        assert_eq!(read, Err(InstructionError::Batch), "byte {index}");
    }
}
