//! The same sessions on `solana-test-validator`, where its binary is to be had.

mod loader;

use loader::Deployer;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use tokio::sync::{Mutex, MutexGuard};
use toll_localnet::program::ELF;
use toll_tests::world::AtShutdown;
use toll_tests::{TestChain, World, scenario};

/// A fresh validator, or `None` with a word on standard error.
async fn chain() -> Option<(TestChain, MutexGuard<'static, ()>)> {
    // A validator takes a whole core: one at a time.
    static ONE: Mutex<()> = Mutex::const_new(());
    let turn = ONE.lock().await;
    let chain = TestChain::validator().await;
    if chain.is_none() {
        eprintln!("SKIPPED: no solana-test-validator on PATH, and SOLANA_TEST_VALIDATOR names none");
    }
    Some((chain?, turn))
}

/// The same with a server on it.
async fn world(at_shutdown: AtShutdown) -> Option<(World, MutexGuard<'static, ()>)> {
    let (chain, turn) = chain().await?;
    Some((World::start(chain, at_shutdown).await, turn))
}

/// SPL's memo program: SBPF v0, and on every chain.
const MEMO: Pubkey = Pubkey::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");

// The other tests find the program at genesis, where no loader looks at it. Its own address has no key that could
// deploy it, so it is deployed at another: it answers there as it does everywhere until it meets its own accounts.
#[tokio::test(flavor = "multi_thread")]
async fn the_loader_deploys_upgrades_and_finalizes_the_program_and_no_older_bytecode() {
    let Some((chain, _turn)) = chain().await else { return };
    let deployer = Deployer::new(chain.rpc_url()).await;
    let (program, room) = (Keypair::new(), ELF.len() + 10_000);
    let id = program.pubkey();
    let answers = async || {
        deployer.wait().await;
        let refusals = [deployer.refusal(&id, &[]).await, deployer.refusal(&id, &[5]).await];
        assert!(refusals[0].contains("invalid instruction data"), "{}", refusals[0]);
        assert!(refusals[1].contains("custom program error: 0x9"), "{}", refusals[1]);
    };

    let buffer = deployer.buffer(ELF).await;
    deployer.deploy(&program, &buffer, room).await.expect("v3 is deployed");
    let (authority, elf) = deployer.deployed(&id).await;
    assert_eq!((authority, &elf[..ELF.len()]), (Some(deployer.key()), ELF));
    answers().await;

    let old = deployer.elf_of(&MEMO).await;
    assert_eq!((&old[..4], &old[48..52]), (&b"\x7fELF"[..], &[0; 4][..]), "SBPF v0");
    let old = deployer.buffer(&old).await;
    let refused = deployer.upgrade(&id, &old).await.expect_err("v0 is no upgrade");
    assert!(refused.to_string().contains("invalid account data"), "{refused}");
    let refused = deployer.deploy(&Keypair::new(), &old, room).await.expect_err("v0 is not deployed");
    assert!(refused.to_string().contains("invalid account data"), "{refused}");

    let buffer = deployer.buffer(ELF).await;
    deployer.upgrade(&id, &buffer).await.expect("v3 is an upgrade");
    answers().await;

    deployer.finalize(&id).await.expect("v3 is finalized");
    assert_eq!(deployer.deployed(&id).await.0, None);
    let buffer = deployer.buffer(ELF).await;
    let refused = deployer.upgrade(&id, &buffer).await.expect_err("nobody upgrades it any more");
    assert!(refused.to_string().contains("immutable"), "{refused}");
    answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_from_open_to_reclaim_pays_everyone_to_the_unit() {
    if let Some((world, _turn)) = world(AtShutdown::Close).await {
        scenario::session_from_open_to_reclaim(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_close_within_grace_pays_the_payee() {
    if let Some((world, _turn)) = world(AtShutdown::Close).await {
        scenario::payer_leaves_and_the_payee_loses_nothing(world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_recovers_the_deposit_without_the_server() {
    if let Some((world, _turn)) = world(AtShutdown::LeaveOpen).await {
        scenario::server_vanishes_and_the_payer_loses_nothing(world).await;
    }
}
