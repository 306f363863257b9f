//! Which vouchers are kept, and which of them a settlement shows.

use toll_ledger::{ChannelFixture, Charge, LedgerError};
use toll_protocol::{SignedVoucher, VerifiedVoucher};

use crate::{START, World, amount};

/// An expiry well after every test.
const LATER: i64 = START + 10_000;

impl World {
    /// Accepts a voucher with all the headroom it needs.
    async fn take(&self, voucher: &VerifiedVoucher, cost: u64) {
        let cumulative = voucher.voucher().cumulative_amount;
        let charge = Charge { headroom: amount(1_000), ..Charge::of(cost, cumulative.get()) };
        let acceptance = self.ledger.accept(voucher, charge).await.unwrap();
        assert!(matches!(acceptance, toll_ledger::Acceptance::Accepted(_)), "{acceptance:?}");
    }

    async fn best(&self, usable_at: i64) -> Option<SignedVoucher> {
        self.ledger.best_voucher_to_settle(&self.id, usable_at).await.unwrap()
    }

    async fn settle(&self, settled: u64) {
        let mut account = self.channel.account();
        account.settled = amount(settled);
        self.ledger.observe(&self.id, Some(&account), 101).await.unwrap();
    }

    fn stored(&self) -> usize {
        self.dump().lines().filter(|line| line.starts_with("vouchers:")).count()
    }
}

#[tokio::test]
async fn exact_payments_keep_one_voucher() {
    let world = World::with_deposit(1_000).await;
    for step in 1..=20 {
        world.take(&world.channel.voucher(step * 16), 16).await;
    }
    assert_eq!(world.stored(), 1);
    let highest = world.ledger.highest_voucher(&world.id).await.unwrap().unwrap();
    assert_eq!(highest, *world.channel.voucher(320).signed());
    assert_eq!(world.best(START).await, Some(highest));
}

#[tokio::test]
async fn stored_voucher_still_verifies() {
    let world = World::with_deposit(1_000).await;
    world.take(&world.channel.voucher_until(16, LATER), 16).await;
    let stored = world.ledger.highest_voucher(&world.id).await.unwrap().unwrap();
    stored.verify(&world.id, &world.channel.channel.agreement.terms.authorized_signer).unwrap();
}

#[tokio::test]
async fn smallest_voucher_that_covers_what_is_spent_is_settled() {
    let world = World::with_deposit(1_000).await;
    for cumulative in [50, 100, 150, 200] {
        world.take(&world.channel.voucher(cumulative), 25).await;
    }
    // 100 are spent: of 100, 150 and 200 the first will do.
    assert_eq!(world.best(START).await.as_ref(), Some(world.channel.voucher(100).signed()));
    assert_eq!(world.stored(), 3);
}

#[tokio::test]
async fn without_a_covering_voucher_in_time_the_highest_usable_is_settled() {
    let world = World::with_deposit(1_000).await;
    world.take(&world.channel.voucher(50), 50).await;
    world.take(&world.channel.voucher(80), 30).await;
    world.take(&world.channel.voucher_until(100, LATER), 20).await;
    assert_eq!(world.best(LATER - 1).await.as_ref(), Some(world.channel.voucher_until(100, LATER).signed()));
    assert_eq!(world.best(LATER).await.as_ref(), Some(world.channel.voucher(80).signed()));
}

#[tokio::test]
async fn best_lasting_voucher_is_kept_below_expiring_ones() {
    let world = World::with_deposit(1_000).await;
    world.take(&world.channel.voucher(50), 50).await;
    for cumulative in [60, 70, 80, 90] {
        world.take(&world.channel.voucher_until(cumulative, LATER), 10).await;
    }
    assert_eq!(world.stored(), 2);
    assert_eq!(world.best(LATER).await.as_ref(), Some(world.channel.voucher(50).signed()));
}

#[tokio::test]
async fn voucher_at_or_below_settled_is_never_settled_again() {
    let world = World::with_deposit(1_000).await;
    world.take(&world.channel.voucher(100), 100).await;
    world.settle(100).await;
    assert_eq!(world.best(START).await, None);
    assert!(world.ledger.highest_voucher(&world.id).await.unwrap().is_some());
}

#[tokio::test]
async fn voucher_above_settled_is_never_passed_over() {
    let world = World::with_deposit(1_000).await;
    world.take(&world.channel.voucher(100), 100).await;
    world.take(&world.channel.voucher(130), 0).await;
    world.settle(100).await;
    // Sealing without it would be blind, although nothing above 100 is spent.
    assert_eq!(world.best(START).await.as_ref(), Some(world.channel.voucher(130).signed()));
}

#[tokio::test]
async fn channel_without_vouchers_has_none_to_settle() {
    let world = World::with_deposit(1_000).await;
    assert_eq!(world.best(START).await, None);
    assert_eq!(world.ledger.highest_voucher(&world.id).await.unwrap(), None);
}

#[tokio::test]
async fn unknown_channel_has_no_answer() {
    let world = World::with_deposit(1_000).await;
    let stranger = ChannelFixture::new(9, 1).id();
    let error = world.ledger.best_voucher_to_settle(&stranger, START).await.unwrap_err();
    assert!(matches!(error, LedgerError::UnknownChannel(_)), "{error}");
}
