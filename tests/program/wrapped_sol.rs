//! Channels in wrapped SOL, whose token accounts hold their tokens as lamports as well.

use toll_program_tests::{
    Account, OPEN_SLOT_WINDOW, PAYER_TOKENS, Plan, SLOT, Status, WRAPPED_SOL, World, rent_of,
};

fn opened() -> World {
    World::opened(Plan { mint: WRAPPED_SOL, ..Plan::with_shares(&[1_000]) })
}

#[test]
fn a_channel_in_wrapped_sol_lives_and_pays_like_any_other() {
    let mut world = opened();
    world.settle(&world.voucher(10_000)).succeeds();
    world.distribute().succeeds();
    world.top_up(500).succeeds();
    world.settle_and_seal(&world.voucher(20_005)).succeeds();
    world.distribute().succeeds();

    assert_eq!(world.tokens(&world.channel.recipient_tokens[0]), 2_000);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 18_004);
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 1);
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 20_005);
    assert_eq!(world.lamports(&world.channel.payee_tokens), rent_of(165) + 18_004);
    assert!(world.is_gone(&world.channel.escrow));
}

#[test]
fn the_rent_payer_gets_the_escrows_rent_and_none_of_the_deposit() {
    let mut world = World::before_open(Plan { mint: WRAPPED_SOL, ..Plan::default() });
    let rent_payer = world.channel.plan.rent_payer;
    let before = world.lamports(&rent_payer);
    world.open().succeeds();
    world.seal_as_payee().succeeds();
    world.at_slot(SLOT + OPEN_SLOT_WINDOW + 1);
    world.distribute().succeeds();
    assert_eq!(world.lamports(&rent_payer), before);
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS);
}

#[test]
fn lamports_sent_to_the_escrow_and_never_synced_go_with_its_rent() {
    let mut world = opened();
    let (escrow, rent_payer) = (world.channel.escrow, world.channel.plan.rent_payer);
    let account = world.svm.get_account(&escrow).unwrap();
    world.put(escrow, Account { lamports: account.lamports + 777, ..account });
    world.settle_and_seal(&world.voucher(1_000)).succeeds();
    let before = world.lamports(&rent_payer);
    world.distribute().succeeds();
    assert_eq!(world.lamports(&rent_payer) - before, rent_of(165) + 777);
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 1_000);
    assert_eq!(world.state().status, Status::Distributed as u8);
}
