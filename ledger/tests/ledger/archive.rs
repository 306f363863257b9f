//! Channels that are over leave the tables that are worked on, and every retention is a setting.

use toll_ledger::{
    ChannelFixture, ChannelState, Charge, CloseLanded, CloseReason, Intent, LedgerConfig, Purged,
    RecordedOpen, SubmissionId, SubmissionKind, SubmissionState, Tip,
};

use crate::{START, World, amount};

const DAY: i64 = 24 * 60 * 60;

impl World {
    /// Pays 16 from the channel and closes it; its account is gone at the end.
    async fn end(&self) {
        self.ledger.accept(&self.channel.voucher(16), Charge::of(16, 1)).await.unwrap();
        self.ledger.request_close(&self.id, CloseReason::Requested, None).await.unwrap();
        let close = self.send(SubmissionKind::Close, 6).await;
        let signature = [6; 64].into();
        let landed = CloseLanded { signature, settled: amount(16), refunded: amount(984), slot: 130 };
        self.ledger.close_landed(&self.id, landed).await.unwrap();
        self.ledger.landed(close, 130, Some(5_000), Some(40_000)).await.unwrap();
        self.ledger.observe(&self.id, None, 140).await.unwrap();
        let open = self.ledger.requested().await.unwrap()[0].id;
        self.ledger.failed(open, "as the fixture has it").await.unwrap();
    }

    async fn send(&self, kind: SubmissionKind, seed: u8) -> SubmissionId {
        self.ledger.record(Intent::on(kind, &[self.id]), vec![seed], [seed; 64].into(), 1_000).await.unwrap()
    }

    async fn purge(&self, now: i64) -> Purged {
        self.ledger.purge(now).await.unwrap()
    }

    async fn is_hot(&self) -> bool {
        self.ledger.channel(&self.id).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn a_channel_that_is_over_moves_to_the_archive_with_its_accounts() {
    let world = World::with_deposit(1_000).await;
    world.end().await;
    assert_eq!(world.purge(START + DAY).await.archived, 0);
    assert_eq!(world.purge(START + 8 * DAY - 1).await.archived, 0);
    assert!(world.is_hot().await);

    assert_eq!(world.purge(START + 8 * DAY).await.archived, 1);

    assert!(!world.is_hot().await);
    for table in ["channels", "vouchers", "replays", "submissions", "submission_channels", "challenges"] {
        assert_eq!(world.ledger.ask_number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    let archived = world.ledger.ask_text(
        "SELECT deposit || ' ' || settled || ' ' || refunded || ' ' || close_reason || ' ' || voucher_amount
                || ' ' || archived_at FROM archived_channels",
    );
    assert_eq!(archived, format!("1000 16 984 requested 16 {}", START + 8 * DAY));
    let fees: i64 = world.ledger.ask_number(
        "SELECT CAST(sum(fee_lamports) AS BIGINT) FROM archived_submissions WHERE kind = 'close'",
    );
    assert_eq!(fees, 5_000);
}

#[tokio::test]
async fn the_archive_is_read_back_latest_first_and_with_what_each_channel_cost() {
    let world = World::with_deposit(1_000).await;
    world.end().await;
    let before = world.ledger.channel(&world.id).await.unwrap().unwrap();
    world.purge(START).await;
    world.purge(START + 8 * DAY).await;
    let later = ChannelFixture::new(2, 500);
    later.open(&world.ledger).await.unwrap();
    world.ledger.observe(&later.id(), None, 150).await.unwrap();
    let open = world.ledger.requested().await.unwrap()[0].id;
    world.ledger.failed(open, "as the fixture has it").await.unwrap();
    world.purge(START + 9 * DAY).await;
    world.purge(START + 20 * DAY).await;

    let archived = world.ledger.archived_channels(10).await.unwrap();

    assert_eq!(archived.iter().map(|channel| channel.id).collect::<Vec<_>>(), [later.id(), world.id]);
    assert_eq!(world.ledger.archived_channels(1).await.unwrap().len(), 1);
    let (channel, submissions) = world.ledger.archived_channel(&world.id).await.unwrap().unwrap();
    assert_eq!(channel, archived[1]);
    assert_eq!((&channel.agreement, channel.watermarks), (&before.agreement, before.watermarks));
    assert_eq!((channel.refunded, channel.voucher), (Some(amount(984)), Some(amount(16))));
    assert_eq!((channel.close_reason, channel.archived_at), (Some(CloseReason::Requested), START + 8 * DAY));
    let seen: Vec<_> = submissions.iter().map(|it| (it.kind, it.state, it.fee_lamports)).collect();
    let failed = (SubmissionKind::Open, SubmissionState::Failed, None);
    assert_eq!(seen, [failed, (SubmissionKind::Close, SubmissionState::Landed, Some(5_000))]);
    assert_eq!(world.ledger.archived_channel(&ChannelFixture::new(3, 1).id()).await.unwrap(), None);
}

#[tokio::test]
async fn an_archived_address_is_never_opened_again() {
    let world = World::with_deposit(1_000).await;
    world.end().await;
    world.purge(START).await;
    world.purge(START + 8 * DAY).await;
    assert!(!world.is_hot().await);
    let before = world.dump();
    let again =
        world.ledger.record_open(world.channel.channel.clone(), b"again".to_vec(), "fresh", START).await;
    assert_eq!(again.unwrap(), RecordedOpen::ChannelExists);
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn an_archived_forced_close_counts_against_its_payer() {
    let world = World::with_deposit(1_000).await;
    world.ledger.observe(&world.id, None, 140).await.unwrap();
    let open = world.ledger.requested().await.unwrap()[0].id;
    world.ledger.failed(open, "as the fixture has it").await.unwrap();
    world.purge(START).await;
    world.purge(START + 8 * DAY).await;
    assert!(!world.is_hot().await);
    let payer = world.channel.channel.agreement.terms.payer;
    assert_eq!(world.ledger.forced_closes(&payer, START).await.unwrap(), 1);
    assert_eq!(world.ledger.forced_closes(&payer, START + 1).await.unwrap(), 0);
}

#[tokio::test]
async fn a_channel_with_a_transaction_of_unknown_fate_is_not_archived() {
    let world = World::with_deposit(1_000).await;
    world.end().await;
    let reclaim = world.send(SubmissionKind::Reclaim, 7).await;
    world.purge(START).await;
    world.purge(START + 30 * DAY).await;
    assert!(world.is_hot().await);
    world.ledger.expired(reclaim).await.unwrap();
    world.purge(START + 30 * DAY).await;
    assert!(!world.is_hot().await);
}

#[tokio::test]
async fn a_channel_that_came_back_is_over_anew() {
    let world = World::with_deposit(1_000).await;
    world.ledger.observe(&world.id, None, 140).await.unwrap();
    let open = world.ledger.requested().await.unwrap()[0].id;
    world.ledger.failed(open, "as the fixture has it").await.unwrap();
    world.purge(START).await;
    world.ledger.observe(&world.id, Some(&world.channel.account()), 150).await.unwrap();
    world.purge(START + 8 * DAY).await;
    world.ledger.observe(&world.id, None, 160).await.unwrap();
    world.purge(START + 9 * DAY).await;
    assert!(world.is_hot().await, "seven days from when it was over again");
    world.purge(START + 16 * DAY).await;
    assert!(!world.is_hot().await);
}

#[tokio::test]
async fn a_transaction_for_two_channels_goes_with_the_last_of_them() {
    let world = World::with_deposit(1_000).await;
    world.end().await;
    let other = ChannelFixture::new(2, 500);
    other.open(&world.ledger).await.unwrap();
    let both = [world.id, other.id()];
    let reclaim = world
        .ledger
        .record(Intent::on(SubmissionKind::Reclaim, &both), vec![1], [8; 64].into(), 1_000)
        .await
        .unwrap();
    world.ledger.landed(reclaim, 150, Some(5_000), None).await.unwrap();
    world.purge(START).await;
    world.purge(START + 8 * DAY).await;
    assert!(!world.is_hot().await);
    let kept = world.ledger.submission(reclaim).await.unwrap().unwrap();
    assert_eq!(kept.channels(), [other.id()]);
    let archived = "SELECT count(*) FROM archived_submissions WHERE kind = 'reclaim'";
    assert_eq!(world.ledger.ask_number(archived), 1);
}

#[tokio::test]
async fn a_channel_with_more_transactions_than_a_batch_is_archived_in_parts() {
    let world = World::with_settings(1_000, |ledger| ledger.purge_batch_rows = 3).await;
    for seed in 10..20 {
        let settle = world.send(SubmissionKind::Settle, seed).await;
        world.ledger.landed(settle, 120, Some(5_000), None).await.unwrap();
    }
    world.end().await;
    world.purge(START).await;
    assert_eq!(world.purge(START + 8 * DAY).await.archived, 1);
    assert_eq!(world.ledger.ask_number("SELECT count(*) FROM archived_submissions"), 12);
    assert_eq!(world.ledger.ask_number("SELECT count(*) FROM submissions"), 0);
}

#[tokio::test]
async fn archive_after_days_says_when() {
    let world = World::with_settings(1_000, |ledger| ledger.archive_after_days = 2).await;
    world.end().await;
    world.purge(START).await;
    assert_eq!(world.purge(START + 2 * DAY - 1).await.archived, 0);
    assert_eq!(world.purge(START + 2 * DAY).await.archived, 1);
}

#[tokio::test]
async fn archive_retention_days_says_how_long() {
    let world = World::with_settings(1_000, |ledger| ledger.archive_retention_days = Some(365)).await;
    world.end().await;
    world.purge(START).await;
    world.purge(START + 7 * DAY).await;
    assert_eq!(world.purge(START + 372 * DAY - 1).await.forgotten, 0);
    assert_eq!(world.purge(START + 372 * DAY).await.forgotten, 1);
    assert_eq!(world.ledger.ask_number("SELECT count(*) FROM archived_channels"), 0);
    assert_eq!(world.ledger.ask_number("SELECT count(*) FROM archived_submissions"), 0);
}

#[tokio::test]
async fn replay_retention_seconds_says_how_long_answers_are_kept() {
    let world = World::with_settings(1_000, |ledger| ledger.replay_retention_seconds = 60).await;
    world.ledger.accept(&world.channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    let key = Charge::of(16, 1).replay;
    let response = toll_ledger::StoredResponse { status: 200, headers: Vec::new(), body: b"once".to_vec() };
    world.ledger.store_response(&world.id, &key, response).await.unwrap();
    assert_eq!(world.purge(START + 59).await.answers, 0);
    assert_eq!(world.purge(START + 60).await.answers, 1);
    assert!(world.ledger.replay(&world.id, &key).await.unwrap().is_some(), "the request is still known");
}

#[tokio::test]
async fn replay_entry_retention_days_bounds_the_requests_of_a_live_channel() {
    let world = World::with_settings(1_000, |ledger| ledger.replay_entry_retention_days = 3).await;
    world.ledger.accept(&world.channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    let key = Charge::of(16, 1).replay;
    world.purge(START + 3 * DAY - 1).await;
    assert!(world.ledger.replay(&world.id, &key).await.unwrap().is_some());
    world.purge(START + 3 * DAY).await;
    assert_eq!(world.ledger.replay(&world.id, &key).await.unwrap(), None);
    assert_eq!(world.ledger.channel(&world.id).await.unwrap().unwrap().state, ChannelState::Open);
}

/// Records `count` opens, a second apart, that all fail.
async fn failed_opens(world: &World, count: u64) {
    for salt in 0..count {
        let channel = ChannelFixture::new(100 + salt, 5_000);
        let recorded = channel.record(&world.ledger).await.unwrap();
        let RecordedOpen::Recorded(id) = recorded else { panic!("{recorded:?}") };
        world.ledger.open_failed(&channel.id(), "no funds").await.unwrap();
        world.ledger.failed(id, "no funds").await.unwrap();
        world.clock.advance(1);
    }
}

async fn tip(world: &World, slot: u64) {
    let tip = Tip {
        blockhash: [1; 32].into(),
        slot,
        block_height: slot,
        last_valid_block_height: slot + 150,
        published_at: START,
    };
    world.ledger.publish_tip(tip).await.unwrap();
}

#[tokio::test]
async fn failed_open_retention_seconds_says_how_long() {
    let world = World::with_settings(1_000, |ledger| ledger.failed_open_retention_seconds = 600).await;
    failed_opens(&world, 1).await;
    tip(&world, 9_000).await;
    assert_eq!(world.purge(START + 599).await.failed_opens, 0);
    assert_eq!(world.purge(START + 600).await.failed_opens, 1);
}

#[tokio::test]
async fn max_failed_opens_lets_the_oldest_go_early_but_no_address_that_could_still_open() {
    let set = |ledger: &mut LedgerConfig| ledger.max_failed_opens = 4;
    let world = World::with_settings(1_000, set).await;
    failed_opens(&world, 10).await;
    let now = START + 400;
    tip(&world, 1_600).await;
    assert_eq!(world.purge(now).await.failed_opens, 0, "slot 100 can be opened until 1600");
    tip(&world, 1_601).await;
    assert_eq!(world.purge(START + 302).await.failed_opens, 3, "three challenges have expired");
    assert_eq!(world.purge(now).await.failed_opens, 3);
    assert_eq!(world.ledger.channels(&[ChannelState::Failed]).await.unwrap().len(), 4);
}

#[tokio::test]
async fn max_requested_bounds_what_waits_for_the_settler() {
    let world = World::with_settings(1_000, |ledger| ledger.max_requested = 3).await;
    for salt in 10..12 {
        let recorded = ChannelFixture::new(salt, 5_000).record(&world.ledger).await.unwrap();
        assert!(matches!(recorded, RecordedOpen::Recorded(_)), "{recorded:?}");
    }
    let before = world.dump();
    assert_eq!(ChannelFixture::new(12, 5_000).record(&world.ledger).await.unwrap(), RecordedOpen::Crowded);
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn purge_batch_rows_bounds_each_transaction() {
    let commits = async |rows| {
        let world = World::with_settings(10_000, |ledger| ledger.purge_batch_rows = rows).await;
        for request in 1..=100 {
            world.ledger.accept(&world.channel.voucher(request), Charge::of(1, request)).await.unwrap();
        }
        let before = world.ledger.commits();
        assert_eq!(world.purge(START + 30 * DAY).await.replays, 100);
        world.ledger.commits() - before
    };
    assert!(commits(10).await >= 10);
    assert!(commits(1_000).await < 5);
}
