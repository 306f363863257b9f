//! Transactions on record before they are sent, and their fates.

use solana_signature::Signature;
use toll_ledger::{
    ChannelFixture, Effect, Intent, LedgerError, RecordedOpen, Resolution, SubmissionId, SubmissionKind,
    SubmissionState,
};

use toll_protocol::Amount;

use crate::{START, World};

fn signature(byte: u8) -> Signature {
    Signature::from([byte; 64])
}

/// A world with a second channel whose open is requested.
async fn requested() -> (World, SubmissionId) {
    let world = World::with_deposit(1_000).await;
    // The first channel's own open is out of the way.
    for open in world.ledger.requested().await.unwrap() {
        world.ledger.failed(open.id, "not ours").await.unwrap();
    }
    let RecordedOpen::Recorded(id) = ChannelFixture::new(2, 1_000).record(&world.ledger).await.unwrap()
    else {
        panic!()
    };
    (world, id)
}

#[tokio::test]
async fn signing_moves_a_request_to_the_unresolved() {
    let (world, id) = requested().await;
    world.clock.advance(2);
    world.ledger.record_signed(id, b"signed".to_vec(), signature(1), 500).await.unwrap();
    assert!(world.ledger.requested().await.unwrap().is_empty());
    let unresolved = world.ledger.unresolved().await.unwrap();
    assert_eq!(unresolved.len(), 1);
    let submission = &unresolved[0];
    assert_eq!((submission.id, submission.state), (id, SubmissionState::Recorded));
    assert_eq!(submission.transaction, b"signed");
    assert_eq!((submission.signature, submission.last_valid_block_height), (Some(signature(1)), Some(500)));
    assert_eq!((submission.created_at, submission.updated_at), (START, START + 2));
}

#[tokio::test]
async fn signing_twice_is_only_the_same_signature() {
    let (world, id) = requested().await;
    world.ledger.record_signed(id, vec![1], signature(1), 500).await.unwrap();
    let before = world.dump();
    world.ledger.record_signed(id, vec![1], signature(1), 500).await.unwrap();
    let error = world.ledger.record_signed(id, vec![2], signature(2), 500).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotRequested { state: SubmissionState::Recorded, .. }), "{error}");
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn same_credential_still_matches_once_the_open_is_signed() {
    let (world, id) = requested().await;
    world.ledger.record_signed(id, b"signed".to_vec(), signature(1), 500).await.unwrap();
    let again = ChannelFixture::new(2, 1_000).record(&world.ledger).await.unwrap();
    assert!(matches!(again, RecordedOpen::Existing(_, existing) if existing == id), "{again:?}");
}

#[tokio::test]
async fn own_transaction_is_recorded_once_per_signature() {
    let (world, _) = requested().await;
    let channels = [world.id];
    let record =
        || world.ledger.record(Intent::on(SubmissionKind::Settle, &channels), vec![7], signature(7), 600);
    let first = record().await.unwrap();
    assert_eq!(record().await.unwrap(), first);
    let submission = world.ledger.submission(first).await.unwrap().unwrap();
    assert_eq!((submission.kind, submission.state), (SubmissionKind::Settle, SubmissionState::Recorded));
}

#[tokio::test]
async fn reclaim_covers_several_channels() {
    let (world, _) = requested().await;
    let channels = [world.id, ChannelFixture::new(2, 1_000).id()];
    let id = world
        .ledger
        .record(Intent::on(SubmissionKind::Reclaim, &channels), vec![7], signature(7), 600)
        .await
        .unwrap();
    let mut stored = world.ledger.submission(id).await.unwrap().unwrap().channels();
    let mut expected = channels.to_vec();
    stored.sort();
    expected.sort();
    assert_eq!(stored, expected);
    for channel in channels {
        let of_channel = world.ledger.submissions_of(&channel).await.unwrap();
        assert_eq!(of_channel.last().unwrap().id, id);
    }
}

#[tokio::test]
async fn submission_for_an_unknown_channel_is_refused_whole() {
    let (world, _) = requested().await;
    let before = world.dump();
    let channels = [world.id, ChannelFixture::new(9, 1).id()];
    let error = world
        .ledger
        .record(Intent::on(SubmissionKind::Reclaim, &channels), vec![7], signature(7), 600)
        .await
        .unwrap_err();
    assert!(matches!(error, LedgerError::UnknownChannel(_)), "{error}");
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn landed_submission_keeps_what_it_cost() {
    let (world, id) = requested().await;
    world.ledger.record_signed(id, vec![1], signature(1), 500).await.unwrap();
    assert_eq!(world.ledger.landed(id, 444, Some(10_000), Some(25_000)).await.unwrap(), Resolution::Resolved);
    let submission = world.ledger.submission(id).await.unwrap().unwrap();
    assert_eq!(submission.state, SubmissionState::Landed);
    assert_eq!((submission.landed_slot, submission.fee_lamports), (Some(444), Some(10_000)));
    assert_eq!(submission.compute_units, Some(25_000));
    assert!(world.ledger.unresolved().await.unwrap().is_empty());
}

#[tokio::test]
async fn fate_is_told_once() {
    let (world, id) = requested().await;
    world.ledger.record_signed(id, vec![1], signature(1), 500).await.unwrap();
    world.ledger.landed(id, 444, None, None).await.unwrap();
    let before = world.dump();
    let landed = Resolution::Already(SubmissionState::Landed);
    assert_eq!(world.ledger.landed(id, 445, None, None).await.unwrap(), landed);
    assert_eq!(world.ledger.failed(id, "late").await.unwrap(), landed);
    assert_eq!(world.ledger.expired(id).await.unwrap(), landed);
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn submission_given_up_as_expired_may_still_have_landed() {
    let (world, id) = requested().await;
    world.ledger.record_signed(id, vec![1], signature(1), 500).await.unwrap();
    assert_eq!(world.ledger.expired(id).await.unwrap(), Resolution::Resolved);
    assert_eq!(world.ledger.landed(id, 499, None, None).await.unwrap(), Resolution::Resolved);
}

#[tokio::test]
async fn request_that_was_never_signed_cannot_land() {
    let (world, id) = requested().await;
    let outcome = world.ledger.landed(id, 444, None, None).await.unwrap();
    assert_eq!(outcome, Resolution::Already(SubmissionState::Requested));
    assert_eq!(world.ledger.failed(id, "simulation failed").await.unwrap(), Resolution::Resolved);
    let submission = world.ledger.submission(id).await.unwrap().unwrap();
    assert_eq!(submission.error.as_deref(), Some("simulation failed"));
    let error = world.ledger.record_signed(id, vec![1], signature(1), 500).await.unwrap_err();
    assert!(matches!(error, LedgerError::NotRequested { state: SubmissionState::Failed, .. }), "{error}");
}

#[tokio::test]
async fn what_a_transaction_shows_and_does_is_written_down_with_it() {
    let (world, _) = requested().await;
    let effect = |publishes, pays_out| Effect { channel: world.id, publishes, pays_out };
    let shown = |amount| Some(Amount::new(amount));
    for (byte, effect) in
        [(1, effect(shown(30), false)), (2, effect(shown(20), true)), (3, effect(None, true))]
    {
        let intent = Intent::of(SubmissionKind::Settle, effect);
        let id = world.ledger.record(intent, vec![byte], signature(byte), 600).await.unwrap();
        let submission = world.ledger.submission(id).await.unwrap().unwrap();
        assert_eq!(submission.channel(), Some(world.id));
        assert_eq!(submission.effects, [effect]);
    }

    assert_eq!(world.ledger.channel(&world.id).await.unwrap().unwrap().published(), Amount::new(30));
}

// A node that was handed a transaction keeps what it read, whatever became of it.
#[tokio::test]
async fn voucher_of_a_transaction_that_never_landed_stays_public() {
    let (world, _) = requested().await;
    let effect = Effect { publishes: Some(Amount::new(30)), ..Effect::on(world.id) };
    let intent = Intent::of(SubmissionKind::Settle, effect);
    let id = world.ledger.record(intent, vec![1], signature(1), 600).await.unwrap();
    world.ledger.expired(id).await.unwrap();
    assert_eq!(world.ledger.channel(&world.id).await.unwrap().unwrap().published(), Amount::new(30));
}

#[tokio::test]
async fn submission_may_act_on_no_channel() {
    let (world, _) = requested().await;
    let id = world.ledger.record(Intent::create_account(), vec![1], signature(1), 600).await.unwrap();
    let unresolved = world.ledger.unresolved().await.unwrap();
    assert_eq!((unresolved[0].id, unresolved[0].channel()), (id, None));

    world.ledger.landed(id, 444, Some(5_000), Some(20_000)).await.unwrap();

    let submission = world.ledger.submission(id).await.unwrap().unwrap();
    assert_eq!((submission.kind, submission.state), (SubmissionKind::CreateAccount, SubmissionState::Landed));
}
