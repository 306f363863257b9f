//! The session client of solana-pay-kit 0.10.0 buys from this gateway.

use serde_json::Value;
use toll_protocol::ChannelId;
use toll_tests::World;
use toll_tests::world::{DEPOSIT, PRICE};

use crate::foreign::Foreign;
use crate::shop::{is_paid_out, shop, url};

/// Three requests and a close at `path`; what the client saw.
async fn session(world: &World, path: &str) -> Option<Value> {
    let python = Foreign::python()?;
    let keypair = world.folder().join("payer.json");
    let arguments = [keypair.to_str().expect("a path of text"), &url(world, path), "3", &DEPOSIT.to_string()];
    Some(python.run("session_client.py", &arguments).await)
}

/// Asserts what every session of three requests has in common, and returns its channel.
fn is_served(report: &Value) -> ChannelId {
    assert_eq!(report["unpaid"], 402);
    assert_eq!(report["open"]["status"], 200, "{report}");
    assert_eq!(report["open"]["receipt"]["accepted"], "0");
    for (number, answer) in report["vouchers"].as_array().expect("answers").iter().enumerate() {
        let spent = ((number as u64 + 1) * PRICE.get()).to_string();
        assert_eq!(
            (&answer["status"], &answer["receipt"]["spent"]),
            (&200.into(), &spent.into()),
            "{report}"
        );
        assert_eq!(answer["receipt"]["channel"], report["channel"]);
        assert_eq!(answer["body"], format!("{}\n", number + 1));
    }
    let refunded = (DEPOSIT.get() - 3 * PRICE.get()).to_string();
    assert_eq!(report["close"]["status"], 200, "{report}");
    assert_eq!(report["close"]["receipt"]["refunded"], refunded);
    report["channel"].as_str().expect("an address").parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_signs_vouchers_and_both_sides_get_what_is_theirs() {
    let world = shop().await;
    let Some(report) = session(&world, "/count").await else { return };

    assert_eq!(report["signer"], "client");
    let channel = is_served(&report);
    is_paid_out(&world, &channel, 3 * PRICE.get()).await;
    assert_eq!(world.upstream.served(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_shows_its_proof_and_our_operator_signs() {
    let world = shop().await;
    let Some(report) = session(&world, "/operated/count").await else { return };

    assert_eq!(report["signer"], "operator");
    let channel = is_served(&report);
    is_paid_out(&world, &channel, 3 * PRICE.get()).await;
    assert_eq!(world.upstream.served(), 3);
}
