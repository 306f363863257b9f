//! Whether a payer's transaction pays a charge, and does nothing else.
//!
//! A sponsor signs whatever passes [`verify_charge`], so the rule is an allow-list: one transfer for each leg, the token
//! accounts and memos that the charge asks for, and a compute budget within its caps. Each leg and memo takes an
//! instruction of its own. The sponsor's key pays the fee and the rent of listed accounts, and stands nowhere else.
//!
//! Source: draft-solana-charge, "Settlement Procedure".

mod budget;
mod refused;

use sha2::{Digest, Sha256};
use solana_instruction::Instruction;
use solana_message::VersionedMessage;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;

use self::budget::Budget;
pub use self::budget::ChargeCaps;
pub use self::refused::ChargeRefused;
use super::{ChargeRequest, Leg, MEMO_PROGRAM, TransferChecked};
use crate::voucher::{verify_strict, verifying_key};
use crate::{
    ASSOCIATED_TOKEN_PROGRAM, COMPUTE_BUDGET_PROGRAM, CreateAssociatedTokenAccount, associated_token_address,
    decode_any_transaction, static_instructions,
};

/// A payer's transaction that pays a charge, once it is signed by whoever has not yet.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedCharge {
    /// The transaction.
    pub transaction: VersionedTransaction,
    /// Whose tokens it moves.
    pub payer: Pubkey,
    /// Who pays its fee.
    pub fee_payer: Pubkey,
    /// SHA-256 of its message.
    pub message_digest: [u8; 32],
    /// Owners of the token accounts that it creates where they are missing.
    pub creates: Vec<Pubkey>,
}

/// SHA-256 of a transaction's message: the same for all signatures that a signer can make over it.
pub fn message_digest(message: &VersionedMessage) -> [u8; 32] {
    Sha256::digest(message.serialize()).into()
}

/// Reads a payer's transaction (legacy, version 0 or 1) and checks that it pays `request` and does nothing else, that
/// its payer signed it, and that the sponsor, if there is one, did not yet.
///
/// `token_program` is the mint's. Whether the chain will take it is for a simulation to say.
pub fn verify_charge(
    bytes: &[u8],
    request: &ChargeRequest,
    token_program: &Pubkey,
    caps: &ChargeCaps,
) -> Result<VerifiedCharge, ChargeRefused> {
    let transaction = decode_any_transaction(bytes)?;
    let instructions = static_instructions(&transaction)?;
    check_accounts(&transaction.message)?;
    let (payer, fee_payer) = signers(&transaction, request)?;
    let mut found = Found::new(request, token_program)?;
    let mut budget = Budget::of(&transaction.message);
    let mut creates = Vec::new();
    for instruction in &instructions {
        if instruction.program_id == COMPUTE_BUDGET_PROGRAM {
            budget.add(instruction)?;
        } else if instruction.program_id == *token_program {
            let transfer = TransferChecked::decode(instruction)?;
            let source = associated_token_address(&payer, &request.currency, token_program);
            if transfer.authority != payer || transfer.source != source {
                return Err(ChargeRefused::Source { account: transfer.source, payer });
            }
            if found.is_pending_creation(&transfer) {
                return Err(ChargeRefused::CreationMissing);
            }
            found.take_transfer(&transfer)?;
        } else if instruction.program_id == ASSOCIATED_TOKEN_PROGRAM {
            creates.push(found.take_creation(instruction, &fee_payer)?);
        } else if instruction.program_id == MEMO_PROGRAM {
            if instruction.accounts.iter().any(|account| account.pubkey != payer) {
                return Err(ChargeRefused::MemoAccounts);
            }
            found.take_memo(&instruction.data)?;
        } else {
            return Err(ChargeRefused::ForeignProgram(instruction.program_id));
        }
    }
    found.check_complete()?;
    let is_sponsored = request.method_details.fee_payer_key.is_some();
    budget.check(caps, request.method_details.splits.len(), is_sponsored)?;
    if is_sponsored {
        check_sponsor_stands_nowhere(&instructions, &fee_payer)?;
    }
    let message_digest = message_digest(&transaction.message);
    Ok(VerifiedCharge { transaction, payer, fee_payer, message_digest, creates })
}

/// Checks that a transaction which the chain has taken paid `request`; returns whose tokens it moved.
///
/// What else it did is its sender's affair. Only top-level instructions count.
pub fn verify_paid(
    transaction: &VersionedTransaction,
    request: &ChargeRequest,
    token_program: &Pubkey,
) -> Result<Pubkey, ChargeRefused> {
    let mut found = Found::new(request, token_program)?;
    let mut payer = None;
    for instruction in static_instructions(transaction)? {
        if instruction.program_id == *token_program {
            // Others may pay others beside.
            if let Ok(transfer) = TransferChecked::decode(&instruction)
                && transfer.source != transfer.destination
                && found.take_transfer(&transfer).is_ok()
            {
                payer.get_or_insert(transfer.authority);
            }
        } else if instruction.program_id == MEMO_PROGRAM {
            let _ = found.take_memo(&instruction.data);
        }
    }
    found.creations.clear();
    found.check_complete()?;
    payer.ok_or(ChargeRefused::Unpaid)
}

/// No account twice, and none without a use: a later signature would cover a surprise.
fn check_accounts(message: &VersionedMessage) -> Result<(), ChargeRefused> {
    let keys = message.static_account_keys();
    if keys.iter().enumerate().any(|(index, key)| keys[..index].contains(key)) {
        return Err(ChargeRefused::AccountTwice);
    }
    let used = |index: usize| {
        message.instructions().iter().any(|instruction| {
            usize::from(instruction.program_id_index) == index
                || instruction.accounts.iter().any(|account| usize::from(*account) == index)
        })
    };
    match (1..keys.len()).find(|index| !used(*index)) {
        Some(index) => Err(ChargeRefused::StrayAccount(keys[index])),
        None => Ok(()),
    }
}

/// The payer, whose signature verifies, and who pays the fee: exactly these sign.
fn signers(
    transaction: &VersionedTransaction,
    request: &ChargeRequest,
) -> Result<(Pubkey, Pubkey), ChargeRefused> {
    let message = &transaction.message;
    let signers = &message.static_account_keys()[..usize::from(message.header().num_required_signatures)];
    let (payer, fee_payer) = match (request.method_details.fee_payer_key, signers) {
        (None, [payer]) => (*payer, *payer),
        (Some(sponsor), [first, payer]) if *first == sponsor => (*payer, sponsor),
        (sponsor, _) => return Err(ChargeRefused::Signers { sponsor }),
    };
    let (others, signature) = match transaction.signatures.as_slice() {
        [signature] => (None, signature),
        [sponsor, signature] => (Some(sponsor), signature),
        _ => return Err(ChargeRefused::Signers { sponsor: request.method_details.fee_payer_key }),
    };
    if others.is_some_and(|signature| *signature != Signature::default()) {
        return Err(ChargeRefused::SponsorSigned);
    }
    let verifies =
        verifying_key(&payer).is_some_and(|key| verify_strict(&key, &message.serialize(), signature));
    if verifies { Ok((payer, fee_payer)) } else { Err(ChargeRefused::PayerUnsigned(payer)) }
}

/// The sponsor funds token accounts, and that is all it does in an instruction.
fn check_sponsor_stands_nowhere(instructions: &[Instruction], sponsor: &Pubkey) -> Result<(), ChargeRefused> {
    let stands = |instruction: &Instruction| {
        let funds = usize::from(instruction.program_id == ASSOCIATED_TOKEN_PROGRAM);
        instruction.accounts.iter().skip(funds).any(|account| account.pubkey == *sponsor)
    };
    if instructions.iter().any(stands) { Err(ChargeRefused::SponsorUsed) } else { Ok(()) }
}

/// What of a charge has been found in a transaction.
struct Found<'a> {
    request: &'a ChargeRequest,
    token_program: Pubkey,
    /// Legs without a transfer, and where each is paid.
    legs: Vec<(Leg, Pubkey)>,
    /// Memos without an instruction.
    memos: Vec<&'a str>,
    /// Owners of token accounts that must be created and were not yet.
    creations: Vec<Pubkey>,
    /// Owners of token accounts that were.
    created: Vec<Pubkey>,
}

impl<'a> Found<'a> {
    fn new(request: &'a ChargeRequest, token_program: &Pubkey) -> Result<Self, ChargeRefused> {
        let destination =
            |leg: &Leg| associated_token_address(&leg.recipient, &request.currency, token_program);
        let legs = request.legs()?.into_iter().map(|leg| (leg, destination(&leg))).collect();
        let mut creations: Vec<Pubkey> = Vec::new();
        for split in request.method_details.splits.iter().filter(|split| split.creates_account) {
            if !creations.contains(&split.recipient) {
                creations.push(split.recipient);
            }
        }
        let memos = request.memos();
        Ok(Self { request, token_program: *token_program, legs, memos, creations, created: Vec::new() })
    }

    /// Whether the transfer pays into an account that is still to be created.
    fn is_pending_creation(&self, transfer: &TransferChecked) -> bool {
        let mint = &self.request.currency;
        self.creations
            .iter()
            .any(|owner| associated_token_address(owner, mint, &self.token_program) == transfer.destination)
    }

    fn take_transfer(&mut self, transfer: &TransferChecked) -> Result<(), ChargeRefused> {
        if transfer.mint != self.request.currency || transfer.decimals != self.request.method_details.decimals
        {
            return Err(ChargeRefused::Mint { mint: transfer.mint, decimals: transfer.decimals });
        }
        if transfer.source == transfer.destination {
            return Err(ChargeRefused::ToItself);
        }
        let pays = |(leg, destination): &(Leg, Pubkey)| {
            *destination == transfer.destination && leg.amount == transfer.amount
        };
        match self.legs.iter().position(pays) {
            Some(index) => {
                self.legs.swap_remove(index);
                Ok(())
            }
            None => Err(ChargeRefused::Transfer { to: transfer.destination, amount: transfer.amount }),
        }
    }

    fn take_creation(
        &mut self,
        instruction: &Instruction,
        fee_payer: &Pubkey,
    ) -> Result<Pubkey, ChargeRefused> {
        let accounts: Vec<_> = instruction.accounts.iter().map(|account| account.pubkey).collect();
        let create = CreateAssociatedTokenAccount::decode(&instruction.data, &accounts)?;
        let owner = create.owner;
        let refused = ChargeRefused::Creation(owner);
        if create.funder != *fee_payer
            || create.mint != self.request.currency
            || create.token_program != self.token_program
        {
            return Err(refused);
        }
        // A sponsor pays for the accounts it has promised; a payer may create that of any split.
        let sponsored = self.request.method_details.fee_payer_key.is_some();
        let mut splits = self.request.method_details.splits.iter();
        let listed = splits.any(|split| split.recipient == owner && (split.creates_account || !sponsored));
        if !listed || self.created.contains(&owner) {
            return Err(refused);
        }
        self.creations.retain(|pending| *pending != owner);
        self.created.push(owner);
        Ok(owner)
    }

    fn take_memo(&mut self, text: &[u8]) -> Result<(), ChargeRefused> {
        match self.memos.iter().position(|memo| memo.as_bytes() == text) {
            Some(index) => {
                self.memos.swap_remove(index);
                Ok(())
            }
            None => Err(ChargeRefused::Memo),
        }
    }

    fn check_complete(&self) -> Result<(), ChargeRefused> {
        if !self.creations.is_empty() {
            return Err(ChargeRefused::CreationMissing);
        }
        if let Some((leg, _)) = self.legs.first() {
            return Err(ChargeRefused::LegMissing { recipient: leg.recipient, amount: leg.amount });
        }
        if self.memos.is_empty() { Ok(()) } else { Err(ChargeRefused::MemoMissing) }
    }
}
