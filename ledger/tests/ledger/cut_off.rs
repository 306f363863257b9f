//! The connection to a server breaks at a commit, and nobody knows whether that was done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;
use toll_ledger::{
    Acceptance, ChannelFixture, Charge, DatabaseErrorKind, Fault, Ledger, LedgerConfig, LedgerError,
    ManualClock, TestProxy,
};

use crate::{START, amount};

/// A blank ledger on a server, behind a proxy; `None` where ledgers are files.
fn cut_off(patience: u16) -> Option<(TestProxy, Ledger)> {
    let place = Ledger::nowhere();
    let (proxy, config) = TestProxy::before(&place.config())?;
    let config = LedgerConfig { server_patience_seconds: patience, ..config };
    Some((proxy, Ledger::with(config, ManualClock::new(START)).unwrap()))
}

async fn channels(ledger: &Ledger, number: u64) -> Vec<ChannelFixture> {
    let channels: Vec<_> = (0..number).map(|salt| ChannelFixture::new(salt, 10_000)).collect();
    ledger.open_all(channels.clone()).await.unwrap();
    channels
}

/// Pays the `nth` request of a channel.
async fn pay(ledger: &Ledger, channel: &ChannelFixture, nth: u64) -> Result<Acceptance, LedgerError> {
    let request = channel.channel.agreement.terms.salt * 1_000 + nth;
    ledger.accept(&channel.voucher(nth * 16), Charge::of(16, request)).await
}

fn is_disconnected(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Database { cause, .. } if cause.kind() == DatabaseErrorKind::Disconnected)
}

async fn is_charged(ledger: &Ledger, channel: &ChannelFixture, requests: u64) {
    let record = ledger.channel(&channel.id()).await.unwrap().unwrap();
    let sum = amount(16 * requests);
    assert_eq!((record.watermarks.accepted, record.watermarks.spent), (sum, sum));
    let highest = ledger.highest_voucher(&channel.id()).await.unwrap().unwrap();
    assert_eq!(highest.voucher.cumulative_amount, sum);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_cut_off_is_neither_lost_nor_charged_twice() {
    let Some((proxy, ledger)) = cut_off(5) else { return };
    let channels = channels(&ledger, 3).await;
    for nth in 1..=20 {
        let fault = if nth % 2 == 0 { Fault::BeforeCommit } else { Fault::AfterCommit };
        proxy.fail(fault);
        let mut paying = JoinSet::new();
        for channel in channels.clone() {
            let ledger = ledger.clone();
            paying.spawn(async move {
                let error = match pay(&ledger, &channel, nth).await {
                    Ok(accepted) => {
                        assert!(matches!(accepted, Acceptance::Accepted(_)), "{accepted:?}");
                        return None;
                    }
                    Err(error) => error,
                };
                assert!(is_disconnected(&error), "{error}");
                Some(pay(&ledger, &channel, nth).await.unwrap())
            });
        }
        let repeats: Vec<Acceptance> = paying.join_all().await.into_iter().flatten().collect();
        assert!(!repeats.is_empty(), "somebody was in the commit that was cut off");
        for repeat in repeats {
            match fault {
                Fault::AfterCommit => assert!(matches!(repeat, Acceptance::Replayed(_)), "{repeat:?}"),
                _ => assert!(matches!(repeat, Acceptance::Accepted(_)), "{repeat:?}"),
            }
        }
        assert_eq!(u64::from(proxy.struck()), nth);
        for channel in &channels {
            is_charged(&ledger, channel, nth).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_arrives_when_it_was_given_up_charges_nothing_twice() {
    let Some((proxy, ledger)) = cut_off(1) else { return };
    let channels = channels(&ledger, 1).await;
    let mut given_up = 0;
    for nth in 1..=4 {
        proxy.fail(Fault::HeldCommit);
        let error = pay(&ledger, &channels[0], nth).await.unwrap_err();
        assert!(is_disconnected(&error), "{error}");
        // Sometimes it arrives before the repeat, sometimes when the repeat is done.
        if nth % 2 == 0 {
            proxy.release();
        }
        let repeat = loop {
            match pay(&ledger, &channels[0], nth).await {
                Ok(repeat) => break repeat,
                Err(error) => assert!(is_disconnected(&error), "{error}"),
            }
            given_up += 1;
            assert!(given_up < 60, "the server forgets what was given up");
        };
        assert!(matches!(repeat, Acceptance::Accepted(_) | Acceptance::Replayed(_)), "{repeat:?}");
        proxy.release();
        let again = pay(&ledger, &channels[0], nth).await.unwrap();
        assert!(matches!(again, Acceptance::Replayed(_)), "{again:?}");
        is_charged(&ledger, &channels[0], nth).await;
    }
    assert_eq!(proxy.struck(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_the_sums_are_exact_after_any_number_of_cut_commits() {
    let Some((proxy, ledger)) = cut_off(5) else { return };
    let channels = channels(&ledger, 6).await;
    let (paid, unknown) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut payers = JoinSet::new();
    for channel in channels.clone() {
        let (ledger, paid, unknown) = (ledger.clone(), Arc::clone(&paid), Arc::clone(&unknown));
        payers.spawn(async move {
            for nth in 1..=25 {
                while let Err(error) = pay(&ledger, &channel, nth).await {
                    assert!(is_disconnected(&error), "{error}");
                    unknown.fetch_add(1, Ordering::SeqCst);
                }
                paid.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    // Some go through in between.
    for (nth, at) in (0..144).step_by(12).enumerate() {
        while paid.load(Ordering::SeqCst) < at {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        proxy.fail([Fault::BeforeCommit, Fault::AfterCommit][nth % 2]);
    }
    for ended in payers.join_all().await {
        let () = ended;
    }
    println!("{} commits cut off, {} answers unknown", proxy.struck(), unknown.load(Ordering::SeqCst));
    assert!(proxy.struck() >= 3);
    for channel in &channels {
        is_charged(&ledger, channel, 25).await;
    }
}
