//! A guarded router, its ledger, and a payer.

mod handlers;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use toll_gateway::{Config, Gateway, PaymentLayer, Terms, route_table};
use toll_ledger::{ChannelRecord, ChannelState, Ledger, ManualClock, Tip};
use toll_protocol::{
    Action, Amount, Challenge, ChallengeSecret, ChannelId, CloseAction, CloseAuthority, Credential,
    OperatorKey, Receipt, SignedVoucher, Voucher, VoucherAction, base64url_encode, canonical_json,
    format_authorization, parse_receipt, parse_www_authenticate,
};
use tower::ServiceExt;

pub(crate) use self::handlers::Served;
use self::handlers::handlers;
use crate::opening::Opening;
use crate::settler::{Chain, Settler};

/// When every test begins, in unix seconds.
pub(crate) const START: i64 = 1_800_000_000;
/// Slot of the first tip.
pub(crate) const SLOT: u64 = 10_000;
/// Price of `/paid`, in base units.
pub(crate) const PRICE: u64 = 16;
/// Deposit of [`World::opened`].
pub(crate) const DEPOSIT: u64 = 1_000;

pub(crate) const PAYEE: SeedKey = SeedKey(5);
pub(crate) const SPONSOR: SeedKey = SeedKey(1);
pub(crate) const PAYER: SeedKey = SeedKey(2);
pub(crate) const STRANGER: SeedKey = SeedKey(9);

/// A key pair with a seed of one repeated byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeedKey(pub(crate) u8);

impl SeedKey {
    pub(crate) fn signing(self) -> SigningKey {
        SigningKey::from_bytes(&[self.0; 32])
    }

    pub(crate) fn pubkey(self) -> Pubkey {
        public(&self.signing())
    }
}

pub(crate) fn public(key: &SigningKey) -> Pubkey {
    Pubkey::from(key.verifying_key().to_bytes())
}

pub(crate) fn payer_key() -> SigningKey {
    PAYER.signing()
}

/// Who signs vouchers on the routes below `/operated`.
pub(crate) fn operator() -> OperatorKey {
    OperatorKey::from_secret(&[4; 32])
}

pub(crate) fn mint() -> Pubkey {
    Pubkey::from([3; 32])
}

pub(crate) fn secret() -> ChallengeSecret {
    ChallengeSecret::new(vec![7; 32]).expect("long enough")
}

pub(crate) fn authorization(token: &str) -> String {
    format!("Payment {token}")
}

/// The configuration of every test, before a test changes it.
pub(crate) fn config_text() -> String {
    format!(
        r#"
[gateway]
upstream = "http://127.0.0.1:1"
realm = "api.example.com"
landing_timeout_seconds = 1

[session]
network = "localnet"
payee = "{payee}"
fee_payer = "{sponsor}"
operator = "{operator}"
mint = "{mint}"
allowed_mints = ["{mint}"]
decimals = 6
idle_timeout_seconds = 600
idle_timeout_options_seconds = [30, 600, 86400]
minimum_deposit = "0.0001"
suggested_deposit = "0.001"

[[routes]]
method = "GET"
path = "/paid"
price = "0.000016"

[[routes]]
path = "/twin"
price = "0.000016"

[[routes]]
path = "/dear"
price = "0.000032"

[[routes]]
method = "POST"
path = "/echo"
price = "0.000016"

[[routes]]
method = "POST"
path = "/bound"
price = "0.000016"
bind_body = true

[[routes]]
path = "/ahead"
price = "0.000016"
headroom = "0.0001"

[[routes]]
path = "/answers/*"
price = "0.000016"

[[routes]]
path = "/keyed/*"
price = "0.000016"
credential_header = "payment-authorization"

[[routes]]
path = "/operated"
price = "0.000016"
voucher_signer = "operator"

[[routes]]
path = "/operated/dear"
price = "0.000032"
voucher_signer = "operator"

[[routes]]
path = "/operated/*"
price = "0.000016"
voucher_signer = "operator"

[[routes]]
path = "/forgiven/*"
price = "0.000016"
on_client_error = "free"
on_server_error = "free"

[[routes]]
path = "/metered/tokens"
price = "0.0001"
meter = {{ base = "0.000001", cap = "0.00009", rates = [
    {{ unit = "field", name = "usage.in", price = "0.000003", per = 2 }},
    {{ unit = "field", name = "usage.out", price = "0.000002", tiers = [{{ above = 10, price = "0.000001" }}] }},
] }}

[[routes]]
path = "/metered/bytes"
price = "0.0001"
meter = {{ rates = [{{ unit = "byte", price = "0.000001", per = 1024 }}] }}

[[routes]]
path = "/metered/slow"
price = "0.0001"
meter = {{ rates = [{{ unit = "second", price = "0.000005" }}] }}

[[routes]]
path = "/metered/reported"
price = "0.0001"
meter = {{ rates = [
    {{ unit = "header", name = "x-units", price = "0.000002" }},
    {{ unit = "trailer", name = "x-more", price = "0.000001" }},
] }}

[[routes]]
path = "/metered/strict"
price = "0.0001"
on_client_error = "full"
meter = {{ base = "0.000001" }}

[[routes]]
path = "/metered/events"
price = "0.000001"
headroom = "0.00001"
unit_type = "event"
meter = {{ rates = [{{ unit = "event", price = "0.000001" }}], voucher_wait_seconds = 30 }}
"#,
        payee = PAYEE.pubkey(),
        sponsor = SPONSOR.pubkey(),
        operator = operator().pubkey(),
        mint = mint(),
    )
}

pub(crate) fn terms() -> Terms {
    let config = Config::parse(&config_text()).expect("the test configuration");
    config.session.terms(&config.gateway).expect("its terms")
}

pub(crate) struct World {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) ledger: Ledger,
    pub(crate) clock: ManualClock,
    pub(crate) router: Router,
    pub(crate) served: Served,
    pub(crate) settler: Settler,
    seen: Mutex<HashSet<String>>,
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn challenge(&self) -> Challenge {
        let value = self.header(WWW_AUTHENTICATE.as_str()).expect("a challenge");
        let mut challenges = parse_www_authenticate(value).expect("well formed").payment;
        assert_eq!(challenges.len(), 1);
        challenges.remove(0)
    }

    /// The receipt of a success, which no shared cache may keep.
    pub(crate) fn receipt(&self) -> Receipt {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        assert!(self.header("cache-control").expect("cache-control").contains("private"));
        parse_receipt(self.header("payment-receipt").expect("a receipt")).expect("well formed")
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A world whose terms a test changes.
    pub(crate) async fn with(change: impl FnOnce(&mut Terms)) -> Self {
        let clock = ManualClock::new(START);
        let ledger = Ledger::temporary(clock.clone());
        let mut terms = terms();
        change(&mut terms);
        let world = Self::over(ledger, clock, terms);
        world.publish_tip(SLOT).await;
        world.ledger.mark_channels_observed(START).await.expect("ledger");
        world
    }

    /// A world whose configuration a test writes.
    pub(crate) async fn configured(text: &str) -> Self {
        let config = Config::parse(text).expect("the test configuration");
        let terms = config.session.terms(&config.gateway).expect("its terms");
        let terms = config.charge.add_to(terms).expect("its terms");
        let clock = ManualClock::new(START);
        let ledger = Ledger::temporary(clock.clone());
        let world = Self::routed(config, ledger, clock, terms, Some(operator()));
        world.publish_tip(SLOT).await;
        world.ledger.mark_channels_observed(START).await.expect("ledger");
        world
    }

    /// Another gateway, with other terms, over the same ledger.
    pub(crate) fn over(ledger: Ledger, clock: ManualClock, terms: Terms) -> Self {
        Self::operated_by(ledger, clock, terms, Some(operator()))
    }

    /// The same, with another operator's key or none.
    pub(crate) fn operated_by(
        ledger: Ledger,
        clock: ManualClock,
        terms: Terms,
        operator: Option<OperatorKey>,
    ) -> Self {
        let config = Config::parse(&config_text()).expect("the test configuration");
        Self::routed(config, ledger, clock, terms, operator)
    }

    fn routed(
        config: Config,
        ledger: Ledger,
        clock: ManualClock,
        terms: Terms,
        operator: Option<OperatorKey>,
    ) -> Self {
        let routes = route_table(&config.routes, &terms, config.gateway.unpriced).expect("routes");
        let gateway = Gateway::new(ledger.clone(), terms, secret());
        let gateway = Arc::new(match operator {
            Some(operator) => gateway.with_operator(operator),
            None => gateway,
        });
        let served = Served::default();
        let layer = PaymentLayer::new(Arc::clone(&gateway), Arc::new(routes)).with_request_body_limit(1_024);
        let router = handlers(served.clone()).layer(layer);
        let settler = Settler::start(ledger.clone());
        Self { gateway, ledger, clock, router, served, settler, seen: Mutex::default() }
    }

    pub(crate) async fn publish_tip(&self, slot: u64) {
        let tip = Tip {
            blockhash: Hash::new_from_array([slot as u8; 32]),
            slot,
            block_height: slot,
            last_valid_block_height: slot + 150,
            published_at: self.ledger.now(),
        };
        self.ledger.publish_tip(tip).await.expect("ledger");
    }

    /// Lets `seconds` pass, with the settler alive: tip and observation stay fresh.
    pub(crate) async fn pass(&self, seconds: i64) {
        self.clock.advance(seconds);
        self.publish_tip(SLOT + 1).await;
        self.ledger.mark_channels_observed(self.ledger.now()).await.expect("ledger");
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, path: &str, authorization: &str) -> Answer {
        self.send(request(Method::GET, path, Some(authorization), "")).await
    }

    /// The challenge of an unpaid request.
    pub(crate) async fn challenge(&self, path: &str) -> Challenge {
        self.challenge_for(Method::GET, path).await
    }

    pub(crate) async fn challenge_for(&self, method: Method, path: &str) -> Challenge {
        self.send(request(method, path, None, "")).await.challenge()
    }

    /// Everything a refusal must leave alone.
    pub(crate) async fn state(&self) -> (Vec<ChannelRecord>, usize, usize) {
        let channels = self.ledger.channels(ChannelState::ALL).await.expect("ledger");
        let mut submissions = 0;
        for channel in &channels {
            submissions += self.ledger.submissions_of(&channel.id).await.expect("ledger").len();
        }
        (channels, submissions, self.served.count())
    }

    /// The request is refused like this, with a fresh challenge, and nothing changes.
    pub(crate) async fn refuses(
        &self,
        request: Request<Body>,
        status: u16,
        kind: &str,
        code: &str,
    ) -> Answer {
        let before = self.state().await;
        let answer = self.send(request).await;
        assert_eq!(self.state().await, before, "a refusal changed something");
        self.is_refusal(&answer, status, kind, code);
        answer
    }

    pub(crate) fn is_refusal(&self, answer: &Answer, status: u16, kind: &str, code: &str) {
        let problem = answer.json();
        assert_eq!((answer.status.as_u16(), problem["code"].as_str()), (status, Some(code)), "{problem}");
        let expected = if kind == "about:blank" {
            kind.to_owned()
        } else {
            format!("https://paymentauth.org/problems/{kind}")
        };
        assert_eq!(problem["type"], expected);
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().expect("detail").is_empty());
        assert_eq!(answer.header(CONTENT_TYPE.as_str()), Some("application/problem+json"));
        assert_eq!(answer.header(CACHE_CONTROL.as_str()), Some("no-store"));
        assert_eq!(answer.header("payment-receipt"), None);
        let challenge = answer.challenge();
        assert!(challenge.is_authentic(&secret()), "a challenge of our own");
        assert_eq!(challenge.expires_at(), Ok(Some(self.ledger.now() + 300)));
        challenge.session_request().expect("a well-formed request");
        assert!(self.seen.lock().expect("lock").insert(challenge.id), "the challenge is not fresh");
    }

    /// `GET /paid` with this credential is refused with a 402.
    pub(crate) async fn refuses_402(&self, authorization: &str, kind: &str, code: &str) -> Answer {
        self.refuses(request(Method::GET, "/paid", Some(authorization), ""), 402, kind, code).await
    }

    /// A channel with [`DEPOSIT`], opened over HTTP.
    pub(crate) async fn opened(&self) -> Session {
        self.opened_with(7, DEPOSIT).await
    }

    pub(crate) async fn opened_with(&self, salt: u64, deposit: u64) -> Session {
        let challenge = self.challenge("/paid").await;
        let opening = Opening::answering(&challenge, salt, deposit);
        let id = opening.action.channel_id;
        let answer = self.get("/paid", &opening.authorization()).await;
        answer.receipt();
        Session { id, challenge, key: payer_key() }
    }

    pub(crate) async fn channel(&self, id: &ChannelId) -> ChannelRecord {
        self.ledger.channel(id).await.expect("ledger").expect("the channel")
    }
}

pub(crate) fn request(
    method: Method,
    path: &str,
    authorization: Option<&str>,
    body: &'static str,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(Body::from(body)).expect("a request")
}

/// A payer's end of an open channel.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: ChannelId,
    pub(crate) challenge: Challenge,
    pub(crate) key: SigningKey,
}

impl Session {
    pub(crate) fn signed(&self, cumulative: u64) -> SignedVoucher {
        self.signed_until(cumulative, 0)
    }

    pub(crate) fn signed_until(&self, cumulative: u64, expires_at: i64) -> SignedVoucher {
        let voucher = Voucher { channel_id: self.id, cumulative_amount: Amount::new(cumulative), expires_at };
        SignedVoucher::sign(voucher, &self.key)
    }

    /// A credential that pays up to `cumulative`.
    pub(crate) fn voucher(&self, cumulative: u64) -> String {
        self.with_voucher(self.signed(cumulative))
    }

    pub(crate) fn with_voucher(&self, voucher: SignedVoucher) -> String {
        self.with(Action::Voucher(VoucherAction { channel_id: self.id, voucher }))
    }

    pub(crate) fn close(&self, cumulative: u64) -> String {
        self.close_with(self.signed(cumulative))
    }

    pub(crate) fn close_with(&self, voucher: SignedVoucher) -> String {
        self.with(Action::Close(CloseAction {
            channel_id: self.id,
            authority: CloseAuthority::Voucher(voucher),
        }))
    }

    pub(crate) fn with(&self, action: Action) -> String {
        let credential = Credential { challenge: self.challenge.clone(), action, source: None };
        format_authorization(&credential).expect("fits a header")
    }

    /// The credential with its JSON bent.
    pub(crate) fn bent(&self, action: Action, bend: impl FnOnce(&mut Value)) -> String {
        let credential = Credential { challenge: self.challenge.clone(), action, source: None };
        let mut json = credential.to_json();
        bend(&mut json);
        authorization(&base64url_encode(canonical_json(&json).expect("JSON")))
    }
}

/// Sets the chain's mood for a while.
impl World {
    pub(crate) async fn chain(&self, chain: Chain) {
        self.settler.set(chain).await;
    }
}
