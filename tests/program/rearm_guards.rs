//! `rearm`: what it refuses, in the order in which it looks.

use toll_program_tests::{
    ChannelError::*, FROZEN, Fault, InstructionError, Plan, Status, World, compute_unit_limit, guards, named,
};

/// Open, with 10,000 settled and nothing paid out.
fn due() -> World {
    World::with_state(Plan::with_shares(&[1_000, 250]), |state| state.settled = 10_000)
}

guards! {
    start: due,
    send: |world| world.rearm_with(&world.voucher(20_000)),
    data_without_the_flag_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|rearm| rearm.truncated(1));
    splits_without_a_count_reject: InstructionError::InvalidInstructionData,
        Fault::Attempt(|rearm| rearm.truncated(5));
    more_than_32_recipients_reject: InvalidRecipientCount,
        Fault::Attempt(|rearm| rearm.patch(2, &33u32.to_le_bytes()));
    one_byte_short_of_the_recipients_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|rearm| rearm.truncated(6 + 2 * 34 - 1));
    a_share_of_zero_rejects: InvalidSplitConfig,
        Fault::Attempt(|rearm| rearm.patch(6 + 32, &0u16.to_le_bytes()));
    a_recipient_named_twice_rejects: DuplicateRecipient,
        Fault::Attempt(|rearm| rearm.patch(6 + 34, named("recipient 0").as_ref()));
    fewer_than_eleven_accounts_reject: NotEnoughAccountKeys,
        Fault::Attempt(|rearm| rearm.first_accounts(10));
    an_unsigned_payee_rejects: MissingRequiredSignature, Fault::Attempt(|rearm| rearm.unsigned(0));
    a_foreign_channel_account_rejects: InstructionError::InvalidAccountOwner,
        Fault::World(World::spoil_channel_owner);
    a_channel_of_another_size_rejects: InstructionError::InvalidAccountData,
        Fault::World(|world| world.spoil_channel_size(257));
    another_account_kind_rejects: InvalidAccountDiscriminator,
        Fault::World(|world| world.spoil_channel_byte(0, 2));
    another_layout_version_rejects: UnsupportedChannelVersion,
        Fault::World(|world| world.spoil_channel_byte(1, 2));
    a_closing_channel_rejects: InvalidChannelStatus,
        Fault::World(|world| world.spoil_channel_byte(3, Status::Closing as u8));
    another_payee_rejects: InvalidChannelPayee, Fault::Attempt(|rearm| rearm.account(0, named("stranger")));
    another_mint_rejects: InvalidChannelMint, Fault::Attempt(|rearm| rearm.account(3, named("another mint")));
    an_unknown_token_program_rejects: InvalidMintTokenProgram,
        Fault::Attempt(|rearm| rearm.account(5, named("token program")));
    a_malformed_mint_rejects: MintAccountMismatch, Fault::World(World::spoil_mint);
    another_escrow_address_rejects: ChannelAccountMismatch,
        Fault::Attempt(|rearm| rearm.account(2, named("escrow")));
    a_missing_escrow_rejects: InvalidChannelTokenAccount,
        Fault::World(|world| world.remove(world.channel.escrow));
    a_frozen_escrow_rejects: ChannelAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.escrow, |tokens| tokens.state = FROZEN));
    another_payer_token_address_rejects: PayerAccountMismatch,
        Fault::Attempt(|rearm| rearm.account(4, named("payer's tokens")));
    a_missing_payer_token_account_rejects: InvalidPayerTokenAccount,
        Fault::World(|world| world.remove(world.channel.payer_tokens));
    a_frozen_payer_token_account_rejects: PayerAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.state = FROZEN));
    another_treasury_address_rejects: TreasuryAccountMismatch,
        Fault::Attempt(|rearm| rearm.account(8, named("treasury")));
    a_missing_treasury_rejects: InvalidTreasuryTokenAccount,
        Fault::World(|world| world.remove(world.channel.treasury_tokens));
    a_frozen_treasury_rejects: TreasuryAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.treasury_tokens, |tokens| tokens.state = FROZEN));
    other_splits_than_at_open_reject: InvalidDistributionHash,
        Fault::Attempt(|rearm| rearm.patch(6 + 32, &999u16.to_le_bytes()));
    one_recipient_account_missing_rejects: RecipientAccountCountMismatch,
        Fault::Attempt(|rearm| rearm.one_account_less());
    another_instructions_sysvar_rejects: InstructionError::UnsupportedSysvar,
        Fault::Attempt(|rearm| rearm.account(6, named("instructions")));
    no_proof_just_before_rejects: MissingEd25519Verification,
        Fault::Attempt(|rearm| rearm.preceded_by(compute_unit_limit(100_000)));
    a_voucher_of_another_key_rejects: VoucherSignerMismatch,
        Fault::Attempt(|rearm| rearm.resigned(4, |_| ()));
    a_payout_beyond_the_settled_rejects: DistributePoolOverflow,
        Fault::World(|world| world.spoil_payout_watermark(20_001));
    another_address_for_a_recipient_rejects: RecipientAccountMismatch,
        Fault::Attempt(|rearm| rearm.account(11, named("recipient's tokens")));
    another_address_for_the_payee_rejects: PayeeAccountMismatch,
        Fault::Attempt(|rearm| rearm.account(7, named("payee's tokens")));
    another_event_authority_rejects: InvalidEventAuthority,
        Fault::Attempt(|rearm| rearm.account(9, named("authority")));
}

#[test]
fn a_byte_after_the_splits_rejects() {
    due().rearm().trailing(&[0]).rejects_with(InstructionError::InvalidInstructionData);
}

#[test]
fn an_account_too_many_rejects() {
    due().rearm().one_account_more().rejects_with(RecipientAccountCountMismatch);
}

#[test]
fn every_status_but_open_rejects() {
    for status in [1, 2, 3, 4, 255] {
        let mut world = due();
        world.edit(|state| state.status = status);
        world.rearm().rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn neither_the_payer_nor_the_authorized_signer_may_send_it() {
    for stranger in [named("payer"), due().channel.authorized_signer] {
        due().rearm().account(0, stranger).rejects_with(InvalidChannelPayee);
    }
}

#[test]
fn more_settled_than_deposited_rejects() {
    let mut world = due();
    world.spoil_deposit(9_999);
    world.rearm().rejects_with(RefundCalculationOverflow);
}

#[test]
fn a_session_in_which_nothing_happened_does_not_end() {
    let mut world = due();
    world.rearm().succeeds();
    world.rearm().rejects_with(NothingToRearm);
    world.top_up(1).succeeds();
    world.rearm().succeeds();
    world.rearm().rejects_with(NothingToRearm);
}

#[test]
fn an_escrow_that_holds_less_than_is_due_rejects() {
    let mut world = due();
    world.edit_tokens(world.channel.escrow, |tokens| tokens.amount -= 1);
    // As in an open channel's `distribute`, it is the token program that runs out of funds.
    world.rearm().rejects_with(InstructionError::Custom(1));
}

#[test]
fn a_payers_account_that_cannot_take_the_refund_stops_it() {
    use toll_program_tests::{ChannelError, TokenKind, tlv};
    type Spoil = fn(&mut World);
    let spoilers: [(ChannelError, Spoil); 4] = [
        (InvalidPayerTokenAccount, |world| world.remove(world.channel.payer_tokens)),
        (PayerAccountMismatch, |world| {
            world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.owner = named("buyer"));
        }),
        (PayerAccountMismatch, |world| {
            world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.state = FROZEN);
        }),
        (InvalidPayerTokenExtensions, |world| {
            let memos = tlv(&[(7, vec![]), (8, vec![1])]);
            world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.trailer = memos);
        }),
    ];
    for (error, spoil) in spoilers {
        let plan = Plan { token: TokenKind::Token2022, ..Plan::with_shares(&[1_000]) };
        let mut world = World::with_state(plan, |state| state.settled = 10_000);
        spoil(&mut world);
        // Not a unit of the refund goes to the treasury.
        world.rearm().rejects_with(error);
    }
}
