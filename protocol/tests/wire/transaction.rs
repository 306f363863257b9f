use solana_hash::Hash;
use solana_message::{Message, VersionedMessage, v0};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::*;

use crate::sample::*;

fn sponsored(message: VersionedMessage) -> VersionedTransaction {
    let signatures = vec![Signature::default(); usize::from(message.header().num_required_signatures)];
    VersionedTransaction { signatures, message }
}

fn v0_open() -> VersionedTransaction {
    let open = open();
    let instructions = [compute_unit_limit(100_000), open.instruction()];
    let message = v0::Message::try_compile(
        &open.agreement.rent_payer,
        &instructions,
        &[],
        Hash::new_from_array([7; 32]),
    );
    sponsored(VersionedMessage::V0(message.expect("the instructions fit a message")))
}

#[test]
fn legacy_and_version_0_transactions_read_back() {
    let open = open();
    let legacy = Message::new(&[open.instruction()], Some(&open.agreement.rent_payer));
    for transaction in [sponsored(VersionedMessage::Legacy(legacy)), v0_open()] {
        let bytes = encode_transaction(&transaction);
        assert!(bytes.len() <= MAX_TRANSACTION);
        assert_eq!(decode_transaction(&bytes), Ok(transaction));
    }
}

#[test]
fn bytes_after_or_missing_from_a_transaction_are_refused() {
    let bytes = encode_transaction(&v0_open());
    assert_eq!(decode_transaction(&[bytes.as_slice(), &[0]].concat()), Err(TransactionError::Malformed));
    for end in 0..bytes.len() {
        assert_eq!(decode_transaction(&bytes[..end]), Err(TransactionError::Malformed), "{end}");
    }
}

#[test]
fn transaction_larger_than_the_network_carries_is_refused() {
    let bytes = vec![0; MAX_TRANSACTION + 1];
    assert_eq!(decode_transaction(&bytes), Err(TransactionError::TooLarge(MAX_TRANSACTION + 1)));
}

#[test]
fn transaction_with_a_signature_too_few_is_refused() {
    let mut transaction = v0_open();
    transaction.signatures.pop();
    assert_eq!(decode_transaction(&encode_transaction(&transaction)), Err(TransactionError::Inconsistent));
}

#[test]
fn transaction_with_an_index_out_of_range_is_refused() {
    let mut transaction = v0_open();
    let VersionedMessage::V0(message) = &mut transaction.message else { panic!("a version 0 message") };
    message.instructions[1].accounts[0] = 200;
    assert_eq!(decode_transaction(&encode_transaction(&transaction)), Err(TransactionError::Inconsistent));
}

#[test]
fn later_message_versions_are_refused() {
    let mut bytes = encode_transaction(&v0_open());
    // One count, two signatures, then the version.
    let version = 1 + 2 * 64;
    assert_eq!(bytes[version], 0x80);
    for later in [0x81, 0x82, 0xff] {
        bytes[version] = later;
        assert!(decode_transaction(&bytes).is_err(), "{later:#x}");
    }
}

#[test]
fn instructions_come_out_as_they_went_in() {
    let open = open();
    let instructions = static_instructions(&v0_open()).expect("no lookup tables");
    assert_eq!(instructions, [compute_unit_limit(100_000), open.instruction()]);
    let keys: Vec<Pubkey> = instructions[1].accounts.iter().map(|meta| meta.pubkey).collect();
    assert_eq!(Open::decode(&instructions[1].data, &keys), Ok(open));
}

#[test]
fn fee_payer_is_a_writable_signer_wherever_it_appears() {
    let channel = channel();
    let message = Message::new(&[channel.request_close()], Some(&channel.payer));
    let instructions = static_instructions(&sponsored(VersionedMessage::Legacy(message))).expect("static");
    let payer = &instructions[0].accounts[0];
    assert!(payer.is_signer && payer.is_writable);
}

#[test]
fn lookup_tables_are_refused() {
    let mut transaction = v0_open();
    let VersionedMessage::V0(message) = &mut transaction.message else { panic!("a version 0 message") };
    message.address_table_lookups = vec![v0::MessageAddressTableLookup {
        account_key: key(1),
        writable_indexes: vec![0],
        readonly_indexes: vec![],
    }];
    let transaction = decode_transaction(&encode_transaction(&transaction)).expect("well formed");
    assert_eq!(static_instructions(&transaction), Err(TransactionError::LookupTables));
}
