use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use solana_hash::Hash;
use solana_message::{VersionedMessage, v0, v1};
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{
    Amount, Channel, ChannelTerms, PROGRAM_ID, SignedVoucher, Split, Splits, TOKEN_2022_PROGRAM,
    TREASURY_OWNER, Voucher, compute_unit_limit, compute_unit_price, create_associated_token_account,
    ed25519_verify, encode_transaction,
};

use super::*;

fn key(group: u8, number: usize) -> Pubkey {
    let mut bytes = [group; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Pubkey::new_from_array(bytes)
}

fn fee_payer() -> Pubkey {
    key(1, 0)
}

fn budget() -> Vec<Instruction> {
    vec![compute_unit_limit(1)]
}

fn channel(number: usize, payer: usize, recipients: usize, token_program: Pubkey) -> Channel {
    let (payer, payee, mint) = (key(3, payer), key(2, 0), key(4, 0));
    let terms =
        ChannelTerms { payer, payee, mint, authorized_signer: payer, salt: number as u64, open_slot: 2 };
    let split = |index: usize| Split { recipient: key(5, index), share_bps: 100 };
    Channel {
        program: PROGRAM_ID,
        id: terms.address(&PROGRAM_ID).0,
        payer,
        payee,
        mint,
        token_program,
        rent_payer: fee_payer(),
        splits: Splits::new((0..recipients).map(split).collect()).unwrap(),
        treasury_owner: TREASURY_OWNER,
    }
}

fn verify(channel: &Channel) -> Instruction {
    let voucher = Voucher { channel_id: channel.id, cumulative_amount: Amount::new(16), expires_at: 0 };
    ed25519_verify(&SignedVoucher::sign(voucher, &SigningKey::from_bytes(&[3; 32])))
}

fn close(channel: &Channel) -> Vec<Instruction> {
    [seal(channel), vec![channel.distribute()]].concat()
}

fn seal(channel: &Channel) -> Vec<Instruction> {
    vec![verify(channel), channel.settle_and_seal(true)]
}

fn payout(channel: &Channel) -> Vec<Instruction> {
    vec![channel.distribute()]
}

fn settle(channel: &Channel) -> Vec<Instruction> {
    vec![verify(channel), channel.settle()]
}

fn rearm(channel: &Channel) -> Vec<Instruction> {
    vec![verify(channel), channel.rearm(true)]
}

fn reclaim(channel: &Channel) -> Vec<Instruction> {
    vec![channel.reclaim()]
}

/// How many channels, each of another payer, the first of many transactions takes.
fn most(format: Format, of: fn(&Channel) -> Vec<Instruction>) -> usize {
    let instructions: Vec<_> = (0..70).map(|number| of(&channel(number, number, 0, TOKEN_PROGRAM))).collect();
    let parts: Vec<_> =
        instructions.iter().map(|instructions| Part { instructions, company: usize::MAX }).collect();
    pack(format, &Load::of(&fee_payer(), &budget()), &parts)[0].members.len()
}

#[test]
fn so_many_channels_of_different_payers_fit_each_format() {
    let row = |of| [Format::Legacy, Format::V0, Format::V1].map(|format| most(format, of));
    assert_eq!(row(close), [2, 2, 10]);
    assert_eq!(row(seal), [4, 4, 18]);
    assert_eq!(row(payout), [5, 5, 14]);
    assert_eq!(row(settle), [4, 4, 18]);
    assert_eq!(row(rearm), [2, 2, 12]);
    assert_eq!(row(reclaim), [27, 26, 62]);
}

#[test]
fn the_longest_format_is_stopped_by_calls_and_not_by_bytes() {
    let closes: Vec<_> = (0..10).flat_map(|one| close(&channel(one, one, 0, TOKEN_PROGRAM))).collect();
    let ten = Load::of(&fee_payer(), &budget()).with(&closes);
    let eleven = ten.with(&close(&channel(10, 10, 0, TOKEN_PROGRAM)));
    assert!(eleven.bytes(Format::V1) <= Format::V1.limits().bytes);
    assert!(ten.fits(Format::V1) && !eleven.fits(Format::V1));
}

fn transaction(message: VersionedMessage) -> usize {
    let signers = usize::from(message.header().num_required_signatures);
    let signatures = vec![Signature::default(); signers];
    encode_transaction(&VersionedTransaction { signatures, message }).len()
}

#[test]
fn bytes_are_those_of_the_encoded_transaction() {
    let payer = fee_payer();
    for count in 1..5 {
        let mut instructions: Vec<_> =
            (0..count).flat_map(|one| close(&channel(one, one % 2, one, TOKEN_2022_PROGRAM))).collect();
        instructions.push(create_associated_token_account(&payer, &key(2, 0), &key(4, 0), &TOKEN_PROGRAM));
        for budget in [vec![compute_unit_limit(7)], vec![compute_unit_limit(7), compute_unit_price(9)]] {
            let load = Load::of(&payer, &budget).with(&instructions);
            let all = [budget.clone(), instructions.clone()].concat();
            let legacy = solana_message::Message::new_with_blockhash(&all, Some(&payer), &Hash::default());
            assert_eq!(load.bytes(Format::Legacy), transaction(VersionedMessage::Legacy(legacy)));
            let second = v0::Message::try_compile(&payer, &all, &[], Hash::default()).unwrap();
            assert_eq!(load.bytes(Format::V0), transaction(VersionedMessage::V0(second)));

            let mut config = v1::TransactionConfig::empty()
                .with_compute_unit_limit(7)
                .with_loaded_accounts_data_size_limit(1);
            if budget.len() == 2 {
                config = config.with_priority_fee(9);
            }
            let third =
                v1::Message::try_compile_with_config(&payer, &instructions, Hash::default(), config).unwrap();
            let signatures = 64 * usize::from(third.header.num_required_signatures);
            assert_eq!(load.bytes(Format::V1), third.serialize().len() + signatures);
        }
    }
}

#[test]
fn whoever_signs_signs_once_for_all_channels() {
    let channels = [0, 1].map(|one| channel(one, one, 0, TOKEN_PROGRAM));
    let empty = Load::of(&fee_payer(), &budget());
    assert_eq!(empty.with(&close(&channels[0])).signers(), 2);
    let two: Vec<_> = channels.iter().flat_map(close).collect();
    assert_eq!(empty.with(&two).signers(), 2);
    assert_eq!(empty.with(&payout(&channels[0])).signers(), 1);
}

/// What a channel may need: which instructions, recipients, token program, whose, and in which company.
fn needs() -> impl Strategy<Value = Vec<(usize, usize, bool, usize, usize)>> {
    proptest::collection::vec((0..6usize, 0..20usize, any::<bool>(), 0..8usize, 1..66usize), 0..60)
}

fn instructions(needs: &[(usize, usize, bool, usize, usize)]) -> Vec<Vec<Instruction>> {
    let one = |(number, (kind, recipients, old, payer, _)): (usize, &(usize, usize, bool, usize, usize))| {
        let program = if *old { TOKEN_PROGRAM } else { TOKEN_2022_PROGRAM };
        let channel = channel(number, *payer, *recipients, program);
        match kind {
            0 => close(&channel),
            1 => seal(&channel),
            2 => payout(&channel),
            3 => settle(&channel),
            4 => vec![verify(&channel), channel.settle_closing()],
            _ => reclaim(&channel),
        }
    };
    needs.iter().enumerate().map(one).collect()
}

proptest! {
    // Every case derives hundreds of addresses.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_limit_is_exceeded_no_channel_lost_or_doubled_and_the_outcome_always_the_same(needs in needs()) {
        let instructions = instructions(&needs);
        let parts: Vec<_> = instructions
            .iter()
            .zip(&needs)
            .map(|(instructions, need)| Part { instructions, company: need.4 })
            .collect();
        let empty = Load::of(&fee_payer(), &budget());
        for format in [Format::Legacy, Format::V0, Format::V1] {
            let packs = pack(format, &empty, &parts);
            for pack in &packs {
                let joined: Vec<_> =
                    pack.members.iter().flat_map(|index| instructions[*index].clone()).collect();
                let load = empty.with(&joined);
                prop_assert_eq!(&load, &pack.load);
                // What fits nothing is alone.
                prop_assert!(load.fits(format) || pack.members.len() == 1);
                prop_assert!(pack.members.iter().all(|index| pack.members.len() <= parts[*index].company));
                prop_assert!(pack.members.is_sorted());
            }
            let mut members: Vec<_> = packs.iter().flat_map(|pack| pack.members.clone()).collect();
            members.sort_unstable();
            prop_assert_eq!(members, (0..parts.len()).collect::<Vec<_>>());
            prop_assert_eq!(&packs, &pack(format, &empty, &parts));
        }
    }

    #[test]
    fn packing_never_costs_more_than_one_transaction_for_each(needs in needs()) {
        let instructions = instructions(&needs);
        let together: Vec<_> =
            instructions.iter().map(|instructions| Part { instructions, company: usize::MAX }).collect();
        let alone: Vec<_> =
            instructions.iter().map(|instructions| Part { instructions, company: 1 }).collect();
        let empty = Load::of(&fee_payer(), &budget());
        for format in [Format::Legacy, Format::V0, Format::V1] {
            let (together, alone) = (pack(format, &empty, &together), pack(format, &empty, &alone));
            prop_assert!(signatures(&together) <= signatures(&alone));
            prop_assert_eq!(alone.len(), parts_of(&alone));
        }
    }
}

fn parts_of(packs: &[Pack]) -> usize {
    packs.iter().map(|pack| pack.members.len()).sum()
}
