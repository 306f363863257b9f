//! What the settler looks at next.

use toll_ledger::{ChannelFixture, ChannelRecord, Charge, CloseReason};
use toll_protocol::{ChannelAccount, ChannelId, ChannelStatus};

use crate::{START, World, amount};

impl World {
    async fn another(&self, salt: u64) -> ChannelFixture {
        let channel = ChannelFixture::new(salt, 1_000);
        channel.open(&self.ledger).await.unwrap();
        channel
    }
}

fn ids(records: Vec<ChannelRecord>) -> Vec<ChannelId> {
    records.into_iter().map(|record| record.id).collect()
}

#[tokio::test]
async fn channels_are_compared_in_turn() {
    let world = World::with_deposit(1_000).await;
    let (second, third) = (world.another(2).await.id(), world.another(3).await.id());
    world.ledger.mark_compared(vec![world.id], START + 20).await.unwrap();
    world.ledger.mark_compared(vec![third], START + 10).await.unwrap();

    let turn = async |before, count| ids(world.ledger.oldest_compared(before, count).await.unwrap());

    assert_eq!(turn(i64::MAX, 9).await, [second, third, world.id]);
    assert_eq!(turn(i64::MAX, 2).await, [second, third]);
    assert_eq!(turn(START + 10, 9).await, [second, third]);
    assert_eq!(world.ledger.oldest_comparison().await.unwrap(), Some(START));
    world.ledger.mark_compared(vec![second], START + 30).await.unwrap();
    assert_eq!(world.ledger.oldest_comparison().await.unwrap(), Some(START + 10));
}

#[tokio::test]
async fn comparison_never_goes_back_and_ends_with_the_channel() {
    let world = World::with_deposit(1_000).await;
    world.ledger.mark_compared(vec![world.id], START + 20).await.unwrap();
    world.ledger.mark_compared(vec![world.id], START + 10).await.unwrap();
    assert_eq!(world.ledger.oldest_comparison().await.unwrap(), Some(START + 20));

    world.ledger.observe(&world.id, None, 200).await.unwrap();

    assert_eq!(world.ledger.oldest_comparison().await.unwrap(), None);
}

#[tokio::test]
async fn only_what_the_ledger_does_not_know_to_close_is_news() {
    let world = World::with_deposit(1_000).await;
    let stranger = ChannelFixture::new(99, 1).id();
    let news = async || ids(world.ledger.not_known_to_close(vec![world.id, stranger]).await.unwrap());
    assert_eq!(news().await, [world.id]);

    // We stopped service; that the payer forces a close meanwhile is news still.
    world.ledger.request_close(&world.id, CloseReason::Idle, None).await.unwrap();
    assert_eq!(news().await, [world.id]);

    let account = ChannelAccount {
        status: ChannelStatus::Closing,
        closure_started_at: START,
        ..world.channel.account()
    };
    world.ledger.observe(&world.id, Some(&account), 120).await.unwrap();
    assert_eq!(news().await, []);
}

#[tokio::test]
async fn payees_of_live_channels_are_named_once() {
    let world = World::with_deposit(1_000).await;
    world.another(2).await;
    let mut other = ChannelFixture::new(3, 1_000);
    other.channel.agreement.terms.payee = [9; 32].into();
    other.open(&world.ledger).await.unwrap();

    let payees = world.ledger.live_payees(8).await.unwrap();
    assert_eq!(payees, [world.channel.channel.agreement.terms.payee, [9; 32].into()]);
    assert_eq!(world.ledger.live_payees(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn paid_out_channel_is_due_after_its_window() {
    let world = World::with_deposit(1_000).await;
    let account = ChannelAccount { status: ChannelStatus::Distributed, ..world.channel.account() };
    world.ledger.observe(&world.id, Some(&account), 120).await.unwrap();
    assert_eq!(ids(world.ledger.due_for_reclaim(100 + 1_500, 9).await.unwrap()), []);
    assert_eq!(ids(world.ledger.due_for_reclaim(100 + 1_501, 9).await.unwrap()), [world.id]);
}

#[tokio::test]
async fn failed_open_is_looked_for_until_its_slot_is_too_old() {
    let world = World::with_deposit(1_000).await;
    let late = ChannelFixture::new(2, 1_000);
    late.record(&world.ledger).await.unwrap();
    world.ledger.open_failed(&late.id(), "expired").await.unwrap();
    assert_eq!(ids(world.ledger.failed_in_window(100 + 1_500, 9).await.unwrap()), [late.id()]);
    assert_eq!(ids(world.ledger.failed_in_window(100 + 1_501, 9).await.unwrap()), []);
}

#[tokio::test]
async fn exposure_is_what_is_accepted_and_not_settled() {
    let world = World::with_deposit(1_000).await;
    let second = world.another(2).await;
    assert_eq!(world.ledger.exposure().await.unwrap(), amount(0));
    world.ledger.accept(&world.channel.voucher(100), Charge::of(100, 0)).await.unwrap();
    world.ledger.accept(&second.voucher(300), Charge::of(300, 1)).await.unwrap();
    assert_eq!(world.ledger.exposure().await.unwrap(), amount(400));
    let exposed = async |least| ids(world.ledger.most_exposed(amount(least), 9).await.unwrap());
    assert_eq!(exposed(100).await, [second.id(), world.id]);
    assert_eq!(exposed(101).await, [second.id()]);

    let settled = ChannelAccount { settled: amount(250), ..second.account() };
    world.ledger.observe(&second.id(), Some(&settled), 120).await.unwrap();
    assert_eq!(world.ledger.exposure().await.unwrap(), amount(150));

    let paid_out = ChannelAccount {
        status: ChannelStatus::Distributed,
        settled: amount(100),
        ..world.channel.account()
    };
    world.ledger.observe(&world.id, Some(&paid_out), 120).await.unwrap();
    assert_eq!(world.ledger.exposure().await.unwrap(), amount(50));
}

#[tokio::test]
async fn voucher_that_expires_soon_and_is_not_settled_is_found() {
    let world = World::with_deposit(1_000).await;
    let second = world.another(2).await;
    world.ledger.accept(&world.channel.voucher_until(100, START + 200), Charge::of(100, 0)).await.unwrap();
    world.ledger.accept(&second.voucher(300), Charge::of(300, 1)).await.unwrap();
    let found = async |now, until| ids(world.ledger.with_expiring_vouchers(now, until, 99).await.unwrap());
    assert_eq!(found(START, START + 199).await, []);
    assert_eq!(found(START, START + 200).await, [world.id]);
    assert_eq!(found(START + 200, START + 400).await, [], "too late");

    let settled = ChannelAccount { settled: amount(100), ..world.channel.account() };
    world.ledger.observe(&world.id, Some(&settled), 120).await.unwrap();
    assert_eq!(found(START, START + 200).await, []);
}
