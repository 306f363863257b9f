//! A node that answers from memory, and counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use toll_chain::{CLOCK, RENT};
use toll_ledger::ChannelFixture;
use toll_protocol::{
    CHANNEL_SIZE, ChannelAccount, ChannelId, ChannelStanding, ChannelStatus, PROGRAM_ID, SYSTEM_PROGRAM,
    base64_encode,
};

use super::Failure;

/// Slot at which the node begins.
const SLOT: u64 = 600_000_000;

/// Length of a slot, in milliseconds.
const SLOT_MS: u128 = 250;

/// Lamports of whoever has any.
const LAMPORTS: u64 = 10_000_000_000;

/// A stub on a port of its own.
pub(super) struct Node {
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    began: Instant,
    calls: AtomicU64,
    fee_payer: Pubkey,
    channels: HashMap<Pubkey, ChannelAccount>,
    /// Channels that payers are closing, and since when.
    closing: Mutex<HashMap<Pubkey, i64>>,
}

impl Node {
    pub(super) async fn start(fee_payer: Pubkey, fixtures: &[ChannelFixture]) -> Result<Self, Failure> {
        let channels = fixtures.iter().map(|fixture| (fixture.id().pubkey(), fixture.account())).collect();
        let inner = Arc::new(Inner {
            began: Instant::now(),
            calls: AtomicU64::new(0),
            fee_payer,
            channels,
            closing: Mutex::default(),
        });
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, inner })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Calls answered so far.
    pub(super) fn calls(&self) -> u64 {
        self.inner.calls.load(Ordering::Relaxed)
    }

    /// Lets the payer of a channel start its grace period.
    pub(super) fn force_close(&self, channel: &ChannelId) {
        let mut closing = self.inner.closing.lock().unwrap_or_else(PoisonError::into_inner);
        closing.insert(channel.pubkey(), now());
    }
}

async fn answer(State(node): State<Arc<Inner>>, Json(call): Json<Value>) -> Json<Value> {
    node.calls.fetch_add(1, Ordering::Relaxed);
    let id = call.get("id").cloned().unwrap_or_default();
    let method = call["method"].as_str().unwrap_or_default();
    Json(match node.result(method, &call["params"]) {
        Some(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        None => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32_601, "message": "Method not found" } })
        }
    })
}

impl Inner {
    fn result(&self, method: &str, params: &Value) -> Option<Value> {
        let height = self.slot() - SLOT + 1_000;
        let blockhash = Pubkey::new_from_array([5; 32]).to_string();
        Some(match method {
            "getGenesisHash" => json!("LocalGenesis1111111111111111111111111111111"),
            "getLatestBlockhash" => {
                self.at(json!({ "blockhash": blockhash, "lastValidBlockHeight": height + 150 }))
            }
            "getBlockHeight" => json!(height),
            "getSlot" => json!(self.slot()),
            "getMinimumBalanceForRentExemption" => json!(1_950_720),
            "getMultipleAccounts" => {
                let addresses = params[0].as_array()?.iter();
                self.at(addresses.map(|address| self.account(address)).collect())
            }
            // Every channel with what changes of it, or the addresses of those that are closing.
            "getProgramAccounts" if params[1]["dataSlice"]["length"] == ChannelStanding::SIZE => {
                let list = self.channels.keys().map(|address| self.listed(address));
                self.at(list.collect())
            }
            "getProgramAccounts" => {
                let closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
                self.at(closing.keys().map(|address| json!({ "pubkey": address.to_string(), "account": encoded(PROGRAM_ID, &[], false) })).collect())
            }
            "isBlockhashValid" => self.at(json!(true)),
            "simulateTransaction" => self.at(json!({ "err": null, "logs": [], "unitsConsumed": 60_000 })),
            "getSignatureStatuses" => self.at(params[0].as_array()?.iter().map(|_| Value::Null).collect()),
            "sendTransaction" => json!(solana_signature::Signature::default().to_string()),
            _ => return None,
        })
    }

    fn slot(&self) -> u64 {
        SLOT + u64::try_from(self.began.elapsed().as_millis() / SLOT_MS).unwrap_or(0)
    }

    fn at(&self, value: Value) -> Value {
        json!({ "context": { "slot": self.slot() }, "value": value })
    }

    fn account(&self, address: &Value) -> Value {
        let Some(address) = address.as_str().and_then(|text| text.parse::<Pubkey>().ok()) else {
            return Value::Null;
        };
        if address == CLOCK {
            let mut data = [0; 40];
            data[..8].copy_from_slice(&self.slot().to_le_bytes());
            data[32..].copy_from_slice(&now().to_le_bytes());
            return encoded(SYSTEM_PROGRAM, &data, false);
        }
        if address == RENT {
            let mut data = [0; 17];
            data[..8].copy_from_slice(&5_080u64.to_le_bytes());
            data[8..16].copy_from_slice(&1f64.to_le_bytes());
            return encoded(SYSTEM_PROGRAM, &data, false);
        }
        if address == PROGRAM_ID {
            return encoded(SYSTEM_PROGRAM, &[], true);
        }
        if address == self.fee_payer {
            return encoded(SYSTEM_PROGRAM, &[], false);
        }
        self.channel(&address).map_or(Value::Null, |data| encoded(PROGRAM_ID, &data, false))
    }

    fn channel(&self, address: &Pubkey) -> Option<[u8; CHANNEL_SIZE]> {
        let channel = self.channels.get(address)?;
        let closing = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match closing.get(address) {
            None => channel.encode(),
            Some(since) => {
                let status = ChannelStatus::Closing;
                ChannelAccount { status, closure_started_at: *since, ..channel.clone() }.encode()
            }
        })
    }

    fn listed(&self, address: &Pubkey) -> Value {
        let part = ChannelStanding::OFFSET..ChannelStanding::OFFSET + ChannelStanding::SIZE;
        let data = self.channel(address).unwrap_or([0; CHANNEL_SIZE]);
        json!({ "pubkey": address.to_string(), "account": encoded(PROGRAM_ID, &data[part], false) })
    }
}

fn encoded(owner: Pubkey, data: &[u8], executable: bool) -> Value {
    json!({ "lamports": LAMPORTS, "owner": owner.to_string(), "executable": executable, "rentEpoch": 0,
        "space": data.len(), "data": [base64_encode(data), "base64"] })
}

fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
