//! `close`: the payer's last word, authenticated by a voucher or the session's proof; the settler does the rest.

use axum::response::Response;
use toll_ledger::{ChannelRecord, ChannelState, CloseReason, CloseRequested};
use toll_protocol::{
    Amount, Authentication, Challenge, CloseAction, CloseAuthority, SignedVoucher, VerifiedVoucher,
};

use super::by_proof::check_proof;
use super::pay::{check_binding, check_unpublished};
use crate::gateway::Gateway;
use crate::reject::{Figures, Refusal, Rejection};
use crate::{answer, wait};

pub(crate) async fn close(
    gateway: &Gateway,
    challenge: &Challenge,
    action: &CloseAction,
) -> Result<Response, Refusal> {
    let channel = gateway.ledger.channel(&action.channel_id).await?.ok_or(Rejection::ChannelNotFound)?;
    match (&action.authority, channel.proof) {
        (CloseAuthority::Voucher(signed), None) => {
            close_by_voucher(gateway, challenge, action, signed, &channel).await
        }
        (CloseAuthority::Authentication(proof), Some(_)) => {
            close_by_proof(gateway, challenge, proof, &channel).await
        }
        (CloseAuthority::Authentication(_), None) => {
            Err(Rejection::malformed("client close requires a final voucher, not authentication").into())
        }
        (CloseAuthority::Voucher(_), Some(_)) => {
            let reason = "an operator-signed session is closed by its proof, not by a voucher";
            Err(Rejection::WrongMode(reason).into())
        }
    }
}

/// The operator's vouchers are all on record, so the payer brings none.
async fn close_by_proof(
    gateway: &Gateway,
    challenge: &Challenge,
    proof: &Authentication,
    channel: &ChannelRecord,
) -> Result<Response, Refusal> {
    gateway.check_place(challenge, channel)?;
    check_proof(challenge, proof, channel)?;
    let open = channel.state == ChannelState::Open;
    if open {
        gateway.limit_update(channel.id)?
    } else {
        gateway.limit_repeat(channel.id)?
    }
    if ends(channel)? {
        request(gateway, channel, None).await?;
    }
    closed(gateway, challenge, channel).await
}

async fn close_by_voucher(
    gateway: &Gateway,
    challenge: &Challenge,
    action: &CloseAction,
    signed: &SignedVoucher,
    channel: &ChannelRecord,
) -> Result<Response, Refusal> {
    gateway.check_place(challenge, channel)?;
    check_binding(&action.channel_id, signed, channel)?;
    check_freshness(gateway, signed.voucher.expires_at)?;
    let deposit = channel.watermarks.deposit;
    if signed.voucher.cumulative_amount > deposit {
        return Err(
            Rejection::ExceedsDeposit { cumulative: signed.voucher.cumulative_amount, deposit }.into()
        );
    }
    let open = channel.state == ChannelState::Open;
    if open {
        check_unpublished(channel, signed)?;
    }
    let verified = signed
        .verify(&channel.id, &channel.agreement.terms.authorized_signer)
        .map_err(|_| Rejection::Signature)?;
    if open {
        gateway.limit_update(channel.id)?
    } else {
        gateway.limit_repeat(channel.id)?
    }
    // Any voucher of the channel's signer may ask how the close went, as the chain shows it; it changes nothing.
    // One that would serve again is ended by a voucher that nobody else has.
    let is_left = channel.renewing && !channel.has_published(verified.voucher().cumulative_amount);
    if ends(channel)? || is_left {
        request(gateway, channel, Some(&verified)).await?;
    }
    closed(gateway, challenge, channel).await
}

/// Whether there is still something to end.
fn ends(channel: &ChannelRecord) -> Result<bool, Rejection> {
    match channel.state {
        ChannelState::Open => Ok(true),
        ChannelState::Closing | ChannelState::Closed | ChannelState::Gone => Ok(false),
        ChannelState::Opening => Err(Rejection::Unavailable {
            detail: "the channel's open has not landed yet".to_owned(),
            retry_after: 2,
        }),
        ChannelState::Failed => Err(Rejection::ChannelNotFound),
    }
}

/// The tolerance serves authentication only: what settles is chosen by the chain's clock.
fn check_freshness(gateway: &Gateway, expires_at: i64) -> Result<(), Rejection> {
    let tolerated = expires_at.saturating_add(i64::from(gateway.terms.clock_tolerance));
    if expires_at != 0 && gateway.now() >= tolerated {
        return Err(Rejection::VoucherExpired("the closing voucher has expired".to_owned()));
    }
    Ok(())
}

/// Stops service and asks the settler for a seal.
///
/// The ledger decides: a voucher must cover what was delivered and be above all that was sent to the chain, so that
/// nobody but the payer closes anything.
async fn request(
    gateway: &Gateway,
    channel: &ChannelRecord,
    verified: Option<&VerifiedVoucher>,
) -> Result<(), Refusal> {
    let cumulative = verified.map_or(Amount::ZERO, |verified| verified.voucher().cumulative_amount);
    let requested = gateway.ledger.request_close(&channel.id, CloseReason::Requested, verified).await?;
    let rejection = match requested {
        CloseRequested::Recorded | CloseRequested::AlreadyClosing | CloseRequested::Closed { .. } => {
            return Ok(());
        }
        CloseRequested::VoucherTooLow { watermarks } => {
            let figures = Figures { required: watermarks.accepted, watermarks };
            Rejection::NotIncreasing { cumulative, figures: Some(Box::new(figures)) }
        }
        CloseRequested::VoucherPublished { up_to } => {
            return Err(Rejection::VoucherPublished { up_to }.into());
        }
        CloseRequested::OverDeposit { watermarks } => {
            Rejection::ExceedsDeposit { cumulative, deposit: watermarks.deposit }
        }
        CloseRequested::NotOpen(_) | CloseRequested::Unknown => Rejection::ChannelNotFound,
    };
    Err(rejection.resuming(channel))
}

async fn closed(
    gateway: &Gateway,
    challenge: &Challenge,
    channel: &ChannelRecord,
) -> Result<Response, Refusal> {
    let id = channel.id;
    let closed = wait::until(&gateway.ledger, gateway.landing_timeout(), || async move {
        let channel = gateway.ledger.channel(&id).await?;
        Ok(channel.filter(|channel| matches!(channel.state, ChannelState::Closed | ChannelState::Gone)))
    })
    .await?;
    let Some(channel) = closed else {
        return Err(Rejection::Unavailable {
            detail: "the close has not landed yet; repeat the same request".to_owned(),
            retry_after: 2,
        }
        .into());
    };
    // On a close `spent` is what the chain settled for good.
    let mut receipt = gateway.public_receipt(&channel, &challenge.id);
    receipt.tx_hash = channel.close_signature;
    receipt.refunded = channel.refunded;
    Ok(answer::lifecycle(
        &receipt,
        serde_json::json!({
            "channelId": channel.id.to_string(),
            "state": "closed",
            "settled": channel.watermarks.settled.to_string(),
            "refunded": channel.refunded.map(|refunded| refunded.to_string()),
            "txHash": channel.close_signature.map(|signature| signature.to_string()),
        }),
    ))
}
