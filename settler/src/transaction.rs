//! Instructions and signed transactions.
//!
//! Instructions go in as ordered groups that say what may be left for a later transaction; what comes out
//! always fits a packet.

use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{VersionedMessage, v0};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_ledger::SubmissionKind;
use toll_protocol::{
    Channel, MAX_TRANSACTION, SignedVoucher, compute_unit_limit, compute_unit_price,
    create_associated_token_account, ed25519_verify, encode_transaction,
};

use crate::SettlerError;
use crate::config::SettlerKeys;
use crate::payout::Beneficiary;
use crate::plan::Action;

/// Most compute units a transaction may have: what a first, simulated version asks for.
pub(crate) const MAX_COMPUTE_UNITS: u32 = 1_400_000;

/// A transaction that is signed and nothing more.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// Its wire form.
    pub bytes: Vec<u8>,
    /// Its first signature, by which the cluster knows it.
    pub signature: Signature,
}

/// What a transaction does, and the instructions it takes.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// What the ledger calls it.
    pub kind: SubmissionKind,
    /// The instructions, without a compute budget.
    pub instructions: Vec<Instruction>,
}

/// Whether a payout may go out with an action.
#[derive(Clone, Debug)]
pub(crate) enum Payout {
    /// Yes, once these token accounts exist.
    Ready {
        /// The accounts to create.
        missing: Vec<Beneficiary>,
    },
    /// No: a share would be forfeited.
    Held {
        /// Which, and why.
        reason: String,
    },
}

/// The ways to carry out `action`, best first.
///
/// The first does everything in one transaction. The others leave the rest for later, in case the first
/// does not fit: sealing stops the clock, so it goes before paying out. Empty when all that is left is a
/// payout that is held.
pub(crate) fn drafts(action: &Action, channel: &Channel, payout: &Payout, fee_payer: &Pubkey) -> Vec<Draft> {
    let seal = match action {
        Action::Settle(voucher) => {
            let instructions = vec![ed25519_verify(voucher), channel.settle()];
            return vec![Draft { kind: SubmissionKind::Settle, instructions }];
        }
        Action::Reclaim => {
            return vec![Draft { kind: SubmissionKind::Reclaim, instructions: vec![channel.reclaim()] }];
        }
        Action::Close(voucher) => {
            Draft { kind: SubmissionKind::Close, instructions: settle_and_seal(channel, voucher) }
        }
        Action::Seal => Draft { kind: SubmissionKind::Seal, instructions: vec![channel.seal()] },
        Action::Distribute => Draft { kind: SubmissionKind::Distribute, instructions: Vec::new() },
    };
    let mut drafts = Vec::new();
    if let Payout::Ready { missing } = payout {
        let mut instructions: Vec<_> = missing.iter().map(|one| create(one, channel, fee_payer)).collect();
        instructions.extend(seal.instructions.iter().cloned());
        instructions.push(channel.distribute());
        drafts.push(Draft { kind: seal.kind, instructions });
    }
    if !seal.instructions.is_empty() {
        drafts.push(seal);
    } else if let Payout::Ready { missing } = payout {
        // Too many accounts to create beside the payout: create some, pay in the next transaction.
        for count in (1..=missing.len()).rev() {
            let instructions = missing[..count].iter().map(|one| create(one, channel, fee_payer)).collect();
            drafts.push(Draft { kind: SubmissionKind::Distribute, instructions });
        }
    }
    drafts
}

/// The first of `drafts` that fits a packet, signed.
pub(crate) fn sign_first_fitting(
    drafts: Vec<Draft>,
    budget: Budget,
    keys: &SettlerKeys,
    blockhash: Hash,
) -> Result<(Draft, Signed), SettlerError> {
    let mut smallest: Option<(SubmissionKind, usize)> = None;
    for draft in drafts {
        let signed = sign(&draft, budget, keys, blockhash)?;
        let size = signed.bytes.len();
        if size <= MAX_TRANSACTION {
            return Ok((draft, signed));
        }
        smallest = Some(smallest.map_or((draft.kind, size), |(kind, least)| (kind, least.min(size))));
    }
    let (kind, size) = smallest.unwrap_or((SubmissionKind::Distribute, 0));
    Err(SettlerError::TooLarge { kind: kind.as_str(), size })
}

/// Compute budget of a transaction of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Units to ask for.
    pub units: u32,
    /// Micro-lamports per unit; zero sets no price.
    pub price: u64,
}

/// Signs a draft with whichever of our keys it needs.
pub(crate) fn sign(
    draft: &Draft,
    budget: Budget,
    keys: &SettlerKeys,
    blockhash: Hash,
) -> Result<Signed, SettlerError> {
    let what = draft.kind.as_str();
    let mut instructions = vec![compute_unit_limit(budget.units)];
    if budget.price > 0 {
        instructions.push(compute_unit_price(budget.price));
    }
    instructions.extend(draft.instructions.iter().cloned());
    let message = v0::Message::try_compile(&keys.fee_payer.pubkey(), &instructions, &[], blockhash)
        .map_err(|error| SettlerError::Build { what, reason: error.to_string() })?;
    let message = VersionedMessage::V0(message);
    let bytes = message.serialize();
    let signers = usize::from(message.header().num_required_signatures);
    let signatures = message.static_account_keys()[..signers]
        .iter()
        .map(|key| {
            let key = key_of(keys, key).ok_or_else(|| SettlerError::Build {
                what,
                reason: format!("it needs the signature of {key}, which is not ours"),
            })?;
            Ok(key.sign_message(&bytes))
        })
        .collect::<Result<Vec<_>, SettlerError>>()?;
    let signature = signatures[0];
    Ok(Signed { bytes: encode_transaction(&VersionedTransaction { signatures, message }), signature })
}

/// Adds the fee payer's signature to a payer-signed transaction whose first signer is the fee payer.
pub(crate) fn co_sign(mut transaction: VersionedTransaction, fee_payer: &Keypair) -> Signed {
    let signature = fee_payer.sign_message(&transaction.message.serialize());
    transaction.signatures[0] = signature;
    Signed { bytes: encode_transaction(&transaction), signature }
}

/// The ed25519 check must come right before the instruction that reads it.
fn settle_and_seal(channel: &Channel, voucher: &Option<SignedVoucher>) -> Vec<Instruction> {
    let mut instructions: Vec<_> = voucher.iter().map(ed25519_verify).collect();
    instructions.push(channel.settle_and_seal(voucher.is_some()));
    instructions
}

fn create(beneficiary: &Beneficiary, channel: &Channel, fee_payer: &Pubkey) -> Instruction {
    create_associated_token_account(fee_payer, &beneficiary.owner, &channel.mint, &channel.token_program)
}

fn key_of<'a>(keys: &'a SettlerKeys, key: &Pubkey) -> Option<&'a Keypair> {
    [&keys.fee_payer, &keys.payee].into_iter().find(|ours| ours.pubkey() == *key)
}
