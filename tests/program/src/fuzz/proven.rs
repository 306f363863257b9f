//! What somebody signed, and what it is worth: vouchers and batches of every kind that matters.

use super::ground::DEPOSIT;
use crate::batch::Batch;
use crate::plan::Channel;
use crate::program::named;
use crate::proof::Proof;
use crate::voucher::{Voucher, voucher_key};
use crate::world::NOW;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Which kind of message was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For one channel.
    Voucher,
    /// For one channel; only `settle_up_to` reads it.
    Ceiling,
    /// For many; only `settle_batch` reads it.
    Batch,
}

/// A proof that somebody signed something. The precompile accepts each of them.
pub(super) struct Proven {
    pub(super) form: Form,
    /// Channels in the message's order, and what each may have settled.
    pub(super) promises: Vec<(Pubkey, u64)>,
    /// By the authorized signer, and not expired.
    pub(super) good: bool,
    pub(super) instruction: Instruction,
}

impl Proven {
    /// What the message says of `channel`, in base units, whoever signed it.
    pub(super) fn promise(&self, channel: &Pubkey) -> Option<u64> {
        self.promises.iter().find_map(|(promised, amount)| (promised == channel).then_some(*amount))
    }

    /// The channels in the message's order.
    pub(super) fn channels(&self) -> Vec<Pubkey> {
        self.promises.iter().map(|(channel, _)| *channel).collect()
    }
}

/// The vouchers for one channel, and the ceilings.
pub(super) fn vouchers(channel: &Channel) -> Vec<Proven> {
    let mut proven = of_form(channel, Form::Voucher, [0x56, 0x01]);
    proven.extend(of_form(channel, Form::Ceiling, [0x43, 0x01]));
    proven
}

fn of_form(channel: &Channel, form: Form, magic: [u8; 2]) -> Vec<Proven> {
    let address = channel.address;
    let prove = |cumulative: u64, expires_at: i64, genuine: bool| {
        let voucher = Voucher { magic, channel: address, cumulative, expires_at };
        Proof::of(&voucher.encode(), &voucher_key(channel.plan.voucher_key + u8::from(!genuine)))
    };
    let usable = |cumulative| prove(cumulative, 0, true);
    let proven = |cumulative, good, proof: Proof| Proven {
        form,
        promises: vec![(address, cumulative)],
        good,
        instruction: proof.instruction(),
    };
    vec![
        proven(6_000, true, usable(6_000)),
        proven(DEPOSIT, true, prove(DEPOSIT, NOW + 1, true)),
        proven(DEPOSIT + 1, true, usable(DEPOSIT + 1)),
        proven(1, true, usable(1)),
        proven(6_000, false, prove(6_000, NOW, true)),
        proven(6_000, false, prove(6_000, 0, false)),
        // Good signatures in a form that leaves room for doubt about what was signed.
        proven(6_000, false, usable(6_000).rearranged([2, 6, 10])),
        proven(6_000, false, usable(6_000).rearranged([10, 6, 2])),
        proven(6_000, false, usable(6_000).with_byte(1, 7)),
        proven(6_000, false, usable(6_000).followed_by(&[0])),
    ]
}

/// The batches: for each channel alone, for each beside those of `settleable`, and for these.
pub(super) fn batches(channels: &[Channel], settleable: &[(Pubkey, u64)]) -> Vec<Proven> {
    let mut batches: Vec<_> = channels.iter().flat_map(|channel| of_one(channel, settleable)).collect();
    let key = channels[0].plan.voucher_key;
    batches.push(proven(Batch::of(settleable.iter().copied()), key, true));
    batches
}

fn of_one(channel: &Channel, settleable: &[(Pubkey, u64)]) -> Vec<Proven> {
    let (address, key) = (channel.address, channel.plan.voucher_key);
    let one = |target| Batch::of([(address, target)]);
    let company = || settleable.iter().copied().filter(|(other, _)| *other != address).take(3);
    let with_company = |target| Batch::of(company().chain([(address, target)]));
    let mut twice = one(6_000);
    twice.targets.push((address, 7_000));
    twice.count = 2;
    let mut descending = with_company(6_000);
    descending.targets.reverse();
    vec![
        proven(one(6_000), key, true),
        proven(Batch { expires_at: NOW + 1, ..one(DEPOSIT) }, key, true),
        proven(one(DEPOSIT + 1), key, true),
        proven(one(5_000), key, true),
        proven(with_company(6_000), key, true),
        proven(with_company(5_001), key, true),
        proven(with_company(0), key, true),
        proven(Batch { expires_at: NOW, ..one(6_000) }, key, false),
        proven(one(6_000), key + 1, false),
        proven(Batch { magic: [0x56, 0x01], ..one(6_000) }, key, false),
        proven(Batch { program: named("fork"), ..with_company(6_000) }, key, false),
        proven(Batch { count: 2, ..one(6_000) }, key, false),
        proven(twice, key, false),
        proven(descending, key, false),
    ]
}

fn proven(batch: Batch, key: u8, good: bool) -> Proven {
    let instruction = Proof::of(&batch.encode(), &voucher_key(key)).instruction();
    Proven { form: Form::Batch, promises: batch.targets, good, instruction }
}
