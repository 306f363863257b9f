//! Two processes that sell on the same channels at the same time never sell more than is there, nor anything twice.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::task::JoinSet;
use toll_ledger::{
    Acceptance, Accepted, ChannelFixture, Charge, DatabaseErrorKind, Ledger, LedgerError, ManualClock,
};

use crate::{START, amount};

/// Callers of each process.
const CALLERS: usize = 4;

/// One thing that a caller tries.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    channel: usize,
    /// How far above the highest voucher that this test knows of.
    step: u64,
    cost: u64,
    /// Below this many, requests share a key with those of other callers; beyond, each is of its own.
    request: u64,
}

fn attempts(channels: usize) -> impl Strategy<Value = Vec<Vec<Attempt>>> {
    let attempt = (0..channels, 0..40u64, 1..20u64, 0..60u64)
        .prop_map(|(channel, step, cost, request)| Attempt { channel, step, cost, request });
    prop::collection::vec(prop::collection::vec(attempt, 20..30), 2 * CALLERS)
}

/// What one channel has sold, by the answers that callers got.
#[derive(Debug, Default)]
struct Sold {
    /// What was spent after each voucher, and what that was charged.
    vouchers: BTreeMap<u64, (u64, u64)>,
    requests: HashSet<[u8; 32]>,
}

#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    replayed: usize,
    refused: usize,
    conflicts: usize,
}

async fn sell(processes: &[Ledger; 2], channels: &[ChannelFixture], plan: Vec<Vec<Attempt>>) -> Tally {
    for process in processes {
        for channel in channels {
            process.reload(&channel.id()).await.unwrap();
        }
    }
    let highest: Arc<Vec<AtomicU64>> = Arc::new(channels.iter().map(|_| AtomicU64::new(0)).collect());
    let sold: Arc<Vec<Mutex<Sold>>> = Arc::new(channels.iter().map(|_| Mutex::default()).collect());
    let tally = Arc::new(Mutex::new(Tally::default()));
    let mut callers = JoinSet::new();
    for (caller, attempts) in plan.into_iter().enumerate() {
        let (ledger, channels) = (processes[caller % 2].clone(), channels.to_vec());
        let (highest, sold, tally) = (Arc::clone(&highest), Arc::clone(&sold), Arc::clone(&tally));
        callers.spawn(async move {
            for (nth, attempt) in attempts.into_iter().enumerate() {
                let cumulative = highest[attempt.channel].load(Ordering::SeqCst) + attempt.step;
                let request = if attempt.request < 10 {
                    attempt.request
                } else {
                    (1_000 * (caller as u64 + 1)) + nth as u64
                };
                let charge = Charge { headroom: amount(20), ..Charge::of(attempt.cost, request) };
                let key = charge.replay.key;
                let outcome = ledger.accept(&channels[attempt.channel].voucher(cumulative), charge).await;
                let mut tally = tally.lock().unwrap();
                match outcome {
                    Ok(Acceptance::Accepted(Accepted { watermarks, .. })) => {
                        tally.accepted += 1;
                        highest[attempt.channel].fetch_max(cumulative, Ordering::SeqCst);
                        assert_eq!(watermarks.accepted, amount(cumulative));
                        let mut sold = sold[attempt.channel].lock().unwrap();
                        let twice = sold.vouchers.insert(cumulative, (watermarks.spent.get(), attempt.cost));
                        assert_eq!(twice, None, "voucher {cumulative} was sold twice");
                        assert!(sold.requests.insert(key), "a request was charged twice");
                    }
                    Ok(Acceptance::Replayed(_)) => tally.replayed += 1,
                    Ok(_) => tally.refused += 1,
                    // Nothing happened: others were in the way for too long.
                    Err(LedgerError::Database { cause, .. })
                        if matches!(cause.kind(), DatabaseErrorKind::Conflict | DatabaseErrorKind::Busy) =>
                    {
                        tally.conflicts += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    for (channel, sold) in channels.iter().zip(sold.iter()) {
        let vouchers = std::mem::take(&mut sold.lock().unwrap().vouchers);
        let mut spent = 0;
        for (cumulative, (after, cost)) in &vouchers {
            spent += cost;
            assert_eq!(
                *after, spent,
                "what is spent after {cumulative} is the sum of all charges until then"
            );
        }
        for process in processes {
            let record = process.channel(&channel.id()).await.unwrap().unwrap();
            let last = vouchers.last_key_value().map_or(0, |(cumulative, _)| *cumulative);
            let marks = record.watermarks;
            assert_eq!((marks.accepted, marks.spent), (amount(last), amount(spent)));
            assert!(marks.accepted <= marks.deposit);
            let stored = process.highest_voucher(&channel.id()).await.unwrap();
            assert_eq!(stored.map_or(0, |stored| stored.voucher.cumulative_amount.get()), last);
        }
    }
    Arc::into_inner(tally).unwrap().into_inner().unwrap()
}

#[test]
fn two_processes_sell_no_more_than_the_deposit_and_nothing_twice() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let mut all = Tally::default();
    let mut runner = TestRunner::new(Config { cases: 5, failure_persistence: None, ..Config::default() });
    let tally = Mutex::new(&mut all);
    runner
        .run(
            &(2..4usize, 100..600u64).prop_flat_map(|(n, deposit)| (Just(n), Just(deposit), attempts(n))),
            |case| {
                let (number, deposit, plan) = case;
                let sum = runtime.block_on(async {
                    let first = Ledger::temporary(ManualClock::new(START));
                    let processes = [first.clone(), first.again(ManualClock::new(START))];
                    let channels: Vec<_> =
                        (0..number as u64).map(|salt| ChannelFixture::new(salt, deposit)).collect();
                    first.open_all(channels.clone()).await.unwrap();
                    sell(&processes, &channels, plan).await
                });
                let mut all = tally.lock().unwrap();
                all.accepted += sum.accepted;
                all.replayed += sum.replayed;
                all.refused += sum.refused;
                all.conflicts += sum.conflicts;
                Ok(())
            },
        )
        .unwrap();
    println!("{all:?}");
    assert!(all.accepted > 50 && all.refused > 50 && all.replayed > 0, "{all:?}");
    assert!(all.conflicts * 20 < all.accepted, "others are seldom in the way for good: {all:?}");
}
