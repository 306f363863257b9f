//! What a connection is doing, and since when: so that one that does nothing can be told from one that works.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// How long a connection may do nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From a request's first byte to its last header.
    pub(super) headers: Duration,
    /// Between two requests.
    pub(super) idle: Duration,
    /// While the client does not take what is there for it.
    pub(super) stall: Duration,
}

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    Headers,
    Idle,
    Stalled,
}

/// The state of one connection. Times are milliseconds since it began.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// Requests whose answer has not been handed over in full.
    requests: AtomicU32,
    /// Those of them that wait for the handler or the upstream.
    ours: AtomicU32,
    /// When the last request began or ended, or a piece of an answer was handed over.
    progress: AtomicU64,
    /// When the headers began that are being read.
    headers: AtomicU64,
}

const NONE: u64 = u64::MAX;

impl Pulse {
    /// A connection that owes its first request.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            requests: AtomicU32::new(0),
            ours: AtomicU32::new(0),
            progress: AtomicU64::new(0),
            headers: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NONE - 1)
    }

    /// Bytes came in. Without a request they are the headers of the next one.
    pub(super) fn received(&self) {
        if self.requests.load(Relaxed) == 0 && self.headers.load(Relaxed) == NONE {
            self.headers.store(self.now(), Relaxed);
        }
    }

    /// A request's headers are complete.
    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        self.requests.fetch_add(1, Relaxed);
        self.ours.fetch_add(1, Relaxed);
        self.headers.store(NONE, Relaxed);
        self.progress.store(self.now(), Relaxed);
        Exchange { pulse: Arc::clone(self), is_ours: true }
    }

    /// What the connection has waited for longer than `patience` allows, if anything.
    pub(super) fn overdue(&self, patience: &Patience) -> Option<Overdue> {
        let over =
            |since: u64, limit: Duration| u128::from(self.now().saturating_sub(since)) > limit.as_millis();
        let (headers, progress) = (self.headers.load(Relaxed), self.progress.load(Relaxed));
        if self.requests.load(Relaxed) > 0 {
            let is_theirs = self.ours.load(Relaxed) == 0;
            return (is_theirs && over(progress, patience.stall)).then_some(Overdue::Stalled);
        }
        if headers != NONE {
            return over(headers, patience.headers).then_some(Overdue::Headers);
        }
        over(progress, patience.idle).then_some(Overdue::Idle)
    }
}

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Exchange {
    pulse: Arc<Pulse>,
    /// Whether it waits for us rather than for the client.
    is_ours: bool,
}

impl Exchange {
    fn set_ours(&mut self, is_ours: bool) {
        match (self.is_ours, is_ours) {
            (false, true) => drop(self.pulse.ours.fetch_add(1, Relaxed)),
            (true, false) => drop(self.pulse.ours.fetch_sub(1, Relaxed)),
            _ => {}
        }
        self.is_ours = is_ours;
        if !is_ours {
            self.pulse.progress.store(self.pulse.now(), Relaxed);
        }
    }

    /// The answer's body, which notes whose turn it is.
    pub(super) fn answer(mut self, body: Body) -> Body {
        self.set_ours(false);
        Body::new(Answer { body, exchange: self })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.set_ours(false);
        self.pulse.requests.fetch_sub(1, Relaxed);
    }
}

struct Answer {
    body: Body,
    exchange: Exchange,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.exchange.set_ours(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
