//! `use`: a request of an operator-signed session. Its payer shows the proof that it opened the session with, and the
//! voucher for what the request costs is signed here.
//!
//! The voucher is what a payer's would be, and durable with the charge before anything is delivered; what is promised
//! never passes the deposit. A proof names no request, so what tells a repeat from another request is the
//! `Idempotency-Key`, and without one there are no repeats.
//! Source: draft-solana-session, "Session Bearer Proof" and "Metering".

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use http::Method;
use http::request::Parts;
use toll_ledger::{Acceptance, Accepted, ChannelRecord, Charge};
use toll_protocol::{Amount, Authentication, Challenge, ChannelId, OperatorKey, UseAction, Voucher};
use tower::Service;

use super::pay::{check_serving, over_deposit};
use super::serve::{self, Charged, PaidRequest, reload};
use super::unobserved;
use crate::body::RequestBody;
use crate::gateway::Gateway;
use crate::header::IDEMPOTENCY_KEY;
use crate::in_flight::Turn;
use crate::price::Price;
use crate::reject::{Refusal, Rejection};
use crate::repeat::Shelf;
use crate::{answer, deliver, fingerprint};

/// How long a request waits for vouchers of its channel that are being signed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a voucher is signed anew because another process of this server was faster.
const ATTEMPTS: usize = 64;

pub(crate) async fn pay<S>(
    gateway: &Arc<Gateway>,
    price: &Price,
    challenge: &Challenge,
    action: &UseAction,
    parts: Parts,
    body: &mut RequestBody,
    inner: S,
) -> Result<Response, Refusal>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let check = |channel: &ChannelRecord| -> Result<(), Refusal> {
        check_proof(challenge, &action.authentication, channel)?;
        gateway.check_price(challenge, price, channel).map_err(|other| other.resuming(channel))?;
        operator_of(gateway, channel)?;
        Ok(check_serving(channel)?)
    };
    let mut known = gateway.ledger.booked(&action.channel_id).await?.ok_or(Rejection::ChannelNotFound)?;
    if let Err(refusal) = check(&known.channel.record) {
        if known.is_fresh {
            return Err(refusal);
        }
        known = reload(gateway, &action.channel_id).await?;
        check(&known.channel.record)?;
    }
    gateway.limit_voucher(action.channel_id)?;
    let request = PaidRequest { parts, body: body.read().await? };
    if request.parts.method == Method::HEAD {
        // There is no voucher to bring in advance. What the session stands at costs nothing.
        gateway.limit_update(action.channel_id)?;
        let known = reload(gateway, &action.channel_id).await?;
        let receipt = gateway.receipt(&known.channel.record, &challenge.id);
        let body = serde_json::json!({ "channelId": action.channel_id.to_string() });
        return Ok(answer::lifecycle(&receipt, body));
    }
    let is_repeatable = request.parts.headers.contains_key(IDEMPOTENCY_KEY);
    let shelf = if is_repeatable { Shelf::Ledger } else { Shelf::Nowhere };
    let replay =
        fingerprint::replay_key_of_use(&action.channel_id, &challenge.id, &request.parts, &request.body)?;
    let (cost, none) = (price.amount, Amount::ZERO);
    let challenge_id = challenge.id.clone();
    let charge =
        Charge { cost, headroom: none, min_delta: none, challenge_id, replay, is_of_voucher: !is_repeatable };
    let turn = serve::turn(gateway, replay, shelf).await?;
    let usage = Usage { gateway: Arc::clone(gateway), id: action.channel_id, charge, shelf, request, turn };
    deliver::to_its_end(usage.complete(inner)).await
}

/// A request that is about to be charged, with all it takes to charge and serve it.
struct Usage {
    gateway: Arc<Gateway>,
    id: ChannelId,
    charge: Charge,
    shelf: Shelf,
    request: PaidRequest,
    turn: Turn,
}

impl Usage {
    /// Charges, then serves. Nothing may come between the two, so let this run to its end.
    async fn complete<S>(self, inner: S) -> Result<Response, Refusal>
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send,
    {
        let Self { gateway, id, charge, shelf, request, turn } = self;
        let (channel, acceptance) = sign_and_accept(&gateway, &id, &charge).await?;
        let charged = match acceptance {
            Acceptance::Accepted(Accepted { watermarks, .. }) => {
                Charged { watermarks, challenge_id: charge.challenge_id, shelf }
            }
            Acceptance::Replayed(replay) => {
                match serve::repeated(&gateway, &id, charge.replay, replay, shelf).await? {
                    Ok(charged) => charged,
                    Err(response) => return Ok(response),
                }
            }
            refused => return Err(refusal(&channel, &charge, refused)),
        };
        Ok(serve::serve(&gateway, &channel, charge.cost, charged, request, turn, inner).await)
    }
}

/// The credential echoes the challenge that opened the channel and carries the very proof that was bound then.
///
/// That one was verified. It is compared by its digest: nothing that is stored, here or on the chain, makes it.
pub(super) fn check_proof(
    challenge: &Challenge,
    proof: &Authentication,
    channel: &ChannelRecord,
) -> Result<(), Rejection> {
    let Some(bound) = channel.proof else {
        return Err(Rejection::WrongMode("in this session the payer signs the vouchers, and sends them"));
    };
    let is_bound = challenge.id == channel.opening_challenge_id && proof.digest() == bound;
    if is_bound { Ok(()) } else { Err(Rejection::ProofMismatch) }
}

/// The key that signs for `channel`; it may have been changed since the channel was opened.
fn operator_of<'a>(gateway: &'a Gateway, channel: &ChannelRecord) -> Result<&'a OperatorKey, Rejection> {
    let signer = &channel.agreement.terms.authorized_signer;
    gateway.operator.as_ref().filter(|operator| operator.signs_for(signer)).ok_or_else(|| {
        Rejection::Challenge("vouchers of this session are not signed here any more; open another".to_owned())
    })
}

/// Signs for what the request costs, on top of all that was signed for, and charges it.
///
/// One request of a channel at a time. Should another process accept one in between, the ledger refuses the voucher
/// that was overtaken, and a higher one is signed.
async fn sign_and_accept(
    gateway: &Gateway,
    id: &ChannelId,
    charge: &Charge,
) -> Result<(ChannelRecord, Acceptance), Refusal> {
    let busy = || Rejection::Unavailable {
        detail: "too many requests of this session at once".to_owned(),
        retry_after: 1,
    };
    let _turn = gateway.signing.turn(*id, PATIENCE).await.ok_or_else(busy)?;
    let mut known = gateway.ledger.booked(id).await?.ok_or(Rejection::ChannelNotFound)?;
    for _ in 0..ATTEMPTS {
        let channel = &known.channel.record;
        let operator = operator_of(gateway, channel)?;
        let due = Amount::new(channel.watermarks.accepted.get().saturating_add(charge.cost.get()));
        let is_new = gateway.ledger.replay(id, &charge.replay).await?.is_none();
        if is_new {
            unobserved::check(gateway, channel, due).await?;
        }
        let voucher = operator.sign(Voucher { channel_id: *id, cumulative_amount: due, expires_at: 0 });
        let acceptance = gateway.accept(&voucher, charge.clone()).await?;
        let channel = channel.clone();
        // What is in memory may be behind the ledger: nothing is refused before it was read anew.
        let (was_fresh, overtaken) = (known.is_fresh, is_overtaken(&channel, &acceptance));
        match acceptance {
            Acceptance::Accepted(_) | Acceptance::Replayed(_) => return Ok((channel, acceptance)),
            refused if was_fresh && !overtaken => return Ok((channel, refused)),
            _ => known = reload(gateway, id).await?,
        }
    }
    Err(busy().into())
}

/// Whether the ledger has moved on since the channel was read.
fn is_overtaken(channel: &ChannelRecord, acceptance: &Acceptance) -> bool {
    match acceptance {
        Acceptance::Stale { .. } | Acceptance::Published { .. } => true,
        Acceptance::NotOpen(state) => *state != channel.state,
        _ => false,
    }
}

/// What the ledger refused. The proof has been checked by then.
fn refusal(channel: &ChannelRecord, charge: &Charge, refused: Acceptance) -> Refusal {
    let rejection = match refused {
        Acceptance::OverDeposit { required, watermarks } => over_deposit(watermarks, required, charge),
        Acceptance::NotOpen(state) => {
            let now = ChannelRecord { state, ..channel.clone() };
            check_serving(&now).err().unwrap_or(Rejection::ChannelClosing)
        }
        Acceptance::CloseUnfunded => Rejection::Unavailable {
            detail: "the sponsor cannot pay for this channel's close at present".to_owned(),
            retry_after: 30,
        },
        Acceptance::KeyReused => Rejection::KeyReuse,
        Acceptance::Unknown => Rejection::ChannelNotFound,
        // The voucher is ours: it promises what the request costs, neither less nor more.
        other => {
            tracing::error!(?other, channel = %channel.id, "a voucher of our own was refused");
            Rejection::Unavailable { detail: "the ledger is not available".to_owned(), retry_after: 5 }
        }
    };
    rejection.resuming(channel)
}
