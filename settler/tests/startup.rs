//! What keeps the settler from starting, and what it says.

use std::time::Duration;

use solana_account::Account;
use solana_signer::Signer;
use toll_chain::{ChainError, DEVNET_GENESIS, MAINNET_GENESIS};
use toll_ledger::{Ledger, LedgerError, SubmissionKind};
use toll_protocol::{Network, PROGRAM_ID, SYSTEM_PROGRAM, TREASURY_OWNER};
use toll_settler::{Settler, SettlerConfig, SettlerError};

use crate::chain::Faults;
use crate::world::World;

async fn refusal(world: &World, config: SettlerConfig) -> SettlerError {
    match world.start(world.keys(), config).await {
        Ok(_) => panic!("the settler started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn public_network_must_have_its_own_genesis() {
    let world = World::new();
    for (network, expected) in [(Network::Mainnet, MAINNET_GENESIS), (Network::Devnet, DEVNET_GENESIS)] {
        let error = refusal(&world, SettlerConfig { network, ..world.config() }).await;
        assert!(matches!(error, SettlerError::Chain(ChainError::WrongCluster { .. })), "{error}");
        let told = error.to_string();
        assert!(told.contains(expected) && told.contains("settler.rpc"), "{told}");
    }
}

#[tokio::test]
async fn local_configuration_refuses_a_public_node() {
    let world = World::new();
    for genesis in [MAINNET_GENESIS, DEVNET_GENESIS] {
        world.chain.lock().genesis_hash = genesis.to_owned();
        let error = refusal(&world, world.config()).await;
        assert!(matches!(error, SettlerError::Chain(ChainError::WrongCluster { .. })), "{error}");
    }
}

#[tokio::test]
async fn ledger_of_another_cluster_is_refused() {
    let world = World::new();
    drop(world.settler().await);
    world.chain.lock().genesis_hash = "AnotherGenesis11111111111111111111111111111".to_owned();

    let error = refusal(&world, world.config()).await;

    assert!(matches!(error, SettlerError::Ledger(LedgerError::WrongCluster { .. })), "{error}");
    assert_eq!(world.ledger.latest_tip().await.unwrap().unwrap().slot, world.chain.slot());
}

#[tokio::test]
async fn ledger_of_another_program_is_refused() {
    let world = World::new();
    drop(world.settler().await);
    let program = toll_protocol::TOKEN_PROGRAM;
    let error = refusal(&world, SettlerConfig { program, ..world.config() }).await;
    assert!(matches!(error, SettlerError::Ledger(LedgerError::WrongCluster { .. })), "{error}");
}

#[tokio::test]
async fn missing_program_is_refused() {
    let world = World::new();
    let program = solana_pubkey::Pubkey::new_from_array([77; 32]);
    let error = refusal(&world, SettlerConfig { program, ..world.config() }).await;
    assert!(matches!(error, SettlerError::NoProgram { .. }), "{error}");
    assert!(error.to_string().contains("deploy"), "{error}");
}

#[tokio::test]
async fn program_that_cannot_run_is_refused() {
    let world = World::new();
    let error = refusal(&world, SettlerConfig { program: world.mint, ..world.config() }).await;
    assert!(matches!(error, SettlerError::NoProgram { program, .. } if program == world.mint), "{error}");
}

#[tokio::test]
async fn mint_that_is_not_there_is_refused() {
    let world = World::new();
    world.put(world.mint, Account::default());
    let error = refusal(&world, world.config()).await;
    assert!(matches!(error, SettlerError::NoMint { .. }), "{error}");
}

#[tokio::test]
async fn missing_treasury_account_is_refused_where_it_may_not_be_created() {
    let world = World::new();
    world.remove_tokens(TREASURY_OWNER);
    let config = SettlerConfig { create_treasury_accounts: Some(false), ..world.config() };

    let error = refusal(&world, config).await;

    let expected = world.token_account(&TREASURY_OWNER);
    assert!(
        matches!(error, SettlerError::NoTreasuryAccount { account, .. } if account == expected),
        "{error}"
    );
    assert_eq!(world.chain.lock().submitted.len(), 0);
}

#[tokio::test]
async fn missing_treasury_account_is_created_on_localnet() {
    let world = World::new();
    world.remove_tokens(TREASURY_OWNER);
    drop(world.settler().await);
    assert!(world.chain.account(&world.token_account(&TREASURY_OWNER)).is_some());
}

#[tokio::test]
async fn creating_a_treasury_account_is_on_record_before_it_is_sent_and_finished_by_the_next_start() {
    let world = World::new();
    world.remove_tokens(TREASURY_OWNER);
    world.chain.fault(Faults { drop_submissions: true, ..Default::default() });
    let died = tokio::time::timeout(Duration::from_millis(300), world.settler()).await;
    assert!(died.is_err(), "it waits for the account");
    let recorded = world.ledger.unresolved().await.unwrap();
    assert_eq!(recorded.len(), 1);
    assert_eq!((recorded[0].kind, recorded[0].channels()), (SubmissionKind::CreateAccount, vec![]));
    assert_eq!(world.chain.lock().submitted[0], recorded[0].transaction);

    world.chain.fault(Default::default());
    let settler = world.settler().await;

    assert!(world.chain.account(&world.token_account(&TREASURY_OWNER)).is_some());
    assert_eq!(settler.take_summary().landed(SubmissionKind::CreateAccount), 1);
    assert_eq!(world.ledger.unresolved().await.unwrap(), []);
    let chain = world.chain.lock();
    assert_eq!(chain.landed.len(), 1);
    assert!(chain.submitted.iter().all(|bytes| *bytes == recorded[0].transaction));
}

#[tokio::test]
async fn missing_account_of_the_payee_is_refused_by_its_address_where_it_may_not_be_created() {
    let world = World::new();
    let payee = world.payee.pubkey();
    world.remove_tokens(payee);
    let config = SettlerConfig { create_payee_accounts: Some(false), ..world.config() };

    let error = refusal(&world, config).await;

    let expected = world.token_account(&payee);
    assert!(error.to_string().contains(&expected.to_string()), "{error}");
    assert!(matches!(error, SettlerError::PayeeAccount { owner, .. } if owner == payee), "{error}");
    assert_eq!(world.chain.lock().submitted.len(), 0);
}

#[tokio::test]
async fn missing_account_of_the_payee_is_created_on_localnet() {
    let world = World::new();
    world.remove_tokens(world.payee.pubkey());
    drop(world.settler().await);
    assert!(world.chain.account(&world.token_account(&world.payee.pubkey())).is_some());
}

#[tokio::test]
async fn frozen_account_of_the_payee_is_refused() {
    let world = World::new();
    let payee = world.payee.pubkey();
    let mut frozen = crate::tokens::account(world.mint, payee, world.token_program, 0);
    frozen.data[108] = 2;
    world.put(world.token_account(&payee), frozen);
    let error = refusal(&world, world.config()).await;
    assert!(matches!(error, SettlerError::PayeeAccount { problem: "frozen", .. }), "{error}");
}

#[tokio::test]
async fn frozen_treasury_account_is_refused() {
    let world = World::new();
    let mut frozen = crate::tokens::account(world.mint, TREASURY_OWNER, world.token_program, 0);
    frozen.data[108] = 2;
    world.put(world.token_account(&TREASURY_OWNER), frozen);
    let error = refusal(&world, world.config()).await;
    assert!(matches!(&error, SettlerError::Treasury { reason } if reason.contains("frozen")), "{error}");
}

#[tokio::test]
async fn poor_fee_payer_is_only_warned_about() {
    let world = World::new();
    let lamports = world.config().low_balance - 1;
    world.put(world.fee_payer.pubkey(), Account::new(lamports, 0, &SYSTEM_PROGRAM));
    assert!(world.start(world.keys(), world.config()).await.is_ok());
}

#[tokio::test]
async fn second_settler_on_a_ledger_is_refused_until_the_first_is_gone() {
    let world = World::new();
    let first = world.settler().await;
    let handle = Ledger::open(world.ledger_path(), world.clock.clone()).unwrap();
    let chain = std::sync::Arc::new(world.chain.clone());
    let second = Settler::start(handle.clone(), chain.clone(), world.keys(), world.config()).await;
    assert!(matches!(second, Err(SettlerError::AlreadyRunning)));

    drop(first);
    assert!(Settler::start(handle, chain, world.keys(), world.config()).await.is_ok());
}

#[tokio::test]
async fn unreachable_node_is_refused_and_frees_the_lock() {
    let world = World::new();
    world.chain.fault(Faults { unreachable: true, ..Default::default() });
    let error = refusal(&world, world.config()).await;
    assert!(matches!(error, SettlerError::Chain(ChainError::Unreachable { .. })), "{error}");

    world.chain.fault(Default::default());
    assert!(world.start(world.keys(), world.config()).await.is_ok());
}

#[tokio::test]
async fn first_tip_is_published_before_start_returns() {
    let world = World::new();
    let _settler = world.settler().await;

    let tip = world.ledger.latest_tip().await.unwrap().unwrap();

    assert_eq!(tip.slot, world.chain.slot());
    assert_eq!(tip.blockhash, world.chain.lock().svm.latest_blockhash());
    assert_eq!(tip.published_at, crate::chain::NOW);
}

#[tokio::test]
async fn program_of_the_configuration_is_the_one_the_ledger_is_bound_to() {
    let world = World::new();
    let _settler = world.settler().await;
    let cluster = world.ledger.cluster().await.unwrap().unwrap();
    assert_eq!((cluster.network, cluster.program), (Network::Localnet, PROGRAM_ID));
}
