//! What is accepted and not settled: what the payee would lose if nothing could be settled any more.

use toll_protocol::Amount;

use crate::{Ledger, LedgerError};

pub(crate) const EXPOSURE: &str = "-- exposure
    SELECT CAST(coalesce(sum(accepted - settled), 0) AS BIGINT) FROM channels INDEXED BY channels_by_exposure
     WHERE state IN ('open', 'closing') AND accepted > settled";

impl Ledger {
    /// What was accepted on all open and closing channels and is not settled. Costs a look at every such channel's
    /// index entry: ask seldom.
    pub async fn exposure(&self) -> Result<Amount, LedgerError> {
        self.read("exposure", |tx| {
            let sum: i64 = tx.one(EXPOSURE, &[], |row| row.get(0))?;
            Ok(Amount::new(sum.unsigned_abs()))
        })
        .await
    }
}
