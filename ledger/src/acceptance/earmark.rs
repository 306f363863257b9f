//! Requests whose price is known only when they are served.
//!
//! What such a request may cost is *earmarked* with its voucher: neither spent, nor free for anything else. When it has
//! been served, what it cost is charged and the rest is free. An earmark is a row, so it survives a crash, and it has a
//! time until which somebody serves its request; after that it is *stale*, and whoever comes across it charges what is
//! known to have been delivered. What the upstream had answered and nobody had delivered is not charged; a repeat of the
//! request is served anew.

use toll_protocol::{Amount, ChannelId, VerifiedVoucher};

use super::change::{Change, carry_out};
use super::group::Offer;
use super::{Acceptance, Charge, standings};
use crate::column::{Columns, amount};
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::rules::acceptance::{Standing, Verdict, decide};
use crate::rules::earmark::{self as rules, Earmark};
use crate::{Answer, ChannelState, Ledger, LedgerError, ReplayKey, Watermarks, replay, sponsor, voucher};

/// Seconds for which an earmark lives unless whoever serves its request renews it.
pub const EARMARK_LIFE: i64 = 120;

/// What became of a wish to deliver more than is earmarked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Widened {
    /// This much is earmarked for the request now.
    To(Amount),
    /// Less is authorized and free than it takes. Nothing changed.
    Short {
        /// The smallest cumulative amount that would do.
        required: Amount,
        /// The amounts as they are.
        watermarks: Watermarks,
    },
    /// The channel does not serve any more, or the earmark is stale and gone. Nothing changed.
    Over,
}

/// An earmark and whose it is.
struct Found {
    channel: ChannelId,
    earmark: Earmark,
}

impl Ledger {
    /// Accepts a voucher as [`Ledger::accept`] does, and earmarks the cost of `charge` instead of charging it: see
    /// [`Ledger::settle_earmark`].
    ///
    /// A request that was charged nothing and is not being served is accepted again under its key, out of what is free.
    pub async fn earmark(
        &self,
        voucher: &VerifiedVoucher,
        charge: Charge,
    ) -> Result<Acceptance, LedgerError> {
        let (signed, now, oldest) = (voucher.signed().clone(), self.now(), self.oldest_answer());
        let id = signed.voucher.channel_id;
        let offer = Offer { signed, charge, now, oldest };
        let acceptance = self.write("earmark", move |tx| set_aside(tx, &offer)).await?;
        if let Acceptance::Accepted(accepted) = &acceptance {
            self.book().correct(&id, &accepted.watermarks);
        }
        Ok(acceptance)
    }

    /// Lets the earmark of the request under `key` grow until it covers `least`, and up to `most` where so much is free.
    pub async fn widen_earmark(
        &self,
        key: &ReplayKey,
        least: Amount,
        most: Amount,
    ) -> Result<Widened, LedgerError> {
        let (key, until) = (key.key, self.now() + EARMARK_LIFE);
        self.write("widen_earmark", move |tx| widen(tx, &key, least, most, until)).await
    }

    /// Notes that so much of the earmark has been delivered for, and that the request is being served still. Call it
    /// before anything leaves that is not noted yet. False when there is no such earmark, or it does not cover that.
    pub async fn note_delivered(&self, key: &ReplayKey, delivered: Amount) -> Result<bool, LedgerError> {
        let (key, until) = (key.key, self.now() + EARMARK_LIFE);
        self.write_beside("note_delivered", move |tx| {
            let noted = tx.execute(
                "-- note_delivered
                UPDATE earmarks SET delivered = max(delivered, ?2), expires_at = max(expires_at, ?3)
                 WHERE replay_key = ?1 AND amount >= ?2",
                params![key, amount(delivered)?, until],
            )?;
            Ok(noted == 1)
        })
        .await
    }

    /// Charges what the request under `key` has cost, at most what was earmarked, and sets the rest free. Returns the
    /// channel's amounts after it; `None` when there is no such earmark.
    pub async fn settle_earmark(
        &self,
        key: &ReplayKey,
        used: Amount,
    ) -> Result<Option<Watermarks>, LedgerError> {
        let (key, now) = (key.key, self.now());
        let settled = self.write("settle_earmark", move |tx| settle(tx, &key, Some(used), now)).await?;
        if let Some((channel, watermarks)) = &settled {
            self.book().correct(channel, watermarks);
        }
        Ok(settled.map(|(_, watermarks)| watermarks))
    }
}

fn set_aside(tx: &Tx, offer: &Offer) -> Result<Acceptance, LedgerError> {
    let Offer { signed, charge, now, oldest } = offer;
    let (id, key) = (signed.voucher.channel_id, &charge.replay.key);
    settle_stale_of(tx, &id, *now)?;
    let funded = sponsor::find(tx)?.is_none_or(|sponsor| sponsor.vouchers);
    let Some(known) = standings(tx, std::iter::once(&id))?.remove(&id) else {
        return Ok(Acceptance::Unknown);
    };
    let earlier = replay::find_all(tx, std::iter::once((offer.place(), *oldest)))?.remove(&offer.place());
    match decide(Some(&known), signed, charge, earlier, funded, *now) {
        Verdict::Raise(raise) => {
            let raise = rules::set_aside(&raise, charge.cost);
            let unpaid = Offer { charge: Charge { cost: Amount::ZERO, ..charge.clone() }, ..offer.clone() };
            let mut change = Change::new(id, known);
            change.add(raise, &unpaid);
            let written = carry_out(tx, &[change])?;
            if written.repeats || written.held.contains(&false) {
                return Err(DatabaseError::changed_rows(0).into());
            }
            put(tx, key, &id, charge.cost, *now)?;
            Ok(known.accepted(&raise, *now))
        }
        Verdict::Refuse(Acceptance::Replayed(earlier))
            if earlier.cost.is_zero() && earlier.answer == Answer::Unserved && find(tx, key)?.is_none() =>
        {
            set_aside_again(tx, &id, &known, charge, *now)
        }
        Verdict::Refuse(refusal) => Ok(refusal),
        Verdict::ForeignSigner => Err(LedgerError::ForeignSigner(id)),
    }
}

/// Serves a request once more that was charged nothing: its voucher was accepted then, and is there to be spent.
fn set_aside_again(
    tx: &Tx,
    channel: &ChannelId,
    known: &Standing,
    charge: &Charge,
    now: i64,
) -> Result<Acceptance, LedgerError> {
    let watermarks = known.watermarks;
    if watermarks.available() < charge.cost {
        let required = watermarks.required(charge.cost, charge.min_delta);
        return Ok(if required > watermarks.deposit {
            Acceptance::OverDeposit { required, watermarks }
        } else {
            Acceptance::Insufficient { required, watermarks }
        });
    }
    let raise = crate::rules::acceptance::Raise { from: watermarks, to: watermarks, active_at: None };
    let raise = rules::set_aside(&raise, charge.cost);
    put(tx, &charge.replay.key, channel, charge.cost, now)?;
    Ok(known.accepted(&raise, now))
}

/// Enters an earmark, which its channel has room for.
fn put(tx: &Tx, key: &[u8; 32], channel: &ChannelId, cost: Amount, now: i64) -> Result<(), LedgerError> {
    tx.execute(
        "-- enter_earmark
        INSERT INTO earmarks (replay_key, channel_id, amount, delivered, expires_at) VALUES (?1, ?2, ?3, 0, ?4)",
        params![key, channel.as_bytes(), amount(cost)?, now + EARMARK_LIFE],
    )?;
    reserve(tx, channel, cost)
}

fn reserve(tx: &Tx, channel: &ChannelId, more: Amount) -> Result<(), LedgerError> {
    let changed = tx.execute(
        "-- set_aside\nUPDATE channels SET earmarked = earmarked + ?2 WHERE channel_id = ?1",
        params![channel.as_bytes(), amount(more)?],
    )?;
    if changed == 1 { Ok(()) } else { Err(DatabaseError::changed_rows(changed).into()) }
}

fn widen(tx: &Tx, key: &[u8; 32], least: Amount, most: Amount, until: i64) -> Result<Widened, LedgerError> {
    let Some(Found { channel, earmark }) = find(tx, key)? else { return Ok(Widened::Over) };
    let Some(known) = standings(tx, std::iter::once(&channel))?.remove(&channel) else {
        return Ok(Widened::Over);
    };
    if known.state != ChannelState::Open || known.closure_started_at.is_some() {
        return Ok(Widened::Over);
    }
    let watermarks = known.watermarks;
    let Some(more) = rules::widen(&watermarks, &earmark, least, most) else {
        let required = watermarks.required(least.saturating_sub(earmark.amount), Amount::ZERO);
        return Ok(Widened::Short { required, watermarks });
    };
    tx.execute(
        "-- widen_earmark
        UPDATE earmarks SET amount = amount + ?2, expires_at = max(expires_at, ?3) WHERE replay_key = ?1",
        params![key, amount(more)?, until],
    )?;
    reserve(tx, &channel, more)?;
    Ok(Widened::To(Amount::new(earmark.amount.get() + more.get())))
}

/// Ends an earmark: `used` is charged, or without it what is known to be delivered.
fn settle(
    tx: &Tx,
    key: &[u8; 32],
    used: Option<Amount>,
    now: i64,
) -> Result<Option<(ChannelId, Watermarks)>, LedgerError> {
    let Some(Found { channel, earmark }) = find(tx, key)? else { return Ok(None) };
    tx.execute("-- end_earmark\nDELETE FROM earmarks WHERE replay_key = ?1", params![key])?;
    let Some(known) = standings(tx, std::iter::once(&channel))?.remove(&channel) else { return Ok(None) };
    let (after, charged) = rules::settle(&known.watermarks, &earmark, used.unwrap_or(earmark.delivered));
    let active_at = if charged.is_zero() { i64::MIN } else { now };
    tx.execute(
        "-- charge_earmark
        UPDATE channels SET spent = ?2, earmarked = ?3, last_activity_at = max(last_activity_at, ?4)
         WHERE channel_id = ?1",
        params![channel.as_bytes(), amount(after.spent)?, amount(after.earmarked)?, active_at],
    )?;
    tx.execute(
        "-- charge_replay
        UPDATE replays SET cost = ?3, accepted = ?4, spent = ?5 WHERE channel_id = ?1 AND replay_key = ?2",
        params![channel.as_bytes(), key, amount(charged)?, amount(after.accepted)?, amount(after.spent)?],
    )?;
    let pruned = voucher::to_prune(std::iter::once((&channel, after.spent)))?;
    tx.execute_each(&[(voucher::PRUNE, &pruned)])?;
    Ok(Some((channel, after)))
}

fn find(tx: &Tx, key: &[u8; 32]) -> Result<Option<Found>, DatabaseError> {
    tx.first("-- earmark\nSELECT * FROM earmarks WHERE replay_key = ?1", params![key], |row: &Row<'_>| {
        Ok(Found {
            channel: row.channel_id("channel_id")?,
            earmark: Earmark { amount: row.amount("amount")?, delivered: row.amount("delivered")? },
        })
    })
}

/// Ends the channel's stale earmarks: nobody serves their requests any more at `now` (unix seconds).
pub(crate) fn settle_stale_of(tx: &Tx, channel: &ChannelId, now: i64) -> Result<(), LedgerError> {
    let stale: Vec<[u8; 32]> = tx.all(
        "-- stale_earmarks_of_channel
        SELECT replay_key FROM earmarks WHERE channel_id = ?1 AND expires_at <= ?2 ORDER BY replay_key",
        params![channel.as_bytes(), now],
        |row| row.get(0),
    )?;
    stale.iter().try_for_each(|key| settle(tx, key, None, now).map(drop))
}

/// Ends up to `most` stale earmarks. Returns how many.
pub(crate) fn settle_stale(tx: &Tx, most: usize, now: i64) -> Result<usize, LedgerError> {
    let stale: Vec<[u8; 32]> = tx.all(
        "-- stale_earmarks\nSELECT replay_key FROM earmarks WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
        params![now, most],
        |row| row.get(0),
    )?;
    for key in &stale {
        settle(tx, key, None, now)?;
    }
    Ok(stale.len())
}
