//! Known attacks that no other file carries out, each against an instruction that would pay for it.

use toll_program_tests::{
    Account, Batch, Channel, ChannelError::*, Event, INSTRUCTIONS_SYSVAR, Instruction, InstructionError,
    OPEN_SLOT_WINDOW, PAYER_TOKENS, Plan, Proof, SLOT, SYSTEM_PROGRAM, TokenKind, TokenState, World,
    event_authority, named, program_id, settle_batch, treasury_owner, voucher_key,
};

#[test]
fn a_voucher_of_a_closed_channel_settles_on_no_reopened_one() {
    let mut world = World::opened(Plan::default());
    let old = world.voucher(900_000);
    let old_batch = Batch::of([(world.channel.address, 900_000)]);
    world.seal_as_payee().succeeds();
    world.at_slot(SLOT + OPEN_SLOT_WINDOW + 1);
    world.distribute().succeeds();
    assert!(world.is_gone(&world.channel.address));

    // The same address is not to be had again, and the next one is another channel.
    world.open().rejects_with(OpenSlotOutOfWindow);
    let closed = world.channel.address;
    world.channel = Channel::new(Plan { open_slot: SLOT + OPEN_SLOT_WINDOW + 1, ..Plan::default() });
    assert_ne!(world.channel.address, closed);
    world.open().succeeds();

    world.settle(&old).rejects_with(VoucherChannelMismatch);
    world.settle_and_seal(&old).rejects_with(VoucherChannelMismatch);
    world.rearm_with(&old).rejects_with(VoucherChannelMismatch);
    world
        .settle_up_to(1, &toll_program_tests::Voucher { magic: [0x43, 0x01], ..old })
        .rejects_with(VoucherChannelMismatch);
    let proof = Proof::of(&old_batch.encode(), &voucher_key(3)).instruction();
    let live = world.channel.address;
    world.attempt(settle_batch(&[live])).preceded_by(proof).rejects_with(BatchChannelsMismatch);
    world.settle_batch(&old_batch).rejects_with(InstructionError::InvalidAccountOwner);
    world.request_close().succeeds();
    world.settle_closing(&old).rejects_with(VoucherChannelMismatch);
    assert_eq!(world.state().settled, 0);
}

#[test]
fn no_address_is_free_while_its_slot_could_open_it_again() {
    for age in [0, 1, OPEN_SLOT_WINDOW] {
        let mut world = World::opened(Plan::default());
        world.seal_as_payee().succeeds();
        world.at_slot(SLOT + age);
        world.distribute().succeeds();
        world.reclaim().rejects_with(ChannelCloseTooEarly);
        // The account stands in the way.
        world.open().rejects_with(InstructionError::Custom(0));
    }
}

#[test]
fn a_fake_sysvar_that_shows_a_proof_nobody_made_rejects() {
    // An account of the attacker's own with exactly the bytes that the sysvar would have: an Ed25519 instruction
    // before the current one.
    let mut world = World::opened(Plan::default());
    let proof = world.sign(&world.voucher(1_000_000)).instruction();
    let mut fake = vec![2, 0, 6, 0, 0, 0];
    fake.extend([0, 0]);
    fake.extend(proof.program_id.to_bytes());
    fake.extend((proof.data.len() as u16).to_le_bytes());
    fake.extend(&proof.data);
    fake.extend([1, 0]);
    let sysvar = named("fake sysvar");
    world.put(sysvar, Account { data: fake, ..Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM) });
    let unsupported = InstructionError::UnsupportedSysvar;
    world.settle_alone().account(1, sysvar).rejects_with(unsupported.clone());
    let channel = world.channel.clone();
    world.attempt(channel.settle_and_seal(1)).account(2, sysvar).rejects_with(unsupported.clone());
    world.attempt(channel.settle_batch()).account(0, sysvar).rejects_with(unsupported.clone());
    world.attempt(channel.rearm(1)).account(6, sysvar).rejects_with(unsupported.clone());
    world.attempt(channel.settle_up_to(5)).account(2, sysvar).rejects_with(unsupported.clone());
    world.request_close().succeeds();
    world.attempt(channel.settle_closing()).account(1, sysvar).rejects_with(unsupported);
    assert_ne!(sysvar, INSTRUCTIONS_SYSVAR);
}

#[test]
fn an_empty_address_under_another_bump_forces_no_forfeiture_in_rearm_either() {
    for token in TokenKind::ALL {
        let plan = Plan { token, ..Plan::with_shares(&[1_000]) };
        let mut world = World::with_state(plan, |state| state.settled = 10_000);
        let (mint, token_program) = (world.channel.mint, world.channel.token_program);
        for (index, owner, error) in [
            (11, "recipient 0", RecipientAccountMismatch),
            (7, "payee", PayeeAccountMismatch),
            (4, "payer", PayerAccountMismatch),
        ] {
            let owner = named(owner);
            let seeds = [owner.as_ref(), token_program.as_ref(), mint.as_ref()];
            let ata = toll_program_tests::ASSOCIATED_TOKEN_PROGRAM;
            let address = (0..=255u8)
                .rev()
                .filter_map(|bump| {
                    let seeds = [seeds[0], seeds[1], seeds[2], &[bump]];
                    toll_program_tests::Pubkey::create_program_address(&seeds, &ata).ok()
                })
                .nth(1)
                .unwrap();
            world.rearm().account(index, address).rejects_with(error);
        }
    }
}

#[test]
fn a_look_alike_channel_of_another_program_pays_nobody() {
    // The very bytes of a channel, in an account that the attacker's program owns.
    let mut world = World::with_state(Plan::default(), |state| state.settled = 500_000);
    let fake = world.state();
    let address = named("look-alike");
    let account =
        Account { owner: named("attacker's program"), ..Account::new(10_000_000, 0, &SYSTEM_PROGRAM) };
    world.put(address, Account { data: fake.encode(), ..account });
    let owner = InstructionError::InvalidAccountOwner;
    world.settle(&world.voucher(600_000)).account(0, address).rejects_with(owner.clone());
    world.distribute().account(0, address).rejects_with(owner.clone());
    world.rearm().account(1, address).rejects_with(owner.clone());
    world.reclaim().account(0, address).rejects_with(owner.clone());
    world.settle_up_to(1, &world.ceiling(2)).account(1, address).rejects_with(owner.clone());
    world.checkpoint().account(0, address).rejects_with(owner);
}

#[test]
fn another_channels_escrow_pays_nobody() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 500_000);
    let rich = world.put_another(Plan { salt: 43, ..Plan::default() }, |_| ());
    let rich_escrow = world.put_tokens(rich, 9_000_000);
    world.distribute().account(3, rich_escrow).rejects_with(ChannelAccountMismatch);
    world.rearm().account(2, rich_escrow).rejects_with(ChannelAccountMismatch);
    world.seal_as_payee().succeeds();
    world.distribute().account(3, rich_escrow).rejects_with(ChannelAccountMismatch);
    world.withdraw_payer().account(2, rich_escrow).rejects_with(ChannelAccountMismatch);
    assert_eq!(world.tokens(&rich_escrow), 9_000_000);
}

#[test]
fn a_forged_event_has_no_signature_to_come_with() {
    // The bytes of an `Opened` event, sent from outside: the address that signs events has no key, so nobody can mark
    // it as a signer; without the mark the program refuses.
    let mut world = World::before_open(Plan::default());
    let mut data = vec![0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];
    data.extend([0xa6, 0xac, 0x61, 0x09, 0x4d, 0x4c, 0xbd, 0x6d]);
    data.extend([7; 40]);
    let mut forged = Instruction { data, ..world.channel.emit_event() };
    forged.accounts[0].is_signer = false;
    world.attempt(forged.clone()).rejects_with(MissingRequiredSignature);
    forged.accounts[0].pubkey = named("attacker");
    forged.accounts[0].is_signer = true;
    world.attempt(forged).rejects_with(InvalidEventAuthority);
    assert_ne!(event_authority(), program_id());
}

#[test]
fn a_sold_payer_account_takes_no_refund() {
    // The refund is the payer's; whoever bought the payer's token account gets none of it.
    let mut world = World::with_state(Plan::default(), |state| state.settled = 1);
    let payer_tokens = world.channel.payer_tokens;
    let state = TokenState { owner: named("buyer"), ..world.token_state(&payer_tokens).unwrap() };
    world.put_token_state(payer_tokens, &state);
    world.rearm().rejects_with(PayerAccountMismatch);
    world.seal_as_payee().succeeds();
    world.withdraw_payer().rejects_with(PayerAccountMismatch);
    assert_eq!(world.tokens(&payer_tokens), PAYER_TOKENS - 1_000_000);
}

#[test]
fn without_a_treasury_a_payer_still_takes_its_refund() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 400_000);
    world.remove(world.channel.treasury_tokens);
    world.distribute().rejects_with(InvalidTreasuryTokenAccount);
    world.rearm().rejects_with(InvalidTreasuryTokenAccount);
    world.seal_as_payee().succeeds();
    world.distribute().rejects_with(InvalidTreasuryTokenAccount);
    world.withdraw_payer().succeeds();
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 400_000);
    // Anyone can make the account again, and the payee is paid.
    world.put_tokens(treasury_owner(), 0);
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payee_tokens), 400_000);
}

#[test]
fn donations_change_nobodys_claim() {
    let mut world = World::opened(Plan::default());
    world.edit_tokens(world.channel.escrow, |tokens| tokens.amount += 5_000_000);
    world.settle(&world.voucher(1_000_001)).rejects_with(VoucherOverDeposit);
    let batch = Batch::of([(world.channel.address, 1_000_001)]);
    world.settle_batch(&batch).rejects_with(VoucherOverDeposit);
    let landed = world.rearm().succeeds();
    let channel = world.channel.address;
    assert_eq!(
        landed.events(),
        [Event::Rearmed { channel, settled: 0, distributed: 0, refunded: 1_000_000 }]
    );
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS);
}

#[test]
fn a_refund_is_not_taken_twice_across_rearm_and_close() {
    let mut world = World::opened(Plan::default());
    world.rearm_with(&world.voucher(400_000)).succeeds();
    world.seal_as_payee().succeeds();
    let landed = world.withdraw_payer().succeeds();
    assert_eq!(landed.invocations(), 0, "nothing is left to refund");
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 400_000);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 400_000);
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // Under the identity point a signature of zeros is good for every message, unless verification is strict.
    let mut world = World::with_channel(Plan::default());
    let mut identity = [0; 32];
    identity[0] = 1;
    world.edit(|state| state.authorized_signer = identity.into());
    let mut proof = Proof::of(&world.voucher(1_000_000).encode(), &voucher_key(3));
    let forged = [identity, identity, [0; 32]].concat();
    for (index, byte) in forged.into_iter().enumerate() {
        proof = proof.with_byte(16 + index, byte);
    }
    let outcome = world.settle_proof(&proof).outcome();
    assert_eq!(outcome.err().map(|(index, _)| index), Some(0), "the precompile refuses");
    assert_eq!(world.state().settled, 0);
}

#[test]
fn programs_that_are_not_the_real_ones_open_nothing() {
    for index in [8, 9, 11] {
        let mut world = World::before_open(Plan::default());
        let outcome = world.open().account(index, named("attacker's program")).send();
        assert!(outcome.is_err(), "account {index}");
        assert!(world.is_gone(&world.channel.address));
    }
}

/// What is not defended, so that nobody takes it for defended.
mod exposures {
    use super::*;
    use toll_program_tests::FROZEN;

    #[test]
    fn a_freeze_authority_holds_a_channel_up_and_takes_nothing() {
        let mut world = World::with_state(Plan::default(), |state| state.settled = 400_000);
        let escrow = world.channel.escrow;
        world.edit_tokens(escrow, |tokens| tokens.state = FROZEN);
        world.top_up(1).rejects_with(ChannelAccountMismatch);
        world.distribute().rejects_with(ChannelAccountMismatch);
        world.rearm().rejects_with(ChannelAccountMismatch);
        world.seal_as_payee().succeeds();
        world.withdraw_payer().rejects_with(ChannelAccountMismatch);

        world.edit_tokens(escrow, |tokens| tokens.state = toll_program_tests::INITIALIZED);
        world.withdraw_payer().succeeds();
        world.distribute().succeeds();
        assert_eq!(world.tokens(&world.channel.payee_tokens), 400_000);
        assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 400_000);
    }

    #[test]
    fn a_voucher_settles_on_every_cluster_that_has_its_channel() {
        let mut first = World::opened(Plan::default());
        let mut second = World::opened(Plan::default());
        let voucher = first.voucher(700_000);
        first.settle(&voucher).succeeds();
        second.settle(&voucher).succeeds();
        assert_eq!(second.state().settled, 700_000);
    }

    #[test]
    fn a_payee_that_seals_without_its_voucher_gives_it_up() {
        let mut world = World::opened(Plan::default());
        let voucher = world.voucher(700_000);
        world.seal_as_payee().succeeds();
        world.settle(&voucher).rejects_with(InvalidChannelStatus);
        world.distribute().succeeds();
        assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS);
    }
}
