//! What is measured: one transaction on a world made for it.

use solana_pubkey::Pubkey;
use toll_program_tests::{
    ASSOCIATED_TOKEN_PROGRAM, Attempt, Batch, Channel, ChannelState, NOW, Plan, SLOT, Status, TokenKind,
    World, compute_unit_limit,
};

/// What a transaction may cost before LiteSVM stops it.
const BUDGET: u32 = 1_400_000;
const DEPOSIT: u64 = 1_000_000;
/// Leaves a remainder in every split, so that the treasury gets something too.
const SETTLED: u64 = 500_003;
/// From this many recipients on, a transaction fits a packet only with a lookup table.
const LOOKUP_TABLE_FROM: usize = 16;

/// One transaction to measure. Add an instruction here, then its rows.
#[derive(Clone, Copy, Debug)]
pub enum Scenario {
    /// Opens a channel with so many recipients.
    Open(TokenKind, usize),
    /// Settles a voucher on a channel that has settled so much.
    Settle {
        /// Base units settled before.
        settled: u64,
    },
    /// Adds to the deposit.
    TopUp(TokenKind),
    /// Starts the grace period.
    RequestClose,
    /// Seals after the grace period.
    Seal,
    /// The payee seals, with or without a voucher.
    SettleAndSeal {
        /// The status before.
        from: Status,
        /// Whether it settles a voucher too.
        voucher: bool,
    },
    /// Pays out to so many recipients: an open channel its shares, a sealed one the refund and the rest too.
    Distribute(TokenKind, usize, Status),
    /// The payer takes the refund.
    WithdrawPayer(TokenKind),
    /// Frees the account.
    Reclaim,
    /// Settles so many channels with one signature.
    SettleBatch(usize),
    /// The same when one of them is sealed.
    SettleBatchDead(usize),
    /// The payee ends the session of a channel with so many recipients, with or without a last voucher.
    Rearm {
        /// The token program.
        token: TokenKind,
        /// Recipients beside the payee.
        recipients: usize,
        /// Whether it settles a voucher too.
        voucher: bool,
    },
    /// The payee settles a part of a ceiling.
    SettleUpTo,
    /// Settles a voucher during the grace period.
    SettleClosing,
    /// Tells what a channel is, or that there is none.
    Checkpoint {
        /// Whether there is one.
        opened: bool,
    },
}

impl Scenario {
    /// Runs it; it has to land.
    pub(super) fn compute_units(self) -> u64 {
        let mut world = self.world();
        self.attempt(&mut world).started_by(compute_unit_limit(BUDGET)).succeeds().compute_units()
    }

    fn world(self) -> World {
        match self {
            Self::Open(token, recipients) => World::before_open(plan(token, recipients)),
            Self::Settle { settled } => with_state(TokenKind::Spl, 1, |state| state.settled = settled),
            Self::TopUp(token) => with_state(token, 1, |_| {}),
            Self::RequestClose => with_state(TokenKind::Spl, 1, |_| {}),
            Self::Seal => {
                let mut world = with_status(TokenKind::Spl, 1, Status::Closing);
                world.at_time(i64::MAX);
                world
            }
            Self::SettleAndSeal { from, .. } => with_status(TokenKind::Spl, 1, from),
            Self::Distribute(token, recipients, status) => with_status(token, recipients, status),
            Self::WithdrawPayer(token) => with_status(token, 1, Status::Sealed),
            Self::Reclaim => {
                let mut world = with_status(TokenKind::Spl, 1, Status::Distributed);
                world.at_slot(u64::MAX);
                world
            }
            Self::SettleBatch(count) => with_batch(count).0,
            Self::SettleBatchDead(count) => {
                let mut world = with_batch(count).0;
                world.edit(|state| state.status = Status::Sealed as u8);
                world
            }
            Self::Rearm { token, recipients, .. } => with_status(token, recipients, Status::Open),
            Self::SettleClosing => with_status(TokenKind::Spl, 1, Status::Closing),
            Self::SettleUpTo | Self::Checkpoint { opened: true } => with_state(TokenKind::Spl, 1, |_| {}),
            Self::Checkpoint { opened: false } => World::before_open(plan(TokenKind::Spl, 1)),
        }
    }

    fn attempt(self, world: &mut World) -> Attempt<'_> {
        match self {
            Self::Open(_, recipients) => through_packet(world.open(), recipients),
            Self::Settle { .. } => {
                let voucher = world.voucher(DEPOSIT - 1);
                world.settle(&voucher)
            }
            Self::TopUp(_) => world.top_up(1_000),
            Self::RequestClose => world.request_close(),
            Self::Seal => world.seal(),
            Self::SettleAndSeal { voucher: true, .. } => {
                let voucher = world.voucher(DEPOSIT - 1);
                world.settle_and_seal(&voucher)
            }
            Self::SettleAndSeal { voucher: false, .. } => world.seal_as_payee(),
            Self::Distribute(_, recipients, _) => through_packet(world.distribute(), recipients),
            Self::WithdrawPayer(_) => world.withdraw_payer(),
            Self::Reclaim => world.reclaim(),
            Self::SettleBatch(count) => through_packet(world.settle_batch(&with_batch(count).1), count),
            Self::SettleBatchDead(count) => {
                through_packet(world.settle_batch_of_the_living(&with_batch(count).1), count)
            }
            Self::Rearm { recipients, voucher: true, .. } => {
                let voucher = world.voucher(DEPOSIT - 1);
                through_packet(world.rearm_with(&voucher), recipients)
            }
            Self::Rearm { recipients, voucher: false, .. } => through_packet(world.rearm(), recipients),
            Self::SettleUpTo => {
                let ceiling = world.ceiling(DEPOSIT);
                world.settle_up_to(SETTLED, &ceiling)
            }
            Self::SettleClosing => {
                let voucher = world.voucher(DEPOSIT - 1);
                world.settle_closing(&voucher)
            }
            Self::Checkpoint { .. } => world.checkpoint(),
        }
    }
}

fn through_packet(attempt: Attempt<'_>, recipients: usize) -> Attempt<'_> {
    if recipients < LOOKUP_TABLE_FROM { attempt } else { attempt.through_lookup_table() }
}

fn with_status(token: TokenKind, recipients: usize, status: Status) -> World {
    with_state(token, recipients, |state| {
        state.status = status as u8;
        state.settled = SETTLED;
        if status == Status::Closing {
            state.closure_started_at = NOW;
        }
    })
}

fn with_state(token: TokenKind, recipients: usize, change: impl FnOnce(&mut ChannelState)) -> World {
    World::with_state(plan(token, recipients), change)
}

/// So many open channels that share an authorized signer, and a batch that raises each.
fn with_batch(count: usize) -> (World, Batch) {
    let mut world = World::before_open(plan(TokenKind::Spl, 1));
    let mut targets = Vec::new();
    for salt in 0..count as u64 {
        world.channel = Channel::new(Plan { salt, ..world.channel.plan.clone() });
        let state = world.channel.opened();
        world.put_channel(&state);
        targets.push((world.channel.address, SETTLED + salt));
    }
    (world, Batch::of(targets))
}

/// A channel of so many recipients with equal shares that leave some for the payee, at the first salt that gives
/// channel and escrow bump 255.
fn plan(token: TokenKind, recipients: usize) -> Plan {
    let share = 9_600u16.checked_div(recipients as u16).unwrap_or(0);
    let plan =
        Plan { token, deposit: DEPOSIT, open_slot: SLOT, ..Plan::with_shares(&vec![share; recipients]) };
    (0..).map(|salt| Plan { salt, ..plan.clone() }).find(has_best_bumps).expect("one salt in four will do")
}

fn has_best_bumps(plan: &Plan) -> bool {
    let channel = Channel::new(Plan { splits: Vec::new(), ..plan.clone() });
    let seeds = [channel.address.as_ref(), channel.token_program.as_ref(), channel.mint.as_ref()];
    let (_, escrow_bump) = Pubkey::find_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM);
    channel.bump == u8::MAX && escrow_bump == u8::MAX
}
