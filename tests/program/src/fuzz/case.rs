//! An instruction out of arbitrary bytes: a good one bent out of shape, or one that never was good.

use super::Arena;
use super::proven::{Form, Proven};
use crate::plan::Channel;
use crate::program::program_id;
use crate::wire::{settle_batch, settle_batch_of_the_living};
use arbitrary::{Result, Unstructured};
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use std::fmt;

/// The good instructions. A new instruction of the program needs a line here.
const TEMPLATES: &[Template] = &[
    Template::Plain(Channel::open),
    Template::Voucher(Channel::settle),
    Template::Plain(|channel| channel.top_up(5)),
    Template::Voucher(|channel| channel.settle_and_seal(1)),
    Template::Plain(|channel| channel.settle_and_seal(0)),
    Template::Plain(Channel::request_close),
    Template::Plain(Channel::seal),
    Template::Plain(Channel::distribute),
    Template::Plain(Channel::withdraw_payer),
    Template::Plain(Channel::reclaim),
    Template::Batch(settle_batch),
    Template::Batch(settle_batch_of_the_living),
    Template::Voucher(|channel| channel.rearm(1)),
    Template::Plain(|channel| channel.rearm(0)),
    Template::Ceiling(|channel| channel.settle_up_to(5_500)),
    Template::Voucher(Channel::settle_closing),
    Template::Plain(Channel::checkpoint),
    Template::Plain(Channel::emit_event),
];

/// Accounts that an instruction out of nothing has at most.
const MAX_ACCOUNTS: usize = 24;

enum Template {
    Plain(fn(&Channel) -> Instruction),
    /// Reads a voucher for the channel.
    Voucher(fn(&Channel) -> Instruction),
    /// Reads a ceiling for the channel.
    Ceiling(fn(&Channel) -> Instruction),
    /// For whatever channels a batch was signed for.
    Batch(fn(&[Pubkey]) -> Instruction),
}

/// One transaction.
#[derive(Clone)]
pub struct Case {
    /// Which of the arena's proofs come first.
    pub(super) proofs: Vec<usize>,
    /// The program's instructions after them: one, seldom two.
    pub(super) subjects: Vec<Instruction>,
}

impl Case {
    /// The first byte of the first instruction.
    pub fn discriminator(&self) -> Option<u8> {
        self.subjects[0].data.first().copied()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "proofs {:?}", self.proofs)?;
        for Instruction { accounts, data, .. } in &self.subjects {
            let data: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(f, "data {data}")?;
            for AccountMeta { pubkey, is_signer, is_writable } in accounts {
                let signs = if *is_signer { " signs" } else { "" };
                writeln!(f, "  {pubkey}{signs}{}", if *is_writable { " writes" } else { "" })?;
            }
        }
        Ok(())
    }
}

impl Arena {
    /// Reads a case. Whatever the bytes, there is one; where they end, choices fall on the first of each kind.
    ///
    /// # Errors
    ///
    /// Never; `arbitrary` wants to be able to.
    pub fn case(&self, bytes: &mut Unstructured<'_>) -> Result<Case> {
        let channel = bytes.choose_index(self.channels.len())?;
        let template = bytes.choose_index(TEMPLATES.len() + 1)?;
        let (mut subject, proof) = match TEMPLATES.get(template) {
            Some(template) => self.good(bytes, template, &self.channels[channel])?,
            None => (self.anything(bytes)?, None),
        };
        self.unsign_the_impossible(&mut subject);
        let proofs = self.proofs(bytes, proof)?;
        // Half of them stay good, or hardly anything would land.
        let bends = if bytes.arbitrary()? { bytes.int_in_range(1..=5)? } else { 0 };
        for _ in 0..bends {
            self.bend(&mut subject, bytes)?;
        }
        let mut subjects = vec![subject];
        if bytes.ratio(1, 8)? {
            let channel =
                if bytes.arbitrary()? { channel } else { bytes.choose_index(self.channels.len())? };
            let template = &TEMPLATES[bytes.choose_index(TEMPLATES.len())?];
            let (mut second, _) = self.good(bytes, template, &self.channels[channel])?;
            self.unsign_the_impossible(&mut second);
            subjects.push(second);
        }
        Ok(Case { proofs, subjects })
    }

    /// The template's instruction, and one of the proofs that it may read.
    fn good(
        &self,
        bytes: &mut Unstructured<'_>,
        template: &Template,
        channel: &Channel,
    ) -> Result<(Instruction, Option<usize>)> {
        let of_form = |form| {
            let promises =
                |proven: &Proven| proven.form == form && proven.promise(&channel.address).is_some();
            let matching = self.proofs.iter().enumerate().filter(|(_, proven)| promises(proven));
            matching.map(|(index, _)| index).collect::<Vec<_>>()
        };
        Ok(match template {
            Template::Plain(build) => (build(channel), None),
            Template::Voucher(build) => (build(channel), Some(*bytes.choose(&of_form(Form::Voucher))?)),
            Template::Ceiling(build) => (build(channel), Some(*bytes.choose(&of_form(Form::Ceiling))?)),
            Template::Batch(build) => {
                let proof = *bytes.choose(&of_form(Form::Batch))?;
                (build(&self.proofs[proof].channels()), Some(proof))
            }
        })
    }

    /// Usually the one that the instruction needs; sometimes others, or none.
    fn proofs(&self, bytes: &mut Unstructured<'_>, needed: Option<usize>) -> Result<Vec<usize>> {
        Ok(match (needed, bytes.int_in_range(0..=15)?) {
            (Some(needed), 0..=11) => vec![needed],
            (Some(needed), 12) => vec![needed, bytes.choose_index(self.proofs.len())?],
            (Some(_), 13) | (None, 15) => vec![bytes.choose_index(self.proofs.len())?],
            _ => Vec::new(),
        })
    }

    /// An instruction out of nothing but bytes and the pool.
    fn anything(&self, bytes: &mut Unstructured<'_>) -> Result<Instruction> {
        let mut accounts = Vec::new();
        for _ in 0..bytes.int_in_range(0..=MAX_ACCOUNTS)? {
            accounts.push(self.account(bytes)?);
        }
        let length = bytes.int_in_range(0..=120)?;
        let data = bytes.bytes(length.min(bytes.len()))?.to_vec();
        Ok(Instruction { program_id: program_id(), accounts, data })
    }

    fn account(&self, bytes: &mut Unstructured<'_>) -> Result<AccountMeta> {
        let pubkey = *bytes.choose(&self.pool)?;
        let flags: u8 = bytes.arbitrary()?;
        let is_signer = flags & 1 != 0 && self.people.contains(&pubkey);
        Ok(AccountMeta { pubkey, is_signer, is_writable: flags & 2 != 0 })
    }

    fn bend(&self, instruction: &mut Instruction, bytes: &mut Unstructured<'_>) -> Result<()> {
        let bend = bytes.int_in_range(0..=11u8)?;
        let Instruction { accounts, data, .. } = instruction;
        if data.is_empty() || accounts.is_empty() {
            return Ok(());
        }
        match bend {
            0..=2 => {
                let account = bytes.choose_index(accounts.len())?;
                accounts[account].pubkey = *bytes.choose(&self.pool)?;
            }
            3 => {
                let at = bytes.choose_index(data.len())?;
                data[at] = bytes.arbitrary()?;
            }
            4 => {
                // A number, wherever one may lie.
                let at = bytes.choose_index(data.len())?;
                let number: u64 = match bytes.int_in_range(0..=4u8)? {
                    0 => 0,
                    1 => u64::MAX,
                    2 => i64::MAX as u64,
                    3 => bytes.int_in_range(0..=20_000)?,
                    _ => bytes.arbitrary()?,
                };
                let end = data.len().min(at + 8);
                data[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
            5 => data.truncate(bytes.choose_index(data.len() + 1)?),
            6 => {
                let length = bytes.int_in_range(1..=40usize)?;
                data.extend(bytes.bytes(length.min(bytes.len()))?);
            }
            7 => {
                accounts.remove(bytes.choose_index(accounts.len())?);
            }
            8 => accounts.push(self.account(bytes)?),
            9 => {
                let (from, to) = (bytes.choose_index(accounts.len())?, bytes.choose_index(accounts.len())?);
                accounts[to].pubkey = accounts[from].pubkey;
            }
            10 => {
                let account = bytes.choose_index(accounts.len())?;
                let flags: u8 = bytes.arbitrary()?;
                (accounts[account].is_signer, accounts[account].is_writable) =
                    (flags & 1 != 0, flags & 2 != 0);
            }
            _ => {
                let (one, other) = (bytes.choose_index(accounts.len())?, bytes.choose_index(accounts.len())?);
                accounts.swap(one, other);
            }
        }
        self.unsign_the_impossible(instruction);
        Ok(())
    }

    /// Nobody signs for an address that has no key.
    fn unsign_the_impossible(&self, instruction: &mut Instruction) {
        for meta in &mut instruction.accounts {
            meta.is_signer &= self.people.contains(&meta.pubkey);
        }
    }
}
