//! Sessions in which the server signs the vouchers: only where the payer's policy lists its operator.

use std::sync::atomic::Ordering;

use toll_client::{PayError, Payer, Policy, Request};
use toll_protocol::{Amount, Network, PROGRAM_ID};

use crate::support::gateway::{Customer, Merchant, PRICE, operator};

fn trusting() -> Customer {
    Customer::with(|policy| policy.operators = vec![operator().pubkey()])
}

async fn operated() -> (Merchant, Request) {
    let merchant = Merchant::start().await;
    let url = merchant.listen_as_operator(PRICE).await;
    (merchant, Request::get(url))
}

#[tokio::test]
async fn a_server_that_signs_itself_is_paid_only_where_its_operator_is_listed() {
    let (merchant, request) = operated().await;
    let customer = Customer::new();

    let refused = customer.payer.pay(&customer.book(), &request).await;

    let signer = operator().pubkey();
    assert!(
        matches!(refused, Err(PayError::OperatorSigned { operator }) if operator == signer),
        "{refused:?}"
    );
    assert_eq!((merchant.channels().await, customer.book().channels().len()), (0, 0));
    let customer = trusting();
    let reply = customer.payer.pay(&customer.book(), &request).await.unwrap();
    assert_eq!(reply.body, b"answer 0");
}

#[tokio::test]
async fn one_operator_signed_session_pays_many_requests_and_closes_by_its_proof() {
    let (merchant, request) = operated().await;
    let customer = trusting();
    for number in 1..=3 {
        let reply = customer.payer.pay(&customer.book(), &request).await.unwrap();
        let payment = reply.payment.unwrap();
        assert_eq!((payment.charged, payment.opened), (PRICE, number == 1));
        assert_eq!(payment.receipt.accepted_cumulative.get(), number * PRICE.get());
    }
    assert_eq!((merchant.channels().await, merchant.charged().await), (1, 3 * PRICE.get()));

    let id = customer.book().channels()[0].channel_id;
    let receipt = customer.payer.close(&customer.book(), &id).await.unwrap();

    assert_eq!(receipt.spent.get(), 3 * PRICE.get());
    assert_eq!(receipt.refunded, Some(Amount::new(10_000 - 3 * PRICE.get())));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_under_its_key_and_not_paid_twice() {
    let (merchant, request) = operated().await;
    let customer = trusting();
    customer.payer.pay(&customer.book(), &request).await.unwrap();
    merchant.lose_answer.store(true, Ordering::SeqCst);
    customer.payer.pay(&customer.book(), &request).await.unwrap_err();

    let reply = customer.payer.pay(&customer.book(), &request).await.unwrap();

    assert_eq!(reply.body, b"answer 1");
    assert_eq!((merchant.served(), merchant.charged().await), (2, 2 * PRICE.get()));
}

#[tokio::test]
async fn a_spent_session_is_topped_up_and_goes_on() {
    let (merchant, request) = operated().await;
    let customer = Customer::with(|policy| {
        policy.operators = vec![operator().pubkey()];
        policy.deposit = Some(Amount::new(2 * PRICE.get()));
    });
    for _ in 0..3 {
        customer.payer.pay(&customer.book(), &request).await.unwrap();
    }
    assert_eq!((merchant.channels().await, merchant.charged().await), (1, 3 * PRICE.get()));
}

#[tokio::test]
async fn an_operator_that_is_listed_no_more_is_not_paid_from_the_channel_it_has() {
    let (merchant, request) = operated().await;
    let customer = trusting();
    customer.payer.pay(&customer.book(), &request).await.unwrap();
    let policy = Policy::new(Network::Localnet, vec![PROGRAM_ID]);
    let wary = Payer::new(customer.key.insecure_clone(), policy, None).unwrap();

    let refused = wary.pay(&customer.book(), &request).await;

    assert!(matches!(refused, Err(PayError::OperatorSigned { .. })), "{refused:?}");
    assert_eq!(merchant.charged().await, PRICE.get());
}

#[tokio::test]
async fn each_price_has_a_session_of_its_own_and_keeps_it() {
    let (merchant, request) = operated().await;
    let customer = trusting();
    let book = customer.book();
    customer.payer.pay(&book, &request).await.unwrap();
    let dearer = merchant.listen_as_operator(Amount::new(2 * PRICE.get())).await;
    // The same server, as the payer sees it: the session that it has is for another price.
    let mut channel = book.channels()[0].clone();
    channel.origin = dearer.origin().ascii_serialization();
    channel.url = dearer.to_string();
    book.put(channel).unwrap();

    for _ in 0..2 {
        let reply = customer.payer.pay(&book, &Request::get(dearer.clone())).await.unwrap();
        assert_eq!(reply.payment.unwrap().charged, Amount::new(2 * PRICE.get()));
    }

    assert_eq!(merchant.channels().await, 2, "one for each price");
    assert_eq!(merchant.charged().await, 5 * PRICE.get());
}
