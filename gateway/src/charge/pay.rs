//! From a credential to a confirmed payment.
//!
//! Everything that needs no chain is checked here, before anything is reserved; the rest is the settler's: it simulates,
//! signs for the sponsor, sends, or looks for what the payer has sent.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use toll_ledger::{NewPayment, Payment, PaymentFailure, PaymentMeans, PaymentState, ReplayKey, Reserved};
use toll_protocol::{
    ChargeCaps, ChargeCredential, ChargePayload, decode_any_transaction, message_digest, verify_charge,
};

use crate::body::RequestBody;
use crate::gateway::Gateway;
use crate::price::Price;
use crate::reject::{Refusal, Rejection};
use crate::session;
use crate::terms::ChargeTerms;
use crate::{binding, fingerprint, wait};

/// A request whose payment the chain has confirmed.
pub(super) struct PaidFor {
    pub(super) payment: Payment,
    pub(super) key: ReplayKey,
    pub(super) parts: Parts,
    pub(super) body: Bytes,
}

pub(super) async fn pay(
    gateway: &Arc<Gateway>,
    price: &Price,
    credential: &ChargeCredential,
    parts: Parts,
    body: &mut RequestBody,
) -> Result<PaidFor, Refusal> {
    let Some(terms) = gateway.terms.charge.as_ref().filter(|_| price.accepts.charge) else {
        return Err(Rejection::Challenge("this route takes no charges".to_owned()).into());
    };
    let challenge = &credential.challenge;
    gateway.recognize_charge(challenge)?;
    // A lost answer is asked for again with the same credential, perhaps after the challenge has expired.
    let (mut payment, sponsored) = match gateway.ledger.payment(&challenge.id).await? {
        Some(known) => (repeated(known, &credential.payload)?, false),
        None => new(gateway, terms, price, credential).await?,
    };
    let body = body.read().await?;
    binding::check(challenge, &body, price.bind_body)?;
    let key = fingerprint::replay_key_of_charge(&challenge.id, &parts, &body);
    payment.fingerprint = key.fingerprint;
    match gateway.ledger.reserve_payment(payment, sponsored).await? {
        Reserved::Recorded | Reserved::Existing(_) => {}
        Reserved::ChallengeUsed => {
            let reason = "the challenge was answered by another payment, or for another request";
            return Err(Rejection::Challenge(reason.to_owned()).into());
        }
        Reserved::PaymentUsed => return Err(Rejection::PaymentUsed.into()),
        Reserved::Crowded => {
            let detail = "too many payments are waiting; repeat the same request".to_owned();
            return Err(Rejection::Unavailable { detail, retry_after: 5 }.into());
        }
        Reserved::Unsponsored(why) => return Err(session::unsponsored(why, "charges").into()),
    }
    let payment = confirmed(gateway, &challenge.id).await?;
    Ok(PaidFor { payment, key, parts, body })
}

/// A payment that nobody has shown yet, and whether the sponsor is to pay its fee.
async fn new(
    gateway: &Gateway,
    terms: &ChargeTerms,
    price: &Price,
    credential: &ChargeCredential,
) -> Result<(NewPayment, bool), Rejection> {
    let challenge = &credential.challenge;
    let (request, challenge_expires_at) = gateway.check_charge(terms, challenge, price)?;
    let is_sponsored = request.method_details.fee_payer_key.is_some();
    let means = match &credential.payload {
        ChargePayload::Signature(_) if is_sponsored => {
            let reason = "a sponsored charge is paid by a transaction, which the sponsor signs";
            return Err(Rejection::ChargeMismatch(reason.to_owned()));
        }
        ChargePayload::Signature(signature) => PaymentMeans::Signature(*signature),
        ChargePayload::Transaction(bytes) => {
            let caps = ChargeCaps {
                unit_limit: gateway.terms.max_compute_unit_limit,
                unit_price: gateway.terms.max_compute_unit_price,
            };
            let verified = verify_charge(bytes, &request, &gateway.terms.token_program, &caps)
                .map_err(|refused| Rejection::ChargeMismatch(refused.to_string()))?;
            gateway.limit_charge(verified.payer)?;
            PaymentMeans::Transaction {
                bytes: bytes.clone(),
                message_digest: verified.message_digest,
                signature: (!is_sponsored).then(|| verified.transaction.signatures[0]),
                payer: verified.payer,
            }
        }
    };
    // Nobody can send or find it now: nothing is reserved, so nothing is charged.
    gateway.tip().await.map_err(|_| Rejection::ClusterUnreachable)?;
    let payment = NewPayment {
        challenge_id: challenge.id.clone(),
        challenge_expires_at,
        terms: challenge.request.clone(),
        fingerprint: [0; 32],
        recipient: request.recipient,
        mint: request.currency,
        amount: request.amount,
        means,
    };
    Ok((payment, is_sponsored))
}

/// The payment that is known, as the credential shows it now.
fn repeated(known: Payment, payload: &ChargePayload) -> Result<NewPayment, Rejection> {
    let means = match payload {
        ChargePayload::Signature(signature) => PaymentMeans::Signature(*signature),
        ChargePayload::Transaction(bytes) => {
            let transaction = decode_any_transaction(bytes).map_err(Rejection::malformed)?;
            PaymentMeans::Transaction {
                bytes: bytes.clone(),
                message_digest: message_digest(&transaction.message),
                signature: known.signature,
                payer: known.payer.unwrap_or_default(),
            }
        }
    };
    Ok(NewPayment {
        challenge_id: known.challenge_id,
        challenge_expires_at: known.challenge_expires_at,
        terms: known.terms,
        fingerprint: known.fingerprint,
        recipient: known.recipient,
        mint: known.mint,
        amount: known.amount,
        means,
    })
}

/// Waits for the chain's word, through the ledger.
async fn confirmed(gateway: &Gateway, challenge_id: &str) -> Result<Payment, Rejection> {
    let settled = wait::until(&gateway.ledger, gateway.landing_timeout(), || async move {
        let payment = gateway.ledger.payment(challenge_id).await?;
        Ok(payment.filter(|payment| payment.state != PaymentState::Reserved))
    })
    .await?;
    let Some(payment) = settled else {
        // The payment stays reserved for this request: whoever repeats it pays nothing more.
        gateway.tip().await.map_err(|_| Rejection::ClusterUnreachable)?;
        let detail = "the payment is not confirmed yet; repeat the same request".to_owned();
        return Err(Rejection::Unavailable { detail, retry_after: 2 });
    };
    let reason = || payment.reason.clone().unwrap_or_else(|| "the payment did not land".to_owned());
    match payment.failure {
        None => Ok(payment),
        Some(PaymentFailure::Refused) => Err(Rejection::TransactionFailed(reason())),
        Some(PaymentFailure::Expired) => Err(Rejection::BlockhashExpired(reason())),
        Some(PaymentFailure::Unsponsored) => Err(Rejection::Unsponsored(reason())),
        Some(PaymentFailure::Used) => Err(Rejection::PaymentUsed),
    }
}
