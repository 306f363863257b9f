//! The `charge` intent: one request is paid for by one transfer, once.
//!
//! Like an `open`, the payer's transaction is checked as a whole here, recorded, and sent by the settler; the answer
//! leaves when the chain has confirmed it. The two doors are those of [`crate::session`]: [`offer`] and [`admit`].

mod challenge;
mod pay;
mod serve;

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::header::HeaderValue;
use http::request::Parts;
use toll_protocol::ChargeCredential;
use tower::Service;

use crate::body::RequestBody;
use crate::gateway::Gateway;
use crate::price::Price;
use crate::reject::{Refusal, Rejection};

/// What a 402 for `price` offers after `rejection`, as a `WWW-Authenticate` value; `None` where charges are not taken.
/// With `digest` it is for that request body only.
pub(crate) async fn offer(
    gateway: &Gateway,
    price: &Price,
    rejection: &Rejection,
    digest: Option<String>,
) -> Result<Option<HeaderValue>, Rejection> {
    match &gateway.terms.charge {
        Some(terms) if price.accepts.charge => {
            gateway.charge_challenge(terms, price, rejection, digest).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// Takes a credential that answers such an offer, and serves its request by `inner` once the payment is confirmed.
pub(crate) async fn admit<S>(
    gateway: &Arc<Gateway>,
    price: &Price,
    credential: &ChargeCredential,
    parts: Parts,
    body: &mut RequestBody,
    inner: S,
) -> Result<Response, Refusal>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let paid = pay::pay(gateway, price, credential, parts, body).await?;
    serve::serve(gateway, paid, inner).await
}
