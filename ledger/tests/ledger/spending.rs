//! What the sponsor holds and spends.

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_ledger::{
    ChannelFixture, DAY, Hold, Intent, Ledger, ManualClock, Spending, SpendingKind, Spent, SubmissionKind,
    day_of,
};

use crate::START;

const TODAY: i64 = day_of(START);

fn payer(number: u8) -> Pubkey {
    Pubkey::from([number; 32])
}

fn hold(number: u8, kind: SpendingKind, lamports: u64, charge: u64) -> Hold {
    let signature = Signature::from([number; 64]);
    Hold { signature, kind, payer: Some(payer(1)), day: TODAY, lamports, charge }
}

fn ledger() -> Ledger {
    Ledger::temporary(ManualClock::new(START))
}

#[test]
fn days_begin_at_midnight() {
    assert_eq!((day_of(0), day_of(DAY - 1), day_of(DAY), day_of(-1)), (0, 0, 1, -1));
}

#[tokio::test]
async fn a_hold_becomes_what_it_cost_and_no_more() {
    let ledger = ledger();
    let open = hold(1, SpendingKind::Open, 4_000_000, 40_000);
    ledger.hold(&[open]).await.unwrap();
    assert_eq!(ledger.holds().await.unwrap(), [open]);
    assert_eq!(ledger.charged_in_all().await.unwrap(), 0);

    let cost = Spent { kind: SpendingKind::Open, payer: Some(payer(1)), spent: 10_000, charged: 35_000 };
    ledger.resolve_hold(&open.signature, &[cost]).await.unwrap();

    assert_eq!(ledger.holds().await.unwrap(), []);
    let spending = Spending {
        day: TODAY,
        kind: SpendingKind::Open,
        payer: Some(payer(1)),
        transactions: 1,
        spent: 10_000,
        charged: 35_000,
    };
    assert_eq!(ledger.spending_since(TODAY).await.unwrap(), [spending]);
    assert_eq!(ledger.charged_in_all().await.unwrap(), 35_000);
}

#[tokio::test]
async fn a_hold_is_resolved_once_and_held_once() {
    let ledger = ledger();
    let top_up = hold(1, SpendingKind::TopUp, 10_000, 10_000);
    ledger.hold(&[top_up, top_up]).await.unwrap();
    ledger.hold(&[top_up]).await.unwrap();
    assert_eq!(ledger.holds().await.unwrap().len(), 1);

    let cost = Spent { kind: SpendingKind::TopUp, payer: Some(payer(1)), spent: 10_000, charged: 10_000 };
    for _ in 0..3 {
        ledger.resolve_hold(&top_up.signature, &[cost]).await.unwrap();
    }

    let spending = ledger.spending_since(TODAY).await.unwrap();
    assert_eq!(spending.iter().map(|row| (row.transactions, row.spent)).collect::<Vec<_>>(), [(1, 10_000)]);
}

#[tokio::test]
async fn what_several_payers_share_is_told_apart() {
    let ledger = ledger();
    let holds = [1, 2]
        .map(|number| Hold { payer: Some(payer(number)), ..hold(1, SpendingKind::Settle, 7_500, 7_500) });
    ledger.hold(&holds).await.unwrap();
    assert_eq!(ledger.holds().await.unwrap(), holds);

    let cost = |number| Spent {
        kind: SpendingKind::Settle,
        payer: Some(payer(number)),
        spent: 7_500,
        charged: u64::from(number),
    };
    ledger.resolve_hold(&holds[0].signature, &[cost(2), cost(1)]).await.unwrap();

    assert_eq!(ledger.holds().await.unwrap(), []);
    let spending = ledger.spending_since(TODAY).await.unwrap();
    let charged: Vec<_> = spending.iter().map(|row| (row.payer, row.spent, row.charged)).collect();
    assert_eq!(charged, [(Some(payer(1)), 7_500, 1), (Some(payer(2)), 7_500, 2)]);
}

#[tokio::test]
async fn what_never_landed_cost_nothing() {
    let ledger = ledger();
    let open = hold(1, SpendingKind::Open, 4_000_000, 40_000);
    ledger.hold(&[open]).await.unwrap();
    ledger.resolve_hold(&open.signature, &[]).await.unwrap();
    assert_eq!(ledger.holds().await.unwrap(), []);
    assert_eq!(ledger.spending_since(0).await.unwrap(), []);
}

#[tokio::test]
async fn a_cost_counts_on_the_day_it_was_held() {
    let ledger = ledger();
    let settle = hold(1, SpendingKind::Settle, 10_000, 10_000);
    ledger.hold(&[settle]).await.unwrap();
    let cost = Spent { kind: SpendingKind::Settle, payer: Some(payer(1)), spent: 10_000, charged: 10_000 };
    ledger.resolve_hold(&settle.signature, &[cost]).await.unwrap();
    assert_eq!(ledger.spending_since(TODAY + 1).await.unwrap(), []);
    assert_eq!(ledger.spending_since(TODAY).await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_what_was_recorded_stays_held_over_a_restart() {
    let ledger = ledger();
    let channel = ChannelFixture::new(1, 1_000);
    channel.open(&ledger).await.unwrap();
    let (recorded, forgotten) =
        (hold(1, SpendingKind::Close, 20_000, 0), hold(2, SpendingKind::Close, 20_000, 0));
    ledger.hold(&[recorded, forgotten]).await.unwrap();
    ledger
        .record(
            Intent::on(SubmissionKind::Close, &[channel.id()]),
            b"close".to_vec(),
            recorded.signature,
            100,
        )
        .await
        .unwrap();

    assert_eq!(ledger.release_unrecorded_holds().await.unwrap(), 1);

    assert_eq!(ledger.holds().await.unwrap(), [recorded]);
}

#[tokio::test]
async fn folding_old_days_changes_no_sum() {
    let ledger = ledger();
    for number in 1..=6 {
        let day = if number <= 4 { TODAY - 9 } else { TODAY };
        let hold = Hold {
            payer: Some(payer(number)),
            day,
            ..hold(number, SpendingKind::Open, 40_000, u64::from(number))
        };
        ledger.hold(&[hold]).await.unwrap();
        let cost =
            Spent { kind: SpendingKind::Open, payer: hold.payer, spent: 10_000, charged: u64::from(number) };
        ledger.resolve_hold(&hold.signature, &[cost]).await.unwrap();
    }
    let before = ledger.charged_in_all().await.unwrap();

    assert_eq!(ledger.fold_spending(TODAY - 1).await.unwrap(), 4);
    assert_eq!(ledger.fold_spending(TODAY - 1).await.unwrap(), 0);

    assert_eq!(ledger.charged_in_all().await.unwrap(), before);
    let old = ledger.spending_since(0).await.unwrap()[0];
    assert_eq!((old.payer, old.transactions, old.spent, old.charged), (None, 4, 40_000, 10));
    assert_eq!(ledger.spending_since(TODAY).await.unwrap().len(), 2);
}
