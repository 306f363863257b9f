//! Payers that come back to their channel, on a server that renews sessions, by the real program.

use std::time::Duration;

use toll_cli::server::Role;
use toll_client::{Book, Payer, Policy};
use toll_ledger::{ChannelState, Renewal, RenewalRequested, SubmissionKind};
use toll_protocol::{Amount, ChannelId, ChannelStatus, Network, PROGRAM_ID};
use toll_settler::Renew;
use toll_tests::World;
use toll_tests::world::{AtShutdown, BACKDATE, DEPOSIT, FUNDS, PRICE};

/// A world whose server renews sessions, once a test says that they are over.
async fn world() -> World {
    let mut world = crate::world(AtShutdown::Close).await;
    world.stop_server().await;
    world.config.settler.renew = Renew::Always;
    world.start_server(Role::Both).await;
    world
}

/// The world's payer, which holds a deposit and a half at a time at most.
fn payer(world: &World, keep_deposit: bool) -> Payer {
    let policy = Policy {
        max_amount: PRICE,
        max_deposit: Amount::new(DEPOSIT.get() * 3 / 2),
        deposit: Some(DEPOSIT),
        keep_deposit,
        backdate_slots: BACKDATE,
        ..Policy::new(Network::Localnet, vec![PROGRAM_ID])
    };
    Payer::new(world.actors.payer.insecure_clone(), policy, Some(world.cluster())).expect("an HTTP client")
}

/// Pays `count` times, lets the channel be idle, and waits until that is settled and paid out. Returns the channel,
/// whether it was opened for that, and by how much it was topped up.
async fn session(world: &World, payer: &Payer, book: &Book, count: u64) -> (ChannelId, bool, u64) {
    let replies = world.pay(payer, book, count).await;
    let payments: Vec<_> = replies.iter().filter_map(|reply| reply.payment.as_ref()).collect();
    let id = payments[0].channel;
    let topped_up = payments.iter().map(|payment| payment.topped_up.get()).sum();
    let signed = book.channel(&id).expect("the payer remembers").signed;
    let always = Renewal { returning: false, worth: Amount::ZERO, can_rearm: true };
    let ledger = world.server().ledger();
    let record = ledger.channel(&id).await.expect("the ledger answers").expect("known");
    let idle_at = record.last_activity_at + i64::from(record.idle_timeout);
    let requested = ledger.request_renewal(&id, always, idle_at).await;
    assert!(matches!(requested, Ok(RenewalRequested::Recorded | RenewalRequested::Kept)), "{requested:?}");
    world
        .wait_for_channel(&id, "paid out", |account| {
            account.is_some_and(|account| account.payout_watermark == signed)
        })
        .await;
    // What the chain shows, the server knows a moment later; the next session would come before that here, and never
    // does an idle timeout later.
    while ledger.to_pay_out(1).await.expect("the ledger answers").iter().any(|record| record.id == id) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (id, payments.iter().any(|payment| payment.opened), topped_up)
}

/// Lifetime deposits of the payer's channel grow beyond the limit of what it holds at a time.
#[tokio::test(flavor = "multi_thread")]
async fn a_payer_whose_deposit_is_refunded_tops_up_the_channel_it_has_session_after_session() {
    let mut world = world().await;
    let (payer, book) = (payer(&world, false), world.book());

    let (id, opened, _) = session(&world, &payer, &book, 8).await;
    assert!(opened);
    for _ in 0..2 {
        let (again, opened, topped_up) = session(&world, &payer, &book, 8).await;
        assert_eq!((again, opened, topped_up), (id, false, DEPOSIT.get()));
        let earned = book.channel(&id).expect("remembered").signed.get();
        assert_eq!(world.balances().await, (FUNDS.get() - earned, earned), "the rest is refunded");
    }
    let ledger = world.server().ledger().clone();
    let rearms = ledger.submissions_of(&id).await.expect("the ledger answers");
    assert!(rearms.iter().filter(|one| one.kind == SubmissionKind::Rearm).count() >= 3);
    let channels = ledger.channels(ChannelState::ALL).await.expect("the ledger answers");
    assert_eq!(channels.len(), 1, "and never a second channel");
    world.stop_server().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_keeps_its_deposit_comes_back_without_a_transaction() {
    let mut world = world().await;
    let (payer, book) = (payer(&world, true), world.book());

    let (id, opened, _) = session(&world, &payer, &book, 3).await;
    assert!(opened);
    let record = world.server().ledger().channel(&id).await.expect("the ledger answers").expect("known");
    assert!(record.kept_by.is_some());
    let (again, opened, topped_up) = session(&world, &payer, &book, 3).await;
    assert_eq!((again, opened, topped_up), (id, false, 0));

    let account = world.channel(&id).await.expect("open");
    assert_eq!((account.status, account.deposit), (ChannelStatus::Open, DEPOSIT));
    assert_eq!(world.balances().await, (FUNDS.get() - DEPOSIT.get(), 6 * PRICE.get()));
    world.stop_server().await;
    assert_eq!(world.balances().await, (FUNDS.get() - 6 * PRICE.get(), 6 * PRICE.get()), "to the last unit");
}
