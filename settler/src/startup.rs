//! What must be true before the settler touches anything.

use std::time::Duration;

use solana_account::Account;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_ledger::{ClusterIdentity, Ledger, Submission, SubmissionKind};
use toll_protocol::{Network, associated_token_address};
use tracing::warn;

use crate::SettlerError;
use crate::config::{ListedMint, SettlerConfig, SettlerKeys, TransactionVersion};

use crate::launch::{Beneficiary, Launch, Readiness, Shared, readiness};
use crate::resolve::Resolve;
use toll_chain::feature::{self, TRANSACTION_V1_GATE};
use toll_chain::{Chain, ChainError, check_genesis};

/// Least time between two questions about them.
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// How long creating the accounts may take.
const CREATION_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks the cluster who it is and refuses the wrong one.
///
/// A public network must have its own genesis hash; a local one may have any other.
pub(crate) async fn identify(
    chain: &dyn Chain,
    config: &SettlerConfig,
) -> Result<ClusterIdentity, SettlerError> {
    let genesis_hash = chain.genesis_hash().await?;
    check_genesis(config.network, &genesis_hash, "settler.rpc")?;
    Ok(ClusterIdentity { network: config.network, genesis_hash, program: config.program })
}

/// A token account that must be there before the first channel is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MissingAccount {
    listed: ListedMint,
    owner: Pubkey,
}

/// What a start finds out.
pub(crate) struct Checked {
    /// Token accounts that are missing and may be created.
    pub(crate) missing: Vec<MissingAccount>,
    /// The format of our own transactions.
    pub(crate) version: TransactionVersion,
}

/// Checks the program, the fee payer's balance and the token accounts of the treasury and of our payee, and which
/// transactions the cluster takes.
pub(crate) async fn check_accounts(
    chain: &dyn Chain,
    keys: &SettlerKeys,
    config: &SettlerConfig,
) -> Result<Checked, SettlerError> {
    let fee_payer = keys.fee_payer.pubkey();
    let mut addresses = vec![config.program, fee_payer, TRANSACTION_V1_GATE];
    for listed in &config.mints {
        addresses.push(listed.mint);
        addresses.push(account_of(config.treasury_owner, listed).account);
        addresses.push(account_of(keys.payee.pubkey(), listed).account);
    }
    let found = chain.accounts(&addresses).await?.accounts;
    let [program, payer, gate, listed @ ..] = found.as_slice() else {
        return Err(
            ChainError::Malformed { what: "accounts", reason: "fewer than asked for".to_owned() }.into()
        );
    };
    check_program(program.as_ref(), config)?;
    let is_open = gate.as_ref().is_some_and(feature::is_open);
    let version = match config.transaction_version {
        TransactionVersion::Auto if is_open => TransactionVersion::V1,
        TransactionVersion::Auto => TransactionVersion::V0,
        // A chain of one's own may take what it has no account for.
        TransactionVersion::V1 if !(is_open || config.network == Network::Localnet) => {
            return Err(SettlerError::TransactionVersion);
        }
        told => told,
    };
    let balance = payer.as_ref().map_or(0, |account| account.lamports);
    if balance < config.low_balance {
        warn!(%fee_payer, lamports = balance, "the fee payer is low on SOL; fund it or opens and closes will fail");
    }
    let mut missing = Vec::new();
    for (listed, found) in config.mints.iter().zip(listed.chunks_exact(3)) {
        if found[0].as_ref().is_none_or(|mint| mint.owner != listed.token_program) {
            return Err(SettlerError::NoMint { mint: listed.mint, token_program: listed.token_program });
        }
        let account = account_of(config.treasury_owner, listed);
        match readiness(&account, found[1].as_ref(), &listed.mint, &listed.token_program) {
            Readiness::Ready => {}
            Readiness::Missing if config.creates_treasury_accounts() => {
                missing.push(MissingAccount { listed: *listed, owner: account.owner });
            }
            Readiness::Missing => {
                let Beneficiary { owner, account } = account;
                return Err(SettlerError::NoTreasuryAccount { mint: listed.mint, account, owner });
            }
            Readiness::Unusable(reason) => {
                return Err(SettlerError::Treasury { reason: format!("{} is {reason}", account.account) });
            }
        }
        if keys.payee.pubkey() == config.treasury_owner {
            continue;
        }
        let Beneficiary { owner, account } = account_of(keys.payee.pubkey(), listed);
        let problem = match readiness(
            &Beneficiary { owner, account },
            found[2].as_ref(),
            &listed.mint,
            &listed.token_program,
        ) {
            Readiness::Ready => continue,
            Readiness::Missing if config.creates_payee_accounts() => {
                missing.push(MissingAccount { listed: *listed, owner });
                continue;
            }
            Readiness::Missing => "missing",
            Readiness::Unusable(reason) => reason,
        };
        return Err(SettlerError::PayeeAccount { mint: listed.mint, account, owner, problem });
    }
    Ok(Checked { missing, version })
}

fn check_program(account: Option<&Account>, config: &SettlerConfig) -> Result<(), SettlerError> {
    let no_program = |found| Err(SettlerError::NoProgram { program: config.program, found });
    match account {
        None => no_program("there is no account"),
        Some(account) if !account.executable => no_program("the account is not executable"),
        Some(_) => Ok(()),
    }
}

fn account_of(owner: Pubkey, listed: &ListedMint) -> Beneficiary {
    Beneficiary { owner, account: associated_token_address(&owner, &listed.mint, &listed.token_program) }
}

/// Creates the missing token accounts of the treasury and of our payee, and waits until they are there.
///
/// One that an earlier start has on record is resolved before another is made.
pub(crate) async fn create_accounts(
    shared: &Shared,
    launch: &Launch,
    resolve: &Resolve,
) -> Result<(), SettlerError> {
    let Shared { ledger, chain, keys, config, .. } = shared;
    let pause = config.confirm_interval.max(LEAST_PAUSE);
    let refused = |reason| SettlerError::Treasury { reason };
    let created = async {
        loop {
            resolve_accounts(ledger, resolve, pause).await?;
            let Checked { missing, .. } = check_accounts(chain.as_ref(), keys, config).await?;
            if missing.is_empty() {
                return Ok(());
            }
            let mut started = Vec::with_capacity(missing.len());
            for MissingAccount { listed, owner } in missing {
                match launch.create_account(&owner, &listed).await {
                    Err(SettlerError::Build { reason, .. }) => return Err(refused(reason)),
                    id => started.push(id?),
                }
            }
            resolve_accounts(ledger, resolve, pause).await?;
            for id in started {
                if let Some(Submission { error: Some(reason), .. }) = ledger.submission(id).await? {
                    return Err(refused(reason));
                }
            }
        }
    };
    let late = |_| refused("not confirmed in time; start again".to_owned());
    tokio::time::timeout(CREATION_TIMEOUT, created).await.map_err(late)?
}

/// Resolves until no account's creation is in doubt.
async fn resolve_accounts(ledger: &Ledger, resolve: &Resolve, pause: Duration) -> Result<(), SettlerError> {
    let creates = |submission: &Submission| submission.kind == SubmissionKind::CreateAccount;
    while ledger.unresolved().await?.iter().any(creates) {
        resolve.round().await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}
