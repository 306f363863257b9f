//! What a transaction tells everyone: the vouchers in it.
//!
//! A settlement shows a voucher and its signature, to whoever forwards the transaction and in the end to all. From
//! then on it still settles, but no longer shows that its sender is the payer.

use rusqlite::{Connection, params};
use toll_protocol::{ED25519_PROGRAM, Voucher, decode_ed25519, decode_transaction, static_instructions};

use crate::LedgerError;
use crate::column::amount;

/// Notes that the vouchers in `transaction` are about to be sent. Bytes that are no transaction show none.
pub(super) fn note(tx: &Connection, transaction: &[u8]) -> Result<(), LedgerError> {
    for voucher in vouchers(transaction) {
        tx.prepare_cached(
            "-- note_sent_voucher
            UPDATE channels SET sent_cumulative = ?2 WHERE channel_id = ?1 AND sent_cumulative < ?2",
        )?
        .execute(params![voucher.channel_id.as_bytes(), amount(voucher.cumulative_amount)?])?;
    }
    Ok(())
}

fn vouchers(transaction: &[u8]) -> Vec<Voucher> {
    let instructions =
        decode_transaction(transaction).and_then(|transaction| static_instructions(&transaction));
    let proofs = instructions.into_iter().flatten().filter(|found| found.program_id == ED25519_PROGRAM);
    proofs.filter_map(|proof| Some(decode_ed25519(&proof.data).ok()?.voucher)).collect()
}
