//! One settler per ledger.
//!
//! A file has a lock that ends with its process, however that ends. A server has a lease: a row that the settler
//! renews, and that another takes over once it has expired by the server's clock. A settler that lost its lease
//! without knowing finds out before it can act, since no transaction is recorded by any but the holder, and none is
//! sent that is not recorded.

use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::warn;

use crate::engine::{Tx, params};
use crate::{Ledger, LedgerError};

/// Seconds for which a settler has a ledger on a server without renewing that: far below half of any grace period.
pub const LEASE: i64 = 15;

const TAKE: &str = "-- take_lease
    INSERT INTO settler_lease (id, holder, expires_at) VALUES (1, ?1, unixepoch() + ?2)
    ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
     WHERE settler_lease.holder = excluded.holder OR settler_lease.expires_at <= unixepoch()";

const RENEW: &str = "-- renew_lease
    UPDATE settler_lease SET expires_at = unixepoch() + ?2 WHERE id = 1 AND holder = ?1";

const RELEASE: &str = "-- release_lease\nDELETE FROM settler_lease WHERE id = 1 AND holder = ?1";

const HELD: &str = "-- held_lease\nSELECT 1 FROM settler_lease WHERE id = 1 AND holder = ?1";

/// Who holds a lease.
pub(crate) type Holder = [u8; 16];

/// Proof that its holder is the only settler of a ledger. It ends when it is dropped, and with the process.
#[derive(Debug)]
pub struct SettlerLock {
    _file: Option<File>,
    _lease: Option<Lease>,
}

#[derive(Debug)]
struct Lease {
    holder: Holder,
    ledger: Ledger,
    renewing: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
        let (ledger, holder) = (self.ledger.clone(), self.holder);
        // Where no tasks run any more it expires by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let released =
                    ledger.write("release_lease", move |tx| Ok(tx.execute(RELEASE, params![holder])?));
                if let Err(error) = released.await {
                    warn!(%error, "the settler's lease expires by itself");
                }
            });
        }
    }
}

impl Ledger {
    /// Makes its caller the settler of this ledger. `None` when another one is.
    ///
    /// On a file the lock is `<ledger>.settler-lock`, beside the file itself, so that a link to it leads to the same
    /// lock. On a server it is a lease of [`LEASE`] seconds, renewed by a task: call this where tasks run.
    pub async fn try_lock_settler(&self) -> Result<Option<SettlerLock>, LedgerError> {
        match self.settings().file() {
            Some(file) => lock(file),
            None => self.take_lease().await,
        }
    }

    /// Whether others may be waiting to settle here: on a server a second settler stands by.
    pub fn is_shared(&self) -> bool {
        self.settings().file().is_none()
    }

    async fn take_lease(&self) -> Result<Option<SettlerLock>, LedgerError> {
        let holder = fresh_holder();
        let taken = self.write("take_lease", move |tx| Ok(tx.execute(TAKE, params![holder, LEASE])?)).await?;
        if taken == 0 {
            return Ok(None);
        }
        self.hold_lease(holder);
        let renewing = tokio::spawn(renew(self.clone(), holder));
        let lease = Lease { holder, ledger: self.clone(), renewing };
        Ok(Some(SettlerLock { _file: None, _lease: Some(lease) }))
    }
}

impl SettlerLock {
    /// Stops renewing a lease and leaves it as it is, as a process that dies does.
    #[cfg(feature = "testing")]
    pub fn crash(mut self) {
        if let Some(lease) = self._lease.take() {
            lease.renewing.abort();
            std::mem::forget(lease);
        }
    }
}

/// Fails when this process had the settler's lease and has it no more.
pub(crate) fn check(tx: &Tx, holder: Option<Holder>) -> Result<(), LedgerError> {
    let Some(holder) = holder else { return Ok(()) };
    match tx.first(HELD, params![holder], |_| Ok(()))? {
        Some(()) => Ok(()),
        None => Err(LedgerError::LeaseLost),
    }
}

/// What no other process has.
pub(crate) fn fresh_holder() -> Holder {
    let fresh = || RandomState::new().hash_one(std::process::id()).to_le_bytes();
    let mut holder = Holder::default();
    let (first, second) = holder.split_at_mut(8);
    first.copy_from_slice(&fresh());
    second.copy_from_slice(&fresh());
    holder
}

async fn renew(ledger: Ledger, holder: Holder) {
    loop {
        tokio::time::sleep(Duration::from_secs(LEASE.unsigned_abs() / 3)).await;
        let renewed =
            ledger.write("renew_lease", move |tx| Ok(tx.execute(RENEW, params![holder, LEASE])?)).await;
        match renewed {
            Ok(0) => {
                warn!("another settler has taken over");
                return;
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "the settler's lease is not renewed"),
        }
    }
}

fn lock(file: &Path) -> Result<Option<SettlerLock>, LedgerError> {
    let failed = |cause| LedgerError::File { path: file.to_owned(), cause: Arc::new(cause) };
    let mut name = file.canonicalize().map_err(failed)?.into_os_string();
    name.push(".settler-lock");
    let path = PathBuf::from(name);
    let failed = |cause| LedgerError::File { path: path.clone(), cause: Arc::new(cause) };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(SettlerLock { _file: Some(file), _lease: None })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}
