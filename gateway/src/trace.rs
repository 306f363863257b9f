//! The span of a request: what a trace says of it.
//!
//! Method, route as configured, refusal code, status. Not the target, not a header, not who pays.

use std::future::Future;

use axum::response::Response;
use http::Method;
use tracing::Span;
use tracing::field::Empty;

use crate::price::Quote;

/// A span for a request that was quoted like this.
pub(crate) fn request(method: &Method, quote: &Quote) -> Span {
    let route = match quote {
        Quote::Priced(price) => price.route.as_str(),
        Quote::Free => "free",
        Quote::NotFound => "none",
    };
    // A method may be any word.
    let method = if is_known(method) { method.as_str() } else { "other" };
    tracing::info_span!("request", method, route, status = Empty, refusal = Empty)
}

/// Notes the status of the answer that `answering` gives.
pub(crate) async fn answered(answering: impl Future<Output = Response>) -> Response {
    let response = answering.await;
    Span::current().record("status", response.status().as_u16());
    response
}

fn is_known(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
        .contains(method)
}
