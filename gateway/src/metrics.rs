//! What the gateway counts, for whoever scrapes it.
//!
//! Labels are refusal codes only: nothing that a sender chooses becomes a label.

use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use toll_ledger::{Acceptance, Charge, LedgerError};
use toll_protocol::{Amount, RefusalCode, VerifiedVoucher};
use tracing::Instrument;

use crate::gateway::Gateway;

type Code = [(&'static str, &'static str); 1];

/// The gateway's counters. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    accepted: Counter,
    charged: Counter,
    repeated: Counter,
    refused: Family<Code, Counter>,
    commit: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            accepted: Counter::default(),
            charged: Counter::default(),
            repeated: Counter::default(),
            refused: Family::default(),
            // Half a millisecond to sixteen seconds: a synced write takes one at best.
            commit: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
        }
    }
}

impl Metrics {
    /// Adds everything to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("toll_vouchers_accepted", "Vouchers accepted for service", self.accepted.clone());
        registry.register("toll_charged_base_units", "Base units charged for service", self.charged.clone());
        registry.register(
            "toll_requests_repeated",
            "Paid requests that were charged before and cost nothing more",
            self.repeated.clone(),
        );
        registry.register("toll_requests_refused", "Requests refused, by refusal code", self.refused.clone());
        registry.register(
            "toll_commit_seconds",
            "From asking the ledger to accept a voucher to its answer, which comes once it is on disk",
            self.commit.clone(),
        );
    }

    pub(crate) fn charge(&self, amount: Amount) {
        self.charged.inc_by(amount.get());
    }

    pub(crate) fn refuse(&self, code: RefusalCode) {
        self.refused.get_or_create(&[("code", code.as_str())]).inc();
        tracing::Span::current().record("refusal", code.as_str());
    }
}

impl Gateway {
    /// What this gateway counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// [`toll_ledger::Ledger::earmark`], counted.
    pub(crate) async fn earmark(
        &self,
        voucher: &VerifiedVoucher,
        charge: Charge,
    ) -> Result<Acceptance, LedgerError> {
        let asked = Instant::now();
        let accepted = self.ledger.earmark(voucher, charge).instrument(tracing::info_span!("accept")).await;
        self.metrics.commit.observe(asked.elapsed().as_secs_f64());
        match &accepted {
            Ok(Acceptance::Accepted(_)) => drop(self.metrics.accepted.inc()),
            Ok(Acceptance::Replayed(_)) => drop(self.metrics.repeated.inc()),
            _ => {}
        }
        accepted
    }

    /// [`toll_ledger::Ledger::accept`], counted.
    pub(crate) async fn accept(
        &self,
        voucher: &VerifiedVoucher,
        charge: Charge,
    ) -> Result<Acceptance, LedgerError> {
        let (cost, asked) = (charge.cost, Instant::now());
        let accepted = self.ledger.accept(voucher, charge).instrument(tracing::info_span!("accept")).await;
        self.metrics.commit.observe(asked.elapsed().as_secs_f64());
        match &accepted {
            Ok(Acceptance::Accepted(_)) => {
                self.metrics.accepted.inc();
                self.metrics.charged.inc_by(cost.get());
            }
            Ok(Acceptance::Replayed(_)) => {
                self.metrics.repeated.inc();
            }
            _ => {}
        }
        accepted
    }
}
