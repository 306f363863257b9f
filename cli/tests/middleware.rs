//! Programs whose HTTP client pays by itself, against a real gateway.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Error};
use support::gateway::{Customer, Merchant, PRICE};
use toll_client::{Book, PayError, Payment, PaymentMiddleware};
use toll_protocol::Amount;

/// A client that pays as `customer`, the book it pays from, and the folder that is in.
fn client(customer: Customer) -> (ClientWithMiddleware, Arc<Book>, tempfile::TempDir) {
    let book = Arc::new(customer.book());
    let layer = PaymentMiddleware::new(customer.payer, Arc::clone(&book));
    (ClientBuilder::new(reqwest::Client::new()).with(layer).build(), book, customer.home)
}

/// The reason a request was not paid for.
fn reason(error: &Error) -> Option<&PayError> {
    match error {
        Error::Middleware(error) => error.downcast_ref(),
        Error::Reqwest(_) => None,
    }
}

#[tokio::test]
async fn a_client_with_the_layer_pays_for_what_it_requests() {
    let merchant = Merchant::start().await;
    let (client, book, _home) = client(Customer::new());

    for number in 0..3 {
        let response = client.get(merchant.url.clone()).send().await.unwrap();
        let payment = response.extensions().get::<Payment>().unwrap();
        assert_eq!((payment.charged, payment.opened), (PRICE, number == 0));
        assert_eq!(response.url(), &merchant.url);
        assert_eq!(response.text().await.unwrap(), format!("answer {number}"));
    }

    assert_eq!((merchant.channels().await, merchant.charged().await), (1, 3_000));
    assert_eq!(book.channels()[0].signed, Amount::new(3_000));
}

#[tokio::test]
async fn requests_at_the_same_time_pay_one_price_each_from_one_channel() {
    let merchant = Merchant::start().await;
    let (client, book, _home) = client(Customer::new());

    let requests = (0..8).map(|number| {
        let url = merchant.url.join(&format!("/thing?{number}")).unwrap();
        client.get(url).send()
    });
    let answers = futures::future::join_all(requests).await;

    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == 200));
    assert_eq!((merchant.channels().await, merchant.charged().await), (1, 8_000));
    assert_eq!(merchant.served(), 8);
    assert!(book.channels()[0].unanswered.is_empty());
}

#[tokio::test]
async fn a_failed_request_that_is_sent_again_is_not_charged_twice() {
    let merchant = Merchant::start().await;
    let (client, _, _home) = client(Customer::new());
    merchant.fail.store(1, Ordering::SeqCst);
    let send = || client.post(merchant.url.clone()).body("question").send();
    assert_eq!(send().await.unwrap().status(), 500);

    assert_eq!(send().await.unwrap().status(), 200);

    assert_eq!(merchant.charged().await, 1_000);
}

#[tokio::test]
async fn what_the_limits_forbid_is_refused_with_its_reason() {
    let merchant = Merchant::start().await;
    let (client, book, _home) = client(Customer::with(|policy| policy.max_amount = Amount::new(999)));

    let refused = client.get(merchant.url.clone()).send().await.unwrap_err();

    assert!(matches!(reason(&refused), Some(PayError::PriceAboveLimit { .. })), "{refused:?}");
    assert!(book.channels().is_empty());
    assert_eq!(merchant.served(), 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_is_refused_where_it_costs() {
    let merchant = Merchant::start().await;
    let (client, book, _home) = client(Customer::new());
    let body = || reqwest::Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>("question")]));
    let free = axum::Router::new().fallback(|body: String| async { body });
    let free = format!("http://{}/", support::serve(free).await);

    let refused = client.post(merchant.url.clone()).body(body()).send().await.unwrap_err();
    assert!(matches!(reason(&refused), Some(PayError::Streaming { .. })), "{refused:?}");
    assert!(book.channels().is_empty());

    let echo = client.post(free).body(body()).send().await.unwrap();
    assert_eq!(echo.text().await.unwrap(), "question");
}

#[tokio::test]
async fn a_request_with_an_authorization_of_its_own_is_left_alone() {
    let merchant = Merchant::start().await;
    let (client, book, _home) = client(Customer::new());

    let answer = client.get(merchant.url.clone()).bearer_auth("mine").send().await.unwrap();

    assert!(answer.status().is_client_error(), "{}", answer.status());
    assert!(book.channels().is_empty());
}

#[tokio::test]
async fn a_request_keeps_its_own_authorization_and_is_paid_for_where_there_is_room_for_both() {
    let merchant = Merchant::start().await;
    let (client, book, _home) = client(Customer::new());
    let send = |url: reqwest::Url| client.get(url).header("authorization", "Bearer of-an-api-key").send();

    let response = send(merchant.url.clone()).await.unwrap();

    assert_eq!((response.status().as_u16(), book.channels().len()), (402, 0));
    assert!(response.headers().contains_key("www-authenticate"));
    let beside = merchant.listen_beside_authorization().await;
    for number in 0..2 {
        let response = send(beside.clone()).await.unwrap();
        assert_eq!(response.extensions().get::<Payment>().unwrap().opened, number == 0);
        assert_eq!(response.text().await.unwrap(), format!("answer {number}"));
    }
    assert_eq!(merchant.charged().await, 2_000);
}
