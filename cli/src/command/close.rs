//! `toll close`

use clap::Args;
use serde_json::json;
use toll_protocol::{Amount, ChannelId};

use super::pay::{STATE_PATIENCE, payer};
use crate::args::{self, LimitArgs, PayerArgs};
use crate::error::{CliError, Result};
use crate::money;
use crate::output::Output;
use toll_client::Book;
use toll_client::PayError;

/// Flags of `toll close`.
#[derive(Debug, Args)]
pub(crate) struct Close {
    /// The channel's address
    #[arg(value_parser = args::channel)]
    channel: ChannelId,

    /// Forget the channel once it is closed
    #[arg(long)]
    forget: bool,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    payer: PayerArgs,
}

impl Close {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let payer = payer(&self.payer, &self.limits)?;
        let book = Book::open(&self.payer.state_path(), STATE_PATIENCE)?;
        let decimals = book.channel(&self.channel).map_or(self.limits.decimals, |channel| channel.decimals);
        let receipt = payer.close(&book, &self.channel).await.map_err(|error| match error {
            PayError::Unreachable { .. } => CliError {
                remedy: "try again when it is back, or leave without it with `toll request-close`".into(),
                ..error.into()
            },
            _ => error.into(),
        })?;
        if self.forget {
            book.remove(&self.channel)?;
        }
        let document = json!({ "channelId": self.channel.to_string(), "receipt": receipt.to_json() });
        output.result(&document, || {
            let signature = receipt.tx_hash.map_or("-".into(), |signature| signature.to_string());
            format!(
                "closed: {} paid, {} refunded\ntransaction {signature}",
                money::tokens(receipt.spent, decimals),
                money::tokens(receipt.refunded.unwrap_or(Amount::ZERO), decimals),
            )
        });
        Ok(())
    }
}
