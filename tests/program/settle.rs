//! `settle`: a voucher raises the watermark, whoever sends it.

use toll_program_tests::{
    ChannelError::*, Fault, InstructionError, NOT_ENOUGH_ACCOUNT_KEYS, Plan, Status, World, guards, named,
};

guards! {
    start: || World::with_channel(Plan::default()),
    send: |world| world.settle(&world.voucher(100)),
    one_account_missing_rejects: NOT_ENOUGH_ACCOUNT_KEYS, Fault::Attempt(|settle| settle.one_account_less());
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
    another_instructions_sysvar_rejects: InstructionError::UnsupportedSysvar,
        Fault::Attempt(|settle| settle.account(1, named("instructions")));
}

#[test]
fn the_watermark_rises_to_the_voucher_and_nothing_else_changes() {
    let mut world = World::with_channel(Plan::default());
    let before = world.state();
    let tokens = world.tokens(&world.channel.escrow);

    let landed = world.settle(&world.voucher(100)).succeeds();

    let mut expected = before;
    expected.settled = 100;
    assert_eq!(world.state(), expected);
    assert_eq!(world.tokens(&world.channel.escrow), tokens);
    assert_eq!(landed.invocations(), 0, "no event, no transfer");
}

#[test]
fn the_smallest_increment_settles() {
    let mut world = World::with_channel(Plan::default());
    world.settle(&world.voucher(1)).succeeds();
    world.settle(&world.voucher(2)).succeeds();
    assert_eq!(world.state().settled, 2);
}

#[test]
fn the_whole_deposit_settles() {
    let mut world = World::with_channel(Plan::default());
    world.settle(&world.voucher(1_000_000)).succeeds();
    assert_eq!(world.state().settled, 1_000_000);
}

#[test]
fn a_later_voucher_replaces_an_earlier_one() {
    let mut world = World::with_channel(Plan::default());
    world.settle(&world.voucher(100)).succeeds();
    world.settle(&world.voucher(250)).succeeds();
    assert_eq!(world.state().settled, 250, "cumulative, not added up");
}

#[test]
fn two_pairs_settle_in_one_transaction() {
    let mut world = World::with_channel(Plan::default());
    let second = world.sign(&world.voucher(200)).instruction();
    let settle = world.channel.settle();
    world.settle(&world.voucher(100)).followed_by([second, settle]).succeeds();
    assert_eq!(world.state().settled, 200);
}

#[test]
fn of_two_pairs_in_descending_order_both_fail() {
    let mut world = World::with_channel(Plan::default());
    let first = [world.sign(&world.voucher(200)).instruction(), world.channel.settle()];
    let [proof, settle] = first;
    world
        .settle_alone()
        .preceded_by(proof)
        .preceded_by(settle)
        .preceded_by(world_proof(100))
        .rejects_with(VoucherWatermarkNotMonotonic);
    assert_eq!(world.state().settled, 0);
}

#[test]
fn one_proof_does_not_serve_two_settles() {
    let mut world = World::with_channel(Plan::default());
    let settle = world.channel.settle();
    let proof = world_proof(100);
    world.settle_alone().preceded_by(proof).preceded_by(settle).rejects_with(MissingEd25519Verification);
}

#[test]
fn two_channels_settle_in_one_transaction() {
    let mut world = World::with_channel(Plan::default());
    let first = [world.sign(&world.voucher(100)).instruction(), world.channel.settle()];
    let first_address = world.channel.address;
    world.channel = toll_program_tests::Channel::new(Plan { salt: 43, ..Plan::default() });
    let state = world.channel.opened();
    world.put_channel(&state);
    let [proof, settle] = first;
    world.settle(&world.voucher(7)).followed_by([proof, settle]).succeeds();
    assert_eq!(world.state().settled, 7);
    world.channel.address = first_address;
    assert_eq!(world.state().settled, 100);
}

#[test]
fn trailing_data_is_ignored() {
    let mut world = World::with_channel(Plan::default());
    world.settle(&world.voucher(100)).trailing(&[1, 2, 3]).succeeds();
    assert_eq!(world.state().settled, 100);
}

#[test]
fn an_account_too_many_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.settle(&world.voucher(100)).one_account_more().rejects_with(NOT_ENOUGH_ACCOUNT_KEYS);
}

#[test]
fn a_channel_at_any_address_settles() {
    let mut world = World::with_channel(Plan::default());
    world.move_channel_to(named("nowhere"));
    world.settle(&world.voucher(100)).succeeds();
    assert_eq!(world.state().settled, 100);
}

#[test]
fn an_address_without_an_account_rejects() {
    let mut world = World::before_open(Plan::default());
    world.settle(&world.voucher(100)).rejects_with(InstructionError::InvalidAccountOwner);
}

#[test]
fn a_one_byte_account_of_the_program_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.spoil_channel_size(1);
    world.settle(&world.voucher(100)).rejects_with(InstructionError::InvalidAccountData);
}

#[test]
fn the_layout_before_open_slots_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.spoil_channel_size(248);
    world.settle(&world.voucher(100)).rejects_with(InstructionError::InvalidAccountData);
}

#[test]
fn every_status_but_open_rejects() {
    for status in [1, 2, 3, 4, 255] {
        let mut world = World::with_state(Plan::default(), |state| state.status = status);
        world.settle(&world.voucher(100)).rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn a_read_only_channel_rejects() {
    let mut world = World::with_channel(Plan::default());
    let outcome = world.settle(&world.voucher(100)).readonly(0).outcome();
    assert!(outcome.is_err(), "the watermark of a read-only account cannot rise");
}

fn world_proof(cumulative: u64) -> toll_program_tests::Instruction {
    let world = World::with_channel(Plan::default());
    world.sign(&world.voucher(cumulative)).instruction()
}
