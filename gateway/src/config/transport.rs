//! `[gateway.transport]`: what connections and bodies may take of time and memory.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::invalid;
use crate::error::ConfigError;

/// `[gateway.transport]`: bounds that hold for everyone, paying or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TransportConfig {
    /// How long a request's headers may take from their first byte on, and a new connection's first request, in
    /// seconds.
    pub header_timeout_seconds: u32,
    /// How long a body may take that is read before the charge, in seconds.
    pub body_timeout_seconds: u32,
    /// How long a client may pause while it streams a body or takes an answer, in seconds.
    pub stall_timeout_seconds: u32,
    /// How long the upstream may pause while it streams an answer, in seconds.
    pub upstream_stall_timeout_seconds: u32,
    /// How long a connection without a request is kept, in seconds.
    pub idle_timeout_seconds: u32,
    /// How long running requests may go on after the word to stop, in seconds; then they are cut off.
    pub drain_timeout_seconds: u32,
    /// Most open connections. Further ones are answered 503 and closed.
    pub connections: u32,
    /// Most open connections of one peer: an IPv4 address or an IPv6 /64. Not applied with
    /// `gateway.trusted_proxy`, where all of them come from the proxy.
    pub connections_per_peer: u32,
    /// Most bytes of request bodies held in memory in all. A body that does not fit is answered 503.
    pub buffered_body_bytes: usize,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            header_timeout_seconds: 10,
            body_timeout_seconds: 30,
            stall_timeout_seconds: 30,
            upstream_stall_timeout_seconds: 120,
            idle_timeout_seconds: 75,
            drain_timeout_seconds: 30,
            connections: 4_096,
            connections_per_peer: 1_024,
            buffered_body_bytes: 64 * 1024 * 1024,
        }
    }
}

impl TransportConfig {
    pub(super) fn validate(&self, request_body_limit: usize) -> Result<(), ConfigError> {
        let not_zero = [
            ("gateway.transport.header_timeout_seconds", self.header_timeout_seconds),
            ("gateway.transport.body_timeout_seconds", self.body_timeout_seconds),
            ("gateway.transport.stall_timeout_seconds", self.stall_timeout_seconds),
            ("gateway.transport.upstream_stall_timeout_seconds", self.upstream_stall_timeout_seconds),
            ("gateway.transport.idle_timeout_seconds", self.idle_timeout_seconds),
            ("gateway.transport.drain_timeout_seconds", self.drain_timeout_seconds),
            ("gateway.transport.connections", self.connections),
            ("gateway.transport.connections_per_peer", self.connections_per_peer),
        ];
        if let Some((setting, _)) = not_zero.into_iter().find(|(_, value)| *value == 0) {
            return Err(invalid(setting, "must not be zero"));
        }
        if self.buffered_body_bytes < request_body_limit {
            let reason = format!(
                "is {}, so that no body of gateway.request_body_limit = {request_body_limit} could be read",
                self.buffered_body_bytes
            );
            return Err(invalid("gateway.transport.buffered_body_bytes", reason));
        }
        if self.buffered_body_bytes > tokio::sync::Semaphore::MAX_PERMITS {
            return Err(invalid("gateway.transport.buffered_body_bytes", "is more than can be counted"));
        }
        Ok(())
    }
}

/// A setting in seconds.
pub(crate) fn seconds(setting: u32) -> Duration {
    Duration::from_secs(u64::from(setting))
}
