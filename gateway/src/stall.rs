//! Streamed bodies whose sender may pause, but not for ever.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// A body that fails when its sender pauses for longer than `patience`.
#[derive(Debug)]
pub(crate) struct Impatient<B> {
    body: B,
    patience: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    gave_up: bool,
}

/// The sender of a body paused for too long.
#[derive(Debug, thiserror::Error)]
#[error("the body stalled for {} seconds", .0.as_secs())]
pub(crate) struct Stalled(Duration);

impl<B> Impatient<B> {
    pub(crate) fn new(body: B, patience: Duration) -> Self {
        Self { body, patience, pause: None, gave_up: false }
    }
}

impl<B> Body for Impatient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.gave_up {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.pause = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let patience = self.patience;
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(pause.as_mut().poll(context));
        self.gave_up = true;
        Poll::Ready(Some(Err(Stalled(patience).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.gave_up || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
