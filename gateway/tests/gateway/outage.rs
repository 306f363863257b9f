//! What is sold while nobody can see the chain.

use http::Method;
use toll_protocol::{Amount, ChannelAccount, ChannelStatus};

use crate::settler::account_of;
use crate::world::{PRICE, Session, World, request};

impl World {
    /// Lets `seconds` pass without a settler that sees anything.
    async fn out_of_sight(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    async fn sells(&self, session: &Session, cumulative: u64) {
        let answer = self.get("/paid", &session.voucher(cumulative)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn is_unavailable(&self, session: &Session, cumulative: u64) {
        let before = self.channel(&session.id).await;
        let paid = request(Method::GET, "/paid", Some(&session.voucher(cumulative)), "");
        self.refuses(paid, 503, "about:blank", "unavailable").await;
        assert_eq!(self.channel(&session.id).await, before);
    }
}

#[tokio::test]
async fn an_outage_of_30_seconds_and_more_does_not_stop_sales() {
    let world = World::new().await;
    let session = world.opened().await;
    for (voucher, seconds) in [(1, 31), (2, 29), (3, 240)] {
        world.out_of_sight(seconds).await;
        world.sells(&session, voucher * PRICE).await;
    }
}

#[tokio::test]
async fn sales_stop_while_a_forced_close_could_still_be_settled() {
    let world = World::new().await;
    let session = world.opened().await;
    let limit = world.gateway.terms().unobserved_limit(900);
    assert!(900 - limit >= 900 / 2 + 60, "what is left is for detecting and closing");
    world.out_of_sight(limit).await;
    world.sells(&session, PRICE).await;
    world.out_of_sight(1).await;
    world.is_unavailable(&session, 2 * PRICE).await;

    world.ledger.mark_channels_observed(world.ledger.now()).await.expect("ledger");
    world.sells(&session, 2 * PRICE).await;
}

#[tokio::test]
async fn the_time_out_of_sight_is_a_setting_that_only_shortens() {
    for (setting, limit) in [(Some(100), 100), (Some(100_000), 330), (None, 330)] {
        let world = World::with(|terms| terms.max_unobserved = setting).await;
        let session = world.opened().await;
        world.out_of_sight(limit).await;
        world.sells(&session, PRICE).await;
        world.out_of_sight(1).await;
        world.is_unavailable(&session, 2 * PRICE).await;
    }
}

#[tokio::test]
async fn a_channel_with_a_short_grace_period_is_served_for_less_long() {
    let world = World::with(|terms| terms.grace_period = 300).await;
    let session = world.opened().await;
    // Later channels get more time; this one has what it was opened with.
    let longer = World::over(world.ledger.clone(), world.clock.clone(), crate::world::terms());
    assert_eq!(longer.gateway.terms().unobserved_limit(300), 30);
    longer.out_of_sight(30).await;
    longer.sells(&session, PRICE).await;
    longer.out_of_sight(1).await;
    longer.is_unavailable(&session, 2 * PRICE).await;
}

#[tokio::test]
async fn too_much_unsettled_on_a_channel_is_not_added_to_out_of_sight() {
    let world = World::with(|terms| terms.max_unobserved_exposure = Amount::new(2 * PRICE)).await;
    let session = world.opened().await;
    world.sells(&session, PRICE).await;
    world.out_of_sight(31).await;
    world.sells(&session, 2 * PRICE).await;
    world.is_unavailable(&session, 3 * PRICE).await;

    // In sight, or settled, it is sold again.
    let record = world.channel(&session.id).await;
    let settled = ChannelAccount { settled: Amount::new(PRICE), ..account_of(&record) };
    world.ledger.observe(&session.id, Some(&settled), record.observed_slot + 1).await.expect("ledger");
    world.sells(&session, 3 * PRICE).await;
    world.ledger.mark_channels_observed(world.ledger.now()).await.expect("ledger");
    world.sells(&session, 4 * PRICE).await;
}

#[tokio::test]
async fn too_much_unsettled_in_all_is_not_added_to_out_of_sight() {
    let world = World::with(|terms| terms.max_unobserved_exposure_total = Amount::new(3 * PRICE)).await;
    let (first, second) = (world.opened().await, world.opened_with(8, crate::world::DEPOSIT).await);
    world.sells(&first, PRICE).await;
    world.out_of_sight(31).await;
    world.sells(&second, PRICE).await;
    world.sells(&first, 2 * PRICE).await;
    world.is_unavailable(&second, 2 * PRICE).await;
    world.out_of_sight(1).await;
    world.is_unavailable(&first, 3 * PRICE).await;

    world.ledger.mark_channels_observed(world.ledger.now()).await.expect("ledger");
    world.sells(&first, 3 * PRICE).await;
}

// The worst moment: right after the last look. The settler sees the close as soon as the chain is back.
#[tokio::test]
async fn a_close_forced_at_the_start_of_an_outage_leaves_time_to_settle() {
    let world = World::new().await;
    let session = world.opened().await;
    let forced_at = world.ledger.channels_observed_at().await.expect("ledger").expect("observed");
    let mut last_sale = forced_at;
    for voucher in 1.. {
        world.out_of_sight(10).await;
        let answer = world.get("/paid", &session.voucher(voucher * PRICE)).await;
        if answer.status != 200 {
            break;
        }
        last_sale = world.ledger.now();
    }
    let grace = i64::from(world.gateway.terms().grace_period);
    assert!(forced_at + grace - last_sale >= grace / 2, "most of the grace period is left");

    let record = world.channel(&session.id).await;
    let closing = ChannelAccount {
        status: ChannelStatus::Closing,
        closure_started_at: forced_at,
        ..account_of(&record)
    };
    world.ledger.observe(&session.id, Some(&closing), record.observed_slot + 1).await.expect("ledger");
    world.ledger.mark_channels_observed(world.ledger.now()).await.expect("ledger");
    let paid = request(Method::GET, "/paid", Some(&session.voucher(99 * PRICE)), "");
    assert_ne!(world.send(paid).await.status, 200);
}

#[tokio::test]
async fn a_challenge_is_given_as_long_as_vouchers_are_taken() {
    let world = World::new().await;
    let session = world.opened().await;
    world.out_of_sight(31).await;
    let challenge = world.challenge("/paid").await;
    let session = Session { challenge, ..session };
    world.sells(&session, PRICE).await;

    // It cannot open a channel: nobody could see that land.
    let opening = crate::opening::Opening::answering(&session.challenge, 77, crate::world::DEPOSIT);
    let open = request(Method::GET, "/paid", Some(&opening.authorization()), "");
    world.refuses(open, 503, "about:blank", "unavailable").await;
}
