use super::*;
use crate::acceptance::Acceptance;
use crate::{ChannelFixture, Charge, Ledger, LedgerConfig, ManualClock};

const NOW: i64 = 1_790_000_000;

/// A ledger with open channels, and a connection to it as a writer has one.
struct Desk {
    channels: Vec<ChannelFixture>,
    tx: Tx,
    tail: Tail,
    _directory: tempfile::TempDir,
}

impl Desk {
    async fn with(channels: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = LedgerConfig::new(directory.path().join("ledger.db"));
        let channels: Vec<_> = (1..=channels).map(|salt| ChannelFixture::new(salt, 1_000)).collect();
        let ledger = Ledger::with(config.clone(), ManualClock::new(NOW)).unwrap();
        ledger.open_all(channels.clone()).await.unwrap();
        drop(ledger);
        let (tx, _) = Tx::open(&config, 0).unwrap();
        Self { channels, tx, tail: Tail::default(), _directory: directory }
    }

    fn offer(&self, channel: usize, cumulative: u64) -> Offer {
        let request = cumulative + 1_000 * channel as u64;
        let charge = Charge { is_of_voucher: true, ..Charge::of(16, request) };
        let signed = self.channels[channel].voucher(cumulative).into_signed();
        Offer { signed, charge, now: NOW, oldest: 0 }
    }

    /// One transaction that is committed.
    fn commit<T>(&mut self, rows: bool, work: impl FnOnce(&mut Tail, &Tx) -> T) -> T {
        self.tx.begin().unwrap();
        self.tail.begin(&self.tx, rows).unwrap();
        let done = work(&mut self.tail, &self.tx);
        self.tx.commit().unwrap();
        done
    }

    /// Offers as one group; returns what is spent by each that is accepted.
    fn accept(&mut self, offers: &[(usize, u64)]) -> Vec<Option<u64>> {
        let offers: Vec<Offer> =
            offers.iter().map(|(channel, cumulative)| self.offer(*channel, *cumulative)).collect();
        let offers: Vec<&Offer> = offers.iter().collect();
        let outcomes = self.commit(false, |tail, tx| tail.accept(tx, &offers).unwrap().unwrap());
        let spent = |outcome: Outcome| match outcome.acceptance.unwrap() {
            Acceptance::Accepted(accepted) => Some(accepted.watermarks.spent.get()),
            _ => None,
        };
        outcomes.into_iter().map(spent).collect()
    }

    fn number(&self, sql: &'static str) -> i64 {
        self.tx.one(sql, &[], |row| row.get(0)).unwrap()
    }

    /// What the rows have: requests, vouchers, spent in all; and the groups in the tail.
    fn rows(&self) -> [i64; 4] {
        [
            self.number("SELECT count(*) FROM replays"),
            self.number("SELECT count(*) FROM vouchers"),
            self.number("SELECT sum(spent) FROM channels"),
            self.number("SELECT count(*) FROM tail"),
        ]
    }
}

#[tokio::test]
async fn a_group_is_one_row_until_it_is_posted() {
    let mut desk = Desk::with(3).await;
    assert_eq!(desk.accept(&[(0, 16), (1, 16), (0, 32)]), [Some(16), Some(16), Some(32)]);
    assert_eq!(desk.accept(&[(0, 48)]), [Some(48)]);
    assert_eq!(desk.rows(), [0, 0, 0, 2]);
    desk.commit(true, |_, _| ());
    // Of the first channel's vouchers one is of use.
    assert_eq!(desk.rows(), [4, 2, 64, 0]);
}

#[tokio::test]
async fn whoever_knows_nothing_of_the_tail_posts_what_of_it_is_not_in_the_rows() {
    for posted in 0..=3 {
        let mut desk = Desk::with(3).await;
        desk.accept(&[(0, 16), (1, 16), (2, 16)]);
        desk.accept(&[(2, 32), (0, 32)]);
        desk.commit(false, |tail, tx| tail.known.as_mut().unwrap().post_oldest(tx, posted)).unwrap();
        desk.tail.forget();
        let before = desk.rows();
        desk.commit(false, |_, _| ());
        assert_eq!(desk.rows(), before, "reading the tail writes nothing");
        desk.commit(true, |_, _| ());
        assert_eq!(desk.rows(), [5, 3, 80, 0], "after {posted} channels were posted");
    }
}

#[tokio::test]
async fn a_transaction_that_is_taken_back_leaves_nothing_in_memory() {
    let mut desk = Desk::with(1).await;
    desk.accept(&[(0, 16)]);
    let offer = desk.offer(0, 32);
    desk.tx.begin().unwrap();
    desk.tail.begin(&desk.tx, false).unwrap();
    desk.tail.accept(&desk.tx, &[&offer]).unwrap().unwrap();
    desk.tx.abandon();
    desk.tail.forget();
    assert_eq!(desk.accept(&[(0, 32)]), [Some(32)], "it was not accepted before");
}

#[tokio::test]
async fn a_voucher_that_is_offered_again_is_a_repeat_and_no_charge() {
    let mut desk = Desk::with(2).await;
    assert_eq!(desk.accept(&[(0, 16), (0, 16)]), [Some(16), None]);
    assert_eq!(desk.accept(&[(0, 16), (1, 16)]), [None, Some(16)]);
    let offer = desk.offer(0, 16);
    let again = desk.commit(false, |tail, tx| tail.accept(tx, &[&offer]).unwrap().unwrap());
    assert!(matches!(again[0].acceptance, Ok(Acceptance::Replayed(_))), "{again:?}");
    assert_eq!(desk.number("SELECT sum(spent) FROM channels"), 16, "the other channel waits");
}

#[tokio::test]
async fn a_named_key_is_looked_for_in_the_tail_and_in_the_rows() {
    let mut desk = Desk::with(2).await;
    let named = |offer: Offer, request| Offer { charge: Charge::of(16, request), ..offer };
    let first = named(desk.offer(0, 16), 7);
    desk.commit(false, |tail, tx| tail.accept(tx, &[&first]).map(drop)).unwrap();
    for again in [named(desk.offer(0, 32), 7), named(desk.offer(0, 48), 7)] {
        let outcome = desk.commit(false, |tail, tx| tail.accept(tx, &[&again]).unwrap().unwrap());
        let acceptance = outcome[0].acceptance.as_ref().unwrap();
        assert!(
            matches!(acceptance, Acceptance::Replayed(_) | Acceptance::KeyReused),
            "{acceptance:?} under one key"
        );
    }
    desk.commit(true, |_, _| ());
    assert_eq!(desk.rows(), [1, 1, 16, 0]);
}

#[tokio::test]
async fn nothing_goes_behind_the_tail_where_the_rows_must_stay_whole() {
    let mut desk = Desk::with(1).await;
    let offer = desk.offer(0, 16);
    let outcome = desk.commit(true, |tail, tx| tail.accept(tx, &[&offer]).unwrap());
    assert!(outcome.is_none());
}
