//! `[ledger]`: where the ledger is, how long things stay in it, and how many.

mod url;

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::REPLAY_RETENTION;

pub use self::url::DatabaseUrl;

const DAY: i64 = 24 * 60 * 60;

/// `[ledger]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// The database file; made when missing. Its folder must exist.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub path: PathBuf,
    /// The database, instead of the file at `path`: `postgres://user:password@host/database` for a server that several
    /// gateways and settlers share, or `sqlite:` and a path. `PGPASSWORD` gives a password that the URL does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub url: Option<DatabaseUrl>,
    /// Seconds for which any answer of a database server is waited for; then it counts as unreachable.
    #[serde(default = "default_server_patience")]
    pub server_patience_seconds: u16,
    /// Seconds for which the answers of paid requests are kept, the uses of challenges once these have expired,
    /// and the bytes of transactions that are resolved.
    #[serde(default = "default_replay_retention")]
    pub replay_retention_seconds: u32,
    /// Bytes that the kept answers of all channels may take; the oldest make room for new ones.
    #[serde(default = "default_max_answer_bytes")]
    pub max_answer_bytes: u64,
    /// The same for the answers of one channel.
    #[serde(default = "default_max_answer_bytes_per_channel")]
    pub max_answer_bytes_per_channel: u64,
    /// Days for which a paid request on a channel that lives on is recognized, though its answer is gone. A
    /// repeat under an idempotency key that comes later is charged as a new request.
    #[serde(default = "default_replay_entry_retention")]
    pub replay_entry_retention_days: u16,
    /// Days after which a channel that is over moves to the archive.
    #[serde(default = "default_archive_after")]
    pub archive_after_days: u16,
    /// Days for which the archive keeps a channel. Kept for good unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_retention_days: Option<u16>,
    /// Seconds for which an open that never landed is kept, to tell its payer why.
    #[serde(default = "default_failed_open_retention")]
    pub failed_open_retention_seconds: u32,
    /// Most opens that never landed; the oldest beyond go early. One whose address could still be opened stays.
    #[serde(default = "default_max_failed_opens")]
    pub max_failed_opens: u32,
    /// Most requests that may wait for the settler's signature; beyond, opens are refused for the time being.
    #[serde(default = "default_max_requested")]
    pub max_requested: u32,
    /// Rows that one transaction of a purge touches: vouchers wait no longer than that for their turn.
    #[serde(default = "default_purge_batch_rows")]
    pub purge_batch_rows: u32,
    /// Open channels that a process remembers, at a kilobyte each, so that their requests read nothing from the
    /// database. Those that were longest without a request are forgotten first, and read when they come again.
    #[serde(default = "default_book_channels")]
    pub book_channels: u32,
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn default_server_patience() -> u16 {
    5
}

fn default_replay_retention() -> u32 {
    REPLAY_RETENTION as u32
}

fn default_max_answer_bytes() -> u64 {
    1 << 30
}

fn default_max_answer_bytes_per_channel() -> u64 {
    4 << 20
}

fn default_replay_entry_retention() -> u16 {
    30
}

fn default_archive_after() -> u16 {
    7
}

fn default_failed_open_retention() -> u32 {
    24 * 60 * 60
}

fn default_max_failed_opens() -> u32 {
    10_000
}

/// The settler gets through these while a blockhash lives, and a flood of opens that never land, which cost their
/// sender nothing, stays this small.
fn default_max_requested() -> u32 {
    500
}

fn default_purge_batch_rows() -> u32 {
    200
}

fn default_book_channels() -> u32 {
    65_536
}

/// A value of `[ledger]` that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct InvalidSetting {
    /// The setting's path in the file.
    pub setting: &'static str,
    /// Why it cannot work.
    pub reason: &'static str,
}

impl LedgerConfig {
    /// The defaults, for the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            url: None,
            server_patience_seconds: default_server_patience(),
            replay_retention_seconds: default_replay_retention(),
            max_answer_bytes: default_max_answer_bytes(),
            max_answer_bytes_per_channel: default_max_answer_bytes_per_channel(),
            replay_entry_retention_days: default_replay_entry_retention(),
            archive_after_days: default_archive_after(),
            archive_retention_days: None,
            failed_open_retention_seconds: default_failed_open_retention(),
            max_failed_opens: default_max_failed_opens(),
            max_requested: default_max_requested(),
            purge_batch_rows: default_purge_batch_rows(),
            book_channels: default_book_channels(),
        }
    }

    /// Checks what the values mean.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let Self {
            path,
            url,
            server_patience_seconds,
            replay_retention_seconds,
            max_answer_bytes,
            max_answer_bytes_per_channel,
            replay_entry_retention_days,
            archive_after_days,
            archive_retention_days,
            failed_open_retention_seconds,
            max_failed_opens,
            max_requested,
            purge_batch_rows,
            book_channels,
        } = self;
        let zero = "must not be zero";
        let fault = url.as_ref().and_then(DatabaseUrl::fault);
        let checks = [
            (path.as_os_str().is_empty() && url.is_none(), "ledger.path", "must name a file"),
            (fault.is_some(), "ledger.url", fault.unwrap_or_default()),
            (*server_patience_seconds == 0, "ledger.server_patience_seconds", zero),
            (*replay_retention_seconds == 0, "ledger.replay_retention_seconds", zero),
            (*max_answer_bytes == 0, "ledger.max_answer_bytes", zero),
            (*max_answer_bytes_per_channel == 0, "ledger.max_answer_bytes_per_channel", zero),
            (
                max_answer_bytes_per_channel > max_answer_bytes,
                "ledger.max_answer_bytes_per_channel",
                "is above ledger.max_answer_bytes",
            ),
            (*replay_entry_retention_days == 0, "ledger.replay_entry_retention_days", zero),
            (
                self.replay_entry_retention() < self.replay_retention(),
                "ledger.replay_entry_retention_days",
                "is below ledger.replay_retention_seconds: an answer would outlive its request",
            ),
            // What vanished from the chain is watched for a day: a node that hid it may show it again.
            (*archive_after_days == 0, "ledger.archive_after_days", zero),
            (*archive_retention_days == Some(0), "ledger.archive_retention_days", zero),
            (*failed_open_retention_seconds == 0, "ledger.failed_open_retention_seconds", zero),
            (*max_failed_opens == 0, "ledger.max_failed_opens", zero),
            (*max_requested == 0, "ledger.max_requested", zero),
            (*purge_batch_rows == 0, "ledger.purge_batch_rows", zero),
            (*book_channels == 0, "ledger.book_channels", zero),
        ];
        match checks.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, setting, reason)) => Err(InvalidSetting { setting, reason }),
            None => Ok(()),
        }
    }

    /// The defaults, for the database at `url`.
    pub fn at(url: DatabaseUrl) -> Self {
        Self { url: Some(url), ..Self::new("") }
    }

    /// The database file, unless the ledger is on a server.
    pub fn file(&self) -> Option<&Path> {
        match &self.url {
            Some(url) => url.file(),
            None => Some(&self.path),
        }
    }

    /// How long an answer of a server is waited for.
    pub fn server_patience(&self) -> Duration {
        Duration::from_secs(self.server_patience_seconds.into())
    }

    /// Seconds for which answers are kept.
    pub fn replay_retention(&self) -> i64 {
        i64::from(self.replay_retention_seconds)
    }

    /// Seconds for which requests on live channels are kept.
    pub(crate) fn replay_entry_retention(&self) -> i64 {
        i64::from(self.replay_entry_retention_days) * DAY
    }

    /// Seconds for which a channel that is over stays out of the archive.
    pub(crate) fn archive_after(&self) -> i64 {
        i64::from(self.archive_after_days) * DAY
    }

    /// Seconds for which the archive keeps a channel, if it forgets at all.
    pub(crate) fn archive_retention(&self) -> Option<i64> {
        self.archive_retention_days.map(|days| i64::from(days) * DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_may_be_zero() {
        LedgerConfig::new("ledger.db").validate().unwrap();
        for setting in [
            "replay_retention_seconds",
            "max_answer_bytes",
            "max_answer_bytes_per_channel",
            "replay_entry_retention_days",
            "archive_after_days",
            "archive_retention_days",
            "failed_open_retention_seconds",
            "max_failed_opens",
            "max_requested",
            "purge_batch_rows",
            "book_channels",
            "server_patience_seconds",
        ] {
            let mut values = serde_json::to_value(LedgerConfig::new("ledger.db")).unwrap();
            values[setting] = 0.into();
            let config: LedgerConfig = serde_json::from_value(values).unwrap();
            assert_eq!(config.validate().unwrap_err().setting, format!("ledger.{setting}"));
        }
    }

    #[test]
    fn a_ledger_is_in_one_place() {
        let mut config = LedgerConfig::new("ledger.db");
        assert_eq!(config.file(), Some(Path::new("ledger.db")));
        config.url = Some(DatabaseUrl::new("sqlite:other.db"));
        assert_eq!(config.file(), Some(Path::new("other.db")));
        config.url = Some(DatabaseUrl::new("postgres://db/ledger"));
        assert_eq!(config.file(), None);
        config.path = PathBuf::new();
        config.validate().unwrap();
        config.url = None;
        assert_eq!(config.validate().unwrap_err().setting, "ledger.path");
        config.url = Some(DatabaseUrl::new("mysql://db/ledger"));
        assert_eq!(config.validate().unwrap_err().setting, "ledger.url");
    }

    #[test]
    fn an_answer_cannot_outlive_its_request() {
        let config =
            LedgerConfig { replay_retention_seconds: 31 * 24 * 60 * 60, ..LedgerConfig::new("ledger.db") };
        assert_eq!(config.validate().unwrap_err().setting, "ledger.replay_entry_retention_days");
    }

    #[test]
    fn a_file_that_names_only_a_path_has_the_defaults() {
        let config: LedgerConfig =
            serde_json::from_value(serde_json::json!({ "path": "ledger.db" })).unwrap();
        assert_eq!(config, LedgerConfig::new("ledger.db"));
    }
}
