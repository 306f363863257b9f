//! `toll show`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use toll_protocol::{ChannelAccount, ChannelId, ChannelStatus, PROGRAM_ID};

use super::channels::saved;
use super::pay::STATE_PATIENCE;
use crate::args::{self, ClusterArgs};
use crate::error::{CliError, Exit, Result};
use crate::output::{Output, table};
use toll_client::Book;

/// Flags of `toll show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The channel's address
    #[arg(value_parser = args::channel)]
    channel: ChannelId,

    /// Its program, when the channel is not in the state file
    #[arg(long, value_name = "ADDRESS", value_parser = args::address)]
    program: Option<Pubkey>,

    /// Where channels are remembered [default: ~/.local/state/toll/channels.json]
    #[arg(long, env = "TOLL_STATE", hide_env_values = true, value_name = "FILE")]
    state: Option<PathBuf>,

    #[command(flatten)]
    cluster: ClusterArgs,
}

impl Show {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let book = Book::open(&self.state.unwrap_or_else(args::default_state), STATE_PATIENCE)?;
        let known = book.channel(&self.channel);
        let program = self.program.or(known.as_ref().map(|channel| channel.program)).unwrap_or(PROGRAM_ID);
        let account = self.cluster.cluster().channel(&self.channel, &program).await?;
        if account.is_none() && known.is_none() {
            return Err(CliError::new(
                Exit::State,
                format_args!("channel {} is neither on chain nor in the state file", self.channel),
                "check the address, --rpc and --state",
            ));
        }
        let (known, account) = (known.as_ref().map(saved), account.as_ref().map(on_chain));
        let document = json!({ "channelId": self.channel.to_string(), "chain": account, "saved": known });
        output.result(&document, || {
            let mut text = format!("channel {}\n", self.channel);
            for (title, part) in
                [("on chain (amounts in base units)", &account), ("in the state file", &known)]
            {
                text.push_str(title);
                match part {
                    Some(part) => text.push_str(&format!("\n{}\n", members(part))),
                    None => text.push_str(": nothing\n"),
                }
            }
            text
        });
        Ok(())
    }
}

/// A channel account as JSON; amounts in base units.
pub(crate) fn on_chain(account: &ChannelAccount) -> Value {
    let status = match account.status {
        ChannelStatus::Open => "open",
        ChannelStatus::Closing => "closing",
        ChannelStatus::Sealed => "sealed",
        ChannelStatus::Distributed => "distributed",
    };
    json!({
        "status": status,
        "deposit": account.deposit.to_string(),
        "settled": account.settled.to_string(),
        "payoutWatermark": account.payout_watermark.to_string(),
        "closureStartedAt": account.closure_started_at,
        "payerWithdrawnAt": account.payer_withdrawn_at,
        "gracePeriodSeconds": account.grace_period,
        "payer": account.payer.to_string(),
        "payee": account.payee.to_string(),
        "mint": account.mint.to_string(),
        "authorizedSigner": account.authorized_signer.to_string(),
        "rentPayer": account.rent_payer.to_string(),
        "salt": account.salt.to_string(),
        "openSlot": account.open_slot.to_string(),
    })
}

fn members(part: &Value) -> String {
    let mut table = table(["", ""]);
    // Nested documents are for `--json`.
    for (name, value) in part.as_object().into_iter().flatten().filter(|(_, value)| !value.is_object()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        table.add_row([name.clone(), text]);
    }
    table.to_string()
}
