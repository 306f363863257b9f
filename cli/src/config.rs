//! `toll.toml`: the sections that ledger, gateway and settler own, in one file.
//!
//! Every setting is a field of a struct in the crate that uses it; nothing is mapped here. The example file, the JSON
//! schema and the tests go over these structs, so that a setting cannot be forgotten.
//!
//! Relative paths are relative to the file. Nothing has a secret in it: keys are in files of their own. Where
//! `session.payee`, `session.fee_payer` or `session.operator` is left out, it is the address of the key file that
//! `[settler]` or `[gateway]` names; a gateway on a machine without these files needs them spelled out.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_gateway::{
    ChargeConfig, DiscoveryConfig, GatewayConfig, RouteConfig, RouteTable, SessionConfig, Terms,
    parse_tokens, route_table,
};
use toll_ledger::LedgerConfig;
use toll_protocol::{Amount, Network, ProgramProfile, TREASURY_OWNER};
use toll_settler::{ListedMint, Renew, SettlerConfig, SettlerSettings, Surroundings, TAKEOVER};

use crate::error::{CliError, Exit, Result};
use crate::keys;
use crate::secret;

mod admin;
mod schema;

pub use admin::{AdminConfig, TelemetryConfig};
pub use schema::schema;

/// A whole `toll.toml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the ledger is, how long things stay in it, and how many.
    pub ledger: LedgerConfig,
    /// Where to listen and what to guard.
    pub gateway: GatewayConfig,
    /// The terms of every channel.
    pub session: SessionConfig,
    /// Single payments.
    #[serde(default)]
    pub charge: ChargeConfig,
    /// How to reach the chain, and what to do there how eagerly.
    pub settler: SettlerSettings,
    /// How people and agents find what is sold.
    #[serde(default)]
    pub discovery: DiscoveryConfig,
    /// Metrics and probes.
    #[serde(default)]
    pub admin: AdminConfig,
    /// Traces.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
    /// What costs how much.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
}

impl Config {
    /// Reads and validates a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let remedy = "name the file with --config; `toll localnet` writes one to start from";
            CliError::new(Exit::Config, format_args!("cannot read {}: {error}", path.display()), remedy)
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder).map_err(|error| {
            CliError::new(error.exit, format_args!("{}: {}", path.display(), error.what), error.remedy)
        })
    }

    /// Parses and validates `text`; relative paths in it are relative to `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let table: toml::Table = toml::from_str(text).map_err(|error| invalid(syntax(text, &error)))?;
        let mut config: Self = match with_addresses(table, folder)? {
            // A table knows no lines; the text may name the one that the error is about.
            Some(table) => table.try_into().map_err(|error: toml::de::Error| {
                let with_line = toml::from_str::<Self>(text).err();
                let with_line = with_line.filter(|found| found.message() == error.message());
                invalid(syntax(text, &with_line.unwrap_or(error)))
            })?,
            None => toml::from_str(text).map_err(|error| invalid(syntax(text, &error)))?,
        };
        for path in [&mut config.settler.fee_payer, &mut config.settler.payee]
            .into_iter()
            .chain(&mut config.gateway.secret_file)
            .chain(&mut config.gateway.previous_secret_file)
            .chain(&mut config.gateway.price_hook.secret_file)
            .chain(&mut config.admin.token_file)
            .chain(&mut config.gateway.operator_key_file)
            .chain(&mut config.settler.operator_key_file)
        {
            *path = folder.join(&*path);
        }
        if !config.ledger.path.as_os_str().is_empty() {
            config.ledger.path = folder.join(&config.ledger.path);
        }
        if let Some(url) = &mut config.ledger.url {
            url.below(folder);
        }
        config.validate()?;
        Ok(config)
    }

    /// Checks what the values mean, beyond their spelling.
    pub fn validate(&self) -> Result<()> {
        let Self { ledger, gateway, session: _, charge: _, settler, discovery, admin, telemetry, routes: _ } =
            self;
        ledger.validate().map_err(invalid)?;
        gateway.validate().map_err(invalid)?;
        discovery.validate().map_err(invalid)?;
        settler.validate().map_err(invalid)?;
        admin.validate().map_err(invalid)?;
        telemetry.validate().map_err(invalid)?;
        let terms = self.terms()?;
        self.routes(&terms)?;
        gateway.price_hook.validate_for(&self.routes).map_err(invalid)?;
        let settler = self.settler_config(Vec::new())?;
        let contradictions = [
            (
                self.ledger.file().is_none() && self.gateway.secret_file.is_none(),
                "gateway.secret_file",
                "must be given beside a ledger.url on a server: every gateway there needs the same",
            ),
            (
                self.ledger.file().is_none() && u64::from(terms.grace_period) < 2 * TAKEOVER,
                "session.grace_period_seconds",
                "must be at least 40 beside a ledger.url on a server: as long may it take until another settler goes on \
                 where one died, and half of it is for closing",
            ),
            (
                settler.poll_interval.as_secs() >= terms.observation_limit(terms.grace_period).unsigned_abs(),
                "settler.poll_interval_ms",
                "must be below session.observation_max_age_seconds and a tenth of session.grace_period_seconds, or \
                 nothing is ever sold",
            ),
            (
                settler.compare_within.as_secs() >= u64::from(terms.grace_period),
                "settler.compare_within_seconds",
                "must be below session.grace_period_seconds, or a forced close may be found when it is too late",
            ),
            (
                settler.tip_interval.as_secs() >= u64::from(terms.tip_max_age),
                "settler.tip_interval_ms",
                "must be below session.tip_max_age_seconds, or challenges have nothing to quote",
            ),
            (
                settler
                    .settle_before_expiry
                    .is_some_and(|time| time.as_secs() >= u64::from(terms.min_voucher_life)),
                "settler.settle_before_expiry_seconds",
                "must be below session.min_voucher_life_seconds, or every voucher is settled at once",
            ),
        ];
        match contradictions.into_iter().find(|(contradicts, ..)| *contradicts) {
            Some((_, setting, reason)) => Err(invalid(format_args!("{setting}: {reason}"))),
            None => Ok(()),
        }
    }

    /// The terms of every channel.
    pub fn terms(&self) -> Result<Terms> {
        let terms = self.session.terms(&self.gateway).map_err(invalid)?;
        let terms = self.charge.add_to(terms).map_err(invalid)?;
        Ok(Terms { keeps_deposits: self.settler.renew != Renew::Never, ..terms })
    }

    /// What costs how much.
    pub fn routes(&self, terms: &Terms) -> Result<RouteTable> {
        route_table(&self.routes, terms, self.gateway.unpriced).map_err(invalid)
    }

    /// Who owns the treasury's token accounts: it is compiled into the program, so what is known of the program
    /// says it too.
    pub fn treasury_owner(&self) -> Result<Pubkey> {
        let (network, program) = (self.session.network, self.session.program());
        let known = ProgramProfile::of(&program).and_then(|profile| profile.treasury_owner(network));
        // A program of one's own on a chain of one's own is a build of ours, more often than not.
        let of_our_builds = (network == Network::Localnet).then_some(TREASURY_OWNER);
        self.settler.treasury_owner.or(known).or(of_our_builds).ok_or_else(|| {
            invalid(format_args!(
                "settler.treasury_owner: is needed on {network} for {program}; it is compiled into that program"
            ))
        })
    }

    /// When to settle without closing.
    pub fn settle_threshold(&self) -> Result<Option<Amount>> {
        let parse = |text: &String| {
            parse_tokens(text, self.session.decimals)
                .map_err(|reason| invalid(format_args!("settler.settle_threshold: {text:?}: {reason}")))
        };
        self.settler.settle_threshold.as_ref().map(parse).transpose()
    }

    /// What the settler works by, for the mints of the session with their token programs.
    pub fn settler_config(&self, mints: Vec<ListedMint>) -> Result<SettlerConfig> {
        Ok(self.settler.config(Surroundings {
            network: self.session.network,
            program: self.session.program(),
            treasury_owner: self.treasury_owner()?,
            mints,
            compute_unit_cap: self.session.max_compute_unit_limit,
            compute_unit_price_cap: self.session.max_compute_unit_price,
            settle_threshold: self.settle_threshold()?,
            grace_period: self.terms()?.grace_period,
        }))
    }

    /// The file with the challenge secret: the one named, or the one beside the ledger.
    pub fn secret_file(&self) -> PathBuf {
        self.gateway
            .secret_file
            .clone()
            .unwrap_or_else(|| secret::beside(self.ledger.file().unwrap_or(&self.ledger.path)))
    }
}

/// The table with addresses filled in from key files; `None` when there is nothing to fill in.
fn with_addresses(mut table: toml::Table, folder: &Path) -> Result<Option<toml::Table>> {
    let section = |name: &str| table.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let (settler, gateway) = (section("settler"), section("gateway"));
    let Some(session) = table.get_mut("session").and_then(toml::Value::as_table_mut) else { return Ok(None) };
    let mut filled = false;
    let files = [
        ("payee", "settler.payee", settler.get("payee")),
        ("fee_payer", "settler.fee_payer", settler.get("fee_payer")),
        ("operator", "gateway.operator_key_file", gateway.get("operator_key_file")),
        ("operator", "settler.operator_key_file", settler.get("operator_key_file")),
    ];
    for (role, setting, file) in files {
        let Some(file) = file.and_then(toml::Value::as_str) else { continue };
        if session.contains_key(role) {
            continue;
        }
        let key = keys::read(&folder.join(file)).map_err(|error| CliError {
            remedy: format!("give session.{role}, or the key file in {setting}; `toll keygen` makes one"),
            ..error
        })?;
        session.insert(role.into(), key.pubkey().to_string().into());
        filled = true;
    }
    Ok(filled.then_some(table))
}

fn invalid(what: impl std::fmt::Display) -> CliError {
    CliError::new(Exit::Config, what, "correct the configuration")
}

/// TOML's message on one line, with the line it is about.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let message = error.message().trim();
    line.map_or_else(|| message.to_owned(), |line| format!("line {line}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9";

    fn example() -> String {
        format!(
            r#"
[ledger]
path = "toll.db"

[gateway]
upstream = "http://127.0.0.1:8080"
realm = "example.com"

[session]
network = "localnet"
payee = "{KEY}"
fee_payer = "{KEY}"
mint = "{KEY}"
allowed_mints = ["{KEY}"]
decimals = 6
minimum_deposit = "0.01"

[settler]
rpc = "http://127.0.0.1:8899"
fee_payer = "fee-payer.json"
payee = "/keys/payee.json"

[[routes]]
path = "/**"
price = "0.001"
"#
        )
    }

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text, Path::new("/etc/toll"))
    }

    fn refusal(text: &str) -> String {
        let error = parse(text).unwrap_err();
        assert_eq!(error.exit, Exit::Config);
        error.to_string()
    }

    #[test]
    fn relative_paths_are_relative_to_the_file() {
        let config = parse(&example()).unwrap();
        assert_eq!(config.ledger.path, Path::new("/etc/toll/toll.db"));
        assert_eq!(config.settler.fee_payer, Path::new("/etc/toll/fee-payer.json"));
        assert_eq!(config.settler.payee, Path::new("/keys/payee.json"));
    }

    #[test]
    fn addresses_left_out_are_those_of_the_key_files() {
        let folder = tempfile::tempdir().unwrap();
        let text = example()
            .replace(&format!("payee = \"{KEY}\"\n"), "")
            .replace(&format!("fee_payer = \"{KEY}\"\n"), "")
            .replace("/keys/", "");
        let missing = Config::parse(&text, folder.path()).unwrap_err();
        assert_eq!(missing.exit, Exit::Key);
        assert!(missing.to_string().contains("session.payee"), "{missing}");

        let (payee, fee_payer) = (solana_keypair::Keypair::new(), solana_keypair::Keypair::new());
        keys::write(&folder.path().join("payee.json"), &payee, false).unwrap();
        keys::write(&folder.path().join("fee-payer.json"), &fee_payer, false).unwrap();
        let config = Config::parse(&text, folder.path()).unwrap();
        assert_eq!(config.session.payee, payee.pubkey());
        assert_eq!(config.session.fee_payer, fee_payer.pubkey());
        let nonsense = text.replace("decimals = 6", "decimals = 6\nnonsense = 1");
        let refused = Config::parse(&nonsense, folder.path()).unwrap_err().what;
        assert!(refused.contains("nonsense") && refused.contains("line"), "{refused}");
    }

    #[test]
    fn an_unknown_setting_is_refused_with_its_line() {
        let text = example().replace("path = \"toll.db\"", "path = \"toll.db\"\nsynchronous = \"off\"");
        let refusal = refusal(&text);
        assert!(refusal.contains("synchronous") && refusal.contains("line 4"), "{refusal}");
    }

    #[test]
    fn a_missing_section_is_named() {
        let text = example().replace("[ledger]\npath = \"toll.db\"", "");
        assert!(refusal(&text).contains("ledger"));
    }

    #[test]
    fn program_and_treasury_owner_are_those_of_the_cluster_unless_named() {
        let on =
            |network: &str| parse(&example().replace("\"localnet\"", &format!("\"{network}\""))).unwrap();
        let canonical = ProgramProfile::CANONICAL;
        let mut owners = Vec::new();
        for network in ["mainnet", "devnet"] {
            let config = on(network);
            assert_eq!(config.terms().unwrap().program, canonical.id);
            let settler = config.settler_config(Vec::new()).unwrap();
            assert_eq!(settler.program, canonical.id);
            assert_eq!(Some(settler.treasury_owner), canonical.treasury_owner(config.session.network));
            owners.push(settler.treasury_owner);
        }
        assert_ne!(owners[0], owners[1]);
        let local = on("localnet");
        assert_eq!(local.terms().unwrap().program, toll_protocol::PROGRAM_ID);
        assert_eq!(local.treasury_owner().unwrap(), TREASURY_OWNER);
    }

    #[test]
    fn a_program_that_is_not_known_on_a_public_cluster_needs_its_treasury_owner() {
        let devnet = example().replace("\"localnet\"", "\"devnet\"");
        for program in [KEY.to_owned(), toll_protocol::PROGRAM_ID.to_string()] {
            let named = devnet.replace("[session]\n", &format!("[session]\nprogram = \"{program}\"\n"));
            assert!(refusal(&named).contains("settler.treasury_owner"));
            let owned = named.replace("[settler]\n", &format!("[settler]\ntreasury_owner = \"{KEY}\"\n"));
            let config = parse(&owned).unwrap();
            assert_eq!(config.terms().unwrap().program.to_string(), program);
            assert_eq!(config.treasury_owner().unwrap().to_string(), KEY);
        }
    }

    #[test]
    fn the_node_may_be_a_list() {
        let text = example().replace(
            "rpc = \"http://127.0.0.1:8899\"",
            "rpc = [\"http://127.0.0.1:8899\", \"https://b.example\"]",
        );
        assert_eq!(parse(&text).unwrap().settler.rpc.urls(), ["http://127.0.0.1:8899", "https://b.example"]);
        assert!(refusal(&text.replace("https://b", "b")).contains("settler.rpc: entry 2"));
    }

    #[test]
    fn a_config_without_routes_is_refused() {
        let text = example().replace("[[routes]]\npath = \"/**\"\nprice = \"0.001\"", "");
        assert!(refusal(&text).contains("routes"));
    }

    #[test]
    fn an_interval_of_zero_is_refused() {
        let text = example().replace("[settler]\n", "[settler]\npoll_interval_ms = 0\n");
        assert!(refusal(&text).contains("poll_interval_ms"));
    }

    #[test]
    fn a_node_that_is_no_url_is_refused() {
        assert!(
            refusal(&example().replace("http://127.0.0.1:8899", "127.0.0.1:8899")).contains("settler.rpc")
        );
    }

    #[test]
    fn a_config_survives_being_written_and_read() {
        let config = parse(&example()).unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::to_string(&parse(&text).unwrap()).unwrap(), text);
    }
}
