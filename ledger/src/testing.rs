//! Throwaway ledgers and ready-made channels, for tests.

mod inspection;
mod proxy;
mod server;
mod twins;

use ed25519_dalek::SigningKey;
use solana_pubkey::Pubkey;
use toll_protocol::{
    Agreement, Amount, ChannelAccount, ChannelId, ChannelStatus, ChannelTerms, PROGRAM_ID, SignedVoucher,
    Splits, TOKEN_PROGRAM, VerifiedVoucher, Voucher,
};

use crate::{
    Charge, Clock, Ledger, LedgerConfig, LedgerError, NewChannel, RecordedOpen, ReplayKey, channel,
    observation, opening,
};

pub use self::proxy::{Fault, TestProxy};
pub use self::server::TestServer;
pub use self::twins::Twin;

/// Names the server on which temporary ledgers are made, instead of in files.
pub const TEST_SERVER: &str = "TOLL_TEST_SERVER";

impl Ledger {
    /// A blank ledger in a temporary directory that goes away with its last handle.
    ///
    /// # Panics
    /// When the directory or the ledger cannot be made.
    pub fn temporary(clock: impl Clock) -> Self {
        Self::temporary_with(clock, |_| {})
    }

    /// A place where no ledger is yet; it goes away with what this returns.
    ///
    /// # Panics
    /// When there is none.
    pub fn nowhere() -> BlankPlace {
        if let Ok(server) = std::env::var(TEST_SERVER) {
            return BlankPlace {
                config: LedgerConfig::at(server::blank_database(&server)),
                _directory: None,
            };
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        BlankPlace {
            config: LedgerConfig::new(directory.path().join("ledger.db")),
            _directory: Some(directory),
        }
    }

    /// The same with settings of its own.
    ///
    /// # Panics
    /// When the directory or the ledger cannot be made.
    pub fn temporary_with(clock: impl Clock, set: impl FnOnce(&mut LedgerConfig)) -> Self {
        if let Ok(server) = std::env::var(TEST_SERVER) {
            let mut config = LedgerConfig::at(server::blank_database(&server));
            set(&mut config);
            return Self::with(config, clock).expect("a blank ledger");
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut config = LedgerConfig::new(directory.path().join("ledger.db"));
        set(&mut config);
        Self::with(config, clock).expect("a blank ledger").keep(directory)
    }

    /// Another handle to the same database, as another process has it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn again(&self, clock: impl Clock) -> Self {
        Self::with(self.settings().clone(), clock).expect("a ledger that opens twice")
    }

    /// How many commits of this process have changed the file.
    pub fn commits(&self) -> u64 {
        self.commit_count()
    }

    /// How often the writer waited for an answer of a server until now: never, for a file.
    pub async fn round_trips(&self) -> Result<u64, LedgerError> {
        self.write("round_trips", |tx| Ok(tx.round_trips())).await
    }

    /// Keeps every read waiting until the returned hold is dropped.
    ///
    /// # Panics
    /// When the ledger is closing.
    pub async fn hold_readers(&self) -> ReaderHold {
        let mut permits = Vec::new();
        // Reads that are under way end first.
        for _ in 0..crate::database::READERS {
            permits.push(self.reader_permits().acquire_owned().await.expect("readers stay"));
        }
        ReaderHold { _permits: permits }
    }

    /// Keeps the writer thread busy until the returned hold is dropped.
    pub async fn hold_writer(&self) -> WriterHold {
        let (started, running) = tokio::sync::oneshot::channel();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let ledger = self.clone();
        let mut started = Some(started);
        tokio::spawn(async move {
            ledger
                .write("hold_writer", move |_| {
                    let _ = started.take().map(|started| started.send(()));
                    // Ends when the other side is dropped.
                    let _ = held.recv();
                    Ok(())
                })
                .await
        });
        running.await.expect("the writer runs");
        WriterHold { _hold: hold }
    }

    /// Opens many channels in one transaction, as if their opens had landed at slot 100 and were final. There are no
    /// submissions.
    pub async fn open_all(&self, channels: Vec<ChannelFixture>) -> Result<(), LedgerError> {
        let now = self.now();
        self.write("open_all", move |tx| {
            for fixture in &channels {
                let (id, bump) = fixture.channel.agreement.terms.address(&fixture.channel.agreement.program);
                opening::insert(tx, &id, bump, &fixture.channel, &fixture.challenge_id(), now)?;
                let record = channel::find(tx, &id)?.ok_or(LedgerError::UnknownChannel(id))?;
                observation::apply(tx, &record, &fixture.account(), 100, now)?;
            }
            tx.execute(
                "UPDATE channels SET awaits_finality = NULL, open_final = 1 WHERE awaits_finality IS NOT NULL",
                &[],
            )?;
            Ok(())
        })
        .await
    }

    /// Lets the database grow no further, as on a full disk; `false` lifts that again.
    pub async fn fill_disk(&self, full: bool) -> Result<(), LedgerError> {
        if self.is_shared() {
            return self
                .write("fill_disk", move |tx| Ok(tx.batch(if full { FULL } else { NOT_FULL })?))
                .await;
        }
        self.write_beside("fill_disk", move |tx| {
            let tx = tx.connection();
            let pages: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
            let limit = if full { pages } else { i64::from(u32::MAX) - 1 };
            tx.pragma_update_and_check(None, "max_page_count", limit, |_| Ok(()))?;
            Ok(())
        })
        .await
    }
}

/// Every statement that would write a row fails as it does where the file of its table cannot be extended.
const FULL: &str = "
CREATE FUNCTION full_disk() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$;
DO $$
DECLARE each record;
BEGIN
    FOR each IN SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() LOOP
        EXECUTE format('CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION full_disk()', each.table_name);
    END LOOP;
END $$;";

const NOT_FULL: &str = "DROP FUNCTION full_disk() CASCADE;";

/// A place for a ledger.
#[derive(Debug)]
pub struct BlankPlace {
    config: LedgerConfig,
    _directory: Option<tempfile::TempDir>,
}

impl BlankPlace {
    /// Settings for a ledger there.
    pub fn config(&self) -> LedgerConfig {
        self.config.clone()
    }

    /// The place as `ledger.url` names it.
    pub fn place(&self) -> String {
        match &self.config.url {
            Some(url) => url.reveal().to_owned(),
            None => self.config.path.display().to_string(),
        }
    }
}

/// While this lives, the writer thread writes nothing.
#[derive(Debug)]
pub struct WriterHold {
    _hold: std::sync::mpsc::Sender<()>,
}

/// While this lives, nothing is read.
#[derive(Debug)]
pub struct ReaderHold {
    _permits: Vec<tokio::sync::OwnedSemaphorePermit>,
}

/// A channel with its voucher key: recorded, opened and paid from in one line each.
#[derive(Clone, Debug)]
pub struct ChannelFixture {
    /// What the channel is.
    pub channel: NewChannel,
    /// The key that signs its vouchers.
    pub signer: SigningKey,
}

impl ChannelFixture {
    /// The channel number `salt` between fixed parties, with `deposit` base units, a price of 16, a grace
    /// period of 900 s and an idle timeout of 600 s.
    pub fn new(salt: u64, deposit: u64) -> Self {
        let signer = SigningKey::from_bytes(&[7; 32]);
        let authorized_signer = Pubkey::from(signer.verifying_key().to_bytes());
        Self {
            channel: NewChannel {
                agreement: Agreement {
                    program: PROGRAM_ID,
                    terms: ChannelTerms {
                        payer: authorized_signer,
                        payee: Pubkey::from([2; 32]),
                        mint: Pubkey::from([3; 32]),
                        authorized_signer,
                        salt,
                        open_slot: 100,
                    },
                    token_program: TOKEN_PROGRAM,
                    rent_payer: Pubkey::from([4; 32]),
                    grace_period: 900,
                    splits: Splits::none(),
                },
                deposit: Amount::new(deposit),
                price: Amount::new(16),
                unit_type: Some("request".to_owned()),
                idle_timeout: 600,
                proof: None,
                keep_deposit: false,
            },
            signer,
        }
    }

    /// The channel's address.
    pub fn id(&self) -> ChannelId {
        self.channel.agreement.terms.address(&self.channel.agreement.program).0
    }

    /// The id of the challenge that the channel's open answers.
    pub fn challenge_id(&self) -> String {
        format!("challenge-{}", self.channel.agreement.terms.salt)
    }

    /// Records the open of the channel; its transaction bytes are made up.
    pub async fn record(&self, ledger: &Ledger) -> Result<RecordedOpen, LedgerError> {
        let transaction = format!("open {}", self.channel.agreement.terms.salt).into_bytes();
        ledger.record_open(self.channel.clone(), transaction, &self.challenge_id(), ledger.now() + 300).await
    }

    /// Records the open and lets it land at slot 100. Returns the channel's address.
    pub async fn open(&self, ledger: &Ledger) -> Result<ChannelId, LedgerError> {
        self.record(ledger).await?;
        ledger.open_landed(&self.id(), &self.account(), 100).await?;
        Ok(self.id())
    }

    /// The channel's account right after it opened.
    pub fn account(&self) -> ChannelAccount {
        let terms = &self.channel.agreement.terms;
        ChannelAccount {
            bump: terms.address(&self.channel.agreement.program).1,
            status: ChannelStatus::Open,
            salt: terms.salt,
            deposit: self.channel.deposit,
            settled: Amount::ZERO,
            payout_watermark: Amount::ZERO,
            closure_started_at: 0,
            payer_withdrawn_at: 0,
            grace_period: self.channel.agreement.grace_period,
            distribution_hash: self.channel.agreement.splits.hash(),
            payer: terms.payer,
            payee: terms.payee,
            authorized_signer: terms.authorized_signer,
            mint: terms.mint,
            rent_payer: self.channel.agreement.rent_payer,
            open_slot: terms.open_slot,
        }
    }

    /// A verified voucher for `cumulative` base units that never expires.
    pub fn voucher(&self, cumulative: u64) -> VerifiedVoucher {
        self.voucher_until(cumulative, 0)
    }

    /// A verified voucher for `cumulative` base units that expires at `expires_at` (unix seconds).
    ///
    /// # Panics
    /// Never: it verifies what it has just signed.
    pub fn voucher_until(&self, cumulative: u64, expires_at: i64) -> VerifiedVoucher {
        let channel_id = self.id();
        let voucher = Voucher { channel_id, cumulative_amount: Amount::new(cumulative), expires_at };
        SignedVoucher::sign(voucher, &self.signer)
            .verify(&channel_id, &self.channel.agreement.terms.authorized_signer)
            .expect("its own signature verifies")
    }
}

impl Charge {
    /// A charge of `cost` with no headroom and no minimum delta, for the request numbered `request`.
    pub fn of(cost: u64, request: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&request.to_le_bytes());
        Self {
            cost: Amount::new(cost),
            headroom: Amount::ZERO,
            min_delta: Amount::ZERO,
            challenge_id: "challenge".to_owned(),
            replay: ReplayKey { key, fingerprint: key },
            is_of_voucher: false,
        }
    }
}
