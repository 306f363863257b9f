//! The last look at a payer's transaction before our signature pays for it.
//!
//! The gateway has checked it against its challenge already. This check trusts neither the gateway nor the
//! ledger's bytes: it rebuilds the one instruction that the ledger says was agreed and accepts nothing that
//! differs from it.

use std::fmt;

use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{COMPUTE_BUDGET_PROGRAM, ComputeBudget, decode_transaction, static_instructions};

/// Why a payer's transaction is not co-signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Objection(pub String);

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who may pay a transaction's fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaidBy {
    /// We do.
    Us,
    /// Its payer does.
    Payer,
    /// Either of us.
    Either,
}

/// What a payer's transaction may contain.
#[derive(Clone, Debug)]
pub(crate) struct Allowed<'a> {
    /// The one instruction besides the compute budget.
    pub instruction: &'a Instruction,
    /// Where the fee payer may appear among that instruction's accounts.
    pub fee_payer_positions: &'a [usize],
    /// Our key: first signer, pays the fee.
    pub fee_payer: Pubkey,
    /// The other signer, the only one besides us.
    pub payer: Pubkey,
    /// Who may pay the fee. The payer, if it does, is the only signer.
    pub paid_by: PaidBy,
    /// Most compute units it may ask for.
    pub compute_unit_cap: u32,
    /// Highest price it may set, in micro-lamports per unit.
    pub compute_unit_price_cap: u64,
}

/// Positions of `open`'s accounts where the sponsor may appear: as rent payer, and read-only as payee or
/// authorized signer (draft, "Fee Sponsorship").
pub(crate) const OPEN_FEE_PAYER_POSITIONS: &[usize] = &[1, 2, 4];

/// Decodes `bytes` and checks that they are `allowed` and signed by the payer.
pub(crate) fn inspect(bytes: &[u8], allowed: &Allowed<'_>) -> Result<VersionedTransaction, Objection> {
    let object = |reason: &str| Err(Objection(reason.to_owned()));
    let transaction = decode_transaction(bytes).map_err(|error| Objection(error.to_string()))?;
    let message = &transaction.message;
    let signers = usize::from(message.header().num_required_signatures);
    let keys = message.static_account_keys();
    let paid_by_payer = allowed.paid_by != PaidBy::Us && keys.first() == Some(&allowed.payer);
    if !paid_by_payer && allowed.paid_by == PaidBy::Payer {
        return object("its fee payer is not its rent payer");
    }
    if !paid_by_payer && keys.first() != Some(&allowed.fee_payer) {
        return object("its fee payer is not ours");
    }
    let both = [allowed.fee_payer, allowed.payer];
    let expected = if paid_by_payer { &both[1..] } else { &both[..] };
    if allowed.payer == allowed.fee_payer || keys.get(..signers) != Some(expected) {
        return object("its signers are not exactly the fee payer and the payer");
    }
    if transaction.signatures.len() != signers {
        return object("it has another number of signatures than signers");
    }
    if !transaction.signatures[signers - 1].verify(allowed.payer.as_ref(), &message.serialize()) {
        return object("the payer's signature does not verify");
    }
    instructions(&transaction, allowed)?;
    Ok(transaction)
}

fn instructions(transaction: &VersionedTransaction, allowed: &Allowed<'_>) -> Result<(), Objection> {
    let object = |reason: &str| Err(Objection(reason.to_owned()));
    let (mut agreed, mut limits, mut prices) = (0, 0, 0);
    let found = static_instructions(transaction).map_err(|error| Objection(error.to_string()))?;
    for instruction in found {
        if instruction.program_id == COMPUTE_BUDGET_PROGRAM {
            match ComputeBudget::decode(&instruction.data) {
                Ok(ComputeBudget::UnitLimit(units)) if units <= allowed.compute_unit_cap => limits += 1,
                Ok(ComputeBudget::UnitPrice(price)) if price <= allowed.compute_unit_price_cap => prices += 1,
                _ => return object("its compute budget is above our cap or not understood"),
            }
            continue;
        }
        let expected = allowed.instruction;
        let keys = |accounts: &[AccountMeta]| accounts.iter().map(|meta| meta.pubkey).collect::<Vec<_>>();
        if instruction.program_id != expected.program_id
            || instruction.data != expected.data
            || keys(&instruction.accounts) != keys(&expected.accounts)
        {
            return object("it carries an instruction that was not agreed");
        }
        let misplaced =
            instruction.accounts.iter().enumerate().any(|(at, meta)| {
                meta.pubkey == allowed.fee_payer && !allowed.fee_payer_positions.contains(&at)
            });
        if misplaced {
            return object("our key is an account of it where it has no business");
        }
        agreed += 1;
    }
    if agreed != 1 {
        return object("it does not carry the agreed instruction exactly once");
    }
    if limits > 1 || prices > 1 {
        return object("it sets its compute budget twice");
    }
    Ok(())
}
