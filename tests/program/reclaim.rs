//! `reclaim`: once no `open` can use the address again, the account's rent goes back.

use toll_program_tests::{
    Account, Channel, ChannelError::*, Fault, InstructionError, NOT_ENOUGH_ACCOUNT_KEYS, OPEN_SLOT_WINDOW,
    Plan, RENT_OF_CHANNEL, SLOT, SYSTEM_PROGRAM, Status, World, guards, named,
};

/// The last slot in which the address is still needed.
const LAST: u64 = SLOT + OPEN_SLOT_WINDOW;

fn distributed() -> World {
    let mut world = World::with_state(Plan::default(), |state| state.status = Status::Distributed as u8);
    world.remove(world.channel.escrow);
    world.at_slot(LAST + 1);
    world
}

guards! {
    start: distributed,
    send: |world| world.reclaim(),
    one_account_missing_rejects: NOT_ENOUGH_ACCOUNT_KEYS, Fault::Attempt(|reclaim| reclaim.one_account_less());
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
    another_rent_payer_rejects: InvalidChannelRentPayer,
        Fault::Attempt(|reclaim| reclaim.account(1, named("stranger")));
    an_open_slot_near_the_end_of_time_rejects: InstructionError::ArithmeticOverflow,
        Fault::World(|world| world.spoil_open_slot(u64::MAX - OPEN_SLOT_WINDOW + 1));
    a_slot_too_early_rejects: ChannelCloseTooEarly, Fault::World(|world| world.at_slot(LAST));
    a_rent_payer_who_cannot_hold_more_lamports_rejects: RentPayerBalanceOverflow,
        Fault::World(|world| {
            let full = Account::new(u64::MAX - RENT_OF_CHANNEL + 1, 0, &SYSTEM_PROGRAM);
            world.put(world.channel.plan.rent_payer, full);
        });
}

#[test]
fn every_lamport_goes_to_the_rent_payer_and_nothing_is_left() {
    let mut world = distributed();
    let rent_payer = world.channel.plan.rent_payer;
    let before = world.lamports(&rent_payer);
    let landed = world.reclaim().succeeds();

    assert_eq!(world.lamports(&rent_payer) - before, RENT_OF_CHANNEL);
    assert!(world.is_gone(&world.channel.address));
    assert_eq!(landed.invocations(), 0);
}

#[test]
fn lamports_given_to_the_channel_go_along() {
    let mut world = distributed();
    let rent_payer = world.channel.plan.rent_payer;
    let account = world.svm.get_account(&world.channel.address).unwrap();
    world.put(world.channel.address, Account { lamports: account.lamports + 77, ..account });
    let before = world.lamports(&rent_payer);
    world.reclaim().succeeds();
    assert_eq!(world.lamports(&rent_payer) - before, RENT_OF_CHANNEL + 77);
}

#[test]
fn a_rent_payer_filled_to_the_brim_is_enough() {
    let mut world = distributed();
    let rent_payer = world.channel.plan.rent_payer;
    world.put(rent_payer, Account::new(u64::MAX - RENT_OF_CHANNEL, 0, &SYSTEM_PROGRAM));
    world.reclaim().succeeds();
    assert_eq!(world.lamports(&rent_payer), u64::MAX);
}

#[test]
fn a_rent_payer_without_an_account_gets_one() {
    let mut world = distributed();
    world.remove(world.channel.plan.rent_payer);
    world.reclaim().succeeds();
    assert_eq!(world.lamports(&world.channel.plan.rent_payer), RENT_OF_CHANNEL);
}

#[test]
fn the_window_ends_after_1500_slots() {
    for slot in [0, SLOT, LAST - 1, LAST] {
        let mut world = distributed();
        world.at_slot(slot);
        world.reclaim().rejects_with(ChannelCloseTooEarly);
        // A refused call costs nothing: it lands once it is time.
        world.at_slot(LAST + 1);
        world.reclaim().succeeds();
    }
}

#[test]
fn the_last_open_slot_that_fits_waits_for_its_window() {
    let mut world = distributed();
    world.spoil_open_slot(u64::MAX - OPEN_SLOT_WINDOW);
    world.reclaim().rejects_with(ChannelCloseTooEarly);
}

#[test]
fn every_status_but_distributed_rejects() {
    for status in [0, 1, 2, 4, 255] {
        let mut world = distributed();
        world.edit(|state| state.status = status);
        world.reclaim().rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn many_channels_go_in_one_transaction() {
    let mut world = distributed();
    let mut addresses = vec![world.channel.address];
    let mut others = Vec::new();
    for salt in 100..107 {
        world.channel = Channel::new(Plan { salt, ..Plan::default() });
        let mut state = world.channel.opened();
        state.status = Status::Distributed as u8;
        world.put_channel(&state);
        addresses.push(world.channel.address);
        others.push(world.channel.reclaim());
    }
    world.channel = Channel::new(Plan::default());
    let before = world.lamports(&world.channel.plan.rent_payer);
    world.reclaim().followed_by(others).succeeds();
    assert!(addresses.iter().all(|address| world.is_gone(address)));
    assert_eq!(world.lamports(&world.channel.plan.rent_payer) - before, 8 * RENT_OF_CHANNEL);
}

#[test]
fn a_channel_is_reclaimed_once() {
    let mut world = distributed();
    let again = world.channel.reclaim();
    let outcome = world.reclaim().followed_by([again]).outcome();
    let (index, error) = outcome.err().unwrap();
    assert_eq!(index, 1);
    assert!(
        matches!(error, InstructionError::InvalidAccountOwner | InstructionError::InvalidAccountData),
        "{error:?}"
    );
    world.reclaim().succeeds();
    world.reclaim().rejects_with(InstructionError::InvalidAccountOwner);
}

#[test]
fn a_channel_at_any_address_is_reclaimed() {
    let mut world = distributed();
    world.move_channel_to(named("nowhere"));
    world.reclaim().succeeds();
    assert!(world.is_gone(&named("nowhere")));
}

#[test]
fn lamports_sent_back_in_the_same_transaction_revive_no_channel() {
    let mut world = distributed();
    let (rent_payer, address) = (world.channel.plan.rent_payer, world.channel.address);
    // A system transfer of the very rent that was just freed.
    let data = [&2u32.to_le_bytes()[..], &RENT_OF_CHANNEL.to_le_bytes()].concat();
    let accounts = [(rent_payer, true), (address, false)];
    let send_back = toll_program_tests::Instruction {
        program_id: SYSTEM_PROGRAM,
        accounts: accounts.map(|(key, signs)| toll_program_tests::AccountMeta::new(key, signs)).to_vec(),
        data,
    };
    world.reclaim().followed_by([send_back]).succeeds();
    let account = world.svm.get_account(&address).unwrap();
    assert_eq!((account.owner, account.data.len()), (SYSTEM_PROGRAM, 0));
    world.reclaim().rejects_with(InstructionError::InvalidAccountOwner);
}

#[test]
fn the_same_terms_open_a_new_channel_only_under_a_new_slot() {
    let mut world = distributed();
    let old = world.voucher(100);
    world.reclaim().succeeds();
    world.open().rejects_with(OpenSlotOutOfWindow);

    world.channel = Channel::new(Plan { open_slot: LAST + 1, ..Plan::default() });
    world.open().succeeds();
    world.settle(&old).rejects_with(VoucherChannelMismatch);
}

#[test]
fn trailing_data_is_ignored() {
    distributed().reclaim().trailing(&[1]).succeeds();
}

#[test]
fn an_account_too_many_rejects() {
    distributed().reclaim().one_account_more().rejects_with(NOT_ENOUGH_ACCOUNT_KEYS);
}
