//! Transactions whose fate is not plain: lost answers, dropped, expired, failed, unconfirmed.

use std::time::Duration;

use toll_chain::ChainError;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_protocol::{ChannelId, ChannelStatus};
use toll_settler::{SettlerConfig, SettlerError, Step};

use crate::chain::{Faults, NOW};
use crate::world::World;

/// A channel with 160 of 1000 accepted that is to close.
async fn closing_channel() -> (World, ChannelId) {
    let mut world = World::new();
    let id = world.opened(1, 1_000).await;
    world.pay(&id, 160).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    (world, id)
}

#[tokio::test]
async fn lost_answer_to_a_close_is_no_second_close() {
    let (world, id) = closing_channel().await;
    let settler = world.settler().await;
    world.chain.fault(Faults { lose_answers: true, ..Default::default() });

    world.drive(&settler).await;

    assert_eq!(world.submissions(&id, SubmissionKind::Close).await.len(), 1);
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn dropped_close_is_sent_again_byte_for_byte() {
    let (world, id) = closing_channel().await;
    let settler = world.settler().await;
    world.chain.fault(Faults { drop_submissions: true, ..Default::default() });
    for _ in 0..4 {
        settler.pass(true).await.unwrap();
    }
    assert_eq!(world.account(&id).unwrap().status, ChannelStatus::Open);

    world.chain.fault(Default::default());
    world.drive(&settler).await;

    let recorded = world.submissions(&id, SubmissionKind::Close).await;
    assert_eq!(recorded.len(), 1);
    let chain = world.chain.lock();
    let sent: Vec<_> = chain.submitted.iter().skip(1).collect();
    assert!(sent.len() >= 4 && sent.iter().all(|bytes| **bytes == recorded[0].transaction));
}

#[tokio::test]
async fn dropped_close_expires_and_another_takes_its_place() {
    let (world, id) = closing_channel().await;
    let settler = world.settler().await;
    world.chain.fault(Faults { drop_submissions: true, ..Default::default() });
    settler.pass(true).await.unwrap();
    world.chain.advance(159, 60);
    world.chain.fault(Default::default());

    world.drive(&settler).await;

    let states: Vec<_> =
        world.submissions(&id, SubmissionKind::Close).await.iter().map(|close| close.state).collect();
    assert_eq!(states, [SubmissionState::Expired, SubmissionState::Landed]);
    assert_eq!(settler.take_summary().expired, 1);
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn unseen_close_is_not_given_up_while_it_may_still_land() {
    let (world, id) = closing_channel().await;
    let settler = world.settler().await;
    world.chain.fault(Faults { drop_submissions: true, ..Default::default() });
    settler.pass(true).await.unwrap();
    world.chain.advance(150, 60);
    settler.publish_tip().await.unwrap();
    settler.pass(true).await.unwrap();

    assert_eq!(world.count(&id, SubmissionKind::Close, SubmissionState::Recorded).await, 1);
}

#[tokio::test]
async fn unconfirmed_close_is_neither_landed_nor_repeated() {
    let (world, id) = closing_channel().await;
    let settler = world.settler().await;
    world.chain.fault(Faults { unconfirmed: true, ..Default::default() });
    for _ in 0..3 {
        world.chain.advance(200, 60);
        settler.publish_tip().await.unwrap();
        settler.pass(true).await.unwrap();
    }

    let closes = world.submissions(&id, SubmissionKind::Close).await;
    assert_eq!(closes.iter().map(|close| close.state).collect::<Vec<_>>(), [SubmissionState::Recorded]);
}

#[tokio::test]
async fn close_that_fails_on_chain_is_planned_anew_from_what_the_chain_says() {
    let mut world = World::new();
    let id = world.opened(1, 1_000).await;
    world.pay_until(&id, 160, NOW + 300).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    // The voucher expires between the simulation and the block.
    let chain = world.chain.clone();
    let settler = world.settler().await.on_step(move |kind, step| {
        if kind == SubmissionKind::Close && step == Step::Recorded {
            chain.advance(1, 300);
        }
    });

    world.drive(&settler).await;

    let closes = world.submissions(&id, SubmissionKind::Close).await;
    let states: Vec<_> = closes.iter().map(|close| close.state).collect();
    assert_eq!(states, [SubmissionState::Failed, SubmissionState::Landed]);
    assert!(closes[0].error.as_ref().unwrap().contains("233"), "{:?}", closes[0].error);
    world.assert_paid_out(&id, 1_000, 0).await;
}

#[tokio::test]
async fn close_that_did_not_run_for_want_of_sol_is_signed_anew_and_lands() {
    let (world, id) = closing_channel().await;
    let settler = world.settler().await;
    world.chain.fault(Faults { payer_cannot_pay: true, ..Default::default() });
    settler.pass(true).await.unwrap();
    settler.pass(true).await.unwrap();
    assert_eq!(world.account(&id).unwrap().status, ChannelStatus::Open);
    assert_eq!(world.record(&id).await.state, ChannelState::Closing);

    world.chain.fault(Default::default());
    world.drive(&settler).await;

    let closes = world.submissions(&id, SubmissionKind::Close).await;
    // How often it is tried meanwhile is the clock's affair.
    let (landed, failed) = closes.split_last().unwrap();
    assert_eq!(landed.state, SubmissionState::Landed);
    assert!(!failed.is_empty() && failed.iter().all(|close| close.state == SubmissionState::Failed));
    assert!(closes[0].error.as_ref().unwrap().contains("did not run"), "{:?}", closes[0].error);
    // The used-up signature is not tried again, and no fee was booked for it.
    assert_ne!(closes[0].signature, closes[1].signature);
    assert_eq!(closes[0].fee_lamports.unwrap_or(0), 0);
    assert_eq!(world.ledger.holds().await.unwrap(), [], "nor is anything held for it");
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn close_that_would_fail_is_never_sent() {
    let (world, id) = closing_channel().await;
    let settler = world.settler().await;
    // An escrow that is short of the deposit: nothing the settler could do about it.
    let escrow = world.channel(&id).await.escrow();
    let broken = crate::tokens::account(world.mint, id.pubkey(), world.token_program, 10);
    world.put(escrow, broken);

    let pass = settler.pass(true).await.unwrap();

    assert_eq!((pass.sent, pass.waiting), (0, 1));
    assert_eq!(world.submissions(&id, SubmissionKind::Close).await, []);
}

#[tokio::test]
async fn unreachable_cluster_changes_nothing() {
    let (world, id) = closing_channel().await;
    let settler = world.settler().await;
    world.chain.fault(Faults { unreachable: true, ..Default::default() });

    let pass = settler.pass(true).await;
    assert!(matches!(pass, Err(SettlerError::Chain(ChainError::Unreachable { .. }))), "{pass:?}");
    assert_eq!(world.record(&id).await.state, ChannelState::Closing);

    world.chain.fault(Default::default());
    world.drive(&settler).await;
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn what_is_not_confirmed_is_sent_again_after_the_resend_interval_and_not_before() {
    for (resend_interval, sent) in [(Duration::ZERO, 4), (Duration::from_secs(3_600), 1)] {
        let (world, _) = closing_channel().await;
        let config = SettlerConfig { resend_interval, ..world.config() };
        let settler = world.start(world.keys(), config).await.unwrap();
        world.chain.fault(Faults { drop_submissions: true, ..Default::default() });
        let before = world.chain.lock().submitted.len();
        for _ in 0..4 {
            settler.pass(false).await.unwrap();
        }
        assert_eq!(world.chain.lock().submitted.len() - before, sent, "{resend_interval:?}");
    }
}
