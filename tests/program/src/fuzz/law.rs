//! What holds of every transaction that lands.

use super::ground::owed;
use super::{Arena, Case};
use crate::plan::Channel;
use crate::program::{SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, program_id};
use crate::state::{ChannelState, Status};
use crate::world::{OPEN_SLOT_WINDOW, SLOT};
use solana_account::{AccountSharedData, ReadableAccount};
use solana_pubkey::Pubkey;
use std::collections::BTreeMap;

/// Sizes of a channel account and of the least token account.
const CHANNEL: usize = 256;
const TOKEN_ACCOUNT: usize = 165;

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

fn channel(account: Option<&AccountSharedData>) -> Option<ChannelState> {
    let account = account?;
    (*account.owner() == program_id() && account.data().len() == CHANNEL)
        .then(|| ChannelState::decode(account.data()))
}

impl Landing<'_> {
    /// Checks them all.
    pub(super) fn keeps_the_laws(&self) -> Result<(), String> {
        let changes: Vec<_> = self.changes().collect();
        self.conserves(&changes)?;
        for change in &changes {
            self.nobody_pays_unasked(change)?;
            self.strangers_gain_nothing(change)?;
            Self::channels_are_consistent(change)?;
        }
        self.arena.channels.iter().try_for_each(|channel| self.channel_moves_on(channel))
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
            let owed = owed(after);
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
        let risen = before.deposit <= after.deposit
            && before.settled <= after.settled
            && before.payout_watermark <= after.payout_watermark;
        require(risen, || format!("a watermark of {} fell: {after:?}", terms.address))?;
        let promised = self.promised(&terms.address);
        require(after.settled == before.settled || after.settled <= promised, || {
            format!("{} settled {} of {promised} promised", terms.address, after.settled)
        })?;
        let step = (status(&before), status(&after));
        require(self.may_step(terms, step), || format!("{} went {step:?}", terms.address))
    }

    /// The highest amount that a good voucher in the transaction promises.
    fn promised(&self, channel: &Pubkey) -> u64 {
        let proofs = self.case.proofs.iter().map(|index| &self.arena.proofs[*index]);
        let good = proofs.filter(|proven| proven.good && proven.channel == *channel);
        good.map(|proven| proven.cumulative).max().unwrap_or(0)
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

fn status(state: &ChannelState) -> Status {
    match state.status {
        0 => Status::Open,
        1 => Status::Sealed,
        2 => Status::Closing,
        _ => Status::Distributed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::named;
    use crate::world::World;

    /// The planted channels by their place in the list of pasts.
    const OPEN: usize = 2;
    const HALF_SETTLED: usize = 3;

    /// What the laws say of a transaction that did `what` to channel number `index`, signed by nobody.
    fn judged(index: usize, what: impl FnOnce(&mut World)) -> Result<(), String> {
        let mut arena = Arena::new();
        arena.world.channel = arena.channels[index].clone();
        what(&mut arena.world);
        let case = Case { proofs: Vec::new(), subjects: Vec::new() };
        Landing { arena: &arena, case: &case, keys: &arena.pool, signers: &[], fee: 0 }.keeps_the_laws()
    }

    fn move_tokens(world: &mut World, from: Pubkey, to: Pubkey, amount: u64) {
        world.edit_tokens(from, |tokens| tokens.amount -= amount);
        world.edit_tokens(to, |tokens| tokens.amount += amount);
    }

    #[test]
    fn the_prepared_ledger_keeps_every_law() {
        assert_eq!(judged(OPEN, |_| {}), Ok(()));
    }

    #[test]
    fn a_token_out_of_nothing_is_seen() {
        let broken = judged(OPEN, |world| {
            let payee = world.channel.payee_tokens;
            world.edit_tokens(payee, |tokens| tokens.amount += 1);
        });
        assert!(broken.unwrap_err().contains("-1 tokens"));
    }

    #[test]
    fn a_lamport_out_of_nothing_is_seen() {
        let broken = judged(OPEN, |world| {
            let payer = world.channel.plan.payer;
            let mut account = world.svm.get_account(&payer).unwrap();
            account.lamports += 1;
            world.put(payer, account);
        });
        assert_eq!(broken, Err("-1 lamports lost".to_owned()));
    }

    #[test]
    fn tokens_that_leave_a_person_unasked_are_seen() {
        let broken = judged(OPEN, |world| {
            let (payer, payee) = (world.channel.payer_tokens, world.channel.payee_tokens);
            move_tokens(world, payer, payee, 1);
        });
        assert!(broken.unwrap_err().ends_with("lost tokens"));
    }

    #[test]
    fn a_payout_that_nobody_earned_is_seen() {
        let broken = judged(OPEN, |world| {
            let (escrow, payee) = (world.channel.escrow, world.channel.payee_tokens);
            move_tokens(world, escrow, payee, 1);
        });
        assert!(broken.unwrap_err().contains("owes 10000 and holds 9999"));
    }

    #[test]
    fn a_stranger_that_gains_is_seen() {
        let broken = judged(HALF_SETTLED, |world| {
            let stranger = world.put_tokens(named("stranger"), 500);
            let escrow = world.channel.escrow;
            world.edit(|state| state.payout_watermark += 1);
            move_tokens(world, escrow, stranger, 1);
        });
        assert!(broken.unwrap_err().ends_with("gained"));
    }

    #[test]
    fn a_watermark_that_rises_without_a_voucher_is_seen() {
        let broken = judged(OPEN, |world| world.edit(|state| state.settled = 1));
        assert!(broken.unwrap_err().contains("settled 1 of 0 promised"));
    }

    #[test]
    fn a_watermark_that_falls_is_seen() {
        let broken = judged(HALF_SETTLED, |world| world.edit(|state| state.settled -= 1));
        assert!(broken.unwrap_err().contains("a watermark"));
    }

    #[test]
    fn watermarks_out_of_order_are_seen() {
        let broken = judged(OPEN, |world| world.edit(|state| state.settled = state.deposit + 1));
        assert!(broken.unwrap_err().contains("became"));
    }

    #[test]
    fn a_seal_that_the_payee_did_not_sign_is_seen() {
        let broken = judged(OPEN, |world| world.edit(|state| state.status = Status::Sealed as u8));
        assert!(broken.unwrap_err().ends_with("went (Open, Sealed)"));
    }

    #[test]
    fn changed_terms_are_seen() {
        let broken = judged(OPEN, |world| world.edit(|state| state.payee = named("stranger")));
        assert!(broken.unwrap_err().contains("other terms"));
    }
}
