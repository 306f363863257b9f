//! A service worth paying for: it counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers every request with the number of requests so far. It stops when dropped.
pub struct Upstream {
    address: SocketAddr,
    served: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Starts on a free port.
    pub async fn start() -> Self {
        let served = Arc::new(AtomicU64::new(0));
        let router = Router::new().fallback(any(count)).with_state(served.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the upstream serves");
        });
        Self { address, served, task }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have reached it.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }
}

async fn count(State(served): State<Arc<AtomicU64>>) -> String {
    format!("{}\n", served.fetch_add(1, Ordering::SeqCst) + 1)
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
