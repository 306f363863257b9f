//! `voucher`: verify, then accept, then serve.
//!
//! The cheap checks come first, the signature after them, the ledger last: it decides again on what may have changed
//! and makes watermark, voucher and charge durable in one step. All before that goes by what this process has in
//! memory, which may be behind: it lets a request through, and refuses none before its channel was read anew. Source:
//! draft-solana-session, "Voucher Verification".

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::Method;
use http::request::Parts;
use toll_ledger::{Acceptance, Accepted, BookedChannel, ChannelRecord, ChannelState, Charge, Watermarks};
use toll_protocol::{Amount, Challenge, ChannelId, SignedVoucher, VerifiedVoucher, VoucherAction};
use tower::Service;

use super::serve::{self, Charged, PaidRequest, reload};
use super::unobserved;
use crate::binding;
use crate::body::RequestBody;
use crate::deliver::Keeper;
use crate::gateway::Gateway;
use crate::header::IDEMPOTENCY_KEY;
use crate::in_flight::Turn;
use crate::metering::{self, MeteredSale, Metering, Tab};
use crate::price::Price;
use crate::reject::{Figures, Refusal, Rejection};
use crate::repeat::Shelf;
use crate::{answer, deliver, fingerprint};

pub(crate) async fn pay<S>(
    gateway: &Arc<Gateway>,
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
    let signed = &action.voucher;
    let check = |channel: &BookedChannel| -> Result<(), Rejection> {
        if channel.record.proof.is_some() {
            let reason = "a voucher proves nothing in an operator-signed session; send its proof in a use";
            return Err(Rejection::WrongMode(reason));
        }
        gateway.check_price(challenge, price, &channel.record)?;
        check_binding_of(&action.channel_id, signed, &channel.record, channel.follows_from_its_terms())?;
        check_serving(&channel.record)?;
        check_unpublished(&channel.record, signed)
    };
    let mut known = gateway.ledger.booked(&action.channel_id).await?.ok_or(Rejection::ChannelNotFound)?;
    if let Err(rejection) = check(&known.channel) {
        if known.is_fresh {
            return Err(rejection.into());
        }
        known = reload(gateway, &action.channel_id).await?;
        check(&known.channel)?;
    }

    let mut verified = None;
    if !body.is_empty() {
        // A body takes memory and time while it arrives: not for strangers, and not freely for a voucher that can at
        // best repeat what it has bought.
        verified = Some(verify(signed, &known.channel)?);
        if signed.voucher.cumulative_amount <= known.channel.record.watermarks.accepted {
            gateway.limit_refusal(action.channel_id)?;
        }
    }
    let request = PaidRequest { parts, body: body.read().await? };
    let charge =
        charge(gateway, price, challenge, action, known.channel.record.watermarks.accepted, &request)?;

    let is_new = check_cheaply(gateway, &known.channel.record, signed, &charge).await.is_ok();
    if !is_new {
        if !known.is_fresh {
            known = reload(gateway, &action.channel_id).await?;
            check(&known.channel)?;
        }
        let repeated = gateway.ledger.replay(&action.channel_id, &charge.replay).await?.is_some();
        match check_cheaply(gateway, &known.channel.record, signed, &charge).await {
            Err(_) if repeated => {}
            // The ledger will refuse it too, and knows whether it repeats a key.
            Err(Rejection::NotIncreasing { .. }) => gateway.limit_refusal(action.channel_id)?,
            Err(rejection) => return Err(explain(gateway, &known.channel, signed, &charge, rejection)),
            Ok(()) => {}
        }
    }
    let channel = known.channel;
    let verified = match verified {
        Some(verified) => verified,
        None => verify(signed, &channel)?,
    };
    let is_head = request.parts.method == Method::HEAD;
    if !is_head || !request.body.is_empty() {
        binding::check(challenge, &request.body, price.bind_body)
            .map_err(|mismatch| mismatch.resuming(&channel.record))?;
    }
    gateway.limit_voucher(action.channel_id)?;
    if is_head && !gateway.paused.lets_in(&action.channel_id, signed.voucher.cumulative_amount) {
        // It is free, and leaves a voucher and an entry in the ledger.
        gateway.limit_update(action.channel_id)?;
    }

    // A HEAD runs nothing that could run twice.
    let shelf = if is_head { Shelf::Nowhere } else { Shelf::of(&request.parts) };
    let turn = serve::turn(gateway, charge.replay, shelf).await?;
    let sale = Sale {
        gateway: Arc::clone(gateway),
        channel,
        verified,
        charge,
        challenge_id: challenge.id.clone(),
        metering: price.metering.clone().filter(|_| !is_head),
        headroom: price.headroom,
        request,
        is_new,
        turn,
    };
    deliver::to_its_end(sale.complete(inner)).await
}

/// A request that is about to be charged, with all it takes to charge and serve it.
struct Sale {
    gateway: Arc<Gateway>,
    channel: Arc<BookedChannel>,
    verified: VerifiedVoucher,
    charge: Charge,
    challenge_id: String,
    /// How it is charged after it was served, where it is.
    metering: Option<Arc<Metering>>,
    headroom: Amount,
    request: PaidRequest,
    /// Whether nothing says that it was charged before.
    is_new: bool,
    turn: Turn,
}

impl Sale {
    /// Charges, then serves. Nothing may come between the two, so let this run to its end.
    async fn complete<S>(self, inner: S) -> Result<Response, Refusal>
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send,
    {
        if let Some(metering) = self.metering.clone() {
            return self.complete_metered(metering, inner).await;
        }
        let Self { gateway, channel, verified, charge, challenge_id, request, is_new, turn, .. } = self;
        let id = channel.record.id;
        let shelf = Shelf::of(&request.parts);
        let (cost, replay_key) = (charge.cost, charge.replay);
        let acceptance = gateway.accept(&verified, charge.clone()).await;
        let may_be_charged = match &acceptance {
            Ok(acceptance) => matches!(acceptance, Acceptance::Accepted(_)),
            Err(_) => is_new,
        };
        if may_be_charged && shelf == Shelf::Memory {
            gateway.recent.begin(id, replay_key);
        }
        let charged = match acceptance? {
            Acceptance::Accepted(Accepted { watermarks, .. }) => Charged { watermarks, challenge_id, shelf },
            Acceptance::Replayed(replay) => {
                match serve::repeated(&gateway, &id, replay_key, replay, shelf).await? {
                    Ok(charged) => charged,
                    Err(response) => return Ok(response),
                }
            }
            refused => {
                let known = reload(&gateway, &id).await?;
                return Err(refusal(&known.channel.record, verified.signed(), &charge, refused));
            }
        };
        if request.parts.method == Method::HEAD {
            gateway.paused.raised();
            let paid = ChannelRecord { watermarks: charged.watermarks, ..channel.record.clone() };
            let receipt = gateway.receipt(&paid, &charged.challenge_id);
            return Ok(answer::lifecycle(&receipt, serde_json::json!({ "channelId": id.to_string() })));
        }
        Ok(serve::serve(&gateway, &channel.record, cost, charged, request, turn, inner).await)
    }

    /// Earmarks, serves, then charges what it came to.
    async fn complete_metered<S>(self, metering: Arc<Metering>, inner: S) -> Result<Response, Refusal>
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send,
    {
        let Self { gateway, channel, verified, charge, challenge_id, headroom, request, turn, .. } = self;
        let id = channel.record.id;
        let shelf = Shelf::of(&request.parts);
        let accepted = match gateway.earmark(&verified, charge.clone()).await? {
            Acceptance::Accepted(accepted) => accepted,
            Acceptance::Replayed(earlier) => {
                return serve::metered_before(&gateway, &id, &charge, earlier, shelf).await;
            }
            refused => {
                let known = reload(&gateway, &id).await?;
                return Err(refusal(&known.channel.record, verified.signed(), &charge, refused));
            }
        };
        if shelf == Shelf::Memory {
            gateway.recent.begin(id, charge.replay);
        }
        let channel = ChannelRecord { watermarks: accepted.watermarks, ..channel.record.clone() };
        let tab = Tab::open(&gateway, &channel, charge.replay, charge.cost, request.reporter());
        let keeper = Keeper::new(&gateway, shelf, id, turn);
        let request = request.paid_by(&channel, charge.cost);
        let sale = MeteredSale {
            gateway,
            channel,
            metering,
            price: charge.cost,
            headroom,
            challenge_id,
            keeper,
            tab,
        };
        Ok(metering::serve(sale, request, inner).await)
    }
}

/// What the request costs, and what makes a repeat of it recognizable.
fn charge(
    gateway: &Gateway,
    price: &Price,
    challenge: &Challenge,
    action: &VoucherAction,
    accepted: Amount,
    request: &PaidRequest,
) -> Result<Charge, Rejection> {
    let replay = fingerprint::replay_key(&action.voucher, &challenge.id, &request.parts, &request.body)?;
    // A HEAD raises the watermark for requests to come: it runs nothing, so it costs nothing.
    let (cost, headroom) = if request.parts.method == Method::HEAD {
        let ahead = price.headroom.max(price.amount);
        // A stream that waits for more is let have it.
        let wanted = gateway.paused.wanted(&action.channel_id);
        (Amount::ZERO, wanted.map_or(ahead, |wanted| ahead.max(wanted.saturating_sub(accepted))))
    } else {
        (price.amount, price.headroom)
    };
    let min_delta = gateway.terms.min_voucher_delta;
    // Wide enough for the minimum delta, or no voucher could please both rules.
    let headroom = headroom.max(min_delta.saturating_sub(cost));
    let is_of_voucher = !request.parts.headers.contains_key(IDEMPOTENCY_KEY);
    Ok(Charge { cost, headroom, min_delta, challenge_id: challenge.id.clone(), replay, is_of_voucher })
}

/// The voucher names the channel of the credential and that channel's signer.
pub(crate) fn check_binding(
    named: &ChannelId,
    signed: &SignedVoucher,
    channel: &ChannelRecord,
) -> Result<(), Rejection> {
    let follows = channel.agreement.terms.address(&channel.agreement.program).0 == channel.id;
    check_binding_of(named, signed, channel, follows)
}

/// The same where it is known whether the channel's address follows from its terms.
fn check_binding_of(
    named: &ChannelId,
    signed: &SignedVoucher,
    channel: &ChannelRecord,
    follows: bool,
) -> Result<(), Rejection> {
    if signed.voucher.channel_id != *named {
        return Err(Rejection::ChannelMismatch(
            "the voucher draws on another channel than it is sent for".to_owned(),
        ));
    }
    // The address pins program, parties, mint, signer and incarnation: derived, never believed.
    if !follows {
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

/// Seconds after which a rearm has landed, more often than not.
const REARM_TIME: u32 = 3;

/// The channel buys something now. One that is being rearmed does so again in a moment, so its payer is asked to wait
/// rather than to open another.
pub(crate) fn check_serving(channel: &ChannelRecord) -> Result<(), Rejection> {
    match channel.state {
        ChannelState::Open if channel.closure_started_at.is_none() => Ok(()),
        ChannelState::Closing if channel.renewing && channel.closure_started_at.is_none() => {
            Err(Rejection::Unavailable {
                detail: "the channel's last session is being settled; repeat the same request".to_owned(),
                retry_after: REARM_TIME,
            })
        }
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
pub(super) fn over_deposit(watermarks: Watermarks, cumulative: Amount, charge: &Charge) -> Rejection {
    let required = watermarks.required(charge.cost, charge.min_delta);
    if required > watermarks.deposit {
        Rejection::Insufficient(Box::new(Figures { required, watermarks }))
    } else {
        Rejection::ExceedsDeposit { cumulative, deposit: watermarks.deposit }
    }
}

fn verify(signed: &SignedVoucher, channel: &BookedChannel) -> Result<VerifiedVoucher, Rejection> {
    let key = channel.key().ok_or(Rejection::Signature)?;
    signed.verify_with(&channel.record.id, key).map_err(|_| Rejection::Signature)
}

/// A stale but authentic voucher must be told from a forged one: its sender gets the channel's figures and an
/// offer to resume, anyone else learns nothing. That costs a signature check, so it is rationed.
fn explain(
    gateway: &Gateway,
    channel: &BookedChannel,
    signed: &SignedVoucher,
    charge: &Charge,
    rejection: Rejection,
) -> Refusal {
    let known = &channel.record;
    if let Err(limited) = gateway.limit_refusal(known.id) {
        return limited.into();
    }
    if verify(signed, channel).is_err() {
        return Rejection::Signature.into();
    }
    let required = known.watermarks.required(charge.cost, charge.min_delta);
    rejection.with_figures(Figures { required, watermarks: known.watermarks }).resuming(known)
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
        Acceptance::CloseUnfunded => Rejection::Unavailable {
            detail: "the sponsor cannot pay for this channel's close at present".to_owned(),
            retry_after: 30,
        },
        Acceptance::KeyReused => Rejection::KeyReuse,
        // It was read anew since: one that serves again was rearmed in between.
        Acceptance::NotOpen(_) => check_serving(&now).err().unwrap_or(Rejection::Unavailable {
            detail: "the channel's last session was being settled; repeat the same request".to_owned(),
            retry_after: 1,
        }),
        Acceptance::Unknown
        | Acceptance::Published { .. }
        | Acceptance::Accepted(_)
        | Acceptance::Replayed(_) => Rejection::ChannelNotFound,
    };
    rejection.resuming(&now)
}
