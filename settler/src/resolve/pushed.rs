//! Single payments that their payers have sent: looked for on the chain, and held against what was asked.
//!
//! A node that does not know a transaction may only be behind, so every node is asked, and again for a while, before a
//! payment is refused. Its memo repeats a reference that was drawn for its challenge: it is not older than that, and
//! pays nothing else.

use std::sync::Arc;

use toll_chain::{Chain, TakenTransaction};
use toll_ledger::{Ledger, Payment, PaymentFailure, PaymentLanded};
use toll_protocol::{decode_any_transaction, message_digest, verify_paid};
use tracing::{info, warn};

use crate::SettlerError;
use crate::config::SettlerConfig;
use crate::error::survive;
use crate::launch::{charge_of, listed};

/// How long a transaction is looked for, in seconds: a node that is further behind is of no use to anybody.
const PATIENCE: i64 = 60;

/// Most payments that one look is about.
const AT_ONCE: usize = 32;

/// Looks for what payers have sent.
pub(super) struct Pushed {
    ledger: Ledger,
    chain: Arc<dyn Chain>,
    config: Arc<SettlerConfig>,
}

impl Pushed {
    pub(super) fn new(ledger: Ledger, chain: Arc<dyn Chain>, config: Arc<SettlerConfig>) -> Self {
        Self { ledger, chain, config }
    }

    /// Looks for every payment that was not found yet.
    pub(super) async fn look(&self) -> Result<(), SettlerError> {
        for payment in self.ledger.pushed_payments(AT_ONCE).await? {
            survive("pushed payment", self.look_for(&payment).await)?;
        }
        Ok(())
    }

    async fn look_for(&self, payment: &Payment) -> Result<(), SettlerError> {
        let Some(signature) = payment.signature else { return Ok(()) };
        // An error leaves it for the next look: nobody knows.
        let Some(taken) = self.chain.transaction(&signature).await? else {
            if self.ledger.now().saturating_sub(payment.created_at) < PATIENCE {
                return Ok(());
            }
            let reason = format!("no node knows a confirmed transaction {signature}");
            return self.refuse(payment, &reason).await;
        };
        match self.check(payment, &taken) {
            Ok(landed) => {
                let state = self.ledger.push_landed(&payment.challenge_id, landed).await?;
                info!(%signature, payer = %landed.payer, ?state, "a payer's own payment");
                Ok(())
            }
            Err(reason) => self.refuse(payment, &reason).await,
        }
    }

    /// Whether what the chain shows pays what was asked.
    fn check(&self, payment: &Payment, taken: &TakenTransaction) -> Result<PaymentLanded, String> {
        if let Some(error) = &taken.error {
            return Err(format!("the transaction failed on chain: {error}"));
        }
        let charge = charge_of(&payment.terms)?;
        let listed = listed(&self.config.mints, &charge.currency)?;
        let transaction = decode_any_transaction(&taken.bytes).map_err(|error| error.to_string())?;
        if transaction.signatures.first() != payment.signature.as_ref() {
            return Err("the node answered with another transaction".to_owned());
        }
        let payer =
            verify_paid(&transaction, &charge, &listed.token_program).map_err(|error| error.to_string())?;
        let message_digest = message_digest(&transaction.message);
        Ok(PaymentLanded { message_digest, payer, slot: taken.slot })
    }

    async fn refuse(&self, payment: &Payment, reason: &str) -> Result<(), SettlerError> {
        warn!(signature = ?payment.signature, reason, "payment refused");
        self.ledger.payment_failed(&payment.challenge_id, PaymentFailure::Refused, reason).await?;
        Ok(())
    }
}
