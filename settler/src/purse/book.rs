//! The purse's arithmetic: what is there, what is held, what may still be spent. Pure, no clock, no I/O.

use std::collections::{BTreeMap, HashMap};

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_ledger::{Hold, Spending, SpendingKind, Spent};

use super::{Denial, Prices, PurseSettings};
use crate::metrics::Float;

/// One purpose of a transaction and what it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outlay {
    /// What for.
    pub kind: SpendingKind,
    /// For whose channel, if it is about one payer's.
    pub payer: Option<Pubkey>,
    /// The most that leaves the fee payer, in lamports, rent that comes back included.
    pub lamports: u64,
    /// What counts against budgets, in lamports: what never comes back, now or at the close.
    pub charge: u64,
    /// Channels that have to be closed at our expense because of it.
    pub channels: u64,
}

/// Where the book stood when a balance or a count was asked for: what is resolved meanwhile may or may not be in
/// the answer, and is counted as if it were not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    outflow: u64,
    opened: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    transactions: u64,
    charged: u64,
}

/// What the purse knows. Everything that binds is in the ledger as well.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    settings: PurseSettings,
    prices: Prices,
    day: i64,
    today: BTreeMap<SpendingKind, Tally>,
    payers: HashMap<Pubkey, u64>,
    /// Charged to budgets, ever.
    charged: u64,
    held: HashMap<Signature, Vec<(Hold, u64)>>,
    balance: u64,
    channels: u64,
    outflow: u64,
    opened: u64,
}

impl Book {
    /// A purse on `day`, with nothing held, nothing spent, and a balance that is not known yet: nothing may be
    /// spent before [`Book::saw_balance`].
    pub(crate) fn new(settings: PurseSettings, prices: Prices, day: i64) -> Self {
        Self {
            settings,
            prices,
            day,
            today: BTreeMap::new(),
            payers: HashMap::new(),
            charged: 0,
            held: HashMap::new(),
            balance: 0,
            channels: 0,
            outflow: 0,
            opened: 0,
        }
    }

    /// Takes over what an earlier process wrote down: `charged` in all, the day's spending, and what it held.
    pub(crate) fn restore(&mut self, charged: u64, spending: &[Spending], holds: &[Hold]) {
        self.charged = charged;
        for row in spending.iter().filter(|row| row.day == self.day) {
            let tally = self.today.entry(row.kind).or_default();
            tally.transactions += row.transactions;
            tally.charged += row.charged;
            if let Some(payer) = row.payer {
                *self.payers.entry(payer).or_default() += row.charged;
            }
        }
        for hold in holds {
            // An open by its payer holds nothing but the charge of its close.
            let by_payer = hold.kind == SpendingKind::Close && hold.charge > 0;
            let channels = u64::from(hold.kind == SpendingKind::Open || by_payer);
            self.held.entry(hold.signature).or_default().push((*hold, channels));
        }
    }

    /// Begins a new day's budgets when `day` is another than the last.
    pub(crate) fn turn_to(&mut self, day: i64) {
        if day != self.day {
            self.day = day;
            self.today.clear();
            self.payers.clear();
        }
    }

    /// Holds what a transaction may take, or says why it must not be sent. All of it or nothing.
    ///
    /// Closing channels is never denied: that is what the reserve is for. A signature that holds something
    /// already goes on holding that.
    pub(crate) fn hold(&mut self, signature: Signature, outlays: &[Outlay]) -> Result<Vec<Hold>, Denial> {
        if self.held.contains_key(&signature) {
            return Ok(Vec::new());
        }
        self.check(outlays)?;
        let holds: Vec<_> = outlays
            .iter()
            .map(|outlay| {
                let Outlay { kind, payer, lamports, charge, channels } = *outlay;
                (Hold { signature, kind, payer, day: self.day, lamports, charge }, channels)
            })
            .collect();
        self.held.insert(signature, holds.clone());
        Ok(holds.into_iter().map(|(hold, _)| hold).collect())
    }

    /// Whether all of `outlays` may be spent together.
    pub(crate) fn check(&self, outlays: &[Outlay]) -> Result<(), Denial> {
        let refusable = |outlay: &&Outlay| outlay.kind.is_refusable();
        let mut payers: HashMap<Pubkey, u64> = HashMap::new();
        let mut charge = 0u64;
        for outlay in outlays {
            if let Some(payer) = outlay.payer {
                let sum = payers.entry(payer).or_default();
                *sum = sum.saturating_add(outlay.charge);
            }
            if refusable(&outlay) {
                charge = charge.saturating_add(outlay.charge);
                self.check_kind(outlay)?;
            }
        }
        for (payer, charge) in payers.into_iter().filter(|(_, charge)| *charge > 0) {
            let budget = self.settings.payer_budget_per_day;
            let left = self.payer_left(&payer);
            if charge > left {
                return Err(Denial::PayerBudget { budget, left });
            }
        }
        if charge > 0 {
            self.check_sums(charge)?;
        }
        // What only closes channels draws on the reserve.
        if outlays.iter().any(|outlay| refusable(&outlay) || outlay.channels > 0) {
            self.check_reserve(outlays)?;
        }
        Ok(())
    }

    fn check_kind(&self, outlay: &Outlay) -> Result<(), Denial> {
        let kind = outlay.kind;
        if let Some(budget) = self.settings.budget_of(kind) {
            let left = budget.saturating_sub(self.charged_today(kind));
            if outlay.charge > left {
                return Err(Denial::KindBudget { kind, budget, left });
            }
        }
        if kind == SpendingKind::RefundAccount && self.refund_accounts_left() == 0 {
            return Err(Denial::RefundAccounts { limit: self.settings.refund_accounts_per_day });
        }
        Ok(())
    }

    fn check_sums(&self, charge: u64) -> Result<(), Denial> {
        if let Some(budget) = self.settings.budget_per_day {
            let left = budget.saturating_sub(self.charged_day());
            if charge > left {
                return Err(Denial::DayBudget { budget, left });
            }
        }
        if let Some(budget) = self.settings.budget {
            let left = budget.saturating_sub(self.charged_in_all());
            if charge > left {
                return Err(Denial::Budget { budget, left });
            }
        }
        Ok(())
    }

    fn check_reserve(&self, outlays: &[Outlay]) -> Result<(), Denial> {
        let sum = |of: fn(&Outlay) -> u64| outlays.iter().map(of).fold(0, u64::saturating_add);
        let channels = self.channels().saturating_add(sum(|outlay| outlay.channels));
        let created = sum(|outlay| u64::from(outlay.kind == SpendingKind::RefundAccount));
        let refunds = self.refund_accounts_left().saturating_sub(created);
        let reserve = self.settings.reserve(&self.prices, channels, refunds);
        let available = self.available();
        match available.checked_sub(sum(|outlay| outlay.lamports)) {
            Some(left) if left >= reserve => Ok(()),
            _ => Err(Denial::Reserve { available, reserve }),
        }
    }

    /// What became of a transaction: `spent` for each purpose that cost something, `outflow` lamports that left
    /// the fee payer, rent included. One that holds nothing changes nothing.
    pub(crate) fn resolve(&mut self, signature: &Signature, spent: &[Spent], outflow: u64) {
        let Some(holds) = self.held.remove(signature) else { return };
        for (hold, channels) in holds {
            let Some(spent) = spent.iter().find(|spent| spent.is_of(&hold)) else { continue };
            if spent.charged > 0 && hold.kind.is_refusable() {
                self.charged = self.charged.saturating_add(spent.charged);
            }
            self.opened = self.opened.saturating_add(channels);
            self.channels = self.channels.saturating_add(channels);
            if hold.day == self.day {
                let tally = self.today.entry(hold.kind).or_default();
                tally.transactions += 1;
                tally.charged = tally.charged.saturating_add(spent.charged);
                if let Some(payer) = hold.payer {
                    let sum = self.payers.entry(payer).or_default();
                    *sum = sum.saturating_add(spent.charged);
                }
            }
        }
        self.outflow = self.outflow.saturating_add(outflow);
        self.balance = self.balance.saturating_sub(outflow);
    }

    /// What `signature` holds.
    pub(crate) fn held_by(&self, signature: &Signature) -> Vec<Hold> {
        self.held.get(signature).into_iter().flatten().map(|(hold, _)| *hold).collect()
    }

    /// To be taken before asking for a balance or a count.
    pub(crate) fn mark(&self) -> Mark {
        Mark { outflow: self.outflow, opened: self.opened }
    }

    /// The fee payer had `lamports` some time after `mark`.
    pub(crate) fn saw_balance(&mut self, mark: Mark, lamports: u64) {
        self.balance = lamports.saturating_sub(self.outflow - mark.outflow);
    }

    /// So many channels were open or closing some time after `mark`.
    pub(crate) fn saw_channels(&mut self, mark: Mark, channels: u64) {
        self.channels = channels.saturating_add(self.opened - mark.opened);
    }

    /// Prices change: rent with an epoch, fees with the configuration.
    pub(crate) fn set_prices(&mut self, prices: Prices) {
        self.prices = prices;
    }

    /// The prices in force.
    pub(crate) fn prices(&self) -> &Prices {
        &self.prices
    }

    /// What is there and not held, in lamports.
    pub(crate) fn available(&self) -> u64 {
        let held = self.holds().map(|hold| hold.lamports).fold(0, u64::saturating_add);
        self.balance.saturating_sub(held)
    }

    /// Balance, what is held of it, and what has to stay.
    pub(crate) fn float(&self) -> Float {
        let held = self.holds().map(|hold| hold.lamports).fold(0, u64::saturating_add);
        Float { balance: self.balance, held, reserve: self.reserve() }
    }

    /// What is kept for the closes of channels, in lamports.
    pub(crate) fn reserve(&self) -> u64 {
        self.settings.reserve(&self.prices, self.channels(), self.refund_accounts_left())
    }

    /// Whether the closes of all channels can be paid for, to the last fee.
    pub(crate) fn closes_are_funded(&self) -> bool {
        let fees = self.prices.close_fee.saturating_mul(self.channels());
        self.available() >= fees.saturating_add(self.prices.empty_account_rent)
    }

    /// What an open takes at most.
    pub(crate) fn open(&self, payer: Option<Pubkey>) -> Outlay {
        let (lamports, charge) = (self.prices.open_outlay(), self.prices.open_charge());
        Outlay { kind: SpendingKind::Open, payer, lamports, charge, channels: 1 }
    }

    /// What a top-up takes at most.
    pub(crate) fn top_up(&self, payer: Option<Pubkey>) -> Outlay {
        let fee = self.prices.client_fee;
        Outlay { kind: SpendingKind::TopUp, payer, lamports: fee, charge: fee, channels: 0 }
    }

    /// Token accounts that may still be created for refunds today.
    pub(crate) fn refund_accounts_left(&self) -> u64 {
        let kind = SpendingKind::RefundAccount;
        let created = self.today.get(&kind).map_or(0, |tally| tally.transactions);
        let held = self.holds().filter(|hold| hold.kind == kind && hold.day == self.day).count() as u64;
        self.settings.refund_accounts_per_day.saturating_sub(created.saturating_add(held))
    }

    fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.held.values().flatten().map(|(hold, _)| hold)
    }

    /// Channels to close, those included whose opens may land.
    fn channels(&self) -> u64 {
        let opening =
            self.held.values().flatten().map(|(_, channels)| *channels).fold(0, u64::saturating_add);
        self.channels.saturating_add(opening)
    }

    fn charged_today(&self, kind: SpendingKind) -> u64 {
        let held = self.holds().filter(|hold| hold.day == self.day && hold.kind == kind);
        let held = held.map(|hold| hold.charge).fold(0, u64::saturating_add);
        self.today.get(&kind).map_or(0, |tally| tally.charged).saturating_add(held)
    }

    fn charged_day(&self) -> u64 {
        let kinds = SpendingKind::ALL.iter().filter(|kind| kind.is_refusable());
        kinds.map(|kind| self.charged_today(*kind)).fold(0, u64::saturating_add)
    }

    fn charged_in_all(&self) -> u64 {
        let held = self.holds().filter(|hold| hold.kind.is_refusable());
        held.map(|hold| hold.charge).fold(self.charged, u64::saturating_add)
    }

    fn payer_left(&self, payer: &Pubkey) -> u64 {
        let held = self.holds().filter(|hold| hold.day == self.day && hold.payer == Some(*payer));
        let held = held.map(|hold| hold.charge).fold(0, u64::saturating_add);
        let spent = self.payers.get(payer).copied().unwrap_or(0).saturating_add(held);
        self.settings.payer_budget_per_day.saturating_sub(spent)
    }
}

#[cfg(test)]
mod tests;
