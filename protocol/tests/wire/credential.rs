use serde_json::{Value, json};
use toll_protocol::*;

use crate::sample::*;

fn open() -> Action {
    Action::Open(Box::new(open_action()))
}

fn voucher_action() -> Action {
    Action::Voucher(VoucherAction { channel_id: channel_id(), voucher: voucher(16) })
}

fn use_action() -> Action {
    Action::Use(UseAction { channel_id: channel_id(), authentication: proof() })
}

fn top_up() -> Action {
    let additional = Amount::new(1_000);
    Action::TopUp(TopUpAction {
        channel_id: channel_id(),
        additional,
        at_idle: None,
        transaction: vec![9; 700],
    })
}

fn close(authority: CloseAuthority) -> Action {
    Action::Close(CloseAction { channel_id: channel_id(), authority })
}

fn every_action() -> Vec<Action> {
    vec![
        open(),
        voucher_action(),
        use_action(),
        top_up(),
        close(CloseAuthority::Voucher(voucher(16))),
        close(CloseAuthority::Authentication(proof())),
    ]
}

/// The refusal of a valid payload after `change`.
fn refused(action: &Action, change: impl FnOnce(&mut Value)) -> CredentialError {
    let mut payload = action.to_json();
    change(&mut payload);
    Credential::from_json(&credential_json(payload)).expect_err("the payload is refused")
}

#[test]
fn every_action_reads_back() {
    for action in every_action() {
        let credential = credential(action);
        assert_eq!(Credential::from_json(&credential.to_json()), Ok(credential));
    }
}

#[test]
fn payloads_have_the_drafts_shapes() {
    let (channel, signed, proof) = (channel_id().to_string(), voucher(16), proof());
    let voucher = json!({
        "voucher": { "channelId": channel, "cumulativeAmount": "16" },
        "signer": signed.signer.to_string(),
        "signature": signed.signature.to_string(),
        "signatureType": "ed25519",
    });
    let authentication = json!({
        "type": "proof",
        "challengeId": "opening",
        "payer": proof.payer.to_string(),
        "signature": proof.signature.to_string(),
    });
    let shapes = [
        (voucher_action(), json!({ "action": "voucher", "channelId": channel, "voucher": voucher })),
        (use_action(), json!({ "action": "use", "channelId": channel, "authentication": authentication })),
        (
            top_up(),
            json!({
                "action": "topUp",
                "channelId": channel,
                "additionalAmount": "1000",
                "transaction": base64_encode([9; 700]),
            }),
        ),
        (
            close(CloseAuthority::Voucher(signed)),
            json!({ "action": "close", "channelId": channel, "voucher": voucher }),
        ),
        (
            close(CloseAuthority::Authentication(proof)),
            json!({ "action": "close", "channelId": channel, "authentication": authentication }),
        ),
    ];
    for (action, shape) in shapes {
        assert_eq!(action.to_json(), shape);
        assert_eq!(action.channel_id(), channel_id());
    }
}

#[test]
fn open_payload_has_the_drafts_members() {
    let expected = json!({
        "action": "open",
        "channelId": channel_id().to_string(),
        "payer": pubkey(&payer()).to_string(),
        "payee": key(0xEE).to_string(),
        "mint": key(0xAA).to_string(),
        "authorizedSigner": pubkey(&voucher_key()).to_string(),
        "salt": "42",
        "depositAmount": "50000",
        "gracePeriodSeconds": 900,
        "idleTimeoutSeconds": 30,
        "openSlot": "352114093",
        "distributionSplits": [
            { "recipient": key(0x11).to_string(), "shareBps": 1000 },
            { "recipient": key(0x22).to_string(), "shareBps": 250 },
        ],
        "transaction": "AQID+g==",
    });
    assert_eq!(open().to_json(), expected);
}

#[test]
fn optional_members_of_open_may_be_absent() {
    let mut payload = open().to_json();
    remove(&mut payload, "idleTimeoutSeconds");
    remove(&mut payload, "distributionSplits");
    let read = Credential::from_json(&credential_json(payload)).expect("both are optional");
    let bare = OpenAction { idle_timeout: None, splits: None, ..open_action() };
    assert_eq!(read.action, Action::Open(Box::new(bare)));
}

#[test]
fn each_required_member_of_open_is_missed() {
    let required = [
        "action",
        "channelId",
        "payer",
        "payee",
        "mint",
        "authorizedSigner",
        "salt",
        "depositAmount",
        "gracePeriodSeconds",
        "openSlot",
        "transaction",
    ];
    for member in required {
        let error = refused(&open(), |payload| remove(payload, member));
        assert_eq!(error, missing(&format!("payload.{member}")).into());
    }
}

#[test]
fn each_mistyped_member_of_open_is_named() {
    let wrong: [(&str, Value, &str); 15] = [
        ("action", json!(1), "a string"),
        ("channelId", json!("abc"), "the base58 of 32 bytes"),
        ("payer", json!(1), "the base58 of 32 bytes"),
        ("salt", json!(42), "a decimal string of a u64"),
        ("salt", json!("042"), "a decimal string of a u64"),
        ("depositAmount", json!("18446744073709551616"), "a decimal string of a u64"),
        ("gracePeriodSeconds", json!("900"), "an integer from 0 to 4294967295"),
        ("gracePeriodSeconds", json!(900.5), "an integer from 0 to 4294967295"),
        ("gracePeriodSeconds", json!(0), "above zero"),
        ("idleTimeoutSeconds", json!(-30), "an integer from 0 to 4294967295"),
        ("idleTimeoutSeconds", Value::Null, "an integer from 0 to 4294967295"),
        ("openSlot", json!("0x10"), "a decimal string of a u64"),
        ("distributionSplits", json!("none"), "an array"),
        ("authorizationPolicy", json!([]), "an object"),
        ("transaction", json!("AQID-g=="), "base64 in the standard alphabet"),
    ];
    for (member, value, expected) in wrong {
        let error = refused(&open(), |payload| payload[member] = value);
        assert_eq!(error, invalid(&format!("payload.{member}"), expected).into());
    }
}

// The right bump is refused like a wrong one: accepting it would let a wrong one hide.
#[test]
fn bump_or_voucher_in_open_is_refused_whatever_it_holds() {
    for value in [json!(255), Value::Null, json!("255")] {
        let error = refused(&open(), |payload| payload["bump"] = value);
        assert_eq!(error, CredentialError::Forbidden { member: "bump", action: "open" });
    }
    let error = refused(&open(), |payload| payload["voucher"] = voucher(16).to_json());
    assert_eq!(error, CredentialError::Forbidden { member: "voucher", action: "open" });
}

#[test]
fn bump_elsewhere_is_an_unknown_member() {
    let mut payload = top_up().to_json();
    payload["bump"] = 255.into();
    assert_eq!(Credential::from_json(&credential_json(payload)).map(|read| read.action), Ok(top_up()));
}

#[test]
fn authorization_policy_has_a_size_and_must_agree() {
    let with = |policy: Value| {
        let mut payload = open().to_json();
        payload["authorizationPolicy"] = policy;
        Credential::from_json(&credential_json(payload)).map(|read| match read.action {
            Action::Open(open) => open.policy_agrees(),
            other => panic!("{other:?}"),
        })
    };
    let declared = pubkey(&voucher_key()).to_string();
    assert_eq!(with(json!({ "limit": 5 })), Ok(true));
    assert_eq!(with(json!({ "authorizedSigner": declared, "signer": declared })), Ok(true));
    assert_eq!(with(json!({ "authorizedSigner": key(9).to_string() })), Ok(false));
    assert_eq!(with(json!({ "signer": 5 })), Ok(false));
    let error = invalid("payload.authorizationPolicy", "an object of at most 1024 bytes");
    assert_eq!(with(json!({ "pad": "x".repeat(1_024) })), Err(error.into()));
}

#[test]
fn open_takes_a_proof() {
    let action = OpenAction { authentication: Some(proof()), ..open_action() };
    let credential = credential(Action::Open(Box::new(action)));
    assert_eq!(Credential::from_json(&credential.to_json()), Ok(credential));
}

#[test]
fn each_required_member_of_the_other_actions_is_missed() {
    let required: [(Action, &[&str]); 5] = [
        (voucher_action(), &["channelId", "voucher"]),
        (use_action(), &["channelId", "authentication"]),
        (top_up(), &["channelId", "additionalAmount", "transaction"]),
        (close(CloseAuthority::Voucher(voucher(16))), &["channelId"]),
        (close(CloseAuthority::Authentication(proof())), &["channelId"]),
    ];
    for (action, members) in required {
        for member in members {
            let error = refused(&action, |payload| remove(payload, member));
            assert_eq!(error, missing(&format!("payload.{member}")).into(), "{}", action.name());
        }
    }
}

#[test]
fn each_required_member_of_a_signed_voucher_is_missed() {
    for member in ["voucher", "signer", "signature", "signatureType"] {
        let error = refused(&voucher_action(), |payload| remove(&mut payload["voucher"], member));
        assert_eq!(error, missing(&format!("payload.voucher.{member}")).into());
    }
    for member in ["channelId", "cumulativeAmount"] {
        let error = refused(&voucher_action(), |payload| remove(&mut payload["voucher"]["voucher"], member));
        assert_eq!(error, missing(&format!("payload.voucher.voucher.{member}")).into());
    }
}

#[test]
fn each_mistyped_member_of_a_signed_voucher_is_named() {
    let seconds = "an integer from 0 to 2^53 - 1";
    let wrong: [(&str, Value, &str); 5] = [
        ("cumulativeAmount", json!(16), "a decimal string of a u64"),
        ("expiresAt", json!("0"), seconds),
        ("expiresAt", json!(-1), seconds),
        ("expiresAt", json!(1u64 << 53), seconds),
        ("expiresAt", json!(1.5), seconds),
    ];
    for (member, value, expected) in wrong {
        let error = refused(&voucher_action(), |payload| payload["voucher"]["voucher"][member] = value);
        assert_eq!(error, invalid(&format!("payload.voucher.voucher.{member}"), expected).into());
    }
    let error = refused(&voucher_action(), |payload| payload["voucher"]["signature"] = "abc".into());
    assert_eq!(error, invalid("payload.voucher.signature", "the base58 of 64 bytes").into());
}

#[test]
fn only_ed25519_vouchers_are_read() {
    for other in ["secp256r1", "Ed25519", ""] {
        let error = refused(&voucher_action(), |payload| payload["voucher"]["signatureType"] = other.into());
        assert_eq!(error, invalid("payload.voucher.signatureType", "ed25519").into());
    }
}

#[test]
fn each_member_of_a_proof_is_required() {
    for member in ["type", "challengeId", "payer", "signature"] {
        let error = refused(&use_action(), |payload| remove(&mut payload["authentication"], member));
        assert_eq!(error, missing(&format!("payload.authentication.{member}")).into());
    }
    let error = refused(&use_action(), |payload| payload["authentication"]["type"] = "bearer".into());
    assert_eq!(error, invalid("payload.authentication.type", "proof").into());
}

#[test]
fn close_takes_one_authority() {
    let action = close(CloseAuthority::Voucher(voucher(16)));
    let both = refused(&action, |payload| payload["authentication"] = proof().to_json());
    let neither = refused(&action, |payload| remove(payload, "voucher"));
    assert_eq!((both, neither), (CredentialError::CloseAuthority, CredentialError::CloseAuthority));
}

#[test]
fn any_other_action_is_unknown() {
    for action in ["Open", "top_up", "reclaim", ""] {
        let error = refused(&voucher_action(), |payload| payload["action"] = action.into());
        assert_eq!(error, CredentialError::UnknownAction(action.to_owned()));
    }
    let error = refused(&voucher_action(), |payload| payload["action"] = "x".repeat(5_000).into());
    assert_eq!(error, CredentialError::UnknownAction("x".repeat(32)));
}

#[test]
fn charge_payload_is_called_by_its_name() {
    let error =
        Credential::from_json(&credential_json(json!({ "type": "transaction", "transaction": "AA==" })));
    assert_eq!(error, Err(CredentialError::ChargePayload));
}

#[test]
fn type_beside_an_action_is_an_unknown_member() {
    let mut payload = voucher_action().to_json();
    payload["type"] = "transaction".into();
    let read = Credential::from_json(&credential_json(payload));
    assert_eq!(read.map(|read| read.action), Ok(voucher_action()));
}

#[test]
fn superseded_payloads_are_called_by_their_name() {
    let old =
        json!({ "data": { "channelId": "x", "cumulativeAmount": "1", "expiresAt": 1 }, "signature": "y" });
    let payloads = [
        (json!({ "action": "open", "mode": "pull", "deposit": "1", "signature": "1" }), "mode", "openSlot"),
        (json!({ "action": "open", "deposit": "1", "gracePeriod": 9 }), "deposit", "depositAmount"),
        (json!({ "action": "topUp", "channelId": "x", "newDeposit": "2" }), "newDeposit", "additionalAmount"),
        (json!({ "action": "voucher", "voucher": old }), "voucher.data", "payload.voucher.voucher"),
        (
            json!({ "action": "close", "channelId": "x", "voucher": old }),
            "voucher.data",
            "payload.voucher.voucher",
        ),
        (
            json!({ "action": "commit", "deliveryId": "d", "voucher": old }),
            "deliveryId",
            "a voucher action on the resource itself",
        ),
    ];
    for (payload, found, expected) in payloads {
        let error = Credential::from_json(&credential_json(payload)).expect_err("another wire");
        assert_eq!(error, CredentialError::Superseded { found, expected });
        assert!(error.to_string().starts_with("superseded session wire"));
    }
}

#[test]
fn superseded_members_in_a_complete_payload_are_ignored() {
    let mut payload = open().to_json();
    payload["mode"] = "pull".into();
    payload["deposit"] = "1".into();
    assert_eq!(Credential::from_json(&credential_json(payload)).map(|read| read.action), Ok(open()));
}

#[test]
fn each_required_member_of_the_echoed_challenge_is_missed() {
    for member in ["id", "realm", "method", "intent", "request"] {
        let mut json = credential(voucher_action()).to_json();
        remove(&mut json["challenge"], member);
        assert_eq!(Credential::from_json(&json), Err(missing(&format!("challenge.{member}")).into()));
    }
    let mut json = credential(voucher_action()).to_json();
    json["challenge"]["id"] = "".into();
    let error = invalid("challenge.id", "a string that is not empty");
    assert_eq!(Credential::from_json(&json), Err(error.into()));
}

#[test]
fn credential_needs_challenge_and_payload() {
    for member in ["challenge", "payload"] {
        let mut json = credential(voucher_action()).to_json();
        remove(&mut json, member);
        assert_eq!(Credential::from_json(&json), Err(missing(member).into()));
        json[member] = "text".into();
        assert_eq!(Credential::from_json(&json), Err(invalid(member, "an object").into()));
    }
    assert_eq!(Credential::from_json(&json!([])), Err(invalid("credential", "an object").into()));
}

#[test]
fn echoed_challenge_is_still_authentic() {
    let value = format_authorization(&credential(voucher_action())).expect("it fits a header");
    let read = parse_authorization(value).expect("the Payment scheme").expect("a credential");
    assert!(read.challenge.is_authentic(&secret()));
    assert_eq!(read.challenge, challenge());
}

#[test]
fn debug_shows_neither_transactions_nor_signatures() {
    for action in every_action() {
        let shown = format!("{:?}", credential(action));
        for secret in [voucher(16).signature.to_string(), proof().signature.to_string()] {
            assert!(!shown.contains(&secret));
        }
        assert!(!shown.contains("[1, 2, 3, 250]") && !shown.contains("9, 9, 9"));
        assert!(shown.contains("channel_id"));
    }
}
