//! `toll settle --once` and `toll settler`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use toll_settler::Summary;

use super::serve;
use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::kind::kind;
use crate::log;
use crate::output::{Output, table};
use crate::server::{Role, settle_once};

/// Flags of `toll settler`.
#[derive(Debug, Args)]
pub(crate) struct Daemon {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "toll.toml")]
    config: PathBuf,
}

/// Flags of `toll settle`.
#[derive(Debug, Args)]
pub(crate) struct Settle {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "toll.toml")]
    config: PathBuf,

    /// Do what is due now and end; without it, go on as `toll settler` does
    #[arg(long)]
    once: bool,
}

impl Daemon {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        serve::run(&Config::read(&self.config)?, Role::Settler, output).await
    }
}

impl Settle {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let config = Config::read(&self.config)?;
        if !self.once {
            return serve::run(&config, Role::Settler, output).await;
        }
        log::to_stderr();
        let done = settle_once(&config).await?;
        output.result(&summary(&done).0, || summary(&done).1);
        match done.reports.iter().filter(|report| report.error.is_some()).count() {
            0 => Ok(()),
            failed => {
                let what = format!("{failed} transactions failed");
                Err(CliError::new(Exit::Refused, what, "look at the log; the next run tries again"))
            }
        }
    }
}

/// What a settler did, as a document and as text.
pub(super) fn summary(done: &Summary) -> (Value, String) {
    let transactions: Vec<Value> = done
        .reports
        .iter()
        .map(|report| {
            json!({
                "kind": kind(report.kind),
                "signature": report.signature.to_string(),
                "channels": report.channels.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "feeLamports": report.fee_lamports,
                "computeUnits": report.compute_units,
                "error": report.error,
            })
        })
        .collect();
    let left = |list: &[(toll_protocol::ChannelId, String)]| -> Vec<Value> {
        list.iter().map(|(id, reason)| json!({ "channelId": id.to_string(), "reason": reason })).collect()
    };
    let document = json!({
        "transactions": transactions,
        "feesLamports": done.fee_lamports(),
        "expired": done.expired,
        "held": left(&done.held),
        "refused": left(&done.refused),
    });
    let mut text = if done.reports.is_empty() {
        "nothing was due\n".to_owned()
    } else {
        let mut table = table(["transaction", "channels", "fee", "outcome", "signature"]);
        for report in &done.reports {
            table.add_row([
                kind(report.kind).to_owned(),
                report.channels.len().to_string(),
                report.fee_lamports.to_string(),
                report.error.clone().unwrap_or_else(|| "landed".into()),
                report.signature.to_string(),
            ]);
        }
        format!("{table}\n")
    };
    for (what, list) in [("held", &done.held), ("refused", &done.refused)] {
        for (id, reason) in list {
            text.push_str(&format!("{what} {id}: {reason}\n"));
        }
    }
    (document, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_named_as_in_the_demo() {
        let report = toll_settler::Report {
            kind: toll_ledger::SubmissionKind::TopUp,
            signature: solana_signature::Signature::default(),
            channels: Vec::new(),
            fee_lamports: 5_000,
            compute_units: 1,
            error: None,
        };
        let (document, text) = summary(&Summary { reports: vec![report], ..Summary::default() });
        assert_eq!(document["transactions"][0]["kind"], "topUp");
        assert!(text.contains("topUp"), "{text}");
    }

    #[test]
    fn an_idle_settler_says_so_and_has_no_fees() {
        let (document, text) = summary(&Summary::default());
        assert_eq!(document["transactions"], json!([]));
        assert_eq!(document["feesLamports"], 0);
        assert_eq!(text, "nothing was due\n");
    }
}
