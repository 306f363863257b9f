//! The upstream's own OpenAPI document, asked for now and then.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::proxy::Proxy;

/// How long a document is good.
const FRESH: Duration = Duration::from_secs(300);

/// How long an upstream that had none is left alone.
const REST: Duration = Duration::from_secs(30);

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest document, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// Asks one upstream, once at a time.
pub(super) struct Upstream {
    proxy: Proxy,
    path: String,
    known: Mutex<Option<Known>>,
}

/// What was made of the last answer.
struct Known {
    until: Instant,
    text: Bytes,
}

impl Upstream {
    pub(super) fn new(proxy: Proxy, path: String) -> Self {
        Self { proxy, path, known: Mutex::default() }
    }

    /// What `render` makes of the upstream's document, or of none where it has none that can be read. Made once for all
    /// who ask while it is fresh: it is free, and may be large.
    pub(super) async fn text(&self, render: impl FnOnce(Option<&Value>) -> Bytes) -> Bytes {
        let mut known = self.known.lock().await;
        if let Some(Known { text, .. }) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return text.clone();
        }
        let asked = tokio::time::timeout(PATIENCE, self.proxy.fetch(&self.path, LARGEST)).await;
        let bytes = asked.ok().flatten();
        let document =
            bytes.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()).filter(is_openapi_3);
        let text = render(document.as_ref());
        let good_for = if document.is_some() { FRESH } else { REST };
        *known = Some(Known { until: Instant::now() + good_for, text: text.clone() });
        text
    }
}

fn is_openapi_3(document: &Value) -> bool {
    let version = document.get("openapi").and_then(Value::as_str);
    version.is_some_and(|version| version.starts_with("3."))
        && document.get("paths").is_some_and(Value::is_object)
}
