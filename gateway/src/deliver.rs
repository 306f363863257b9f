//! Runs the guarded service for a request that is paid, and keeps its answer for replays.
//!
//! Accepting a voucher charges for good, so what happens afterwards decides only what a repeat of the same
//! credential and request gets:
//!
//! - An answer below 500 is kept (bodies up to [`MAX_REPLAY_BODY`]) and returned again, nothing else runs. Where it
//!   is kept, and for how long, [`crate::repeat`] says.
//! - A failure (5xx, also the proxy's own 502 and 504) is passed on and not kept: the payer was charged but
//!   not served, so the repeat runs the service again without a second charge, a few times a minute.
//! - An answer whose body was too long, or broke off after it had begun, is not kept; the repeat gets 409
//!   `replay-body-gone`.
//!
//! Only 2xx answers carry a receipt.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use toll_ledger::{Ledger, StoredResponse};
use toll_protocol::ChannelId;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use crate::gateway::Gateway;
use crate::header::{PAYMENT_RECEIPT, mark_private};
use crate::in_flight::Turn;
use crate::recent::{Packed, Recent};
use crate::reject::Refusal;
use crate::repeat::Shelf;

/// Longest body kept for replays.
pub const MAX_REPLAY_BODY: usize = 64 * 1024;

/// Marks a response that carries no service, whatever its status: it is never kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undelivered;

/// Charges and serves a request to the end, even when the client hangs up: otherwise hanging up and repeating would make
/// the service work any number of times for one charge, or charge for nothing.
pub(crate) async fn to_its_end<F>(work: F) -> Result<Response, Refusal>
where
    F: Future<Output = Result<Response, Refusal>> + Send + 'static,
{
    tokio::spawn(work.in_current_span()).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the handler of a paid request panicked");
        Ok(failure(StatusCode::INTERNAL_SERVER_ERROR))
    })
}

pub(crate) fn failure(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Answers a paid request: calls `inner`, adds `receipt` to a success, keeps the answer with `keeper`. Call it from
/// [`to_its_end`].
pub(crate) async fn deliver<S>(keeper: Keeper, receipt: HeaderValue, request: Request, inner: S) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let Ok(mut response) = inner.oneshot(request).instrument(tracing::info_span!("upstream")).await;
    response.headers_mut().remove(PAYMENT_RECEIPT);
    if response.status().is_server_error() || response.extensions().get::<Undelivered>().is_some() {
        return response;
    }
    if response.status().is_success() {
        response.headers_mut().insert(PAYMENT_RECEIPT, receipt);
    }
    mark_private(response.headers_mut());
    hand_over(keeper, response).await
}

/// Returns an answer that is charged for, and keeps it with `keeper`.
pub(crate) async fn hand_over(keeper: Keeper, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let bounded = body.size_hint().upper().is_some_and(|upper| upper <= MAX_REPLAY_BODY as u64);
    if !bounded {
        let head = Head { status: parts.status.as_u16(), headers: parts.headers.clone() };
        let recorded = Recorded { body, kept: Some(BytesMut::new()), keeper: Some((keeper, head)) };
        return Response::from_parts(parts, Body::new(recorded));
    }
    match body.collect().await {
        Ok(collected) => {
            let bytes = collected.to_bytes();
            keeper.keep_copy(parts.status.as_u16(), &parts.headers, Some(&bytes));
            Response::from_parts(parts, Body::from(bytes))
        }
        // Nothing has left yet, so the repeat may run the service again.
        Err(error) => {
            tracing::warn!(%error, "the answer to a paid request broke off");
            failure(StatusCode::BAD_GATEWAY)
        }
    }
}

/// Puts an answer where repeats find it, holding the request's turn until it is there.
pub(crate) struct Keeper {
    turn: Turn,
    place: Place,
}

enum Place {
    Nowhere,
    Ledger(Ledger, ChannelId),
    Memory(Arc<Recent>, ChannelId),
    /// In the ledger, under the challenge that the payment answered.
    Payment(Ledger, String),
}

/// An answer without its body.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
}

impl Keeper {
    /// Keeps the answer to the request that `turn` is for, on `shelf`.
    pub(crate) fn new(gateway: &Gateway, shelf: Shelf, channel: ChannelId, turn: Turn) -> Self {
        let place = match shelf {
            Shelf::Ledger => Place::Ledger(gateway.ledger.clone(), channel),
            Shelf::Nowhere => Place::Nowhere,
            Shelf::Memory => Place::Memory(Arc::clone(&gateway.recent), channel),
        };
        Self { turn, place }
    }

    /// Keeps the answer that a single payment bought.
    pub(crate) fn of_payment(gateway: &Gateway, challenge_id: String, turn: Turn) -> Self {
        Self { turn, place: Place::Payment(gateway.ledger.clone(), challenge_id) }
    }

    /// Keeps the answer, or without a `body` that there was one. Writing to disk goes on in the background: repeats
    /// wait for the turn, and with it for that; the first answer does not.
    pub(crate) fn keep(self, head: Head, body: Option<Bytes>) {
        self.keep_copy(head.status, &head.headers, body.as_ref());
    }

    fn keep_copy(self, status: u16, headers: &HeaderMap, body: Option<&Bytes>) {
        match self.place {
            Place::Nowhere => {}
            Place::Memory(recent, channel) => {
                let answer = body.map(|body| Packed::new(status, headers, body));
                recent.finish(channel, *self.turn.key(), answer);
            }
            Place::Payment(ledger, challenge_id) => {
                let answer = body.map(|body| Packed::new(status, headers, body).unpack());
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    let turn = self.turn;
                    runtime.spawn(async move {
                        let served = ledger.serve_payment(&challenge_id, answer).await;
                        if let Err(error) = served {
                            tracing::error!(%error, "cannot keep the answer to a paid request");
                        }
                        drop(turn);
                    });
                }
            }
            Place::Ledger(ledger, channel) => {
                let answer = body.map(|body| Packed::new(status, headers, body).unpack());
                // Without a runtime the process is ending.
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(store(ledger, channel, self.turn, answer));
                }
            }
        }
    }
}

async fn store(ledger: Ledger, channel: ChannelId, turn: Turn, response: Option<StoredResponse>) {
    let stored = match response {
        Some(response) => ledger.store_response(&channel, turn.key(), response).await,
        None => ledger.note_served(&channel, turn.key()).await,
    };
    if let Err(error) = stored {
        // The repeat then runs the service again: charged once all the same.
        tracing::error!(%error, "cannot keep the answer to a paid request");
    }
}

/// A body that is copied while it streams, up to [`MAX_REPLAY_BODY`].
struct Recorded {
    body: Body,
    /// The copy, until it grows too long.
    kept: Option<BytesMut>,
    keeper: Option<(Keeper, Head)>,
}

impl Recorded {
    fn finish(&mut self, complete: bool) {
        let Some((keeper, head)) = self.keeper.take() else { return };
        keeper.keep(head, self.kept.take().filter(|_| complete).map(BytesMut::freeze));
    }
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(data), Some(kept)) = (frame.data_ref(), &mut self.kept) {
                    if kept.len() + data.len() <= MAX_REPLAY_BODY {
                        kept.extend_from_slice(data);
                    } else {
                        self.kept = None;
                    }
                }
            }
            Poll::Ready(Some(Err(_))) => self.finish(false),
            Poll::Ready(None) => self.finish(true),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // A server stops polling once it has sent the announced length.
        let complete = self.body.is_end_stream();
        self.finish(complete);
    }
}

/// A kept answer, as a response; `None` when it cannot be one.
pub(crate) fn replayed(stored: StoredResponse) -> Option<Response> {
    let mut response = Response::new(Body::from(stored.body));
    *response.status_mut() = StatusCode::from_u16(stored.status).ok()?;
    for (name, value) in stored.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    Some(response)
}
