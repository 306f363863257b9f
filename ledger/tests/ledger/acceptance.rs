//! What `accept` takes, and that whatever it refuses leaves no trace.

use toll_ledger::{
    Acceptance, Answer, ChannelFixture, ChannelState, Charge, CloseReason, Ledger, LedgerError, ManualClock,
    Watermarks,
};
use toll_protocol::{ChannelStatus, VerifiedVoucher};

use crate::{START, World, amount};

/// A channel of 1,000 with `accepted` in vouchers and everything spent.
async fn paid(accepted: u64) -> World {
    let world = World::with_deposit(1_000).await;
    let acceptance =
        world.ledger.accept(&world.channel.voucher(accepted), Charge::of(accepted, 0)).await.unwrap();
    assert!(matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
    world
}

impl World {
    async fn accept(&self, voucher: &VerifiedVoucher, charge: Charge) -> Acceptance {
        self.ledger.accept(voucher, charge).await.unwrap()
    }

    /// The answer to a voucher that must change nothing.
    async fn refuse(&self, voucher: &VerifiedVoucher, charge: Charge) -> Acceptance {
        let before = self.dump();
        let acceptance = self.accept(voucher, charge).await;
        assert!(!matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
        assert_eq!(self.dump(), before);
        acceptance
    }
}

#[tokio::test]
async fn accepted_voucher_moves_everything_at_once() {
    let world = World::with_deposit(1_000).await;
    world.clock.advance(5);
    let voucher = world.channel.voucher(16);

    let Acceptance::Accepted(accepted) = world.accept(&voucher, Charge::of(16, 1)).await else { panic!() };

    let watermarks = Watermarks {
        deposit: amount(1_000),
        accepted: amount(16),
        spent: amount(16),
        ..Watermarks::default()
    };
    assert_eq!(accepted.watermarks, watermarks);
    assert_eq!((accepted.idle_timeout, accepted.accepted_at), (600, START + 5));
    let record = world.ledger.channel(&world.id).await.unwrap().unwrap();
    assert_eq!(record.watermarks, watermarks);
    assert_eq!(record.last_activity_at, START + 5);
    assert_eq!(world.ledger.highest_voucher(&world.id).await.unwrap().as_ref(), Some(voucher.signed()));
    let replay = world.ledger.replay(&world.id, &Charge::of(16, 1).replay).await.unwrap().unwrap();
    assert_eq!((replay.cost, replay.accepted, replay.spent), (amount(16), amount(16), amount(16)));
}

#[tokio::test]
async fn voucher_for_the_whole_deposit_is_accepted() {
    let world = paid(984).await;
    let acceptance = world.accept(&world.channel.voucher(1_000), Charge::of(16, 1)).await;
    assert!(matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
    assert_eq!(world.watermarks().await.spent, amount(1_000));
}

#[tokio::test]
async fn same_request_again_is_replayed() {
    let world = paid(100).await;
    let Acceptance::Replayed(replay) = world.refuse(&world.channel.voucher(100), Charge::of(100, 0)).await
    else {
        panic!()
    };
    assert_eq!((replay.channel, replay.cost, replay.answer), (world.id, amount(100), Answer::Unserved));
}

#[tokio::test]
async fn same_request_with_a_higher_voucher_is_replayed_too() {
    let world = paid(100).await;
    let acceptance = world.refuse(&world.channel.voucher(200), Charge::of(100, 0)).await;
    assert!(matches!(acceptance, Acceptance::Replayed(_)), "{acceptance:?}");
}

#[tokio::test]
async fn nothing_is_replayed_after_service_stopped() {
    let world = paid(100).await;
    world.ledger.request_close(&world.id, CloseReason::Requested, None).await.unwrap();
    let acceptance = world.refuse(&world.channel.voucher(100), Charge::of(100, 0)).await;
    assert_eq!(acceptance, Acceptance::NotOpen(ChannelState::Closing));
}

#[tokio::test]
async fn settled_voucher_is_not_replayed() {
    let world = paid(100).await;
    let mut account = world.channel.account();
    account.settled = amount(100);
    world.ledger.observe(&world.id, Some(&account), 110).await.unwrap();
    let acceptance = world.refuse(&world.channel.voucher(100), Charge::of(100, 0)).await;
    assert_eq!(acceptance, Acceptance::Published { up_to: amount(100) });
}

#[tokio::test]
async fn key_under_another_fingerprint_is_refused() {
    let world = paid(100).await;
    let mut charge = Charge::of(16, 0);
    charge.replay.fingerprint = [9; 32];
    assert_eq!(world.refuse(&world.channel.voucher(116), charge).await, Acceptance::KeyReused);
}

#[tokio::test]
async fn key_of_another_channel_is_a_key_of_its_own() {
    let world = paid(100).await;
    let other = ChannelFixture::new(2, 1_000);
    other.open(&world.ledger).await.unwrap();
    let accepted = world.ledger.accept(&other.voucher(100), Charge::of(100, 0)).await.unwrap();
    assert!(matches!(accepted, Acceptance::Accepted(_)), "{accepted:?}");
    let first = world.ledger.replay(&world.id, &Charge::of(100, 0).replay).await.unwrap();
    assert_eq!(first.unwrap().channel, world.id);
}

#[tokio::test]
async fn voucher_at_the_watermark_is_stale() {
    let world = paid(100).await;
    let watermarks = world.watermarks().await;
    for cumulative in [0, 1, 99, 100] {
        let acceptance = world.refuse(&world.channel.voucher(cumulative), Charge::of(16, 1)).await;
        assert_eq!(acceptance, Acceptance::Stale { watermarks });
    }
}

#[tokio::test]
async fn equal_voucher_with_another_expiry_is_stale() {
    let world = paid(100).await;
    let acceptance = world.refuse(&world.channel.voucher_until(100, START + 9_999), Charge::of(16, 1)).await;
    assert!(matches!(acceptance, Acceptance::Stale { .. }), "{acceptance:?}");
}

#[tokio::test]
async fn rise_below_the_minimum_delta_is_refused() {
    let world = paid(100).await;
    let watermarks = world.watermarks().await;
    let charge = || Charge { headroom: amount(100), min_delta: amount(50), ..Charge::of(16, 1) };
    let acceptance = world.refuse(&world.channel.voucher(149), charge()).await;
    assert_eq!(acceptance, Acceptance::DeltaTooSmall { required: amount(150), watermarks });

    let acceptance = world.accept(&world.channel.voucher(150), charge()).await;
    assert!(matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
}

#[tokio::test]
async fn minimum_delta_does_not_keep_the_last_of_the_deposit_back() {
    let world = paid(984).await;
    let charge = Charge { headroom: amount(100), min_delta: amount(50), ..Charge::of(16, 1) };
    let acceptance = world.accept(&world.channel.voucher(1_000), charge).await;
    assert!(matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
}

#[tokio::test]
async fn voucher_below_the_cost_is_insufficient() {
    let world = paid(100).await;
    let watermarks = world.watermarks().await;
    let acceptance = world.refuse(&world.channel.voucher(115), Charge::of(16, 1)).await;
    assert_eq!(acceptance, Acceptance::Insufficient { required: amount(116), watermarks });
}

#[tokio::test]
async fn voucher_above_cost_and_headroom_is_excessive() {
    let world = paid(100).await;
    let watermarks = world.watermarks().await;
    let acceptance = world.refuse(&world.channel.voucher(117), Charge::of(16, 1)).await;
    assert_eq!(acceptance, Acceptance::Excessive { allowed: amount(116), watermarks });

    let charge = || Charge { headroom: amount(10), ..Charge::of(16, 1) };
    let acceptance = world.refuse(&world.channel.voucher(127), charge()).await;
    assert_eq!(acceptance, Acceptance::Excessive { allowed: amount(126), watermarks });
    let acceptance = world.accept(&world.channel.voucher(126), charge()).await;
    assert!(matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
}

#[tokio::test]
async fn headroom_is_spent_by_the_next_voucher() {
    let world = paid(100).await;
    let ahead = Charge { headroom: amount(100), ..Charge::of(0, 1) };
    world.accept(&world.channel.voucher(150), ahead).await;

    // 100 spent, 150 accepted: 151 pays for anything up to 51.
    let acceptance = world.accept(&world.channel.voucher(151), Charge::of(51, 2)).await;

    let Acceptance::Accepted(accepted) = acceptance else { panic!("{acceptance:?}") };
    assert_eq!(accepted.watermarks.spent, amount(151));
}

#[tokio::test]
async fn voucher_over_the_deposit_is_refused() {
    let world = paid(100).await;
    let watermarks = world.watermarks().await;
    for cumulative in [1_001, u64::MAX] {
        let acceptance = world.refuse(&world.channel.voucher(cumulative), Charge::of(16, 1)).await;
        assert_eq!(acceptance, Acceptance::OverDeposit { required: amount(116), watermarks });
    }
}

#[tokio::test]
async fn cost_that_only_a_top_up_covers_is_over_the_deposit() {
    let world = paid(990).await;
    let watermarks = world.watermarks().await;
    let acceptance = world.refuse(&world.channel.voucher(1_000), Charge::of(16, 1)).await;
    assert_eq!(acceptance, Acceptance::OverDeposit { required: amount(1_006), watermarks });
}

#[tokio::test]
async fn charge_near_the_limits_of_u64_is_refused_without_overflow() {
    let world = paid(100).await;
    let watermarks = world.watermarks().await;
    let charge = Charge { headroom: amount(u64::MAX), ..Charge::of(u64::MAX, 1) };
    let acceptance = world.refuse(&world.channel.voucher(1_000), charge).await;
    assert_eq!(acceptance, Acceptance::OverDeposit { required: amount(u64::MAX), watermarks });
}

#[tokio::test]
async fn channel_that_is_not_open_refuses_with_its_state() {
    let ledger = Ledger::temporary(ManualClock::new(START));
    let opening = ChannelFixture::new(1, 1_000);
    opening.record(&ledger).await.unwrap();
    let failed = ChannelFixture::new(2, 1_000);
    failed.record(&ledger).await.unwrap();
    ledger.open_failed(&failed.id(), "no funds").await.unwrap();
    let closing = ChannelFixture::new(3, 1_000);
    closing.open(&ledger).await.unwrap();
    ledger.request_close(&closing.id(), CloseReason::Requested, None).await.unwrap();
    let closed = ChannelFixture::new(4, 1_000);
    closed.open(&ledger).await.unwrap();
    let mut account = closed.account();
    account.status = ChannelStatus::Distributed;
    ledger.observe(&closed.id(), Some(&account), 101).await.unwrap();
    let gone = ChannelFixture::new(5, 1_000);
    gone.open(&ledger).await.unwrap();
    ledger.observe(&gone.id(), None, 101).await.unwrap();

    let cases = [
        (opening, ChannelState::Opening),
        (failed, ChannelState::Failed),
        (closing, ChannelState::Closing),
        (closed, ChannelState::Closed),
        (gone, ChannelState::Gone),
    ];
    for (channel, state) in cases {
        let before = ledger.dump();
        let acceptance = ledger.accept(&channel.voucher(16), Charge::of(16, 1)).await.unwrap();
        assert_eq!(acceptance, Acceptance::NotOpen(state));
        assert_eq!(ledger.dump(), before);
    }
}

#[tokio::test]
async fn forced_close_stops_service_as_soon_as_it_is_seen() {
    let world = paid(100).await;
    let mut account = world.channel.account();
    account.status = ChannelStatus::Closing;
    account.closure_started_at = START;
    world.ledger.observe(&world.id, Some(&account), 101).await.unwrap();
    let acceptance = world.refuse(&world.channel.voucher(116), Charge::of(16, 1)).await;
    assert_eq!(acceptance, Acceptance::NotOpen(ChannelState::Closing));
}

#[tokio::test]
async fn voucher_of_an_unknown_channel_is_refused() {
    let world = paid(100).await;
    let stranger = ChannelFixture::new(99, 1_000);
    assert_eq!(world.refuse(&stranger.voucher(16), Charge::of(16, 1)).await, Acceptance::Unknown);
}

#[tokio::test]
async fn voucher_verified_for_another_signer_is_an_error_and_changes_nothing() {
    let world = paid(100).await;
    let mut impostor = world.channel.clone();
    impostor.signer = ed25519_dalek::SigningKey::from_bytes(&[8; 32]);
    let key = solana_pubkey::Pubkey::from(impostor.signer.verifying_key().to_bytes());
    let voucher = toll_protocol::SignedVoucher::sign(*world.channel.voucher(116).voucher(), &impostor.signer)
        .verify(&world.id, &key)
        .unwrap();
    let before = world.dump();

    let error = world.ledger.accept(&voucher, Charge::of(16, 1)).await.unwrap_err();

    assert!(matches!(error, LedgerError::ForeignSigner(id) if id == world.id), "{error}");
    assert_eq!(world.dump(), before);
}
