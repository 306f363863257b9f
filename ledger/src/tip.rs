//! What the settler last saw of the chain, for those who never ask it themselves.

use solana_hash::Hash;

use crate::column::{Columns, integer};
use crate::engine::params;
use crate::{Ledger, LedgerError};

/// Seconds after which nothing that was read off a tip can still land.
pub const TIP_LIFE: i64 = 120;

/// The chain's latest blockhash and where it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// A recent blockhash, for challenges to quote.
    pub blockhash: Hash,
    /// Context slot of the answer that gave it.
    pub slot: u64,
    /// Block height at that slot.
    pub block_height: u64,
    /// Last block height at which `blockhash` is still valid.
    pub last_valid_block_height: u64,
    /// When it was published, in unix seconds.
    pub published_at: i64,
}

impl Ledger {
    /// Publishes the chain's tip. One of an older slot than the ledger has is ignored, unless what the ledger
    /// has is [`TIP_LIFE`] old: then it came from a node that was wrong, or the cluster restarted.
    pub async fn publish_tip(&self, tip: Tip) -> Result<(), LedgerError> {
        self.write_beside("publish_tip", move |tx| {
            tx.execute(
                "-- publish_tip
                INSERT INTO tip (id, blockhash, slot, block_height, last_valid_block_height, published_at)
                VALUES (1, ?1, ?2, ?3, ?4, ?5)
                ON CONFLICT (id) DO UPDATE SET
                    blockhash = excluded.blockhash, slot = excluded.slot, block_height = excluded.block_height,
                    last_valid_block_height = excluded.last_valid_block_height,
                    published_at = excluded.published_at
                WHERE excluded.slot >= tip.slot OR excluded.published_at >= tip.published_at + ?6",
                params![
                tip.blockhash.to_bytes(),
                integer(tip.slot)?,
                integer(tip.block_height)?,
                integer(tip.last_valid_block_height)?,
                tip.published_at,
                TIP_LIFE,
            ],
            )?;
            Ok(())
        })
        .await
    }

    /// The tip published last, if any.
    pub async fn latest_tip(&self) -> Result<Option<Tip>, LedgerError> {
        self.read_beside("latest_tip", |tx| {
            let tip = tx.first("-- latest_tip\nSELECT * FROM tip WHERE id = 1", &[], |row| {
                Ok(Tip {
                    blockhash: Hash::new_from_array(row.get("blockhash")?),
                    slot: row.unsigned("slot")?,
                    block_height: row.unsigned("block_height")?,
                    last_valid_block_height: row.unsigned("last_valid_block_height")?,
                    published_at: row.get("published_at")?,
                })
            })?;
            Ok(tip)
        })
        .await
    }

    /// Notes that forced closes of every live channel were looked for, in the chain as it was at `at` (unix seconds).
    /// Never goes back.
    pub async fn mark_channels_observed(&self, at: i64) -> Result<(), LedgerError> {
        self.write_beside("mark_channels_observed", move |tx| {
            tx.execute(
                "-- mark_channels_observed
                INSERT INTO observation (id, channels_observed_at) VALUES (1, ?1)
                ON CONFLICT (id) DO UPDATE
                    SET channels_observed_at = max(observation.channels_observed_at, excluded.channels_observed_at)",
                params![at],
            )?;
            Ok(())
        })
        .await?;
        self.book().observe(at);
        Ok(())
    }

    /// Up to when forced closes have been looked for, in unix seconds: one that began later may be unknown.
    pub async fn channels_observed_at(&self) -> Result<Option<i64>, LedgerError> {
        let at: Option<i64> = self
            .read_beside("channels_observed_at", |tx| {
                let at = tx.first(
                    "-- channels_observed_at\nSELECT channels_observed_at FROM observation WHERE id = 1",
                    &[],
                    |row| row.get(0),
                )?;
                Ok(at)
            })
            .await?;
        at.inspect(|at| self.book().observe(*at));
        Ok(at)
    }
}
