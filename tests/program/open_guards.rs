//! `open`: what it refuses, in the order in which it looks.

use toll_program_tests::{
    ChannelError::*, FROZEN, Fault, InstructionError, NOT_ENOUGH_ACCOUNT_KEYS, Plan, SLOT, World,
    event_authority, guards, named,
};

guards! {
    start: || World::before_open(Plan::with_shares(&[1_000, 250])),
    send: |world| world.open(),
    data_shorter_than_its_fixed_part_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|open| open.truncated(28));
    splits_without_a_count_reject: InstructionError::InvalidInstructionData,
        Fault::Attempt(|open| open.truncated(32));
    more_than_32_recipients_reject: InvalidRecipientCount,
        Fault::Attempt(|open| open.patch(29, &33u32.to_le_bytes()));
    one_byte_short_of_the_recipients_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|open| open.truncated(33 + 2 * 34 - 1));
    a_share_of_zero_rejects: InvalidSplitConfig,
        Fault::Attempt(|open| open.patch(33 + 32, &0u16.to_le_bytes()));
    a_recipient_named_twice_rejects: DuplicateRecipient,
        Fault::Attempt(|open| open.patch(33 + 34, named("recipient 0").as_ref()));
    shares_above_the_whole_reject: InvalidSplitConfig,
        Fault::Attempt(|open| open.patch(33 + 32, &9_751u16.to_le_bytes()));
    one_account_missing_rejects: NOT_ENOUGH_ACCOUNT_KEYS,
        Fault::Attempt(|open| open.one_account_less());
    an_unsigned_payer_rejects: MissingRequiredSignature, Fault::Attempt(|open| open.unsigned(0));
    an_unsigned_rent_payer_rejects: MissingRequiredSignature, Fault::Attempt(|open| open.unsigned(1));
    a_payer_who_is_the_payee_rejects: PayerPayeeMustDiffer,
        Fault::Attempt(|open| open.account(2, named("payer")));
    a_deposit_of_nothing_rejects: DepositMustBeNonZero,
        Fault::Attempt(|open| open.patch(9, &0u64.to_le_bytes()));
    no_grace_period_rejects: GracePeriodMustBeNonZero,
        Fault::Attempt(|open| open.patch(17, &0u32.to_le_bytes()));
    a_signer_off_the_curve_rejects: InvalidAuthorizedSigner,
        Fault::Attempt(|open| open.account(4, event_authority()));
    an_open_slot_in_the_future_rejects: OpenSlotOutOfWindow,
        Fault::Attempt(|open| open.patch(21, &(SLOT + 1).to_le_bytes()));
    the_channel_as_its_own_recipient_rejects: InvalidSplitConfig,
        Fault::World(|world| world.channel.plan.splits.push((world.channel.address, 1)));
    another_channel_address_rejects: ChannelAddressMismatch,
        Fault::Attempt(|open| open.account(5, named("elsewhere")));
    an_unknown_token_program_rejects: InvalidMintTokenProgram,
        Fault::Attempt(|open| open.account(8, named("token program")));
    a_malformed_mint_rejects: MintAccountMismatch, Fault::World(World::spoil_mint);
    another_escrow_address_rejects: ChannelAccountMismatch,
        Fault::Attempt(|open| open.account(7, named("escrow")));
    another_payer_token_address_rejects: PayerAccountMismatch,
        Fault::Attempt(|open| open.account(6, named("payer's tokens")));
    a_missing_payer_token_account_rejects: InvalidPayerTokenAccount,
        Fault::World(|world| world.remove(world.channel.payer_tokens));
    a_frozen_payer_token_account_rejects: PayerAccountMismatch,
        Fault::World(|world| world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.state = FROZEN));
    a_payer_token_account_that_changed_hands_rejects: PayerAccountMismatch,
        Fault::World(|world| {
            world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.owner = named("buyer"));
        });
    another_rent_sysvar_rejects: InstructionError::InvalidArgument,
        Fault::Attempt(|open| open.account(10, named("rent")));
    another_event_authority_rejects: InvalidEventAuthority,
        Fault::Attempt(|open| open.account(12, named("event authority")));
}
