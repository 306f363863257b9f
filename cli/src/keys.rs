//! Where the command finds its keys, and what to do when it does not.

use std::path::{Path, PathBuf};

use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::key_file::{self, KeyFileError};

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
    Ok(key_file::read(path)?)
}

/// Writes a key file that only its owner can read. An existing file is kept unless `replace`.
pub fn write(path: &Path, key: &Keypair, replace: bool) -> Result<()> {
    Ok(key_file::write(path, key, replace)?)
}

impl From<KeyFileError> for CliError {
    fn from(error: KeyFileError) -> Self {
        let remedy = match error {
            KeyFileError::Missing(_) => "make one with `toll keygen`, or name another with --keypair",
            KeyFileError::NoKey(_) => "a key file is a JSON array of 64 bytes, as `toll keygen` writes it",
            KeyFileError::Exists(_) => "choose another file, or replace the key for good with --force",
            KeyFileError::Unreadable { .. } | KeyFileError::Unwritable { .. } => {
                "check its owner and permissions"
            }
        };
        Self::new(Exit::Key, error, remedy)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_file_says_how_to_make_one() {
        let error = read(Path::new("/nonexistent/id.json")).unwrap_err();
        assert_eq!(error.exit, Exit::Key);
        assert!(error.remedy.contains("toll keygen"), "{error}");
    }
}
