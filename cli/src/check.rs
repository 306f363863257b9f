//! What a server would do with a configuration, found out without doing any of it.

use std::io::{ErrorKind, Read};
use std::path::Path;

use serde_json::Value;
use toll_gateway::parse_tokens;

use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::server::{self, Role};

/// A configuration that works.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the server would do, a sentence each.
    pub does: Vec<String>,
    /// Every setting with the value in force. URLs are cut down to their hosts: they may have keys in them.
    pub settings: Value,
}

/// Checks the file at `path` and everything it names on this machine. Touches nothing; asks no cluster.
///
/// Whatever is wrong is [`Exit::Config`] and names its setting.
pub fn check(path: &Path, role: Role) -> Result<Checked> {
    let checked = Config::read(path).and_then(|config| {
        if role != Role::Gateway {
            server::check_keys(&config)?;
        }
        let mut does = Vec::new();
        if role != Role::Settler {
            gateway(&config, &mut does)?;
        }
        does.push(match config.ledger.file() {
            Some(file) => ledger(file)?,
            None => "keeps the ledger on the database server of ledger.url".to_owned(),
        });
        if role != Role::Gateway {
            settler(&config, &mut does)?;
        }
        Ok(Checked { does, settings: settings(&config) })
    });
    checked.map_err(|error| CliError { exit: Exit::Config, ..error })
}

fn gateway(config: &Config, does: &mut Vec<String>) -> Result<()> {
    let (gateway, session) = (&config.gateway, &config.session);
    does.push(format!(
        "guards {} at http://{} as {}",
        host(&gateway.upstream),
        gateway.listen,
        gateway.realm
    ));
    does.push(secret(config)?);
    does.push(format!(
        "sells for {} (mint {}, {} decimals) on {}, through program {}",
        session.payee,
        session.mint,
        session.decimals,
        session.network,
        session.program()
    ));
    for route in &config.routes {
        let method = route.method.as_deref().unwrap_or("*");
        let units = parse_tokens(&route.price, session.decimals).unwrap_or_default();
        does.push(format!("charges {} ({units} base units) for {method} {}", route.price, route.path));
    }
    Ok(())
}

/// Reads the secrets where they are; one that is made at the first start needs a folder.
fn secret(config: &Config) -> Result<String> {
    let file = config.secret_file();
    let mut settings = config.gateway.clone();
    let made = settings.secret_file.is_none() && !file.exists();
    if !made {
        settings.secret_file = Some(file.clone());
    }
    settings.challenge_secret().map_err(|error| CliError::new(Exit::Config, error, "correct the file"))?;
    let verb = if made { "makes" } else { "uses" };
    Ok(format!("{verb} the challenge secret in {}", file.display()))
}

/// Looks at the ledger's first bytes: opening it would write.
fn ledger(path: &Path) -> Result<String> {
    let wrong =
        |what: String, remedy: &str| CliError::new(Exit::Config, format_args!("ledger.path: {what}"), remedy);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(wrong(format!("{} is no folder", folder.display()), "make it, or name another file"));
    }
    let mut header = Vec::new();
    match std::fs::File::open(path).and_then(|file| file.take(72).read_to_end(&mut header)) {
        Ok(0) => Ok(format!("makes the ledger {}", path.display())),
        Ok(_) if is_ledger(&header) => Ok(format!("goes on with the ledger {}", path.display())),
        Ok(_) => Err(wrong(format!("{} is no ledger", path.display()), "name another file")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(format!("makes the ledger {}", path.display()))
        }
        Err(error) => Err(wrong(format!("cannot read {}: {error}", path.display()), "check its owner")),
    }
}

/// SQLite's magic, and our application id at offset 68 ("Database File Format", 1.3).
fn is_ledger(header: &[u8]) -> bool {
    header.starts_with(b"SQLite format 3\0") && header.get(68..72) == Some(b"toll")
}

fn settler(config: &Config, does: &mut Vec<String>) -> Result<()> {
    let settings = config.settler_config(Vec::new())?;
    does.push(format!(
        "settles on {}, fees and rent paid by {}, looking at the chain every {:?}",
        hosts(&config.settler),
        config.session.fee_payer,
        settings.poll_interval
    ));
    does.push(match settings.close_on_shutdown {
        true => format!("closes every open channel when stopped, within {:?}", settings.drain_timeout),
        false => "leaves channels open when stopped".to_owned(),
    });
    Ok(())
}

fn settings(config: &Config) -> Value {
    let mut settings = serde_json::to_value(config).expect("settings have text keys and finite numbers");
    for (section, setting) in [
        ("gateway", "upstream"),
        ("ledger", "url"),
        ("settler", "rpc"),
        ("settler", "websocket"),
        ("telemetry", "otlp_endpoint"),
    ] {
        shorten(&mut settings[section][setting]);
    }
    settings
}

/// A URL, or a list of them, without what comes after the host.
fn shorten(urls: &mut Value) {
    match urls {
        Value::String(url) if !url.is_empty() => *url = host(url),
        Value::Array(urls) => urls.iter_mut().for_each(shorten),
        _ => {}
    }
}

fn hosts(settler: &impl serde::Serialize) -> String {
    let mut rpc = serde_json::to_value(settler).map_or(Value::Null, |mut settler| settler["rpc"].take());
    shorten(&mut rpc);
    match rpc {
        Value::Array(urls) => urls.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        url => url.as_str().unwrap_or_default().to_owned(),
    }
}

fn host(url: &str) -> String {
    let shown = |url: reqwest::Url| match url.origin().is_tuple() {
        true => url.origin().ascii_serialization(),
        // Of a database only the host; of a file its whole path.
        false => url.host_str().map_or_else(|| url.to_string(), |host| format!("{}://{host}", url.scheme())),
    };
    reqwest::Url::parse(url).map_or_else(|_| "?".to_owned(), shown)
}
