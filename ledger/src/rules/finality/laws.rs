//! What holds whatever a finalized block shows.

use proptest::prelude::*;
use toll_protocol::{Amount, ChannelAccount, ChannelStatus};

use super::{Awaited, Finalized, TakenBack, finalized};
use crate::rules::fixture::{NOW, account, account_as, open, shown, watermarks};
use crate::rules::observation::account_seen;
use crate::{ChannelRecord, ChannelState, CloseReason, SubmissionKind, Watermarks};

const SEEN_AT: u64 = 120;

fn record() -> impl Strategy<Value = ChannelRecord> {
    let state = proptest::sample::select(ChannelState::ALL);
    let known = (any::<bool>(), any::<bool>(), any::<bool>(), proptest::option::of(0u64..3_000));
    (state, watermarks(), known).prop_map(|(state, watermarks, (refunded, closed, renewing, rearmed))| {
        ChannelRecord {
            state,
            watermarks,
            refunded: refunded.then_some(Amount::new(7)),
            close_signature: closed.then(|| [9; 64].into()),
            renewing: renewing && state == ChannelState::Closing,
            rearmed: rearmed.map(Amount::new),
            observed_slot: SEEN_AT,
            ..open()
        }
    })
}

fn compare(
    record: &ChannelRecord,
    open_final: bool,
    account: Option<&ChannelAccount>,
    slot: u64,
) -> Finalized {
    finalized(Awaited { record, since: Some(SEEN_AT), open_final }, account, slot, NOW)
}

fn taken_back(record: &ChannelRecord, open_final: bool, account: Option<&ChannelAccount>) -> TakenBack {
    match compare(record, open_final, account, SEEN_AT) {
        Finalized::TakenBack(taken_back) => taken_back,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn what_is_taken_back_is_where_the_chain_has_it_and_keeps_the_law(
        record in record(), open_final: bool, shown in proptest::option::of(shown()), late in 0u64..9,
    ) {
        let account = shown.map(|shown| account_as(&record, shown));
        let slot = SEEN_AT + late;
        let Finalized::TakenBack(back) = compare(&record, open_final, account.as_ref(), slot) else {
            return Ok(());
        };
        let (now, was) = (&back.after.watermarks, &record.watermarks);
        prop_assert!(now.are_lawful(), "{:?}", now);
        prop_assert_eq!(now.spent, was.spent, "what is delivered stays delivered");
        prop_assert!(now.accepted >= was.accepted, "what is accepted is owed all the same");
        prop_assert_eq!(back.after.observed_slot, slot);
        prop_assert!(!back.unresolved.is_empty(), "something has to be asked after again");
        prop_assert_eq!(&back.after.agreement, &record.agreement);
        prop_assert_eq!(back.after.sent, record.sent, "what others have been shown they keep");
        if let Some(account) = &account
            && back.after.state != ChannelState::Closed
        {
            prop_assert_eq!(now.settled, account.settled);
            prop_assert_eq!(now.payout_watermark, account.payout_watermark);
            prop_assert_eq!(back.after.chain_status, Some(account.status));
            prop_assert!(back.open_final);
            // Nothing is sold on what is not escrowed.
            prop_assert!(now.deposit == account.deposit.max(now.accepted));
        }
        // Service never begins by what is taken back.
        prop_assert!(back.after.state != ChannelState::Open || record.state == ChannelState::Open);
    }

    /// Comparing again with the same block finds nothing more, whatever it found the first time.
    #[test]
    fn what_is_taken_back_is_taken_back_once(
        record in record(), open_final: bool, shown in proptest::option::of(shown()),
    ) {
        let account = shown.map(|shown| account_as(&record, shown));
        let Finalized::TakenBack(back) = compare(&record, open_final, account.as_ref(), SEEN_AT) else {
            return Ok(());
        };
        let again = compare(&back.after, back.open_final, account.as_ref(), SEEN_AT);
        // Where more was accepted than is escrowed now, the deposit stays above the chain's.
        let short = account.as_ref().is_some_and(|account| account.deposit < back.after.watermarks.accepted);
        if !short {
            prop_assert_eq!(again, Finalized::Confirmed { shown: account.is_some() });
        }
    }

    /// A block that shows what the ledger copied from a confirmed one takes nothing back.
    #[test]
    fn what_was_seen_and_is_shown_again_is_final(shown in shown(), slot in SEEN_AT..SEEN_AT + 9) {
        let first = open();
        let account = account_as(&first, shown);
        let seen = account_seen(&first, &account, SEEN_AT, NOW).expect("its own account").after;
        prop_assert_eq!(compare(&seen, false, Some(&account), slot), Finalized::Confirmed { shown: true });
    }

    #[test]
    fn nothing_changes_before_the_block_that_should_show_it(
        record in record(), open_final: bool, shown in proptest::option::of(shown()), slot in 0..SEEN_AT,
    ) {
        let account = shown.map(|shown| account_as(&record, shown));
        prop_assert_eq!(compare(&record, open_final, account.as_ref(), slot), Finalized::TooEarly);
        let calm = Awaited { record: &record, since: None, open_final };
        prop_assert_eq!(finalized(calm, account.as_ref(), slot, NOW), Finalized::NothingAwaited);
    }

    /// Once an open is final, an account that is gone was reclaimed, not taken back.
    #[test]
    fn an_open_that_is_final_is_never_opening_again(record in record()) {
        let gone = compare(&record, true, None, SEEN_AT);
        prop_assert_eq!(gone, Finalized::Confirmed { shown: false });
    }
}

#[test]
fn an_open_that_no_finalized_block_shows_may_land_again() {
    let vanished = ChannelRecord { state: ChannelState::Gone, ..open() };
    for record in [open(), vanished] {
        let record = ChannelRecord { closure_started_at: Some(NOW), ..record };
        let back = taken_back(&record, false, None);
        assert_eq!(back.after.state, ChannelState::Opening);
        assert_eq!((back.after.chain_status, back.after.closure_started_at), (None, None));
        assert_eq!((back.open_final, back.unresolved), (false, &[SubmissionKind::Open][..]));
    }
}

#[test]
fn what_was_paid_out_and_is_gone_never_opens_again() {
    let refunded = ChannelRecord { refunded: Some(Amount::new(1)), ..open() };
    let closed = ChannelRecord { close_signature: Some([9; 64].into()), ..open() };
    for record in [refunded, closed] {
        let record = ChannelRecord { state: ChannelState::Gone, ..record };
        assert_eq!(compare(&record, false, None, SEEN_AT), Finalized::Confirmed { shown: false });
    }
}

#[test]
fn an_end_that_did_not_happen_is_to_be_done_again() {
    for state in [ChannelState::Closed, ChannelState::Gone] {
        let record = ChannelRecord {
            state,
            refunded: Some(Amount::new(900)),
            close_signature: Some([9; 64].into()),
            renewing: true,
            ..open()
        };
        for (started, withdrawn) in [(0, 0), (NOW, NOW + 1)] {
            let account = ChannelAccount {
                status: ChannelStatus::Closing,
                closure_started_at: started,
                payer_withdrawn_at: withdrawn,
                ..account(&record)
            };
            let back = taken_back(&record, true, Some(&account));
            let after = &back.after;
            assert_eq!((after.state, after.renewing), (ChannelState::Closing, false));
            assert_eq!((after.refunded, after.close_signature), (None, None));
            assert_eq!(after.closure_started_at, (started != 0).then_some(started));
            assert_eq!(after.payer_withdrawn_at, (withdrawn != 0).then_some(withdrawn));
            assert!(back.unresolved.contains(&SubmissionKind::Close));
            assert!(!back.unresolved.contains(&SubmissionKind::Open), "the account is there");
        }
    }
}

#[test]
fn a_reclaim_that_did_not_happen_leaves_a_closed_channel() {
    let watermarks =
        Watermarks { accepted: Amount::new(100), settled: Amount::new(100), ..open().watermarks };
    for (refunded, expected) in [(None, 900), (Some(Amount::new(850)), 850)] {
        for open_final in [false, true] {
            let record = ChannelRecord { state: ChannelState::Gone, watermarks, refunded, ..open() };
            let over = ChannelAccount { status: ChannelStatus::Distributed, ..account(&record) };
            let Finalized::TakenBack(back) = compare(&record, open_final, Some(&over), SEEN_AT + 1) else {
                panic!("it is there");
            };
            assert_eq!((back.after.state, back.open_final), (ChannelState::Closed, open_final));
            assert_eq!(back.after.observed_slot, SEEN_AT + 1);
            assert_eq!(back.after.refunded, Some(Amount::new(expected)));
            assert_eq!(back.after.chain_status, Some(ChannelStatus::Distributed));
            assert_eq!(back.unresolved, [SubmissionKind::Reclaim]);
        }
    }
}

#[test]
fn a_rearm_that_did_not_happen_stops_service_until_it_has() {
    let hundred = Amount::new(100);
    let watermarks = Watermarks {
        deposit: hundred,
        accepted: hundred,
        spent: hundred,
        earmarked: Amount::ZERO,
        settled: hundred,
        payout_watermark: hundred,
    };
    for (state, stops) in [(ChannelState::Open, true), (ChannelState::Closing, false)] {
        let record = ChannelRecord { state, watermarks, rearmed: Some(hundred), ..open() };
        let before = ChannelAccount {
            deposit: Amount::new(1_000),
            settled: Amount::ZERO,
            payout_watermark: Amount::ZERO,
            ..account(&record)
        };
        let back = taken_back(&record, true, Some(&before));
        assert!(back.unresolved.contains(&SubmissionKind::Rearm));
        assert_eq!((back.after.state, back.after.renewing), (ChannelState::Closing, stops));
        assert_eq!(back.after.close_reason, stops.then_some(CloseReason::Idle));
        assert_eq!(back.after.closing_at, stops.then_some(NOW));

        // A settle of the next session, with the rearm in place.
        let later = ChannelRecord { rearmed: Some(Amount::ZERO), ..record };
        let back = taken_back(&later, true, Some(&before));
        assert!(!back.unresolved.contains(&SubmissionKind::Rearm));
        assert_eq!((back.after.state, back.after.renewing), (state, false));
    }
}
