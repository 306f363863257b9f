//! `settle_batch` when some of its channels closed: those that still can settle do, whoever left.

use crate::settle_batch::{edit, many, send, settled};
use toll_program_tests::{
    Account, Attempt, Batch, ChannelError::*, Event, GRACE_PERIOD, InstructionError, NOW, Plan, Proof,
    Pubkey, SYSTEM_PROGRAM, Status, TransactionError, World, compute_unit_limit, named,
    settle_batch_of_the_living, voucher_key,
};

const DEADLINE: i64 = NOW + GRACE_PERIOD as i64;
/// What fits one packet of the network.
const PACKET: usize = 1_232;
const SEALED: u8 = 0;
const GRACE_PERIOD_OVER: u8 = 1;
/// An event of another kind.
const GONE: u8 = 2;

/// What happens to a channel, and the reason that its event gives.
type Death = (u8, fn(&mut World, Pubkey));

/// The event that names a channel which died of `reason`.
fn obituary(channel: Pubkey, target: u64, settled: u64, reason: u8) -> Event {
    if reason == GONE {
        Event::Vacant { channel }
    } else {
        Event::Skipped { channel, target, settled, reason }
    }
}

const DEATHS: [Death; 5] = [
    (SEALED, |world, dead| edit(world, dead, |state| state.status = Status::Sealed as u8)),
    (SEALED, |world, dead| edit(world, dead, |state| state.status = Status::Distributed as u8)),
    (GRACE_PERIOD_OVER, |world, dead| close(world, dead, NOW - i64::from(GRACE_PERIOD))),
    (GONE, |world, dead| world.remove(dead)),
    // Somebody sent lamports to where it was.
    (GONE, |world, dead| world.put(dead, Account::new(1_000_000, 0, &SYSTEM_PROGRAM))),
];

fn close(world: &mut World, channel: Pubkey, since: i64) {
    edit(world, channel, |state| {
        (state.status, state.closure_started_at) = (Status::Closing as u8, since);
    });
}

/// With the accounts that it takes to tell of the dead.
fn tell<'w>(world: &'w mut World, batch: &Batch) -> Attempt<'w> {
    world.settle_batch_of_the_living(batch)
}

/// What is settled of each channel, where there is one.
fn standings(world: &World, batch: &Batch) -> Vec<Option<u64>> {
    let alive =
        |channel: &Pubkey| world.svm.get_account(channel).is_some_and(|account| !account.data.is_empty());
    let channels = batch.channels();
    channels.iter().map(|channel| alive(channel).then(|| world.state_of(channel).settled)).collect()
}

#[test]
fn the_dead_are_skipped_and_named_and_all_others_settle() {
    for (reason, die) in DEATHS {
        for index in [0, 4, 8] {
            let (mut world, batch) = many(9);
            let (dead, target) = batch.targets[index];
            edit(&mut world, dead, |state| state.settled = 7);
            die(&mut world, dead);
            let mut expected: Vec<_> = batch.targets.iter().map(|(_, target)| Some(*target)).collect();
            expected[index] = (reason != GONE).then_some(7);
            let before = world.svm.get_account(&dead);
            let landed = tell(&mut world, &batch).succeeds();
            let settled = expected[index].unwrap_or(0);
            assert_eq!(landed.events(), [obituary(dead, target, settled, reason)]);
            assert_eq!(standings(&world, &batch), expected);
            let after = world.svm.get_account(&dead);
            let left = |account: Option<Account>| account.map(|account| (account.lamports, account.data));
            assert_eq!(left(after), left(before), "the dead are left as they were");
        }
    }
}

#[test]
fn without_the_accounts_to_tell_of_it_one_dead_channel_stops_all_others() {
    for (reason, die) in DEATHS {
        for index in [0, 4, 8] {
            let (mut world, batch) = many(9);
            die(&mut world, batch.targets[index].0);
            let error = match reason {
                GONE => InstructionError::InvalidAccountOwner,
                _ => InvalidChannelStatus.into(),
            };
            // `rejects_with` compares every account of the ledger.
            send(&mut world, &batch, 3).rejects_with(error);
        }
    }
}

#[test]
fn a_payer_that_leaves_takes_no_batch_along_before_its_deadline() {
    for (now, lands) in [(NOW, true), (DEADLINE - 1, true), (DEADLINE, false), (i64::MAX, false)] {
        let (mut world, batch) = many(3);
        let (closing, target) = batch.targets[1];
        close(&mut world, closing, NOW);
        world.at_time(now);
        if lands {
            let mut expected = world.state_of(&closing);
            expected.settled = target;
            // By the list that the proposal has, and no event.
            let landed = send(&mut world, &batch, 3).succeeds();
            assert_eq!(landed.invocations(), 0);
            assert_eq!(world.state_of(&closing), expected, "it goes on closing");
        } else {
            send(&mut world, &batch, 3).rejects_with(InvalidChannelStatus);
            let landed = tell(&mut world, &batch).succeeds();
            let reason = GRACE_PERIOD_OVER;
            assert_eq!(landed.events(), [Event::Skipped { channel: closing, target, settled: 0, reason }]);
        }
    }
}

#[test]
fn a_dead_channel_at_its_target_or_beyond_is_not_named() {
    for (_, die) in &DEATHS[..3] {
        for beyond in [0, 1] {
            let (mut world, batch) = many(3);
            let (dead, target) = batch.targets[1];
            let settled = target + beyond;
            edit(&mut world, dead, |state| state.settled = settled);
            die(&mut world, dead);
            assert_eq!(tell(&mut world, &batch).succeeds().events(), []);
            assert_eq!(world.state_of(&dead).settled, settled);
        }
    }
}

#[test]
fn where_all_live_nothing_is_told() {
    let (mut world, batch) = many(9);
    assert_eq!(tell(&mut world, &batch).succeeds().invocations(), 0);
    assert_eq!(settled(&world, &batch), batch.targets.iter().map(|(_, target)| *target).collect::<Vec<_>>());
    // Again, and nothing changes.
    tell(&mut world, &batch).succeeds();
}

#[test]
fn a_batch_of_the_dead_alone_changes_nothing_and_names_them_all() {
    let (mut world, batch) = many(4);
    for ((_, die), (dead, _)) in DEATHS.iter().zip(&batch.targets) {
        die(&mut world, *dead);
    }
    let landed = tell(&mut world, &batch).succeeds();
    let named: Vec<_> = batch
        .targets
        .iter()
        .zip(&DEATHS)
        .map(|((channel, target), (reason, _))| obituary(*channel, *target, 0, *reason))
        .collect();
    assert_eq!(landed.events(), named);
}

#[test]
fn what_is_wrong_with_a_promise_stops_all_others_though_it_could_be_told() {
    type Spoil = fn(&mut World, Pubkey);
    let spoilers: [(InstructionError, Spoil); 8] = [
        (VoucherOverDeposit.into(), |world, bad| edit(world, bad, |state| state.deposit = 5)),
        (VoucherOverDeposit.into(), |world, bad| {
            edit(world, bad, |state| (state.status, state.deposit) = (Status::Sealed as u8, 5));
        }),
        (VoucherSignerMismatch.into(), |world, bad| {
            edit(world, bad, |state| state.authorized_signer = named("another signer"));
        }),
        (InvalidChannelStatus.into(), |world, bad| edit(world, bad, |state| state.status = 4)),
        (UnsupportedChannelVersion.into(), |world, bad| edit(world, bad, |state| state.version = 2)),
        (InvalidAccountDiscriminator.into(), |world, bad| edit(world, bad, |state| state.discriminator = 2)),
        (InstructionError::ArithmeticOverflow, |world, bad| close(world, bad, i64::MAX)),
        // Not gone: an account of somebody else's, with something in it.
        (InstructionError::InvalidAccountOwner, |world, bad| {
            let account = Account::new(1_000_000, 256, &named("another program"));
            world.put(bad, account);
        }),
    ];
    for (error, spoil) in spoilers {
        for index in [0, 4, 8] {
            let (mut world, batch) = many(9);
            spoil(&mut world, batch.targets[index].0);
            tell(&mut world, &batch).rejects_with(error.clone());
        }
    }
}

#[test]
fn a_target_of_zero_for_nobody_rejects() {
    let (mut world, mut batch) = many(4);
    batch.targets[2].1 = 0;
    world.remove(batch.targets[2].0);
    tell(&mut world, &batch).rejects_with(BatchTargetMustBeNonZero);
}

#[test]
fn an_address_that_never_was_a_channel_is_skipped_as_one_that_is_gone() {
    let (mut world, batch) = many(2);
    let unknown = named("no channel");
    let batch = Batch::of(batch.targets.iter().copied().chain([(unknown, 9)]));
    let landed = tell(&mut world, &batch).succeeds();
    assert_eq!(landed.events(), [Event::Vacant { channel: unknown }]);
    send(&mut world, &batch, 3).rejects_with(InstructionError::InvalidAccountOwner);
}

#[test]
fn a_strangers_batch_of_the_gone_says_nothing_that_a_checkpoint_would_not() {
    let (mut world, batch) = many(2);
    world.remove(batch.targets[0].0);
    let proof = Proof::of(&batch.encode(), &voucher_key(4)).instruction();
    let settle = settle_batch_of_the_living(&batch.channels());
    world.attempt(settle.clone()).preceded_by(proof.clone()).rejects_with(VoucherSignerMismatch);
    world.remove(batch.targets[1].0);
    let landed = world.attempt(settle).preceded_by(proof).succeeds();
    let vacant = batch.channels().into_iter().map(|channel| Event::Vacant { channel });
    assert_eq!(landed.events(), vacant.collect::<Vec<_>>());
}

#[test]
fn one_channel_twice_rejects_dead_or_alive() {
    let mut world = World::with_channel(Plan::default());
    let channel = world.channel.address;
    let batch = Batch::of([(channel, 100), (channel, 101)]);
    tell(&mut world, &batch).rejects_with(BatchChannelsNotAscending);
    world.remove(channel);
    tell(&mut world, &batch).rejects_with(BatchChannelsNotAscending);
}

#[test]
fn one_account_for_events_or_three_reject() {
    let (mut world, batch) = many(3);
    tell(&mut world, &batch).one_account_less().rejects_with(BatchAccountCountMismatch);
    tell(&mut world, &batch).one_account_more().rejects_with(BatchAccountCountMismatch);
}

#[test]
fn another_event_authority_rejects_where_there_is_something_to_tell() {
    let (mut world, batch) = many(3);
    let authority = 1 + batch.targets.len();
    tell(&mut world, &batch).account(authority, named("authority")).succeeds();
    let (mut world, batch) = many(3);
    DEATHS[0].1(&mut world, batch.targets[1].0);
    tell(&mut world, &batch).account(authority, named("authority")).rejects_with(InvalidEventAuthority);
}

#[test]
fn fifty_nine_channels_fit_with_the_accounts_for_events_and_sixty_do_not() {
    let (mut world, batch) = many(59);
    assert!(tell(&mut world, &batch).through_lookup_table().wire_size() <= PACKET);
    assert_eq!(tell(&mut world, &batch).through_lookup_table().succeeds().events(), []);
    assert_eq!(settled(&world, &batch), batch.targets.iter().map(|(_, target)| *target).collect::<Vec<_>>());

    let (mut world, batch) = many(60);
    let outcome = tell(&mut world, &batch).through_lookup_table().send();
    assert_eq!(outcome.err(), Some(TransactionError::TooManyAccountLocks));
    let (mut world, batch) = many(59);
    let limit = compute_unit_limit(200_000);
    let outcome = tell(&mut world, &batch).started_by(limit.clone()).through_lookup_table().send();
    assert_eq!(outcome.err(), Some(TransactionError::TooManyAccountLocks));
    let (mut world, batch) = many(58);
    tell(&mut world, &batch).started_by(limit).through_lookup_table().succeeds();
}

#[test]
fn fifty_nine_of_the_dead_are_named_within_the_default_limit() {
    let (mut world, batch) = many(59);
    for (index, (dead, _)) in batch.targets.iter().enumerate() {
        DEATHS[index % DEATHS.len()].1(&mut world, *dead);
    }
    let landed = tell(&mut world, &batch).through_lookup_table().succeeds();
    assert_eq!(landed.events().len(), 59);
    assert!(landed.compute_units() < 200_000, "{}", landed.compute_units());
}

#[test]
fn a_skipped_channel_may_be_read_only() {
    let (mut world, batch) = many(3);
    DEATHS[0].1(&mut world, batch.targets[1].0);
    tell(&mut world, &batch).readonly(2).succeeds();
}
