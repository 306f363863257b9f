//! Many callers at once.

use std::sync::Arc;

use tokio::task::JoinSet;
use toll_ledger::{Acceptance, ChannelFixture, Charge, CloseReason, CloseRequested, Ledger, ManualClock};

use crate::{START, World, amount};

/// How often each outcome came up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: usize,
    replayed: usize,
    stale: usize,
    not_open: usize,
    other: usize,
}

impl Tally {
    fn count(&mut self, acceptance: &Acceptance) {
        match acceptance {
            Acceptance::Accepted(_) => self.accepted += 1,
            Acceptance::Replayed(_) => self.replayed += 1,
            Acceptance::Stale { .. } => self.stale += 1,
            Acceptance::NotOpen(_) => self.not_open += 1,
            _ => self.other += 1,
        }
    }

    async fn of(mut tasks: JoinSet<Acceptance>) -> Self {
        let mut tally = Self::default();
        while let Some(acceptance) = tasks.join_next().await {
            tally.count(&acceptance.unwrap());
        }
        tally
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_voucher_presented_a_hundred_times_is_accepted_once() {
    let world = World::with_deposit(1_000).await;
    let voucher = world.channel.voucher(16);
    let mut tasks = JoinSet::new();
    for presentation in 0..100 {
        let (ledger, voucher) = (world.ledger.clone(), voucher.clone());
        // Half of them are retries of one request, half are requests of their own.
        let request = if presentation % 2 == 0 { 0 } else { presentation };
        tasks.spawn(async move { ledger.accept(&voucher, Charge::of(16, request)).await.unwrap() });
    }

    let tally = Tally::of(tasks).await;

    assert_eq!(tally.accepted, 1, "{tally:?}");
    assert_eq!(tally.accepted + tally.replayed + tally.stale, 100, "{tally:?}");
    assert_eq!(world.watermarks().await.spent, amount(16));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_presented_a_hundred_times_is_charged_once() {
    let world = World::with_deposit(1_000).await;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (ledger, voucher) = (world.ledger.clone(), world.channel.voucher(16));
        tasks.spawn(async move { ledger.accept(&voucher, Charge::of(16, 0)).await.unwrap() });
    }
    let tally = Tally::of(tasks).await;
    assert_eq!(tally, Tally { accepted: 1, replayed: 99, ..Tally::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_accept_one_voucher_once() {
    let clock = ManualClock::new(START);
    let first = Ledger::temporary(clock.clone());
    let processes = [first.clone(), first.again(clock)];
    let channel = ChannelFixture::new(1, 10_000);
    channel.open(&processes[0]).await.unwrap();
    for round in 1..=10 {
        let mut tasks = JoinSet::new();
        for caller in 0..20 {
            let (ledger, voucher) = (processes[caller % 2].clone(), channel.voucher(round * 16));
            let charge = Charge::of(16, round * 100 + caller as u64);
            tasks.spawn(async move { ledger.accept(&voucher, charge).await.unwrap() });
        }
        let tally = Tally::of(tasks).await;
        assert_eq!(tally, Tally { accepted: 1, stale: 19, ..Tally::default() }, "round {round}");
    }
    let record = processes[1].channel(&channel.id()).await.unwrap().unwrap();
    assert_eq!(record.watermarks.spent, amount(160));
}

#[tokio::test]
async fn callers_that_wait_together_share_a_commit() {
    let ledger = Ledger::temporary(ManualClock::new(START));
    let channels: Vec<_> = (0..64).map(|salt| ChannelFixture::new(salt, 1_000)).collect();
    for channel in &channels {
        channel.open(&ledger).await.unwrap();
    }
    let before = ledger.commits();
    // Everything is queued before the writer may go on, so the split into groups is known.
    let hold = ledger.hold_writer().await;
    let mut tasks = JoinSet::new();
    for channel in channels {
        let (ledger, voucher) = (ledger.clone(), channel.voucher(16));
        let charge = Charge::of(16, 1_000 + channel.channel.agreement.terms.salt);
        tasks.spawn(async move { ledger.accept(&voucher, charge).await.unwrap() });
    }
    while ledger.queued() < 64 {
        tokio::task::yield_now().await;
    }
    drop(hold);

    assert_eq!(Tally::of(tasks).await.accepted, 64);
    assert_eq!(ledger.commits() - before, 1);
}

#[tokio::test]
async fn caller_that_left_before_its_turn_is_not_charged() {
    let world = World::with_deposit(1_000).await;
    let hold = world.ledger.hold_writer().await;
    let (ledger, voucher) = (world.ledger.clone(), world.channel.voucher(16));
    let leaver = tokio::spawn(async move { ledger.accept(&voucher, Charge::of(16, 1)).await });
    while world.ledger.queued() < 1 {
        tokio::task::yield_now().await;
    }
    leaver.abort();
    assert!(leaver.await.unwrap_err().is_cancelled());
    drop(hold);

    let acceptance = world.ledger.accept(&world.channel.voucher(16), Charge::of(16, 2)).await.unwrap();
    assert!(matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_accepted_after_a_close_was_recorded() {
    for round in 0..20 {
        let world = Arc::new(World::with_deposit(100_000).await);
        let payer = {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                for step in 1..=1_000u64 {
                    let charge = Charge::of(16, step);
                    let acceptance =
                        world.ledger.accept(&world.channel.voucher(step * 16), charge).await.unwrap();
                    match acceptance {
                        Acceptance::Accepted(_) => {}
                        Acceptance::NotOpen(_) => return (step - 1) * 16,
                        other => panic!("{other:?}"),
                    }
                }
                16_000
            })
        };
        let mut changes = world.ledger.changes();
        for _ in 0..round {
            changes.changed(std::time::Duration::from_secs(60)).await;
        }
        let outcome = world.ledger.request_close(&world.id, CloseReason::Shutdown, None).await.unwrap();
        let at_close = world.watermarks().await;
        assert_eq!(outcome, CloseRequested::Recorded);

        let paid = payer.await.unwrap();

        assert_eq!(at_close.accepted, amount(paid), "what was accepted is what was there at the close");
        assert_eq!(world.watermarks().await, at_close);
        let best = world.ledger.best_voucher_to_settle(&world.id, START).await.unwrap();
        assert_eq!(best.map_or(amount(0), |signed| signed.voucher.cumulative_amount), amount(paid));
    }
}
