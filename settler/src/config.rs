//! What the operator decides about settling.

use std::time::Duration;

use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_ledger::Renewal;
use toll_protocol::{Amount, Network, OperatorKey, ProgramProfile};

use crate::purse::{PurseSettings, settle_fee};

mod settings;

pub use settings::{InvalidSetting, Renew, SettlerSettings, Surroundings, TransactionVersion};

/// The keys the settler signs with. Fee payer and payee may be one and the same.
pub struct SettlerKeys {
    /// Pays fees and rent; gets the rent back.
    pub fee_payer: Keypair,
    /// Signs `settle_and_seal`. Channels of another payee are settled but never sealed by us.
    pub payee: Keypair,
    /// Signs batches for the channels whose authorized signer it is, so that many of them settle by one signature.
    /// Without it each of them settles by its own voucher, which is on record.
    pub operator: Option<OperatorKey>,
}

impl SettlerKeys {
    /// One key in both roles.
    pub fn single(key: Keypair) -> Self {
        Self { payee: key.insecure_clone(), fee_payer: key, operator: None }
    }
}

impl std::fmt::Debug for SettlerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SettlerKeys")
            .field("fee_payer", &self.fee_payer.pubkey())
            .field("payee", &self.payee.pubkey())
            .field("operator", &self.operator)
            .finish()
    }
}

/// A mint that channels may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedMint {
    /// The mint.
    pub mint: Pubkey,
    /// The token program that owns it.
    pub token_program: Pubkey,
}

/// What the settler works on and how eagerly.
#[derive(Clone, Debug)]
pub struct SettlerConfig {
    /// The cluster the ledger belongs to.
    pub network: Network,
    /// The channel program deployed there.
    pub program: Pubkey,
    /// Owner of the treasury's token accounts, as compiled into the program.
    pub treasury_owner: Pubkey,
    /// The mints that channels may use; the treasury needs a token account for each.
    pub mints: Vec<ListedMint>,
    /// Whether a missing treasury account is created at start. `None`: on localnet only.
    pub create_treasury_accounts: Option<bool>,
    /// Whether a missing token account of our own payee is created at start. `None`: on localnet only.
    pub create_payee_accounts: Option<bool>,
    /// Warn when the fee payer holds less, in lamports.
    pub low_balance: u64,
    /// What may be spent on sponsoring, and what is kept.
    pub purse: PurseSettings,
    /// How long a payout waits for a payer whose token account cannot take the refund. After that everybody
    /// else is paid, and the refund goes to the treasury as the program has it: a payer must not be able to
    /// keep the payee from its money by spoiling an account of its own.
    pub refund_patience: Duration,
    /// How often the newest blockhash and slot are published to the ledger.
    pub tip_interval: Duration,
    /// How often forced closes are looked for. At most a tenth of the grace period.
    pub poll_interval: Duration,
    /// Channels compared with the chain in turn at every such look, besides those that need something.
    pub comparisons_per_poll: usize,
    /// How old the comparison of any channel with the chain may get. Below the grace period: it is what finds a
    /// forced close that the search for them misses.
    pub compare_within: Duration,
    /// How long the search for forced closes may take. A list of all channels may take ten times as long.
    pub query_timeout: Duration,
    /// How often the fate of submitted transactions is asked for.
    pub confirm_interval: Duration,
    /// How often an unconfirmed transaction is sent again.
    pub resend_interval: Duration,
    /// How often the ledger is purged.
    pub purge_interval: Duration,
    /// Blocks a payer's transaction must still be valid for when we co-sign it.
    pub blockhash_margin: u64,
    /// Most compute units a payer's transaction may ask for.
    pub compute_unit_cap: u32,
    /// Highest price a payer's transaction may set, in micro-lamports per compute unit.
    pub compute_unit_price_cap: u64,
    /// The price our own transactions set, in micro-lamports per compute unit. Zero sets none.
    pub compute_unit_price: u64,
    /// Settle without closing once this much is accepted but not settled. `None`: never.
    pub settle_threshold: Option<Amount>,
    /// Settle a voucher this long before it expires. `None`: never.
    pub settle_before_expiry: Option<Duration>,
    /// Which idle channels stay open: paid out where their payer keeps its deposit in escrow, rearmed otherwise, where
    /// the program can.
    pub renew: Renew,
    /// How long idle channels that may stay open wait for others to share a transaction with.
    pub renew_wait: Duration,
    /// Whether [`Settler::run`](crate::Settler::run) closes every open channel before it returns.
    pub close_on_shutdown: bool,
    /// How long closing at shutdown, or one run of [`Settler::once`](crate::Settler::once), may take.
    pub drain_timeout: Duration,
    /// How many transactions are worked on at once.
    pub concurrency: usize,
    /// Most transactions of unknown fate at once, of those payers ask for and of our own, each.
    pub in_flight: usize,
    /// Most channels that one transaction of our own acts on, as far as they fit.
    pub channels_per_transaction: usize,
    /// Format of our own transactions.
    pub transaction_version: TransactionVersion,
}

impl SettlerConfig {
    /// The defaults for a program on a network.
    pub fn new(network: Network, program: Pubkey, treasury_owner: Pubkey, mints: Vec<ListedMint>) -> Self {
        SettlerSettings::new("", "", "").config(Surroundings {
            network,
            program,
            treasury_owner,
            mints,
            compute_unit_cap: 400_000,
            compute_unit_price_cap: 50_000,
            settle_threshold: None,
            grace_period: 900,
        })
    }

    /// Least rise of `settled` that is settled without closing at [`Self::settle_threshold`], and before a voucher
    /// expires, in base units: never less than the fee is worth.
    pub(crate) fn worth_settling(&self) -> (Option<Amount>, Amount) {
        let fee = Amount::new(self.purse.worth_of(settle_fee(self.compute_unit_price)));
        let threshold = self.settle_threshold.map(|threshold| threshold.max(fee));
        (threshold, fee.max(Amount::new(self.purse.settle_worth)))
    }

    /// Which idle channels are kept or rearmed, if any are.
    pub(crate) fn renewal(&self) -> Option<Renewal> {
        let can_rearm = ProgramProfile::of(&self.program).is_some_and(|profile| profile.capabilities.rearm);
        let (_, worth) = self.worth_settling();
        match self.renew {
            Renew::Never => None,
            Renew::Returning => Some(Renewal { returning: true, worth, can_rearm }),
            Renew::Always => Some(Renewal { returning: false, worth, can_rearm }),
        }
    }

    /// Whether a missing treasury account is created at start.
    pub fn creates_treasury_accounts(&self) -> bool {
        self.create_treasury_accounts.unwrap_or(self.network == Network::Localnet)
    }

    /// Whether a missing token account of our own payee is created at start.
    pub fn creates_payee_accounts(&self) -> bool {
        self.create_payee_accounts.unwrap_or(self.network == Network::Localnet)
    }
}
