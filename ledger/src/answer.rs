//! The answers of paid requests, kept for their repeats within a budget of bytes.

use crate::column::undecodable;
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::{Ledger, LedgerError, ReplayKey};
use toll_protocol::ChannelId;

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

/// What is known of the answer to a request that was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: it is being made, it failed, or nobody noted it here.
    Unserved,
    /// This was the answer.
    Kept(StoredResponse),
    /// It was served, and the answer was not kept or has been dropped.
    NotKept,
}

/// How many answers one more may push out at once. With a budget that was lowered, the rest goes with later ones.
const MOST_DROPPED: usize = 64;

/// Whose bytes are counted in sum: every channel's.
const ALL: &[u8] = &[];

/// Reads the answer of a request. One that has been unserved since before `oldest` (unix seconds) is so old that
/// its answer would have been dropped.
pub(crate) fn from_row(row: &Row<'_>, oldest: i64) -> Result<Answer, DatabaseError> {
    let answer: String = row.get("answer")?;
    match answer.as_str() {
        "kept" => Ok(Answer::Kept(response(row)?)),
        "unserved" if row.get::<_, i64>("accepted_at")? > oldest => Ok(Answer::Unserved),
        "unserved" | "not_kept" => Ok(Answer::NotKept),
        _ => Err(undecodable("answer")),
    }
}

/// The answer in a row that has one.
pub(crate) fn response(row: &Row<'_>) -> Result<StoredResponse, DatabaseError> {
    let headers: String = row.get("response_headers")?;
    Ok(StoredResponse {
        status: row.get("response_status")?,
        headers: serde_json::from_str(&headers).map_err(|_| undecodable("response_headers"))?,
        body: row.get("response_body")?,
    })
}

/// The headers of an answer, as a row has them.
pub(crate) fn headers_text(response: &StoredResponse) -> String {
    let headers: serde_json::Value =
        response.headers.iter().map(|(name, value)| vec![name.as_str(), value]).collect();
    headers.to_string()
}

impl Ledger {
    /// Keeps the answer of a charged request for its repeats. The first answer stays; false when the request has
    /// one already, or there is no such request.
    ///
    /// Answers take their bytes from the budgets of [`LedgerConfig`](crate::LedgerConfig); the oldest make room.
    /// One that is longer than a whole budget is not kept: false, and the request counts as served.
    pub async fn store_response(
        &self,
        channel: &ChannelId,
        key: &ReplayKey,
        response: StoredResponse,
    ) -> Result<bool, LedgerError> {
        let (channel, key) = (*channel, *key);
        let (of_all, of_channel) =
            (self.settings().max_answer_bytes, self.settings().max_answer_bytes_per_channel);
        self.write("store_response", move |tx| {
            let headers = headers_text(&response);
            let bytes = (headers.len() + response.body.len()) as u64;
            if bytes > of_channel || bytes > of_all {
                note_served(tx, &channel, &key)?;
                return Ok(false);
            }
            let stored = tx.execute(
                "-- store_response
                UPDATE replays
                   SET answer = 'kept', answer_bytes = ?7, response_status = ?4, response_headers = ?5,
                       response_body = ?6
                 WHERE channel_id = ?1 AND replay_key = ?2 AND fingerprint = ?3 AND answer = 'unserved'",
                params![
                    channel.as_bytes(),
                    key.key,
                    key.fingerprint,
                    response.status,
                    headers,
                    response.body,
                    bytes as i64
                ],
            )?;
            if stored == 0 {
                return Ok(false);
            }
            make_room(tx, channel.as_bytes(), of_channel, &key)?;
            make_room(tx, ALL, of_all, &key)?;
            Ok(true)
        })
        .await
    }

    /// Notes that a charged request was served although its answer is not kept: it is never served again. False
    /// when it has an answer already, or there is no such request.
    pub async fn note_served(&self, channel: &ChannelId, key: &ReplayKey) -> Result<bool, LedgerError> {
        let (channel, key) = (*channel, *key);
        self.write("note_served", move |tx| note_served(tx, &channel, &key)).await
    }

    /// Bytes that the kept answers of all channels take at present.
    pub async fn answer_bytes(&self) -> Result<u64, LedgerError> {
        self.read("answer_bytes", |tx| taken(tx, ALL)).await
    }
}

fn note_served(tx: &Tx, channel: &ChannelId, key: &ReplayKey) -> Result<bool, LedgerError> {
    let noted = tx.execute(
        "-- note_served
        UPDATE replays SET answer = 'not_kept'
         WHERE channel_id = ?1 AND replay_key = ?2 AND fingerprint = ?3 AND answer = 'unserved'",
        params![channel.as_bytes(), key.key, key.fingerprint],
    )?;
    Ok(noted == 1)
}

fn taken(tx: &Tx, whose: &[u8]) -> Result<u64, LedgerError> {
    let bytes: Option<i64> = tx.first(
        "-- answer_bytes\nSELECT bytes FROM answer_bytes WHERE channel_id = ?1",
        params![whose],
        |row| row.get(0),
    )?;
    Ok(bytes.unwrap_or(0).unsigned_abs())
}

/// Drops the oldest answers of `whose`, but for the one of `newest`, until the rest fits `budget`.
fn make_room(tx: &Tx, whose: &[u8], budget: u64, newest: &ReplayKey) -> Result<(), LedgerError> {
    const OLDEST_OF_ALL: &str = "-- drop_oldest_answer
        UPDATE replays SET answer = 'not_kept', answer_bytes = 0, response_status = NULL, response_headers = NULL,
               response_body = NULL
         WHERE (channel_id, replay_key) =
               (SELECT channel_id, replay_key FROM replays
                 WHERE response_status IS NOT NULL AND replay_key <> ?1 ORDER BY accepted_at LIMIT 1)";
    const OLDEST_OF_CHANNEL: &str = "-- drop_oldest_answer_of_channel
        UPDATE replays SET answer = 'not_kept', answer_bytes = 0, response_status = NULL, response_headers = NULL,
               response_body = NULL
         WHERE (channel_id, replay_key) =
               (SELECT channel_id, replay_key FROM replays
                 WHERE response_status IS NOT NULL AND replay_key <> ?1 AND channel_id = ?2
                 ORDER BY accepted_at LIMIT 1)";
    for _ in 0..MOST_DROPPED {
        if taken(tx, whose)? <= budget {
            break;
        }
        let dropped = if whose == ALL {
            tx.execute(OLDEST_OF_ALL, params![newest.key])?
        } else {
            tx.execute(OLDEST_OF_CHANNEL, params![newest.key, whose])?
        };
        if dropped == 0 {
            break;
        }
    }
    Ok(())
}
