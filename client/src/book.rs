//! The payer's memory: one JSON file of channels, and of charges that were not answered.
//!
//! The file is written whole, to a new file that replaces the old one, so a crash leaves one or the other.
//! While a [`Book`] is open its lock file is held, so two commands never sign for one channel at once. What
//! was signed is on disk before it is sent: a crash in between is found as a [`Pending`](crate::Pending) transaction or an [`Unanswered`](crate::Unanswered) voucher, and the same
//! thing is sent again rather than a second one.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use solana_pubkey::Pubkey;
use thiserror::Error;
use tokio::sync::OwnedMutexGuard;
use toll_protocol::{ChannelId, Network};

use crate::channel::{ChannelStage, SavedChannel};
use crate::charge::SavedCharge;
use crate::clock::unix_now;
use crate::offer::OfferTerms;

/// The version this program writes, and the newest it reads. It reads every older one.
pub const VERSION: u32 = 3;

/// Why the state file cannot be used.
#[derive(Debug, Error)]
pub enum BookError {
    /// It cannot be read.
    #[error("cannot read channel state {}: {reason}", .path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// It holds something else.
    #[error("channel state {} is damaged: {reason}", .path.display())]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another program's version.
    #[error("channel state {} has version {found}, this program knows {VERSION}", .path.display())]
    Version {
        /// Where it is.
        path: PathBuf,
        /// The version it says.
        found: u32,
    },
    /// Another book holds its lock.
    #[error("channel state {} is in use", .0.display())]
    InUse(PathBuf),
    /// It, or its folder, cannot be written.
    #[error("cannot write {}: {reason}", .path.display())]
    Unwritable {
        /// Where it should be.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// An entry that lacks what the next step needs.
    #[error("the state file has no usable {what} for {channel}")]
    Unusable {
        /// The entry.
        channel: ChannelId,
        /// What it lacks.
        what: &'static str,
    },
}

type Result<T, E = BookError> = std::result::Result<T, E>;

impl Kept {
    fn place(&mut self, channel: SavedChannel) {
        self.noted = true;
        match self.channels.iter_mut().find(|known| known.channel_id == channel.channel_id) {
            Some(known) => *known = channel,
            None => self.channels.push(channel),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<C, P> {
    version: u32,
    channels: Vec<C>,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    charges: Vec<P>,
}

/// The open state file, locked until dropped.
///
/// [`Self::put`] is for what must be on disk before the next step; [`Self::note`] for what may be lost in a
/// crash, and is written with the next `put`, by [`Self::flush`], or when the book is dropped.
///
/// A book may be shared: calls that pay one server take turns, calls for different servers do not wait for each
/// other.
pub struct Book {
    path: PathBuf,
    kept: Mutex<Kept>,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    _lock: File,
}

struct Kept {
    channels: Vec<SavedChannel>,
    charges: Vec<SavedCharge>,
    /// Whether there is something in memory that is not on disk.
    noted: bool,
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
        let (channels, charges) = read(path)?;
        let kept = Mutex::new(Kept { channels, charges, noted: false });
        Ok(Self { path: path.into(), kept, turns: Mutex::default(), _lock: lock })
    }

    /// All channels, oldest first.
    pub fn channels(&self) -> Vec<SavedChannel> {
        self.kept().channels.clone()
    }

    /// One channel.
    pub fn channel(&self, id: &ChannelId) -> Option<SavedChannel> {
        self.kept().channels.iter().find(|channel| channel.channel_id == *id).cloned()
    }

    /// The same, if it is open, about to be, or not closed for sure.
    pub(crate) fn in_use(&self, id: &ChannelId) -> Option<SavedChannel> {
        let in_use = [ChannelStage::Opening, ChannelStage::Open, ChannelStage::Closing];
        self.channel(id).filter(|channel| in_use.contains(&channel.stage))
    }

    /// The newest usable channel of `payer` with the server at `origin`, on one network and program.
    pub fn usable(
        &self,
        origin: &str,
        payer: &Pubkey,
        network: Network,
        program: &Pubkey,
    ) -> Option<SavedChannel> {
        let usable = |channel: &&SavedChannel| {
            channel.origin == origin
                && channel.payer == *payer
                && channel.network == network
                && channel.program == *program
                && matches!(channel.stage, ChannelStage::Opening | ChannelStage::Open)
        };
        self.kept().channels.iter().rev().find(usable).cloned()
    }

    /// The newest open channel of `payer` that answers to `terms` of the server at `origin`, but for those in `left`.
    /// Where an operator signs the vouchers, a channel is for the price that it was opened at.
    pub(crate) fn answering(
        &self,
        origin: &str,
        payer: &Pubkey,
        terms: &OfferTerms,
        left: &[ChannelId],
    ) -> Option<SavedChannel> {
        let answers = |channel: &&SavedChannel| {
            channel.stage == ChannelStage::Open
                && (channel.origin.as_str(), &channel.payer) == (origin, payer)
                && (channel.network, channel.program) == (terms.network, terms.program)
                && (channel.mint, channel.payee) == (terms.mint, terms.payee)
                && channel.operator() == terms.operator
                && (!channel.operated || channel.price == terms.price)
                && !left.contains(&channel.channel_id)
        };
        self.kept().channels.iter().rev().find(answers).cloned()
    }

    /// Waits until nobody else in this process pays the server at `origin`: vouchers of a channel are signed one
    /// after the other, each above the last.
    pub(crate) async fn turn(&self, origin: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(origin.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    /// Writes `channel` in place of the one with its address, or adds it. On disk when this returns.
    pub fn put(&self, channel: SavedChannel) -> Result<()> {
        let mut kept = self.kept();
        kept.place(channel);
        self.save(&mut kept)
    }

    /// The same, in memory for now.
    pub fn note(&self, channel: SavedChannel) {
        self.kept().place(channel);
    }

    /// Writes what was noted. On disk when this returns.
    pub fn flush(&self) -> Result<()> {
        let mut kept = self.kept();
        if kept.noted { self.save(&mut kept) } else { Ok(()) }
    }

    /// Forgets a channel. On disk when this returns.
    pub fn remove(&self, id: &ChannelId) -> Result<()> {
        let mut kept = self.kept();
        kept.channels.retain(|channel| channel.channel_id != *id);
        self.save(&mut kept)
    }

    /// Every charge that was not answered, oldest first.
    pub fn charges(&self) -> Vec<SavedCharge> {
        self.kept().charges.clone()
    }

    /// The one of `payer` for the request with this fingerprint.
    pub(crate) fn charge(&self, fingerprint: &str, payer: &Pubkey) -> Option<SavedCharge> {
        self.kept().charges.iter().find(|charge| charge.pays(fingerprint, payer)).cloned()
    }

    /// Writes `charge` in place of the one for the same request, or adds it. On disk when this returns.
    pub(crate) fn put_charge(&self, charge: SavedCharge) -> Result<()> {
        let mut kept = self.kept();
        let now = unix_now();
        kept.charges.retain(|other| other.is_kept(now) && !other.pays(&charge.fingerprint, &charge.payer));
        kept.charges.push(charge);
        self.save(&mut kept)
    }

    /// Forgets the charge of `payer` for a request; whether there was one. On disk when this returns.
    pub(crate) fn remove_charge(&self, fingerprint: &str, payer: &Pubkey) -> Result<bool> {
        let mut kept = self.kept();
        let before = kept.charges.len();
        kept.charges.retain(|charge| !charge.pays(fingerprint, payer));
        let any = kept.charges.len() < before;
        if any {
            self.save(&mut kept)?;
        }
        Ok(any)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, kept: &mut Kept) -> Result<()> {
        let folder =
            self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let document = Document {
            version: VERSION,
            channels: kept.channels.iter().collect(),
            charges: kept.charges.iter().collect(),
        };
        let written = (|| {
            let text = serde_json::to_vec_pretty(&document)?;
            // A named temporary file is readable by its owner only.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            // The rename itself is durable only once the folder is.
            File::open(folder)?.sync_all()
        })();
        written.map_err(|error| unwritable(&self.path, &error))?;
        kept.noted = false;
        Ok(())
    }
}

fn read(path: &Path) -> Result<(Vec<SavedChannel>, Vec<SavedCharge>)> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(BookError::Unreadable { path: path.into(), reason: error.to_string() }),
    };
    let damaged =
        |error: serde_json::Error| BookError::Damaged { path: path.into(), reason: error.to_string() };
    let mut document: Document<Value, SavedCharge> = serde_json::from_slice(&text).map_err(damaged)?;
    match document.version {
        1 => document.channels.iter_mut().for_each(from_version_1),
        // The second had no charges.
        2 | VERSION => {}
        found => return Err(BookError::Version { path: path.into(), found }),
    }
    let channels = document.channels.into_iter().map(serde_json::from_value);
    Ok((channels.collect::<Result<_, _>>().map_err(damaged)?, document.charges))
}

/// Version 1 had room for one unanswered voucher, in place of a transaction, and took the channel's challenge to be
/// the one it answered.
fn from_version_1(channel: &mut Value) {
    if channel["pending"]["kind"] != "voucher" {
        return;
    }
    let mut voucher = channel["pending"].take();
    voucher["base"] = channel["accepted"].clone();
    voucher["challenge"] = channel["challenge"].clone();
    voucher["signedAt"] = unix_now().into();
    channel["unanswered"] = Value::Array(vec![voucher]);
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
            Err(TryLockError::WouldBlock) => return Err(BookError::InUse(path.into())),
            Err(TryLockError::Error(error)) => return Err(unwritable(Path::new(&name), &error)),
        }
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> BookError {
    BookError::Unwritable { path: path.into(), reason: error.to_string() }
}
