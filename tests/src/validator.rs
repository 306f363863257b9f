//! `solana-test-validator` with the channel program, for as long as this value lives.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use solana_account::Account;
use tempfile::TempDir;
use toll_chain::Cluster;
use toll_chain::{CLOCK, ChainClock};
use toll_localnet::program::ELF;
use toll_protocol::PROGRAM_ID;

/// Names the binary when it is not on PATH.
const BINARY: &str = "SOLANA_TEST_VALIDATOR";

/// Slot to start from: far enough that channels can be opened a whole window back.
const FIRST_SLOT: u64 = 2_000;

/// Ports after the first one: websocket, faucet, gossip, and what the validator calls its dynamic range.
const PORTS: u16 = 36;

/// A running validator. It is killed when dropped.
pub struct Validator {
    process: Child,
    rpc_url: String,
    _folder: TempDir,
}

impl Validator {
    /// The binary named by `SOLANA_TEST_VALIDATOR`, or the one on PATH.
    pub fn binary() -> Option<PathBuf> {
        if let Some(named) = std::env::var_os(BINARY) {
            return Some(named.into());
        }
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join("solana-test-validator"))
            .find(|file| file.is_file())
    }

    /// Starts a validator on ports of its own and waits until it answers.
    pub async fn start(binary: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let elf = folder.path().join("session_channel.so");
        std::fs::write(&elf, ELF).expect("the program is written");
        let port = free_ports(PORTS);
        let process = Command::new(binary)
            .args(["--quiet", "--reset", "--bind-address", "127.0.0.1", "--ledger"])
            .arg(folder.path().join("ledger"))
            .args(["--rpc-port", &port.to_string()])
            .args(["--faucet-port", &(port + 2).to_string()])
            .args(["--gossip-port", &(port + 3).to_string()])
            .args(["--dynamic-port-range", &format!("{}-{}", port + 4, port + PORTS)])
            .args(["--warp-slot", &FIRST_SLOT.to_string()])
            .args(["--bpf-program", &PROGRAM_ID.to_string()])
            .arg(&elf)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the validator's binary runs");
        let mut validator = Self { process, rpc_url: format!("http://127.0.0.1:{port}"), _folder: folder };
        // The faucet and the program answer a little later than the first slot.
        for _ in 0..600 {
            if Cluster::new(&validator.rpc_url).slot().await.is_ok_and(|slot| slot >= FIRST_SLOT + 5) {
                return validator;
            }
            let ended = validator.process.try_wait().expect("the process can be asked");
            assert_eq!(ended, None, "the validator ended while starting");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the validator did not start within a minute");
    }

    pub fn rpc_url(&self) -> &str {
        &self.rpc_url
    }

    /// Waits until the chain's own clock, which runs unevenly, has moved on by `seconds`.
    pub async fn wait(&self, seconds: u64) {
        let until = self.clock().await + i64::try_from(seconds).expect("a short wait");
        for _ in 0..1_200 {
            if self.clock().await >= until {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the validator's clock did not move {seconds} seconds within two minutes");
    }

    async fn clock(&self) -> i64 {
        let account = Cluster::new(&self.rpc_url).account(&CLOCK).await.expect("the validator answers");
        let clock = account.map(|(owner, data)| Account { owner, data, ..Account::default() });
        ChainClock::decode(clock.as_ref()).expect("a clock").unix_timestamp
    }

    /// Polls until the confirmed slot is at least `slot`.
    pub async fn wait_for_slot(&self, slot: u64) {
        let cluster = Cluster::new(&self.rpc_url);
        for _ in 0..3_600 {
            if cluster.slot().await.is_ok_and(|current| current >= slot) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the validator did not reach slot {slot} within six minutes");
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first of `count + 1` ports in a row, none of them in use.
fn free_ports(count: u16) -> u16 {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    for _ in 0..100 {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .expect("loopback has a free port")
            .port();
        if first < u16::MAX - count && (first..=first + count).all(free) {
            return first;
        }
    }
    panic!("no {count} free ports in a row");
}
