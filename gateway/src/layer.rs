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
use crate::hook::{HookFailure, Hooked, PriceHook, Reporter};
use crate::price::{Pricer, Quote};
use crate::{service, trace};

/// Guards an axum service: requests that `pricer` prices reach it only when paid.
#[derive(Clone)]
pub struct PaymentLayer {
    gateway: Arc<Gateway>,
    pricer: Arc<dyn Pricer>,
    bodies: BodyRules,
    hooked: Option<Hooked>,
}

impl PaymentLayer {
    /// A layer that charges into `gateway` what `pricer` says.
    pub fn new(gateway: Arc<Gateway>, pricer: Arc<dyn Pricer>) -> Self {
        Self { gateway, pricer, bodies: BodyRules::default(), hooked: None }
    }

    /// Limits bodies of paid requests to `bytes`, 2 MiB unless set. They are read before the charge, since their
    /// digest is part of what a repeat must equal.
    #[must_use]
    pub fn with_request_body_limit(self, bytes: usize) -> Self {
        Self { bodies: BodyRules { limit: bytes, ..self.bodies }, ..self }
    }

    /// Asks `hook` for the price of every request that is priced with [`crate::Price::asks_hook`], for up to `patience`,
    /// and tells it what such requests came to.
    #[must_use]
    pub fn with_price_hook(
        self,
        hook: Arc<dyn PriceHook>,
        patience: Duration,
        on_failure: HookFailure,
    ) -> Self {
        Self { hooked: Some(Hooked { hook, patience, on_failure }), ..self }
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

    fn call(&mut self, mut request: Request) -> Self::Future {
        let PaymentLayer { gateway, pricer, bodies, hooked } = self.layer.clone();
        // The clone takes the next call; this one has been polled ready.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let mut quote = pricer.quote(request.method(), request.uri());
            if let (Quote::Priced(price), Some(hooked)) = (&quote, &hooked)
                && price.asks_hook
            {
                let route = price.route.clone();
                match hooked.quote(request.method(), request.uri(), price.clone()).await {
                    Ok(said) => quote = said,
                    Err(rejection) => {
                        gateway.metrics.refuse(rejection.code());
                        return Ok(rejection.into_response(None));
                    }
                }
                request.extensions_mut().insert(Reporter { hooked: hooked.clone(), route });
            }
            let span = trace::request(request.method(), &quote);
            Ok(trace::answered(service::respond(&gateway, quote, bodies, request, inner))
                .instrument(span)
                .await)
        })
    }
}
