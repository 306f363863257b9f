//! `seal`: anyone ends the channel once the grace period is over.

use toll_program_tests::{
    ChannelError::*, Fault, GRACE_PERIOD, InstructionError, NOT_ENOUGH_ACCOUNT_KEYS, NOW, Plan, Status,
    World, guards, named,
};

const DEADLINE: i64 = NOW + GRACE_PERIOD as i64;

/// Closing since [`NOW`], with 70 settled, at the deadline.
fn closing() -> World {
    let mut world = World::with_state(Plan::default(), |state| {
        state.status = Status::Closing as u8;
        state.closure_started_at = NOW;
        state.settled = 70;
    });
    world.at_time(DEADLINE);
    world
}

guards! {
    start: closing,
    send: |world| world.seal(),
    one_account_missing_rejects: NOT_ENOUGH_ACCOUNT_KEYS, Fault::Attempt(|seal| seal.one_account_less());
    a_foreign_channel_account_rejects: InstructionError::InvalidAccountOwner,
        Fault::World(World::spoil_channel_owner);
    a_channel_of_another_size_rejects: InstructionError::InvalidAccountData,
        Fault::World(|world| world.spoil_channel_size(257));
    another_account_kind_rejects: InvalidAccountDiscriminator,
        Fault::World(|world| world.spoil_channel_byte(0, 2));
    another_layout_version_rejects: UnsupportedChannelVersion,
        Fault::World(|world| world.spoil_channel_byte(1, 2));
    an_open_channel_rejects: InvalidChannelStatus,
        Fault::World(|world| world.spoil_channel_byte(3, Status::Open as u8));
    a_deadline_beyond_i64_rejects: SealDeadlineOverflow,
        Fault::World(|world| world.spoil_closure(i64::MAX));
    a_second_too_early_rejects: SealGracePeriodNotElapsed, Fault::World(|world| world.at_time(DEADLINE - 1));
}

#[test]
fn from_the_deadline_on_anyone_seals() {
    for now in [DEADLINE, DEADLINE + 1, i64::MAX] {
        let mut world = closing();
        world.at_time(now);
        let mut expected = world.state();
        let landed = world.seal().succeeds();

        expected.status = Status::Sealed as u8;
        expected.closure_started_at = 0;
        assert_eq!(world.state(), expected);
        assert_eq!(landed.invocations(), 0);
    }
}

#[test]
fn the_shortest_grace_period_is_one_second() {
    let mut world = closing();
    world.edit(|state| state.grace_period = 1);
    world.at_time(NOW);
    world.seal().rejects_with(SealGracePeriodNotElapsed);
    world.at_time(NOW + 1);
    world.seal().succeeds();
}

#[test]
fn the_last_deadline_that_fits_is_honoured() {
    let mut world = closing();
    world.edit(|state| state.closure_started_at = i64::MAX - i64::from(GRACE_PERIOD));
    world.seal().rejects_with(SealGracePeriodNotElapsed);
    world.at_time(i64::MAX);
    world.seal().succeeds();
}

#[test]
fn every_status_but_closing_rejects() {
    for status in [0, 1, 3, 4, 255] {
        let mut world = closing();
        world.edit(|state| state.status = status);
        world.seal().rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn trailing_data_is_ignored() {
    let mut world = closing();
    world.seal().trailing(&[1]).succeeds();
    assert_eq!(world.state().status, Status::Sealed as u8);
}

#[test]
fn an_account_too_many_rejects() {
    let mut world = closing();
    world.seal().one_account_more().rejects_with(NOT_ENOUGH_ACCOUNT_KEYS);
}

#[test]
fn a_channel_at_any_address_seals() {
    let mut world = closing();
    world.move_channel_to(named("nowhere"));
    world.seal().succeeds();
    assert_eq!(world.state().status, Status::Sealed as u8);
}
