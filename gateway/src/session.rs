//! The `session` intent: a channel is opened once, and each request raises what its payer owes.
//!
//! What another way to pay has to bring is what this module shows the request path: [`offer`] says in a 402 how to
//! pay a price, [`admit`] takes the credential that answers it. Prices, repeats, delivery, limits and problem
//! documents exist once, outside.

mod by_proof;
mod challenge;
mod close;
mod open;
mod pay;
mod recognized;
mod serve;
mod sponsorship;
mod top_up;
mod transaction;
mod unobserved;

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::header::HeaderValue;
use http::request::Parts;
use toll_ledger::ChannelRecord;
use toll_protocol::{Action, Credential};
use tower::Service;

pub(crate) use self::challenge::{ROUTE_TAG, route_tag, unissuable};
pub(crate) use self::recognized::RecognizedChallenges;
pub(crate) use self::serve::turn as take_turn;
use self::sponsorship::Funding;
pub(crate) use self::sponsorship::unsponsored;
pub(crate) use self::transaction::Rules;
pub(crate) use self::unobserved::Exposure;
use crate::binding;
use crate::body::RequestBody;
use crate::gateway::Gateway;
use crate::price::Price;
use crate::reject::{Refusal, Rejection};

/// What a 402 for `price` offers after `rejection`, as a `WWW-Authenticate` value: to go on with the channel
/// `resume`, else a new one. With `digest` it is for that request body only.
pub(crate) async fn offer(
    gateway: &Gateway,
    price: &Price,
    resume: Option<&ChannelRecord>,
    rejection: &Rejection,
    digest: Option<String>,
) -> Result<HeaderValue, Rejection> {
    gateway.fresh_challenge(price, resume, Funding::after(rejection), digest).await
}

/// Takes a credential that answers such an offer. A request that a voucher or a proof pays for is served by `inner`;
/// what opens, tops up or closes a channel is answered here.
pub(crate) async fn admit<S>(
    gateway: &Arc<Gateway>,
    price: &Price,
    credential: &Credential,
    parts: Parts,
    body: &mut RequestBody,
    inner: S,
) -> Result<Response, Refusal>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let challenge = &credential.challenge;
    gateway.recognize(challenge)?;
    if !matches!(credential.action, Action::Voucher(_)) {
        binding::check_if_present(challenge, body, price.bind_body).await?;
    }
    match &credential.action {
        Action::Open(action) => open::open(gateway, price, challenge, action).await,
        Action::Voucher(action) => pay::pay(gateway, price, challenge, action, parts, body, inner).await,
        Action::Use(action) => by_proof::pay(gateway, price, challenge, action, parts, body, inner).await,
        Action::TopUp(action) => top_up::top_up(gateway, challenge, action).await,
        Action::Close(action) => close::close(gateway, challenge, action).await,
    }
}
