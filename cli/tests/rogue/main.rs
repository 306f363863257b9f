//! `toll pay` against a server that wants more than it was promised.

mod refunding;
mod settling;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use support::gateway::Customer;
use support::rogue::{Loot, Rogue, ask, receipt, refuse};
use support::{Toll, acceptable};
use toll_cli::Exit;
use toll_client::ChannelStage;
use toll_client::{PayError, Policy, Request};
use toll_protocol::{Action, Amount, Problem, ProblemType, SessionRequest};

const PRICE: u64 = 1_000;

/// A payer that agrees to [`PRICE`] per request and not a unit more.
fn customer() -> Customer {
    Customer::with(|policy: &mut Policy| policy.max_amount = Amount::new(PRICE))
}

/// Takes every open; answers everything else with `answer`.
async fn rogue(answer: impl Fn(&Action, &Loot) -> Response + Clone + Send + Sync + 'static) -> Rogue {
    Rogue::start(acceptable(), move |action, loot| match action {
        Action::Open(open) => receipt(open.channel_id, 0, None),
        _ => answer(action, loot),
    })
    .await
}

#[tokio::test]
async fn a_server_that_accepts_and_asks_again_collects_one_price_per_request() {
    // "I have that one, now sign the next": each is above the last accepted, and none is served.
    let rogue =
        rogue(|_, loot| refuse(&acceptable(), "not-increasing", *loot.vouchers.last().unwrap())).await;
    let customer = customer();

    let ended = customer.payer.pay(&customer.book(), &Request::get(rogue.url.clone())).await;

    assert!(matches!(ended, Err(PayError::Dishonest(_))), "{ended:?}");
    assert_eq!(rogue.loot().vouchers, [PRICE]);
    assert_eq!(customer.book().channels()[0].signed, Amount::new(PRICE));
}

#[tokio::test]
async fn a_server_that_asks_again_collects_one_price_however_much_more_would_be_allowed() {
    // Each of them is within `--max-amount`, which is a thousand times the price.
    type Ask = fn(&Loot) -> Response;
    let same_price: Ask = |loot| refuse(&acceptable(), "not-increasing", *loot.vouchers.last().unwrap());
    let higher_price: Ask = |loot| {
        let mut dearer = acceptable();
        dearer.amount = Amount::new(PRICE * (1 + loot.vouchers.len() as u64));
        refuse(&dearer, "insufficient", 0)
    };
    let both: Ask = |loot| {
        let mut dearer = acceptable();
        dearer.amount = Amount::new(PRICE * (1 + loot.vouchers.len() as u64));
        refuse(&dearer, "not-increasing", *loot.vouchers.last().unwrap())
    };
    for ask in [same_price, higher_price, both] {
        let rogue = rogue(move |_, loot| ask(loot)).await;
        let customer = Customer::new();
        assert_eq!(customer.payer.policy().max_amount, Amount::new(1_000 * PRICE));

        let ended = customer.payer.pay(&customer.book(), &Request::get(rogue.url.clone())).await;

        assert!(matches!(ended, Err(PayError::Dishonest(_) | PayError::PriceRaised { .. })), "{ended:?}");
        assert_eq!(rogue.loot().vouchers, [PRICE]);
        assert_eq!(customer.book().channels()[0].signed, Amount::new(PRICE));
    }
}

#[tokio::test]
async fn a_server_that_asks_again_on_an_open_channel_collects_one_price_as_well() {
    // The first request is served; from the second on it asks for more, each time for more than before.
    let rogue = rogue(|action, loot| match (action, loot.vouchers.len()) {
        (Action::Voucher(voucher), 1) => receipt(voucher.channel_id, PRICE, None),
        (_, asked) => {
            let mut dearer = acceptable();
            dearer.amount = Amount::new(PRICE * asked as u64);
            refuse(&dearer, "insufficient", PRICE)
        }
    })
    .await;
    let customer = Customer::new();
    let request = Request::get(rogue.url.clone());
    customer.payer.pay(&customer.book(), &request).await.unwrap();

    let ended = customer.payer.pay(&customer.book(), &request).await;

    // One at the old price, one at the first that was asked for this request, and none at the next.
    assert!(matches!(ended, Err(PayError::PriceRaised { .. })), "{ended:?}");
    assert_eq!(rogue.loot().vouchers, [PRICE, 2 * PRICE, 3 * PRICE]);
    // Trying again does not sign a second price on top.
    let ended = customer.payer.pay(&customer.book(), &request).await;
    assert!(ended.is_err(), "{ended:?}");
    assert!(customer.book().channels()[0].signed <= Amount::new(PRICE + 5 * PRICE), "{:?}", rogue.loot());
}

#[tokio::test]
async fn a_server_that_calls_a_voucher_settled_gets_one_base_unit_more_and_no_second() {
    let rogue = rogue(|_, loot| match loot.vouchers.len() {
        1 => Response::builder().status(500).body(Body::empty()).unwrap(),
        _ => refuse(&acceptable(), "voucher-published", *loot.vouchers.last().unwrap()),
    })
    .await;
    let customer = customer();
    let request = Request::get(rogue.url.clone());
    customer.payer.pay(&customer.book(), &request).await.unwrap();

    let ended = customer.payer.pay(&customer.book(), &request).await;

    assert!(matches!(ended, Err(PayError::AnswerLost)), "{ended:?}");
    assert_eq!(rogue.loot().vouchers, [PRICE, PRICE, PRICE + 1]);
    assert_eq!(customer.book().channels()[0].signed, Amount::new(PRICE + 1));
}

#[tokio::test]
async fn a_server_that_closes_what_it_just_opened_gets_one_deposit() {
    let rogue = rogue(|_, _| refuse(&acceptable(), "channel-closed", 0)).await;
    let customer = customer();

    let ended = customer.payer.pay(&customer.book(), &Request::get(rogue.url.clone())).await;

    assert!(matches!(ended, Err(PayError::ClosedAtOnce)), "{ended:?}");
    assert_eq!(rogue.loot().deposits.len(), 1);
}

#[tokio::test]
async fn a_deposit_that_was_called_refused_stays_on_record() {
    for code in ["open-mismatch", "blockhash-expired"] {
        let rogue = Rogue::start(acceptable(), move |_, _| refuse(&acceptable(), code, 0)).await;
        let customer = customer();

        customer.payer.pay(&customer.book(), &Request::get(rogue.url.clone())).await.unwrap_err();

        // Its address has a random salt in it: without the record, a deposit that landed could not be found.
        let book = customer.book();
        let kept: Vec<_> =
            book.channels().iter().map(|channel| (channel.channel_id, channel.deposit)).collect();
        assert_eq!(kept, rogue.loot().deposits, "{code}");
        assert!(book.channels().iter().all(|channel| channel.stage == ChannelStage::Abandoned), "{code}");
    }
}

#[tokio::test]
async fn a_price_raised_above_the_limit_in_mid_session_is_not_signed() {
    let mut dearer = acceptable();
    dearer.amount = Amount::new(PRICE + 1);
    let rogue = rogue(move |_, _| refuse(&dearer, "insufficient", 0)).await;
    let customer = customer();

    let ended = customer.payer.pay(&customer.book(), &Request::get(rogue.url.clone())).await;

    assert!(matches!(ended, Err(PayError::PriceAboveLimit { .. })), "{ended:?}");
    assert_eq!(rogue.loot().vouchers, [PRICE]);
}

#[tokio::test]
async fn a_later_challenge_for_another_relation_is_not_taken() {
    type Change = fn(&mut SessionRequest);
    let changes: [Change; 3] = [
        |request| request.recipient = [9; 32].into(),
        |request| request.currency = [9; 32].into(),
        |request| request.method_details.channel_program = [9; 32].into(),
    ];
    for change in changes {
        let mut other = acceptable();
        other.amount = Amount::new(PRICE - 1);
        change(&mut other);
        let rogue = rogue(move |_, _| refuse(&other, "insufficient", 0)).await;
        let customer = customer();

        let ended = customer.payer.pay(&customer.book(), &Request::get(rogue.url.clone())).await;

        assert!(matches!(ended, Err(PayError::Malformed(_) | PayError::UnknownProgram { .. })), "{ended:?}");
        assert_eq!(rogue.loot().vouchers, [PRICE]);
    }
}

#[tokio::test]
async fn a_receipt_for_more_than_was_signed_or_for_another_channel_is_not_believed() {
    for elsewhere in [false, true] {
        let rogue = rogue(move |action, _| match action {
            Action::Voucher(voucher) if !elsewhere => receipt(voucher.channel_id, PRICE + 1, None),
            _ => receipt(solana_pubkey::Pubkey::new_from_array([9; 32]).into(), PRICE, None),
        })
        .await;
        let customer = customer();

        let ended = customer.payer.pay(&customer.book(), &Request::get(rogue.url.clone())).await;

        assert!(matches!(ended, Err(PayError::Dishonest(_))), "{ended:?}");
        assert_eq!(customer.book().channels()[0].accepted, Amount::ZERO);
    }
}

#[tokio::test]
async fn a_close_that_keeps_a_part_of_the_refund_is_not_believed() {
    let rogue = rogue(|action, _| match action {
        Action::Close(close) => receipt(close.channel_id, PRICE, Some(8_999)),
        Action::Voucher(voucher) => receipt(voucher.channel_id, PRICE, None),
        _ => unreachable!(),
    })
    .await;
    let (customer, request) = (customer(), Request::get(rogue.url.clone()));
    let book = customer.book();
    customer.payer.pay(&book, &request).await.unwrap();
    let id = book.channels()[0].channel_id;

    let ended = customer.payer.close(&book, &id).await;

    assert!(matches!(ended, Err(PayError::Dishonest(_))), "{ended:?}");
    assert_eq!(book.channel(&id).unwrap().stage, ChannelStage::Closing);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_and_its_voucher_stays_on_record() {
    let rogue = rogue(|_, _| Response::new(Body::from(vec![0; 4_097]))).await;
    let customer = Customer::with(|policy: &mut Policy| policy.max_body = 4_096);

    let ended = customer.payer.pay(&customer.book(), &Request::get(rogue.url.clone())).await;

    assert!(matches!(ended, Err(PayError::TooLarge { limit: 4_096, .. })), "{ended:?}");
    assert_eq!(customer.book().channels()[0].unanswered.len(), 1);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_on_and_can_be_left_without_it() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let rogue = rogue(|action, _| match action {
        Action::Voucher(voucher) => receipt(voucher.channel_id, PRICE, None),
        _ => unreachable!(),
    })
    .await;
    let toll = Toll::with_key();
    toll.run_beside(&["pay", rogue.url.as_str(), "--no-balance-check"]).await.succeeds();
    let id = toll.channels()[0]["channelId"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(toll.state()).unwrap();
    let origin = format!("127.0.0.1:{}", rogue.url.port().unwrap());
    std::fs::write(toll.state(), text.replace(&origin, &silent.local_addr().unwrap().to_string())).unwrap();

    let ended = toll.run_beside(&["close", &id, "--no-balance-check", "--timeout", "1"]).await;

    ended.fails_with(Exit::Network.code(), &["cannot be reached", "toll request-close"]);
}

#[tokio::test]
async fn a_server_that_is_always_busy_is_given_up_on() {
    let rogue =
        rogue(|_, _| Response::builder().status(503).header("retry-after", "0").body(Body::empty()).unwrap())
            .await;
    let customer = customer();

    let paying = async { customer.payer.pay(&customer.book(), &Request::get(rogue.url.clone())).await };
    let ended = tokio::time::timeout(Duration::from_secs(20), paying).await.unwrap();

    assert!(matches!(ended, Err(PayError::Refused { status: 503, .. })), "{ended:?}");
    let vouchers = rogue.loot().vouchers;
    assert!(vouchers.iter().all(|amount| *amount == PRICE), "{vouchers:?}");
}

#[tokio::test]
async fn plain_http_beyond_this_machine_is_paid_only_when_allowed() {
    let rogue = rogue(|action, _| match action {
        Action::Voucher(voucher) => receipt(voucher.channel_id, PRICE, None),
        _ => unreachable!(),
    })
    .await;
    // An address that leads here without being one of this machine's names.
    let mut url = rogue.url.clone();
    url.set_host(Some("0.0.0.0")).unwrap();

    let careful = customer();
    let ended = careful.payer.pay(&careful.book(), &Request::get(url.clone())).await;
    assert!(matches!(ended, Err(PayError::Cleartext { .. })), "{ended:?}");
    assert!(rogue.loot().deposits.is_empty());
    assert!(careful.book().channels().is_empty());

    let careless = Customer::with(|policy: &mut Policy| policy.allow_http = true);
    careless.payer.pay(&careless.book(), &Request::get(url)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_of_other_decimals_than_the_limits_were_meant_for_is_refused() {
    // `--max-amount 1.0` is a million base units: ten thousand tokens of a mint with two decimals.
    let mut request = acceptable();
    request.amount = Amount::new(1_000_000);
    request.method_details.decimals = 2;
    let rogue = Rogue::start(request, |_, _| unreachable!()).await;
    let toll = Toll::with_key();

    let ended = toll.run_beside(&["pay", rogue.url.as_str(), "--no-balance-check"]).await;

    ended.fails_with(Exit::AboveLimit.code(), &["2 decimals", "given for 6", "--decimals"]);
    assert!(rogue.loot().deposits.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_public_network_only_usdc_is_paid_unless_another_mint_is_named() {
    let mut request = acceptable();
    request.method_details.network = toll_protocol::Network::Mainnet;
    let (mint, program) = (request.currency.to_string(), toll_protocol::PROGRAM_ID.to_string());
    let rogue = Rogue::start(request, |_, _| refuse(&acceptable(), "open-mismatch", 0)).await;
    let toll = Toll::with_key();
    let pay =
        ["pay", rogue.url.as_str(), "--no-balance-check", "--network", "mainnet", "--program", &program];

    let ended = toll.run_beside(&pay).await;
    ended.fails_with(Exit::AboveLimit.code(), &[&mint, "EPjFWdd5", "--mint"]);
    assert!(rogue.loot().deposits.is_empty());

    let ended = toll.run_beside(&[&pay[..], &["--mint", &mint]].concat()).await;
    ended.fails_with(Exit::Refused.code(), &["open-mismatch"]);
    assert_eq!(rogue.loot().deposits.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_cannot_steer_the_terminal() {
    let rogue = rogue(|_, _| {
        let detail = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}1A\r\nerror: all is well\u{202e}";
        ask(&acceptable(), Problem::new(ProblemType::VerificationFailed, 402, detail).code("\u{1b}[31m"))
    })
    .await;

    let ended = Toll::with_key().run_beside(&["pay", rogue.url.as_str(), "--no-balance-check"]).await;

    ended.fails_with(Exit::Refused.code(), &["all is well"]);
    let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!ended.stderr.contains(steers), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_shown_and_not_followed() {
    let rogue = rogue(|_, _| {
        Response::builder()
            .status(302)
            .header("location", "http://elsewhere.test/")
            .body(Body::empty())
            .unwrap()
    })
    .await;

    let ended = Toll::with_key().run_beside(&["pay", rogue.url.as_str(), "--no-balance-check"]).await;

    ended.fails_with(Exit::Refused.code(), &["302", "http://elsewhere.test/", "not followed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shares_a_channel_pays_are_shown() {
    let mut request = acceptable();
    let share = toll_protocol::Split { recipient: [9; 32].into(), share_bps: 250 };
    request.method_details.splits = toll_protocol::Splits::new(vec![share]).unwrap();
    let rogue = Rogue::start(request, |action, _| match action {
        Action::Open(open) => receipt(open.channel_id, 0, None),
        Action::Voucher(voucher) => receipt(voucher.channel_id, PRICE, None),
        _ => unreachable!(),
    })
    .await;
    let toll = Toll::with_key();
    toll.run_beside(&["pay", rogue.url.as_str(), "--no-balance-check"]).await.succeeds();

    let listed = toll.run(&["--json", "channels"]).succeeds().json();

    assert_eq!(listed["channels"][0]["splits"][0]["shareBps"], 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_however_verbose() {
    let rogue = rogue(|action, _| match action {
        Action::Voucher(voucher) => receipt(voucher.channel_id, PRICE, None),
        _ => unreachable!(),
    })
    .await;
    let toll = Toll::with_key();

    let ended = toll.run_beside(&["-vvv", "pay", rogue.url.as_str(), "--no-balance-check"]).await;

    ended.succeeds();
    assert!(ended.stderr.contains("TRACE"), "nothing was logged");
    let key = std::fs::read_to_string(toll.home.path().join(".config/toll/id.json")).unwrap();
    let key = toll_protocol::base64url_encode(serde_json::from_str::<Vec<u8>>(&key).unwrap());
    for secret in [&key[..20], "eyJjaGFsbGVuZ2UiOn"] {
        // The second is how every credential begins.
        assert!(!ended.stderr.contains(secret), "{secret}");
    }
}
