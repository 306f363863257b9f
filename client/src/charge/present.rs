//! Handing a signed charge over, once or again.

use http::StatusCode;
use http::header::RETRY_AFTER;
use solana_signature::Signature;
use toll_chain::{Chain, ChainError, Fate};
use toll_protocol::{ChargeReceipt, base64_decode};

use super::SavedCharge;
use super::fate::ChargeFate;
use crate::conversation::Conversation;
use crate::credential::header_of;
use crate::error::PayError;
use crate::reply::{PaidCharge, Reply};
use crate::request::{IDEMPOTENCY_KEY, Request};
use crate::response::Response;

/// How often one charge is presented in a row to a server that is busy, or does not see it on chain yet.
const ATTEMPTS: usize = 5;

/// What presenting a charge led to.
pub(super) enum Presented {
    /// The request is answered.
    Served(Box<Reply>),
    /// The charge is void: nothing was paid, and another may be signed. What the server said.
    Void(Box<Response>),
}

impl Conversation<'_> {
    /// Presents a charge that is on disk: first to the chain where the payer sends it, then to the server.
    pub(super) async fn present(
        &self,
        request: &Request,
        charge: &SavedCharge,
    ) -> Result<Presented, PayError> {
        if charge.pushed.is_some() {
            self.push(charge).await?;
        }
        let headers = [header_of(&charge.authorization), (IDEMPOTENCY_KEY, charge.idempotency_key.clone())];
        let mut response = self.send(request, &headers).await?;
        for _ in 1..ATTEMPTS {
            if !asks_for_patience(&response) {
                break;
            }
            tokio::time::sleep(response.retry_after()).await;
            response = self.send(request, &headers).await?;
        }
        if asks_for_patience(&response) {
            return Err(response.refusal().into());
        }
        let receipt = response.charge_receipt()?;
        if receipt.is_some() || response.status.is_success() {
            self.book.remove_charge(&charge.fingerprint, &charge.payer)?;
            return Ok(Presented::Served(Box::new(paid(charge, receipt, response))));
        }
        if response.status != StatusCode::PAYMENT_REQUIRED {
            // It stays on record: the server may have it, and may yet send it.
            return Ok(Presented::Served(Box::new(response.into())));
        }
        match self.charge_fate(charge).await {
            ChargeFate::Void => {
                self.book.remove_charge(&charge.fingerprint, &charge.payer)?;
                Ok(Presented::Void(Box::new(response)))
            }
            fate @ ChargeFate::Landed(_) => Err(self.charge_unanswered(charge, fate)),
            ChargeFate::Unknown => Err(response.refusal().into()),
        }
    }

    /// Sends a charge to the chain, unless it is there, and waits until it is confirmed.
    async fn push(&self, charge: &SavedCharge) -> Result<(), PayError> {
        let unknown = || PayError::MaybeCharged { amount: charge.amount };
        let cluster = self.payer.cluster.as_ref().ok_or_else(unknown)?;
        let signature: Signature = charge.signature.parse().map_err(|_| unknown())?;
        let bytes = charge.pushed.as_ref().and_then(|text| base64_decode(text).ok()).ok_or_else(unknown)?;
        match cluster.chain().statuses(&[signature]).await?.into_iter().next() {
            Some(Fate::Landed { .. }) => return Ok(()),
            Some(Fate::Pending) => {}
            _ => {
                if self.charge_fate(charge).await == ChargeFate::Void {
                    // The server is asked all the same: it says what it wants now.
                    return Ok(());
                }
                cluster.chain().submit(&bytes).await?;
            }
        }
        match cluster.confirm(&signature).await {
            Err(ChainError::Failed { .. } | ChainError::DidNotRun { .. }) => {
                self.book.remove_charge(&charge.fingerprint, &charge.payer)?;
                Err(PayError::Chain(ChainError::NotTaken(format!("transaction {signature} had no effect"))))
            }
            other => Ok(other?),
        }
    }
}

/// Whether the server took nothing and may take the same charge later: it is busy, or waits for the chain.
fn asks_for_patience(response: &Response) -> bool {
    match response.status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::PAYMENT_REQUIRED | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            response.headers.contains_key(RETRY_AFTER)
        }
        _ => false,
    }
}

fn paid(charge: &SavedCharge, receipt: Option<ChargeReceipt>, response: Response) -> Reply {
    if receipt
        .as_ref()
        .is_none_or(|receipt| !charge.sponsored && receipt.reference.to_string() != charge.signature)
    {
        tracing::warn!(signature = %charge.signature, "the answer has no receipt for this transaction");
    }
    let charge = PaidCharge {
        amount: charge.amount,
        mint: charge.mint,
        recipient: charge.recipient,
        sponsored: charge.sponsored,
        pushed: charge.pushed.is_some(),
        receipt,
    };
    Reply { charge: Some(charge), ..response.into() }
}
