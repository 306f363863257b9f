//! Several nodes: who is asked, who is passed over, and who is never asked again.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::Network;

use crate::stub_node::node;
use crate::{Chain, ChainError, Cost, Fate, MAINNET_GENESIS, RpcChain};

/// Port 9 is the discard service: nobody listens there.
const DOWN: &str = "http://127.0.0.1:9/?api-key=hunter2";

const COST: Cost = Cost { fee_lamports: 15_000, compute_units: 6_366, paid_lamports: 15_000 };

fn indexed() -> Value {
    json!({ "slot": 3, "meta": { "err": null, "fee": 15_000, "computeUnitsConsumed": 6_366 } })
}

fn empty_at(slot: u64) -> Value {
    json!({ "context": { "slot": slot }, "value": [null] })
}

fn behind() -> Value {
    json!({ "code": -32_005, "message": "Node is behind by 42 slots", "data": { "numSlotsBehind": 42 } })
}

fn methods(seen: &Arc<Mutex<Vec<Value>>>) -> Vec<String> {
    seen.lock().unwrap().iter().map(|call| call["method"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn node_that_does_not_answer_is_passed_over_and_left_alone_for_a_while() {
    let (url, seen) = node(vec![json!("G"), indexed(), indexed()]).await;
    let chain = RpcChain::new(vec![DOWN.to_owned(), url]);

    for _ in 0..2 {
        assert_eq!(chain.cost(&Signature::default()).await.unwrap(), Some(COST));
    }

    assert_eq!(methods(&seen), ["getGenesisHash", "getTransaction", "getTransaction"]);
}

#[tokio::test]
async fn node_that_says_it_is_behind_is_passed_over() {
    let (late, asked) = node(vec![json!("G"), behind()]).await;
    let (url, _) = node(vec![json!("G"), indexed()]).await;

    let cost = RpcChain::new(vec![late, url]).cost(&Signature::default()).await.unwrap();

    assert_eq!((cost, asked.lock().unwrap().len()), (Some(COST), 2));
}

#[tokio::test]
async fn answer_for_an_older_slot_than_was_seen_is_not_taken() {
    let (first, _) = node(vec![json!("G"), empty_at(100), Value::Null]).await;
    let (second, asked) = node(vec![json!("G"), empty_at(90), empty_at(101)]).await;
    let chain = RpcChain::new(vec![first, second]);
    let address = [Pubkey::default()];

    assert_eq!(chain.accounts(&address).await.unwrap().slot, 100);
    assert_eq!(chain.accounts(&address).await.unwrap().slot, 101);

    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn node_that_lags_calls_no_transaction_unknown() {
    let landed = json!({ "context": { "slot": 102 }, "value": [{ "slot": 99, "confirmations": null,
        "confirmationStatus": "finalized", "err": null, "status": { "Ok": null } }] });
    let (first, _) = node(vec![json!("G"), empty_at(100), Value::Null]).await;
    let (second, _) = node(vec![json!("G"), empty_at(90), landed]).await;
    let chain = RpcChain::new(vec![first, second]);
    chain.accounts(&[Pubkey::default()]).await.unwrap();

    let fates = chain.statuses(&[Signature::default()]).await.unwrap();

    assert_eq!(fates, [Fate::Landed { slot: 99 }]);
}

#[tokio::test]
async fn node_of_another_cluster_is_refused_at_start_and_named() {
    let (first, _) = node(vec![json!("G")]).await;
    let (second, _) = node(vec![json!("H")]).await;
    let chain = RpcChain::new(vec![first.clone(), format!("{second}/?api-key=hunter2")]);

    let error = chain.genesis_hash().await.unwrap_err();

    let ChainError::StrayNode { node, .. } = &error else { panic!("{error}") };
    assert!([&first, &second].contains(&node));
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn node_of_another_network_is_refused_at_start_and_named() {
    let (url, _) = node(vec![json!(MAINNET_GENESIS)]).await;

    let error = RpcChain::on(Network::Localnet, &url).genesis_hash().await.unwrap_err();

    assert!(matches!(&error, ChainError::WrongCluster { node, .. } if *node == url), "{error}");
}

#[tokio::test]
async fn start_goes_on_when_only_some_nodes_answer() {
    let (url, _) = node(vec![json!("G")]).await;
    assert_eq!(RpcChain::new(vec![DOWN.to_owned(), url]).genesis_hash().await.unwrap(), "G");
}

#[tokio::test]
async fn node_that_comes_back_on_another_cluster_is_not_used() {
    let (first, asked) = node(vec![json!("G"), Value::Null, json!("H"), indexed()]).await;
    let (second, _) = node(vec![json!("G"), indexed(), Value::Null, json!("G"), indexed()]).await;
    let chain = RpcChain::new(vec![first, second]);
    chain.genesis_hash().await.unwrap();

    for _ in 0..2 {
        assert_eq!(chain.cost(&Signature::default()).await.unwrap(), Some(COST));
    }

    assert_eq!(methods(&asked), ["getGenesisHash", "getTransaction", "getGenesisHash"]);
}

#[tokio::test]
async fn what_is_sent_goes_to_every_node() {
    let (first, one) = node(vec![json!("G"), json!("signature")]).await;
    let (second, other) = node(vec![json!("G"), json!("signature")]).await;

    RpcChain::new(vec![first, DOWN.to_owned(), second]).submit(&[1, 2, 3]).await.unwrap();

    // The first answer was enough; the other node is asked all the same.
    while one.lock().unwrap().len() + other.lock().unwrap().len() < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(methods(&one), ["getGenesisHash", "sendTransaction"]);
    assert_eq!(methods(&other), ["getGenesisHash", "sendTransaction"]);
}
