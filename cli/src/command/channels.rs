//! `toll channels`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::pay::STATE_PATIENCE;
use crate::args;
use crate::error::Result;
use crate::money;
use crate::output::{Output, table};
use toll_client::{Book, SavedChannel};

/// Flags of `toll channels`.
#[derive(Debug, Args)]
pub(crate) struct Channels {
    /// Where channels are remembered [default: ~/.local/state/toll/channels.json]
    #[arg(long, env = "TOLL_STATE", hide_env_values = true, value_name = "FILE")]
    state: Option<PathBuf>,
}

impl Channels {
    pub(super) fn run(self, output: Output) -> Result<()> {
        let book = Book::open(&self.state.unwrap_or_else(args::default_state), STATE_PATIENCE)?;
        let documents: Vec<Value> = book.channels().iter().map(saved).collect();
        output.result(&json!({ "channels": documents }), || {
            if book.channels().is_empty() {
                return "no channels yet; `toll pay URL` opens one".into();
            }
            let mut table = table(["channel", "server", "stage", "deposit", "signed", "spent"]);
            for channel in &book.channels() {
                let tokens = |amount| money::tokens(amount, channel.decimals);
                table.add_row([
                    channel.channel_id.to_string(),
                    channel.origin.clone(),
                    stage(channel),
                    tokens(channel.deposit),
                    tokens(channel.signed),
                    tokens(channel.spent),
                ]);
            }
            table.to_string()
        });
        Ok(())
    }
}

/// The stage as the state file spells it.
pub(super) fn stage(channel: &SavedChannel) -> String {
    serde_json::to_value(channel.stage)
        .ok()
        .and_then(|stage| Some(stage.as_str()?.to_owned()))
        .unwrap_or_default()
}

/// A saved channel for people and scripts: no credentials.
pub(super) fn saved(channel: &SavedChannel) -> Value {
    json!({
        "channelId": channel.channel_id.to_string(),
        "origin": channel.origin,
        "url": channel.url,
        "stage": stage(channel),
        "network": channel.network.to_string(),
        "program": channel.program.to_string(),
        "payer": channel.payer.to_string(),
        "payee": channel.payee.to_string(),
        "authorizedSigner": channel.authorized_signer.to_string(),
        "mint": channel.mint.to_string(),
        "deposit": channel.deposit.to_string(),
        "price": channel.price.to_string(),
        "signed": channel.signed.to_string(),
        "accepted": channel.accepted.to_string(),
        "spent": channel.spent.to_string(),
        "gracePeriodSeconds": channel.grace_period_seconds,
        "splits": channel.splits,
        "pending": channel.pending.is_some(),
        "unanswered": channel.unanswered.len(),
        "lastReceipt": channel.last_receipt.as_ref().map(toll_protocol::Receipt::to_json),
    })
}
