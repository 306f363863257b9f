//! One settler at a time on a ledger that several processes share, and who takes over.

use toll_ledger::{
    ChannelFixture, Clock, Intent, Ledger, LedgerError, ManualClock, SettlerLock, SubmissionKind,
};

use crate::START;

/// Two processes on one ledger on a server, or `None` where it is a file, which has a lock instead.
fn processes() -> Option<(Ledger, Ledger)> {
    let clock = ManualClock::new(START);
    let first = Ledger::temporary(clock.clone());
    let second = first.again(clock);
    first.is_shared().then_some((first, second))
}

async fn take_over(ledger: &Ledger) -> SettlerLock {
    loop {
        match ledger.try_lock_settler().await.unwrap() {
            Some(lock) => return lock,
            None => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_ledger_has_one_settler_until_that_ends() {
    let Some((first, second)) = processes() else { return };
    let lock = first.try_lock_settler().await.unwrap().unwrap();
    assert!(second.try_lock_settler().await.unwrap().is_none());
    assert!(first.try_lock_settler().await.unwrap().is_none());
    drop(lock);
    take_over(&second).await;
}

#[tokio::test]
async fn what_a_dead_settler_left_is_taken_over_and_it_records_nothing_more() {
    let Some((first, second)) = processes() else { return };
    let channel = ChannelFixture::new(1, 1_000);
    let id = channel.open(&first).await.unwrap();
    let intent = || Intent::on(SubmissionKind::Settle, &[id]);
    first.try_lock_settler().await.unwrap().unwrap().crash();
    first.record(intent(), vec![1], [1; 64].into(), 1_000).await.unwrap();
    assert!(second.try_lock_settler().await.unwrap().is_none());

    first.meddle("UPDATE settler_lease SET expires_at = expires_at - 15");
    let _lock = second.try_lock_settler().await.unwrap().unwrap();

    let before = first.dump();
    let error = first.record(intent(), vec![2], [2; 64].into(), 1_000).await.unwrap_err();
    assert!(matches!(error, LedgerError::LeaseLost), "{error}");
    let requested = first.requested().await.unwrap()[0].id;
    let error = first.record_signed(requested, vec![3], [3; 64].into(), 1_000).await.unwrap_err();
    assert!(matches!(error, LedgerError::LeaseLost), "{error}");
    assert_eq!(first.dump(), before);
    assert_eq!(second.unresolved().await.unwrap().len(), 1, "what it recorded is resolved by the next");
    second.record(intent(), vec![2], [2; 64].into(), 1_000).await.unwrap();
}

#[tokio::test]
async fn a_lease_goes_by_the_databases_clock_whatever_a_process_takes_for_the_time() {
    for jump in [-600, 600] {
        let clocks = [ManualClock::new(START), ManualClock::new(START)];
        let first = Ledger::temporary(clocks[0].clone());
        if !first.is_shared() {
            return;
        }
        let second = first.again(clocks[1].clone());
        let _lock = first.try_lock_settler().await.unwrap().unwrap();
        for clock in &clocks {
            clock.advance(jump);
            assert!(second.try_lock_settler().await.unwrap().is_none(), "{jump}");
            let channel = ChannelFixture::new(clock.now().unsigned_abs(), 1_000);
            let id = channel.open(&first).await.unwrap();
            let intent = Intent::on(SubmissionKind::Settle, &[id]);
            let signature = [u8::from(jump > 0) + 1; 64].into();
            first.record(intent, vec![1], signature, 1_000).await.unwrap();
        }
    }
}
