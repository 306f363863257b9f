//! Whole sessions of many channels: what opening, closing and reclaiming them costs in transactions, lamports,
//! compute units and time.
//!
//! The program, the ledger, the settler and the RPC client are the real ones, the chain is the embedded one. Every
//! channel has a payer of its own, and payee and fee payer are different keys: what most servers have, and what takes
//! most signatures and most bytes.

mod report;
mod scene;

use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind};
use toll_settler::{Settler, SettlerError, Summary, TransactionVersion};

pub use self::report::{Kept, Phase, Rearmed, Renewed, Report, Run};
use self::scene::Scene;

/// Anything that keeps the benchmark from its figures.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long nothing may move before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the ledger is asked how far it is: seldom enough that asking costs next to nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// Opens that wait for the settler or are on their way, at most: more than it has in flight, so that it is never out
/// of work, and few enough that no blockhash grows old.
const WAITING_OPENS: u64 = 128;

/// Opens so many channels, takes one voucher on each, closes them all, and reclaims them. The others are the settler's
/// settings.
pub async fn settle(
    channels: u64,
    channels_per_transaction: usize,
    version: TransactionVersion,
) -> Result<Run, Failure> {
    live(Scene::new(channels).await?, channels, channels_per_transaction, version).await
}

/// The same, with vouchers that the server's operator signs, whose key the settler has.
pub async fn operated(
    channels: u64,
    channels_per_transaction: usize,
    version: TransactionVersion,
) -> Result<Run, Failure> {
    live(Scene::operated(channels).await?, channels, channels_per_transaction, version).await
}

async fn live(
    scene: Scene,
    channels: u64,
    channels_per_transaction: usize,
    version: TransactionVersion,
) -> Result<Run, Failure> {
    let before = scene.sponsor_lamports().await?;

    let running = Running::start(scene.settler(channels_per_transaction, version).await?);
    let began = Instant::now();
    open_all(&scene, channels).await?;
    let seconds = began.elapsed().as_secs_f64();
    let opens = Phase::of(&running.stop().await?, &[SubmissionKind::Open], channels, seconds);

    scene.pay_once().await?;
    for id in scene.ids() {
        scene.ledger.request_close(&id, CloseReason::Requested, None).await?;
    }
    let running = Running::start(scene.settler(channels_per_transaction, version).await?);
    let began = Instant::now();
    until(&scene, &[ChannelState::Closed, ChannelState::Gone], channels).await?;
    let closing_seconds = began.elapsed().as_secs_f64();

    scene.end_slot_window().await?;
    let began = Instant::now();
    until(&scene, &[ChannelState::Gone], channels).await?;
    let reclaiming_seconds = began.elapsed().as_secs_f64();
    let summary = running.stop().await?;
    let closing =
        [SubmissionKind::Settle, SubmissionKind::Close, SubmissionKind::Seal, SubmissionKind::Distribute];
    let closes = Phase::of(&summary, &closing, channels, closing_seconds);
    let reclaims = Phase::of(&summary, &[SubmissionKind::Reclaim], channels, reclaiming_seconds);

    // All rent is back, so what is missing are the fees.
    let gone = before.saturating_sub(scene.sponsor_lamports().await?);
    let told = opens.fee_lamports + closes.fee_lamports + reclaims.fee_lamports;
    if gone != told {
        return Err(
            format!("the sponsor is short of {gone} lamports, but {told} of fees were reported").into()
        );
    }
    scene.check_balances().await?;
    Ok(Run::of(channels, channels_per_transaction, opens, closes, reclaims))
}

/// Opens so many channels and renews their sessions in both ways: by rearms, with top-ups that the sponsor pays for, as
/// it pays for opens, and with some that payers pay for; and with deposits that stay in escrow.
pub async fn renew(
    channels: u64,
    channels_per_transaction: usize,
    version: TransactionVersion,
) -> Result<Renewed, Failure> {
    let rearmed = rearm(channels, channels_per_transaction, version).await?;
    let kept = keep(channels, channels_per_transaction, version).await?;
    Ok(Renewed { rearmed, kept })
}

async fn rearm(
    channels: u64,
    channels_per_transaction: usize,
    version: TransactionVersion,
) -> Result<Rearmed, Failure> {
    let scene = Scene::new(channels).await?;
    let running = Running::start(scene.settler(channels_per_transaction, version).await?);
    open_all(&scene, channels).await?;
    running.stop().await?;

    scene.pay_once().await?;
    scene.request_renewals().await?;
    let running = Running::start(scene.settler(channels_per_transaction, version).await?);
    let began = Instant::now();
    until(&scene, &[ChannelState::Open], channels).await?;
    let seconds = began.elapsed().as_secs_f64();
    let summary = running.stop().await?;
    let rearms = Phase::of(&summary, &[SubmissionKind::Settle, SubmissionKind::Rearm], channels, seconds);
    scene.check_balances().await?;

    scene.fund_payers().await?;
    let mut top_ups = Vec::new();
    for sponsored in [true, false] {
        let running = Running::start(scene.settler(channels_per_transaction, version).await?);
        let began = Instant::now();
        scene.top_up_all(sponsored).await?;
        let seconds = began.elapsed().as_secs_f64();
        top_ups.push(Phase::of(&running.stop().await?, &[SubmissionKind::TopUp], channels, seconds));
    }
    let (by_payers, by_sponsor) = (top_ups.remove(1), top_ups.remove(0));
    Ok(Rearmed::of(channels, rearms, by_sponsor, by_payers))
}

async fn keep(
    channels: u64,
    channels_per_transaction: usize,
    version: TransactionVersion,
) -> Result<Kept, Failure> {
    let scene = Scene::keeping(channels).await?;
    let running = Running::start(scene.settler(channels_per_transaction, version).await?);
    open_all(&scene, channels).await?;
    running.stop().await?;

    scene.pay_once().await?;
    scene.request_renewals().await?;
    let running = Running::start(scene.settler(channels_per_transaction, version).await?);
    let began = Instant::now();
    let (mut left, mut moved_at) = (usize::MAX, Instant::now());
    while left > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = scene.to_pay_out().await?;
        if now < left {
            (left, moved_at) = (now, Instant::now());
        } else if moved_at.elapsed() > PATIENCE {
            return Err(format!("{left} channels are not paid out, and no others follow").into());
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let summary = running.stop().await?;
    let payouts =
        Phase::of(&summary, &[SubmissionKind::Settle, SubmissionKind::Distribute], channels, seconds);
    scene.check_kept().await?;
    // The next session begins: with a voucher, and without a transaction.
    scene.pay(2).await?;
    Ok(Kept::of(payouts, Scene::sessions_per_deposit()))
}

/// Hands the settler opens as fast as it lands them.
async fn open_all(scene: &Scene, channels: u64) -> Result<(), Failure> {
    let (mut recorded, mut landed, mut moved_at) = (0, 0, Instant::now());
    while landed < channels {
        let now = scene.count(&[ChannelState::Open]).await?;
        let failed = scene.count(&[ChannelState::Failed]).await?;
        if failed > 0 {
            return Err(format!("{failed} opens failed: {}", scene.why_failed().await?).into());
        }
        if now > landed {
            (landed, moved_at) = (now, Instant::now());
        } else if moved_at.elapsed() > PATIENCE {
            return Err(format!("{landed} of {channels} channels opened, and then nothing more").into());
        }
        let more = (WAITING_OPENS + landed - recorded).min(channels - recorded);
        scene.record_opens(recorded, more).await?;
        recorded += more;
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

/// Waits for all channels to be in one of `states`.
async fn until(scene: &Scene, states: &[ChannelState], channels: u64) -> Result<(), Failure> {
    let (mut there, mut moved_at) = (0, Instant::now());
    while there < channels {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let now = scene.count(states).await?;
        if now > there {
            (there, moved_at) = (now, Instant::now());
        } else if moved_at.elapsed() > PATIENCE {
            return Err(format!("{there} of {channels} channels are {states:?}, and no others follow").into());
        }
    }
    Ok(())
}

/// A settler at work.
struct Running {
    stop: oneshot::Sender<()>,
    settler: JoinHandle<Result<Summary, SettlerError>>,
}

impl Running {
    fn start(settler: Settler) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        Self { stop, settler: tokio::spawn(settler.run(async { stopped.await.unwrap_or(()) })) }
    }

    /// Lets it resolve what is on its way. Returns what it did.
    async fn stop(self) -> Result<Summary, Failure> {
        let _ = self.stop.send(());
        Ok(self.settler.await??)
    }
}
