//! `settle_batch`: one signature raises many channels. `settle_batch_dead.rs` has the closed ones among them.

use toll_program_tests::{
    Attempt, Batch,
    ChannelError::{self, *},
    Fault, InstructionError, NOW, Plan, Proof, Pubkey, Status, World, compute_unit_limit, guards, named,
    settle_batch, sha256_hex, voucher_key,
};

const CUT: usize = 43;
/// What fits one packet of the network.
const PACKET: usize = 1_232;

fn one(world: &World) -> Batch {
    Batch::of([(world.channel.address, 100)])
}

guards! {
    start: || World::with_channel(Plan::default()),
    send: |world| {
        let batch = one(world);
        world.settle_batch(&batch)
    },
    data_after_the_discriminator_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|settle| settle.trailing(&[0]));
    no_channel_rejects: NotEnoughAccountKeys, Fault::Attempt(|settle| settle.first_accounts(1));
    another_instructions_sysvar_rejects: InstructionError::UnsupportedSysvar,
        Fault::Attempt(|settle| settle.account(0, named("instructions")));
    no_proof_just_before_rejects: MissingEd25519Verification,
        Fault::Attempt(|settle| settle.preceded_by(compute_unit_limit(100_000)));
    a_padding_byte_in_the_proof_rejects: MalformedEd25519Instruction,
        Fault::Attempt(|settle| settle.patch_before(1, 1));
    a_vouchers_magic_rejects: VoucherBadMagic, Fault::Attempt(|settle| settle.resigned(3, |batch| batch[1] = 1));
    a_count_of_more_targets_than_there_are_rejects: InvalidBatchSize,
        Fault::Attempt(|settle| settle.resigned(3, |batch| batch[2] = 2));
    an_expired_batch_rejects: VoucherExpired,
        Fault::Attempt(|settle| settle.resigned(3, |batch| batch[3] = 1));
    an_account_too_many_rejects: BatchAccountCountMismatch, Fault::Attempt(|settle| settle.one_account_more());
    a_batch_for_other_channels_rejects: BatchChannelsMismatch,
        Fault::Attempt(|settle| settle.resigned(3, |batch| batch[11] ^= 1));
    a_foreign_channel_account_rejects: InstructionError::InvalidAccountOwner,
        Fault::World(World::spoil_channel_owner);
    a_channel_of_another_size_rejects: InstructionError::InvalidAccountData,
        Fault::World(|world| world.spoil_channel_size(257));
    another_account_kind_rejects: InvalidAccountDiscriminator,
        Fault::World(|world| world.spoil_channel_byte(0, 2));
    another_layout_version_rejects: UnsupportedChannelVersion,
        Fault::World(|world| world.spoil_channel_byte(1, 2));
    a_target_of_zero_rejects: BatchTargetMustBeNonZero,
        Fault::Attempt(|settle| settle.resigned(3, |batch| batch[CUT..].fill(0)));
    a_target_over_the_deposit_rejects: VoucherOverDeposit, Fault::World(|world| world.spoil_deposit(99));
    another_signer_rejects: VoucherSignerMismatch, Fault::Attempt(|settle| settle.resigned(4, |_| ()));
    a_sealed_channel_rejects: InvalidChannelStatus,
        Fault::World(|world| world.spoil_channel_byte(3, Status::Sealed as u8));
}

/// Open channels of different payers that share an authorized signer, and a target for each.
pub(crate) fn many(count: usize) -> (World, Batch) {
    let mut world = World::with_channel(Plan::default());
    let targets: Vec<_> = (0..count)
        .map(|index| {
            let plan = Plan { payer: named(&format!("payer {index}")), ..Plan::default() };
            (world.put_another(plan, |_| ()), 1_000 + index as u64)
        })
        .collect();
    (world, Batch::of(targets))
}

pub(crate) fn edit(
    world: &mut World,
    address: Pubkey,
    change: impl FnOnce(&mut toll_program_tests::ChannelState),
) {
    let mut state = world.state_of(&address);
    change(&mut state);
    let account =
        toll_program_tests::Account { data: state.encode(), ..world.svm.get_account(&address).unwrap() };
    world.put(address, account);
}

pub(crate) fn settled(world: &World, batch: &Batch) -> Vec<u64> {
    batch.channels().iter().map(|channel| world.state_of(channel).settled).collect()
}

/// With a proof of `batch` by the key of `seed`, and its channels.
pub(crate) fn send<'w>(world: &'w mut World, batch: &Batch, seed: u8) -> Attempt<'w> {
    let proof = Proof::of(&batch.encode(), &voucher_key(seed)).instruction();
    world.attempt(settle_batch(&batch.channels())).preceded_by(proof)
}

#[track_caller]
fn rejects(world: &mut World, batch: &Batch, error: ChannelError) {
    send(world, batch, 3).through_lookup_table().rejects_with(error);
}

#[test]
fn every_channel_rises_to_its_target_and_nothing_else_changes() {
    let (mut world, batch) = many(9);
    let before: Vec<_> = batch.channels().iter().map(|channel| world.state_of(channel)).collect();
    let landed = world.settle_batch(&batch).succeeds();
    for ((channel, target), mut expected) in batch.targets.iter().zip(before) {
        expected.settled = *target;
        assert_eq!(world.state_of(channel), expected);
    }
    assert_eq!(landed.invocations(), 0, "no event, no transfer");
}

#[test]
fn sixty_channels_settle_in_one_transaction() {
    let (mut world, batch) = many(60);
    assert!(send(&mut world, &batch, 3).through_lookup_table().wire_size() <= PACKET);
    let landed = send(&mut world, &batch, 3).through_lookup_table().succeeds();
    assert_eq!(settled(&world, &batch), batch.targets.iter().map(|(_, target)| *target).collect::<Vec<_>>());
    assert!(landed.compute_units() < 20_000, "{}", landed.compute_units());
}

#[test]
fn fifty_nine_leave_room_for_a_compute_budget() {
    let (mut world, batch) = many(59);
    let limit = compute_unit_limit(20_000);
    send(&mut world, &batch, 3).started_by(limit.clone()).through_lookup_table().succeeds();

    let (mut world, batch) = many(60);
    let outcome = send(&mut world, &batch, 3).started_by(limit).through_lookup_table().send();
    assert_eq!(outcome.err(), Some(toll_program_tests::TransactionError::TooManyAccountLocks));
}

#[test]
fn the_documented_bytes_are_signed() {
    let channel = "7hRdGmZcLYoyrqutCrMfbeSod2gjFcvGS5H2nU7x25Ww".parse().unwrap();
    let batch = Batch { expires_at: 7, program: named("program"), ..Batch::of([(channel, 16)]) };
    let bytes = batch.encode();
    assert_eq!(bytes.len(), 51);
    assert_eq!(bytes[..11], [0x56, 0x02, 1, 7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[43..], 16u64.to_le_bytes());
    let hashed =
        [b"payment_channels:batch_voucher:v2", &named("program").to_bytes()[..], &[1], &channel.to_bytes()]
            .concat();
    let hash: String = bytes[11..43].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, sha256_hex(&hashed));
}

#[test]
fn a_channel_at_its_target_or_beyond_stays_as_it_is() {
    for (settled, expected) in [(99, 100), (100, 100), (101, 101), (1_000_000, 1_000_000)] {
        let mut world = World::with_state(Plan::default(), |state| state.settled = settled);
        let batch = one(&world);
        world.settle_batch(&batch).succeeds();
        assert_eq!(world.state().settled, expected);
    }
}

#[test]
fn a_batch_lands_again_and_changes_nothing_more() {
    let (mut world, batch) = many(5);
    world.settle_batch(&batch).succeeds();
    let before = settled(&world, &batch);
    world.settle_batch(&batch).succeeds();
    assert_eq!(settled(&world, &batch), before);
}

#[test]
fn a_channel_that_settled_as_much_may_have_any_known_status() {
    for status in [0, 1, 2, 3] {
        let mut world =
            World::with_state(Plan::default(), |state| (state.status, state.settled) = (status, 100));
        let batch = one(&world);
        world.settle_batch(&batch).succeeds();
    }
    for status in [4, 255] {
        let mut world =
            World::with_state(Plan::default(), |state| (state.status, state.settled) = (status, 100));
        let batch = one(&world);
        rejects(&mut world, &batch, InvalidChannelStatus);
    }
}

#[test]
fn a_channel_that_settled_less_has_to_be_open_or_closing() {
    for status in [1, 3, 4, 255] {
        let mut world = World::with_state(Plan::default(), |state| state.status = status);
        let batch = one(&world);
        rejects(&mut world, &batch, InvalidChannelStatus);
    }
}

#[test]
fn a_channel_that_needs_nothing_is_checked_all_the_same() {
    let (mut world, batch) = many(3);
    world.settle_batch(&batch).succeeds();
    let stranger =
        world.put_another(Plan { voucher_key: 9, ..Plan::default() }, |state| state.settled = 500_000);
    let with_stranger = Batch::of(batch.targets.iter().copied().chain([(stranger, 1)]));
    rejects(&mut world, &with_stranger, VoucherSignerMismatch);
}

#[test]
fn one_bad_channel_stops_all_others() {
    type Spoil = fn(&mut World, Pubkey);
    let spoilers: [(InstructionError, Spoil); 5] = [
        (InvalidChannelStatus.into(), |world, bad| {
            edit(world, bad, |state| state.status = Status::Sealed as u8)
        }),
        (VoucherOverDeposit.into(), |world, bad| edit(world, bad, |state| state.deposit = 5)),
        (VoucherSignerMismatch.into(), |world, bad| {
            edit(world, bad, |state| state.authorized_signer = named("another signer"))
        }),
        (UnsupportedChannelVersion.into(), |world, bad| edit(world, bad, |state| state.version = 2)),
        (InstructionError::InvalidAccountOwner, |world, bad| world.remove(bad)),
    ];
    for (error, spoil) in spoilers {
        for index in [0, 4, 8] {
            let (mut world, batch) = many(9);
            spoil(&mut world, batch.targets[index].0);
            // `rejects_with` compares every account of the ledger.
            send(&mut world, &batch, 3).rejects_with(error.clone());
        }
    }
}

#[test]
fn one_target_of_zero_stops_all_others() {
    let (mut world, mut batch) = many(4);
    batch.targets[2].1 = 0;
    rejects(&mut world, &batch, BatchTargetMustBeNonZero);
}

#[test]
fn channels_out_of_order_reject_even_when_signed_that_way() {
    let (mut world, mut batch) = many(4);
    batch.targets.swap(1, 2);
    rejects(&mut world, &batch, BatchChannelsNotAscending);
    let (mut world, mut batch) = many(2);
    batch.targets.reverse();
    rejects(&mut world, &batch, BatchChannelsNotAscending);
}

#[test]
fn one_channel_twice_rejects() {
    let mut world = World::with_channel(Plan::default());
    let channel = world.channel.address;
    rejects(&mut world, &Batch::of([(channel, 100), (channel, 100)]), BatchChannelsNotAscending);
}

#[test]
fn the_order_of_channels_is_seen_before_their_hash_and_after_their_number() {
    let (mut world, mut batch) = many(3);
    batch.targets.swap(0, 1);
    batch.program = named("another program");
    rejects(&mut world, &batch, BatchChannelsNotAscending);
    let send = send(&mut world, &batch, 3).one_account_more();
    send.rejects_with(BatchAccountCountMismatch);
}

#[test]
fn other_channels_than_those_signed_for_reject() {
    let (mut world, batch) = many(3);
    let other = world.put_another(Plan { salt: 77, ..Plan::default() }, |_| ());
    let mut channels = batch.channels();
    channels[1] = other;
    channels.sort_unstable();
    let proof = Proof::of(&batch.encode(), &voucher_key(3)).instruction();
    world.attempt(settle_batch(&channels)).preceded_by(proof).rejects_with(BatchChannelsMismatch);
}

#[test]
fn fewer_channels_than_signed_for_reject() {
    let (mut world, batch) = many(3);
    send(&mut world, &batch, 3).one_account_less().rejects_with(BatchAccountCountMismatch);
}

#[test]
fn a_batch_for_another_program_or_under_another_domain_rejects() {
    let (mut world, batch) = many(3);
    let of_fork = Batch { program: named("a fork"), ..batch.clone() };
    rejects(&mut world, &of_fork, BatchChannelsMismatch);
    let of_old = Batch { domain: b"tollkeeper:batch-voucher:v1".to_vec(), ..batch };
    rejects(&mut world, &of_old, BatchChannelsMismatch);
}

#[test]
fn no_channel_and_more_than_sixty_reject() {
    let mut world = World::with_channel(Plan::default());
    let empty = Proof::of(&Batch::of([]).encode(), &voucher_key(3)).instruction();
    let channel = world.channel.address;
    world.attempt(settle_batch(&[channel])).preceded_by(empty).rejects_with(InvalidBatchSize);

    let sixty_one = (0..61).map(|index| (named(&format!("channel {index}")), 1));
    let proof = Proof::of(&Batch::of(sixty_one).encode(), &voucher_key(3)).instruction();
    world.attempt(settle_batch(&[channel])).preceded_by(proof).rejects_with(InvalidBatchSize);
}

#[test]
fn messages_of_other_lengths_than_their_count_says_reject() {
    for size in [2, 3, 42, 43, 44, 50, 52, 58, 60, 67] {
        let (mut world, batch) = many(2);
        let mut message = batch.encode();
        message.resize(size, 0);
        let proof = Proof::of(&message, &voucher_key(3)).instruction();
        world.attempt(settle_batch(&batch.channels())).preceded_by(proof).rejects_with(InvalidBatchSize);
    }
    for size in [0, 1] {
        let (mut world, batch) = many(2);
        let proof = Proof::of(&batch.encode()[..size], &voucher_key(3)).instruction();
        world.attempt(settle_batch(&batch.channels())).preceded_by(proof).rejects_with(VoucherBadMagic);
    }
}

#[test]
fn a_voucher_does_not_pass_for_a_batch_nor_a_batch_for_a_voucher() {
    let mut world = World::with_channel(Plan::default());
    let channel = world.channel.address;
    let voucher = world.sign(&world.voucher(100)).instruction();
    world.attempt(settle_batch(&[channel])).preceded_by(voucher).rejects_with(VoucherBadMagic);
    let batch = Proof::of(&one(&world).encode(), &voucher_key(3));
    world.settle_proof(&batch).rejects_with(MalformedEd25519Instruction);
}

#[test]
fn a_batch_settles_until_the_second_before_it_expires() {
    for expires_at in [NOW + 1, i64::MAX, 0] {
        let (mut world, batch) = many(2);
        world.settle_batch(&Batch { expires_at, ..batch }).succeeds();
    }
    for expires_at in [NOW, NOW - 1, 1, -1, i64::MIN] {
        let (mut world, batch) = many(2);
        rejects(&mut world, &Batch { expires_at, ..batch }, VoucherExpired);
    }
}

#[test]
fn every_header_byte_of_the_proof_is_guarded() {
    for at in 0..16 {
        for bit in 0..8 {
            let (mut world, batch) = many(2);
            let proof = Proof::of(&batch.encode(), &voucher_key(3));
            let byte = proof.data()[at] ^ (1 << bit);
            let proof = proof.with_byte(at, byte).instruction();
            let outcome = world.attempt(settle_batch(&batch.channels())).preceded_by(proof).outcome();
            let (index, error) = outcome.err().unwrap_or_else(|| panic!("bit {bit} of byte {at}"));
            assert!(index == 0 || error == MalformedEd25519Instruction.into(), "{at} {bit}: {error:?}");
        }
    }
}

#[test]
fn a_read_only_channel_rejects() {
    let (mut world, batch) = many(3);
    assert!(world.settle_batch(&batch).readonly(2).outcome().is_err());
}

#[test]
fn a_batch_and_a_voucher_mean_the_same_amounts() {
    let mut world = World::with_channel(Plan::default());
    let batch = one(&world);
    world.settle_batch(&batch).succeeds();
    world.settle(&world.voucher(100)).rejects_with(VoucherWatermarkNotMonotonic);
    world.settle(&world.voucher(101)).succeeds();
    world.settle_batch(&batch).succeeds();
    assert_eq!(world.state().settled, 101);
}
