//! From a charge to an answer: the service's, or the one that the request got before.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use tokio::time::Instant;
use toll_ledger::{Answer, Booked, ChannelRecord, Charge, Replay, ReplayKey, Watermarks};
use toll_protocol::{Amount, ChannelId};
use tower::Service;

use crate::deliver::{self, Keeper};
use crate::extract::Paid;
use crate::gateway::{Gateway, receipt_header};
use crate::hook::Reporter;
use crate::in_flight::Turn;
use crate::reject::{Refusal, Rejection};
use crate::repeat::{self, Repeat, Shelf};

/// How long a repeat waits for the answer that is being made to its first try.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks whether another gateway is done with an equal request.
const NEXT_LOOK: Duration = Duration::from_millis(200);

/// A paid request with its whole body: its digest is part of what a repeat must equal.
pub(super) struct PaidRequest {
    pub(super) parts: Parts,
    pub(super) body: Bytes,
}

impl PaidRequest {
    /// The request for the service, with the evidence that `channel` pays up to `cost` for it.
    pub(super) fn paid_by(self, channel: &ChannelRecord, cost: Amount) -> Request {
        self.into_request(Paid {
            channel: channel.id,
            payer: channel.agreement.terms.payer,
            charged: cost,
            watermarks: channel.watermarks,
        })
    }

    /// Who is told what it came to, if anybody is.
    pub(super) fn reporter(&self) -> Option<Reporter> {
        self.parts.extensions.get::<Reporter>().cloned()
    }

    fn into_request(mut self, paid: Paid) -> Request {
        self.parts.extensions.insert(paid);
        Request::from_parts(self.parts, Body::from(self.body))
    }
}

/// The turn of a request. Taken before it is charged, so that of equal requests one runs and the others find its answer.
///
/// Where another gateway could answer it as well, which takes a ledger that is shared and an answer that is kept there,
/// the ledger says whose turn it is.
pub(crate) async fn turn(gateway: &Gateway, key: ReplayKey, shelf: Shelf) -> Result<Turn, Rejection> {
    let busy = || Rejection::Unavailable {
        detail: "an equal request is still being answered".to_owned(),
        retry_after: 1,
    };
    let deadline = Instant::now() + PATIENCE;
    let turn = gateway.in_flight.turn(key, PATIENCE).await.ok_or_else(busy)?;
    if shelf != Shelf::Ledger || !gateway.ledger.is_shared() {
        return Ok(turn);
    }
    loop {
        if let Some(serving) = gateway.ledger.try_serve(&key).await? {
            return Ok(turn.among_gateways(serving));
        }
        if Instant::now() >= deadline {
            return Err(busy());
        }
        tokio::time::sleep(NEXT_LOOK).await;
    }
}

/// The channel as the ledger has it now: what the book says may be behind, so nothing is refused on it.
pub(super) async fn reload(gateway: &Gateway, channel: &ChannelId) -> Result<Booked, Rejection> {
    gateway.ledger.reload(channel).await?.ok_or(Rejection::ChannelNotFound)
}

/// A request that is paid for, now or before, and not served.
pub(super) struct Charged {
    /// The channel's amounts right after.
    pub(super) watermarks: Watermarks,
    /// The challenge that was answered.
    pub(super) challenge_id: String,
    /// Where the answer goes.
    pub(super) shelf: Shelf,
}

/// What a request gets that was charged before: the answer it had, or to be served for that charge.
pub(super) async fn repeated(
    gateway: &Gateway,
    channel: &ChannelId,
    key: ReplayKey,
    replay: Replay,
    shelf: Shelf,
) -> Result<Result<Charged, Response>, Refusal> {
    let known = reload(gateway, channel).await?;
    match repeat::look_up(gateway, &known.channel.record, &key, replay, shelf)? {
        Repeat::Answered(response) => Ok(Err(response)),
        Repeat::Unserved { watermarks, challenge_id, shelf } => {
            gateway.limit_rerun(key)?;
            Ok(Ok(Charged { watermarks, challenge_id, shelf }))
        }
    }
}

/// What a metered request gets that was made before: the answer it had. One that was charged is not served again, since
/// nobody knows how much of it was delivered.
pub(super) async fn metered_before(
    gateway: &Gateway,
    channel: &ChannelId,
    charge: &Charge,
    earlier: Replay,
    shelf: Shelf,
) -> Result<Response, Refusal> {
    if earlier.cost.is_zero() && earlier.answer == Answer::Unserved {
        return Err(Rejection::Unavailable {
            detail: "an equal request is still being answered".to_owned(),
            retry_after: 1,
        }
        .into());
    }
    let known = reload(gateway, channel).await?;
    match repeat::look_up(gateway, &known.channel.record, &charge.replay, earlier, shelf)? {
        Repeat::Answered(response) => Ok(response),
        Repeat::Unserved { .. } => Err(Rejection::ReplayBodyGone.resuming(&known.channel.record)),
    }
}

/// Runs the service for a request that was charged `cost`.
pub(super) async fn serve<S>(
    gateway: &Gateway,
    channel: &ChannelRecord,
    cost: Amount,
    charged: Charged,
    request: PaidRequest,
    turn: Turn,
    inner: S,
) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let Charged { watermarks, challenge_id, shelf } = charged;
    let receipt = gateway.receipt_after(channel, watermarks, challenge_id);
    let (id, payer) = (channel.id, channel.agreement.terms.payer);
    let evidence = Paid { channel: id, payer, charged: cost, watermarks };
    let keeper = Keeper::new(gateway, shelf, id, turn);
    let reporter = request.reporter();
    let request = request.into_request(evidence);
    let response = deliver::deliver(keeper, receipt_header(&receipt), request, inner).await;
    if let Some(reporter) = reporter {
        reporter.tell(id, payer, response.status().as_u16(), cost, None);
    }
    response
}
