//! The gateway's challenge secret, for a configuration that names none.
//!
//! It lies beside the ledger, so that a restarted server still knows the challenges its channels echo.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{CliError, Exit, Result};

/// The file beside `ledger`.
pub(crate) fn beside(ledger: &Path) -> PathBuf {
    let mut name = OsString::from(ledger);
    name.push(".secret");
    PathBuf::from(name)
}

/// Makes the file unless it is there, with 256 random bits that only its owner can read.
pub(crate) fn keep(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        let secret = toll_protocol::base64url_encode(rand::random::<[u8; 32]>());
        file.write_all(secret.as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(CliError::new(
            Exit::Config,
            format_args!("cannot write {}: {error}", path.display()),
            "check its folder, or name a gateway.secret_file",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("toll.db"));
        assert_eq!(path, folder.path().join("toll.db.secret"));
        keep(&path).unwrap();
        let secret = std::fs::read(&path).unwrap();
        keep(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), secret);
        assert_eq!(secret.len(), 43);
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_the_secret() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("toll.db"));
        keep(&path).unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
