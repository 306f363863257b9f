//! Stopping service, by request and for idleness, and keeping the final accounts.

use solana_signature::Signature;
use toll_ledger::{
    Acceptance, ChannelFixture, ChannelState, Charge, CloseLanded, CloseReason, CloseRequested,
    IdleCloseRequested, Intent, SubmissionKind,
};
use toll_protocol::{ChannelStatus, VerifiedVoucher};

use crate::{START, World, amount};

/// 1,000 deposited, 150 accepted, 100 spent, `settled` settled.
async fn world(settled: u64) -> World {
    let world = World::with_deposit(1_000).await;
    world.ledger.accept(&world.channel.voucher(100), Charge::of(100, 0)).await.unwrap();
    let ahead = Charge { headroom: amount(50), ..Charge::of(0, 1) };
    world.ledger.accept(&world.channel.voucher(150), ahead).await.unwrap();
    let mut account = world.channel.account();
    account.settled = amount(settled);
    world.ledger.observe(&world.id, Some(&account), 110).await.unwrap();
    world
}

impl World {
    async fn close(&self, voucher: Option<&VerifiedVoucher>) -> CloseRequested {
        self.ledger.request_close(&self.id, CloseReason::Requested, voucher).await.unwrap()
    }

    async fn refuse_close(&self, voucher: Option<&VerifiedVoucher>) -> CloseRequested {
        let before = self.dump();
        let outcome = self.close(voucher).await;
        assert_eq!(self.dump(), before);
        outcome
    }
}

#[tokio::test]
async fn request_stops_service_at_once() {
    let world = world(0).await;
    world.clock.advance(3);
    assert_eq!(world.close(None).await, CloseRequested::Recorded);
    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!(record.state, ChannelState::Closing);
    assert_eq!((record.close_reason, record.closing_at), (Some(CloseReason::Requested), Some(START + 3)));
    let acceptance = world.ledger.accept(&world.channel.voucher(166), Charge::of(16, 2)).await.unwrap();
    assert_eq!(acceptance, Acceptance::NotOpen(ChannelState::Closing));
}

#[tokio::test]
async fn second_request_changes_nothing() {
    let world = world(0).await;
    world.close(Some(&world.channel.voucher(150))).await;
    assert_eq!(world.refuse_close(Some(&world.channel.voucher(120))).await, CloseRequested::AlreadyClosing);
}

#[tokio::test]
async fn voucher_shown_at_close_is_the_one_to_settle() {
    for (cumulative, accepted) in [(100, 150), (130, 150), (150, 150), (400, 400), (1_000, 1_000)] {
        let world = world(0).await;
        let voucher = world.channel.voucher(cumulative);
        assert_eq!(world.close(Some(&voucher)).await, CloseRequested::Recorded, "{cumulative}");
        let best = world.ledger.best_voucher_to_settle(&world.id, START).await.unwrap();
        assert_eq!(best.as_ref(), Some(voucher.signed()));
        let watermarks = world.watermarks().await;
        assert_eq!((watermarks.accepted, watermarks.spent), (amount(accepted), amount(100)));
    }
}

#[tokio::test]
async fn close_voucher_below_spent_is_refused() {
    let world = world(0).await;
    let watermarks = world.watermarks().await;
    let outcome = world.refuse_close(Some(&world.channel.voucher(99))).await;
    assert_eq!(outcome, CloseRequested::VoucherTooLow { watermarks });
}

#[tokio::test]
async fn close_voucher_that_the_chain_shows_is_refused() {
    let world = world(150).await;
    for cumulative in [0, 120, 150] {
        let outcome = world.refuse_close(Some(&world.channel.voucher(cumulative))).await;
        assert_eq!(outcome, CloseRequested::VoucherPublished { up_to: amount(150) });
    }
    assert_eq!(world.close(Some(&world.channel.voucher(151))).await, CloseRequested::Recorded);
}

#[tokio::test]
async fn close_voucher_over_the_deposit_is_refused() {
    let world = world(0).await;
    let watermarks = world.watermarks().await;
    let outcome = world.refuse_close(Some(&world.channel.voucher(1_001))).await;
    assert_eq!(outcome, CloseRequested::OverDeposit { watermarks });
}

#[tokio::test]
async fn channel_that_never_opened_cannot_close() {
    let world = world(0).await;
    let opening = ChannelFixture::new(2, 1_000);
    opening.record(&world.ledger).await.unwrap();
    let outcome = world.ledger.request_close(&opening.id(), CloseReason::Shutdown, None).await.unwrap();
    assert_eq!(outcome, CloseRequested::NotOpen(ChannelState::Opening));
    let stranger = ChannelFixture::new(9, 1).id();
    let outcome = world.ledger.request_close(&stranger, CloseReason::Shutdown, None).await.unwrap();
    assert_eq!(outcome, CloseRequested::Unknown);
}

#[tokio::test]
async fn landed_close_keeps_the_final_accounts_for_whoever_asks_again() {
    let world = world(0).await;
    world.close(Some(&world.channel.voucher(150))).await;
    let signature = Signature::from([6; 64]);
    let landed = CloseLanded { signature, settled: amount(150), refunded: amount(850), slot: 130 };

    world.ledger.close_landed(&world.id, landed).await.unwrap();

    let closed = CloseRequested::Closed {
        signature: Some(signature),
        settled: amount(150),
        refunded: Some(amount(850)),
    };
    assert_eq!(world.refuse_close(None).await, closed);
    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.watermarks.payout_watermark), (ChannelState::Closed, amount(150)));
    world.ledger.observe(&world.id, None, 131).await.unwrap();
    assert_eq!(world.refuse_close(None).await, closed);
    world.ledger.close_landed(&world.id, landed).await.unwrap();
    assert_eq!(world.ledger.channel(&world.id).await.unwrap().unwrap().state, ChannelState::Gone);
}

#[tokio::test]
async fn landed_close_counts_a_deposit_that_was_never_observed() {
    let world = world(0).await;
    world.close(None).await;
    let landed = CloseLanded {
        signature: Signature::from([6; 64]),
        settled: amount(150),
        refunded: amount(1_350),
        slot: 130,
    };
    world.ledger.close_landed(&world.id, landed).await.unwrap();
    assert_eq!(world.watermarks().await.deposit, amount(1_500));
}

#[tokio::test]
async fn submission_of_a_close_leaves_its_signature_when_it_lands() {
    let world = world(0).await;
    world.close(None).await;
    let signature = Signature::from([6; 64]);
    let id = world
        .ledger
        .record(Intent::on(SubmissionKind::Close, &[world.id]), vec![1], signature, 500)
        .await
        .unwrap();
    assert_eq!(world.ledger.channel(&world.id).await.unwrap().unwrap().close_signature, None);
    world.ledger.landed(id, 130, Some(5_000), Some(600)).await.unwrap();
    assert_eq!(world.ledger.channel(&world.id).await.unwrap().unwrap().close_signature, Some(signature));
}

#[tokio::test]
async fn channel_is_idle_exactly_at_its_timeout() {
    let world = world(0).await;
    assert!(world.ledger.idle_channels(START + 599).await.unwrap().is_empty());
    assert_eq!(world.ledger.idle_channels(START + 600).await.unwrap(), [world.id]);
    let outcome = world.ledger.request_idle_close(&world.id, START + 599).await.unwrap();
    assert_eq!(outcome, IdleCloseRequested::NotIdle { last_activity_at: START });
    let outcome = world.ledger.request_idle_close(&world.id, START + 600).await.unwrap();
    assert_eq!(outcome, IdleCloseRequested::Recorded);
    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.close_reason), (ChannelState::Closing, Some(CloseReason::Idle)));
    assert!(world.ledger.idle_channels(START + 600).await.unwrap().is_empty());
}

#[tokio::test]
async fn voucher_accepted_after_the_idle_list_was_made_keeps_the_channel_open() {
    let world = world(0).await;
    world.clock.advance(600);
    assert_eq!(world.ledger.idle_channels(START + 600).await.unwrap(), [world.id]);
    let charge = Charge { headroom: amount(50), ..Charge::of(16, 2) };
    world.ledger.accept(&world.channel.voucher(166), charge).await.unwrap();
    let before = world.dump();

    let outcome = world.ledger.request_idle_close(&world.id, START + 600).await.unwrap();

    assert_eq!(outcome, IdleCloseRequested::NotIdle { last_activity_at: START + 600 });
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn refusals_and_replays_are_no_activity() {
    let world = world(0).await;
    world.clock.advance(600);
    world.ledger.accept(&world.channel.voucher(100), Charge::of(100, 0)).await.unwrap();
    world.ledger.accept(&world.channel.voucher(150), Charge::of(16, 3)).await.unwrap();
    assert_eq!(world.ledger.idle_channels(START + 600).await.unwrap(), [world.id]);
}

#[tokio::test]
async fn landed_top_up_is_activity() {
    let world = world(0).await;
    let toll_ledger::RecordedTopUp::Recorded(id) =
        world.ledger.record_top_up(&world.id, amount(500), vec![1]).await.unwrap()
    else {
        panic!()
    };
    world.ledger.record_signed(id, vec![2], Signature::from([3; 64]), 500).await.unwrap();
    world.clock.advance(599);
    world.ledger.landed(id, 130, None, None).await.unwrap();
    assert!(world.ledger.idle_channels(START + 600).await.unwrap().is_empty());
    assert_eq!(world.ledger.channel(&world.id).await.unwrap().unwrap().last_activity_at, START + 599);
}

#[tokio::test]
async fn only_open_channels_are_idle() {
    let world = world(0).await;
    let mut account = world.channel.account();
    account.status = ChannelStatus::Closing;
    world.ledger.observe(&world.id, Some(&account), 120).await.unwrap();
    assert!(world.ledger.idle_channels(i64::MAX).await.unwrap().is_empty());
    let outcome = world.ledger.request_idle_close(&world.id, i64::MAX).await.unwrap();
    assert_eq!(outcome, IdleCloseRequested::NotOpen(ChannelState::Closing));
    let stranger = ChannelFixture::new(9, 1).id();
    let outcome = world.ledger.request_idle_close(&stranger, i64::MAX).await.unwrap();
    assert_eq!(outcome, IdleCloseRequested::Unknown);
}
