//! Vouchers, one after the other on every channel, as a gateway would have them accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::task::JoinHandle;
use toll_ledger::{Acceptance, ChannelFixture, Charge, Ledger};

use super::Failure;

/// Payers at work at once, each on channels of its own.
const PAYERS: usize = 4;

/// What a request costs, in base units.
const PRICE: u64 = 16;

/// Payers at work.
pub(super) struct Traffic {
    began: Instant,
    stop: Arc<AtomicBool>,
    payers: Vec<JoinHandle<Result<u64, Failure>>>,
}

/// What they paid.
pub(super) struct Accepted {
    pub(super) accepted: u64,
    pub(super) per_second: f64,
}

impl Traffic {
    pub(super) fn start(ledger: Ledger, fixtures: Arc<[ChannelFixture]>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let payers = (0..PAYERS).map(|payer| {
            let (ledger, fixtures, stop) = (ledger.clone(), Arc::clone(&fixtures), Arc::clone(&stop));
            tokio::spawn(async move { pay(&ledger, &fixtures, payer, &stop).await })
        });
        Self { began: Instant::now(), payers: payers.collect(), stop }
    }

    /// Lets the payers finish. Fails when one of them was refused.
    pub(super) async fn stop(self) -> Result<Accepted, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let mut accepted = 0;
        for payer in self.payers {
            accepted += payer.await??;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let per_second = accepted as f64 / self.began.elapsed().as_secs_f64();
        Ok(Accepted { accepted, per_second })
    }
}

async fn pay(
    ledger: &Ledger,
    fixtures: &[ChannelFixture],
    payer: usize,
    stop: &AtomicBool,
) -> Result<u64, Failure> {
    let mut accepted = 0;
    for round in 1.. {
        for (index, fixture) in fixtures.iter().enumerate().skip(payer).step_by(PAYERS) {
            if stop.load(Ordering::Relaxed) {
                return Ok(accepted);
            }
            let request = round * fixtures.len() as u64 + index as u64;
            let outcome = ledger.accept(&fixture.voucher(round * PRICE), Charge::of(PRICE, request)).await?;
            match outcome {
                Acceptance::Accepted(_) => accepted += 1,
                // The channel whose close is forced.
                Acceptance::NotOpen(_) => {}
                refused => return Err(format!("a voucher was refused: {refused:?}").into()),
            }
        }
    }
    Ok(accepted)
}
