//! One connection: HTTP/1.1 until it ends or does nothing for too long.
//!
//! HTTP/2 is for the proxy in front, which terminates TLS and speaks HTTP/1.1 to what it guards.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::ServiceExt;

use super::crowd::Place;
use super::pulse::{Patience, Pulse};
use crate::stall::Impatient;

/// Most bytes of a connection that wait to be parsed: room for the headers of a request with its credential.
const READ_BUFFER: usize = 64 * 1024;

/// Serves `router` on `stream`. Once `draining`, the running request is the last.
pub(super) async fn run(
    stream: TcpStream,
    router: Router,
    patience: Patience,
    mut draining: watch::Receiver<bool>,
    _place: Place,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let pulse = Arc::new(Pulse::new());
    let stream = TokioIo::new(Watched { stream, pulse: Arc::clone(&pulse) });
    let service = service_fn(|request: Request<Incoming>| {
        let exchange = pulse.begin();
        let request = request.map(|body| Body::new(Impatient::new(body, patience.stall)));
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await?.map(|body| exchange.answer(body))) }
    });
    let builder = builder(&patience);
    let mut connection = pin!(builder.serve_connection(stream, service));
    let shortest = patience.headers.min(patience.idle).min(patience.stall);
    let every = (shortest / 4).clamp(Duration::from_millis(50), Duration::from_secs(5));
    let mut look = tokio::time::interval(every);
    let mut is_ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke off");
                }
                return;
            }
            // Resolves also when the server is gone.
            _ = draining.wait_for(|draining| *draining), if !is_ending => {
                connection.as_mut().graceful_shutdown();
                is_ending = true;
            }
            _ = look.tick() => {
                let Some(overdue) = pulse.overdue(&patience) else { continue };
                tracing::debug!(?overdue, "a connection is ended");
                if is_ending {
                    return;
                }
                // A request that has come whole is answered; next time the connection is cut off.
                connection.as_mut().graceful_shutdown();
                is_ending = true;
            }
        }
    }
}

fn builder(patience: &Patience) -> Builder {
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        // It counts the time between requests too, so what `Pulse` measures comes first.
        .header_read_timeout(patience.idle + patience.headers)
        .max_buf_size(READ_BUFFER);
    builder
}

/// A stream that notes when its peer speaks.
struct Watched {
    stream: TcpStream,
    pulse: Arc<Pulse>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pulse.received();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
