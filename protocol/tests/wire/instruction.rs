use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use toll_protocol::*;

use crate::sample::*;

fn keys(instruction: &Instruction) -> Vec<Pubkey> {
    instruction.accounts.iter().map(|meta| meta.pubkey).collect()
}

fn accounts(instruction: &Instruction) -> Vec<(Pubkey, bool, bool)> {
    instruction.accounts.iter().map(|meta| (meta.pubkey, meta.is_signer, meta.is_writable)).collect()
}

#[test]
fn open_reads_back() {
    let instruction = open().instruction();
    assert_eq!(Open::decode(&instruction.data, &keys(&instruction)), Ok(open()));
}

#[test]
fn open_names_every_account_in_order() {
    let (open, terms) = (open(), terms());
    let channel = open.channel_id().pubkey();
    let token_account = |owner: &Pubkey| associated_token_address(owner, &terms.mint, &TOKEN_PROGRAM);
    let expected = vec![
        (terms.payer, true, true),
        (open.agreement.rent_payer, true, true),
        (terms.payee, false, false),
        (terms.mint, false, false),
        (terms.authorized_signer, false, false),
        (channel, false, true),
        (token_account(&terms.payer), false, true),
        (token_account(&channel), false, true),
        (TOKEN_PROGRAM, false, false),
        (SYSTEM_PROGRAM, false, false),
        (RENT_SYSVAR, false, false),
        (ASSOCIATED_TOKEN_PROGRAM, false, false),
        (event_authority(&PROGRAM_ID), false, false),
        (PROGRAM_ID, false, false),
    ];
    assert_eq!(accounts(&open.instruction()), expected);
}

// Whatever account is exchanged, either it or one derived from it no longer fits.
#[test]
fn open_with_any_account_exchanged_is_another_open_or_none() {
    let instruction = open().instruction();
    for index in 0..instruction.accounts.len() {
        let mut keys = keys(&instruction);
        keys[index] = key(0x77);
        match Open::decode(&instruction.data, &keys) {
            // Rent payers are free to be anyone; the caller compares.
            Ok(other) => assert_eq!((index, other.agreement.rent_payer), (1, key(0x77))),
            Err(error) => assert!(matches!(error, InstructionError::Account { .. }), "{index}: {error}"),
        }
    }
}

#[test]
fn open_with_more_or_fewer_accounts_is_refused() {
    let instruction = open().instruction();
    let mut more = keys(&instruction);
    more.push(key(1));
    assert_eq!(
        Open::decode(&instruction.data, &more),
        Err(InstructionError::AccountCount { expected: 14, found: 15 })
    );
    assert_eq!(
        Open::decode(&instruction.data, &more[..13]),
        Err(InstructionError::AccountCount { expected: 14, found: 13 })
    );
}

#[test]
fn open_with_other_data_is_refused() {
    let instruction = open().instruction();
    let (data, keys) = (instruction.data.clone(), keys(&instruction));
    assert_eq!(Open::decode(&[], &keys), Err(InstructionError::Discriminator(None)));
    assert_eq!(Open::decode(&[2], &keys), Err(InstructionError::Discriminator(Some(2))));
    assert_eq!(Open::decode(&data[..20], &keys), Err(InstructionError::DataLength(20)));
    assert_eq!(Open::decode(&data[..29], &keys), Err(SplitsError::Length.into()));
    assert_eq!(Open::decode(&[data.as_slice(), &[0]].concat(), &keys), Err(SplitsError::Length.into()));
}

#[test]
fn changing_a_seed_in_the_data_moves_the_channel() {
    let instruction = open().instruction();
    // Salt and open slot are seeds, so the channel in the account list no longer fits.
    for offset in [1, 21] {
        let mut data = instruction.data.clone();
        data[offset] ^= 1;
        let error = Open::decode(&data, &keys(&instruction)).expect_err("another address");
        assert!(matches!(error, InstructionError::Account { index: 5, .. }), "{error}");
    }
}

#[test]
fn top_up_reads_back_and_names_its_accounts() {
    let channel = channel();
    let instruction = channel.top_up(Amount::new(1_000));
    let expected = vec![
        (channel.payer, true, true),
        (channel.id.pubkey(), false, true),
        (channel.token_account(&channel.payer), false, true),
        (channel.escrow(), false, true),
        (channel.mint, false, false),
        (TOKEN_PROGRAM, false, false),
    ];
    assert_eq!(accounts(&instruction), expected);
    let top_up = TopUp::decode(&instruction.data, &keys(&instruction)).expect("the same");
    assert_eq!(
        (top_up.channel, top_up.amount, top_up.payer),
        (channel.id, Amount::new(1_000), channel.payer)
    );
    assert_eq!(top_up.instruction(&channel.program), instruction);
}

#[test]
fn top_up_from_or_into_another_account_is_refused() {
    let instruction = channel().top_up(Amount::new(1_000));
    for index in [0, 1, 2, 3, 4, 5] {
        let mut keys = keys(&instruction);
        keys[index] = key(0x77);
        let error = TopUp::decode(&instruction.data, &keys).expect_err("an account does not fit");
        assert!(matches!(error, InstructionError::Account { .. }), "{index}: {error}");
    }
    let keys = keys(&instruction);
    assert_eq!(TopUp::decode(&[3, 1], &keys), Err(InstructionError::DataLength(2)));
    assert_eq!(
        TopUp::decode(&instruction.data, &keys[..5]),
        Err(InstructionError::AccountCount { expected: 6, found: 5 })
    );
}

#[test]
fn settling_needs_the_channel_and_the_instructions_sysvar() {
    let channel = channel();
    let id = channel.id.pubkey();
    let settle = vec![(id, false, true), (INSTRUCTIONS_SYSVAR, false, false)];
    assert_eq!(accounts(&channel.settle()), settle);
    let seal = vec![(channel.payee, true, false), (id, false, true), (INSTRUCTIONS_SYSVAR, false, false)];
    assert_eq!(accounts(&channel.settle_and_seal(true)), seal);
    assert_eq!(accounts(&channel.settle_and_seal(false)), seal);
    assert_eq!(accounts(&channel.seal()), [(id, false, true)]);
}

#[test]
fn leaving_needs_the_payers_signature() {
    let channel = channel();
    let id = channel.id.pubkey();
    assert_eq!(accounts(&channel.request_close()), [(channel.payer, true, false), (id, false, true)]);
    let withdraw = vec![
        (channel.payer, true, false),
        (id, false, true),
        (channel.escrow(), false, true),
        (channel.token_account(&channel.payer), false, true),
        (channel.mint, false, false),
        (TOKEN_PROGRAM, false, false),
    ];
    assert_eq!(accounts(&channel.withdraw_payer()), withdraw);
    assert_eq!(accounts(&channel.reclaim()), [(id, false, true), (channel.rent_payer, false, true)]);
}

#[test]
fn distribute_names_its_head_and_then_every_recipient_in_order() {
    let channel = channel();
    let expected = vec![
        (channel.id.pubkey(), false, true),
        (channel.payer, false, true),
        (channel.rent_payer, false, true),
        (channel.escrow(), false, true),
        (channel.token_account(&channel.payer), false, true),
        (channel.token_account(&channel.payee), false, true),
        (channel.token_account(&TREASURY_OWNER), false, true),
        (channel.mint, false, false),
        (TOKEN_PROGRAM, false, false),
        (event_authority(&PROGRAM_ID), false, false),
        (PROGRAM_ID, false, false),
        (channel.token_account(&key(0x11)), false, true),
        (channel.token_account(&key(0x22)), false, true),
    ];
    assert_eq!(accounts(&channel.distribute()), expected);
    assert_eq!(channel.beneficiaries(), [key(0x11), key(0x22), channel.payee, channel.payer, TREASURY_OWNER]);
}

#[test]
fn every_instruction_is_recognized() {
    let channel = channel();
    let id = channel.id;
    let seal = |has_voucher| ChannelInstruction::SettleAndSeal { channel: id, has_voucher };
    let instructions = [
        (channel.settle(), ChannelInstruction::Settle(id)),
        (channel.settle_and_seal(true), seal(true)),
        (channel.settle_and_seal(false), seal(false)),
        (channel.request_close(), ChannelInstruction::RequestClose(id)),
        (channel.seal(), ChannelInstruction::Seal(id)),
        (channel.distribute(), ChannelInstruction::Distribute { channel: id, splits: splits() }),
        (channel.withdraw_payer(), ChannelInstruction::WithdrawPayer(id)),
        (channel.reclaim(), ChannelInstruction::Reclaim(id)),
        (channel.rearm(true), ChannelInstruction::Rearm { channel: id, has_voucher: true, splits: splits() }),
        (
            channel.settle_up_to(Amount::new(9)),
            ChannelInstruction::SettleUpTo { channel: id, amount: Amount::new(9) },
        ),
        (channel.settle_closing(), ChannelInstruction::SettleClosing(id)),
        (channel.checkpoint(), ChannelInstruction::Checkpoint(id)),
        (open().instruction(), ChannelInstruction::Open(Box::new(open()))),
    ];
    for (instruction, expected) in instructions {
        let decoded = ChannelInstruction::decode(&instruction.data, &keys(&instruction));
        assert_eq!(decoded.as_ref().map(ChannelInstruction::channels), Ok(vec![id]));
        assert_eq!(decoded, Ok(expected));
    }
    let top_up = channel.top_up(Amount::new(5));
    let decoded = ChannelInstruction::decode(&top_up.data, &keys(&top_up));
    assert!(matches!(decoded, Ok(ChannelInstruction::TopUp(top_up)) if top_up.amount == Amount::new(5)));
}

#[test]
fn unknown_instructions_are_refused() {
    assert_eq!(ChannelInstruction::decode(&[], &[]), Err(InstructionError::Discriminator(None)));
    for byte in [0, 15, 228] {
        let error = InstructionError::Discriminator(Some(byte));
        assert_eq!(ChannelInstruction::decode(&[byte], &[key(1)]), Err(error));
    }
    let error = InstructionError::AccountCount { expected: 2, found: 1 };
    assert_eq!(ChannelInstruction::decode(&[5], &[key(1)]), Err(error));
    assert_eq!(ChannelInstruction::decode(&[4], &[key(1), key(2)]), Err(InstructionError::DataLength(1)));
    assert_eq!(ChannelInstruction::decode(&[11], &[key(1), key(2)]), Err(InstructionError::DataLength(1)));
    assert_eq!(ChannelInstruction::decode(&[12, 0], &[key(1), key(2)]), Err(InstructionError::DataLength(2)));
    assert_eq!(ChannelInstruction::decode(&[10], &[key(1)]), Err(error_of_batch_without_channels()));
}

#[test]
fn ed25519_instruction_of_another_form_is_refused() {
    let data = ed25519_verify(&voucher(16)).data;
    assert_eq!(decode_ed25519(&data), Ok(voucher(16)));
    // The header, then the voucher's magic. Key and signature are the voucher's own to check.
    for index in (0..16).chain([112, 113]) {
        let mut changed = data.clone();
        changed[index] ^= 1;
        assert_eq!(decode_ed25519(&changed), Err(InstructionError::Ed25519), "byte {index}");
    }
    assert_eq!(decode_ed25519(&data[..161]), Err(InstructionError::Ed25519));
    assert_eq!(decode_ed25519(&[data.as_slice(), &[0]].concat()), Err(InstructionError::Ed25519));
}

#[test]
fn compute_budget_is_written_and_read() {
    let (limit, price) = (compute_unit_limit(200_000), compute_unit_price(1));
    assert_eq!(limit.program_id, COMPUTE_BUDGET_PROGRAM);
    assert_eq!(limit.data, [2, 0x40, 0x0d, 0x03, 0]);
    assert_eq!(price.data, [3, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(ComputeBudget::decode(&limit.data), Ok(ComputeBudget::UnitLimit(200_000)));
    assert_eq!(ComputeBudget::decode(&price.data), Ok(ComputeBudget::UnitPrice(1)));
    for data in [&[][..], &[2], &[2, 0, 0, 0, 0, 0], &[3, 0], &[1, 0, 0, 0, 0], &[4, 0, 0, 0, 0]] {
        assert_eq!(ComputeBudget::decode(data), Err(InstructionError::ComputeBudget), "{data:?}");
    }
}

#[test]
fn token_account_creation_is_idempotent_and_reads_back() {
    let instruction = create_associated_token_account(&key(1), &key(2), &key(3), &TOKEN_2022_PROGRAM);
    let address = associated_token_address(&key(2), &key(3), &TOKEN_2022_PROGRAM);
    let expected = vec![
        (key(1), true, true),
        (address, false, true),
        (key(2), false, false),
        (key(3), false, false),
        (SYSTEM_PROGRAM, false, false),
        (TOKEN_2022_PROGRAM, false, false),
    ];
    assert_eq!(instruction.program_id, ASSOCIATED_TOKEN_PROGRAM);
    assert_eq!(instruction.data, [1]);
    assert_eq!(accounts(&instruction), expected);

    let mut keys = keys(&instruction);
    let create = CreateAssociatedTokenAccount::decode(&instruction.data, &keys).expect("the same");
    assert_eq!((create.owner, create.address()), (key(2), address));
    assert_eq!(CreateAssociatedTokenAccount::decode(&[0], &keys), Err(InstructionError::CreateAccount));
    keys[1] = key(9);
    let error = InstructionError::Account { index: 1, expected: address, found: key(9) };
    assert_eq!(CreateAssociatedTokenAccount::decode(&[1], &keys), Err(error));
}

fn error_of_batch_without_channels() -> InstructionError {
    InstructionError::AccountCount { expected: 2, found: 1 }
}
