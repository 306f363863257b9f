//! Servers that behave as their files say.

use std::path::Path;

use axum::{Router, routing::get};
use toll_cli::config::Config;
use toll_cli::server::{Role, Server};
use toll_client::{PayError, Request};

use crate::support::gateway::{Customer, Merchant};

/// A gateway on the merchant's ledger, with the text of its file changed.
async fn gateway(merchant: &Merchant, change: impl FnOnce(String) -> String) -> (Server, Request) {
    let upstream = crate::support::serve(Router::new().route("/thing", get(|| async { "served" }))).await;
    let listening = format!("listen = \"127.0.0.1:0\"\nupstream = \"http://{upstream}\"");
    let text = change(
        crate::support::gateway::config_text().replace("upstream = \"http://127.0.0.1:1\"", &listening),
    );
    let config = Config::parse(&text, merchant.folder.path()).unwrap();
    let server = Server::start(&config, Role::Gateway).await.unwrap();
    let url = format!("http://{}/thing", server.address.unwrap());
    (server, Request::get(url.parse().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_the_file_hold() {
    let merchant = Merchant::start().await;
    let customer = Customer::new();
    let limited = |text: String| format!("{text}[gateway.limits]\nopens_per_minute = 2\n");
    let (_server, request) = gateway(&merchant, limited).await;
    for _ in 0..2 {
        customer.payer.pay(&customer.book(), &request).await.unwrap();
        std::fs::remove_file(customer.state()).unwrap();
    }

    let third = customer.payer.pay(&customer.book(), &request).await;

    assert!(matches!(third, Err(PayError::Refused { status: 429, .. })), "{third:?}");
    assert_eq!(merchant.channels().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_no_file_names_outlives_the_server() {
    let merchant = Merchant::start().await;
    let customer = Customer::new();
    let (server, request) = gateway(&merchant, |text| text).await;
    customer.payer.pay(&customer.book(), &request).await.unwrap();
    let kept = std::fs::read(merchant.folder.path().join("ledger.db.secret")).unwrap();
    server.stop().await.unwrap();

    let (_server, request) = gateway(&merchant, |text| text).await;

    assert_eq!(std::fs::read(merchant.folder.path().join("ledger.db.secret")).unwrap(), kept);
    customer.payer.pay(&customer.book(), &request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_file_names_is_the_one_that_is_used() {
    let merchant = Merchant::start().await;
    std::fs::write(merchant.folder.path().join("own.key"), [b'k'; 32]).unwrap();
    let named = |text: String| text.replacen("realm", "secret_file = \"own.key\"\nrealm", 1);
    let (_server, request) = gateway(&merchant, named).await;
    let customer = Customer::new();
    customer.payer.pay(&customer.book(), &request).await.unwrap();
    assert!(!merchant.folder.path().join("ledger.db.secret").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_signs_vouchers_with_the_key_in_its_file() {
    let merchant = Merchant::start().await;
    let key = solana_keypair::Keypair::new_from_array([44; 32]);
    let operator = solana_signer::Signer::pubkey(&key);
    toll_cli::keys::write(&merchant.folder.path().join("operator.json"), &key, false).unwrap();
    let signing = |text: String| {
        let text = text.replacen("realm", "operator_key_file = \"operator.json\"\nrealm", 1);
        format!("{text}voucher_signer = \"operator\"\n")
    };
    let customer = Customer::with(|policy| policy.operators = vec![operator]);

    let (_server, request) = gateway(&merchant, signing).await;
    customer.payer.pay(&customer.book(), &request).await.unwrap();

    let id = customer.book().channels()[0].channel_id;
    let voucher = merchant.ledger.best_voucher_to_settle(&id, 0).await.unwrap().unwrap();
    assert_eq!(voucher.signer, operator);
    let without = |text: String| {
        let named = text.replacen("fee_payer =", &format!("operator = \"{operator}\"\nfee_payer ="), 1);
        format!("{named}voucher_signer = \"operator\"\n")
    };
    let text = without(crate::support::gateway::config_text());
    let config = Config::parse(&text, merchant.folder.path()).unwrap();
    let refused = Server::start(&config, Role::Gateway).await.err().unwrap();
    assert!(refused.to_string().contains("gateway.operator_key_file"), "{refused}");
}

#[test]
fn values_that_contradict_each_other_name_their_settings() {
    let refusal = |from: &str, to: &str| {
        let text = super::example::EXAMPLE;
        assert!(text.contains(from), "{from}");
        Config::parse(&text.replacen(from, to, 1), Path::new("")).unwrap_err().to_string()
    };
    for (from, to, setting) in [
        ("# poll_interval_ms = 5000", "poll_interval_ms = 30000", "settler.poll_interval_ms"),
        ("#- compare_within_seconds = 450", "compare_within_seconds = 900", "settler.compare_within_seconds"),
        ("# tip_interval_ms = 2000", "tip_interval_ms = 30000", "settler.tip_interval_ms"),
        (
            "# settle_before_expiry_seconds = 120",
            "settle_before_expiry_seconds = 960",
            "settler.settle_before_expiry_seconds",
        ),
        ("# opens_per_minute = 10", "opens_per_minute = 0", "gateway.limits.opens_per_minute"),
        ("# max_failed_opens = 10000", "max_failed_opens = 0", "ledger.max_failed_opens"),
        ("# concurrency = 16", "concurrency = 0", "settler.concurrency"),
        ("# tip_max_age_seconds = 10", "tip_max_age_seconds = 0", "session.tip_max_age_seconds"),
        ("# request_body_limit = 2097152", "request_body_limit = 0", "gateway.request_body_limit"),
        ("minimum_deposit = \"0.10\"", "minimum_deposit = \"0\"", "session.minimum_deposit"),
        ("# challenge_ttl_seconds = 300", "challenge_ttl_seconds = 86401", "gateway.challenge_ttl_seconds"),
    ] {
        let said = refusal(from, to);
        assert!(said.contains(setting), "{setting}: {said}");
    }
}
