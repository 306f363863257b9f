//! Token accounts that somebody else pays for.

use std::time::Duration;

use solana_instruction::{AccountMeta, Instruction};
use solana_signer::Signer;
use tokio::time::timeout;
use toll_ledger::{ChannelState, SpendingKind};
use toll_protocol::{TOKEN_PROGRAM, associated_token_address, create_associated_token_account};

use crate::attacker::Attacker;
use crate::report::Row;
use crate::scene::Scene;

/// SPL Token's `CloseAccount`.
const CLOSE_ACCOUNT: u8 = 9;

/// The payer closes its own token account and keeps the rent; its refund makes us create another, a few times a
/// day only.
pub async fn token_accounts_that_are_closed_again() -> Row {
    const ROUNDS: u64 = 4;
    const LIMIT: u64 = 2;
    const DEPOSIT: u64 = 5_000;
    let scene = Scene::set(|config, _| {
        config.gateway.landing_timeout_seconds = 2;
        config.settler.purse.refund_accounts_per_day = LIMIT;
    })
    .await;
    let attacker = Attacker::with_tokens(&scene.world, DEPOSIT).await;
    let (owner, mint) = (attacker.key.pubkey(), scene.mint());
    let account = associated_token_address(&owner, &mint, &TOKEN_PROGRAM);
    let relayer = scene.world.fixture.mint_authority.insecure_clone();
    let cluster = scene.world.cluster();
    let mut paid = 0;
    for round in 0..ROUNDS {
        if round > LIMIT {
            // Its refund waits for an account of its own making.
            let create = create_associated_token_account(&relayer.pubkey(), &owner, &mint, &TOKEN_PROGRAM);
            cluster.send(&[create], &relayer, &[]).await.expect("the account is made");
            scene.wait_for_none(&[ChannelState::Closing]).await;
        }
        let tokens = scene.world.fixture.tokens(&owner).await.expect("the chain answers").get();
        let channel = attacker.open(tokens).await.expect("the sponsor opens");
        let close_account = Instruction {
            program_id: TOKEN_PROGRAM,
            accounts: vec![
                AccountMeta::new(account, false),
                AccountMeta::new(owner, false),
                AccountMeta::new_readonly(owner, true),
            ],
            data: vec![CLOSE_ACCOUNT],
        };
        cluster.send(&[close_account], &relayer, &[&attacker.key]).await.expect("the account is closed");
        paid += 1;
        // What is held has no answer for a while.
        let closed = timeout(Duration::from_secs(8), attacker.close(&channel, 1)).await;
        let exists = cluster.account(&account).await.expect("the chain answers").is_some();
        assert_eq!(exists, round < LIMIT, "round {round}: {closed:?}");
    }
    let create = create_associated_token_account(&relayer.pubkey(), &owner, &mint, &TOKEN_PROGRAM);
    cluster.send(&[create], &relayer, &[]).await.expect("the account is made");
    scene.wait_for_none(&[ChannelState::Closing]).await;
    let charge = scene.open_charge().await;
    let rent = cluster.rent().await.expect("the chain answers").minimum(165);
    let losses = scene.end(paid).await;
    let granted = losses.granted(SpendingKind::RefundAccount);
    assert_eq!(granted, LIMIT);
    Row {
        attack: "refund accounts that are closed again",
        asked: ROUNDS,
        granted,
        risked: DEPOSIT,
        paid,
        lost: losses.lost,
        bound: ROUNDS * charge + LIMIT * rent,
    }
}
