//! Where a ledger is, in one line.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::postgres;

/// A database: `postgres://user:password@host:port/database` for a server, `sqlite:` and a path, or a bare path, for a
/// file. It may hold a password, so it is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The file, unless it names a server.
    pub fn file(&self) -> Option<&Path> {
        (!self.is_server()).then(|| Path::new(self.0.strip_prefix("sqlite:").unwrap_or(&self.0)))
    }

    /// Whether it names a server.
    pub fn is_server(&self) -> bool {
        self.0.starts_with("postgres://") || self.0.starts_with("postgresql://")
    }

    /// Takes a path that is relative as one from `folder`.
    pub fn below(&mut self, folder: &Path) {
        let file = self.file().map(Path::to_owned).filter(|file: &PathBuf| !file.as_os_str().is_empty());
        if let Some(file) = file {
            self.0 = format!("sqlite:{}", folder.join(file).display());
        }
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Why no ledger can be there.
    pub(super) fn fault(&self) -> Option<&'static str> {
        match self.file() {
            Some(file) if file.as_os_str().is_empty() => Some("must name a file or a server"),
            Some(file) if file.to_string_lossy().contains("://") => {
                Some("must begin with postgres:// or sqlite:, or be a path")
            }
            Some(_) => None,
            None => postgres::fault(&self.0),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_server() { "postgres://…" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_server_or_a_file() {
        let file = |url: &str| DatabaseUrl::new(url).file().map(Path::to_owned);
        assert_eq!(file("postgres://db/ledger"), None);
        assert_eq!(file("postgresql://db/ledger"), None);
        assert_eq!(file("sqlite:ledger.db"), Some("ledger.db".into()));
        assert_eq!(file("/var/ledger.db"), Some("/var/ledger.db".into()));
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(format!("{:?}", DatabaseUrl::new("postgres://toll:hunter2@db/ledger")), "postgres://…");
    }

    #[test]
    fn a_url_of_another_kind_is_refused() {
        assert!(DatabaseUrl::new("mysql://db/ledger").fault().is_some());
        assert!(DatabaseUrl::new("").fault().is_some());
        assert!(DatabaseUrl::new("sqlite:").fault().is_some());
        assert_eq!(DatabaseUrl::new("ledger.db").fault(), None);
    }

    #[test]
    fn a_server_without_host_or_database_is_refused_before_it_is_asked() {
        assert_eq!(DatabaseUrl::new("postgres://db/ledger?sslmode=require").fault(), None);
        for (url, fault) in [
            ("postgres://db.example", "names no database"),
            ("postgres:///ledger", "names no host"),
            ("postgres://db/ledger?colour=red", "is no URL of a PostgreSQL database"),
            ("postgres://db:port/ledger", "is no URL of a PostgreSQL database"),
        ] {
            assert_eq!(DatabaseUrl::new(url).fault(), Some(fault), "{url}");
        }
    }

    #[test]
    fn a_relative_file_is_taken_from_a_folder_and_a_server_is_left_alone() {
        for (url, below) in [
            ("sqlite:a.db", "sqlite:/etc/toll/a.db"),
            ("a.db", "sqlite:/etc/toll/a.db"),
            ("/a.db", "sqlite:/a.db"),
            ("postgres://db/a", "postgres://db/a"),
        ] {
            let mut url = DatabaseUrl::new(url);
            url.below(Path::new("/etc/toll"));
            assert_eq!(url.reveal(), below);
        }
    }
}
