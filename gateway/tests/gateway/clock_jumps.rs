//! The host's clock is set forth or back by ten minutes: every request is charged once, and none is lost.

use toll_gateway::Terms;
use toll_ledger::{Clock, Ledger, LedgerConfig, ManualClock, TestServer};

use crate::world::{DEPOSIT, PRICE, SLOT, START, World, terms};

async fn each_request_is_charged_once(config: LedgerConfig) {
    let clock = ManualClock::new(START);
    let terms = Terms { landing_timeout: 30, ..terms() };
    let world = World::over(Ledger::with(config, clock.clone()).expect("a ledger"), clock, terms);
    let told = async || {
        world.publish_tip(SLOT).await;
        world.ledger.mark_channels_observed(world.clock.now()).await.expect("ledger");
    };
    told().await;
    let session = world.opened().await;
    let spent = async || world.channel(&session.id).await.watermarks.spent.get();
    let mut answers = Vec::new();
    for (nth, jump) in (1..).zip([600, -600, -600, 600, 600, 600, -600]) {
        world.clock.advance(jump);
        let voucher = session.voucher(nth * PRICE);
        let mut answer = world.get("/paid", &voucher).await;
        if answer.status == 503 {
            // What the chain showed seems to be ten minutes old: nothing is sold until it is looked at again.
            assert_eq!(spent().await, (nth - 1) * PRICE);
            told().await;
            answer = world.get("/paid", &voucher).await;
        }
        answer.receipt();
        answers.push((voucher, answer.text().to_owned()));
        for back in [0, -jump, jump] {
            world.clock.advance(back);
            for (voucher, first) in &answers {
                let again = world.get("/paid", voucher).await;
                assert_eq!((again.status.as_u16(), again.text()), (200, first.as_str()), "{nth} {back}");
            }
        }
        assert_eq!(spent().await, nth * PRICE);
    }
    assert_eq!(world.served.count(), answers.len());
    assert!(world.channel(&session.id).await.watermarks.accepted.get() <= DEPOSIT);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_charged_once_however_the_clock_jumps() {
    let directory = tempfile::tempdir().expect("a folder");
    each_request_is_charged_once(LedgerConfig::new(directory.path().join("ledger.db"))).await;
    if let Some(server) = TestServer::start() {
        each_request_is_charged_once(LedgerConfig::at(server.blank())).await;
    }
}
