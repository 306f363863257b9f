use std::mem::size_of;

use toll_protocol::Amount;

use super::*;
use crate::{Acceptance, ChannelFixture, Charge, ManualClock};

const START: i64 = 1_790_000_000;

/// What an entry of the map takes besides its key and value: a hash, two links and two counts of references.
const ENTRY: usize = 64;

fn ledger(most: u32) -> Ledger {
    Ledger::temporary_with(ManualClock::new(START), |config| config.book_channels = most)
}

#[test]
fn an_idle_channel_takes_no_more_than_a_kilobyte() {
    // A challenge's id of 43 characters, and a unit's name.
    let text = 43 + 13;
    let bytes = size_of::<BookedChannel>() + size_of::<[u8; 8]>() + ENTRY + text;
    assert!(bytes <= 1_024, "{bytes} bytes");
}

#[tokio::test]
async fn the_book_forgets_the_channel_that_was_longest_without_a_request() {
    let ledger = ledger(2);
    let mut ids = Vec::new();
    for salt in 0..3 {
        ids.push(ChannelFixture::new(salt, 1_000).open(&ledger).await.unwrap());
    }
    for id in [&ids[0], &ids[1], &ids[0], &ids[2]] {
        ledger.booked(id).await.unwrap().unwrap();
    }
    assert_eq!(ledger.book().len(), 2);
    let is_in = |id| ledger.book().standing(id).is_some();
    assert!(is_in(&ids[0]) && is_in(&ids[2]) && !is_in(&ids[1]));
}

#[tokio::test]
async fn what_is_accepted_is_in_the_book_and_what_is_refused_is_not() {
    let ledger = ledger(10);
    let channel = ChannelFixture::new(1, 1_000);
    let id = channel.open(&ledger).await.unwrap();
    ledger.booked(&id).await.unwrap();
    let accepted = ledger.accept(&channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    let Acceptance::Accepted(accepted) = accepted else { panic!("{accepted:?}") };
    let refused = ledger.accept(&channel.voucher(2_000), Charge::of(1_984, 2)).await.unwrap();
    assert!(matches!(refused, Acceptance::OverDeposit { .. }), "{refused:?}");

    let booked = ledger.booked(&id).await.unwrap().unwrap();
    assert!(!booked.is_fresh);
    assert_eq!(booked.channel.record.watermarks, accepted.watermarks);
    assert_eq!(booked.channel.record.watermarks.spent, Amount::new(16));
    assert_eq!(booked.channel.record, ledger.channel(&id).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_channel_that_stops_serving_leaves_the_book_when_it_is_reloaded() {
    let ledger = ledger(10);
    let channel = ChannelFixture::new(1, 1_000);
    let id = channel.open(&ledger).await.unwrap();
    ledger.booked(&id).await.unwrap();
    ledger.request_close(&id, crate::CloseReason::Requested, None).await.unwrap();
    let booked = ledger.booked(&id).await.unwrap().unwrap();
    assert_eq!(booked.channel.record.state, ChannelState::Open, "the book is behind");
    let refused = ledger.accept(&channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    assert_eq!(refused, Acceptance::NotOpen(ChannelState::Closing), "and is not trusted");
    let booked = ledger.reload(&id).await.unwrap().unwrap();
    assert_eq!(booked.channel.record.state, ChannelState::Closing);
    assert_eq!(ledger.book().len(), 0);
}
