//! Key files: the JSON array of 64 bytes that Solana's own tools read and write.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

use crate::error::{CliError, Exit, Result};

/// Where the payer's key is kept when no flag and no environment variable says otherwise.
pub fn default_path() -> PathBuf {
    home().join(".config/toll/id.json")
}

/// The user's home directory, or the current one for a user without.
pub fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// Reads a key file.
pub fn read(path: &Path) -> Result<Keypair> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => CliError::new(
            Exit::Key,
            format_args!("no key file at {}", path.display()),
            "make one with `toll keygen`, or name another with --keypair",
        ),
        _ => CliError::new(
            Exit::Key,
            format_args!("cannot read key file {}: {error}", path.display()),
            "check its owner and permissions",
        ),
    })?;
    #[cfg(unix)]
    if fs::metadata(path)
        .is_ok_and(|file| std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o077 != 0)
    {
        tracing::warn!("key file {} is open to other users; `chmod 600` it", path.display());
    }
    parse(&text).ok_or_else(|| {
        CliError::new(
            Exit::Key,
            format_args!("{} holds no key", path.display()),
            "a key file is a JSON array of 64 bytes, as `toll keygen` writes it",
        )
    })
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
        ErrorKind::AlreadyExists => CliError::new(
            Exit::Key,
            format_args!("{} exists", path.display()),
            "choose another file, or replace the key for good with --force",
        ),
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

/// Reads a public key from the command line: base58, or a key file.
pub fn parse_address(text: &str) -> Result<Pubkey, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let path = Path::new(text);
    if path.exists() {
        return read(path).map(|key| key.pubkey()).map_err(|error| error.to_string());
    }
    Err(format!("`{text}` is neither a base58 public key nor a key file"))
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(
        Exit::Key,
        format_args!("cannot write {}: {error}", path.display()),
        "check its owner and permissions",
    )
}

#[cfg(test)]
mod tests {
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

        assert_eq!(write(&path, &second, false).unwrap_err().exit, Exit::Key);
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

        assert_eq!(read(&path).unwrap_err().exit, Exit::Key);
    }

    #[test]
    fn a_missing_key_file_says_how_to_make_one() {
        let error = read(Path::new("/nonexistent/id.json")).unwrap_err();
        assert_eq!(error.exit, Exit::Key);
        assert!(error.remedy.contains("toll keygen"), "{error}");
    }

    #[test]
    fn the_voucher_key_is_the_same_key() {
        let key = Keypair::new();
        assert_eq!(voucher_key(&key).verifying_key().as_bytes(), key.pubkey().as_array());
    }
}
