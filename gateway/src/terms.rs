//! What this gateway charges for and accepts: one merchant, one mint, one program, one cluster.

use std::collections::BTreeSet;

use crate::error::ConfigError;
use solana_pubkey::Pubkey;
use toll_protocol::{Amount, Network, Realm, Splits, share};

/// The session terms every challenge of one gateway quotes, and the limits its checks apply.
///
/// Durations are seconds. Build it from a file with [`crate::SessionConfig::terms`], which validates.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Protection space; also the first slot of every challenge id.
    pub realm: Realm,
    /// The cluster of every channel.
    pub network: Network,
    /// The channel program deployed there.
    pub program: Pubkey,
    /// The mint that challenges quote. Always one of `allowed_mints`.
    pub mint: Pubkey,
    /// The token program that owns `mint`.
    pub token_program: Pubkey,
    /// Decimals of `mint`, 0 to 9.
    pub decimals: u8,
    /// Owner key that earns; seals channels.
    pub payee: Pubkey,
    /// Sponsor: fee payer and rent payer of opens, fee payer of top-ups.
    pub fee_payer: Pubkey,
    /// Who signs the vouchers of operator-signed sessions. A voucher key and none of a chain.
    pub operator: Option<Pubkey>,
    /// Time to settle after a payer's `requestClose`; fixed at open.
    pub grace_period: u32,
    /// Idle timeouts that a client may choose from, strictly increasing. Empty: the gateway chooses.
    pub idle_timeout_options: Vec<u32>,
    /// Idle timeout of a client that chose none.
    pub idle_timeout: u32,
    /// Whether payers may leave their deposits in escrow between two sessions. The settler acts by it.
    pub keeps_deposits: bool,
    /// Shares besides the payee's.
    pub splits: Splits,
    /// Smallest deposit an `open` may make.
    pub minimum_deposit: Amount,
    /// Deposit hint for clients.
    pub suggested_deposit: Option<Amount>,
    /// Smallest increment of a voucher. Zero and one mean the same.
    pub min_voucher_delta: Amount,
    /// Mints that channels may hold. An allow-list kept by hand: the program ignores freeze authorities.
    pub allowed_mints: BTreeSet<Pubkey>,
    /// How long a challenge may be answered with an `open`.
    pub challenge_ttl: u32,
    /// Clock skew granted to the voucher that authenticates a close. Service never uses it.
    pub clock_tolerance: u32,
    /// How long a service voucher must stay valid, so that it still settles after a forced close.
    pub min_voucher_life: u32,
    /// Oldest comparison of channels with the chain that still allows new vouchers.
    pub observation_max_age: u32,
    /// How many slots after a challenge's `recentSlot` an open that answers it is still recorded. A blockhash lives
    /// 150 blocks, and the settler needs some of them; refusing costs the client a new challenge and nobody a fee.
    pub hint_life_slots: u64,
    /// Longest time for which forced closes may not have been looked for while vouchers are still taken, within what
    /// [`Terms::unobserved_limit`] allows. `None`: all of that.
    pub max_unobserved: Option<u32>,
    /// Most that may be unsettled on a channel when a voucher is taken out of the chain's sight.
    pub max_unobserved_exposure: Amount,
    /// Most that may be unsettled on all channels when a voucher is taken out of the chain's sight.
    pub max_unobserved_exposure_total: Amount,
    /// Oldest published blockhash that a challenge quotes.
    pub tip_max_age: u32,
    /// How long a request waits for the settler to land its transaction before it is told to retry.
    pub landing_timeout: u32,
    /// Largest compute-unit limit of a client's transaction.
    pub max_compute_unit_limit: u32,
    /// Highest compute-unit price of a client's transaction, in micro-lamports.
    pub max_compute_unit_price: u64,
    /// Rate limits.
    pub limits: Limits,
    /// Single payments; `None` where requests are paid through channels only.
    pub charge: Option<ChargeTerms>,
}

/// The terms of single payments, besides those that they share with sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeTerms {
    /// Whether the sponsor pays the transactions' fees.
    pub sponsored: bool,
    /// Begins the reference that each payment carries on the chain.
    pub reference_prefix: String,
    /// Payments per payer and minute.
    pub payments_per_minute: u32,
    /// Who else is paid out of each payment, in order.
    pub splits: Vec<ChargeShare>,
}

/// A share in single payments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeShare {
    /// The key that owns the token account.
    pub recipient: Pubkey,
    /// Its share of the price in basis points.
    pub share_bps: u16,
    /// Text that the transaction carries for it.
    pub memo: Option<String>,
    /// Whether the payment creates the recipient's token account where it is missing.
    pub creates_account: bool,
}

impl ChargeShare {
    /// What it is of `price`, rounded down.
    pub fn of(&self, price: Amount) -> Amount {
        Amount::new(share(price.get(), self.share_bps))
    }
}

/// Blocks that a blockhash lives; a block takes a slot or more.
pub(crate) const BLOCKHASH_LIFE: u64 = 150;

/// Seconds kept back for what a look may miss: a node's clock that runs behind, the pause until the next look, and the
/// transaction that closes.
const SETTLING_TIME: i64 = 120;

/// Largest deposit of a channel, in base units: the ledger's integers are signed.
pub(crate) const LARGEST_DEPOSIT: Amount = Amount::new(i64::MAX as u64);

/// How much of one kind of request is served before the sender is told to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Opens per payer and minute.
    pub opens_per_minute: u32,
    /// Top-ups, closes and vouchers that buy nothing, per channel and minute.
    pub updates_per_minute: u32,
    /// Repeats of top-ups and closes that the chain shows, by whomever, per channel and minute.
    pub repeats_per_minute: u32,
    /// Vouchers per channel and second.
    pub vouchers_per_second: u32,
    /// Bytes of memory for the answers to requests without an `Idempotency-Key`, which their repeats get.
    pub recent_answer_bytes: usize,
    /// The same for the answers of one channel.
    pub recent_answer_bytes_per_channel: usize,
    /// Refused vouchers per channel and second that still get a reason.
    pub refusals_per_second: u32,
    /// Forced closes by one payer that suspend further opens.
    pub forced_closes: usize,
    /// How far back they count, in seconds.
    pub forced_close_pause: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            opens_per_minute: 10,
            updates_per_minute: 30,
            repeats_per_minute: 30,
            vouchers_per_second: 10_000,
            refusals_per_second: 20,
            recent_answer_bytes: 64 << 20,
            recent_answer_bytes_per_channel: 256 << 10,
            forced_closes: 2,
            forced_close_pause: 3_600,
        }
    }
}

impl Limits {
    /// Checks what the values mean.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let Self {
            opens_per_minute,
            updates_per_minute,
            repeats_per_minute,
            vouchers_per_second,
            recent_answer_bytes,
            recent_answer_bytes_per_channel,
            refusals_per_second,
            forced_closes,
            forced_close_pause,
        } = *self;
        let zeroes = [
            ("gateway.limits.opens_per_minute", opens_per_minute == 0),
            ("gateway.limits.updates_per_minute", updates_per_minute == 0),
            ("gateway.limits.repeats_per_minute", repeats_per_minute == 0),
            ("gateway.limits.vouchers_per_second", vouchers_per_second == 0),
            ("gateway.limits.recent_answer_bytes", recent_answer_bytes == 0),
            ("gateway.limits.recent_answer_bytes_per_channel", recent_answer_bytes_per_channel == 0),
            ("gateway.limits.refusals_per_second", refusals_per_second == 0),
            ("gateway.limits.forced_closes", forced_closes == 0),
            ("gateway.limits.forced_close_pause", forced_close_pause == 0),
        ];
        if let Some((setting, _)) = zeroes.into_iter().find(|(_, zero)| *zero) {
            return Err(ConfigError::Invalid { setting, reason: "must not be zero".to_owned() });
        }
        if recent_answer_bytes_per_channel > recent_answer_bytes {
            return Err(ConfigError::Invalid {
                setting: "gateway.limits.recent_answer_bytes_per_channel",
                reason: "is above gateway.limits.recent_answer_bytes".to_owned(),
            });
        }
        Ok(())
    }
}

impl Terms {
    /// Seconds without a look for forced closes that count as nothing on a channel with `grace_period`: the configured
    /// ones, and never above a tenth of that, so that a forced close is noticed while most of its grace is left.
    pub fn observation_limit(&self, grace_period: u32) -> i64 {
        i64::from(self.observation_max_age.min((grace_period / 10).max(1)))
    }

    /// Seconds without a look for forced closes after which a channel with `grace_period` takes no more vouchers: half of
    /// that, less [`SETTLING_TIME`]. A close that was forced right after the last look has the other half left.
    pub fn unobserved_limit(&self, grace_period: u32) -> i64 {
        let part = (i64::from(grace_period) / 2 - SETTLING_TIME).max(0);
        let limit = self.max_unobserved.map_or(part, |limit| part.min(limit.into()));
        limit.max(self.observation_limit(grace_period))
    }
}
