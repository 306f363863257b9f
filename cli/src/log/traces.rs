//! Traces for an OTLP collector, over HTTP.
//!
//! Only our own spans leave, and what they say is chosen where they are made: method, route, refusal code, status. No
//! target, header, key or amount is among it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use axum::http::{Request, Response};
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::{Layer, Registry};

use crate::error::{CliError, Exit, Result};

/// Longest time that the collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// A way to the collector.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// To the collector at `endpoint`. Nobody listens there yet, for all we know.
    pub(super) fn to(endpoint: &str) -> Result<Self> {
        let failed = |error: &dyn fmt::Display| {
            CliError::new(
                Exit::Config,
                format_args!("telemetry.otlp_endpoint: {error}"),
                "correct the configuration",
            )
        };
        let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(|error| failed(&error))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector { client, runtime: Handle::current() })
            .with_endpoint(endpoint)
            .with_timeout(PATIENCE)
            .build()
            .map_err(|error| failed(&error))?;
        let resource = Resource::builder().with_service_name("toll").build();
        Ok(Self(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build()))
    }

    /// What turns our spans into traces.
    pub(super) fn layer(&self) -> impl Layer<Registry> + use<> {
        let ours = ["toll_gateway", "toll_settler", "toll_ledger"].map(|target| (target, LevelFilter::INFO));
        tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_tracer(self.0.tracer("toll"))
            .with_filter(Targets::new().with_targets(ours))
    }

    /// Sends what is left.
    pub(crate) async fn finish(self) {
        // It waits for the exporter's own thread, which needs this runtime.
        let sent = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(PATIENCE)).await;
        if let Ok(Err(error)) = sent {
            tracing::warn!(%error, "the last traces did not reach the collector");
        }
    }
}

/// Our HTTP client for the exporter, whose thread has no runtime of its own.
#[derive(Clone, Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = self.runtime.spawn(async move {
            let answer = client.execute(reqwest::Request::try_from(request)?).await?;
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = answer.status();
            *response.body_mut() = answer.bytes().await?;
            Ok::<_, reqwest::Error>(response)
        });
        Ok(sending.await?.map_err(reqwest::Error::without_url)?)
    }
}
