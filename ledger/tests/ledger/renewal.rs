//! Idle channels that are rearmed instead of closed.

use toll_ledger::{
    Acceptance, ChannelFixture, ChannelRecord, ChannelState, Charge, CloseReason, CloseRequested, Renewal,
    RenewalRequested,
};
use toll_protocol::{ChannelAccount, ChannelStatus};

use crate::{START, World, amount};

/// When any channel is idle. No later: databases add to it.
const LATER: i64 = 1 << 60;

const ALWAYS: Renewal = Renewal { returning: false, worth: toll_protocol::Amount::new(100), can_rearm: true };

/// A channel with 160 of 1000 accepted and spent.
async fn paid() -> World {
    let world = World::with_deposit(1_000).await;
    world.ledger.accept(&world.channel.voucher(160), Charge::of(160, 1)).await.unwrap();
    world
}

impl World {
    async fn renew(&self, renewal: Renewal, at: i64) -> RenewalRequested {
        self.ledger.request_renewal(&self.id, renewal, at).await.unwrap()
    }

    async fn found(&self) -> ChannelRecord {
        self.ledger.channel(&self.id).await.unwrap().unwrap()
    }

    /// The channel after a rearm at `settled`.
    fn rearmed(&self, settled: u64) -> ChannelAccount {
        let settled = amount(settled);
        ChannelAccount { deposit: settled, settled, payout_watermark: settled, ..self.channel.account() }
    }
}

#[tokio::test]
async fn service_stops_before_the_deposit_is_refunded_and_begins_again_after_it() {
    let world = paid().await;
    assert_eq!(world.renew(ALWAYS, START + 599).await, RenewalRequested::Not);
    assert_eq!(world.renew(ALWAYS, START + 600).await, RenewalRequested::Recorded);
    let refused = world.ledger.accept(&world.channel.voucher(176), Charge::of(16, 2)).await.unwrap();
    assert_eq!(refused, Acceptance::NotOpen(ChannelState::Closing));

    world.clock.advance(700);
    world.ledger.rearm_landed(&world.id, &world.rearmed(160), 120).await.unwrap();

    let record = world.found().await;
    assert_eq!(
        (record.state, record.renewing, record.rearmed),
        (ChannelState::Open, false, Some(amount(160)))
    );
    assert_eq!((record.close_reason, record.closing_at, record.last_activity_at), (None, None, START + 700));
    let marks = record.watermarks;
    for mark in [marks.deposit, marks.accepted, marks.spent, marks.settled, marks.payout_watermark] {
        assert_eq!(mark, amount(160));
    }
    let before = world.dump();
    world.ledger.rearm_landed(&world.id, &world.rearmed(160), 120).await.unwrap();
    assert_eq!(world.dump(), before, "a repeat changes nothing");
}

#[tokio::test]
async fn a_voucher_of_the_earlier_session_buys_nothing_in_the_next() {
    let world = paid().await;
    world.renew(ALWAYS, START + 600).await;
    world.ledger.rearm_landed(&world.id, &world.rearmed(160), 120).await.unwrap();
    let topped_up = ChannelAccount { deposit: amount(500), ..world.rearmed(160) };
    world.ledger.observe(&world.id, Some(&topped_up), 121).await.unwrap();
    let before = world.dump();

    // Under the request it bought and under another one.
    for request in [1, 2] {
        let refused =
            world.ledger.accept(&world.channel.voucher(160), Charge::of(16, request)).await.unwrap();
        assert_eq!(refused, Acceptance::Published { up_to: amount(160) });
    }

    assert_eq!(world.dump(), before);
    let next = world.ledger.accept(&world.channel.voucher(176), Charge::of(16, 2)).await.unwrap();
    assert!(matches!(next, Acceptance::Accepted(_)), "{next:?}");
}

#[tokio::test]
async fn only_a_whole_session_that_is_worth_it_is_renewed() {
    let nothing_sold = World::with_deposit(1_000).await;
    let with_headroom = World::with_deposit(1_000).await;
    let charge = Charge { headroom: amount(50), ..Charge::of(160, 1) };
    with_headroom.ledger.accept(&with_headroom.channel.voucher(200), charge).await.unwrap();
    let settled = paid().await;
    let account = ChannelAccount { settled: amount(160), ..settled.channel.account() };
    settled.ledger.observe(&settled.id, Some(&account), 120).await.unwrap();
    let of_little_worth = paid().await;
    for (world, worth) in [(nothing_sold, 0), (with_headroom, 0), (settled, 0), (of_little_worth, 161)] {
        let before = world.dump();
        let renewal = Renewal { worth: amount(worth), ..ALWAYS };
        assert_eq!(world.renew(renewal, START + 600).await, RenewalRequested::Not);
        assert_eq!(world.dump(), before);
    }
}

#[tokio::test]
async fn what_earlier_sessions_earned_does_not_count() {
    let world = paid().await;
    world.renew(ALWAYS, START + 600).await;
    world.ledger.rearm_landed(&world.id, &world.rearmed(160), 120).await.unwrap();
    let topped_up = ChannelAccount { deposit: amount(500), ..world.rearmed(160) };
    world.ledger.observe(&world.id, Some(&topped_up), 121).await.unwrap();
    world.ledger.accept(&world.channel.voucher(259), Charge::of(99, 2)).await.unwrap();
    assert_eq!(world.renew(ALWAYS, LATER).await, RenewalRequested::Not);
    world.ledger.accept(&world.channel.voucher(260), Charge::of(1, 3)).await.unwrap();
    let returning = Renewal { returning: true, ..ALWAYS };
    assert_eq!(world.renew(returning, LATER).await, RenewalRequested::Recorded, "it came back");
}

#[tokio::test]
async fn a_payer_is_expected_back_once_it_paid_on_an_earlier_channel() {
    let world = paid().await;
    let returning = Renewal { returning: true, ..ALWAYS };
    assert_eq!(world.renew(returning, START + 600).await, RenewalRequested::Not);

    world.clock.advance(10);
    let second = ChannelFixture::new(2, 1_000);
    let id = second.open(&world.ledger).await.unwrap();
    world.ledger.accept(&second.voucher(100), Charge::of(100, 2)).await.unwrap();
    let outcome = world.ledger.request_renewal(&id, returning, LATER).await.unwrap();
    assert_eq!(outcome, RenewalRequested::Recorded);
}

#[tokio::test]
async fn a_close_asked_for_meanwhile_is_not_forgotten() {
    let world = paid().await;
    world.renew(ALWAYS, START + 600).await;
    let asked = world.ledger.request_close(&world.id, CloseReason::Requested, None).await.unwrap();
    assert_eq!(asked, CloseRequested::AlreadyClosing);

    world.ledger.rearm_landed(&world.id, &world.rearmed(160), 120).await.unwrap();

    let record = world.found().await;
    assert_eq!((record.state, record.close_reason), (ChannelState::Closing, Some(CloseReason::Requested)));
    assert_eq!((record.rearmed, record.watermarks.deposit), (None, amount(160)));
}

#[tokio::test]
async fn a_channel_that_its_payer_closes_meanwhile_does_not_serve_again() {
    let world = paid().await;
    world.renew(ALWAYS, START + 600).await;
    let closing =
        ChannelAccount { status: ChannelStatus::Closing, closure_started_at: START, ..world.rearmed(160) };
    world.ledger.rearm_landed(&world.id, &closing, 120).await.unwrap();
    assert_eq!(world.found().await.state, ChannelState::Closing);
}

#[tokio::test]
async fn more_accepted_than_settled_is_not_served_on() {
    let world = paid().await;
    world.renew(ALWAYS, START + 600).await;
    world.ledger.rearm_landed(&world.id, &world.rearmed(100), 120).await.unwrap();
    let record = world.found().await;
    assert_eq!((record.state, record.watermarks.deposit), (ChannelState::Closing, amount(160)));
}

/// A channel of whose deposit of 1000 the rest stays, with 160 accepted and spent.
async fn kept() -> World {
    let world = World::with_deposit(1_000).await;
    let word = world.ledger.record_top_up_and_word(&world.id, amount(1), b"keep".to_vec(), Some(true)).await;
    assert!(matches!(word, Ok(toll_ledger::RecordedTopUp::Recorded(_))), "{word:?}");
    world.ledger.accept(&world.channel.voucher(160), Charge::of(160, 1)).await.unwrap();
    world
}

#[tokio::test]
async fn a_deposit_that_is_to_stay_is_paid_out_of_while_the_channel_sells_on() {
    let world = kept().await;
    assert_eq!(world.renew(ALWAYS, START + 599).await, RenewalRequested::Not);
    world.clock.advance(600);
    assert_eq!(world.renew(ALWAYS, START + 600).await, RenewalRequested::Kept);

    let record = world.found().await;
    assert_eq!((record.state, record.pay_out_to), (ChannelState::Open, Some(amount(160))));
    assert_eq!(record.last_activity_at, START + 600, "another idle timeout to come back in");
    let next = world.ledger.accept(&world.channel.voucher(176), Charge::of(16, 2)).await.unwrap();
    assert!(matches!(next, Acceptance::Accepted(_)), "{next:?}");
    let due: Vec<_> = world.ledger.to_pay_out(9).await.unwrap().iter().map(|record| record.id).collect();
    assert_eq!(due, [world.id]);

    // Settled first, paid out after it.
    let settled = ChannelAccount { settled: amount(160), ..world.channel.account() };
    world.ledger.observe(&world.id, Some(&settled), 120).await.unwrap();
    assert_eq!(world.found().await.pay_out_to, Some(amount(160)));
    let paid = ChannelAccount { payout_watermark: amount(160), ..settled };
    world.ledger.observe(&world.id, Some(&paid), 121).await.unwrap();
    let record = world.found().await;
    assert_eq!((record.state, record.pay_out_to), (ChannelState::Open, None));
    assert_eq!(record.watermarks.deposit, amount(1_000));
    assert!(world.ledger.to_pay_out(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_payer_that_stays_away_twice_is_not_waited_for() {
    let world = kept().await;
    world.clock.advance(600);
    world.renew(ALWAYS, START + 600).await;
    let paid =
        ChannelAccount { settled: amount(160), payout_watermark: amount(160), ..world.channel.account() };
    world.ledger.observe(&world.id, Some(&paid), 120).await.unwrap();
    let before = world.dump();
    assert_eq!(world.renew(ALWAYS, START + 1_199).await, RenewalRequested::Not);
    assert_eq!(
        world.renew(ALWAYS, START + 1_200).await,
        RenewalRequested::Not,
        "there is nothing to pay out"
    );
    assert_eq!(world.dump(), before);
    let closed = world.ledger.request_idle_close(&world.id, START + 1_200).await.unwrap();
    assert_eq!(closed, toll_ledger::IdleCloseRequested::Recorded);
}

#[tokio::test]
async fn a_deposit_that_buys_nothing_more_is_refunded_although_it_was_to_stay() {
    let world = kept().await;
    world.ledger.accept(&world.channel.voucher(985), Charge::of(825, 2)).await.unwrap();
    assert_eq!(world.renew(ALWAYS, LATER).await, RenewalRequested::Recorded);
}

#[tokio::test]
async fn what_cannot_be_paid_out_for_a_whole_timeout_is_kept_no_longer() {
    let world = kept().await;
    world.clock.advance(600);
    assert_eq!(world.renew(ALWAYS, START + 600).await, RenewalRequested::Kept);
    assert_eq!(world.renew(ALWAYS, START + 1_200).await, RenewalRequested::Recorded);
}

#[tokio::test]
async fn where_nothing_can_be_rearmed_only_what_stays_is_renewed() {
    let cannot = Renewal { can_rearm: false, ..ALWAYS };
    assert_eq!(paid().await.renew(cannot, LATER).await, RenewalRequested::Not);
    assert_eq!(kept().await.renew(cannot, LATER).await, RenewalRequested::Kept);
}

#[tokio::test]
async fn the_payers_last_word_counts() {
    let world = kept().await;
    let word =
        world.ledger.record_top_up_and_word(&world.id, amount(2), b"refund".to_vec(), Some(false)).await;
    assert!(matches!(word, Ok(toll_ledger::RecordedTopUp::Recorded(_))), "{word:?}");
    assert_eq!(world.found().await.kept_by, None);
    assert_eq!(world.renew(ALWAYS, LATER).await, RenewalRequested::Recorded);
}
