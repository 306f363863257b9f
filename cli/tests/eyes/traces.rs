//! Traces, as a collector gets them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use toll_client::Request;
use toll_ledger::ChannelState;

use crate::support::gateway::{Customer, Merchant, config_text};
use crate::support::{self, Toll};

/// A collector, and what came to it.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<u8>>>);

impl Collector {
    async fn start(&self) -> String {
        let collector = self.clone();
        let take = move |body: Bytes| {
            collector.0.lock().unwrap().extend_from_slice(&body);
            std::future::ready(())
        };
        format!("http://{}/v1/traces", support::serve(Router::new().route("/v1/traces", post(take))).await)
    }

    /// Texts are plain in protocol buffers.
    fn has(&self, text: &str) -> bool {
        let got = self.0.lock().unwrap();
        got.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// A gateway's process on the merchant's ledger that is ready, and where it is.
fn start(toll: &Toll, merchant: &Merchant, upstream: &str, sections: &str) -> (Child, String) {
    let ledger = merchant.folder.path().join("ledger.db");
    let text = config_text().replace("path = \"ledger.db\"", &format!("path = {ledger:?}")).replace(
        "upstream = \"http://127.0.0.1:1\"",
        &format!("listen = \"127.0.0.1:0\"\nupstream = \"{upstream}\""),
    );
    toll.write("toll.toml", &(text + sections));
    let mut command = toll.command();
    command.args(["--json", "serve", "--only", "gateway"]).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut document = String::new();
    for line in BufReader::new(process.stdout.as_mut().unwrap()).lines().map(Result::unwrap) {
        document += &line;
        if line == "}" {
            break;
        }
    }
    let ready: Value = serde_json::from_str(&document).unwrap();
    (process, ready["address"].as_str().unwrap().to_owned())
}

async fn stop(mut process: Child) {
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || process.wait().unwrap()).await.unwrap();
    assert!(ended.success(), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_named_gets_a_trace_of_every_request() {
    let (merchant, customer, toll) = (Merchant::start().await, Customer::new(), Toll::new());
    let collector = Collector::default();
    let telemetry = format!("[telemetry]\notlp_endpoint = \"{}\"\n", collector.start().await);
    let upstream = support::serve(Router::new().fallback(|| async { "served" })).await;
    let (process, address) = start(&toll, &merchant, &format!("http://{upstream}"), &telemetry);

    let url = format!("{address}/secret-path?token=secret-query");
    customer.payer.pay(&customer.book(), &Request::get(url.parse().unwrap())).await.unwrap();
    stop(process).await;

    for text in ["request", "accept", "upstream", "GET", "/**", "payment-required", "service.name"] {
        assert!(collector.has(text), "no {text} in the traces");
    }
    let channels = merchant.ledger.channels(ChannelState::ALL).await.unwrap();
    let id = channels[0].id;
    let voucher = merchant.ledger.highest_voucher(&id).await.unwrap().unwrap();
    let state: Value = serde_json::from_str(&std::fs::read_to_string(customer.state()).unwrap()).unwrap();
    let mut secrets = vec!["secret-path".to_owned(), "secret-query".to_owned(), "Payment ".to_owned()];
    secrets.extend([id.to_string(), voucher.signer.to_string(), voucher.signature.to_string()]);
    secrets.push(std::fs::read_to_string(merchant.folder.path().join("ledger.db.secret")).unwrap());
    texts(&state, &mut secrets);
    for secret in secrets.iter().filter(|text| text.len() > 24 || !text.starts_with('/') && text.len() > 7) {
        assert!(!collector.has(secret), "{secret} is in the traces");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_keeps_nobody_from_paying() {
    let (merchant, customer, toll) = (Merchant::start().await, Customer::new(), Toll::new());
    let upstream = support::serve(Router::new().fallback(|| async { "served" })).await;
    let telemetry = "[telemetry]\notlp_endpoint = \"http://127.0.0.1:1/v1/traces\"\n";
    let (process, address) = start(&toll, &merchant, &format!("http://{upstream}"), telemetry);
    let request = Request::get(format!("{address}/thing").parse().unwrap());
    customer.payer.pay(&customer.book(), &request).await.unwrap();
    stop(process).await;
}

/// Every text in a document.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|member| texts(member, found)),
        _ => {}
    }
}
