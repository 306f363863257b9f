//! A world under attack, with an honest payer in it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use solana_pubkey::Pubkey;
use solana_signer::Signer;
use tokio::task::JoinHandle;
use toll_cli::config::Config;
use toll_cli::server::Role;
use toll_client::{Book, Payer};
use toll_ledger::{ChannelState, Ledger, SpendingKind};
use toll_protocol::OPEN_SLOT_WINDOW;
use toll_tests::world::{AtShutdown, FUNDS, PRICE};
use toll_tests::{TestChain, World};

/// What the honest payer buys before, during and after.
const HONEST_REQUESTS: u64 = 3;

pub struct Scene {
    pub world: World,
    honest: Payer,
    book: Book,
    bought: u64,
    before: u64,
    lowest: Arc<AtomicU64>,
    sampler: JoinHandle<()>,
}

/// What is left when the curtain falls.
pub struct Losses {
    /// Lamports that never came back, the honest payer's channel not counted.
    pub lost: u64,
    /// Transactions of a purpose that were paid for.
    granted: Vec<(SpendingKind, u64)>,
}

impl Losses {
    pub fn granted(&self, kind: SpendingKind) -> u64 {
        self.granted.iter().filter(|(of, _)| *of == kind).map(|(_, count)| count).sum()
    }
}

impl Scene {
    /// A world with these settings, made for what the sponsor has (lamports); rate limits out of the way, so that
    /// the purse alone stands.
    pub async fn set(change: impl FnOnce(&mut Config, u64)) -> Self {
        let mut world = World::start(TestChain::embedded().await, AtShutdown::Close).await;
        world.stop_server().await;
        let limits = &mut world.config.gateway.limits;
        limits.opens_per_minute = 10_000;
        limits.updates_per_minute = 10_000;
        let before = world.sponsor_lamports().await;
        change(&mut world.config, before);
        world.start_server(Role::Both).await;
        let (honest, book) = (world.payer(), world.book());
        let lowest = Arc::new(AtomicU64::new(before));
        let sampler = tokio::spawn({
            let (lowest, cluster) = (Arc::clone(&lowest), world.cluster());
            let sponsor = world.actors.fee_payer.pubkey();
            async move {
                loop {
                    if let Ok(lamports) = cluster.lamports(&sponsor).await {
                        lowest.fetch_min(lamports, Ordering::Relaxed);
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
        let mut scene = Self { world, honest, book, bought: 0, before, lowest, sampler };
        scene.buy(1).await;
        scene
    }

    pub fn ledger(&self) -> Ledger {
        self.world.server().ledger().clone()
    }

    /// The honest payer is served whatever goes on.
    pub async fn buy(&mut self, requests: u64) {
        self.world.pay(&self.honest, &self.book, requests).await;
        self.bought += requests;
    }

    /// Waits until the ledger has no channel in `states`.
    pub async fn wait_for_none(&self, states: &[ChannelState]) {
        let ledger = self.ledger();
        for _ in 0..600 {
            if ledger.count_channels(states).await.expect("the ledger answers") == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("there are channels in {states:?} after a minute");
    }

    /// Closes and reclaims everything, compares chain and ledger, and says what was lost. `paid` base units came
    /// from attackers.
    pub async fn end(mut self, paid: u64) -> Losses {
        self.buy(HONEST_REQUESTS - self.bought).await;
        let ledger = self.ledger();
        self.world.stop_server().await;
        let live = [ChannelState::Opening, ChannelState::Open, ChannelState::Closing];
        assert_eq!(ledger.count_channels(&live).await.expect("the ledger answers"), 0, "all are closed");
        let slot = self.world.cluster().slot().await.expect("the chain answers");
        self.world.chain.wait_for_slot(slot + OPEN_SLOT_WINDOW + 2).await;
        self.world.start_server(Role::Settler).await;
        self.wait_for_none(&[ChannelState::Closed]).await;
        self.world.stop_server().await;
        self.sampler.abort();

        let honest_pays = HONEST_REQUESTS * PRICE.get();
        let (payer, payee) = self.world.balances().await;
        assert_eq!(payer, FUNDS.get() - honest_pays, "the honest payer paid for what it got");
        assert_eq!(payee, honest_pays + paid, "the payee earned what was accepted");
        assert_eq!(ledger.holds().await.expect("the ledger answers"), []);

        let spending = ledger.spending_since(0).await.expect("the ledger answers");
        let spent: u64 = spending.iter().map(|row| row.spent).sum();
        let after = self.world.sponsor_lamports().await;
        assert_eq!(self.before - after, spent, "the chain shows what the ledger says, to the lamport");
        let sponsor = self.world.actors.fee_payer.pubkey();
        let taken = ledger.lamports_taken(&sponsor).await.expect("the ledger answers");
        let taken: i64 = taken.iter().map(|one| one.taken).sum();
        assert_eq!(u64::try_from(taken), Ok(spent), "and so does the journal, with rent out and back");
        let lowest = self.lowest.load(Ordering::Relaxed);
        let reserve = self.world.config.settler.purse.minimum_reserve;
        assert!(lowest >= reserve, "the sponsor had {lowest}, below its reserve of {reserve}");

        let honest = self.world.actors.payer.pubkey();
        let attackers = || spending.iter().filter(|row| row.payer != Some(honest));
        let kinds: HashSet<SpendingKind> = attackers().map(|row| row.kind).collect();
        let count = |kind: SpendingKind| {
            attackers().filter(|row| row.kind == kind).map(|row| row.transactions).sum::<u64>()
        };
        Losses {
            lost: attackers().map(|row| row.spent).sum(),
            granted: kinds.into_iter().map(|kind| (kind, count(kind))).collect(),
        }
    }

    /// Lamports that an open charges to budgets, and what they are made of: all that one channel may cost.
    pub async fn open_charge(&self) -> u64 {
        self.ledger().sponsor().await.expect("the ledger answers").expect("it was published").open_charge
    }

    /// The mint's address.
    pub fn mint(&self) -> Pubkey {
        self.world.fixture.mint
    }
}
