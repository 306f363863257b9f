use toll_protocol::*;

use crate::sample::*;

#[test]
fn object_naming_a_member_twice_is_refused_at_any_depth() {
    for json in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"b":2,"a":3}]}"#, r#"{"a":1,"\u0061":2}"#] {
        let error = parse_json(json.as_bytes()).expect_err(json);
        assert!(error.to_string().contains(r#"member "a" appears twice"#), "{error}");
    }
}

#[test]
fn text_after_the_value_is_refused() {
    for json in ["{} {}", "{}x", "1 2", ""] {
        assert!(matches!(parse_json(json.as_bytes()), Err(JsonError::Syntax(_))), "{json}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    assert!(matches!(parse_json(b"\"\xff\""), Err(JsonError::Syntax(_))));
}

#[test]
fn nesting_has_a_limit() {
    let json = "[".repeat(100_000);
    assert!(matches!(parse_json(json.as_bytes()), Err(JsonError::Syntax(_))));
}

#[test]
fn base64url_takes_padding_and_gives_none() {
    assert_eq!(base64url_encode([0xfb, 0xff]), "-_8");
    assert_eq!(base64url_decode("-_8"), Ok(vec![0xfb, 0xff]));
    assert_eq!(base64url_decode("-_8="), Ok(vec![0xfb, 0xff]));
    assert_eq!(base64url_decode(""), Ok(vec![]));
}

#[test]
fn base64url_refuses_the_other_alphabet_spaces_and_loose_bits() {
    for text in ["+/8", "-_8 ", " -_8", "-_9", "-", "-_8==="] {
        assert_eq!(base64url_decode(text), Err(EncodingError::Base64Url), "{text:?}");
    }
}

#[test]
fn standard_base64_pads_and_tolerates_none() {
    assert_eq!(base64_encode([0xfb, 0xff]), "+/8=");
    assert_eq!(base64_decode("+/8="), Ok(vec![0xfb, 0xff]));
    assert_eq!(base64_decode("+/8"), Ok(vec![0xfb, 0xff]));
    for text in ["-_8=", "+/8 ", "+/9="] {
        assert_eq!(base64_decode(text), Err(EncodingError::Base64), "{text:?}");
    }
}

#[test]
fn amounts_are_canonical_decimal_strings() {
    for (text, amount) in [("0", 0), ("16", 16), ("18446744073709551615", u64::MAX)] {
        assert_eq!(serde_json::from_value::<Amount>(text.into()).expect(text), Amount::new(amount));
        assert_eq!(serde_json::to_value(Amount::new(amount)).expect(text), text);
    }
    let refused = ["", "00", "01", "+1", "-1", "1.0", "1e3", " 1", "1 ", "18446744073709551616", "１"];
    for text in refused {
        assert!(serde_json::from_value::<Amount>(text.into()).is_err(), "{text:?}");
    }
    assert!(serde_json::from_value::<Amount>(16.into()).is_err());
}

#[test]
fn channel_ids_are_base58_of_exactly_32_bytes() {
    let id = channel_id();
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(ChannelId::from(id.pubkey()), id);
    assert_eq!(serde_json::from_value::<ChannelId>(id.to_string().into()).expect("base58"), id);
    let longer = format!("1{id}");
    for text in ["", "0", "abc", "1111111111111111111111111111111", &longer] {
        assert!(serde_json::from_value::<ChannelId>(text.into()).is_err(), "{text:?}");
    }
}

#[test]
fn networks_have_three_exact_names() {
    for network in [Network::Mainnet, Network::Devnet, Network::Localnet] {
        assert_eq!(network.to_string().parse(), Ok(network));
        let json = serde_json::to_value(network).expect("a string");
        assert_eq!(serde_json::from_value::<Network>(json).expect("the same"), network);
    }
    for name in ["mainnet-beta", "Mainnet", "testnet", ""] {
        assert_eq!(name.parse::<Network>(), Err(UnknownNetwork(name.to_owned())));
    }
}
