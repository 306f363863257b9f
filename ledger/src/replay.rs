//! A paid request seen before gets its first answer back, and nothing is charged.

use rusqlite::{Connection, OptionalExtension, Row, params};
use toll_protocol::{Amount, ChannelId};

use crate::acceptance::Charge;
use crate::column::{Columns, amount, undecodable};
use crate::{Ledger, LedgerError, Watermarks};

/// Seconds for which answers are kept unless [`LedgerConfig`](crate::LedgerConfig) says otherwise, and entries at
/// least: these stay as long as their channel lives, up to a limit of their own.
pub const REPLAY_RETENTION: i64 = 24 * 60 * 60;

/// What tells a repeat of a request from another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplayKey {
    /// Digest of channel, challenge and idempotency key (or voucher, when the request carries no key).
    pub key: [u8; 32],
    /// Digest of method, target and body. Under one key, another fingerprint is another request.
    pub fingerprint: [u8; 32],
}

/// An answer as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// HTTP status.
    pub status: u16,
    /// Header names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
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
    /// Its answer; `None` while it is being made, when it was not retained, and once it was dropped.
    pub response: Option<StoredResponse>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Replay> {
    let response = match row.get::<_, Option<u16>>("response_status")? {
        Some(status) => {
            let headers: String = row.get("response_headers")?;
            Some(StoredResponse {
                status,
                headers: serde_json::from_str(&headers).map_err(|_| undecodable("response_headers"))?,
                body: row.get("response_body")?,
            })
        }
        None => None,
    };
    Ok(Replay {
        channel: row.channel_id("channel_id")?,
        challenge_id: row.get("challenge_id")?,
        cost: row.amount("cost")?,
        accepted: row.amount("accepted")?,
        spent: row.amount("spent")?,
        accepted_at: row.get("accepted_at")?,
        response,
    })
}

/// The entry under `key` and its fingerprint.
pub(crate) fn find(connection: &Connection, key: &[u8; 32]) -> rusqlite::Result<Option<(Replay, [u8; 32])>> {
    connection
        .prepare_cached("-- replay\nSELECT * FROM replays WHERE replay_key = ?1")?
        .query_row([key], |row| Ok((from_row(row)?, row.get("fingerprint")?)))
        .optional()
}

/// Enters a request that is being charged in this transaction.
pub(crate) fn insert(
    tx: &Connection,
    channel: &ChannelId,
    charge: &Charge,
    watermarks: &Watermarks,
    now: i64,
) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "-- insert_replay
        INSERT INTO replays
               (replay_key, fingerprint, channel_id, challenge_id, cost, accepted, spent, accepted_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        charge.replay.key,
        charge.replay.fingerprint,
        channel.as_bytes(),
        charge.challenge_id,
        amount(charge.cost)?,
        amount(watermarks.accepted)?,
        amount(watermarks.spent)?,
        now,
    ])?;
    Ok(())
}

impl Ledger {
    /// Keeps the answer of a charged request for its repeats. The first answer stays; false when there was
    /// one already, or no such request.
    pub async fn store_response(
        &self,
        key: &ReplayKey,
        response: StoredResponse,
    ) -> Result<bool, LedgerError> {
        let key = *key;
        self.write("store_response", move |tx| {
            let headers = serde_json::Value::from_iter(
                response.headers.into_iter().map(|(name, value)| vec![name, value]),
            );
            let stored = tx
                .prepare_cached(
                    "-- store_response
                    UPDATE replays SET response_status = ?3, response_headers = ?4, response_body = ?5
                     WHERE replay_key = ?1 AND fingerprint = ?2 AND response_status IS NULL",
                )?
                .execute(params![
                    key.key,
                    key.fingerprint,
                    response.status,
                    headers.to_string(),
                    response.body
                ])?;
            Ok(stored == 1)
        })
        .await
    }

    /// The request charged under `key`, if there was one with that very fingerprint.
    pub async fn replay(&self, key: &ReplayKey) -> Result<Option<Replay>, LedgerError> {
        let key = *key;
        self.read("replay", move |tx| {
            let entry = find(tx, &key.key)?;
            Ok(entry.filter(|(_, fingerprint)| *fingerprint == key.fingerprint).map(|(replay, _)| replay))
        })
        .await
    }
}
