use serde_json::{Value, json};
use solana_hash::Hash;

use solana_signature::Signature;
use toll_protocol::*;

use crate::sample::*;

/// The request of the draft's marketplace example.
const MARKETPLACE: &str = r#"{"amount":"1050000","currency":"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v","description":"Marketplace purchase","methodDetails":{"decimals":6,"network":"mainnet","splits":[{"amount":"50000","memo":"platform fee","recipient":"3pF8Kg2aHbNvJkLMwEqR7YtDxZ5sGhJn4UV6mWcXrT9A"}]},"recipient":"7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"}"#;

pub(crate) fn split(recipient: u8, amount: u64, memo: Option<&str>, creates_account: bool) -> ChargeSplit {
    let memo = memo.map(str::to_owned);
    ChargeSplit { recipient: key(recipient), amount: Amount::new(amount), memo, creates_account }
}

pub(crate) fn charge() -> ChargeRequest {
    ChargeRequest {
        amount: Amount::new(1_000),
        currency: key(0xAA),
        recipient: key(0xEE),
        description: Some("one report".to_owned()),
        external_id: Some("order-7".to_owned()),
        method_details: ChargeDetails {
            network: Network::Localnet,
            decimals: 6,
            token_program: Some(TOKEN_PROGRAM),
            fee_payer_key: Some(key(0xFE)),
            splits: vec![split(0x11, 100, Some("fee"), true), split(0x11, 100, None, true)],
            recent_blockhash: Some(Hash::new_from_array([7; 32])),
        },
    }
}

fn charge_challenge() -> Challenge {
    let realm = Realm::new("api.example.com").expect("a plain realm");
    let opaque = [("n".to_owned(), "AAAAAAAAAAAAAAAAAAAAAA".to_owned())].into();
    let request = charge();
    let offer = Offer { realm: &realm, request: &request, expires_at: 1_763_675_932, opaque: &opaque };
    Challenge::issue(&secret(), offer).expect("the offer makes a challenge")
}

fn charge_credential(payload: ChargePayload) -> ChargeCredential {
    ChargeCredential { challenge: charge_challenge(), payload, source: Some(key(2).to_string()) }
}

#[test]
fn a_charge_reads_back_and_is_written_canonically() {
    let request = ChargeRequest::from_json(&parse_json(MARKETPLACE.as_bytes()).unwrap()).unwrap();
    assert_eq!(request.method_details.network, Network::Mainnet);
    assert_eq!(String::from_utf8(canonical_json(&request).unwrap()).unwrap(), MARKETPLACE);
    assert_eq!(ChargeRequest::from_json(&charge().to_json()), Ok(charge()));
}

// The ids were computed by an independent program over the slots that draft-httpauth-payment names.
#[test]
fn the_id_of_a_charge_is_the_golden_one() {
    let challenge = Challenge {
        id: String::new(),
        realm: "api.example.com".to_owned(),
        method: METHOD.to_owned(),
        intent: CHARGE_INTENT.to_owned(),
        request: base64url_encode(MARKETPLACE),
        expires: Some("2026-03-15T12:05:00Z".to_owned()),
        digest: Some("sha-256=:CFdtBA5fXO1HaQ8sdv75T9kcnF5ed8M5LhPNrKzrx/I=:".to_owned()),
        description: None,
        opaque: Some("eyJuIjoiQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSIsIm9wIjoiUE9TVCAvdjEveCJ9".to_owned()),
        field: CredentialField::Authorization,
    };
    assert_eq!(challenge.id_under(b"test-vector-secret"), "Q2NgANoYNmxkNJduKOJnRzhg6-R7bWob-C0FUPlamZo");
}

#[test]
fn a_challenge_is_for_the_intent_of_its_request() {
    let challenge = charge_challenge();
    assert_eq!((challenge.intent.as_str(), challenge.charge_request()), ("charge", Ok(charge())));
    assert!(challenge.is_authentic(&secret()));
    assert!(matches!(challenge.session_request(), Err(ChallengeError::OtherIntent { .. })));
}

#[test]
fn the_recipient_gets_what_the_splits_leave_and_equal_splits_stay_apart() {
    let leg = |recipient, amount| Leg { recipient: key(recipient), amount: Amount::new(amount) };
    assert_eq!(charge().legs(), Ok(vec![leg(0xEE, 800), leg(0x11, 100), leg(0x11, 100)]));
    assert_eq!(charge().memos(), ["order-7", "fee"]);
}

#[test]
fn charges_that_break_a_rule_are_refused() {
    fn set(path: &'static [&'static str], value: Value) -> impl Fn(&mut Value) {
        move |json| *at(json, path) = value.clone()
    }
    const DETAILS: &str = "methodDetails";
    let member = |member: &str, expected| Err(ChargeError::Json(invalid(member, expected)));
    let amount = "a decimal string of a u64";
    let long = "é".repeat(284);
    type Bend = Box<dyn Fn(&mut Value)>;
    let cases: Vec<(Bend, Result<(), ChargeError>)> = vec![
        (Box::new(set(&["amount"], json!("0"))), member("request.amount", "above zero")),
        (Box::new(set(&["amount"], json!("18446744073709551616"))), member("request.amount", amount)),
        (Box::new(set(&["amount"], json!("01000"))), member("request.amount", amount)),
        (Box::new(set(&["amount"], json!(1000))), member("request.amount", amount)),
        (Box::new(set(&["currency"], json!("sol"))), Err(ChargeError::Sol)),
        (Box::new(set(&["currency"], json!("SOL"))), member("request.currency", "the base58 of 32 bytes")),
        (Box::new(set(&["recipient"], json!("x"))), member("request.recipient", "the base58 of 32 bytes")),
        (
            Box::new(set(&["description"], json!("é".repeat(257)))),
            member("request.description", "at most 256 characters"),
        ),
        (Box::new(set(&["externalId"], json!(long))), member("request.externalId", "at most 566 bytes")),
        (
            Box::new(set(&[DETAILS, "decimals"], json!(10))),
            member("request.methodDetails.decimals", "an integer from 0 to 9"),
        ),
        (
            Box::new(|json| remove(at(json, &[DETAILS]), "decimals")),
            Err(missing("request.methodDetails.decimals").into()),
        ),
        (
            Box::new(set(&[DETAILS, "tokenProgram"], json!(key(1).to_string()))),
            member("request.methodDetails.tokenProgram", "SPL Token or Token-2022"),
        ),
        (
            Box::new(set(&[DETAILS, "network"], json!("mainnet-beta"))),
            member("request.methodDetails.network", "mainnet, devnet or localnet"),
        ),
        (
            Box::new(|json| remove(at(json, &[DETAILS]), "feePayerKey")),
            Err(missing("request.methodDetails.feePayerKey").into()),
        ),
        (Box::new(set(&[DETAILS, "feePayer"], json!(false))), Err(ChargeError::IdleFeePayer)),
        (Box::new(set(&[DETAILS, "confidential"], json!(true))), Err(ChargeError::Confidential)),
        (
            Box::new(|json| {
                let splits = at(json, &[DETAILS, "splits"]);
                splits[0]["amount"] = json!("900");
            }),
            Err(ChargeError::NothingLeft(Amount::new(1_000))),
        ),
        (
            Box::new(|json| {
                let splits = at(json, &[DETAILS, "splits"]);
                splits[0]["amount"] = json!(u64::MAX.to_string());
                splits[1]["amount"] = json!("1000");
            }),
            Err(ChargeError::NothingLeft(Amount::new(1_000))),
        ),
        (
            Box::new(|json| at(json, &[DETAILS, "splits"])[1]["amount"] = json!("0")),
            member("request.methodDetails.splits.amount", "above zero"),
        ),
        (
            Box::new(move |json| at(json, &[DETAILS, "splits"])[1]["memo"] = json!("é".repeat(284))),
            member("request.methodDetails.splits.memo", "at most 566 bytes"),
        ),
        (
            Box::new(|json| {
                let split = at(json, &[DETAILS, "splits"])[0].clone();
                *at(json, &[DETAILS, "splits"]) = json!(vec![split; 9]);
            }),
            Err(ChargeError::TooManySplits(9)),
        ),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        let mut json = charge().to_json();
        change(&mut json);
        assert_eq!(ChargeRequest::from_json(&json).map(|_| ()), expected, "case {index}: {json}");
    }
}

#[test]
fn both_payloads_read_back_by_the_intent_of_their_challenge() {
    let signature = Signature::from([9; 64]);
    for payload in [ChargePayload::Transaction(vec![1, 2, 250]), ChargePayload::Signature(signature)] {
        let credential = PaymentCredential::from(charge_credential(payload));
        let value = format_payment(&credential).expect("it fits a header");
        assert_eq!(parse_payment(&value), Some(Ok(credential)));
        assert_eq!(parse_authorization(&value), Some(Err(CredentialError::ChargePayload)));
    }
    let session = PaymentCredential::from(credential(Action::Open(Box::new(open_action()))));
    let value = format_payment(&session).expect("it fits a header");
    assert_eq!(parse_payment(&value), Some(Ok(session)));
    assert_eq!(parse_payment("Bearer x"), None);
}

#[test]
fn a_payload_that_pays_no_charge_is_refused() {
    let read = |payload: Value| {
        let json = json!({ "challenge": charge_challenge().to_json(), "payload": payload });
        PaymentCredential::from_json(&json).map(|_| ())
    };
    let signature = |text: &str| read(json!({ "type": "signature", "signature": text }));
    let cases = [
        (read(json!({ "action": "use" })), CredentialError::SessionPayload),
        (read(json!({ "type": "transaction", "action": "open" })), CredentialError::SessionPayload),
        (read(json!({})), missing("payload.type").into()),
        (read(json!({ "type": "bundle" })), CredentialError::UnknownPayload("bundle".to_owned())),
        (read(json!({ "type": "transaction" })), missing("payload.transaction").into()),
        (
            read(json!({ "type": "transaction", "transaction": "-_" })),
            invalid("payload.transaction", "base64 in the standard alphabet").into(),
        ),
        (signature("0"), invalid("payload.signature", "the base58 of 64 bytes").into()),
        (signature(&"1".repeat(63)), invalid("payload.signature", "the base58 of 64 bytes").into()),
        (signature(&"1".repeat(65)), invalid("payload.signature", "the base58 of 64 bytes").into()),
    ];
    for (index, (found, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found, Err(expected), "case {index}");
    }
}

#[test]
fn the_receipt_of_a_charge_has_the_drafts_members_and_no_other() {
    let receipt = ChargeReceipt {
        reference: Signature::from([9; 64]),
        timestamp: 1_795_298_332,
        challenge_id: "abc".to_owned(),
    };
    let expected = format!(
        r#"{{"challengeId":"abc","method":"solana","reference":"{}","status":"success","timestamp":"2026-11-21T21:58:52Z"}}"#,
        receipt.reference
    );
    let bytes = base64url_decode(receipt.to_header()).expect("base64url");
    assert_eq!(String::from_utf8(bytes).expect("UTF-8"), expected);
    assert_eq!(ChargeReceipt::from_json(&receipt.to_json()), Ok(receipt.clone()));
    for member in ["method", "status", "reference", "timestamp", "challengeId"] {
        let mut json = receipt.to_json();
        remove(&mut json, member);
        assert_eq!(ChargeReceipt::from_json(&json), Err(missing(&format!("receipt.{member}"))));
    }
}

#[test]
fn a_credential_never_shows_its_transaction_in_a_log() {
    let text = format!("{:?}", ChargePayload::Transaction(vec![0xAB; 3]));
    assert_eq!(text, "Transaction { bytes: 3 }");
}
