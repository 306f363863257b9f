//! Channels whose vouchers our operator signs: one signature settles many of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use solana_account::Account;
use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, SpendingKind, Submission, SubmissionKind, SubmissionState};
use toll_protocol::{Amount, ChannelId, ChannelStatus, MAX_TRANSACTION, MAX_TRANSACTION_V1, SYSTEM_PROGRAM};
use toll_settler::{Settler, SettlerConfig, Step, TransactionVersion};

use crate::world::{PAYER_TOKENS, World, key};

/// `count` open channels, on each of which the operator has signed for 160 of 1000.
async fn operated(world: &mut World, count: u64) -> Vec<ChannelId> {
    let settler = world.settler().await;
    let mut ids = Vec::new();
    for salt in 0..count {
        ids.push(world.record_open(salt, 1_000).await);
    }
    world.drive(&settler).await;
    drop(settler);
    for id in &ids {
        world.pay(id, 160).await;
    }
    ids
}

/// The same, all of which are to close.
async fn closing(world: &mut World, count: u64) -> Vec<ChannelId> {
    let ids = operated(world, count).await;
    for id in &ids {
        world.ledger.request_close(id, CloseReason::Requested, None).await.unwrap();
    }
    ids
}

async fn all(world: &World, ids: &[ChannelId], kind: SubmissionKind) -> Vec<Submission> {
    let mut all: Vec<Submission> = Vec::new();
    for id in ids {
        for submission in world.submissions(id, kind).await {
            if !all.contains(&submission) {
                all.push(submission);
            }
        }
    }
    all.sort_by_key(|submission| submission.id);
    all
}

fn sizes(all: &[Submission]) -> Vec<usize> {
    all.iter().map(|one| one.effects.len()).collect()
}

async fn assert_all_paid(world: &World, ids: &[ChannelId]) {
    for id in ids {
        assert_eq!(world.record(id).await.state, ChannelState::Closed);
        assert_eq!(world.chain.account(&world.channel(id).await.escrow()), None);
    }
    let owed = 160 * ids.len() as u64;
    assert_eq!(world.tokens(&world.payee.pubkey()), owed);
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - owed);
    assert_eq!(world.ledger.unresolved().await.unwrap(), []);
    assert_eq!(world.ledger.holds().await.unwrap(), []);
}

#[tokio::test]
async fn operator_signed_channels_settle_by_one_signature_and_are_sealed_without_vouchers() {
    let mut world = World::operated();
    let ids = closing(&mut world, 6).await;
    let settler = world.settler().await;

    world.drive(&settler).await;

    let settles = all(&world, &ids, SubmissionKind::Settle).await;
    assert_eq!(sizes(&settles), [6]);
    assert_eq!(settles[0].fee_lamports, Some(10_000), "our signature, and the batch's");
    assert!(settles[0].effects.iter().all(|effect| effect.publishes == Some(Amount::new(160))));
    let closes = all(&world, &ids, SubmissionKind::Close).await;
    assert!(closes.iter().flat_map(|one| &one.effects).all(|effect| effect.publishes.is_none()));
    let payouts = all(&world, &ids, SubmissionKind::Distribute).await;
    let fees: u64 = closes.iter().chain(&payouts).filter_map(|one| one.fee_lamports).sum();
    assert!(fees <= 30_000, "{fees}");
    assert_all_paid(&world, &ids).await;
    world.assert_rent_returned(10_000 * 6 + settler.take_summary().fee_lamports(), 6);
}

#[tokio::test]
async fn a_batch_is_as_large_as_its_transaction_allows() {
    for (version, count, batches, most) in [
        (TransactionVersion::V0, 22, vec![18, 4], MAX_TRANSACTION),
        (TransactionVersion::V1, 63, vec![59, 4], MAX_TRANSACTION_V1),
    ] {
        let mut world = World::operated();
        let ids = closing(&mut world, count).await;
        let config = SettlerConfig { transaction_version: version, ..world.config() };
        let settler = world.start(world.keys(), config).await.unwrap();

        world.drive(&settler).await;

        let settles = all(&world, &ids, SubmissionKind::Settle).await;
        let reports = settler.take_summary();
        assert_eq!(sizes(&settles), batches, "{reports:?}");
        assert!(settles.iter().all(|one| one.transaction.len() <= most && one.fee_lamports == Some(10_000)));
        assert_all_paid(&world, &ids).await;
    }
}

#[tokio::test]
async fn two_closing_channels_show_their_own_vouchers_since_a_batch_saves_nothing() {
    let mut world = World::operated();
    let ids = closing(&mut world, 2).await;
    let settler = world.settler().await;

    world.drive(&settler).await;

    assert_eq!(all(&world, &ids, SubmissionKind::Settle).await, []);
    let closes = all(&world, &ids, SubmissionKind::Close).await;
    assert_eq!(sizes(&closes), [2]);
    assert_eq!(closes[0].fee_lamports, Some(20_000));
    assert_all_paid(&world, &ids).await;
}

#[tokio::test]
async fn without_the_operators_key_each_channel_settles_by_its_own_voucher() {
    let mut world = World::operated();
    let ids = closing(&mut world, 6).await;
    let mut keys = world.keys();
    keys.operator = None;
    let settler = world.start(keys, world.config()).await.unwrap();

    world.drive(&settler).await;

    assert_eq!(all(&world, &ids, SubmissionKind::Settle).await, []);
    let closes = all(&world, &ids, SubmissionKind::Close).await;
    assert!(closes.iter().flat_map(|one| &one.effects).all(|effect| effect.publishes.is_some()));
    assert_all_paid(&world, &ids).await;
}

#[tokio::test]
async fn channels_per_transaction_bounds_batches_too() {
    let mut world = World::operated();
    let ids = closing(&mut world, 6).await;
    let config = SettlerConfig { channels_per_transaction: 3, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();

    world.drive(&settler).await;

    assert_eq!(sizes(&all(&world, &ids, SubmissionKind::Settle).await), [3, 3]);
    assert_all_paid(&world, &ids).await;
}

#[tokio::test]
async fn channels_that_stay_open_are_settled_by_a_batch_at_their_payers_expense() {
    let mut world = World::operated();
    let ids = operated(&mut world, 3).await;
    let config = SettlerConfig { settle_threshold: Some(Amount::new(100)), ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();

    world.drive(&settler).await;

    let settles = all(&world, &ids, SubmissionKind::Settle).await;
    assert_eq!(sizes(&settles), [3]);
    assert_eq!(settles[0].fee_lamports, Some(10_000));
    let spending = world.ledger.spending_since(0).await.unwrap();
    let charged = spending.iter().filter(|row| row.kind == SpendingKind::Settle).map(|row| row.charged);
    assert_eq!(charged.sum::<u64>(), 10_000);
    for id in &ids {
        assert_eq!(world.record(id).await.watermarks.settled, Amount::new(160));
        assert_eq!(world.account(id).unwrap().status, ChannelStatus::Open);
    }
}

/// A settler that meets `change` right after `step` of its first batch.
async fn meeting(world: &World, at: Step, change: impl Fn() + Send + Sync + 'static) -> Settler {
    let once = AtomicBool::new(true);
    world.settler().await.on_step(move |kind, step| {
        if (kind, step) == (SubmissionKind::Settle, at) && once.swap(false, Ordering::SeqCst) {
            change();
        }
    })
}

/// Passes and pauses until `ids` are closed.
async fn until_closed(world: &World, settler: &Settler, ids: &[ChannelId]) {
    for _ in 0..500 {
        settler.publish_tip().await.unwrap();
        settler.pass(true).await.unwrap();
        let mut open = 0;
        for id in ids {
            open += usize::from(world.record(id).await.state != ChannelState::Closed);
        }
        if open == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not all are closed: {:?}", settler.take_summary());
}

#[tokio::test]
async fn a_channel_sealed_by_somebody_else_a_slot_before_is_passed_over_and_holds_nobody_up() {
    let mut world = World::operated();
    let ids = closing(&mut world, 5).await;
    let channel = world.channel(&ids[2]).await;
    let relayer = key(201);
    world.put(relayer.pubkey(), Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM));
    let seal =
        world.signed_by(&relayer.pubkey(), &[channel.settle_and_seal(false)], &[&relayer, &world.payee]);
    let chain = world.chain.clone();
    let settler = meeting(&world, Step::Recorded, move || {
        chain.lock().svm.send_transaction(seal.clone()).unwrap();
    })
    .await;

    until_closed(&world, &settler, &ids).await;

    let settles = all(&world, &ids, SubmissionKind::Settle).await;
    assert_eq!(sizes(&settles), [5]);
    assert_eq!(settles[0].state, SubmissionState::Landed);
    // Whoever sealed it gave its 160 away; the others got theirs.
    assert_eq!(world.tokens(&world.payee.pubkey()), 4 * 160);
}

#[tokio::test]
async fn a_payer_that_asks_to_leave_a_slot_before_is_settled_with_the_others() {
    let mut world = World::operated();
    let ids = closing(&mut world, 4).await;
    let relayer = key(201);
    world.put(relayer.pubkey(), Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM));
    let leave = [world.channel(&ids[1]).await.request_close()];
    let leave = world.signed_by(&relayer.pubkey(), &leave, &[&relayer, &world.payer]);
    let chain = world.chain.clone();
    let settler = meeting(&world, Step::Recorded, move || {
        chain.lock().svm.send_transaction(leave.clone()).unwrap();
    })
    .await;

    until_closed(&world, &settler, &ids).await;

    assert_eq!(sizes(&all(&world, &ids, SubmissionKind::Settle).await), [4]);
    assert_all_paid(&world, &ids).await;
}

#[tokio::test]
async fn one_member_over_its_deposit_never_holds_the_others() {
    let mut world = World::operated();
    let ids = closing(&mut world, 6).await;
    let address = ids[3].pubkey();
    let mut short = world.chain.account(&address).unwrap();
    // The deposit, in the account's layout.
    short.data[DEPOSIT_AT..DEPOSIT_AT + 8].copy_from_slice(&159_u64.to_le_bytes());
    assert_eq!(toll_protocol::ChannelAccount::decode(&short.data).unwrap().deposit, Amount::new(159));
    let chain = world.chain.clone();
    let settler = meeting(&world, Step::Planned, move || {
        chain.lock().svm.set_account(address, short.clone()).unwrap();
    })
    .await;
    let others: Vec<_> = ids.iter().copied().filter(|id| *id != ids[3]).collect();

    until_closed(&world, &settler, &others).await;

    assert_eq!(world.tokens(&world.payee.pubkey()), 5 * 160);
    assert_eq!(world.record(&ids[3]).await.state, ChannelState::Closing);
    assert_eq!(world.account(&ids[3]).unwrap().status, ChannelStatus::Open, "never sealed blindly");
    let failed = all(&world, &ids, SubmissionKind::Settle).await;
    assert!(failed.iter().all(|one| one.state == SubmissionState::Landed), "found out before it is sent");
}

/// Where a channel account has its deposit.
const DEPOSIT_AT: usize = 12;

#[tokio::test]
async fn a_batch_and_what_follows_it_are_finished_exactly_once_after_a_kill_at_any_step() {
    for kind in [SubmissionKind::Settle, SubmissionKind::Close] {
        for step in Step::ALL {
            let mut world = World::operated();
            let ids = closing(&mut world, 3).await;

            world.die_at(kind, step).await;
            let settler = world.settler().await;
            world.drive(&settler).await;

            for id in &ids {
                for kind in [SubmissionKind::Settle, SubmissionKind::Close] {
                    let landed = world.count(id, kind, SubmissionState::Landed).await;
                    assert_eq!(landed, 1, "{kind} killed at {step:?}");
                }
            }
            assert_all_paid(&world, &ids).await;
        }
    }
}

#[tokio::test]
async fn a_batch_that_expired_unsent_is_signed_anew() {
    let mut world = World::operated();
    let ids = closing(&mut world, 4).await;
    world.die_at(SubmissionKind::Settle, Step::Recorded).await;
    world.chain.advance(400, 160);

    let settler = world.settler().await;
    world.drive(&settler).await;

    let states: Vec<_> =
        all(&world, &ids, SubmissionKind::Settle).await.iter().map(|one| one.state).collect();
    assert_eq!(states, [SubmissionState::Expired, SubmissionState::Landed]);
    assert_all_paid(&world, &ids).await;
}
