//! A paid request seen before gets its first answer back, and nothing is charged.

use std::collections::HashMap;

use toll_protocol::{Amount, ChannelId};

use crate::acceptance::Charge;
use crate::answer::{self, Answer};
use crate::column::{Columns, amount};
use crate::engine::{DatabaseError, Given, Row, Tx, Value, params};
use crate::rules::acceptance::Earlier;
use crate::{Ledger, LedgerError, Watermarks};

/// Seconds for which answers are kept unless [`LedgerConfig`](crate::LedgerConfig) says otherwise, and entries at
/// least: these stay as long as their channel lives, up to a limit of their own.
pub const REPLAY_RETENTION: i64 = 24 * 60 * 60;

/// What tells a repeat of a request from another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplayKey {
    /// Digest of channel, challenge and idempotency key (or voucher, when the request carries no key): a key of one
    /// channel says nothing about another.
    pub key: [u8; 32],
    /// Digest of method, target and body. Under one key, another fingerprint is another request.
    pub fingerprint: [u8; 32],
}

/// A request that was charged before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The channel that paid.
    pub channel: ChannelId,
    /// The challenge it answered.
    pub challenge_id: String,
    /// What it was charged.
    pub cost: Amount,
    /// The accepted watermark right after.
    pub accepted: Amount,
    /// The spent watermark right after.
    pub spent: Amount,
    /// When, in unix seconds.
    pub accepted_at: i64,
    /// What is known of its answer.
    pub answer: Answer,
}

fn from_row(row: &Row<'_>, oldest: i64) -> Result<Replay, DatabaseError> {
    Ok(Replay {
        channel: row.channel_id("channel_id")?,
        challenge_id: row.get("challenge_id")?,
        cost: row.amount("cost")?,
        accepted: row.amount("accepted")?,
        spent: row.amount("spent")?,
        accepted_at: row.get("accepted_at")?,
        answer: answer::from_row(row, oldest)?,
    })
}

const FIND: &str = "-- replay\nSELECT * FROM replays WHERE channel_id = ?1 AND replay_key = ?2";

/// Enters a request that is being charged, unless one was under its key.
pub(crate) const ENTER: &str = "-- enter_replay
    INSERT INTO replays
           (channel_id, replay_key, fingerprint, challenge_id, cost, accepted, spent, accepted_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (channel_id, replay_key) DO NOTHING";

/// What was charged on `channel` under `key`. Answers from before `oldest` (unix seconds) are not kept.
fn find(tx: &Tx, channel: &ChannelId, key: &[u8; 32], oldest: i64) -> Result<Option<Earlier>, DatabaseError> {
    tx.first(FIND, params![channel.as_bytes(), key], |row| earlier(row, oldest))
}

/// Whether anything was charged there.
pub(crate) fn is_known(tx: &Tx, (channel, key): &Place) -> Result<bool, DatabaseError> {
    tx.one(
        "-- is_replay\nSELECT EXISTS (SELECT 1 FROM replays WHERE channel_id = ?1 AND replay_key = ?2)",
        params![channel.as_bytes(), key],
        |row| row.get(0),
    )
}

/// A channel, and a key of its requests.
pub(crate) type Place = (ChannelId, [u8; 32]);

fn earlier(row: &Row<'_>, oldest: i64) -> Result<Earlier, DatabaseError> {
    Ok(Earlier { replay: from_row(row, oldest)?, fingerprint: row.get("fingerprint")? })
}

/// What was charged at each place, each with the time, in unix seconds, from before which answers are not kept.
pub(crate) fn find_all(
    tx: &Tx,
    places: impl Iterator<Item = (Place, i64)>,
) -> Result<HashMap<Place, Earlier>, DatabaseError> {
    let oldest: HashMap<Place, i64> = places.collect();
    let places =
        oldest.keys().map(|(channel, key)| [Value::Bytes(channel.as_bytes()), Value::Bytes(key)]).collect();
    let found = tx.all_of_each(FIND, &places, |row| {
        let place = (row.channel_id("channel_id")?, row.get("replay_key")?);
        Ok((place, earlier(row, oldest.get(&place).copied().unwrap_or(i64::MAX))?))
    })?;
    Ok(found.into_iter().collect())
}

/// A request that is charged now, as [`find_all`] finds it once it is entered.
pub(crate) fn entered(channel: &ChannelId, charge: &Charge, watermarks: &Watermarks, now: i64) -> Earlier {
    let replay = Replay {
        channel: *channel,
        challenge_id: charge.challenge_id.clone(),
        cost: charge.cost,
        accepted: watermarks.accepted,
        spent: watermarks.spent,
        accepted_at: now,
        answer: Answer::Unserved,
    };
    Earlier { replay, fingerprint: charge.replay.fingerprint }
}

/// The parameters of [`ENTER`].
pub(crate) fn to_enter<'a>(
    charged: impl Iterator<Item = (&'a ChannelId, &'a Charge, Watermarks, i64)>,
) -> Result<Given<'a>, LedgerError> {
    charged
        .map(|(channel, charge, watermarks, now)| {
            Ok([
                Value::Bytes(channel.as_bytes()),
                Value::Bytes(&charge.replay.key),
                Value::Bytes(&charge.replay.fingerprint),
                Value::Text(&charge.challenge_id),
                Value::Integer(amount(charge.cost)?),
                Value::Integer(amount(watermarks.accepted)?),
                Value::Integer(amount(watermarks.spent)?),
                Value::Integer(now),
            ])
        })
        .collect()
}

impl Ledger {
    /// The request charged on `channel` under `key`, if there was one with that very fingerprint.
    pub async fn replay(&self, channel: &ChannelId, key: &ReplayKey) -> Result<Option<Replay>, LedgerError> {
        let (channel, key, oldest) = (*channel, *key, self.oldest_answer());
        self.read("replay", move |tx| {
            let earlier = find(tx, &channel, &key.key, oldest)?;
            Ok(earlier.filter(|earlier| earlier.fingerprint == key.fingerprint).map(|earlier| earlier.replay))
        })
        .await
    }

    /// Answers of requests accepted by then (unix seconds) are past their retention.
    pub(crate) fn oldest_answer(&self) -> i64 {
        self.now().saturating_sub(self.settings().replay_retention())
    }
}
