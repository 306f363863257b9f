//! Why the ledger could not do what was asked.

use std::path::PathBuf;
use std::sync::Arc;

use toll_protocol::{ChannelId, Difference};

use crate::cluster::ClusterIdentity;
use crate::engine::{DatabaseError, DatabaseErrorKind};
use crate::submission::{SubmissionId, SubmissionState};

/// A failure of the store, or a call that no state of the store could satisfy.
///
/// Refusals that a caller must handle are not errors: they are variants of the outcome types. The text of an
/// error is complete: what caused it is part of it, not chained to it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be opened or created.
    #[error("cannot open ledger {}: {cause}", path.display())]
    Open {
        /// The file asked for.
        path: PathBuf,
        /// The database's reason.
        cause: DatabaseError,
    },
    /// The server cannot be reached, or does not let us in.
    #[error("cannot open ledger at {server}: {cause}")]
    Unreachable {
        /// Host and database.
        server: String,
        /// Why.
        cause: DatabaseError,
    },
    /// Another settler has taken the ledger over. Nothing was recorded, so nothing may be sent.
    #[error("another settler has taken over")]
    LeaseLost,
    /// The file holds something other than a database.
    #[error("{} is not a database", path.display())]
    NotADatabase {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file is another program's database.
    #[error("{} is a database, but not a ledger", path.display())]
    ForeignDatabase {
        /// The file asked for.
        path: PathBuf,
    },
    /// The file system cannot share memory between processes, which a write-ahead log needs.
    #[error("{} cannot have a write-ahead log", path.display())]
    NoWriteAheadLog {
        /// The file asked for.
        path: PathBuf,
    },
    /// A newer binary has migrated the file.
    #[error("ledger schema is version {found}, but this binary knows versions up to {known}")]
    SchemaTooNew {
        /// The file's version.
        found: u32,
        /// The newest version this binary knows.
        known: u32,
    },
    /// A migration did not apply.
    #[error("ledger migration {name} failed: {cause}")]
    Migration {
        /// The migration's name.
        name: &'static str,
        /// The database's reason.
        cause: DatabaseError,
    },
    /// The ledger belongs to another cluster or program.
    #[error("ledger is bound to {bound}, not to {offered}")]
    WrongCluster {
        /// What the ledger was bound to first.
        bound: Box<ClusterIdentity>,
        /// What it was asked to bind to.
        offered: Box<ClusterIdentity>,
    },
    /// The value does not fit the 63 bits that databases have for it.
    #[error("{amount} is above the ledger's limit of {}", i64::MAX)]
    AmountTooLarge {
        /// The value.
        amount: u64,
    },
    /// The ledger has no such channel.
    #[error("channel {0} is not in the ledger")]
    UnknownChannel(ChannelId),
    /// The ledger has no such submission.
    #[error("submission {0} is not in the ledger")]
    UnknownSubmission(SubmissionId),
    /// The submission has gone on: it cannot be signed any more.
    #[error("submission {id} is {state}, not requested")]
    NotRequested {
        /// The submission.
        id: SubmissionId,
        /// Where it stands.
        state: SubmissionState,
    },
    /// The signed form of the submission is on record already, as another submission.
    #[error("submission {id} is the same transaction as submission {earlier}")]
    SameTransaction {
        /// The submission.
        id: SubmissionId,
        /// The one that has the transaction.
        earlier: SubmissionId,
    },
    /// A voucher was verified against another key than the channel's authorized signer.
    #[error("voucher for channel {0} was verified for another signer")]
    ForeignSigner(ChannelId),
    /// The account shown for a channel is not that channel's.
    #[error("account of channel {channel} {difference} than the ledger")]
    AccountMismatch {
        /// The channel.
        channel: ChannelId,
        /// The first thing that differs.
        difference: Difference,
    },
    /// The database failed. When a write fails at its commit, everything committed with it fails too.
    #[error("{operation}: {cause}")]
    Database {
        /// The named transaction or query.
        operation: &'static str,
        /// The database's reason.
        cause: DatabaseError,
    },
    /// The operation's code panicked. It changed nothing.
    #[error("{operation} panicked")]
    Panicked {
        /// The named transaction or query.
        operation: &'static str,
    },
    /// The ledger is shutting down, or its writer died. The outcome of a write is unknown.
    #[error("ledger has stopped")]
    Stopped,
    /// A file beside the database could not be used.
    #[error("cannot use {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: Arc<std::io::Error>,
    },
}

impl From<DatabaseError> for LedgerError {
    fn from(cause: DatabaseError) -> Self {
        Self::Database { operation: "ledger", cause }
    }
}

impl LedgerError {
    /// Whether the store still works: what failed concerns one row, or passes by itself like a full disk.
    pub fn is_survivable(&self) -> bool {
        match self {
            Self::AmountTooLarge { .. }
            | Self::UnknownChannel(_)
            | Self::UnknownSubmission(_)
            | Self::NotRequested { .. }
            | Self::SameTransaction { .. }
            | Self::ForeignSigner(_)
            | Self::AccountMismatch { .. } => true,
            Self::Database { cause, .. } => matches!(
                cause.kind(),
                DatabaseErrorKind::Constraint
                    | DatabaseErrorKind::Busy
                    | DatabaseErrorKind::Full
                    | DatabaseErrorKind::Conflict
                    | DatabaseErrorKind::Disconnected
            ),
            _ => false,
        }
    }

    /// Names the operation that a database error came from.
    pub(crate) fn during(self, name: &'static str) -> Self {
        match self {
            Self::Database { cause, .. } => Self::Database { operation: name, cause },
            other => other,
        }
    }
}
