//! `distribute`: what it refuses, in the order in which it looks.

use toll_program_tests::{
    ChannelError::*, FROZEN, Fault, InstructionError, NOT_ENOUGH_ACCOUNT_KEYS, Plan, Status, World, guards,
    named,
};

/// Open, with 10,000 settled and nothing paid out.
fn due() -> World {
    World::with_state(Plan::with_shares(&[1_000, 250]), |state| state.settled = 10_000)
}

guards! {
    start: due,
    send: |world| world.distribute(),
    splits_without_a_count_reject: InstructionError::InvalidInstructionData,
        Fault::Attempt(|distribute| distribute.truncated(4));
    more_than_32_recipients_reject: InvalidRecipientCount,
        Fault::Attempt(|distribute| distribute.patch(1, &33u32.to_le_bytes()));
    one_byte_short_of_the_recipients_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|distribute| distribute.truncated(5 + 2 * 34 - 1));
    a_share_of_zero_rejects: InvalidSplitConfig,
        Fault::Attempt(|distribute| distribute.patch(5 + 32, &0u16.to_le_bytes()));
    a_recipient_named_twice_rejects: DuplicateRecipient,
        Fault::Attempt(|distribute| distribute.patch(5 + 34, named("recipient 0").as_ref()));
    shares_above_the_whole_reject: InvalidSplitConfig,
        Fault::Attempt(|distribute| distribute.patch(5 + 32, &9_751u16.to_le_bytes()));
    fewer_than_eleven_accounts_reject: NOT_ENOUGH_ACCOUNT_KEYS,
        Fault::Attempt(|distribute| distribute.first_accounts(10));
    a_foreign_channel_account_rejects: InstructionError::InvalidAccountOwner,
        Fault::World(World::spoil_channel_owner);
    a_channel_of_another_size_rejects: InstructionError::InvalidAccountData,
        Fault::World(|world| world.spoil_channel_size(257));
    another_account_kind_rejects: InvalidAccountDiscriminator,
        Fault::World(|world| world.spoil_channel_byte(0, 2));
    another_layout_version_rejects: UnsupportedChannelVersion,
        Fault::World(|world| world.spoil_channel_byte(1, 2));
    an_unknown_status_rejects: InvalidChannelStatus, Fault::World(|world| world.spoil_channel_byte(3, 4));
    a_closing_channel_rejects: ChannelNotDistributable,
        Fault::World(|world| world.spoil_channel_byte(3, Status::Closing as u8));
    another_payer_rejects: InvalidChannelPayer,
        Fault::Attempt(|distribute| distribute.account(1, named("stranger")));
    another_mint_rejects: InvalidChannelMint,
        Fault::Attempt(|distribute| distribute.account(7, named("another mint")));
    another_rent_payer_rejects: InvalidChannelRentPayer,
        Fault::Attempt(|distribute| distribute.account(2, named("stranger")));
    an_unknown_token_program_rejects: InvalidMintTokenProgram,
        Fault::Attempt(|distribute| distribute.account(8, named("token program")));
    a_malformed_mint_rejects: MintAccountMismatch, Fault::World(World::spoil_mint);
    another_escrow_address_rejects: ChannelAccountMismatch,
        Fault::Attempt(|distribute| distribute.account(3, named("escrow")));
    a_missing_escrow_rejects: InvalidChannelTokenAccount,
        Fault::World(|world| world.remove(world.channel.escrow));
    a_frozen_escrow_rejects: ChannelAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.escrow, |tokens| tokens.state = FROZEN));
    another_treasury_address_rejects: TreasuryAccountMismatch,
        Fault::Attempt(|distribute| distribute.account(6, named("treasury")));
    a_missing_treasury_rejects: InvalidTreasuryTokenAccount,
        Fault::World(|world| world.remove(world.channel.treasury_tokens));
    a_frozen_treasury_rejects: TreasuryAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.treasury_tokens, |tokens| tokens.state = FROZEN));
    other_splits_than_at_open_reject: InvalidDistributionHash,
        Fault::Attempt(|distribute| distribute.patch(5 + 32, &999u16.to_le_bytes()));
    one_recipient_account_missing_rejects: RecipientAccountCountMismatch,
        Fault::Attempt(|distribute| distribute.one_account_less());
    nothing_newly_settled_rejects: NothingToDistribute,
        Fault::World(|world| world.spoil_payout_watermark(10_000));
    a_payout_beyond_the_settled_rejects: DistributePoolOverflow,
        Fault::World(|world| world.spoil_payout_watermark(10_001));
    another_address_for_a_recipient_rejects: RecipientAccountMismatch,
        Fault::Attempt(|distribute| distribute.account(11, named("recipient's tokens")));
    another_address_for_the_payee_rejects: PayeeAccountMismatch,
        Fault::Attempt(|distribute| distribute.account(5, named("payee's tokens")));
}

#[test]
fn an_account_too_many_rejects() {
    due().distribute().one_account_more().rejects_with(RecipientAccountCountMismatch);
}

#[test]
fn arguments_are_read_before_accounts_are_counted() {
    let shares = [1; 33];
    let mut world = World::with_channel(Plan::with_shares(&shares));
    world.distribute().first_accounts(8).rejects_with(InvalidRecipientCount);
}

#[test]
fn a_distributed_channel_rejects() {
    let mut world = due();
    world.edit(|state| state.status = Status::Distributed as u8);
    world.distribute().rejects_with(ChannelNotDistributable);
}

#[test]
fn a_one_byte_account_of_the_program_rejects() {
    let mut world = due();
    world.spoil_channel_size(1);
    world.distribute().rejects_with(InstructionError::InvalidAccountData);
}

#[test]
fn recipients_in_another_order_reject() {
    let mut world = due();
    world.channel.plan.splits.reverse();
    world.channel.recipient_tokens.reverse();
    world.distribute().rejects_with(InvalidDistributionHash);
}

#[test]
fn recipient_accounts_in_another_order_reject() {
    let mut world = due();
    world.channel.recipient_tokens.reverse();
    world.distribute().rejects_with(RecipientAccountMismatch);
}

#[test]
fn no_splits_at_all_do_not_pass_for_the_splits_of_open() {
    let mut world = due();
    world.channel.plan.splits.clear();
    world.channel.recipient_tokens.clear();
    world.distribute().rejects_with(InvalidDistributionHash);
}

#[test]
fn a_second_recipients_address_is_checked_like_the_first() {
    due().distribute().account(12, named("recipient's tokens")).rejects_with(RecipientAccountMismatch);
}

#[test]
fn the_payees_own_account_does_not_pass_for_a_recipients() {
    let mut world = due();
    let payee_tokens = world.channel.payee_tokens;
    world.distribute().account(11, payee_tokens).rejects_with(RecipientAccountMismatch);
}

#[test]
fn the_escrow_does_not_pass_for_the_treasury() {
    let mut world = due();
    let escrow = world.channel.escrow;
    world.distribute().account(6, escrow).rejects_with(TreasuryAccountMismatch);
}

#[test]
fn an_escrow_that_holds_less_than_is_due_rejects() {
    let mut world = due();
    world.edit_tokens(world.channel.escrow, |tokens| tokens.amount = 9_999);
    // While open nothing adds the escrow up beforehand: the token program runs out of funds.
    world.distribute().rejects_with(InstructionError::Custom(1));
}

mod sealed {
    use super::*;

    #[test]
    fn an_escrow_that_holds_less_than_is_due_rejects() {
        let mut world = due();
        world.edit(|state| state.status = Status::Sealed as u8);
        world.edit_tokens(world.channel.escrow, |tokens| tokens.amount -= 1);
        world.distribute().rejects_with(DistributeBalanceCalculationOverflow);
    }

    #[test]
    fn another_address_for_the_refund_rejects() {
        let mut world = due();
        world.edit(|state| state.status = Status::Sealed as u8);
        world.distribute().account(4, named("payer's tokens")).rejects_with(PayerAccountMismatch);
    }

    #[test]
    fn the_payees_address_is_seen_before_the_refunds() {
        let mut world = due();
        world.edit(|state| state.status = Status::Sealed as u8);
        world
            .distribute()
            .account(4, named("payer's tokens"))
            .account(5, named("payee's tokens"))
            .rejects_with(PayeeAccountMismatch);
    }

    #[test]
    fn the_refunds_address_is_seen_before_the_escrows_balance() {
        let mut world = due();
        world.edit(|state| state.status = Status::Sealed as u8);
        world.edit_tokens(world.channel.escrow, |tokens| tokens.amount -= 1);
        world.distribute().account(4, named("payer's tokens")).rejects_with(PayerAccountMismatch);
    }

    #[test]
    fn a_payout_beyond_the_settled_rejects() {
        let mut world = due();
        world.edit(|state| state.status = Status::Sealed as u8);
        world.spoil_payout_watermark(10_001);
        world.distribute().rejects_with(DistributePoolOverflow);
    }

    #[test]
    fn a_rent_payer_who_cannot_hold_more_lamports_rejects() {
        let mut world = due();
        world.edit(|state| state.status = Status::Sealed as u8);
        world.at_slot(toll_program_tests::SLOT + 1_501);
        // The escrow's rent still fits, the channel's does not.
        let room = world.lamports(&world.channel.escrow) + 1;
        let full = toll_program_tests::Account::new(u64::MAX - room, 0, &toll_program_tests::SYSTEM_PROGRAM);
        world.put(world.channel.plan.rent_payer, full);
        world.distribute().rejects_with(RentPayerBalanceOverflow);
    }
}
