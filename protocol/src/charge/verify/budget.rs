//! What a transaction may ask to compute, and pay for it.

use solana_instruction::Instruction;
use solana_message::{VersionedMessage, v1};

use super::ChargeRefused;
use crate::ComputeBudget;

/// Compute units that each split is granted beyond the cap: a transfer, a memo and a new token account.
const UNITS_PER_SPLIT: u32 = 50_000;

/// The most that a charge's transaction may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargeCaps {
    /// Compute units, without splits.
    pub unit_limit: u32,
    /// Price of a compute unit, in micro-lamports.
    pub unit_price: u64,
}

impl ChargeCaps {
    /// Most compute units of a charge with so many splits.
    pub fn units(&self, splits: usize) -> u32 {
        let splits = u32::try_from(splits).unwrap_or(u32::MAX);
        self.unit_limit.saturating_add(splits.saturating_mul(UNITS_PER_SPLIT))
    }
}

/// The budget that a transaction sets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    config: Option<v1::TransactionConfig>,
    limit: Option<u32>,
    price: Option<u64>,
}

impl Budget {
    /// What the message itself says; only those of version 1 do.
    pub(super) fn of(message: &VersionedMessage) -> Self {
        match message {
            VersionedMessage::V1(message) => {
                let config = message.config;
                Self { config: Some(config), limit: config.compute_unit_limit, price: None }
            }
            VersionedMessage::Legacy(_) | VersionedMessage::V0(_) => Self::default(),
        }
    }

    /// Reads a compute-budget instruction.
    pub(super) fn add(&mut self, instruction: &Instruction) -> Result<(), ChargeRefused> {
        if self.config.is_some() || !instruction.accounts.is_empty() {
            return Err(ChargeRefused::Budget);
        }
        let twice = match ComputeBudget::decode(&instruction.data).map_err(|_| ChargeRefused::Budget)? {
            ComputeBudget::UnitLimit(units) => self.limit.replace(units).is_some(),
            ComputeBudget::UnitPrice(price) => self.price.replace(price).is_some(),
        };
        if twice { Err(ChargeRefused::BudgetTwice) } else { Ok(()) }
    }

    /// Holds the budget against `caps`. Only what a sponsor pays for is bounded.
    pub(super) fn check(
        &self,
        caps: &ChargeCaps,
        splits: usize,
        sponsored: bool,
    ) -> Result<(), ChargeRefused> {
        if !sponsored {
            return Ok(());
        }
        let most = caps.units(splits);
        if let Some(units) = self.limit
            && units > most
        {
            return Err(ChargeRefused::UnitLimit { units, most });
        }
        if let Some(config) = self.config {
            if config.heap_size.is_some() {
                return Err(ChargeRefused::Budget);
            }
            // As a price for all units that are granted, whatever limit it sets.
            let most = u128::from(most).saturating_mul(caps.unit_price.into()).div_ceil(1_000_000);
            let fee = config.priority_fee.unwrap_or(0);
            return if u128::from(fee) > most {
                Err(ChargeRefused::PriorityFee { lamports: fee })
            } else {
                Ok(())
            };
        }
        match self.price {
            Some(price) if price > caps.unit_price => {
                Err(ChargeRefused::UnitPrice { price, most: caps.unit_price })
            }
            // The network's own limit grows with the number of instructions.
            Some(1..) if self.limit.is_none() => Err(ChargeRefused::PriceWithoutLimit),
            _ => Ok(()),
        }
    }
}
