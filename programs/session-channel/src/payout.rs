//! Who is owed what now, and where it goes.

use anchor_lang::prelude::*;
use toll_protocol::share_between;

use crate::error::ChannelError;
use crate::event::{emit, Beneficiary, PayoutRedirected};
use crate::state::{ChannelAccount, Split};
use crate::token::{Queue, Role, Token};

/// What each recipient, then the payee, earned between the watermarks `paid` and `settled`.
///
/// Shares are rounded down at every watermark and differences are paid, so that however often a channel pays out,
/// each is paid exactly its share of `settled`. What rounding keeps back stays in escrow until the end.
fn owed(paid: u64, settled: u64, splits: &[Split]) -> impl Iterator<Item = u64> + '_ {
    let recipients = splits.iter().map(|split| split.share_bps.get());
    let payee = core::iter::once_with(|| Split::payee_bps(splits));
    recipients.chain(payee).map(move |share_bps| share_between(paid, settled, share_bps))
}

/// One amount that is owed.
struct Due<'a> {
    beneficiary: Beneficiary,
    owner: &'a Address,
    amount: u64,
}

/// The payouts of one channel, collected before any of them is made.
pub struct Payouts<'a> {
    channel: &'a ChannelAccount,
    token: &'a Token,
    treasury: &'a AccountView,
    event_authority: &'a AccountView,
    queue: Queue,
    /// What the treasury gets, in one transfer after all others.
    for_treasury: u64,
}

impl<'a> Payouts<'a> {
    /// No payouts yet. `treasury` takes those that their beneficiary cannot.
    pub fn new(
        channel: &'a ChannelAccount,
        token: &'a Token,
        treasury: &'a AccountView,
        event_authority: &'a AccountView,
    ) -> Self {
        Self { channel, token, treasury, event_authority, queue: Queue::empty(), for_treasury: 0 }
    }

    /// Adds what is owed to the recipients, whose token accounts are `accounts`, and to the payee.
    #[inline(always)]
    pub fn pay_shares(
        &mut self,
        splits: &[Split],
        accounts: &[AccountView],
        payee: &AccountView,
    ) -> Result<()> {
        let channel = self.channel;
        let mut owed = owed(channel.payout_watermark.get(), channel.settled.get(), splits);
        for ((split, account), amount) in splits.iter().zip(accounts).zip(&mut owed) {
            self.pay(account, Due { beneficiary: Beneficiary::Recipient, owner: &split.recipient, amount })?;
        }
        let amount = owed.next().unwrap_or(0);
        self.pay(payee, Due { beneficiary: Beneficiary::Payee, owner: &channel.payee, amount })
    }

    /// Adds the payer's refund, unless it took it before.
    pub fn refund_payer(&mut self, account: &AccountView) -> Result<()> {
        let channel = self.channel;
        let amount = channel.deposit.get().saturating_sub(channel.settled.get());
        if amount == 0 || channel.payer_withdrawn_at.get() != 0 {
            return Ok(());
        }
        self.pay(account, Due { beneficiary: Beneficiary::Payer, owner: &channel.payer, amount })
    }

    /// Adds the refund of `amount` to an account of the payer's that was found usable.
    pub fn refund_to(&mut self, account: &AccountView, amount: u64) -> Result<()> {
        self.queue.push(account, amount)
    }

    /// Adds everything else in `escrow`, for the treasury: what rounding kept back, and gifts.
    pub fn sweep(&mut self, escrow: &AccountView) -> Result<()> {
        let queued = self.queue.total().checked_add(self.for_treasury);
        let rest = queued.and_then(|queued| self.token.balance(escrow).checked_sub(queued));
        self.give_to_treasury(rest.ok_or(ChannelError::DistributeBalanceCalculationOverflow)?)
    }

    /// Makes the payouts.
    pub fn send(mut self, escrow: &AccountView) -> Result<()> {
        self.queue.push(self.treasury, self.for_treasury)?;
        self.queue.send(self.token, escrow, self.channel)
    }

    /// However many payouts are redirected, the treasury gets one transfer: a transaction runs 64 instructions in
    /// all, and each redirection is an event already.
    fn give_to_treasury(&mut self, amount: u64) -> Result<()> {
        let sum = self.for_treasury.checked_add(amount);
        self.for_treasury = sum.ok_or(ChannelError::DistributeBalanceCalculationOverflow)?;
        Ok(())
    }

    /// Adds one payout: to `account` if it can take it, to the treasury if its owner made it unusable.
    #[inline(never)]
    fn pay(&mut self, account: &AccountView, due: Due) -> Result<()> {
        let Due { beneficiary, owner, amount } = due;
        let role = match beneficiary {
            Beneficiary::Recipient => Role::Recipient,
            Beneficiary::Payee => Role::Payee,
            Beneficiary::Payer => Role::Payer,
        };
        if amount == 0 {
            return self.token.require_address(account, owner, role);
        }
        let Err(fault) = self.token.check(account, owner) else {
            return self.queue.push(account, amount);
        };
        let Some(reason) = fault.redirect() else {
            return Err(role.error(fault));
        };
        let redirected = PayoutRedirected {
            channel: *self.channel.account().address(),
            owner: *owner,
            amount,
            beneficiary: beneficiary as u8,
            reason: reason as u8,
        };
        emit(self.event_authority, redirected)?;
        self.give_to_treasury(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(shares: &[u16]) -> Vec<Split> {
        let bytes: Vec<u8> =
            shares.iter().flat_map(|share| [vec![0; 32], share.to_le_bytes().to_vec()].concat()).collect();
        bytemuck::cast_slice(&bytes).to_vec()
    }

    /// Distributes at each watermark in turn.
    fn rounds(shares: &[u16], watermarks: &[u64]) -> Vec<Vec<u64>> {
        let splits = splits(shares);
        let mut paid = 0;
        watermarks
            .iter()
            .map(|settled| {
                let round = owed(paid, *settled, &splits).collect();
                paid = *settled;
                round
            })
            .collect()
    }

    // The vectors are V5 of the session draft's digest.

    #[test]
    fn thirds_pay_whole_units_only_and_leave_one_as_dust() {
        let rounds = rounds(&[3333, 3333], &[1, 2, 3, 4, 10]);
        assert_eq!(rounds, [[0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 0], [2, 2, 2]]);
    }

    #[test]
    fn uneven_shares_follow_their_vector() {
        let rounds = rounds(&[1000, 250], &[16, 33, 1_000_003]);
        assert_eq!(rounds, [[1, 0, 14], [2, 0, 14], [99_997, 25_000, 874_974]]);
    }

    #[test]
    fn many_payouts_come_to_the_same_as_one() {
        let shares = [1, 333, 2500, 4999];
        let watermarks: Vec<u64> = (1..2_000).map(|step| step * step).chain([u64::MAX]).collect();
        let stepwise = rounds(&shares, &watermarks).into_iter().fold(vec![0; 5], |sum: Vec<u64>, round| {
            sum.iter().zip(&round).map(|(sum, amount)| sum + amount).collect()
        });
        assert_eq!(vec![stepwise], rounds(&shares, &[u64::MAX]));
    }

    #[test]
    fn a_payee_without_splits_gets_everything() {
        assert_eq!(rounds(&[], &[7, u64::MAX]), [[7], [u64::MAX - 7]]);
    }
}
