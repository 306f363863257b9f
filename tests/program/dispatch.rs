//! The first byte picks the instruction; counts of accounts are exact.

use toll_program_tests::{
    Action, Attempt, Channel, ChannelError, Instruction, InstructionError, NOT_ENOUGH_ACCOUNT_KEYS, Plan,
    Status, World, named,
};

#[test]
fn empty_data_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.settle_alone().data([]).rejects_with(InstructionError::InvalidInstructionData);
}

#[test]
fn unknown_discriminators_reject() {
    for discriminator in [0, 15, 16, 100, 127, 128, 200, 227, 229, 254, 255] {
        let mut world = World::with_channel(Plan::default());
        world.settle_alone().data([discriminator]).rejects_with(InstructionError::InvalidInstructionData);
        let data = [&[discriminator][..], &[0; 64]].concat();
        world.open().data(data).rejects_with(InstructionError::InvalidInstructionData);
    }
}

#[test]
fn no_discriminator_panics_on_short_data_or_no_accounts() {
    for discriminator in 0..=255 {
        for size in [1, 2, 5, 9, 33] {
            let mut data = vec![discriminator];
            data.resize(size, 0);
            let mut world = World::with_channel(Plan::default());
            let (_, error) =
                world.settle_alone().first_accounts(0).data(data).outcome().expect_err("no accounts");
            let clean =
                matches!(error, InstructionError::Custom(9) | InstructionError::InvalidInstructionData)
                    || error == NOT_ENOUGH_ACCOUNT_KEYS;
            assert!(clean, "{discriminator} with {size} bytes: {error:?}");
        }
    }
}

/// How an instruction says that the number of accounts is wrong.
struct Arity {
    send: Action,
    error: InstructionError,
}

/// Every instruction; of `distribute` and `rearm` only the fixed part, of `settle_batch` the sysvar and one channel.
fn arities() -> [Arity; 15] {
    let builtin = NOT_ENOUGH_ACCOUNT_KEYS;
    let custom = InstructionError::from(ChannelError::NotEnoughAccountKeys);
    [
        Arity { send: |world| world.open(), error: builtin.clone() },
        Arity { send: |world| world.settle_alone(), error: builtin.clone() },
        Arity { send: |world| world.top_up(1), error: custom.clone() },
        Arity { send: |world| world.seal_as_payee(), error: custom.clone() },
        Arity { send: |world| world.request_close(), error: custom.clone() },
        Arity { send: |world| world.seal(), error: builtin.clone() },
        Arity { send: |world| world.distribute(), error: builtin.clone() },
        Arity { send: |world| world.withdraw_payer(), error: custom.clone() },
        Arity { send: |world| world.reclaim(), error: builtin },
        Arity { send: |world| world.emit_event(), error: custom.clone() },
        Arity { send: |world| attempt(world, |channel| channel.settle_batch()), error: custom.clone() },
        Arity { send: |world| world.rearm(), error: custom.clone() },
        Arity { send: |world| attempt(world, |channel| channel.settle_up_to(1)), error: custom.clone() },
        Arity { send: |world| attempt(world, |channel| channel.settle_closing()), error: custom.clone() },
        Arity { send: |world| world.checkpoint(), error: custom },
    ]
}

fn attempt(world: &mut World, instruction: fn(&Channel) -> Instruction) -> Attempt<'_> {
    let instruction = instruction(&world.channel);
    world.attempt(instruction)
}

#[test]
fn too_few_accounts_reject_whatever_they_are() {
    for (row, Arity { send, error }) in arities().into_iter().enumerate() {
        let mut world = World::with_channel(Plan::default());
        let count = send(&mut world).account_count();
        for fewer in 0..count {
            send(&mut world).all_dummies().first_accounts(fewer).rejects_with(error.clone());
        }
        assert!(count > 0, "row {row}");
    }
}

#[test]
fn one_account_too_many_rejects_whatever_they_are() {
    for (row, Arity { send, error }) in arities().into_iter().enumerate() {
        let mut world = World::with_channel(Plan::default());
        if row == 6 {
            // The variable tail: one more is a recipient too many, seen after everything before it.
            send(&mut world).one_account_more().rejects_with(ChannelError::RecipientAccountCountMismatch);
            continue;
        }
        if row == 10 {
            // Another channel, as far as anyone can tell before the batch is read.
            send(&mut world).one_account_more().rejects_with(ChannelError::MissingEd25519Verification);
            continue;
        }
        if row == 11 {
            send(&mut world).one_account_more().rejects_with(ChannelError::RecipientAccountCountMismatch);
            continue;
        }
        send(&mut world).all_dummies().one_account_more().rejects_with(error);
    }
}

#[test]
fn dummies_get_as_far_as_the_first_guard_that_looks_at_them() {
    let actions: [Action; 11] = [
        |world| world.settle_alone(),
        |world| world.top_up(1),
        |world| world.seal_as_payee(),
        |world| world.request_close(),
        |world| world.seal(),
        |world| world.distribute(),
        |world| world.withdraw_payer(),
        |world| world.reclaim(),
        |world| world.rearm(),
        |world| attempt(world, |channel| channel.settle_up_to(1)),
        |world| attempt(world, |channel| channel.settle_closing()),
    ];
    for send in actions {
        let mut world = World::with_channel(Plan::default());
        send(&mut world).all_dummies().rejects_with(InstructionError::InvalidAccountOwner);
    }
}

#[test]
fn open_looks_at_no_program_sysvar_or_mint_before_the_channels_address() {
    let mut world = World::before_open(Plan::default());
    let signer = world.channel.authorized_signer;
    world.open().all_dummies().account(4, signer).rejects_with(ChannelError::ChannelAddressMismatch);
}

#[test]
fn settling_looks_at_the_sysvar_only_after_status_and_payee() {
    let mut world = World::with_state(Plan::default(), |state| state.status = Status::Sealed as u8);
    world.settle_alone().account(1, named("dummy")).rejects_with(ChannelError::InvalidChannelStatus);
    let seal = world.channel.settle_and_seal(1);
    world.attempt(seal).account(2, named("dummy")).rejects_with(ChannelError::InvalidChannelStatus);

    let mut world = World::with_channel(Plan::default());
    let seal = world.channel.settle_and_seal(1);
    world
        .attempt(seal)
        .account(0, named("stranger"))
        .account(2, named("dummy"))
        .rejects_with(ChannelError::InvalidChannelPayee);
}
