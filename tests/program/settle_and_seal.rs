//! `settle_and_seal`: the payee ends the channel, with or without a last voucher.

use toll_program_tests::{
    ChannelError::*, Fault, GRACE_PERIOD, InstructionError, NOW, Plan, Status, World, guards, named,
};

guards! {
    start: || World::with_channel(Plan::default()),
    send: |world| world.settle_and_seal(&world.voucher(100)),
    data_without_the_flag_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|seal| seal.truncated(1));
    one_account_missing_rejects: NotEnoughAccountKeys, Fault::Attempt(|seal| seal.one_account_less());
    an_unsigned_payee_rejects: MissingRequiredSignature, Fault::Attempt(|seal| seal.unsigned(0));
    a_foreign_channel_account_rejects: InstructionError::InvalidAccountOwner,
        Fault::World(World::spoil_channel_owner);
    a_channel_of_another_size_rejects: InstructionError::InvalidAccountData,
        Fault::World(|world| world.spoil_channel_size(257));
    another_account_kind_rejects: InvalidAccountDiscriminator,
        Fault::World(|world| world.spoil_channel_byte(0, 2));
    another_layout_version_rejects: UnsupportedChannelVersion,
        Fault::World(|world| world.spoil_channel_byte(1, 2));
    a_sealed_channel_rejects: InvalidChannelStatus,
        Fault::World(|world| world.spoil_channel_byte(3, Status::Sealed as u8));
    another_payee_rejects: InvalidChannelPayee, Fault::Attempt(|seal| seal.account(0, named("stranger")));
    another_instructions_sysvar_rejects: InstructionError::UnsupportedSysvar,
        Fault::Attempt(|seal| seal.account(2, named("instructions")));
}

#[test]
fn an_open_channel_settles_and_seals() {
    let mut world = World::with_channel(Plan::default());
    let mut expected = world.state();
    let landed = world.settle_and_seal(&world.voucher(100)).succeeds();

    expected.settled = 100;
    expected.status = Status::Sealed as u8;
    assert_eq!(world.state(), expected);
    assert_eq!(landed.invocations(), 0);
    assert_eq!(world.tokens(&world.channel.escrow), 1_000_000, "no tokens move");
}

#[test]
fn an_open_channel_seals_without_a_voucher() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 70);
    world.seal_as_payee().succeeds();
    assert_eq!((world.state().status, world.state().settled), (Status::Sealed as u8, 70));
}

#[test]
fn without_a_voucher_the_sysvar_is_never_looked_at() {
    let mut world = World::with_channel(Plan::default());
    world.seal_as_payee().account(2, named("dummy")).succeeds();
    assert_eq!(world.state().status, Status::Sealed as u8);
}

#[test]
fn without_the_flag_a_proof_just_before_is_not_applied() {
    let mut world = World::with_channel(Plan::default());
    let proof = world.sign(&world.voucher(100)).instruction();
    world.seal_as_payee().preceded_by(proof).succeeds();
    assert_eq!(world.state().settled, 0);
}

#[test]
fn any_flag_but_zero_asks_for_a_voucher() {
    for flag in [1, 2, 128, 255] {
        let mut world = World::with_channel(Plan::default());
        world.settle_and_seal(&world.voucher(100)).data([4, flag]).succeeds();
        assert_eq!(world.state().settled, 100);

        let mut world = World::with_channel(Plan::default());
        world.seal_as_payee().data([4, flag]).rejects_with(MissingEd25519Verification);
    }
}

#[test]
fn data_longer_than_the_flag_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.seal_as_payee().trailing(&[0]).rejects_with(InstructionError::InvalidInstructionData);
}

#[test]
fn an_account_too_many_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.seal_as_payee().one_account_more().rejects_with(NotEnoughAccountKeys);
}

#[test]
fn a_closing_channel_settles_and_seals_until_the_second_before_the_deadline() {
    let deadline = NOW + i64::from(GRACE_PERIOD);
    for now in [NOW, deadline - 1] {
        let mut world = closing();
        world.at_time(now);
        world.settle_and_seal(&world.voucher(100)).succeeds();
        let state = world.state();
        assert_eq!((state.status, state.settled, state.closure_started_at), (Status::Sealed as u8, 100, 0));
    }
}

#[test]
fn at_the_deadline_the_payee_is_too_late() {
    let deadline = NOW + i64::from(GRACE_PERIOD);
    for now in [deadline, deadline + 1, i64::MAX] {
        let mut world = closing();
        world.at_time(now);
        world.settle_and_seal(&world.voucher(100)).rejects_with(InvalidChannelStatus);
        world.seal_as_payee().rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn a_deadline_beyond_i64_rejects() {
    let mut world = closing();
    world.edit(|state| state.closure_started_at = i64::MAX);
    world.seal_as_payee().rejects_with(InstructionError::ArithmeticOverflow);
}

#[test]
fn a_deadline_beyond_i64_is_seen_before_the_payee() {
    let mut world = closing();
    world.edit(|state| state.closure_started_at = i64::MAX);
    world.seal_as_payee().account(0, named("stranger")).rejects_with(InstructionError::ArithmeticOverflow);
}

#[test]
fn a_missed_deadline_is_seen_before_the_payee() {
    let mut world = closing();
    world.at_time(NOW + i64::from(GRACE_PERIOD));
    world.seal_as_payee().account(0, named("stranger")).rejects_with(InvalidChannelStatus);
}

#[test]
fn statuses_past_closing_reject() {
    for status in [1, 3, 4, 255] {
        let mut world = World::with_state(Plan::default(), |state| state.status = status);
        world.seal_as_payee().rejects_with(InvalidChannelStatus);
        world.settle_and_seal(&world.voucher(100)).rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn the_payer_cannot_seal_in_the_payees_place() {
    let mut world = World::with_channel(Plan::default());
    world.seal_as_payee().account(0, named("payer")).rejects_with(InvalidChannelPayee);
}

#[test]
fn a_voucher_at_the_watermark_does_not_seal() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 100);
    world.settle_and_seal(&world.voucher(100)).rejects_with(VoucherWatermarkNotMonotonic);
    assert_eq!(world.state().status, Status::Open as u8);
}

#[test]
fn a_channel_at_any_address_seals() {
    let mut world = World::with_channel(Plan::default());
    world.move_channel_to(named("nowhere"));
    world.settle_and_seal(&world.voucher(100)).succeeds();
    assert_eq!(world.state().status, Status::Sealed as u8);
}

fn closing() -> World {
    let mut world = World::with_channel(Plan::default());
    world.request_close().succeeds();
    world
}
