//! The voucher's proof: the Ed25519 instruction just before, its one form, and the message in it.
//!
//! All instructions that take a voucher share every check: what is rejected runs through each.

use toll_program_tests::{
    Action,
    ChannelError::{self, *},
    ChannelState, Instruction, InstructionError, NOW, Plan, Proof, Status, TransactionError, Voucher, World,
    compute_unit_limit, named, sha256_hex, voucher_key,
};

const SETTLED: u64 = 50;
const DEPOSIT: u64 = 1_000;

fn world() -> World {
    World::with_state(Plan { deposit: DEPOSIT, ..Plan::default() }, |state| state.settled = SETTLED)
}

const VOUCHER: [u8; 2] = [0x56, 0x01];
const CEILING: [u8; 2] = [0x43, 0x01];

/// The instructions that take a voucher or a ceiling, each on a ledger where one of 100 lands.
const TAKERS: [([u8; 2], Action); 6] = [
    (VOUCHER, |world| world.settle_alone()),
    (VOUCHER, unproven_seal),
    (VOUCHER, |world| {
        let instruction = world.channel.rearm(1);
        world.attempt(instruction)
    }),
    (VOUCHER, |world| {
        close(world);
        let instruction = world.channel.settle_closing();
        world.attempt(instruction)
    }),
    (CEILING, |world| {
        let instruction = world.channel.settle_up_to(100);
        world.attempt(instruction)
    }),
    (CEILING, |world| {
        close(world);
        let instruction = world.channel.settle_up_to(100);
        world.attempt(instruction)
    }),
];

fn close(world: &mut World) {
    world.edit(|state| (state.status, state.closure_started_at) = (Status::Closing as u8, NOW));
}

/// What `precede` says goes right before the instruction under test; whatever takes vouchers has to reject it.
#[track_caller]
fn rejects(error: impl Into<InstructionError>, precede: impl Fn(&World) -> Vec<Instruction>) {
    let error = error.into();
    for (_, take) in TAKERS {
        let mut world = world();
        let before = precede(&world);
        let attempt = take(&mut world);
        before
            .into_iter()
            .fold(attempt, |attempt, instruction| attempt.preceded_by(instruction))
            .rejects_with(error.clone());
    }
}

fn unproven_seal(world: &mut World) -> toll_program_tests::Attempt<'_> {
    let instruction = world.channel.settle_and_seal(1);
    world.attempt(instruction)
}

#[track_caller]
fn rejects_proof(error: ChannelError, proof: impl Fn(&World) -> Proof) {
    rejects(error, |world| vec![proof(world).instruction()]);
}

/// A proof of 100, which would settle.
fn good(world: &World) -> Proof {
    world.sign(&world.voucher(100))
}

#[track_caller]
fn rejects_voucher(error: ChannelError, change: impl Fn(&mut Voucher)) {
    rejects_signed(error, 3, change);
}

/// Whatever each instruction takes, changed, and signed by the voucher key of `seed`.
#[track_caller]
fn rejects_signed(error: ChannelError, seed: u8, change: impl Fn(&mut Voucher)) {
    for (magic, take) in TAKERS {
        let mut world = world();
        let mut voucher = Voucher { magic, ..world.voucher(100) };
        change(&mut voucher);
        let proof = Proof::of(&voucher.encode(), &voucher_key(seed)).instruction();
        take(&mut world).preceded_by(proof).rejects_with(error);
    }
}

#[test]
fn each_takes_what_it_is_for() {
    for (magic, take) in TAKERS {
        let mut world = world();
        let proof = world.sign(&Voucher { magic, ..world.voucher(100) }).instruction();
        take(&mut world).preceded_by(proof).succeeds();
        assert_eq!(world.state().settled, 100);
    }
}

#[test]
fn a_ceiling_does_not_pass_for_a_voucher_nor_a_voucher_for_a_ceiling() {
    rejects_voucher(VoucherBadMagic, |voucher| {
        voucher.magic = if voucher.magic == VOUCHER { CEILING } else { VOUCHER };
    });
}

#[test]
fn the_good_proof_settles() {
    let mut world = world();
    let proof = good(&world);
    world.settle_proof(&proof).succeeds();
    assert_eq!(world.state().settled, 100);
}

#[test]
fn the_header_is_the_documented_one() {
    let proof = good(&world());
    assert_eq!(proof.data().len(), 162);
    assert_eq!(proof.data()[..16], [1, 0, 48, 0, 0xff, 0xff, 16, 0, 0xff, 0xff, 112, 0, 50, 0, 0xff, 0xff]);
}

#[test]
fn the_proof_is_bit_for_bit_the_documented_vector() {
    let channel = "7hRdGmZcLYoyrqutCrMfbeSod2gjFcvGS5H2nU7x25Ww".parse().unwrap();
    let voucher = Voucher { magic: [0x56, 0x01], channel, cumulative: 16, expires_at: 0 };
    let proof = Proof::of(&voucher.encode(), &voucher_key(3));
    assert_eq!(sha256_hex(proof.data()), "818cd17252ac3a7ef62438a20f5a9dce94bff80e6e9438775350a87229764ddf");
}

#[test]
fn nothing_before_it_rejects() {
    rejects(MissingEd25519Verification, |_| Vec::new());
}

#[test]
fn a_compute_budget_instruction_between_rejects() {
    rejects(MissingEd25519Verification, |world| vec![good(world).instruction(), compute_unit_limit(100_000)]);
}

#[test]
fn a_compute_budget_instruction_ahead_of_the_pair_is_no_concern() {
    let mut world = world();
    let proof = good(&world).instruction();
    world.settle_alone().preceded_by(compute_unit_limit(100_000)).preceded_by(proof).succeeds();
    assert_eq!(world.state().settled, 100);
}

#[test]
fn a_proof_after_it_rejects() {
    let mut world = world();
    let proof = good(&world).instruction();
    world.settle_alone().followed_by([proof]).rejects_with(MissingEd25519Verification);
}

#[test]
fn a_proof_by_another_program_rejects() {
    // The voucher's bytes in a memo: the ledger runs it, and nobody has checked a signature.
    rejects(MissingEd25519Verification, |_| {
        let memo = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr".parse().unwrap();
        vec![Instruction { program_id: memo, accounts: Vec::new(), data: b"voucher".to_vec() }]
    });
}

#[test]
fn a_forged_signature_stops_the_transaction_before_the_program_runs() {
    let mut world = world();
    let proof = good(&world).with_byte(48, 0xff);
    let outcome = world.settle_proof(&proof).send();
    assert!(matches!(outcome, Err(TransactionError::InstructionError(0, _))), "{outcome:?}");
    assert_eq!(world.state().settled, SETTLED);
}

#[test]
fn a_signature_over_another_amount_stops_the_transaction() {
    let mut world = world();
    let proof = good(&world).with_byte(112 + 34, 101);
    assert!(matches!(world.settle_proof(&proof).send(), Err(TransactionError::InstructionError(0, _))));
}

#[test]
fn a_padding_byte_rejects() {
    rejects_proof(MalformedEd25519Instruction, |world| good(world).with_byte(1, 1));
}

#[test]
fn a_proof_of_no_signatures_rejects() {
    // Two bytes that the precompile takes for a proof of nothing.
    rejects(MalformedEd25519Instruction, |world| {
        vec![Instruction { data: vec![0, 0], ..good(world).instruction() }]
    });
}

#[test]
fn a_byte_after_the_message_rejects() {
    rejects_proof(MalformedEd25519Instruction, |world| good(world).followed_by(&[0]));
}

#[test]
fn two_signatures_in_162_bytes_reject() {
    rejects(MalformedEd25519Instruction, |world| {
        // Two headers that both point at one signature over a message of 36 bytes.
        let key = voucher_key(3);
        let short = Proof::of(&[7; 36], &key);
        let body = &short.data()[16..];
        let mut data = vec![2, 0];
        for _ in 0..2 {
            for number in [62u16, u16::MAX, 30, u16::MAX, 126, 36, u16::MAX] {
                data.extend(number.to_le_bytes());
            }
        }
        data.extend(body);
        assert_eq!(data.len(), 162);
        vec![Instruction { data, ..good(world).instruction() }]
    });
}

#[test]
fn a_signature_taken_from_an_instruction_named_by_index_rejects() {
    rejects_proof(MalformedEd25519Instruction, |world| good(world).with_u16(4, 0));
}

#[test]
fn a_key_taken_from_an_instruction_named_by_index_rejects() {
    rejects_proof(MalformedEd25519Instruction, |world| good(world).with_u16(8, 0));
}

#[test]
fn a_message_taken_from_an_instruction_named_by_index_rejects() {
    rejects_proof(MalformedEd25519Instruction, |world| good(world).with_u16(14, 0));
}

#[test]
fn a_message_taken_from_another_instruction_rejects() {
    // The attack behind the guard: the bytes in place say 100, the signature is over bytes elsewhere.
    rejects(MalformedEd25519Instruction, |world| {
        let elsewhere = Proof::of(&world.voucher(60).encode(), &voucher_key(3));
        let data =
            [&good(world).data()[..16], &elsewhere.data()[16..112], &world.voucher(900).encode()].concat();
        let mut proof = Instruction { data, ..good(world).instruction() };
        proof.data[14..16].copy_from_slice(&0u16.to_le_bytes());
        vec![elsewhere.instruction(), proof]
    });
}

#[test]
fn other_places_for_key_signature_and_message_reject() {
    for parts in [[2, 6, 10], [6, 10, 2], [10, 6, 2], [10, 2, 6], [2, 10, 6]] {
        rejects_proof(MalformedEd25519Instruction, |world| good(world).rearranged(parts));
    }
}

#[test]
fn a_message_of_49_bytes_in_162_rejects() {
    rejects_proof(MalformedEd25519Instruction, |world| {
        let message = world.voucher(100).encode();
        Proof::of(&message[..49], &voucher_key(3)).followed_by(&message[49..])
    });
}

#[test]
fn messages_of_other_sizes_reject() {
    for size in [0, 1, 42, 49, 51] {
        rejects_proof(MalformedEd25519Instruction, |world| {
            let mut message = world.voucher(100).encode();
            message.resize(size, 0);
            Proof::of(&message, &voucher_key(3))
        });
    }
}

#[test]
fn every_header_byte_is_guarded() {
    // Whatever a changed byte makes of the header, the watermark stays: either the precompile refuses it or
    // the program does.
    for at in 0..16 {
        for bit in 0..8 {
            let mut world = world();
            let proof = good(&world);
            let byte = proof.data()[at] ^ (1 << bit);
            let outcome = world.settle_proof(&proof.with_byte(at, byte)).outcome();
            let (index, error) = outcome.err().unwrap_or_else(|| panic!("bit {bit} of byte {at}"));
            assert!(
                index == 0 || error == MalformedEd25519Instruction.into(),
                "bit {bit} of byte {at}: {error:?}"
            );
        }
    }
}

#[test]
fn another_magic_rejects() {
    rejects_voucher(VoucherBadMagic, |voucher| voucher.magic = [0x57, 0x01]);
    rejects_voucher(VoucherBadMagic, |voucher| voucher.magic = [0x56, 0x02]);
    rejects_voucher(VoucherBadMagic, |voucher| voucher.magic = [0, 0]);
}

#[test]
fn a_voucher_of_another_channel_rejects() {
    rejects_voucher(VoucherChannelMismatch, |voucher| voucher.channel = named("another channel"));
}

#[test]
fn a_voucher_of_another_incarnation_rejects() {
    let earlier = toll_program_tests::Channel::new(Plan {
        open_slot: toll_program_tests::SLOT - 1,
        deposit: DEPOSIT,
        ..Plan::default()
    });
    rejects_voucher(VoucherChannelMismatch, |voucher| voucher.channel = earlier.address);
}

#[test]
fn an_expired_voucher_rejects_from_its_second_on() {
    rejects_voucher(VoucherExpired, |voucher| voucher.expires_at = NOW);
    rejects_voucher(VoucherExpired, |voucher| voucher.expires_at = NOW - 1);
    rejects_voucher(VoucherExpired, |voucher| voucher.expires_at = 1);
}

#[test]
fn a_voucher_settles_until_the_second_before_it_expires() {
    for expires_at in [NOW + 1, i64::MAX, 0] {
        let mut world = world();
        world.settle(&Voucher { expires_at, ..world.voucher(100) }).succeeds();
        assert_eq!(world.state().settled, 100);
    }
}

#[test]
fn a_negative_expiry_is_long_past() {
    rejects_voucher(VoucherExpired, |voucher| voucher.expires_at = -1);
    rejects_voucher(VoucherExpired, |voucher| voucher.expires_at = i64::MIN);
}

#[test]
fn a_voucher_over_the_deposit_rejects() {
    rejects_voucher(VoucherOverDeposit, |voucher| voucher.cumulative = DEPOSIT + 1);
    rejects_voucher(VoucherOverDeposit, |voucher| voucher.cumulative = u64::MAX);
}

#[test]
fn a_voucher_at_or_below_the_watermark_rejects() {
    rejects_voucher(VoucherWatermarkNotMonotonic, |voucher| voucher.cumulative = SETTLED);
    rejects_voucher(VoucherWatermarkNotMonotonic, |voucher| voucher.cumulative = SETTLED - 1);
    rejects_voucher(VoucherWatermarkNotMonotonic, |voucher| voucher.cumulative = 0);
}

#[test]
fn a_voucher_of_zero_on_a_fresh_channel_rejects() {
    let mut world = World::with_channel(Plan::default());
    world.settle(&world.voucher(0)).rejects_with(VoucherWatermarkNotMonotonic);
}

#[test]
fn a_replayed_voucher_rejects() {
    let mut world = world();
    world.settle(&world.voucher(100)).succeeds();
    world.settle(&world.voucher(100)).rejects_with(VoucherWatermarkNotMonotonic);
}

#[test]
fn a_voucher_signed_by_another_key_rejects() {
    rejects_signed(VoucherSignerMismatch, 4, |_| ());
}

#[test]
fn the_earlier_check_speaks() {
    type Spoil = fn(&mut Voucher, &mut ChannelState, &mut u8);
    let spoilers: [(ChannelError, Spoil); 6] = [
        (VoucherBadMagic, |voucher, _, _| voucher.magic = [0, 0]),
        (VoucherChannelMismatch, |voucher, _, _| voucher.channel = named("another channel")),
        (VoucherExpired, |voucher, _, _| voucher.expires_at = NOW),
        (VoucherOverDeposit, |voucher, state, _| state.deposit = voucher.cumulative - 1),
        (VoucherWatermarkNotMonotonic, |voucher, state, _| state.settled = voucher.cumulative),
        (VoucherSignerMismatch, |_, _, key| *key = 4),
    ];
    for (index, (error, earlier)) in spoilers.iter().enumerate() {
        for (_, later) in &spoilers[index..] {
            let mut world = world();
            let (mut voucher, mut state, mut key) = (world.voucher(100), world.state(), 3);
            later(&mut voucher, &mut state, &mut key);
            earlier(&mut voucher, &mut state, &mut key);
            world.put_channel(&state);
            world.settle_proof(&Proof::of(&voucher.encode(), &voucher_key(key))).rejects_with(*error);
        }
    }
}

#[test]
fn a_malformed_proof_is_seen_before_a_bad_message() {
    rejects_proof(MalformedEd25519Instruction, |_| Proof::of(&[0; 50], &voucher_key(4)).with_byte(1, 1));
}

#[test]
fn the_status_is_seen_before_a_missing_proof() {
    for status in [Status::Sealed, Status::Distributed] {
        let mut world = world();
        world.edit(|state| state.status = status as u8);
        world.settle_alone().rejects_with(InvalidChannelStatus);
        unproven_seal(&mut world).rejects_with(InvalidChannelStatus);
    }
}
