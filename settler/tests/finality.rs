//! What a fork takes back: confirmed once, and then it never happened.

use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_protocol::{Amount, ChannelId};
use toll_settler::SettlerConfig;

use crate::world::World;

async fn awaiting(world: &World) -> usize {
    world.ledger.awaiting_finality(9).await.unwrap().len()
}

/// A channel with 160 of 1000 accepted, closed in a block that is confirmed and no more.
async fn closed_in_a_fork() -> (World, ChannelId, toll_settler::Settler) {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    settler.pass(true).await.unwrap();
    assert_eq!(awaiting(&world).await, 0);
    world.pay(&id, 160).await;
    world.chain.stop_finalizing();
    world.chain.advance(1, 1);
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
    (world, id, settler)
}

#[tokio::test]
async fn close_is_watched_until_it_is_final() {
    let (world, id, settler) = closed_in_a_fork().await;
    for _ in 0..3 {
        world.chain.advance(1, 1);
        settler.pass(true).await.unwrap();
        assert_eq!(awaiting(&world).await, 1);
    }

    world.chain.finalize();
    settler.pass(true).await.unwrap();

    assert_eq!(awaiting(&world).await, 0);
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn close_that_was_rolled_back_lands_again() {
    let (world, id, settler) = closed_in_a_fork().await;
    world.chain.roll_back();
    assert_eq!(world.tokens(&world.payee.pubkey()), 0);

    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 160).await;
    assert_eq!(world.submissions(&id, SubmissionKind::Close).await.len(), 1, "the same transaction");
}

#[tokio::test]
async fn close_that_was_rolled_back_and_cannot_land_again_is_planned_anew() {
    let (world, id, settler) = closed_in_a_fork().await;
    world.chain.roll_back();
    world.chain.advance(200, 80);

    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 160).await;
    assert_eq!(world.count(&id, SubmissionKind::Close, SubmissionState::Expired).await, 1);
    assert_eq!(world.count(&id, SubmissionKind::Close, SubmissionState::Landed).await, 1);
}

#[tokio::test]
async fn open_that_was_rolled_back_lands_again_or_is_given_up() {
    for late in [false, true] {
        let world = World::new();
        let settler = world.settler().await;
        world.chain.stop_finalizing();
        world.chain.advance(1, 1);
        let id = world.open(&settler, 1, 1_000).await;
        assert_eq!(awaiting(&world).await, 1);

        world.chain.roll_back();
        if late {
            world.chain.advance(200, 80);
        }
        settler.pass(true).await.unwrap();
        assert_ne!(world.record(&id).await.state, ChannelState::Open, "nothing is sold on it");
        world.drive(&settler).await;

        let expected = if late { ChannelState::Failed } else { ChannelState::Open };
        assert_eq!(world.record(&id).await.state, expected);
        assert_eq!(world.account(&id).is_some(), !late);
    }
}

/// A channel of 1000 whose open is final, on a chain that finalizes nothing more for now.
async fn open_before_a_fork(config: SettlerConfig) -> (World, ChannelId, toll_settler::Settler) {
    let world = World::new();
    let settler = world.start(world.keys(), config).await.unwrap();
    let id = world.open(&settler, 1, 1_000).await;
    settler.pass(true).await.unwrap();
    assert_eq!(awaiting(&world).await, 0);
    world.chain.stop_finalizing();
    world.chain.advance(1, 1);
    (world, id, settler)
}

#[tokio::test]
async fn settle_of_an_open_channel_that_was_rolled_back_is_made_again() {
    for late in [false, true] {
        let config = SettlerConfig { settle_threshold: Some(Amount::new(100)), ..World::new().config() };
        let (mut world, id, settler) = open_before_a_fork(config).await;
        world.pay(&id, 160).await;
        world.drive(&settler).await;
        assert_eq!((world.record(&id).await.watermarks.settled.get(), awaiting(&world).await), (160, 1));

        world.chain.roll_back();
        if late {
            world.chain.advance(200, 80);
        }
        settler.pass(true).await.unwrap();
        assert_eq!(world.record(&id).await.watermarks.settled.get(), 0, "the chain has none of it");
        world.drive(&settler).await;

        assert_eq!(world.account(&id).unwrap().settled.get(), 160);
        let record = world.record(&id).await;
        assert_eq!((record.state, record.watermarks.settled.get()), (ChannelState::Open, 160));
        let made = world.submissions(&id, SubmissionKind::Settle).await.len();
        assert_eq!(made, if late { 2 } else { 1 }, "the same transaction while it can land");
    }
}

#[tokio::test]
async fn top_up_that_was_rolled_back_lands_again_or_is_sold_on_no_more() {
    for late in [false, true] {
        let (world, id, settler) = open_before_a_fork(World::new().config()).await;
        world.record_top_up(&id, 500).await;
        world.drive(&settler).await;
        assert_eq!((world.record(&id).await.watermarks.deposit.get(), awaiting(&world).await), (1_500, 1));

        world.chain.roll_back();
        if late {
            world.chain.advance(200, 80);
        }
        settler.pass(true).await.unwrap();
        assert_eq!(world.record(&id).await.watermarks.deposit.get(), 1_000, "the chain has no more");
        world.drive(&settler).await;

        let deposit = if late { 1_000 } else { 1_500 };
        assert_eq!(world.account(&id).unwrap().deposit.get(), deposit);
        assert_eq!(world.record(&id).await.watermarks.deposit.get(), deposit);
    }
}
