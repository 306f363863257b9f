//! Single payments: what is offered, what is taken, and what is refused before anything is reserved.

use ed25519_dalek::Signer;
use http::{Method, StatusCode};
use solana_instruction::Instruction;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use toll_gateway::{ChargeShare, ChargeTerms, Config};
use toll_ledger::{PaymentFailure, PaymentState, Sponsor, SubmissionKind};
use toll_protocol::{
    Amount, Challenge, ChargeCredential, ChargePayload, ChargeReceipt, ChargeRequest, TOKEN_PROGRAM,
    base64url_decode, encode_transaction, format_payment, parse_json, parse_www_authenticate,
};

use crate::sponsorship::willing;
use crate::world::{
    Answer, PAYEE, PAYER, PRICE, SLOT, SPONSOR, START, STRANGER, SeedKey, World, config_text, request,
};

fn terms() -> ChargeTerms {
    ChargeTerms {
        sponsored: true,
        reference_prefix: String::new(),
        payments_per_minute: 60,
        splits: Vec::new(),
    }
}

async fn world(terms: ChargeTerms) -> World {
    World::with(|all| all.charge = Some(terms)).await
}

/// The challenges of an answer, a header line each.
fn offered(answer: &Answer) -> Vec<Challenge> {
    let lines = answer.headers.get_all("www-authenticate").iter();
    lines.flat_map(|line| parse_www_authenticate(line.as_bytes()).expect("well formed").payment).collect()
}

fn intents(answer: &Answer) -> Vec<String> {
    offered(answer).into_iter().map(|challenge| challenge.intent).collect()
}

async fn unpaid(world: &World, path: &str) -> Answer {
    world.send(request(Method::GET, path, None, "")).await
}

async fn charge(world: &World, path: &str) -> (Challenge, ChargeRequest) {
    let answer = unpaid(world, path).await;
    let challenge =
        offered(&answer).into_iter().find(|challenge| challenge.intent == "charge").expect("a charge");
    let request = challenge.charge_request().expect("a charge");
    (challenge, request)
}

fn sign(key: SeedKey, fee_payer: &Pubkey, instructions: &[Instruction]) -> Vec<u8> {
    let message = VersionedMessage::Legacy(Message::new(instructions, Some(fee_payer)));
    let signers = usize::from(message.header().num_required_signatures);
    let mut signatures = vec![Signature::default(); signers];
    let own = message.static_account_keys()[..signers].iter().position(|signer| *signer == key.pubkey());
    let signature = key.signing().sign(&message.serialize()).to_bytes();
    signatures[own.expect("the payer signs")] = Signature::from(signature);
    encode_transaction(&VersionedTransaction { signatures, message })
}

/// What `key` would pay `request` with.
fn payment(key: SeedKey, request: &ChargeRequest) -> Vec<u8> {
    let instructions = request.instructions(&key.pubkey(), &TOKEN_PROGRAM).expect("a charge");
    sign(key, &request.method_details.fee_payer_key.unwrap_or(key.pubkey()), &instructions)
}

fn authorization(challenge: &Challenge, payload: ChargePayload) -> String {
    let credential = ChargeCredential { challenge: challenge.clone(), payload, source: None };
    format_payment(&credential.into()).expect("it fits a header")
}

async fn credential(world: &World, path: &str) -> (Challenge, String) {
    let (challenge, request) = charge(world, path).await;
    let value = authorization(&challenge, ChargePayload::Transaction(payment(PAYER, &request)));
    (challenge, value)
}

/// Does what the settler would once the chain has taken the payment.
async fn land(world: &World, challenge: &Challenge) {
    let payment = world.ledger.payment(&challenge.id).await.expect("ledger").expect("it is reserved");
    let submission = payment.submission.expect("it is to be sent");
    let signature = Signature::from([7; 64]);
    world.ledger.record_signed(submission, vec![1], signature, 100).await.expect("ledger");
    world.ledger.landed(submission, SLOT, Some(10_000), None).await.expect("ledger");
}

fn is_refused(answer: &Answer, status: u16, code: &str) {
    let problem = answer.json();
    assert_eq!((answer.status.as_u16(), problem["code"].as_str()), (status, Some(code)), "{problem}");
    assert_eq!(answer.header("payment-receipt"), None);
}

#[tokio::test]
async fn a_charge_is_offered_behind_the_session_where_it_is_enabled() {
    let text = format!("{}\n[charge]\nenabled = true\n", config_text());
    let config = Config::parse(&text).expect("the configuration is valid");
    let with = config.charge.add_to(config.session.terms(&config.gateway).expect("terms")).expect("terms");
    for (charge, expected) in [(with.charge, vec!["session", "charge"]), (None, vec!["session"])] {
        let world = World::with(|terms| terms.charge = charge).await;
        let answer = unpaid(&world, "/paid").await;
        assert_eq!(answer.status, StatusCode::PAYMENT_REQUIRED);
        assert_eq!(intents(&answer), expected);
    }
    let world = world(terms()).await;
    let (challenge, request) = charge(&world, "/paid").await;
    assert_eq!((request.amount, request.recipient), (Amount::new(PRICE), PAYEE.pubkey()));
    assert_eq!(challenge.expires_at(), Ok(Some(START + 300)));
}

#[tokio::test]
async fn a_charge_names_the_sponsor_where_it_pays() {
    for sponsored in [true, false] {
        let world = world(ChargeTerms { sponsored, ..terms() }).await;
        let (_, request) = charge(&world, "/paid").await;
        assert_eq!(request.method_details.fee_payer_key, sponsored.then_some(SPONSOR.pubkey()));
    }
}

#[tokio::test]
async fn a_charge_names_no_sponsor_while_that_is_out_of_funds() {
    let world = world(terms()).await;
    for pays in [true, false, true] {
        let sponsor = Sponsor { top_ups: pays, ..willing() };
        world.ledger.publish_sponsor(sponsor).await.expect("ledger");
        let (_, request) = charge(&world, "/paid").await;
        assert_eq!(request.method_details.fee_payer_key, pays.then_some(SPONSOR.pubkey()));
        assert_eq!(request.method_details.token_program, Some(TOKEN_PROGRAM));
    }
}

#[tokio::test]
async fn each_charge_has_a_reference_of_its_own_that_begins_as_the_seller_says() {
    let world = world(ChargeTerms { reference_prefix: "shop-7/".to_owned(), ..terms() }).await;
    let references = [charge(&world, "/paid").await, charge(&world, "/paid").await]
        .map(|(_, request)| request.external_id.expect("a reference"));
    assert_ne!(references[0], references[1]);
    assert!(references.iter().all(|reference| reference.starts_with("shop-7/")), "{references:?}");
}

#[tokio::test]
async fn shares_of_the_price_are_split_off() {
    let share = |bps| ChargeShare {
        recipient: STRANGER.pubkey(),
        share_bps: bps,
        memo: Some("platform".to_owned()),
        creates_account: true,
    };
    let world = world(ChargeTerms { splits: vec![share(1_250), share(700)], ..terms() }).await;
    let (_, request) = charge(&world, "/paid").await;
    let amounts: Vec<_> = request.legs().expect("legs").iter().map(|leg| leg.amount.get()).collect();
    assert_eq!(amounts, [13, 2, 1]);

    let refuses = |charge: &str, setting: &str| {
        let text = format!("{}\n[charge]\nenabled = true\n{charge}", config_text());
        let error = Config::parse(&text).expect_err(charge).to_string();
        assert!(error.contains(setting), "{error}");
    };
    let key = STRANGER.pubkey();
    refuses(&format!("splits = [{{ recipient = \"{key}\", share_bps = 10000 }}]"), "charge.splits");
    refuses(&format!("splits = [{{ recipient = \"{key}\", share_bps = 0 }}]"), "charge.splits");
    refuses(&format!("splits = [{{ recipient = \"{key}\", share_bps = 5 }}]"), "leaves nothing of the share");
    refuses("payments_per_minute = 0", "charge.payments_per_minute");
    refuses(&format!("reference_prefix = \"{}\"", "x".repeat(65)), "charge.reference_prefix");
}

#[tokio::test]
async fn a_route_is_paid_in_the_ways_that_it_accepts() {
    let only = |ways: &str| {
        let text =
            config_text().replacen("path = \"/paid\"", &format!("path = \"/paid\"\naccept = {ways}"), 1);
        format!("{text}\n[charge]\nenabled = true\n")
    };
    for (ways, expected) in [
        ("[\"charge\"]", vec!["charge"]),
        ("[\"session\"]", vec!["session"]),
        ("[\"charge\", \"session\"]", vec!["session", "charge"]),
    ] {
        let world = World::configured(&only(ways)).await;
        assert_eq!(intents(&unpaid(&world, "/paid").await), expected);
        let (_, charged) = credential(&world, "/twin").await;
        let answer = world.get("/paid", &charged).await;
        is_refused(&answer, 402, "challenge");
    }
    let error =
        Config::parse(&only("[\"charge\"]").replace("enabled = true", "")).expect_err("charge is off");
    assert!(error.to_string().contains("charge.enabled"), "{error}");
}

#[tokio::test]
async fn a_confirmed_payment_is_served_once_and_its_repeats_get_the_same() {
    let world = world(terms()).await;
    let (challenge, value) = credential(&world, "/paid").await;
    let early = world.get("/paid", &value).await;
    is_refused(&early, 503, "unavailable");
    assert_eq!(world.served.count(), 0);

    land(&world, &challenge).await;
    let first = world.get("/paid", &value).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let receipt = base64url_decode(first.header("payment-receipt").expect("a receipt")).expect("base64url");
    let receipt = ChargeReceipt::from_json(&parse_json(&receipt).expect("JSON")).expect("a receipt");
    assert_eq!(
        (receipt.reference, receipt.challenge_id.as_str()),
        (Signature::from([7; 64]), challenge.id.as_str())
    );
    // Long after the challenge has expired.
    world.pass(3_000).await;
    let again = world.get("/paid", &value).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("payment-receipt"), first.header("payment-receipt"));
    assert_eq!(world.served.count(), 1);
    let payment = world.ledger.payment(&challenge.id).await.expect("ledger").expect("it is on record");
    assert_eq!((payment.state, payment.payer), (PaymentState::Served, Some(PAYER.pubkey())));

    is_refused(&world.get("/paid?more", &value).await, 402, "challenge");
    let (_, request) = charge(&world, "/paid").await;
    let another = authorization(&challenge, ChargePayload::Transaction(payment_of_stranger(&request)));
    is_refused(&world.get("/paid", &another).await, 402, "challenge");
    assert_eq!(world.served.count(), 1);
}

fn payment_of_stranger(request: &ChargeRequest) -> Vec<u8> {
    payment(STRANGER, request)
}

#[tokio::test]
async fn what_became_of_a_payment_that_failed_is_told() {
    for (failure, code) in [
        (PaymentFailure::Refused, "transaction-failed"),
        (PaymentFailure::Expired, "blockhash-expired"),
        (PaymentFailure::Unsponsored, "unsponsored"),
        (PaymentFailure::Used, "payment-used"),
    ] {
        let world = world(terms()).await;
        let (challenge, value) = credential(&world, "/paid").await;
        is_refused(&world.get("/paid", &value).await, 503, "unavailable");
        world.ledger.payment_failed(&challenge.id, failure, "because").await.expect("ledger");
        let answer = world.get("/paid", &value).await;
        is_refused(&answer, 402, code);
        assert_eq!(intents(&answer), ["session", "charge"], "a fresh challenge");
        let charge = offered(&answer).remove(1).charge_request().expect("a charge");
        let sponsor = charge.method_details.fee_payer_key;
        assert_eq!(sponsor.is_none(), failure == PaymentFailure::Unsponsored, "{failure}");
        assert_eq!(world.served.count(), 0);
    }
}

#[tokio::test]
async fn one_transaction_answers_one_challenge() {
    let world = world(ChargeTerms { sponsored: false, ..terms() }).await;
    let (challenge, request) = charge(&world, "/paid").await;
    let bytes = payment(PAYER, &request);
    let value = authorization(&challenge, ChargePayload::Transaction(bytes.clone()));
    is_refused(&world.get("/paid", &value).await, 503, "unavailable");
    // It repeats its challenge's reference, so it does not even pay another; its signature is reserved as well.
    let (other, _) = charge(&world, "/paid").await;
    let value = authorization(&other, ChargePayload::Transaction(bytes.clone()));
    is_refused(&world.get("/paid", &value).await, 402, "charge-mismatch");
    let signature = toll_protocol::decode_transaction(&bytes).expect("a transaction").signatures[0];
    let value = authorization(&other, ChargePayload::Signature(signature));
    is_refused(&world.get("/paid", &value).await, 402, "payment-used");
    let pushed = world.ledger.payment(&other.id).await.expect("ledger");
    assert_eq!(pushed, None);
    let requested = world.ledger.requested().await.expect("ledger");
    assert_eq!(requested.iter().map(|one| one.kind).collect::<Vec<_>>(), [SubmissionKind::Charge]);
}

#[tokio::test]
async fn what_does_not_answer_its_challenge_is_refused_and_reserves_nothing() {
    let world = world(terms()).await;
    let (challenge, request) = charge(&world, "/paid").await;
    let good = payment(PAYER, &request);
    let mut altered = challenge.clone();
    altered.expires = Some("2036-01-01T00:00:00Z".to_owned());
    let mut cheap = request.clone();
    cheap.amount = Amount::new(1);
    let mut unsigned = good.clone();
    unsigned[70] ^= 1;
    let transaction = |bytes: &[u8]| ChargePayload::Transaction(bytes.to_vec());
    let cases = [
        ("/paid", authorization(&altered, transaction(&good)), "challenge"),
        ("/twin", authorization(&challenge, transaction(&good)), "challenge"),
        ("/dear", authorization(&challenge, transaction(&good)), "challenge"),
        ("/paid", authorization(&challenge, transaction(&payment(PAYER, &cheap))), "charge-mismatch"),
        ("/paid", authorization(&challenge, transaction(&unsigned)), "charge-mismatch"),
        ("/paid", authorization(&challenge, transaction(&[1, 2, 3])), "charge-mismatch"),
        (
            "/paid",
            authorization(&challenge, ChargePayload::Signature(Signature::from([1; 64]))),
            "charge-mismatch",
        ),
    ];
    for (index, (path, value, code)) in cases.into_iter().enumerate() {
        let answer = world.get(path, &value).await;
        is_refused(&answer, 402, code);
        assert_eq!(intents(&answer), ["session", "charge"], "case {index}");
        assert_eq!(world.ledger.payment(&challenge.id).await.expect("ledger"), None, "case {index}");
    }
    let value = authorization(&challenge, transaction(&good));
    world.pass(301).await;
    is_refused(&world.get("/paid", &value).await, 402, "challenge-expired");
    assert_eq!(world.ledger.payment(&challenge.id).await.expect("ledger"), None);
    assert_eq!(world.served.count(), 0);
}

#[tokio::test]
async fn a_cluster_out_of_reach_is_a_502_and_nothing_is_charged() {
    let world = world(terms()).await;
    let (challenge, value) = credential(&world, "/paid").await;
    world.clock.advance(60);
    let answer = world.get("/paid", &value).await;
    is_refused(&answer, 502, "cluster-unreachable");
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(world.ledger.payment(&challenge.id).await.expect("ledger"), None);
    assert_eq!(world.served.count(), 0);
}

#[tokio::test]
async fn a_payer_pays_so_many_times_a_minute() {
    let world = world(ChargeTerms { payments_per_minute: 1, ..terms() }).await;
    let (_, first) = credential(&world, "/paid").await;
    is_refused(&world.get("/paid", &first).await, 503, "unavailable");
    let (challenge, second) = credential(&world, "/paid").await;
    let answer = world.get("/paid", &second).await;
    is_refused(&answer, 429, "rate-limited");
    assert_eq!(world.ledger.payment(&challenge.id).await.expect("ledger"), None);
    // A repeat is no payment.
    is_refused(&world.get("/paid", &first).await, 503, "unavailable");
}
