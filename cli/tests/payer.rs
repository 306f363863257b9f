//! The paying client against a real gateway: reuse, crashes, lost answers, limits.

mod support;

use std::sync::atomic::Ordering;

use support::gateway::{Customer, Merchant, PRICE, is_private};
use toll_client::{ChannelStage, Unanswered};
use toll_client::{PayError, Request};
use toll_ledger::Sponsor;
use toll_protocol::Amount;

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
    assert_eq!(document["version"], 2);
    assert_eq!(document["channels"][0]["signed"], "1000");
    let secret = serde_json::to_string(&customer.key.to_bytes().to_vec()).unwrap();
    assert!(!text.contains(&secret[1..60]), "the key is in the state file");
}

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
    let (merchant, toll) = (Merchant::start().await, support::Toll::with_key());
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
    let signer = |toll: &support::Toll| {
        let channel = toll.channels()[0].clone();
        (channel["authorizedSigner"] == channel["payer"], channel["authorizedSigner"].is_string())
    };
    assert_eq!(signer(&toll), (false, true));
    let asked = support::Toll::with_key();
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
async fn a_deposit_that_runs_short_is_topped_up_on_the_way() {
    let (merchant, customer) = (
        Merchant::start().await,
        Customer::with(|policy| {
            policy.deposit = Some(Amount::new(2_000));
        }),
    );
    let book = customer.book();
    let mut topped_up = Vec::new();
    for _ in 0..5 {
        let reply = customer.payer.pay(&book, &merchant.request()).await.unwrap();
        topped_up.push(reply.payment.unwrap().topped_up.get());
    }
    assert_eq!(topped_up, [0, 0, 2_000, 0, 2_000]);
    assert_eq!(merchant.channels().await, 1);
    assert_eq!(book.channels()[0].deposit, Amount::new(6_000));
}

#[tokio::test]
async fn a_top_up_beyond_the_limit_is_not_signed() {
    let (merchant, customer) = (
        Merchant::start().await,
        Customer::with(|policy| {
            policy.deposit = Some(Amount::new(2_000));
            policy.max_deposit = Amount::new(2_500);
        }),
    );
    let book = customer.book();
    for _ in 0..2 {
        customer.payer.pay(&book, &merchant.request()).await.unwrap();
    }

    let refused = customer.payer.pay(&book, &merchant.request()).await;

    assert!(matches!(refused, Err(PayError::DepositAboveLimit { .. })), "{refused:?}");
    assert_eq!(book.channels()[0].deposit, Amount::new(2_000));
    assert_eq!(book.channels()[0].signed, Amount::new(2_000));
    assert_eq!(merchant.charged().await, 2_000);
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

/// What the sponsor of [`Merchant`] pays for, all in all.
fn willing() -> Sponsor {
    Sponsor {
        opens: true,
        top_ups: true,
        vouchers: true,
        channels_per_payer: 100,
        minimum_top_up: Amount::ZERO,
        payer_budget: 1_000_000,
        open_charge: 1_000,
        opens_per_minute: None,
        published_at: 0,
    }
}

#[tokio::test]
async fn a_channel_that_nobody_sponsors_is_opened_and_raised_by_its_payer_if_that_was_agreed_to() {
    let merchant = Merchant::start().await;
    merchant.ledger.publish_sponsor(Sponsor { opens: false, top_ups: false, ..willing() }).await.unwrap();

    let unwilling = Customer::new();
    let refused = unwilling.payer.pay(&unwilling.book(), &merchant.request()).await;
    assert!(matches!(refused, Err(PayError::Unsponsored)), "{refused:?}");
    assert!(unwilling.book().channels().is_empty());

    let customer = Customer::with(|policy| {
        policy.pay_fees = true;
        policy.deposit = Some(Amount::new(2_000));
    });
    let book = customer.book();
    for _ in 0..3 {
        customer.payer.pay(&book, &merchant.request()).await.unwrap();
    }

    let channel = &book.channels()[0];
    assert_eq!((channel.rent_payer, channel.deposit), (customer.payer.address(), Amount::new(4_000)));
    let record = merchant.ledger.channel(&channel.channel_id).await.unwrap().unwrap();
    assert_eq!(record.agreement.rent_payer, customer.payer.address());
    assert_eq!(merchant.charged().await, 3_000);
}

#[tokio::test]
async fn a_payer_whose_share_of_the_sponsor_is_used_up_goes_on_at_its_own_cost() {
    let merchant = Merchant::start().await;
    // The challenge offers a sponsor, who then does not pay for this payer.
    merchant.ledger.publish_sponsor(Sponsor { payer_budget: 0, ..willing() }).await.unwrap();

    let unwilling = Customer::new();
    let refused = unwilling.payer.pay(&unwilling.book(), &merchant.request()).await;
    assert!(matches!(refused, Err(PayError::Unsponsored)), "{refused:?}");
    let stages: Vec<_> = unwilling.book().channels().iter().map(|channel| channel.stage).collect();
    assert_eq!(stages, [ChannelStage::Abandoned]);

    let customer = Customer::with(|policy| policy.pay_fees = true);
    let book = customer.book();
    let reply = customer.payer.pay(&book, &merchant.request()).await.unwrap();

    assert!(reply.payment.unwrap().opened);
    let [abandoned, channel] = &book.channels()[..] else { panic!("{} channels", book.channels().len()) };
    assert_eq!((abandoned.stage, channel.stage), (ChannelStage::Abandoned, ChannelStage::Open));
    assert_eq!(channel.rent_payer, customer.payer.address());
}

#[tokio::test]
async fn a_top_up_that_the_sponsor_does_not_pay_for_is_made_at_the_payers_cost_if_that_was_agreed_to() {
    for pay_fees in [false, true] {
        let merchant = Merchant::start().await;
        let customer = Customer::with(|policy| {
            policy.pay_fees = pay_fees;
            policy.deposit = Some(Amount::new(1_000));
        });
        let book = customer.book();
        merchant.ledger.publish_sponsor(willing()).await.unwrap();
        customer.payer.pay(&book, &merchant.request()).await.unwrap();
        // The challenge goes on naming a sponsor, who does not pay for one as small.
        let picky = Sponsor { minimum_top_up: Amount::new(1_001), ..willing() };
        merchant.ledger.publish_sponsor(picky).await.unwrap();

        let second = customer.payer.pay(&book, &merchant.request()).await;

        let channel = &book.channels()[0];
        if pay_fees {
            assert_eq!(second.unwrap().payment.unwrap().topped_up, Amount::new(1_000));
            assert_eq!(channel.deposit, Amount::new(2_000));
        } else {
            assert!(matches!(second, Err(PayError::Unsponsored)), "{second:?}");
            assert_eq!((channel.deposit, channel.pending.is_some()), (Amount::new(1_000), false));
        }
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_what_became_of_a_channel_from_the_archive() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let toll = support::Toll::new();
    let text = support::gateway::config_text();
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

#[tokio::test]
async fn a_top_up_by_hand_raises_the_deposit_by_exactly_that() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    let id = book.channels()[0].channel_id;

    let channel = customer.payer.top_up(&book, &id, Amount::new(123)).await.unwrap();

    assert_eq!(channel.deposit, Amount::new(10_123));
    let record = merchant.ledger.channel(&id).await.unwrap().unwrap();
    assert_eq!(record.watermarks.deposit, Amount::new(10_123));
    let refused = customer.payer.top_up(&book, &id, Amount::new(10_000_000)).await;
    assert!(matches!(refused, Err(PayError::DepositAboveLimit { .. })), "{refused:?}");
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
