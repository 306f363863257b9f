//! The payer's memory: one JSON file of channels, version 1.
//!
//! The file is written whole, to a new file that replaces the old one, so a crash leaves one or the other.
//! While a [`Book`] is open its lock file is held, so two commands never sign for one channel at once. What
//! was signed is on disk before it is sent: a crash in between is found as a [`Pending`] entry, and the same
//! thing is sent again rather than a second one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use solana_pubkey::Pubkey;
use toll_protocol::{Amount, Challenge, ChannelId, ChannelTerms, Network, Receipt, Splits};

use crate::error::{CliError, Exit, Result};

/// The version this program writes, and the newest it reads.
pub const VERSION: u32 = 1;

/// Where the state is kept when no flag and no environment variable says otherwise.
pub fn default_path() -> PathBuf {
    std::env::var_os("XDG_STATE_HOME")
        .map_or_else(|| crate::keys::home().join(".local/state"), PathBuf::from)
        .join("toll/channels.json")
}

/// Where a channel stands, as far as the payer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChannelStage {
    /// The deposit was signed; whether it landed is not known yet.
    Opening,
    /// Vouchers are accepted.
    Open,
    /// A close was asked for.
    Closing,
    /// The server said that it is closed.
    Closed,
    /// The deposit never landed, as far as the server knows.
    Abandoned,
}

/// Something that was signed and not yet answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Pending {
    /// A deposit: the very header that carries it.
    Open {
        /// Value of the `Authorization` header.
        authorization: String,
    },
    /// A voucher.
    #[serde(rename_all = "camelCase")]
    Voucher {
        /// The cumulative amount it authorizes.
        cumulative: Amount,
        /// Digest of the request it pays for.
        fingerprint: String,
        /// The request's `Idempotency-Key`.
        idempotency_key: String,
    },
    /// A top-up: the very header that carries it, and by how much it raises the deposit.
    #[serde(rename_all = "camelCase")]
    TopUp {
        /// Value of the `Authorization` header.
        authorization: String,
        /// The increase.
        additional: Amount,
    },
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedChannel {
    /// Its address.
    pub channel_id: ChannelId,
    /// Scheme, host and port of the server.
    pub origin: String,
    /// The resource it was opened for; close and top-up go there.
    pub url: String,
    /// The HTTP method it was opened with, since a resource is priced by method too.
    pub method: String,
    /// The network of the challenge.
    pub network: Network,
    /// The channel program.
    #[serde(with = "base58")]
    pub program: Pubkey,
    /// Who deposited.
    #[serde(with = "base58")]
    pub payer: Pubkey,
    /// Who earns.
    #[serde(with = "base58")]
    pub payee: Pubkey,
    /// The token.
    #[serde(with = "base58")]
    pub mint: Pubkey,
    /// SPL Token or Token-2022.
    #[serde(with = "base58")]
    pub token_program: Pubkey,
    /// Decimals of the token.
    pub decimals: u8,
    /// Whose vouchers count.
    #[serde(with = "base58")]
    pub authorized_signer: Pubkey,
    /// Who paid the rent and gets it back.
    #[serde(with = "base58")]
    pub rent_payer: Pubkey,
    /// Seed of the address.
    #[serde(with = "decimal")]
    pub salt: u64,
    /// Seed of the address.
    #[serde(with = "decimal")]
    pub open_slot: u64,
    /// Seconds between a forced close and the refund.
    pub grace_period_seconds: u32,
    /// Shares other than the payee's.
    pub splits: Splits,
    /// Tokens escrowed.
    pub deposit: Amount,
    /// Price of one request, as last challenged.
    pub price: Amount,
    /// The highest cumulative amount ever signed: what the payee could take at most.
    pub signed: Amount,
    /// The highest that the server said it accepted.
    pub accepted: Amount,
    /// What the server said it charged.
    pub spent: Amount,
    /// Where it stands.
    pub stage: ChannelStage,
    /// What to echo: the opening challenge, or a newer one for the same terms.
    pub challenge: Challenge,
    /// Blockhash of the last top-up: another one by the same amount under it would be the same transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_up_blockhash: Option<String>,
    /// What was signed and not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// The last receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_receipt: Option<Receipt>,
    /// Unix seconds.
    pub opened_at: i64,
}

impl SavedChannel {
    /// The seeds of its address.
    pub fn terms(&self) -> ChannelTerms {
        ChannelTerms {
            payer: self.payer,
            payee: self.payee,
            mint: self.mint,
            authorized_signer: self.authorized_signer,
            salt: self.salt,
            open_slot: self.open_slot,
        }
    }

    /// Adopts a watermark the server reported: never above what was signed, never lower than known.
    ///
    /// Returns whether the report was within what was signed.
    pub fn adopt_accepted(&mut self, reported: Amount) -> bool {
        if reported > self.signed {
            return false;
        }
        self.accepted = self.accepted.max(reported);
        true
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    channels: Vec<SavedChannel>,
}

/// The open state file, locked until dropped.
///
/// [`Self::put`] is for what must be on disk before the next step; [`Self::note`] for what may be lost in a
/// crash, and is written with the next `put`, by [`Self::flush`], or when the book is dropped.
pub struct Book {
    path: PathBuf,
    channels: Vec<SavedChannel>,
    noted: bool,
    _lock: File,
}

impl Drop for Book {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "channel state");
        }
    }
}

impl Book {
    /// Opens `path`, waiting up to `patience` for another command to finish. A missing file is an empty book.
    pub fn open(path: &Path, patience: Duration) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        }
        let lock = lock(path, patience)?;
        let channels = read(path)?;
        Ok(Self { path: path.into(), channels, noted: false, _lock: lock })
    }

    /// All channels, oldest first.
    pub fn channels(&self) -> &[SavedChannel] {
        &self.channels
    }

    /// One channel.
    pub fn channel(&self, id: &ChannelId) -> Option<&SavedChannel> {
        self.channels.iter().find(|channel| channel.channel_id == *id)
    }

    /// The newest usable channel of `payer` with the server at `origin`, on one network and program.
    pub fn usable(
        &self,
        origin: &str,
        payer: &Pubkey,
        network: Network,
        program: &Pubkey,
    ) -> Option<&SavedChannel> {
        self.channels.iter().rev().find(|channel| {
            channel.origin == origin
                && channel.payer == *payer
                && channel.network == network
                && channel.program == *program
                && matches!(channel.stage, ChannelStage::Opening | ChannelStage::Open)
        })
    }

    /// Writes `channel` in place of the one with its address, or adds it. On disk when this returns.
    pub fn put(&mut self, channel: SavedChannel) -> Result<()> {
        self.note(channel);
        self.save()
    }

    /// The same, in memory for now.
    pub fn note(&mut self, channel: SavedChannel) {
        self.noted = true;
        match self.channels.iter_mut().find(|known| known.channel_id == channel.channel_id) {
            Some(known) => *known = channel,
            None => self.channels.push(channel),
        }
    }

    /// Writes what was noted. On disk when this returns.
    pub fn flush(&mut self) -> Result<()> {
        if self.noted { self.save() } else { Ok(()) }
    }

    /// Forgets a channel. On disk when this returns.
    pub fn remove(&mut self, id: &ChannelId) -> Result<()> {
        self.channels.retain(|channel| channel.channel_id != *id);
        self.save()
    }

    fn save(&mut self) -> Result<()> {
        let folder =
            self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let document = DocumentRef { version: VERSION, channels: &self.channels };
        let text = serde_json::to_vec_pretty(&document).map_err(|error| {
            CliError::new(Exit::Internal, format_args!("channel state: {error}"), "report this")
        })?;
        let written = (|| {
            // A named temporary file is readable by its owner only.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            // The rename itself is durable only once the folder is.
            File::open(folder)?.sync_all()
        })();
        written.map_err(|error| unwritable(&self.path, &error))?;
        self.noted = false;
        Ok(())
    }
}

#[derive(Serialize)]
struct DocumentRef<'a> {
    version: u32,
    channels: &'a [SavedChannel],
}

fn read(path: &Path) -> Result<Vec<SavedChannel>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(CliError::new(
                Exit::State,
                format_args!("cannot read channel state {}: {error}", path.display()),
                "check its owner and permissions, or name another file with --state",
            ));
        }
    };
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let damaged = |error: serde_json::Error| {
        CliError::new(
            Exit::State,
            format_args!("channel state {} is damaged: {error}", path.display()),
            "restore it, or name another file with --state; deposits stay recoverable with `toll request-close`",
        )
    };
    let Versioned { version } = serde_json::from_slice(&text).map_err(damaged)?;
    if version != VERSION {
        return Err(CliError::new(
            Exit::State,
            format_args!(
                "channel state {} has version {version}, this program knows {VERSION}",
                path.display()
            ),
            "use the program that wrote it, or name another file with --state",
        ));
    }
    serde_json::from_slice::<Document>(&text).map(|document| document.channels).map_err(damaged)
}

fn lock(path: &Path, patience: Duration) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| unwritable(Path::new(&name), &error))?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(CliError::new(
                    Exit::State,
                    format_args!("channel state {} is in use", path.display()),
                    "wait for the other command, or name another file with --state",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(Path::new(&name), &error)),
        }
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(
        Exit::State,
        format_args!("cannot write {}: {error}", path.display()),
        "check the folder's owner and free space, or name another file with --state",
    )
}

/// Keys as base58 text.
pub(crate) mod base58 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use solana_pubkey::Pubkey;

    pub(crate) fn serialize<S: Serializer>(key: &Pubkey, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(key)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pubkey, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// 64-bit numbers as decimal text, since JSON's numbers stop at 53 bits.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        toll_protocol::parse_u64(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
