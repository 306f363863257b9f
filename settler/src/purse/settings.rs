//! `[settler.purse]`: what the sponsor may spend, and what it keeps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toll_ledger::SpendingKind;

use super::{Prices, PurseError};

/// Limits on the lamports that leave the fee payer. `None` is no limit.
///
/// Budgets count what never comes back: fees, rent of accounts that belong to others, and for an open the fees
/// of its close as well, on the day of the open. A budget that is spent refuses opens, top-ups, early settles
/// and refund accounts; channels are closed and paid out regardless. Days begin at midnight UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PurseSettings {
    /// Lamports a day for opening channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_budget_per_day: Option<u64>,
    /// Lamports a day for the fees of top-ups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_up_budget_per_day: Option<u64>,
    /// Lamports a day for the fees of single payments, and for the token accounts that they create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charge_budget_per_day: Option<u64>,
    /// Lamports a day for settling without closing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle_budget_per_day: Option<u64>,
    /// Lamports a day for token accounts that payers' refunds need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_account_budget_per_day: Option<u64>,
    /// Lamports a day for any one payer.
    pub payer_budget_per_day: u64,
    /// Lamports a day in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_per_day: Option<u64>,
    /// Lamports in all, ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// Lamports kept beside the reserve of each channel, however few channels there are.
    pub minimum_reserve: u64,
    /// Lamports kept for each open channel's close. `None`: derived from fees and the cluster's rent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve_per_channel: Option<u64>,
    /// Channels that a payer may have at once.
    pub channels_per_payer: u64,
    /// Smallest top-up whose fee is paid, in base units.
    pub minimum_top_up: u64,
    /// Least rise of `settled` that is worth a transaction of its own before a voucher expires, in base units. What its
    /// fee is worth is the least in any case where `base_units_per_sol` is given; without that, this has to be more
    /// than 10,000 lamports are.
    pub settle_worth: u64,
    /// What a SOL is worth in base units: 150 tokens of 6 decimals are 150000000. With it, nothing is settled without
    /// closing for less than the fee is worth, `settler.settle_threshold` or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_units_per_sol: Option<u64>,
    /// Opens a minute that are sponsored, whoever the payers are. Beyond, payers are asked to pay fee and rent
    /// themselves.
    pub opens_per_minute: Option<u64>,
    /// Token accounts a day that are created for refunds. A payer can close its own and keep the rent, again
    /// and again.
    pub refund_accounts_per_day: u64,
}

impl Default for PurseSettings {
    fn default() -> Self {
        Self {
            open_budget_per_day: None,
            top_up_budget_per_day: Some(100_000_000),
            charge_budget_per_day: Some(100_000_000),
            settle_budget_per_day: Some(100_000_000),
            refund_account_budget_per_day: None,
            payer_budget_per_day: 5_000_000,
            budget_per_day: Some(1_000_000_000),
            budget: None,
            minimum_reserve: 5_000_000,
            reserve_per_channel: None,
            channels_per_payer: 32,
            minimum_top_up: 1_000,
            settle_worth: 10_000,
            base_units_per_sol: None,
            opens_per_minute: Some(600),
            refund_accounts_per_day: 10,
        }
    }
}

impl PurseSettings {
    /// Refuses limits of zero, which would stop everything for good.
    pub fn validate(&self) -> Result<(), PurseError> {
        let limits = [
            ("settler.purse.open_budget_per_day", self.open_budget_per_day),
            ("settler.purse.top_up_budget_per_day", self.top_up_budget_per_day),
            ("settler.purse.charge_budget_per_day", self.charge_budget_per_day),
            ("settler.purse.settle_budget_per_day", self.settle_budget_per_day),
            ("settler.purse.refund_account_budget_per_day", self.refund_account_budget_per_day),
            ("settler.purse.payer_budget_per_day", Some(self.payer_budget_per_day)),
            ("settler.purse.budget_per_day", self.budget_per_day),
            ("settler.purse.budget", self.budget),
            ("settler.purse.reserve_per_channel", self.reserve_per_channel),
            ("settler.purse.channels_per_payer", Some(self.channels_per_payer)),
            ("settler.purse.base_units_per_sol", self.base_units_per_sol),
            ("settler.purse.opens_per_minute", self.opens_per_minute),
            ("settler.purse.refund_accounts_per_day", Some(self.refund_accounts_per_day)),
        ];
        match limits.iter().find(|(_, limit)| *limit == Some(0)) {
            Some((setting, _)) => Err(PurseError::Zero { setting }),
            None => Ok(()),
        }
    }

    /// What `fee` lamports are worth in base units, rounded up; nothing where no price is known.
    pub(crate) fn worth_of(&self, fee: u64) -> u64 {
        const LAMPORTS_PER_SOL: u128 = 1_000_000_000;
        let price = u128::from(self.base_units_per_sol.unwrap_or(0));
        u64::try_from((u128::from(fee) * price).div_ceil(LAMPORTS_PER_SOL)).unwrap_or(u64::MAX)
    }

    /// Refuses budgets that one open exceeds at these prices.
    pub(crate) fn check_prices(&self, prices: &Prices) -> Result<(), PurseError> {
        let needed = prices.open_charge();
        let budgets = [
            ("settler.purse.open_budget_per_day", self.open_budget_per_day),
            ("settler.purse.payer_budget_per_day", Some(self.payer_budget_per_day)),
            ("settler.purse.budget_per_day", self.budget_per_day),
            ("settler.purse.budget", self.budget),
        ];
        for (setting, budget) in budgets {
            if let Some(budget) = budget.filter(|budget| *budget < needed) {
                return Err(PurseError::BudgetBelowOneOpen { setting, budget, needed });
            }
        }
        let needed = prices.close_fee;
        match self.reserve_per_channel.filter(|reserve| *reserve < needed) {
            Some(reserve) => Err(PurseError::ReserveBelowOneClose { reserve, needed }),
            None => Ok(()),
        }
    }

    /// Refuses a balance that the reserve of even one channel is above.
    pub(crate) fn check_balance(&self, prices: &Prices, balance: u64) -> Result<(), PurseError> {
        let reserve = self.reserve(prices, 1, self.refund_accounts_per_day);
        if balance < reserve {
            return Err(PurseError::ReserveAboveBalance { reserve, balance });
        }
        Ok(())
    }

    /// Lamports a day for a purpose.
    pub(crate) fn budget_of(&self, kind: SpendingKind) -> Option<u64> {
        match kind {
            SpendingKind::Open => self.open_budget_per_day,
            SpendingKind::TopUp => self.top_up_budget_per_day,
            SpendingKind::Charge => self.charge_budget_per_day,
            SpendingKind::Settle => self.settle_budget_per_day,
            SpendingKind::RefundAccount => self.refund_account_budget_per_day,
            SpendingKind::Close | SpendingKind::OwnAccount => None,
        }
    }

    /// What is kept while `channels` are open and `refund_accounts` may still be created today, in lamports.
    pub(crate) fn reserve(&self, prices: &Prices, channels: u64, refund_accounts: u64) -> u64 {
        let each = match self.reserve_per_channel {
            Some(each) => channels.saturating_mul(each),
            None => prices
                .close_fee
                .saturating_mul(channels)
                .saturating_add(prices.token_account_rent.saturating_mul(channels.min(refund_accounts))),
        };
        each.saturating_add(self.minimum_reserve).saturating_add(prices.empty_account_rent)
    }
}
