//! `rearm`: one session after another on the same channel, and what becomes of vouchers in between.

use toll_program_tests::{
    Batch, ChannelError, ChannelState, Event, NOW, OPEN_SLOT_WINDOW, PAYER_TOKENS, Plan, SLOT, Status,
    TokenKind, Voucher, World,
};

const DEPOSIT: u64 = 1_000;

fn opened(shares: &[u16]) -> World {
    World::opened(Plan { deposit: DEPOSIT, ..Plan::with_shares(shares) })
}

/// What the payer has given away so far.
fn spent(world: &World) -> u64 {
    PAYER_TOKENS - world.tokens(&world.channel.payer_tokens)
}

#[test]
fn shares_are_paid_the_rest_is_refunded_and_the_channel_stays_open() {
    for token in TokenKind::ALL {
        let mut world = World::opened(Plan { token, deposit: DEPOSIT, ..Plan::with_shares(&[1_000]) });
        let before = world.state();
        let landed = world.rearm_with(&world.voucher(500)).succeeds();

        let expected = ChannelState { settled: 500, deposit: 500, payout_watermark: 500, ..before };
        assert_eq!(world.state(), expected);
        assert_eq!(world.tokens(&world.channel.recipient_tokens[0]), 50);
        assert_eq!(world.tokens(&world.channel.payee_tokens), 450);
        assert_eq!((spent(&world), world.tokens(&world.channel.escrow)), (500, 0));
        let channel = world.channel.address;
        let rearmed = Event::Rearmed { channel, settled: 500, distributed: 500, refunded: 500 };
        assert_eq!(landed.events(), [rearmed]);
    }
}

#[test]
fn without_a_voucher_what_was_settled_before_is_paid() {
    let mut world = opened(&[]);
    world.settle(&world.voucher(300)).succeeds();
    world.distribute().succeeds();
    world.settle(&world.voucher(400)).succeeds();
    let landed = world.rearm().succeeds();
    assert_eq!(world.tokens(&world.channel.payee_tokens), 400);
    let channel = world.channel.address;
    assert_eq!(landed.events(), [Event::Rearmed { channel, settled: 400, distributed: 100, refunded: 600 }]);
}

#[test]
fn without_the_flag_a_proof_just_before_is_not_applied() {
    let mut world = opened(&[]);
    let proof = world.sign(&world.voucher(500)).instruction();
    world.rearm().preceded_by(proof).succeeds();
    assert_eq!((world.state().settled, spent(&world)), (0, 0));
}

#[test]
fn without_a_voucher_the_sysvar_is_never_looked_at() {
    let mut world = opened(&[]);
    world.rearm().account(6, toll_program_tests::named("dummy")).succeeds();
}

#[test]
fn any_flag_but_zero_asks_for_a_voucher() {
    for flag in [1, 2, 255] {
        let mut world = opened(&[]);
        world.rearm().patch(1, &[flag]).rejects_with(ChannelError::MissingEd25519Verification);
        world.rearm_with(&world.voucher(5)).patch(1, &[flag]).succeeds();
    }
}

#[test]
fn a_session_without_a_refund_ends_too() {
    let mut world = opened(&[]);
    let landed = world.rearm_with(&world.voucher(DEPOSIT)).succeeds();
    let channel = world.channel.address;
    let rearmed = Event::Rearmed { channel, settled: DEPOSIT, distributed: DEPOSIT, refunded: 0 };
    assert_eq!(landed.events(), [rearmed]);
    assert_eq!(world.state().deposit, DEPOSIT);
}

#[test]
fn sessions_follow_one_another_and_share_one_rounding() {
    let mut world = opened(&[3_333, 3_333]);
    for (deposit, settled) in [(0, 1), (10, 2), (10, 3), (10, 4), (100, 10)] {
        if deposit > 0 {
            world.top_up(deposit).succeeds();
        }
        world.rearm_with(&world.voucher(settled)).succeeds();
        assert_eq!(spent(&world), settled);
    }
    let [first, second] = world.channel.recipient_tokens[..] else { panic!("two recipients") };
    assert_eq!((world.tokens(&first), world.tokens(&second)), (3, 3), "as if it were one session");
    assert_eq!(world.tokens(&world.channel.payee_tokens), 3);
    assert_eq!(world.tokens(&world.channel.escrow), 1, "dust stays until the end");

    world.seal_as_payee().succeeds();
    world.at_slot(SLOT + OPEN_SLOT_WINDOW + 1);
    world.distribute().succeeds();
    assert_eq!((spent(&world), world.tokens(&world.channel.treasury_tokens)), (10, 1));
    assert!(world.is_gone(&world.channel.address));
}

#[test]
fn a_rearmed_channel_settles_nothing_until_it_is_topped_up() {
    let mut world = opened(&[]);
    world.rearm_with(&world.voucher(500)).succeeds();
    world.settle(&world.voucher(501)).rejects_with(ChannelError::VoucherOverDeposit);
    world.settle(&world.voucher(500)).rejects_with(ChannelError::VoucherWatermarkNotMonotonic);
    world.top_up(100).succeeds();
    world.settle(&world.voucher(600)).succeeds();
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.payee_tokens), 600);
}

#[test]
fn ending_a_session_and_paying_for_the_next_fit_one_transaction() {
    let mut world = opened(&[]);
    let top_up = world.channel.top_up(700);
    world.rearm_with(&world.voucher(500)).followed_by([top_up]).succeeds();
    let state = world.state();
    assert_eq!((state.settled, state.deposit, spent(&world)), (500, 1_200, 1_200));
}

#[test]
fn an_unusable_recipient_forfeits_as_in_distribute() {
    let mut world = opened(&[1_000]);
    world.remove(world.channel.recipient_tokens[0]);
    let landed = world.rearm_with(&world.voucher(500)).succeeds();
    let (channel, owner) = (world.channel.address, world.channel.plan.splits[0].0);
    let redirected = Event::PayoutRedirected { channel, owner, amount: 50, beneficiary: 0, reason: 1 };
    let rearmed = Event::Rearmed { channel, settled: 500, distributed: 500, refunded: 500 };
    assert_eq!(landed.events(), [redirected, rearmed]);
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 50);
    assert_eq!(spent(&world), 500);
}

#[test]
fn gifts_stay_in_the_escrow_and_are_nobodys_refund() {
    let mut world = opened(&[]);
    world.edit_tokens(world.channel.escrow, |tokens| tokens.amount += 77);
    world.rearm_with(&world.voucher(500)).succeeds();
    assert_eq!((spent(&world), world.tokens(&world.channel.escrow)), (500, 77));
}

#[test]
fn the_payee_rearms_no_channel_that_its_payer_is_leaving() {
    let mut world = opened(&[]);
    world.request_close().succeeds();
    world.rearm().rejects_with(ChannelError::InvalidChannelStatus);
}

/// Vouchers that the payee kept back: signed in an earlier session, above what was settled when it ended.
mod kept_back {
    use super::*;

    /// 900 were signed, 500 brought, 500 refunded.
    fn rearmed_below_900() -> (World, Voucher) {
        let mut world = opened(&[]);
        let kept = world.voucher(900);
        world.rearm_with(&world.voucher(500)).succeeds();
        (world, kept)
    }

    #[test]
    fn one_above_the_new_deposit_settles_in_no_way() {
        let (mut world, kept) = rearmed_below_900();
        world.settle(&kept).rejects_with(ChannelError::VoucherOverDeposit);
        world.settle_and_seal(&kept).rejects_with(ChannelError::VoucherOverDeposit);
        world.rearm_with(&kept).rejects_with(ChannelError::VoucherOverDeposit);
        world.settle_up_to(501, &world.ceiling(900)).rejects_with(ChannelError::VoucherOverDeposit);
        let batch = Batch::of([(world.channel.address, 900)]);
        world.settle_batch(&batch).rejects_with(ChannelError::VoucherOverDeposit);
        world.request_close().succeeds();
        world.settle_closing(&kept).rejects_with(ChannelError::VoucherOverDeposit);
        assert_eq!(spent(&world), 500);
    }

    #[test]
    fn one_is_not_brought_in_the_transaction_that_refunds_it() {
        let (mut world, kept) = (opened(&[]), 900);
        let proof = world.sign(&world.voucher(kept)).instruction();
        let settle = world.channel.settle();
        let outcome = world.rearm_with(&world.voucher(500)).followed_by([proof, settle]).outcome();
        assert_eq!(outcome.err(), Some((3, ChannelError::VoucherOverDeposit.into())));
        assert_eq!(world.state().deposit, DEPOSIT, "the refund is undone with it");
    }

    #[test]
    fn one_settles_again_when_the_payer_tops_up_to_cover_it() {
        let (mut world, kept) = rearmed_below_900();
        world.top_up(399).succeeds();
        world.settle(&kept).rejects_with(ChannelError::VoucherOverDeposit);
        world.top_up(1).succeeds();
        world.settle(&kept).succeeds();
        world.distribute().succeeds();
        // In both sessions together no more than the payer ever signed.
        assert_eq!((spent(&world), world.tokens(&world.channel.payee_tokens)), (900, 900));
        world.settle(&kept).rejects_with(ChannelError::VoucherWatermarkNotMonotonic);
    }

    #[test]
    fn a_payer_that_signs_on_from_its_highest_amount_pays_everything_once() {
        let (mut world, kept) = rearmed_below_900();
        // The next request costs 100: signed is 1000, and the deposit has to cover it.
        world.top_up(500).succeeds();
        world.settle(&kept).succeeds();
        world.settle(&world.voucher(1_000)).succeeds();
        world.seal_as_payee().succeeds();
        world.distribute().succeeds();
        assert_eq!((spent(&world), world.tokens(&world.channel.payee_tokens)), (1_000, 1_000));
    }

    #[test]
    fn a_payer_that_signs_on_from_what_is_settled_still_owes_its_highest_amount() {
        // The mistake that the documents warn of: 600 is no debt of its own beside 900, but 900 stays one.
        let (mut world, kept) = rearmed_below_900();
        world.top_up(500).succeeds();
        world.settle(&world.voucher(600)).succeeds();
        world.settle(&kept).succeeds();
        assert_eq!(world.state().settled, 900);
    }

    #[test]
    fn one_that_the_payer_never_covers_is_lost_with_the_channel() {
        let (mut world, kept) = rearmed_below_900();
        world.request_close().succeeds();
        world.at_time(NOW + 900);
        world.seal().succeeds();
        world.settle(&kept).rejects_with(ChannelError::InvalidChannelStatus);
        world.distribute().succeeds();
        assert_eq!((spent(&world), world.state().status), (500, Status::Distributed as u8));
    }

    #[test]
    fn one_that_expired_does_not_come_back() {
        let mut world = opened(&[]);
        let kept = Voucher { expires_at: NOW + 60, ..world.voucher(900) };
        world.rearm_with(&world.voucher(500)).succeeds();
        world.at_time(NOW + 60);
        world.top_up(500).succeeds();
        world.settle(&kept).rejects_with(ChannelError::VoucherExpired);
    }

    #[test]
    fn one_at_or_below_the_watermark_is_spent() {
        let (mut world, _) = rearmed_below_900();
        world.top_up(500).succeeds();
        for cumulative in [1, 499, 500] {
            let old = world.voucher(cumulative);
            world.settle(&old).rejects_with(ChannelError::VoucherWatermarkNotMonotonic);
        }
    }

    #[test]
    fn a_batch_that_was_kept_back_obeys_the_same_rules() {
        let mut world = opened(&[]);
        let kept = Batch::of([(world.channel.address, 900)]);
        world.rearm_with(&world.voucher(500)).succeeds();
        world.settle_batch(&kept).rejects_with(ChannelError::VoucherOverDeposit);
        world.top_up(400).succeeds();
        world.settle_batch(&kept).succeeds();
        assert_eq!(world.state().settled, 900);
    }
}
