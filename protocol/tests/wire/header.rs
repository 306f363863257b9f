use toll_protocol::*;

use crate::sample::*;

fn parse(value: &str) -> Challenges {
    parse_www_authenticate(value).expect("the value is not too large")
}

fn plain(id: &str) -> Challenge {
    Challenge {
        id: id.to_owned(),
        realm: "r".to_owned(),
        method: "solana".to_owned(),
        intent: "session".to_owned(),
        request: "e30".to_owned(),
        expires: None,
        digest: None,
        description: None,
        opaque: None,
        field: CredentialField::Authorization,
    }
}

const PLAIN: &str = r#"Payment id="a", realm="r", method="solana", intent="session", request="e30""#;

#[test]
fn challenge_reads_back() {
    let value = format_www_authenticate(&challenge()).expect("it fits a header");
    assert_eq!(parse(&value).payment, [challenge()]);
}

#[test]
fn challenge_is_written_in_the_drafts_order_with_every_value_quoted() {
    let full = Challenge {
        expires: Some("2025-01-06T12:00:00Z".to_owned()),
        digest: Some("sha-256=:x:".to_owned()),
        description: Some(r#"say "hi" \ bye"#.to_owned()),
        opaque: Some("e30".to_owned()),
        field: CredentialField::PaymentAuthorization,
        ..plain("a")
    };
    let value = format_www_authenticate(&full).expect("it fits a header");
    let rest = r#", expires="2025-01-06T12:00:00Z", digest="sha-256=:x:", description="say \"hi\" \\ bye", opaque="e30", header="Payment-Authorization""#;
    assert_eq!(value, format!("{PLAIN}{rest}"));
    assert_eq!(parse(&value).payment, [full]);
}

#[test]
fn values_that_a_header_cannot_carry_are_not_written() {
    for text in ["a\r\nSet-Cookie: x=y", "tab\t", "é", "\u{7f}"] {
        let described = Challenge { description: Some(text.to_owned()), ..plain("a") };
        assert_eq!(format_www_authenticate(&described), Err(HeaderError::Parameter("description")));
    }
    let empty = Challenge { opaque: Some(String::new()), ..plain("a") };
    assert_eq!(format_www_authenticate(&empty), Err(HeaderError::MissingParameter("opaque")));
    let large = Challenge { request: "A".repeat(MAX_HEADER), ..plain("a") };
    assert!(matches!(format_www_authenticate(&large), Err(HeaderError::TooLarge(size)) if size > MAX_HEADER));
}

#[test]
fn tokens_spaces_and_case_are_read_as_the_grammar_allows() {
    let spellings = [
        "payment id=a,realm=r,method=solana,intent=session,request=e30",
        "PAYMENT  ID = a , Realm\t=\t\"r\" ,method=solana, intent=\"session\" , request=\"e3\\0\"",
        ", ,Payment id=\"a\",, realm=\"r\", method=\"solana\", intent=\"session\", request=\"e30\",",
    ];
    for value in spellings {
        assert_eq!(parse(value).payment, [plain("a")], "{value}");
    }
}

#[test]
fn unknown_parameters_are_ignored() {
    assert_eq!(parse(&format!("{PLAIN}, future=\"x, y\", x=1")).payment, [plain("a")]);
}

#[test]
fn commas_and_schemes_inside_quotes_are_text() {
    let text = r#"a, Payment id="x", Bearer"#;
    let described = Challenge { description: Some(text.to_owned()), ..plain("a") };
    let value = format_www_authenticate(&described).expect("it fits a header");
    assert_eq!(parse(&value).payment, [described]);
}

#[test]
fn several_challenges_and_schemes_share_one_value() {
    let value = format!(
        r#"Bearer realm="x", error="y, z", {PLAIN}, Negotiate abc==, {}, Digest"#,
        PLAIN.replace("id=\"a\"", "id=\"b\"")
    );
    let challenges = parse(&value);
    assert_eq!(challenges.payment, [plain("a"), plain("b")]);
    assert_eq!(challenges.others, ["Bearer", "Negotiate", "Digest"]);
    assert_eq!(challenges.malformed, []);
}

#[test]
fn malformed_challenge_does_not_hide_the_others() {
    let malformed = [
        (r#"Payment id="x", id="y", realm=r"#, HeaderError::DuplicateParameter("id".to_owned())),
        (r#"Payment id="x""#, HeaderError::MissingParameter("method")),
        ("Payment", HeaderError::MissingParameter("method")),
        ("Payment abc==", HeaderError::MissingParameter("method")),
        // By the grammar this one is a token68 of another scheme's kind, not a parameter without a value.
        (r#"Payment id=, realm="r""#, HeaderError::MissingParameter("method")),
        (r#"Payment realm="r", id="#, HeaderError::Syntax("id=".to_owned())),
        (r#"Payment id="x"y, realm="r""#, HeaderError::Syntax(r#"id=\"x\"y"#.to_owned())),
        (r#"Payment id="x", @, realm="r""#, HeaderError::Syntax("@".to_owned())),
        (r#"Payment id=a b"#, HeaderError::Syntax("id=a b".to_owned())),
        (r#"Payment x" realm"#, HeaderError::Syntax(r#"x\" realm"#.to_owned())),
    ];
    for (bad, error) in malformed {
        for value in [format!("{bad}, {PLAIN}"), format!("{PLAIN}, {bad}")] {
            let challenges = parse(&value);
            assert_eq!(challenges.payment, [plain("a")], "{value}");
            assert_eq!(challenges.malformed.as_slice(), std::slice::from_ref(&error), "{value}");
        }
    }
}

#[test]
fn each_required_parameter_is_missed() {
    for name in ["id", "realm", "method", "intent", "request"] {
        let params = ["id=a", "realm=r", "method=solana", "intent=session", "request=e30"];
        let left: Vec<_> =
            params.into_iter().filter(|param| !param.starts_with(&format!("{name}="))).collect();
        let absent = parse(&format!("Payment {}", left.join(", ")));
        let empty = parse(&format!("Payment {}, {name}=\"\"", left.join(", ")));
        for challenges in [absent, empty] {
            assert_eq!(challenges.malformed, [HeaderError::MissingParameter(name)]);
            assert_eq!(challenges.payment, []);
        }
    }
}

#[test]
fn method_is_lowercase_letters_and_intent_a_plain_word() {
    for (from, to, name) in [
        ("solana", "Solana", "method"),
        ("solana", "sol1", "method"),
        ("session", "se_ssion", "intent"),
        ("session", "a b", "intent"),
    ] {
        let challenges = parse(&PLAIN.replace(from, to));
        assert_eq!(challenges.malformed, [HeaderError::Parameter(name)], "{to}");
    }
    let odd = Challenge { method: "Solana".to_owned(), ..plain("a") };
    assert_eq!(format_www_authenticate(&odd), Err(HeaderError::Parameter("method")));
}

#[test]
fn parameter_before_any_scheme_is_malformed() {
    let challenges = parse("id=\"a\", realm=r");
    assert_eq!(challenges.malformed, [HeaderError::Syntax("id=\\\"a\\\"".to_owned())]);
    assert!(challenges.payment.is_empty() && challenges.others.is_empty());
}

#[test]
fn unterminated_quote_is_malformed() {
    for value in [r#"Payment id="a"#, r#"Payment id="a\"#, "Payment id=\""] {
        assert!(matches!(parse(value).malformed.as_slice(), [HeaderError::Syntax(_)]), "{value}");
    }
}

#[test]
fn control_characters_in_quotes_are_malformed() {
    for value in ["Payment id=\"a\nb\"", "Payment id=\"a\\\nb\"", "Payment id=\"\0\""] {
        assert!(matches!(parse(value).malformed.as_slice(), [HeaderError::Syntax(_)]), "{value:?}");
    }
}

#[test]
fn empty_value_offers_nothing() {
    assert_eq!(parse(""), Challenges::default());
    assert_eq!(parse(" , ,"), Challenges::default());
}

#[test]
fn value_that_is_too_large_is_not_parsed() {
    let value = format!("{PLAIN}, x=\"{}\"", "y".repeat(MAX_HEADER));
    assert_eq!(parse_www_authenticate(&value), Err(HeaderError::TooLarge(value.len())));
}

fn voucher_credential() -> Credential {
    credential(Action::Voucher(VoucherAction { channel_id: channel_id(), voucher: voucher(16) }))
}

#[test]
fn credential_reads_back_whatever_the_schemes_case_and_the_padding() {
    let value = format_authorization(&voucher_credential()).expect("it fits a header");
    let token = value.strip_prefix("Payment ").expect("the scheme");
    assert!(!token.contains('='));
    let padding = "=".repeat((4 - token.len() % 4) % 4);
    for spelling in [format!("payment  {token}{padding}"), format!(" PAYMENT\t{token} "), value.clone()] {
        assert_eq!(parse_authorization(&spelling), Some(Ok(voucher_credential())), "{spelling}");
    }
}

#[test]
fn credential_is_canonical_json() {
    let value = format_authorization(&voucher_credential()).expect("it fits a header");
    let json = base64url_decode(&value["Payment ".len()..]).expect("base64url");
    assert_eq!(canonical_json(&parse_json(&json).expect("JSON")).expect("canonical"), json);
}

#[test]
fn other_schemes_are_not_ours() {
    for value in ["", "Bearer abc", "Paymentabc", "Payment-Session abc", "Basic Payment"] {
        assert_eq!(parse_authorization(value), None, "{value}");
    }
}

#[test]
fn credential_that_is_no_single_token_is_malformed() {
    for value in
        ["Payment a b", "Payment e30, Payment e30", "Payment e30,", "Payment +/==", "Payment \"e30\""]
    {
        let error = CredentialError::Encoding(EncodingError::Base64Url);
        assert_eq!(parse_authorization(value), Some(Err(error)), "{value}");
    }
    for value in ["Payment", "Payment ", "Payment AAAA"] {
        let read = parse_authorization(value);
        assert!(matches!(read, Some(Err(CredentialError::Json(JsonError::Syntax(_))))), "{value}");
    }
    assert_eq!(parse_authorization("Payment e30"), Some(Err(missing("challenge").into())));
}

#[test]
fn credential_naming_a_member_twice_is_malformed() {
    let json = canonical_json(&voucher_credential().to_json()).expect("canonical");
    let json =
        String::from_utf8(json).expect("UTF-8").replacen("\"payload\":", "\"payload\":{},\"payload\":", 1);
    let read = parse_authorization(format!("Payment {}", base64url_encode(json)));
    assert!(
        matches!(read, Some(Err(CredentialError::Json(JsonError::Syntax(text)))) if text.contains("twice"))
    );
}

#[test]
fn credential_that_is_too_large_is_neither_read_nor_written() {
    let size = MAX_HEADER + 1;
    let error = CredentialError::TooLarge { size, limit: MAX_HEADER };
    assert_eq!(parse_authorization(format!("Payment {}", "A".repeat(size))), Some(Err(error)));

    let action = OpenAction { transaction: vec![0; MAX_HEADER], ..open_action() };
    let written = format_authorization(&credential(Action::Open(Box::new(action))));
    assert!(matches!(written, Err(HeaderError::TooLarge(_))));
}

#[test]
fn sponsored_open_with_many_splits_fits_a_header() {
    let splits = (0..32).map(|byte| Split { recipient: key(byte), share_bps: 1 }).collect();
    let splits = Some(Splits::new(splits).expect("32 recipients"));
    let action = OpenAction { transaction: vec![0xff; MAX_TRANSACTION], splits, ..open_action() };
    let credential = credential(Action::Open(Box::new(action)));
    let value = format_authorization(&credential).expect("it fits a header");
    assert_eq!(parse_authorization(value), Some(Ok(credential)));
}

#[test]
fn a_challenge_that_selects_an_unknown_field_is_none() {
    for field in ["Host", "Authorization", "payment-authorization", ""] {
        let read = parse(&format!("{PLAIN}, header=\"{field}\""));
        assert_eq!(
            (read.payment, read.malformed),
            (vec![], vec![HeaderError::CredentialField(field.to_owned())])
        );
    }
    let beside = parse(&format!("{PLAIN}, header=\"Host\", {PLAIN}"));
    assert_eq!(beside.payment, [plain("a")]);
}
