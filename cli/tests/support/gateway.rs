//! A real gateway on a real ledger, whose settler is replaced by a task that calls everything landed.
//!
//! So the whole HTTP side runs, and tests can lose answers and restart payers at will; what the chain does
//! with the same transactions is tested elsewhere.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Router, routing::get};
use http::StatusCode;
use solana_hash::Hash;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_cli::config::Config;
use toll_client::Book;
use toll_client::{Payer, Policy, Request as PayerRequest};
use toll_gateway::{
    FailureCharge, FixedPrice, Gateway, Metering, PaymentLayer, Price, Rate, Tariff, Terms, Unit,
};
use toll_ledger::{ChannelState, CloseLanded, Ledger, Submission, SubmissionKind, SystemClock, Tip};
use toll_protocol::{
    Amount, ChannelAccount, ChannelStatus, Network, Open, OperatorKey, PROGRAM_ID, TopUp, decode_transaction,
    static_instructions,
};

pub(crate) const PRICE: Amount = Amount::new(1_000);

/// Who signs vouchers where [`Merchant::listen_as_operator`] listens.
pub(crate) fn operator() -> OperatorKey {
    OperatorKey::from_secret(&[4; 32])
}

/// The gateway, and what the test may do to it.
pub(crate) struct Merchant {
    pub(crate) url: reqwest::Url,
    pub(crate) ledger: Ledger,
    /// Requests that reached the paid service.
    pub(crate) served: Arc<AtomicUsize>,
    /// Cut the next answer off after its headers.
    pub(crate) lose_answer: Arc<AtomicBool>,
    /// How many paid requests the service fails at next.
    pub(crate) fail: Arc<AtomicUsize>,
    /// Hang up before anything is read.
    pub(crate) refuse_connections: Arc<AtomicBool>,
    /// Keep every answer back.
    pub(crate) stall: Arc<AtomicBool>,
    pub(crate) folder: tempfile::TempDir,
}

impl Merchant {
    /// Charges [`PRICE`] for everything.
    pub(crate) async fn start() -> Self {
        Self::charging(PRICE).await
    }

    pub(crate) async fn charging(price: Amount) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path().join("ledger.db"), SystemClock).unwrap();
        tokio::spawn(land(ledger.clone()));
        let mut merchant = Self {
            url: "http://127.0.0.1".parse().unwrap(),
            ledger,
            served: Arc::default(),
            lose_answer: Arc::default(),
            fail: Arc::default(),
            refuse_connections: Arc::default(),
            stall: Arc::default(),
            folder,
        };
        merchant.url = merchant.listen(price).await;
        while merchant.ledger.latest_tip().await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        merchant
    }

    /// Another listener on the same ledger, with another price.
    pub(crate) async fn listen(&self, price: Amount) -> reqwest::Url {
        self.listen_with(price, [7; 32]).await
    }

    /// The same, with another challenge secret.
    pub(crate) async fn listen_with(&self, price: Amount, secret: [u8; 32]) -> reqwest::Url {
        self.listen_at(FixedPrice::new(price), secret).await
    }

    /// Another listener, whose challenges are good for one request body each.
    pub(crate) async fn listen_binding_bodies(&self) -> reqwest::Url {
        let FixedPrice(price) = FixedPrice::new(PRICE);
        self.listen_at(FixedPrice(Price { bind_body: true, ..price }), [7; 32]).await
    }

    /// Another listener, which asks for credentials in `Payment-Authorization`.
    pub(crate) async fn listen_beside_authorization(&self) -> reqwest::Url {
        let FixedPrice(price) = FixedPrice::new(PRICE);
        let field = toll_protocol::CredentialField::PaymentAuthorization;
        self.listen_at(FixedPrice(Price { field, ..price }), [7; 32]).await
    }

    /// Another listener, which lets payers leave their deposits in escrow.
    pub(crate) async fn listen_keeping_deposits(&self) -> reqwest::Url {
        let terms = Terms { keeps_deposits: true, ..self.terms() };
        self.listen_on(terms, FixedPrice::new(PRICE), [7; 32]).await
    }

    fn terms(&self) -> Terms {
        let terms = Config::parse(&config_text(), self.folder.path()).unwrap().terms().unwrap();
        Terms { operator: Some(operator().pubkey()), ..terms }
    }

    /// Another listener, which signs the vouchers itself.
    pub(crate) async fn listen_as_operator(&self, price: Amount) -> reqwest::Url {
        let FixedPrice(price) = FixedPrice::new(price);
        self.listen_at(FixedPrice(Price { operator_signed: true, ..price }), [7; 32]).await
    }

    /// Another listener, which charges [`PRICE`] for each event of a stream. Vouchers may run ahead by ten of them.
    pub(crate) async fn listen_by_event(&self) -> reqwest::Url {
        let FixedPrice(price) = FixedPrice::new(PRICE);
        let rate = Rate { unit: Unit::Event, price: PRICE, per: NonZeroU64::MIN, tiers: Vec::new() };
        let metering = Metering {
            tariff: Tariff { base: Amount::ZERO, rates: vec![rate], cap: None },
            client_errors: FailureCharge::Free,
            server_errors: FailureCharge::Free,
            voucher_wait: 60,
        };
        let headroom = Amount::new(10 * PRICE.get());
        let price = FixedPrice(Price { headroom, metering: Some(Arc::new(metering)), ..price });
        self.listen_at(price, [7; 32]).await
    }

    async fn listen_at(&self, price: FixedPrice, secret: [u8; 32]) -> reqwest::Url {
        self.listen_on(self.terms(), price, secret).await
    }

    async fn listen_on(&self, terms: Terms, price: FixedPrice, secret: [u8; 32]) -> reqwest::Url {
        let secret = toll_protocol::ChallengeSecret::new(secret.to_vec()).unwrap();
        let gateway = Arc::new(Gateway::new(self.ledger.clone(), terms, secret).with_operator(operator()));
        let (served, lose) = (Arc::clone(&self.served), Arc::clone(&self.lose_answer));
        let stall = Arc::clone(&self.stall);
        let fail = Arc::clone(&self.fail);
        let serve = move || {
            let number = served.fetch_add(1, Ordering::SeqCst);
            let fails =
                fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            let status = if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
            std::future::ready((status, format!("answer {number}")))
        };
        let hang_up = Arc::clone(&self.refuse_connections);
        let router = Router::new()
            .route("/thing", get(serve.clone()).post(serve.clone()))
            .route("/other", get(serve))
            .route("/events/{count}", get(events))
            .layer(PaymentLayer::new(gateway, Arc::new(price)))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                let (lose, stall) = (Arc::clone(&lose), Arc::clone(&stall));
                let hang_up = hang_up.load(Ordering::SeqCst);
                async move {
                    if hang_up {
                        return Response::new(futures_broken());
                    }
                    let response = next.run(request).await;
                    if stall.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    if lose.swap(false, Ordering::SeqCst) { cut(response).await } else { response }
                }
            }));
        format!("http://{}/thing", super::serve(router).await).parse().unwrap()
    }

    pub(crate) fn request(&self) -> PayerRequest {
        PayerRequest::get(self.url.clone())
    }

    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// What the ledger says was charged, over all channels.
    pub(crate) async fn charged(&self) -> u64 {
        let channels = self.ledger.channels(ChannelState::ALL).await.unwrap();
        channels.iter().map(|channel| channel.watermarks.spent.get()).sum()
    }

    /// The chain shows that `settled` was settled, and so the voucher for it.
    pub(crate) async fn settle(&self, id: &toll_protocol::ChannelId, settled: Amount) {
        let record = self.ledger.channel(id).await.unwrap().unwrap();
        let account = ChannelAccount { settled, ..account_of(&record) };
        self.ledger.observe(id, Some(&account), record.observed_slot + 1).await.unwrap();
    }

    /// The rearm of a channel that is renewed lands.
    pub(crate) async fn rearm(&self, id: &toll_protocol::ChannelId) {
        let record = self.ledger.channel(id).await.unwrap().unwrap();
        let settled = record.watermarks.accepted;
        let account =
            ChannelAccount { deposit: settled, settled, payout_watermark: settled, ..account_of(&record) };
        self.ledger.rearm_landed(id, &account, record.observed_slot + 1).await.unwrap();
    }

    pub(crate) async fn channels(&self) -> usize {
        self.ledger.channels(ChannelState::ALL).await.unwrap().len()
    }
}

/// A stream of so many events.
async fn events(axum::extract::Path(count): axum::extract::Path<u64>) -> Response {
    let events = (0..count).map(|event| format!("data: {event}\n\n")).collect::<String>();
    Response::builder().header("content-type", "text/event-stream").body(Body::from(events)).unwrap()
}

/// Consumes the answer, as the network would, and passes on only that there was one.
async fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    axum::body::to_bytes(body, usize::MAX).await.unwrap();
    parts.headers.remove("content-length");
    let broken = futures_broken();
    Response::from_parts(parts, broken)
}

fn futures_broken() -> Body {
    struct Broken;
    impl http_body::Body for Broken {
        type Data = axum::body::Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Ready(Some(Err(std::io::Error::other("cut off"))))
        }
    }
    Body::new(Broken)
}

/// A payer with limits that fit [`Merchant`], and nothing remembered.
pub(crate) struct Customer {
    pub(crate) payer: Payer,
    pub(crate) key: Keypair,
    pub(crate) home: tempfile::TempDir,
}

impl Customer {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::new(Network::Localnet, vec![PROGRAM_ID]);
        policy.deposit = Some(Amount::new(10_000));
        change(&mut policy);
        let key = Keypair::new();
        let payer = Payer::new(key.insecure_clone(), policy, None).unwrap();
        Self { payer, key, home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn state(&self) -> std::path::PathBuf {
        self.home.path().join("channels.json")
    }

    pub(crate) fn book(&self) -> Book {
        Book::open(&self.state(), Duration::from_secs(1)).unwrap()
    }
}

pub(crate) fn config_text() -> String {
    let key = |byte| Pubkey::new_from_array([byte; 32]);
    // A curve point: the base point's own encoding is one.
    let payee = "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9";
    format!(
        "[ledger]\npath = \"ledger.db\"\n\
         [gateway]\nupstream = \"http://127.0.0.1:1\"\nrealm = \"test\"\n\
         [session]\nnetwork = \"localnet\"\npayee = \"{payee}\"\nfee_payer = \"{payee}\"\n\
         mint = \"{mint}\"\nallowed_mints = [\"{mint}\"]\ndecimals = 6\nminimum_deposit = \"0.001\"\n\
         [settler]\nrpc = \"http://127.0.0.1:1\"\nfee_payer = \"a\"\npayee = \"a\"\n\
         [[routes]]\npath = \"/**\"\nprice = \"0.001\"\n",
        mint = key(1),
    )
}

/// Lands everything the gateway asks for, the moment it asks.
async fn land(ledger: Ledger) {
    for slot in 2_000u64.. {
        let now = ledger.now();
        let tip = Tip {
            blockhash: Hash::new_from_array(std::array::from_fn(|index| slot.to_le_bytes()[index % 8])),
            slot,
            block_height: slot,
            last_valid_block_height: slot + 150,
            published_at: now,
        };
        ledger.publish_tip(tip).await.unwrap();
        ledger.mark_channels_observed(now).await.unwrap();
        for submission in ledger.requested().await.unwrap() {
            land_one(&ledger, &submission, slot).await;
        }
        let closing = ledger.channels(&[ChannelState::Closing]).await.unwrap();
        // Tests say when a rearm lands.
        for record in closing.into_iter().filter(|record| !record.renewing) {
            let settled = record.watermarks.accepted;
            let refunded = record.watermarks.deposit.saturating_sub(settled);
            let close = CloseLanded { signature: Signature::from([8; 64]), settled, refunded, slot };
            ledger.close_landed(&record.id, close).await.unwrap();
        }
        ledger.changed(Duration::from_millis(10)).await;
    }
}

async fn land_one(ledger: &Ledger, submission: &Submission, slot: u64) {
    let transaction = decode_transaction(&submission.transaction).unwrap();
    let instruction = &static_instructions(&transaction).unwrap()[0];
    let accounts: Vec<Pubkey> = instruction.accounts.iter().map(|meta| meta.pubkey).collect();
    let id = submission.channel().expect("of a channel");
    let account = match submission.kind {
        SubmissionKind::Open => opened(&Open::decode(&instruction.data, &accounts).unwrap()),
        SubmissionKind::TopUp => {
            let top_up = TopUp::decode(&instruction.data, &accounts).unwrap();
            let record = ledger.channel(&id).await.unwrap().unwrap();
            let deposit = record.watermarks.deposit.checked_add(top_up.amount).unwrap();
            ChannelAccount { deposit, ..account_of(&record) }
        }
        _ => return,
    };
    let signature: [u8; 64] =
        std::array::from_fn(|index| id.as_bytes()[index % 32] ^ slot.to_le_bytes()[index % 8]);
    let signature = Signature::from(signature);
    ledger.record_signed(submission.id, submission.transaction.clone(), signature, slot + 150).await.unwrap();
    ledger.observe(&id, Some(&account), slot).await.unwrap();
    ledger.landed(submission.id, slot, Some(10_000), Some(1)).await.unwrap();
}

fn opened(open: &Open) -> ChannelAccount {
    ChannelAccount {
        bump: open.agreement.terms.address(&open.agreement.program).1,
        status: ChannelStatus::Open,
        salt: open.agreement.terms.salt,
        deposit: open.deposit,
        settled: Amount::ZERO,
        payout_watermark: Amount::ZERO,
        closure_started_at: 0,
        payer_withdrawn_at: 0,
        grace_period: open.agreement.grace_period,
        distribution_hash: open.agreement.splits.hash(),
        payer: open.agreement.terms.payer,
        payee: open.agreement.terms.payee,
        authorized_signer: open.agreement.terms.authorized_signer,
        mint: open.agreement.terms.mint,
        rent_payer: open.agreement.rent_payer,
        open_slot: open.agreement.terms.open_slot,
    }
}

fn account_of(record: &toll_ledger::ChannelRecord) -> ChannelAccount {
    let settled = record.watermarks.settled;
    let payout_watermark = record.watermarks.payout_watermark;
    ChannelAccount { settled, payout_watermark, ..opened(&record.agreement.open(record.watermarks.deposit)) }
}

/// Whether `path` is readable by its owner only.
pub(crate) fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0
}
