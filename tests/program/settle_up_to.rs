//! `settle_up_to`: the payee captures a part of a ceiling.

use toll_program_tests::{
    ChannelError::*, Event, Fault, GRACE_PERIOD, InstructionError, NOW, Plan, Status, Voucher, World,
    compute_unit_limit, guards, named,
};

guards! {
    start: || World::with_state(Plan::default(), |state| state.settled = 50),
    send: |world| world.settle_up_to(60, &world.ceiling(100)),
    data_one_byte_short_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|settle| settle.truncated(8));
    one_account_missing_rejects: NotEnoughAccountKeys, Fault::Attempt(|settle| settle.one_account_less());
    an_unsigned_payee_rejects: MissingRequiredSignature, Fault::Attempt(|settle| settle.unsigned(0));
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
    another_payee_rejects: InvalidChannelPayee, Fault::Attempt(|settle| settle.account(0, named("stranger")));
    another_instructions_sysvar_rejects: InstructionError::UnsupportedSysvar,
        Fault::Attempt(|settle| settle.account(2, named("instructions")));
    no_proof_just_before_rejects: MissingEd25519Verification,
        Fault::Attempt(|settle| settle.preceded_by(compute_unit_limit(100_000)));
    a_padding_byte_in_the_proof_rejects: MalformedEd25519Instruction,
        Fault::Attempt(|settle| settle.patch_before(1, 1));
    a_vouchers_magic_rejects: VoucherBadMagic,
        Fault::Attempt(|settle| settle.resigned(3, |voucher| voucher[0] = 0x56));
    a_voucher_of_another_channel_rejects: VoucherChannelMismatch,
        Fault::Attempt(|settle| settle.resigned(3, |voucher| voucher[2] ^= 1));
    an_expired_voucher_rejects: VoucherExpired,
        Fault::Attempt(|settle| settle.resigned(3, |voucher| voucher[42] = 1));
    a_ceiling_over_the_deposit_rejects: VoucherOverDeposit,
        Fault::Attempt(|settle| settle.resigned(3, |voucher| voucher[40] = 1));
    a_voucher_at_the_watermark_rejects: VoucherWatermarkNotMonotonic,
        Fault::Attempt(|settle| settle.resigned(3, |voucher| voucher[34] = 50));
    another_signer_rejects: VoucherSignerMismatch, Fault::Attempt(|settle| settle.resigned(4, |_| ()));
    an_amount_over_the_voucher_rejects: AmountOverVoucher,
        Fault::Attempt(|settle| settle.patch(1, &101u64.to_le_bytes()));
    another_event_authority_rejects: InvalidEventAuthority,
        Fault::Attempt(|settle| settle.account(3, named("authority")));
}

#[test]
fn the_watermark_rises_to_the_amount_and_an_event_says_so() {
    let mut world = World::with_channel(Plan::default());
    let mut expected = world.state();
    let landed = world.settle_up_to(60, &world.ceiling(100)).succeeds();
    expected.settled = 60;
    assert_eq!(world.state(), expected);
    assert_eq!(landed.events(), [Event::Settled { channel: world.channel.address, settled: 60 }]);
    assert_eq!(landed.invocations(), 1, "no tokens move");
}

#[test]
fn a_ceiling_is_captured_in_several_parts_and_whole_at_last() {
    let mut world = World::with_channel(Plan::default());
    let ceiling = world.ceiling(100);
    for amount in [1, 2, 60, 99, 100] {
        world.settle_up_to(amount, &ceiling).succeeds();
        assert_eq!(world.state().settled, amount);
    }
    world.settle_up_to(100, &ceiling).rejects_with(VoucherWatermarkNotMonotonic);
}

#[test]
fn an_amount_at_or_below_the_watermark_rejects() {
    for amount in [0, 1, 49, 50] {
        let mut world = World::with_state(Plan::default(), |state| state.settled = 50);
        world.settle_up_to(amount, &world.ceiling(100)).rejects_with(VoucherWatermarkNotMonotonic);
    }
}

#[test]
fn an_amount_over_the_voucher_rejects_whatever_the_deposit() {
    for amount in [101, 1_000_000, u64::MAX] {
        let mut world = World::with_channel(Plan::default());
        world.settle_up_to(amount, &world.ceiling(100)).rejects_with(AmountOverVoucher);
    }
}

#[test]
fn a_ceiling_that_would_not_settle_whole_does_not_settle_in_part() {
    let mut world = World::with_channel(Plan::default());
    world.settle_up_to(1, &world.ceiling(1_000_001)).rejects_with(VoucherOverDeposit);
}

#[test]
fn nobody_but_the_payee_names_the_amount() {
    for stranger in ["payer", "relayer", "rent payer"] {
        let mut world = World::with_channel(Plan::default());
        world
            .settle_up_to(60, &world.ceiling(100))
            .account(0, named(stranger))
            .rejects_with(InvalidChannelPayee);
    }
}

#[test]
fn nobody_settles_the_rest_of_a_captured_ceiling() {
    // A capture shows everybody the ceiling and its signature.
    let mut world = World::with_channel(Plan::default());
    let ceiling = world.ceiling(100);
    world.settle_up_to(60, &ceiling).succeeds();
    world.settle(&ceiling).rejects_with(VoucherBadMagic);
    world.settle_and_seal(&ceiling).rejects_with(VoucherBadMagic);
    world.rearm_with(&ceiling).rejects_with(VoucherBadMagic);
    // Nor does the signature serve for the voucher that says the same.
    let mut proof = world.sign(&ceiling).instruction();
    proof.data[112..114].copy_from_slice(&[0x56, 0x01]);
    let (index, _) = world.settle_alone().preceded_by(proof).outcome().expect_err("another message");
    assert_eq!(index, 0, "the precompile refuses it");
    world.request_close().succeeds();
    world.settle_closing(&ceiling).rejects_with(VoucherBadMagic);
    assert_eq!(world.state().settled, 60);
}

#[test]
fn a_ceiling_captures_nothing_more_once_it_expired() {
    let mut world = World::with_channel(Plan::default());
    let ceiling = Voucher { expires_at: NOW + 60, ..world.ceiling(100) };
    world.settle_up_to(60, &ceiling).succeeds();
    world.at_time(NOW + 60);
    world.settle_up_to(61, &ceiling).rejects_with(VoucherExpired);
    assert_eq!(world.state().settled, 60);
}

#[test]
fn a_payer_that_leaves_takes_no_ceiling_along_before_its_deadline() {
    let deadline = NOW + i64::from(GRACE_PERIOD);
    for (now, lands) in [(NOW, true), (deadline - 1, true), (deadline, false), (i64::MAX, false)] {
        let mut world = World::with_channel(Plan::default());
        world.request_close().succeeds();
        let mut expected = world.state();
        world.at_time(now);
        let ceiling = world.ceiling(100);
        if lands {
            world.settle_up_to(60, &ceiling).succeeds();
            expected.settled = 60;
            assert_eq!(world.state(), expected, "it goes on closing");
        } else {
            world.settle_up_to(60, &ceiling).rejects_with(InvalidChannelStatus);
        }
    }
    let mut world = World::with_channel(Plan::default());
    world.edit(|state| (state.status, state.closure_started_at) = (Status::Closing as u8, i64::MAX));
    world.settle_up_to(60, &world.ceiling(100)).rejects_with(InstructionError::ArithmeticOverflow);
}

#[test]
fn sealed_paid_out_and_unknown_statuses_reject() {
    for status in [1, 3, 4, 255] {
        let mut world = World::with_state(Plan::default(), |state| state.status = status);
        world.settle_up_to(60, &world.ceiling(100)).rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn data_one_byte_too_long_and_an_account_too_many_reject() {
    let mut world = World::with_channel(Plan::default());
    let voucher = world.ceiling(100);
    world.settle_up_to(60, &voucher).trailing(&[0]).rejects_with(InstructionError::InvalidInstructionData);
    world.settle_up_to(60, &voucher).one_account_more().rejects_with(NotEnoughAccountKeys);
}
