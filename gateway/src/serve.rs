//! The listener: composes configuration, gateway and upstream, serves, drains.
//!
//! Whoever connects is bounded before it pays: in time (headers, bodies, pauses, idleness), in number (in all and
//! by peer) and in memory. Once told to stop, the server ends within the drain timeout, whatever its clients do.

mod connection;
mod crowd;
mod pulse;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{GatewayConfig, seconds};
use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::hook::Hooked;
use crate::layer::PaymentLayer;
use crate::price::Pricer;
use crate::proxy::Proxy;
use crowd::Crowd;
use pulse::Patience;

/// A router that charges by `pricer` and forwards what is paid to `config.upstream`.
pub fn proxy_router(
    gateway: Arc<Gateway>,
    pricer: Arc<dyn Pricer>,
    config: &GatewayConfig,
) -> Result<Router, GatewayError> {
    let layer = PaymentLayer::new(gateway, pricer)
        .with_request_body_limit(config.request_body_limit)
        .with_request_body_timeout(seconds(config.transport.body_timeout_seconds))
        .with_buffered_body_bytes(config.transport.buffered_body_bytes);
    let layer = match config.price_hook.hook()? {
        Some(Hooked { hook, patience, on_failure }) => layer.with_price_hook(hook, patience, on_failure),
        None => layer,
    };
    Ok(Proxy::new(config)?.into_router().layer(layer))
}

/// Validates `config` and listens on its address.
pub async fn bind(config: &GatewayConfig) -> Result<TcpListener, GatewayError> {
    config.validate()?;
    TcpListener::bind(config.listen).await.map_err(GatewayError::Serve)
}

/// Serves `router` within the bounds of `config.transport` until `shutdown` resolves, then lets running requests
/// finish for up to `drain_timeout_seconds` and cuts off what is left.
pub fn serve<S>(
    listener: TcpListener,
    router: Router,
    config: &GatewayConfig,
    shutdown: S,
) -> impl Future<Output = Result<(), GatewayError>> + Send + use<S>
where
    S: Future<Output = ()> + Send + 'static,
{
    let transport = config.transport;
    let per_peer = if config.trusted_proxy { u32::MAX } else { transport.connections_per_peer };
    let crowd = Crowd::new(transport.connections, per_peer);
    let patience = Patience {
        headers: seconds(transport.header_timeout_seconds),
        idle: seconds(transport.idle_timeout_seconds),
        stall: seconds(transport.stall_timeout_seconds),
    };
    let drain = seconds(transport.drain_timeout_seconds);
    async move {
        let (draining, _) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = accept(&listener) => match crowd.admit(accepted.1.ip()) {
                    Some(place) => {
                        let running = draining.subscribe();
                        connections.spawn(connection::run(accepted.0, router.clone(), patience, running, place));
                    }
                    None => turn_away(&accepted.0),
                },
            }
        }
        drop(listener);
        draining.send_replace(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, drained).await.is_err() {
            tracing::warn!(connections = connections.len(), "cut off after the drain timeout");
            connections.shutdown().await;
        }
        Ok(())
    }
}

/// The next connection. Out of file descriptors or memory, it waits for others to end.
async fn accept(listener: &TcpListener) -> (TcpStream, std::net::SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Says that there is no room, if the socket takes it at once.
fn turn_away(stream: &TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    if let Err(error) = stream.try_write(answer) {
        tracing::debug!(%error, "a connection was turned away without a word");
    }
}
