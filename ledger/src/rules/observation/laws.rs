//! What each fact of the chain changes, and what it does not.

use toll_protocol::{Amount, ChannelAccount, ChannelStatus};

use super::{Seen, account_missing, account_seen};
use crate::rules::fixture::{NOW, account, open, opening};
use crate::{ChannelRecord, ChannelState, Watermarks};

/// A channel with 100 of 1000 accepted, of which 60 are settled and 40 paid out, seen last at slot 100.
fn used() -> ChannelRecord {
    let watermarks = Watermarks {
        deposit: Amount::new(1_000),
        accepted: Amount::new(100),
        spent: Amount::new(100),
        earmarked: Amount::ZERO,
        settled: Amount::new(60),
        payout_watermark: Amount::new(40),
    };
    ChannelRecord { watermarks, ..open() }
}

fn see(record: &ChannelRecord, account: &ChannelAccount) -> Seen {
    account_seen(record, account, 120, NOW).expect("its own account")
}

fn with(record: &ChannelRecord, change: impl FnOnce(&mut ChannelAccount)) -> ChannelAccount {
    let mut account = account(record);
    change(&mut account);
    account
}

#[test]
fn what_the_account_says_of_its_end_is_copied() {
    let record = used();
    let closing = with(&record, |account| {
        account.status = ChannelStatus::Closing;
        account.closure_started_at = NOW - 5;
        account.payer_withdrawn_at = NOW - 3;
    });
    let after = see(&record, &closing).after;
    assert_eq!(after.chain_status, Some(ChannelStatus::Closing));
    assert_eq!((after.closure_started_at, after.payer_withdrawn_at), (Some(NOW - 5), Some(NOW - 3)));
    assert_eq!(after.refunded, None, "nothing is refunded yet");

    let over = with(&record, |account| {
        account.status = ChannelStatus::Distributed;
        account.settled = Amount::new(100);
    });
    let closed = see(&after, &over).after;
    assert_eq!((closed.state, closed.closure_started_at), (ChannelState::Closed, None));
    assert_eq!(closed.payer_withdrawn_at, Some(NOW - 3), "what was seen once stays known");
    assert_eq!(closed.refunded, Some(Amount::new(900)));
    let known = ChannelRecord { refunded: Some(Amount::new(7)), ..after };
    assert_eq!(see(&known, &over).after.refunded, Some(Amount::new(7)), "ours is the better number");
    assert_eq!(see(&record, &account(&record)).after.payer_withdrawn_at, None);
}

#[test]
fn a_payout_is_wanted_until_all_of_it_is_paid_out() {
    let record = ChannelRecord { pay_out_to: Some(Amount::new(100)), ..used() };
    for (paid_out, expected) in [(40, Some(100)), (99, Some(100)), (100, None)] {
        let shown = with(&record, |account| {
            account.settled = Amount::new(100);
            account.payout_watermark = Amount::new(paid_out);
        });
        assert_eq!(see(&record, &shown).after.pay_out_to, expected.map(Amount::new), "{paid_out}");
    }
    let further = with(&record, |account| {
        account.settled = Amount::new(120);
        account.payout_watermark = Amount::new(120);
    });
    assert_eq!(see(&record, &further).after.pay_out_to, None);
}

#[test]
fn a_channel_that_vanished_and_is_back_can_be_settled_but_never_serves() {
    let vanished = ChannelRecord { state: ChannelState::Gone, chain_status: None, ..used() };
    for (status, expected) in [
        (ChannelStatus::Open, ChannelState::Closing),
        (ChannelStatus::Closing, ChannelState::Closing),
        (ChannelStatus::Sealed, ChannelState::Closing),
        (ChannelStatus::Distributed, ChannelState::Closed),
    ] {
        let back = see(&vanished, &with(&vanished, |account| account.status = status));
        assert_eq!(back.after.state, expected, "{status:?}");
    }
    let paid_out = ChannelRecord { refunded: Some(Amount::new(900)), ..vanished };
    assert_eq!(see(&paid_out, &account(&paid_out)).after.state, ChannelState::Gone);
}

#[test]
fn news_of_opens_ends_and_amounts_await_a_finalized_block() {
    let record = used();
    let first = opening();
    assert!(see(&first, &account(&first)).awaits_finality, "it has opened");
    assert!(!see(&record, &account(&record)).awaits_finality, "nothing is new");
    for raise in [
        (|account| account.settled = Amount::new(61)) as fn(&mut ChannelAccount),
        |account| account.payout_watermark = Amount::new(41),
        |account| account.deposit = Amount::new(1_001),
    ] {
        assert!(see(&record, &with(&record, raise)).awaits_finality);
        let closing = ChannelRecord { state: ChannelState::Closing, ..record.clone() };
        assert!(see(&closing, &with(&closing, raise)).awaits_finality);
        // Over is over: what was seen of the end has to be final, and is awaited already.
        let closed = ChannelRecord { state: ChannelState::Closed, ..record.clone() };
        assert!(!see(&closed, &with(&closed, raise)).awaits_finality);
    }
    for (status, expected) in [
        // Service has stopped at once, and a forced close that is taken back harms nobody.
        (ChannelStatus::Closing, false),
        (ChannelStatus::Distributed, true),
    ] {
        let shown = with(&record, |account| account.status = status);
        assert_eq!(see(&record, &shown).awaits_finality, expected, "{status:?}");
    }
}

#[test]
fn a_deposit_that_falls_without_a_payout_is_a_top_up_that_was_lost() {
    let record = used();
    let lost = |deposit: u64, paid_out: u64| {
        let shown = with(&record, |account| {
            account.deposit = Amount::new(deposit);
            account.payout_watermark = Amount::new(paid_out);
        });
        see(&record, &shown).lost_top_up
    };
    assert!(lost(999, 40));
    assert!(lost(999, 39), "a node that lags behind shows less paid out");
    assert!(!lost(1_000, 40) && !lost(1_001, 40));
    assert!(!lost(60, 60), "a rearm refunds the rest as it pays out");
    assert!(!lost(1_000, 39) && !lost(1_000, 60));
}

#[test]
fn an_account_that_is_gone_ends_a_channel_and_is_news_once() {
    let record = ChannelRecord { closure_started_at: Some(NOW), ..used() };
    let gone = account_missing(&record, 130, NOW).expect("it was there");
    assert!(gone.awaits_finality && !gone.lost_top_up);
    assert_eq!((gone.after.state, gone.after.observed_slot), (ChannelState::Gone, 130));
    assert_eq!((gone.after.chain_status, gone.after.closure_started_at), (None, None));
    assert_eq!(gone.after.watermarks, record.watermarks);
    let again = account_missing(&gone.after, 140, NOW).expect("it was there");
    assert!(!again.awaits_finality);
    assert!(account_missing(&opening(), 130, NOW).is_none(), "its open has not landed yet");
}
