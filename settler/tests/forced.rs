//! Channels that the payer, or somebody else, moves on chain behind the settler's back.

use solana_account::Account;
use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_protocol::{Amount, ChannelAccount, ChannelId, ChannelStatus, ed25519_verify};
use toll_settler::{PurseSettings, SettlerConfig, SettlerKeys};

use crate::world::{GRACE_PERIOD, PAYER_TOKENS, World, key};

/// A channel with 160 of 1000 accepted, and no settler.
async fn paid_channel() -> (World, ChannelId) {
    let mut world = World::new();
    let id = world.opened(1, 1_000).await;
    world.pay(&id, 160).await;
    (world, id)
}

async fn force_close(world: &World, id: &ChannelId) {
    world.send(&[world.channel(id).await.request_close()], &[&world.payer]);
}

#[tokio::test]
async fn forced_close_is_answered_with_the_best_voucher_within_grace() {
    let (world, id) = paid_channel().await;
    let settler = world.settler().await;
    force_close(&world, &id).await;

    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.close_reason, Some(CloseReason::Forced));
    assert_eq!(world.count(&id, SubmissionKind::Close, SubmissionState::Landed).await, 1);
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn forced_close_is_settled_up_to_the_last_second_of_grace() {
    let (world, id) = paid_channel().await;
    force_close(&world, &id).await;
    world.chain.advance(10, i64::from(GRACE_PERIOD) - 1);

    let settler = world.settler().await;
    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn forced_close_found_at_the_deadline_is_sealed_as_it_stands() {
    let (world, id) = paid_channel().await;
    force_close(&world, &id).await;
    world.chain.advance(10, i64::from(GRACE_PERIOD));

    let settler = world.settler().await;
    world.drive(&settler).await;

    assert_eq!(world.submissions(&id, SubmissionKind::Close).await, []);
    assert_eq!(world.count(&id, SubmissionKind::Seal, SubmissionState::Landed).await, 1);
    world.assert_paid_out(&id, 1_000, 0).await;
}

#[tokio::test]
async fn forced_close_stops_service_as_soon_as_it_is_seen() {
    let (world, id) = paid_channel().await;
    let keys = SettlerKeys { fee_payer: world.fee_payer.insecure_clone(), payee: key(77), operator: None };
    let settler = world.start(keys, world.config()).await.unwrap();
    force_close(&world, &id).await;

    settler.pass(true).await.unwrap();

    let record = world.record(&id).await;
    assert_eq!(record.state, ChannelState::Closing);
    assert!(record.closure_started_at.is_some());
}

#[tokio::test]
async fn settler_without_the_payee_key_seals_a_forced_close_after_grace() {
    let (world, id) = paid_channel().await;
    let keys = SettlerKeys { fee_payer: world.fee_payer.insecure_clone(), payee: key(77), operator: None };
    let settler = world.start(keys, world.config()).await.unwrap();
    force_close(&world, &id).await;
    world.drive(&settler).await;
    assert_eq!(world.account(&id).unwrap().status, ChannelStatus::Closing);

    world.chain.advance(10, i64::from(GRACE_PERIOD));
    tokio::time::sleep(world.config().poll_interval).await;
    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
}

#[tokio::test]
async fn forced_close_is_settled_without_the_payees_key_while_grace_runs() {
    let (world, id) = paid_channel().await;
    let keys = SettlerKeys { fee_payer: world.fee_payer.insecure_clone(), payee: key(77), operator: None };
    let settler = world.start(keys, world.config()).await.unwrap();
    force_close(&world, &id).await;

    world.drive(&settler).await;

    let account = world.account(&id).unwrap();
    assert_eq!((account.status, account.settled.get()), (ChannelStatus::Closing, 160));
    assert_eq!(world.count(&id, SubmissionKind::Settle, SubmissionState::Landed).await, 1);

    world.chain.advance(10, i64::from(GRACE_PERIOD));
    tokio::time::sleep(world.config().poll_interval).await;
    world.drive(&settler).await;
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn what_grace_would_lose_is_settled_although_the_days_budget_is_spent() {
    let (world, id) = paid_channel().await;
    let keys = SettlerKeys { fee_payer: world.fee_payer.insecure_clone(), payee: key(77), operator: None };
    let purse = PurseSettings { settle_budget_per_day: Some(1), ..world.config().purse };
    let settler = world.start(keys, SettlerConfig { purse, ..world.config() }).await.unwrap();
    force_close(&world, &id).await;

    world.drive(&settler).await;

    assert_eq!(world.account(&id).unwrap().settled.get(), 160);
}

#[tokio::test]
async fn channel_sealed_by_somebody_else_is_paid_out() {
    let (world, id) = paid_channel().await;
    let channel = world.channel(&id).await;
    let voucher = world.voucher(&id, 160, 0);
    world.send(&[ed25519_verify(voucher.signed()), channel.settle_and_seal(true)], &[&world.payee]);

    let settler = world.settler().await;
    world.drive(&settler).await;

    assert_eq!(world.count(&id, SubmissionKind::Distribute, SubmissionState::Landed).await, 1);
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn channel_closed_by_somebody_else_costs_no_transaction() {
    let (world, id) = paid_channel().await;
    let channel = world.channel(&id).await;
    world.send(&[channel.settle_and_seal(false), channel.distribute()], &[&world.payee]);

    let settler = world.settler().await;
    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
    assert_eq!(world.chain.lock().submitted.len(), 1, "only the open");
}

#[tokio::test]
async fn refund_that_the_payer_took_early_is_not_paid_twice() {
    let (world, id) = paid_channel().await;
    let channel = world.channel(&id).await;
    let voucher = world.voucher(&id, 160, 0);
    world.send(&[ed25519_verify(voucher.signed()), channel.settle_and_seal(true)], &[&world.payee]);
    world.send(&[channel.withdraw_payer()], &[&world.payer]);
    // Its account is not needed any more, so it is not created again either.
    world.remove_tokens(world.payer.pubkey());

    let settler = world.settler().await;
    world.drive(&settler).await;

    assert_eq!(world.tokens(&world.payee.pubkey()), 160);
    assert_eq!(world.chain.account(&world.token_account(&world.payer.pubkey())), None);
    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
}

#[tokio::test]
async fn settle_by_a_stranger_is_copied_into_the_ledger() {
    let (world, id) = paid_channel().await;
    let voucher = world.voucher(&id, 160, 0);
    world.send(&[ed25519_verify(voucher.signed()), world.channel(&id).await.settle()], &[]);

    let settler = world.settler().await;
    world.drive(&settler).await;

    let record = world.record(&id).await;
    assert_eq!((record.state, record.watermarks.settled.get()), (ChannelState::Open, 160));
}

#[tokio::test]
async fn close_after_a_partial_settle_and_payout_pays_only_the_rest() {
    let (mut world, id) = paid_channel().await;
    let channel = world.channel(&id).await;
    let voucher = world.voucher(&id, 160, 0);
    world.send(&[ed25519_verify(voucher.signed()), channel.settle(), channel.distribute()], &[]);
    assert_eq!(world.tokens(&world.payee.pubkey()), 160);
    let settler = world.settler().await;
    world.drive(&settler).await;
    world.pay(&id, 200).await;

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 200).await;
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 200);
}

// A node's nonsense about one channel must not keep the settler from the others.
#[tokio::test]
async fn impossible_account_of_one_channel_does_not_leave_a_forced_close_unanswered() {
    let mut world = World::new();
    let settler = world.settler().await;
    let broken = world.open(&settler, 1, 1_000).await;
    let id = world.open(&settler, 2, 1_000).await;
    world.pay(&id, 160).await;
    let impossible =
        ChannelAccount { settled: Amount::new(u64::MAX), ..world.account(&broken).unwrap() }.encode();
    let account = world.chain.account(&broken.pubkey()).unwrap();
    world.put(broken.pubkey(), Account { data: impossible.to_vec(), ..account });
    force_close(&world, &id).await;

    for _ in 0..3 {
        settler.pass(true).await.unwrap();
    }

    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
    assert_eq!(world.tokens(&world.payee.pubkey()), 160);
    assert_eq!(world.record(&broken).await.watermarks.settled.get(), 0);
}

// A confirmed open can be rolled back and land again, and a node can be wrong for a moment.
#[tokio::test]
async fn channel_that_vanished_and_is_back_is_settled() {
    let (world, id) = paid_channel().await;
    let settler = world.settler().await;
    let account = world.chain.account(&id.pubkey()).unwrap();
    world.put(id.pubkey(), Account::default());
    world.chain.advance(1, 0);
    settler.pass(true).await.unwrap();
    assert_eq!(world.record(&id).await.state, ChannelState::Gone);

    world.put(id.pubkey(), account);
    world.chain.advance(1, 0);
    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 160).await;
}
