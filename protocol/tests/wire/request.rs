use serde_json::{Value, json};
use toll_protocol::*;

use crate::sample::*;

const DETAILS: &[&str] = &["methodDetails"];

/// The refusal of a valid request after `change`.
fn refused(mut request: Value, change: impl FnOnce(&mut Value)) -> RequestError {
    change(&mut request);
    SessionRequest::from_json(&request).expect_err("the request is refused")
}

fn new() -> Value {
    request().to_json()
}

fn resume() -> Value {
    resume_request().to_json()
}

#[test]
fn new_channel_request_reads_back() {
    assert_eq!(SessionRequest::from_json(&new()), Ok(request()));
}

#[test]
fn resume_request_reads_back() {
    assert_eq!(SessionRequest::from_json(&resume()), Ok(resume_request()));
}

#[test]
fn operator_request_reads_back() {
    let mut request = request();
    request.method_details.voucher_signer = VoucherSigner::Operator(key(7));
    request.method_details.min_voucher_delta = Some(Amount::new(4));
    request.method_details.ttl_seconds = Some(3_600);
    request.description = Some("Wetter für Zürich ☂".to_owned());
    request.external_id = Some("order-1".to_owned());
    assert_eq!(SessionRequest::from_json(&request.to_json()), Ok(request));
}

#[test]
fn request_writes_the_drafts_members() {
    let json = new();
    assert_eq!(json["amount"], "16");
    assert_eq!(json["minimumDeposit"], "1000");
    let details = &json["methodDetails"];
    assert_eq!(details["network"], "localnet");
    assert_eq!(details["decimals"], 6);
    assert_eq!(details["feePayer"], true);
    assert_eq!(details["recentSlot"], "352114093");
    assert_eq!(details["gracePeriodSeconds"], 900);
    assert_eq!(details["idleTimeoutOptionsSeconds"], json!([30, 600, 86_400]));
    assert_eq!(details["voucherSigner"], "client");
    assert_eq!(details["distributionSplits"][1]["shareBps"], 250);
    for absent in ["channelId", "idleTimeoutSeconds", "operator"] {
        assert!(details.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn each_required_member_is_missed() {
    for member in ["amount", "currency", "recipient", "methodDetails"] {
        let error = refused(new(), |request| remove(request, member));
        assert_eq!(error, missing(&format!("request.{member}")).into());
    }
    let details = [
        "network",
        "channelProgram",
        "decimals",
        "recentBlockhash",
        "recentSlot",
        "gracePeriodSeconds",
        "feePayerKey",
    ];
    for member in details {
        let error = refused(new(), |request| remove(at(request, DETAILS), member));
        assert_eq!(error, missing(&format!("request.methodDetails.{member}")).into());
    }
    let error = refused(resume(), |request| remove(at(request, DETAILS), "idleTimeoutSeconds"));
    assert_eq!(error, missing("request.methodDetails.idleTimeoutSeconds").into());
}

#[test]
fn each_mistyped_member_is_named() {
    let wrong: [(&str, Value, &str); 6] = [
        ("amount", json!(16), "a decimal string of a u64"),
        ("amount", json!("016"), "a decimal string of a u64"),
        ("currency", json!("sol"), "the base58 of 32 bytes"),
        ("recipient", Value::Null, "the base58 of 32 bytes"),
        ("suggestedDeposit", json!("-1"), "a decimal string of a u64"),
        ("unitType", json!(1), "a string"),
    ];
    for (member, value, expected) in wrong {
        let error = refused(new(), |request| request[member] = value);
        assert_eq!(error, invalid(&format!("request.{member}"), expected).into());
    }
    let wrong: [(&str, Value, &str); 13] = [
        ("network", json!("mainnet-beta"), "mainnet, devnet or localnet"),
        ("decimals", json!(10), "an integer from 0 to 9"),
        ("decimals", json!("6"), "an integer from 0 to 255"),
        ("tokenProgram", json!(key(1).to_string()), "SPL Token or Token-2022"),
        ("feePayer", json!("true"), "true or false"),
        ("voucherSigner", json!("server"), "client or operator"),
        ("minVoucherDelta", json!(4), "a decimal string of a u64"),
        ("recentBlockhash", json!("xyz0"), "the base58 of 32 bytes"),
        ("recentSlot", json!(352_114_093), "a decimal string of a u64"),
        ("gracePeriodSeconds", json!("900"), "an integer from 0 to 4294967295"),
        ("gracePeriodSeconds", json!(0), "above zero"),
        ("channelProgram", json!(""), "the base58 of 32 bytes"),
        ("distributionSplits", json!({}), "an array"),
    ];
    for (member, value, expected) in wrong {
        let error = refused(new(), |request| at(request, DETAILS)[member] = value);
        assert_eq!(error, invalid(&format!("request.methodDetails.{member}"), expected).into());
    }
}

#[test]
fn price_of_zero_is_refused() {
    let error = refused(new(), |request| request["amount"] = "0".into());
    assert_eq!(error, invalid("request.amount", "above zero").into());
}

#[test]
fn idle_timeout_options_rise_strictly_within_thirty_days() {
    let options = |options: Value| {
        let mut request = new();
        at(&mut request, DETAILS)["idleTimeoutOptionsSeconds"] = options;
        SessionRequest::from_json(&request)
    };
    assert!(options(json!([1, MAX_IDLE_TIMEOUT])).is_ok());
    let expected = "strictly rising integers from 1 to 2592000";
    let error = RequestError::from(invalid("request.methodDetails.idleTimeoutOptionsSeconds", expected));
    for wrong in [
        json!([]),
        json!([0]),
        json!([MAX_IDLE_TIMEOUT + 1]),
        json!([30, 30]),
        json!([600, 30]),
        json!(["30"]),
    ] {
        assert_eq!(options(wrong.clone()), Err(error.clone()), "{wrong}");
    }
}

#[test]
fn idle_timeout_in_force_is_within_thirty_days() {
    for (seconds, accepted) in
        [(0, false), (1, true), (MAX_IDLE_TIMEOUT, true), (MAX_IDLE_TIMEOUT + 1, false)]
    {
        let mut request = resume();
        at(&mut request, DETAILS)["idleTimeoutSeconds"] = seconds.into();
        let error = invalid("request.methodDetails.idleTimeoutSeconds", "an integer from 1 to 2592000");
        let read = SessionRequest::from_json(&request).map(|_| ());
        assert_eq!(read, if accepted { Ok(()) } else { Err(error.into()) }, "{seconds}");
    }
}

#[test]
fn members_of_the_other_kind_of_challenge_are_refused() {
    let error = refused(new(), |request| at(request, DETAILS)["idleTimeoutSeconds"] = 30.into());
    assert_eq!(error, RequestError::Misplaced { member: "idleTimeoutSeconds", kind: "a new channel" });
    let details = new()["methodDetails"].clone();
    for member in ["recentBlockhash", "recentSlot", "idleTimeoutOptionsSeconds"] {
        let error = refused(resume(), |request| at(request, DETAILS)[member] = details[member].clone());
        assert_eq!(error, RequestError::Misplaced { member, kind: "an open channel" });
    }
}

#[test]
fn minimum_deposit_is_read_from_either_place() {
    let mut request = new();
    remove(&mut request, "minimumDeposit");
    at(&mut request, DETAILS)["minimumDeposit"] = "7".into();
    let read = SessionRequest::from_json(&request).expect("stated once");
    assert_eq!(read.minimum_deposit, Some(Amount::new(7)));
}

#[test]
fn two_different_minimum_deposits_are_refused() {
    let error = refused(new(), |request| at(request, DETAILS)["minimumDeposit"] = "999".into());
    let (shared, details) = (Amount::new(1_000), Amount::new(999));
    assert_eq!(error, RequestError::MinimumDeposits { shared, details });
}

#[test]
fn fee_payer_key_counts_only_with_fee_payer() {
    for fee_payer in [Some(json!(false)), None] {
        let mut request = new();
        match fee_payer {
            Some(value) => at(&mut request, DETAILS)["feePayer"] = value,
            None => remove(at(&mut request, DETAILS), "feePayer"),
        }
        let read = SessionRequest::from_json(&request).expect("an unsponsored request");
        assert_eq!(read.method_details.fee_payer_key, None);
    }
}

#[test]
fn operator_mode_needs_an_operator_and_client_mode_ignores_one() {
    let error = refused(new(), |request| at(request, DETAILS)["voucherSigner"] = "operator".into());
    assert_eq!(error, missing("request.methodDetails.operator").into());

    let mut request = new();
    at(&mut request, DETAILS)["operator"] = key(9).to_string().into();
    remove(at(&mut request, DETAILS), "voucherSigner");
    let read = SessionRequest::from_json(&request).expect("client mode is the default");
    assert_eq!(read.method_details.voucher_signer, VoucherSigner::Client);
}

#[test]
fn challenged_splits_keep_the_rules() {
    let mut request = new();
    at(&mut request, DETAILS)["distributionSplits"][0]["shareBps"] = 9_999.into();
    let member = "request.methodDetails.distributionSplits".to_owned();
    let error = JsonError::Splits { member, source: SplitsError::SharesOverflow };
    assert_eq!(SessionRequest::from_json(&request), Err(error.into()));
}

#[test]
fn superseded_request_is_called_by_its_name() {
    let request = json!({ "cap": "50000", "currency": "USDC", "operator": key(1).to_string() });
    let error = SessionRequest::from_json(&request).expect_err("another wire");
    assert_eq!(error, RequestError::Superseded);
    assert!(error.to_string().contains("superseded session wire"));
}

#[test]
fn unknown_members_of_a_request_are_ignored() {
    let mut json = new();
    json["future"] = json!({ "x": [1] });
    at(&mut json, DETAILS)["authorizationPolicy"] = json!({});
    assert_eq!(SessionRequest::from_json(&json), Ok(request()));
}

#[test]
fn what_becomes_of_a_deposit_at_idle_is_offered_and_unknown_options_are_passed_over() {
    let mut request = request();
    request.method_details.at_idle_options = vec![DepositAtIdle::Refund, DepositAtIdle::Keep];
    let mut json = request.to_json();
    assert_eq!(json["methodDetails"]["depositAtIdleOptions"], json!(["refund", "keep"]));
    json["methodDetails"]["depositAtIdleOptions"] = json!(["refund", "lend", 7, "keep"]);
    assert_eq!(SessionRequest::from_json(&json), Ok(request.clone()));
    for other in [json!("keep"), json!([]), json!(null)] {
        json["methodDetails"]["depositAtIdleOptions"] = other;
        let read = SessionRequest::from_json(&json).unwrap();
        assert_eq!(read.method_details.at_idle_options, [], "whoever says it otherwise offers nothing");
    }
}

#[test]
fn a_resume_request_says_where_the_channel_stands_whole_or_not_at_all() {
    let mut request = resume_request();
    let amount = Amount::new;
    let said = Standing { deposit: amount(500), settled: amount(16), accepted: amount(32) };
    if let ChannelOffer::Resume { standing, .. } = &mut request.method_details.channel {
        *standing = Some(said);
    }
    let mut json = request.to_json();
    assert_eq!(json["methodDetails"]["acceptedCumulative"], "32");
    assert_eq!(SessionRequest::from_json(&json), Ok(request));
    for other in [json!(16), json!("-1")] {
        json["methodDetails"]["settled"] = other;
        assert_eq!(
            SessionRequest::from_json(&json),
            Ok(resume_request()),
            "a figure of another kind is none"
        );
    }
}
