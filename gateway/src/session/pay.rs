//! `voucher`: verify, then accept, then serve.
//!
//! The cheap checks come first, the signature after them, the ledger last: it repeats what may have changed
//! and makes watermark, voucher and charge durable in one step. Source: draft-solana-session, "Voucher
//! Verification".

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::Method;
use http::request::Parts;
use toll_ledger::{Acceptance, Accepted, ChannelRecord, ChannelState, Charge, Watermarks};
use toll_protocol::{Amount, Challenge, ChannelId, SignedVoucher, VerifiedVoucher, VoucherAction};
use tower::Service;

use super::unobserved;
use crate::binding;
use crate::body::RequestBody;
use crate::deliver::Keeper;
use crate::extract::Paid;
use crate::gateway::{Gateway, receipt_header};
use crate::price::Price;
use crate::reject::{Figures, Refusal, Rejection};
use crate::repeat::{self, Repeat, Shelf};
use crate::{answer, deliver, fingerprint};

/// How long a repeat waits for the answer that is being made to its first try.
const PATIENCE: Duration = Duration::from_secs(30);

/// A paid request with its whole body: its digest is part of what a repeat must equal.
struct PaidRequest {
    parts: Parts,
    body: Bytes,
}

impl PaidRequest {
    fn into_request(mut self, paid: Paid) -> Request {
        self.parts.extensions.insert(paid);
        Request::from_parts(self.parts, Body::from(self.body))
    }
}

pub(crate) async fn pay<S>(
    gateway: &Gateway,
    price: &Price,
    challenge: &Challenge,
    action: &VoucherAction,
    parts: Parts,
    body: &mut RequestBody,
    inner: S,
) -> Result<Response, Refusal>
where
    S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let channel = gateway.ledger.channel(&action.channel_id).await?.ok_or(Rejection::ChannelNotFound)?;
    gateway.check_price(challenge, price, &channel)?;
    let signed = &action.voucher;
    check_binding(&action.channel_id, signed, &channel)?;
    check_serving(channel.state, channel.closure_started_at)?;
    check_unpublished(&channel, signed)?;
    if !body.is_empty() {
        check_worth_reading(gateway, &channel, signed)?;
    }
    let request = PaidRequest { parts, body: body.read().await? };
    let charge = charge(gateway, price, challenge, action, &request)?;

    let repeated = gateway.ledger.replay(&charge.replay).await?.is_some();
    if !repeated {
        match check_cheaply(gateway, &channel, signed, &charge).await {
            Ok(()) => {}
            // The ledger will refuse it too, and knows whether it repeats a key.
            Err(Rejection::NotIncreasing { .. }) => gateway.limit_refusal(channel.id)?,
            Err(rejection) => return Err(explain(gateway, &channel, signed, &charge, rejection)),
        }
    }
    let verified = verify(signed, &channel)?;
    if request.parts.method != Method::HEAD || !request.body.is_empty() {
        binding::check(challenge, &request.body, price.bind_body)
            .map_err(|mismatch| mismatch.resuming(&channel))?;
    }
    gateway.limit_voucher(channel.id)?;
    if request.parts.method == Method::HEAD {
        // It is free, and leaves a voucher and an entry in the ledger.
        gateway.limit_update(channel.id)?;
    }

    // Taken before accepting, so that of equal requests one runs and the others find its answer.
    let turn = gateway.in_flight.turn(charge.replay, PATIENCE).await.ok_or(Rejection::Unavailable {
        detail: "an equal request is still being answered".to_owned(),
        retry_after: 1,
    })?;
    let cost = charge.cost;
    let shelf = Shelf::of(&request.parts);
    if !repeated && shelf == Shelf::Memory {
        // Before the charge: whoever hangs up in between was charged and not served.
        gateway.recent.begin(channel.id, charge.replay);
    }
    let (watermarks, challenge_id, shelf) = match gateway.ledger.accept(&verified, charge.clone()).await? {
        Acceptance::Accepted(Accepted { watermarks, .. }) => (watermarks, challenge.id.clone(), shelf),
        Acceptance::Replayed(replay) => {
            match repeat::look_up(gateway, &channel, &charge.replay, replay, shelf)? {
                Repeat::Answered(response) => return Ok(response),
                Repeat::Unserved { watermarks, challenge_id, shelf } => {
                    gateway.limit_rerun(charge.replay)?;
                    (watermarks, challenge_id, shelf)
                }
            }
        }
        refused => return Err(refusal(&channel, signed, &charge, refused)),
    };
    let paid = ChannelRecord { watermarks, ..channel };
    let receipt = gateway.receipt(&paid, &challenge_id);
    if request.parts.method == Method::HEAD {
        return Ok(answer::lifecycle(&receipt, serde_json::json!({ "channelId": paid.id.to_string() })));
    }
    let evidence = Paid { channel: paid.id, payer: paid.agreement.terms.payer, charged: cost, watermarks };
    let request = request.into_request(evidence);
    let keeper = Keeper::new(gateway, shelf, paid.id, turn);
    Ok(deliver::deliver(keeper, receipt_header(&receipt), request, inner).await)
}

/// A body takes memory and time while it arrives: not for strangers, and not freely for a voucher that can at
/// best repeat what it has bought.
fn check_worth_reading(
    gateway: &Gateway,
    channel: &ChannelRecord,
    signed: &SignedVoucher,
) -> Result<(), Rejection> {
    verify(signed, channel)?;
    if signed.voucher.cumulative_amount <= channel.watermarks.accepted {
        gateway.limit_refusal(channel.id)?;
    }
    Ok(())
}

/// What the request costs, and what makes a repeat of it recognizable.
fn charge(
    gateway: &Gateway,
    price: &Price,
    challenge: &Challenge,
    action: &VoucherAction,
    request: &PaidRequest,
) -> Result<Charge, Rejection> {
    let replay = fingerprint::replay_key(&action.voucher, &challenge.id, &request.parts, &request.body)?;
    // A HEAD raises the watermark for requests to come: it runs nothing, so it costs nothing.
    let (cost, headroom) = if request.parts.method == Method::HEAD {
        (Amount::ZERO, price.headroom.max(price.amount))
    } else {
        (price.amount, price.headroom)
    };
    let min_delta = gateway.terms.min_voucher_delta;
    // Wide enough for the minimum delta, or no voucher could please both rules.
    let headroom = headroom.max(min_delta.saturating_sub(cost));
    Ok(Charge { cost, headroom, min_delta, challenge_id: challenge.id.clone(), replay })
}

/// The voucher names the channel of the credential and that channel's signer.
pub(crate) fn check_binding(
    named: &ChannelId,
    signed: &SignedVoucher,
    channel: &ChannelRecord,
) -> Result<(), Rejection> {
    if signed.voucher.channel_id != *named {
        return Err(Rejection::ChannelMismatch(
            "the voucher draws on another channel than it is sent for".to_owned(),
        ));
    }
    // The address pins program, parties, mint, signer and incarnation: derived again, never believed.
    if channel.agreement.terms.address(&channel.agreement.program).0 != channel.id {
        return Err(Rejection::ChannelMismatch(
            "the channel's address does not follow from its terms".to_owned(),
        ));
    }
    if signed.signer != channel.agreement.terms.authorized_signer {
        return Err(Rejection::SignerMismatch);
    }
    Ok(())
}

/// The voucher is not one that whoever reads the chain may have. Asked before anything is done or told for it, also
/// before a repeat is looked up: it would get the payer's answer, or run the payer's request again.
pub(crate) fn check_unpublished(channel: &ChannelRecord, signed: &SignedVoucher) -> Result<(), Rejection> {
    if channel.has_published(signed.voucher.cumulative_amount) {
        return Err(Rejection::VoucherPublished { up_to: channel.published() });
    }
    Ok(())
}

/// Everything about a service voucher that costs no signature check.
async fn check_cheaply(
    gateway: &Gateway,
    channel: &ChannelRecord,
    signed: &SignedVoucher,
    charge: &Charge,
) -> Result<(), Rejection> {
    let cumulative = signed.voucher.cumulative_amount;
    let watermarks = channel.watermarks;
    if cumulative > watermarks.deposit {
        return Err(over_deposit(watermarks, cumulative, charge));
    }
    if cumulative <= watermarks.accepted {
        return Err(Rejection::NotIncreasing { cumulative, figures: None });
    }
    check_expiry(gateway, signed.voucher.expires_at)?;
    let increment = cumulative.saturating_sub(watermarks.accepted);
    if increment < charge.min_delta && cumulative != watermarks.deposit {
        return Err(Rejection::DeltaTooSmall { increment, minimum: charge.min_delta, figures: None });
    }
    unobserved::check(gateway, channel, cumulative).await
}

pub(crate) fn check_serving(state: ChannelState, closure_started_at: Option<i64>) -> Result<(), Rejection> {
    match state {
        ChannelState::Open if closure_started_at.is_none() => Ok(()),
        ChannelState::Open | ChannelState::Closing => Err(Rejection::ChannelClosing),
        ChannelState::Closed | ChannelState::Gone => Err(Rejection::ChannelClosed),
        ChannelState::Failed => Err(Rejection::ChannelNotFound),
        ChannelState::Opening => Err(Rejection::Unavailable {
            detail: "the channel's open has not landed yet".to_owned(),
            retry_after: 2,
        }),
    }
}

/// A voucher that buys service must still settle after a forced close: clock skew is not granted here.
fn check_expiry(gateway: &Gateway, expires_at: i64) -> Result<(), Rejection> {
    let life = gateway.terms.min_voucher_life;
    if expires_at != 0 && expires_at < gateway.now().saturating_add(i64::from(life)) {
        return Err(Rejection::VoucherExpired(format!(
            "the voucher has expired or expires within {life} seconds, too soon to be settled for sure"
        )));
    }
    Ok(())
}

/// Only a voucher that the cost itself pushes past the deposit calls for a top-up.
fn over_deposit(watermarks: Watermarks, cumulative: Amount, charge: &Charge) -> Rejection {
    let required = watermarks.required(charge.cost, charge.min_delta);
    if required > watermarks.deposit {
        Rejection::Insufficient(Box::new(Figures { required, watermarks }))
    } else {
        Rejection::ExceedsDeposit { cumulative, deposit: watermarks.deposit }
    }
}

fn verify(signed: &SignedVoucher, channel: &ChannelRecord) -> Result<VerifiedVoucher, Rejection> {
    signed.verify(&channel.id, &channel.agreement.terms.authorized_signer).map_err(|_| Rejection::Signature)
}

/// A stale but authentic voucher must be told from a forged one: its sender gets the channel's figures and an
/// offer to resume, anyone else learns nothing. That costs a signature check, so it is rationed.
fn explain(
    gateway: &Gateway,
    channel: &ChannelRecord,
    signed: &SignedVoucher,
    charge: &Charge,
    rejection: Rejection,
) -> Refusal {
    if let Err(limited) = gateway.limit_refusal(channel.id) {
        return limited.into();
    }
    if verify(signed, channel).is_err() {
        return Rejection::Signature.into();
    }
    let required = channel.watermarks.required(charge.cost, charge.min_delta);
    rejection.with_figures(Figures { required, watermarks: channel.watermarks }).resuming(channel)
}

/// What the ledger refused. The voucher's signature has been verified by then.
fn refusal(channel: &ChannelRecord, signed: &SignedVoucher, charge: &Charge, refused: Acceptance) -> Refusal {
    let cumulative = signed.voucher.cumulative_amount;
    if let Acceptance::Published { up_to } = refused {
        // Without an offer to resume: the sender may be anybody.
        return Rejection::VoucherPublished { up_to }.into();
    }
    let mut now = channel.clone();
    let mut figures = |required: Amount, watermarks: Watermarks| {
        now.watermarks = watermarks;
        Box::new(Figures { required, watermarks })
    };
    let rejection = match refused {
        Acceptance::Stale { watermarks } => {
            let required = watermarks.required(charge.cost, charge.min_delta);
            Rejection::NotIncreasing { cumulative, figures: Some(figures(required, watermarks)) }
        }
        Acceptance::DeltaTooSmall { required, watermarks } => Rejection::DeltaTooSmall {
            increment: cumulative.saturating_sub(watermarks.accepted),
            minimum: charge.min_delta,
            figures: Some(figures(required, watermarks)),
        },
        Acceptance::Insufficient { required, watermarks } => {
            Rejection::Insufficient(figures(required, watermarks))
        }
        Acceptance::Excessive { watermarks, .. } => {
            let required = watermarks.required(charge.cost, charge.min_delta);
            Rejection::Excessive { cumulative, figures: Some(figures(required, watermarks)) }
        }
        Acceptance::OverDeposit { watermarks, .. } => over_deposit(watermarks, cumulative, charge),
        Acceptance::NotOpen(state) => {
            now.state = state;
            check_serving(state, None).err().unwrap_or(Rejection::ChannelClosing)
        }
        Acceptance::CloseUnfunded => Rejection::Unavailable {
            detail: "the sponsor cannot pay for this channel's close at present".to_owned(),
            retry_after: 30,
        },
        Acceptance::KeyReused => Rejection::KeyReuse,
        Acceptance::Unknown
        | Acceptance::Published { .. }
        | Acceptance::Accepted(_)
        | Acceptance::Replayed(_) => Rejection::ChannelNotFound,
    };
    rejection.resuming(&now)
}
