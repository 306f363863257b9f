//! The configuration file: what it accepts, and what it says about the rest.

use http::Method;
use toll_gateway::{Config, ConfigError, Pricer, Quote, route_table};
use toll_ledger::MAX_PAYABLE_RECIPIENTS;
use toll_protocol::Amount;

use crate::world::{PAYEE, config_text, mint};

fn refusal(text: &str) -> String {
    match Config::parse(text) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

fn bent(from: &str, to: &str) -> String {
    let text = config_text();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn defaults_are_filled_in() {
    let config = Config::parse(&config_text()).expect("valid");
    assert_eq!(config.gateway.listen.to_string(), "127.0.0.1:8402");
    let terms = config.session.terms(&config.gateway).expect("valid");
    assert_eq!((terms.grace_period, terms.challenge_ttl, terms.clock_tolerance), (900, 300, 30));
    assert_eq!((terms.min_voucher_life, terms.minimum_deposit), (960, Amount::new(100)));
    let routes = route_table(&config.routes, &terms, config.gateway.unpriced).expect("valid");
    let quote = |path: &str| routes.quote(&Method::GET, &path.parse().expect("uri"));
    assert!(matches!(quote("/dear"), Quote::Priced(price) if price.amount == Amount::new(32)));
    assert_eq!(quote("/other"), Quote::NotFound);
}

#[test]
fn limits_can_be_set_one_by_one() {
    let config = Config::parse(&bent("[session]", "[gateway.limits]\nopens_per_minute = 3\n\n[session]"));
    let limits = config.expect("valid").gateway.limits;
    assert_eq!((limits.opens_per_minute, limits.updates_per_minute), (3, 30));
    assert!(refusal(&bent("[session]", "[gateway.limits]\nopens = 3\n\n[session]")).contains("opens"));
}

#[test]
fn a_bound_of_zero_is_refused_by_name() {
    for name in [
        "header_timeout_seconds",
        "body_timeout_seconds",
        "stall_timeout_seconds",
        "upstream_stall_timeout_seconds",
        "idle_timeout_seconds",
        "drain_timeout_seconds",
        "connections",
        "connections_per_peer",
        "buffered_body_bytes",
    ] {
        let text = bent("[session]", &format!("[gateway.transport]\n{name} = 0\n\n[session]"));
        let refusal = refusal(&text);
        assert!(refusal.contains(&format!("gateway.transport.{name}")), "{refusal}");
    }
    for name in ["upstream_timeout_seconds", "request_body_limit"] {
        let refusal = refusal(&bent("[gateway]", &format!("[gateway]\n{name} = 0")));
        assert!(refusal.contains(&format!("gateway.{name}")), "{refusal}");
    }
}

#[test]
fn the_memory_for_bodies_holds_the_largest() {
    let limits = "request_body_limit = 9\n[gateway.transport]\nbuffered_body_bytes";
    let with = |bytes: u32| bent("[session]", &format!("{limits} = {bytes}\n\n[session]"));
    assert!(refusal(&with(8)).contains("gateway.transport.buffered_body_bytes"));
    Config::parse(&with(9)).expect("valid");
}

#[test]
fn a_config_survives_serialization() {
    let config = Config::parse(&config_text()).expect("valid");
    let text = toml::to_string(&config).expect("serializes");
    assert_eq!(toml::to_string(&Config::parse(&text).expect("valid")).expect("serializes"), text);
}

#[test]
fn a_misspelt_setting_is_named() {
    assert!(refusal(&bent("decimals = 6", "decimals = 6\ngrace_period = 1")).contains("grace_period"));
}

#[test]
fn a_missing_setting_is_named() {
    assert!(refusal(&bent("decimals = 6", "")).contains("decimals"));
}

#[test]
fn a_public_address_needs_tls_in_front() {
    let public = bent("realm =", "listen = \"0.0.0.0:80\"\nrealm =");
    assert!(refusal(&public).contains("trusted_proxy"));
    for flag in ["trusted_proxy", "insecure"] {
        assert!(
            Config::parse(&public.replacen("realm =", &format!("{flag} = true\nrealm ="), 1)).is_ok(),
            "{flag}"
        );
    }
}

#[test]
fn the_mint_allow_list_is_explicit() {
    let list = format!("allowed_mints = [\"{}\"]", mint());
    assert!(refusal(&bent(&list, "")).contains("allowed_mints"));
    assert!(refusal(&bent(&list, "allowed_mints = []")).contains("allowed_mints"));
    let other = format!("allowed_mints = [\"{}\"]", PAYEE.pubkey());
    assert!(refusal(&bent(&list, &other)).contains("session.mint"));
}

#[test]
fn no_limit_may_be_zero() {
    let limits = serde_json::to_value(toll_gateway::Limits::default()).expect("JSON");
    for setting in limits.as_object().expect("a section").keys() {
        let section = format!("[gateway.limits]\n{setting} = 0\n\n[session]");
        let refused = refusal(&bent("[session]", &section));
        assert!(refused.starts_with(&format!("gateway.limits.{setting}: ")), "{refused}");
    }
}

#[test]
fn one_channels_answers_fit_the_memory_for_all() {
    let section = "[gateway.limits]\nrecent_answer_bytes = 1000\n\n[session]";
    assert!(refusal(&bent("[session]", section)).contains("recent_answer_bytes_per_channel"));
}

#[test]
fn a_grace_period_of_zero_is_refused() {
    assert!(
        refusal(&bent("decimals = 6", "decimals = 6\ngrace_period_seconds = 0")).contains("grace_period")
    );
}

#[test]
fn idle_timeouts_are_checked() {
    for options in ["[600, 30]", "[30, 30, 600]", "[0, 600]", "[600, 2592001]", "[30, 86400]"] {
        assert!(refusal(&bent("[30, 600, 86400]", options)).contains("idle_timeout"), "{options}");
    }
}

#[test]
fn prices_are_exact_and_positive() {
    for price in ["0", "0.0000001", "-1", "1e3", "abc", "99999999999999999999"] {
        let error = refusal(&bent("price = \"0.000016\"", &format!("price = \"{price}\"")));
        assert!(error.contains("/paid"), "{error}");
    }
}

#[test]
fn routes_are_checked() {
    assert!(refusal(&bent("path = \"/paid\"", "path = \"paid\"")).contains("must start with"));
    assert!(refusal(&bent("method = \"GET\"", "method = \"get\"")).contains("capitals"));
    assert!(refusal(&bent("path = \"/paid\"", "path = \"/[\"")).contains("/["));
    let text = config_text();
    let without = &text[..text.find("[[routes]]").expect("routes")];
    assert!(refusal(without).contains("at least one route"));
}

#[test]
fn splits_are_checked() {
    let with = |splits: &str| bent("decimals = 6", &format!("decimals = 6\nsplits = [{splits}]"));
    let split = |recipient: &str, bps: u32| format!("{{ recipient = \"{recipient}\", share_bps = {bps} }}");
    let (mint, payee) = (mint().to_string(), PAYEE.pubkey().to_string());
    assert!(Config::parse(&with(&split(&mint, 10_000))).is_ok());
    for splits in [
        split(&mint, 0),
        split(&mint, 10_001),
        split(&payee, 1),
        [split(&mint, 1), split(&mint, 1)].join(", "),
    ] {
        assert!(refusal(&with(&splits)).contains("splits"), "{splits}");
    }
}

#[test]
fn a_payee_that_cannot_sign_is_refused() {
    let pda = toll_protocol::event_authority(&mint());
    assert!(refusal(&bent(&PAYEE.pubkey().to_string(), &pda.to_string())).contains("session.payee"));
}

#[test]
fn keys_are_base58() {
    assert!(refusal(&bent(&PAYEE.pubkey().to_string(), "not-a-key")).contains("not-a-key"));
}

#[test]
fn an_unknown_network_is_refused() {
    assert!(refusal(&bent("localnet", "testnet")).contains("testnet"));
}

#[test]
fn an_upstream_is_a_web_address() {
    for upstream in ["ftp://x", "not a url", "http://x/?q=1"] {
        assert!(refusal(&bent("http://127.0.0.1:1", upstream)).contains("upstream"), "{upstream}");
    }
}

#[test]
fn a_realm_cannot_hold_the_separator() {
    assert!(refusal(&bent("api.example.com", "a|b")).contains("realm"));
}

#[test]
fn a_suggested_deposit_reaches_the_minimum() {
    assert!(
        refusal(&bent("suggested_deposit = \"0.001\"", "suggested_deposit = \"0.00001\""))
            .contains("suggested")
    );
}

#[test]
fn secrets_come_from_files_of_enough_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    let mut config = Config::parse(&config_text()).expect("valid").gateway;
    config.secret_file = Some(path.clone());
    assert!(matches!(config.challenge_secret(), Err(ConfigError::Unreadable { .. })));
    std::fs::write(&path, "short\n").expect("written");
    assert!(matches!(config.challenge_secret(), Err(ConfigError::ShortSecret { length: 5, .. })));
    std::fs::write(&path, "x".repeat(32)).expect("written");
    let secret = config.challenge_secret().expect("long enough");
    assert!(!format!("{secret:?}").contains("xxxx"), "never shown");
}

#[test]
fn more_recipients_than_a_close_pays_are_refused() {
    let listing = |count: usize| {
        let split = |at: usize| {
            let recipient = solana_pubkey::Pubkey::new_from_array([100 + at as u8; 32]);
            format!("[[session.splits]]\nrecipient = \"{recipient}\"\nshare_bps = 10\n")
        };
        config_text() + &(0..count).map(split).collect::<String>()
    };
    assert!(Config::parse(&listing(MAX_PAYABLE_RECIPIENTS)).is_ok());
    let refusal = refusal(&listing(MAX_PAYABLE_RECIPIENTS + 1));
    assert!(refusal.contains("session.splits: lists 11 recipients"), "{refusal}");
}
