//! The tower layer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use tower::{Layer, Service};
use tracing::Instrument;

use crate::body::BodyRules;
use crate::gateway::Gateway;
use crate::price::Pricer;
use crate::{service, trace};

/// Guards an axum service: requests that `pricer` prices reach it only when paid.
#[derive(Clone)]
pub struct PaymentLayer {
    gateway: Arc<Gateway>,
    pricer: Arc<dyn Pricer>,
    bodies: BodyRules,
}

impl PaymentLayer {
    /// A layer that charges into `gateway` what `pricer` says.
    pub fn new(gateway: Arc<Gateway>, pricer: Arc<dyn Pricer>) -> Self {
        Self { gateway, pricer, bodies: BodyRules::default() }
    }

    /// Limits bodies of paid requests to `bytes`, 2 MiB unless set. They are read before the charge, since their
    /// digest is part of what a repeat must equal.
    #[must_use]
    pub fn with_request_body_limit(self, bytes: usize) -> Self {
        Self { bodies: BodyRules { limit: bytes, ..self.bodies }, ..self }
    }

    /// Limits the time that such a body may take, 30 seconds unless set.
    #[must_use]
    pub fn with_request_body_timeout(self, timeout: Duration) -> Self {
        Self { bodies: BodyRules { timeout, ..self.bodies }, ..self }
    }

    /// Limits the memory that such bodies take in all, over every clone of this layer: 64 MiB unless set. A body
    /// that does not fit is answered 503.
    #[must_use]
    pub fn with_buffered_body_bytes(self, bytes: usize) -> Self {
        Self { bodies: self.bodies.with_budget(bytes), ..self }
    }
}

impl<S> Layer<S> for PaymentLayer {
    type Service = PaymentService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PaymentService { inner, layer: self.clone() }
    }
}

/// A guarded service.
#[derive(Clone)]
pub struct PaymentService<S> {
    inner: S,
    layer: PaymentLayer,
}

impl<S> Service<Request> for PaymentService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let PaymentLayer { gateway, pricer, bodies } = self.layer.clone();
        // The clone takes the next call; this one has been polled ready.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let quote = pricer.quote(request.method(), request.uri());
            let span = trace::request(request.method(), &quote);
            Ok(trace::answered(service::respond(&gateway, quote, bodies, request, inner))
                .instrument(span)
                .await)
        })
    }
}
