//! What the other modules claim of a ledger, on a server.

use std::process::Command;

use toll_ledger::{
    Acceptance, ChannelFixture, Charge, DatabaseErrorKind, DatabaseUrl, Ledger, LedgerConfig, LedgerError,
    ManualClock, TEST_SERVER, TestServer,
};

use crate::{START, amount};

/// Only a file has these.
const OF_FILES: [&str; 3] = ["file::", "power_cut::", "postgres::"];

#[test]
fn every_claim_about_a_ledger_holds_on_a_server() {
    let Some(server) = TestServer::start() else { return };
    let mut claims = Command::new(std::env::current_exe().unwrap());
    claims.env(TEST_SERVER, server.url()).args(OF_FILES.iter().flat_map(|name| ["--skip", name]));
    let outcome = claims.output().unwrap();
    let said = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success(), "{said}{}", String::from_utf8_lossy(&outcome.stderr));
    assert!(said.contains("test acceptance::"), "nothing ran: {said}");
}

fn ledger(url: &DatabaseUrl, patience: u16) -> Result<Ledger, LedgerError> {
    let config = LedgerConfig { server_patience_seconds: patience, ..LedgerConfig::at(url.clone()) };
    Ledger::with(config, ManualClock::new(START))
}

async fn accept(
    ledger: &Ledger,
    channel: &ChannelFixture,
    cumulative: u64,
) -> Result<Acceptance, LedgerError> {
    ledger.accept(&channel.voucher(cumulative), Charge::of(16, cumulative)).await
}

fn is_disconnected(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Database { cause, .. } if cause.kind() == DatabaseErrorKind::Disconnected)
}

#[test]
fn a_server_that_is_not_there_is_named_in_one_line_without_its_secrets() {
    let error = ledger(&DatabaseUrl::new("postgres://toll:hunter2@127.0.0.1:1/ledger"), 1).unwrap_err();
    assert!(matches!(error, LedgerError::Unreachable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("cannot open ledger at 127.0.0.1/ledger: "), "{text}");
    assert!(!text.contains("hunter2") && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn a_server_that_went_away_is_refused_on_and_found_again_by_itself() {
    let Some(mut server) = TestServer::start() else { return };
    let ledger = ledger(&server.blank(), 5).unwrap();
    let channel = ChannelFixture::new(1, 10_000);
    channel.open(&ledger).await.unwrap();
    assert!(matches!(accept(&ledger, &channel, 16).await, Ok(Acceptance::Accepted(_))));

    server.kill();
    let error = accept(&ledger, &channel, 32).await.unwrap_err();
    assert!(is_disconnected(&error), "{error}");
    let error = ledger.channel(&channel.id()).await.unwrap_err();
    assert!(is_disconnected(&error), "{error}");
    server.run();

    let record = ledger.channel(&channel.id()).await.unwrap().unwrap();
    assert_eq!((record.watermarks.accepted, record.watermarks.spent), (amount(16), amount(16)));
    assert!(matches!(accept(&ledger, &channel, 32).await, Ok(Acceptance::Accepted(_))));
}

#[tokio::test]
async fn a_server_that_restarts_between_requests_is_not_noticed() {
    let Some(mut server) = TestServer::start() else { return };
    let ledger = ledger(&server.blank(), 5).unwrap();
    let channel = ChannelFixture::new(1, 10_000);
    channel.open(&ledger).await.unwrap();
    for restart in 1..=3 {
        server.stop();
        server.run();
        let accepted = accept(&ledger, &channel, restart * 16).await;
        assert!(matches!(accepted, Ok(Acceptance::Accepted(_))), "{accepted:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_after_its_patience() {
    let Some(server) = TestServer::start() else { return };
    let ledger = ledger(&server.blank(), 1).unwrap();
    let channel = ChannelFixture::new(1, 10_000);
    channel.open(&ledger).await.unwrap();

    server.pause();
    let error = accept(&ledger, &channel, 16).await.unwrap_err();
    server.resume();

    assert!(is_disconnected(&error), "{error}");
    assert!(error.to_string().contains("no answer within 1 s"), "{error}");
    // What was on its way may have been committed or not; the same request finds out and is charged once.
    let repeat = accept(&ledger, &channel, 16).await.unwrap();
    assert!(matches!(repeat, Acceptance::Accepted(_) | Acceptance::Replayed(_)), "{repeat:?}");
    let record = ledger.channel(&channel.id()).await.unwrap().unwrap();
    assert_eq!((record.watermarks.accepted, record.watermarks.spent), (amount(16), amount(16)));
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_and_pauses_under_load_lose_nothing_and_charge_nothing_twice() {
    let Some(mut server) = TestServer::start() else { return };
    let ledger = ledger(&server.blank(), 1).unwrap();
    let channels: Vec<_> = (0..6).map(|salt| ChannelFixture::new(salt, 1_000_000)).collect();
    ledger.open_all(channels.clone()).await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut payers = tokio::task::JoinSet::new();
    for channel in channels {
        let (ledger, stopped) = (ledger.clone(), stopped.clone());
        payers.spawn(async move {
            let (mut paid, mut unknown) = (0, 0);
            while !*stopped.borrow() {
                let request = channel.channel.agreement.terms.salt * 100_000 + paid + 1;
                let charge = Charge::of(16, request);
                match ledger.accept(&channel.voucher((paid + 1) * 16), charge).await {
                    Ok(Acceptance::Accepted(_) | Acceptance::Replayed(_)) => paid += 1,
                    Ok(refused) => panic!("{refused:?}"),
                    Err(error) => {
                        assert!(is_disconnected(&error), "{error}");
                        unknown += 1;
                    }
                }
            }
            // Whatever became of the last one, it is asked for again.
            (channel, paid, unknown)
        });
    }
    let faults = ["killed", "stopped", "paused", "killed", "paused", "stopped"];
    for fault in faults {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        match fault {
            "killed" => server.kill(),
            "stopped" => server.stop(),
            _ => server.pause(),
        }
        if fault == "paused" {
            tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
            server.resume();
        } else {
            server.run();
        }
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    stop.send_replace(true);
    let (mut sum, mut doubts) = (0, 0);
    for (channel, paid, unknown) in payers.join_all().await {
        let record = ledger.channel(&channel.id()).await.unwrap().unwrap();
        let spent = record.watermarks.spent.get();
        assert!(spent == paid * 16 || spent == (paid + 1) * 16, "{spent} spent, {paid} requests paid");
        assert_eq!(record.watermarks.accepted.get(), spent);
        sum += paid;
        doubts += unknown;
    }
    println!("{} faults, {sum} requests paid, {doubts} answers unknown", faults.len());
    assert!(sum > 0 && doubts > 0);
}
