//! `[settler]` of `toll.toml`.

mod defaults;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use solana_pubkey::Pubkey;
use toll_chain::Endpoints;
use toll_protocol::{Amount, Network};

use super::{ListedMint, SettlerConfig};
use crate::purse::{PurseError, PurseSettings};

/// Which idle channels stay open, so that the payer's next session needs a top-up instead of an open, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Renew {
    /// None: all are closed.
    #[default]
    Never,
    /// Those of payers that were here before.
    Returning,
    /// All that earned something.
    Always,
}

/// `[settler]`: how to reach the chain, and what to do there how eagerly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettlerSettings {
    /// The node, `http://` or `https://`; or a list of nodes of one cluster, in the order they are preferred in.
    pub rpc: Endpoints,
    /// Where nodes take subscriptions, `ws://` or `wss://`, one or a list: hints that let a forced close be found before
    /// the next look. By custom the ports after those of `rpc`, or the same names; those unless given. Empty: no hints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub websocket: Option<Endpoints>,
    /// Key file that pays fees and rent: `session.fee_payer`.
    pub fee_payer: PathBuf,
    /// Key file that earns and seals: `session.payee`. May be the same file.
    pub payee: PathBuf,
    /// Key file of the operator, `session.operator`: with it the channels of operator-signed sessions settle together,
    /// by one signature. Unless given, each of them settles by its own voucher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_key_file: Option<PathBuf>,
    /// Owner of the treasury's token accounts, as compiled into the program. Optional on localnet.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "toll_protocol::base58::optional")]
    #[schemars(with = "Option<String>")]
    pub treasury_owner: Option<Pubkey>,
    /// Whether a missing treasury account is created at start. On localnet only unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_treasury_accounts: Option<bool>,
    /// Whether a missing token account of the payee, whose key is ours, is created at start. On localnet only unless
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_payee_accounts: Option<bool>,
    /// Whether open channels are closed when the settler is stopped. A restart is no reason to close.
    #[serde(default)]
    pub close_on_shutdown: bool,
    /// Seconds that closing at shutdown, or one run of `toll settle --once`, may take.
    #[serde(default = "defaults::drain_timeout")]
    pub drain_timeout_seconds: u32,
    /// Settle without closing once this much is accepted but not settled, in tokens. Never unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle_threshold: Option<String>,
    /// Settle a voucher this many seconds before it expires. 0: never.
    #[serde(default = "defaults::settle_before_expiry")]
    pub settle_before_expiry_seconds: u32,
    /// Seconds a payout waits for a payer whose token account cannot take the refund; after that everybody else is
    /// paid.
    #[serde(default = "defaults::refund_patience")]
    pub refund_patience_seconds: u32,
    /// Warn when the fee payer holds fewer lamports.
    #[serde(default = "defaults::low_balance")]
    pub low_balance_lamports: u64,
    /// Price of our own transactions, in micro-lamports per compute unit. 0 sets none.
    #[serde(default)]
    pub compute_unit_price: u64,
    /// Blocks that a payer's transaction must still be valid for when it is co-signed.
    #[serde(default = "defaults::blockhash_margin")]
    pub blockhash_margin_blocks: u16,
    /// Milliseconds between two fetches of the newest blockhash.
    #[serde(default = "defaults::tip_interval")]
    pub tip_interval_ms: u32,
    /// Milliseconds between two looks for forced closes. At most a tenth of `session.grace_period_seconds`.
    #[serde(default = "defaults::poll_interval")]
    pub poll_interval_ms: u32,
    /// Channels compared with the chain in turn at every such look, besides those that need something. Ten times as
    /// many, and at least 990, while some were not compared for `compare_within_seconds`.
    #[serde(default = "defaults::comparisons")]
    pub comparisons_per_poll: u16,
    /// Seconds within which every channel is compared with the chain, however many there are: with more than come
    /// around in half of that, they are listed by one query (`getProgramAccounts`). Below
    /// `session.grace_period_seconds`, and half of it unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_within_seconds: Option<u32>,
    /// Milliseconds that a node may take to search for forced closes; ten times that to list all channels. Without an
    /// answer every channel is compared by itself.
    #[serde(default = "defaults::query_timeout")]
    pub query_timeout_ms: u32,
    /// Milliseconds between two questions for the fate of what was sent.
    #[serde(default = "defaults::confirm_interval")]
    pub confirm_interval_ms: u32,
    /// Milliseconds until an unconfirmed transaction is sent again.
    #[serde(default = "defaults::resend_interval")]
    pub resend_interval_ms: u32,
    /// Seconds between two purges of the ledger.
    #[serde(default = "defaults::purge_interval")]
    pub purge_interval_seconds: u32,
    /// Transactions worked on at once.
    #[serde(default = "defaults::concurrency")]
    pub concurrency: u16,
    /// Most transactions of unknown fate at once, of those that payers ask for and of our own, each. What is above
    /// that waits for one to land or expire.
    #[serde(default = "defaults::in_flight")]
    pub in_flight: u16,
    /// Most channels that one transaction settles, closes, pays out or reclaims, as far as they fit. 1: each has a
    /// transaction of its own.
    #[serde(default = "defaults::channels_per_transaction")]
    pub channels_per_transaction: u16,
    /// Format of our own transactions: `v0`; `v1`, which carries more channels; or `auto`, which is `v1` on a cluster
    /// whose feature gate for it is open at the start, and `v0` on others.
    #[serde(default)]
    pub transaction_version: TransactionVersion,
    /// Which idle channels stay open for their payer's next session: `never`, `returning` (payers that were here before)
    /// or `always`. Unless it is `never`, payers may choose to leave their deposit in escrow: then what they owe is paid
    /// out and that is all. Otherwise everything is paid out and refunded as by a close (on programs known to have
    /// `rearm`), and the channel waits for a top-up. Both for another idle timeout, and only sessions worth
    /// `settler.purse.settle_worth`.
    #[serde(default)]
    pub renew: Renew,
    /// Seconds that idle channels which may stay open wait for others to share a transaction with. They sell on
    /// meanwhile.
    #[serde(default = "defaults::renew_wait")]
    pub renew_wait_seconds: u32,
    /// What the fee payer's lamports may be spent on.
    #[serde(default)]
    pub purse: PurseSettings,
}

/// A format of transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransactionVersion {
    /// Version 1 where the cluster takes it, otherwise version 0.
    #[default]
    Auto,
    /// Version 0, at most 1,232 bytes. Every cluster takes it.
    V0,
    /// Version 1, at most 4,096 bytes (SIMD-0385).
    V1,
}

/// What a settler is told by other sections.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The cluster the ledger belongs to.
    pub network: Network,
    /// The channel program deployed there.
    pub program: Pubkey,
    /// Owner of the treasury's token accounts.
    pub treasury_owner: Pubkey,
    /// The mints that channels may use.
    pub mints: Vec<ListedMint>,
    /// Most compute units of a payer's transaction.
    pub compute_unit_cap: u32,
    /// Highest price of a payer's transaction, in micro-lamports per compute unit.
    pub compute_unit_price_cap: u64,
    /// `settle_threshold`, in base units.
    pub settle_threshold: Option<Amount>,
    /// Seconds from a forced close to its end.
    pub grace_period: u32,
}

/// A value of `[settler]` that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct InvalidSetting {
    /// The setting's path in the file.
    pub setting: &'static str,
    /// Why it cannot work.
    pub reason: String,
}

impl SettlerSettings {
    /// The defaults, for a node and two key files.
    pub fn new(rpc: impl Into<Endpoints>, fee_payer: impl Into<PathBuf>, payee: impl Into<PathBuf>) -> Self {
        Self {
            rpc: rpc.into(),
            websocket: None,
            fee_payer: fee_payer.into(),
            payee: payee.into(),
            operator_key_file: None,
            treasury_owner: None,
            create_treasury_accounts: None,
            create_payee_accounts: None,
            close_on_shutdown: false,
            drain_timeout_seconds: defaults::drain_timeout(),
            settle_threshold: None,
            settle_before_expiry_seconds: defaults::settle_before_expiry(),
            refund_patience_seconds: defaults::refund_patience(),
            low_balance_lamports: defaults::low_balance(),
            compute_unit_price: 0,
            blockhash_margin_blocks: defaults::blockhash_margin(),
            tip_interval_ms: defaults::tip_interval(),
            poll_interval_ms: defaults::poll_interval(),
            comparisons_per_poll: defaults::comparisons(),
            compare_within_seconds: None,
            query_timeout_ms: defaults::query_timeout(),
            confirm_interval_ms: defaults::confirm_interval(),
            resend_interval_ms: defaults::resend_interval(),
            purge_interval_seconds: defaults::purge_interval(),
            concurrency: defaults::concurrency(),
            in_flight: defaults::in_flight(),
            channels_per_transaction: defaults::channels_per_transaction(),
            transaction_version: TransactionVersion::default(),
            renew: Renew::default(),
            renew_wait_seconds: defaults::renew_wait(),
            purse: PurseSettings::default(),
        }
    }

    /// Checks what the values mean.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let refuse = |setting, reason: &str| Err(InvalidSetting { setting, reason: reason.to_owned() });
        if let Err(reason) = self.rpc.check() {
            return refuse("settler.rpc", &reason);
        }
        let not_zero = [
            ("settler.drain_timeout_seconds", self.drain_timeout_seconds),
            ("settler.tip_interval_ms", self.tip_interval_ms),
            ("settler.poll_interval_ms", self.poll_interval_ms),
            ("settler.comparisons_per_poll", self.comparisons_per_poll.into()),
            ("settler.compare_within_seconds", self.compare_within_seconds.unwrap_or(1)),
            ("settler.query_timeout_ms", self.query_timeout_ms),
            ("settler.confirm_interval_ms", self.confirm_interval_ms),
            ("settler.resend_interval_ms", self.resend_interval_ms),
            ("settler.purge_interval_seconds", self.purge_interval_seconds),
            ("settler.concurrency", self.concurrency.into()),
            ("settler.in_flight", self.in_flight.into()),
            ("settler.channels_per_transaction", self.channels_per_transaction.into()),
        ];
        if let Some((setting, _)) = not_zero.into_iter().find(|(_, value)| *value == 0) {
            return refuse(setting, "must not be zero");
        }
        if let Some(urls) = self.websocket.as_ref().filter(|urls| !is_blank(urls))
            && let Err(reason) = urls.check_websockets()
        {
            return refuse("settler.websocket", &reason);
        }
        // A blockhash lives 150 blocks.
        if self.blockhash_margin_blocks >= 150 {
            return refuse("settler.blockhash_margin_blocks", "no blockhash lives longer than 150 blocks");
        }
        if let Err(PurseError::Zero { setting }) = self.purse.validate() {
            return refuse(setting, "must not be zero");
        }
        Ok(())
    }

    /// Where hints come from, the preferred node first; nowhere when they are not wanted.
    pub fn hints_from(&self) -> Vec<String> {
        match &self.websocket {
            None => self.rpc.urls().iter().filter_map(|rpc| toll_chain::websocket_url(rpc)).collect(),
            Some(urls) if is_blank(urls) => Vec::new(),
            Some(urls) => urls.urls().to_vec(),
        }
    }

    /// What the settler works by. Whatever is in the file is used here or said to be used by somebody else: a
    /// setting that is added and forgotten does not compile.
    pub fn config(&self, surroundings: Surroundings) -> SettlerConfig {
        let Self {
            rpc: _,               // by whoever connects
            websocket: _,         // the same
            fee_payer: _,         // by whoever reads keys
            payee: _,             // the same
            operator_key_file: _, // the same
            treasury_owner: _,    // in the surroundings, with the network's default
            settle_threshold: _,  // in the surroundings, in base units
            create_treasury_accounts,
            create_payee_accounts,
            close_on_shutdown,
            drain_timeout_seconds,
            settle_before_expiry_seconds,
            refund_patience_seconds,
            low_balance_lamports,
            compute_unit_price,
            blockhash_margin_blocks,
            tip_interval_ms,
            poll_interval_ms,
            comparisons_per_poll,
            compare_within_seconds,
            query_timeout_ms,
            confirm_interval_ms,
            resend_interval_ms,
            purge_interval_seconds,
            concurrency,
            in_flight,
            channels_per_transaction,
            transaction_version,
            renew,
            renew_wait_seconds,
            purse,
        } = self;
        let Surroundings {
            network,
            program,
            treasury_owner,
            mints,
            compute_unit_cap,
            compute_unit_price_cap,
            settle_threshold,
            grace_period,
        } = surroundings;
        let seconds = |value: &u32| Duration::from_secs((*value).into());
        let millis = |value: &u32| Duration::from_millis((*value).into());
        SettlerConfig {
            network,
            program,
            treasury_owner,
            mints,
            create_treasury_accounts: *create_treasury_accounts,
            create_payee_accounts: *create_payee_accounts,
            low_balance: *low_balance_lamports,
            renew: *renew,
            renew_wait: seconds(renew_wait_seconds),
            purse: purse.clone(),
            refund_patience: seconds(refund_patience_seconds),
            tip_interval: millis(tip_interval_ms),
            poll_interval: millis(poll_interval_ms),
            comparisons_per_poll: (*comparisons_per_poll).into(),
            compare_within: seconds(&compare_within_seconds.unwrap_or(grace_period / 2)),
            query_timeout: millis(query_timeout_ms),
            confirm_interval: millis(confirm_interval_ms),
            resend_interval: millis(resend_interval_ms),
            purge_interval: seconds(purge_interval_seconds),
            blockhash_margin: (*blockhash_margin_blocks).into(),
            compute_unit_cap,
            compute_unit_price_cap,
            compute_unit_price: *compute_unit_price,
            settle_threshold,
            settle_before_expiry: (*settle_before_expiry_seconds > 0)
                .then(|| seconds(settle_before_expiry_seconds)),
            close_on_shutdown: *close_on_shutdown,
            drain_timeout: seconds(drain_timeout_seconds),
            concurrency: (*concurrency).into(),
            in_flight: (*in_flight).into(),
            channels_per_transaction: (*channels_per_transaction).into(),
            transaction_version: *transaction_version,
        }
    }
}

/// An empty string, which says: none.
fn is_blank(urls: &Endpoints) -> bool {
    urls.urls().iter().all(String::is_empty)
}

#[cfg(test)]
mod tests;
