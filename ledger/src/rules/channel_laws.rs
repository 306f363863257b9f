//! What holds however often and in whatever order a channel is looked at on the chain, and asked to close.

use proptest::prelude::*;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::{Amount, ChannelAccount, ChannelStatus, SignedVoucher, Voucher};

use super::closing::{CloseVerdict, landed, request_close, request_idle_close};
use super::fixture::{NOW, SIGNER, account, open, opening, watermarks};
use super::observation::{account_missing, account_seen};
use crate::{ChannelRecord, ChannelState, CloseLanded, CloseReason, CloseRequested, IdleCloseRequested};

fn voucher(record: &ChannelRecord, cumulative: u64) -> SignedVoucher {
    let cumulative_amount = Amount::new(cumulative);
    SignedVoucher {
        voucher: Voucher { channel_id: record.id, cumulative_amount, expires_at: 0 },
        signer: SIGNER,
        signature: Signature::default(),
    }
}

/// What a node may answer: an account with lawful amounts, or none.
fn answer() -> impl Strategy<Value = Option<(ChannelStatus, u64, u64, u64, i64)>> {
    let status = prop_oneof![
        6 => Just(ChannelStatus::Open),
        1 => Just(ChannelStatus::Closing),
        1 => Just(ChannelStatus::Sealed),
        1 => Just(ChannelStatus::Distributed),
    ];
    proptest::option::weighted(
        0.9,
        (status, 1_000u64..3_000, 0u64..3_000, 0u64..3_000, prop_oneof![Just(0i64), Just(NOW)]).prop_map(
            |(status, deposit, settled, payout, closure)| {
                let settled = settled.min(deposit);
                (status, deposit, settled, payout.min(settled), closure)
            },
        ),
    )
}

proptest! {
    #[test]
    fn looking_at_a_channel_keeps_its_law_and_moves_it_on(
        answers in proptest::collection::vec(answer(), 1..30),
        paid in 0u64..1_000,
    ) {
        let mut record = opening();
        for (nth, answer) in answers.into_iter().enumerate() {
            let before = record.clone();
            let slot = 100 + nth as u64;
            let seen = match answer {
                None => account_missing(&before, slot, NOW),
                Some((status, deposit, settled, payout, closure_started_at)) => {
                    let account = ChannelAccount {
                        status,
                        deposit: Amount::new(deposit),
                        settled: Amount::new(settled),
                        payout_watermark: Amount::new(payout),
                        closure_started_at,
                        ..account(&before)
                    };
                    Some(account_seen(&before, &account, slot, NOW).expect("its own account"))
                }
            };
            let Some(seen) = seen else {
                prop_assert_eq!(before.state.rank(), 0);
                continue;
            };
            record = seen.after;
            let (now, was) = (&record.watermarks, &before.watermarks);
            prop_assert!(now.are_lawful(), "{:?}", now);
            prop_assert!(now.accepted >= was.accepted && now.settled >= was.settled);
            prop_assert!(now.payout_watermark >= was.payout_watermark && now.spent == was.spent);
            let back = before.has_vanished() && record.state.rank() >= ChannelState::Closing.rank();
            prop_assert!(record.state.rank() >= before.state.rank() || back);
            prop_assert_eq!(record.observed_slot, slot);
            prop_assert_eq!(record.failure.as_deref(), None);
            let stopped = record.state.rank() > ChannelState::Open.rank();
            prop_assert_eq!(record.close_reason.is_some(), stopped, "what stopped without us was forced");
            if record.state == ChannelState::Open && nth == 3 {
                // Some of it is paid for meanwhile.
                let accepted = record.watermarks.accepted.get().max(paid).min(record.watermarks.deposit.get());
                record.watermarks.accepted = Amount::new(accepted);
                record.watermarks.spent = Amount::new(accepted);
            }
        }
    }

    #[test]
    fn a_close_that_landed_pays_out_what_is_settled_whatever_else_is_known(
        state in proptest::sample::select(ChannelState::ALL),
        watermarks in watermarks(), settled in 0u64..2_000, refunded in 0u64..2_000, slot in 50u64..150,
    ) {
        let closing_at = (state == ChannelState::Closing).then_some(NOW);
        let record = ChannelRecord { state, watermarks, closing_at, closure_started_at: Some(NOW), ..open() };
        let close = CloseLanded {
            signature: Signature::from([5; 64]),
            settled: Amount::new(settled),
            refunded: Amount::new(refunded),
            slot,
        };
        let after = landed(&record, &close, NOW + 9);
        let marks = after.watermarks;
        prop_assert!(marks.are_lawful(), "{:?}", marks);
        prop_assert_eq!(marks.settled, close.settled.max(watermarks.settled));
        prop_assert_eq!(marks.payout_watermark, marks.settled);
        prop_assert_eq!(marks.spent, watermarks.spent);
        prop_assert!(marks.deposit.get() >= marks.settled.get() + refunded && marks.deposit >= watermarks.deposit);
        let over = if state == ChannelState::Gone { state } else { ChannelState::Closed };
        prop_assert_eq!((after.state, after.close_signature), (over, Some(close.signature)));
        prop_assert_eq!((after.refunded, after.closure_started_at), (Some(close.refunded), None));
        prop_assert_eq!(after.closing_at, Some(closing_at.unwrap_or(NOW + 9)));
        prop_assert_eq!(after.observed_slot, slot.max(100));
        prop_assert_eq!(landed(&after, &close, NOW + 99), after, "repeats change nothing");
    }

    #[test]
    fn a_close_takes_a_voucher_only_between_what_is_spent_and_the_deposit_and_above_what_is_published(
        spent in 0u64..200, ahead in 0u64..50, sent in 0u64..100, cumulative in 0u64..1_200,
    ) {
        let mut record = open();
        record.watermarks.accepted = Amount::new(spent + ahead);
        record.watermarks.spent = Amount::new(spent);
        record.sent = Amount::new(sent.min(spent + ahead));
        let published = record.sent.get() > 0 && cumulative <= record.sent.get();
        let expected = cumulative >= spent && cumulative <= 1_000 && !published;
        let verdict = request_close(Some(&record), Some(&voucher(&record, cumulative)));
        prop_assert_eq!(verdict == CloseVerdict::Stop(Some(Amount::new(cumulative))), expected, "{:?}", verdict);
    }
}

#[test]
fn only_an_open_channel_can_be_stopped() {
    let stop = |state| request_close(Some(&ChannelRecord { state, ..open() }), None);
    assert_eq!(stop(ChannelState::Open), CloseVerdict::Stop(None));
    assert_eq!(stop(ChannelState::Closing), CloseVerdict::Over(CloseRequested::AlreadyClosing));
    for state in [ChannelState::Opening, ChannelState::Failed] {
        assert_eq!(stop(state), CloseVerdict::Over(CloseRequested::NotOpen(state)));
    }
    for state in [ChannelState::Closed, ChannelState::Gone] {
        assert!(matches!(stop(state), CloseVerdict::Over(CloseRequested::Closed { .. })), "{state}");
    }
    assert_eq!(request_close(None, None), CloseVerdict::Refuse(CloseRequested::Unknown));
}

#[test]
fn a_voucher_for_the_whole_deposit_closes_and_one_above_does_not() {
    let record = open();
    let whole = request_close(Some(&record), Some(&voucher(&record, 1_000)));
    assert_eq!(whole, CloseVerdict::Stop(Some(Amount::new(1_000))));
    let above = request_close(Some(&record), Some(&voucher(&record, 1_001)));
    let watermarks = record.watermarks;
    assert_eq!(above, CloseVerdict::Refuse(CloseRequested::OverDeposit { watermarks }));
}

#[test]
fn anothers_voucher_closes_nothing() {
    let record = open();
    let foreign = SignedVoucher { signer: Pubkey::new_from_array([8; 32]), ..voucher(&record, 16) };
    assert_eq!(request_close(Some(&record), Some(&foreign)), CloseVerdict::ForeignSigner);
}

#[test]
fn a_channel_is_idle_from_the_second_its_timeout_ends() {
    let record = open();
    let at = record.last_activity_at + 600;
    let early = IdleCloseRequested::NotIdle { last_activity_at: record.last_activity_at };
    assert_eq!(request_idle_close(Some(&record), at - 1), Err(early));
    assert_eq!(request_idle_close(Some(&record), at), Ok(()));
    let closing = ChannelRecord { state: ChannelState::Closing, ..record };
    let refused = Err(IdleCloseRequested::NotOpen(ChannelState::Closing));
    assert_eq!(request_idle_close(Some(&closing), at), refused);
    assert_eq!(request_idle_close(None, at), Err(IdleCloseRequested::Unknown));
}

#[test]
fn an_account_of_other_facts_is_not_the_channels() {
    let record = opening();
    let other = ChannelAccount { payee: Pubkey::new_from_array([9; 32]), ..account(&record) };
    assert!(account_seen(&record, &other, 100, NOW).is_err());
    // An open that escrowed less than it said is another one; later, a rearm may have refunded the rest.
    let less = ChannelAccount { deposit: Amount::new(999), ..account(&record) };
    assert!(account_seen(&record, &less, 100, NOW).is_err());
    assert!(account_seen(&open(), &less, 101, NOW).is_ok());
}

#[test]
fn a_forced_close_is_noted_once_and_ours_is_not_one() {
    let record = open();
    let closing = ChannelAccount { status: ChannelStatus::Closing, ..account(&record) };
    let forced = account_seen(&record, &closing, 101, NOW + 1).expect("its own account").after;
    assert_eq!((forced.close_reason, forced.closing_at), (Some(CloseReason::Forced), Some(NOW + 1)));
    let later = account_seen(&forced, &closing, 102, NOW + 2).expect("its own account").after;
    assert_eq!(later.closing_at, Some(NOW + 1));
    let ours = ChannelRecord {
        state: ChannelState::Closing,
        close_reason: Some(CloseReason::Idle),
        closing_at: Some(NOW),
        ..record
    };
    let seen = account_seen(&ours, &closing, 101, NOW + 1).expect("its own account").after;
    assert_eq!((seen.close_reason, seen.closing_at), (Some(CloseReason::Idle), Some(NOW)));
}
