//! A chain in this process: surfpool, with an RPC and a websocket port, offline.
//!
//! It runs the real program's ELF on the real virtual machine. What it adds to a cluster is only what a test
//! needs: funds from nowhere ([`toll_chain::Cluster::airdrop`] works on any test cluster) and a clock that
//! can be moved ([`Localnet::advance_to_slot`], [`Localnet::advance_seconds`]).

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use serde_json::{Value, json};
use solana_account::Account;
use solana_commitment_config::CommitmentConfig;
use solana_pubkey::Pubkey;
use solana_rpc_client::nonblocking::rpc_client::RpcClient;
use solana_rpc_client_api::request::RpcRequest;
use surfpool_core::surfnet::locker::SurfnetSvmLocker;
use surfpool_core::surfnet::svm::{SurfnetSvm, SurfnetSvmConfig};
use surfpool_types::{
    BlockProductionMode, RpcConfig, SimnetCommand, SimnetConfig, SimnetEvent, SurfpoolConfig,
    SvmFeatureConfig,
};

use toll_chain::feature::{self, TRANSACTION_V1_GATE};
use toll_protocol::Amount;

use crate::LocalnetError;

type Result<T, E = LocalnetError> = std::result::Result<T, E>;

/// Where a chain listens and how fast it runs.
#[derive(Clone, Debug)]
pub struct LocalnetConfig {
    /// The RPC port; 0 takes a free one.
    pub rpc_port: u16,
    /// The websocket port; 0 takes a free one.
    pub ws_port: u16,
    /// How long a slot lasts, in milliseconds. A blockhash lives 150 of them.
    pub slot_ms: u64,
}

impl Default for LocalnetConfig {
    fn default() -> Self {
        Self { rpc_port: 0, ws_port: 0, slot_ms: 400 }
    }
}

/// A running chain. It stops when dropped.
pub struct Localnet {
    /// `http://127.0.0.1:…`
    pub rpc_url: String,
    /// `ws://127.0.0.1:…`
    pub ws_url: String,
    commands: Sender<SimnetCommand>,
    stopped: Arc<AtomicBool>,
    slot_ms: u64,
}

impl Localnet {
    /// Starts a chain and waits until it answers.
    pub async fn start(config: LocalnetConfig) -> Result<Self> {
        let localnet = tokio::task::spawn_blocking(move || Self::start_blocking(&config))
            .await
            .map_err(|error| failed(format_args!("the chain's starter: {error}")))??;
        // It takes transactions of version 1, and clusters that do say so.
        localnet.put_accounts(&[(TRANSACTION_V1_GATE, feature::open_gate())]).await?;
        Ok(localnet)
    }

    fn start_blocking(config: &LocalnetConfig) -> Result<Self> {
        let (rpc_port, ws_port) = (free_port(config.rpc_port)?, free_port(config.ws_port)?);
        let surfpool = surfpool_config(rpc_port, ws_port, config.slot_ms);
        let simnet = &surfpool.simnets[0];
        let (svm, events, geyser) = SurfnetSvm::new(SurfnetSvmConfig {
            surfnet_id: simnet.surfnet_id.clone(),
            slot_time: simnet.slot_time,
            instruction_profiling_enabled: simnet.instruction_profiling_enabled,
            max_profiles: simnet.max_profiles,
            log_bytes_limit: simnet.log_bytes_limit,
            feature_config: SvmFeatureConfig::default(),
            skip_blockhash_check: false,
        })
        .map_err(|error| failed(format_args!("the chain's virtual machine: {error}")))?;
        let locker = SurfnetSvmLocker::new(svm);
        let (commands, received) = crossbeam_channel::unbounded();
        let commands_for_chain = commands.clone();
        std::thread::Builder::new()
            .name("localnet".into())
            .spawn(move || {
                let runtime = match tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                {
                    Ok(runtime) => runtime,
                    Err(error) => return tracing::error!(%error, "localnet runtime"),
                };
                let run = surfpool_core::runloops::start_local_surfnet_runloop(
                    locker,
                    surfpool,
                    commands_for_chain,
                    received,
                    geyser,
                );
                if let Err(error) = runtime.block_on(run) {
                    tracing::error!(%error, "localnet stopped");
                }
            })
            .map_err(|error| failed(format_args!("the chain's thread: {error}")))?;
        wait_until_ready(&events)?;
        let stopped = Arc::new(AtomicBool::new(false));
        drain(events, Arc::clone(&stopped));
        Ok(Self {
            rpc_url: format!("http://127.0.0.1:{rpc_port}"),
            ws_url: format!("ws://127.0.0.1:{ws_port}"),
            commands,
            stopped,
            slot_ms: config.slot_ms,
        })
    }

    /// Puts `elf` at `program`, owned by the upgradeable loader, as a deployment would.
    pub async fn deploy(&self, program: &Pubkey, elf: &[u8]) -> Result<()> {
        // Parameters: program, hex of the bytes, offset.
        self.cheat("surfnet_writeProgram", json!([program.to_string(), hex(elf), 0])).await.map(drop)
    }

    /// Gives `owner` an associated account of `mint`, a mint of SPL Token, that holds `amount`.
    pub async fn set_tokens(&self, owner: &Pubkey, mint: &Pubkey, amount: Amount) -> Result<()> {
        let holds = json!({ "amount": amount.get() });
        let parameters = json!([owner.to_string(), mint.to_string(), holds]);
        self.cheat("surfnet_setTokenAccount", parameters).await.map(drop)
    }

    /// Puts accounts at addresses, whatever was there, as if transactions had made them so.
    pub async fn put_accounts(&self, accounts: &[(Pubkey, Account)]) -> Result<()> {
        const METHOD: &str = "surfnet_setAccount";
        let rpc = self.rpc();
        for (address, account) in accounts {
            let update = json!({
                "lamports": account.lamports,
                "owner": account.owner.to_string(),
                "data": hex(&account.data),
                "executable": account.executable,
            });
            let request = RpcRequest::Custom { method: METHOD };
            let put = rpc.send::<Value>(request, json!([address.to_string(), update])).await;
            put.map_err(|error| failed(format_args!("{METHOD}: {error}")))?;
        }
        Ok(())
    }

    /// Moves the clock so that the confirmed slot is at least `slot`. Going back is refused by the chain.
    pub async fn advance_to_slot(&self, slot: u64) -> Result<()> {
        self.cheat("surfnet_timeTravel", json!([{ "absoluteSlot": slot }])).await?;
        // Confirmation trails the clock by a slot or so.
        for _ in 0..100 {
            if self.slot().await? >= slot {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(self.slot_ms.clamp(10, 100))).await;
        }
        Err(failed(format_args!("the clock did not reach slot {slot}")))
    }

    /// Moves the clock `seconds` ahead, and the slots with it.
    pub async fn advance_seconds(&self, seconds: u64) -> Result<()> {
        let slot = self.slot().await?;
        self.advance_to_slot(slot + (seconds * 1_000).div_ceil(self.slot_ms)).await
    }

    async fn slot(&self) -> Result<u64> {
        let confirmed = CommitmentConfig::confirmed();
        let slot = self.rpc().get_slot_with_commitment(confirmed).await;
        slot.map_err(|error| failed(format_args!("slot: {error}")))
    }

    /// A client of this chain.
    pub fn rpc(&self) -> RpcClient {
        RpcClient::new(self.rpc_url.clone())
    }

    /// Stops the chain and frees its ports, within a second or so.
    pub async fn stop(self) {
        let stopped = Arc::clone(&self.stopped);
        drop(self);
        for _ in 0..50 {
            if stopped.load(Ordering::Acquire) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn cheat(&self, method: &'static str, parameters: Value) -> Result<Value> {
        self.rpc()
            .send(RpcRequest::Custom { method }, parameters)
            .await
            .map_err(|error| failed(format_args!("{method}: {error}")))
    }
}

impl Drop for Localnet {
    fn drop(&mut self) {
        // Fails only when the chain has stopped by itself.
        let _ = self.commands.send(SimnetCommand::Terminate(None));
    }
}

fn surfpool_config(rpc_port: u16, ws_port: u16, slot_ms: u64) -> SurfpoolConfig {
    SurfpoolConfig {
        simnets: vec![SimnetConfig {
            offline_mode: true,
            remote_rpc_url: None,
            slot_time: slot_ms,
            block_production_mode: BlockProductionMode::Clock,
            // It copies the whole chain for every instruction, and nobody here reads what it finds.
            instruction_profiling_enabled: false,
            ..SimnetConfig::default()
        }],
        rpc: RpcConfig {
            bind_host: Ipv4Addr::LOCALHOST.to_string(),
            bind_port: rpc_port,
            ws_port,
            ..RpcConfig::default()
        },
        ..SurfpoolConfig::default()
    }
}

/// `wanted` when nobody listens there, or any free port for 0.
fn free_port(wanted: u16) -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).and_then(|listener| listener.local_addr()).map_or_else(
        |error| Err(LocalnetError::Port { port: wanted, reason: error.to_string() }),
        |address| Ok(address.port()),
    )
}

fn wait_until_ready(events: &Receiver<SimnetEvent>) -> Result<()> {
    loop {
        match events.recv_timeout(Duration::from_secs(60)) {
            Ok(SimnetEvent::CoreStarted(_)) => return Ok(()),
            Ok(SimnetEvent::Aborted(reason)) => {
                return Err(failed(format_args!("the chain gave up: {reason}")));
            }
            Ok(SimnetEvent::Shutdown) => return Err(failed("the chain stopped while starting")),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return Err(failed("the chain did not start within 60 s")),
            Err(RecvTimeoutError::Disconnected) => return Err(failed("the chain's thread ended")),
        }
    }
}

/// The chain reports everything it does; nobody reading would stall it in the end.
fn drain(events: Receiver<SimnetEvent>, stopped: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut servers_down = 0;
        for event in events {
            tracing::trace!(?event, "localnet");
            if matches!(event, SimnetEvent::Shutdown) {
                servers_down += 1;
            }
            // One for the RPC server, one for the websocket server.
            if servers_down == 2 {
                stopped.store(true, Ordering::Release);
            }
        }
        stopped.store(true, Ordering::Release);
    });
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes anything");
        text
    })
}

fn failed(what: impl std::fmt::Display) -> LocalnetError {
    LocalnetError::Broken(what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused_with_its_number() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = free_port(port).unwrap_err();
        assert!(matches!(error, LocalnetError::Port { port: named, .. } if named == port), "{error}");
    }

    #[test]
    fn bytes_are_written_as_two_digits_each() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
