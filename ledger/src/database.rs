//! A handle to a ledger: opening it, writing through the writer thread, reading beside it.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::acceptance::{Acceptance, Offer, Tail};
use crate::book::Book;
use crate::clock::Clock;
use crate::config::LedgerConfig;
use crate::engine::Tx;
use crate::error::LedgerError;
use crate::settler_lock::Holder;
use crate::writer::Writer;

/// Read-only connections, and so reads that run at once.
pub(crate) const READERS: usize = 4;

/// A handle to one ledger. Clones share it.
///
/// Writes are durable once they return. An error of a write leaves its outcome unknown: refuse what
/// depended on it and ask again. The last handle to go drains the queue and closes the file.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    // The writer goes first: it ends with every queued job done.
    writer: Writer,
    readers: Readers,
    book: Arc<Book>,
    clock: Box<dyn Clock>,
    config: LedgerConfig,
    /// Who this process is where it is the settler of a ledger on a server.
    lease: Mutex<Option<Holder>>,
    #[cfg(feature = "testing")]
    directory: Option<tempfile::TempDir>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("file", &self.inner.config.file()).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger at `path` with the default settings: see [`Ledger::with`].
    pub fn open(path: impl AsRef<Path>, clock: impl Clock) -> Result<Self, LedgerError> {
        Self::with(LedgerConfig::new(path.as_ref()), clock)
    }

    /// Opens a ledger, creating and migrating it as needed. `clock` dates everything written. One on a server blocks
    /// until that answers.
    ///
    /// Refuses a file that is no database ([`LedgerError::NotADatabase`]), one of another program
    /// ([`LedgerError::ForeignDatabase`]), and one that a newer binary has migrated
    /// ([`LedgerError::SchemaTooNew`]).
    pub fn with(config: LedgerConfig, clock: impl Clock) -> Result<Self, LedgerError> {
        let (tx, readers) = Tx::open(&config, READERS)?;
        let readers = Readers::of(readers);
        let path = config.file().unwrap_or(Path::new("")).to_owned();
        let book = Arc::new(Book::new(config.book_channels));
        let tail = matches!(tx, Tx::Sqlite(_)).then(Tail::default);
        let writer = Writer::start(tx, Arc::clone(&book), tail)
            .map_err(|cause| LedgerError::File { path, cause: Arc::new(cause) })?;
        Ok(Self {
            inner: Arc::new(Inner {
                writer,
                readers,
                book,
                clock: Box::new(clock),
                config,
                lease: Mutex::default(),
                #[cfg(feature = "testing")]
                directory: None,
            }),
        })
    }

    /// Keeps `directory` until the last handle is gone.
    #[cfg(feature = "testing")]
    pub(crate) fn keep(mut self, directory: tempfile::TempDir) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.directory = Some(directory);
        }
        self
    }

    #[cfg(feature = "testing")]
    pub(crate) fn reader_permits(&self) -> Arc<Semaphore> {
        Arc::clone(&self.inner.readers.permits)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn commit_count(&self) -> u64 {
        *self.inner.writer.commits().borrow()
    }

    pub(crate) fn queue_length(&self) -> usize {
        self.inner.writer.queued()
    }

    /// The file; nothing when the ledger is on a server.
    pub fn path(&self) -> &Path {
        self.inner.config.file().unwrap_or(Path::new(""))
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &LedgerConfig {
        &self.inner.config
    }

    /// What the ledger's clock shows, in unix seconds.
    pub fn now(&self) -> i64 {
        self.inner.clock.now()
    }

    /// Who this process is as a settler, if it has taken a lease.
    pub(crate) fn lease_holder(&self) -> Option<Holder> {
        *self.inner.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold_lease(&self, holder: Holder) {
        *self.inner.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(holder);
    }

    /// What this process knows of its channels.
    pub(crate) fn book(&self) -> &Arc<Book> {
        &self.inner.book
    }

    /// Waits until this process commits a change, at most for `timeout`. True means that something was
    /// committed; what other processes write is seen by polling.
    ///
    /// A change between a caller's last look and this call goes unseen: to wait for a condition, take
    /// [`Ledger::changes`] before looking.
    pub async fn changed(&self, timeout: Duration) -> bool {
        self.changes().changed(timeout).await
    }

    /// A watch over commits from here on.
    pub fn changes(&self) -> Changes {
        let mut commits = self.inner.writer.commits();
        commits.mark_unchanged();
        Changes(commits)
    }

    /// Runs the named transaction on the writer thread; durable once this returns. When other processes get in its
    /// way, it runs again from the start.
    pub(crate) async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnMut(&Tx) -> Result<T, LedgerError> + Send + 'static,
    {
        self.inner.writer.write(name, work).await
    }

    /// The same for what vouchers have nothing to do with.
    pub(crate) async fn write_beside<T, F>(&self, name: &'static str, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnMut(&Tx) -> Result<T, LedgerError> + Send + 'static,
    {
        self.inner.writer.write_beside(name, work).await
    }

    /// Has a voucher decided on the writer thread; what is accepted is durable once this returns.
    pub(crate) async fn offer(&self, offer: Offer) -> Result<Acceptance, LedgerError> {
        self.inner.writer.offer(offer).await
    }

    /// Runs the named query on a read-only connection, against one snapshot with everything that was accepted before.
    pub(crate) async fn read<T, F>(&self, name: &'static str, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnMut(&Tx) -> Result<T, LedgerError> + Send + 'static,
    {
        match self.snapshot(name, work, true).await? {
            (Some(value), _) => Ok(value),
            (None, work) => {
                self.inner.writer.post().await.map_err(|error| error.during(name))?;
                self.read_beside(name, work).await
            }
        }
    }

    /// The same for what vouchers have nothing to do with: no tail is in the way.
    pub(crate) async fn read_beside<T, F>(&self, name: &'static str, work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: FnMut(&Tx) -> Result<T, LedgerError> + Send + 'static,
    {
        self.snapshot(name, work, false).await?.0.ok_or(LedgerError::Stopped)
    }

    /// Runs `work`, unless there is a tail and the rows are to be `whole`. Returns it for another time.
    async fn snapshot<T, F>(
        &self,
        name: &'static str,
        mut work: F,
        whole: bool,
    ) -> Result<(Option<T>, F), LedgerError>
    where
        T: Send + 'static,
        F: FnMut(&Tx) -> Result<T, LedgerError> + Send + 'static,
    {
        let readers = &self.inner.readers;
        let permit = readers.permits.clone().acquire_owned().await.map_err(|_| LedgerError::Stopped)?;
        let inner = Arc::clone(&self.inner);
        let outcome = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let reader = inner.readers.take().ok_or(LedgerError::Stopped)?;
            let value = reader.read(|tx| {
                if whole && tx.has_tail()? {
                    return Ok(None);
                }
                work(tx).map(Some)
            })?;
            Ok((value, work))
        });
        match outcome.await {
            Ok(outcome) => outcome.map_err(|error: LedgerError| error.during(name)),
            Err(failed) if failed.is_panic() => Err(LedgerError::Panicked { operation: name }),
            Err(_) => Err(LedgerError::Stopped),
        }
    }
}

/// Wakes when this process commits. Remembers what it has shown, so nothing falls between two waits.
#[derive(Clone, Debug)]
pub struct Changes(watch::Receiver<u64>);

impl Changes {
    /// Waits for a commit since the last call, at most for `timeout`. False when none came.
    pub async fn changed(&mut self, timeout: Duration) -> bool {
        matches!(tokio::time::timeout(timeout, self.0.changed()).await, Ok(Ok(())))
    }
}

/// A few read-only connections, taken in turn.
struct Readers {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Tx>>,
}

impl Readers {
    fn of(idle: Vec<Tx>) -> Self {
        Self { permits: Arc::new(Semaphore::new(idle.len())), idle: Mutex::new(idle) }
    }

    /// An idle connection; there is one for every permit.
    fn take(&self) -> Option<Reader<'_>> {
        let tx = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Reader { tx: Some(tx), home: self })
    }
}

/// A connection that goes home when dropped, also when the read panicked.
struct Reader<'a> {
    tx: Option<Tx>,
    home: &'a Readers,
}

impl Deref for Reader<'_> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        self.tx.as_ref().expect("a reader keeps its connection until it is dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(tx) = self.tx.take() {
            tx.abandon();
            self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(tx);
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use crate::{Ledger, LedgerError, ManualClock};

    #[tokio::test]
    async fn writer_syncs_every_commit_and_checks_foreign_keys() {
        let ledger = Ledger::temporary(ManualClock::new(0));
        let pragma = async |name: &'static str| {
            ledger
                .write("pragma", move |tx| {
                    Ok(tx.connection().pragma_query_value(None, name, |row| row.get::<_, i64>(0))?)
                })
                .await
        };
        assert_eq!(pragma("synchronous").await.unwrap(), 2, "2 is FULL");
        assert_eq!(pragma("foreign_keys").await.unwrap(), 1);
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let ledger = Ledger::temporary(ManualClock::new(0));
        let error = ledger
            .read("sneak", |tx| Ok(tx.execute("INSERT INTO observation VALUES (1, 1)", &[])?))
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("sneak: attempt to write a readonly database"), "{error}");
    }

    #[tokio::test]
    async fn panicking_read_gives_its_connection_back() {
        let ledger = Ledger::temporary(ManualClock::new(0));
        for _ in 0..10 {
            let outcome: Result<(), _> = ledger.read("panic", |_| panic!("read panics on purpose")).await;
            assert!(matches!(outcome, Err(LedgerError::Panicked { operation: "panic" })));
        }
        assert_eq!(ledger.latest_tip().await.unwrap(), None);
    }
}
