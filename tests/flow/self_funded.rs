//! Channels that nobody sponsors.

use toll_client::{Payer, Policy};
use toll_ledger::{Ledger, Sponsor, SystemClock};
use toll_protocol::{Amount, Network, PROGRAM_ID};
use toll_tests::world::{AtShutdown, DEPOSIT, FUNDS, PRICE};

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_nobody_sponsors_pays_for_its_own_channel() {
    let mut world = super::world(AtShutdown::Close).await;
    let payer = world.payer().address();
    world.cluster().airdrop(&payer, 1_000_000_000).await.unwrap();
    let nothing = Sponsor {
        opens: false,
        top_ups: false,
        vouchers: true,
        channels_per_payer: 10,
        minimum_top_up: Amount::ZERO,
        payer_budget: 0,
        open_charge: 1,
        opens_per_minute: None,
        published_at: 0,
    };
    let ledger = Ledger::open(&world.config.ledger.path, SystemClock).unwrap();
    // The settler speaks again only when something changes.
    while ledger.sponsor().await.unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    ledger.publish_sponsor(nothing).await.unwrap();
    let sponsor_before = world.sponsor_lamports().await;

    let policy = Policy {
        pay_fees: true,
        max_amount: PRICE,
        max_deposit: FUNDS,
        deposit: Some(DEPOSIT),
        ..Policy::new(Network::Localnet, vec![PROGRAM_ID])
    };
    let customer = Payer::new(world.actors.payer.insecure_clone(), policy, Some(world.cluster())).unwrap();
    let book = world.book();
    let id = world.pay(&customer, &book, 12).await[0].payment.as_ref().unwrap().channel;

    let account = world.channel(&id).await.unwrap();
    assert_eq!((account.rent_payer, account.payer), (payer, payer));
    assert!(account.deposit > DEPOSIT, "it was topped up as well");
    assert_eq!(world.sponsor_lamports().await, sponsor_before);
    world.stop_server().await;
    assert_eq!(world.balances().await, (FUNDS.get() - 12 * PRICE.get(), 12 * PRICE.get()));
}
