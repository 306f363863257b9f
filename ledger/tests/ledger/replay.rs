//! Repeats get their first answer for a day, and are never charged.

use toll_ledger::{
    Acceptance, Answer, Charge, CloseLanded, CloseReason, REPLAY_RETENTION, RecordedOpen, StoredResponse,
};

use crate::{START, World, amount};

fn response(body: &str) -> StoredResponse {
    StoredResponse {
        status: 200,
        headers: vec![("content-type".into(), "text/plain".into()), ("x-\"quoted\"".into(), "ä, b".into())],
        body: body.as_bytes().to_vec(),
    }
}

async fn answered() -> World {
    let world = World::with_deposit(1_000).await;
    world.ledger.accept(&world.channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    assert!(
        world.ledger.store_response(&world.id, &Charge::of(16, 1).replay, response("first")).await.unwrap()
    );
    world
}

impl World {
    async fn repeat(&self) -> Acceptance {
        self.ledger.accept(&self.channel.voucher(32), Charge::of(16, 1)).await.unwrap()
    }
}

#[tokio::test]
async fn repeat_gets_the_stored_answer() {
    let world = answered().await;
    let Acceptance::Replayed(replay) = world.repeat().await else { panic!() };
    assert_eq!(replay.answer, Answer::Kept(response("first")));
    assert_eq!(replay.accepted_at, START);
}

#[tokio::test]
async fn first_answer_stays() {
    let world = answered().await;
    let before = world.dump();
    assert!(
        !world.ledger.store_response(&world.id, &Charge::of(16, 1).replay, response("second")).await.unwrap()
    );
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn answer_of_an_unknown_request_is_not_kept() {
    let world = answered().await;
    let mut key = Charge::of(16, 1).replay;
    key.fingerprint = [9; 32];
    assert!(!world.ledger.store_response(&world.id, &key, response("other")).await.unwrap());
    assert_eq!(world.ledger.replay(&world.id, &key).await.unwrap(), None);
    assert!(
        !world.ledger.store_response(&world.id, &Charge::of(16, 7).replay, response("none")).await.unwrap()
    );
}

#[tokio::test]
async fn nothing_is_purged_within_a_day() {
    let world = answered().await;
    // Whoever purges brings the log of money up to date.
    world.ledger.purge(START).await.unwrap();
    let before = world.dump();
    assert_eq!(world.ledger.purge(START + REPLAY_RETENTION - 1).await.unwrap().total(), 0);
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn live_channel_keeps_the_entry_when_its_answer_is_dropped() {
    let world = answered().await;
    world.ledger.purge(START + REPLAY_RETENTION).await.unwrap();
    let Acceptance::Replayed(replay) = world.repeat().await else { panic!() };
    assert_eq!(replay.answer, Answer::NotKept);
    assert_eq!(world.watermarks().await.spent, amount(16));
}

#[tokio::test]
async fn closed_channel_keeps_answers_for_a_day_and_nothing_after() {
    let world = answered().await;
    world.ledger.request_close(&world.id, CloseReason::Requested, None).await.unwrap();
    let landed =
        CloseLanded { signature: [6; 64].into(), settled: amount(16), refunded: amount(984), slot: 130 };
    world.ledger.close_landed(&world.id, landed).await.unwrap();

    world.ledger.purge(START + REPLAY_RETENTION - 1).await.unwrap();
    let key = Charge::of(16, 1).replay;
    assert_eq!(
        world.ledger.replay(&world.id, &key).await.unwrap().unwrap().answer,
        Answer::Kept(response("first"))
    );

    world.ledger.purge(START + REPLAY_RETENTION).await.unwrap();
    assert_eq!(world.ledger.replay(&world.id, &key).await.unwrap(), None);
}

#[tokio::test]
async fn used_challenge_is_remembered_for_a_day_after_it_expired() {
    let world = World::with_deposit(1_000).await;
    let expiry = START + 300;
    world.ledger.purge(expiry + REPLAY_RETENTION - 1).await.unwrap();
    let again = world.channel.record(&world.ledger).await.unwrap();
    assert!(matches!(again, RecordedOpen::Existing(..)), "{again:?}");

    world.ledger.purge(expiry + REPLAY_RETENTION).await.unwrap();
    let again = world.channel.record(&world.ledger).await.unwrap();
    assert_eq!(again, RecordedOpen::ChannelExists);
}

#[tokio::test]
async fn purge_takes_more_than_one_batch() {
    let world = World::with_deposit(100_000).await;
    for request in 1..=1_200 {
        world.ledger.accept(&world.channel.voucher(request), Charge::of(1, request)).await.unwrap();
    }
    world.ledger.request_close(&world.id, CloseReason::Requested, None).await.unwrap();
    let landed = CloseLanded {
        signature: [6; 64].into(),
        settled: amount(1_200),
        refunded: amount(98_800),
        slot: 130,
    };
    world.ledger.close_landed(&world.id, landed).await.unwrap();

    let commits = world.ledger.commits();
    assert_eq!(world.ledger.purge(START + REPLAY_RETENTION).await.unwrap().replays, 1_200);
    assert!(world.ledger.commits() - commits > 6, "vouchers come in between");
    assert_eq!(world.ledger.purge(START + REPLAY_RETENTION).await.unwrap().replays, 0);
}
