//! `[session]`: the terms of every channel.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use solana_pubkey::Pubkey;
use toll_ledger::MAX_PAYABLE_RECIPIENTS;
use toll_protocol::{
    Amount, MAX_IDLE_TIMEOUT, Network, ProgramProfile, Split, Splits, TOKEN_2022_PROGRAM, TOKEN_PROGRAM,
    base58, is_voucher_key,
};

use super::{GatewayConfig, invalid, parse_tokens};
use crate::error::ConfigError;
use crate::terms::{BLOCKHASH_LIFE, Terms};

/// `[session]`: what a channel to this merchant looks like.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionConfig {
    /// `mainnet`, `devnet` or `localnet`.
    #[schemars(with = "String")]
    pub network: Network,
    /// The channel program. Unless given: the canonical one on mainnet and devnet, the committed build's on localnet.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base58::optional")]
    #[schemars(with = "Option<String>")]
    pub program: Option<Pubkey>,
    /// Key that earns.
    #[serde(with = "base58")]
    #[schemars(with = "String")]
    pub payee: Pubkey,
    /// Key that sponsors fees and rent.
    #[serde(with = "base58")]
    #[schemars(with = "String")]
    pub fee_payer: Pubkey,
    /// Key that signs the vouchers of operator-signed sessions: a voucher key, which holds nothing and signs no
    /// transactions. Needed by routes with `voucher_signer = "operator"`. Unless given, it is the one in
    /// `gateway.operator_key_file` or `settler.operator_key_file`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base58::optional")]
    #[schemars(with = "Option<String>")]
    pub operator: Option<Pubkey>,
    /// Mint of prices and deposits.
    #[serde(with = "base58")]
    #[schemars(with = "String")]
    pub mint: Pubkey,
    /// Every mint a channel may hold. No default: the operator vouches for each of them.
    #[serde(default, with = "base58::list")]
    #[schemars(with = "Vec<String>")]
    pub allowed_mints: Vec<Pubkey>,
    /// The mint's token program, SPL Token unless given.
    #[serde(default = "default_token_program", with = "base58")]
    #[schemars(with = "String")]
    pub token_program: Pubkey,
    /// The mint's decimals.
    pub decimals: u8,
    /// Time to settle after a payer forces a close.
    #[serde(default = "default_grace_period")]
    pub grace_period_seconds: u32,
    /// Idle timeout of clients that choose none.
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout_seconds: u32,
    /// Idle timeouts that clients may choose from, strictly increasing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle_timeout_options_seconds: Vec<u32>,
    /// Smallest deposit, in tokens.
    pub minimum_deposit: String,
    /// Deposit hint, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested_deposit: Option<String>,
    /// Smallest voucher increment, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_voucher_delta: Option<String>,
    /// Shares besides the payee's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<SplitConfig>,
    /// How long a voucher must stay valid to buy service; grace period + 60 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_voucher_life_seconds: Option<u32>,
    /// Clock skew granted to the voucher of a close.
    #[serde(default = "default_clock_tolerance")]
    pub clock_tolerance_seconds: u32,
    /// Oldest chain observation that still allows new vouchers (at most a tenth of the grace period counts).
    #[serde(default = "default_observation_max_age")]
    pub observation_max_age_seconds: u32,
    /// Slots after a challenge's `recentSlot` until which an open may answer it; then it gets a fresh challenge. At
    /// most 149: a blockhash lives 150 blocks.
    #[serde(default = "default_hint_life")]
    pub hint_life_slots: u64,
    /// Seconds for which vouchers are still taken while the chain cannot be seen. Half of the grace period less two
    /// minutes unless given, and never more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unobserved_seconds: Option<u32>,
    /// Most that may be unsettled on a channel when a voucher is taken while the chain cannot be seen, in tokens.
    #[serde(default = "default_max_unobserved_exposure")]
    pub max_unobserved_exposure: String,
    /// Most that may be unsettled on all channels when a voucher is taken while the chain cannot be seen, in tokens.
    #[serde(default = "default_max_unobserved_exposure_total")]
    pub max_unobserved_exposure_total: String,
    /// Oldest chain tip that challenges still quote, in seconds. Its blockhash lives half a minute.
    #[serde(default = "default_tip_max_age")]
    pub tip_max_age_seconds: u32,
    /// Largest compute-unit limit of a transaction to co-sign.
    #[serde(default = "default_max_compute_unit_limit")]
    pub max_compute_unit_limit: u32,
    /// Highest compute-unit price of a transaction to co-sign, in micro-lamports.
    #[serde(default = "default_max_compute_unit_price")]
    pub max_compute_unit_price: u64,
}

/// One share of `[session] splits`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Owner key that receives the share.
    #[serde(with = "base58")]
    #[schemars(with = "String")]
    pub recipient: Pubkey,
    /// The share, in ten-thousandths.
    pub share_bps: u16,
}

fn default_token_program() -> Pubkey {
    TOKEN_PROGRAM
}

fn default_grace_period() -> u32 {
    900
}

fn default_idle_timeout() -> u32 {
    600
}

fn default_clock_tolerance() -> u32 {
    30
}

fn default_observation_max_age() -> u32 {
    30
}

fn default_hint_life() -> u64 {
    120
}

fn default_max_unobserved_exposure() -> String {
    "10".to_owned()
}

fn default_max_unobserved_exposure_total() -> String {
    "1000".to_owned()
}

fn default_tip_max_age() -> u32 {
    10
}

fn default_max_compute_unit_limit() -> u32 {
    400_000
}

/// The settler's own cap: what is above it would be recorded only to be refused.
fn default_max_compute_unit_price() -> u64 {
    50_000
}

impl SessionConfig {
    /// The channel program named, or the network's.
    pub fn program(&self) -> Pubkey {
        self.program.unwrap_or(ProgramProfile::default_on(self.network).id)
    }

    /// Validates the section and turns it into [`Terms`] for `gateway`'s realm.
    pub fn terms(&self, gateway: &GatewayConfig) -> Result<Terms, ConfigError> {
        let tokens = |setting, text: &str| {
            parse_tokens(text, self.decimals)
                .map_err(|reason| invalid(setting, format!("{text:?}: {reason}")))
        };
        if self.decimals > 9 {
            return Err(invalid("session.decimals", format!("{} is above 9", self.decimals)));
        }
        if self.allowed_mints.is_empty() {
            return Err(invalid(
                "session.allowed_mints",
                "must list the mints you accept, `mint` among them",
            ));
        }
        if !self.allowed_mints.contains(&self.mint) {
            return Err(invalid("session.mint", format!("{} is not among session.allowed_mints", self.mint)));
        }
        if ![TOKEN_PROGRAM, TOKEN_2022_PROGRAM].contains(&self.token_program) {
            return Err(invalid("session.token_program", "must be SPL Token or Token-2022"));
        }
        if !self.payee.is_on_curve() {
            return Err(invalid(
                "session.payee",
                "must be a key that can sign: a program address cannot seal",
            ));
        }
        if let Some(operator) = self.operator {
            if [self.payee, self.fee_payer].contains(&operator) {
                return Err(invalid(
                    "session.operator",
                    "must be a key of its own: the gateway holds it, and no key that signs transactions",
                ));
            }
            if !is_voucher_key(&operator) {
                return Err(invalid("session.operator", "is no Ed25519 key that can sign vouchers"));
            }
        }
        let not_zero = [
            ("session.grace_period_seconds", self.grace_period_seconds),
            ("session.observation_max_age_seconds", self.observation_max_age_seconds),
            ("session.tip_max_age_seconds", self.tip_max_age_seconds),
            ("session.max_compute_unit_limit", self.max_compute_unit_limit),
        ];
        if let Some((setting, _)) = not_zero.into_iter().find(|(_, value)| *value == 0) {
            return Err(invalid(setting, "must not be zero"));
        }
        if !(1..BLOCKHASH_LIFE).contains(&self.hint_life_slots) {
            return Err(invalid("session.hint_life_slots", format!("must be 1 to {}", BLOCKHASH_LIFE - 1)));
        }
        self.check_idle_timeouts()?;
        let max_unobserved_exposure =
            tokens("session.max_unobserved_exposure", &self.max_unobserved_exposure)?;
        let max_unobserved_exposure_total =
            tokens("session.max_unobserved_exposure_total", &self.max_unobserved_exposure_total)?;
        if max_unobserved_exposure_total < max_unobserved_exposure {
            return Err(invalid(
                "session.max_unobserved_exposure_total",
                "is below session.max_unobserved_exposure, which one channel alone may reach",
            ));
        }
        let minimum_deposit = tokens("session.minimum_deposit", &self.minimum_deposit)?;
        if minimum_deposit.is_zero() {
            return Err(invalid("session.minimum_deposit", "must not be zero"));
        }
        let suggested_deposit = self
            .suggested_deposit
            .as_deref()
            .map(|text| tokens("session.suggested_deposit", text))
            .transpose()?;
        if suggested_deposit.is_some_and(|suggested| suggested < minimum_deposit) {
            return Err(invalid("session.suggested_deposit", "is below session.minimum_deposit"));
        }
        let min_voucher_delta = self
            .min_voucher_delta
            .as_deref()
            .map(|text| tokens("session.min_voucher_delta", text))
            .transpose()?;
        let splits = self
            .splits
            .iter()
            .map(|split| Split { recipient: split.recipient, share_bps: split.share_bps })
            .collect();
        if self.splits.iter().any(|split| split.recipient == self.payee) {
            return Err(invalid("session.splits", "must not list the payee: it gets what the shares leave"));
        }
        if self.splits.len() > MAX_PAYABLE_RECIPIENTS {
            let listed = self.splits.len();
            return Err(invalid(
                "session.splits",
                format!(
                    "lists {listed} recipients, a closing transaction pays at most {MAX_PAYABLE_RECIPIENTS}"
                ),
            ));
        }
        let splits = Splits::new(splits).map_err(|error| invalid("session.splits", error.to_string()))?;
        let terms = Terms {
            realm: gateway.realm()?,
            network: self.network,
            program: self.program(),
            mint: self.mint,
            token_program: self.token_program,
            decimals: self.decimals,
            payee: self.payee,
            fee_payer: self.fee_payer,
            operator: self.operator,
            grace_period: self.grace_period_seconds,
            idle_timeout_options: self.idle_timeout_options_seconds.clone(),
            idle_timeout: self.idle_timeout_seconds,
            // By whoever knows the settler.
            keeps_deposits: false,
            splits,
            minimum_deposit,
            suggested_deposit,
            min_voucher_delta: min_voucher_delta.unwrap_or(Amount::ZERO),
            allowed_mints: self.allowed_mints.iter().copied().collect::<BTreeSet<_>>(),
            challenge_ttl: gateway.challenge_ttl_seconds,
            clock_tolerance: self.clock_tolerance_seconds,
            min_voucher_life: self
                .min_voucher_life_seconds
                .unwrap_or_else(|| self.grace_period_seconds.saturating_add(60)),
            observation_max_age: self.observation_max_age_seconds,
            hint_life_slots: self.hint_life_slots,
            max_unobserved: self.max_unobserved_seconds,
            max_unobserved_exposure,
            max_unobserved_exposure_total,
            tip_max_age: self.tip_max_age_seconds,
            landing_timeout: gateway.landing_timeout_seconds,
            max_compute_unit_limit: self.max_compute_unit_limit,
            max_compute_unit_price: self.max_compute_unit_price,
            limits: gateway.limits,
            charge: None,
        };
        if let Some(seconds) = self.max_unobserved_seconds {
            let longest = terms.unobserved_limit(terms.grace_period);
            if i64::from(seconds) != longest {
                return Err(invalid(
                    "session.max_unobserved_seconds",
                    format!(
                        "must be {} to {}: with this grace period, a forced close could not be settled for sure after longer",
                        terms.observation_limit(terms.grace_period),
                        Terms { max_unobserved: None, ..terms.clone() }.unobserved_limit(terms.grace_period)
                    ),
                ));
            }
        }
        Ok(terms)
    }

    fn check_idle_timeouts(&self) -> Result<(), ConfigError> {
        let options = &self.idle_timeout_options_seconds;
        let within = |timeout: &u32| (1..=MAX_IDLE_TIMEOUT).contains(timeout);
        if !within(&self.idle_timeout_seconds) || !options.iter().all(within) {
            return Err(invalid("session.idle_timeout_seconds", format!("must be 1 to {MAX_IDLE_TIMEOUT}")));
        }
        if !options.is_sorted_by(|earlier, later| earlier < later) {
            return Err(invalid("session.idle_timeout_options_seconds", "must increase strictly"));
        }
        if !options.is_empty() && !options.contains(&self.idle_timeout_seconds) {
            return Err(invalid(
                "session.idle_timeout_seconds",
                "must be one of idle_timeout_options_seconds",
            ));
        }
        Ok(())
    }
}
