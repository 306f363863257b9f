//! What a finalized block takes back.

use toll_ledger::{
    Acceptance, ChannelFixture, ChannelRecord, ChannelState, Charge, CloseLanded, CloseReason, Finality,
    Intent, SubmissionKind, SubmissionState,
};
use toll_protocol::{ChannelAccount, ChannelId, ChannelStatus};

use crate::{World, amount};

async fn record(world: &World, id: &ChannelId) -> ChannelRecord {
    world.ledger.channel(id).await.unwrap().unwrap()
}

async fn awaiting(world: &World) -> Vec<ChannelId> {
    world.ledger.awaiting_finality(9).await.unwrap().into_iter().map(|record| record.id).collect()
}

/// A channel with 100 accepted whose open is final, closed at slot 120 by a transaction of ours.
async fn closed() -> World {
    let world = World::with_deposit(1_000).await;
    let open = world.channel.account();
    assert_eq!(world.ledger.observe_finalized(&world.id, Some(&open), 100).await.unwrap(), Finality::Final);
    world.ledger.accept(&world.channel.voucher(100), Charge::of(100, 0)).await.unwrap();
    world.ledger.request_close(&world.id, CloseReason::Requested, None).await.unwrap();
    let signature = [8; 64].into();
    let close = world
        .ledger
        .record(Intent::on(SubmissionKind::Close, &[world.id]), vec![1], signature, 9)
        .await
        .unwrap();
    let landed = CloseLanded { signature, settled: amount(100), refunded: amount(900), slot: 120 };
    world.ledger.close_landed(&world.id, landed).await.unwrap();
    world.ledger.landed(close, 120, None, None).await.unwrap();
    world
}

#[tokio::test]
async fn close_is_awaited_until_a_finalized_block_shows_it() {
    let world = closed().await;
    assert_eq!(awaiting(&world).await, [world.id]);
    let over = ChannelAccount {
        status: ChannelStatus::Distributed,
        settled: amount(100),
        ..world.channel.account()
    };
    let before = record(&world, &world.id).await;

    let early = world.ledger.observe_finalized(&world.id, Some(&world.channel.account()), 119).await.unwrap();
    assert_eq!((early, awaiting(&world).await), (Finality::TooEarly, vec![world.id]));
    let last = world.ledger.observe_finalized(&world.id, Some(&over), 120).await.unwrap();

    assert_eq!((last, awaiting(&world).await), (Finality::Final, vec![]));
    assert_eq!(record(&world, &world.id).await, before);
}

#[tokio::test]
async fn close_that_did_not_happen_is_to_be_done_again() {
    let world = closed().await;

    let open = world.channel.account();
    let taken_back = world.ledger.observe_finalized(&world.id, Some(&open), 130).await.unwrap();

    let (before, after) = (ChannelState::Closed, ChannelState::Closing);
    assert_eq!(taken_back, Finality::TakenBack { before, after });
    let record = record(&world, &world.id).await;
    assert_eq!((record.state, record.close_signature, record.refunded), (after, None, None));
    assert_eq!((record.watermarks.settled, record.watermarks.accepted), (amount(0), amount(100)));
    let voucher = world.ledger.best_voucher_to_settle(&world.id, 0).await.unwrap().unwrap();
    assert_eq!(voucher.voucher.cumulative_amount, amount(100));
    let unresolved = world.ledger.unresolved().await.unwrap();
    assert_eq!(unresolved.iter().map(|one| one.kind).collect::<Vec<_>>(), [SubmissionKind::Close]);
    assert_eq!(awaiting(&world).await, []);
}

#[tokio::test]
async fn reclaim_that_did_not_happen_is_to_be_done_again() {
    let world = closed().await;
    world.ledger.observe(&world.id, None, 140).await.unwrap();
    let over = ChannelAccount {
        status: ChannelStatus::Distributed,
        settled: amount(100),
        ..world.channel.account()
    };

    let taken_back = world.ledger.observe_finalized(&world.id, Some(&over), 150).await.unwrap();

    let (before, after) = (ChannelState::Gone, ChannelState::Closed);
    assert_eq!(taken_back, Finality::TakenBack { before, after });
    assert_eq!(record(&world, &world.id).await.refunded, Some(amount(900)));
}

#[tokio::test]
async fn open_that_did_not_happen_serves_no_more() {
    for at_once in [true, false] {
        let world = World::with_deposit(1_000).await;
        let late = ChannelFixture::new(2, 1_000);
        late.record(&world.ledger).await.unwrap();
        let open = world.ledger.requested().await.unwrap().pop().unwrap();
        world.ledger.record_signed(open.id, vec![1], [8; 64].into(), 9).await.unwrap();
        world.ledger.open_landed(&late.id(), &late.account(), 150).await.unwrap();
        world.ledger.landed(open.id, 150, None, None).await.unwrap();

        if !at_once {
            // A confirmed block shows it gone before a finalized one does.
            world.ledger.observe(&late.id(), None, 151).await.unwrap();
            assert_eq!(record(&world, &late.id()).await.state, ChannelState::Gone);
        }
        world.ledger.observe_finalized(&late.id(), None, 151).await.unwrap();

        assert_eq!(record(&world, &late.id()).await.state, ChannelState::Opening);
        let open = world.ledger.submission(open.id).await.unwrap().unwrap();
        assert_eq!(open.state, SubmissionState::Recorded, "it may land again");
        world.ledger.open_landed(&late.id(), &late.account(), 160).await.unwrap();
        assert_eq!(record(&world, &late.id()).await.state, ChannelState::Open);
    }
}

/// What a finalized block of slot 130 takes back on a channel that goes on.
const STILL_OPEN: Finality = Finality::TakenBack { before: ChannelState::Open, after: ChannelState::Open };

/// A channel with 100 of 1000 accepted whose open is final.
async fn open() -> World {
    let world = World::with_deposit(1_000).await;
    let account = world.channel.account();
    assert_eq!(
        world.ledger.observe_finalized(&world.id, Some(&account), 100).await.unwrap(),
        Finality::Final
    );
    world.ledger.accept(&world.channel.voucher(100), Charge::of(100, 0)).await.unwrap();
    world
}

/// A transaction of ours that landed at slot 120 and made the account look like this.
async fn landed(world: &World, kind: SubmissionKind, account: &ChannelAccount) -> toll_ledger::SubmissionId {
    let intent = Intent::on(kind, &[world.id]);
    let id = world.ledger.record(intent, vec![1], [8; 64].into(), 9).await.unwrap();
    world.ledger.observe(&world.id, Some(account), 120).await.unwrap();
    world.ledger.landed(id, 120, None, None).await.unwrap();
    id
}

async fn state(world: &World, id: toll_ledger::SubmissionId) -> SubmissionState {
    world.ledger.submission(id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn settle_of_an_open_channel_that_did_not_happen_is_to_be_done_again() {
    let world = open().await;
    let settled = ChannelAccount { settled: amount(100), ..world.channel.account() };
    let settle = landed(&world, SubmissionKind::Settle, &settled).await;
    assert_eq!((awaiting(&world).await, world.watermarks().await.settled), (vec![world.id], amount(100)));

    let before = world.channel.account();
    let early = world.ledger.observe_finalized(&world.id, Some(&before), 119).await.unwrap();
    assert_eq!((early, world.watermarks().await.settled), (Finality::TooEarly, amount(100)));
    let taken_back = world.ledger.observe_finalized(&world.id, Some(&before), 130).await.unwrap();

    assert_eq!(taken_back, STILL_OPEN);
    let marks = world.watermarks().await;
    assert_eq!((marks.settled, marks.accepted, marks.deposit), (amount(0), amount(100), amount(1_000)));
    assert_eq!(state(&world, settle).await, SubmissionState::Recorded);
    assert_eq!(awaiting(&world).await, []);
    let next = world.ledger.accept(&world.channel.voucher(200), Charge::of(100, 1)).await.unwrap();
    assert!(matches!(next, Acceptance::Accepted(_)), "{next:?}");

    // It lands again, for good.
    world.ledger.observe(&world.id, Some(&settled), 140).await.unwrap();
    let last = world.ledger.observe_finalized(&world.id, Some(&settled), 140).await.unwrap();
    assert_eq!((last, world.watermarks().await.settled), (Finality::Final, amount(100)));
}

#[tokio::test]
async fn top_up_that_did_not_happen_is_sold_on_no_more() {
    let world = open().await;
    let topped_up = ChannelAccount { deposit: amount(1_500), ..world.channel.account() };
    let top_up = landed(&world, SubmissionKind::TopUp, &topped_up).await;
    assert_eq!((awaiting(&world).await, world.watermarks().await.deposit), (vec![world.id], amount(1_500)));

    let before = world.channel.account();
    let taken_back = world.ledger.observe_finalized(&world.id, Some(&before), 130).await.unwrap();

    assert_eq!(taken_back, STILL_OPEN);
    assert_eq!(world.watermarks().await.deposit, amount(1_000));
    assert_eq!(state(&world, top_up).await, SubmissionState::Recorded);
    let above = world.ledger.accept(&world.channel.voucher(1_001), Charge::of(901, 1)).await.unwrap();
    assert!(matches!(above, Acceptance::OverDeposit { .. }), "{above:?}");
}

#[tokio::test]
async fn what_was_accepted_on_a_top_up_that_did_not_happen_stays_owed_and_nothing_is_added() {
    let world = open().await;
    let topped_up = ChannelAccount { deposit: amount(1_500), ..world.channel.account() };
    landed(&world, SubmissionKind::TopUp, &topped_up).await;
    world.ledger.accept(&world.channel.voucher(1_200), Charge::of(1_100, 1)).await.unwrap();

    let before = world.channel.account();
    world.ledger.observe_finalized(&world.id, Some(&before), 130).await.unwrap();

    let marks = world.watermarks().await;
    assert_eq!((marks.accepted, marks.deposit), (amount(1_200), amount(1_200)));
    let more = world.ledger.accept(&world.channel.voucher(1_201), Charge::of(1, 2)).await.unwrap();
    assert!(matches!(more, Acceptance::OverDeposit { .. }), "{more:?}");
    // Once it lands again, service goes on.
    world.ledger.observe(&world.id, Some(&topped_up), 140).await.unwrap();
    let more = world.ledger.accept(&world.channel.voucher(1_201), Charge::of(1, 2)).await.unwrap();
    assert!(matches!(more, Acceptance::Accepted(_)), "{more:?}");
}
