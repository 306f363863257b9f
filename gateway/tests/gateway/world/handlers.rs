//! What the guarded routes answer, and what they saw.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{get, post};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use toll_gateway::Paid;

/// A request's headers, and the evidence of payment that came with it.
type Seen = (HeaderMap, Option<Paid>);

/// Makes the answer of a metered route.
type Maker = Arc<dyn Fn(&str) -> http::Response<Body> + Send + Sync>;

/// What the guarded handlers saw.
#[derive(Clone, Default)]
pub(crate) struct Served {
    maker: Arc<Mutex<Option<Maker>>>,
    count: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<Seen>>>,
}

impl Served {
    fn note(&self, headers: HeaderMap, paid: Option<Paid>) -> usize {
        *self.last.lock().expect("lock") = Some((headers, paid));
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// What metered routes answer from here on.
    pub(crate) fn answers(&self, make: impl Fn(&str) -> http::Response<Body> + Send + Sync + 'static) {
        *self.maker.lock().expect("lock") = Some(Arc::new(make));
    }

    async fn answer(&self, kind: &str) -> axum::response::Response {
        let maker = self.maker.lock().expect("lock").clone().expect("the test says what is answered");
        maker(kind)
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub(crate) fn last(&self) -> Seen {
        self.last.lock().expect("lock").clone().expect("something was served")
    }
}

pub(super) fn handlers(served: Served) -> Router {
    async fn paid(State(served): State<Served>, paid: Option<Paid>, headers: HeaderMap) -> String {
        format!("served {}", served.note(headers, paid))
    }
    async fn slow(State(served): State<Served>, paid: Option<Paid>, headers: HeaderMap) -> String {
        let count = served.note(headers, paid);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        format!("served {count}")
    }
    async fn echo(
        State(served): State<Served>,
        paid: Option<Paid>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Bytes {
        served.note(headers, paid);
        body
    }
    async fn answer(
        State(served): State<Served>,
        axum::extract::Path(kind): axum::extract::Path<String>,
        paid: Option<Paid>,
        headers: HeaderMap,
    ) -> axum::response::Response {
        let count = served.note(headers, paid);
        let build = http::Response::builder();
        let response = match kind.as_str() {
            // Fails once, then works.
            "flaky" if count == 1 => build.status(503).body(Body::from("down")),
            "panic" if count == 1 => panic!("a bug in the handler"),
            "slow" => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                build.body(Body::from(format!("served {count}")))
            }
            "down" => build.status(500).body(Body::empty()),
            "missing" => build.status(404).body(Body::from(format!("no {count}"))),
            "large" => build.body(Body::from(vec![b'x'; toll_gateway::MAX_REPLAY_BODY + 1])),
            "stream" => {
                let chunks = (0..4).map(|chunk| Ok::<_, std::io::Error>(format!("{chunk};")));
                build.body(Body::from_stream(futures::stream::iter(chunks)))
            }
            "broken" => {
                let chunks = [Ok("begun".to_owned()), Err(std::io::Error::other("gone"))];
                build.body(Body::from_stream(futures::stream::iter(chunks)))
            }
            "forged-302" => build.status(302).header("payment-receipt", "forged").body(Body::empty()),
            "forged-404" => build.status(404).header("payment-receipt", "forged").body(Body::empty()),
            "forged-500" => build.status(500).header("payment-receipt", "forged").body(Body::empty()),
            "forged" => build
                .header("payment-receipt", "forged")
                .header(CACHE_CONTROL, "public, max-age=9")
                .body(Body::empty()),
            _ => build.body(Body::from(format!("served {count}"))),
        };
        response.expect("a response")
    }
    async fn metered(
        State(served): State<Served>,
        axum::extract::Path(kind): axum::extract::Path<String>,
        paid: Option<Paid>,
        headers: HeaderMap,
    ) -> axum::response::Response {
        served.note(headers, paid);
        served.answer(&kind).await
    }
    Router::new()
        .route("/paid", get(paid))
        .route("/twin", get(paid).post(paid))
        .route("/dear", get(paid))
        .route("/ahead", get(slow))
        .route("/echo", post(echo))
        .route("/bound", post(echo))
        .route("/answers/{kind}", get(answer))
        .route("/keyed/{kind}", get(answer))
        .route("/operated", get(paid).post(paid))
        .route("/operated/{kind}", get(answer))
        .route("/forgiven/{kind}", get(answer))
        .route("/metered/{kind}", get(metered))
        .with_state(served)
}
