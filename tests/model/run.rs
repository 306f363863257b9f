//! Runs a sequence on the program and on the model, and compares the two after every step.

mod compare;

use crate::hostile;
use crate::model::{Model, PARTIES, PAYEE, Refused, SHARES, Signed, SignedBatch, Stage, TREASURY};
use crate::op::{Claim, Cumulative, Health, Op, Way};
use proptest::prop_assert_eq;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeMap;
use toll_program_tests::{
    Account, Attempt, Batch, Channel, ChannelState, Event, FROZEN, INITIALIZED, Plan, Proof, Pubkey,
    SYSTEM_PROGRAM, TokenKind, TokenState, Voucher, World, named, program_id, rent_of, settle_batch,
    settle_batch_of_the_living, treasury_owner, voucher_key,
};

/// How often each kind of instruction landed, and how often it was refused.
pub(crate) type Tally = BTreeMap<&'static str, (u64, u64)>;

/// Runs `ops` on a fresh ledger.
pub(crate) fn run(token: TokenKind, ops: &[Op], tally: &mut Tally) -> Result<(), TestCaseError> {
    let mut run = Run::new(token);
    for (index, op) in ops.iter().enumerate() {
        let expected = run.step(*op);
        let at = format!("step {index}: {op:?}");
        prop_assert_eq!(run.landed, expected.map(|result| result.is_ok()), "{}", at);
        if let Some(landed) = run.landed {
            let (landings, refusals) = tally.entry(op.name()).or_default();
            *(if landed { landings } else { refusals }) += 1;
        }
        let holds = run.compare().and_then(|()| run.keep_laws(*op));
        holds.map_err(|error| TestCaseError::fail(format!("{at}: {error}")))?;
    }
    Ok(())
}

struct Run {
    world: World,
    model: Model,
    /// By open slot, in the order in which they were first tried.
    channels: BTreeMap<u64, Channel>,
    order: Vec<u64>,
    vouchers: Vec<Signed>,
    batches: Vec<SignedBatch>,
    /// By open slot: the most that the authorized signer ever signed.
    promised: BTreeMap<u64, u64>,
    /// By open slot: the account after the step before.
    before: BTreeMap<u64, ChannelState>,
    wallets: u64,
    impostors: Vec<Pubkey>,
    /// Whether the last instruction landed; `None` when the step sent none.
    landed: Option<bool>,
}

impl Run {
    fn new(token: TokenKind) -> Self {
        let mut world = World::before_open(Plan { token, ..Plan::with_shares(&SHARES) });
        let escrow_rent = rent_of(if token == TokenKind::Spl { 165 } else { 170 });
        let wallets = world.lamports(&world.channel.plan.rent_payer);
        let impostors = hostile::impostors(&mut world);
        let first = world.channel.clone();
        Self {
            world,
            model: Model::new(wallets, escrow_rent),
            order: vec![first.plan.open_slot],
            channels: BTreeMap::from([(first.plan.open_slot, first)]),
            vouchers: Vec::new(),
            batches: Vec::new(),
            promised: BTreeMap::new(),
            before: BTreeMap::new(),
            wallets,
            impostors,
            landed: None,
        }
    }

    /// Points the world at the channel that `index` means, and returns its open slot.
    fn select(&mut self, index: usize) -> u64 {
        let index = if index == usize::MAX { self.order.len() - 1 } else { index % self.order.len() };
        let open_slot = self.order[index];
        self.world.channel = self.channels[&open_slot].clone();
        open_slot
    }

    /// Does `op` on both sides. `None` when it sends no instruction.
    fn step(&mut self, op: Op) -> Option<Result<(), Refused>> {
        self.landed = None;
        match op {
            Op::Open { age, deposit, lamports_before, tokens_before } => {
                return Some(self.open(age, deposit, lamports_before, tokens_before));
            }
            Op::Settle { channel, voucher } => {
                let open_slot = self.select(channel);
                let voucher = self.sign(open_slot, voucher);
                let proof = self.prove(voucher);
                self.send(|world| world.settle_proof(&proof));
                return Some(self.apply(|model| model.settle(open_slot, voucher)));
            }
            Op::Promise { channel, voucher, ceiling } => {
                let open_slot = self.select(channel);
                self.sign_either(open_slot, voucher, ceiling);
            }
            Op::Replay { channel, voucher, by } => {
                let open_slot = self.select(channel);
                if self.vouchers.is_empty() {
                    return None;
                }
                let voucher = self.vouchers[voucher % self.vouchers.len()];
                return Some(self.replay(open_slot, voucher, by));
            }
            Op::SettleBatch { channels, targets, tells } => {
                let batch = self.sign_batch(channels, targets);
                self.batches.push(batch.clone());
                return Some(self.settle_batch(&batch, tells));
            }
            Op::ReplayBatch { batch, tells } => {
                if self.batches.is_empty() {
                    return None;
                }
                let batch = self.batches[batch % self.batches.len()].clone();
                return Some(self.settle_batch(&batch, tells));
            }
            Op::Rearm { channel, voucher, by_owner } => {
                let open_slot = self.select(channel);
                let voucher = voucher.map(|voucher| self.sign(open_slot, voucher));
                match voucher.map(|voucher| self.prove(voucher)) {
                    Some(proof) => self.send(|world| by(by_owner, world.rearm_with_proof(&proof))),
                    None => self.send(|world| by(by_owner, world.rearm())),
                }
                return Some(self.apply(|model| model.rearm(open_slot, voucher, by_owner)));
            }
            Op::SettleUpTo { channel, voucher, amount, by_owner } => {
                let open_slot = self.select(channel);
                let amount = self.cumulative(open_slot, amount);
                let voucher = self.sign_either(open_slot, voucher, true);
                let proof = self.prove(voucher);
                self.send(|world| by(by_owner, world.settle_up_to_proof(amount, &proof)));
                return Some(self.apply(|model| model.settle_up_to(open_slot, voucher, amount, by_owner)));
            }
            Op::SettleClosing { channel, voucher } => {
                let open_slot = self.select(channel);
                let voucher = self.sign(open_slot, voucher);
                return Some(self.replay(open_slot, voucher, Way::Closing));
            }
            Op::Checkpoint { channel } => {
                self.select(channel);
                return Some(self.checkpoint());
            }
            Op::TopUp { channel, amount, by_owner } => {
                let open_slot = self.select(channel);
                self.send(|world| by(by_owner, world.top_up(amount)));
                return Some(self.apply(|model| model.top_up(open_slot, amount, by_owner)));
            }
            Op::SettleAndSeal { channel, voucher, by_owner } => {
                let open_slot = self.select(channel);
                let voucher = voucher.map(|voucher| self.sign(open_slot, voucher));
                match voucher.map(|voucher| self.prove(voucher)) {
                    Some(proof) => self.send(|world| by(by_owner, world.settle_and_seal_proof(&proof))),
                    None => self.send(|world| by(by_owner, world.seal_as_payee())),
                }
                return Some(self.apply(|model| model.settle_and_seal(open_slot, voucher, by_owner)));
            }
            Op::RequestClose { channel, by_owner } => {
                let open_slot = self.select(channel);
                self.send(|world| by(by_owner, world.request_close()));
                return Some(self.apply(|model| model.request_close(open_slot, by_owner)));
            }
            Op::Seal { channel } => {
                let open_slot = self.select(channel);
                self.send(|world| world.seal());
                return Some(self.apply(|model| model.seal(open_slot)));
            }
            Op::Distribute { channel } => {
                let open_slot = self.select(channel);
                self.send(|world| world.distribute());
                return Some(self.apply(|model| model.distribute(open_slot)));
            }
            Op::WithdrawPayer { channel, by_owner } => {
                let open_slot = self.select(channel);
                self.send(|world| by(by_owner, world.withdraw_payer()));
                return Some(self.apply(|model| model.withdraw_payer(open_slot, by_owner)));
            }
            Op::Reclaim { channel, to_owner } => {
                let open_slot = self.select(channel);
                self.send(|world| {
                    let reclaim = world.reclaim();
                    if to_owner { reclaim } else { reclaim.account(1, named("stranger")) }
                });
                return Some(self.apply(|model| model.reclaim(open_slot, to_owner)));
            }
            Op::Exchange { channel, instruction, account, with } => {
                self.select(channel);
                let (action, account) = hostile::target(instruction, account);
                let with = self.pool(with);
                let mut attempt = action(&mut self.world);
                if attempt.account_at(account) == with {
                    return None;
                }
                attempt = attempt.account(account, with);
                self.landed = Some(attempt.send().is_ok());
                return Some(Err(Refused));
            }
            Op::PassSlots(slots) => self.model.slot += slots,
            Op::PassSeconds(seconds) => self.model.now += seconds,
            Op::GiveTokens { channel, amount } => {
                let open_slot = self.select(channel);
                self.give_tokens(open_slot, amount);
            }
            Op::GiveLamports { channel, amount } => {
                let open_slot = self.select(channel);
                if let Some(channel) = self.model.channels.get_mut(&open_slot)
                    && channel.stage != Stage::Gone
                {
                    channel.lamports += amount;
                    let address = self.world.channel.address;
                    let account = self.world.svm.get_account(&address).expect("a live channel");
                    self.world.put(address, Account { lamports: account.lamports + amount, ..account });
                }
            }
            Op::Change { party, to } => self.change(party % PARTIES, to),
        }
        self.world.set_clock(self.model.slot, self.model.now);
        None
    }

    fn open(
        &mut self,
        age: u64,
        deposit: u64,
        lamports_before: u64,
        tokens_before: u64,
    ) -> Result<(), Refused> {
        let open_slot = self.model.slot - age;
        let plan = self.world.channel.plan.clone();
        let channel =
            self.channels.entry(open_slot).or_insert_with(|| Channel::new(Plan { open_slot, ..plan }));
        channel.plan.deposit = deposit;
        self.world.channel = channel.clone();
        self.order.retain(|each| *each != open_slot);
        self.order.push(open_slot);
        let known = self.model.channels.contains_key(&open_slot);
        if tokens_before > 0 && !known {
            self.give_tokens(open_slot, tokens_before);
        }
        if lamports_before > 0 && !known {
            let gift = Account { rent_epoch: u64::MAX, ..Account::new(lamports_before, 0, &SYSTEM_PROGRAM) };
            self.world.put(self.world.channel.address, gift);
        }
        let lamports = self.world.lamports(&self.world.channel.address);
        self.send(|world| world.open());
        self.apply(|model| model.open(open_slot, deposit, lamports))
    }

    fn cumulative(&self, open_slot: u64, amount: Cumulative) -> u64 {
        let channel = self.model.channels.get(&open_slot);
        let (deposit, settled) = channel.map_or((0, 0), |channel| (channel.deposit, channel.settled));
        match amount {
            Cumulative::OfDeposit(bps) => (u128::from(deposit) * u128::from(bps) / 10_000) as u64,
            Cumulative::FromSettled(difference) => settled.saturating_add_signed(difference),
        }
    }

    fn sign(&mut self, open_slot: u64, claim: Claim) -> Signed {
        self.sign_either(open_slot, claim, false)
    }

    fn sign_either(&mut self, open_slot: u64, claim: Claim, ceiling: bool) -> Signed {
        let cumulative = self.cumulative(open_slot, claim.amount);
        let expires_at =
            if claim.expires_in == 0 { 0 } else { self.model.now.saturating_add(claim.expires_in) };
        let signed = Signed { ceiling, open_slot, cumulative, expires_at, genuine: claim.genuine };
        self.vouchers.push(signed);
        self.promise(open_slot, cumulative, claim.genuine);
        signed
    }

    fn promise(&mut self, open_slot: u64, cumulative: u64, genuine: bool) {
        let promised = self.promised.entry(open_slot).or_default();
        *promised = if genuine { cumulative.max(*promised) } else { *promised };
    }

    /// Expires when the first of `targets` says, and is signed by whom it says.
    fn sign_batch(&mut self, channels: [usize; 2], targets: [Claim; 2]) -> SignedBatch {
        let [Claim { expires_in, genuine, .. }, _] = targets;
        let expires_at = if expires_in == 0 { 0 } else { self.model.now.saturating_add(expires_in) };
        let mut by_slot = BTreeMap::new();
        for (channel, claim) in channels.into_iter().zip(targets) {
            let open_slot = self.select(channel);
            let target = self.cumulative(open_slot, claim.amount);
            by_slot.insert(open_slot, target);
        }
        for (open_slot, target) in &by_slot {
            self.promise(*open_slot, *target, genuine);
        }
        SignedBatch { targets: by_slot.into_iter().collect(), expires_at, genuine }
    }

    fn settle_batch(&mut self, signed: &SignedBatch, tells: bool) -> Result<(), Refused> {
        let targets = signed.targets.iter();
        let targets = targets.map(|(open_slot, target)| (self.channels[open_slot].address, *target));
        let batch = Batch { expires_at: signed.expires_at, ..Batch::of(targets) };
        let key = voucher_key(if signed.genuine { 3 } else { 4 });
        let proof = Proof::of(&batch.encode(), &key).instruction();
        let build = if tells { settle_batch_of_the_living } else { settle_batch };
        self.send(|world| world.attempt(build(&batch.channels())).preceded_by(proof));
        self.apply(|model| model.settle_batch(signed, tells))
    }

    /// Brings `voucher`, by whomever may.
    fn replay(&mut self, open_slot: u64, voucher: Signed, by: Way) -> Result<(), Refused> {
        let proof = self.prove(voucher);
        let part = voucher.cumulative.saturating_sub(1);
        match by {
            Way::Settle => {
                self.send(|world| world.settle_proof(&proof));
                self.apply(|model| model.settle(open_slot, voucher))
            }
            Way::Seal => {
                self.send(|world| world.settle_and_seal_proof(&proof));
                self.apply(|model| model.settle_and_seal(open_slot, Some(voucher), true))
            }
            Way::Rearm => {
                self.send(|world| world.rearm_with_proof(&proof));
                self.apply(|model| model.rearm(open_slot, Some(voucher), true))
            }
            Way::UpTo => {
                self.send(|world| world.settle_up_to_proof(part, &proof));
                self.apply(|model| model.settle_up_to(open_slot, voucher, part, true))
            }
            Way::Closing => {
                self.send(|world| world.settle_closing_proof(&proof));
                self.apply(|model| model.settle_closing(open_slot, voucher))
            }
        }
    }

    /// Always lands, and says what the account says.
    fn checkpoint(&mut self) -> Result<(), Refused> {
        let channel = self.world.channel.address;
        let state = self.channel_state(&channel);
        let landed = self.world.checkpoint().succeeds();
        let expected = match state {
            Some(state) => Event::Checkpointed { channel, state: Box::new(state) },
            None => Event::Vacant { channel },
        };
        assert_eq!(landed.events(), [expected]);
        self.landed = Some(true);
        Ok(())
    }

    /// The channel account at `address`, if the program has one there.
    fn channel_state(&self, address: &Pubkey) -> Option<ChannelState> {
        let account = self.world.svm.get_account(address).filter(|account| account.owner == program_id())?;
        Some(ChannelState::decode(&account.data))
    }

    fn prove(&self, signed: Signed) -> Proof {
        let channel = self.channels[&signed.open_slot].address;
        let voucher = Voucher {
            magic: if signed.ceiling { [0x43, 0x01] } else { [0x56, 0x01] },
            channel,
            cumulative: signed.cumulative,
            expires_at: signed.expires_at,
        };
        Proof::of(&voucher.encode(), &voucher_key(if signed.genuine { 3 } else { 4 }))
    }

    fn send(&mut self, action: impl FnOnce(&mut World) -> Attempt<'_>) {
        self.landed = Some(action(&mut self.world).send().is_ok());
    }

    /// On the model, all or nothing.
    fn apply(&mut self, action: impl FnOnce(&mut Model) -> Result<(), Refused>) -> Result<(), Refused> {
        let mut model = self.model.clone();
        action(&mut model)?;
        self.model = model;
        Ok(())
    }

    fn give_tokens(&mut self, open_slot: u64, amount: u64) {
        let held = self.model.escrows.get(&open_slot).copied().unwrap_or(0);
        self.world.put_tokens(self.channels[&open_slot].address, held + amount);
        self.model.give_tokens(open_slot, amount);
    }

    /// The address number `index` of those that somebody might pass off as another.
    fn pool(&self, index: usize) -> Pubkey {
        let parties = self.parties();
        let escrows = self.channels.values().flat_map(|channel| [channel.escrow, channel.address]);
        let accounts = parties.iter().flat_map(|(owner, address)| [*owner, *address]);
        let pool: Vec<_> = escrows.chain(accounts).chain(self.impostors.iter().copied()).collect();
        pool[index % pool.len()]
    }

    /// Each party's owner and token account.
    fn parties(&self) -> [(Pubkey, Pubkey); PARTIES] {
        let channel = &self.world.channel;
        let mut parties = [(channel.plan.payer, channel.payer_tokens); PARTIES];
        parties[PAYEE] = (channel.plan.payee, channel.payee_tokens);
        for (index, (recipient, _)) in channel.plan.splits.iter().enumerate() {
            parties[crate::model::RECIPIENTS + index] = (*recipient, channel.recipient_tokens[index]);
        }
        parties[TREASURY] = (treasury_owner(), channel.treasury_tokens);
        parties
    }

    fn change(&mut self, party: usize, to: Health) {
        let (owner, address) = self.parties()[party];
        self.model.change(party, to);
        let (mint, token_program) = (self.world.channel.mint, self.world.channel.token_program);
        let mut state = TokenState::ordinary(mint, owner, &token_program, self.model.tokens[party]);
        state.state = if to == Health::Frozen { FROZEN } else { INITIALIZED };
        if to == Health::Sold {
            state.owner = named("buyer");
        }
        if to == Health::Missing {
            self.world.remove(address);
            let savings = TokenState::ordinary(mint, owner, &token_program, self.model.savings[party]);
            self.world.put_token_state(named(&format!("savings {party}")), &savings);
        } else {
            self.world.put_token_state(address, &state);
        }
    }
}

/// Signed by whom the instruction is for, or by a stranger in its place.
fn by(owner: bool, attempt: Attempt<'_>) -> Attempt<'_> {
    if owner { attempt } else { attempt.account(0, named("stranger")) }
}
