//! Entering what moved on channels.

use solana_signature::Signature;
use toll_protocol::ChannelId;

use super::EntryKind;
use crate::channel::{self, ChannelState};
use crate::column::Columns;
use crate::engine::{DatabaseError, Row, Tx, params};
use crate::rules::money::Money;
use crate::{Ledger, LedgerError};

/// A landed transaction, and which movements of a channel are its doing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By {
    pub(crate) signature: Signature,
    /// It opened the channel or topped it up.
    pub(crate) deposits: bool,
    /// It paid out.
    pub(crate) pays_out: bool,
}

impl By {
    fn did(&self, kind: EntryKind) -> bool {
        match kind {
            EntryKind::Deposit => self.deposits,
            EntryKind::Payout | EntryKind::Refund => self.pays_out,
            EntryKind::Acceptance | EntryKind::Fee | EntryKind::Rent => false,
        }
    }
}

/// A line that is about to be written.
pub(super) struct Line<'a> {
    pub(super) at: i64,
    pub(super) kind: EntryKind,
    pub(super) amount: i64,
    pub(super) channel: Option<ChannelId>,
    pub(super) fee_payer: Option<[u8; 32]>,
    pub(super) purpose: Option<&'a str>,
    pub(super) signature: Option<Signature>,
}

const STANDING: &str = "-- journal_standing
    SELECT channels.*, coalesce(journal_marks.deposit, 0) AS entered_deposit,
           coalesce(journal_marks.charged, 0) AS entered_charged,
           coalesce(journal_marks.paid_out, 0) AS entered_paid_out,
           coalesce(journal_marks.refunded, 0) AS entered_refunded
      FROM channels LEFT JOIN journal_marks USING (channel_id) WHERE channel_id = ?1";

/// One after the other, so that a page ends where the next begins.
const PAGE: &str = "-- journal_scan
    SELECT channels.rowid AS place, channels.channel_id, channels.state, channels.deposit, channels.accepted,
           channels.spent, channels.settled, channels.payout_watermark, channels.refunded,
           channels.payer_withdrawn_at, coalesce(journal_marks.deposit, 0) AS entered_deposit,
           coalesce(journal_marks.charged, 0) AS entered_charged,
           coalesce(journal_marks.paid_out, 0) AS entered_paid_out,
           coalesce(journal_marks.refunded, 0) AS entered_refunded
      FROM channels LEFT JOIN journal_marks USING (channel_id)
     WHERE channels.rowid > ?1 ORDER BY channels.rowid LIMIT ?2";

/// Rows that one question of a scan covers.
const SCANNED: usize = 4_096;

/// Enters what moved on the channel since the last time. Returns how many lines that took.
pub(crate) fn enter(tx: &Tx, id: &ChannelId, now: i64, by: Option<By>) -> Result<usize, LedgerError> {
    let known = tx.first(STANDING, params![id.as_bytes()], |row| {
        let terms = channel::agreement(row)?.terms;
        Ok((standing(row)?, [terms.payer, terms.payee, terms.mint]))
    })?;
    let Some(((entered, money), [payer, payee, mint])) = known else { return Ok(0) };
    let moves = entered.moved_to(&money);
    if moves.is_empty() {
        return Ok(0);
    }
    tx.execute(
        "-- journal_channel
        INSERT INTO journal_channels (channel_id, payer, payee, mint) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (channel_id) DO NOTHING",
        params![id.as_bytes(), payer.to_bytes(), payee.to_bytes(), mint.to_bytes()],
    )?;
    for (kind, amount) in &moves {
        let signature = by.filter(|by| by.did(*kind)).map(|by| by.signature);
        let (channel, fee_payer, purpose) = (Some(*id), None, None);
        write(tx, &Line { at: now, kind: *kind, amount: *amount, channel, fee_payer, purpose, signature })?;
    }
    tx.execute(
        "-- journal_mark
        INSERT INTO journal_marks (channel_id, deposit, charged, paid_out, refunded) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (channel_id) DO UPDATE SET
            deposit = excluded.deposit, charged = excluded.charged, paid_out = excluded.paid_out,
            refunded = excluded.refunded",
        params![id.as_bytes(), money.deposit, money.charged, money.paid_out, money.refunded],
    )?;
    Ok(moves.len())
}

/// Writes a line with the next number.
pub(super) fn write(tx: &Tx, line: &Line<'_>) -> Result<(), DatabaseError> {
    tx.execute(
        "-- journal_line
        INSERT INTO journal (entry, entered_at, kind, amount, channel_id, fee_payer, purpose, signature)
        VALUES ((SELECT coalesce(max(entry), 0) + 1 FROM journal), ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            line.at,
            line.kind,
            line.amount,
            line.channel.as_ref().map(|id| *id.as_bytes()),
            line.fee_payer,
            line.purpose,
            line.signature.as_ref().map(AsRef::<[u8]>::as_ref),
        ],
    )?;
    Ok(())
}

/// What the log has of a channel, and what its row says.
fn standing(row: &Row<'_>) -> Result<(Money, Money), DatabaseError> {
    let entered = Money {
        deposit: row.get("entered_deposit")?,
        charged: row.get("entered_charged")?,
        paid_out: row.get("entered_paid_out")?,
        refunded: row.get("entered_refunded")?,
    };
    let state: ChannelState = row.get("state")?;
    let withdrawn = row.get::<_, Option<i64>>("payer_withdrawn_at")?.is_some();
    let refunded = row.optional_amount("refunded")?;
    Ok((entered, Money::of(state, &channel::watermarks(row)?, withdrawn, refunded)))
}

impl Ledger {
    /// Enters all that moved on any channel and is not in the log yet. Returns how many lines that took.
    ///
    /// Looks at every channel, beside whoever accepts vouchers; what it writes goes in small transactions.
    pub async fn bring_journal_up_to_date(&self) -> Result<usize, LedgerError> {
        let (now, batch) = (self.now(), self.settings().purge_batch_rows as usize);
        let (mut place, mut lines) = (i64::MIN, 0);
        loop {
            let page = self
                .read("journal_scan", move |tx| {
                    Ok(tx.all(PAGE, params![place, SCANNED], |row| {
                        let (entered, money) = standing(row)?;
                        Ok((row.get::<_, i64>("place")?, row.channel_id("channel_id")?, entered != money))
                    })?)
                })
                .await?;
            let Some((last, ..)) = page.last() else { return Ok(lines) };
            place = *last;
            let news: Vec<ChannelId> = page.iter().filter(|(.., is)| *is).map(|(_, id, _)| *id).collect();
            for some in news.chunks(batch) {
                let some = some.to_vec();
                lines += self
                    .write("journal", move |tx| {
                        some.iter().map(|id| enter(tx, id, now, None)).sum::<Result<usize, LedgerError>>()
                    })
                    .await?;
            }
        }
    }
}
