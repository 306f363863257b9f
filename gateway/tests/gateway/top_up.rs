//! Raising a deposit over HTTP.

use ed25519_dalek::SigningKey;
use http::Method;
use solana_hash::Hash;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::{VersionedMessage, v0};
use solana_pubkey::Pubkey;
use toll_ledger::{CloseReason, Sponsor};
use toll_protocol::{
    Action, Amount, DepositAtIdle, TOKEN_PROGRAM, TopUp, TopUpAction, VoucherAction, compute_unit_limit,
    encode_transaction,
};

use crate::opening::sign;
use crate::settler::Chain;
use crate::world::{
    DEPOSIT, PAYER, PRICE, SPONSOR, START, STRANGER, Session, World, mint, payer_key, request,
};

/// A payer's `topUp`, right in every respect until it is bent.
pub(crate) struct Raise {
    session: Session,
    program: Pubkey,
    top_up: TopUp,
    additional: u64,
    at_idle: Option<DepositAtIdle>,
    fee_payer: Pubkey,
    signer: SigningKey,
    extra: Vec<Instruction>,
    bend: fn(&mut Instruction),
}

impl Raise {
    pub(crate) fn of(session: &Session, amount: u64) -> Self {
        let top_up = TopUp {
            channel: session.id,
            payer: PAYER.pubkey(),
            mint: mint(),
            token_program: TOKEN_PROGRAM,
            amount: Amount::new(amount),
        };
        Self {
            session: session.clone(),
            program: toll_protocol::PROGRAM_ID,
            top_up,
            additional: amount,
            at_idle: None,
            fee_payer: SPONSOR.pubkey(),
            signer: payer_key(),
            extra: Vec::new(),
            bend: |_| {},
        }
    }

    /// The same, with the payer's word on its deposit.
    pub(crate) fn saying(self, at_idle: Option<DepositAtIdle>) -> Self {
        Self { at_idle, ..self }
    }

    pub(crate) fn authorization(mut self) -> String {
        let mut instruction = self.top_up.instruction(&self.program);
        (self.bend)(&mut instruction);
        let instructions: Vec<_> = self.extra.drain(..).chain([instruction]).collect();
        let blockhash = Hash::new_from_array([4; 32]);
        let message =
            v0::Message::try_compile(&self.fee_payer, &instructions, &[], blockhash).expect("compiles");
        let transaction = sign(VersionedMessage::V0(message), &self.signer);
        self.session.with(Action::TopUp(TopUpAction {
            channel_id: self.session.id,
            additional: Amount::new(self.additional),
            at_idle: self.at_idle,
            transaction: encode_transaction(&transaction),
        }))
    }
}

async fn opened() -> (World, Session) {
    let world = World::new().await;
    let session = world.opened().await;
    (world, session)
}

#[tokio::test]
async fn a_top_up_raises_the_deposit_once_it_landed() {
    let (world, session) = opened().await;
    let answer = world.get("/paid", &Raise::of(&session, 500).authorization()).await;
    let receipt = answer.receipt();
    assert_eq!((receipt.reference, receipt.spent), (session.id, Amount::ZERO));
    assert_eq!(answer.json()["deposit"], "1500");
    assert_eq!(world.served.count(), 0, "a top-up never reaches the handler");
    assert_eq!(world.channel(&session.id).await.watermarks.deposit.get(), 1_500);
}

#[tokio::test]
async fn a_top_up_makes_an_exhausted_channel_pay_again() {
    let world = World::new().await;
    let session = world.opened_with(7, 100).await;
    for round in 1..=6 {
        world.get("/paid", &session.voucher(round * PRICE)).await.receipt();
    }
    world.refuses_402(&session.voucher(112), "verification-failed", "top-up-needed").await;
    world.get("/paid", &Raise::of(&session, 100).authorization()).await.receipt();
    assert_eq!(world.get("/paid", &session.voucher(112)).await.receipt().spent.get(), 112);
}

#[tokio::test]
async fn head_takes_a_top_up() {
    let (world, session) = opened().await;
    let head = request(Method::HEAD, "/paid", Some(&Raise::of(&session, 500).authorization()), "");
    assert_eq!(world.send(head).await.receipt().reference, session.id);
}

#[tokio::test]
async fn a_payer_may_pay_the_fee_itself() {
    let (world, session) = opened().await;
    let mut raise = Raise::of(&session, 500);
    raise.fee_payer = PAYER.pubkey();
    assert_eq!(world.get("/paid", &raise.authorization()).await.status, 200);
}

#[tokio::test]
async fn a_repeated_top_up_raises_once() {
    let (world, session) = opened().await;
    let credential = Raise::of(&session, 500).authorization();
    for _ in 0..2 {
        world.get("/paid", &credential).await.receipt();
    }
    assert_eq!(world.channel(&session.id).await.watermarks.deposit.get(), 1_500);
    assert_eq!(world.state().await.1, 2, "one open, one top-up");
}

#[tokio::test]
async fn a_top_up_that_does_not_land_in_time_can_be_resumed() {
    let (world, session) = opened().await;
    world.chain(Chain::Silent).await;
    let credential = Raise::of(&session, 500).authorization();
    let answer = world.get("/paid", &credential).await;
    world.is_refusal(&answer, 503, "about:blank", "unavailable");
    assert_eq!(world.channel(&session.id).await.watermarks.deposit.get(), DEPOSIT, "not before it landed");
    world.chain(Chain::Lands).await;
    world.get("/paid", &credential).await.receipt();
    assert_eq!(world.channel(&session.id).await.watermarks.deposit.get(), 1_500);
}

#[tokio::test]
async fn a_top_up_that_fails_on_chain_says_so() {
    let (world, session) = opened().await;
    for (chain, code) in [(Chain::Fails, "transaction-failed"), (Chain::Expires, "blockhash-expired")] {
        world.chain(chain).await;
        let amount = 500 + chain as u64;
        let answer = world.get("/paid", &Raise::of(&session, amount).authorization()).await;
        world.is_refusal(&answer, 402, "verification-failed", code);
    }
    assert_eq!(world.channel(&session.id).await.watermarks.deposit.get(), DEPOSIT);
}

async fn rejects(bend: impl FnOnce(&mut Raise), code: &str) {
    let (world, session) = opened().await;
    let mut raise = Raise::of(&session, 500);
    bend(&mut raise);
    world.refuses_402(&raise.authorization(), "verification-failed", code).await;
}

macro_rules! rejects {
    ($($name:ident: $code:literal, $bend:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let bend: fn(&mut Raise) = $bend;
            rejects(bend, $code).await;
        }
    )*};
}

rejects! {
    another_amount_in_the_transaction: "top-up-mismatch", |raise| raise.top_up.amount = Amount::new(1);
    an_amount_of_zero: "top-up-mismatch", |raise| { raise.top_up.amount = Amount::ZERO; raise.additional = 0; };
    an_amount_past_u64: "top-up-mismatch",
        |raise| { raise.top_up.amount = Amount::new(u64::MAX); raise.additional = u64::MAX; };
    another_channel_in_the_transaction: "top-up-mismatch", |raise| raise.top_up.channel = STRANGER.pubkey().into();
    another_payer_in_the_transaction: "top-up-mismatch",
        |raise| { raise.top_up.payer = STRANGER.pubkey(); raise.signer = STRANGER.signing(); };
    another_mint_in_the_transaction: "top-up-mismatch", |raise| raise.top_up.mint = STRANGER.pubkey();
    another_token_program_in_the_transaction: "top-up-mismatch",
        |raise| raise.top_up.token_program = toll_protocol::TOKEN_2022_PROGRAM;
    another_program: "top-up-mismatch", |raise| raise.program = STRANGER.pubkey();
    another_fee_payer: "top-up-mismatch", |raise| raise.fee_payer = STRANGER.pubkey();
    a_missing_payer_signature: "top-up-mismatch", |raise| raise.signer = STRANGER.signing();
    another_escrow: "top-up-mismatch", |raise| raise.bend = |top_up| top_up.accounts[3].pubkey = STRANGER.pubkey();
    the_sponsors_tokens_as_source: "top-up-mismatch",
        |raise| raise.bend = |top_up| top_up.accounts[2].pubkey = SPONSOR.pubkey();
    another_instruction: "top-up-mismatch", |raise| raise.bend = |top_up| top_up.data = vec![5];
    a_foreign_instruction_before_it: "top-up-mismatch",
        |raise| raise.extra = vec![Instruction {
            program_id: toll_protocol::SYSTEM_PROGRAM,
            accounts: vec![AccountMeta::new(SPONSOR.pubkey(), true)],
            data: vec![],
        }];
    a_compute_unit_limit_above_the_cap: "top-up-mismatch", |raise| raise.extra = vec![compute_unit_limit(400_001)];
    an_unknown_channel: "channel-not-found", |raise| raise.session.id = STRANGER.pubkey().into();
}

#[tokio::test]
async fn a_closing_channel_takes_no_top_up() {
    let (world, session) = opened().await;
    world.chain(Chain::Silent).await;
    world.ledger.request_close(&session.id, CloseReason::Idle, None).await.expect("ledger");
    let credential = Raise::of(&session, 500).authorization();
    world.refuses_402(&credential, "verification-failed", "channel-closing").await;
}

#[tokio::test]
async fn a_closed_channel_takes_no_top_up() {
    let (world, session) = opened().await;
    world.get("/paid", &session.close(0)).await.receipt();
    let credential = Raise::of(&session, 500).authorization();
    world.refuses_402(&credential, "verification-failed", "channel-closed").await;
}

#[tokio::test]
async fn a_delisted_mint_takes_no_top_up_and_no_voucher_but_closes() {
    let (world, session) = opened().await;
    let mut terms = crate::world::terms();
    terms.mint = STRANGER.pubkey();
    terms.allowed_mints = [terms.mint].into();
    let delisted = World::over(world.ledger.clone(), world.clock.clone(), terms);
    let top_up = Raise::of(&session, 500).authorization();
    delisted.refuses_402(&top_up, "verification-failed", "mint-not-allowed").await;
    let voucher = session
        .with(Action::Voucher(VoucherAction { channel_id: session.id, voucher: session.signed(PRICE) }));
    delisted.refuses_402(&voucher, "invalid-challenge", "challenge").await;
    assert_eq!(delisted.get("/paid", &session.close(0)).await.receipt().refunded, Some(Amount::new(DEPOSIT)));
}

#[tokio::test]
async fn updates_of_one_channel_are_rate_limited() {
    let world = World::with(|terms| terms.limits.updates_per_minute = 1).await;
    let session = world.opened().await;
    world.get("/paid", &Raise::of(&session, 500).authorization()).await.receipt();
    let again = request(Method::GET, "/paid", Some(&Raise::of(&session, 501).authorization()), "");
    world.refuses(again, 429, "about:blank", "rate-limited").await;
}

#[tokio::test]
async fn a_top_up_below_the_sponsors_minimum_is_for_the_payer_to_pay() {
    let (world, session) = opened().await;
    let sponsor = Sponsor {
        opens: true,
        top_ups: true,
        vouchers: true,
        channels_per_payer: 9,
        minimum_top_up: Amount::new(500),
        payer_budget: 100_000,
        open_charge: 40_000,
        opens_per_minute: None,
        published_at: START,
    };
    world.ledger.publish_sponsor(sponsor).await.expect("ledger");
    let before = world.ledger.submissions_of(&session.id).await.expect("ledger").len();
    let small = || Raise::of(&session, 499);
    world.refuses_402(&small().authorization(), "verification-failed", "unsponsored").await;
    let out = Sponsor { top_ups: false, ..sponsor };
    world.ledger.publish_sponsor(out).await.expect("ledger");
    world.refuses_402(&Raise::of(&session, 500).authorization(), "verification-failed", "unsponsored").await;
    let after = world.ledger.submissions_of(&session.id).await.expect("ledger").len();
    assert_eq!(after, before, "nothing is on record");

    let paid_by_payer = Raise { fee_payer: PAYER.pubkey(), ..small() };
    assert_eq!(world.get("/paid", &paid_by_payer.authorization()).await.json()["deposit"], "1499");
    world.ledger.publish_sponsor(sponsor).await.expect("ledger");
    let enough = Raise::of(&session, 500);
    assert_eq!(world.get("/paid", &enough.authorization()).await.json()["deposit"], "1999");
}
