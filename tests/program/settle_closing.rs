//! `settle_closing`: anyone saves a voucher while the payer waits to leave.

use toll_program_tests::{
    ChannelError::*, Event, Fault, GRACE_PERIOD, InstructionError, NOW, PAYER_TOKENS, Plan, Status, Voucher,
    World, compute_unit_limit, guards, named,
};

const DEADLINE: i64 = NOW + GRACE_PERIOD as i64;

fn closing() -> World {
    World::with_state(Plan::default(), |state| {
        (state.status, state.closure_started_at, state.settled) = (Status::Closing as u8, NOW, 50);
    })
}

guards! {
    start: closing,
    send: |world| world.settle_closing(&world.voucher(100)),
    data_after_the_discriminator_rejects: InstructionError::InvalidInstructionData,
        Fault::Attempt(|settle| settle.trailing(&[0]));
    one_account_missing_rejects: NotEnoughAccountKeys, Fault::Attempt(|settle| settle.one_account_less());
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
    a_deadline_beyond_i64_rejects: InstructionError::ArithmeticOverflow,
        Fault::World(|world| world.spoil_closure(i64::MAX));
    a_missed_deadline_rejects: InvalidChannelStatus, Fault::World(|world| world.at_time(DEADLINE));
    another_instructions_sysvar_rejects: InstructionError::UnsupportedSysvar,
        Fault::Attempt(|settle| settle.account(1, named("instructions")));
    no_proof_just_before_rejects: MissingEd25519Verification,
        Fault::Attempt(|settle| settle.preceded_by(compute_unit_limit(100_000)));
    another_signer_rejects: VoucherSignerMismatch, Fault::Attempt(|settle| settle.resigned(4, |_| ()));
    another_event_authority_rejects: InvalidEventAuthority,
        Fault::Attempt(|settle| settle.account(2, named("authority")));
}

#[test]
fn the_watermark_rises_the_channel_goes_on_closing_and_an_event_says_so() {
    let mut world = closing();
    let mut expected = world.state();
    let landed = world.settle_closing(&world.voucher(100)).succeeds();
    expected.settled = 100;
    assert_eq!(world.state(), expected);
    assert_eq!(landed.events(), [Event::Settled { channel: world.channel.address, settled: 100 }]);
    assert_eq!(landed.invocations(), 1, "no tokens move");
}

#[test]
fn higher_vouchers_follow_and_lower_ones_do_not() {
    let mut world = closing();
    world.settle_closing(&world.voucher(100)).succeeds();
    world.settle_closing(&world.voucher(300)).succeeds();
    for cumulative in [1, 100, 300] {
        let voucher = world.voucher(cumulative);
        world.settle_closing(&voucher).rejects_with(VoucherWatermarkNotMonotonic);
    }
}

#[test]
fn vouchers_are_taken_until_the_second_before_the_deadline() {
    for (now, lands) in [(NOW, true), (DEADLINE - 1, true), (DEADLINE, false), (i64::MAX, false)] {
        let mut world = closing();
        world.at_time(now);
        let voucher = world.voucher(100);
        if lands {
            world.settle_closing(&voucher).succeeds();
        } else {
            world.settle_closing(&voucher).rejects_with(InvalidChannelStatus);
        }
    }
}

#[test]
fn a_payee_whose_key_is_out_of_reach_loses_nothing() {
    let mut world = World::opened(Plan::default());
    world.request_close().succeeds();
    // Neither this nor anything after it carries the payee's signature.
    world.settle_closing(&world.voucher(700_000)).succeeds();
    world.at_time(DEADLINE);
    world.seal().succeeds();
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payee_tokens), 700_000);
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 700_000);
}

#[test]
fn the_payee_still_ends_the_channel_with_a_higher_voucher() {
    let mut world = closing();
    world.settle_closing(&world.voucher(100)).succeeds();
    world.settle_and_seal(&world.voucher(200)).succeeds();
    assert_eq!((world.state().settled, world.state().status), (200, Status::Sealed as u8));
}

#[test]
fn an_expired_voucher_rejects_though_the_grace_period_runs() {
    let mut world = closing();
    let voucher = Voucher { expires_at: NOW + 10, ..world.voucher(100) };
    world.at_time(NOW + 10);
    world.settle_closing(&voucher).rejects_with(VoucherExpired);
}

#[test]
fn every_status_but_closing_rejects() {
    for status in [0, 1, 3, 4, 255] {
        let mut world = closing();
        world.edit(|state| state.status = status);
        world.settle_closing(&world.voucher(100)).rejects_with(InvalidChannelStatus);
    }
}

#[test]
fn an_account_too_many_rejects() {
    let mut world = closing();
    world.settle_closing(&world.voucher(100)).one_account_more().rejects_with(NotEnoughAccountKeys);
}
