//! How many channels go into one transaction. Pure: sizes and counts in, groups out.
//!
//! Every signature costs the same, those of the transaction as those that its Ed25519 instructions check, so what
//! packing saves is the fee payer's and the payee's signature for all channels of a transaction but one. What a
//! transaction may hold is data here, by format; what it holds is counted exactly, but for what programs call and
//! use while they run, which is an upper bound for ordinary token accounts.
//!
//! Lookup tables are not made. One of the accounts that all channels share would shorten a transaction by 151 bytes,
//! and no further close fits into that; one of the channels' own accounts costs a transaction, rent and two more
//! transactions to get it back, for accounts that are used twice.

use std::collections::BTreeMap;

use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use toll_protocol::{
    ASSOCIATED_TOKEN_PROGRAM, COMPUTE_BUDGET_PROGRAM, ED25519_PROGRAM, TOKEN_PROGRAM, discriminator,
};

use crate::config::TransactionVersion;

/// A transaction format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The first one; nothing needs it any more.
    #[cfg(test)]
    Legacy,
    /// Version 0. Without lookup tables it is two bytes longer than the first one.
    V0,
    /// Version 1 (SIMD-0385): longer, and the compute budget is part of the header.
    V1,
}

impl From<TransactionVersion> for Format {
    fn from(version: TransactionVersion) -> Self {
        match version {
            // The start has asked the cluster; whoever has not takes what every cluster does.
            TransactionVersion::Auto | TransactionVersion::V0 => Self::V0,
            TransactionVersion::V1 => Self::V1,
        }
    }
}

/// What one transaction may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes on the wire, signatures included.
    pub bytes: usize,
    /// Accounts.
    pub accounts: usize,
    /// Signatures of the transaction itself.
    pub signatures: usize,
    /// Instructions that run, those that programs call included.
    pub instructions: usize,
    /// Compute units.
    pub compute_units: u32,
}

impl Format {
    /// What the network carries.
    pub(crate) const fn limits(self) -> Limits {
        let common =
            Limits { bytes: 1_232, accounts: 64, signatures: 12, instructions: 64, compute_units: 1_400_000 };
        match self {
            #[cfg(test)]
            Self::Legacy => common,
            Self::V0 => common,
            Self::V1 => Limits { bytes: 4_096, ..common },
        }
    }
}

/// Bytes of a signature.
const SIGNATURE: usize = 64;
/// Bytes of an address or a hash.
const ADDRESS: usize = 32;
/// Bytes of the counts of signers and read-only accounts.
const HEADER: usize = 3;

/// What a transaction of these instructions holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Accounts, and whether they sign.
    keys: BTreeMap<Pubkey, bool>,
    /// Instructions of the transaction itself.
    top: usize,
    /// Instructions that ask for a compute budget, where the format has no other place for that.
    budget: usize,
    /// Instructions that programs call.
    called: usize,
    compute_units: u32,
    /// Bytes of the instructions in the formats before version 1, and in version 1.
    bytes: (usize, usize),
}

impl Load {
    /// A transaction that `fee_payer` pays, before anything is in it but the compute budget.
    pub(crate) fn of(fee_payer: &Pubkey, budget: &[Instruction]) -> Self {
        let nothing = Self {
            keys: BTreeMap::from([(*fee_payer, true)]),
            top: 0,
            budget: 0,
            called: 0,
            compute_units: 0,
            bytes: (0, 0),
        };
        nothing.with(budget)
    }

    /// The same and these instructions.
    pub(crate) fn with(&self, instructions: &[Instruction]) -> Self {
        let mut load = self.clone();
        for instruction in instructions {
            load.add(instruction);
        }
        load
    }

    fn add(&mut self, instruction: &Instruction) {
        let (accounts, data) = (instruction.accounts.len(), instruction.data.len());
        let (called, units) = running(instruction);
        self.called += called;
        self.compute_units = self.compute_units.saturating_add(units);
        self.bytes.0 += 1 + length(accounts) + accounts + length(data) + data;
        if instruction.program_id == COMPUTE_BUDGET_PROGRAM {
            self.budget += 1;
            // A configuration value without the kind that an instruction's data begins with.
            self.bytes.1 += data - 1;
            return;
        }
        self.bytes.1 += 4 + accounts + data;
        self.top += 1;
        self.keys.entry(instruction.program_id).or_default();
        for meta in &instruction.accounts {
            *self.keys.entry(meta.pubkey).or_default() |= meta.is_signer;
        }
    }

    /// Signers of the transaction.
    pub(crate) fn signers(&self) -> usize {
        self.keys.values().filter(|signs| **signs).count()
    }

    /// Bytes on the wire.
    pub(crate) fn bytes(&self, format: Format) -> usize {
        let (accounts, instructions) = (self.accounts(format), self.instructions(format));
        let fixed = SIGNATURE * self.signers() + HEADER + ADDRESS + ADDRESS * accounts;
        let counted = length(self.signers()) + length(accounts) + length(instructions) + self.bytes.0;
        match format {
            #[cfg(test)]
            Format::Legacy => fixed + counted,
            // A version, and an empty list of tables.
            Format::V0 => fixed + counted + 2,
            // A version, which configuration values there are, two counts of one byte, and the bytes to load.
            Format::V1 => fixed + 1 + 4 + 2 + 4 + self.bytes.1,
        }
    }

    fn accounts(&self, format: Format) -> usize {
        self.keys.len() + usize::from(format != Format::V1 && self.budget > 0)
    }

    fn instructions(&self, format: Format) -> usize {
        self.top + if format == Format::V1 { 0 } else { self.budget }
    }

    /// Whether one transaction holds it.
    pub(crate) fn fits(&self, format: Format) -> bool {
        let limits = format.limits();
        self.bytes(format) <= limits.bytes
            && self.accounts(format) <= limits.accounts
            && self.signers() <= limits.signatures
            && self.instructions(format) + self.called <= limits.instructions
            && self.compute_units <= limits.compute_units
    }
}

/// Bytes of a length before a list, in the formats before version 1.
const fn length(count: usize) -> usize {
    match count {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => 3,
    }
}

/// Accounts of `distribute` and of `rearm` before the recipients', and where the token program is among them.
const PAYOUT_ACCOUNTS: usize = 11;
const DISTRIBUTE_TOKEN_PROGRAM: usize = 8;
const REARM_TOKEN_PROGRAM: usize = 5;
/// Accounts of `settle_batch` besides the channels': the instructions sysvar, the event authority, the program.
const BATCH_ACCOUNTS: usize = 3;
/// Payee, payer and treasury, whom a payout may pay besides the recipients.
const OTHERS_PAID: usize = 3;
/// Transfers that the channel program makes with one call of SPL Token.
const TRANSFERS_PER_CALL: usize = 16;

/// Instructions that an instruction's program calls, and compute units that it uses, generously.
fn running(instruction: &Instruction) -> (usize, u32) {
    match instruction.program_id {
        COMPUTE_BUDGET_PROGRAM => (0, 150),
        ED25519_PROGRAM => (0, 0),
        ASSOCIATED_TOKEN_PROGRAM => (7, 40_000),
        _ if matches!(
            instruction.data.first(),
            Some(&(discriminator::DISTRIBUTE | discriminator::REARM))
        ) =>
        {
            let accounts = &instruction.accounts;
            let transfers = accounts.len().saturating_sub(PAYOUT_ACCOUNTS) + OTHERS_PAID;
            let place = match instruction.data[0] {
                discriminator::REARM => REARM_TOKEN_PROGRAM,
                _ => DISTRIBUTE_TOKEN_PROGRAM,
            };
            let program = accounts.get(place).map(|meta| meta.pubkey);
            let (calls, units) = match program {
                Some(TOKEN_PROGRAM) => (transfers.div_ceil(TRANSFERS_PER_CALL), 3_000),
                _ => (transfers, 8_000),
            };
            let units = u32::try_from(transfers).unwrap_or(u32::MAX).saturating_mul(units);
            // The escrow is closed, and a refund that goes astray is told; a rearm tells of itself.
            (calls + 2, units.saturating_add(20_000))
        }
        _ if instruction.data.first() == Some(&discriminator::SETTLE_CLOSING) => (1, 10_000),
        _ if instruction.data.first() == Some(&discriminator::SETTLE_BATCH) => {
            let channels = instruction.accounts.len().saturating_sub(BATCH_ACCOUNTS);
            // Whoever cannot settle is passed over and told of, at the worst everybody.
            let units = u32::try_from(channels).unwrap_or(u32::MAX).saturating_mul(3_000);
            (channels, units.saturating_add(5_000))
        }
        _ => (0, 5_000),
    }
}

/// What one channel asks of a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// Its instructions, which stay together and in this order.
    pub instructions: &'a [Instruction],
    /// Most channels of the transaction that it is in.
    pub company: usize,
}

/// What one transaction carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pack {
    /// Which parts, in their order.
    pub members: Vec<usize>,
    /// What they come to.
    pub load: Load,
    company: usize,
}

/// Puts parts into as few transactions as first-come-first-served makes, each part into the first one that has room
/// for it. A part that is too large for any transaction gets one of its own.
pub(crate) fn pack(format: Format, empty: &Load, parts: &[Part<'_>]) -> Vec<Pack> {
    let mut packs: Vec<Pack> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let company = part.company.max(1);
        let least = part.instructions.iter().map(|one| one.accounts.len() + one.data.len()).sum::<usize>();
        let fitting = packs.iter_mut().find_map(|pack| {
            let company = company.min(pack.company);
            // Most transactions are full, which is seen without counting again.
            if pack.members.len() >= company || pack.load.bytes(format) + least > format.limits().bytes {
                return None;
            }
            let load = pack.load.with(part.instructions);
            load.fits(format).then_some((pack, load, company))
        });
        match fitting {
            Some((pack, load, company)) => {
                pack.members.push(index);
                (pack.load, pack.company) = (load, company);
            }
            None => {
                packs.push(Pack { members: vec![index], load: empty.with(part.instructions), company });
            }
        }
    }
    packs
}

/// Signatures of these transactions' signers: those of vouchers are paid for however channels are packed.
pub(crate) fn signatures(packs: &[Pack]) -> usize {
    packs.iter().map(|pack| pack.load.signers()).sum()
}

#[cfg(test)]
mod tests;
