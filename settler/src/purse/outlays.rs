//! What each kind of transaction takes.

use solana_pubkey::Pubkey;
use toll_ledger::{ChannelRecord, SpendingKind};

use super::{Outlay, Prices};

/// The parts of one transaction's cost.
pub(crate) struct Outlays;

impl Outlays {
    /// An open at `fee`, paid by us: fee and rent leave, and its close is ours to pay.
    pub(crate) fn open(record: &ChannelRecord, prices: &Prices, fee: u64) -> Outlay {
        Outlay {
            kind: SpendingKind::Open,
            payer: Some(record.agreement.terms.payer),
            lamports: fee
                .saturating_add(prices.channel_rent)
                .saturating_add(prices.account_rent(&record.agreement.token_program)),
            charge: fee.saturating_add(prices.close_fee),
            channels: 1,
        }
    }

    /// An open whose fee and rent its payer pays: nothing leaves now, but its close is ours to pay.
    pub(crate) fn open_by_payer(record: &ChannelRecord, prices: &Prices) -> Outlay {
        Outlay {
            kind: SpendingKind::Close,
            payer: Some(record.agreement.terms.payer),
            lamports: 0,
            charge: prices.close_fee,
            channels: 1,
        }
    }

    /// A top-up at `fee`, paid by us.
    pub(crate) fn top_up(record: &ChannelRecord, fee: u64) -> Outlay {
        let payer = Some(record.agreement.terms.payer);
        Outlay { kind: SpendingKind::TopUp, payer, lamports: fee, charge: fee, channels: 0 }
    }

    /// A single payment at `fee`, paid by us, and the rent of the token accounts that it may create: they are others'.
    pub(crate) fn charge(
        payer: Pubkey,
        token_program: &Pubkey,
        created: usize,
        prices: &Prices,
        fee: u64,
    ) -> Outlay {
        let rent = prices.account_rent(token_program).saturating_mul(created as u64);
        let lamports = fee.saturating_add(rent);
        Outlay { kind: SpendingKind::Charge, payer: Some(payer), lamports, charge: lamports, channels: 0 }
    }

    /// A settle without close at `fee`.
    pub(crate) fn settle(record: &ChannelRecord, fee: u64) -> Outlay {
        let payer = Some(record.agreement.terms.payer);
        Outlay { kind: SpendingKind::Settle, payer, lamports: fee, charge: fee, channels: 0 }
    }

    /// A token account for a payer's refund. Its rent is the payer's from then on.
    pub(crate) fn refund_account(record: &ChannelRecord, prices: &Prices) -> Outlay {
        let (payer, rent) =
            (Some(record.agreement.terms.payer), prices.account_rent(&record.agreement.token_program));
        Outlay { kind: SpendingKind::RefundAccount, payer, lamports: rent, charge: rent, channels: 0 }
    }

    /// Token accounts of the operator's own, of these token programs.
    pub(crate) fn own_accounts(prices: &Prices, token_programs: &[Pubkey]) -> Outlay {
        let rents = token_programs.iter().map(|program| prices.account_rent(program));
        let lamports = rents.fold(0, u64::saturating_add);
        Outlay { kind: SpendingKind::OwnAccount, payer: None, lamports, charge: 0, channels: 0 }
    }

    /// One part for each purpose and payer.
    pub(crate) fn summed(outlays: impl IntoIterator<Item = Outlay>) -> Vec<Outlay> {
        let mut sums: Vec<Outlay> = Vec::new();
        for outlay in outlays {
            match sums.iter_mut().find(|sum| (sum.kind, sum.payer) == (outlay.kind, outlay.payer)) {
                Some(sum) => {
                    sum.lamports = sum.lamports.saturating_add(outlay.lamports);
                    sum.charge = sum.charge.saturating_add(outlay.charge);
                    sum.channels = sum.channels.saturating_add(outlay.channels);
                }
                None => sums.push(outlay),
            }
        }
        sums
    }

    /// A transaction at `fee` that brings a channel nearer to its end. The open was charged for it.
    pub(crate) fn close(record: Option<&ChannelRecord>, fee: u64) -> Outlay {
        let payer = record.map(|record| record.agreement.terms.payer);
        Outlay { kind: SpendingKind::Close, payer, lamports: fee, charge: 0, channels: 0 }
    }
}
