//! `toll top-up`

use clap::Args;
use serde_json::json;
use toll_protocol::ChannelId;

use super::channels::saved;
use super::pay::{STATE_PATIENCE, payer};
use crate::args::{self, LimitArgs, PayerArgs, base_units};
use crate::error::Result;
use crate::money::{self, Quantity};
use crate::output::Output;
use toll_client::Book;

/// Flags of `toll top-up`.
#[derive(Debug, Args)]
pub(crate) struct TopUp {
    /// The channel's address
    #[arg(value_parser = args::channel)]
    channel: ChannelId,

    /// By how much to raise the deposit
    amount: Quantity,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    payer: PayerArgs,
}

impl TopUp {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let payer = payer(&self.payer, &self.limits)?;
        let book = Book::open(&self.payer.state_path(), STATE_PATIENCE)?;
        let additional = base_units(self.amount, self.limits.decimals)?;
        let channel = payer.top_up(&book, &self.channel, additional).await?;
        let document = json!({ "additional": additional.to_string(), "channel": saved(&channel) });
        output.result(&document, || {
            let deposit = money::tokens(channel.deposit, channel.decimals);
            format!("channel {} now holds {deposit}", channel.channel_id)
        });
        Ok(())
    }
}
