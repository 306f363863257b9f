use toll_protocol::*;

use crate::sample::*;

#[test]
fn problem_types_are_the_registered_uris() {
    let types = [
        (ProblemType::PaymentRequired, "payment-required"),
        (ProblemType::PaymentInsufficient, "payment-insufficient"),
        (ProblemType::PaymentExpired, "payment-expired"),
        (ProblemType::VerificationFailed, "verification-failed"),
        (ProblemType::MalformedCredential, "malformed-credential"),
        (ProblemType::InvalidChallenge, "invalid-challenge"),
        (ProblemType::MethodUnsupported, "method-unsupported"),
    ];
    for (kind, name) in types {
        assert_eq!(kind.uri(), format!("{PROBLEM_BASE}{name}"));
    }
    assert_eq!(ProblemType::Blank.uri(), "about:blank");
}

#[test]
fn problem_carries_code_and_further_members() {
    let problem = Problem::new(ProblemType::VerificationFailed, 402, "voucher covers 16 of 32")
        .code("insufficient")
        .with("requiredCumulative", Amount::new(32));
    let expected = concat!(
        r#"{"code":"insufficient","detail":"voucher covers 16 of 32","requiredCumulative":"32","status":402,"#,
        r#""title":"Verification failed","type":"https://paymentauth.org/problems/verification-failed","urn":"urn:ietf:params:payment:error:verification-failed"}"#
    );
    assert_eq!(String::from_utf8(problem.body()).expect("UTF-8"), expected);
    assert_eq!(Problem::parse(&problem.body()), Ok(problem));
}

#[test]
fn further_members_never_replace_the_standard_ones() {
    let mut problem = Problem::new(ProblemType::PaymentRequired, 402, "pay").with("status", 200);
    assert!(problem.extra.is_empty());
    problem.extra.insert("detail".to_owned(), "nothing to see".into());
    assert_eq!(problem.to_json()["detail"], "pay");
    assert_eq!(problem.to_json()["status"], 402);
}

#[test]
fn foreign_problem_is_kept_as_it_is() {
    let body = br#"{"type":"https://example.com/p","title":"No","status":410,"detail":"gone","error":"x"}"#;
    let problem = Problem::parse(body).expect("a problem document");
    assert_eq!(problem.kind, ProblemType::Other("https://example.com/p".to_owned()));
    assert_eq!((problem.title.as_str(), problem.status, problem.code.as_deref()), ("No", 410, None));
    assert_eq!(problem.extra["error"], "x");
    assert_eq!(problem.to_json(), parse_json(body).expect("JSON"));
}

#[test]
fn empty_problem_is_about_blank() {
    let problem = Problem::parse(b"{}").expect("every member is optional");
    assert_eq!((problem.kind, problem.status), (ProblemType::Blank, 0));
}

#[test]
fn problem_that_is_no_object_is_refused() {
    assert_eq!(Problem::parse(b"[]"), Err(invalid("problem", "an object")));
    assert_eq!(
        Problem::parse(br#"{"status":"402"}"#),
        Err(invalid("problem.status", "an integer from 0 to 65535"))
    );
}

#[test]
fn problems_of_payment_also_carry_the_names_that_older_clients_know() {
    for (code, status, urn) in [
        (RefusalCode::PaymentRequired, 402, Some("payment-required")),
        (RefusalCode::ChallengeExpired, 402, Some("expired")),
        (RefusalCode::Malformed, 402, Some("invalid")),
        (RefusalCode::SeveralCredentials, 400, Some("invalid")),
        (RefusalCode::Signature, 402, Some("verification-failed")),
        (RefusalCode::MethodUnsupported, 400, Some("method-unsupported")),
        (RefusalCode::RateLimited, 429, None),
    ] {
        let problem = Problem::refusal(code, "why");
        let expected = urn.map(|name| format!("urn:ietf:params:payment:error:{name}"));
        assert_eq!(
            (problem.status, problem.to_json()["urn"].as_str()),
            (status, expected.as_deref()),
            "{code}"
        );
        assert_eq!(Problem::parse(&problem.body()), Ok(problem), "{code}: the name is no member of its own");
    }
}
