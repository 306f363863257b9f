//! Who answers a request that is sent to several gateways at the same moment.
//!
//! A ledger on a server may have several gateways. The one that answers a request says so in a row, which it renews and
//! takes away at the end; should it die, another one may answer once the row has expired by the database's clock.

use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::warn;

use crate::engine::params;
use crate::settler_lock::{Holder, fresh_holder};
use crate::{Ledger, LedgerError, ReplayKey};

/// Seconds for which a gateway that died may still be answering.
pub const SERVING_LEASE: i64 = 30;

const TAKE: &str = "-- take_serving
    INSERT INTO serving (replay_key, holder, expires_at) VALUES (?1, ?2, unixepoch() + ?3)
    ON CONFLICT (replay_key) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
     WHERE serving.expires_at <= unixepoch()";

const RENEW: &str = "-- renew_serving
    UPDATE serving SET expires_at = unixepoch() + ?3 WHERE replay_key = ?1 AND holder = ?2";

const RELEASE: &str = "-- release_serving\nDELETE FROM serving WHERE replay_key = ?1 AND holder = ?2";

/// Forgets what gateways that died were answering; somebody else answered long ago, or nobody asked again.
pub(crate) const PURGE: &str = "-- purge_serving
    DELETE FROM serving WHERE replay_key IN
        (SELECT replay_key FROM serving WHERE expires_at <= unixepoch() - ?1 LIMIT ?2)";

/// The right to answer one request, among all gateways of a ledger. It ends when it is dropped.
#[derive(Debug)]
pub struct Serving {
    key: [u8; 32],
    holder: Holder,
    ledger: Ledger,
    renewing: JoinHandle<()>,
}

impl Ledger {
    /// Makes its caller the one gateway that answers the request under `key`; `None` while another one does. Call it
    /// where tasks run.
    pub async fn try_serve(&self, key: &ReplayKey) -> Result<Option<Serving>, LedgerError> {
        let (key, holder) = (key.key, fresh_holder());
        let taken = self
            .write("take_serving", move |tx| Ok(tx.execute(TAKE, params![key, holder, SERVING_LEASE])?))
            .await?;
        if taken == 0 {
            return Ok(None);
        }
        let renewing = tokio::spawn(renew(self.clone(), key, holder));
        Ok(Some(Serving { key, holder, ledger: self.clone(), renewing }))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.renewing.abort();
        let (ledger, key, holder) = (self.ledger.clone(), self.key, self.holder);
        // Where no tasks run any more it expires by itself.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let released =
                ledger.write("release_serving", move |tx| Ok(tx.execute(RELEASE, params![key, holder])?));
            if let Err(error) = released.await {
                warn!(%error, "that a request is being answered expires by itself");
            }
        });
    }
}

async fn renew(ledger: Ledger, key: [u8; 32], holder: Holder) {
    loop {
        tokio::time::sleep(Duration::from_secs(SERVING_LEASE.unsigned_abs() / 3)).await;
        let renewed = ledger
            .write("renew_serving", move |tx| Ok(tx.execute(RENEW, params![key, holder, SERVING_LEASE])?))
            .await;
        match renewed {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => warn!(%error, "that a request is being answered is not renewed"),
        }
    }
}
