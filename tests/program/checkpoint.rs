//! `checkpoint`: the event that makes any instruction visible to an indexer.

use toll_program_tests::{
    ChannelError::*, ChannelState, Event, Fault, GRACE_PERIOD, Instruction, InstructionError, NOW,
    OPEN_SLOT_WINDOW, Plan, SLOT, World, guards, named,
};

guards! {
    start: || World::with_channel(Plan::default()),
    send: |world| world.checkpoint(),
    data_after_the_discriminator_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|checkpoint| checkpoint.trailing(&[0]));
    one_account_missing_rejects: NotEnoughAccountKeys,
        Fault::Attempt(|checkpoint| checkpoint.one_account_less());
    a_foreign_channel_account_rejects: InstructionError::InvalidAccountOwner,
        Fault::World(World::spoil_channel_owner);
    a_channel_of_another_size_rejects: InstructionError::InvalidAccountData,
        Fault::World(|world| world.spoil_channel_size(257));
    another_account_kind_rejects: InvalidAccountDiscriminator,
        Fault::World(|world| world.spoil_channel_byte(0, 2));
    another_layout_version_rejects: UnsupportedChannelVersion,
        Fault::World(|world| world.spoil_channel_byte(1, 2));
    another_event_authority_rejects: InvalidEventAuthority,
        Fault::Attempt(|checkpoint| checkpoint.account(1, named("authority")));
}

#[test]
fn the_whole_account_is_emitted_in_every_status_and_nothing_changes() {
    for status in [0, 1, 2, 3, 255] {
        let mut world = World::with_state(Plan::with_shares(&[1_000]), |state| {
            *state = ChannelState {
                status,
                settled: 7,
                payout_watermark: 5,
                closure_started_at: -3,
                payer_withdrawn_at: 9,
                ..state.clone()
            };
        });
        let state = world.state();
        let landed = world.checkpoint().succeeds();
        let channel = world.channel.address;
        assert_eq!(landed.events(), [Event::Checkpointed { channel, state: Box::new(state.clone()) }]);
        assert_eq!(world.state(), state);
    }
}

#[test]
fn an_address_without_a_channel_is_vacant() {
    let mut world = World::before_open(Plan::default());
    let channel = world.channel.address;
    assert_eq!(world.checkpoint().succeeds().events(), [Event::Vacant { channel }]);
    // Lamports that somebody sent there are no channel either.
    world.put_wallet(channel);
    assert_eq!(world.checkpoint().succeeds().events(), [Event::Vacant { channel }]);
    world.remove(channel);
    world.checkpoint().account(1, named("authority")).rejects_with(InvalidEventAuthority);
}

#[test]
fn another_programs_account_is_neither_channel_nor_vacant() {
    let mut world = World::with_channel(Plan::default());
    for address in [world.channel.escrow, world.channel.mint] {
        world.checkpoint().account(0, address).rejects_with(InstructionError::InvalidAccountOwner);
    }
}

#[test]
fn an_account_too_many_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.checkpoint().one_account_more().rejects_with(NotEnoughAccountKeys);
}

/// Sends `instructions` and a checkpoint in one transaction, and returns what the checkpoint said.
fn checkpointed(world: &mut World, instructions: Vec<Instruction>) -> Option<ChannelState> {
    let attempt = world.checkpoint();
    let attempt = instructions.into_iter().fold(attempt, |attempt, before| attempt.preceded_by(before));
    match &attempt.succeeds().events()[..] {
        [Event::Checkpointed { state, .. }] => Some((**state).clone()),
        [Event::Vacant { .. }] => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn appended_to_each_instruction_it_tells_a_channels_whole_life() {
    let mut world = World::before_open(Plan::with_shares(&[1_000]));
    let channel = world.channel.clone();
    let proof = |cumulative| {
        let world = World::before_open(Plan::with_shares(&[1_000]));
        world.sign(&world.voucher(cumulative)).instruction()
    };
    let ceiling = |maximum| {
        let world = World::before_open(Plan::with_shares(&[1_000]));
        world.sign(&world.ceiling(maximum)).instruction()
    };
    let steps: Vec<(i64, u64, Vec<Instruction>)> = vec![
        (NOW, SLOT, vec![channel.open()]),
        (NOW, SLOT, vec![proof(100), channel.settle()]),
        (NOW, SLOT, vec![channel.top_up(5_000)]),
        (NOW, SLOT, vec![channel.distribute()]),
        (NOW, SLOT, vec![ceiling(500), channel.settle_up_to(300)]),
        (NOW, SLOT, vec![channel.rearm(0)]),
        (NOW, SLOT, vec![channel.top_up(700)]),
        (NOW + 1, SLOT, vec![channel.request_close()]),
        (NOW + 2, SLOT, vec![proof(900), channel.settle_closing()]),
        (NOW + 1 + i64::from(GRACE_PERIOD), SLOT, vec![channel.seal()]),
        (NOW + 9_999, SLOT, vec![channel.withdraw_payer()]),
        (NOW + 9_999, SLOT, vec![channel.distribute()]),
        (NOW + 9_999, SLOT + OPEN_SLOT_WINDOW + 1, vec![channel.reclaim()]),
    ];
    assert_eq!(checkpointed(&mut world, Vec::new()), None);
    let mut known = None;
    for (index, (now, slot, instructions)) in steps.into_iter().enumerate() {
        world.set_clock(slot, now);
        let told = checkpointed(&mut world, instructions);
        assert_ne!(told, known, "step {index} shows in the event");
        let gone = world.is_gone(&channel.address);
        assert_eq!(told, (!gone).then(|| world.state()), "step {index}");
        known = told;
    }
    assert_eq!(known, None);
}

#[test]
fn a_channel_that_left_in_the_same_transaction_is_vacant() {
    let mut world = World::opened(Plan::default());
    world.at_slot(SLOT + OPEN_SLOT_WINDOW + 1);
    let (seal, distribute) = (world.channel.settle_and_seal(0), world.channel.distribute());
    assert_eq!(checkpointed(&mut world, vec![seal, distribute]), None);
}
