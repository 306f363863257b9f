use serde_json::json;
use toll_protocol::*;

use crate::sample::*;

fn receipt() -> Receipt {
    Receipt {
        reference: channel_id(),
        timestamp: 1_795_298_332,
        challenge_id: Some("abc".to_owned()),
        accepted_cumulative: Amount::new(32),
        spent: Amount::new(16),
        idle_timeout: 30,
        tx_hash: None,
        refunded: None,
    }
}

#[test]
fn receipt_has_the_drafts_members_in_canonical_order() {
    let json = canonical_json(&receipt()).expect("canonical");
    let expected = format!(
        r#"{{"acceptedCumulative":"32","challengeId":"abc","idleTimeoutSeconds":30,"intent":"session","method":"solana","reference":"{}","spent":"16","status":"success","timestamp":"2026-11-21T21:58:52Z"}}"#,
        channel_id()
    );
    assert_eq!(String::from_utf8(json).expect("UTF-8"), expected);
}

#[test]
fn receipt_of_a_close_names_transaction_and_refund() {
    let signature = voucher(16).signature;
    let closed = Receipt { tx_hash: Some(signature), refunded: Some(Amount::new(49_984)), ..receipt() };
    let json = closed.to_json();
    assert_eq!(json["txHash"], signature.to_string());
    assert_eq!(json["refunded"], "49984");
    assert_eq!(Receipt::from_json(&json), Ok(closed));
}

#[test]
fn receipt_header_reads_back() {
    let value = format_receipt(&receipt());
    assert!(!value.contains('='));
    assert_eq!(parse_receipt(&value), Ok(receipt()));
    assert_eq!(parse_receipt(format!(" {value}== ")), Err(HeaderError::Encoding));
}

#[test]
fn fractions_and_offsets_of_a_timestamp_are_understood() {
    for timestamp in ["2026-11-21T21:58:52.681Z", "2026-11-21T22:58:52+01:00", "2026-11-21T21:58:52Z"] {
        let mut json = receipt().to_json();
        json["timestamp"] = timestamp.into();
        assert_eq!(Receipt::from_json(&json), Ok(receipt()), "{timestamp}");
    }
}

#[test]
fn each_required_member_of_a_receipt_is_missed() {
    let required = [
        "method",
        "intent",
        "status",
        "reference",
        "timestamp",
        "acceptedCumulative",
        "spent",
        "idleTimeoutSeconds",
    ];
    for member in required {
        let mut json = receipt().to_json();
        remove(&mut json, member);
        assert_eq!(Receipt::from_json(&json), Err(missing(&format!("receipt.{member}"))));
    }
}

#[test]
fn receipt_of_another_kind_is_refused() {
    let wrong = [
        ("method", json!("tempo"), "solana"),
        ("intent", json!("charge"), "session"),
        ("status", json!("failed"), "success"),
        ("timestamp", json!("yesterday"), "an RFC 3339 time"),
        ("spent", json!(16), "a decimal string of a u64"),
        ("idleTimeoutSeconds", json!("30"), "an integer from 0 to 4294967295"),
        ("reference", json!("abc"), "the base58 of 32 bytes"),
        ("txHash", json!("abc"), "the base58 of 64 bytes"),
    ];
    for (member, value, expected) in wrong {
        let mut json = receipt().to_json();
        json[member] = value;
        assert_eq!(Receipt::from_json(&json), Err(invalid(&format!("receipt.{member}"), expected)));
    }
}

#[test]
fn receipt_header_that_is_too_large_is_not_decoded() {
    let value = "A".repeat(MAX_HEADER + 1);
    assert_eq!(parse_receipt(value), Err(HeaderError::TooLarge(MAX_HEADER + 1)));
}

#[test]
fn clocks_beyond_rfc_3339_still_give_a_receipt() {
    for (timestamp, text) in [(i64::MAX, "9999-12-31T23:59:59Z"), (-1, "1970-01-01T00:00:00Z")] {
        assert_eq!(Receipt { timestamp, ..receipt() }.to_json()["timestamp"], text);
    }
}
