//! A payer that pays fee and rent itself, because the sponsor does not.

use solana_keypair::Keypair;
use solana_signer::Signer;
use toll_cli::server::Role;
use toll_client::{Book, PayError, Payer, Policy};
use toll_protocol::{Network, PROGRAM_ID};
use toll_settler::PurseSettings;
use toll_tests::World;
use toll_tests::world::{AtShutdown, BACKDATE, DEPOSIT, FUNDS, PRICE};

/// Lamports: above what one open may cost, below what two do.
const BUDGET: u64 = 60_000;

/// A world whose sponsor has paid for one channel, the world's payer's, and can pay for no other.
async fn world(change: impl FnOnce(&mut PurseSettings)) -> World {
    let mut world = crate::world(AtShutdown::Close).await;
    world.stop_server().await;
    change(&mut world.config.settler.purse);
    world.start_server(Role::Both).await;
    let (payer, book) = (world.payer(), world.book());
    world.pay(&payer, &book, 1).await;
    world
}

fn payer(world: &World, key: &Keypair, pay_fees: bool) -> Payer {
    let policy = Policy {
        max_amount: PRICE,
        max_deposit: FUNDS,
        deposit: Some(DEPOSIT),
        backdate_slots: BACKDATE,
        pay_fees,
        ..Policy::new(Network::Localnet, vec![PROGRAM_ID])
    };
    Payer::new(key.insecure_clone(), policy, Some(world.cluster())).expect("an HTTP client")
}

/// Another memory than the world's payer has.
fn book(world: &World) -> Book {
    let path = world.folder().join("other.json");
    Book::open(&path, std::time::Duration::from_secs(5)).expect("the state file opens")
}

/// Pays with `key`, willing to pay fees or not; a channel of its own must be its own to the last lamport.
async fn pays_itself(world: &mut World, key: &Keypair) {
    world.cluster().airdrop(&key.pubkey(), 1_000_000_000).await.expect("SOL");
    let sponsor = world.sponsor_lamports().await;

    let refused = payer(world, key, false).pay(&book(world), &world.request()).await;
    assert!(matches!(refused, Err(PayError::Unsponsored)), "{refused:?}");

    let memory = book(world);
    let replies = world.pay(&payer(world, key, true), &memory, 2).await;
    let id = replies[0].payment.as_ref().expect("paid").channel;
    let account = world.channel(&id).await.expect("open");
    assert_eq!((account.payer, account.rent_payer), (key.pubkey(), key.pubkey()));
    assert_eq!(world.sponsor_lamports().await, sponsor, "nobody else paid for it");

    world.stop_server().await;
    let (_, earned) = world.balances().await;
    assert_eq!(earned, 3 * PRICE.get(), "both channels are settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_that_may_pay_fees_is_served_when_the_sponsors_day_is_spent() {
    let mut world = world(|purse| purse.budget_per_day = Some(BUDGET)).await;
    let key = Keypair::new();
    world.fixture.mint_to(&key.pubkey(), FUNDS).await.expect("the payer has funds");
    pays_itself(&mut world, &key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_whose_own_budget_is_spent_is_offered_to_pay_and_does() {
    let mut world = world(|purse| purse.payer_budget_per_day = BUDGET).await;
    let key = world.actors.payer.insecure_clone();
    pays_itself(&mut world, &key).await;
}
