//! Where what happens is told: on stderr, and as traces to a collector where the configuration names one.

mod traces;

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub(crate) use self::traces::Traces;
use crate::config::TelemetryConfig;
use crate::error::Result;

/// How often the command line says `-v`.
static VERBOSE: AtomicU8 = AtomicU8::new(0);

/// Notes how much is told on stderr, once it is told.
pub(crate) fn be_verbose(verbose: u8) {
    VERBOSE.store(verbose, Ordering::Relaxed);
}

/// Begins to tell on stderr.
pub(crate) fn to_stderr() {
    start(None);
}

/// Begins to tell on stderr and to a collector, if `config` names one. Call it in a runtime. Keep what it returns until
/// the end, and let it [finish](Traces::finish).
pub(crate) fn with_traces(config: &TelemetryConfig) -> Result<Option<Traces>> {
    let traces = config.otlp_endpoint.as_deref().map(Traces::to).transpose()?;
    start(traces.as_ref());
    Ok(traces)
}

fn start(traces: Option<&Traces>) {
    let default = match VERBOSE.load(Ordering::Relaxed) {
        0 => "warn,surfpool_core=off",
        1 => "info,surfpool_core=warn",
        2 => "debug,surfpool_core=info,hyper=info,hyper_util=info,reqwest=info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let stderr = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_filter(filter);
    // Fails only when a program that uses this library has its own.
    let _ = tracing_subscriber::registry().with(traces.map(Traces::layer)).with(stderr).try_init();
}
