//! The points between which the settler may die.

use std::sync::{Arc, Mutex, PoisonError};

use toll_ledger::SubmissionKind;

/// What has just been done about one submission, in order.
///
/// Dying right after any of these loses nothing: the next start finishes the work, exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The chain and the ledger call for it.
    Planned,
    /// The transaction is signed, in memory only.
    Built,
    /// The signed transaction is on disk.
    Recorded,
    /// The cluster has been handed the transaction.
    Submitted,
    /// The cluster has said what became of it.
    Confirmed,
    /// What it changed on chain is in the ledger.
    Observed,
    /// The ledger has it down as landed or failed.
    Marked,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 7] = [
        Self::Planned,
        Self::Built,
        Self::Recorded,
        Self::Submitted,
        Self::Confirmed,
        Self::Observed,
        Self::Marked,
    ];
}

/// Called after every step, before the next one begins. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct StepHook(Arc<Mutex<Option<Hook>>>);

type Hook = Arc<dyn Fn(SubmissionKind, Step) + Send + Sync>;

impl StepHook {
    pub(crate) fn set(&self, hook: impl Fn(SubmissionKind, Step) + Send + Sync + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    pub(crate) fn reached(&self, kind: SubmissionKind, step: Step) {
        tracing::trace!(?kind, ?step, "step");
        let hook = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            hook(kind, step);
        }
    }
}
