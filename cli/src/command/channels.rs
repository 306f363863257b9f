//! `toll channels`

use clap::Args;
use serde_json::{Value, json};
use toll_client::{Book, Payer, Policy, SavedChannel};
use toll_protocol::{ChannelAccount, ChannelStatus};

use super::pay::STATE_PATIENCE;
use super::show::on_chain;
use crate::args::PayerArgs;
use crate::error::Result;
use crate::money;
use crate::output::{Output, table};

/// Flags of `toll channels`.
#[derive(Debug, Args)]
pub(crate) struct Channels {
    /// Look for the payer's channels on chain instead, as after the state file was lost
    #[arg(long)]
    recover: bool,

    #[command(flatten)]
    payer: PayerArgs,
}

impl Channels {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let book = Book::open(&self.payer.state_path(), STATE_PATIENCE)?;
        if self.recover {
            return self.recover(&book, output).await;
        }
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

    /// What the chain knows of the payer's channels, and how to leave each.
    async fn recover(&self, book: &Book, output: Output) -> Result<()> {
        let policy = Policy::new(self.payer.cluster.network, self.payer.programs());
        let payer = Payer::new(self.payer.key()?, policy, Some(self.payer.cluster.cluster()))?;
        let found = payer.find_channels().await?;
        let documents: Vec<Value> = found
            .iter()
            .map(|channel| {
                let mut document = on_chain(&channel.account);
                document["channelId"] = channel.id.to_string().into();
                document["program"] = channel.program.to_string().into();
                document["remembered"] = book.channel(&channel.id).is_some().into();
                document["signerIsOurs"] = channel.is_ours_to_sign.into();
                document["next"] = next_step(&channel.account).into();
                document
            })
            .collect();
        output.result(&json!({ "channels": documents }), || {
            if found.is_empty() {
                return format!("{} has no channels on chain", payer.address());
            }
            let mut table = table(["channel", "status", "deposit", "settled", "remembered", "next"]);
            for (channel, document) in found.iter().zip(&documents) {
                table.add_row([
                    channel.id.to_string(),
                    document["status"].as_str().unwrap_or_default().to_owned(),
                    channel.account.deposit.to_string(),
                    channel.account.settled.to_string(),
                    if document["remembered"] == true { "yes" } else { "no" }.to_owned(),
                    next_step(&channel.account).to_owned(),
                ]);
            }
            format!("{table}\namounts in base units")
        });
        Ok(())
    }
}

/// What the payer can do about its channel without the server, and without a state file.
fn next_step(account: &ChannelAccount) -> &'static str {
    match account.status {
        ChannelStatus::Open => "toll request-close",
        ChannelStatus::Closing | ChannelStatus::Sealed if account.payer_withdrawn_at == 0 => "toll withdraw",
        _ => "nothing: the refund is out",
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
