//! The paying client against a real gateway: reuse, crashes, lost answers, limits.

mod answers;
mod api_key;
mod charge;
mod close;
mod deposit;
mod operator;
mod stream;
#[path = "../support/mod.rs"]
mod support;

use toll_client::{PayError, Request};
use toll_protocol::Amount;

use support::gateway::{Customer, Merchant, PRICE, is_private};

#[tokio::test]
async fn the_first_request_opens_a_channel_and_the_next_ones_reuse_it() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());

    for number in 0..3 {
        // A new book each time, as a new process would have.
        let book = customer.book();
        let reply = customer.payer.pay(&book, &merchant.request()).await.unwrap();
        let payment = reply.payment.unwrap();
        assert_eq!(reply.body, format!("answer {number}").as_bytes());
        assert_eq!(payment.charged, PRICE);
        assert_eq!(payment.opened, number == 0);
        assert_eq!(payment.receipt.spent, Amount::new(1_000 * (number + 1)));
    }

    assert_eq!(merchant.channels().await, 1);
    assert_eq!(merchant.charged().await, 3_000);
}

#[tokio::test]
async fn the_state_file_is_private_and_versioned() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();

    assert!(is_private(&customer.state()));
    let text = std::fs::read_to_string(customer.state()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["version"], 3);
    assert_eq!(document["channels"][0]["signed"], "1000");
    let secret = serde_json::to_string(&customer.key.to_bytes().to_vec()).unwrap();
    assert!(!text.contains(&secret[1..60]), "the key is in the state file");

    // The version before it had no charges.
    std::fs::write(customer.state(), text.replace("\"version\": 3", "\"version\": 2")).unwrap();
    assert_eq!(customer.book().channels().len(), 1);
}

#[tokio::test]
async fn a_price_that_rises_within_the_limit_is_paid_and_above_it_refused() {
    let merchant = Merchant::start().await;
    let dearer = merchant.listen(Amount::new(1_500)).await;
    let customer = Customer::with(|policy| policy.max_amount = Amount::new(1_500));
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    // The same server at another address: what a changed price looks like to the payer.
    let mut channel = book.channels()[0].clone();
    channel.origin = dearer.origin().ascii_serialization();
    book.put(channel).unwrap();

    let reply = customer.payer.pay(&book, &Request::get(dearer.clone())).await.unwrap();
    assert_eq!(reply.payment.unwrap().charged, Amount::new(1_500));

    let dearest = merchant.listen(Amount::new(1_501)).await;
    let mut channel = book.channels()[0].clone();
    channel.origin = dearest.origin().ascii_serialization();
    book.put(channel).unwrap();
    let refused = customer.payer.pay(&book, &Request::get(dearest)).await;
    assert!(matches!(refused, Err(PayError::PriceAboveLimit { .. })), "{refused:?}");
    assert_eq!(merchant.charged().await, 2_500);
}

#[tokio::test]
async fn two_payers_with_one_state_file_take_turns() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let open = || toll_client::Book::open(&customer.state(), std::time::Duration::ZERO);
    let book = open().unwrap();
    let in_use = open().err().unwrap();
    assert!(matches!(in_use, toll_client::BookError::InUse(_)), "{in_use:?}");
    assert_eq!(toll_cli::CliError::from(in_use).exit, toll_cli::Exit::State);
    drop(book);
    let book = open().unwrap();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
}

#[tokio::test]
async fn a_resource_that_costs_nothing_is_answered_without_a_channel() {
    let customer = Customer::new();
    let free = axum::Router::new().fallback(|| async { "free" });
    let url = format!("http://{}/", support::serve(free).await).parse().unwrap();
    let book = customer.book();

    let reply = customer.payer.pay(&book, &Request::get(url)).await.unwrap();

    assert_eq!(reply.body, b"free");
    assert!(reply.payment.is_none());
    assert!(book.channels().is_empty());
}

#[tokio::test]
async fn the_body_arrives_with_the_paid_request() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let request =
        Request { method: http::Method::POST, body: b"{\"question\":1}".to_vec(), ..merchant.request() };
    let reply = customer.payer.pay(&customer.book(), &request).await.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.payment.unwrap().charged, PRICE);
}

#[tokio::test]
async fn where_challenges_are_for_one_body_each_body_is_paid_for_by_its_own() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let url = merchant.listen_binding_bodies().await;
    let book = customer.book();

    for (number, body) in ["one", "two", "", "one"].into_iter().enumerate() {
        let request = Request {
            method: http::Method::POST,
            body: body.as_bytes().to_vec(),
            ..Request::get(url.clone())
        };
        let reply = customer.payer.pay(&book, &request).await.unwrap();
        assert_eq!(reply.body, format!("answer {number}").as_bytes());
        assert_eq!(reply.payment.unwrap().charged, PRICE);
    }

    assert_eq!(merchant.channels().await, 1);
    assert_eq!(merchant.charged().await, 4_000);
}
