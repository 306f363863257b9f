//! Charges: one transfer for one request, and the same one until it is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request as Asked;
use axum::response::Response;
use http::StatusCode;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_client::{PayError, Request};
use toll_protocol::{
    Amount, Challenge, ChallengeSecret, ChargeDetails, ChargeReceipt, ChargeRequest, Network, Offer, Realm,
    TOKEN_PROGRAM, format_www_authenticate,
};

use crate::support::gateway::Customer;
use crate::support::serve;

/// A server that charges, and answers those who paid as it was told, in order; the last word holds.
struct Charging {
    url: reqwest::Url,
    /// Every credential that was shown.
    shown: Arc<Mutex<Vec<String>>>,
}

impl Charging {
    async fn answering(words: &[u16]) -> Self {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (seen, words) = (Arc::clone(&shown), words.to_vec());
        let answer = move |request: Asked| {
            let credential =
                request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let word = credential.map(|credential| {
                let mut seen = seen.lock().unwrap();
                seen.push(credential);
                words[(seen.len() - 1).min(words.len() - 1)]
            });
            std::future::ready(match word {
                Some(200) => paid(),
                None | Some(402) => asking(),
                Some(status) => Response::builder().status(status).body(Body::empty()).unwrap(),
            })
        };
        let address = serve(Router::new().fallback(answer)).await;
        Self { url: format!("http://{address}/report").parse().unwrap(), shown }
    }

    fn request(&self) -> Request {
        Request::get(self.url.clone())
    }

    fn shown(&self) -> Vec<String> {
        self.shown.lock().unwrap().clone()
    }
}

fn asking() -> Response {
    let request = ChargeRequest {
        amount: Amount::new(1_000),
        currency: Pubkey::new_from_array([1; 32]),
        recipient: Pubkey::new_from_array([2; 32]),
        description: None,
        external_id: None,
        method_details: ChargeDetails {
            network: Network::Localnet,
            decimals: 6,
            token_program: Some(TOKEN_PROGRAM),
            fee_payer_key: Some(Pubkey::new_from_array([4; 32])),
            splits: Vec::new(),
            recent_blockhash: Some(Hash::new_from_array([5; 32])),
        },
    };
    let secret = ChallengeSecret::new([7; 32].to_vec()).unwrap();
    let (realm, opaque) = (Realm::new("example.com").unwrap(), BTreeMap::new());
    let offer = Offer { realm: &realm, request: &request, expires_at: 4_000_000_000, opaque: &opaque };
    let value = format_www_authenticate(&Challenge::issue(&secret, offer).unwrap()).unwrap();
    Response::builder().status(402).header("www-authenticate", value).body(Body::empty()).unwrap()
}

fn paid() -> Response {
    let reference = Signature::from([3; 64]);
    let receipt = ChargeReceipt { reference, timestamp: 1_790_000_000, challenge_id: "c".into() };
    Response::builder().header("payment-receipt", receipt.to_header()).body(Body::from("goods")).unwrap()
}

#[tokio::test]
async fn a_charge_pays_for_one_request_and_leaves_nothing_behind() {
    let (server, customer) = (Charging::answering(&[200]).await, Customer::new());
    for _ in 0..2 {
        let reply = customer.payer.pay(&customer.book(), &server.request()).await.unwrap();
        assert_eq!(reply.body, b"goods");
        let charge = reply.charge.unwrap();
        assert_eq!((charge.amount, charge.sponsored, charge.pushed), (Amount::new(1_000), true, false));
        assert_eq!(charge.receipt.unwrap().reference, Signature::from([3; 64]));
        assert!(reply.payment.is_none());
    }
    assert_eq!(server.shown().len(), 2);
    assert!(customer.book().charges().is_empty() && customer.book().channels().is_empty());
}

#[tokio::test]
async fn a_charge_without_an_answer_is_on_disk_and_presented_again_as_it_was() {
    let (server, customer) = (Charging::answering(&[500, 500, 200]).await, Customer::new());
    for _ in 0..2 {
        let reply = customer.payer.pay(&customer.book(), &server.request()).await.unwrap();
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(customer.book().charges().len(), 1, "it may have landed");
    }

    let reply = customer.payer.pay(&customer.book(), &server.request()).await.unwrap();

    assert_eq!(reply.body, b"goods");
    let shown = server.shown();
    assert!(shown.len() == 3 && shown.iter().all(|credential| *credential == shown[0]), "{shown:?}");
    assert!(customer.book().charges().is_empty());
}

#[tokio::test]
async fn a_charge_that_was_handed_out_is_not_followed_by_another_unless_the_payer_says_so() {
    let (server, customer) = (Charging::answering(&[402]).await, Customer::new());
    let (book, request) = (customer.book(), server.request());
    let refused = customer.payer.pay(&book, &request).await;
    assert!(matches!(refused, Err(PayError::Refused { status: 402, .. })), "{refused:?}");

    for _ in 0..2 {
        let refused = customer.payer.pay(&book, &request).await;
        let amount = Amount::new(1_000);
        assert!(matches!(refused, Err(PayError::MaybeCharged { amount: it }) if it == amount), "{refused:?}");
    }
    let shown = server.shown();
    assert!(shown.len() == 3 && shown.iter().all(|credential| *credential == shown[0]), "{shown:?}");

    assert!(customer.payer.give_up(&book, &request).unwrap());
    assert!(book.charges().is_empty());
}

#[tokio::test]
async fn another_request_is_paid_by_another_charge() {
    let (server, customer) = (Charging::answering(&[500]).await, Customer::new());
    let book = customer.book();
    let body = |text: &str| Request {
        method: http::Method::POST,
        body: text.as_bytes().to_vec(),
        ..server.request()
    };
    for text in ["one", "two", "one"] {
        customer.payer.pay(&book, &body(text)).await.unwrap();
    }
    assert_eq!((book.charges().len(), server.shown().len()), (2, 3));
}

#[tokio::test]
async fn an_exact_price_of_a_charge_is_refused_before_anything_is_signed() {
    let server = Charging::answering(&[200]).await;
    let customer = Customer::with(|policy| policy.amount = Some(Amount::new(2_000)));

    let refused = customer.payer.pay(&customer.book(), &server.request()).await;

    assert!(matches!(refused, Err(PayError::OtherPrice { .. })), "{refused:?}");
    assert!(server.shown().is_empty() && customer.book().charges().is_empty());
}
