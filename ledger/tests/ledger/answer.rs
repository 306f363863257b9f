//! Kept answers stay within their budgets, and what is known of an answer is said in a word.

use toll_ledger::{Acceptance, Answer, ChannelFixture, Charge, REPLAY_RETENTION, StoredResponse};

use crate::{START, World, amount};

/// An answer of 1,000 bytes: two for an empty list of headers, and the body.
fn thousand() -> StoredResponse {
    StoredResponse { status: 200, headers: Vec::new(), body: vec![7; 998] }
}

impl World {
    async fn pay(&self, channel: &ChannelFixture, request: u64) {
        let charge = Charge { headroom: amount(10), ..Charge::of(1, request) };
        let acceptance = self.ledger.accept(&channel.voucher(request), charge).await.unwrap();
        assert!(matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
        self.clock.advance(1);
    }

    async fn keep(&self, request: u64) -> bool {
        self.keep_of(&self.channel, request).await
    }

    async fn keep_of(&self, channel: &ChannelFixture, request: u64) -> bool {
        let key = Charge::of(1, request).replay;
        self.ledger.store_response(&channel.id(), &key, thousand()).await.unwrap()
    }

    async fn answer(&self, request: u64) -> Answer {
        self.answer_of(&self.channel, request).await
    }

    async fn answer_of(&self, channel: &ChannelFixture, request: u64) -> Answer {
        let key = Charge::of(1, request).replay;
        self.ledger.replay(&channel.id(), &key).await.unwrap().unwrap().answer
    }
}

#[tokio::test]
async fn the_oldest_answers_of_a_channel_make_room() {
    let world = World::with_settings(1_000, |config| config.max_answer_bytes_per_channel = 2_000).await;
    for request in 1..=4 {
        world.pay(&world.channel, request).await;
        assert!(world.keep(request).await);
    }
    for request in 1..=2 {
        assert_eq!(world.answer(request).await, Answer::NotKept);
    }
    for request in 3..=4 {
        assert_eq!(world.answer(request).await, Answer::Kept(thousand()));
    }
    assert_eq!(world.ledger.answer_bytes().await.unwrap(), 2_000);
}

#[tokio::test]
async fn the_oldest_answers_of_all_channels_make_room() {
    let budgets = |config: &mut toll_ledger::LedgerConfig| {
        (config.max_answer_bytes, config.max_answer_bytes_per_channel) = (2_000, 2_000);
    };
    let world = World::with_settings(1_000, budgets).await;
    let other = ChannelFixture::new(2, 1_000);
    other.open(&world.ledger).await.unwrap();
    for (channel, request) in [(&world.channel, 1), (&other, 2), (&world.channel, 3)] {
        world.pay(channel, request).await;
        assert!(world.keep_of(channel, request).await);
    }
    assert_eq!(world.answer(1).await, Answer::NotKept);
    assert_eq!(world.answer_of(&other, 2).await, Answer::Kept(thousand()));
    assert_eq!(world.answer(3).await, Answer::Kept(thousand()));
    assert_eq!(world.ledger.answer_bytes().await.unwrap(), 2_000);
}

#[tokio::test]
async fn an_answer_above_the_budget_counts_as_served() {
    let world = World::with_settings(1_000, |config| config.max_answer_bytes_per_channel = 999).await;
    world.pay(&world.channel, 1).await;
    assert!(!world.keep(1).await);
    assert_eq!(world.answer(1).await, Answer::NotKept);
    assert_eq!(world.ledger.answer_bytes().await.unwrap(), 0);
}

#[tokio::test]
async fn a_request_that_was_served_gets_no_other_answer() {
    let world = World::with_deposit(1_000).await;
    world.pay(&world.channel, 1).await;
    assert!(world.ledger.note_served(&world.id, &Charge::of(1, 1).replay).await.unwrap());
    let before = world.dump();
    assert!(!world.keep(1).await);
    assert!(!world.ledger.note_served(&world.id, &Charge::of(1, 1).replay).await.unwrap());
    assert_eq!(world.dump(), before);
}

#[tokio::test]
async fn a_request_stays_unserved_for_as_long_as_answers_are_kept() {
    let world = World::with_deposit(1_000).await;
    world.pay(&world.channel, 1).await;
    world.clock.set(START + REPLAY_RETENTION - 1);
    assert_eq!(world.answer(1).await, Answer::Unserved);
    world.clock.set(START + REPLAY_RETENTION);
    assert_eq!(world.answer(1).await, Answer::NotKept);
}

#[tokio::test]
async fn dropped_answers_leave_their_budget() {
    let world = World::with_deposit(1_000).await;
    for request in 1..=3 {
        world.pay(&world.channel, request).await;
        assert!(world.keep(request).await);
    }
    assert_eq!(world.ledger.answer_bytes().await.unwrap(), 3_000);
    assert_eq!(world.ledger.purge(START + 1 + REPLAY_RETENTION).await.unwrap().answers, 2);
    assert_eq!(world.ledger.answer_bytes().await.unwrap(), 1_000);
}
