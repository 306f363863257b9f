//! A landing that breaks a law is seen.

use super::*;
use crate::program::named;
use crate::world::World;

/// The planted channels by their place in the list of pasts.
const OPEN: usize = 2;
const HALF_SETTLED: usize = 3;
const CLOSING: usize = 5;
const OVERDUE: usize = 6;

/// What the laws say of a transaction that did `what` to channel number `index`, signed by nobody.
fn judged(index: usize, what: impl FnOnce(&mut World)) -> Result<(), String> {
    let nothing = |_: &Arena, _: &Channel| Case { proofs: Vec::new(), subjects: Vec::new() };
    judged_as(index, nothing, &[], what)
}

/// The same of a transaction that was `case` and signed by `signers`.
fn judged_as(
    index: usize,
    case: impl FnOnce(&Arena, &Channel) -> Case,
    signers: &[Pubkey],
    what: impl FnOnce(&mut World),
) -> Result<(), String> {
    let mut arena = Arena::new();
    arena.world.channel = arena.channels[index].clone();
    what(&mut arena.world);
    let case = case(&arena, &arena.channels[index]);
    Landing { arena: &arena, case: &case, keys: &arena.pool, signers, fee: 0 }.keeps_the_laws()
}

/// `subject` after a good proof in that form, of 6,000 for the channel alone.
fn proven(form: Form, subject: fn(&Channel) -> Instruction) -> impl FnOnce(&Arena, &Channel) -> Case {
    move |arena, channel| {
        let promises = [(channel.address, 6_000)];
        let proof = arena.proofs.iter().position(|proven| proven.form == form && proven.promises == promises);
        Case { proofs: vec![proof.unwrap()], subjects: vec![subject(channel)] }
    }
}

fn alone(subject: fn(&Channel) -> Instruction) -> impl FnOnce(&Arena, &Channel) -> Case {
    move |_, channel| Case { proofs: Vec::new(), subjects: vec![subject(channel)] }
}

fn move_tokens(world: &mut World, from: Pubkey, to: Pubkey, amount: u64) {
    world.edit_tokens(from, |tokens| tokens.amount -= amount);
    world.edit_tokens(to, |tokens| tokens.amount += amount);
}

#[test]
fn the_prepared_ledger_keeps_every_law() {
    assert_eq!(judged(OPEN, |_| {}), Ok(()));
}

#[test]
fn a_token_out_of_nothing_is_seen() {
    let broken = judged(OPEN, |world| {
        let payee = world.channel.payee_tokens;
        world.edit_tokens(payee, |tokens| tokens.amount += 1);
    });
    assert!(broken.unwrap_err().contains("-1 tokens"));
}

#[test]
fn a_lamport_out_of_nothing_is_seen() {
    let broken = judged(OPEN, |world| {
        let payer = world.channel.plan.payer;
        let mut account = world.svm.get_account(&payer).unwrap();
        account.lamports += 1;
        world.put(payer, account);
    });
    assert_eq!(broken, Err("-1 lamports lost".to_owned()));
}

#[test]
fn tokens_that_leave_a_person_unasked_are_seen() {
    let broken = judged(OPEN, |world| {
        let (payer, payee) = (world.channel.payer_tokens, world.channel.payee_tokens);
        move_tokens(world, payer, payee, 1);
    });
    assert!(broken.unwrap_err().ends_with("lost tokens"));
}

#[test]
fn a_payout_that_nobody_earned_is_seen() {
    let broken = judged(OPEN, |world| {
        let (escrow, payee) = (world.channel.escrow, world.channel.payee_tokens);
        move_tokens(world, escrow, payee, 1);
    });
    assert!(broken.unwrap_err().contains("owes 10000 and holds 9999"));
}

#[test]
fn a_stranger_that_gains_is_seen() {
    let broken = judged(HALF_SETTLED, |world| {
        let stranger = world.put_tokens(named("stranger"), 500);
        let escrow = world.channel.escrow;
        world.edit(|state| state.payout_watermark += 1);
        move_tokens(world, escrow, stranger, 1);
    });
    assert!(broken.unwrap_err().ends_with("gained"));
}

#[test]
fn a_watermark_that_rises_without_a_voucher_is_seen() {
    let broken = judged(OPEN, |world| world.edit(|state| state.settled = 1));
    assert!(broken.unwrap_err().contains("settled 1 of 0 promised"));
}

#[test]
fn a_watermark_that_falls_is_seen() {
    let broken = judged(HALF_SETTLED, |world| world.edit(|state| state.settled -= 1));
    assert!(broken.unwrap_err().contains("a watermark"));
}

#[test]
fn watermarks_out_of_order_are_seen() {
    let broken = judged(OPEN, |world| world.edit(|state| state.settled = state.deposit + 1));
    assert!(broken.unwrap_err().contains("became"));
}

#[test]
fn a_seal_that_the_payee_did_not_sign_is_seen() {
    let broken = judged(OPEN, |world| world.edit(|state| state.status = Status::Sealed as u8));
    assert!(broken.unwrap_err().ends_with("went (Open, Sealed)"));
}

#[test]
fn changed_terms_are_seen() {
    let broken = judged(OPEN, |world| world.edit(|state| state.payee = named("stranger")));
    assert!(broken.unwrap_err().contains("other terms"));
}

#[test]
fn a_batch_promises_what_its_message_says_to_settle_batch_alone() {
    let settles = |world: &mut World| world.edit(|state| state.settled = 6_000);
    assert_eq!(judged_as(OPEN, proven(Form::Batch, Channel::settle_batch), &[], settles), Ok(()));
    assert_eq!(judged_as(OPEN, proven(Form::Voucher, Channel::settle), &[], settles), Ok(()));
    for case in [proven(Form::Batch, Channel::settle), proven(Form::Voucher, Channel::settle_batch)] {
        assert!(judged_as(OPEN, case, &[], settles).unwrap_err().contains("settled 6000 of 0 promised"));
    }
}

#[test]
fn a_settlement_that_lands_without_doing_its_work_is_seen() {
    for case in [proven(Form::Batch, Channel::settle_batch), proven(Form::Voucher, Channel::settle)] {
        let broken = judged_as(OPEN, case, &[], |_| {});
        assert!(broken.unwrap_err().ends_with("was promised 6000 and did not get there"));
    }
    let broken = judged_as(OPEN, alone(Channel::settle_batch), &[], |_| {});
    assert_eq!(broken, Err("settled without a promise".to_owned()));
}

#[test]
fn a_part_of_a_ceiling_that_the_payee_did_not_ask_for_is_seen() {
    let case = || proven(Form::Ceiling, |channel| channel.settle_up_to(60));
    let settles = |amount| move |world: &mut World| world.edit(|state| state.settled = amount);
    assert_eq!(judged_as(OPEN, case(), &[named("payee")], settles(60)), Ok(()));
    let more = judged_as(OPEN, case(), &[named("payee")], settles(61));
    assert!(more.unwrap_err().contains("settled 61 of 6000 promised"));
    let unasked = judged_as(OPEN, case(), &[], settles(60));
    assert!(unasked.unwrap_err().contains("out of turn"));
}

#[test]
fn a_voucher_settled_in_another_status_is_seen() {
    let settles = |world: &mut World| world.edit(|state| state.settled = 6_000);
    let judged = |index, subject| judged_as(index, proven(Form::Voucher, subject), &[], settles);
    assert_eq!(judged(CLOSING, Channel::settle_closing), Ok(()));
    for (index, subject) in
        [(CLOSING, Channel::settle as fn(&Channel) -> Instruction), (OPEN, Channel::settle_closing)]
    {
        assert!(judged(index, subject).unwrap_err().contains("out of turn"));
    }
    assert!(judged(OVERDUE, Channel::settle_closing).unwrap_err().contains("out of turn"));
}

#[test]
fn a_ceiling_settled_as_a_voucher_is_seen() {
    let settles = |world: &mut World| world.edit(|state| state.settled = 6_000);
    let case = |arena: &Arena, channel: &Channel| Case {
        subjects: vec![channel.settle()],
        ..proven(Form::Ceiling, |channel| channel.settle_up_to(60))(arena, channel)
    };
    assert!(judged_as(OPEN, case, &[], settles).unwrap_err().contains("of 0 promised"));
}

#[test]
fn a_batch_that_passes_over_the_living_or_says_nothing_of_the_dead_is_seen() {
    let tells = |channel: &Channel| crate::wire::settle_batch_of_the_living(&[channel.address]);
    let judged = |index, subject| judged_as(index, proven(Form::Batch, subject), &[], |_| {});
    assert_eq!(judged(OVERDUE, tells), Ok(()));
    for index in [OPEN, CLOSING] {
        assert!(judged(index, tells).unwrap_err().contains("did not get there"));
    }
    assert!(judged(OVERDUE, Channel::settle_batch).unwrap_err().contains("did not get there"));
}

/// What `rearm` does to a channel that has settled nothing.
fn refund(world: &mut World) {
    let (escrow, payer) = (world.channel.escrow, world.channel.payer_tokens);
    world.edit(|state| state.deposit = 0);
    move_tokens(world, escrow, payer, 10_000);
}

#[test]
fn a_deposit_falls_only_when_the_payee_rearms() {
    let rearm = |channel: &Channel| channel.rearm(0);
    assert_eq!(judged_as(OPEN, alone(rearm), &[named("payee")], refund), Ok(()));
    let others = [
        judged_as(OPEN, alone(rearm), &[named("payer")], refund),
        judged_as(OPEN, alone(Channel::distribute), &[named("payee")], refund),
    ];
    for broken in others {
        assert!(broken.unwrap_err().contains("the deposit of"));
    }
}

#[test]
fn a_refund_to_another_is_seen() {
    let broken = judged_as(OPEN, alone(|channel| channel.rearm(0)), &[named("payee")], |world| {
        let (payer, payee) = (world.channel.payer_tokens, world.channel.payee_tokens);
        refund(world);
        world.edit_tokens(payer, |tokens| tokens.amount -= 1);
        world.edit_tokens(payee, |tokens| tokens.amount += 1);
    });
    assert!(broken.unwrap_err().contains("ended uneven"));
}

#[test]
fn a_settlement_that_moves_tokens_is_seen() {
    let broken = judged_as(HALF_SETTLED, alone(Channel::settle), &[], |world| {
        let (escrow, payee) = (world.channel.escrow, world.channel.payee_tokens);
        world.edit(|state| state.payout_watermark += 1);
        move_tokens(world, escrow, payee, 1);
    });
    assert!(broken.unwrap_err().contains("a settlement changed"));
}

#[test]
fn a_checkpoint_that_changes_something_is_seen() {
    let broken = judged_as(OPEN, alone(Channel::checkpoint), &[], |world| {
        world.edit(|state| state.payer_withdrawn_at = 1);
    });
    assert!(broken.unwrap_err().contains("a checkpoint changed"));
}
