//! The admin listener.

use std::time::Duration;

use reqwest::StatusCode;
use toll_cli::config::Config;
use toll_cli::server::{Role, Server};

use crate::shop::{Shop, buy, look, value};
use crate::support::gateway::{Customer, Merchant, config_text};

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_probes_are_there_when_they_are_asked_for_and_only_then() {
    let shop = Shop::new().await;
    let server = shop.open(Role::Both, "").await;
    assert_eq!(server.admin_address, None);
    server.stop().await.unwrap();

    let server = shop.open(Role::Both, ADMIN).await;
    buy(&server, &shop.customer().await).await;

    let (status, scrape) = look(&server, "/metrics", None).await;
    assert_eq!(status, StatusCode::OK);
    for (series, expected) in [
        ("toll_vouchers_accepted_total", 1.0),
        ("toll_charged_base_units_total", 1_000.0),
        ("toll_requests_refused_total{code=\"payment-required\"}", 2.0),
        ("toll_commit_seconds_count", 1.0),
        ("toll_channels{state=\"open\"}", 1.0),
        ("toll_exposure_base_units", 1_000.0),
        ("toll_transactions_total{kind=\"open\",outcome=\"landed\"}", 1.0),
        ("toll_ledger_up", 1.0),
        ("toll_grace_clocks", 0.0),
    ] {
        assert_eq!(value(&scrape, series), expected, "{series}\n{scrape}");
    }
    assert!(value(&scrape, "toll_float_left_lamports") > 0.0, "{scrape}");
    assert!(value(&scrape, "toll_fee_lamports_total") >= 10_000.0, "{scrape}");
    assert!(scrape.ends_with("# EOF\n"));
    assert_eq!(look(&server, "/healthz", None).await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(look(&server, "/readyz", None).await.0, StatusCode::OK);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settler_alone_shows_its_purse_and_no_requests() {
    let shop = Shop::new().await;
    let server = shop.open(Role::Settler, ADMIN).await;
    let (_, scrape) = look(&server, "/metrics", None).await;
    assert!(value(&scrape, "toll_fee_payer_lamports") > 0.0);
    assert!(!scrape.contains("toll_vouchers_accepted"), "{scrape}");
    // Until its first look at the chain it is not.
    while look(&server, "/readyz", None).await.0 != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_without_a_settler_is_alive_and_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let server = gateway(folder.path(), ADMIN).await;
    assert_eq!(look(&server, "/healthz", None).await.0, StatusCode::OK);
    let (status, why) = look(&server, "/readyz", None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(why.contains("\"ready\":false") && why.contains("settler"), "{why}");
    let (_, scrape) = look(&server, "/metrics", None).await;
    assert!(!scrape.contains("toll_float"), "no purse is here: {scrape}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_ready_once_a_settler_elsewhere_is() {
    let merchant = Merchant::start().await;
    let server = gateway(merchant.folder.path(), ADMIN).await;
    assert_eq!(look(&server, "/readyz", None).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_brings_the_token_sees_anything() {
    const TOKEN: &str = "a-token-of-some-length";
    let merchant = Merchant::start().await;
    std::fs::write(merchant.folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let server =
        gateway(merchant.folder.path(), "[admin]\nlisten = \"0.0.0.0:0\"\ntoken_file = \"token\"\n").await;
    for path in ["/metrics", "/healthz", "/readyz", "/other"] {
        for token in [None, Some("a-token-of-some-lengt"), Some("another-token-of-length")] {
            assert_eq!(look(&server, path, token).await, (StatusCode::UNAUTHORIZED, String::new()), "{path}");
        }
    }
    assert_eq!(look(&server, "/metrics", Some(TOKEN)).await.0, StatusCode::OK);
    assert_eq!(look(&server, "/readyz", Some(TOKEN)).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_do_not_reach_the_metrics() {
    let merchant = Merchant::start().await;
    let server = gateway(merchant.folder.path(), ADMIN).await;
    let asked = reqwest::get(format!("http://{}/metrics", server.address.unwrap())).await.unwrap();
    assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED, "a path like any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_label_has_a_secret_a_credential_a_signature_or_a_key() {
    let merchant = Merchant::start().await;
    let customer = Customer::new();
    let server = gateway(merchant.folder.path(), ADMIN).await;
    let url = format!("http://{}/thing", server.address.unwrap());
    // The upstream is down, so it is charged and not served.
    let _ = customer.payer.pay(&customer.book(), &toll_client::Request::get(url.parse().unwrap())).await;

    let (_, scrape) = look(&server, "/metrics", None).await;

    assert_eq!(value(&scrape, "toll_vouchers_accepted_total"), 1.0);
    let labels = scrape
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
    for label in labels.flat_map(|labels| labels.split(',')) {
        let (name, value) = label.split_once('=').unwrap();
        assert!(["code", "state", "kind", "outcome", "le"].contains(&name), "{label}");
        // A key or a signature in base58 has 32 characters at least.
        assert!(value.len() < 32, "{label}");
    }
}

async fn gateway(folder: &std::path::Path, sections: &str) -> Server {
    let text = config_text().replace("[gateway]\n", "[gateway]\nlisten = \"127.0.0.1:0\"\n") + sections;
    Server::start(&Config::parse(&text, folder).unwrap(), Role::Gateway).await.unwrap()
}
