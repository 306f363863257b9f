//! A million channels, written as rows: opened one by one they would take a quarter of an hour.

use rusqlite::params;
use solana_pubkey::Pubkey;
use toll_protocol::ChannelId;

use super::ChannelFixture;
use crate::{Ledger, LedgerError};

/// Rows written in one transaction.
const BATCH: usize = 50_000;

/// What a channel has of its own; the rest is that of another one.
#[derive(Clone, Copy, Debug)]
pub struct Twin {
    /// Its address, which follows from its terms.
    pub id: ChannelId,
    /// The address's bump.
    pub bump: u8,
    /// Its salt.
    pub salt: u64,
    /// Its voucher key.
    pub signer: Pubkey,
}

impl Ledger {
    /// Opens `twins` of `first`, which is open in this file, as it stands. The indexes of channels are made anew
    /// afterwards: do nothing else meanwhile.
    pub async fn open_twins(&self, first: &ChannelFixture, mut twins: Vec<Twin>) -> Result<(), LedgerError> {
        let first = first.id();
        twins.sort_unstable_by(|one, other| one.id.as_bytes().cmp(other.id.as_bytes()));
        let indexes = self.write("drop_indexes", |tx| Ok(drop_indexes(tx.connection())?)).await?;
        let mut rest = twins.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(rest.len().min(BATCH));
            let batch = batch.to_vec();
            self.write("open_twins", move |tx| Ok(insert(tx.connection(), &first, &batch)?)).await?;
            rest = later;
        }
        self.write("make_indexes", move |tx| Ok(tx.connection().execute_batch(&indexes)?)).await
    }
}

/// Drops what is indexed of channels besides their addresses. Returns the statements that make it again.
fn drop_indexes(connection: &rusqlite::Connection) -> rusqlite::Result<String> {
    let mut found = connection.prepare(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'channels' AND sql IS NOT NULL",
    )?;
    let found: Vec<(String, String)> =
        found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut statements = String::new();
    for (name, sql) in found {
        connection.execute_batch(&format!("DROP INDEX {name}"))?;
        statements.push_str(&sql);
        statements.push(';');
    }
    Ok(statements)
}

fn insert(connection: &rusqlite::Connection, first: &ChannelId, twins: &[Twin]) -> rusqlite::Result<()> {
    let mut columns = connection.prepare("SELECT name FROM pragma_table_info('channels')")?;
    let columns: Vec<String> = columns.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let values: Vec<&str> = columns
        .iter()
        .map(|column| match column.as_str() {
            "channel_id" => "?2",
            "bump" => "?3",
            "salt" => "?4",
            "authorized_signer" => "?5",
            "opening_challenge_id" => "'challenge-' || ?4",
            same => same,
        })
        .collect();
    let (columns, values) = (columns.join(", "), values.join(", "));
    let sql = format!("INSERT INTO channels ({columns}) SELECT {values} FROM channels WHERE channel_id = ?1");
    let mut insert = connection.prepare(&sql)?;
    for twin in twins {
        let Twin { id, bump, salt, signer } = twin;
        insert.execute(params![
            first.as_bytes(),
            id.as_bytes(),
            bump,
            salt.to_string(),
            &signer.to_bytes()[..]
        ])?;
    }
    Ok(())
}
