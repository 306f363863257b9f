//! Requests whose price is known only when they are served.

use toll_ledger::{
    Acceptance, Answer, Charge, CloseReason, CloseRequested, EARMARK_LIFE, IdleCloseRequested, Widened,
};
use toll_protocol::Amount;

use crate::{World, amount};

fn key(request: u64) -> toll_ledger::ReplayKey {
    Charge::of(0, request).replay
}

async fn figures(world: &World) -> (u64, u64, u64) {
    let marks = world.watermarks().await;
    (marks.accepted.get(), marks.spent.get(), marks.earmarked.get())
}

async fn earmark(world: &World, cumulative: u64, charge: Charge) -> Acceptance {
    world.ledger.earmark(&world.channel.voucher(cumulative), charge).await.unwrap()
}

async fn earmarked(world: &World, cumulative: u64, cost: u64, request: u64) {
    let acceptance = earmark(world, cumulative, Charge::of(cost, request)).await;
    assert!(matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
}

#[tokio::test]
async fn what_was_used_is_charged_and_the_rest_buys_the_next_request() {
    let world = World::with_deposit(1_000).await;
    earmarked(&world, 100, 100, 1).await;
    assert_eq!(figures(&world).await, (100, 0, 100));

    let after = world.ledger.settle_earmark(&key(1), amount(30)).await.unwrap().unwrap();
    assert_eq!((after.accepted, after.spent, after.earmarked), (amount(100), amount(30), Amount::ZERO));
    assert_eq!(figures(&world).await, (100, 30, 0));
    let replay = world.ledger.replay(&world.id, &key(1)).await.unwrap().unwrap();
    assert_eq!((replay.cost, replay.spent), (amount(30), amount(30)));

    // 70 are there already: the next request of 100 takes a voucher for 130.
    let short = earmark(&world, 129, Charge::of(100, 2)).await;
    assert!(
        matches!(short, Acceptance::Insufficient { required, .. } if required == amount(130)),
        "{short:?}"
    );
    earmarked(&world, 130, 100, 2).await;
    assert_eq!(figures(&world).await, (130, 30, 100));
    assert_eq!(world.ledger.settle_earmark(&key(1), amount(1)).await.unwrap(), None, "it is settled once");
    let after = world.ledger.settle_earmark(&key(2), amount(1_000)).await.unwrap().unwrap();
    assert_eq!(after.spent, amount(130), "no more is charged than was set aside");
}

#[tokio::test]
async fn what_is_set_aside_buys_nothing_else() {
    let world = World::with_deposit(1_000).await;
    earmarked(&world, 100, 100, 1).await;
    let charge = Charge { headroom: amount(100), ..Charge::of(16, 2) };
    let short = world.ledger.accept(&world.channel.voucher(115), charge.clone()).await.unwrap();
    assert!(
        matches!(short, Acceptance::Insufficient { required, .. } if required == amount(116)),
        "{short:?}"
    );
    assert!(matches!(
        world.ledger.accept(&world.channel.voucher(116), charge).await.unwrap(),
        Acceptance::Accepted(_)
    ));
    assert_eq!(figures(&world).await, (116, 16, 100));
    world.ledger.settle_earmark(&key(1), amount(40)).await.unwrap().unwrap();
    assert_eq!(figures(&world).await, (116, 56, 0));
}

#[tokio::test]
async fn an_earmark_grows_as_more_is_authorized_and_no_further() {
    let world = World::with_deposit(1_000).await;
    earmarked(&world, 10, 10, 1).await;
    let short = world.ledger.widen_earmark(&key(1), amount(11), amount(20)).await.unwrap();
    assert!(matches!(short, Widened::Short { required, .. } if required == amount(11)), "{short:?}");
    assert!(!world.ledger.note_delivered(&key(1), amount(11)).await.unwrap(), "it does not cover that");
    let ahead = Charge { headroom: amount(15), ..Charge::of(0, 2) };
    assert!(matches!(
        world.ledger.accept(&world.channel.voucher(25), ahead).await.unwrap(),
        Acceptance::Accepted(_)
    ));
    assert_eq!(
        world.ledger.widen_earmark(&key(1), amount(11), amount(20)).await.unwrap(),
        Widened::To(amount(20))
    );
    assert!(world.ledger.note_delivered(&key(1), amount(11)).await.unwrap());
    assert_eq!(figures(&world).await, (25, 0, 20));
    world.ledger.settle_earmark(&key(1), amount(11)).await.unwrap().unwrap();
    assert_eq!(figures(&world).await, (25, 11, 0));
    assert_eq!(world.ledger.widen_earmark(&key(1), amount(12), amount(12)).await.unwrap(), Widened::Over);
}

#[tokio::test]
async fn what_nobody_serves_any_more_is_charged_at_what_was_delivered() {
    let world = World::with_deposit(1_000).await;
    earmarked(&world, 100, 100, 1).await;
    assert!(world.ledger.note_delivered(&key(1), amount(40)).await.unwrap());
    world.clock.advance(EARMARK_LIFE - 1);
    assert_eq!(world.ledger.purge(world.ledger.now()).await.unwrap().stale_earmarks, 0);
    world.clock.advance(1);
    assert_eq!(world.ledger.purge(world.ledger.now()).await.unwrap().stale_earmarks, 1);
    assert_eq!(figures(&world).await, (100, 40, 0));
    assert_eq!(world.ledger.settle_earmark(&key(1), amount(100)).await.unwrap(), None);
    assert!(!world.ledger.note_delivered(&key(1), amount(50)).await.unwrap());

    // The next request comes across it as well.
    earmarked(&world, 140, 100, 2).await;
    world.clock.advance(EARMARK_LIFE);
    earmarked(&world, 141, 100, 3).await;
    assert_eq!(figures(&world).await, (141, 40, 100), "nothing of the second was delivered");
}

#[tokio::test]
async fn a_request_that_was_charged_nothing_is_served_again_out_of_what_is_free() {
    let world = World::with_deposit(1_000).await;
    earmarked(&world, 100, 100, 1).await;
    let again = earmark(&world, 100, Charge::of(100, 1)).await;
    assert!(
        matches!(&again, Acceptance::Replayed(replay) if replay.cost.is_zero()),
        "it is being served: {again:?}"
    );
    world.ledger.settle_earmark(&key(1), Amount::ZERO).await.unwrap().unwrap();
    earmarked(&world, 100, 100, 1).await;
    assert_eq!(figures(&world).await, (100, 0, 100));
    world.ledger.settle_earmark(&key(1), amount(5)).await.unwrap().unwrap();
    let charged = earmark(&world, 100, Charge::of(100, 1)).await;
    let Acceptance::Replayed(replay) = charged else { panic!("{charged:?}") };
    assert_eq!((replay.cost, replay.answer), (amount(5), Answer::Unserved));
}

#[tokio::test]
async fn a_channel_is_not_closed_below_what_is_being_served() {
    let world = World::with_deposit(1_000).await;
    earmarked(&world, 100, 100, 1).await;
    let low =
        world.ledger.request_close(&world.id, CloseReason::Requested, Some(&world.channel.voucher(99))).await;
    assert!(matches!(low.unwrap(), CloseRequested::VoucherTooLow { .. }));
    let best = world.ledger.best_voucher_to_settle(&world.id, 0).await.unwrap().unwrap();
    assert_eq!(best.voucher.cumulative_amount, amount(100));

    world.clock.advance(600);
    assert!(world.ledger.note_delivered(&key(1), Amount::ZERO).await.unwrap());
    let idle = async || world.ledger.request_idle_close(&world.id, world.ledger.now()).await.unwrap();
    assert!(matches!(idle().await, IdleCloseRequested::NotIdle { .. }));
    world.clock.advance(EARMARK_LIFE);
    assert_eq!(idle().await, IdleCloseRequested::Recorded, "what is stale keeps no channel open");
    assert_eq!(figures(&world).await, (100, 0, 0));
}
