//! Channels in plain Rust: no accounts, no bytes, no program.

use crate::op::Health;
use std::collections::BTreeMap;
use toll_program_tests::{GRACE_PERIOD, NOW, OPEN_SLOT_WINDOW, PAYER_TOKENS, RENT_OF_CHANNEL, SLOT};

/// Ten-thousandths of the recipients; the payee has the rest.
pub(crate) const SHARES: [u16; 2] = [3_333, 250];

/// Those who own token accounts, in the order in which [`crate::op::Op::Change`] numbers them.
pub(crate) const PARTIES: usize = 5;
pub(crate) const PAYER: usize = 0;
pub(crate) const PAYEE: usize = 1;
pub(crate) const RECIPIENTS: usize = 2;
pub(crate) const TREASURY: usize = 4;

/// Where a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    Closing { since: i64 },
    Sealed,
    Distributed,
    Gone,
}

/// One incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) stage: Stage,
    pub(crate) deposit: u64,
    pub(crate) settled: u64,
    pub(crate) paid: u64,
    pub(crate) refunded: bool,
    pub(crate) lamports: u64,
}

/// A voucher or ceiling that was signed, and by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed {
    pub(crate) ceiling: bool,
    pub(crate) open_slot: u64,
    pub(crate) cumulative: u64,
    pub(crate) expires_at: i64,
    pub(crate) genuine: bool,
}

/// A batch that was signed, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct SignedBatch {
    /// Open slots and targets.
    pub(crate) targets: Vec<(u64, u64)>,
    pub(crate) expires_at: i64,
    pub(crate) genuine: bool,
}

/// Everything that the program is to get right.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) slot: u64,
    pub(crate) now: i64,
    /// By open slot: everything else in their terms is the same.
    pub(crate) channels: BTreeMap<u64, Channel>,
    /// Tokens per escrow, where the account exists.
    pub(crate) escrows: BTreeMap<u64, u64>,
    pub(crate) tokens: [u64; PARTIES],
    /// Tokens that a party put elsewhere before it closed its account.
    pub(crate) savings: [u64; PARTIES],
    pub(crate) health: [Health; PARTIES],
    /// Tokens on the ledger.
    pub(crate) supply: u64,
    /// What the rent payer has, in lamports. Gifts to a channel end here too.
    pub(crate) rent_payer: u64,
    pub(crate) escrow_rent: u64,
}

/// The instruction does not land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

fn require(condition: bool) -> Result<(), Refused> {
    condition.then_some(()).ok_or(Refused)
}

fn share(total: u64, bps: u16) -> u64 {
    (u128::from(total) * u128::from(bps) / 10_000) as u64
}

impl Model {
    pub(crate) fn new(rent_payer: u64, escrow_rent: u64) -> Self {
        let mut tokens = [0; PARTIES];
        tokens[PAYER] = PAYER_TOKENS;
        Self {
            slot: SLOT,
            now: NOW,
            channels: BTreeMap::new(),
            escrows: BTreeMap::new(),
            tokens,
            savings: [0; PARTIES],
            health: [Health::Good; PARTIES],
            supply: PAYER_TOKENS,
            rent_payer,
            escrow_rent,
        }
    }

    fn channel(&mut self, open_slot: u64) -> Result<&mut Channel, Refused> {
        self.channels.get_mut(&open_slot).filter(|channel| channel.stage != Stage::Gone).ok_or(Refused)
    }

    fn pay_from_payer(&mut self, open_slot: u64, amount: u64) -> Result<(), Refused> {
        require(self.health[PAYER] == Health::Good)?;
        self.tokens[PAYER] = self.tokens[PAYER].checked_sub(amount).ok_or(Refused)?;
        *self.escrows.entry(open_slot).or_default() += amount;
        Ok(())
    }

    /// `lamports_before` already lie on the address.
    pub(crate) fn open(&mut self, open_slot: u64, deposit: u64, lamports_before: u64) -> Result<(), Refused> {
        require(deposit > 0)?;
        require(open_slot <= self.slot && self.slot - open_slot <= OPEN_SLOT_WINDOW)?;
        require(!self.channels.contains_key(&open_slot))?;
        if !self.escrows.contains_key(&open_slot) {
            self.rent_payer -= self.escrow_rent;
        }
        self.pay_from_payer(open_slot, deposit)?;
        self.rent_payer -= RENT_OF_CHANNEL.saturating_sub(lamports_before);
        let lamports = lamports_before.max(RENT_OF_CHANNEL);
        let channel = Channel { stage: Stage::Open, deposit, settled: 0, paid: 0, refunded: false, lamports };
        self.channels.insert(open_slot, channel);
        Ok(())
    }

    fn apply_voucher(&mut self, open_slot: u64, voucher: Signed) -> Result<(), Refused> {
        require(!voucher.ceiling)?;
        self.apply(open_slot, voucher)
    }

    fn apply(&mut self, open_slot: u64, voucher: Signed) -> Result<(), Refused> {
        let now = self.now;
        let channel = self.channel(open_slot)?;
        require(voucher.genuine && voucher.open_slot == open_slot)?;
        require(voucher.expires_at == 0 || now < voucher.expires_at)?;
        require(channel.settled < voucher.cumulative && voucher.cumulative <= channel.deposit)?;
        channel.settled = voucher.cumulative;
        Ok(())
    }

    pub(crate) fn settle(&mut self, open_slot: u64, voucher: Signed) -> Result<(), Refused> {
        require(self.channel(open_slot)?.stage == Stage::Open)?;
        self.apply_voucher(open_slot, voucher)
    }

    /// Whether a promise still raises what the channel has settled.
    fn lives(&self, open_slot: u64) -> bool {
        match self.channels.get(&open_slot).map(|channel| channel.stage) {
            Some(Stage::Open) => true,
            Some(Stage::Closing { since }) => self.now < since + i64::from(GRACE_PERIOD),
            Some(Stage::Sealed | Stage::Distributed | Stage::Gone) | None => false,
        }
    }

    /// All or nothing, as everything here is; where it `tells`, all that live. Where all are gone, anyone may tell so.
    pub(crate) fn settle_batch(&mut self, batch: &SignedBatch, tells: bool) -> Result<(), Refused> {
        let gone = batch.targets.iter().all(|(open_slot, _)| self.channel(*open_slot).is_err());
        require(batch.genuine || gone)?;
        require(batch.expires_at == 0 || self.now < batch.expires_at)?;
        for (open_slot, target) in &batch.targets {
            require(*target > 0)?;
            let lives = self.lives(*open_slot);
            let Ok(channel) = self.channel(*open_slot) else {
                require(tells)?;
                continue;
            };
            require(*target <= channel.deposit)?;
            if channel.settled < *target {
                require(lives || tells)?;
                channel.settled = if lives { *target } else { channel.settled };
            }
        }
        Ok(())
    }

    pub(crate) fn settle_up_to(
        &mut self,
        open_slot: u64,
        voucher: Signed,
        amount: u64,
        by_payee: bool,
    ) -> Result<(), Refused> {
        let before = self.channel(open_slot)?.settled;
        require(by_payee && before < amount && amount <= voucher.cumulative)?;
        require(voucher.ceiling && self.lives(open_slot))?;
        self.apply(open_slot, voucher)?;
        self.channel(open_slot)?.settled = amount;
        Ok(())
    }

    pub(crate) fn settle_closing(&mut self, open_slot: u64, voucher: Signed) -> Result<(), Refused> {
        let now = self.now;
        let Stage::Closing { since } = self.channel(open_slot)?.stage else { return Err(Refused) };
        require(now < since + i64::from(GRACE_PERIOD))?;
        self.apply_voucher(open_slot, voucher)
    }

    pub(crate) fn rearm(
        &mut self,
        open_slot: u64,
        voucher: Option<Signed>,
        by_payee: bool,
    ) -> Result<(), Refused> {
        require(by_payee && self.channel(open_slot)?.stage == Stage::Open)?;
        require(self.health[PAYER] == Health::Good && self.health[TREASURY] == Health::Good)?;
        if let Some(voucher) = voucher {
            self.apply_voucher(open_slot, voucher)?;
        }
        let Channel { deposit, settled, paid, .. } = self.channel(open_slot)?.clone();
        require(settled > paid || deposit > settled)?;
        self.pay_shares(open_slot, paid, settled);
        self.pay(open_slot, PAYER, deposit - settled);
        let channel = self.channel(open_slot)?;
        (channel.deposit, channel.paid) = (settled, settled);
        Ok(())
    }

    pub(crate) fn top_up(&mut self, open_slot: u64, amount: u64, by_payer: bool) -> Result<(), Refused> {
        let channel = self.channel(open_slot)?;
        require(by_payer && amount > 0 && channel.stage == Stage::Open)?;
        channel.deposit = channel.deposit.checked_add(amount).ok_or(Refused)?;
        self.pay_from_payer(open_slot, amount)
    }

    pub(crate) fn settle_and_seal(
        &mut self,
        open_slot: u64,
        voucher: Option<Signed>,
        by_payee: bool,
    ) -> Result<(), Refused> {
        let now = self.now;
        require(by_payee)?;
        require(match self.channel(open_slot)?.stage {
            Stage::Open => true,
            Stage::Closing { since } => now < since + i64::from(GRACE_PERIOD),
            Stage::Sealed | Stage::Distributed | Stage::Gone => false,
        })?;
        if let Some(voucher) = voucher {
            self.apply_voucher(open_slot, voucher)?;
        }
        self.channel(open_slot)?.stage = Stage::Sealed;
        Ok(())
    }

    pub(crate) fn request_close(&mut self, open_slot: u64, by_payer: bool) -> Result<(), Refused> {
        let now = self.now;
        let channel = self.channel(open_slot)?;
        require(by_payer && channel.stage == Stage::Open)?;
        channel.stage = Stage::Closing { since: now };
        Ok(())
    }

    pub(crate) fn seal(&mut self, open_slot: u64) -> Result<(), Refused> {
        let now = self.now;
        let channel = self.channel(open_slot)?;
        let Stage::Closing { since } = channel.stage else { return Err(Refused) };
        require(now >= since + i64::from(GRACE_PERIOD))?;
        channel.stage = Stage::Sealed;
        Ok(())
    }

    pub(crate) fn withdraw_payer(&mut self, open_slot: u64, by_payer: bool) -> Result<(), Refused> {
        let usable = self.health[PAYER] == Health::Good;
        let channel = self.channel(open_slot)?;
        require(by_payer && usable && channel.stage == Stage::Sealed && !channel.refunded)?;
        channel.refunded = true;
        let refund = channel.deposit - channel.settled;
        self.pay(open_slot, PAYER, refund);
        Ok(())
    }

    /// Out of the escrow to `party`, or to the treasury when the party's account is unusable.
    fn pay(&mut self, open_slot: u64, party: usize, amount: u64) {
        let to = if self.health[party] == Health::Good { party } else { TREASURY };
        self.tokens[to] += amount;
        *self.escrows.get_mut(&open_slot).expect("a live channel has an escrow") -= amount;
    }

    fn pay_shares(&mut self, open_slot: u64, paid: u64, settled: u64) {
        let payee = 10_000 - SHARES.iter().sum::<u16>();
        let recipients = SHARES.iter().enumerate().map(|(index, bps)| (RECIPIENTS + index, *bps));
        for (party, bps) in recipients.chain([(PAYEE, payee)]) {
            self.pay(open_slot, party, share(settled, bps) - share(paid, bps));
        }
    }

    pub(crate) fn distribute(&mut self, open_slot: u64) -> Result<(), Refused> {
        let channel = self.channel(open_slot)?.clone();
        require(match channel.stage {
            Stage::Open => channel.settled > channel.paid,
            Stage::Sealed => true,
            Stage::Closing { .. } | Stage::Distributed | Stage::Gone => false,
        })?;
        require(self.health[TREASURY] == Health::Good)?;
        self.pay_shares(open_slot, channel.paid, channel.settled);
        if channel.stage == Stage::Open {
            self.channel(open_slot)?.paid = channel.settled;
            return Ok(());
        }
        if !channel.refunded {
            self.pay(open_slot, PAYER, channel.deposit - channel.settled);
        }
        let rest = self.escrows.remove(&open_slot).expect("a live channel has an escrow");
        self.tokens[TREASURY] += rest;
        self.rent_payer += self.escrow_rent;
        self.channel(open_slot)?.stage = Stage::Distributed;
        if self.slot > open_slot + OPEN_SLOT_WINDOW {
            self.free(open_slot);
        }
        Ok(())
    }

    pub(crate) fn reclaim(&mut self, open_slot: u64, to_rent_payer: bool) -> Result<(), Refused> {
        let slot = self.slot;
        let channel = self.channel(open_slot)?;
        require(to_rent_payer && channel.stage == Stage::Distributed && slot > open_slot + OPEN_SLOT_WINDOW)?;
        self.free(open_slot);
        Ok(())
    }

    fn free(&mut self, open_slot: u64) {
        let channel = self.channels.get_mut(&open_slot).expect("a live channel");
        channel.stage = Stage::Gone;
        self.rent_payer += channel.lamports;
        channel.lamports = 0;
    }

    pub(crate) fn give_tokens(&mut self, open_slot: u64, amount: u64) {
        *self.escrows.entry(open_slot).or_default() += amount;
        self.supply += amount;
    }

    pub(crate) fn change(&mut self, party: usize, to: Health) {
        if to == Health::Missing {
            self.savings[party] += std::mem::take(&mut self.tokens[party]);
        }
        self.health[party] = to;
    }
}
