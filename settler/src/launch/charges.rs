//! Single payments that the gateway reserved: checked once more, signed where the sponsor pays, and sent.
//!
//! This trusts neither the gateway nor the ledger's bytes: the transaction is verified against the challenge's request
//! before our signature pays for it, and only what was verified is signed. The chain runs exactly what was signed, so
//! one that landed without an error has paid.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use solana_account::Account;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::{ChainTip, Failure};
use toll_ledger::{LedgerError, Payment, PaymentFailure, Submission, SubmissionKind};
use toll_protocol::{
    ChargeCaps, ChargeRequest, VerifiedCharge, associated_token_address, base64url_decode, parse_json,
    verify_charge,
};
use tracing::{info, warn};

use super::transaction::co_sign;
use super::{BLOCKHASH_LIFE, Launched, Outbox, Shared};
use crate::config::ListedMint;
use crate::error::survive;
use crate::in_flight::Lane;
use crate::purse::{Held, Outlay, Outlays, fee_of};
use crate::{SettlerError, Step};

/// Handles the payments that payers handed over.
pub(crate) struct Charges {
    shared: Shared,
    outbox: Arc<Outbox>,
}

/// Why a payment is given up.
struct Refused(PaymentFailure, String);

/// A request, and what was verified of it.
struct Checked {
    charge: ChargeRequest,
    verified: VerifiedCharge,
    token_program: Pubkey,
    is_sponsored: bool,
}

impl Charges {
    pub(crate) fn new(shared: Shared, outbox: Arc<Outbox>) -> Self {
        Self { shared, outbox }
    }

    /// Takes reserved payments as far as the cluster, oldest first.
    pub(crate) async fn send(&self) -> Result<Launched, SettlerError> {
        let mut requested = self.shared.ledger.requested().await?;
        requested.retain(|request| request.kind == SubmissionKind::Charge);
        if requested.is_empty() {
            return Ok(Launched::default());
        }
        let room = self.shared.in_flight.room(Lane::Requested);
        let waiting = requested.len().saturating_sub(room);
        requested.truncate(room);
        if requested.is_empty() {
            return Ok(Launched { sent: 0, waiting });
        }
        let tip = self.shared.tips.current().await?;
        self.shared.purse.refresh().await?;
        let outcomes: Vec<_> = stream::iter(requested)
            .map(|request| async move { self.send_one(&request, tip).await })
            .buffer_unordered(self.shared.config.concurrency)
            .collect()
            .await;
        let mut launched = Launched { sent: 0, waiting };
        for outcome in outcomes {
            launched.sent += usize::from(survive("payment", outcome)?.unwrap_or(false));
        }
        Ok(launched)
    }

    /// Whether it was sent.
    async fn send_one(&self, request: &Submission, tip: ChainTip) -> Result<bool, SettlerError> {
        let Shared { ledger, chain, keys, purse, tips, config, hook, .. } = &self.shared;
        let Some(payment) = ledger.payment_of(request.id).await? else { return Ok(false) };
        hook.reached(request.kind, Step::Planned);
        let checked = match self.check(request, &payment) {
            Ok(checked) => checked,
            Err(refused) => return self.refuse(request, &payment, refused).await,
        };
        let outlays = self.outlays(&checked);
        if let Err(denial) = purse.check(&outlays) {
            let refused = Refused(PaymentFailure::Unsponsored, denial.to_string());
            return self.refuse(request, &payment, refused).await;
        }
        let blockhash = checked.verified.transaction.message.recent_blockhash();
        let known = tips.last_valid_block_height(blockhash);
        let alive = match known {
            Some(height) => height >= tip.block_height.saturating_add(config.blockhash_margin),
            // The payer's own choice. The node knows whether it lives, not for how long.
            None => chain.is_blockhash_valid(blockhash).await?,
        };
        if !alive {
            let refused = Refused(PaymentFailure::Expired, "its blockhash has expired".to_owned());
            return self.refuse(request, &payment, refused).await;
        }
        if let Some(lacking) = self.lacking(&checked).await? {
            return self.refuse(request, &payment, Refused(PaymentFailure::Refused, lacking)).await;
        }
        let last_valid_block_height = known.unwrap_or(tip.block_height.saturating_add(BLOCKHASH_LIFE));
        match chain.simulate(&request.transaction).await?.error {
            None => {}
            // The blockhash lives, so this node is only behind. It is asked again until the hash is too old.
            Some(Failure::BlockhashNotFound) => return Ok(false),
            Some(failure) => {
                let reason = match failure {
                    Failure::PayerCannotPay(words) => {
                        format!(
                            "{} cannot pay the fee of its transaction, send it SOL: {words}",
                            checked.verified.fee_payer
                        )
                    }
                    other => format!("simulation failed: {other}"),
                };
                return self.refuse(request, &payment, Refused(PaymentFailure::Refused, reason)).await;
            }
        }
        let signed = co_sign(checked.verified.transaction, &keys.fee_payer);
        let signature = signed.signature;
        let held = if outlays.is_empty() { Held::Already } else { purse.hold(signature, &outlays).await? };
        if let Held::Denied(denial) = held {
            let refused = Refused(PaymentFailure::Unsponsored, denial.to_string());
            return self.refuse(request, &payment, refused).await;
        }
        match self.outbox.requested(request, signed, last_valid_block_height).await {
            Ok(()) => Ok(true),
            Err(LedgerError::SameTransaction { .. }) => {
                if held == Held::Now {
                    purse.release(&signature).await?;
                }
                let reason = "the same transaction is on record already".to_owned();
                self.refuse(request, &payment, Refused(PaymentFailure::Used, reason)).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Verifies the transaction against what the challenge asked.
    fn check(&self, request: &Submission, payment: &Payment) -> Result<Checked, Refused> {
        let refused = |reason: String| Refused(PaymentFailure::Refused, reason);
        let Shared { keys, config, .. } = &self.shared;
        let charge = charge_of(&payment.terms).map_err(refused)?;
        let listed = listed(&config.mints, &charge.currency).map_err(refused)?;
        if charge.recipient != keys.payee.pubkey() {
            return Err(refused(format!("it pays {}, which is not our payee", charge.recipient)));
        }
        let sponsor = charge.method_details.fee_payer_key;
        if sponsor.is_some_and(|sponsor| sponsor != keys.fee_payer.pubkey()) {
            return Err(refused("its fee payer is not ours".to_owned()));
        }
        let caps =
            ChargeCaps { unit_limit: config.compute_unit_cap, unit_price: config.compute_unit_price_cap };
        let verified = verify_charge(&request.transaction, &charge, &listed.token_program, &caps)
            .map_err(|error| refused(error.to_string()))?;
        if sponsor.is_none() && verified.payer == keys.fee_payer.pubkey() {
            return Err(refused("our key pays for nothing here".to_owned()));
        }
        let (token_program, is_sponsored) = (listed.token_program, sponsor.is_some());
        Ok(Checked { charge, verified, token_program, is_sponsored })
    }

    fn outlays(&self, checked: &Checked) -> Vec<Outlay> {
        if !checked.is_sponsored {
            return Vec::new();
        }
        let VerifiedCharge { transaction, payer, creates, .. } = &checked.verified;
        let (prices, fee) = (self.shared.purse.prices(), fee_of(&transaction.message));
        vec![Outlays::charge(*payer, &checked.token_program, creates.len(), &prices, fee)]
    }

    /// What is missing for the payment to land, in words that name it; a simulation would only give a number.
    async fn lacking(&self, checked: &Checked) -> Result<Option<String>, SettlerError> {
        let Checked { charge, verified, token_program, .. } = checked;
        let account = |owner: &Pubkey| associated_token_address(owner, &charge.currency, token_program);
        let Ok(legs) = charge.legs() else { return Ok(None) };
        let paid: Vec<Pubkey> =
            legs.iter().map(|leg| leg.recipient).filter(|owner| !verified.creates.contains(owner)).collect();
        let addresses: Vec<_> = std::iter::once(&verified.payer).chain(&paid).map(account).collect();
        let found = self.shared.chain.accounts(&addresses).await?.accounts;
        let Some((source, destinations)) = found.split_first() else { return Ok(None) };
        let held = tokens(source.as_ref());
        if held < charge.amount.get() {
            return Ok(Some(format!(
                "the payer's token account holds {held} of the {} it pays",
                charge.amount
            )));
        }
        let missing = paid.iter().zip(destinations).find(|(_, account)| account.is_none());
        Ok(missing.map(|(owner, _)| {
            format!("{owner} has no token account of mint {} to be paid into", charge.currency)
        }))
    }

    /// Gives a payment up before anything was signed.
    async fn refuse(
        &self,
        request: &Submission,
        payment: &Payment,
        Refused(failure, reason): Refused,
    ) -> Result<bool, SettlerError> {
        let Shared { ledger, hook, .. } = &self.shared;
        warn!(payer = ?payment.payer, %failure, reason, "payment refused");
        ledger.payment_failed(&payment.challenge_id, failure, &reason).await?;
        ledger.failed(request.id, &reason).await?;
        info!(submission = %request.id, "given up before it was signed");
        hook.reached(request.kind, Step::Marked);
        Ok(false)
    }
}

/// The request of a challenge, out of its text.
pub(crate) fn charge_of(terms: &str) -> Result<ChargeRequest, String> {
    let json = base64url_decode(terms).map_err(|error| error.to_string())?;
    let json = parse_json(&json).map_err(|error| error.to_string())?;
    ChargeRequest::from_json(&json).map_err(|error| error.to_string())
}

/// What is known of a mint that payments may be in.
pub(crate) fn listed<'a>(mints: &'a [ListedMint], mint: &Pubkey) -> Result<&'a ListedMint, String> {
    mints.iter().find(|listed| listed.mint == *mint).ok_or_else(|| format!("mint {mint} is not on the list"))
}

/// Base units in a token account; none where there is no such account.
fn tokens(account: Option<&Account>) -> u64 {
    let amount = account.and_then(|account| account.data.get(64..72));
    amount.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
