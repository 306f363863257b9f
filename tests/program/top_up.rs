//! `top_up`: the payer adds to an open channel's deposit.

use toll_program_tests::{
    ChannelError::*, FROZEN, Fault, InstructionError, PAYER_TOKENS, Plan, Status, TokenKind, World, guards,
    named,
};

guards! {
    start: || World::with_channel(Plan::default()),
    send: |world| world.top_up(500),
    data_of_another_length_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|top_up| top_up.truncated(8));
    one_account_missing_rejects: NotEnoughAccountKeys, Fault::Attempt(|top_up| top_up.one_account_less());
    an_unsigned_payer_rejects: MissingRequiredSignature, Fault::Attempt(|top_up| top_up.unsigned(0));
    an_amount_of_nothing_rejects: DepositMustBeNonZero,
        Fault::Attempt(|top_up| top_up.patch(1, &0u64.to_le_bytes()));
    a_foreign_channel_account_rejects: InstructionError::InvalidAccountOwner,
        Fault::World(World::spoil_channel_owner);
    a_channel_of_another_size_rejects: InstructionError::InvalidAccountData,
        Fault::World(|world| world.spoil_channel_size(255));
    another_account_kind_rejects: InvalidAccountDiscriminator,
        Fault::World(|world| world.spoil_channel_byte(0, 0));
    another_layout_version_rejects: UnsupportedChannelVersion,
        Fault::World(|world| world.spoil_channel_byte(1, 0));
    a_closing_channel_rejects: InvalidChannelStatus,
        Fault::World(|world| world.spoil_channel_byte(3, Status::Closing as u8));
    another_payer_rejects: InvalidChannelPayer, Fault::World(World::replace_payer);
    another_mint_rejects: InvalidChannelMint, Fault::Attempt(|top_up| top_up.account(4, named("another mint")));
    an_unknown_token_program_rejects: InvalidMintTokenProgram,
        Fault::Attempt(|top_up| top_up.account(5, named("token program")));
    a_malformed_mint_rejects: MintAccountMismatch, Fault::World(World::spoil_mint);
    another_escrow_address_rejects: ChannelAccountMismatch,
        Fault::Attempt(|top_up| top_up.account(3, named("escrow")));
    a_missing_escrow_rejects: InvalidChannelTokenAccount,
        Fault::World(|world| world.remove(world.channel.escrow));
    a_frozen_escrow_rejects: ChannelAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.escrow, |tokens| tokens.state = FROZEN));
    an_escrow_that_changed_hands_rejects: ChannelAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.escrow, |tokens| tokens.owner = named("buyer")));
    another_payer_token_address_rejects: PayerAccountMismatch,
        Fault::Attempt(|top_up| top_up.account(2, named("payer's tokens")));
    a_missing_payer_token_account_rejects: InvalidPayerTokenAccount,
        Fault::World(|world| world.remove(world.channel.payer_tokens));
    a_frozen_payer_token_account_rejects: PayerAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.state = FROZEN));
    a_deposit_beyond_u64_rejects: TopUpDepositOverflow,
        Fault::Attempt(|top_up| top_up.patch(1, &u64::MAX.to_le_bytes()));
}

#[test]
fn the_deposit_and_the_escrow_grow_by_the_amount() {
    for token in TokenKind::ALL {
        let mut world = World::opened(Plan { token, ..Plan::default() });
        let mut expected = world.state();
        let lamports = world.lamports(&world.channel.plan.payer);
        let landed = world.top_up(500).succeeds();

        expected.deposit += 500;
        assert_eq!(world.state(), expected);
        assert_eq!(world.tokens(&world.channel.escrow), 1_000_500);
        assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 1_000_500);
        assert_eq!(world.lamports(&world.channel.plan.payer), lamports);
        assert_eq!(landed.events(), []);
        assert_eq!(landed.invocations(), 1, "one transfer");
    }
}

#[test]
fn a_voucher_above_the_old_deposit_settles_after_a_top_up() {
    let mut world = World::with_channel(Plan { deposit: 100, ..Plan::default() });
    world.settle(&world.voucher(101)).rejects_with(VoucherOverDeposit);
    world.top_up(1).succeeds();
    world.settle(&world.voucher(101)).succeeds();
    assert_eq!(world.state().settled, 101);
}

#[test]
fn tokens_sent_to_the_escrow_are_no_deposit() {
    let mut world = World::with_channel(Plan { deposit: 100, ..Plan::default() });
    world.edit_tokens(world.channel.escrow, |tokens| tokens.amount += 1_000);
    world.settle(&world.voucher(101)).rejects_with(VoucherOverDeposit);
    world.top_up(1).succeeds();
    assert_eq!(world.state().deposit, 101);
}

#[test]
fn every_status_but_open_rejects() {
    for status in [1, 2, 3, 4, 255] {
        let mut world = World::with_state(Plan::default(), |state| state.status = status);
        world.top_up(500).rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn a_closing_channel_stays_closing() {
    let mut world = World::with_channel(Plan::default());
    world.request_close().succeeds();
    let before = world.state();
    world.top_up(500).rejects_with(InvalidChannelStatus);
    assert_eq!(world.state(), before);
}

#[test]
fn the_deposit_may_reach_u64_and_not_a_unit_more() {
    let mut world = World::with_state(Plan::default(), |state| state.deposit = u64::MAX - 500);
    world.top_up(501).rejects_with(TopUpDepositOverflow);
    world.top_up(500).succeeds();
    assert_eq!(world.state().deposit, u64::MAX);
    world.top_up(1).rejects_with(TopUpDepositOverflow);
}

#[test]
fn a_payer_without_enough_tokens_rejects() {
    for token in TokenKind::ALL {
        let mut world = World::with_channel(Plan { token, ..Plan::default() });
        world.top_up(PAYER_TOKENS).rejects_with(InstructionError::Custom(1));
    }
}

#[test]
fn data_longer_than_the_amount_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.top_up(500).trailing(&[0]).rejects_with(InstructionError::InvalidInstructionData);
}

#[test]
fn an_account_too_many_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.top_up(500).one_account_more().rejects_with(NotEnoughAccountKeys);
}

#[test]
fn a_channel_at_any_address_is_topped_up() {
    let mut world = World::with_channel(Plan::default());
    world.move_channel_to(named("nowhere"));
    world.top_up(500).succeeds();
    assert_eq!(world.state().deposit, 1_000_500);
}

#[test]
fn the_payers_own_account_is_no_escrow() {
    let mut world = World::with_channel(Plan::default());
    let payer_tokens = world.channel.payer_tokens;
    world.top_up(500).account(3, payer_tokens).rejects_with(ChannelAccountMismatch);
}

#[test]
fn the_payee_cannot_top_up() {
    let mut world = World::with_channel(Plan::default());
    world.top_up(500).account(0, named("payee")).rejects_with(InvalidChannelPayer);
}
