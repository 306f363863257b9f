//! Where a server is, and how it is reached.

use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Connection, Socket};

use super::tls::{Stream, Tls};

/// A server, a database on it, and who we are there.
pub(crate) struct Address {
    config: Config,
    tls: Tls,
    shown: String,
    patience: Duration,
}

impl Address {
    /// Reads a `postgres://` URL. Any answer is waited for as long as `patience`.
    ///
    /// A password that the URL does not have is taken from `PGPASSWORD`. A certificate is checked against those that the
    /// system trusts, or those of `SSL_CERT_FILE`.
    pub(crate) fn parse(url: &str, patience: Duration) -> Result<Self, &'static str> {
        let mut config = read(url)?;
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        config.connect_timeout(patience).application_name("toll");
        let shown = shown(&config);
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => Tls::unused(),
            _ => Tls::of_system(),
        };
        let tls = tls.map_err(|_| "cannot be reached with TLS by this build")?;
        Ok(Self { config, tls, shown, patience })
    }

    pub(super) async fn connect(
        &self,
    ) -> Result<(Client, Connection<Socket, Stream>), tokio_postgres::Error> {
        self.config.connect(self.tls.clone()).await
    }

    /// Host and database, without who we are there.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }
}

/// Why a URL leads to no database, whatever runs there.
pub(crate) fn fault(url: &str) -> Option<&'static str> {
    read(url).err()
}

fn read(url: &str) -> Result<Config, &'static str> {
    let config: Config = url.parse().map_err(|_| "is no URL of a PostgreSQL database")?;
    if config.get_hosts().is_empty() {
        return Err("names no host");
    }
    if config.get_dbname().is_none() {
        return Err("names no database");
    }
    Ok(config)
}

fn shown(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        })
        .collect();
    format!("{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, &'static str> {
        Address::parse(url, Duration::from_secs(5))
    }

    #[test]
    fn what_is_shown_of_an_address_has_no_secret() {
        let address =
            parse("postgres://toll:hunter2@db.example,other.example/ledger?sslmode=require").unwrap();
        assert_eq!(address.shown(), "db.example,other.example/ledger");
    }

    #[test]
    fn an_address_that_names_no_database_is_refused() {
        assert_eq!(parse("postgres://db.example").err(), Some("names no database"));
        assert_eq!(parse("postgres:///ledger").err(), Some("names no host"));
        assert!(parse("postgres://db.example/ledger?colour=red").is_err());
    }
}
