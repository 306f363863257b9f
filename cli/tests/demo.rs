//! The demo, small: the whole product once, on the embedded chain.

mod support;

use serde_json::Value;
use support::Toll;

fn number(document: &Value, member: &str) -> u64 {
    document[member].as_u64().unwrap_or_else(|| panic!("{member} is no integer in {document}"))
}

#[test]
fn every_figure_of_a_small_demo_adds_up() {
    let document = Toll::new().run(&["demo", "--requests", "25", "--json"]).succeeds().json();

    let members: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "requests",
        "accepted",
        "rejected",
        "depositTotal",
        "settled",
        "payeeReceived",
        "payerRefunded",
        "escrowLeft",
        "feesLamports",
        "transactions",
        "elapsedMs",
        "vouchersPerSecond",
    ];
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!(number(&document, "accepted"), 25);
    assert_eq!(number(&document, "rejected"), 0);
    assert_eq!(number(&document, "escrowLeft"), 0);
    assert_eq!(number(&document, "payeeReceived"), 25_000);
    assert_eq!(number(&document, "settled"), 25_000);
    assert_eq!(
        number(&document, "payeeReceived") + number(&document, "payerRefunded"),
        number(&document, "depositTotal")
    );
    let kinds: Vec<&str> =
        document["transactions"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["open", "topUp", "close", "reclaim"]);
    for transaction in document["transactions"].as_array().unwrap() {
        assert!(number(transaction, "computeUnits") > 0, "{transaction}");
    }
}

#[test]
fn the_demo_shows_progress_on_terminals_only() {
    let ended = Toll::new().run(&["demo", "--requests", "3"]);
    assert!(ended.succeeds().stdout.contains("│ requests paid              3 of 3"), "{ended:?}");
    assert!(!ended.stderr.contains("starting"), "{ended:?}");
}
