//! A cluster in process: the real program in LiteSVM, slots and time moved by hand, faults on request.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use async_trait::async_trait;
use litesvm::LiteSVM;
use solana_account::Account;
use solana_clock::Clock;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use tokio::sync::watch;
use toll_chain::{
    Accounts, Chain, ChainError, ChainTip, ChannelFilter, Cost, Failure, Fate, FoundChannels, Hints,
    ListedChannels, Simulation,
};
use toll_protocol::{ChannelAccount, ChannelStanding, PROGRAM_ID, decode_any_transaction};

/// The slot at which every cluster begins.
pub const SLOT: u64 = 600_000_000;
/// The unix time at which every cluster begins.
pub const NOW: i64 = 1_800_000_000;
/// Blocks that a blockhash stays valid.
pub const BLOCKHASH_LIFE: u64 = 150;
/// Rent of a channel account, in lamports.
pub const CHANNEL_RENT: u64 = 2_672_640;
/// Rent of the larger kind of token account, in lamports: what the purse reckons with.
pub const TOKEN_ACCOUNT_RENT: u64 = 2_074_080;
/// Rent of an account without data, in lamports.
pub const EMPTY_ACCOUNT_RENT: u64 = 890_880;

/// What goes wrong between the settler and the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Nothing answers.
    pub unreachable: bool,
    /// Sent transactions never reach a block, and the node says so or not.
    pub drop_submissions: bool,
    /// Sent transactions land, but the answer is lost.
    pub lose_answers: bool,
    /// Blocks are processed but not confirmed.
    pub unconfirmed: bool,
    /// Whoever pays fees has become unable to by the time a transaction is in a block.
    pub payer_cannot_pay: bool,
    /// The node that simulates has not heard of the newest blockhashes.
    pub simulation_behind: bool,
    /// The node does not answer queries over a program's accounts.
    pub no_queries: bool,
    /// The node's index is incomplete: a search finds nothing.
    pub blind_search: bool,
}

/// Loading programs is the slow part, so it happens once.
static GENESIS: LazyLock<Mutex<LiteSVM>> = LazyLock::new(|| {
    let mut svm = LiteSVM::new().with_sigverify(false).with_blockhash_check(false);
    svm.add_program(PROGRAM_ID, &elf()).expect("the ELF loads");
    svm.set_sysvar(&Clock { slot: SLOT, unix_timestamp: NOW, ..svm.get_sysvar::<Clock>() });
    Mutex::new(svm)
});

/// A cluster; clones are the same one.
#[derive(Clone)]
pub struct TestChain(Arc<Mutex<Inner>>);

pub struct Inner {
    pub svm: LiteSVM,
    pub faults: Faults,
    pub genesis_hash: String,
    block_height: u64,
    blockhashes: VecDeque<(Hash, u64)>,
    fates: HashMap<Signature, (Fate, Cost)>,
    /// What is finalized, where that is less than what is confirmed.
    finalized: Option<LiteSVM>,
    /// Wakes who listens for hints.
    pub hints: watch::Sender<u64>,
    /// How often anything was asked or sent.
    pub calls: usize,
    /// How often a list of all channels was asked for.
    pub listed: usize,
    /// How many transactions were simulated.
    pub simulated: usize,
    /// Every transaction handed in, repeats included.
    pub submitted: Vec<Vec<u8>>,
    /// Every transaction that took effect.
    pub landed: Vec<Vec<u8>>,
}

impl TestChain {
    /// A blank cluster with the channel program.
    pub fn new() -> Self {
        let svm = GENESIS.lock().expect("no test panics while it copies the genesis").clone();
        let blockhashes = VecDeque::from([(svm.latest_blockhash(), 1_000 + BLOCKHASH_LIFE)]);
        Self(Arc::new(Mutex::new(Inner {
            svm,
            faults: Faults::default(),
            genesis_hash: "LocalGenesis1111111111111111111111111111111".to_owned(),
            block_height: 1_000,
            blockhashes,
            fates: HashMap::new(),
            finalized: None,
            hints: watch::channel(0).0,
            calls: 0,
            listed: 0,
            simulated: 0,
            submitted: Vec::new(),
            landed: Vec::new(),
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Lets `slots` slots with a block each and `seconds` seconds pass.
    pub fn advance(&self, slots: u64, seconds: i64) {
        self.lock().advance(slots, seconds);
    }

    /// Sets what goes wrong from here on.
    pub fn fault(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// From here on blocks are confirmed, but not finalized.
    pub fn stop_finalizing(&self) {
        let mut inner = self.lock();
        inner.finalized = Some(inner.svm.clone());
    }

    /// Everything confirmed is finalized, now and from here on.
    pub fn finalize(&self) {
        self.lock().finalized = None;
    }

    /// Takes back every block that is not finalized, and goes on from there at a later slot.
    pub fn roll_back(&self) {
        let mut inner = self.lock();
        let clock = inner.svm.get_sysvar::<Clock>();
        if let Some(finalized) = inner.finalized.take() {
            inner.svm = finalized;
            inner.svm.set_sysvar(&Clock { slot: clock.slot + 1, ..clock });
            inner.fates.clear();
            // Each blockhash follows from the one before: another fork's must be others.
            (0..8).for_each(|_| inner.svm.expire_blockhash());
        }
    }

    pub fn slot(&self) -> u64 {
        self.lock().svm.get_sysvar::<Clock>().slot
    }

    pub fn account(&self, address: &Pubkey) -> Option<Account> {
        self.lock().svm.get_account(address).filter(|account| account.lamports > 0)
    }

    pub fn lamports(&self, address: &Pubkey) -> u64 {
        self.account(address).map_or(0, |account| account.lamports)
    }

    fn reach(&self) -> Result<MutexGuard<'_, Inner>, ChainError> {
        let mut inner = self.lock();
        inner.calls += 1;
        if inner.faults.unreachable {
            return Err(ChainError::Unreachable {
                method: "test",
                node: "test".to_owned(),
                reason: "unreachable".to_owned(),
            });
        }
        Ok(inner)
    }
}

impl Inner {
    pub fn advance(&mut self, slots: u64, seconds: i64) {
        let clock = self.svm.get_sysvar::<Clock>();
        self.svm.set_sysvar(&Clock {
            slot: clock.slot + slots,
            unix_timestamp: clock.unix_timestamp + seconds,
            ..clock
        });
        self.block_height += slots;
        self.svm.expire_blockhash();
        let height = self.block_height;
        self.blockhashes.push_back((self.svm.latest_blockhash(), height + BLOCKHASH_LIFE));
        self.blockhashes.retain(|(_, last_valid)| *last_valid >= height);
    }

    /// Accounts of `program`, unless the node answers no queries over them.
    fn channels(&self, program: &Pubkey) -> Result<impl Iterator<Item = (Pubkey, Vec<u8>)>, ChainError> {
        if self.faults.no_queries {
            return Err(ChainError::Refused {
                method: "getProgramAccounts",
                code: -32_601,
                message: "Method not found".to_owned(),
            });
        }
        Ok(self.svm.accounts_db().inner.iter().filter_map(move |(address, account)| {
            let account: Account = account.clone().into();
            (account.lamports > 0 && account.owner == *program).then_some((*address, account.data))
        }))
    }

    fn is_valid(&self, blockhash: &Hash) -> bool {
        self.blockhashes.iter().any(|(known, _)| known == blockhash)
    }

    /// Runs a transaction in a block of its own.
    fn execute(&mut self, bytes: &[u8]) {
        let transaction = decode_any_transaction(bytes).expect("only transactions are sent");
        let signature = transaction.signatures[0];
        if self.fates.contains_key(&signature) || !self.is_valid(transaction.message.recent_blockhash()) {
            return;
        }
        // Checked here and not by the chain, which also simulates what is signed by half.
        if transaction.verify_with_results().contains(&false) {
            return;
        }
        let slot = self.svm.get_sysvar::<Clock>().slot;
        if self.faults.payer_cannot_pay {
            let reason = "\"InsufficientFundsForFee\"".to_owned();
            self.fates.insert(signature, (Fate::DidNotRun { slot, reason }, Cost::default()));
            return;
        }
        let payer = transaction.message.static_account_keys()[0];
        let before = self.svm.get_balance(&payer).unwrap_or(0);
        let (fate, meta) = match self.svm.send_transaction(transaction) {
            Ok(meta) => {
                self.landed.push(bytes.to_vec());
                (Fate::Landed { slot }, meta)
            }
            // No fee taken: the cluster dropped it before any block.
            Err(failed) if failed.meta.fee == 0 => return,
            Err(failed) => (Fate::Failed { slot, error: format!("{:?}", failed.err) }, failed.meta),
        };
        let paid_lamports = before as i64 - self.svm.get_balance(&payer).unwrap_or(0) as i64;
        let cost = Cost { fee_lamports: meta.fee, compute_units: meta.compute_units_consumed, paid_lamports };
        self.fates.insert(signature, (fate, cost));
    }
}

#[async_trait]
impl Chain for TestChain {
    async fn genesis_hash(&self) -> Result<String, ChainError> {
        Ok(self.reach()?.genesis_hash.clone())
    }

    async fn tip(&self) -> Result<ChainTip, ChainError> {
        let inner = self.reach()?;
        let (blockhash, last_valid_block_height) = *inner.blockhashes.back().expect("there is always one");
        Ok(ChainTip {
            blockhash,
            slot: inner.svm.get_sysvar::<Clock>().slot,
            block_height: inner.block_height,
            last_valid_block_height,
        })
    }

    async fn accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError> {
        let inner = self.reach()?;
        let slot = inner.svm.get_sysvar::<Clock>().slot;
        let accounts = addresses
            .iter()
            .map(|address| inner.svm.get_account(address).filter(|account| account.lamports > 0));
        Ok(Accounts { slot, accounts: accounts.collect() })
    }

    async fn finalized_accounts(&self, addresses: &[Pubkey]) -> Result<Accounts, ChainError> {
        let inner = self.reach()?;
        let finalized = inner.finalized.as_ref().unwrap_or(&inner.svm);
        let slot = finalized.get_sysvar::<Clock>().slot;
        let accounts = addresses
            .iter()
            .map(|address| finalized.get_account(address).filter(|account| account.lamports > 0));
        Ok(Accounts { slot, accounts: accounts.collect() })
    }

    async fn find_channels(&self, filter: &ChannelFilter, _: u64) -> Result<FoundChannels, ChainError> {
        let inner = self.reach()?;
        let sees = !inner.faults.blind_search;
        let matching = inner.channels(&filter.program)?.filter(|(_, data)| sees && filter.matches(data));
        let addresses = matching.map(|(address, _)| address).collect();
        Ok(FoundChannels { slot: inner.svm.get_sysvar::<Clock>().slot, addresses })
    }

    async fn list_channels(
        &self,
        program: &Pubkey,
        payee: &Pubkey,
        _: u64,
    ) -> Result<ListedChannels, ChainError> {
        let mut inner = self.reach()?;
        inner.listed += 1;
        let channels = inner.channels(program)?.filter_map(|(address, data)| {
            let account = ChannelAccount::decode(&data).ok().filter(|account| account.payee == *payee)?;
            Some((address, ChannelStanding::from(&account)))
        });
        let channels = channels.collect();
        Ok(ListedChannels { slot: inner.svm.get_sysvar::<Clock>().slot, channels })
    }

    fn hints(&self, _: &ChannelFilter) -> Option<Hints> {
        Some(Hints::from_changes(self.lock().hints.subscribe()))
    }

    async fn is_blockhash_valid(&self, blockhash: &Hash) -> Result<bool, ChainError> {
        Ok(self.reach()?.is_valid(blockhash))
    }

    async fn simulate(&self, transaction: &[u8]) -> Result<Simulation, ChainError> {
        let mut inner = self.reach()?;
        inner.simulated += 1;
        if inner.faults.simulation_behind {
            return Ok(Simulation { error: Some(Failure::BlockhashNotFound), compute_units: 0 });
        }
        let transaction = decode_any_transaction(transaction).expect("only transactions are simulated");
        let outcome = inner.svm.simulate_transaction(transaction);
        Ok(match outcome {
            Ok(ran) => Simulation { error: None, compute_units: ran.meta.compute_units_consumed },
            Err(failed) => Simulation {
                error: Some(failed.err.into()),
                compute_units: failed.meta.compute_units_consumed,
            },
        })
    }

    async fn submit(&self, transaction: &[u8]) -> Result<(), ChainError> {
        let mut inner = self.reach()?;
        inner.submitted.push(transaction.to_vec());
        if !inner.faults.drop_submissions {
            inner.execute(transaction);
        }
        if inner.faults.lose_answers {
            return Err(ChainError::Unreachable {
                method: "test",
                node: "test".to_owned(),
                reason: "answer lost".to_owned(),
            });
        }
        Ok(())
    }

    async fn statuses(&self, signatures: &[Signature]) -> Result<Vec<Fate>, ChainError> {
        let inner = self.reach()?;
        let fate = |signature| match inner.fates.get(signature) {
            None => Fate::Unknown,
            Some(_) if inner.faults.unconfirmed => Fate::Pending,
            Some((fate, _)) => fate.clone(),
        };
        Ok(signatures.iter().map(fate).collect())
    }

    async fn cost(&self, signature: &Signature) -> Result<Option<Cost>, ChainError> {
        Ok(self.reach()?.fates.get(signature).map(|(_, cost)| *cost))
    }
}

/// The committed ELF.
fn elf() -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../programs/session-channel");
    let path = [format!("{folder}/elf/session_channel.so"), format!("{folder}/session_channel.so")]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .expect("the program's ELF is committed");
    std::fs::read(path).expect("the program's ELF is readable")
}
