//! `withdraw_payer`: once sealed, the payer takes its refund without waiting for anyone.

use toll_program_tests::{
    ChannelError::*, FROZEN, Fault, InstructionError, NOW, PAYER_TOKENS, Plan, Status, TokenKind, World,
    guards, named,
};

/// Sealed, with 300,000 of 1,000,000 settled.
fn sealed(token: TokenKind) -> World {
    World::with_state(Plan { token, ..Plan::default() }, |state| {
        state.status = Status::Sealed as u8;
        state.settled = 300_000;
    })
}

guards! {
    start: || sealed(TokenKind::Spl),
    send: |world| world.withdraw_payer(),
    one_account_missing_rejects: NotEnoughAccountKeys, Fault::Attempt(|withdraw| withdraw.one_account_less());
    an_unsigned_payer_rejects: MissingRequiredSignature, Fault::Attempt(|withdraw| withdraw.unsigned(0));
    a_foreign_channel_account_rejects: InstructionError::InvalidAccountOwner,
        Fault::World(World::spoil_channel_owner);
    a_channel_of_another_size_rejects: InstructionError::InvalidAccountData,
        Fault::World(|world| world.spoil_channel_size(1));
    another_account_kind_rejects: InvalidAccountDiscriminator,
        Fault::World(|world| world.spoil_channel_byte(0, 2));
    another_layout_version_rejects: UnsupportedChannelVersion,
        Fault::World(|world| world.spoil_channel_byte(1, 2));
    an_open_channel_rejects: InvalidChannelStatus,
        Fault::World(|world| world.spoil_channel_byte(3, Status::Open as u8));
    another_payer_rejects: InvalidChannelPayer, Fault::World(World::replace_payer);
    a_second_withdrawal_rejects: PayerAlreadyWithdrawn,
        Fault::World(|world| world.spoil_channel_byte(44, 1));
    another_mint_rejects: InvalidChannelMint,
        Fault::Attempt(|withdraw| withdraw.account(4, named("another mint")));
    an_unknown_token_program_rejects: InvalidMintTokenProgram,
        Fault::Attempt(|withdraw| withdraw.account(5, named("token program")));
    a_malformed_mint_rejects: MintAccountMismatch, Fault::World(World::spoil_mint);
    another_escrow_address_rejects: ChannelAccountMismatch,
        Fault::Attempt(|withdraw| withdraw.account(2, named("escrow")));
    a_missing_escrow_rejects: InvalidChannelTokenAccount,
        Fault::World(|world| world.remove(world.channel.escrow));
    a_frozen_escrow_rejects: ChannelAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.escrow, |tokens| tokens.state = FROZEN));
    another_payer_token_address_rejects: PayerAccountMismatch,
        Fault::Attempt(|withdraw| withdraw.account(3, named("payer's tokens")));
    a_missing_payer_token_account_rejects: InvalidPayerTokenAccount,
        Fault::World(|world| world.remove(world.channel.payer_tokens));
    a_frozen_payer_token_account_rejects: PayerAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.state = FROZEN));
    more_settled_than_deposited_rejects: RefundCalculationOverflow,
        Fault::World(|world| world.spoil_deposit(299_999));
}

#[test]
fn the_payer_gets_what_was_not_settled_and_the_time_is_noted() {
    for token in TokenKind::ALL {
        let mut world = sealed(token);
        let mut expected = world.state();
        let lamports = world.lamports(&world.channel.plan.payer);
        let landed = world.withdraw_payer().succeeds();

        expected.payer_withdrawn_at = NOW;
        assert_eq!(world.state(), expected);
        assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 300_000);
        assert_eq!(world.tokens(&world.channel.escrow), 300_000);
        assert_eq!(world.lamports(&world.channel.plan.payer), lamports);
        assert_eq!(landed.events(), []);
        assert_eq!(landed.invocations(), 1, "one transfer");
    }
}

#[test]
fn the_refund_is_paid_once() {
    let mut world = sealed(TokenKind::Spl);
    world.withdraw_payer().succeeds();
    world.withdraw_payer().rejects_with(PayerAlreadyWithdrawn);
    let withdraw = world.channel.withdraw_payer();
    let mut fresh = sealed(TokenKind::Spl);
    // Not twice in one transaction either: the second fails, and the first with it.
    let outcome = fresh.withdraw_payer().followed_by([withdraw]).outcome();
    assert_eq!(outcome.err(), Some((1, PayerAlreadyWithdrawn.into())));
    assert_eq!(fresh.state().payer_withdrawn_at, 0);
}

#[test]
fn a_refund_of_nothing_is_noted_and_moves_nothing() {
    let mut world = sealed(TokenKind::Spl);
    world.edit(|state| state.settled = state.deposit);
    let landed = world.withdraw_payer().succeeds();
    assert_eq!(world.state().payer_withdrawn_at, NOW);
    assert_eq!(landed.invocations(), 0);
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 1_000_000);
}

#[test]
fn gifts_and_undistributed_shares_stay_in_the_escrow() {
    let mut world = sealed(TokenKind::Spl);
    world.edit_tokens(world.channel.escrow, |tokens| tokens.amount += 5_000);
    world.withdraw_payer().succeeds();
    assert_eq!(world.tokens(&world.channel.escrow), 300_000 + 5_000);
}

#[test]
fn what_was_distributed_before_does_not_lower_the_refund() {
    let mut world = World::opened(Plan::default());
    world.settle(&world.voucher(300_000)).succeeds();
    world.distribute().succeeds();
    world.seal_as_payee().succeeds();
    world.withdraw_payer().succeeds();
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 300_000);
    assert_eq!(world.tokens(&world.channel.escrow), 0);
}

#[test]
fn every_status_but_sealed_rejects() {
    for status in [0, 2, 3, 4, 255] {
        let mut world = sealed(TokenKind::Spl);
        world.edit(|state| state.status = status);
        world.withdraw_payer().rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn a_negative_time_of_withdrawal_counts() {
    let mut world = sealed(TokenKind::Spl);
    world.edit(|state| state.payer_withdrawn_at = -1);
    world.withdraw_payer().rejects_with(PayerAlreadyWithdrawn);
}

#[test]
fn escrow_and_refund_accounts_stand_in_the_other_order_than_in_top_up() {
    let mut world = sealed(TokenKind::Spl);
    let (escrow, payer_tokens) = (world.channel.escrow, world.channel.payer_tokens);
    world.withdraw_payer().account(2, payer_tokens).account(3, escrow).rejects_with(ChannelAccountMismatch);
}

#[test]
fn the_payee_cannot_withdraw() {
    let mut world = sealed(TokenKind::Spl);
    world.withdraw_payer().account(0, named("payee")).rejects_with(InvalidChannelPayer);
}

#[test]
fn trailing_data_is_ignored() {
    let mut world = sealed(TokenKind::Spl);
    world.withdraw_payer().trailing(&[1]).succeeds();
}

#[test]
fn an_account_too_many_rejects() {
    let mut world = sealed(TokenKind::Spl);
    world.withdraw_payer().one_account_more().rejects_with(NotEnoughAccountKeys);
}
