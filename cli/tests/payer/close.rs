//! How channels end, and how they are left by a payer or found by an operator afterwards.

use std::sync::atomic::Ordering;

use toll_client::{ChannelStage, PayError, Request};
use toll_protocol::Amount;

use crate::support::gateway::{Customer, Merchant, PRICE};

#[tokio::test]
async fn a_channel_the_server_closes_is_replaced_by_a_new_one() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    let first = book.channels()[0].channel_id;
    merchant.ledger.request_close(&first, toll_ledger::CloseReason::Shutdown, None).await.unwrap();

    // It has a voucher for the request, and there is no chain to ask whether it redeemed that.
    let doubtful = customer.payer.pay(&book, &merchant.request()).await;
    assert!(matches!(doubtful, Err(PayError::MaybeRedeemed { .. })), "{doubtful:?}");
    assert_eq!(merchant.channels().await, 1);
    assert!(customer.payer.give_up(&book, &merchant.request()).unwrap());
    let reply = customer.payer.pay(&book, &merchant.request()).await.unwrap();

    let payment = reply.payment.unwrap();
    assert!(payment.opened);
    assert_ne!(payment.channel, first);
    let stage = book.channel(&first).unwrap().stage;
    assert!(matches!(stage, ChannelStage::Closing | ChannelStage::Closed), "{stage:?}");
    assert_eq!(merchant.channels().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_what_became_of_a_channel_from_the_archive() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let toll = crate::support::Toll::new();
    let text = crate::support::gateway::config_text();
    let folder = merchant.folder.path();
    std::fs::write(folder.join("toll.toml"), text).unwrap();
    let config = folder.join("toll.toml").display().to_string();
    let archive = async |arguments: &[&str]| {
        toll.run_beside(&[&["--json", "archive", "--config", &config], arguments].concat()).await
    };
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    let id = book.channels()[0].channel_id;
    customer.payer.close(&book, &id).await.unwrap();
    archive(&[&id.to_string()]).await.fails_with(toll_cli::Exit::Ledger.code(), &["it is closed"]);
    assert_eq!(archive(&[]).await.succeeds().json()["channels"], serde_json::json!([]));

    // Its account goes, and time.
    let slot = merchant.ledger.channel(&id).await.unwrap().unwrap().observed_slot + 1;
    merchant.ledger.observe(&id, None, slot).await.unwrap();
    let now = merchant.ledger.now();
    for days in [0, 40] {
        merchant.ledger.purge(now + days * 86_400).await.unwrap();
    }

    let listed = archive(&[]).await.succeeds().json()["channels"].clone();
    let history = archive(&[&id.to_string()]).await.succeeds().json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    for (member, expected) in [
        ("channelId", id.to_string()),
        ("payer", customer.payer.address().to_string()),
        ("deposit", "10000".to_owned()),
        ("settled", "1000".to_owned()),
        ("refunded", "9000".to_owned()),
        ("closeReason", "requested".to_owned()),
    ] {
        assert_eq!((&listed[0][member], &history[member]), (&expected.clone().into(), &expected.into()));
    }
    assert_eq!(history["transactions"][0]["kind"], "open");
    assert_eq!(history["transactions"][0]["amount"], "10000");
    let told = toll.run_beside(&["archive", "--config", &config, &id.to_string()]).await;
    assert!(told.succeeds().stdout.contains("closeReason"), "{told:?}");
}

/// Moves the saved channel to another address of the same server.
fn relocate(book: &toll_client::Book, url: &reqwest::Url) {
    let mut channel = book.channels()[0].clone();
    channel.origin = url.origin().ascii_serialization();
    channel.url = url.to_string();
    book.put(channel).unwrap();
}

#[tokio::test]
async fn a_server_that_lost_its_secret_is_paid_and_closed_under_a_new_challenge() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();

    let restarted = merchant.listen_with(PRICE, [9; 32]).await;
    relocate(&book, &restarted);
    let reply = customer.payer.pay(&book, &Request::get(restarted)).await.unwrap();
    assert_eq!(reply.payment.unwrap().charged, PRICE);

    let again = merchant.listen_with(PRICE, [10; 32]).await;
    relocate(&book, &again);
    let id = book.channels()[0].channel_id;
    let receipt = customer.payer.close(&book, &id).await.unwrap();
    assert_eq!(receipt.refunded, Some(Amount::new(8_000)));
    assert_eq!(merchant.channels().await, 1);
}

#[tokio::test]
async fn a_close_pays_for_what_was_delivered_even_if_the_last_answer_was_lost() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    merchant.lose_answer.store(true, Ordering::SeqCst);
    customer.payer.pay(&book, &merchant.request()).await.unwrap_err();
    let id = book.channels()[0].channel_id;

    let receipt = customer.payer.close(&book, &id).await.unwrap();

    assert_eq!(receipt.spent, Amount::new(2_000));
    assert_eq!(receipt.refunded, Some(Amount::new(8_000)));
    assert_eq!(book.channel(&id).unwrap().stage, ChannelStage::Closed);
    // A closed channel pays for nothing more, and is not closed twice.
    let twice = customer.payer.close(&book, &id).await;
    assert!(matches!(twice, Err(PayError::NoChannel(_))), "{twice:?}");
}

#[tokio::test]
async fn a_close_below_what_was_delivered_is_corrected_not_insisted_on() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    let mut channel = book.channels()[0].clone();
    assert_eq!(channel.accepted, PRICE);
    channel.accepted = Amount::ZERO;
    let id = channel.channel_id;
    book.put(channel).unwrap();

    // A cumulative amount below what was delivered is refused; the payer learns and signs the right one.
    let receipt = customer.payer.close(&book, &id).await.unwrap();

    assert_eq!(receipt.spent, PRICE);
}

#[tokio::test]
async fn a_close_is_asked_for_by_what_the_chain_does_not_show() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    let id = book.channels()[0].channel_id;
    merchant.settle(&id, PRICE).await;

    // Anybody could have read the last voucher: the payer signs one base unit more.
    let receipt = customer.payer.close(&book, &id).await.unwrap();

    assert_eq!(receipt.spent.get(), PRICE.get() + 1);
    assert_eq!(book.channel(&id).unwrap().stage, ChannelStage::Closed);
}
