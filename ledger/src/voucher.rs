//! Stored vouchers: whole and signed, as many as a settlement could still want.
//!
//! Kept are the highest, every one at or above what is spent (the smallest of them is what a close should
//! settle), and the highest that never expires, in case the better ones expire first.

use toll_protocol::{Amount, ChannelId, SignedVoucher, Voucher};

use crate::column::{Columns, amount};
use crate::engine::{DatabaseError, Given, Row, Tx, Value, params};
use crate::{Ledger, LedgerError, channel};

fn from_row(row: &Row<'_>) -> Result<SignedVoucher, DatabaseError> {
    Ok(SignedVoucher {
        voucher: Voucher {
            channel_id: row.channel_id("channel_id")?,
            cumulative_amount: row.amount("cumulative_amount")?,
            expires_at: row.get("expires_at")?,
        },
        signer: row.pubkey("signer")?,
        signature: row.signature("signature")?,
    })
}

/// Stores a voucher; one of the same amount and expiry says the same and stays.
pub(crate) const STORE: &str = "-- store_voucher
    INSERT INTO vouchers (channel_id, cumulative_amount, expires_at, signer, signature, accepted_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO NOTHING";

/// Drops the vouchers below what is spent, `?2`, that no settlement could want.
pub(crate) const PRUNE: &str = "-- prune_vouchers
    DELETE FROM vouchers
     WHERE channel_id = ?1 AND cumulative_amount < ?2
       AND (expires_at <> 0 OR cumulative_amount <
            (SELECT max(cumulative_amount) FROM vouchers WHERE channel_id = ?1 AND expires_at = 0))";

/// The parameters of [`STORE`]: vouchers, and when they were accepted.
pub(crate) fn to_store<'a>(
    vouchers: impl Iterator<Item = (&'a SignedVoucher, i64)>,
) -> Result<Given<'a>, LedgerError> {
    vouchers
        .map(|(signed, now)| {
            Ok([
                Value::Bytes(signed.voucher.channel_id.as_bytes()),
                Value::Integer(amount(signed.voucher.cumulative_amount)?),
                Value::Integer(signed.voucher.expires_at),
                Value::Bytes(signed.signer.as_ref()),
                Value::Bytes(signed.signature.as_ref()),
                Value::Integer(now),
            ])
        })
        .collect()
}

/// The parameters of [`PRUNE`].
pub(crate) fn to_prune<'a>(
    spent: impl Iterator<Item = (&'a ChannelId, Amount)>,
) -> Result<Given<'a>, LedgerError> {
    spent.map(|(id, spent)| Ok([Value::Bytes(id.as_bytes()), Value::Integer(amount(spent)?)])).collect()
}

/// Stores one voucher.
pub(crate) fn store(tx: &Tx, signed: &SignedVoucher, now: i64) -> Result<(), LedgerError> {
    tx.execute_each(&[(STORE, &to_store([(signed, now)].into_iter())?)])?;
    Ok(())
}

/// The voucher of the greatest amount; among equals the one that lasts longest.
fn highest(connection: &Tx, channel: &ChannelId) -> Result<Option<SignedVoucher>, DatabaseError> {
    connection.first(
        "-- highest_voucher
        SELECT * FROM vouchers WHERE channel_id = ?1
         ORDER BY cumulative_amount DESC, expires_at = 0 DESC, expires_at DESC LIMIT 1",
        params![channel.as_bytes()],
        from_row,
    )
}

/// See [`Ledger::best_voucher_to_settle`].
fn best_to_settle(
    connection: &Tx,
    channel: &ChannelId,
    usable_at: i64,
) -> Result<Option<SignedVoucher>, DatabaseError> {
    connection.first(
        "-- best_voucher_to_settle
        SELECT vouchers.* FROM vouchers JOIN channels USING (channel_id)
         WHERE channel_id = ?1 AND cumulative_amount > settled AND (expires_at = 0 OR expires_at > ?2)
         ORDER BY cumulative_amount IS NOT DISTINCT FROM close_cumulative DESC,
                  cumulative_amount >= spent + earmarked DESC,
                  CASE WHEN cumulative_amount >= spent + earmarked THEN cumulative_amount ELSE -cumulative_amount END,
                  expires_at = 0 DESC, expires_at DESC
         LIMIT 1",
        params![channel.as_bytes(), usable_at],
        from_row,
    )
}

impl Ledger {
    /// The stored voucher of the greatest amount, if any.
    pub async fn highest_voucher(&self, id: &ChannelId) -> Result<Option<SignedVoucher>, LedgerError> {
        let id = *id;
        self.read("highest_voucher", move |tx| Ok(highest(tx, &id)?)).await
    }

    /// The voucher that a settlement at `usable_at` (chain time, unix seconds) should show, if any raises
    /// `settled`.
    ///
    /// Of the stored vouchers above `settled` that have not expired by then: the one the payer closed with;
    /// else the smallest that covers what is spent or set aside, so that no headroom is taken; else the highest. `None`
    /// means that nothing usable is above `settled`; only then may a channel be sealed without a voucher.
    pub async fn best_voucher_to_settle(
        &self,
        id: &ChannelId,
        usable_at: i64,
    ) -> Result<Option<SignedVoucher>, LedgerError> {
        let id = *id;
        self.read("best_voucher_to_settle", move |tx| {
            if channel::find(tx, &id)?.is_none() {
                return Err(LedgerError::UnknownChannel(id));
            }
            Ok(best_to_settle(tx, &id, usable_at)?)
        })
        .await
    }
}
