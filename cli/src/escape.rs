//! Leaving a channel without its server: what `toll request-close` and `toll withdraw` have in common.

use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use toll_protocol::{
    Channel, ChannelAccount, ChannelId, Splits, TREASURY_OWNER, create_associated_token_account,
};

use crate::error::{CliError, Exit, Result};
use toll_chain::Cluster;
use toll_client::Book;

/// Address of the clock sysvar.
const CLOCK: Pubkey = Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111");

/// Lamports that two signatures and a token account's rent take at most, roughly.
const ENOUGH_LAMPORTS: u64 = 10_000;

/// The channel on chain, what instructions on it need, and its mint's decimals. Only its payer may go on.
///
/// The state file is not needed: everything the payer's instructions name is in the account.
pub(crate) async fn find(
    cluster: &Cluster,
    book: &Book,
    programs: &[Pubkey],
    id: &ChannelId,
    payer: &Pubkey,
) -> Result<(Channel, ChannelAccount, u8)> {
    let programs = book.channel(id).map_or_else(|| programs.to_vec(), |saved| vec![saved.program]);
    for program in programs {
        let Some(account) = cluster.channel(id, &program).await? else { continue };
        if account.payer != *payer {
            return Err(CliError::new(
                Exit::Key,
                format_args!("channel {id} belongs to {}, not to {payer}", account.payer),
                "name the payer's key with --keypair",
            ));
        }
        let (token_program, decimals) = cluster.mint(&account.mint).await?;
        let channel = Channel {
            program,
            id: *id,
            payer: account.payer,
            payee: account.payee,
            mint: account.mint,
            token_program,
            rent_payer: account.rent_payer,
            // Neither `request_close` nor `withdraw_payer` names recipients or the treasury.
            splits: Splits::none(),
            treasury_owner: TREASURY_OWNER,
        };
        return Ok((channel, account, decimals));
    }
    Err(CliError::new(
        Exit::Refused,
        format_args!("channel {id} is not on chain"),
        "it was never opened, or is closed and reclaimed; check --rpc",
    ))
}

/// Seconds of grace left, by the chain's clock.
pub(crate) async fn grace_left(cluster: &Cluster, account: &ChannelAccount) -> Result<i64> {
    let now = cluster
        .account(&CLOCK)
        .await?
        .and_then(|(_, data)| Some(i64::from_le_bytes(data.get(32..40)?.try_into().ok()?)))
        .ok_or_else(|| CliError::new(Exit::Network, "the cluster shows no clock", "check --rpc"))?;
    let ends = account.closure_started_at.saturating_add(i64::from(account.grace_period));
    Ok((ends - now).max(0))
}

/// Refuses when the fee payer has no SOL for the fee.
pub(crate) async fn check_sol(cluster: &Cluster, fee_payer: &Pubkey) -> Result<()> {
    let lamports = cluster.lamports(fee_payer).await?;
    if lamports < ENOUGH_LAMPORTS {
        return Err(CliError::new(
            Exit::Funds,
            format_args!("{fee_payer} has {lamports} lamports, too few for the network fee"),
            "get SOL, or name somebody who pays with --fee-payer",
        ));
    }
    Ok(())
}

/// Makes the payer's token account if it was closed meanwhile: a refund needs somewhere to go.
pub(crate) fn payer_account(channel: &Channel, fee_payer: &Pubkey) -> Instruction {
    create_associated_token_account(fee_payer, &channel.payer, &channel.mint, &channel.token_program)
}
