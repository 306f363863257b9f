use solana_pubkey::Pubkey;
use toll_protocol::*;

use crate::sample::key;

const TAG: [u8; 8] = [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];
const SKIPPED: [u8; 8] = [0x0f, 0x31, 0xc4, 0x67, 0x38, 0x80, 0x54, 0xfe];
const VACANT: [u8; 8] = [0x6a, 0x77, 0x52, 0x65, 0x20, 0x58, 0x1c, 0xb0];

fn vacant(byte: u8) -> Vec<u8> {
    [&TAG[..], &VACANT, &[byte; 32]].concat()
}

/// What a reader makes of the program's invocation with `data` and of others around it.
fn read(status: Result<(), &str>, data: &[u8], accounts: &[Pubkey]) -> Result<Vec<ChannelEvent>, EventError> {
    let (program, token_program) = (key(9), TOKEN_PROGRAM);
    let invocations = [
        Invocation { program: &token_program, accounts: &[key(1), key(2)], data: &[12, 0] },
        Invocation { program: &program, accounts, data },
    ];
    ChannelEvent::of_transaction(&status, &program, invocations)
}

#[test]
fn a_transaction_that_succeeded_tells_its_events() {
    let events = read(Ok(()), &vacant(5), &[event_authority(&key(9))]);
    assert_eq!(events, Ok(vec![ChannelEvent::Vacant { channel: ChannelId::new([5; 32]) }]));
}

#[test]
fn a_transaction_that_failed_tells_nothing() {
    assert_eq!(read(Err("custom program error"), &vacant(5), &[event_authority(&key(9))]), Ok(Vec::new()));
}

#[test]
fn what_the_event_authority_did_not_sign_is_no_event() {
    for accounts in [&[event_authority(&key(8))][..], &[], &[event_authority(&key(9)), key(1)]] {
        assert_eq!(read(Ok(()), &vacant(5), accounts), Ok(Vec::new()));
    }
    let (program, data) = (key(8), vacant(5));
    let foreign = Invocation { program: &program, accounts: &[event_authority(&key(9))], data: &data };
    assert_eq!(ChannelEvent::of_transaction(&Ok::<_, ()>(()), &key(9), [foreign]), Ok(Vec::new()));
    assert_eq!(read(Ok(()), &[5], &[event_authority(&key(9))]), Ok(Vec::new()));
}

#[test]
fn an_event_of_another_version_is_an_error_and_not_left_out() {
    let unknown = [&TAG[..], &[1; 8], &[5; 32]].concat();
    assert_eq!(read(Ok(()), &unknown, &[event_authority(&key(9))]), Err(EventError::Unknown([1; 8])));
}

#[test]
fn a_skipped_channel_is_named_with_its_reason() {
    let skipped = |reason: u8| {
        let body = [&[5; 32][..], &70u64.to_le_bytes(), &60u64.to_le_bytes(), &[reason]].concat();
        ChannelEvent::decode(&[&TAG[..], &SKIPPED, &body].concat())
    };
    let expected = |reason| ChannelEvent::Skipped {
        channel: ChannelId::new([5; 32]),
        target: Amount::new(70),
        settled: Amount::new(60),
        reason,
    };
    assert_eq!(skipped(0), Ok(expected(SkipReason::Sealed)));
    assert_eq!(skipped(1), Ok(expected(SkipReason::GracePeriodOver)));
    assert_eq!(skipped(2), Err(EventError::Body(49)));
    assert_eq!(skipped(0).map(|event| event.channel()), Ok(ChannelId::new([5; 32])));
}
