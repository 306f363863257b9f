//! Arbitrary instructions on a ledger where every kind of account that somebody might pass already lies.
//!
//! [`Arena::case`] reads an instruction out of any bytes, [`Arena::execute`] runs it on the program's real ELF.
//! Whatever was read, the program answers with success or an error of its own: it neither crashes nor runs away. A
//! refusal changes nothing but the fee, and what lands keeps the laws in `law`. The fuzz target (`tests/fuzz`) and
//! a bounded test drive the same body.

mod case;
mod ground;
mod law;
mod proven;

pub use case::Case;

use crate::plan::Channel;
use crate::world::World;
use law::Landing;
use proven::Proven;
use solana_account::{Account, AccountSharedData, ReadableAccount, WritableAccount};
use solana_instruction::error::InstructionError;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;
use std::collections::HashMap;

/// How one case ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Compute units of the whole transaction: different paths through the program seldom cost the same.
    pub compute_units: u64,
    /// Why it did not land.
    pub result: Result<(), TransactionError>,
}

/// The prepared ledger. It is the same before every case.
pub struct Arena {
    world: World,
    base: HashMap<Pubkey, AccountSharedData>,
    channels: Vec<Channel>,
    pool: Vec<Pubkey>,
    /// Those of the pool that somebody could sign for.
    people: Vec<Pubkey>,
    /// Accounts that belong to people who are owed nothing.
    strangers: Vec<Pubkey>,
    proofs: Vec<Proven>,
    fee_payer: Pubkey,
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Arena {
    /// Prepares the ledger.
    pub fn new() -> Self {
        ground::prepare()
    }

    /// Runs `case`, checks every law, and puts the ledger back.
    ///
    /// # Panics
    ///
    /// When the program crashed or a law was broken; the message has the case and the program's logs.
    pub fn execute(&mut self, case: &Case) -> Verdict {
        let proofs = case.proofs.len();
        let transaction = self.transaction(case);
        let keys = transaction.message.static_account_keys().to_vec();
        let signers = transaction.message.header().num_required_signatures;
        let (result, meta) = match self.world.svm.send_transaction(transaction) {
            Ok(meta) => (Ok(()), meta),
            Err(failed) => (Err(failed.err), failed.meta),
        };
        let held = match &result {
            Ok(()) => {
                let signers = &keys[..signers.into()];
                Landing { arena: self, case, keys: &keys, signers, fee: meta.fee }.keeps_the_laws()
            }
            Err(error) => is_clean(error, proofs).and_then(|()| self.is_unchanged(&keys, meta.fee)),
        };
        if let Err(broken) = held {
            panic!("{broken}\n{result:?}\n{case}{}", meta.logs.join("\n"));
        }
        self.restore(&keys);
        Verdict { compute_units: meta.compute_units_consumed, result }
    }

    fn transaction(&self, case: &Case) -> VersionedTransaction {
        let proofs = case.proofs.iter().map(|index| &self.proofs[*index].instruction);
        let instructions: Vec<_> = proofs.chain(&case.subjects).cloned().collect();
        let blockhash = self.world.svm.latest_blockhash();
        let message = Message::new_with_blockhash(&instructions, Some(&self.fee_payer), &blockhash);
        let signatures = vec![Signature::default(); message.header.num_required_signatures.into()];
        VersionedTransaction { signatures, message: VersionedMessage::Legacy(message) }
    }

    fn now_at(&self, address: &Pubkey) -> Option<&AccountSharedData> {
        self.world.svm.accounts_db().get_account_ref(address)
    }

    /// A transaction reaches no account that it does not name, so looking at those is enough.
    fn is_unchanged(&self, keys: &[Pubkey], fee: u64) -> Result<(), String> {
        for key in keys {
            let (before, now) = (self.base.get(key), self.now_at(key));
            if before.is_some_and(ReadableAccount::executable) {
                continue;
            }
            let unchanged = if *key == self.fee_payer {
                let mut expected = before.expect("the fee payer has an account").clone();
                expected.set_lamports(expected.lamports() - fee);
                now == Some(&expected)
            } else {
                now == before
            };
            if !unchanged {
                return Err(format!("a refused transaction changed {key}"));
            }
        }
        Ok(())
    }

    fn restore(&mut self, keys: &[Pubkey]) {
        for key in keys {
            let before = self.base.get(key);
            if before.is_some_and(ReadableAccount::executable) || before == self.now_at(key) {
                continue;
            }
            let account = before.map_or_else(Account::default, |account| account.clone().into());
            self.world.svm.set_account(*key, account).expect("the ledger takes any account");
        }
    }
}

/// Whether the program itself said no. These are the answers of a machine that had to stop it.
fn is_clean(error: &TransactionError, proofs: usize) -> Result<(), String> {
    let error = match error {
        TransactionError::InstructionError(index, error) if usize::from(*index) >= proofs => error,
        TransactionError::InsufficientFundsForRent { .. } => return Ok(()),
        other => return Err(format!("the program was not reached: {other:?}")),
    };
    let crashed = matches!(
        error,
        InstructionError::ProgramFailedToComplete
            | InstructionError::ComputationalBudgetExceeded
            | InstructionError::UnbalancedInstruction
            | InstructionError::ProgramEnvironmentSetupFailure
            | InstructionError::MaxInstructionTraceLengthExceeded
            | InstructionError::GenericError
    );
    if crashed { Err(format!("the program crashed: {error:?}")) } else { Ok(()) }
}
