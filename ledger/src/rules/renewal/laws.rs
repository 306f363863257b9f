//! What holds of every session that ends and leaves its channel open.

use proptest::prelude::*;
use toll_protocol::{Amount, ChannelStatus};

use super::{Renewed, rearmed, renew, stopped_to_renew};
use crate::rules::fixture::{NOW, account, open, submission, watermarks};
use crate::rules::observation::account_seen;
use crate::{ChannelRecord, ChannelState, CloseReason, Renewal, RenewalRequested, Watermarks};

const ANY: Renewal = Renewal { returning: false, worth: Amount::ZERO, can_rearm: true };

/// When a channel of `open()` is idle: 600 s after it opened.
const IDLE_AT: i64 = NOW + 600;

fn amounts(deposit: u64, accepted: u64, spent: u64, settled: u64) -> Watermarks {
    Watermarks {
        deposit: Amount::new(deposit),
        accepted: Amount::new(accepted),
        spent: Amount::new(spent),
        earmarked: Amount::ZERO,
        settled: Amount::new(settled),
        payout_watermark: Amount::ZERO,
    }
}

fn with(watermarks: Watermarks) -> ChannelRecord {
    ChannelRecord { watermarks, ..open() }
}

fn kept(watermarks: Watermarks) -> ChannelRecord {
    ChannelRecord { kept_by: Some(submission(1)), ..with(watermarks) }
}

fn outcome(record: &ChannelRecord, renewal: Renewal) -> RenewalRequested {
    match renew(record, renewal, false, IDLE_AT) {
        Renewed::To(_, outcome) => outcome,
        Renewed::Not => RenewalRequested::Not,
    }
}

fn any_record() -> impl Strategy<Value = ChannelRecord> {
    let known = (any::<bool>(), any::<bool>(), any::<bool>(), 0i64..1_200, proptest::option::of(0u64..3_000));
    (proptest::sample::select(ChannelState::ALL), watermarks(), known).prop_map(
        |(state, watermarks, (keeps, pays_out, forced, idle, rearmed))| ChannelRecord {
            state,
            kept_by: keeps.then(|| submission(1)),
            pay_out_to: pays_out.then_some(watermarks.accepted),
            closure_started_at: forced.then_some(NOW),
            last_activity_at: IDLE_AT - idle,
            rearmed: rearmed.map(|rearmed| Amount::new(rearmed).min(watermarks.settled)),
            ..with(watermarks)
        },
    )
}

proptest! {
    #[test]
    fn a_renewal_moves_no_amount_and_only_an_idle_channel_that_serves(
        record in any_record(), returning: bool, worth in 0u64..300, can_rearm: bool, was_here: bool,
    ) {
        let renewal = Renewal { returning, worth: Amount::new(worth), can_rearm };
        let Renewed::To(after, outcome) = renew(&record, renewal, was_here, IDLE_AT) else { return Ok(()) };
        prop_assert_eq!(after.watermarks, record.watermarks);
        prop_assert_eq!(record.state, ChannelState::Open);
        prop_assert_eq!(record.closure_started_at, None);
        prop_assert!(record.last_activity_at + 600 <= IDLE_AT);
        let marks = &record.watermarks;
        prop_assert!(marks.accepted > marks.settled, "there is something to settle");
        match outcome {
            RenewalRequested::Kept => {
                prop_assert_eq!(after.state, ChannelState::Open);
                prop_assert_eq!(after.pay_out_to, Some(marks.accepted));
                prop_assert!(marks.deposit.get() - marks.accepted.get() >= record.price.get());
                prop_assert!(record.kept_by.is_some(), "only where the payer asked for it");
                prop_assert_eq!(after.last_activity_at, IDLE_AT, "another idle timeout begins");
            }
            RenewalRequested::Recorded => {
                prop_assert_eq!((after.state, after.renewing), (ChannelState::Closing, true));
                prop_assert_eq!(after.close_reason, Some(CloseReason::Idle));
                prop_assert_eq!(after.closing_at, Some(IDLE_AT));
                prop_assert_eq!(marks.spent, marks.accepted, "nothing of the payer's is held back");
                prop_assert!(can_rearm);
            }
            other => prop_assert!(false, "{other:?} changes nothing"),
        }
    }

    /// Deposit, accepted, spent and settled are one number when service begins again, so no voucher of the earlier
    /// session buys or settles anything in the next.
    #[test]
    fn a_session_that_begins_again_begins_with_nothing_left_over(record in any_record(), top_up in 0u64..100) {
        let Renewed::To(waiting, RenewalRequested::Recorded) = renew(&record, ANY, false, IDLE_AT) else {
            return Ok(());
        };
        let settled = waiting.watermarks.accepted;
        let mut left = account(&waiting);
        left.deposit = settled.checked_add(Amount::new(top_up)).expect("small");
        left.settled = settled;
        left.payout_watermark = settled;
        let seen = account_seen(&waiting, &left, 200, IDLE_AT).expect("its own account").after;
        let again = rearmed(&seen, IDLE_AT + 5).expect("it serves again");
        prop_assert_eq!(again.state, ChannelState::Open);
        prop_assert_eq!(again.rearmed, Some(settled));
        let marks = again.watermarks;
        prop_assert_eq!((marks.accepted, marks.spent, marks.settled), (settled, settled, settled));
        prop_assert_eq!(marks.deposit.get() - settled.get(), top_up);
        prop_assert_eq!((again.renewing, again.close_reason, again.closing_at), (false, None, None));
        prop_assert_eq!(again.last_activity_at, IDLE_AT + 5);
        prop_assert_eq!(rearmed(&again, IDLE_AT + 6), None, "landing twice changes nothing");
    }

    #[test]
    fn only_what_waits_for_a_rearm_and_is_settled_whole_serves_again(record in any_record(), renewing: bool) {
        for chain_status in [None, Some(ChannelStatus::Open), Some(ChannelStatus::Closing)] {
            let record = ChannelRecord { renewing, chain_status, ..record.clone() };
            let expected = record.state == ChannelState::Closing
                && renewing
                && chain_status == Some(ChannelStatus::Open)
                && record.watermarks.settled == record.watermarks.accepted;
            prop_assert_eq!(rearmed(&record, NOW).is_some(), expected);
        }
    }
}

#[test]
fn a_channel_may_be_renewed_from_the_second_it_is_idle() {
    let record = with(amounts(1_000, 100, 100, 0));
    assert_eq!(renew(&record, ANY, false, IDLE_AT - 1), Renewed::Not);
    let stopped = Box::new(stopped_to_renew(&record, IDLE_AT));
    assert_eq!(renew(&record, ANY, false, IDLE_AT), Renewed::To(stopped, RenewalRequested::Recorded));
}

#[test]
fn a_kept_deposit_is_paid_out_of_and_stays_for_another_idle_timeout() {
    let record = kept(amounts(1_000, 100, 100, 0));
    let Renewed::To(after, RenewalRequested::Kept) = renew(&record, ANY, false, IDLE_AT + 3) else {
        panic!("it is kept");
    };
    let expected =
        ChannelRecord { pay_out_to: Some(Amount::new(100)), last_activity_at: IDLE_AT + 3, ..record };
    assert_eq!(*after, expected, "and nothing else changes");
}

#[test]
fn a_kept_deposit_buys_at_least_one_more_unit() {
    for (accepted, expected) in [(984, RenewalRequested::Kept), (985, RenewalRequested::Recorded)] {
        assert_eq!(
            outcome(&kept(amounts(1_000, accepted, accepted, 0)), ANY),
            expected,
            "{accepted} of 1000"
        );
    }
}

#[test]
fn only_what_is_worth_it_is_renewed() {
    let hundred = Renewal { worth: Amount::new(100), ..ANY };
    for (settled, expected) in [(50, RenewalRequested::Kept), (51, RenewalRequested::Not)] {
        let record =
            ChannelRecord { rearmed: Some(Amount::new(settled)), ..kept(amounts(1_000, 150, 150, settled)) };
        assert_eq!(outcome(&record, hundred), expected, "kept with {settled} settled");
        let record = ChannelRecord { kept_by: None, ..record };
        let expected = if expected == RenewalRequested::Kept { RenewalRequested::Recorded } else { expected };
        assert_eq!(outcome(&record, hundred), expected, "rearmed with {settled} settled");
    }
    // What earlier sessions earned does not count, nor does what was settled meanwhile count against this one.
    let record = ChannelRecord { rearmed: Some(Amount::new(50)), ..with(amounts(1_000, 150, 150, 149)) };
    assert_eq!(outcome(&record, hundred), RenewalRequested::Recorded);
    let first = with(amounts(1_000, 100, 100, 99));
    assert_eq!(outcome(&first, hundred), RenewalRequested::Recorded, "all of a first session counts");
}

#[test]
fn nothing_is_renewed_without_something_to_settle() {
    for record in [with(amounts(1_000, 100, 100, 100)), kept(amounts(1_000, 100, 100, 100))] {
        assert_eq!(outcome(&record, ANY), RenewalRequested::Not);
    }
}

#[test]
fn what_is_not_spent_is_for_a_close_to_settle() {
    assert_eq!(outcome(&with(amounts(1_000, 100, 99, 0)), ANY), RenewalRequested::Not);
}

#[test]
fn a_payout_is_waited_for_one_idle_timeout() {
    let record = kept(amounts(1_000, 100, 100, 0));
    let waiting = ChannelRecord { pay_out_to: Some(Amount::new(100)), ..record };
    assert_eq!(outcome(&waiting, ANY), RenewalRequested::Recorded, "it is not kept a second time");
}

#[test]
fn a_program_that_cannot_rearm_keeps_but_rearms_nothing() {
    let keeps = Renewal { can_rearm: false, ..ANY };
    assert_eq!(outcome(&kept(amounts(1_000, 100, 100, 0)), keeps), RenewalRequested::Kept);
    assert_eq!(outcome(&with(amounts(1_000, 100, 100, 0)), keeps), RenewalRequested::Not);
}

#[test]
fn only_a_payer_that_was_here_before_is_waited_for_where_returning_is_asked() {
    let returning = Renewal { returning: true, ..ANY };
    let record = with(amounts(1_000, 100, 100, 0));
    assert_eq!(outcome(&record, returning), RenewalRequested::Not);
    assert!(matches!(renew(&record, returning, true, IDLE_AT), Renewed::To(..)), "on another channel");
    let rearmed = ChannelRecord { rearmed: Some(Amount::ZERO), ..record.clone() };
    assert_eq!(outcome(&rearmed, returning), RenewalRequested::Recorded);
    let paid_out = Watermarks { payout_watermark: Amount::new(40), ..amounts(1_000, 100, 100, 40) };
    assert_eq!(outcome(&with(paid_out), returning), RenewalRequested::Recorded);
}
