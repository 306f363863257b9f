//! The accountants' log: complete, added up, and never changed.

use solana_pubkey::Pubkey;
use toll_ledger::{
    Account, ChannelFixture, Charge, CloseLanded, CloseReason, Effect, Entry, EntryKind, Intent,
    SubmissionId, SubmissionKind, TransactionCost,
};
use toll_protocol::{ChannelAccount, ChannelStatus};

use crate::{START, World, amount};

const DAY: i64 = 24 * 60 * 60;
const OPEN: [u8; 64] = [1; 64];
const CLOSE: [u8; 64] = [6; 64];
const SPONSOR: Pubkey = Pubkey::new_from_array([4; 32]);

impl World {
    /// What the log has, the newest last.
    async fn lines(&self) -> Vec<Entry> {
        self.ledger.journal(0, i64::MIN, 1_000).await.unwrap()
    }

    async fn journaled(&self) -> Vec<(EntryKind, i64)> {
        self.lines().await.into_iter().map(|line| (line.kind, line.amount)).collect()
    }

    async fn account_in_books(&self) -> Account {
        self.ledger.accounts(None, 10).await.unwrap().into_iter().find(|it| it.channel == self.id).unwrap()
    }

    /// The open's transaction lands.
    async fn land_open(&self) {
        let open = self.ledger.requested().await.unwrap()[0].id;
        self.ledger.record_signed(open, vec![1], OPEN.into(), 9).await.unwrap();
        self.ledger.landed(open, 100, Some(10_000), None).await.unwrap();
    }

    async fn pay_for(&self, requests: std::ops::RangeInclusive<u64>) {
        for request in requests {
            let voucher = self.channel.voucher(request * 16);
            self.ledger.accept(&voucher, Charge::of(16, request)).await.unwrap();
        }
    }

    /// A close lands that settles `settled` of 1,000.
    async fn close_and_land(&self, settled: u64) -> SubmissionId {
        self.ledger.request_close(&self.id, CloseReason::Requested, None).await.unwrap();
        let effect = Effect { publishes: Some(amount(settled)), pays_out: true, ..Effect::on(self.id) };
        let intent = Intent::of(SubmissionKind::Close, effect);
        let close = self.ledger.record(intent, vec![6], CLOSE.into(), 1_000).await.unwrap();
        let refunded = amount(1_000 - settled);
        let landed = CloseLanded { signature: CLOSE.into(), settled: amount(settled), refunded, slot: 130 };
        self.ledger.close_landed(&self.id, landed).await.unwrap();
        self.ledger.landed(close, 130, Some(15_000), None).await.unwrap();
        close
    }
}

#[tokio::test]
async fn every_movement_of_a_session_is_a_line_with_the_transaction_that_did_it() {
    let world = World::with_deposit(1_000).await;
    world.land_open().await;
    world.pay_for(1..=3).await;
    world.clock.advance(60);
    world.close_and_land(48).await;

    let lines = world.lines().await;

    let (open, close) = (Some(OPEN.into()), Some(CLOSE.into()));
    let found: Vec<_> = lines.iter().map(|line| (line.kind, line.amount, line.signature)).collect();
    assert_eq!(
        found,
        [
            (EntryKind::Deposit, 1_000, open),
            (EntryKind::Acceptance, 48, None),
            (EntryKind::Payout, 48, close),
            (EntryKind::Refund, 952, close),
        ]
    );
    assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(lines.iter().map(|line| line.at - START).collect::<Vec<_>>(), [0, 60, 60, 60]);
    let terms = &world.channel.channel.agreement.terms;
    assert!(lines.iter().all(|line| line.parties == Some([terms.payer, terms.payee, terms.mint])));
    let account = world.account_in_books().await;
    assert_eq!((account.left(), account.sum(EntryKind::Acceptance)), (0, 48));
    assert_eq!(world.ledger.journal(2, i64::MIN, 10).await.unwrap(), lines[2..]);
    assert_eq!(world.ledger.journal(0, START + 60, 2).await.unwrap(), lines[1..3]);
}

#[tokio::test]
async fn paid_requests_are_one_line_a_purge_and_none_themselves() {
    let world = World::with_deposit(1_000).await;
    world.ledger.bring_journal_up_to_date().await.unwrap();
    let before = world.lines().await;
    world.pay_for(1..=20).await;
    assert_eq!(world.lines().await, before);

    assert_eq!(world.ledger.purge(START).await.unwrap().entered, 1);
    assert_eq!(world.ledger.purge(START).await.unwrap().entered, 0);
    world.pay_for(21..=22).await;
    assert_eq!(world.ledger.bring_journal_up_to_date().await.unwrap(), 1);

    let deposit = (EntryKind::Deposit, 1_000);
    let accepted = |amount| (EntryKind::Acceptance, amount);
    assert_eq!(world.journaled().await, [deposit, accepted(320), accepted(32)]);
}

#[tokio::test]
async fn no_line_is_ever_changed_or_removed() {
    let world = World::with_deposit(1_000).await;
    world.ledger.bring_journal_up_to_date().await.unwrap();
    let before = world.dump();
    for sql in [
        "UPDATE journal SET amount = 2",
        "DELETE FROM journal",
        "UPDATE journal_channels SET payee = payer",
        "DELETE FROM journal_channels",
    ] {
        let refused = world.ledger.try_meddle(sql).unwrap_err();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn lines_outlive_the_archive_and_what_it_forgets() {
    let world = World::with_settings(1_000, |config| config.archive_retention_days = Some(1)).await;
    world.land_open().await;
    world.pay_for(1..=1).await;
    world.close_and_land(16).await;
    world.ledger.observe(&world.id, None, 140).await.unwrap();
    let lines = world.lines().await;
    assert_eq!(lines.len(), 4);

    world.ledger.purge(START).await.unwrap();
    assert_eq!(world.ledger.purge(START + 8 * DAY).await.unwrap().archived, 1);
    let account = world.account_in_books().await;
    assert_eq!((account.state, account.left()), (None, 0));
    assert_eq!(world.ledger.purge(START + 10 * DAY).await.unwrap().forgotten, 1);

    assert_eq!(world.ledger.ask_number("SELECT count(*) FROM archived_channels"), 0);
    assert_eq!(world.lines().await, lines);
    assert_eq!(world.ledger.journal_length().await.unwrap(), (4, 4));
}

#[tokio::test]
async fn what_a_fork_takes_back_is_entered_below_zero() {
    let world = World::with_deposit(1_000).await;
    world.land_open().await;
    world.pay_for(1..=1).await;
    world.close_and_land(16).await;

    world.ledger.observe_finalized(&world.id, Some(&world.channel.account()), 150).await.unwrap();
    world.ledger.bring_journal_up_to_date().await.unwrap();

    let moved = world.journaled().await;
    assert_eq!(moved[4..], [(EntryKind::Payout, -16), (EntryKind::Refund, -984)]);
    assert_eq!(world.account_in_books().await.left(), 1_000);
}

#[tokio::test]
async fn who_pays_out_a_channel_in_our_place_is_entered_as_well() {
    let world = World::with_deposit(1_000).await;
    world.pay_for(1..=4).await;
    let over = ChannelAccount {
        status: ChannelStatus::Distributed,
        settled: amount(64),
        payout_watermark: amount(0),
        ..world.channel.account()
    };
    world.ledger.observe(&world.id, Some(&over), 140).await.unwrap();
    world.ledger.bring_journal_up_to_date().await.unwrap();
    let moved = world.journaled().await;
    assert_eq!(moved[2..], [(EntryKind::Payout, 64), (EntryKind::Refund, 936)]);
    assert_eq!(world.account_in_books().await.left(), 0);
}

#[tokio::test]
async fn a_transaction_costs_what_it_costs_however_often_that_is_told() {
    let world = World::with_deposit(1_000).await;
    world.land_open().await;
    let open = world.ledger.submissions_of(&world.id).await.unwrap()[0].id;
    let cost = TransactionCost { fee_payer: Some(SPONSOR), fee: 10_000, rent: 4_711_920 };
    for _ in 0..3 {
        world.ledger.enter_cost(open, cost).await.unwrap();
    }
    let moved = world.journaled().await;
    assert_eq!(moved[1..], [(EntryKind::Fee, 10_000), (EntryKind::Rent, 4_711_920)]);
    let line = world.lines().await.pop().unwrap();
    assert_eq!((line.fee_payer, line.purpose.as_deref()), (Some(SPONSOR), Some("open")));
    assert_eq!((line.channel, line.signature), (Some(world.id), Some(OPEN.into())));
    let taken = world.ledger.lamports_taken(&SPONSOR).await.unwrap();
    assert_eq!(taken.iter().map(|one| one.taken).collect::<Vec<_>>(), [4_721_920]);

    // A fork took it back.
    let never = TransactionCost { fee: 0, rent: 0, ..cost };
    world.ledger.enter_cost(open, never).await.unwrap();
    assert_eq!(world.ledger.lamports_taken(&SPONSOR).await.unwrap()[0].taken, 0);

    // Another's lamports are not in the log.
    let others = TransactionCost { fee_payer: None, ..cost };
    let close = world.close_and_land(0).await;
    let before = world.journaled().await;
    world.ledger.enter_cost(close, others).await.unwrap();
    assert_eq!(world.journaled().await, before);
}

#[tokio::test]
async fn a_transaction_of_unknown_cost_is_asked_for_until_it_is_known() {
    let world = World::with_deposit(1_000).await;
    let open = world.ledger.requested().await.unwrap()[0].id;
    world.ledger.record_signed(open, vec![1], OPEN.into(), 9).await.unwrap();
    world.ledger.landed(open, 100, None, None).await.unwrap();
    let unknown = || async { world.ledger.without_cost(START, 10).await.unwrap().len() };
    assert_eq!((unknown().await, world.ledger.without_cost(START + 1, 10).await.unwrap().len()), (1, 0));
    let cost = TransactionCost { fee_payer: Some(SPONSOR), fee: 10_000, rent: 0 };
    world.ledger.enter_cost(open, cost).await.unwrap();
    assert_eq!(unknown().await, 0);
    assert!(world.ledger.has_transaction(&OPEN.into()).await.unwrap());
    assert!(!world.ledger.has_transaction(&CLOSE.into()).await.unwrap());
}

#[tokio::test]
async fn every_channel_is_brought_up_to_date_and_open_ones_that_never_landed_have_no_lines() {
    let world = World::with_settings(1_000, |config| config.purge_batch_rows = 3).await;
    let more: Vec<_> = (2..=20).map(|salt| ChannelFixture::new(salt, 100)).collect();
    world.ledger.open_all(more).await.unwrap();
    ChannelFixture::new(21, 100).record(&world.ledger).await.unwrap();
    assert_eq!(world.ledger.bring_journal_up_to_date().await.unwrap(), 20);
    assert_eq!(world.ledger.journal_length().await.unwrap(), (20, 20));
    assert_eq!(world.ledger.bring_journal_up_to_date().await.unwrap(), 0);
}
