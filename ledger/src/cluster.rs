//! The cluster a ledger belongs to.

use std::fmt;

use solana_pubkey::Pubkey;
use toll_protocol::Network;

use crate::column::Columns;
use crate::engine::{DatabaseError, Tx, params};
use crate::{Ledger, LedgerError};

/// A cluster and the channel program on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterIdentity {
    /// The cluster's name in challenges.
    pub network: Network,
    /// The cluster's genesis hash, base58.
    pub genesis_hash: String,
    /// The channel program.
    pub program: Pubkey,
}

impl fmt::Display for ClusterIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (genesis {}, program {})", self.network, self.genesis_hash, self.program)
    }
}

impl Ledger {
    /// Binds the ledger to `cluster`, for good, or checks that it already is.
    ///
    /// A voucher names no cluster: one ledger fed by two clusters would take a promise made on one for money
    /// on the other. Fails with [`LedgerError::WrongCluster`] when any of the three differs.
    pub async fn bind_cluster(&self, cluster: &ClusterIdentity) -> Result<(), LedgerError> {
        let offered = cluster.clone();
        self.write("bind_cluster", move |tx| {
            tx.execute(
                "-- bind_cluster
                INSERT INTO cluster (id, network, genesis_hash, program) VALUES (1, ?1, ?2, ?3)
                ON CONFLICT (id) DO NOTHING",
                params![offered.network.to_string(), offered.genesis_hash, offered.program.to_bytes()],
            )?;
            match stored(tx)? {
                Some(bound) if bound == offered => Ok(()),
                Some(bound) => Err(LedgerError::WrongCluster {
                    bound: Box::new(bound),
                    offered: Box::new(offered.clone()),
                }),
                None => Err(DatabaseError::no_row().into()),
            }
        })
        .await
    }

    /// The cluster this ledger is bound to, if it is.
    pub async fn cluster(&self) -> Result<Option<ClusterIdentity>, LedgerError> {
        self.read_beside("cluster", |tx| Ok(stored(tx)?)).await
    }
}

fn stored(connection: &Tx) -> Result<Option<ClusterIdentity>, DatabaseError> {
    connection.first(
        "-- cluster\nSELECT network, genesis_hash, program FROM cluster WHERE id = 1",
        &[],
        |row| {
            let network: String = row.get("network")?;
            Ok(ClusterIdentity {
                network: network.parse().map_err(|_| crate::column::undecodable("network"))?,
                genesis_hash: row.get("genesis_hash")?,
                program: row.pubkey("program")?,
            })
        },
    )
}
