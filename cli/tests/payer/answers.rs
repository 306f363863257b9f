//! Answers that are lost or fail, and state that is older than what was signed: a request is charged once.

use std::sync::atomic::Ordering;

use toll_client::{PayError, Request, Unanswered};
use toll_protocol::Amount;

use crate::support::gateway::{Customer, Merchant, PRICE};

#[tokio::test]
async fn an_answer_that_is_lost_is_fetched_again_without_a_second_charge() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();

    merchant.lose_answer.store(true, Ordering::SeqCst);
    let lost = customer.payer.pay(&customer.book(), &merchant.request()).await;
    assert!(matches!(lost, Err(PayError::Unreachable { .. })), "{lost:?}");
    assert_eq!(merchant.charged().await, 2_000);

    let reply = customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();

    assert_eq!(reply.body, b"answer 1");
    assert_eq!(merchant.charged().await, 2_000);
    assert_eq!(merchant.served(), 2);
}

#[tokio::test]
async fn after_a_lost_answer_another_request_is_paid_for_on_top() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    merchant.lose_answer.store(true, Ordering::SeqCst);
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap_err();

    let other = Request::get(merchant.url.join("/other").unwrap());
    let reply = customer.payer.pay(&customer.book(), &other).await.unwrap();

    assert_eq!(reply.body, b"answer 2");
    assert_eq!(merchant.charged().await, 3_000);
    let book = customer.book();
    assert_eq!(book.channels()[0].signed, Amount::new(3_000));
}

#[tokio::test]
async fn a_request_that_failed_after_it_was_charged_is_repeated_free_until_it_is_answered() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();

    merchant.fail.store(2, Ordering::SeqCst);
    for _ in 0..2 {
        let failed = customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
        assert_eq!(failed.status, 500);
        assert_eq!(merchant.charged().await, 2_000);
        assert_eq!(customer.book().channels()[0].signed, Amount::new(2_000));
    }
    let reply = customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();

    assert_eq!((reply.status.as_u16(), merchant.charged().await), (200, 2_000));
    assert!(customer.book().channels()[0].unanswered.is_empty());
    // Answered is answered: the next one is another.
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    assert_eq!(merchant.charged().await, 3_000);
}

#[tokio::test]
async fn requests_in_between_do_not_cost_a_failed_one_its_free_repeat() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let other = Request::get(merchant.url.join("/other").unwrap());
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    merchant.fail.store(1, Ordering::SeqCst);
    let failed = customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    assert_eq!(failed.status, 500);

    for _ in 0..2 {
        let reply = customer.payer.pay(&customer.book(), &other).await.unwrap();
        assert_eq!(reply.payment.unwrap().charged, PRICE);
    }
    assert_eq!(merchant.charged().await, 4_000);
    assert_eq!(customer.book().channels()[0].unanswered.len(), 1);

    let reply = customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(merchant.charged().await, 4_000);
    assert!(customer.book().channels()[0].unanswered.is_empty());
}

#[tokio::test]
async fn an_unanswered_request_that_is_given_up_is_paid_for_anew() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    merchant.fail.store(1, Ordering::SeqCst);
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();

    let book = customer.book();
    assert!(customer.payer.give_up(&book, &merchant.request()).unwrap());
    assert!(!customer.payer.give_up(&book, &merchant.request()).unwrap());
    customer.payer.pay(&book, &merchant.request()).await.unwrap();

    assert_eq!(merchant.charged().await, 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_repeats_a_failed_request_free_and_pays_again_when_told_to() {
    let (merchant, toll) = (Merchant::start().await, crate::support::Toll::with_key());
    let url = merchant.url.to_string();
    let pay = ["pay", &url, "--no-balance-check"];

    merchant.fail.store(1, Ordering::SeqCst);
    let failed = toll.run_beside(&pay).await;
    failed.fails_with(toll_cli::Exit::Refused.code(), &["500", "pays nothing more"]);
    toll.run_beside(&pay).await.succeeds();
    assert_eq!(merchant.charged().await, 1_000);

    merchant.fail.store(1, Ordering::SeqCst);
    assert_ne!(toll.run_beside(&pay).await.code, 0);
    toll.run_beside(&[&pay[..], &["--pay-again"]].concat()).await.succeeds();
    assert_eq!(merchant.charged().await, 3_000);
    // It is the channel's own key that signed, and the payer's where that was asked for.
    let signer = |toll: &crate::support::Toll| {
        let channel = toll.channels()[0].clone();
        (channel["authorizedSigner"] == channel["payer"], channel["authorizedSigner"].is_string())
    };
    assert_eq!(signer(&toll), (false, true));
    let asked = crate::support::Toll::with_key();
    asked.run_beside(&[&pay[..], &["--sign-with-payer-key"]].concat()).await.succeeds();
    assert_eq!(signer(&asked), (true, true));
}

#[tokio::test]
async fn a_voucher_that_never_arrived_pays_for_the_next_request_instead() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    merchant.refuse_connections.store(true, Ordering::SeqCst);
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap_err();
    assert_eq!(customer.book().channels()[0].unanswered.len(), 1);
    merchant.refuse_connections.store(false, Ordering::SeqCst);

    let other = Request::get(merchant.url.join("/other").unwrap());
    customer.payer.pay(&customer.book(), &other).await.unwrap();

    // The server cannot have charged for it before, and cannot charge for it any more.
    let book = customer.book();
    assert_eq!(book.channels()[0].signed, Amount::new(2_000));
    assert!(book.channels()[0].unanswered.is_empty());
    drop(book);
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    assert_eq!(merchant.charged().await, 3_000);
}

#[tokio::test]
async fn an_older_state_file_keeps_its_unanswered_voucher() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    merchant.lose_answer.store(true, Ordering::SeqCst);
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap_err();
    // What version 1 wrote at this point.
    let text = std::fs::read_to_string(customer.state()).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    document["version"] = 1.into();
    let channel = document["channels"][0].as_object_mut().unwrap();
    let voucher = channel.remove("unanswered").unwrap()[0].take();
    channel.insert(
        "pending".into(),
        serde_json::json!({
            "kind": "voucher",
            "cumulative": voucher["cumulative"],
            "fingerprint": voucher["fingerprint"],
            "idempotencyKey": voucher["idempotencyKey"],
        }),
    );
    std::fs::write(customer.state(), document.to_string()).unwrap();

    let reply = customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();

    assert_eq!(reply.body, b"answer 1");
    assert_eq!(merchant.charged().await, 2_000);
}

#[tokio::test]
async fn a_crash_between_signing_and_sending_spends_nothing_twice() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    // What the file holds when the process dies after `put` and before the request leaves.
    let book = customer.book();
    let mut channel = book.channels()[0].clone();
    channel.signed = Amount::new(2_000);
    channel.unanswered.push(Unanswered {
        cumulative: Amount::new(2_000),
        base: Amount::new(1_000),
        fingerprint: merchant.request().fingerprint(),
        idempotency_key: "k".into(),
        challenge: channel.challenge.clone(),
        signed_at: 2_000_000_000,
    });
    book.put(channel).unwrap();
    drop(book);

    let reply = customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();

    assert_eq!(reply.payment.unwrap().charged, PRICE);
    assert_eq!(customer.book().channels()[0].signed, Amount::new(2_000));
    assert_eq!(merchant.charged().await, 2_000);
}

#[tokio::test]
async fn a_state_file_that_fell_behind_catches_up_with_the_servers_figures() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    for _ in 0..3 {
        customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    }
    // The last answers were never written: signed is known, accepted is not.
    let book = customer.book();
    let mut channel = book.channels()[0].clone();
    channel.accepted = Amount::new(1_000);
    channel.spent = Amount::new(1_000);
    book.put(channel).unwrap();
    drop(book);

    let other = Request::get(merchant.url.join("/other").unwrap());
    let reply = customer.payer.pay(&customer.book(), &other).await.unwrap();

    assert_eq!(reply.body, b"answer 3");
    assert_eq!(merchant.charged().await, 4_000);
    assert_eq!(customer.book().channels()[0].signed, Amount::new(4_000));
}

#[tokio::test]
async fn a_server_that_claims_more_than_was_signed_is_not_believed() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    for _ in 0..3 {
        customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();
    }
    // A payer that signed 1000 only, facing a server that says 3000.
    let book = customer.book();
    let mut channel = book.channels()[0].clone();
    (channel.accepted, channel.spent, channel.signed) = (Amount::ZERO, Amount::ZERO, Amount::new(1_000));
    book.put(channel).unwrap();
    drop(book);

    let other = Request::get(merchant.url.join("/other").unwrap());
    let refused = customer.payer.pay(&customer.book(), &other).await;

    assert!(matches!(refused, Err(PayError::Dishonest(_))), "{refused:?}");
    assert_eq!(customer.book().channels()[0].signed, Amount::new(1_000));
    assert_eq!(merchant.charged().await, 3_000);
}

#[tokio::test]
async fn an_open_whose_answer_is_lost_is_not_made_twice() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    // The plain request and the open are two exchanges; lose the second answer.
    let (book, request) = (customer.book(), merchant.request());
    let first = customer.payer.pay(&book, &request);
    let lose = async {
        while merchant.channels().await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        merchant.lose_answer.store(true, Ordering::SeqCst);
    };
    let (first, ()) = tokio::join!(first, lose);
    assert!(first.is_err());
    drop(book);

    let reply = customer.payer.pay(&customer.book(), &merchant.request()).await.unwrap();

    assert!(reply.payment.is_some());
    assert_eq!(merchant.channels().await, 1);
    assert_eq!(customer.book().channels().len(), 1);
}

#[tokio::test]
async fn the_answer_to_a_voucher_that_the_chain_shows_is_asked_for_with_a_higher_one_at_no_charge() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    merchant.lose_answer.store(true, Ordering::SeqCst);
    customer.payer.pay(&book, &merchant.request()).await.unwrap_err();
    let id = book.channels()[0].channel_id;
    merchant.settle(&id, Amount::new(2_000)).await;

    let reply = customer.payer.pay(&book, &merchant.request()).await.unwrap();

    assert_eq!(reply.body, b"answer 1");
    assert_eq!((merchant.served(), merchant.charged().await), (2, 2_000));
    let channel = book.channel(&id).unwrap();
    assert_eq!((channel.signed, channel.unanswered.len()), (Amount::new(2_001), 0));
    // The next request is paid for as ever.
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    assert_eq!(merchant.charged().await, 3_000);
}
