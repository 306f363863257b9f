//! `[charge]`: single payments, beside sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use solana_pubkey::Pubkey;
use toll_protocol::{BPS_DENOMINATOR, MAX_CHARGE_SPLITS, MAX_MEMO};

use super::invalid;
use crate::error::ConfigError;
use crate::terms::{ChargeShare, ChargeTerms, Terms};

/// Longest prefix of a reference, in bytes: each payment's transaction carries it.
const LONGEST_PREFIX: usize = 64;

/// Single payments: a request is paid for by a transfer of its own, at the cost of one transaction each.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChargeConfig {
    /// Whether requests may be paid one by one. Sessions are offered first where both are.
    pub enabled: bool,
    /// Whether the sponsor pays the transactions' fees, and the rent of token accounts that `splits` have created. If not,
    /// payers do.
    pub sponsored: bool,
    /// Begins the reference that each payment carries on the chain.
    pub reference_prefix: String,
    /// Payments per payer and minute.
    pub payments_per_minute: u32,
    /// Who else is paid out of each payment. `session.splits` is not asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<ChargeSplitConfig>,
}

/// One of `charge.splits`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargeSplitConfig {
    /// The key that owns the token account.
    #[serde(with = "toll_protocol::base58")]
    #[schemars(with = "String")]
    pub recipient: Pubkey,
    /// Its share of the price in basis points, rounded down.
    pub share_bps: u16,
    /// Text that the transaction carries for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
    /// Whether the payment creates the recipient's token account where it is missing. With a sponsor, that pays the rent.
    #[serde(default)]
    pub create_account: bool,
}

impl Default for ChargeConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            sponsored: true,
            reference_prefix: String::new(),
            payments_per_minute: 60,
            splits: Vec::new(),
        }
    }
}

impl ChargeConfig {
    /// Validates the section and adds it to `terms`.
    pub fn add_to(&self, terms: Terms) -> Result<Terms, ConfigError> {
        let charge = self.terms(&terms)?;
        Ok(Terms { charge: self.enabled.then_some(charge), ..terms })
    }

    fn terms(&self, terms: &Terms) -> Result<ChargeTerms, ConfigError> {
        if self.payments_per_minute == 0 {
            return Err(invalid("charge.payments_per_minute", "must not be zero"));
        }
        if self.reference_prefix.len() > LONGEST_PREFIX {
            return Err(invalid(
                "charge.reference_prefix",
                format!("must be {LONGEST_PREFIX} bytes at most"),
            ));
        }
        let refuse = |reason: String| Err(invalid("charge.splits", reason));
        if self.splits.len() > MAX_CHARGE_SPLITS {
            return refuse(format!(
                "lists {} recipients, at most {MAX_CHARGE_SPLITS} are paid",
                self.splits.len()
            ));
        }
        let sum: u32 = self.splits.iter().map(|split| u32::from(split.share_bps)).sum();
        if sum >= u32::from(BPS_DENOMINATOR) {
            return refuse("must leave something for the payee".to_owned());
        }
        for split in &self.splits {
            let recipient = split.recipient;
            if split.share_bps == 0 {
                return refuse(format!("{recipient} has no share"));
            }
            if split.memo.as_ref().is_some_and(|memo| memo.is_empty() || memo.len() > MAX_MEMO) {
                return refuse(format!("the memo of {recipient} must be 1 to {MAX_MEMO} bytes"));
            }
            if recipient == terms.fee_payer && split.create_account {
                return refuse("the sponsor's own token account is not created by payments".to_owned());
            }
        }
        let share = |split: &ChargeSplitConfig| ChargeShare {
            recipient: split.recipient,
            share_bps: split.share_bps,
            memo: split.memo.clone(),
            creates_account: split.create_account,
        };
        Ok(ChargeTerms {
            sponsored: self.sponsored,
            reference_prefix: self.reference_prefix.clone(),
            payments_per_minute: self.payments_per_minute,
            splits: self.splits.iter().map(share).collect(),
        })
    }
}
