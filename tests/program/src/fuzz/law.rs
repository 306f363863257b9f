//! What holds of every transaction that lands.

use super::ground::{owed, paid};
use super::proven::{Form, Proven};
use super::{Arena, Case};
use crate::plan::Channel;
use crate::program::{SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, event_authority, program_id};
use crate::state::{ChannelState, Status};
use crate::world::{NOW, OPEN_SLOT_WINDOW, SLOT};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use std::collections::BTreeMap;

/// Sizes of a channel account and of the least token account.
const CHANNEL: usize = 256;
const TOKEN_ACCOUNT: usize = 165;

/// The instructions that raise `settled` or lower `deposit`, and the one that changes nothing.
const SETTLE: u8 = 2;
const SETTLE_AND_SEAL: u8 = 4;
const SETTLE_BATCH: u8 = 10;
const REARM: u8 = 11;
const SETTLE_UP_TO: u8 = 12;
const SETTLE_CLOSING: u8 = 13;
const CHECKPOINT: u8 = 14;

/// A transaction that landed, not yet undone.
pub(super) struct Landing<'a> {
    pub(super) arena: &'a Arena,
    pub(super) case: &'a Case,
    /// Every account that it names. It can have changed no other.
    pub(super) keys: &'a [Pubkey],
    pub(super) signers: &'a [Pubkey],
    pub(super) fee: u64,
}

/// One account before and after.
#[derive(Clone, Copy)]
struct Change<'a> {
    address: &'a Pubkey,
    before: Option<&'a AccountSharedData>,
    after: Option<&'a AccountSharedData>,
}

fn require(law: bool, broken: impl FnOnce() -> String) -> Result<(), String> {
    if law { Ok(()) } else { Err(broken()) }
}

fn lamports(account: Option<&AccountSharedData>) -> u64 {
    account.map_or(0, |account| account.lamports())
}

/// Mint, owner and amount of a token account.
fn tokens(account: Option<&AccountSharedData>) -> Option<(Pubkey, Pubkey, u64)> {
    let account = account?;
    let of_token_program = [TOKEN_PROGRAM, TOKEN_2022_PROGRAM].contains(account.owner());
    let data = account.data();
    let key = |at: usize| Pubkey::new_from_array(data[at..at + 32].try_into().expect("32 bytes"));
    let amount = || u64::from_le_bytes(data[64..72].try_into().expect("8 bytes"));
    (of_token_program && data.len() >= TOKEN_ACCOUNT).then(|| (key(0), key(32), amount()))
}

pub(super) fn channel(account: Option<&AccountSharedData>) -> Option<ChannelState> {
    let account = account?;
    (*account.owner() == program_id() && account.data().len() == CHANNEL)
        .then(|| ChannelState::decode(account.data()))
}

impl Landing<'_> {
    /// Checks them all.
    pub(super) fn keeps_the_laws(&self) -> Result<(), String> {
        let changes: Vec<_> = self.changes().collect();
        self.conserves(&changes)?;
        self.settling_pays_nobody(&changes)?;
        for change in &changes {
            self.nobody_pays_unasked(change)?;
            self.strangers_gain_nothing(change)?;
            Self::channels_are_consistent(change)?;
        }
        self.arena.channels.iter().try_for_each(|channel| self.channel_moves_on(channel))?;
        self.settling_keeps_the_promise()
    }

    fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.keys.iter().filter_map(|address| {
            let (before, after) = (self.arena.base.get(address), self.arena.now_at(address));
            let program = before.is_some_and(ReadableAccount::executable);
            (!program && before != after).then_some(Change { address, before, after })
        })
    }

    /// No token and no lamport is made or lost, but for the fee.
    fn conserves(&self, changes: &[Change<'_>]) -> Result<(), String> {
        let mut lost = -i128::from(self.fee);
        let mut mints = BTreeMap::<Pubkey, i128>::new();
        for change in changes {
            lost += i128::from(lamports(change.before)) - i128::from(lamports(change.after));
            for (account, sign) in [(change.before, 1), (change.after, -1)] {
                if let Some((mint, _, amount)) = tokens(account) {
                    *mints.entry(mint).or_default() += sign * i128::from(amount);
                }
            }
        }
        require(lost == 0, || format!("{lost} lamports lost"))?;
        mints
            .iter()
            .try_for_each(|(mint, lost)| require(*lost == 0, || format!("{lost} tokens of {mint} lost")))
    }

    /// What only settles writes no account but channels, and `checkpoint` not even those.
    fn settling_pays_nobody(&self, changes: &[Change<'_>]) -> Result<(), String> {
        let only = |allowed: &[u8]| {
            let mut kinds = self.case.subjects.iter().map(|subject| subject.data.first());
            self.first_kind().is_some() && kinds.all(|kind| kind.is_some_and(|kind| allowed.contains(kind)))
        };
        for change in changes.iter().filter(|change| *change.address != self.arena.fee_payer) {
            require(!only(&[CHECKPOINT]), || format!("a checkpoint changed {}", change.address))?;
            let is_channel = channel(change.before).is_some();
            require(
                is_channel || !only(&[SETTLE, SETTLE_BATCH, SETTLE_UP_TO, SETTLE_CLOSING, CHECKPOINT]),
                || format!("a settlement changed {}", change.address),
            )?;
        }
        Ok(())
    }

    /// Lamports leave a wallet, and tokens an account, only when the owner signs. A channel cannot sign: what leaves
    /// its escrow is the business of [`Self::channel_moves_on`].
    fn nobody_pays_unasked(&self, change: &Change<'_>) -> Result<(), String> {
        let signed = |key: &Pubkey| self.signers.contains(key);
        if let Some(before) = change.before
            && *before.owner() == SYSTEM_PROGRAM
        {
            let pays = lamports(change.after) < before.lamports();
            require(!pays || signed(change.address), || format!("{} paid unasked", change.address))?;
        }
        if let Some((_, owner, amount)) = tokens(change.before) {
            let left = tokens(change.after).map_or(0, |(_, _, amount)| amount);
            let escrow = self.arena.channels.iter().any(|channel| channel.address == owner);
            require(left >= amount || escrow || signed(&owner), || {
                format!("{} lost tokens", change.address)
            })?;
        }
        Ok(())
    }

    /// Whoever is owed nothing gets nothing.
    fn strangers_gain_nothing(&self, change: &Change<'_>) -> Result<(), String> {
        if !self.arena.strangers.contains(change.address) {
            return Ok(());
        }
        let amount = |account| tokens(account).map_or(0, |(_, _, amount)| amount);
        let gained =
            amount(change.after) > amount(change.before) || lamports(change.after) > lamports(change.before);
        require(!gained, || format!("{} gained", change.address))
    }

    /// `payout_watermark ≤ settled ≤ deposit` in every channel account that is written.
    fn channels_are_consistent(change: &Change<'_>) -> Result<(), String> {
        let Some(after) = channel(change.after) else {
            let lost = change.after.is_some_and(|account| *account.owner() == program_id());
            return require(!lost, || format!("{} is no channel any more", change.address));
        };
        let ordered = after.payout_watermark <= after.settled && after.settled <= after.deposit;
        let known =
            after.discriminator == 1 && after.version == 1 && after.status <= Status::Distributed as u8;
        require(ordered && known, || format!("{} became {after:?}", change.address))
    }

    /// A channel that was there keeps its terms, moves along the diagram, and can pay what it owes.
    fn channel_moves_on(&self, terms: &Channel) -> Result<(), String> {
        if !self.keys.contains(&terms.address) && !self.keys.contains(&terms.escrow) {
            return Ok(());
        }
        let after = channel(self.arena.now_at(&terms.address));
        if let Some(after) = &after
            && [Status::Open, Status::Closing, Status::Sealed].contains(&status(after))
        {
            let held = tokens(self.arena.now_at(&terms.escrow)).map_or(0, |(_, _, amount)| amount);
            let owed = owed(&terms.plan, after);
            require(held >= owed, || format!("{} owes {owed} and holds {held}", terms.address))?;
        }
        let Some(before) = channel(self.arena.base.get(&terms.address)) else { return Ok(()) };
        let aged = before.open_slot + OPEN_SLOT_WINDOW < SLOT;
        let Some(after) = after else {
            let ended = self.may_step(terms, (status(&before), Status::Distributed));
            return require(aged && ended, || format!("{} is gone", terms.address));
        };
        let fixed = |state: &ChannelState| ChannelState {
            status: 0,
            deposit: 0,
            settled: 0,
            payout_watermark: 0,
            closure_started_at: 0,
            payer_withdrawn_at: 0,
            ..state.clone()
        };
        require(fixed(&before) == fixed(&after), || format!("{} has other terms: {after:?}", terms.address))?;
        let risen = before.settled <= after.settled && before.payout_watermark <= after.payout_watermark;
        require(risen, || format!("a watermark of {} fell: {after:?}", terms.address))?;
        self.settled_is_promised(terms, &before, &after)?;
        self.sessions_end_even(terms, &before, &after)?;
        let step = (status(&before), status(&after));
        require(self.may_step(terms, step), || format!("{} went {step:?}", terms.address))
    }

    /// `settled` rises to what was promised, or as far towards it as the payee asked, by an instruction that may
    /// raise it in this status. That is the first one: no proof stands before the second.
    fn settled_is_promised(
        &self,
        terms: &Channel,
        before: &ChannelState,
        after: &ChannelState,
    ) -> Result<(), String> {
        if after.settled == before.settled {
            return Ok(());
        }
        let promised = self.promised(&terms.address);
        let asked = match self.first_kind() {
            Some(SETTLE_UP_TO) => argument(&self.case.subjects[0].data),
            _ => promised,
        };
        require(after.settled <= promised && after.settled == asked, || {
            format!("{} settled {} of {promised} promised", terms.address, after.settled)
        })?;
        let payee = self.signers.contains(&terms.plan.payee);
        let deadline = before.closure_started_at + i64::from(before.grace_period);
        let (open, closing) = match status(before) {
            Status::Open => (true, false),
            Status::Closing => (false, NOW < deadline),
            _ => (false, false),
        };
        let may = match self.first_kind() {
            Some(SETTLE) => open,
            Some(SETTLE_BATCH) => open || closing,
            Some(SETTLE_AND_SEAL | SETTLE_UP_TO) => payee && (open || closing),
            Some(REARM) => payee && open,
            Some(SETTLE_CLOSING) => closing,
            _ => false,
        };
        require(may, || format!("{} settled out of turn: {after:?}", terms.address))
    }

    /// A deposit falls only when the payee ends the session: what is settled is paid out then, and the payer gets
    /// back the rest.
    fn sessions_end_even(
        &self,
        terms: &Channel,
        before: &ChannelState,
        after: &ChannelState,
    ) -> Result<(), String> {
        let rearms = |subject: &Instruction| {
            subject.data.first() == Some(&REARM)
                && subject.accounts.get(1).is_some_and(|account| account.pubkey == terms.address)
        };
        let rearmed = self.case.subjects.iter().any(rearms);
        let may_fall = rearmed && status(before) == Status::Open && self.signers.contains(&terms.plan.payee);
        require(may_fall || before.deposit <= after.deposit, || {
            format!("the deposit of {} fell: {after:?}", terms.address)
        })?;
        // A second instruction may settle, add or close again.
        if !rearmed || self.case.subjects.len() > 1 {
            return Ok(());
        }
        let gained = |address: &Pubkey| {
            let amount = |account| tokens(account).map_or(0, |(_, _, amount)| i128::from(amount));
            amount(self.arena.now_at(address)) - amount(self.arena.base.get(address))
        };
        let refunded = i128::from(before.deposit) - i128::from(after.deposit);
        let distributed = i128::from(paid(&terms.plan, after.payout_watermark))
            - i128::from(paid(&terms.plan, before.payout_watermark));
        let even = status(after) == Status::Open
            && [after.settled, after.payout_watermark] == [after.deposit; 2]
            && gained(&terms.payer_tokens) == refunded
            && gained(&terms.escrow) == -(refunded + distributed);
        require(even, || format!("the session of {} ended uneven: {after:?}", terms.address))
    }

    /// What only settles lands on a good proof alone, and brings every channel there that it names, but for those that a
    /// batch passes over and could tell of.
    fn settling_keeps_the_promise(&self) -> Result<(), String> {
        let kind = self.first_kind();
        if !matches!(kind, Some(SETTLE | SETTLE_BATCH | SETTLE_UP_TO | SETTLE_CLOSING)) {
            return Ok(());
        }
        let Some(proven) = self.good_proof() else {
            return require(self.settled_for_nobody(), || "settled without a promise".to_owned());
        };
        for (address, amount) in &proven.promises {
            let due =
                if kind == Some(SETTLE_UP_TO) { argument(&self.case.subjects[0].data) } else { *amount };
            if self.passed_over(address) {
                continue;
            }
            // A second instruction may have freed the account.
            let kept = channel(self.arena.now_at(address))
                .map_or(self.case.subjects.len() > 1, |after| after.settled >= due);
            require(kept, || format!("{address} was promised {due} and did not get there"))?;
        }
        Ok(())
    }

    /// Whether the first instruction is a batch of channels that are all gone: nobody can say whose key counts.
    fn settled_for_nobody(&self) -> bool {
        let last = self.case.proofs.last().map(|index| &self.arena.proofs[*index]);
        last.is_some_and(|proven| {
            proven.promises.iter().all(|(address, _)| {
                let before = self.arena.base.get(address);
                before.is_none_or(|account| account.data().is_empty()) && self.passed_over(address)
            })
        })
    }

    /// Whether the first instruction is a batch that names the event authority after its channels, and the channel was
    /// closed before it.
    fn passed_over(&self, address: &Pubkey) -> bool {
        let batch = &self.case.subjects[0];
        let tells = self.first_kind() == Some(SETTLE_BATCH)
            && batch.accounts.iter().rev().nth(1).is_some_and(|account| account.pubkey == event_authority());
        tells
            && channel(self.arena.base.get(address)).is_none_or(|before| {
                let deadline = before.closure_started_at + i64::from(before.grace_period);
                match status(&before) {
                    Status::Open => false,
                    Status::Closing => NOW >= deadline,
                    Status::Sealed | Status::Distributed => true,
                }
            })
    }

    /// What that proof promises the channel, in base units.
    fn promised(&self, channel: &Pubkey) -> u64 {
        self.good_proof().and_then(|proven| proven.promise(channel)).unwrap_or(0)
    }

    /// The proof right before the first instruction, if that reads such a proof and it is good.
    fn good_proof(&self) -> Option<&Proven> {
        let form = match self.first_kind() {
            Some(SETTLE_BATCH) => Form::Batch,
            Some(SETTLE_UP_TO) => Form::Ceiling,
            _ => Form::Voucher,
        };
        let last = self.case.proofs.last().map(|index| &self.arena.proofs[*index]);
        last.filter(|proven| proven.good && proven.form == form)
    }

    /// The first byte of the first instruction.
    fn first_kind(&self) -> Option<u8> {
        self.case.subjects.first().and_then(|subject| subject.data.first().copied())
    }

    /// Whether the diagram has this step, and whoever has to ask for it signed. Two instructions make two steps.
    fn may_step(&self, terms: &Channel, step: (Status, Status)) -> bool {
        let signed = |key: &Pubkey| self.signers.contains(key);
        match step {
            (before, after) if before == after => true,
            (Status::Open, Status::Closing) => signed(&terms.plan.payer),
            (Status::Open, Status::Sealed | Status::Distributed) => signed(&terms.plan.payee),
            (Status::Closing, Status::Sealed) | (Status::Closing | Status::Sealed, Status::Distributed) => {
                true
            }
            _ => false,
        }
    }
}

/// The one argument of `settle_up_to`, in base units.
fn argument(data: &[u8]) -> u64 {
    u64::from_le_bytes(data[1..9].try_into().expect("8 bytes"))
}

fn status(state: &ChannelState) -> Status {
    match state.status {
        0 => Status::Open,
        1 => Status::Sealed,
        2 => Status::Closing,
        _ => Status::Distributed,
    }
}

#[cfg(test)]
mod tests;
