//! A server that only ever asks for money, a real gateway without a chain, and the command itself.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod gateway;
pub(crate) mod rogue;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};
use solana_hash::Hash;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use toll_protocol::{
    Amount, Challenge, ChallengeSecret, ChannelOffer, MethodDetails, Network, Offer, PROGRAM_ID, Realm,
    SessionRequest, Splits, TOKEN_PROGRAM, VoucherSigner, format_www_authenticate,
};

/// The request of a challenge that every check passes.
pub(crate) fn acceptable() -> SessionRequest {
    SessionRequest {
        amount: Amount::new(1_000),
        currency: Pubkey::new_from_array([1; 32]),
        recipient: Pubkey::new_from_array([2; 32]),
        unit_type: Some("request".into()),
        suggested_deposit: Some(Amount::new(50_000)),
        minimum_deposit: Some(Amount::new(10_000)),
        description: None,
        external_id: None,
        method_details: MethodDetails {
            network: Network::Localnet,
            channel_program: PROGRAM_ID,
            decimals: 6,
            token_program: Some(TOKEN_PROGRAM),
            fee_payer_key: Some(Pubkey::new_from_array([4; 32])),
            voucher_signer: VoucherSigner::Client,
            min_voucher_delta: None,
            ttl_seconds: None,
            splits: Splits::none(),
            at_idle_options: Vec::new(),
            channel: ChannelOffer::New {
                recent_blockhash: Hash::new_from_array([5; 32]),
                recent_slot: 2_000,
                grace_period: 900,
                idle_timeout_options: Vec::new(),
            },
        },
    }
}

/// A `WWW-Authenticate` value for `request`, good until `expires_at`.
pub(crate) fn challenge(request: &SessionRequest, expires_at: i64) -> String {
    let secret = ChallengeSecret::new([7; 32].to_vec()).unwrap();
    let realm = Realm::new("example.com").unwrap();
    let opaque = BTreeMap::new();
    let offer = Offer { realm: &realm, request, expires_at, opaque: &opaque };
    format_www_authenticate(&Challenge::issue(&secret, offer).unwrap()).unwrap()
}

/// Answers everything with one 402, and counts who tried to pay. Its `/rpc` knows no account at all.
pub(crate) struct Asking {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<AtomicUsize>,
    pub(crate) credentials: Arc<AtomicUsize>,
}

impl Asking {
    /// Asks with `www_authenticate`.
    pub(crate) async fn with(www_authenticate: String) -> Self {
        let (requests, credentials) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen, paid) = (Arc::clone(&requests), Arc::clone(&credentials));
        let ask = move |request: Request| {
            seen.fetch_add(1, Ordering::SeqCst);
            if request.headers().contains_key("authorization") {
                paid.fetch_add(1, Ordering::SeqCst);
            }
            let mut response = Response::builder().status(402);
            if !www_authenticate.is_empty() {
                response = response.header("www-authenticate", &www_authenticate);
            }
            std::future::ready(response.body(Body::empty()).unwrap())
        };
        let router = Router::new().route("/rpc", post(empty_chain)).fallback(ask);
        Self { address: serve(router).await, requests, credentials }
    }

    /// Asks with a challenge for `request`, good for years.
    pub(crate) async fn with_request(request: &SessionRequest) -> Self {
        Self::with(challenge(request, 4_000_000_000)).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/thing", self.address)
    }

    pub(crate) fn rpc(&self) -> String {
        format!("http://{}/rpc", self.address)
    }

    pub(crate) fn credentials(&self) -> usize {
        self.credentials.load(Ordering::SeqCst)
    }
}

async fn empty_chain(body: String) -> String {
    let call: Value = serde_json::from_str(&body).unwrap();
    let result = match call["method"].as_str() {
        Some("getGenesisHash") => json!(Pubkey::new_from_array([6; 32]).to_string()),
        _ => json!({ "context": { "slot": 1 }, "value": null }),
    };
    json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string()
}

/// Serves `router` on a free port for as long as the test runs.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// The command, in a home of its own: no key, no state, no environment of the caller's.
pub(crate) struct Toll {
    pub(crate) home: tempfile::TempDir,
}

/// How a run of the command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Toll {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    /// With a key at the default place.
    pub(crate) fn with_key() -> Self {
        let toll = Self::new();
        toll_cli::keys::write(&toll.home.path().join(".config/toll/id.json"), &Keypair::new(), false)
            .unwrap();
        toll
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_toll"));
        for name in ["TOLL_KEYPAIR", "TOLL_STATE", "TOLL_RPC", "TOLL_NETWORK", "XDG_STATE_HOME", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.env("HOME", self.home.path()).current_dir(self.home.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.command().args(arguments).output().unwrap().into()
    }

    /// The same, without blocking the servers of an asynchronous test.
    pub(crate) async fn run_beside(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command();
        command.args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    pub(crate) fn state(&self) -> std::path::PathBuf {
        self.home.path().join(".local/state/toll/channels.json")
    }

    /// The channels in the state file.
    pub(crate) fn channels(&self) -> Vec<Value> {
        let Ok(text) = std::fs::read_to_string(self.state()) else { return Vec::new() };
        serde_json::from_str::<Value>(&text).unwrap()["channels"].as_array().unwrap().clone()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// It failed with `code` and one line on stderr that has every one of `words`.
    #[track_caller]
    pub(crate) fn fails_with(&self, code: u8, words: &[&str]) -> &Self {
        assert_eq!(self.code, i32::from(code), "{self:?}");
        let errors: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{self:?}");
        assert!(errors[0].contains("; "), "no remedy: {self:?}");
        for word in words {
            assert!(errors[0].contains(word), "`{word}` is not in {self:?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn succeeds(&self) -> &Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
