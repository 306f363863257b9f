//! The figures, and what they may be.

use serde::Serialize;

/// Slowest detection of a forced close that is good enough, in milliseconds.
const DETECTION_LIMIT_MS: u64 = 30_000;

/// How much more a poll may ask of the node with many channels than with few.
const CALLS_RATIO_LIMIT: f64 = 1.1;

/// What watching some number of channels cost.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Open channels in the ledger.
    pub channels: u64,
    /// Calls to the node in one look for forced closes, averaged.
    pub rpc_calls_per_poll: f64,
    /// Milliseconds that one look took, averaged, while vouchers were accepted.
    pub poll_ms: f64,
    /// Milliseconds from a forced close on chain to the ledger that refuses further vouchers.
    pub detect_forced_close_ms: u64,
    /// Milliseconds that a look took which compared every channel with the chain besides.
    pub comparison_ms: f64,
    /// Calls to the node in that look.
    pub comparison_calls: u64,
    /// What settler and acceptance added to this process's resident memory.
    pub memory_bytes: u64,
    /// Vouchers accepted meanwhile, durably.
    pub vouchers_accepted: u64,
    /// The same by the second.
    pub vouchers_per_second: f64,
}

/// Few channels and many.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The run that was asked for.
    #[serde(flatten)]
    pub many: Run,
    /// The same with few channels.
    pub baseline: Run,
    /// Calls per poll with many channels over those with few.
    pub rpc_calls_ratio: f64,
}

impl Report {
    /// Compares a run with its baseline.
    pub fn of(baseline: Run, many: Run) -> Self {
        Self { rpc_calls_ratio: many.rpc_calls_per_poll / baseline.rpc_calls_per_poll, baseline, many }
    }

    /// The figures as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers serialize")
    }

    /// What is wrong with the figures.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let Run { channels, detect_forced_close_ms, .. } = self.many;
        if detect_forced_close_ms > DETECTION_LIMIT_MS {
            complaints.push(format!("a forced close went unnoticed for {detect_forced_close_ms} ms"));
        }
        if !(1.0 / CALLS_RATIO_LIMIT..=CALLS_RATIO_LIMIT).contains(&self.rpc_calls_ratio) {
            let ratio = self.rpc_calls_ratio;
            complaints.push(format!("{channels} channels cost {ratio:.2} times the calls of the baseline"));
        }
        // What is on its way is asked after when its time has come.
        if self.many.comparison_calls > self.baseline.comparison_calls + 2 {
            let (many, few) = (self.many.comparison_calls, self.baseline.comparison_calls);
            complaints
                .push(format!("comparing {channels} channels took {many} calls, and the baseline {few}"));
        }
        complaints
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for run in [&self.baseline, &self.many] {
            writeln!(
                f,
                "{} channels: {:.1} calls and {:.1} ms a poll, forced close noticed after {} ms, all compared in {:.0} ms and {} calls, {} KiB, {} vouchers ({:.0}/s)",
                run.channels,
                run.rpc_calls_per_poll,
                run.poll_ms,
                run.detect_forced_close_ms,
                run.comparison_ms,
                run.comparison_calls,
                run.memory_bytes / 1_024,
                run.vouchers_accepted,
                run.vouchers_per_second,
            )?;
        }
        write!(f, "calls per poll: {:.2} times the baseline", self.rpc_calls_ratio)
    }
}
