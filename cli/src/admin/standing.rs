//! Gauges of how ledger and purse stand, read anew for every scrape.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use toll_ledger::{Ledger, Vitals};
use toll_settler::FloatWatch;

type State = [(&'static str, &'static str); 1];

/// The gauges. Ages count from now; what has not happened has no age and shows 0.
#[derive(Default)]
pub(super) struct Standing {
    ledger_up: Gauge,
    queue: Gauge,
    channels: Family<State, Gauge>,
    submissions: Family<State, Gauge>,
    exposure: Gauge,
    exposure_age: Gauge,
    grace_clocks: Gauge,
    grace_left: Gauge,
    tip_age: Gauge,
    observation_age: Gauge,
    float: Gauge,
    float_held: Gauge,
    float_reserve: Gauge,
    balance: Gauge,
}

impl Standing {
    pub(super) fn register(&self, registry: &mut Registry) {
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge("toll_ledger_up", "Whether the ledger could be read for this scrape", &self.ledger_up);
        gauge("toll_ledger_queue", "Writes that wait for the ledger", &self.queue);
        gauge("toll_exposure_base_units", "Base units accepted and not settled", &self.exposure);
        gauge(
            "toll_exposure_age_seconds",
            "Since the last activity of the channel with something unsettled that was longest without",
            &self.exposure_age,
        );
        gauge(
            "toll_grace_clocks",
            "Channels whose payer has forced a close that is not done",
            &self.grace_clocks,
        );
        gauge(
            "toll_grace_left_seconds",
            "Until the first of these grace periods ends; below zero when it has ended",
            &self.grace_left,
        );
        gauge("toll_tip_age_seconds", "Since the chain's tip was last published", &self.tip_age);
        gauge(
            "toll_observation_age_seconds",
            "Since forced closes were last looked for",
            &self.observation_age,
        );
        registry.register("toll_channels", "Channels, by state", self.channels.clone());
        registry.register(
            "toll_submissions_unresolved",
            "Transactions of unknown fate: requested by the gateway, or recorded and perhaps sent",
            self.submissions.clone(),
        );
    }

    /// The sponsor's lamports, where a settler runs in this process.
    pub(super) fn register_float(&self, registry: &mut Registry) {
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge(
            "toll_float_left_lamports",
            "What new channels may take of the fee payer's balance",
            &self.float,
        );
        gauge(
            "toll_float_held_lamports",
            "What transactions of unknown fate may take of it",
            &self.float_held,
        );
        gauge(
            "toll_float_reserve_lamports",
            "What stays for the closes of all channels",
            &self.float_reserve,
        );
        gauge("toll_fee_payer_lamports", "What the fee payer holds", &self.balance);
    }

    /// Sets everything to what is known now.
    pub(super) fn show(&self, ledger: &Ledger, vitals: Option<&Vitals>, float: Option<&FloatWatch>) {
        self.ledger_up.set(i64::from(vitals.is_some()));
        self.queue.set(ledger.queued().try_into().unwrap_or(i64::MAX));
        if let Some(float) = float.map(FloatWatch::look) {
            self.float.set(signed(float.left()));
            self.float_held.set(signed(float.held));
            self.float_reserve.set(signed(float.reserve));
            self.balance.set(signed(float.balance));
        }
        let Some(vitals) = vitals else { return };
        for (state, count) in &vitals.channels {
            self.channels.get_or_create(&[("state", state.as_str())]).set(signed(*count));
        }
        for (state, count) in &vitals.unresolved {
            self.submissions.get_or_create(&[("state", state.as_str())]).set(signed(*count));
        }
        let now = ledger.now();
        let age = |since: Option<i64>| since.map_or(0, |since| now.saturating_sub(since));
        self.exposure.set(signed(vitals.exposure.get()));
        self.exposure_age.set(age(vitals.exposed_since));
        self.grace_clocks.set(signed(vitals.forced));
        self.grace_left.set(vitals.grace_ends_at.map_or(0, |at| at.saturating_sub(now)));
        self.tip_age.set(age(vitals.tip_at));
        self.observation_age.set(age(vitals.observed_at));
    }
}

fn signed(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
