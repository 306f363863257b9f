//! `toll withdraw`

use clap::Args;
use serde_json::json;
use solana_signer::Signer;
use toll_protocol::{ChannelId, ChannelStatus};

use super::pay::STATE_PATIENCE;
use crate::args::{self, FeePayerArgs, PayerArgs};
use crate::error::{CliError, Exit, Result};
use crate::escape;
use crate::money;
use crate::output::Output;
use toll_client::{Book, ChannelStage};

/// Flags of `toll withdraw`.
#[derive(Debug, Args)]
pub(crate) struct Withdraw {
    /// The channel's address
    #[arg(value_parser = args::channel)]
    channel: ChannelId,

    #[command(flatten)]
    fee_payer: FeePayerArgs,

    #[command(flatten)]
    payer: PayerArgs,
}

impl Withdraw {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let payer = self.payer.key()?;
        let fee_payer = self.fee_payer.key(&payer)?;
        let cluster = self.payer.cluster.cluster();
        let book = Book::open(&self.payer.state_path(), STATE_PATIENCE)?;
        let (channel, account, decimals) =
            escape::find(&cluster, &book, &self.payer.programs(), &self.channel, &payer.pubkey()).await?;
        let refused = |what: String, remedy: &str| Err(CliError::new(Exit::Refused, what, remedy));
        let mut instructions = Vec::new();
        match account.status {
            ChannelStatus::Open => {
                let what = format!("channel {} is still open", self.channel);
                return refused(what, "close it with `toll close`, or begin with `toll request-close`");
            }
            ChannelStatus::Closing => {
                let left = escape::grace_left(&cluster, &account).await?;
                if left > 0 {
                    let what = format!("the grace period of channel {} runs for {left} s more", self.channel);
                    return refused(what, "try again then");
                }
                instructions.push(channel.seal());
            }
            ChannelStatus::Sealed => {}
            ChannelStatus::Distributed => {
                return refused(format!("channel {} is paid out", self.channel), "there is nothing to take");
            }
        }
        if account.payer_withdrawn_at != 0 {
            return refused(format!("the refund of {} was taken", self.channel), "there is nothing to take");
        }
        escape::check_sol(&cluster, &fee_payer.pubkey()).await?;
        instructions.push(escape::payer_account(&channel, &fee_payer.pubkey()));
        instructions.push(channel.withdraw_payer());
        let landed = cluster.send(&instructions, &fee_payer, &[&payer]).await?;
        let refunded = account.deposit.saturating_sub(account.settled);
        if let Some(mut saved) = book.channel(&self.channel) {
            saved.stage = ChannelStage::Closed;
            saved.pending = None;
            book.put(saved)?;
        }
        let document = json!({
            "channelId": self.channel.to_string(),
            "signature": landed.signature.to_string(),
            "refunded": refunded.to_string(),
        });
        output.result(&document, || {
            let refunded = money::tokens(refunded, decimals);
            format!("{refunded} refunded\ntransaction {}", landed.signature)
        });
        Ok(())
    }
}
