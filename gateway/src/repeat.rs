//! What a repeat of a paid request gets.
//!
//! A request is charged once, by the ledger, whatever happens. What its repeat gets is known from where its answer
//! was put ([`Shelf`]):
//!
//! - With an `Idempotency-Key`: the ledger. The answer is there for a day, also after a restart, as long as its
//!   budget of bytes reaches. A request that was charged and not served, because it failed or the gateway was
//!   killed, runs again.
//! - Without one: this process's memory, and the accept is all that is written to disk. A request that failed runs
//!   again. One whose answer was forgotten does not: that would sell any number of requests for the price of one.
//!
//! After a restart nobody knows whether a request without a key was served. The payer would lose its money if it was
//! not, the seller an answer if it was. So each channel's last requests, those that were being answered when the
//! gateway stopped, may run once more; that answer is put in the ledger, and ends the doubt. Where gateways share a
//! ledger on a server, another one may have served it and go on: there a request without a key runs nowhere but where it
//! was charged. Whoever wants certainty sends an `Idempotency-Key`.

use axum::response::Response;
use http::Method;
use http::request::Parts;
use toll_ledger::{Answer, ChannelRecord, Replay, ReplayKey, Watermarks};

use crate::deliver;
use crate::gateway::Gateway;
use crate::header::IDEMPOTENCY_KEY;
use crate::reject::{Refusal, Rejection};

/// Seconds before a channel's last paid request for which requests count as its last ones: several may have been
/// under way when the gateway stopped.
const UNDER_WAY: i64 = 10;

/// Where the answer to a request is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// In the ledger.
    Ledger,
    /// In memory.
    Memory,
    /// Nowhere: nothing makes a repeat of the request recognizable.
    Nowhere,
}

impl Shelf {
    /// Where the answer to this request goes.
    pub(crate) fn of(request: &Parts) -> Self {
        // A HEAD runs nothing: there is no answer to put anywhere.
        if request.headers.contains_key(IDEMPOTENCY_KEY) || request.method == Method::HEAD {
            Self::Ledger
        } else {
            Self::Memory
        }
    }
}

/// A request that was charged before.
#[derive(Debug)]
pub(crate) enum Repeat {
    /// It was answered: here is the answer.
    Answered(Response),
    /// It was charged and not served, or it is in doubt: it runs, and its answer goes to `shelf`.
    Unserved { watermarks: Watermarks, challenge_id: String, shelf: Shelf },
}

/// Looks up what became of the request under `key`, the answer to which is on `shelf`.
pub(crate) fn look_up(
    gateway: &Gateway,
    channel: &ChannelRecord,
    key: &ReplayKey,
    replay: Replay,
    shelf: Shelf,
) -> Result<Repeat, Refusal> {
    let gone = || Rejection::ReplayBodyGone.resuming(channel);
    let (answer, shelf) = match (replay.answer, shelf) {
        (Answer::Unserved, Shelf::Memory) => match gateway.recent.find(&channel.id, key) {
            Some(answer) => (answer, Shelf::Memory),
            None if in_doubt(gateway, channel, replay.accepted_at) => {
                gateway.limit_doubt(channel.id)?;
                (Answer::Unserved, Shelf::Ledger)
            }
            None => (Answer::NotKept, Shelf::Memory),
        },
        known => known,
    };
    match answer {
        Answer::Kept(stored) => deliver::replayed(stored).map(Repeat::Answered).ok_or_else(gone),
        Answer::NotKept => Err(gone()),
        Answer::Unserved => Ok(Repeat::Unserved {
            watermarks: Watermarks { accepted: replay.accepted, spent: replay.spent, ..channel.watermarks },
            challenge_id: replay.challenge_id,
            shelf,
        }),
    }
}

/// Whether the request may have been under way when an earlier process stopped.
fn in_doubt(gateway: &Gateway, channel: &ChannelRecord, accepted_at: i64) -> bool {
    !gateway.ledger.is_shared()
        && accepted_at <= gateway.started_at
        && channel.last_activity_at.saturating_sub(accepted_at) <= UNDER_WAY
}
