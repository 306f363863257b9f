//! `toll ledger reconcile`

mod channels;
mod lamports;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use toll_chain::Cluster;

use self::lamports::Balance;
use super::open;
use crate::config::Config;
use crate::error::{CliError, Exit, Result};
use crate::output::{Output, table};
use crate::server::ledger_error;

/// Flags of `toll ledger reconcile`.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "toll.toml")]
    config: PathBuf,
}

/// Something that is not the same twice.
struct Difference {
    /// What kind of name `of` is: `channelId`, `feePayer`, `signature` or `journal`.
    member: &'static str,
    of: String,
    what: &'static str,
    ledger: String,
    chain: String,
}

/// What was compared.
struct Compared {
    entries: u64,
    channels: u64,
    balance: Balance,
}

impl Reconcile {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let config = Config::read(&self.config)?;
        let book = open(&config).await?;
        let cluster = Cluster::new(&config.settler.rpc);
        cluster.check_network(config.session.network).await?;
        let mut differences = Vec::new();
        let (lines, last) = book.journal_length().await.map_err(|error| ledger_error(&error))?;
        if lines != last {
            let (ledger, chain) = (lines.to_string(), last.to_string());
            let of = "journal".to_owned();
            differences.push(Difference { member: "journal", of, what: "lines and numbers", ledger, chain });
        }
        let channels = channels::compare_all(&book, &cluster, output, &mut differences).await?;
        let fee_payer = config.session.fee_payer;
        let balance = lamports::compare(&book, &cluster, &fee_payer, output, &mut differences).await?;
        let compared = Compared { entries: lines, channels, balance };
        output.result(&compared.document(&differences), || compared.told(&differences));
        match differences.len() {
            0 => Ok(()),
            count => {
                let what = format!("the ledger and the chain differ in {count} of their figures");
                Err(CliError::new(Exit::Mismatch, what, "repeat it when nothing is on its way"))
            }
        }
    }
}

impl Difference {
    fn document(&self) -> Value {
        let Self { member, of, what, ledger, chain } = self;
        json!({ *member: of, "what": what, "ledger": ledger, "chain": chain })
    }
}

impl Compared {
    fn document(&self, differences: &[Difference]) -> Value {
        let outside = self.balance.outside.iter().map(|(signature, lamports)| {
            json!({ "signature": signature.to_string(), "lamports": lamports.to_string() })
        });
        json!({
            "exact": differences.is_empty(),
            "entries": self.entries,
            "channels": self.channels,
            "transactions": self.balance.compared,
            "forgottenByTheNode": self.balance.forgotten,
            "outside": outside.collect::<Vec<_>>(),
            "differences": differences.iter().map(Difference::document).collect::<Vec<_>>(),
        })
    }

    fn told(&self, differences: &[Difference]) -> String {
        let Balance { compared, forgotten, outside } = &self.balance;
        let mut lines = vec![format!(
            "{} entries, {} channels and {compared} transactions of the fee payer compared",
            self.entries, self.channels
        )];
        if *forgotten > 0 {
            lines.push(format!("{forgotten} older transactions are forgotten by the node"));
        }
        for (signature, lamports) in outside {
            lines.push(format!("outside of this ledger: {lamports:+} lamports by {signature}"));
        }
        if differences.is_empty() {
            lines.push("every figure is exact".to_owned());
            return lines.join("\n");
        }
        let mut table = table(["of", "what", "ledger", "chain"]);
        for Difference { of, what, ledger, chain, .. } in differences {
            table.add_row([of.clone(), (*what).to_owned(), ledger.clone(), chain.clone()]);
        }
        lines.push(table.to_string());
        lines.join("\n")
    }
}
