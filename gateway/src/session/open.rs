//! `open`: checks everything about a deposit before it is recorded for co-signing, then waits until it lands.
//!
//! The decoded transaction is the request; the credential is only a claim about it. Source:
//! draft-solana-session, "Settlement Procedure", Open.

use axum::response::Response;
use solana_pubkey::Pubkey;
use toll_ledger::{ChannelRecord, ChannelState, NewChannel, RecordedOpen, SubmissionKind, SubmissionState};
use toll_protocol::{
    Agreement, Authentication, Challenge, ChannelId, ChannelTerms, DepositAtIdle, OPEN_SLOT_WINDOW, Open,
    OpenAction,
};

use super::challenge::OpeningTerms;
use super::pay::check_serving;
use super::sponsorship;
use super::transaction::{ClientTransaction, TransactionRefused};
use crate::gateway::Gateway;
use crate::price::Price;
use crate::reject::{Refusal, Rejection};
use crate::terms::{BLOCKHASH_LIFE, LARGEST_DEPOSIT};
use crate::{answer, wait};

pub(crate) async fn open(
    gateway: &Gateway,
    price: &Price,
    challenge: &Challenge,
    action: &OpenAction,
) -> Result<Response, Refusal> {
    // A lost answer is asked for again with the same credential, perhaps after the challenge has expired.
    if let Some(channel) = gateway.ledger.channel(&action.channel_id).await? {
        return repeat(gateway, challenge, action, &channel).await;
    }
    let proof = bound_proof(price, challenge, action)?;
    let transaction =
        ClientTransaction::check(&action.transaction, &gateway.transaction_rules()).map_err(refused)?;
    let tip = gateway.tip().await?;
    let opening = gateway.check_opening(challenge, price, &tip)?;
    let open = check(gateway, &opening, tip.slot, action, &transaction)?;
    let idle_timeout = idle_timeout(gateway, action)?;
    gateway.limit_open(open.agreement.terms.payer)?;
    gateway.check_forced_closes(&open.agreement.terms.payer).await?;

    let channel = NewChannel {
        agreement: open.agreement,
        deposit: open.deposit,
        price: price.amount,
        unit_type: price.unit_type.clone(),
        idle_timeout,
        proof,
        keep_deposit: action.at_idle == Some(DepositAtIdle::Keep),
    };
    record(gateway, challenge, action, channel, opening.expires_at).await
}

/// The digest of the proof that uses of the channel will carry, once it is verified; none where the payer signs the
/// vouchers.
///
/// It names the channel, which the transaction's terms derive, and the challenge, which has every other term.
fn bound_proof(
    price: &Price,
    challenge: &Challenge,
    action: &OpenAction,
) -> Result<Option<[u8; 32]>, Rejection> {
    match (&action.authentication, price.operator_signed) {
        (None, false) => Ok(None),
        (Some(proof), true) => {
            let verified = proof.verify(&action.channel_id, &challenge.id, &action.payer);
            verified.map(|()| Some(proof.digest())).map_err(|_| Rejection::ProofMismatch)
        }
        (Some(_), false) => Err(Rejection::malformed("authentication belongs to operator-signed sessions")),
        (None, true) => Err(Rejection::malformed("an operator-signed session needs authentication")),
    }
}

async fn record(
    gateway: &Gateway,
    challenge: &Challenge,
    action: &OpenAction,
    channel: NewChannel,
    expires_at: i64,
) -> Result<Response, Refusal> {
    let recorded =
        gateway.ledger.record_open(channel, action.transaction.clone(), &challenge.id, expires_at).await?;
    match recorded {
        RecordedOpen::Recorded(_) | RecordedOpen::Existing(..) => {
            landed(gateway, challenge, action.channel_id).await
        }
        RecordedOpen::ChallengeUsed => {
            let reason = "the challenge was answered by another open already";
            Err(Rejection::Challenge(reason.to_owned()).into())
        }
        RecordedOpen::ChannelExists => Err(channel_exists().into()),
        RecordedOpen::Crowded => Err(Rejection::Unavailable {
            detail: "too many opens are waiting; repeat the same request".to_owned(),
            retry_after: 5,
        }
        .into()),
        RecordedOpen::TooManyChannels { live } => Err(Rejection::TooManyChannels { live }.into()),
        RecordedOpen::Unsponsored(why) => Err(sponsorship::refused(why).into()),
    }
}

fn channel_exists() -> Rejection {
    Rejection::OpenMismatch("the channel exists already; draw another salt".to_owned())
}

/// The channel is known. The very credential that made it learns what became of it; any other is refused.
async fn repeat(
    gateway: &Gateway,
    challenge: &Challenge,
    action: &OpenAction,
    known: &ChannelRecord,
) -> Result<Response, Refusal> {
    if known.opening_challenge_id != challenge.id {
        return Err(channel_exists().into());
    }
    if known.proof != action.authentication.as_ref().map(Authentication::digest) {
        return Err(Rejection::ProofMismatch.into());
    }
    let channel = NewChannel {
        agreement: known.agreement.clone(),
        deposit: known.watermarks.deposit,
        price: known.price,
        unit_type: known.unit_type.clone(),
        idle_timeout: known.idle_timeout,
        proof: known.proof,
        keep_deposit: false,
    };
    record(gateway, challenge, action, channel, gateway.now()).await
}

/// Every check of the draft that needs no chain. What passes is safe to co-sign.
fn check(
    gateway: &Gateway,
    opening: &OpeningTerms,
    tip_slot: u64,
    action: &OpenAction,
    transaction: &ClientTransaction,
) -> Result<Open, Rejection> {
    let terms = &gateway.terms;
    let mismatch = Rejection::OpenMismatch;
    let decoded =
        Open::decode(transaction.data(), &transaction.accounts()).map_err(|error| refused(error.into()))?;
    let asked = &decoded.agreement;
    if !terms.allowed_mints.contains(&asked.terms.mint) {
        return Err(Rejection::MintNotAllowed(asked.terms.mint));
    }
    // Whoever pays the fee pays the rent, and gets it back: one key, one signature.
    let fee_payer = opening.sponsor.unwrap_or(asked.terms.payer);
    check_claims(gateway, action, &decoded, &fee_payer)?;
    if !action.policy_agrees() {
        return Err(mismatch("authorizationPolicy names another signer".to_owned()));
    }
    check_parties(gateway, &asked.terms)?;
    if opening.operator.is_some_and(|operator| operator != asked.terms.authorized_signer) {
        return Err(mismatch("authorizedSigner is not the challenged operator".to_owned()));
    }

    let (id, _) = asked.terms.address(&terms.program);
    if id != action.channel_id {
        return Err(mismatch(format!("channelId is not the address of these terms, {id}")));
    }
    if asked.splits.contains(&id.pubkey()) {
        return Err(mismatch("the channel cannot be a recipient of its own".to_owned()));
    }
    check_open_slot(asked.terms.open_slot, opening.recent_slot, tip_slot)?;
    if transaction.fee_payer() != fee_payer {
        return Err(mismatch(format!("the fee payer must be {fee_payer}")));
    }
    if *transaction.blockhash() != opening.blockhash {
        return Err(mismatch("the transaction does not use the challenged blockhash".to_owned()));
    }
    // Built from our own terms: whatever else the client's instruction says is a difference.
    let canonical = Open {
        agreement: Agreement {
            program: terms.program,
            terms: ChannelTerms { payee: terms.payee, mint: terms.mint, ..asked.terms },
            grace_period: terms.grace_period,
            splits: terms.splits.clone(),
            rent_payer: fee_payer,
            token_program: terms.token_program,
        },
        deposit: action.deposit,
    };
    transaction.check_equals(&canonical.instruction()).map_err(refused)?;
    if canonical.deposit > LARGEST_DEPOSIT {
        return Err(mismatch(format!("deposits are limited to {LARGEST_DEPOSIT} base units here")));
    }
    if canonical.deposit < terms.minimum_deposit {
        return Err(Rejection::DepositTooSmall {
            deposit: canonical.deposit,
            minimum: terms.minimum_deposit,
        });
    }
    transaction.check_signatures(&canonical.agreement.terms.payer, &terms.fee_payer).map_err(refused)?;
    Ok(canonical)
}

fn refused(refused: TransactionRefused) -> Rejection {
    Rejection::OpenMismatch(refused.to_string())
}

/// Credential, transaction and challenge agree, member by member.
fn check_claims(
    gateway: &Gateway,
    action: &OpenAction,
    decoded: &Open,
    fee_payer: &Pubkey,
) -> Result<(), Rejection> {
    let (terms, asked) = (&gateway.terms, &decoded.agreement);
    let splits = action.splits.clone().unwrap_or_else(|| terms.splits.clone());
    let agree = [
        ("payer", action.payer == asked.terms.payer),
        ("payee", action.payee == asked.terms.payee && action.payee == terms.payee),
        ("mint", action.mint == asked.terms.mint && action.mint == terms.mint),
        ("authorizedSigner", action.authorized_signer == asked.terms.authorized_signer),
        ("salt", action.salt == asked.terms.salt),
        ("depositAmount", action.deposit == decoded.deposit),
        (
            "gracePeriodSeconds",
            action.grace_period == asked.grace_period && asked.grace_period == terms.grace_period,
        ),
        ("openSlot", action.open_slot == asked.terms.open_slot),
        ("distributionSplits", splits == asked.splits && splits == terms.splits),
        ("rentPayer", asked.rent_payer == *fee_payer),
        ("tokenProgram", asked.token_program == terms.token_program),
    ];
    match agree.iter().find(|(_, agrees)| !agrees) {
        Some((member, _)) => Err(Rejection::OpenMismatch(format!(
            "{member} differs between challenge, credential and transaction"
        ))),
        None => Ok(()),
    }
}

fn check_parties(gateway: &Gateway, terms: &ChannelTerms) -> Result<(), Rejection> {
    let mismatch = |reason: &str| Err(Rejection::OpenMismatch(reason.to_owned()));
    if terms.payer == gateway.terms.fee_payer {
        return mismatch("the payer must not be the sponsor");
    }
    if terms.payer == terms.payee {
        return mismatch("the payer must not be the payee");
    }
    if !toll_protocol::is_voucher_key(&terms.authorized_signer) {
        return mismatch("the authorized signer is not an Ed25519 key that can sign vouchers");
    }
    Ok(())
}

fn check_open_slot(open_slot: u64, recent_slot: u64, tip_slot: u64) -> Result<(), Rejection> {
    // A lagging node may show a slot below the challenged one.
    let current = tip_slot.max(recent_slot);
    if open_slot > recent_slot {
        return Err(Rejection::OpenMismatch(format!(
            "openSlot {open_slot} is after recentSlot {recent_slot}"
        )));
    }
    // The program looks when it lands, which may be as late as its blockhash dies.
    const OLDEST: u64 = OPEN_SLOT_WINDOW - BLOCKHASH_LIFE;
    if current - open_slot > OLDEST {
        return Err(Rejection::OpenMismatch(format!(
            "openSlot {open_slot} is more than {OLDEST} slots before {current}"
        )));
    }
    Ok(())
}

/// The timeout that holds for the channel's life: the client's choice among those offered, or ours.
fn idle_timeout(gateway: &Gateway, action: &OpenAction) -> Result<u32, Rejection> {
    match action.idle_timeout {
        None => Ok(gateway.terms.idle_timeout),
        Some(chosen) if gateway.terms.idle_timeout_options.contains(&chosen) => Ok(chosen),
        Some(chosen) => Err(Rejection::IdleTimeoutNotOffered(chosen)),
    }
}

/// Waits for the settler. The answer carries no metered content and charges nothing.
async fn landed(gateway: &Gateway, challenge: &Challenge, id: ChannelId) -> Result<Response, Refusal> {
    let settled = wait::until(&gateway.ledger, gateway.landing_timeout(), || async move {
        let channel = gateway.ledger.channel(&id).await?;
        Ok(channel.filter(|channel| channel.state != ChannelState::Opening))
    })
    .await?;
    let Some(channel) = settled else {
        return Err(Rejection::Unavailable {
            detail: "the open has not landed yet; repeat the same request".to_owned(),
            retry_after: 2,
        }
        .into());
    };
    match channel.state {
        ChannelState::Failed => Err(failed(gateway, &channel).await?.into()),
        ChannelState::Closing => {
            Err(check_serving(&channel).err().unwrap_or(Rejection::ChannelClosing).into())
        }
        ChannelState::Closed | ChannelState::Gone => Err(Rejection::ChannelClosed.into()),
        ChannelState::Opening | ChannelState::Open => Ok(answer::lifecycle(
            &gateway.receipt(&channel, &challenge.id),
            serde_json::json!({
                "channelId": id.to_string(),
                "state": "open",
                "deposit": channel.watermarks.deposit.to_string(),
                "idleTimeoutSeconds": channel.idle_timeout,
            }),
        )),
    }
}

async fn failed(gateway: &Gateway, channel: &ChannelRecord) -> Result<Rejection, Rejection> {
    let submissions = gateway.ledger.submissions_of(&channel.id).await?;
    let expired = submissions.iter().any(|submission| {
        submission.kind == SubmissionKind::Open && submission.state == SubmissionState::Expired
    });
    let reason = channel.failure.clone().unwrap_or_else(|| "the open did not land".to_owned());
    Ok(if expired { Rejection::BlockhashExpired(reason) } else { Rejection::TransactionFailed(reason) })
}
