//! `distribute` once the channel is sealed: everyone is paid, and nothing stays.

use toll_program_tests::{
    Account, OPEN_SLOT_WINDOW, PAYER_TOKENS, Plan, RENT_OF_CHANNEL, SLOT, Status, TokenKind, World, named,
    rent_of,
};

const DEPOSIT: u64 = 1_000_000;
/// The last slot in which the channel's address is still needed.
const LAST: u64 = SLOT + OPEN_SLOT_WINDOW;

fn sealed(plan: Plan, settled: u64) -> World {
    let mut world = World::opened(plan);
    if settled > 0 {
        world.settle_and_seal(&world.voucher(settled)).succeeds();
    } else {
        world.seal_as_payee().succeeds();
    }
    world
}

#[test]
fn shares_refund_and_dust_add_up_to_the_deposit() {
    for token in TokenKind::ALL {
        let mut world = sealed(Plan { token, ..Plan::with_shares(&[3_333, 3_333]) }, 10);
        let landed = world.distribute().succeeds();

        let [first, second] = world.channel.recipient_tokens[..] else { panic!("two recipients") };
        assert_eq!((world.tokens(&first), world.tokens(&second)), (3, 3));
        assert_eq!(world.tokens(&world.channel.payee_tokens), 3);
        assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 10);
        assert_eq!(world.tokens(&world.channel.treasury_tokens), 1);
        assert!(world.is_gone(&world.channel.escrow));
        assert_eq!(landed.events(), []);
    }
}

#[test]
fn within_the_window_the_account_stays_as_distributed() {
    let mut world = sealed(Plan::default(), 300_000);
    let before = world.state();
    world.distribute().succeeds();

    let after = world.state();
    assert_eq!(after.status, Status::Distributed as u8);
    assert_eq!(after.payout_watermark, before.payout_watermark, "only an open channel's payouts are counted");
    assert_eq!((after.deposit, after.settled), (before.deposit, before.settled));
    assert_eq!(world.lamports(&world.channel.address), RENT_OF_CHANNEL);
}

#[test]
fn after_the_window_the_account_goes_at_once() {
    for (slot, gone) in [(LAST - 1, false), (LAST, false), (LAST + 1, true), (LAST + 1_000_000, true)] {
        let mut world = sealed(Plan::default(), 300_000);
        world.at_slot(slot);
        world.distribute().succeeds();
        assert_eq!(world.is_gone(&world.channel.address), gone, "{} slots after opening", slot - SLOT);
    }
}

#[test]
fn the_escrows_rent_goes_to_the_rent_payer() {
    for (token, size) in [(TokenKind::Spl, 165), (TokenKind::Token2022, 170)] {
        let mut world = sealed(Plan { token, ..Plan::default() }, 300_000);
        let rent_payer = world.channel.plan.rent_payer;
        let before = world.lamports(&rent_payer);
        world.distribute().succeeds();
        assert_eq!(world.lamports(&rent_payer) - before, rent_of(size));
    }
}

#[test]
fn on_the_fast_path_all_rent_goes_to_the_rent_payer() {
    let mut world = World::before_open(Plan::default());
    let (payer, rent_payer) = (world.channel.plan.payer, world.channel.plan.rent_payer);
    let before = (world.lamports(&payer), world.lamports(&rent_payer));
    world.open().succeeds();
    world.seal_as_payee().succeeds();
    world.at_slot(LAST + 1);
    world.distribute().succeeds();
    assert_eq!((world.lamports(&payer), world.lamports(&rent_payer)), before, "not a lamport lost");
}

#[test]
fn lamports_given_to_the_channel_go_to_the_rent_payer() {
    let mut world = sealed(Plan::default(), 300_000);
    let rent_payer = world.channel.plan.rent_payer;
    let gift = Account {
        lamports: RENT_OF_CHANNEL + 12_345,
        ..world.svm.get_account(&world.channel.address).unwrap()
    };
    world.put(world.channel.address, gift);
    world.at_slot(LAST + 1);
    let before = world.lamports(&rent_payer);
    world.distribute().succeeds();
    assert_eq!(world.lamports(&rent_payer) - before, rent_of(165) + RENT_OF_CHANNEL + 12_345);
}

#[test]
fn nothing_settled_means_everything_refunded() {
    let mut world = sealed(Plan::with_shares(&[1_000]), 0);
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 0);
}

#[test]
fn everything_settled_means_no_refund_and_no_look_at_the_payers_account() {
    let mut world = sealed(Plan::default(), DEPOSIT);
    world.distribute().account(4, named("dummy")).succeeds();
    assert_eq!(world.tokens(&world.channel.payee_tokens), DEPOSIT);
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - DEPOSIT);
}

#[test]
fn a_refund_taken_before_is_not_paid_again() {
    for token in TokenKind::ALL {
        let mut world = sealed(Plan { token, ..Plan::default() }, 300_000);
        world.withdraw_payer().succeeds();
        world.distribute().account(4, named("dummy")).succeeds();
        assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 300_000);
        assert_eq!(world.tokens(&world.channel.payee_tokens), 300_000);
        assert_eq!(world.tokens(&world.channel.treasury_tokens), 0);
    }
}

#[test]
fn what_was_distributed_while_open_is_not_paid_again() {
    let mut world = World::opened(Plan::with_shares(&[1_000]));
    world.settle(&world.voucher(10_000)).succeeds();
    world.distribute().succeeds();
    world.settle_and_seal(&world.voucher(15_000)).succeeds();
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.recipient_tokens[0]), 1_500);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 13_500);
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 15_000);
}

#[test]
fn a_sealed_channel_with_nothing_new_still_distributes() {
    let mut world = World::opened(Plan::default());
    world.settle(&world.voucher(10_000)).succeeds();
    world.distribute().succeeds();
    world.seal_as_payee().succeeds();
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 10_000);
    assert_eq!(world.state().status, Status::Distributed as u8);
}

#[test]
fn gifts_in_the_escrow_go_to_the_treasury() {
    for token in TokenKind::ALL {
        let mut world = sealed(Plan { token, ..Plan::default() }, 300_000);
        world.edit_tokens(world.channel.escrow, |tokens| tokens.amount += 5_000);
        world.distribute().succeeds();
        assert_eq!(world.tokens(&world.channel.treasury_tokens), 5_000);
        assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 300_000);
    }
}

#[test]
fn a_distributed_channel_pays_nobody_again() {
    let mut world = sealed(Plan::default(), 300_000);
    world.distribute().succeeds();
    world.distribute().rejects_with(toll_program_tests::ChannelError::ChannelNotDistributable);
    // Not even from an escrow that somebody made again.
    world.put_tokens(world.channel.address, 700);
    world.distribute().rejects_with(toll_program_tests::ChannelError::ChannelNotDistributable);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 300_000);
}

#[test]
fn after_a_forced_close_the_payer_gets_what_was_not_settled() {
    let mut world = World::opened(Plan::default());
    world.settle(&world.voucher(1_000)).succeeds();
    world.request_close().succeeds();
    world.at_time(toll_program_tests::NOW + 900);
    world.seal().succeeds();
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 1_000);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 1_000);
}

#[test]
fn a_payer_without_lamports_is_paid_all_the_same() {
    let mut world = sealed(Plan::default(), 300_000);
    world.remove(world.channel.plan.payer);
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 300_000);
}

#[test]
fn sealing_and_distributing_fit_one_transaction() {
    let mut world = World::opened(Plan::default());
    let distribute = world.channel.distribute();
    world.settle_and_seal(&world.voucher(300_000)).followed_by([distribute]).succeeds();
    assert_eq!(world.state().status, Status::Distributed as u8);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 300_000);
}
