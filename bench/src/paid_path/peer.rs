//! Another project's server, driven by the same load generator: the same vouchers, the same connections.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use toll_ledger::ChannelFixture;
use toll_protocol::{Challenge, SignedVoucher, parse_www_authenticate};

use super::channels::{Channels, DEPOSIT, in_parallel, payee};
use super::connection::{Connection, render};
use super::load::{Pace, over_http};
use super::plan::Plan;
use super::rounds::{Figure, measure};
use super::shop::{PAID, authorization};
use super::{Failure, PRICE, upstream};

/// What runs `solana-pay-kit`: it says itself what to install.
const PYTHON_SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peer/server.py");

/// Most requests of a round: it answers some hundred a second.
const MOST_REQUESTS: usize = 2_000;

/// Most channels that it is told of.
const MOST_CHANNELS: u64 = 1_000;

/// A server of `solana-pay-kit`.
struct Peer {
    process: Child,
    address: SocketAddr,
}

/// Pays for requests at the peer's server, run by the interpreter at `python`.
pub(super) fn python(plan: &Plan, python: &Path) -> Result<Figure, Failure> {
    let few = plan.channels.first().copied().unwrap_or(1).min(MOST_CHANNELS);
    let (mut channels, fixtures) = Channels::make(few, plan.cores);
    let peer = Peer::start(python, &fixtures)?;
    let (address, challenge) = (peer.address, peer.challenge()?);
    let connections = plan.headline_connections();
    let each = plan.requests_over(connections).min(MOST_REQUESTS).div_ceil(connections);
    measure(plan.rounds, || {
        let signed = channels.sign(connections, each, plan.cores);
        let render = |signed: &SignedVoucher| {
            let header = authorization(&challenge, signed)?;
            Ok::<_, Failure>(render(address, PAID, Some(&header)))
        };
        let requests =
            in_parallel(&signed, plan.cores, |lane| lane.iter().map(render).collect::<Result<Vec<_>, _>>());
        over_http(address, requests.into_iter().collect::<Result<_, Failure>>()?, Pace::Saturating)
    })
}

impl Peer {
    fn start(python: &Path, channels: &[ChannelFixture]) -> Result<Self, Failure> {
        let mut process = Command::new(python)
            .arg(PYTHON_SERVER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot run {}: {error}", python.display()))?;
        let open: Vec<_> = channels
            .iter()
            .map(|channel| {
                let signer = channel.channel.agreement.terms.authorized_signer;
                [channel.id().to_string(), signer.to_string()]
            })
            .collect();
        let terms = json!({
            "channels": open,
            "deposit": DEPOSIT,
            "price": PRICE,
            "payee": payee().to_string(),
            "mint": ChannelFixture::new(0, 1).channel.agreement.terms.mint.to_string(),
            "answer": upstream::ANSWER,
        });
        let mut stdin = process.stdin.take().ok_or("no stdin")?;
        stdin.write_all(terms.to_string().as_bytes())?;
        drop(stdin);
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let mut peer = Self { process, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
        let port = line.trim().parse().map_err(|_| {
            format!("the peer's server did not start: {PYTHON_SERVER} says what it needs installed")
        })?;
        peer.address.set_port(port);
        Ok(peer)
    }

    /// What it answers to a request without a credential.
    fn challenge(&self) -> Result<Challenge, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let value = runtime.block_on(async {
            let mut connection = Connection::open(self.address).await?;
            connection.ask(&render(self.address, PAID, None), "www-authenticate").await
        })?;
        parse_www_authenticate(value)?.payment.pop().ok_or_else(|| "no challenge".into())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It keeps nothing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
