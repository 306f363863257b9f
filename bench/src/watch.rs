//! Watching many open channels: what a look for forced closes costs, and how soon one is found.
//!
//! The ledger, the settler and the RPC client are the real ones; the node is a stub that answers JSON-RPC over HTTP from
//! memory. It finds closing channels as a node with account indexes does, without a search, so what is measured is our
//! side and the number of questions.

mod node;
mod report;
mod traffic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::RpcChain;
use toll_ledger::{ChannelFixture, ChannelState, Ledger, SystemClock};
use toll_protocol::{Network, PROGRAM_ID, TREASURY_OWNER};
use toll_settler::{Settler, SettlerConfig, SettlerKeys};

use self::node::Node;
pub use self::report::{Report, Run};
use self::traffic::Traffic;

/// Polls whose cost is averaged.
const POLLS: u32 = 10;

/// Pause before each of them. In life it is seconds: a look right after another finds the chain's tip still cached, and
/// how often it does would depend on how long a look takes.
const BETWEEN_POLLS: Duration = Duration::from_millis(600);

/// How long a forced close may go unnoticed before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Anything that keeps the benchmark from its figures.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Watches `channels` open channels while vouchers are accepted on them.
pub async fn watch(channels: u64) -> Result<Run, Failure> {
    let ledger = Ledger::temporary(SystemClock);
    let (fee_payer, payee) = (Keypair::new_from_array([1; 32]), Keypair::new_from_array([2; 32]));
    let keys = SettlerKeys { fee_payer, payee, operator: None };
    let fixtures = seed(&ledger, channels, keys.payee.pubkey()).await?;
    let node = Node::start(keys.fee_payer.pubkey(), &fixtures).await?;
    let before = crate::memory::resident();

    // The close is never confirmed here: nobody waits for it.
    let drain_timeout = Duration::from_millis(300);
    let defaults = SettlerConfig::new(Network::Localnet, PROGRAM_ID, TREASURY_OWNER, Vec::new());
    let config = SettlerConfig { drain_timeout, ..defaults };
    let chain = Arc::new(RpcChain::new(node.url()));
    let again = SettlerKeys {
        fee_payer: keys.fee_payer.insecure_clone(),
        payee: keys.payee.insecure_clone(),
        operator: None,
    };
    let settler = Settler::start(ledger.clone(), chain.clone(), keys, config.clone()).await?;
    let traffic = Traffic::start(ledger.clone(), Arc::clone(&fixtures));
    // What is cached once is not counted.
    settler.pass(true).await?;

    let (mut looking, asked) = (Duration::ZERO, node.calls());
    for _ in 0..POLLS {
        tokio::time::sleep(BETWEEN_POLLS).await;
        let began = Instant::now();
        settler.pass(true).await?;
        looking += began.elapsed();
    }
    let poll_ms = looking.as_secs_f64() * 1_000.0 / f64::from(POLLS);
    #[expect(clippy::cast_precision_loss, reason = "a few dozen calls")]
    let calls = (node.calls() - asked) as f64 / f64::from(POLLS);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(settler.run(async { stopped.await.unwrap_or(()) }));
    // In the middle of a pause between two looks, on the channel that was compared last.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let victim = fixtures[fixtures.len() / 2].id();
    let forced_at = Instant::now();
    node.force_close(&victim);
    let detected = loop {
        let known =
            ledger.channel(&victim).await?.is_some_and(|record| record.state == ChannelState::Closing);
        if known || forced_at.elapsed() > PATIENCE {
            break known.then(|| forced_at.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let traffic = traffic.stop().await?;
    let memory = crate::memory::resident().saturating_sub(before);
    let _ = stop.send(());
    running.await??;
    let detected = detected.ok_or("the forced close was never noticed")?;
    // Everything is due at once, as after a long pause.
    let overdue = SettlerConfig { compare_within: Duration::ZERO, ..config };
    let settler = Settler::start(ledger.clone(), chain, again, overdue).await?;
    settler.pass(false).await?;
    let (started_at, began, asked) = (ledger.now(), Instant::now(), node.calls());
    settler.pass(true).await?;
    let comparison = (began.elapsed().as_secs_f64() * 1_000.0, node.calls() - asked);
    if ledger.oldest_comparison().await?.is_some_and(|at| at < started_at) {
        return Err("a channel was not compared with the list".into());
    }
    Ok(Run {
        channels,
        rpc_calls_per_poll: calls,
        poll_ms,
        detect_forced_close_ms: detected.as_millis().try_into().unwrap_or(u64::MAX),
        memory_bytes: memory,
        comparison_ms: comparison.0,
        comparison_calls: comparison.1,
        vouchers_accepted: traffic.accepted,
        vouchers_per_second: traffic.per_second,
    })
}

/// Opens `count` channels to `payee`, in the ledger only.
async fn seed(ledger: &Ledger, count: u64, payee: Pubkey) -> Result<Arc<[ChannelFixture]>, Failure> {
    const BATCH: u64 = 10_000;
    let mut fixtures = Vec::new();
    for first in (0..count).step_by(BATCH as usize) {
        let batch: Vec<_> = (first..count.min(first + BATCH))
            .map(|salt| {
                let mut fixture = ChannelFixture::new(salt, 1_000_000);
                fixture.channel.agreement.terms.payee = payee;
                fixture.channel.unit_type = None;
                // Nobody goes idle while this runs.
                fixture.channel.idle_timeout = 86_400;
                fixture
            })
            .collect();
        ledger.open_all(batch.clone()).await?;
        fixtures.extend(batch);
    }
    Ok(fixtures.into())
}
