//! `emit_event`: the instruction that the program's events travel in does nothing, for nobody else.

use toll_program_tests::{ChannelError::*, Plan, World, event_authority, named};

fn world() -> World {
    World::before_open(Plan::default())
}

#[test]
fn no_account_rejects() {
    world().emit_event().one_account_less().rejects_with(NotEnoughAccountKeys);
}

#[test]
fn two_accounts_reject() {
    world().emit_event().one_account_more().rejects_with(NotEnoughAccountKeys);
}

#[test]
fn an_unsigned_event_authority_rejects() {
    world().emit_event().unsigned(0).rejects_with(MissingRequiredSignature);
}

#[test]
fn another_signer_rejects() {
    world().emit_event().account(0, named("payer")).rejects_with(InvalidEventAuthority);
}

#[test]
fn a_missing_signature_is_seen_before_the_address() {
    world().emit_event().account(0, named("payer")).unsigned(0).rejects_with(MissingRequiredSignature);
}

#[test]
fn the_bytes_of_an_event_from_outside_reject() {
    let mut forged = vec![0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];
    forged.extend([0xa6, 0xac, 0x61, 0x09, 0x4d, 0x4c, 0xbd, 0x6d]);
    forged.extend([7; 40]);
    let mut world = world();
    world.emit_event().data(forged.clone()).account(0, named("payer")).rejects_with(InvalidEventAuthority);
    world.emit_event().data(forged).unsigned(0).rejects_with(MissingRequiredSignature);
}

#[test]
fn signed_by_the_event_authority_it_changes_nothing() {
    // No key signs for this address outside the program; the ledger here does not check signatures.
    let mut world = world();
    let landed = world.emit_event().data([228]).succeeds();
    assert_eq!(landed.invocations(), 0);
    assert!(world.is_gone(&event_authority()));
}
