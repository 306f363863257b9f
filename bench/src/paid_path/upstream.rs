//! The guarded service: a server of its own on a thread of its own.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::Failure;

/// What it answers, always.
pub(super) const ANSWER: &str = r#"{"weather":"sunny","temperature":21.5,"wind":{"speed":3.2,"direction":"west"},"station":"tower of the benchmark"}"#;

/// A running upstream; ends when dropped.
pub(super) struct Upstream {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Upstream {
    pub(super) fn start() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().fallback(|| async { ([(CONTENT_TYPE, "application/json")], ANSWER) });
        std::thread::Builder::new().name("upstream".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, _stop: stop })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
