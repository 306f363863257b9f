//! The listener: composes configuration, gateway and upstream, serves, drains.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;

use crate::config::GatewayConfig;
use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::layer::PaymentLayer;
use crate::price::Pricer;
use crate::proxy::Proxy;

/// A router that charges by `pricer` and forwards what is paid to `config.upstream`.
pub fn proxy_router(
    gateway: Arc<Gateway>,
    pricer: Arc<dyn Pricer>,
    config: &GatewayConfig,
) -> Result<Router, GatewayError> {
    let layer = PaymentLayer::new(gateway, pricer).with_request_body_limit(config.request_body_limit);
    Ok(Proxy::new(config)?.into_router().layer(layer))
}

/// Validates `config` and listens on its address.
pub async fn bind(config: &GatewayConfig) -> Result<TcpListener, GatewayError> {
    config.validate()?;
    TcpListener::bind(config.listen).await.map_err(GatewayError::Serve)
}

/// Serves `router` until `shutdown` resolves, then lets running requests finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), GatewayError> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await.map_err(GatewayError::Serve)
}
