//! One transaction: first bent into shape, then sent, then judged.

use crate::event::Event;
use crate::program::{event_authority, named, program_id};
use crate::proof::Proof;
use crate::voucher::voucher_key;
use crate::world::World;
use litesvm::types::TransactionMetadata;
use solana_account::{ReadableAccount, WritableAccount};
use solana_instruction::error::InstructionError;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::{Message, VersionedMessage, v0};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;

/// A transaction about to be sent: instructions of a world, one of which is the subject of the test.
#[must_use = "an attempt does nothing until its outcome is asked for"]
pub struct Attempt<'w> {
    world: &'w mut World,
    before: Vec<Instruction>,
    subject: Instruction,
    after: Vec<Instruction>,
    fee_payer: Option<Pubkey>,
    lookup_table: bool,
}

impl<'w> Attempt<'w> {
    pub(crate) fn new(world: &'w mut World, subject: Instruction) -> Self {
        Self { world, before: Vec::new(), subject, after: Vec::new(), fee_payer: None, lookup_table: false }
    }

    /// With another instruction just before the subject.
    pub fn preceded_by(mut self, instruction: Instruction) -> Self {
        self.before.push(instruction);
        self
    }

    /// With another instruction at the very beginning.
    pub fn started_by(mut self, instruction: Instruction) -> Self {
        self.before.insert(0, instruction);
        self
    }

    /// With the message of the proof just before the subject changed, and signed by the voucher key of `seed`.
    pub fn resigned(mut self, seed: u8, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let proof = self.before.last_mut().expect("a proof");
        let mut message = proof.data.split_off(112);
        change(&mut message);
        *proof = Proof::of(&message, &voucher_key(seed)).instruction();
        self
    }

    /// With one byte of the instruction just before the subject replaced.
    pub fn patch_before(mut self, at: usize, byte: u8) -> Self {
        self.before.last_mut().expect("an instruction before").data[at] = byte;
        self
    }

    /// With other instructions after the subject.
    pub fn followed_by(mut self, instructions: impl IntoIterator<Item = Instruction>) -> Self {
        self.after.extend(instructions);
        self
    }

    /// With other data.
    pub fn data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.subject.data = data.into();
        self
    }

    /// With the data's bytes from `at` on replaced.
    pub fn patch(mut self, at: usize, bytes: &[u8]) -> Self {
        self.subject.data[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// With the data cut off after `size` bytes.
    pub fn truncated(mut self, size: usize) -> Self {
        self.subject.data.truncate(size);
        self
    }

    /// With bytes added to the data.
    pub fn trailing(mut self, bytes: &[u8]) -> Self {
        self.subject.data.extend(bytes);
        self
    }

    /// With another account at `index`, flags unchanged.
    pub fn account(mut self, index: usize, address: Pubkey) -> Self {
        self.subject.accounts[index].pubkey = address;
        self
    }

    /// With the account at `index` not signing.
    pub fn unsigned(mut self, index: usize) -> Self {
        self.subject.accounts[index].is_signer = false;
        self
    }

    /// With the account at `index` read-only.
    pub fn readonly(mut self, index: usize) -> Self {
        self.subject.accounts[index].is_writable = false;
        self
    }

    /// Without its last account.
    pub fn one_account_less(mut self) -> Self {
        self.subject.accounts.pop().expect("an account to leave out");
        self
    }

    /// With one account too many.
    pub fn one_account_more(mut self) -> Self {
        self.subject.accounts.push(AccountMeta::new_readonly(named("one too many"), false));
        self
    }

    /// With no more than `count` accounts.
    pub fn first_accounts(mut self, count: usize) -> Self {
        self.subject.accounts.truncate(count);
        self
    }

    /// The account at `index`.
    pub fn account_at(&self, index: usize) -> Pubkey {
        self.subject.accounts[index].pubkey
    }

    /// How many accounts the subject names.
    pub fn account_count(&self) -> usize {
        self.subject.accounts.len()
    }

    /// With every account replaced by a dummy that keeps its flags.
    pub fn all_dummies(mut self) -> Self {
        for (index, account) in self.subject.accounts.iter_mut().enumerate() {
            account.pubkey = named(&format!("dummy {index}"));
        }
        self
    }

    /// With `fee_payer` paying the fee instead of the relayer.
    pub fn paid_by(mut self, fee_payer: Pubkey) -> Self {
        self.fee_payer = Some(fee_payer);
        self
    }

    /// As a version 0 transaction that takes its accounts from a lookup table.
    pub fn through_lookup_table(mut self) -> Self {
        self.lookup_table = true;
        self
    }

    /// The bytes that the transaction takes on the wire.
    pub fn wire_size(mut self) -> usize {
        let (transaction, _) = self.compile();
        1 + 64 * transaction.signatures.len() + transaction.message.serialize().len()
    }

    /// Sends it, whatever comes of it. A failure has to leave everything but the fee where it was.
    #[track_caller]
    pub fn send(mut self) -> Result<Landed, TransactionError> {
        let (transaction, keys) = self.compile();
        let subject = self.before.len();
        let fee_payer = keys[0];
        let before = self.world.svm.accounts_db().inner.clone();
        let failed = match self.world.svm.send_transaction(transaction) {
            Ok(meta) => return Ok(Landed { meta, keys, subject }),
            Err(failed) => failed,
        };
        let after = &self.world.svm.accounts_db().inner;
        assert_eq!(before.len(), after.len(), "a failed transaction made or unmade an account");
        for (address, account) in &before {
            let mut expected = account.clone();
            if *address == fee_payer {
                expected.set_lamports(account.lamports() - failed.meta.fee);
            }
            assert_eq!(Some(&expected), after.get(address), "a failed transaction changed {address}");
        }
        self.world.logs = failed.meta.logs;
        Err(failed.err)
    }

    /// Sends it; it has to fail. Every instruction that was invoked before it did comes back: program, accounts, data.
    #[track_caller]
    pub fn invoked_before_failing(mut self) -> Vec<(Pubkey, Vec<Pubkey>, Vec<u8>)> {
        let (transaction, keys) = self.compile();
        let Err(failed) = self.world.svm.send_transaction(transaction) else {
            panic!("landed instead of failing");
        };
        let key = |index: &u8| keys[usize::from(*index)];
        let inner = failed.meta.inner_instructions.iter().flatten().map(|inner| &inner.instruction);
        inner
            .map(|invoked| {
                let accounts = invoked.accounts.iter().map(key).collect();
                (key(&invoked.program_id_index), accounts, invoked.data.clone())
            })
            .collect()
    }

    /// Sends it; when an instruction fails, its index and its error come back.
    #[track_caller]
    pub fn outcome(self) -> Result<Landed, (u8, InstructionError)> {
        self.send().map_err(|error| match error {
            TransactionError::InstructionError(index, error) => (index, error),
            other => panic!("the transaction did not run: {other:?}"),
        })
    }

    /// Sends it; it has to land.
    #[track_caller]
    pub fn succeeds(self) -> Landed {
        let Self { world, before, subject, after, fee_payer, lookup_table } = self;
        let attempt = Attempt { world: &mut *world, before, subject, after, fee_payer, lookup_table };
        match attempt.send() {
            Ok(landed) => landed,
            Err(error) => panic!("{error:?}\n{}", world.logs.join("\n")),
        }
    }

    /// Sends it; the subject has to fail with exactly `error`, and nothing but the fee may change hands.
    #[track_caller]
    pub fn rejects_with(self, error: impl Into<InstructionError>) {
        let subject = self.before.len() as u8;
        self.fails_with(TransactionError::InstructionError(subject, error.into()));
    }

    /// Sends it; the transaction has to fail with exactly `error`, and nothing but the fee may change hands.
    #[track_caller]
    pub fn fails_with(self, error: TransactionError) {
        let Self { world, before, subject, after, fee_payer, lookup_table } = self;
        let attempt = Attempt { world: &mut *world, before, subject, after, fee_payer, lookup_table };
        match attempt.send() {
            Ok(landed) => panic!("landed instead of failing with {error:?}\n{}", landed.meta.logs.join("\n")),
            Err(actual) => assert_eq!(actual, error, "\n{}", world.logs.join("\n")),
        }
    }

    /// The transaction, and every address it names in the order of their indexes.
    ///
    /// Signatures are left blank: the ledger does not check them, and the program sees only who is marked as a
    /// signer. (The Ed25519 precompile does check the vouchers'.)
    fn compile(&mut self) -> (VersionedTransaction, Vec<Pubkey>) {
        let fee_payer = self.fee_payer.unwrap_or_else(|| self.world.relayer());
        let instructions: Vec<_> =
            self.before.iter().chain([&self.subject]).chain(&self.after).cloned().collect();
        let blockhash = self.world.svm.latest_blockhash();
        let (message, keys) = if self.lookup_table {
            let table = self.world.lookup_table(&self.subject);
            let message =
                v0::Message::try_compile(&fee_payer, &instructions, std::slice::from_ref(&table), blockhash)
                    .expect("the instructions compile");
            let loaded = &message.address_table_lookups[0];
            let indexes = loaded.writable_indexes.iter().chain(&loaded.readonly_indexes);
            let mut keys = message.account_keys.clone();
            keys.extend(indexes.map(|index| table.addresses[usize::from(*index)]));
            (VersionedMessage::V0(message), keys)
        } else {
            let message = Message::new_with_blockhash(&instructions, Some(&fee_payer), &blockhash);
            let keys = message.account_keys.clone();
            (VersionedMessage::Legacy(message), keys)
        };
        let signatures = vec![Signature::default(); message.header().num_required_signatures.into()];
        (VersionedTransaction { signatures, message }, keys)
    }
}

/// A transaction that landed.
#[derive(Debug)]
pub struct Landed {
    meta: TransactionMetadata,
    keys: Vec<Pubkey>,
    subject: usize,
}

impl Landed {
    /// Compute units of the whole transaction.
    pub fn compute_units(&self) -> u64 {
        self.meta.compute_units_consumed
    }

    /// Lamports that the fee payer paid.
    pub fn fee(&self) -> u64 {
        self.meta.fee
    }

    /// The events that the subject emitted, each checked to be an invocation of the program by itself, with the
    /// event authority as its only account.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for inner in &self.meta.inner_instructions[self.subject] {
            if self.keys[usize::from(inner.instruction.program_id_index)] != program_id() {
                continue;
            }
            let event =
                Event::decode(&inner.instruction.data).expect("the program invokes itself only for events");
            let accounts: Vec<_> =
                inner.instruction.accounts.iter().map(|index| self.keys[usize::from(*index)]).collect();
            assert_eq!(accounts, [event_authority()], "accounts of an event");
            assert_eq!(inner.stack_height, 2, "stack height of an event");
            events.push(event);
        }
        events
    }

    /// The data of each instruction that the subject invoked in `program`.
    pub fn invocations_of(&self, program: &Pubkey) -> Vec<&[u8]> {
        self.meta.inner_instructions[self.subject]
            .iter()
            .filter(|inner| self.keys[usize::from(inner.instruction.program_id_index)] == *program)
            .map(|inner| inner.instruction.data.as_slice())
            .collect()
    }

    /// How many instructions the whole transaction invoked.
    pub fn invocations(&self) -> usize {
        self.meta.inner_instructions.iter().map(Vec::len).sum()
    }
}
