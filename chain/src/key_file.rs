//! Key files: the JSON array of 64 bytes that Solana's own tools read and write.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use solana_keypair::Keypair;

use thiserror::Error;

/// What is wrong with a key file.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// There is none.
    #[error("no key file at {}", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("cannot read key file {}: {reason}", .path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// It holds no key, or one whose halves differ.
    #[error("{} holds no key", .0.display())]
    NoKey(PathBuf),
    /// It is there already and is not replaced unasked.
    #[error("{} exists", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write {}: {reason}", .path.display())]
    Unwritable {
        /// Where it should be.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
}

type Result<T, E = KeyFileError> = std::result::Result<T, E>;

/// Reads a key file.
pub fn read(path: &Path) -> Result<Keypair> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => KeyFileError::Missing(path.to_owned()),
        _ => KeyFileError::Unreadable { path: path.to_owned(), reason: error.to_string() },
    })?;
    #[cfg(unix)]
    if fs::metadata(path)
        .is_ok_and(|file| std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o077 != 0)
    {
        tracing::warn!("key file {} is open to other users; `chmod 600` it", path.display());
    }
    parse(&text).ok_or_else(|| KeyFileError::NoKey(path.to_owned()))
}

fn parse(text: &str) -> Option<Keypair> {
    let bytes: Vec<u8> = serde_json::from_str(text).ok()?;
    // Refuses a public half that does not belong to the secret one.
    Keypair::try_from(bytes.as_slice()).ok()
}

/// Writes a key file that only its owner can read. An existing file is kept unless `replace`.
pub fn write(path: &Path, key: &Keypair, replace: bool) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    }
    let text = serde_json::to_string(&key.to_bytes().to_vec()).expect("bytes are JSON");
    let mut options = fs::OpenOptions::new();
    options.write(true);
    if replace {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
        _ => unwritable(path, &error),
    })?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(|error| unwritable(path, &error))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| unwritable(path, &error))
}

/// Reads a key file, or makes one that was not there.
pub fn read_or_create(path: &Path) -> Result<Keypair> {
    if path.exists() {
        return read(path);
    }
    let key = Keypair::new();
    write(path, &key, false)?;
    Ok(key)
}

/// The key in the shape that signs vouchers.
pub fn voucher_key(key: &Keypair) -> SigningKey {
    SigningKey::from_bytes(key.secret_bytes())
}

fn unwritable(path: &Path, error: &std::io::Error) -> KeyFileError {
    KeyFileError::Unwritable { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use solana_signer::Signer;

    use super::*;

    #[test]
    fn a_written_key_reads_back_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/id.json");
        let key = Keypair::new();

        write(&path, &key, false).unwrap();

        assert_eq!(read(&path).unwrap().pubkey(), key.pubkey());
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn an_existing_key_is_not_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id.json");
        let (first, second) = (Keypair::new(), Keypair::new());
        write(&path, &first, false).unwrap();

        assert!(matches!(write(&path, &second, false), Err(KeyFileError::Exists(_))));
        assert_eq!(read(&path).unwrap().pubkey(), first.pubkey());

        write(&path, &second, true).unwrap();
        assert_eq!(read(&path).unwrap().pubkey(), second.pubkey());
    }

    #[test]
    fn a_key_whose_halves_differ_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id.json");
        let mut bytes = Keypair::new().to_bytes().to_vec();
        bytes[32..].copy_from_slice(Keypair::new().pubkey().as_ref());
        fs::write(&path, serde_json::to_string(&bytes).unwrap()).unwrap();

        assert!(matches!(read(&path), Err(KeyFileError::NoKey(_))));
    }

    #[test]
    fn the_voucher_key_is_the_same_key() {
        let key = Keypair::new();
        assert_eq!(voucher_key(&key).verifying_key().as_bytes(), key.pubkey().as_array());
    }
}
