//! Cooperative closes: on request, when idle, at shutdown.

use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_protocol::{ChannelStatus, ED25519_PROGRAM, PROGRAM_ID, decode_transaction, static_instructions};
use toll_settler::{SettlerKeys, Step};

use crate::world::{IDLE_TIMEOUT, World, key};

#[tokio::test]
async fn requested_close_settles_seals_and_pays_out_in_one_transaction() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;
    let before = world.chain.lock().landed.len();

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    assert_eq!(world.chain.lock().landed.len(), before + 1);
    assert_eq!(world.account(&id).unwrap().status, ChannelStatus::Distributed);
    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn voucher_check_comes_right_before_the_seal_and_the_payout_right_after() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;
    world.remove_tokens(world.payee.pubkey());

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    let close = decode_transaction(world.chain.lock().landed.last().unwrap()).unwrap();
    let steps: Vec<_> = static_instructions(&close)
        .unwrap()
        .into_iter()
        .skip_while(|one| one.program_id != ED25519_PROGRAM)
        .map(|one| (one.program_id, one.data[0]))
        .collect();
    assert_eq!(steps, [(ED25519_PROGRAM, 1), (PROGRAM_ID, 4), (PROGRAM_ID, 7)]);
}

#[tokio::test]
async fn unused_channel_is_sealed_without_a_voucher_and_refunded_whole() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 0).await;
}

#[tokio::test]
async fn voucher_shown_with_the_close_is_the_one_that_settles() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;

    let tip = world.voucher(&id, 200, 0);
    world.ledger.request_close(&id, CloseReason::Requested, Some(&tip)).await.unwrap();
    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 200).await;
}

#[tokio::test]
async fn close_leaves_its_signature_with_the_channel() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 16).await;

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    let closes = world.submissions(&id, SubmissionKind::Close).await;
    assert_eq!(closes.len(), 1);
    assert_eq!(closes[0].state, SubmissionState::Landed);
    assert_eq!(world.record(&id).await.close_signature, closes[0].signature);
}

#[tokio::test]
async fn channel_becomes_closed_and_shows_its_signature_at_once() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 16).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    drop(settler);

    world.die_at(SubmissionKind::Close, Step::Observed).await;

    let record = world.record(&id).await;
    assert_eq!(record.state, ChannelState::Closed);
    assert!(record.close_signature.is_some() && record.refunded.is_some());
}

#[tokio::test]
async fn poll_that_sees_our_close_before_its_confirmation_leaves_it_to_that() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 16).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();

    world.chain.fault(crate::chain::Faults { unconfirmed: true, ..Default::default() });
    for _ in 0..3 {
        settler.pass(true).await.unwrap();
    }
    assert_eq!(world.account(&id).unwrap().status, ChannelStatus::Distributed);
    assert_eq!(world.record(&id).await.state, ChannelState::Closing);

    world.chain.fault(Default::default());
    world.drive(&settler).await;
    world.assert_paid_out(&id, 1_000, 16).await;
}

#[tokio::test]
async fn idle_channel_closes_at_its_timeout_and_not_a_second_earlier() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;

    world.clock.advance(i64::from(IDLE_TIMEOUT) - 1);
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Open);

    world.clock.advance(1);
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.close_reason, Some(CloseReason::Idle));
    world.assert_paid_out(&id, 1_000, 0).await;
}

#[tokio::test]
async fn expired_voucher_gives_way_to_one_that_never_expires() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 100).await;
    world.pay_until(&id, 160, crate::chain::NOW + 300).await;

    world.chain.advance(10, 300);
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 100).await;
}

#[tokio::test]
async fn voucher_about_to_expire_is_settled_while_the_channel_stays_open() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay_until(&id, 160, crate::chain::NOW + 300).await;

    world.chain.advance(1, 179);
    world.drive(&settler).await;
    assert_eq!(world.account(&id).unwrap().settled.get(), 0);

    world.chain.advance(1, 1);
    world.drive(&settler).await;
    let account = world.account(&id).unwrap();
    assert_eq!((account.status, account.settled.get()), (ChannelStatus::Open, 160));
    assert_eq!(world.record(&id).await.watermarks.settled.get(), 160);
    assert_eq!(world.record(&id).await.state, ChannelState::Open);
}

#[tokio::test]
async fn much_unsettled_is_settled_at_the_threshold() {
    let mut world = World::new();
    let mut config = world.config();
    config.settle_threshold = Some(toll_protocol::Amount::new(100));
    let settler = world.start(world.keys(), config).await.unwrap();
    let id = world.open(&settler, 1, 1_000).await;

    world.pay(&id, 99).await;
    world.drive(&settler).await;
    assert_eq!(world.account(&id).unwrap().settled.get(), 0);

    world.pay(&id, 100).await;
    world.drive(&settler).await;
    assert_eq!(world.account(&id).unwrap().settled.get(), 100);
}

#[tokio::test]
async fn settler_without_the_payee_key_settles_but_leaves_the_seal_alone() {
    let mut world = World::new();
    let keys = SettlerKeys { fee_payer: world.fee_payer.insecure_clone(), payee: key(77), operator: None };
    let settler = world.start(keys, world.config()).await.unwrap();
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    let account = world.account(&id).unwrap();
    assert_eq!((account.status, account.settled.get()), (ChannelStatus::Open, 160));
    let held = settler.take_summary().held;
    assert_eq!(held.iter().map(|(channel, _)| *channel).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn one_key_serves_as_payee_and_fee_payer() {
    let mut world = World::new();
    world.payee = world.fee_payer.insecure_clone();
    world.put_tokens(world.payee.pubkey(), 0);
    let keys = SettlerKeys::single(world.fee_payer.insecure_clone());
    let settler = world.start(keys, world.config()).await.unwrap();
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn summary_adds_up_to_what_the_fee_payer_lost() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;
    world.chain.advance(1_501, 600);
    world.drive(&settler).await;

    let summary = settler.take_summary();
    let kinds: Vec<_> = summary.reports.iter().map(|report| report.kind).collect();
    assert_eq!(kinds, [SubmissionKind::Open, SubmissionKind::Close, SubmissionKind::Reclaim]);
    assert!(summary.reports.iter().all(|report| report.compute_units > 0 && report.error.is_none()));
    world.assert_rent_returned(summary.fee_lamports(), 0);
}
