//! An instruction out of arbitrary bytes: a good one bent out of shape, or one that never was good.

use super::Arena;
use crate::plan::Channel;
use crate::program::program_id;
use arbitrary::{Result, Unstructured};
use solana_instruction::{AccountMeta, Instruction};
use std::fmt;

/// The good instructions. A new instruction of the program needs a line here.
const TEMPLATES: &[Template] = &[
    Template::plain(Channel::open),
    Template::proven(Channel::settle),
    Template::plain(|channel| channel.top_up(5)),
    Template::proven(|channel| channel.settle_and_seal(1)),
    Template::plain(|channel| channel.settle_and_seal(0)),
    Template::plain(Channel::request_close),
    Template::plain(Channel::seal),
    Template::plain(Channel::distribute),
    Template::plain(Channel::withdraw_payer),
    Template::plain(Channel::reclaim),
    Template::plain(Channel::emit_event),
];

/// Accounts that an instruction out of nothing has at most.
const MAX_ACCOUNTS: usize = 24;

struct Template {
    build: fn(&Channel) -> Instruction,
    /// Whether it reads a proof that a voucher was signed.
    reads_proof: bool,
}

impl Template {
    const fn plain(build: fn(&Channel) -> Instruction) -> Self {
        Self { build, reads_proof: false }
    }

    const fn proven(build: fn(&Channel) -> Instruction) -> Self {
        Self { build, reads_proof: true }
    }
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
        let (mut subject, reads_proof) = match TEMPLATES.get(template) {
            Some(template) => ((template.build)(&self.channels[channel]), template.reads_proof),
            None => (self.anything(bytes)?, false),
        };
        self.unsign_the_impossible(&mut subject);
        let proofs = self.proofs(bytes, channel, reads_proof)?;
        for _ in 0..bytes.int_in_range(0..=5)? {
            self.bend(&mut subject, bytes)?;
        }
        let mut subjects = vec![subject];
        if bytes.ratio(1, 8)? {
            let channel =
                if bytes.arbitrary()? { channel } else { bytes.choose_index(self.channels.len())? };
            let template = &TEMPLATES[bytes.choose_index(TEMPLATES.len())?];
            let mut second = (template.build)(&self.channels[channel]);
            self.unsign_the_impossible(&mut second);
            subjects.push(second);
        }
        Ok(Case { proofs, subjects })
    }

    /// Usually those that the instruction needs; sometimes others, or none.
    fn proofs(&self, bytes: &mut Unstructured<'_>, channel: usize, reads_proof: bool) -> Result<Vec<usize>> {
        let of_channel = |bytes: &mut Unstructured<'_>| {
            let address = self.channels[channel].address;
            let matching = self.proofs.iter().enumerate().filter(|(_, proven)| proven.channel == address);
            let matching: Vec<_> = matching.map(|(index, _)| index).collect();
            bytes.choose(&matching).copied()
        };
        Ok(match (reads_proof, bytes.int_in_range(0..=15)?) {
            (true, 0..=11) => vec![of_channel(bytes)?],
            (true, 12) => vec![of_channel(bytes)?, bytes.choose_index(self.proofs.len())?],
            (true, 13) | (false, 15) => vec![bytes.choose_index(self.proofs.len())?],
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
