//! `topUp`: a transaction that only raises one channel's deposit.

use axum::response::Response;
use toll_ledger::{ChannelRecord, RecordedTopUp, Submission, SubmissionId, SubmissionState};
use toll_protocol::{Challenge, DepositAtIdle, TopUp, TopUpAction};

use super::pay::check_serving;
use super::transaction::{ClientTransaction, TransactionRefused};
use crate::gateway::Gateway;
use crate::reject::{Refusal, Rejection};
use crate::terms::LARGEST_DEPOSIT;
use crate::{answer, wait};

pub(crate) async fn top_up(
    gateway: &Gateway,
    challenge: &Challenge,
    action: &TopUpAction,
) -> Result<Response, Refusal> {
    let channel = gateway.ledger.channel(&action.channel_id).await?.ok_or(Rejection::ChannelNotFound)?;
    gateway.check_place(challenge, &channel)?;
    let sponsored = check(gateway, action, &channel)?;
    if let Some(earlier) = gateway.ledger.requested_top_up(&channel.id, &action.transaction).await? {
        gateway.limit_repeat(channel.id)?;
        let sender =
            if earlier.state == SubmissionState::Requested { Sender::Payer } else { Sender::Anybody };
        return landed(gateway, challenge, &channel, earlier.id, sender).await;
    }
    gateway.limit_update(channel.id)?;
    if sponsored {
        gateway
            .check_top_up_sponsorship(action.additional)
            .await
            .map_err(|rejection| rejection.resuming(&channel))?;
    }
    let (additional, transaction) = (action.additional, action.transaction.clone());
    let keep = action.at_idle.map(|at_idle| at_idle == DepositAtIdle::Keep);
    let recorded = gateway.ledger.record_top_up_and_word(&channel.id, additional, transaction, keep).await?;
    match recorded {
        RecordedTopUp::Recorded(id) => landed(gateway, challenge, &channel, id, Sender::Payer).await,
        RecordedTopUp::Existing(id) => landed(gateway, challenge, &channel, id, Sender::Anybody).await,
        RecordedTopUp::NotOpen(_) => {
            let now = gateway.ledger.channel(&channel.id).await?.ok_or(Rejection::ChannelNotFound)?;
            Err(check_serving(&now).err().unwrap_or(Rejection::ChannelClosing).into())
        }
        RecordedTopUp::Unknown => Err(Rejection::ChannelNotFound.into()),
    }
}

/// Who can have sent this top-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// Nobody else has seen its transaction.
    Payer,
    /// Its transaction was sent to the chain: taking the sponsor's signature off it makes a repeat, so what is
    /// answered is what the chain shows.
    Anybody,
}

/// Whether the sponsor is to pay the fee of a top-up that is right in every respect.
fn check(gateway: &Gateway, action: &TopUpAction, channel: &ChannelRecord) -> Result<bool, Rejection> {
    let mismatch = Rejection::TopUpMismatch;
    let refused = |refused: TransactionRefused| mismatch(refused.to_string());
    if !gateway.terms.allowed_mints.contains(&channel.agreement.terms.mint) {
        return Err(Rejection::MintNotAllowed(channel.agreement.terms.mint));
    }
    let transaction =
        ClientTransaction::check(&action.transaction, &gateway.transaction_rules()).map_err(refused)?;
    let decoded =
        TopUp::decode(transaction.data(), &transaction.accounts()).map_err(|error| refused(error.into()))?;
    if action.additional.is_zero() || decoded.amount != action.additional {
        return Err(mismatch(format!(
            "additionalAmount is {}, the transaction adds {}",
            action.additional, decoded.amount
        )));
    }
    let raised = channel.watermarks.deposit.checked_add(decoded.amount);
    if raised.is_none_or(|raised| raised > LARGEST_DEPOSIT) {
        return Err(mismatch(format!("deposits are limited to {LARGEST_DEPOSIT} base units here")));
    }
    let sponsor = gateway.terms.fee_payer;
    let fee_payer = transaction.fee_payer();
    if fee_payer != sponsor && fee_payer != channel.agreement.terms.payer {
        return Err(mismatch(format!("the fee payer must be {sponsor} or the channel's payer")));
    }
    let expected = TopUp {
        channel: channel.id,
        payer: channel.agreement.terms.payer,
        mint: channel.agreement.terms.mint,
        token_program: channel.agreement.token_program,
        amount: action.additional,
    };
    transaction.check_equals(&expected.instruction(&channel.agreement.program)).map_err(refused)?;
    transaction.check_signatures(&channel.agreement.terms.payer, &sponsor).map_err(refused)?;
    Ok(fee_payer == sponsor)
}

async fn landed(
    gateway: &Gateway,
    challenge: &Challenge,
    channel: &ChannelRecord,
    submission: SubmissionId,
    sender: Sender,
) -> Result<Response, Refusal> {
    let resolved = wait::until(&gateway.ledger, gateway.landing_timeout(), || async move {
        let submission = gateway.ledger.submission(submission).await?;
        let resolved = |submission: &Submission| {
            !matches!(submission.state, SubmissionState::Requested | SubmissionState::Recorded)
        };
        Ok(submission.filter(resolved))
    })
    .await?;
    let Some(submission) = resolved else {
        return Err(Rejection::Unavailable {
            detail: "the top-up has not landed yet; repeat the same request".to_owned(),
            retry_after: 2,
        }
        .into());
    };
    let channel = gateway.ledger.channel(&channel.id).await?.ok_or(Rejection::ChannelNotFound)?;
    let refuse = |rejection: Rejection| match sender {
        Sender::Payer => rejection.resuming(&channel),
        Sender::Anybody => rejection.into(),
    };
    match submission.state {
        SubmissionState::Failed => {
            let reason = submission.error.unwrap_or_else(|| "the top-up failed".to_owned());
            Err(refuse(Rejection::TransactionFailed(reason)))
        }
        SubmissionState::Expired => {
            Err(refuse(Rejection::BlockhashExpired("the top-up's blockhash expired".to_owned())))
        }
        SubmissionState::Landed | SubmissionState::Requested | SubmissionState::Recorded => {
            let receipt = match sender {
                Sender::Payer => gateway.receipt(&channel, &challenge.id),
                Sender::Anybody => gateway.public_receipt(&channel, &challenge.id),
            };
            Ok(answer::lifecycle(
                &receipt,
                serde_json::json!({
                    "channelId": channel.id.to_string(),
                    "state": "open",
                    "deposit": channel.watermarks.deposit.to_string(),
                }),
            ))
        }
    }
}
