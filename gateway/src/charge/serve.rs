//! From a confirmed payment to the answer it buys: the service's, or the one that the request got before.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::HeaderValue;
use solana_signature::Signature;
use toll_ledger::{Answer, PaymentState};
use toll_protocol::ChargeReceipt;
use tower::Service;

use super::pay::PaidFor;
use crate::deliver::{self, Keeper};
use crate::extract::PaidOnce;
use crate::gateway::Gateway;
use crate::reject::{Refusal, Rejection};
use crate::repeat::Shelf;
use crate::session;

/// Serves a request that is paid for, once: its repeats get the same answer.
pub(super) async fn serve<S>(gateway: &Arc<Gateway>, paid: PaidFor, inner: S) -> Result<Response, Refusal>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let turn = session::take_turn(gateway, paid.key, Shelf::Ledger).await?;
    let gateway = Arc::clone(gateway);
    deliver::to_its_end(async move {
        let PaidFor { payment, key, mut parts, body } = paid;
        let challenge_id = payment.challenge_id;
        // Whoever had the turn before may have served it.
        let Some(payment) = gateway.ledger.payment(&challenge_id).await? else {
            return Err(Rejection::PaymentUsed.into());
        };
        match payment.answer {
            Answer::Kept(stored) => {
                return deliver::replayed(stored).ok_or_else(|| Rejection::ReplayBodyGone.into());
            }
            Answer::NotKept => return Err(Rejection::ReplayBodyGone.into()),
            Answer::Unserved if payment.state != PaymentState::Landed => {
                return Err(Rejection::PaymentUsed.into());
            }
            Answer::Unserved => gateway.limit_rerun(key)?,
        }
        let reference: Signature = payment.signature.unwrap_or_default();
        let receipt =
            ChargeReceipt { reference, timestamp: gateway.now(), challenge_id: challenge_id.clone() };
        let receipt = HeaderValue::from_str(&receipt.to_header()).expect("base64url is visible ASCII");
        let payer = payment.payer.unwrap_or_default();
        parts.extensions.insert(PaidOnce { payer, charged: payment.amount, reference });
        let keeper = Keeper::of_payment(&gateway, challenge_id, turn);
        Ok(deliver::deliver(keeper, receipt, Request::from_parts(parts, Body::from(body)), inner).await)
    })
    .await
}
