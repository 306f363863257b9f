//! What documents call a transaction.

use toll_ledger::SubmissionKind;

/// A kind of transaction as documents spell it: in camel case, like all of JSON here.
pub(crate) fn kind(kind: SubmissionKind) -> &'static str {
    match kind {
        SubmissionKind::Open => "open",
        SubmissionKind::TopUp => "topUp",
        SubmissionKind::Settle => "settle",
        SubmissionKind::Close => "close",
        SubmissionKind::Seal => "seal",
        SubmissionKind::Distribute => "distribute",
        SubmissionKind::Reclaim => "reclaim",
        SubmissionKind::CreateAccount => "createAccount",
        SubmissionKind::Rearm => "rearm",
        SubmissionKind::Charge => "charge",
    }
}
