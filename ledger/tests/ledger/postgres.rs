//! What the other modules claim of a ledger, on a server.

use std::process::Command;

use toll_ledger::{
    Acceptance, ChannelFixture, Charge, DatabaseErrorKind, DatabaseUrl, Ledger, LedgerConfig, LedgerError,
    ManualClock, TEST_SERVER, TestServer,
};

use crate::{START, amount};

/// Only a file has these.
const OF_FILES: [&str; 5] = ["file::", "full_disk::", "power_cut::", "cannot_be_written", "postgres::"];

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
