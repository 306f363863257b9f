//! The ledger: what a payee knows about its channels, on disk.
//!
//! Gateway and settler meet only here. The gateway turns verified vouchers into durable watermarks
//! ([`Ledger::accept`]) and records what it wants from the chain; the settler turns records into
//! transactions and copies the chain's answers back ([`Ledger::observe`]). Nothing in this crate checks a
//! signature, speaks HTTP or asks a cluster.
//!
//! The store is one SQLite file in write-ahead mode with `synchronous=FULL`, or a PostgreSQL database (feature
//! `postgres`) with serializable transactions. Every write runs on one thread that commits in groups, and no call
//! answers before its commit has returned. Several processes may share the database.
//!
//! It reads top-down: `rules` decide and know no SQL, the `book` is what this process remembers, `engine` is the door
//! to the databases. What lies between says in SQL what the ledger's functions do.
//!
//! Amounts are integers of 63 bits: a value above `i64::MAX` is refused with [`LedgerError::AmountTooLarge`].
//! Times are unix seconds.

mod acceptance;
mod answer;
mod archive;
mod book;
mod channel;
mod clock;
mod closing;
mod cluster;
mod column;
mod comparison;
mod config;
mod database;
mod engine;
mod error;
mod exposure;
mod finality;
mod journal;
mod migrations;
mod observation;
mod opening;
mod payment;
mod purge;
mod renewal;
mod replay;
mod rules;
mod serving;
mod settler_lock;
mod spending;
mod sponsor;
mod submission;
#[cfg(feature = "testing")]
mod testing;
mod tip;
mod vitals;
mod voucher;
mod watermarks;
mod writer;

pub use acceptance::{Acceptance, Accepted, Charge, EARMARK_LIFE, Widened};
pub use answer::{Answer, StoredResponse};
pub use archive::{ArchivedChannel, ArchivedSubmission};
pub use book::{Booked, BookedChannel};
pub use channel::{ChannelRecord, ChannelState, CloseReason};
pub use clock::{Clock, ManualClock, SystemClock};
pub use closing::{CloseLanded, CloseRequested, IdleCloseRequested};
pub use cluster::ClusterIdentity;
pub use config::{DatabaseUrl, InvalidSetting, LedgerConfig};
pub use database::{Changes, Ledger};
pub use engine::{DatabaseError, DatabaseErrorKind};
pub use error::LedgerError;
pub use finality::Finality;
pub use journal::{Account, Entry, EntryKind, Lamports, TransactionCost};
pub use observation::Observation;
pub use opening::{MAX_PAYABLE_RECIPIENTS, NewChannel, RecordedOpen, RecordedTopUp};
pub use payment::{NewPayment, Payment, PaymentFailure, PaymentLanded, PaymentMeans, PaymentState, Reserved};
pub use purge::Purged;
pub use renewal::{Renewal, RenewalRequested};
pub use replay::{REPLAY_RETENTION, Replay, ReplayKey};
pub use serving::{SERVING_LEASE, Serving};
pub use settler_lock::{LEASE, SettlerLock};
pub use spending::{DAY, Hold, Spending, SpendingKind, Spent, day_of};
pub use sponsor::{Sponsor, Unsponsored};
pub use submission::{Effect, Intent, Resolution, Submission, SubmissionId, SubmissionKind, SubmissionState};
#[cfg(feature = "testing")]
pub use testing::{
    BlankPlace, ChannelFixture, Fault, ReaderHold, TEST_SERVER, TestProxy, TestServer, Twin, WriterHold,
};
pub use tip::{TIP_LIFE, Tip};
pub use vitals::Vitals;
pub use watermarks::Watermarks;
