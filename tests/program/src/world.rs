//! A ledger with the program under test and one channel's cast on it.

use crate::plan::{Channel, Plan};
use crate::program::{
    COMPUTE_BUDGET_PROGRAM, SYSTEM_PROGRAM, associated_token_address, elf, named, program_id, treasury_owner,
};
use crate::proof::Proof;
use crate::state::ChannelState;
use crate::token::{TokenState, mint_account, owned_by, token_account};
use crate::voucher::{Voucher, voucher_key};
use litesvm::LiteSVM;
use solana_account::Account;
use solana_clock::Clock;
use solana_instruction::Instruction;
use solana_message::AddressLookupTableAccount;
use solana_pubkey::Pubkey;
use std::sync::{LazyLock, Mutex};

/// The slot at which every world begins.
pub const SLOT: u64 = 600_000_000;
/// The unix time at which every world begins.
pub const NOW: i64 = 1_800_000_000;
/// How old an `open_slot` may be, in slots.
pub const OPEN_SLOT_WINDOW: u64 = 1_500;
/// What the payer's token account holds before anything happens.
pub const PAYER_TOKENS: u64 = 10_000_000_000;
/// Decimals of every mint.
pub const DECIMALS: u8 = 6;
/// Lamports that make 256 bytes rent-exempt.
pub const RENT_OF_CHANNEL: u64 = 2_672_640;

const LOOKUP_TABLE_PROGRAM: Pubkey = solana_pubkey::pubkey!("AddressLookupTab1e1111111111111111111111111");
const WALLET: u64 = 1_000_000_000_000;

/// Lamports that make `size` bytes rent-exempt.
pub const fn rent_of(size: usize) -> u64 {
    (128 + size as u64) * 6_960
}

/// Sets the transaction's limit of compute units.
pub fn compute_unit_limit(units: u32) -> Instruction {
    let data = [&[2][..], &units.to_le_bytes()].concat();
    Instruction { program_id: COMPUTE_BUDGET_PROGRAM, accounts: Vec::new(), data }
}

/// A ledger, and the channel that its tests are about.
pub struct World {
    /// The ledger.
    pub svm: LiteSVM,
    /// The channel that the instructions below address.
    pub channel: Channel,
    pub(crate) logs: Vec<String>,
}

/// A ledger with the program and nothing else: loading programs is the slow part, so it happens once.
static GENESIS: LazyLock<Mutex<LiteSVM>> = LazyLock::new(|| {
    let mut svm = LiteSVM::new().with_sigverify(false).with_blockhash_check(false);
    svm.add_program(program_id(), &elf()).expect("the ELF loads");
    Mutex::new(svm)
});

impl World {
    /// Everyone has an account, and no channel is open.
    pub fn before_open(plan: Plan) -> Self {
        let svm = GENESIS.lock().expect("no test panics while it copies the genesis").clone();
        let mut world = Self { svm, channel: Channel::new(plan), logs: Vec::new() };
        world.set_clock(SLOT, NOW);
        let Channel { mint, token_program, plan, .. } = world.channel.clone();
        world.put(mint, mint_account(&token_program, DECIMALS, &plan.mint_trailer));
        world.put_wallet(world.relayer());
        for wallet in [plan.payer, plan.rent_payer] {
            world.put_wallet(wallet);
        }
        for (recipient, _) in plan.splits {
            world.put_tokens(recipient, 0);
        }
        world.put_tokens(plan.payee, 0);
        world.put_tokens(treasury_owner(), 0);
        world.put_tokens(plan.payer, PAYER_TOKENS);
        world
    }

    /// The channel was opened by `open`.
    pub fn opened(plan: Plan) -> Self {
        let mut world = Self::before_open(plan);
        world.open().succeeds();
        world
    }

    /// The channel was put in place, open and funded, without `open`.
    pub fn with_channel(plan: Plan) -> Self {
        let mut world = Self::before_open(plan);
        let state = world.channel.opened();
        world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.amount -= state.deposit);
        world.put_channel(&state);
        world.put_tokens(world.channel.address, state.deposit);
        world
    }

    /// Like [`World::with_channel`], with the state changed.
    pub fn with_state(plan: Plan, change: impl FnOnce(&mut ChannelState)) -> Self {
        let mut world = Self::with_channel(plan);
        world.edit(change);
        world
    }

    /// Pays the fees, and nothing else.
    pub fn relayer(&self) -> Pubkey {
        named("relayer")
    }

    /// Sets slot and unix time.
    pub fn set_clock(&mut self, slot: u64, unix_timestamp: i64) {
        let clock = Clock { slot, unix_timestamp, ..self.svm.get_sysvar::<Clock>() };
        self.svm.set_sysvar(&clock);
    }

    /// Sets the slot.
    pub fn at_slot(&mut self, slot: u64) {
        self.set_clock(slot, self.svm.get_sysvar::<Clock>().unix_timestamp);
    }

    /// Sets the unix time.
    pub fn at_time(&mut self, unix_timestamp: i64) {
        self.set_clock(self.svm.get_sysvar::<Clock>().slot, unix_timestamp);
    }

    /// Puts an account on the ledger, or removes it when it holds no lamports.
    pub fn put(&mut self, address: Pubkey, account: Account) {
        self.svm.set_account(address, account).expect("the ledger takes any account");
    }

    /// Puts an account with lamports and nothing else.
    pub fn put_wallet(&mut self, address: Pubkey) {
        self.put(address, Account { rent_epoch: u64::MAX, ..Account::new(WALLET, 0, &SYSTEM_PROGRAM) });
    }

    /// Puts the associated token account of `owner`, and returns its address.
    pub fn put_tokens(&mut self, owner: Pubkey, amount: u64) -> Pubkey {
        let Channel { mint, token_program, .. } = self.channel;
        let address = associated_token_address(&owner, &mint, &token_program);
        self.put_token_state(address, &TokenState::ordinary(mint, owner, &token_program, amount));
        address
    }

    /// Puts a token account of the channel's token program.
    pub fn put_token_state(&mut self, address: Pubkey, state: &TokenState) {
        self.put(address, token_account(&self.channel.token_program, state));
    }

    /// Changes a token account.
    pub fn edit_tokens(&mut self, address: Pubkey, change: impl FnOnce(&mut TokenState)) {
        let mut state = self.token_state(&address).expect("a token account");
        change(&mut state);
        self.put_token_state(address, &state);
    }

    /// Removes an account.
    pub fn remove(&mut self, address: Pubkey) {
        self.put(address, Account::default());
    }

    /// Puts the channel account in place.
    pub fn put_channel(&mut self, state: &ChannelState) {
        self.put(self.channel.address, owned_by(&program_id(), state.encode()));
    }

    /// Changes the channel account.
    pub fn edit(&mut self, change: impl FnOnce(&mut ChannelState)) {
        let mut state = self.state();
        change(&mut state);
        self.put_channel(&state);
    }

    /// Moves the channel account and its escrow to an address that no seeds lead to.
    pub fn move_channel_to(&mut self, address: Pubkey) {
        let state = self.state();
        let escrowed = self.tokens(&self.channel.escrow);
        self.remove(self.channel.address);
        self.remove(self.channel.escrow);
        self.channel.address = address;
        self.put_channel(&state);
        self.channel.escrow = self.put_tokens(address, escrowed);
    }

    /// Puts another channel in place beside the one that instructions address, without an escrow.
    pub fn put_another(&mut self, plan: Plan, change: impl FnOnce(&mut ChannelState)) -> Pubkey {
        let channel = Channel::new(plan);
        let mut state = channel.opened();
        change(&mut state);
        self.put(channel.address, owned_by(&program_id(), state.encode()));
        channel.address
    }

    /// The channel account's fields.
    pub fn state(&self) -> ChannelState {
        self.state_of(&self.channel.address)
    }

    /// The fields of another channel's account.
    pub fn state_of(&self, address: &Pubkey) -> ChannelState {
        let account = self.svm.get_account(address).expect("a channel account");
        assert_eq!(account.owner, program_id());
        ChannelState::decode(&account.data)
    }

    /// Whether anything is left at `address`.
    pub fn is_gone(&self, address: &Pubkey) -> bool {
        self.svm.get_account(address).is_none_or(|account| {
            account.lamports == 0 && account.data.is_empty() && account.owner == SYSTEM_PROGRAM
        })
    }

    /// Lamports at `address`.
    pub fn lamports(&self, address: &Pubkey) -> u64 {
        self.svm.get_balance(address).unwrap_or(0)
    }

    /// Tokens at `address`; none where there is no token account.
    pub fn tokens(&self, address: &Pubkey) -> u64 {
        self.token_state(address).map_or(0, |state| state.amount)
    }

    /// The token account at `address`.
    pub fn token_state(&self, address: &Pubkey) -> Option<TokenState> {
        let account = self.svm.get_account(address)?;
        (account.owner == self.channel.token_program).then(|| TokenState::decode(&account.data))
    }

    /// A voucher of this channel that never expires.
    pub fn voucher(&self, cumulative: u64) -> Voucher {
        Voucher { magic: [0x56, 0x01], channel: self.channel.address, cumulative, expires_at: 0 }
    }

    /// A ceiling of this channel that never expires.
    pub fn ceiling(&self, maximum: u64) -> Voucher {
        Voucher { magic: [0x43, 0x01], ..self.voucher(maximum) }
    }

    /// The proof that the authorized signer signed `voucher`.
    pub fn sign(&self, voucher: &Voucher) -> Proof {
        Proof::of(&voucher.encode(), &voucher_key(self.channel.plan.voucher_key))
    }

    pub(crate) fn lookup_table(&mut self, instruction: &Instruction) -> AddressLookupTableAccount {
        let key = named("lookup table");
        let addresses: Vec<_> =
            instruction.accounts.iter().filter(|meta| !meta.is_signer).map(|meta| meta.pubkey).collect();
        // Tag 1, never deactivated, last extended in slot 0, no authority, two bytes of padding.
        let mut data = [&1u32.to_le_bytes()[..], &u64::MAX.to_le_bytes(), &[0; 8 + 1 + 33 + 2]].concat();
        data.extend(addresses.iter().flat_map(|address| address.to_bytes()));
        self.put(key, owned_by(&LOOKUP_TABLE_PROGRAM, data));
        AddressLookupTableAccount { key, addresses }
    }
}
