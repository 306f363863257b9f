//! The last steps of every transaction: on record, then to the cluster.

use std::sync::Arc;
use std::time::Duration;

use toll_chain::Chain;
use toll_ledger::{Intent, Ledger, LedgerError, Submission, SubmissionId, SubmissionKind};
use tracing::{debug, info, warn};

use super::Shared;
use super::transaction::Signed;
use crate::in_flight::InFlight;
use crate::step::StepHook;
use crate::{SettlerError, Step};

/// Records transactions and sends them, in that order.
pub(crate) struct Outbox {
    ledger: Ledger,
    chain: Arc<dyn Chain>,
    in_flight: Arc<InFlight>,
    hook: StepHook,
    resend_interval: Duration,
}

impl Outbox {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self {
            ledger: shared.ledger.clone(),
            chain: Arc::clone(&shared.chain),
            in_flight: Arc::clone(&shared.in_flight),
            hook: shared.hook.clone(),
            resend_interval: shared.config.resend_interval,
        }
    }

    /// Records a transaction of our own and sends it.
    pub(crate) async fn own(
        &self,
        intent: Intent,
        signed: Signed,
        last_valid_block_height: u64,
    ) -> Result<SubmissionId, SettlerError> {
        let kind = intent.kind;
        self.hook.reached(kind, Step::Built);
        let Signed { bytes, signature, .. } = signed;
        let channels: Vec<_> = intent.effects.iter().map(|effect| effect.channel).collect();
        let id = self.ledger.record(intent, bytes.clone(), signature, last_valid_block_height).await?;
        self.hook.reached(kind, Step::Recorded);
        info!(%kind, ?channels, %signature, "sending");
        self.send(id, kind, &bytes).await;
        Ok(id)
    }

    /// Records that a payer's request is signed, and sends it.
    ///
    /// Fails with [`LedgerError::SameTransaction`] when it is on record already: it must not be sent then.
    pub(crate) async fn requested(
        &self,
        request: &Submission,
        signed: Signed,
        last_valid_block_height: u64,
    ) -> Result<(), LedgerError> {
        let (id, kind) = (request.id, request.kind);
        self.hook.reached(kind, Step::Built);
        let Signed { bytes, signature, .. } = signed;
        self.ledger.record_signed(id, bytes.clone(), signature, last_valid_block_height).await?;
        self.hook.reached(kind, Step::Recorded);
        info!(%kind, channels = ?request.channels(), %signature, "sending");
        self.send(id, kind, &bytes).await;
        Ok(())
    }

    /// Sends what is on record and not resolved once more, if its time has come.
    pub(crate) async fn send_again(&self, submission: &Submission) {
        if self.in_flight.is_due(submission, self.resend_interval) {
            debug!(id = %submission.id, "sending again");
            self.submit(submission.kind, &submission.transaction).await;
        }
    }

    async fn send(&self, id: SubmissionId, kind: SubmissionKind, bytes: &[u8]) {
        self.in_flight.sent(id, kind);
        self.submit(kind, bytes).await;
    }

    /// Whatever the node answers: resolving settles the question.
    async fn submit(&self, kind: SubmissionKind, bytes: &[u8]) {
        if let Err(error) = self.chain.submit(bytes).await {
            // Not a failure yet: it may still land until its blockhash expires.
            warn!(%error, "submit");
        }
        self.hook.reached(kind, Step::Submitted);
    }
}
