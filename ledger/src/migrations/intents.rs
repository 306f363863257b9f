//! What transactions of before migration 15 were meant to do, read from their bytes once.

use rusqlite::{Connection, params};
use solana_pubkey::Pubkey;
use toll_protocol::{
    Amount, ED25519_PROGRAM, decode_ed25519, decode_transaction, discriminator, static_instructions,
};

use crate::column::amount;
use crate::error::LedgerError;

/// Fills in what can be read. A transaction whose bytes are forgotten has been resolved long since.
pub(super) fn fill(connection: &Connection) -> Result<(), LedgerError> {
    let mut old = connection.prepare(
        "-- transactions_to_read
        SELECT submission_id, channel_id, program, transaction_bytes
          FROM submissions JOIN submission_channels USING (submission_id) JOIN channels USING (channel_id)
         WHERE kind IN ('settle', 'close', 'seal', 'distribute') AND transaction_bytes <> x''",
    )?;
    let mut rows = old.query([])?;
    while let Some(row) = rows.next()? {
        let (submission, channel): (i64, [u8; 32]) = (row.get(0)?, row.get(1)?);
        let (program, bytes): ([u8; 32], Vec<u8>) = (row.get(2)?, row.get(3)?);
        let Some((publishes, pays_out)) = read(&bytes, &Pubkey::new_from_array(program)) else { continue };
        connection
            .prepare_cached(
                "-- fill_intent
                UPDATE submission_channels SET publishes = ?3, pays_out = ?4
                 WHERE channel_id = ?1 AND submission_id = ?2",
            )?
            .execute(params![channel, submission, publishes.map(amount).transpose()?, pays_out])?;
        if let Some(shown) = publishes {
            connection
                .prepare_cached(
                    "-- fill_published
                    UPDATE channels SET sent_cumulative = ?2 WHERE channel_id = ?1 AND sent_cumulative < ?2",
                )?
                .execute(params![channel, amount(shown)?])?;
        }
    }
    Ok(())
}

/// The amount of the voucher in a transaction, and whether it distributes.
fn read(bytes: &[u8], program: &Pubkey) -> Option<(Option<Amount>, bool)> {
    let instructions = static_instructions(&decode_transaction(bytes).ok()?).ok()?;
    let voucher = instructions
        .iter()
        .filter(|one| one.program_id == ED25519_PROGRAM)
        .find_map(|one| decode_ed25519(&one.data).ok());
    let pays_out = instructions
        .iter()
        .any(|one| one.program_id == *program && one.data.first() == Some(&discriminator::DISTRIBUTE));
    Some((voucher.map(|signed| signed.voucher.cumulative_amount), pays_out))
}

#[cfg(test)]
pub(super) mod tests {
    use ed25519_dalek::SigningKey;
    use solana_message::{VersionedMessage, v0};
    use solana_transaction::versioned::VersionedTransaction;
    use toll_protocol::{
        Channel, ChannelId, PROGRAM_ID, SignedVoucher, Splits, TOKEN_PROGRAM, TREASURY_OWNER, Voucher,
        ed25519_verify, encode_transaction,
    };

    use super::*;

    /// A transaction that closes a channel with a voucher of `cumulative` and pays out.
    pub(in crate::migrations) fn close(cumulative: u64) -> Vec<u8> {
        let key = |byte: u8| Pubkey::new_from_array([byte; 32]);
        let channel = Channel {
            program: PROGRAM_ID,
            id: ChannelId::new([1; 32]),
            payer: key(2),
            payee: key(3),
            mint: key(4),
            token_program: TOKEN_PROGRAM,
            rent_payer: key(5),
            splits: Splits::none(),
            treasury_owner: TREASURY_OWNER,
        };
        let voucher =
            Voucher { channel_id: channel.id, cumulative_amount: Amount::new(cumulative), expires_at: 0 };
        let voucher = SignedVoucher::sign(voucher, &SigningKey::from_bytes(&[6; 32]));
        let instructions = [ed25519_verify(&voucher), channel.settle_and_seal(true), channel.distribute()];
        let message = v0::Message::try_compile(&key(5), &instructions, &[], Default::default()).unwrap();
        let message = VersionedMessage::V0(message);
        let signatures = vec![Default::default(); usize::from(message.header().num_required_signatures)];
        encode_transaction(&VersionedTransaction { signatures, message })
    }

    #[test]
    fn voucher_and_payout_of_a_close_are_read() {
        assert_eq!(read(&close(7), &PROGRAM_ID), Some((Some(Amount::new(7)), true)));
        let other_program = Pubkey::new_from_array([8; 32]);
        assert_eq!(read(&close(7), &other_program), Some((Some(Amount::new(7)), false)));
        assert_eq!(read(b"no transaction", &PROGRAM_ID), None);
    }
}
