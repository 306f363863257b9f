//! What must be true before the settler touches anything.

use std::time::Duration;

use solana_account::Account;
use solana_signer::Signer;
use toll_ledger::{ClusterIdentity, SubmissionKind};
use toll_protocol::{associated_token_address, create_associated_token_account};
use tracing::{info, warn};

use crate::SettlerError;
use crate::config::{ListedMint, SettlerConfig, SettlerKeys};
use crate::launch::{Beneficiary, Budget, Draft, MAX_COMPUTE_UNITS, Readiness, readiness, sign};
use toll_chain::{Chain, ChainError, Fate, check_genesis};

/// How long creating the treasury's accounts may take.
const TREASURY_TIMEOUT: Duration = Duration::from_secs(60);

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

/// Checks the program, the fee payer's balance and the treasury's token accounts, creating the latter where
/// the configuration allows it.
pub(crate) async fn check_accounts(
    chain: &dyn Chain,
    keys: &SettlerKeys,
    config: &SettlerConfig,
) -> Result<(), SettlerError> {
    let fee_payer = keys.fee_payer.pubkey();
    let mut addresses = vec![config.program, fee_payer];
    for listed in &config.mints {
        addresses.push(listed.mint);
        addresses.push(treasury(listed, config).account);
    }
    let found = chain.accounts(&addresses).await?.accounts;
    let [program, payer, listed @ ..] = found.as_slice() else {
        return Err(
            ChainError::Malformed { what: "accounts", reason: "fewer than asked for".to_owned() }.into()
        );
    };
    check_program(program.as_ref(), config)?;
    let balance = payer.as_ref().map_or(0, |account| account.lamports);
    if balance < config.low_balance {
        warn!(%fee_payer, lamports = balance, "the fee payer is low on SOL; fund it or opens and closes will fail");
    }
    let mut missing = Vec::new();
    for (listed, pair) in config.mints.iter().zip(listed.chunks_exact(2)) {
        if pair[0].as_ref().is_none_or(|mint| mint.owner != listed.token_program) {
            return Err(SettlerError::NoMint { mint: listed.mint, token_program: listed.token_program });
        }
        let account = treasury(listed, config);
        match readiness(&account, pair[1].as_ref(), &listed.mint, &listed.token_program) {
            Readiness::Ready => {}
            Readiness::Missing if config.creates_treasury_accounts() => missing.push(listed),
            Readiness::Missing => {
                let Beneficiary { owner, account } = account;
                return Err(SettlerError::NoTreasuryAccount { mint: listed.mint, account, owner });
            }
            Readiness::Unusable(reason) => {
                return Err(SettlerError::Treasury { reason: format!("{} is {reason}", account.account) });
            }
        }
    }
    for listed in missing {
        create_treasury_account(chain, keys, config, listed).await?;
    }
    Ok(())
}

fn check_program(account: Option<&Account>, config: &SettlerConfig) -> Result<(), SettlerError> {
    let no_program = |found| Err(SettlerError::NoProgram { program: config.program, found });
    match account {
        None => no_program("there is no account"),
        Some(account) if !account.executable => no_program("the account is not executable"),
        Some(_) => Ok(()),
    }
}

fn treasury(listed: &ListedMint, config: &SettlerConfig) -> Beneficiary {
    let owner = config.treasury_owner;
    let account = associated_token_address(&owner, &listed.mint, &listed.token_program);
    Beneficiary { owner, account }
}

/// Not a submission: idempotent, and nothing waits for it but this start.
async fn create_treasury_account(
    chain: &dyn Chain,
    keys: &SettlerKeys,
    config: &SettlerConfig,
    listed: &ListedMint,
) -> Result<(), SettlerError> {
    let fee_payer = keys.fee_payer.pubkey();
    let create = create_associated_token_account(
        &fee_payer,
        &config.treasury_owner,
        &listed.mint,
        &listed.token_program,
    );
    let draft = Draft { kind: SubmissionKind::Distribute, instructions: vec![create] };
    let budget = Budget { units: MAX_COMPUTE_UNITS / 10, price: config.compute_unit_price };
    let tip = chain.tip().await?;
    let signed = sign(&draft, budget, keys, tip.blockhash)?;
    let simulation = chain.simulate(&signed.bytes).await?;
    if let Some(reason) = simulation.error {
        return Err(SettlerError::Treasury { reason: reason.to_string() });
    }
    let landed = async {
        loop {
            chain.submit(&signed.bytes).await?;
            tokio::time::sleep(config.confirm_interval).await;
            match chain.statuses(&[signed.signature]).await?.first() {
                Some(Fate::Landed { .. }) => return Ok(()),
                Some(Fate::Failed { error, .. }) => {
                    return Err(SettlerError::Treasury { reason: error.clone() });
                }
                _ => {}
            }
        }
    };
    let late = |_| SettlerError::Treasury { reason: "not confirmed in time; start again".to_owned() };
    tokio::time::timeout(TREASURY_TIMEOUT, landed).await.map_err(late)??;
    info!(mint = %listed.mint, signature = %signed.signature, "created the treasury's token account");
    Ok(())
}
