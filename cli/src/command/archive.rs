//! `toll archive`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use toll_ledger::{ArchivedChannel, ArchivedSubmission, Ledger, SystemClock};
use toll_protocol::{Amount, ChannelId};

use crate::args;
use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::kind::kind;
use crate::output::{Output, table};
use crate::server::ledger_error;

/// Flags of `toll archive`.
#[derive(Debug, Args)]
pub(crate) struct Archive {
    /// One channel: what it was, how it ended, and its transactions
    #[arg(value_parser = args::channel)]
    channel: Option<ChannelId>,

    /// List at most this many, the latest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,

    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "toll.toml")]
    config: PathBuf,
}

impl Archive {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let config = Config::read(&self.config)?.ledger;
        if let Some(file) = config.file().filter(|file| !file.exists()) {
            let what = format!("there is no ledger at {}", file.display());
            return Err(CliError::new(
                Exit::Ledger,
                what,
                "check ledger.path; a server makes it when it starts",
            ));
        }
        let failed = |error| ledger_error(&error);
        let ledger = Ledger::with(config, SystemClock).map_err(failed)?;
        let Some(id) = self.channel else {
            let channels = ledger.archived_channels(self.limit).await.map_err(failed)?;
            output.result(&json!({ "channels": channels.iter().map(document).collect::<Vec<_>>() }), || {
                list(&channels)
            });
            return Ok(());
        };
        if let Some((channel, submissions)) = ledger.archived_channel(&id).await.map_err(failed)? {
            output.result(&history(&channel, &submissions), || told(&channel, &submissions));
            return Ok(());
        }
        let what = match ledger.channel(&id).await.map_err(failed)? {
            Some(record) => format!("channel {id} is not in the archive: it is {}", record.state),
            None => format!("channel {id} is not in the archive"),
        };
        Err(CliError::new(
            Exit::Ledger,
            what,
            "channels come there ledger.archive_after_days after they are gone",
        ))
    }
}

fn document(channel: &ArchivedChannel) -> Value {
    let (agreement, marks) = (&channel.agreement, &channel.watermarks);
    let optional = |amount: Option<Amount>| amount.map(|amount| amount.to_string());
    json!({
        "channelId": channel.id.to_string(),
        "program": agreement.program.to_string(),
        "payer": agreement.terms.payer.to_string(),
        "payee": agreement.terms.payee.to_string(),
        "mint": agreement.terms.mint.to_string(),
        "authorizedSigner": agreement.terms.authorized_signer.to_string(),
        "rentPayer": agreement.rent_payer.to_string(),
        "gracePeriodSeconds": agreement.grace_period,
        "splits": agreement.splits,
        "price": channel.price.to_string(),
        "unitType": channel.unit_type,
        "deposit": marks.deposit.to_string(),
        "accepted": marks.accepted.to_string(),
        "spent": marks.spent.to_string(),
        "settled": marks.settled.to_string(),
        "payoutWatermark": marks.payout_watermark.to_string(),
        "voucher": optional(channel.voucher),
        "refunded": optional(channel.refunded),
        "closeReason": channel.close_reason.map(|reason| reason.as_str()),
        "closeSignature": channel.close_signature.map(|signature| signature.to_string()),
        "openedAt": channel.created_at,
        "lastActivityAt": channel.last_activity_at,
        "closingAt": channel.closing_at,
        "overSince": channel.over_since,
        "archivedAt": channel.archived_at,
    })
}

fn history(channel: &ArchivedChannel, submissions: &[ArchivedSubmission]) -> Value {
    let transactions = submissions.iter().map(|submission| {
        json!({
            "kind": kind(submission.kind),
            "state": submission.state.as_str(),
            "signature": submission.signature.map(|signature| signature.to_string()),
            "amount": submission.amount.map(|amount| amount.to_string()),
            "error": submission.error,
            "feeLamports": submission.fee_lamports,
            "computeUnits": submission.compute_units,
            "landedSlot": submission.landed_slot,
            "recordedAt": submission.created_at,
            "updatedAt": submission.updated_at,
        })
    });
    let mut document = document(channel);
    document["transactions"] = transactions.collect();
    document
}

fn list(channels: &[ArchivedChannel]) -> String {
    if channels.is_empty() {
        return "the archive is empty".to_owned();
    }
    let mut table = table(["channel", "payer", "deposit", "settled", "refunded", "closed"]);
    for channel in channels {
        table.add_row([
            channel.id.to_string(),
            channel.agreement.terms.payer.to_string(),
            channel.watermarks.deposit.to_string(),
            channel.watermarks.settled.to_string(),
            channel.refunded.map_or("-".to_owned(), |refunded| refunded.to_string()),
            channel.close_reason.map_or("-", |reason| reason.as_str()).to_owned(),
        ]);
    }
    format!("{table}\namounts in base units")
}

fn told(channel: &ArchivedChannel, submissions: &[ArchivedSubmission]) -> String {
    let mut facts = table(["", ""]);
    for (name, value) in document(channel).as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        facts.add_row([name.clone(), value]);
    }
    let mut transactions = table(["transaction", "state", "fee", "signature"]);
    for submission in submissions {
        transactions.add_row([
            kind(submission.kind).to_owned(),
            submission.error.clone().unwrap_or_else(|| submission.state.to_string()),
            submission.fee_lamports.map_or("-".to_owned(), |fee| fee.to_string()),
            submission.signature.map_or("-".to_owned(), |signature| signature.to_string()),
        ]);
    }
    format!("{facts}\n{transactions}\namounts in base units, fees in lamports, times in unix seconds")
}
