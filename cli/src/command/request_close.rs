//! `toll request-close`

use clap::Args;
use serde_json::json;
use solana_signer::Signer;
use toll_protocol::{ChannelId, ChannelStatus};

use super::pay::STATE_PATIENCE;
use crate::args::{self, FeePayerArgs, PayerArgs};
use crate::error::{CliError, Exit, Result};
use crate::escape;
use crate::output::Output;
use toll_chain::Cluster;
use toll_client::{Book, ChannelStage};

/// Flags of `toll request-close`.
#[derive(Debug, Args)]
pub(crate) struct RequestClose {
    /// The channel's address
    #[arg(value_parser = args::channel)]
    channel: ChannelId,

    #[command(flatten)]
    fee_payer: FeePayerArgs,

    #[command(flatten)]
    payer: PayerArgs,
}

impl RequestClose {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let payer = self.payer.key()?;
        let fee_payer = self.fee_payer.key(&payer)?;
        let cluster: Cluster = self.payer.cluster.cluster();
        let book = Book::open(&self.payer.state_path(), STATE_PATIENCE)?;
        let (channel, account, _) =
            escape::find(&cluster, &book, &self.payer.programs(), &self.channel, &payer.pubkey()).await?;
        if account.status != ChannelStatus::Open {
            return Err(CliError::new(
                Exit::Refused,
                format_args!("channel {} is not open", self.channel),
                "see `toll show`; after the grace period `toll withdraw` takes the refund",
            ));
        }
        escape::check_sol(&cluster, &fee_payer.pubkey()).await?;
        let landed = cluster.send(&[channel.request_close()], &fee_payer, &[&payer]).await?;
        if let Some(mut saved) = book.channel(&self.channel) {
            saved.stage = ChannelStage::Closing;
            book.put(saved)?;
        }
        let document = json!({
            "channelId": self.channel.to_string(),
            "signature": landed.signature.to_string(),
            "gracePeriodSeconds": account.grace_period,
        });
        output.result(&document, || {
            format!(
                "closing: in {} s `toll withdraw {}` takes the refund\ntransaction {}",
                account.grace_period, self.channel, landed.signature
            )
        });
        Ok(())
    }
}
