//! Getting paid: gateway and settler, in one process or each alone.

mod hangup;
mod settling;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use toll_chain::{ChainError, RpcChain};
use toll_gateway::{
    ConfigError, Discovery, Gateway, GatewayConfig, GatewayError, Proxy, RouteSigner, proxy_router, serve,
};
use toll_ledger::{Ledger, LedgerError, SystemClock};
use toll_protocol::OperatorKey;
use toll_settler::{ListedMint, Settler, SettlerConfig, SettlerError, SettlerKeys, Summary};

pub use self::hangup::Hangups;
use self::settling::Settling;
use crate::admin::{Admin, Eyes};
use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::keys;
use crate::secret;
use toll_chain::Cluster;

/// Which halves run in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Both.
    Both,
    /// Only HTTP; a settler runs elsewhere on the same ledger.
    Gateway,
    /// Only the chain; a gateway runs elsewhere on the same ledger.
    Settler,
}

/// A running server.
///
/// Stopping it lets running requests finish first, while the settler still works, and then lets the settler
/// close what the configuration says it closes.
pub struct Server {
    /// Where the gateway listens, if it runs here.
    pub address: Option<SocketAddr>,
    /// Where metrics and probes are, if anywhere.
    pub admin_address: Option<SocketAddr>,
    ledger: Ledger,
    /// The configuration's part and what reads it again.
    secrets: Option<(GatewayConfig, Arc<Gateway>)>,
    gateway: Option<Part<(), GatewayError>>,
    settler: Option<Part<Summary, CliError>>,
    admin: Option<Part<(), std::io::Error>>,
}

/// A task, and the word that ends it.
struct Part<T, E> {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<T, E>>,
}

impl<T: Send + 'static, E: Send + 'static> Part<T, E> {
    fn spawn<F>(work: impl FnOnce(BoxFuture) -> F) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let (stop, mut stopped) = watch::channel(false);
        // The sender lives as long as the task may.
        let until = Box::pin(async move { drop(stopped.wait_for(|stop| *stop).await) });
        Self { stop, task: tokio::spawn(work(until)) }
    }

    async fn stop(&mut self, describe: impl Fn(&E) -> CliError) -> Result<T> {
        self.stop.send_replace(true);
        (&mut self.task).await.map_err(panicked)?.map_err(|error| describe(&error))
    }

    /// Resolves when the task ends by itself.
    async fn failed(&mut self, describe: impl Fn(&E) -> CliError) -> CliError {
        match (&mut self.task).await {
            Ok(Err(error)) => describe(&error),
            Ok(Ok(_)) => {
                CliError::new(Exit::Internal, "a part of the server ended unasked", "start it again")
            }
            Err(error) => panicked(error),
        }
    }
}

impl<T, E> Drop for Part<T, E> {
    /// Ends at once what was not stopped in order: a settler that merely lost its owner must close nothing.
    fn drop(&mut self) {
        self.task.abort();
    }
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Server {
    /// Starts what `role` says. Everything that must hold is checked before the first request is taken. Where another
    /// host settles on the same ledger, on a server, this one sells, and settles when the other is gone.
    pub async fn start(config: &Config, role: Role) -> Result<Self> {
        let ledger = open_ledger(config)?;
        let mut server = Self {
            address: None,
            admin_address: None,
            ledger,
            secrets: None,
            gateway: None,
            settler: None,
            admin: None,
        };
        let mut eyes = Eyes::new(config, server.ledger.clone())?;
        // The ports first: a settler that has begun has work on record.
        let admin = Admin::bind(config).await?;
        let gateway = match role {
            Role::Settler => None,
            Role::Both | Role::Gateway => Some(bind(config, server.ledger.clone(), &mut eyes).await?),
        };
        let eyes = Arc::new(eyes);
        if role != Role::Gateway {
            let settling = Settling::begin(config, server.ledger.clone(), Arc::clone(&eyes)).await?;
            server.settler = Some(Part::spawn(|stop| settling.run(stop)));
        }
        if let Some(admin) = admin {
            server.admin_address = Some(admin.address);
            server.admin = Some(Part::spawn(|stop| admin.serve(eyes, stop)));
        }
        if let Some(Bound { address, listener, router, secrets }) = gateway {
            server.address = Some(address);
            server.secrets = Some(secrets);
            server.gateway = Some(Part::spawn(|stop| serve(listener, router, &config.gateway, stop)));
        }
        Ok(server)
    }

    /// The ledger both halves share.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Reads the files of the challenge secrets again. Whether there is another secret; `None` where no gateway runs. If
    /// they cannot be read, the gateway goes on as before.
    pub fn reload_secrets(&self) -> Result<Option<bool>> {
        let Some((settings, gateway)) = &self.secrets else { return Ok(None) };
        let secret = settings.challenge_secret().map_err(|error| config_error(&error))?;
        Ok(Some(gateway.rotate_secret(secret)))
    }

    /// Waits until a half ends by itself, which is always an error.
    pub async fn failed(&mut self) -> CliError {
        let gateway = async {
            match &mut self.gateway {
                Some(part) => part.failed(gateway_error).await,
                None => std::future::pending().await,
            }
        };
        let settler = async {
            match &mut self.settler {
                Some(part) => part.failed(CliError::clone).await,
                None => std::future::pending().await,
            }
        };
        let admin = async {
            match &mut self.admin {
                Some(part) => part.failed(admin_error).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { error = gateway => error, error = settler => error, error = admin => error }
    }

    /// Stops the gateway, then the settler. Returns what the settler did in its life.
    pub async fn stop(mut self) -> Result<Summary> {
        if let Some(gateway) = &mut self.gateway {
            gateway.stop(gateway_error).await?;
        }
        match &mut self.settler {
            Some(settler) => settler.stop(CliError::clone).await,
            None => Ok(Summary::default()),
        }
    }
}

/// One run of the settler: everything that is due, then the end.
pub async fn settle_once(config: &Config) -> Result<Summary> {
    let parts = assemble(config, open_ledger(config)?).await?;
    let settler = parts.start_at_once().await.map_err(|error| settler_error(&error))?;
    settler.once().await.map_err(|error| settler_error(&error))
}

fn open_ledger(config: &Config) -> Result<Ledger> {
    Ledger::with(config.ledger.clone(), SystemClock).map_err(|error| ledger_error(&error))
}

/// A gateway that listens and does not serve yet.
struct Bound {
    address: SocketAddr,
    listener: TcpListener,
    router: Router,
    secrets: (GatewayConfig, Arc<Gateway>),
}

async fn bind(config: &Config, ledger: Ledger, eyes: &mut Eyes) -> Result<Bound> {
    let terms = config.terms()?;
    let routes = Arc::new(config.routes(&terms)?);
    let mut settings = config.gateway.clone();
    if settings.secret_file.is_none() {
        let path = config.secret_file();
        secret::keep(&path)?;
        settings.secret_file = Some(path);
    }
    let secret = settings.challenge_secret().map_err(|error| config_error(&error))?;
    let operator = operator_key(config, config.gateway.operator_key_file.as_deref(), "gateway")?;
    if operator.is_none() && config.routes.iter().any(|route| route.voucher_signer == RouteSigner::Operator) {
        let what = "gateway.operator_key_file: is needed by routes with voucher_signer = \"operator\"";
        return Err(CliError::new(Exit::Config, what, "name the key file; `toll keygen` makes one"));
    }
    let proxy = Proxy::new(&config.gateway).map_err(|error| gateway_error(&error))?;
    let discovery = Discovery::new(&config.discovery, &config.routes, Arc::clone(&routes), &terms, &proxy);
    let gateway = Gateway::new(ledger, terms, secret);
    let gateway = Arc::new(match operator {
        Some(operator) => gateway.with_operator(operator),
        None => gateway,
    });
    eyes.on_gateway(&gateway);
    let secrets = (settings, Arc::clone(&gateway));
    let router = proxy_router(gateway, routes, &config.gateway).map_err(|error| gateway_error(&error))?;
    let router = match discovery {
        Some(discovery) => discovery.in_front_of(router),
        None => router,
    };
    let listen = config.gateway.listen;
    let unavailable = |error: std::io::Error| {
        let what = format_args!("cannot listen on {listen}: {error}").to_string();
        CliError::new(Exit::Network, what, "stop what runs there, or choose another gateway.listen")
    };
    let listener = TcpListener::bind(listen).await.map_err(unavailable)?;
    let address = listener.local_addr().map_err(unavailable)?;
    Ok(Bound { address, listener, router, secrets })
}

/// What a settler is made of.
struct SettlerParts {
    ledger: Ledger,
    chain: Arc<RpcChain>,
    keys: SettlerKeys,
    config: SettlerConfig,
}

impl SettlerParts {
    /// Waits where another settler has the ledger, if that is on a server.
    async fn start(self) -> std::result::Result<Settler, SettlerError> {
        Settler::start(self.ledger, self.chain, self.keys, self.config).await
    }

    async fn start_at_once(self) -> std::result::Result<Settler, SettlerError> {
        Settler::start_at_once(self.ledger, self.chain, self.keys, self.config).await
    }
}

async fn assemble(config: &Config, ledger: Ledger) -> Result<SettlerParts> {
    let keys = settler_keys(config)?;
    let cluster = Cluster::new(&config.settler.rpc);
    let mut mints = Vec::new();
    for mint in &config.session.allowed_mints {
        let token_program = match *mint == config.session.mint {
            true => config.session.token_program,
            false => cluster.mint(mint).await?.0,
        };
        mints.push(ListedMint { mint: *mint, token_program });
    }
    let settler = config.settler_config(mints)?;
    let chain = RpcChain::on(config.session.network, &config.settler.rpc);
    let chain = Arc::new(chain.with_websockets(config.settler.hints_from()));
    Ok(SettlerParts { ledger, chain, keys, config: settler })
}

/// Reads the settler's keys and forgets them again.
pub(crate) fn check_keys(config: &Config) -> Result<()> {
    settler_keys(config).map(drop)
}

fn settler_keys(config: &Config) -> Result<SettlerKeys> {
    Ok(SettlerKeys {
        fee_payer: matching_key(
            &config.settler.fee_payer,
            &config.session.fee_payer,
            "fee_payer",
            "settler.fee_payer",
        )?,
        payee: matching_key(&config.settler.payee, &config.session.payee, "payee", "settler.payee")?,
        operator: operator_key(config, config.settler.operator_key_file.as_deref(), "settler")?,
    })
}

/// The operator's key, from the file that `section` names.
fn operator_key(config: &Config, file: Option<&Path>, section: &str) -> Result<Option<OperatorKey>> {
    let (Some(file), Some(expected)) = (file, &config.session.operator) else { return Ok(None) };
    let key = matching_key(file, expected, "operator", &format!("{section}.operator_key_file"))?;
    Ok(Some(OperatorKey::from_secret(key.secret_bytes())))
}

/// The key in `path`, which must be the one that challenges name.
fn matching_key(path: &Path, expected: &Pubkey, role: &str, setting: &str) -> Result<Keypair> {
    let key = keys::read(path).map_err(|error| CliError {
        remedy: format!("name the key file in {setting}; `toll keygen` makes one"),
        ..error
    })?;
    if key.pubkey() != *expected {
        return Err(CliError::new(
            Exit::Config,
            format_args!("session.{role} is {expected}, but {} holds {}", path.display(), key.pubkey()),
            "make them agree",
        ));
    }
    Ok(key)
}

/// Resolves at ctrl-c, or when the system asks the process to end. Both are listened for from this call on, not from the
/// first poll: whoever reads that a server is ready may end it.
pub fn interrupted() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let told = {
        use tokio::signal::unix::{SignalKind, signal};
        [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok())
    };
    async move {
        #[cfg(unix)]
        if let [Some(mut interrupt), Some(mut terminate)] = told {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        drop(tokio::signal::ctrl_c().await);
    }
}

fn panicked(error: tokio::task::JoinError) -> CliError {
    CliError::new(Exit::Internal, format_args!("a part of the server failed: {error}"), "report this")
}

fn config_error(error: &ConfigError) -> CliError {
    CliError::new(Exit::Config, error, "correct the configuration")
}

fn admin_error(error: &std::io::Error) -> CliError {
    CliError::new(Exit::Network, format_args!("the admin listener ended: {error}"), "look at the log")
}

fn gateway_error(error: &GatewayError) -> CliError {
    match error {
        GatewayError::Config(error) => config_error(error),
        _ => CliError::new(Exit::Network, error, "look at the log"),
    }
}

/// A ledger's refusal, with what to do about it.
pub fn ledger_error(error: &LedgerError) -> CliError {
    let remedy = match error {
        LedgerError::SchemaTooNew { .. } => "use the program that migrated it, or name another ledger.path",
        LedgerError::WrongCluster { .. } => {
            return CliError::new(
                Exit::WrongCluster,
                error,
                "point settler.rpc at that cluster, or name another ledger.path",
            );
        }
        LedgerError::Unreachable { .. } => {
            "check that the server of ledger.url runs, and the user, password and database that it names"
        }
        LedgerError::Open { .. } => "check that its folder exists and that it may be written",
        LedgerError::NotADatabase { .. } | LedgerError::ForeignDatabase { .. } => "name another ledger.path",
        _ => "look at the log",
    };
    CliError::new(Exit::Ledger, error, remedy)
}

fn settler_error(error: &SettlerError) -> CliError {
    match error {
        SettlerError::Ledger(error) => ledger_error(error),
        SettlerError::Chain(ChainError::WrongCluster { .. } | ChainError::StrayNode { .. }) => {
            CliError::new(Exit::WrongCluster, error, "check settler.rpc and the [session] section")
        }
        SettlerError::Chain(ChainError::Unreachable { .. }) => {
            CliError::new(Exit::Network, error, "check settler.rpc")
        }
        SettlerError::AlreadyRunning => {
            CliError::new(Exit::Ledger, error, "one settler per ledger is enough")
        }
        SettlerError::NoProgram { .. } | SettlerError::NoMint { .. } => {
            CliError::new(Exit::WrongCluster, error, "check settler.rpc and the [session] section")
        }
        SettlerError::PayeeAccount { .. } => {
            CliError::new(Exit::Config, error, "a payout would be forfeited otherwise")
        }
        SettlerError::NoTreasuryAccount { .. } | SettlerError::Treasury { .. } => {
            CliError::new(Exit::Config, error, "see settler.treasury_owner")
        }
        _ => CliError::new(Exit::Refused, error, "look at the log"),
    }
}
