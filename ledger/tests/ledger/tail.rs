//! Several processes on one ledger, where one has accepted what is not in the rows yet.

use toll_ledger::{Acceptance, Charge, CloseReason, Ledger, ManualClock};

use crate::{START, World, amount};

fn another(ledger: &Ledger) -> Ledger {
    ledger.again(ManualClock::new(START))
}

fn of_voucher(cost: u64, request: u64) -> Charge {
    Charge { is_of_voucher: true, ..Charge::of(cost, request) }
}

#[tokio::test]
async fn what_one_process_accepted_is_there_for_another() {
    let world = World::with_deposit(1_000).await;
    let other = another(&world.ledger);
    for step in 1..=3 {
        let charge = of_voucher(16, step);
        let accepted = world.ledger.accept(&world.channel.voucher(16 * step), charge).await.unwrap();
        assert!(matches!(accepted, Acceptance::Accepted(_)), "{accepted:?}");
        let seen = other.channel(&world.id).await.unwrap().unwrap().watermarks;
        assert_eq!((seen.accepted, seen.spent), (amount(16 * step), amount(16 * step)));
        let best = other.best_voucher_to_settle(&world.id, START).await.unwrap().unwrap();
        assert_eq!(best.voucher.cumulative_amount, amount(16 * step));
    }
}

#[tokio::test]
async fn two_processes_in_turn_sell_a_deposit_once() {
    let world = World::with_deposit(160).await;
    let processes = [world.ledger.clone(), another(&world.ledger)];
    let mut sold = 0;
    for step in 1..=14 {
        // Both are offered the same voucher, for two requests.
        for (nth, ledger) in processes.iter().enumerate() {
            let charge = of_voucher(16, step * 2 + nth as u64);
            let acceptance = ledger.accept(&world.channel.voucher(16 * step), charge).await.unwrap();
            sold += u64::from(matches!(acceptance, Acceptance::Accepted(_)));
        }
    }
    assert_eq!(sold, 10);
    let marks = world.watermarks().await;
    assert_eq!((marks.accepted, marks.spent), (amount(160), amount(160)));
}

#[tokio::test]
async fn a_close_by_another_process_has_every_voucher_and_is_the_end() {
    let world = World::with_deposit(1_000).await;
    world.ledger.accept(&world.channel.voucher(16), of_voucher(16, 1)).await.unwrap();
    let other = another(&world.ledger);
    other.request_close(&world.id, CloseReason::Shutdown, None).await.unwrap();
    let after = world.ledger.accept(&world.channel.voucher(32), of_voucher(16, 2)).await.unwrap();
    assert!(matches!(after, Acceptance::NotOpen(_)), "{after:?}");
    let record = other.channel(&world.id).await.unwrap().unwrap();
    assert_eq!(record.watermarks.accepted, amount(16));
}
