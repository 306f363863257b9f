//! One settler per ledger.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Ledger, LedgerError};

/// Proof that its holder is the only settler of a ledger. The system frees it when the process ends, however
/// it ends; the file itself stays.
#[derive(Debug)]
pub struct SettlerLock {
    _file: File,
}

impl Ledger {
    /// Takes the settler's lock: the file `<ledger>.settler-lock`. `None` when another settler holds it.
    ///
    /// It lies beside the file itself, so that a link to it leads to the same lock.
    pub fn try_lock_settler(&self) -> Result<Option<SettlerLock>, LedgerError> {
        let file = |cause| LedgerError::File { path: self.path().to_owned(), cause: Arc::new(cause) };
        let mut name = self.path().canonicalize().map_err(file)?.into_os_string();
        name.push(".settler-lock");
        let path = PathBuf::from(name);
        let failed = |cause| LedgerError::File { path: path.clone(), cause: Arc::new(cause) };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(SettlerLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }
}
