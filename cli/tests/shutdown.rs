//! A settler's process that is told to end while thousands of channels are open.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use rustix::process::{Pid, Signal, kill_process};
use solana_account::Account;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use support::Toll;
use toll_chain::Cluster;
use toll_ledger::{
    Acceptance, ChannelFixture, ChannelRecord, ChannelState, Charge, CloseReason, Ledger, SystemClock,
};
use toll_localnet::program::{ELF, PROGRAM_ID};
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::{ChannelId, ChannelStatus, TOKEN_PROGRAM, associated_token_address};

/// Channels that are open when the process is told to end.
const CHANNELS: u64 = 2_000;

/// What each of them holds, in base units.
const DEPOSIT: u64 = 10_000;

/// What the process may take to end, in seconds: far less than closing all of them takes.
const DRAIN: u64 = 12;

/// What a busy machine may take to notice.
const SLACK: Duration = Duration::from_secs(8);

/// Lamports of an account: more than its rent.
const RENT: u64 = 3_000_000;

/// A chain and a ledger that agree on [`CHANNELS`] open channels, of which each later one owes more.
struct World {
    localnet: Localnet,
    fixture: Fixture,
    toll: Toll,
    ledger: Ledger,
}

impl World {
    async fn new() -> Self {
        let toll = Toll::new();
        let config = LocalnetConfig { slot_ms: 200, ..LocalnetConfig::default() };
        let localnet = Localnet::start(config).await.unwrap();
        localnet.deploy(&PROGRAM_ID, ELF).await.unwrap();
        let actors = Actors::in_folder(toll.home.path()).unwrap();
        let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await.unwrap();
        let ledger = Ledger::open(toll.home.path().join("ledger.db"), SystemClock).unwrap();
        let world = Self { localnet, fixture, toll, ledger };
        world.open_all(&actors).await;
        world
    }

    async fn open_all(&self, actors: &Actors) {
        let open_slot = self.fixture.cluster.slot().await.unwrap();
        let channels: Vec<_> = (0..CHANNELS)
            .map(|salt| {
                let mut fixture = ChannelFixture::new(salt, DEPOSIT);
                fixture.channel.agreement.terms.payee = actors.payee.pubkey();
                fixture.channel.agreement.terms.mint = self.fixture.mint;
                fixture.channel.agreement.terms.open_slot = open_slot;
                fixture.channel.agreement.rent_payer = actors.fee_payer.pubkey();
                fixture.channel.idle_timeout = 86_400;
                fixture
            })
            .collect();
        let mut accounts = vec![self.tokens(&channels[0].channel.agreement.terms.payer, 0)];
        for one in &channels {
            let data = one.account().encode().to_vec();
            let account = Account { lamports: RENT, data, owner: PROGRAM_ID, ..Account::default() };
            accounts.extend([(one.id().pubkey(), account), self.tokens(&one.id().pubkey(), DEPOSIT)]);
        }
        let putting = accounts.chunks(1_000).map(|part| self.localnet.put_accounts(part));
        futures::future::try_join_all(putting).await.unwrap();
        self.ledger.open_all(channels.clone()).await.unwrap();
        stream::iter(channels.iter().enumerate())
            .for_each_concurrent(64, |(number, one)| async move {
                let owed = 1 + number as u64;
                let outcome = self.ledger.accept(&one.voucher(owed), Charge::of(owed, owed)).await.unwrap();
                assert!(matches!(outcome, Acceptance::Accepted(_)), "{outcome:?}");
            })
            .await;
    }

    /// The token account of `owner`, with `amount` in it.
    fn tokens(&self, owner: &Pubkey, amount: u64) -> (Pubkey, Account) {
        let mint = self.fixture.mint;
        let mut data = vec![0; 165];
        data[..32].copy_from_slice(mint.as_ref());
        data[32..64].copy_from_slice(owner.as_ref());
        data[64..72].copy_from_slice(&amount.to_le_bytes());
        data[108] = 1;
        let account = Account { lamports: RENT, data, owner: TOKEN_PROGRAM, ..Account::default() };
        (associated_token_address(owner, &mint, &TOKEN_PROGRAM), account)
    }

    /// A settler's process that is ready. `settings` are lines of `[settler]`.
    fn start(&self, settings: &str) -> Child {
        let key = |name: &str| {
            let text = std::fs::read_to_string(self.toll.home.path().join(name)).unwrap();
            let bytes: Vec<u8> = serde_json::from_str(&text).unwrap();
            solana_keypair::Keypair::try_from(bytes.as_slice()).unwrap().pubkey()
        };
        let (mint, rpc) = (self.fixture.mint, &self.localnet.rpc_url);
        let (payee, fee_payer) = (key("payee.json"), key("fee-payer.json"));
        let text = format!(
            "[ledger]\npath = \"ledger.db\"\n\
             [gateway]\nlisten = \"127.0.0.1:0\"\nupstream = \"http://127.0.0.1:1\"\nrealm = \"test\"\n\
             [session]\nnetwork = \"localnet\"\npayee = \"{payee}\"\nfee_payer = \"{fee_payer}\"\n\
             mint = \"{mint}\"\nallowed_mints = [\"{mint}\"]\ndecimals = 6\nminimum_deposit = \"0.01\"\n\
             [settler]\nrpc = \"{rpc}\"\nfee_payer = \"fee-payer.json\"\npayee = \"payee.json\"\n\
             drain_timeout_seconds = {DRAIN}\n{settings}\n\
             [[routes]]\npath = \"/**\"\nprice = \"0.001\"\n"
        );
        self.toll.write("toll.toml", &text);
        let mut command = self.toll.command();
        command.args(["--json", "serve", "--only", "settler"]).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line == "}"), "it says that it is ready");
        process
    }

    /// Tells a process to end, and waits until it has, in good order and within its time.
    async fn terminate(&self, mut process: Child) {
        let told = Instant::now();
        kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
        // What it says in the end must find a reader.
        let output = process.stdout.take().unwrap();
        let reading = std::thread::spawn(move || std::io::read_to_string(output));
        let ended = tokio::task::spawn_blocking(move || process.wait().unwrap()).await.unwrap();
        let took = told.elapsed();
        assert!(ended.success(), "{ended}");
        assert!(took < Duration::from_secs(DRAIN) + SLACK, "it took {took:?}");
        reading.join().unwrap().unwrap();
    }

    async fn channels(&self, state: ChannelState) -> Vec<ChannelRecord> {
        self.ledger.channels(&[state]).await.unwrap()
    }

    async fn status(&self, id: &ChannelId) -> Option<ChannelStatus> {
        let account = self.fixture.cluster.channel(id, &PROGRAM_ID).await.unwrap();
        account.map(|account| account.status)
    }

    /// Nothing that was recorded is of unknown fate.
    async fn everything_is_resolved(&self) {
        let unresolved = self.ledger.unresolved().await.unwrap();
        let unresolved: Vec<_> =
            unresolved.iter().map(|one| (one.id, one.kind, one.channels().len())).collect();
        assert_eq!(unresolved, [], "what was sent is resolved");
    }
}

fn owed(records: &[ChannelRecord]) -> impl Iterator<Item = u64> + Clone {
    records.iter().map(|record| record.watermarks.accepted.get())
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_with_2000_open_channels_closes_what_it_can_in_its_time_and_the_next_start_resumes() {
    let world = World::new().await;
    let process = world.start("close_on_shutdown = true\nin_flight = 8");

    world.terminate(process).await;

    world.everything_is_resolved().await;
    let (closed, open) =
        (world.channels(ChannelState::Closed).await, world.channels(ChannelState::Open).await);
    let closing = world.channels(ChannelState::Closing).await;
    assert_eq!((closed.len() + closing.len() + open.len()) as u64, CHANNELS);
    assert!(!closed.is_empty() && !open.is_empty(), "{} closed, {} open", closed.len(), open.len());
    assert!(owed(&closed).min() > owed(&open).max(), "the most exposed were closed");
    for record in closed.iter().take(20) {
        assert_eq!(world.status(&record.id).await, Some(ChannelStatus::Distributed));
        assert_eq!(record.close_reason, Some(CloseReason::Shutdown));
        assert_eq!(record.watermarks.settled, record.watermarks.accepted);
    }
    // Somebody asks while nobody runs.
    let asked = open[0].id;
    world.ledger.request_close(&asked, CloseReason::Requested, None).await.unwrap();

    let process = world.start("");
    for _ in 0..600 {
        if world.channels(ChannelState::Closing).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.terminate(process).await;

    assert_eq!(world.status(&asked).await, Some(ChannelStatus::Distributed));
    assert_eq!(world.channels(ChannelState::Closed).await.len(), closed.len() + closing.len() + 1);
    assert_eq!(world.channels(ChannelState::Open).await.len(), open.len() - 1, "the others sell on");
    world.everything_is_resolved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_closes_none_of_2000_open_channels_unless_told_to() {
    let world = World::new().await;
    let process = world.start("");

    world.terminate(process).await;

    assert_eq!(world.channels(ChannelState::Open).await.len() as u64, CHANNELS);
    world.everything_is_resolved().await;
    for record in world.channels(ChannelState::Open).await.iter().step_by(500) {
        assert_eq!(world.status(&record.id).await, Some(ChannelStatus::Open));
        assert_eq!(world.ledger.submissions_of(&record.id).await.unwrap(), []);
    }
}
