//! A client's transaction, judged as a whole before anything is recorded for co-signing.
//!
//! The sponsor will sign whatever passes here, so the rule is an allow-list: one channel instruction, at most
//! one compute-unit limit and one compute-unit price within their caps, and nothing else. Source:
//! draft-solana-session, "Settlement Procedure", open step 9.

use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_message::VersionedMessage;
use solana_message::compiled_instruction::CompiledInstruction;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{
    COMPUTE_BUDGET_PROGRAM, ComputeBudget, InstructionError, TransactionError, decode_transaction,
};

/// What a client's transaction may contain besides its channel instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The channel program.
    pub(crate) program: Pubkey,
    pub(crate) max_compute_unit_limit: u32,
    pub(crate) max_compute_unit_price: u64,
}

/// Why a client's transaction is not co-signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransactionRefused {
    /// The bytes are no transaction.
    #[error(transparent)]
    Undecodable(#[from] TransactionError),
    /// Its channel instruction is not the one it is sent for.
    #[error(transparent)]
    Instruction(#[from] InstructionError),
    /// Its accounts depend on a table that can change.
    #[error("address lookup tables are not allowed")]
    LookupTable,
    /// One key in two places of the account list.
    #[error("the transaction lists an account twice")]
    AccountTwice,
    /// A key without a use.
    #[error("account {0} belongs to no instruction")]
    StrayAccount(Pubkey),
    /// Nothing for the channel program.
    #[error("the transaction holds no instruction of program {0}")]
    NoInstruction(Pubkey),
    /// Two instructions for the channel program.
    #[error("the transaction holds more than one channel instruction")]
    SeveralInstructions,
    /// An instruction for a program that is not on the list.
    #[error("an instruction of program {0} is not allowed")]
    ForeignProgram(Pubkey),
    /// More compute units than the sponsor pays for.
    #[error("compute-unit limit {units} is above {most}")]
    UnitLimit { units: u32, most: u32 },
    /// A dearer compute unit than the sponsor pays for, in micro-lamports.
    #[error("compute-unit price {price} is above {most}")]
    UnitPrice { price: u64, most: u64 },
    /// Two limits or two prices.
    #[error("a compute-budget instruction is repeated")]
    BudgetTwice,
    /// A compute-budget instruction with accounts.
    #[error("a compute-budget instruction takes no accounts")]
    BudgetAccounts,
    /// A compute-budget instruction that sets something else.
    #[error("only a compute-unit limit and a compute-unit price are allowed")]
    BudgetKind,
    /// The data says the same in other bytes, or something else.
    #[error("the instruction's data differs from its canonical form")]
    Data,
    /// Accounts too few or too many.
    #[error("the instruction has {found} accounts instead of {expected}")]
    AccountCount { found: usize, expected: usize },
    /// Another account than the terms call for.
    #[error("account {index} of the instruction is {found}, must be {expected}")]
    Account { index: usize, found: Pubkey, expected: Pubkey },
    /// The message asks a signature that is not needed, or does not ask one that is.
    #[error("account {0} has the wrong signer flag")]
    SignerFlag(Pubkey),
    /// The same for write access.
    #[error("account {0} has the wrong writable flag")]
    WritableFlag(Pubkey),
    /// A signer besides payer and sponsor.
    #[error("{0} has no business signing this transaction")]
    ForeignSignature(Pubkey),
    /// Only the settler signs for the sponsor.
    #[error("the sponsor's signature slot must be empty")]
    SponsorSigned,
    /// The payer's signature is missing or wrong.
    #[error("payer {0} did not sign the transaction")]
    PayerUnsigned(Pubkey),
}

/// A transaction with exactly one channel instruction.
#[derive(Debug)]
pub(crate) struct ClientTransaction {
    transaction: VersionedTransaction,
    instruction: usize,
}

impl ClientTransaction {
    /// Decodes `bytes` and applies the rules that hold for every client transaction.
    pub(crate) fn check(bytes: &[u8], rules: &Rules) -> Result<Self, TransactionRefused> {
        let transaction = decode_transaction(bytes)?;
        let message = &transaction.message;
        if message.address_table_lookups().is_some_and(|lookups| !lookups.is_empty()) {
            return Err(TransactionRefused::LookupTable);
        }
        let keys = message.static_account_keys();
        if keys.iter().enumerate().any(|(index, key)| keys[..index].contains(key)) {
            return Err(TransactionRefused::AccountTwice);
        }
        let instruction = sole_channel_instruction(message, rules)?;
        let this = Self { transaction, instruction };
        this.check_no_stray_account()?;
        Ok(this)
    }

    fn message(&self) -> &VersionedMessage {
        &self.transaction.message
    }

    fn keys(&self) -> &[Pubkey] {
        self.message().static_account_keys()
    }

    /// Who pays the fee.
    pub(crate) fn fee_payer(&self) -> Pubkey {
        self.keys()[0]
    }

    pub(crate) fn blockhash(&self) -> &Hash {
        self.message().recent_blockhash()
    }

    fn compiled(&self) -> &CompiledInstruction {
        &self.message().instructions()[self.instruction]
    }

    /// Data of the channel instruction.
    pub(crate) fn data(&self) -> &[u8] {
        &self.compiled().data
    }

    /// Accounts of the channel instruction, in order.
    pub(crate) fn accounts(&self) -> Vec<Pubkey> {
        self.compiled().accounts.iter().map(|index| self.keys()[usize::from(*index)]).collect()
    }

    /// An account that no instruction needs would let a later co-signature cover a surprise.
    fn check_no_stray_account(&self) -> Result<(), TransactionRefused> {
        let used = |index: usize| {
            self.message().instructions().iter().any(|instruction| {
                usize::from(instruction.program_id_index) == index
                    || instruction.accounts.iter().any(|account| usize::from(*account) == index)
            })
        };
        match (1..self.keys().len()).find(|index| !used(*index)) {
            Some(index) => Err(TransactionRefused::StrayAccount(self.keys()[index])),
            None => Ok(()),
        }
    }

    /// The privileges the message grants are exactly those of `expected` and of the fee payer, and the channel
    /// instruction is byte for byte `expected`.
    pub(crate) fn check_equals(&self, expected: &Instruction) -> Result<(), TransactionRefused> {
        if self.data() != expected.data {
            return Err(TransactionRefused::Data);
        }
        let accounts = self.accounts();
        if accounts.len() != expected.accounts.len() {
            return Err(TransactionRefused::AccountCount {
                found: accounts.len(),
                expected: expected.accounts.len(),
            });
        }
        for (index, (account, meta)) in accounts.iter().zip(&expected.accounts).enumerate() {
            if *account != meta.pubkey {
                return Err(TransactionRefused::Account { index, found: *account, expected: meta.pubkey });
            }
        }
        for (index, key) in self.keys().iter().enumerate() {
            let fee_payer = index == 0;
            let metas = || expected.accounts.iter().filter(|meta| meta.pubkey == *key);
            let signer = fee_payer || metas().any(|meta| meta.is_signer);
            let writable = fee_payer || metas().any(|meta| meta.is_writable);
            if self.message().is_signer(index) != signer {
                return Err(TransactionRefused::SignerFlag(*key));
            }
            if header_writable(self.message(), index) != writable {
                return Err(TransactionRefused::WritableFlag(*key));
            }
        }
        Ok(())
    }

    /// `payer` signed the message, and the sponsor's slot, if there is one, is still empty.
    pub(crate) fn check_signatures(
        &self,
        payer: &Pubkey,
        sponsor: &Pubkey,
    ) -> Result<(), TransactionRefused> {
        let verified = self.transaction.verify_with_results();
        let slots = self.keys().iter().zip(&self.transaction.signatures).zip(verified);
        let mut payer_signed = false;
        for ((key, signature), verifies) in slots {
            if key == payer {
                payer_signed = verifies;
            } else if key != sponsor {
                return Err(TransactionRefused::ForeignSignature(*key));
            } else if *signature != Signature::default() {
                return Err(TransactionRefused::SponsorSigned);
            }
        }
        if payer_signed { Ok(()) } else { Err(TransactionRefused::PayerUnsigned(*payer)) }
    }
}

/// Writable as the message's header states it, before the runtime's demotions of program ids.
fn header_writable(message: &VersionedMessage, index: usize) -> bool {
    let header = message.header();
    let signers = usize::from(header.num_required_signatures);
    if index < signers {
        index < signers - usize::from(header.num_readonly_signed_accounts)
    } else {
        index < message.static_account_keys().len() - usize::from(header.num_readonly_unsigned_accounts)
    }
}

fn sole_channel_instruction(message: &VersionedMessage, rules: &Rules) -> Result<usize, TransactionRefused> {
    let keys = message.static_account_keys();
    let (mut channel, mut limits, mut prices) = (None, 0, 0);
    for (index, instruction) in message.instructions().iter().enumerate() {
        let program = keys[usize::from(instruction.program_id_index)];
        if program == rules.program {
            if channel.replace(index).is_some() {
                return Err(TransactionRefused::SeveralInstructions);
            }
        } else if program == COMPUTE_BUDGET_PROGRAM {
            match compute_budget(instruction)? {
                ComputeBudget::UnitLimit(units) if units <= rules.max_compute_unit_limit => limits += 1,
                ComputeBudget::UnitLimit(units) => {
                    return Err(TransactionRefused::UnitLimit { units, most: rules.max_compute_unit_limit });
                }
                ComputeBudget::UnitPrice(price) if price <= rules.max_compute_unit_price => prices += 1,
                ComputeBudget::UnitPrice(price) => {
                    return Err(TransactionRefused::UnitPrice { price, most: rules.max_compute_unit_price });
                }
            }
        } else {
            return Err(TransactionRefused::ForeignProgram(program));
        }
    }
    if limits > 1 || prices > 1 {
        return Err(TransactionRefused::BudgetTwice);
    }
    channel.ok_or(TransactionRefused::NoInstruction(rules.program))
}

fn compute_budget(instruction: &CompiledInstruction) -> Result<ComputeBudget, TransactionRefused> {
    if !instruction.accounts.is_empty() {
        return Err(TransactionRefused::BudgetAccounts);
    }
    ComputeBudget::decode(&instruction.data).map_err(|_| TransactionRefused::BudgetKind)
}
