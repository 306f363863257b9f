//! The vouchers of a group, as one job.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;

use super::{Job, SharedTail};
use crate::acceptance::{Basis, Offer, Outcome, accept_all};
use crate::book::Book;
use crate::engine::Tx;
use crate::{Acceptance, Accepted, LedgerError};

const NAME: &str = "accept_voucher";

/// A voucher with its caller.
pub(super) struct Offered {
    offer: Offer,
    reply: oneshot::Sender<Result<Acceptance, LedgerError>>,
}

impl Offered {
    pub(super) const fn new(offer: Offer, reply: oneshot::Sender<Result<Acceptance, LedgerError>>) -> Self {
        Self { offer, reply }
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Vouchers that are decided together.
pub(super) struct Vouchers {
    offered: Vec<Offered>,
    book: Arc<Book>,
    tail: Option<SharedTail>,
    outcomes: Option<Result<Vec<Outcome>, LedgerError>>,
}

impl Vouchers {
    pub(super) const fn new(offered: Vec<Offered>, book: Arc<Book>, tail: Option<SharedTail>) -> Self {
        Self { offered, book, tail, outcomes: None }
    }

    fn decide(&self, tx: &Tx) -> Result<Vec<Outcome>, LedgerError> {
        let offers: Vec<&Offer> = self.offered.iter().map(|offered| &offered.offer).collect();
        if let Some(tail) = &self.tail {
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(outcomes) = tail.accept(tx, &offers)? {
                return Ok(outcomes);
            }
        }
        if let Some(outcomes) = accept_all(tx, Basis::Book(&self.book), &offers)? {
            return Ok(outcomes);
        }
        tx.end_job(false)?;
        tx.begin_job()?;
        accept_all(tx, Basis::Rows, &offers)?.ok_or(LedgerError::Stopped)
    }
}

impl Job for Vouchers {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_abandoned(&self) -> bool {
        self.offered.iter().all(Offered::is_abandoned)
    }

    fn needs_rows(&self) -> bool {
        false
    }

    fn run(&mut self, tx: &Tx) -> bool {
        let outcomes = catch_unwind(AssertUnwindSafe(|| self.decide(tx)))
            .unwrap_or(Err(LedgerError::Panicked { operation: NAME }));
        let keep = outcomes.is_ok();
        if let Some(tail) = self.tail.as_ref().filter(|_| !keep) {
            tail.lock().unwrap_or_else(PoisonError::into_inner).forget();
        }
        self.outcomes = Some(outcomes);
        keep
    }

    fn answer(self: Box<Self>, committed: Result<(), LedgerError>) {
        let Self { offered, book, outcomes, .. } = *self;
        let failure = match (&outcomes, &committed) {
            (Some(Err(error)), _) | (_, Err(error)) => Some(error.clone()),
            (None, Ok(())) => Some(LedgerError::Stopped),
            (Some(Ok(_)), Ok(())) => None,
        };
        if let Some(failure) = failure {
            for Offered { reply, .. } in offered {
                let _ = reply.send(Err(failure.clone().during(NAME)));
            }
            return;
        }
        let outcomes = outcomes.and_then(Result::ok).unwrap_or_default();
        for (Offered { offer, reply }, outcome) in offered.into_iter().zip(outcomes) {
            let Outcome { acceptance, active_at } = outcome;
            if let Ok(Acceptance::Accepted(Accepted { watermarks, .. })) = &acceptance {
                book.raise(&offer.signed.voucher.channel_id, watermarks, active_at);
            }
            let _ = reply.send(acceptance);
        }
    }
}
