//! Streams that are paid for as they come.

use std::sync::Mutex;

use toll_client::{PayError, Request};
use toll_protocol::Amount;

use crate::support::gateway::{Customer, Merchant, PRICE};

async fn events(merchant: &Merchant, count: u64) -> Request {
    let url = merchant.listen_by_event().await;
    Request::get(url.join(&format!("/events/{count}")).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_paid_on_until_it_ends_and_its_deposit_is_topped_up() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let book = customer.book();
    let seen = Mutex::new(String::new());
    let live = |bytes: &[u8]| seen.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
    // The deposit is good for ten of them.
    let reply = customer.payer.pay_live(&book, &events(&merchant, 45).await, &live).await.unwrap();
    let whole: String = (0..45).map(|event| format!("data: {event}\n\n")).collect();
    assert_eq!(*seen.lock().unwrap(), whole);
    assert!(reply.body.is_empty());
    let payment = reply.payment.unwrap();
    assert_eq!(payment.charged, Amount::new(45 * PRICE.get()));
    assert_eq!(payment.receipt.spent, payment.charged);
    assert_eq!(merchant.charged().await, 45 * PRICE.get());
    assert_eq!(merchant.channels().await, 1);
    assert!(book.channels()[0].deposit.get() > 10_000);
    assert!(book.channels()[0].unanswered.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_costs_no_more_than_a_request_may() {
    let merchant = Merchant::start().await;
    let customer = Customer::with(|policy| policy.max_amount = Amount::new(12 * PRICE.get()));
    let book = customer.book();
    let request = events(&merchant, 100).await;
    let seen = Mutex::new(0);
    let live = |_: &[u8]| *seen.lock().unwrap() += 1;
    let ended = customer.payer.pay_live(&book, &request, &live).await;
    assert!(
        matches!(ended, Err(PayError::PriceAboveLimit { limit, .. }) if limit.get() == 12 * PRICE.get()),
        "{ended:?}"
    );
    let delivered = *seen.lock().unwrap();
    assert!((1..=12).contains(&delivered), "{delivered}");
    let channel = book.channels()[0].clone();
    assert!(channel.signed.get() <= 12 * PRICE.get());
    assert!(channel.unanswered.is_empty());
    while merchant.charged().await != delivered * PRICE.get() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_authorized_and_not_charged_pays_for_the_next_request() {
    let merchant = Merchant::start().await;
    let customer = Customer::with(|policy| policy.deposit = Some(Amount::new(20 * PRICE.get())));
    let book = customer.book();
    let request = events(&merchant, 3).await;
    for round in 1..=2 {
        let reply = customer.payer.pay(&book, &request).await.unwrap();
        assert_eq!(reply.payment.unwrap().charged, Amount::new(3 * PRICE.get()));
        assert_eq!(book.channels()[0].spent, Amount::new(3 * round * PRICE.get()));
    }
    // Eleven were signed for the first, and the second needed no more.
    assert_eq!(book.channels()[0].signed.get(), 11 * PRICE.get() + 1);
}
