//! Servers that call a channel closed, on a chain that shows what they did with its vouchers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_signer::Signer;
use toll_chain::{Chain, Cluster};
use toll_cli::Exit;
use toll_client::{Book, ChannelStage, PayError, Payer, Policy, Reply, Request};
use toll_localnet::program::{ELF, PROGRAM_ID};
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::{
    Action, Agreement, Amount, ChannelOffer, Network, Open, OpenAction, SignedVoucher, TREASURY_OWNER,
    decode_transaction, ed25519_verify, encode_transaction, static_instructions,
};

use crate::PRICE;
use crate::support::rogue::{Loot, Rogue, receipt, refuse};
use crate::support::{Toll, acceptable};

/// What a seller does with a voucher.
#[derive(Clone, Copy)]
enum Plan {
    /// Serves for it.
    Serve,
    /// Says that the channel is closed, and settles it.
    Settle,
    /// Says that the channel is closed, and keeps it for later.
    Keep,
    /// Says that the channel is closed, and closes it with the voucher before. Serves afterwards.
    Close,
}

/// Lands deposits in earnest, and does with vouchers as planned.
struct Seller {
    cluster: Cluster,
    actors: Actors,
    plan: Mutex<Plan>,
    agreed: Mutex<Option<Agreement>>,
    vouchers: Mutex<Vec<SignedVoucher>>,
}

impl Seller {
    fn plan(&self, plan: Plan) {
        *self.plan.lock().unwrap() = plan;
    }

    fn voucher(&self, from_last: usize) -> SignedVoucher {
        self.vouchers.lock().unwrap().iter().rev().nth(from_last).unwrap().clone()
    }

    fn channel(&self) -> toll_protocol::Channel {
        self.agreed.lock().unwrap().as_ref().unwrap().channel(TREASURY_OWNER)
    }

    async fn land(&self, open: &OpenAction) {
        let mut transaction = decode_transaction(&open.transaction).unwrap();
        let instruction = &static_instructions(&transaction).unwrap()[0];
        let keys: Vec<_> = instruction.accounts.iter().map(|meta| meta.pubkey).collect();
        *self.agreed.lock().unwrap() = Some(Open::decode(&instruction.data, &keys).unwrap().agreement);
        transaction.signatures[0] = self.actors.fee_payer.sign_message(&transaction.message.serialize());
        self.cluster.chain().submit(&encode_transaction(&transaction)).await.unwrap();
        self.cluster.confirm(&transaction.signatures[0]).await.unwrap();
    }

    async fn settle(&self) {
        self.send(&[ed25519_verify(&self.voucher(0)), self.channel().settle()], &[]).await;
    }

    /// Closes the channel with the last voucher but `from_last`.
    async fn close(&self, from_last: usize) {
        let (voucher, channel) = (self.voucher(from_last), self.channel());
        let close = [ed25519_verify(&voucher), channel.settle_and_seal(true), channel.distribute()];
        self.send(&close, &[&self.actors.payee]).await;
    }

    async fn send(&self, instructions: &[Instruction], signers: &[&Keypair]) {
        self.cluster.send(instructions, &self.actors.fee_payer, signers).await.unwrap();
    }

    async fn answer(&self, action: &Action, loot: &Loot) -> axum::response::Response {
        let voucher = match action {
            Action::Open(open) => {
                self.land(open).await;
                return receipt(open.channel_id, 0, None);
            }
            Action::Voucher(voucher) => voucher.voucher.clone(),
            other => panic!("{other:?}"),
        };
        self.vouchers.lock().unwrap().push(voucher.clone());
        let plan = *self.plan.lock().unwrap();
        match plan {
            Plan::Serve => return receipt(voucher.voucher.channel_id, *loot.vouchers.last().unwrap(), None),
            Plan::Settle => self.settle().await,
            Plan::Keep => {}
            Plan::Close => {
                self.close(1).await;
                self.plan(Plan::Serve);
            }
        }
        refuse(&acceptable(), "channel-closed", 0)
    }
}

/// A chain with the program, a seller on it, and a payer with its home.
struct World {
    localnet: Localnet,
    toll: Toll,
    actors: Actors,
    seller: Arc<Seller>,
    rogue: Rogue,
}

impl World {
    async fn new() -> Self {
        let toll = Toll::new();
        let localnet = Localnet::start(LocalnetConfig::default()).await.unwrap();
        localnet.deploy(&PROGRAM_ID, ELF).await.unwrap();
        let actors = Actors::in_folder(toll.home.path()).unwrap();
        let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await.unwrap();
        fixture.mint_to(&actors.payer.pubkey(), Amount::new(50_000)).await.unwrap();
        let mut request = acceptable();
        request.recipient = actors.payee.pubkey();
        request.currency = fixture.mint;
        request.method_details.fee_payer_key = Some(actors.fee_payer.pubkey());
        let tip = fixture.cluster.chain().tip().await.unwrap();
        if let ChannelOffer::New { recent_blockhash, recent_slot, .. } = &mut request.method_details.channel {
            (*recent_blockhash, *recent_slot) = (tip.blockhash, tip.slot);
        }
        let seller = Arc::new(Seller {
            cluster: Cluster::new(&localnet.rpc_url),
            actors: Actors::in_folder(toll.home.path()).unwrap(),
            plan: Mutex::new(Plan::Serve),
            agreed: Mutex::default(),
            vouchers: Mutex::default(),
        });
        let serving = Arc::clone(&seller);
        let rogue = Rogue::start(request, move |action, loot| {
            let answer = serving.answer(action, loot);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(answer))
        });
        Self { rogue: rogue.await, localnet, toll, actors, seller }
    }

    fn book(&self) -> Book {
        Book::open(&self.toll.state(), Duration::from_secs(1)).unwrap()
    }

    /// Pays for the resource out of the command's state file, and waits for no chain.
    async fn pay(&self) -> Result<Reply, PayError> {
        let policy = Policy {
            deposit: Some(Amount::new(10_000)),
            close_patience: Duration::ZERO,
            ..Policy::new(Network::Localnet, vec![PROGRAM_ID])
        };
        let cluster = Cluster::new(&self.localnet.rpc_url);
        let payer = Payer::new(self.actors.payer.insecure_clone(), policy, Some(cluster)).unwrap();
        payer.pay(&self.book(), &Request::get(self.rogue.url.clone())).await
    }

    /// The same by the command.
    async fn run(&self, flags: &[&str]) -> crate::support::Ended {
        let pay = ["pay", self.rogue.url.as_str(), "--keypair", "payer.json", "--deposit", "0.01"];
        let chain = ["--rpc", &self.localnet.rpc_url];
        self.toll.run_beside(&[&pay[..], &chain, flags].concat()).await
    }

    /// Lets the oldest channel be as much older than it is.
    fn age(&self, seconds: i64) {
        let book = self.book();
        let mut channel = book.channels()[0].clone();
        channel.opened_at -= seconds;
        if let Some(receipt) = &mut channel.last_receipt {
            receipt.timestamp -= seconds;
        }
        book.put(channel).unwrap();
    }

    fn deposits(&self) -> usize {
        self.rogue.loot().deposits.len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_calls_a_channel_closed_and_settles_the_voucher_gets_one_price() {
    let world = World::new().await;
    world.run(&[]).await.succeeds();
    world.seller.plan(Plan::Settle);

    for _ in 0..2 {
        let ended = world.run(&[]).await;
        ended.fails_with(Exit::Refused.code(), &["has redeemed", "2000", "--pay-again"]);
        assert_eq!((world.deposits(), world.rogue.loot().vouchers), (1, vec![PRICE, 2 * PRICE]));
    }

    // Another price is the user's decision.
    world.seller.plan(Plan::Serve);
    world.run(&["--pay-again"]).await.succeeds();
    assert_eq!((world.deposits(), world.rogue.loot().vouchers), (2, vec![PRICE, 2 * PRICE, PRICE]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_calls_a_channel_closed_and_keeps_the_voucher_gets_one_price() {
    let world = World::new().await;
    world.pay().await.unwrap();
    world.seller.plan(Plan::Keep);

    for _ in 0..2 {
        let ended = world.pay().await;
        let doubt =
            matches!(ended, Err(PayError::MaybeRedeemed { cumulative, .. }) if cumulative.get() == 2 * PRICE);
        assert!(doubt, "{ended:?}");
    }
    world.seller.settle().await;
    let ended = world.pay().await;

    assert!(
        matches!(ended, Err(PayError::Redeemed { settled, .. }) if settled.get() == 2 * PRICE),
        "{ended:?}"
    );
    assert_eq!((world.deposits(), world.rogue.loot().vouchers), (1, vec![PRICE, 2 * PRICE]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_was_closed_below_the_voucher_is_replaced_at_once() {
    let world = World::new().await;
    world.pay().await.unwrap();
    world.seller.plan(Plan::Close);

    let paid = world.pay().await.unwrap();

    assert!(paid.payment.unwrap().opened);
    assert_eq!((world.deposits(), world.rogue.loot().vouchers), (2, vec![PRICE, 2 * PRICE, PRICE]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_was_closed_while_it_was_idle_is_given_no_voucher() {
    let world = World::new().await;
    world.pay().await.unwrap();
    world.seller.close(0).await;
    world.age(3_600);

    let paid = world.pay().await.unwrap();

    assert!(paid.payment.unwrap().opened);
    assert_eq!((world.deposits(), world.rogue.loot().vouchers), (2, vec![PRICE, PRICE]));
    assert_eq!(world.book().channels()[0].stage, ChannelStage::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_out_channel_is_forgotten_after_a_week_although_its_rent_stays() {
    let world = World::new().await;
    world.pay().await.unwrap();
    let first = world.book().channels()[0].channel_id;
    world.seller.close(0).await;
    for (seconds, remembered) in [(6 * 86_400, true), (2 * 86_400, false)] {
        // The next channel is opened, and closed by the server's word.
        world.age(seconds);
        world.pay().await.unwrap();
        assert_eq!(world.book().channel(&first).is_some(), remembered);
        let mut channel = world.book().channels().last().unwrap().clone();
        channel.stage = ChannelStage::Closed;
        world.book().put(channel).unwrap();
    }
    assert!(world.seller.cluster.channel(&first, &PROGRAM_ID).await.unwrap().is_some());
}
