//! Many channels in one transaction.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use solana_account::Account;
use solana_signer::Signer;
use toll_chain::DEVNET_GENESIS;
use toll_chain::feature::{self, TRANSACTION_V1_GATE};
use toll_ledger::{ChannelState, CloseReason, SpendingKind, Submission, SubmissionKind, SubmissionState};
use toll_protocol::{ChannelId, ChannelStatus, MAX_TRANSACTION, MAX_TRANSACTION_V1, Network, SYSTEM_PROGRAM};
use toll_settler::{PurseSettings, Settler, SettlerConfig, SettlerError, Step, TransactionVersion};

use crate::chain::NOW;
use crate::world::{PAYER_TOKENS, World, key};

/// `count` channels with so much accepted that each owes more than the one before, all of which are to close.
async fn closing(world: &mut World, count: u64) -> Vec<ChannelId> {
    let settler = world.settler().await;
    let mut ids = Vec::new();
    for salt in 0..count {
        ids.push(world.record_open(salt, 10_000).await);
    }
    world.drive(&settler).await;
    drop(settler);
    for (number, id) in ids.iter().enumerate() {
        world.pay(id, 100 + number as u64).await;
        world.ledger.request_close(id, CloseReason::Requested, None).await.unwrap();
    }
    ids
}

/// What `closing` channels owe together.
fn owed(count: u64) -> u64 {
    (0..count).map(|number| 100 + number).sum()
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

async fn assert_all_paid(world: &World, ids: &[ChannelId]) {
    for id in ids {
        assert_eq!(world.record(id).await.state, ChannelState::Closed);
        assert_eq!(world.chain.account(&world.channel(id).await.escrow()), None);
    }
    let owed = owed(ids.len() as u64);
    assert_eq!(world.tokens(&world.payee.pubkey()), owed);
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - owed);
    assert_eq!(world.ledger.unresolved().await.unwrap(), []);
    assert_eq!(world.ledger.holds().await.unwrap(), []);
}

#[tokio::test]
async fn two_closes_share_a_transaction() {
    let mut world = World::new();
    let ids = closing(&mut world, 2).await;
    let settler = world.settler().await;

    world.drive(&settler).await;

    let closes = all(&world, &ids, SubmissionKind::Close).await;
    assert_eq!(closes.len(), 1);
    assert_eq!(closes[0].channels().len(), 2);
    assert!(closes[0].effects.iter().all(|effect| effect.pays_out && effect.publishes.is_some()));
    assert_eq!(closes[0].fee_lamports, Some(20_000), "two signatures, and one for each voucher");
    assert_all_paid(&world, &ids).await;
    world.assert_rent_returned(10_000 * 2 + settler.take_summary().fee_lamports(), 2);
}

#[tokio::test]
async fn many_closes_are_sealed_by_fours_and_paid_by_more() {
    let mut world = World::new();
    let ids = closing(&mut world, 20).await;
    let settler = world.settler().await;

    world.drive(&settler).await;

    let seals = all(&world, &ids, SubmissionKind::Close).await;
    let payouts = all(&world, &ids, SubmissionKind::Distribute).await;
    let sizes = |all: &[Submission]| all.iter().map(|one| one.effects.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&seals), [4; 5]);
    assert!(payouts.len() <= 4, "{:?}", sizes(&payouts));
    assert!(seals.iter().chain(&payouts).all(|one| one.transaction.len() <= MAX_TRANSACTION));
    let fees: u64 = seals.iter().chain(&payouts).filter_map(|one| one.fee_lamports).sum();
    assert!(fees <= 20 * 8_500, "{fees}");
    // The most exposed first.
    assert!(seals[0].channels().contains(&ids[19]));
    assert_all_paid(&world, &ids).await;
}

#[tokio::test]
async fn channels_per_transaction_says_how_many_share_one() {
    for (most, transactions) in [(1, 6), (2, 3)] {
        let mut world = World::new();
        let ids = closing(&mut world, 6).await;
        let config = SettlerConfig { channels_per_transaction: most, ..world.config() };
        let settler = world.start(world.keys(), config).await.unwrap();

        world.drive(&settler).await;

        assert_eq!(all(&world, &ids, SubmissionKind::Close).await.len(), transactions);
        assert_all_paid(&world, &ids).await;
    }
}

#[tokio::test]
async fn room_in_flight_counts_transactions_and_not_channels() {
    let mut world = World::new();
    let ids = closing(&mut world, 20).await;
    let config = SettlerConfig { in_flight: 2, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();

    let pass = settler.pass(true).await.unwrap();

    assert_eq!(pass.sent, 2);
    let sealed = all(&world, &ids, SubmissionKind::Close).await;
    assert_eq!(sealed.iter().map(|one| one.effects.len()).collect::<Vec<_>>(), [4, 4]);
    world.drive(&settler).await;
    assert_all_paid(&world, &ids).await;
}

/// A settler that meets a close by somebody else right before it sends its first transaction of `kind`.
async fn overtaken(world: &World, kind: SubmissionKind, at: Step, id: &ChannelId) -> Settler {
    let channel = world.channel(id).await;
    let relayer = key(201);
    world.put(relayer.pubkey(), Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM));
    let voucher = world.ledger.best_voucher_to_settle(id, NOW).await.unwrap().unwrap();
    let instructions =
        [toll_protocol::ed25519_verify(&voucher), channel.settle_and_seal(true), channel.distribute()];
    let transaction = world.signed_by(&relayer.pubkey(), &instructions, &[&relayer, &world.payee]);
    let (chain, once) = (world.chain.clone(), AtomicBool::new(true));
    world.settler().await.on_step(move |found, step| {
        if (found, step) == (kind, at) && once.swap(false, Ordering::SeqCst) {
            chain.lock().svm.send_transaction(transaction.clone()).unwrap();
        }
    })
}

#[tokio::test]
async fn channel_closed_by_somebody_else_a_slot_before_holds_nobody_up() {
    for count in [2, 5] {
        let mut world = World::new();
        let ids = closing(&mut world, count).await;
        let overtaken_one = ids[count as usize - 1];
        let settler = overtaken(&world, SubmissionKind::Close, Step::Recorded, &overtaken_one).await;

        world.drive(&settler).await;
        // Whoever was in the failed transaction pauses.
        tokio::time::sleep(Duration::from_millis(600)).await;
        world.drive(&settler).await;

        let closes = all(&world, &ids, SubmissionKind::Close).await;
        let failed: Vec<_> = closes.iter().filter(|one| one.state == SubmissionState::Failed).collect();
        assert_eq!(failed.len(), 1, "it failed once");
        assert!(failed[0].channels().contains(&overtaken_one));
        for id in &ids[..count as usize - 1] {
            assert_eq!(world.count(id, SubmissionKind::Close, SubmissionState::Landed).await, 1);
        }
        assert_all_paid(&world, &ids).await;
    }
}

#[tokio::test]
async fn channel_closed_by_somebody_else_before_the_simulation_is_left_out_at_once() {
    let mut world = World::new();
    let ids = closing(&mut world, 4).await;
    let settler = overtaken(&world, SubmissionKind::Close, Step::Planned, &ids[2]).await;

    let pass = settler.pass(true).await.unwrap();

    assert_eq!((pass.sent, pass.waiting), (1, 1));
    let closes = all(&world, &ids, SubmissionKind::Close).await;
    assert_eq!(closes.len(), 1);
    assert_eq!(closes[0].effects.len(), 3);
    assert_eq!(world.submissions(&ids[2], SubmissionKind::Close).await, []);
    world.drive(&settler).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    world.drive(&settler).await;
    assert_all_paid(&world, &ids).await;
}

#[tokio::test]
async fn one_poisoned_channel_never_holds_the_others() {
    let mut world = World::new();
    let ids = closing(&mut world, 7).await;
    // An escrow that is short of the deposit: it can be sealed, but never paid out.
    let escrow = world.channel(&ids[3]).await.escrow();
    let broken = crate::tokens::account(world.mint, ids[3].pubkey(), world.token_program, 10);
    world.put(escrow, broken);
    let settler = world.settler().await;

    for _ in 0..150 {
        settler.publish_tip().await.unwrap();
        settler.pass(true).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    for id in &ids {
        let status = world.account(id).unwrap().status;
        let poisoned = *id == ids[3];
        assert_eq!(status, if poisoned { ChannelStatus::Sealed } else { ChannelStatus::Distributed });
    }
    assert_eq!(world.submissions(&ids[3], SubmissionKind::Distribute).await, [], "nothing is spent on it");
    let failed = settler.take_summary().reports.into_iter().filter(|report| report.error.is_some()).count();
    assert_eq!(failed, 0);
}

#[tokio::test]
async fn channel_that_fails_on_chain_only_is_split_from_the_others() {
    let mut world = World::new();
    let ids = closing(&mut world, 2).await;
    let escrow = world.channel(&ids[0]).await.escrow();
    let (whole, program) = (world.chain.account(&escrow).unwrap(), world.token_program);
    let broken = crate::tokens::account(world.mint, ids[0].pubkey(), program, 10);
    // Well whenever it is simulated, and short of the deposit whenever it is in a block.
    let chain = world.chain.clone();
    let settler = world.settler().await.on_step(move |_, step| {
        let account = match step {
            Step::Recorded => &broken,
            Step::Submitted => &whole,
            _ => return,
        };
        let is_there = chain.account(&escrow).is_some();
        if is_there {
            chain.lock().svm.set_account(escrow, account.clone()).unwrap();
        }
    });

    for _ in 0..1_000 {
        settler.publish_tip().await.unwrap();
        settler.pass(true).await.unwrap();
        if world.record(&ids[1]).await.state == ChannelState::Closed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    assert_eq!(world.record(&ids[1]).await.state, ChannelState::Closed);
    assert_eq!(world.count(&ids[1], SubmissionKind::Close, SubmissionState::Landed).await, 1);
    let failed = all(&world, &ids[1..], SubmissionKind::Close).await;
    let failed = failed.iter().filter(|one| one.state == SubmissionState::Failed);
    assert!(failed.count() <= 2, "halves at once, not after many attempts");
    assert_eq!(world.count(&ids[0], SubmissionKind::Close, SubmissionState::Landed).await, 0);
}

/// A channel of a payer of its own with a voucher that expires soon.
async fn expiring(world: &mut World, settler: &Settler, number: u8) -> ChannelId {
    world.payer = key(number);
    world.put_tokens(world.payer.pubkey(), PAYER_TOKENS);
    let id = world.open(settler, number.into(), 1_000).await;
    world.pay_until(&id, 160, NOW + 100).await;
    id
}

async fn charged(world: &World, kind: SpendingKind) -> Vec<u64> {
    let all = world.ledger.spending_since(0).await.unwrap();
    all.into_iter().filter(|row| row.kind == kind).map(|row| row.charged).collect()
}

#[tokio::test]
async fn payers_share_the_fee_of_the_transaction_that_settles_for_all_of_them() {
    let mut world = World::new();
    let settler = world.start(world.keys(), SettlerConfig { settle_before_expiry: None, ..world.config() });
    let settler = settler.await.unwrap();
    let mut ids = Vec::new();
    for number in 30..33 {
        ids.push(expiring(&mut world, &settler, number).await);
    }
    drop(settler);
    let settler = world.settler().await;

    world.drive(&settler).await;

    let settles = all(&world, &ids, SubmissionKind::Settle).await;
    assert_eq!(settles.len(), 1);
    assert_eq!(settles[0].fee_lamports, Some(20_000), "our signature, and one for each voucher");
    assert_eq!(charged(&world, SpendingKind::Settle).await, [6_667, 6_667, 6_666]);
    assert_eq!(world.ledger.holds().await.unwrap(), []);
    for id in &ids {
        assert_eq!(world.record(id).await.watermarks.settled.get(), 160);
    }
}

#[tokio::test]
async fn a_payer_without_budget_keeps_no_other_payers_voucher_from_being_settled() {
    let mut world = World::new();
    let settler = world.start(world.keys(), SettlerConfig { settle_before_expiry: None, ..world.config() });
    let settler = settler.await.unwrap();
    let mut ids = Vec::new();
    for number in 30..33 {
        ids.push(expiring(&mut world, &settler, number).await);
    }
    // One payer has had a second open, and the budget is less than the two of them and a settle cost.
    world.payer = key(31);
    world.open(&settler, 77, 1_000).await;
    drop(settler);
    let purse = PurseSettings { payer_budget_per_day: 71_000, ..world.config().purse };
    let settler = world.start(world.keys(), SettlerConfig { purse, ..world.config() }).await.unwrap();

    world.drive(&settler).await;

    let settled = |id| {
        let world = &world;
        async move { world.record(id).await.watermarks.settled.get() }
    };
    assert_eq!((settled(&ids[0]).await, settled(&ids[2]).await), (160, 160));
    assert_eq!(settled(&ids[1]).await, 0);
    assert_eq!(all(&world, &ids, SubmissionKind::Settle).await.len(), 1);
    assert!(
        settler.take_summary().held.iter().any(|(id, reason)| *id == ids[1] && reason.contains("budget"))
    );
}

#[tokio::test]
async fn closes_of_several_payers_share_a_transaction_and_nobodys_budget() {
    let mut world = World::new();
    let settler = world.settler().await;
    let mut ids = Vec::new();
    for number in 30..34 {
        world.payer = key(number);
        world.put_tokens(world.payer.pubkey(), PAYER_TOKENS);
        let id = world.open(&settler, number.into(), 1_000).await;
        world.pay(&id, 160).await;
        ids.push(id);
    }
    let before = world.ledger.charged_in_all().await.unwrap();
    settler.close_all(CloseReason::Requested).await.unwrap();

    world.drive(&settler).await;

    assert_eq!(all(&world, &ids, SubmissionKind::Close).await.len(), 1);
    for (id, number) in ids.iter().zip(30..34) {
        assert_eq!(world.record(id).await.state, ChannelState::Closed);
        assert_eq!(world.tokens(&key(number).pubkey()), PAYER_TOKENS - 160);
    }
    assert_eq!(world.tokens(&world.payee.pubkey()), 4 * 160);
    assert_eq!(world.ledger.charged_in_all().await.unwrap(), before);
}

#[tokio::test]
async fn unused_channels_close_without_vouchers_and_more_of_them_at_once() {
    let world = World::new();
    let settler = world.settler().await;
    let mut ids = Vec::new();
    for salt in 0..8 {
        ids.push(world.record_open(salt, 10_000).await);
    }
    world.drive(&settler).await;
    settler.close_all(CloseReason::Idle).await.unwrap();

    world.drive(&settler).await;

    let closes = all(&world, &ids, SubmissionKind::Close).await;
    assert!(closes.len() <= 2, "{}", closes.len());
    assert!(closes.iter().flat_map(|one| &one.effects).all(|effect| effect.publishes.is_none()));
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS);
}

#[tokio::test]
async fn ten_closes_share_a_transaction_of_version_1_whole() {
    let mut world = World::new();
    let ids = closing(&mut world, 20).await;
    let config = SettlerConfig { transaction_version: TransactionVersion::V1, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();

    world.drive(&settler).await;

    let closes = all(&world, &ids, SubmissionKind::Close).await;
    assert_eq!(closes.iter().map(|one| one.effects.len()).collect::<Vec<_>>(), [10, 10]);
    for close in &closes {
        assert!((MAX_TRANSACTION..=MAX_TRANSACTION_V1).contains(&close.transaction.len()));
        assert_eq!(close.fee_lamports, Some(60_000), "two signatures, and one for each voucher");
    }
    assert_all_paid(&world, &ids).await;
    world.assert_rent_returned(10_000 * 20 + settler.take_summary().fee_lamports(), 20);
}

#[tokio::test]
async fn priority_of_a_transaction_of_version_1_is_held_and_spent_to_the_lamport() {
    let mut world = World::new();
    let ids = closing(&mut world, 3).await;
    let config = SettlerConfig {
        transaction_version: TransactionVersion::V1,
        compute_unit_price: 10_000,
        ..world.config()
    };
    let before = world.chain.lamports(&world.fee_payer.pubkey());
    let settler = world.start(world.keys(), config).await.unwrap();

    world.drive(&settler).await;

    let close = &all(&world, &ids, SubmissionKind::Close).await[0];
    let fee = close.fee_lamports.unwrap();
    assert!(fee > 25_000, "{fee}");
    let after = world.chain.lamports(&world.fee_payer.pubkey());
    let escrows = 3 * 2_039_280;
    assert_eq!(after, before + escrows - fee);
    let all = world.ledger.spending_since(0).await.unwrap();
    let closes = all.iter().filter(|row| row.kind == SpendingKind::Close);
    assert_eq!(closes.map(|row| row.spent).sum::<u64>(), fee);
}

#[tokio::test]
async fn version_1_is_chosen_where_the_clusters_gate_for_it_is_open() {
    for (open, expected) in [(false, vec![4, 2]), (true, vec![6])] {
        let mut world = World::new();
        let ids = closing(&mut world, 6).await;
        let gate = Account { data: vec![u8::from(open); 9], ..feature::open_gate() };
        world.put(TRANSACTION_V1_GATE, gate);
        assert_eq!(world.config().transaction_version, TransactionVersion::Auto);
        let settler = world.start(world.keys(), world.config()).await.unwrap();

        world.drive(&settler).await;

        let closes = all(&world, &ids, SubmissionKind::Close).await;
        assert_eq!(closes.iter().map(|one| one.effects.len()).collect::<Vec<_>>(), expected, "{open}");
        assert_all_paid(&world, &ids).await;
    }
}

#[tokio::test]
async fn version_1_is_refused_where_the_cluster_does_not_take_it() {
    let world = World::new();
    world.chain.lock().genesis_hash = DEVNET_GENESIS.to_owned();
    let config = SettlerConfig {
        network: Network::Devnet,
        transaction_version: TransactionVersion::V1,
        ..world.config()
    };
    for (data, taken) in [(vec![0; 9], false), (vec![1; 9], true)] {
        world.put(TRANSACTION_V1_GATE, Account { data, ..feature::open_gate() });
        let started = world.start(world.keys(), config.clone()).await;
        assert_eq!(started.is_ok(), taken);
        if let Err(error) = started {
            assert!(matches!(error, SettlerError::TransactionVersion), "{error}");
            assert!(error.to_string().starts_with("settler.transaction_version: "), "{error}");
        }
    }
}
