//! Deposits that grow, also while a channel is about to close.

use solana_account::Account;
use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, RecordedTopUp, SubmissionKind, SubmissionState};
use toll_protocol::{Amount, SYSTEM_PROGRAM, encode_transaction};
use toll_settler::Step;

use crate::chain::Faults;
use crate::world::{PAYER_TOKENS, World};

#[tokio::test]
async fn top_up_raises_the_deposit_once_the_chain_shows_it() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;

    world.record_top_up(&id, 500).await;
    assert_eq!(world.record(&id).await.watermarks.deposit.get(), 1_000);
    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.watermarks.deposit.get(), 1_500);
    assert_eq!(world.count(&id, SubmissionKind::TopUp, SubmissionState::Landed).await, 1);
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 1_500);
}

#[tokio::test]
async fn other_amount_than_recorded_is_refused() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    let transaction = world.payer_signed(&[world.channel(&id).await.top_up(Amount::new(5))]);
    world.ledger.record_top_up(&id, Amount::new(500), transaction).await.unwrap();

    world.drive(&settler).await;

    assert_eq!(world.count(&id, SubmissionKind::TopUp, SubmissionState::Failed).await, 1);
    assert_eq!(world.account(&id).unwrap().deposit.get(), 1_000);
    assert_eq!(world.record(&id).await.state, ChannelState::Open);
}

#[tokio::test]
async fn top_up_recorded_before_the_close_but_not_signed_is_refused() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.record_top_up(&id, 500).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();

    world.drive(&settler).await;

    assert_eq!(world.count(&id, SubmissionKind::TopUp, SubmissionState::Failed).await, 1);
    world.assert_paid_out(&id, 1_000, 0).await;
}

#[tokio::test]
async fn close_waits_for_a_top_up_in_flight_and_refunds_it_too() {
    let mut world = World::new();
    let id = world.opened(1, 1_000).await;
    world.pay(&id, 160).await;
    world.record_top_up(&id, 500).await;
    world.die_at(SubmissionKind::TopUp, Step::Recorded).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();

    let settler = world.settler().await;
    world.drive(&settler).await;

    assert_eq!(world.count(&id, SubmissionKind::TopUp, SubmissionState::Landed).await, 1);
    world.assert_paid_out(&id, 1_500, 160).await;
}

#[tokio::test]
async fn top_up_that_never_lands_expires_and_leaves_the_channel_as_it_was() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.record_top_up(&id, 500).await;
    world.chain.fault(Faults { drop_submissions: true, ..Default::default() });
    settler.pass(true).await.unwrap();
    world.chain.advance(159, 60);
    world.drive(&settler).await;

    assert_eq!(world.count(&id, SubmissionKind::TopUp, SubmissionState::Expired).await, 1);
    let record = world.record(&id).await;
    assert_eq!((record.state, record.watermarks.deposit.get()), (ChannelState::Open, 1_000));
}

// An Ed25519 key can sign one message in many ways, so the same transaction can be requested twice.
#[tokio::test]
async fn transaction_requested_twice_lands_once_and_stops_nobody() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.record_top_up(&id, 500).await;
    let again = world.payer_signed_again(&[world.channel(&id).await.top_up(Amount::new(500))]);
    let recorded = world.ledger.record_top_up(&id, Amount::new(500), again).await.unwrap();
    assert!(matches!(recorded, RecordedTopUp::Recorded(_)), "{recorded:?}");

    world.drive(&settler).await;

    assert_eq!(world.count(&id, SubmissionKind::TopUp, SubmissionState::Landed).await, 1);
    assert_eq!(world.count(&id, SubmissionKind::TopUp, SubmissionState::Failed).await, 1);
    assert_eq!(world.record(&id).await.watermarks.deposit.get(), 1_500);
}

#[tokio::test]
async fn payer_may_pay_for_its_top_up_itself() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    let payer = world.payer.pubkey();
    world.put(payer, Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM));
    let ours = world.chain.lamports(&world.fee_payer.pubkey());
    let top_up = world.channel(&id).await.top_up(Amount::new(500));
    let transaction = encode_transaction(&world.signed_by(&payer, &[top_up], &[&world.payer]));
    world.ledger.record_top_up(&id, Amount::new(500), transaction).await.unwrap();

    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.watermarks.deposit.get(), 1_500);
    assert_eq!(world.chain.lamports(&world.fee_payer.pubkey()), ours);
}
