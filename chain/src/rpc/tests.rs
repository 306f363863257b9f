//! What is asked of a node, and what is made of its answers.

use serde_json::Value;

use super::*;
use crate::Failure;
use crate::consensus::Consensus;
use crate::stub_node::node;

fn fate(status: &Value) -> Fate {
    serde_json::from_value::<Status>(status.clone()).unwrap().fate(Consensus::Tower)
}

#[test]
fn processed_status_is_pending_even_when_it_failed() {
    let status =
        json!({ "slot": 5, "confirmationStatus": "processed", "err": { "InstructionError": [0, "X"] } });
    assert_eq!(fate(&status), Fate::Pending);
}

#[test]
fn confirmed_and_finalized_statuses_are_landed() {
    for status in ["confirmed", "finalized"] {
        let status = json!({ "slot": 5, "confirmationStatus": status, "err": null });
        assert_eq!(fate(&status), Fate::Landed { slot: 5 });
    }
}

#[test]
fn confirmed_error_is_failed_with_its_reason() {
    let status = json!({ "slot": 9, "confirmationStatus": "confirmed", "err": { "InstructionError": [1, { "Custom": 234 }] } });
    let Fate::Failed { slot: 9, error } = fate(&status) else { panic!("not failed") };
    assert!(error.contains("234"), "{error}");
}

#[test]
fn transaction_of_a_payer_that_cannot_pay_did_not_run() {
    let status = json!({ "slot": 9, "confirmationStatus": "confirmed", "err": "InsufficientFundsForFee" });
    assert!(matches!(fate(&status), Fate::DidNotRun { slot: 9, .. }));
    let rent = json!({ "InsufficientFundsForRent": { "account_index": 0 } });
    let status = json!({ "slot": 9, "confirmationStatus": "finalized", "err": rent });
    assert!(matches!(fate(&status), Fate::DidNotRun { slot: 9, .. }));
    let status = json!({ "slot": 9, "confirmationStatus": "processed", "err": "AccountNotFound" });
    assert_eq!(fate(&status), Fate::Pending);
}

#[test]
fn account_is_read_from_base64() {
    let value = json!({ "data": ["AQI=", "base64"], "owner": "11111111111111111111111111111111",
        "lamports": 7, "executable": true, "rentEpoch": 18_446_744_073_709_551_615u64 });
    let account = account("x", &serde_json::from_value(value).unwrap()).unwrap();
    assert_eq!((account.data.as_slice(), account.lamports, account.executable), (&[1, 2][..], 7, true));
}

#[test]
fn list_of_another_length_is_malformed() {
    assert!(matches!(list(vec![0], "x", 2), Err(ChainError::Malformed { .. })));
}

#[tokio::test]
async fn accounts_are_asked_for_by_the_hundred_and_carry_the_oldest_slot() {
    let page =
        |slot: u64, count: usize| json!({ "context": { "slot": slot }, "value": vec![Value::Null; count] });
    let (url, seen) = node(vec![page(9, 100), page(7, 100), page(8, 50)]).await;

    let found = RpcChain::new(url).accounts(&vec![Pubkey::default(); 250]).await.unwrap();

    assert_eq!((found.slot, found.accounts.len()), (7, 250));
    let sizes: Vec<_> =
        seen.lock().unwrap().iter().map(|call| call["params"][0].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[tokio::test]
async fn statuses_are_asked_for_with_their_history_256_at_a_time() {
    let page = |count: usize| json!({ "context": { "slot": 1 }, "value": vec![Value::Null; count] });
    let (url, seen) = node(vec![page(256), page(1)]).await;

    let fates = RpcChain::new(url).statuses(&vec![Signature::default(); 257]).await.unwrap();

    assert_eq!(fates, vec![Fate::Unknown; 257]);
    for call in seen.lock().unwrap().iter() {
        assert_eq!(call["params"][1], json!({ "searchTransactionHistory": true }));
    }
}

#[tokio::test]
async fn call_is_repeated_when_the_connection_breaks_or_the_node_is_behind() {
    let behind =
        json!({ "code": -32_005, "message": "Node is behind by 42 slots", "data": { "numSlotsBehind": 42 } });
    let (url, seen) = node(vec![Value::Null, behind, json!("Genesis")]).await;
    assert_eq!(RpcChain::new(url).genesis_hash().await.unwrap(), "Genesis");
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn list_of_channels_is_read_from_one_answer_of_a_node_that_is_not_behind() {
    let answer = |slot: u64| {
        let part = STANDARD.encode([0; toll_protocol::ChannelStanding::SIZE]);
        let entry = |seed: u8| json!({ "pubkey": Pubkey::from([seed; 32]).to_string(), "account": { "data": [part, "base64"] } });
        json!({ "context": { "slot": slot }, "value": (0..250).map(entry).collect::<Vec<_>>() })
    };
    let (url, seen) = node(vec![answer(8), answer(9)]).await;
    let (program, payee) = (Pubkey::from([1; 32]), Pubkey::from([2; 32]));

    let listed = RpcChain::new(url).list_channels(&program, &payee, 9).await.unwrap();

    assert_eq!((listed.slot, listed.channels.len()), (9, 250));
    let asked = seen.lock().unwrap();
    assert_eq!((asked.len(), asked[1]["method"].as_str()), (2, Some("getProgramAccounts")));
    assert_eq!(asked[1]["params"][1]["minContextSlot"], json!(9));
}

#[tokio::test]
async fn node_that_gives_no_list_says_so() {
    let refusal =
        json!({ "code": -32_010, "message": "excluded from account secondary indexes", "data": {} });
    let (url, _) = node(vec![refusal]).await;
    let refused = RpcChain::new(url).list_channels(&Pubkey::default(), &Pubkey::default(), 1).await;
    assert!(matches!(refused, Err(ChainError::Refused { code: -32_010, .. })), "{refused:?}");
}

#[tokio::test]
async fn refusal_is_not_repeated() {
    let (url, seen) = node(vec![json!({ "code": -32_602, "message": "invalid" })]).await;
    let refused = RpcChain::new(url).submit(&[1, 2, 3]).await;
    assert!(matches!(refused, Err(ChainError::Refused { code: -32_602, .. })), "{refused:?}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn transactions_are_sent_without_preflight() {
    let (url, seen) = node(vec![json!("signature")]).await;
    RpcChain::new(url).submit(&[1, 2, 3]).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0]["params"][0], json!("AQID"));
    assert_eq!(seen[0]["params"][1]["skipPreflight"], json!(true));
}

#[tokio::test]
async fn simulation_checks_no_signatures_and_tells_why_it_failed() {
    let failed = json!({ "context": { "slot": 1 }, "value": { "err": { "InstructionError": [2, { "Custom": 234 }] }, "unitsConsumed": 900, "logs": [] } });
    let (url, seen) = node(vec![failed]).await;
    let simulation = RpcChain::new(url).simulate(&[1]).await.unwrap();
    assert!(
        matches!(simulation.error, Some(Failure::Ran { instruction: Some(2), words }) if words.contains("234"))
    );
    assert_eq!(simulation.compute_units, 900);
    assert_eq!(seen.lock().unwrap()[0]["params"][1]["sigVerify"], json!(false));
}

#[tokio::test]
async fn cost_of_a_transaction_that_is_not_indexed_yet_is_unknown() {
    let indexed = json!({ "slot": 3, "meta": { "err": null, "fee": 15_000, "computeUnitsConsumed": 6_366,
            "preBalances": [100_000, 0], "postBalances": [60_000, 25_000] } });
    let (url, seen) = node(vec![json!({ "slot": 3 }), indexed]).await;
    let chain = RpcChain::new(url);
    assert_eq!(chain.cost(&Signature::default()).await.unwrap(), None);
    let cost = Cost { fee_lamports: 15_000, compute_units: 6_366, paid_lamports: 40_000 };
    assert_eq!(chain.cost(&Signature::default()).await.unwrap(), Some(cost));
    // Without it a node refuses to tell of what others send in a newer format.
    assert_eq!(seen.lock().unwrap()[0]["params"][1]["maxSupportedTransactionVersion"], json!(1));
}

#[tokio::test]
async fn node_that_does_not_answer_is_unreachable() {
    // Port 9 is the discard service: nobody listens there.
    let chain = RpcChain::new("http://127.0.0.1:9");
    assert!(matches!(chain.genesis_hash().await, Err(ChainError::Unreachable { .. })));
}

#[tokio::test]
async fn key_in_the_url_of_a_node_is_never_told() {
    let chain = RpcChain::new("http://127.0.0.1:9/?api-key=hunter2");
    let error = chain.genesis_hash().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}
