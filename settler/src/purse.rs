//! The purse: every lamport that leaves the fee payer goes through it.
//!
//! What a transaction may take is held, in the ledger, before the transaction is recorded; what it cost replaces
//! the hold when its fate is known. New exposure is refused when a budget is spent, or when the balance would
//! not cover the closes of all open channels any more: opens first, then top-ups, vouchers last. Closing
//! channels is never refused: whoever is closed first takes from what the others would need, so vouchers stop on all
//! channels at once.

mod book;
mod denial;
mod error;
mod outlays;
mod price;
mod settings;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use toll_chain::{Chain, ChainError, ChainRent, RENT};
use toll_ledger::{ChannelState, Hold, Ledger, SpendingKind, Spent, Sponsor, day_of};
use toll_protocol::Amount;
use tracing::{info, warn};

use self::book::Book;
pub(crate) use self::book::Outlay;
pub(crate) use self::denial::Denial;
pub use self::error::PurseError;
pub(crate) use self::outlays::Outlays;
use self::price::FeeTerms;
pub use self::price::Prices;
pub(crate) use self::price::{PER_SIGNATURE, fee_of, fee_of_bytes, priority, settle_fee};
pub use self::settings::PurseSettings;
use crate::SettlerError;
use crate::config::{SettlerConfig, SettlerKeys};
use crate::metrics::Float;

/// Days for which spending is told apart by payer. Budgets need one.
const PAYERS_TOLD_APART: i64 = 7;

/// Keeps account of the fee payer's lamports.
pub(crate) struct Purse {
    ledger: Ledger,
    chain: Arc<dyn Chain>,
    fee_payer: Pubkey,
    fees: FeeTerms,
    settings: PurseSettings,
    low: u64,
    was_low: AtomicBool,
    book: Mutex<Book>,
    published: Mutex<Option<Sponsor>>,
}

/// What became of a wish to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is held.
    Now,
    /// The same transaction holds it since earlier.
    Already,
    /// It must not be spent. Nothing changed.
    Denied(Denial),
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It took effect.
    Landed,
    /// It is on chain without effect; its fee is gone.
    Failed,
    /// It never came on chain.
    Never,
}

impl Purse {
    /// A purse that goes on from what the ledger says was spent and held, once its settings can work.
    ///
    /// Fails with [`SettlerError::Purse`], naming the setting, when a limit is zero or below one open, or when
    /// the reserve is above the balance while there is nothing to close: with channels open, whatever is left
    /// goes into closing them.
    pub(crate) async fn open(
        ledger: Ledger,
        chain: Arc<dyn Chain>,
        keys: &SettlerKeys,
        config: &SettlerConfig,
    ) -> Result<Self, SettlerError> {
        let settings = config.purse.clone();
        settings.validate()?;
        let fee_payer = keys.fee_payer.pubkey();
        let fees = FeeTerms {
            unit_cap: config.compute_unit_cap,
            price_cap: config.compute_unit_price_cap,
            own_price: config.compute_unit_price,
            close_signers: 1 + u64::from(keys.payee.pubkey() != fee_payer),
        };
        let (balance, rent) = look(chain.as_ref(), &fee_payer).await?;
        let prices = Prices::new(&fees, &rent);
        settings.check_prices(&prices)?;
        let unrecorded = ledger.release_unrecorded_holds().await?;
        if unrecorded > 0 {
            info!(unrecorded, "released what was held for transactions that were never recorded");
        }
        let day = day_of(ledger.now());
        ledger.fold_spending(day - PAYERS_TOLD_APART).await?;
        let mut book = Book::new(settings.clone(), prices, day);
        let spending = ledger.spending_since(day).await?;
        book.restore(ledger.charged_in_all().await?, &spending, &ledger.holds().await?);
        let channels = live_channels(&ledger).await?;
        if channels == 0 {
            settings.check_balance(&prices, balance)?;
        }
        let mark = book.mark();
        book.saw_balance(mark, balance);
        book.saw_channels(mark, channels);
        let purse = Self {
            ledger,
            chain,
            fee_payer,
            fees,
            settings,
            low: config.low_balance,
            was_low: AtomicBool::new(balance < config.low_balance),
            book: Mutex::new(book),
            published: Mutex::new(None),
        };
        purse.publish().await?;
        Ok(purse)
    }

    /// Looks at balance, rent and channels, and publishes what the sponsor pays for now.
    pub(crate) async fn refresh(&self) -> Result<(), SettlerError> {
        let mark = self.book().mark();
        let channels = live_channels(&self.ledger).await?;
        let (balance, rent) = look(self.chain.as_ref(), &self.fee_payer).await?;
        self.warn_if_low(balance);
        {
            let mut book = self.book();
            book.set_prices(Prices::new(&self.fees, &rent));
            book.saw_balance(mark, balance);
            book.saw_channels(mark, channels);
        }
        self.publish().await
    }

    /// Holds what a signed transaction may take, on disk, or says why it must not be recorded nor sent.
    pub(crate) async fn hold(&self, signature: Signature, outlays: &[Outlay]) -> Result<Held, SettlerError> {
        let held = {
            let mut book = self.book();
            book.turn_to(day_of(self.ledger.now()));
            book.hold(signature, outlays)
        };
        let holds = match held {
            Ok(holds) => holds,
            Err(denial) => {
                self.publish().await?;
                return Ok(Held::Denied(denial));
            }
        };
        if holds.is_empty() {
            return Ok(Held::Already);
        }
        if let Err(error) = self.ledger.hold(&holds).await {
            self.book().resolve(&signature, &[], 0);
            return Err(error.into());
        }
        self.publish().await?;
        Ok(Held::Now)
    }

    /// Gives back what was held for a transaction that will not be sent.
    pub(crate) async fn release(&self, signature: &Signature) -> Result<(), SettlerError> {
        self.resolved(signature, Ended::Never, 0).await
    }

    /// Turns what a transaction held into what it cost, `fee` lamports and the rents that it paid. Call this
    /// before the submission is marked as resolved; repeats change nothing.
    pub(crate) async fn resolved(
        &self,
        signature: &Signature,
        ended: Ended,
        fee: u64,
    ) -> Result<(), SettlerError> {
        let holds = self.book().held_by(signature);
        if holds.is_empty() {
            return Ok(());
        }
        let mut spent = Vec::with_capacity(holds.len());
        let mut outflow = 0u64;
        for hold in &holds {
            let rent_only = matches!(hold.kind, SpendingKind::RefundAccount | SpendingKind::OwnAccount);
            match ended {
                Ended::Never => {}
                Ended::Failed if rent_only => {}
                Ended::Failed => {
                    let fee = fee.min(hold.lamports);
                    outflow = outflow.saturating_add(fee);
                    let Hold { kind, payer, charge, .. } = *hold;
                    spent.push(Spent { kind, payer, spent: fee, charged: fee.min(charge) });
                }
                Ended::Landed => {
                    let gone = if rent_only { hold.lamports } else { fee.min(hold.lamports) };
                    outflow = outflow.saturating_add(hold.lamports);
                    let Hold { kind, payer, charge, .. } = *hold;
                    spent.push(Spent { kind, payer, spent: gone, charged: charge });
                }
            }
        }
        self.ledger.resolve_hold(signature, &spent).await?;
        {
            let mut book = self.book();
            book.turn_to(day_of(self.ledger.now()));
            book.resolve(signature, &spent, outflow);
        }
        self.publish().await
    }

    /// Whether all of `outlays` may be spent together at present.
    pub(crate) fn check(&self, outlays: &[Outlay]) -> Result<(), Denial> {
        let mut book = self.book();
        book.turn_to(day_of(self.ledger.now()));
        book.check(outlays)
    }

    /// What is left at present.
    pub(crate) fn float(&self) -> Float {
        self.book().float()
    }

    /// Whose lamports these are.
    pub(crate) const fn fee_payer(&self) -> Pubkey {
        self.fee_payer
    }

    /// What things cost at present.
    pub(crate) fn prices(&self) -> Prices {
        *self.book().prices()
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &PurseSettings {
        &self.settings
    }

    /// Publishes what the sponsor pays for, if that is news.
    async fn publish(&self) -> Result<(), SettlerError> {
        let sponsor = {
            let book = self.book();
            Sponsor {
                opens: book.check(&[book.open(None)]).is_ok(),
                top_ups: book.check(&[book.top_up(None)]).is_ok(),
                vouchers: book.closes_are_funded(),
                channels_per_payer: self.settings.channels_per_payer,
                minimum_top_up: Amount::new(self.settings.minimum_top_up),
                payer_budget: self.settings.payer_budget_per_day,
                open_charge: book.prices().open_charge(),
                opens_per_minute: self.settings.opens_per_minute,
                published_at: self.ledger.now(),
            }
        };
        let same = |before: &Sponsor| Sponsor { published_at: before.published_at, ..sponsor } == *before;
        let before = *self.published.lock().unwrap_or_else(PoisonError::into_inner);
        if before.as_ref().is_some_and(same) {
            return Ok(());
        }
        self.ledger.publish_sponsor(sponsor).await?;
        let told = |sponsor: &Sponsor| (sponsor.opens, sponsor.top_ups, sponsor.vouchers);
        if before.as_ref().map(told) != Some(told(&sponsor)) {
            let Sponsor { opens, top_ups, vouchers, .. } = sponsor;
            info!(opens, top_ups, vouchers, "what the sponsor pays for");
        }
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = Some(sponsor);
        Ok(())
    }

    fn warn_if_low(&self, lamports: u64) {
        let is_low = lamports < self.low;
        if is_low && !self.was_low.load(Ordering::Relaxed) {
            let fee_payer = self.fee_payer;
            warn!(%fee_payer, lamports, "the fee payer runs low on SOL; fund it or opens and closes will fail");
        }
        self.was_low.store(is_low, Ordering::Relaxed);
    }

    /// The book. Never held across an await.
    fn book(&self) -> MutexGuard<'_, Book> {
        // Its arithmetic does not panic half way.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the fee payer holds, in lamports, and the cluster's rent.
async fn look(chain: &dyn Chain, fee_payer: &Pubkey) -> Result<(u64, ChainRent), SettlerError> {
    let found = chain.accounts(&[*fee_payer, RENT]).await?.accounts;
    let [payer, rent] = found.as_slice() else {
        let reason = "another number than asked".to_owned();
        return Err(ChainError::Malformed { what: "accounts", reason }.into());
    };
    let lamports = payer.as_ref().map_or(0, |account| account.lamports);
    Ok((lamports, ChainRent::decode(rent.as_ref())?))
}

async fn live_channels(ledger: &Ledger) -> Result<u64, SettlerError> {
    Ok(ledger.count_channels(&[ChannelState::Open, ChannelState::Closing]).await?)
}
