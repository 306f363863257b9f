//! Operator-signed sessions: the payer shows a proof, and the gateway signs the vouchers.

use axum::body::Body;
use http::{Method, Request};
use toll_ledger::{ChannelState, CloseReason, Ledger};
use toll_protocol::{
    Action, Amount, Authentication, Challenge, ChannelId, CloseAction, CloseAuthority, OperatorKey,
    RefusalCode, UseAction, VoucherAction, VoucherSigner,
};

use crate::opening::Opening;
use crate::settler::Chain;
use crate::top_up::Raise;
use crate::world::{
    DEPOSIT, PRICE, START, STRANGER, Session, World, config_text, operator, payer_key, request, terms,
};

/// A session on `/operated`, with the proof that it was opened with.
struct Operated {
    session: Session,
    proof: Authentication,
}

impl Operated {
    async fn opened(world: &World) -> Self {
        Self::opened_with(world, 7, DEPOSIT).await
    }

    async fn opened_with(world: &World, salt: u64, deposit: u64) -> Self {
        let challenge = world.challenge("/operated").await;
        let opening = Opening::answering(&challenge, salt, deposit);
        let (id, proof) = (opening.action.channel_id, opening.action.authentication.clone());
        world.get("/operated", &opening.authorization()).await.receipt();
        Self { session: Session { id, challenge, key: payer_key() }, proof: proof.expect("a proof") }
    }

    fn id(&self) -> ChannelId {
        self.session.id
    }

    fn usage(&self) -> String {
        self.usage_with(self.proof.clone())
    }

    fn usage_with(&self, authentication: Authentication) -> String {
        self.session.with(Action::Use(UseAction { channel_id: self.id(), authentication }))
    }

    fn close(&self) -> String {
        self.close_with(self.proof.clone())
    }

    fn close_with(&self, proof: Authentication) -> String {
        let authority = CloseAuthority::Authentication(proof);
        self.session.with(Action::Close(CloseAction { channel_id: self.id(), authority }))
    }
}

async fn opened() -> (World, Operated) {
    let world = World::new().await;
    let operated = Operated::opened(&world).await;
    (world, operated)
}

fn keyed(path: &str, credential: &str, key: &str) -> Request<Body> {
    let mut request = request(Method::GET, path, Some(credential), "");
    request.headers_mut().insert("idempotency-key", key.parse().expect("value"));
    request
}

async fn refuses(world: &World, credential: &str, code: RefusalCode) {
    let request = request(Method::GET, "/operated", Some(credential), "");
    world.refuses(request, code.status(), "verification-failed", code.as_str()).await;
}

#[tokio::test]
async fn the_challenge_names_the_operator_on_its_routes_and_no_others() {
    let world = World::new().await;
    let signer = |challenge: Challenge| challenge.session_request().unwrap().method_details.voucher_signer;
    assert_eq!(signer(world.challenge("/operated").await), VoucherSigner::Operator(operator().pubkey()));
    assert_eq!(signer(world.challenge("/paid").await), VoucherSigner::Client);
}

#[tokio::test]
async fn a_use_is_served_for_its_price_with_the_operators_voucher_on_record() {
    let (world, operated) = opened().await;
    for round in 1..=3 {
        let answer = world.get("/operated", &operated.usage()).await;
        let receipt = answer.receipt();
        assert_eq!(receipt.reference, operated.id());
        assert_eq!((receipt.accepted_cumulative.get(), receipt.spent.get()), (round * PRICE, round * PRICE));
        assert_eq!(receipt.challenge_id.as_deref(), Some(operated.session.challenge.id.as_str()));
        assert_eq!(world.served.count() as u64, round);
        let voucher = world.ledger.best_voucher_to_settle(&operated.id(), START).await.unwrap().unwrap();
        assert_eq!(voucher.voucher.cumulative_amount, Amount::new(round * PRICE));
        voucher.verify(&operated.id(), &operator().pubkey()).expect("it settles on chain");
    }
}

#[tokio::test]
async fn what_is_on_record_of_a_proof_opens_no_session() {
    let (world, operated) = opened().await;
    let record = world.channel(&operated.id()).await;
    assert_eq!(record.proof, Some(operated.proof.digest()));
    assert!(!format!("{record:?}").contains(&operated.proof.signature.to_string()));
}

#[tokio::test]
async fn requests_with_one_proof_are_each_charged_once_however_many_come_at_once() {
    let (world, operated) = opened().await;
    let usage = operated.usage();
    let answers = futures::future::join_all((0..20).map(|_| world.get("/operated", &usage))).await;
    let mut accepted: Vec<_> =
        answers.iter().map(|answer| answer.receipt().accepted_cumulative.get()).collect();
    accepted.sort_unstable();
    assert_eq!(accepted, (1..=20).map(|count| count * PRICE).collect::<Vec<_>>());
    assert_eq!(world.served.count(), 20);
}

#[tokio::test]
async fn a_repeat_under_one_key_gets_its_answer_and_costs_nothing() {
    let (world, operated) = opened().await;
    let first = world.send(keyed("/operated", &operated.usage(), "k")).await;
    let again = world.send(keyed("/operated", &operated.usage(), "k")).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.receipt(), first.receipt());
    assert_eq!(world.served.count(), 1);
    assert_eq!(world.channel(&operated.id()).await.watermarks.spent.get(), PRICE);
    let other = keyed("/operated/other", &operated.usage(), "k");
    world.refuses(other, 409, "about:blank", "idempotency-key-reuse").await;
}

#[tokio::test]
async fn a_repeat_is_answered_after_the_whole_deposit_is_spent() {
    let world = World::new().await;
    let operated = Operated::opened_with(&world, 7, 7 * PRICE).await;
    let first = world.send(keyed("/operated", &operated.usage(), "k")).await;
    for _ in 1..7 {
        world.get("/operated", &operated.usage()).await.receipt();
    }
    assert_eq!(world.send(keyed("/operated", &operated.usage(), "k")).await.body, first.body);
    refuses(&world, &operated.usage(), RefusalCode::TopUpNeeded).await;
    assert_eq!(world.served.count(), 7);
}

#[tokio::test]
async fn a_failed_request_under_a_key_runs_again_without_a_second_charge() {
    let (world, operated) = opened().await;
    let failed = world.send(keyed("/operated/flaky", &operated.usage(), "k")).await;
    assert_eq!(failed.status, 503);
    let again = world.send(keyed("/operated/flaky", &operated.usage(), "k")).await;
    assert_eq!(again.receipt().spent.get(), PRICE);
    assert_eq!(world.served.count(), 2);
}

#[tokio::test]
async fn a_top_up_lets_a_spent_session_go_on() {
    let world = World::new().await;
    let operated = Operated::opened_with(&world, 7, 7 * PRICE).await;
    for _ in 0..7 {
        world.get("/operated", &operated.usage()).await.receipt();
    }
    let answer = world.get("/operated", &operated.usage()).await;
    world.is_refusal(&answer, 402, "verification-failed", "top-up-needed");
    assert_eq!(answer.json()["requiredCumulative"], (8 * PRICE).to_string());
    let resumed = answer.challenge().session_request().unwrap();
    assert_eq!(resumed.method_details.voucher_signer, VoucherSigner::Operator(operator().pubkey()));
    world.get("/operated", &Raise::of(&operated.session, PRICE).authorization()).await.receipt();
    assert_eq!(world.get("/operated", &operated.usage()).await.receipt().spent.get(), 8 * PRICE);
}

#[tokio::test]
async fn an_open_needs_a_good_proof_and_the_operator_as_its_signer_before_anything_is_recorded() {
    let world = World::new().await;
    type Bend = fn(&mut Opening);
    let cases: [(Bend, &str, &str); 6] = [
        (|opening| opening.action.authentication = None, "malformed-credential", "malformed"),
        (
            |opening| {
                let (id, challenge) = (opening.action.channel_id, &opening.challenge.id);
                opening.action.authentication =
                    Some(Authentication::sign(&id, challenge, &STRANGER.signing()));
            },
            "verification-failed",
            "proof-mismatch",
        ),
        (
            |opening| {
                let other = ChannelId::new([9; 32]);
                let challenge = &opening.challenge.id;
                opening.action.authentication = Some(Authentication::sign(&other, challenge, &payer_key()));
            },
            "verification-failed",
            "proof-mismatch",
        ),
        (
            |opening| {
                let id = opening.action.channel_id;
                opening.action.authentication = Some(Authentication::sign(&id, "another", &payer_key()));
            },
            "verification-failed",
            "proof-mismatch",
        ),
        (
            |opening| {
                let signature = &mut opening.action.authentication.as_mut().unwrap().signature;
                *signature = solana_signature::Signature::from([1; 64]);
            },
            "verification-failed",
            "proof-mismatch",
        ),
        (
            |opening| {
                opening.set_terms(|terms| terms.authorized_signer = terms.payer);
                let (id, challenge) = (opening.action.channel_id, &opening.challenge.id);
                opening.action.authentication = Some(Authentication::sign(&id, challenge, &payer_key()));
            },
            "verification-failed",
            "open-mismatch",
        ),
    ];
    for (bend, kind, code) in cases {
        let challenge = world.challenge("/operated").await;
        let mut opening = Opening::answering(&challenge, 7, DEPOSIT);
        bend(&mut opening);
        let request = request(Method::GET, "/operated", Some(&opening.authorization()), "");
        world.refuses(request, 402, kind, code).await;
    }
}

#[tokio::test]
async fn a_repeated_open_gets_its_receipt_for_the_same_proof_only() {
    let world = World::new().await;
    let challenge = world.challenge("/operated").await;
    let opening = || Opening::answering(&challenge, 7, DEPOSIT);
    let first = world.get("/operated", &opening().authorization()).await.receipt();
    assert_eq!(world.get("/operated", &opening().authorization()).await.receipt(), first);
    let mut other = opening();
    other.action.authentication.as_mut().unwrap().signature = solana_signature::Signature::from([1; 64]);
    refuses(&world, &other.authorization(), RefusalCode::ProofMismatch).await;
}

#[tokio::test]
async fn only_the_bound_proof_uses_a_session() {
    let (world, operated) = opened().await;
    let (id, challenge) = (operated.id(), operated.session.challenge.id.clone());
    let another = world.challenge("/operated").await;
    let mut bent = operated.proof.clone();
    bent.signature = solana_signature::Signature::from([1; 64]);
    for proof in [
        bent,
        Authentication::sign(&id, &challenge, &STRANGER.signing()),
        // Good ones, by the payer, that were never bound.
        Authentication::sign(&id, &another.id, &payer_key()),
        Authentication::sign(&ChannelId::new([9; 32]), &challenge, &payer_key()),
    ] {
        refuses(&world, &operated.usage_with(proof), RefusalCode::ProofMismatch).await;
    }
    // The bound one, under another challenge than the one that it was bound with.
    let elsewhere = Session { challenge: another, ..operated.session.clone() };
    let usage =
        elsewhere.with(Action::Use(UseAction { channel_id: id, authentication: operated.proof.clone() }));
    refuses(&world, &usage, RefusalCode::ProofMismatch).await;
    world.get("/operated", &operated.usage()).await.receipt();
}

#[tokio::test]
async fn the_proof_outlives_the_challenge_it_was_made_for() {
    let (world, operated) = opened().await;
    world.pass(400).await;
    world.get("/operated", &operated.usage()).await.receipt();
}

#[tokio::test]
async fn a_session_serves_only_where_its_terms_hold() {
    let (world, operated) = opened().await;
    for path in ["/operated/dear", "/paid", "/dear"] {
        let request = request(Method::GET, path, Some(&operated.usage()), "");
        world.refuses(request, 402, "invalid-challenge", "challenge").await;
    }
    world.get("/operated/other", &operated.usage()).await.receipt();
}

#[tokio::test]
async fn each_kind_of_session_refuses_the_others_actions() {
    let (world, operated) = opened().await;
    // Even one by the operator itself: it authenticates nobody.
    let signed = operator().sign(toll_protocol::Voucher {
        channel_id: operated.id(),
        cumulative_amount: Amount::new(PRICE),
        expires_at: 0,
    });
    let voucher = signed.signed().clone();
    let paying = Action::Voucher(VoucherAction { channel_id: operated.id(), voucher: voucher.clone() });
    refuses(&world, &operated.session.with(paying), RefusalCode::WrongMode).await;
    refuses(&world, &operated.session.close_with(voucher), RefusalCode::WrongMode).await;

    let client = world.opened_with(8, DEPOSIT).await;
    let proof = Authentication::sign(&client.id, &client.challenge.id, &client.key);
    let using = Action::Use(UseAction { channel_id: client.id, authentication: proof });
    world.refuses_402(&client.with(using), "verification-failed", "wrong-mode").await;
}

#[tokio::test]
async fn a_payer_closes_by_its_proof_and_gets_back_what_it_did_not_spend() {
    let (world, operated) = opened().await;
    world.get("/operated", &operated.usage()).await.receipt();
    for proof in [
        Authentication::sign(&operated.id(), &operated.session.challenge.id, &STRANGER.signing()),
        Authentication::sign(&operated.id(), "another", &payer_key()),
    ] {
        refuses(&world, &operated.close_with(proof), RefusalCode::ProofMismatch).await;
    }
    let receipt = world.get("/operated", &operated.close()).await.receipt();
    assert_eq!((receipt.spent.get(), receipt.refunded), (PRICE, Some(Amount::new(DEPOSIT - PRICE))));
    assert_eq!(world.get("/operated", &operated.close()).await.receipt(), receipt);
    refuses(&world, &operated.usage(), RefusalCode::ChannelClosed).await;
    assert_eq!(world.channel(&operated.id()).await.close_reason, Some(CloseReason::Requested));
}

#[tokio::test]
async fn a_proof_is_dead_as_soon_as_a_close_begins() {
    let (world, operated) = opened().await;
    world.chain(Chain::Silent).await;
    world.ledger.request_close(&operated.id(), CloseReason::Idle, None).await.unwrap();
    assert_eq!(world.channel(&operated.id()).await.state, ChannelState::Closing);
    refuses(&world, &operated.usage(), RefusalCode::ChannelClosing).await;
}

#[tokio::test]
async fn a_head_says_where_the_session_stands_and_costs_nothing() {
    let (world, operated) = opened().await;
    world.get("/operated", &operated.usage()).await.receipt();
    let head = request(Method::HEAD, "/operated", Some(&operated.usage()), "");
    let receipt = world.send(head).await.receipt();
    assert_eq!((receipt.accepted_cumulative.get(), receipt.spent.get()), (PRICE, PRICE));
    assert_eq!(world.served.count(), 1);
}

#[tokio::test]
async fn nothing_is_sold_while_the_chain_was_not_seen_for_too_long() {
    let (world, operated) = opened().await;
    world.clock.advance(600);
    world.publish_tip(11_000).await;
    let before = world.state().await;
    let answer = world.get("/operated", &operated.usage()).await;
    assert_eq!(answer.status, 503);
    assert_eq!(world.state().await, before);
}

#[tokio::test]
async fn a_gateway_without_the_key_signs_nothing_and_closes_all_the_same() {
    let (world, operated) = opened().await;
    world.get("/operated", &operated.usage()).await.receipt();
    let other = World::operated_by(world.ledger.clone(), world.clock.clone(), terms(), None);
    let answer = other.get("/operated", &operated.usage()).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(world.channel(&operated.id()).await.watermarks.spent.get(), PRICE);
    let receipt = other.get("/paid", &operated.close()).await.receipt();
    assert_eq!(receipt.spent.get(), PRICE);
}

#[tokio::test]
async fn a_session_of_an_earlier_operator_key_is_asked_to_open_another() {
    let (world, operated) = opened().await;
    let key = OperatorKey::from_secret(&[6; 32]);
    let terms = toll_gateway::Terms { operator: Some(key.pubkey()), ..terms() };
    let other = World::operated_by(world.ledger.clone(), world.clock.clone(), terms, Some(key));
    let request = request(Method::GET, "/operated", Some(&operated.usage()), "");
    other.refuses(request, 402, "invalid-challenge", "challenge").await;
}

#[tokio::test]
async fn two_gateways_on_one_ledger_charge_each_request_once() {
    let (world, operated) = opened().await;
    let other = World::over(world.ledger.clone(), world.clock.clone(), terms());
    let usage = operated.usage();
    let requests = (0..10).map(|_| async {
        (world.get("/operated", &usage).await.receipt(), other.get("/operated", &usage).await.receipt())
    });
    futures::future::join_all(requests).await;
    assert_eq!(world.channel(&operated.id()).await.watermarks.spent.get(), 20 * PRICE);
    assert_eq!(world.served.count() + other.served.count(), 20);
}

#[tokio::test]
async fn a_session_goes_on_where_it_stood_after_a_restart() {
    let clock = toll_ledger::ManualClock::new(START);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("toll.db");
    let operated = {
        let world = World::over(Ledger::open(&path, clock.clone()).unwrap(), clock.clone(), terms());
        world.publish_tip(crate::world::SLOT).await;
        world.ledger.mark_channels_observed(START).await.unwrap();
        let operated = Operated::opened(&world).await;
        world.send(keyed("/operated", &operated.usage(), "k")).await.receipt();
        operated
    };
    let world = World::over(Ledger::open(&path, clock.clone()).unwrap(), clock, terms());
    world.send(keyed("/operated", &operated.usage(), "k")).await.receipt();
    assert_eq!(world.served.count(), 0, "answered before");
    let receipt = world.get("/operated", &operated.usage()).await.receipt();
    assert_eq!(receipt.accepted_cumulative.get(), 2 * PRICE);
}

#[test]
fn a_configuration_that_cannot_sign_is_refused_by_name() {
    let refusal = |text: String| toll_gateway::Config::parse(&text).unwrap_err().to_string();
    let operator = format!("operator = \"{}\"\n", operator().pubkey());
    let without = refusal(config_text().replace(&operator, ""));
    assert!(without.contains("session.operator") && without.contains("/operated"), "{without}");
    for key in [crate::world::PAYEE, crate::world::SPONSOR] {
        let chain_key = config_text().replace(&operator, &format!("operator = \"{}\"\n", key.pubkey()));
        let refused = refusal(chain_key);
        assert!(refused.contains("session.operator") && refused.contains("key of its own"), "{refused}");
    }
    for more in ["bind_body = true", "headroom = \"0.1\""] {
        let signer = "voucher_signer = \"operator\"";
        let refused = refusal(config_text().replacen(signer, &format!("{signer}\n{more}"), 1));
        assert!(refused.contains("/operated") && refused.contains("does not go with"), "{refused}");
    }
}
