//! `request_close`: the payer starts the grace period.

use toll_program_tests::{ChannelError::*, Fault, InstructionError, NOW, Plan, Status, World, guards, named};

guards! {
    start: || World::with_channel(Plan::default()),
    send: |world| world.request_close(),
    one_account_missing_rejects: NotEnoughAccountKeys, Fault::Attempt(|close| close.one_account_less());
    an_unsigned_payer_rejects: MissingRequiredSignature, Fault::Attempt(|close| close.unsigned(0));
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
    another_payer_rejects: InvalidChannelPayer, Fault::Attempt(|close| close.account(0, named("stranger")));
}

#[test]
fn the_channel_closes_from_now_on() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 70);
    let mut expected = world.state();
    let landed = world.request_close().succeeds();

    expected.status = Status::Closing as u8;
    expected.closure_started_at = NOW;
    assert_eq!(world.state(), expected);
    assert_eq!(landed.invocations(), 0);
}

#[test]
fn a_second_request_does_not_move_the_deadline() {
    let mut world = World::with_channel(Plan::default());
    world.request_close().succeeds();
    world.at_time(NOW + 100);
    world.request_close().rejects_with(InvalidChannelStatus);
    assert_eq!(world.state().closure_started_at, NOW);
}

#[test]
fn every_status_but_open_rejects() {
    for status in [1, 2, 3, 4, 255] {
        let mut world = World::with_state(Plan::default(), |state| state.status = status);
        world.request_close().rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn the_payee_cannot_request_it() {
    let mut world = World::with_channel(Plan::default());
    world.request_close().account(0, named("payee")).rejects_with(InvalidChannelPayer);
}

#[test]
fn trailing_data_is_ignored() {
    let mut world = World::with_channel(Plan::default());
    world.request_close().trailing(&[9; 40]).succeeds();
    assert_eq!(world.state().status, Status::Closing as u8);
}

#[test]
fn an_account_too_many_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.request_close().one_account_more().rejects_with(NotEnoughAccountKeys);
}

#[test]
fn a_channel_at_any_address_closes() {
    let mut world = World::with_channel(Plan::default());
    world.move_channel_to(named("nowhere"));
    world.request_close().succeeds();
    assert_eq!(world.state().status, Status::Closing as u8);
}
