//! A paid request goes by what the process remembers, and nobody is refused on that.

use std::time::Duration;

use toll_ledger::Ledger;
use toll_protocol::{Amount, ChannelAccount, ChannelStatus};

use crate::settler::account_of;
use crate::world::{DEPOSIT, PRICE, Session, World, terms};

/// A world whose gateway has served a channel once.
async fn served() -> (World, Session) {
    let world = World::new().await;
    let session = world.opened().await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.status, 200);
    (world, session)
}

/// The same ledger, as another process has it open.
fn another_process(world: &World) -> Ledger {
    Ledger::open(world.ledger.path(), world.clock.clone()).expect("ledger")
}

#[tokio::test]
async fn a_paid_request_reads_nothing_and_is_one_commit() {
    let (world, session) = served().await;
    // What the chain shows is in the ledger by then, and nothing more comes.
    world.chain(crate::settler::Chain::Silent).await;
    let commits = world.ledger.commits();
    let hold = world.ledger.hold_readers().await;
    for nth in 2..=4 {
        let credential = session.voucher(nth * PRICE);
        let answer = world.get("/paid", &credential);
        let answer =
            tokio::time::timeout(Duration::from_secs(20), answer).await.expect("it waits for a read");
        assert_eq!(answer.status, 200);
    }
    drop(hold);
    assert_eq!(world.ledger.commits(), commits + 3);
    assert_eq!(world.served.count(), 4);
}

#[tokio::test]
async fn a_deposit_that_another_process_saw_rise_counts_at_once() {
    let (world, session) = served().await;
    let record = world.channel(&session.id).await;
    let account = ChannelAccount { deposit: Amount::new(2 * DEPOSIT), ..account_of(&record) };
    let elsewhere = another_process(&world);
    for spent in (PRICE..DEPOSIT - PRICE).step_by(PRICE as usize) {
        assert_eq!(world.get("/paid", &session.voucher(spent + PRICE)).await.status, 200);
    }
    let spent = world.channel(&session.id).await.watermarks.spent.get();
    assert!(spent + PRICE > DEPOSIT, "{spent}");
    let refused = world.get("/paid", &session.voucher(spent + PRICE)).await;
    world.is_refusal(&refused, 402, "verification-failed", "top-up-needed");

    elsewhere.observe(&session.id, Some(&account), record.observed_slot + 1).await.expect("ledger");

    assert_eq!(world.get("/paid", &session.voucher(spent + PRICE)).await.status, 200);
}

#[tokio::test]
async fn a_channel_that_another_process_closes_serves_no_more() {
    let (world, session) = served().await;
    let record = world.channel(&session.id).await;
    let closing = ChannelAccount {
        status: ChannelStatus::Closing,
        closure_started_at: world.ledger.now(),
        ..account_of(&record)
    };
    let elsewhere = another_process(&world);
    elsewhere.observe(&session.id, Some(&closing), record.observed_slot + 1).await.expect("ledger");
    for _ in 0..2 {
        let answer = world.get("/paid", &session.voucher(2 * PRICE)).await;
        // The settler may have brought the close to its end by then.
        let code = answer.json()["code"].clone();
        assert!(code == "channel-closing" || code == "channel-closed", "{code}");
        assert_eq!(answer.status, 402);
    }
    assert_eq!(world.served.count(), 1);
    assert_eq!(world.channel(&session.id).await.watermarks.spent, Amount::new(PRICE));
}

#[tokio::test]
async fn a_request_that_another_gateway_served_is_not_served_here_however_often_it_is_sent() {
    let (world, session) = served().await;
    let other = World::over(another_process(&world), world.clock.clone(), terms());
    // What was charged as early as a gateway began may have been its predecessor's to serve.
    world.pass(60).await;
    assert_eq!(other.get("/paid", &session.voucher(2 * PRICE)).await.status, 200);
    for _ in 0..3 {
        // Here the channel stands at one price, so this looks like a new voucher.
        let answer = world.get("/paid", &session.voucher(2 * PRICE)).await;
        world.is_refusal(&answer, 409, "about:blank", "replay-body-gone");
    }
    assert_eq!((world.served.count(), other.served.count()), (1, 1));
    assert_eq!(world.channel(&session.id).await.watermarks.spent, Amount::new(2 * PRICE));
}

#[tokio::test]
async fn a_request_whose_client_hangs_up_is_charged_and_served_to_its_end() {
    let (world, session) = served().await;
    let hold = world.ledger.hold_writer().await;
    let credential = session.voucher(2 * PRICE);
    {
        let request = world.get("/paid", &credential);
        tokio::pin!(request);
        // Until its voucher waits for the writer.
        while world.ledger.queued() == 0 {
            let _ = tokio::time::timeout(Duration::from_millis(1), &mut request).await;
        }
    }
    drop(hold);
    let again = world.get("/paid", &credential).await;
    assert_eq!(again.status, 200);
    assert_eq!(world.served.count(), 2, "once, whoever got the answer");
    assert_eq!(world.channel(&session.id).await.watermarks.spent, Amount::new(2 * PRICE));
}
