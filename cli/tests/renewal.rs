//! Payers that come back to a channel whose last session is over.

mod support;

use std::time::Duration;

use support::gateway::{Customer, Merchant, PRICE};
use toll_client::{PayError, Request};
use toll_ledger::{Renewal, RenewalRequested};
use toll_protocol::{Amount, ChannelId};

const ALWAYS: Renewal = Renewal { returning: false, worth: Amount::ZERO, can_rearm: true };

/// A merchant and a customer with one paid request on one channel.
async fn paid(customer: &Customer) -> (Merchant, ChannelId) {
    let merchant = Merchant::start().await;
    let reply = customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    (merchant, reply.payment.unwrap().channel)
}

async fn end_session(merchant: &Merchant, id: &ChannelId) {
    let requested = merchant.ledger.request_renewal(id, ALWAYS, i64::MAX).await.unwrap();
    assert_eq!(requested, RenewalRequested::Recorded);
}

#[tokio::test]
async fn a_payer_that_comes_back_while_its_session_is_settled_waits_and_opens_no_second_channel() {
    let customer = Customer::new();
    let (merchant, id) = paid(&customer).await;
    end_session(&merchant, &id).await;
    let (book, request) = (customer.book(), merchant.request());

    let (reply, ()) = tokio::join!(customer.payer.pay(&book, &request), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        merchant.rearm(&id).await;
    });

    let payment = reply.unwrap().payment.unwrap();
    assert_eq!((payment.channel, payment.opened), (id, false));
    assert_eq!((payment.charged, payment.topped_up), (PRICE, Amount::new(10_000)));
    assert_eq!((merchant.channels().await, merchant.charged().await), (1, 2_000));
    let record = merchant.ledger.channel(&id).await.unwrap().unwrap();
    assert_eq!(record.watermarks.deposit, Amount::new(11_000), "what was refunded, and the top-up");
}

#[tokio::test]
async fn what_was_refunded_counts_against_the_limit_as_long_as_only_the_server_says_so() {
    let customer = Customer::with(|policy| policy.max_deposit = Amount::new(12_000));
    let (merchant, id) = paid(&customer).await;
    let (book, request) = (customer.book(), merchant.request());

    // Of 10000 that were deposited, 2000 are signed: room for 4000.
    end_session(&merchant, &id).await;
    merchant.rearm(&id).await;
    let reply = customer.payer.pay(&book, &request).await.unwrap();
    assert_eq!(reply.payment.unwrap().topped_up, Amount::new(4_000));

    // One request later, for what that costs.
    end_session(&merchant, &id).await;
    merchant.rearm(&id).await;
    let reply = customer.payer.pay(&book, &request).await.unwrap();
    assert_eq!(reply.payment.unwrap().topped_up, Amount::new(1_000));
    let channel = &book.channels()[0];
    assert!(channel.deposit.saturating_sub(channel.signed) <= Amount::new(12_000), "{channel:?}");
}

#[tokio::test]
async fn a_payer_keeps_its_deposit_where_it_wants_to_and_the_server_offers_it() {
    for (wants, offers, kept) in
        [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
    {
        let customer = Customer::with(|policy| policy.keep_deposit = wants);
        let merchant = Merchant::start().await;
        let url = if offers { merchant.listen_keeping_deposits().await } else { merchant.url.clone() };

        let reply = customer.payer.pay(&customer.book(), &Request::get(url)).await.unwrap();

        let id = reply.payment.unwrap().channel;
        let record = merchant.ledger.channel(&id).await.unwrap().unwrap();
        let open = merchant.ledger.submissions_of(&id).await.unwrap()[0].id;
        assert_eq!(record.kept_by, kept.then_some(open), "wants: {wants}, offers: {offers}");
    }
}

#[tokio::test]
async fn the_next_top_up_says_what_becomes_of_the_deposit_from_now_on() {
    let keeping = Customer::with(|policy| policy.keep_deposit = true);
    let merchant = Merchant::start().await;
    let request = Request::get(merchant.listen_keeping_deposits().await);
    let book = keeping.book();
    let id = keeping.payer.pay(&book, &request).await.unwrap().payment.unwrap().channel;
    assert!(merchant.ledger.channel(&id).await.unwrap().unwrap().kept_by.is_some());

    let policy = toll_client::Policy { keep_deposit: false, ..keeping.payer.policy().clone() };
    let refunding = toll_client::Payer::new(keeping.key.insecure_clone(), policy, None).unwrap();
    refunding.top_up(&book, &id, Amount::new(5_000)).await.unwrap();

    assert_eq!(merchant.ledger.channel(&id).await.unwrap().unwrap().kept_by, None);
}

#[tokio::test]
async fn a_price_above_the_limit_of_a_deposit_is_not_topped_up_for() {
    let customer = Customer::with(|policy| {
        policy.deposit = None;
        policy.max_deposit = Amount::new(2_000);
    });
    let merchant = Merchant::start().await;
    let (book, request) = (customer.book(), merchant.request());
    for _ in 0..5 {
        customer.payer.pay(&book, &request).await.unwrap();
    }
    let channel = book.channels()[0].clone();
    assert_eq!(channel.deposit, Amount::new(6_000), "two requests' worth at a time");
    let dear = merchant.listen(Amount::new(3_001)).await;
    let mut moved = channel.clone();
    moved.origin = dear.origin().ascii_serialization();
    book.put(moved).unwrap();
    let refused = customer.payer.pay(&book, &Request::get(dear)).await;
    assert!(matches!(refused, Err(PayError::DepositAboveLimit { .. })), "{refused:?}");
    assert_eq!(book.channels()[0].deposit, Amount::new(6_000));
}
