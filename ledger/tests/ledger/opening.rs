//! Recording opens and top-ups.

use toll_ledger::{
    ChannelFixture, ChannelState, CloseReason, Ledger, LedgerError, ManualClock, REPLAY_RETENTION,
    RecordedOpen, RecordedTopUp, SubmissionKind, SubmissionState, Tip,
};

use crate::{START, World, amount};

fn ledger() -> Ledger {
    Ledger::temporary(ManualClock::new(START))
}

#[tokio::test]
async fn recorded_open_is_a_channel_a_submission_and_a_used_challenge() {
    let ledger = ledger();
    let channel = ChannelFixture::new(u64::MAX, 5_000);

    let RecordedOpen::Recorded(id) = channel.record(&ledger).await.unwrap() else { panic!() };

    let record = ledger.channel(&channel.id()).await.unwrap().unwrap();
    assert_eq!(record.agreement.terms, channel.channel.agreement.terms);
    assert_eq!(record.bump, channel.account().bump);
    assert_eq!(record.agreement.splits, channel.channel.agreement.splits);
    assert_eq!((record.state, record.watermarks.deposit), (ChannelState::Opening, amount(5_000)));
    assert_eq!(record.opening_challenge_id, channel.challenge_id());
    assert_eq!((record.created_at, record.observed_slot), (START, 0));
    let requested = ledger.requested().await.unwrap();
    assert_eq!(requested.len(), 1);
    assert_eq!((requested[0].id, requested[0].kind), (id, SubmissionKind::Open));
    assert_eq!(
        (requested[0].state, requested[0].channel()),
        (SubmissionState::Requested, Some(channel.id()))
    );
    assert_eq!(requested[0].amount, Some(amount(5_000)));
}

#[tokio::test]
async fn same_credential_finds_what_it_made() {
    let ledger = ledger();
    let channel = ChannelFixture::new(1, 5_000);
    let RecordedOpen::Recorded(first) = channel.record(&ledger).await.unwrap() else { panic!() };
    let before = ledger.dump();

    let RecordedOpen::Existing(record, second) = channel.record(&ledger).await.unwrap() else { panic!() };

    assert_eq!((record.id, second), (channel.id(), first));
    assert_eq!(ledger.dump(), before);
}

#[tokio::test]
async fn challenge_buys_one_channel() {
    let ledger = ledger();
    let channel = ChannelFixture::new(1, 5_000);
    channel.record(&ledger).await.unwrap();
    let other = ChannelFixture::new(2, 5_000).channel;
    let before = ledger.dump();

    let outcome =
        ledger.record_open(other, b"other".to_vec(), &channel.challenge_id(), START + 300).await.unwrap();

    assert_eq!(outcome, RecordedOpen::ChallengeUsed);
    assert_eq!(ledger.dump(), before);
}

#[tokio::test]
async fn challenge_answered_by_another_transaction_is_used() {
    let ledger = ledger();
    let channel = ChannelFixture::new(1, 5_000);
    channel.record(&ledger).await.unwrap();
    let outcome = ledger
        .record_open(
            channel.channel.clone(),
            b"another deposit".to_vec(),
            &channel.challenge_id(),
            START + 300,
        )
        .await
        .unwrap();
    assert_eq!(outcome, RecordedOpen::ChallengeUsed);
}

#[tokio::test]
async fn address_is_opened_once_whatever_became_of_it() {
    let ledger = ledger();
    let channel = ChannelFixture::new(1, 5_000);
    channel.record(&ledger).await.unwrap();
    ledger.open_failed(&channel.id(), "blockhash expired").await.unwrap();
    let before = ledger.dump();

    let outcome =
        ledger.record_open(channel.channel.clone(), b"again".to_vec(), "fresh", START).await.unwrap();

    assert_eq!(outcome, RecordedOpen::ChannelExists);
    assert_eq!(ledger.dump(), before);
}

#[tokio::test]
async fn deposit_beyond_the_ledgers_integers_is_refused() {
    let ledger = ledger();
    let before = ledger.dump();
    let too_much = i64::MAX as u64 + 1;
    let error = ChannelFixture::new(1, too_much).record(&ledger).await.unwrap_err();
    assert!(matches!(error, LedgerError::AmountTooLarge { amount } if amount == too_much), "{error}");
    assert_eq!(ledger.dump(), before);

    ChannelFixture::new(2, too_much - 1).record(&ledger).await.unwrap();
}

#[tokio::test]
async fn failed_open_keeps_its_reason() {
    let ledger = ledger();
    let channel = ChannelFixture::new(1, 5_000);
    channel.record(&ledger).await.unwrap();
    assert_eq!(ledger.open_failed(&channel.id(), "no funds").await.unwrap(), ChannelState::Failed);
    let record = ledger.channel(&channel.id()).await.unwrap().unwrap();
    assert_eq!(record.failure.as_deref(), Some("no funds"));
}

#[tokio::test]
async fn open_that_landed_cannot_fail_any_more() {
    let world = World::with_deposit(1_000).await;
    assert_eq!(world.ledger.open_failed(&world.id, "late").await.unwrap(), ChannelState::Open);
    assert_eq!(world.ledger.channel(&world.id).await.unwrap().unwrap().failure, None);
}

#[tokio::test]
async fn top_up_is_recorded_once_and_raises_nothing_by_itself() {
    let world = World::with_deposit(1_000).await;
    let top_up = || world.ledger.record_top_up(&world.id, amount(500), b"top up".to_vec());
    let RecordedTopUp::Recorded(first) = top_up().await.unwrap() else { panic!() };
    assert_eq!(top_up().await.unwrap(), RecordedTopUp::Existing(first));
    assert_eq!(world.watermarks().await.deposit, amount(1_000));
    let submission = world.ledger.submission(first).await.unwrap().unwrap();
    assert_eq!((submission.kind, submission.amount), (SubmissionKind::TopUp, Some(amount(500))));
}

#[tokio::test]
async fn top_up_of_a_closing_channel_is_refused_but_a_repeat_finds_its_record() {
    let world = World::with_deposit(1_000).await;
    let first = world.ledger.record_top_up(&world.id, amount(500), b"first".to_vec()).await.unwrap();
    world.ledger.request_close(&world.id, CloseReason::Shutdown, None).await.unwrap();
    let before = world.dump();

    let second = world.ledger.record_top_up(&world.id, amount(500), b"second".to_vec()).await.unwrap();
    let repeat = world.ledger.record_top_up(&world.id, amount(500), b"first".to_vec()).await.unwrap();

    assert_eq!(second, RecordedTopUp::NotOpen(ChannelState::Closing));
    let RecordedTopUp::Recorded(first) = first else { panic!() };
    assert_eq!(repeat, RecordedTopUp::Existing(first));
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn top_up_of_an_unknown_channel_is_refused() {
    let ledger = ledger();
    let stranger = ChannelFixture::new(9, 1).id();
    let outcome = ledger.record_top_up(&stranger, amount(1), Vec::new()).await.unwrap();
    assert_eq!(outcome, RecordedTopUp::Unknown);
}

#[tokio::test]
async fn top_up_beyond_the_ledgers_integers_is_refused() {
    let world = World::with_deposit(i64::MAX as u64 - 10).await;
    let error = world.ledger.record_top_up(&world.id, amount(11), Vec::new()).await.unwrap_err();
    assert!(matches!(error, LedgerError::AmountTooLarge { .. }), "{error}");
}

/// A ledger whose only open has failed.
async fn failed_open() -> (Ledger, ChannelFixture) {
    let (ledger, channel) = (ledger(), ChannelFixture::new(1, 5_000));
    let RecordedOpen::Recorded(id) = channel.record(&ledger).await.unwrap() else { panic!() };
    ledger.open_failed(&channel.id(), "no funds").await.unwrap();
    ledger.failed(id, "no funds").await.unwrap();
    (ledger, channel)
}

fn tip(slot: u64) -> Tip {
    Tip {
        blockhash: [1; 32].into(),
        slot,
        block_height: slot,
        last_valid_block_height: slot + 150,
        published_at: START,
    }
}

// Anybody can have such opens recorded, for free.
#[tokio::test]
async fn failed_open_is_forgotten_once_its_address_can_never_open() {
    let (ledger, channel) = failed_open().await;
    let expiry = START + 300 + REPLAY_RETENTION;
    for (slot, now, known) in [(1_600, expiry, true), (1_601, expiry - 301, true), (1_601, expiry, false)] {
        ledger.publish_tip(tip(slot)).await.unwrap();
        ledger.purge(now).await.unwrap();
        assert_eq!(ledger.channel(&channel.id()).await.unwrap().is_some(), known, "{slot} {now}");
    }
    assert!(ledger.submissions_of(&channel.id()).await.unwrap().is_empty());
}

#[tokio::test]
async fn failed_open_that_was_seen_after_all_is_kept() {
    let (ledger, channel) = failed_open().await;
    ledger.observe(&channel.id(), Some(&channel.account()), 150).await.unwrap();
    ledger.publish_tip(tip(9_000)).await.unwrap();
    ledger.purge(START + 10 * REPLAY_RETENTION).await.unwrap();
    assert_eq!(ledger.channel(&channel.id()).await.unwrap().unwrap().state, ChannelState::Open);
}

#[tokio::test]
async fn opens_beyond_what_the_settler_can_get_through_are_not_recorded() {
    let ledger = ledger();
    for salt in 0..500 {
        let recorded = ChannelFixture::new(salt, 5_000).record(&ledger).await.unwrap();
        assert!(matches!(recorded, RecordedOpen::Recorded(_)), "{recorded:?}");
    }
    let before = ledger.dump();
    assert_eq!(ChannelFixture::new(500, 5_000).record(&ledger).await.unwrap(), RecordedOpen::Crowded);
    assert_eq!(ledger.dump(), before);

    let first = ledger.requested().await.unwrap()[0].id;
    ledger.failed(first, "no funds").await.unwrap();
    let recorded = ChannelFixture::new(500, 5_000).record(&ledger).await.unwrap();
    assert!(matches!(recorded, RecordedOpen::Recorded(_)), "{recorded:?}");
}

#[tokio::test]
async fn top_up_that_never_landed_loses_its_bytes_after_a_day() {
    let world = World::with_deposit(1_000).await;
    world.ledger.record_top_up(&world.id, amount(500), b"never".to_vec()).await.unwrap();
    let top_up = world.ledger.requested().await.unwrap().last().unwrap().id;
    world.ledger.expired(top_up).await.unwrap();

    world.ledger.purge(START + REPLAY_RETENTION - 1).await.unwrap();
    assert_eq!(world.ledger.submission(top_up).await.unwrap().unwrap().transaction, b"never");
    assert_eq!(world.ledger.purge(START + REPLAY_RETENTION).await.unwrap().transactions, 1);
    let kept = world.ledger.submission(top_up).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.transaction.len()), (SubmissionState::Expired, 0));
    assert_eq!(world.ledger.purge(START + REPLAY_RETENTION).await.unwrap().total(), 0);
}
