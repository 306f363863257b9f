//! Sessions that end with a rearm: the channel stays, the tokens go to whom they belong.

use solana_signer::Signer;
use toll_ledger::{
    Acceptance, ChannelState, Charge, CloseReason, Renewal, RenewalRequested, SubmissionKind, SubmissionState,
};
use toll_protocol::{Amount, ChannelId, ChannelStatus};
use toll_settler::{Renew, Settler, Step};

use crate::chain::Faults;
use crate::world::{IDLE_TIMEOUT, PAYER_TOKENS, World};

/// Channels with 160 of 1000 paid each, that are idle, and a world whose settler renews all.
async fn idle(count: u64) -> (World, Vec<ChannelId>) {
    let mut world = World::new();
    world.renew = Renew::Always;
    let settler = world.settler().await;
    let mut ids = Vec::new();
    for salt in 0..count {
        ids.push(world.open(&settler, salt, 1_000).await);
    }
    drop(settler);
    for id in &ids {
        world.pay(id, 160).await;
    }
    world.clock.advance(i64::from(IDLE_TIMEOUT));
    (world, ids)
}

/// Asserts that the channel waits for a top-up, and that everybody has what is theirs.
async fn assert_renewed(world: &World, ids: &[ChannelId], why: &str) {
    for id in ids {
        let account = world.account(id).unwrap();
        let amounts = [account.deposit, account.settled, account.payout_watermark];
        assert_eq!((account.status, amounts), (ChannelStatus::Open, [Amount::new(160); 3]), "{why}");
        let record = world.record(id).await;
        let marks = record.watermarks;
        assert_eq!((record.state, record.renewing), (ChannelState::Open, false), "{why}");
        assert_eq!(
            (marks.deposit, marks.accepted, marks.settled),
            (amounts[0], amounts[0], amounts[0]),
            "{why}"
        );
        assert_eq!(world.count(id, SubmissionKind::Rearm, SubmissionState::Landed).await, 1, "{why}");
    }
    let paid = 160 * ids.len() as u64;
    assert_eq!(world.tokens(&world.payee.pubkey()), paid, "{why}");
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - paid, "{why}");
    assert_eq!(world.ledger.unresolved().await.unwrap(), [], "{why}");
    assert_eq!(world.ledger.holds().await.unwrap(), [], "{why}");
}

/// A second session of 240 on a renewed channel, closed.
async fn second_session(world: &mut World, settler: &Settler, id: &ChannelId) {
    world.record_top_up(id, 500).await;
    world.drive(settler).await;
    assert_eq!(world.record(id).await.watermarks.deposit, Amount::new(660));
    world.pay(id, 400).await;
    world.ledger.request_close(id, CloseReason::Requested, None).await.unwrap();
    world.drive(settler).await;
    assert_eq!(world.record(id).await.state, ChannelState::Closed);
    assert_eq!(world.tokens(&world.payee.pubkey()), 400);
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 400);
    assert_eq!(world.chain.account(&world.channel(id).await.escrow()), None);
}

#[tokio::test]
async fn one_channel_carries_two_sessions_and_every_unit_is_accounted_for() {
    let (mut world, ids) = idle(1).await;
    let settler = world.settler().await;

    world.drive(&settler).await;

    assert_renewed(&world, &ids, "the first session is over").await;
    let refused = world.ledger.accept(&world.voucher(&ids[0], 160, 0), Charge::of(16, 99)).await.unwrap();
    assert_eq!(refused, Acceptance::Published { up_to: Amount::new(160) });
    let refused = world.ledger.accept(&world.voucher(&ids[0], 176, 0), Charge::of(16, 99)).await.unwrap();
    assert!(matches!(refused, Acceptance::OverDeposit { .. }), "{refused:?}");
    second_session(&mut world, &settler, &ids[0]).await;
}

#[tokio::test]
async fn two_sessions_end_in_one_transaction() {
    let (world, ids) = idle(2).await;
    let settler = world.settler().await;

    world.drive(&settler).await;

    assert_renewed(&world, &ids, "packed").await;
    let rearms = world.submissions(&ids[0], SubmissionKind::Rearm).await;
    assert_eq!(rearms[0].channels().len(), 2);
    assert_eq!(rearms[0].fee_lamports, Some(20_000), "two signatures, and one for each voucher");
}

#[tokio::test]
async fn rearm_is_finished_exactly_once_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let (world, ids) = idle(2).await;
        let before = world.chain.lock().landed.len();

        world.die_at(SubmissionKind::Rearm, step).await;
        let settler = world.settler().await;
        world.drive(&settler).await;

        assert_eq!(world.chain.lock().landed.len(), before + 1, "killed at {step:?}");
        assert_renewed(&world, &ids, &format!("killed at {step:?}")).await;
    }
}

#[tokio::test]
async fn a_rearm_that_is_seen_before_its_fate_is_known_sells_nothing() {
    let (world, ids) = idle(1).await;
    let settler = world.settler().await;
    world.chain.fault(Faults { unconfirmed: true, ..Default::default() });
    for _ in 0..3 {
        settler.pass(true).await.unwrap();
    }
    let record = world.record(&ids[0]).await;
    assert_eq!(world.account(&ids[0]).unwrap().deposit, Amount::new(160));
    assert_eq!((record.state, record.watermarks.deposit), (ChannelState::Closing, Amount::new(160)));
    let refused = world.ledger.accept(&world.voucher(&ids[0], 176, 0), Charge::of(16, 99)).await.unwrap();
    assert_eq!(refused, Acceptance::NotOpen(ChannelState::Closing));

    world.chain.fault(Default::default());
    world.drive(&settler).await;

    assert_renewed(&world, &ids, "its fate is known").await;
}

#[tokio::test]
async fn a_rearm_that_was_rolled_back_sells_nothing_until_it_lands_again_or_is_given_up() {
    for late in [false, true] {
        let (world, ids) = idle(1).await;
        let settler = world.settler().await;
        settler.pass(false).await.unwrap();
        world.chain.stop_finalizing();
        world.chain.advance(1, 1);
        world.drive(&settler).await;
        assert_renewed(&world, &ids, "in a fork").await;

        world.chain.roll_back();
        if late {
            world.chain.advance(200, 80);
        }
        settler.pass(true).await.unwrap();
        let record = world.record(&ids[0]).await;
        assert_eq!(record.state, ChannelState::Closing, "late: {late}");
        world.drive(&settler).await;

        assert_renewed(&world, &ids, "it landed on the other fork").await;
        let count = world.submissions(&ids[0], SubmissionKind::Rearm).await.len();
        assert_eq!(count, if late { 2 } else { 1 }, "late: {late}");
    }
}

#[tokio::test]
async fn a_forced_close_that_comes_first_is_closed_with_the_voucher() {
    let (world, ids) = idle(2).await;
    let always = Renewal { returning: false, worth: Amount::ZERO, can_rearm: true };
    for id in &ids {
        let requested = world.ledger.request_renewal(id, always, world.ledger.now()).await.unwrap();
        assert_eq!(requested, RenewalRequested::Recorded);
    }
    world.send(&[world.channel(&ids[0]).await.request_close()], &[&world.payer]);
    let settler = world.settler().await;

    world.drive(&settler).await;

    assert_eq!(world.record(&ids[0]).await.state, ChannelState::Closed);
    assert_eq!(world.submissions(&ids[0], SubmissionKind::Rearm).await, []);
    assert_eq!(world.record(&ids[1]).await.state, ChannelState::Open, "the other one is not held up");
    assert_eq!(world.tokens(&world.payee.pubkey()), 320);
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 320);
}

#[tokio::test]
async fn a_refund_that_cannot_be_taken_makes_it_a_close() {
    let (world, ids) = idle(1).await;
    let mut account = world.chain.account(&world.token_account(&world.payer.pubkey())).unwrap();
    account.data[108] = 2;
    world.put(world.token_account(&world.payer.pubkey()), account);
    let settler = world.settler().await;

    world.drive(&settler).await;

    let account = world.account(&ids[0]).unwrap();
    assert_eq!((account.status, account.settled), (ChannelStatus::Sealed, Amount::new(160)));
    assert_eq!(world.submissions(&ids[0], SubmissionKind::Rearm).await, []);
}

#[tokio::test]
async fn a_renewed_channel_whose_payer_stays_away_is_closed_after_another_idle_timeout() {
    let (world, ids) = idle(1).await;
    let settler = world.settler().await;
    world.drive(&settler).await;

    world.clock.advance(i64::from(IDLE_TIMEOUT) - 1);
    world.drive(&settler).await;
    assert_renewed(&world, &ids, "it waits").await;
    world.clock.advance(1);
    world.drive(&settler).await;

    assert_eq!(world.record(&ids[0]).await.state, ChannelState::Closed);
    assert_eq!(world.tokens(&world.payee.pubkey()), 160);
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 160);
}

#[tokio::test]
async fn renew_says_whose_channels_are_rearmed() {
    for (renew, rearms) in [(Renew::Never, [0, 0]), (Renew::Returning, [0, 1]), (Renew::Always, [1, 1])] {
        let mut world = World::new();
        world.renew = renew;
        let settler = world.settler().await;
        for (salt, expected) in [1, 2].into_iter().zip(rearms) {
            let id = world.open(&settler, salt, 1_000).await;
            world.pay(&id, 160).await;
            world.clock.advance(i64::from(IDLE_TIMEOUT));
            world.drive(&settler).await;
            let landed = world.count(&id, SubmissionKind::Rearm, SubmissionState::Landed).await;
            assert_eq!(landed, expected, "{renew:?}, session {salt}");
        }
    }
}
