//! The request path, top to bottom.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::header::HeaderValue;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use toll_ledger::ChannelRecord;
use toll_protocol::{
    CHARGE_INTENT, INTENT, MAX_HEADER, METHOD, PaymentCredential, base64url_decode, parse_json, parse_payment,
};
use tower::{Service, ServiceExt};

use crate::body::{BodyRules, RequestBody};
use crate::charge;
use crate::gateway::Gateway;
use crate::header::{PAYMENT_AUTHORIZATION, PAYMENT_RECEIPT, keep_from_shared_caches};
use crate::preference::Preference;
use crate::presented;
use crate::price::{Price, Quote};
use crate::reject::{Refusal, Rejection};
use crate::session;
use crate::spoof::strip_own;

/// Answers a request for which `quote` was given.
pub(crate) async fn respond<S>(
    gateway: &Arc<Gateway>,
    quote: Quote,
    bodies: BodyRules,
    request: Request,
    inner: S,
) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let is_beside_authorization = request.headers().contains_key(&PAYMENT_AUTHORIZATION);
    let mut response = answer(gateway, quote, bodies, request, inner).await;
    if is_beside_authorization {
        keep_from_shared_caches(response.headers_mut());
    }
    response
}

async fn answer<S>(
    gateway: &Arc<Gateway>,
    quote: Quote,
    bodies: BodyRules,
    mut request: Request,
    inner: S,
) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let price = match quote {
        Quote::Priced(price) => price,
        Quote::Free => {
            strip_own(request.headers_mut());
            let Ok(mut response) = inner.oneshot(request).await;
            response.headers_mut().remove(PAYMENT_RECEIPT);
            return response;
        }
        Quote::NotFound => {
            gateway.metrics.refuse(Rejection::NotFound.code());
            return Rejection::NotFound.into_response(None);
        }
    };
    let preference = Preference::of(request.headers());
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(body, bodies);
    match admit(gateway, &price, parts, &mut body, inner).await {
        Ok(response) => response,
        Err(refusal) => refuse(gateway, &price, &preference, &mut body, refusal).await,
    }
}

async fn admit<S>(
    gateway: &Arc<Gateway>,
    price: &Price,
    mut parts: Parts,
    body: &mut RequestBody,
    inner: S,
) -> Result<Response, Refusal>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let credential = credential(&parts.headers)?;
    strip_own(&mut parts.headers);
    match &credential {
        PaymentCredential::Charge(credential) => {
            charge::admit(gateway, price, credential, parts, body, inner).await
        }
        PaymentCredential::Session(_) if !price.accepts.session => {
            Err(Rejection::Challenge("this route is not paid through sessions".to_owned()).into())
        }
        PaymentCredential::Session(credential) => {
            session::admit(gateway, price, credential, parts, body, inner).await
        }
    }
}

/// The request's one Payment credential.
fn credential(headers: &HeaderMap) -> Result<PaymentCredential, Rejection> {
    let (field, payment) = presented::sole(headers)?;
    match parse_payment(payment) {
        Some(Ok(credential)) => {
            presented::check_field(credential.challenge(), field)?;
            Ok(credential)
        }
        Some(Err(_)) if is_for_another_method(payment) => Err(Rejection::MethodUnsupported),
        Some(Err(error)) => Err(Rejection::malformed(error)),
        None => Err(Rejection::malformed("the Payment scheme carries no credential")),
    }
}

/// Whether an unreadable credential says that it answers another method's challenge.
fn is_for_another_method(payment: &HeaderValue) -> bool {
    let bytes = payment.as_bytes();
    let token = bytes.rsplit(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
    let decoded = (bytes.len() <= MAX_HEADER).then(|| base64url_decode(token).ok()).flatten();
    let credential = decoded.and_then(|json| parse_json(&json).ok());
    let method =
        credential.as_ref().and_then(|credential| credential.get("challenge")?.get("method")?.as_str());
    method.is_some_and(|method| method != METHOD)
}

/// Answers a refusal, with fresh challenges: to resume the channel whose key the sender holds, else for a new
/// one; beside it for a single payment. Without a usable blockhash there is nothing to open a channel with, and the
/// answer is 503.
async fn refuse(
    gateway: &Gateway,
    price: &Price,
    preference: &Preference,
    body: &mut RequestBody,
    refusal: Refusal,
) -> Response {
    let Refusal { mut rejection, resume } = refusal;
    let mut digest = None;
    if price.bind_body && rejection.status() == StatusCode::PAYMENT_REQUIRED.as_u16() {
        match body.digest().await {
            Ok(known) => digest = known,
            // There is nothing to challenge for.
            Err(unreadable) => rejection = unreadable,
        }
    }
    gateway.metrics.refuse(rejection.code());
    tracing::debug!(code = %rejection.code(), route = price.route, "refused");
    match offers(gateway, price, resume.as_deref(), &rejection, digest).await {
        Ok(offers) => rejection.into_response(preference.choose(offers)),
        Err(unavailable) => {
            let needs_challenge = rejection.status() == StatusCode::PAYMENT_REQUIRED.as_u16();
            if needs_challenge { unavailable } else { rejection }.into_response(None)
        }
    }
}

/// Every way to pay `price`, each with its intent, sessions first.
async fn offers(
    gateway: &Gateway,
    price: &Price,
    resume: Option<&ChannelRecord>,
    rejection: &Rejection,
    digest: Option<String>,
) -> Result<Vec<(&'static str, HeaderValue)>, Rejection> {
    let mut challenges = Vec::with_capacity(2);
    if price.accepts.session {
        challenges.push((INTENT, session::offer(gateway, price, resume, rejection, digest.clone()).await?));
    }
    let charge = charge::offer(gateway, price, rejection, digest).await?;
    challenges.extend(charge.map(|offer| (CHARGE_INTENT, offer)));
    Ok(challenges)
}
