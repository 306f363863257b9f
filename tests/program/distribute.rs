//! `distribute` while the channel is open: who is paid how much, and what stays.

use toll_program_tests::{
    ChannelError, PAYER_TOKENS, Plan, Status, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, TokenKind, World, named,
};

/// Settles to each watermark in turn, distributes, and lists what each party got: recipients, then the payee.
fn payouts(shares: &[u16], watermarks: &[u64]) -> (Vec<Vec<u64>>, World) {
    let mut world = World::opened(Plan { deposit: 2_000_000, ..Plan::with_shares(shares) });
    let parties: Vec<_> =
        world.channel.recipient_tokens.iter().copied().chain([world.channel.payee_tokens]).collect();
    let mut rows = Vec::new();
    for watermark in watermarks {
        world.settle(&world.voucher(*watermark)).succeeds();
        let before: Vec<_> = parties.iter().map(|party| world.tokens(party)).collect();
        world.distribute().succeeds();
        rows.push(parties.iter().zip(before).map(|(party, before)| world.tokens(party) - before).collect());
    }
    (rows, world)
}

#[test]
fn thirds_are_paid_when_they_reach_a_whole_unit() {
    let (rows, world) = payouts(&[3_333, 3_333], &[1, 2, 3, 4, 10]);
    assert_eq!(rows, [[0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 1, 0], [2, 2, 2]]);
    assert_eq!(world.tokens(&world.channel.escrow), 2_000_000 - 9, "a dust of one stays");
}

#[test]
fn uneven_shares_follow_the_documented_vector() {
    let (rows, world) = payouts(&[1_000, 250], &[16, 33, 1_000_003]);
    assert_eq!(rows, [[1, 0, 14], [2, 0, 14], [99_997, 25_000, 874_974]]);
    assert_eq!(world.tokens(&world.channel.escrow), 2_000_000 - 1_000_002);
}

#[test]
fn the_order_of_distributions_does_not_change_the_total() {
    let (_, once) = payouts(&[3_333, 77, 1], &[1_234_567]);
    let (_, often) = payouts(&[3_333, 77, 1], &[1, 5, 1_000, 1_001, 777_777, 1_234_566, 1_234_567]);
    for (first, second) in once.channel.recipient_tokens.iter().zip(&often.channel.recipient_tokens) {
        assert_eq!(once.tokens(first), often.tokens(second));
    }
    assert_eq!(once.tokens(&once.channel.payee_tokens), often.tokens(&often.channel.payee_tokens));
}

#[test]
fn without_splits_the_payee_gets_everything_settled() {
    for token in TokenKind::ALL {
        let mut world = World::opened(Plan { token, ..Plan::default() });
        world.settle(&world.voucher(12_345)).succeeds();
        world.distribute().succeeds();
        assert_eq!(world.tokens(&world.channel.payee_tokens), 12_345);
        assert_eq!(world.tokens(&world.channel.escrow), 1_000_000 - 12_345);
    }
}

#[test]
fn recipients_may_share_the_whole() {
    let (rows, _) = payouts(&[9_999, 1], &[10_000]);
    assert_eq!(rows, [[9_999, 1, 0]]);
}

#[test]
fn only_the_payout_watermark_rises() {
    let mut world = World::with_state(Plan::with_shares(&[1_000]), |state| state.settled = 10_000);
    let mut expected = world.state();
    let lamports = world.lamports(&world.channel.address);
    let landed = world.distribute().succeeds();

    expected.payout_watermark = 10_000;
    assert_eq!(world.state(), expected);
    assert_eq!(world.lamports(&world.channel.address), lamports);
    assert_eq!(landed.events(), []);
}

#[test]
fn a_distribution_of_dust_alone_moves_the_watermark_and_no_token() {
    let (rows, world) = payouts(&[3_333, 3_333], &[1]);
    assert_eq!(rows, [[0, 0, 0]]);
    assert_eq!(world.state().payout_watermark, 1);
}

#[test]
fn nothing_is_paid_twice() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 10_000);
    world.distribute().succeeds();
    world.distribute().rejects_with(ChannelError::NothingToDistribute);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 10_000);
}

#[test]
fn the_largest_amounts_do_not_overflow() {
    // floor(u64::MAX · share / 10,000) by hand for 3,333 and 6,667 minus the payee's nothing.
    let shares = [3_333, 6_667];
    let mut world = World::before_open(Plan { deposit: u64::MAX, ..Plan::with_shares(&shares) });
    world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.amount = 0);
    let mut state = world.channel.opened();
    state.settled = u64::MAX;
    world.put_channel(&state);
    world.put_tokens(world.channel.address, u64::MAX);
    world.distribute().succeeds();

    for (address, share) in world.channel.recipient_tokens.clone().iter().zip(shares) {
        let expected = u128::from(u64::MAX) * u128::from(share) / 10_000;
        assert_eq!(u128::from(world.tokens(address)), expected);
    }
}

#[test]
fn large_watermarks_are_paid_by_difference() {
    let share = |total: u64| (u128::from(total) * 3_333 / 10_000) as u64;
    let (paid, settled) = (u64::MAX / 2, u64::MAX - 12_345);
    let mut world = World::before_open(Plan { deposit: u64::MAX, ..Plan::with_shares(&[3_333]) });
    world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.amount = 0);
    let mut state = world.channel.opened();
    (state.settled, state.payout_watermark) = (settled, paid);
    world.put_channel(&state);
    world.put_tokens(world.channel.address, u64::MAX - paid);
    world.distribute().succeeds();

    assert_eq!(world.tokens(&world.channel.recipient_tokens[0]), share(settled) - share(paid));
}

#[test]
fn tokens_given_to_the_escrow_are_not_paid_out_while_open() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 10_000);
    world.edit_tokens(world.channel.escrow, |tokens| tokens.amount += 5_000);
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payee_tokens), 10_000);
    assert_eq!(world.tokens(&world.channel.escrow), 1_000_000 - 10_000 + 5_000);
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 0);
}

#[test]
fn while_open_the_payer_is_not_refunded_and_its_account_not_looked_at() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 10_000);
    world.distribute().account(4, named("dummy")).succeeds();
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 1_000_000);
    assert_eq!(world.state().status, Status::Open as u8);
}

#[test]
fn without_a_redirect_the_event_accounts_are_not_looked_at() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 10_000);
    world.distribute().account(9, named("event authority")).account(10, named("program")).succeeds();
    assert_eq!(world.tokens(&world.channel.payee_tokens), 10_000);
}

#[test]
fn payer_payee_and_rent_payer_may_share_in_the_splits() {
    let splits = vec![(named("payee"), 1_000), (named("payer"), 500), (named("rent payer"), 250)];
    let mut world = World::before_open(Plan { splits, ..Plan::default() });
    world.open().succeeds();
    world.settle(&world.voucher(10_000)).succeeds();
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payee_tokens), 1_000 + 8_250);
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 1_000_000 + 500);
    assert_eq!(world.tokens(&world.channel.recipient_tokens[2]), 250);
}

#[test]
fn the_payer_may_be_the_rent_payer() {
    for token in TokenKind::ALL {
        let plan = Plan { token, rent_payer: named("payer"), ..Plan::default() };
        let mut world = World::with_state(plan, |state| state.settled = 10_000);
        world.distribute().succeeds();
        assert_eq!(world.tokens(&world.channel.payee_tokens), 10_000);
    }
}

#[test]
fn the_treasury_owner_may_be_a_recipient() {
    let splits = vec![(toll_program_tests::treasury_owner(), 1_000)];
    let mut world = World::with_state(Plan { splits, ..Plan::default() }, |state| state.settled = 10_000);
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 1_000);
}

#[test]
fn a_zero_share_of_the_payee_needs_no_usable_account_but_the_right_address() {
    let mut world = World::with_state(Plan::with_shares(&[10_000]), |state| state.settled = 10_000);
    world.remove(world.channel.payee_tokens);
    world.distribute().account(5, named("payee's tokens")).rejects_with(ChannelError::PayeeAccountMismatch);
    let landed = world.distribute().succeeds();
    assert_eq!(landed.events(), []);
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 0);
}

#[test]
fn an_amount_of_zero_needs_no_usable_recipient_but_the_right_address() {
    let mut world = World::with_state(Plan::with_shares(&[1]), |state| state.settled = 9_999);
    world.remove(world.channel.recipient_tokens[0]);
    world.distribute().account(11, named("elsewhere")).rejects_with(ChannelError::RecipientAccountMismatch);
    assert_eq!(world.distribute().succeeds().events(), []);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 9_998);
}

#[test]
fn delegates_on_beneficiary_accounts_are_no_concern() {
    let mut world = World::with_state(Plan::with_shares(&[1_000]), |state| state.settled = 10_000);
    for address in [world.channel.payee_tokens, world.channel.recipient_tokens[0]] {
        world.edit_tokens(address, |tokens| tokens.delegate = Some(named("delegate")));
    }
    assert_eq!(world.distribute().succeeds().events(), []);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 9_000);
}

#[test]
fn transfers_go_to_the_channels_own_token_program() {
    for (token, other) in [(TokenKind::Spl, TOKEN_2022_PROGRAM), (TokenKind::Token2022, TOKEN_PROGRAM)] {
        let plan = Plan { token, ..Plan::with_shares(&[1_000]) };
        let mut world = World::with_state(plan, |state| state.settled = 10_000);
        let landed = world.distribute().succeeds();
        assert!(!landed.invocations_of(&token.program()).is_empty());
        assert!(landed.invocations_of(&other).is_empty());
    }
}
