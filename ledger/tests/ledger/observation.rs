//! Copying the chain's facts: only forward, only this channel's.

use toll_ledger::{
    Acceptance, ChannelFixture, ChannelState, Charge, CloseReason, LedgerError, Observation, Watermarks,
};
use toll_protocol::{ChannelAccount, ChannelStatus, Difference};

use crate::{START, World, amount};

async fn paid() -> World {
    let world = World::with_deposit(1_000).await;
    world.ledger.accept(&world.channel.voucher(100), Charge::of(100, 0)).await.unwrap();
    world
}

impl World {
    /// The channel's account with `status` and `settled`.
    fn account(&self, status: ChannelStatus, settled: u64) -> ChannelAccount {
        ChannelAccount { status, settled: amount(settled), ..self.channel.account() }
    }

    async fn observe(&self, account: Option<&ChannelAccount>, slot: u64) -> Observation {
        self.ledger.observe(&self.id, account, slot).await.unwrap()
    }

    async fn state(&self) -> ChannelState {
        self.ledger.channel(&self.id).await.unwrap().unwrap().state
    }
}

#[tokio::test]
async fn landed_open_serves() {
    let world = World::with_deposit(1_000).await;
    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.observed_slot), (ChannelState::Open, 100));
    assert_eq!(record.chain_status, Some(ChannelStatus::Open));
}

#[tokio::test]
async fn landing_of_an_open_counts_as_activity() {
    let world = World::with_deposit(1_000).await;
    let second = ChannelFixture::new(2, 1_000);
    second.record(&world.ledger).await.unwrap();
    world.clock.advance(7);
    world.ledger.open_landed(&second.id(), &second.account(), 100).await.unwrap();
    let record = world.ledger.channel(&second.id()).await.unwrap().unwrap();
    assert_eq!((record.created_at, record.last_activity_at), (START, START + 7));
}

#[tokio::test]
async fn failed_open_that_shows_up_after_all_is_open() {
    let world = World::with_deposit(1_000).await;
    let late = ChannelFixture::new(2, 1_000);
    late.record(&world.ledger).await.unwrap();
    world.ledger.open_failed(&late.id(), "expired").await.unwrap();
    world.ledger.observe(&late.id(), Some(&late.account()), 150).await.unwrap();
    let record = world.ledger.channel(&late.id()).await.unwrap().unwrap();
    assert_eq!((record.state, record.failure), (ChannelState::Open, None));
}

#[tokio::test]
async fn missing_account_before_the_open_landed_changes_nothing() {
    let world = World::with_deposit(1_000).await;
    let opening = ChannelFixture::new(2, 1_000);
    opening.record(&world.ledger).await.unwrap();
    let before = world.dump();
    let observation = world.ledger.observe(&opening.id(), None, 150).await.unwrap();
    assert_eq!(observation, Observation::NotYet);
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn chain_facts_are_copied() {
    let world = paid().await;
    let mut account = world.account(ChannelStatus::Open, 60);
    account.deposit = amount(1_500);
    account.payout_watermark = amount(40);
    let observation = world.observe(Some(&account), 120).await;
    assert_eq!(observation, Observation::Applied { before: ChannelState::Open, after: ChannelState::Open });
    let expected = Watermarks {
        deposit: amount(1_500),
        accepted: amount(100),
        spent: amount(100),
        earmarked: amount(0),
        settled: amount(60),
        payout_watermark: amount(40),
    };
    assert_eq!(world.watermarks().await, expected);
}

#[tokio::test]
async fn settled_above_accepted_raises_accepted() {
    let world = paid().await;
    world.observe(Some(&world.account(ChannelStatus::Open, 300)), 120).await;
    let watermarks = world.watermarks().await;
    assert_eq!(
        (watermarks.accepted, watermarks.settled, watermarks.spent),
        (amount(300), amount(300), amount(100))
    );
}

#[tokio::test]
async fn older_slot_is_ignored() {
    let world = paid().await;
    world.observe(Some(&world.account(ChannelStatus::Open, 60)), 120).await;
    let before = world.dump();
    let observation = world.observe(Some(&world.account(ChannelStatus::Closing, 90)), 119).await;
    assert_eq!(observation, Observation::Older { observed_slot: 120 });
    assert_eq!(world.observe(None, 119).await, Observation::Older { observed_slot: 120 });
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn watermarks_never_fall_even_at_a_newer_slot() {
    let world = paid().await;
    world.observe(Some(&world.account(ChannelStatus::Open, 60)), 120).await;
    world.observe(Some(&world.account(ChannelStatus::Open, 10)), 121).await;
    let watermarks = world.watermarks().await;
    assert_eq!((watermarks.accepted, watermarks.settled), (amount(100), amount(60)));
}

/// What `rearm` leaves when it brought a voucher of `settled`.
fn rearmed(world: &World, settled: u64) -> ChannelAccount {
    let account = world.account(ChannelStatus::Open, settled);
    ChannelAccount { deposit: amount(settled), payout_watermark: amount(settled), ..account }
}

#[tokio::test]
async fn nothing_is_sold_on_a_deposit_that_was_refunded() {
    let world = paid().await;
    world.observe(Some(&rearmed(&world, 100)), 120).await;
    assert_eq!(world.watermarks().await.deposit, amount(100));

    let before = world.dump();
    let refused = world.ledger.accept(&world.channel.voucher(116), Charge::of(16, 1)).await.unwrap();
    assert!(matches!(refused, Acceptance::OverDeposit { .. }), "{refused:?}");
    assert_eq!(world.dump(), before);

    let topped_up = ChannelAccount { deposit: amount(116), ..rearmed(&world, 100) };
    world.observe(Some(&topped_up), 121).await;
    let accepted = world.ledger.accept(&world.channel.voucher(116), Charge::of(16, 1)).await.unwrap();
    assert!(matches!(accepted, Acceptance::Accepted(_)), "{accepted:?}");
}

#[tokio::test]
async fn a_promise_above_the_refunded_deposit_is_kept_and_nothing_is_added_to_it() {
    let world = paid().await;
    world.observe(Some(&rearmed(&world, 60)), 120).await;
    let expected = Watermarks {
        deposit: amount(100),
        accepted: amount(100),
        spent: amount(100),
        earmarked: amount(0),
        settled: amount(60),
        payout_watermark: amount(60),
    };
    assert_eq!(world.watermarks().await, expected);

    // A top-up that covers a part of it secures nothing new.
    world.observe(Some(&ChannelAccount { deposit: amount(90), ..rearmed(&world, 60) }), 121).await;
    assert_eq!(world.watermarks().await, expected);
    let refused = world.ledger.accept(&world.channel.voucher(101), Charge::of(1, 1)).await.unwrap();
    assert!(matches!(refused, Acceptance::OverDeposit { .. }), "{refused:?}");
    world.observe(Some(&ChannelAccount { deposit: amount(130), ..rearmed(&world, 60) }), 122).await;
    assert_eq!(world.watermarks().await.deposit, amount(130));
    let best = world.ledger.best_voucher_to_settle(&world.id, START).await.unwrap().unwrap();
    assert_eq!(best.voucher.cumulative_amount, amount(100));
}

#[tokio::test]
async fn states_only_move_on() {
    let world = paid().await;
    let steps = [
        (Some(ChannelStatus::Closing), ChannelState::Closing),
        (Some(ChannelStatus::Open), ChannelState::Closing),
        (Some(ChannelStatus::Sealed), ChannelState::Closing),
        (Some(ChannelStatus::Distributed), ChannelState::Closed),
        (Some(ChannelStatus::Sealed), ChannelState::Closed),
        (None, ChannelState::Gone),
        (Some(ChannelStatus::Open), ChannelState::Gone),
    ];
    for (slot, (status, state)) in (200..).zip(steps) {
        let account = status.map(|status| world.account(status, 0));
        world.observe(account.as_ref(), slot).await;
        assert_eq!(world.state().await, state, "after {status:?}");
    }
}

#[tokio::test]
async fn service_we_stopped_stays_stopped_while_the_chain_says_open() {
    let world = paid().await;
    world.ledger.request_close(&world.id, CloseReason::Idle, None).await.unwrap();
    world.observe(Some(&world.account(ChannelStatus::Open, 0)), 120).await;
    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.close_reason), (ChannelState::Closing, Some(CloseReason::Idle)));
    assert_eq!(record.chain_status, Some(ChannelStatus::Open));
}

#[tokio::test]
async fn forced_close_is_noted_with_its_times() {
    let world = paid().await;
    world.clock.advance(30);
    let mut account = world.account(ChannelStatus::Closing, 0);
    account.closure_started_at = START + 12;
    world.observe(Some(&account), 120).await;
    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!(record.close_reason, Some(CloseReason::Forced));
    assert_eq!((record.closure_started_at, record.closing_at), (Some(START + 12), Some(START + 30)));
}

#[tokio::test]
async fn forced_closes_are_counted_per_payer_and_time() {
    let world = paid().await;
    let payer = world.channel.channel.agreement.terms.payer;
    let ours = ChannelFixture::new(2, 1_000);
    ours.open(&world.ledger).await.unwrap();
    world.ledger.request_close(&ours.id(), CloseReason::Shutdown, None).await.unwrap();
    assert_eq!(world.ledger.forced_closes(&payer, START).await.unwrap(), 0);
    world.observe(Some(&world.account(ChannelStatus::Closing, 0)), 120).await;
    assert_eq!(world.ledger.forced_closes(&payer, START).await.unwrap(), 1);
    assert_eq!(world.ledger.forced_closes(&payer, START + 1).await.unwrap(), 0);
    assert_eq!(world.ledger.forced_closes(&[5; 32].into(), START).await.unwrap(), 0);
}

#[tokio::test]
async fn distributed_account_tells_the_refund() {
    let world = paid().await;
    world.ledger.request_close(&world.id, CloseReason::Requested, None).await.unwrap();
    world.observe(Some(&world.account(ChannelStatus::Distributed, 100)), 120).await;
    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.refunded), (ChannelState::Closed, Some(amount(900))));
}

#[tokio::test]
async fn account_of_another_channel_is_an_error_and_changes_nothing() {
    let world = paid().await;
    let own = world.account(ChannelStatus::Open, 60);
    let accounts = [
        (Difference::Salt, ChannelAccount { salt: 77, ..own.clone() }),
        (Difference::Bump, ChannelAccount { bump: own.bump - 1, ..own.clone() }),
        (Difference::GracePeriod, ChannelAccount { grace_period: 1, ..own.clone() }),
        (Difference::RentPayer, ChannelAccount { rent_payer: [9; 32].into(), ..own.clone() }),
        (Difference::Splits, ChannelAccount { distribution_hash: [0; 32], ..own }),
    ];
    let before = world.dump();
    for (expected, account) in accounts {
        let error = world.ledger.observe(&world.id, Some(&account), 120).await.unwrap_err();
        assert!(
            matches!(error, LedgerError::AccountMismatch { difference, .. } if difference == expected),
            "{error}"
        );
        assert_eq!(world.dump(), before);
    }
}

#[tokio::test]
async fn open_that_escrowed_less_than_it_said_is_an_error() {
    let world = World::with_deposit(1_000).await;
    let cheap = ChannelFixture::new(2, 1_000);
    cheap.record(&world.ledger).await.unwrap();
    let account = ChannelAccount { deposit: amount(999), ..cheap.account() };
    let error = world.ledger.open_landed(&cheap.id(), &account, 100).await.unwrap_err();
    let expected = Difference::Deposit;
    assert!(
        matches!(error, LedgerError::AccountMismatch { difference, .. } if difference == expected),
        "{error}"
    );
    assert_eq!(world.ledger.channel(&cheap.id()).await.unwrap().unwrap().state, ChannelState::Opening);
}

#[tokio::test]
async fn account_that_breaks_the_law_is_refused_by_the_database() {
    let world = paid().await;
    let before = world.dump();
    let account = world.account(ChannelStatus::Open, 1_001);
    let error = world.ledger.observe(&world.id, Some(&account), 120).await.unwrap_err();
    assert!(error.to_string().contains("watermark_law"), "{error}");
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn unknown_channel_is_an_error() {
    let world = paid().await;
    let stranger = ChannelFixture::new(9, 1);
    let error = world.ledger.observe(&stranger.id(), None, 1).await.unwrap_err();
    assert!(matches!(error, LedgerError::UnknownChannel(id) if id == stranger.id()), "{error}");
}

#[tokio::test]
async fn channel_that_vanished_and_is_back_is_closing_and_serves_no_more() {
    let world = paid().await;
    world.observe(None, 120).await;
    assert_eq!(world.ledger.vanished_channels(START).await.unwrap().len(), 1);
    assert!(world.ledger.vanished_channels(START + 1).await.unwrap().is_empty());

    world.observe(Some(&world.account(ChannelStatus::Open, 0)), 121).await;

    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.chain_status), (ChannelState::Closing, Some(ChannelStatus::Open)));
    assert!(world.ledger.vanished_channels(START).await.unwrap().is_empty());
}

#[tokio::test]
async fn channel_that_vanished_fully_settled_is_not_missed() {
    let world = paid().await;
    world.observe(Some(&world.account(ChannelStatus::Sealed, 100)), 120).await;
    world.observe(None, 121).await;
    assert!(world.ledger.vanished_channels(START).await.unwrap().is_empty());
}
