//! How the ledger's channels and transactions stand, in numbers, for whoever watches a server.

use toll_protocol::Amount;

use crate::engine::{DatabaseError, Tx, params};
use crate::{ChannelState, Ledger, LedgerError, SubmissionState};

/// Counts and ages at one moment. Amounts in base units, times in unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// How many channels are in each state.
    pub channels: Vec<(ChannelState, u64)>,
    /// How many transactions of unknown fate there are: asked for, and on record as perhaps sent.
    pub unresolved: Vec<(SubmissionState, u64)>,
    /// What is accepted and not settled, over all open and closing channels.
    pub exposure: Amount,
    /// When the one of these channels that was longest without activity had its last; `None` when nothing is
    /// unsettled.
    pub exposed_since: Option<i64>,
    /// Channels whose payer has forced a close that is not done.
    pub forced: u64,
    /// When the first of their grace periods ends.
    pub grace_ends_at: Option<i64>,
    /// When the chain's tip was last published.
    pub tip_at: Option<i64>,
    /// When forced closes were last looked for.
    pub observed_at: Option<i64>,
}

impl Ledger {
    /// How many writes wait for the writer thread.
    pub fn queued(&self) -> usize {
        self.queue_length()
    }

    /// How everything stands. Costs a look at the index of every channel: ask a few times a minute.
    pub async fn vitals(&self) -> Result<Vitals, LedgerError> {
        let (channels, unresolved, exposed, forced) = self.read("vitals", |tx| Ok(read(tx)?)).await?;
        Ok(Vitals {
            channels,
            unresolved,
            exposure: Amount::new(exposed.0.unsigned_abs()),
            exposed_since: exposed.1,
            forced: forced.0.unsigned_abs(),
            grace_ends_at: forced.1,
            tip_at: self.latest_tip().await?.map(|tip| tip.published_at),
            observed_at: self.channels_observed_at().await?,
        })
    }
}

/// A count or a sum, and a time.
type Counted = (i64, Option<i64>);

#[expect(clippy::type_complexity, reason = "what one snapshot has, on its way into a struct")]
fn read(
    tx: &Tx,
) -> Result<(Vec<(ChannelState, u64)>, Vec<(SubmissionState, u64)>, Counted, Counted), DatabaseError> {
    let mut channels = Vec::new();
    for state in ChannelState::ALL {
        let count: i64 = tx.one(
            "-- vital_channels\nSELECT count(*) FROM channels WHERE state = ?1",
            params![state],
            |row| row.get(0),
        )?;
        channels.push((*state, count.unsigned_abs()));
    }
    let mut unresolved = Vec::new();
    for state in [SubmissionState::Requested, SubmissionState::Recorded] {
        let count: i64 = tx.one(
            "-- vital_submissions
            SELECT count(*) FROM submissions WHERE state = ?1 AND state IN ('requested', 'recorded')",
            params![state],
            |row| row.get(0),
        )?;
        unresolved.push((state, count.unsigned_abs()));
    }
    let exposed = tx.one(
        "-- vital_exposure
        SELECT CAST(coalesce(sum(accepted - settled), 0) AS BIGINT), min(last_activity_at) FROM channels
         WHERE state IN ('open', 'closing') AND accepted > settled",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let forced = tx.one(
        "-- vital_grace
        SELECT count(*), min(closure_started_at + grace_period) FROM channels
         WHERE state = 'closing' AND closure_started_at IS NOT NULL",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok((channels, unresolved, exposed, forced))
}
