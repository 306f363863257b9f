use std::collections::BTreeMap;

use toll_protocol::*;

use crate::sample::*;

#[test]
fn issued_challenge_is_authentic_and_carries_the_request() {
    let challenge = challenge();
    assert!(challenge.is_authentic(&secret()));
    assert_eq!(challenge.id.len(), 43);
    assert_eq!((challenge.method.as_str(), challenge.intent.as_str()), ("solana", "session"));
    assert_eq!(challenge.expires.as_deref(), Some("2025-11-20T21:58:52Z"));
    assert_eq!(challenge.expires_at(), Ok(Some(1_763_675_932)));
    assert_eq!(challenge.session_request(), Ok(request()));
    assert_eq!(challenge.opaque_members().expect("flat")["n"], "AAAAAAAAAAAAAAAAAAAAAA");
}

type Change = fn(&mut Challenge);

#[test]
fn every_bound_field_breaks_the_id() {
    let changes: [(&str, Change); 9] = [
        ("id", |challenge| {
            challenge.id.replace_range(..1, if challenge.id.starts_with('A') { "B" } else { "A" })
        }),
        ("realm", |challenge| challenge.realm.push('x')),
        ("method", |challenge| challenge.method.push('x')),
        ("intent", |challenge| challenge.intent.push('x')),
        ("request", |challenge| challenge.request.push('A')),
        ("expires", |challenge| challenge.expires = Some("2099-01-01T00:00:00Z".to_owned())),
        ("no expires", |challenge| challenge.expires = None),
        ("digest", |challenge| challenge.digest = Some("sha-256=:x:".to_owned())),
        ("opaque", |challenge| challenge.opaque = None),
    ];
    for (field, change) in changes {
        let mut changed = challenge();
        change(&mut changed);
        assert!(!changed.is_authentic(&secret()), "{field}");
    }
}

#[test]
fn description_is_not_bound() {
    let described = Challenge { description: Some("for you".to_owned()), ..challenge() };
    assert!(described.is_authentic(&secret()));
}

#[test]
fn other_spellings_of_the_id_are_other_ids() {
    for id in [format!("{}=", challenge().id), String::new(), "A".repeat(43), format!("{}A", challenge().id)]
    {
        assert!(!Challenge { id: id.clone(), ..challenge() }.is_authentic(&secret()), "{id}");
    }
}

#[test]
fn previous_secret_is_recognized_until_it_is_dropped() {
    let rotated = ChallengeSecret::new([9; 32]).expect("long enough");
    assert!(!challenge().is_authentic(&rotated));
    let both = rotated.clone().with_previous([0x5E; 32]).expect("long enough");
    assert!(challenge().is_authentic(&both));

    let realm = Realm::new("api.example.com").expect("plain");
    let (request, opaque) = (request(), BTreeMap::new());
    let offer = Offer { realm: &realm, request: &request, expires_at: 0, opaque: &opaque };
    let issued = Challenge::issue(&both, offer).expect("issued");
    assert!(issued.is_authentic(&rotated));
    assert!(!issued.is_authentic(&secret()));
}

#[test]
fn short_secrets_are_refused() {
    assert_eq!(ChallengeSecret::new([1; 31]).err(), Some(ChallengeError::ShortSecret(31)));
    assert_eq!(secret().with_previous([]).err(), Some(ChallengeError::ShortSecret(0)));
}

#[test]
fn debug_shows_nothing_of_the_secret() {
    let secret = ChallengeSecret::new(*b"correct horse battery staple, ok").expect("long enough");
    assert_eq!(format!("{secret:?}"), "ChallengeSecret { .. }");
}

#[test]
fn realm_has_no_separator_and_no_control_characters() {
    for realm in ["", "a|b", "a\nb", "zürich", "a\u{7f}"] {
        assert_eq!(Realm::new(realm), Err(ChallengeError::Realm(realm.to_owned())));
    }
    assert_eq!(Realm::new("api \"x\".example").expect("printable").as_str(), "api \"x\".example");
}

#[test]
fn equal_offers_have_equal_ids_and_a_nonce_tells_them_apart() {
    let realm = Realm::new("r").expect("plain");
    let request = request();
    let issue = |nonce: &str| {
        let opaque = BTreeMap::from([("n".to_owned(), nonce.to_owned())]);
        let offer = Offer { realm: &realm, request: &request, expires_at: 1, opaque: &opaque };
        Challenge::issue(&secret(), offer).expect("issued").id
    };
    assert_eq!(issue("a"), issue("a"));
    assert_ne!(issue("a"), issue("b"));
}

#[test]
fn challenge_without_opaque_has_no_members() {
    let bare = Challenge { opaque: None, ..challenge() };
    assert_eq!(bare.opaque_members(), Ok(BTreeMap::new()));
    for json in ["[]", r#"{"n":1}"#, r#"{"n":{"x":"y"}}"#] {
        let nested = Challenge { opaque: Some(base64url_encode(json)), ..challenge() };
        assert_eq!(nested.opaque_members(), Err(invalid("opaque", "a flat object of strings").into()));
    }
}

#[test]
fn expiry_is_an_rfc_3339_time() {
    let at = |expires: &str| Challenge { expires: Some(expires.to_owned()), ..challenge() }.expires_at();
    assert_eq!(at("2025-11-20T21:58:52Z"), Ok(Some(1_763_675_932)));
    assert_eq!(at("2025-11-20T21:58:52.999Z"), Ok(Some(1_763_675_932)));
    assert_eq!(at("2025-11-20T23:58:52+02:00"), Ok(Some(1_763_675_932)));
    assert_eq!(Challenge { expires: None, ..challenge() }.expires_at(), Ok(None));
    for text in [
        "",
        "1763675932",
        "2025-11-20",
        "2025-11-20T21:58:52",
        "2025-02-30T00:00:00Z",
        "2025-11-20T24:00:00Z",
    ] {
        assert_eq!(at(text), Err(ChallengeError::Expires(text.to_owned())));
    }
}

#[test]
fn time_that_rfc_3339_cannot_write_makes_no_challenge() {
    let (realm, request, opaque) = (Realm::new("r").expect("plain"), request(), BTreeMap::new());
    let offer = Offer { realm: &realm, request: &request, expires_at: i64::MAX, opaque: &opaque };
    assert_eq!(Challenge::issue(&secret(), offer), Err(ChallengeError::Expires(i64::MAX.to_string())));
}

#[test]
fn request_of_another_intent_is_not_a_session() {
    let charge = Challenge { intent: "charge".to_owned(), ..challenge() };
    let (method, intent) = ("solana".to_owned(), "charge".to_owned());
    assert_eq!(charge.session_request(), Err(ChallengeError::OtherIntent { method, intent }));
    let capital = Challenge { intent: "Session".to_owned(), ..challenge() };
    assert!(matches!(capital.session_request(), Err(ChallengeError::OtherIntent { .. })));
}

#[test]
fn request_that_is_no_encoded_json_is_refused() {
    let read = |request: String| Challenge { request, ..challenge() }.session_request();
    let (member, source) = ("request", EncodingError::Base64Url);
    assert_eq!(read("+/".to_owned()), Err(ChallengeError::Encoding { member, source }));
    assert!(matches!(read(base64url_encode("{")), Err(ChallengeError::Json(JsonError::Syntax(_)))));
    assert_eq!(read(base64url_encode("[]")), Err(RequestError::from(invalid("request", "an object")).into()));
    let size = MAX_HEADER + 1;
    assert_eq!(read("A".repeat(size)), Err(ChallengeError::TooLarge { member, size }));
}

#[test]
fn the_field_of_the_credential_is_bound_and_echoed() {
    let elsewhere = challenge().answered_in(CredentialField::PaymentAuthorization, &secret());
    assert!(elsewhere.is_authentic(&secret()));
    assert_ne!(elsewhere.id, challenge().id);
    assert_eq!(elsewhere.to_json()["header"], "Payment-Authorization");
    assert_eq!(Challenge::from_json(&elsewhere.to_json()), Ok(elsewhere.clone()));
    let moved = Challenge { field: CredentialField::Authorization, ..elsewhere };
    assert!(!moved.is_authentic(&secret()));
}

#[test]
fn an_echo_says_nothing_of_the_field_unless_the_challenge_did() {
    assert_eq!(challenge().to_json().get("header"), None);
    assert_eq!(challenge().answered_in(CredentialField::Authorization, &secret()), challenge());
    for field in ["Authorization", "payment-authorization", "X-Payment", ""] {
        let mut echo = challenge().to_json();
        echo["header"] = field.into();
        let expected = invalid("challenge.header", "Payment-Authorization or absent");
        assert_eq!(Challenge::from_json(&echo), Err(expected), "{field:?}");
    }
}
