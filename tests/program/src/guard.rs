//! Guards as a table: each fault alone meets its own error, and of any two the earlier guard speaks.

use crate::attempt::Attempt;
use crate::program::{SYSTEM_PROGRAM, named};
use crate::world::World;
use solana_instruction::error::InstructionError;

/// One thing wrong with an otherwise good instruction.
#[derive(Clone, Copy)]
pub enum Fault {
    /// On the ledger.
    World(fn(&mut World)),
    /// In the transaction.
    Attempt(for<'w> fn(Attempt<'w>) -> Attempt<'w>),
}

impl Fault {
    fn spoil(self, world: &mut World) {
        if let Self::World(spoil) = self {
            spoil(world);
        }
    }

    fn bend(self, attempt: Attempt<'_>) -> Attempt<'_> {
        match self {
            Self::World(_) => attempt,
            Self::Attempt(bend) => bend(attempt),
        }
    }
}

/// How a test sends its instruction.
pub type Action = fn(&mut World) -> Attempt<'_>;

/// The guards of one instruction, in the order in which they run.
pub struct Guards {
    /// A ledger on which the instruction lands.
    pub start: fn() -> World,
    /// The instruction that lands there.
    pub send: Action,
    /// Each guard: its name, its error, and what trips it.
    pub faults: Vec<(&'static str, InstructionError, Fault)>,
}

impl Guards {
    /// The instruction lands when nothing is wrong with it.
    #[track_caller]
    pub fn pass(&self) {
        (self.send)(&mut (self.start)()).succeeds();
    }

    /// The guard called `name` rejects its fault with its error.
    #[track_caller]
    pub fn reject(&self, name: &str) {
        let (_, error, fault) =
            self.faults.iter().find(|(each, ..)| *each == name).expect("a guard of that name");
        let mut world = (self.start)();
        fault.spoil(&mut world);
        fault.bend((self.send)(&mut world)).rejects_with(error.clone());
    }

    /// Of every two faults in one instruction, the earlier guard's is reported.
    ///
    /// The later fault is made first: where the two touch the same thing, the earlier one stays.
    pub fn reject_in_order(&self) {
        for (index, (earlier_name, error, earlier)) in self.faults.iter().enumerate() {
            for (later_name, _, later) in &self.faults[index + 1..] {
                let mut world = (self.start)();
                later.spoil(&mut world);
                earlier.spoil(&mut world);
                let attempt = earlier.bend(later.bend((self.send)(&mut world)));
                let outcome = attempt.outcome();
                assert_eq!(
                    outcome.as_ref().map_err(|(_, error)| error).err(),
                    Some(error),
                    "{earlier_name} together with {later_name}"
                );
            }
        }
    }
}

/// Writes a test per guard, one for the instruction that passes them all, and one for their order.
#[macro_export]
macro_rules! guards {
    (start: $start:expr, send: $send:expr, $($name:ident: $error:expr, $fault:expr;)+) => {
        fn guards() -> $crate::Guards {
            $crate::Guards {
                start: $start,
                send: $send,
                faults: vec![$((stringify!($name), $crate::InstructionError::from($error), $fault)),+],
            }
        }

        #[test]
        fn every_guard_passes_a_good_instruction() {
            guards().pass();
        }

        #[test]
        fn the_earlier_guard_speaks() {
            guards().reject_in_order();
        }

        $(
            #[test]
            fn $name() {
                guards().reject(stringify!($name));
            }
        )+
    };
}

/// Faults of the channel account that every instruction on a live channel looks for first.
impl World {
    /// Another program owns the channel account.
    pub fn spoil_channel_owner(&mut self) {
        let mut account = self.svm.get_account(&self.channel.address).expect("a channel account");
        account.owner = SYSTEM_PROGRAM;
        self.put(self.channel.address, account);
    }

    /// The channel account has `size` bytes.
    pub fn spoil_channel_size(&mut self, size: usize) {
        let mut account = self.svm.get_account(&self.channel.address).expect("a channel account");
        account.data.resize(size, 1);
        self.put(self.channel.address, account);
    }

    /// One byte of the channel account is another.
    pub fn spoil_channel_byte(&mut self, at: usize, byte: u8) {
        let mut account = self.svm.get_account(&self.channel.address).expect("a channel account");
        account.data[at] = byte;
        self.put(self.channel.address, account);
    }

    /// The grace period began at `started_at`, whatever else the account holds.
    pub fn spoil_closure(&mut self, started_at: i64) {
        self.spoil_channel_bytes(36, started_at.to_le_bytes());
    }

    /// So much was paid out, whatever else the account holds.
    pub fn spoil_payout_watermark(&mut self, payout_watermark: u64) {
        self.spoil_channel_bytes(28, payout_watermark.to_le_bytes());
    }

    /// So much was deposited, whatever else the account holds.
    pub fn spoil_deposit(&mut self, deposit: u64) {
        self.spoil_channel_bytes(12, deposit.to_le_bytes());
    }

    /// The channel opened in `slot`, whatever else the account holds.
    pub fn spoil_open_slot(&mut self, slot: u64) {
        self.spoil_channel_bytes(248, slot.to_le_bytes());
    }

    fn spoil_channel_bytes(&mut self, at: usize, bytes: [u8; 8]) {
        for (index, byte) in bytes.into_iter().enumerate() {
            self.spoil_channel_byte(at + index, byte);
        }
    }

    /// The mint is one byte short.
    pub fn spoil_mint(&mut self) {
        let mut account = self.svm.get_account(&self.channel.mint).expect("a mint");
        account.data.pop();
        self.put(self.channel.mint, account);
    }

    /// A payer whom the channel does not know, with everything that the payer has.
    pub fn replace_payer(&mut self) {
        let stranger = named("stranger");
        self.put_wallet(stranger);
        let amount = self.tokens(&self.channel.payer_tokens);
        self.channel.payer_tokens = self.put_tokens(stranger, amount);
        self.channel.plan.payer = stranger;
    }
}
