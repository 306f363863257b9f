//! What actors may do. Numbers are relative, so that most sequences get somewhere.

/// One step of a sequence.
///
/// `channel` counts the incarnations so far, modulo their number; `by_owner` says whether the one who may send
/// the instruction does, or somebody else in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Opens an incarnation `age` slots back, perhaps on an address that somebody prefunded.
    Open {
        age: u64,
        deposit: u64,
        lamports_before: u64,
        tokens_before: u64,
    },
    Settle {
        channel: usize,
        voucher: Claim,
    },
    /// Signs a voucher, or a ceiling, that stays off chain for now.
    Promise {
        channel: usize,
        voucher: Claim,
        ceiling: bool,
    },
    /// Brings a voucher signed earlier in the sequence, for whichever channel it was.
    Replay {
        channel: usize,
        voucher: usize,
        by: Way,
    },
    /// Signs targets for two channels, or for one if both are the same, and settles them; all or none, or those that
    /// still can where it may tell of the others.
    SettleBatch {
        channels: [usize; 2],
        targets: [Claim; 2],
        tells: bool,
    },
    /// Settles a batch signed earlier in the sequence.
    ReplayBatch {
        batch: usize,
        tells: bool,
    },
    Rearm {
        channel: usize,
        voucher: Option<Claim>,
        by_owner: bool,
    },
    SettleUpTo {
        channel: usize,
        voucher: Claim,
        amount: Cumulative,
        by_owner: bool,
    },
    SettleClosing {
        channel: usize,
        voucher: Claim,
    },
    Checkpoint {
        channel: usize,
    },
    TopUp {
        channel: usize,
        amount: u64,
        by_owner: bool,
    },
    SettleAndSeal {
        channel: usize,
        voucher: Option<Claim>,
        by_owner: bool,
    },
    RequestClose {
        channel: usize,
        by_owner: bool,
    },
    Seal {
        channel: usize,
    },
    Distribute {
        channel: usize,
    },
    WithdrawPayer {
        channel: usize,
        by_owner: bool,
    },
    Reclaim {
        channel: usize,
        to_owner: bool,
    },
    /// Sends an instruction with one account exchanged for another that somebody might try.
    Exchange {
        channel: usize,
        instruction: usize,
        account: usize,
        with: usize,
    },
    PassSlots(u64),
    PassSeconds(i64),
    /// Anyone sends tokens to an escrow address, making the account if there is none.
    GiveTokens {
        channel: usize,
        amount: u64,
    },
    /// Anyone sends lamports to a channel's address.
    GiveLamports {
        channel: usize,
        amount: u64,
    },
    /// A party's token account becomes unusable, or usable again.
    Change {
        party: usize,
        to: Health,
    },
}

impl Op {
    /// The instruction that it sends, or what else it does.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Settle { .. } => "settle",
            Self::Promise { .. } => "promise",
            Self::Replay { .. } => "replay",
            Self::SettleBatch { .. } => "settle_batch",
            Self::ReplayBatch { .. } => "replay_batch",
            Self::Rearm { .. } => "rearm",
            Self::SettleUpTo { .. } => "settle_up_to",
            Self::SettleClosing { .. } => "settle_closing",
            Self::Checkpoint { .. } => "checkpoint",
            Self::TopUp { .. } => "top_up",
            Self::SettleAndSeal { .. } => "settle_and_seal",
            Self::RequestClose { .. } => "request_close",
            Self::Seal { .. } => "seal",
            Self::Distribute { .. } => "distribute",
            Self::WithdrawPayer { .. } => "withdraw_payer",
            Self::Reclaim { .. } => "reclaim",
            Self::Exchange { .. } => "exchange",
            Self::PassSlots(_) | Self::PassSeconds(_) => "wait",
            Self::GiveTokens { .. } | Self::GiveLamports { .. } => "give",
            Self::Change { .. } => "change",
        }
    }
}

/// An instruction that takes a voucher, or the one that takes a ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Settle,
    Seal,
    Rearm,
    /// One unit less than the whole.
    UpTo,
    Closing,
}

/// A voucher that some key signs; a ceiling, for the instruction that takes those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) amount: Cumulative,
    /// Seconds from now; 0 means never.
    pub(crate) expires_in: i64,
    /// By the authorized signer, or by some other key.
    pub(crate) genuine: bool,
}

/// A cumulative amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cumulative {
    /// Ten-thousandths of the deposit.
    OfDeposit(u64),
    /// So much above, or below, what is settled.
    FromSettled(i64),
}

/// What a party's token account is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    Frozen,
    /// Closed; its tokens were moved to the owner's savings.
    Missing,
    /// Somebody else owns it now.
    Sold,
}
