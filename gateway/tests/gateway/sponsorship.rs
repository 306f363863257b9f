//! What is offered and taken when the sponsor does not pay, or not for everything.

use http::Method;
use toll_ledger::{ChannelState, Hold, SpendingKind, Sponsor, day_of};
use toll_protocol::{Amount, ChannelOffer};

use crate::opening::Opening;
use crate::world::{DEPOSIT, PAYER, PRICE, SPONSOR, START, World, request};

pub(crate) fn willing() -> Sponsor {
    Sponsor {
        opens: true,
        top_ups: true,
        vouchers: true,
        channels_per_payer: 2,
        minimum_top_up: Amount::new(500),
        payer_budget: 100_000,
        open_charge: 40_000,
        opens_per_minute: None,
        published_at: START,
    }
}

async fn world(sponsor: Sponsor) -> World {
    let world = World::new().await;
    world.ledger.publish_sponsor(sponsor).await.expect("ledger");
    world
}

#[tokio::test]
async fn a_challenge_names_the_sponsor_while_it_pays_and_offers_payment_by_the_payer_otherwise() {
    let world = world(willing()).await;
    let details = world.challenge("/paid").await.session_request().expect("a request").method_details;
    assert_eq!(details.fee_payer_key, Some(SPONSOR.pubkey()));

    world.ledger.publish_sponsor(Sponsor { opens: false, ..willing() }).await.expect("ledger");
    let request = world.challenge("/paid").await.session_request().expect("a request");
    assert_eq!(request.method_details.fee_payer_key, None);
    assert!(matches!(request.method_details.channel, ChannelOffer::New { .. }));
    assert_eq!(request.amount, Amount::new(PRICE));
}

#[tokio::test]
async fn an_open_that_the_payer_pays_lands_and_its_rent_is_the_payers() {
    let world = world(Sponsor { opens: false, ..willing() }).await;
    let challenge = world.challenge("/paid").await;
    let opening = Opening::answering(&challenge, 7, DEPOSIT);
    assert_eq!(opening.fee_payer, PAYER.pubkey());
    let id = opening.action.channel_id;

    world.get("/paid", &opening.authorization()).await.receipt();

    let record = world.channel(&id).await;
    assert_eq!((record.state, record.agreement.rent_payer), (ChannelState::Open, PAYER.pubkey()));
}

#[tokio::test]
async fn a_challenge_without_sponsor_stays_good_when_the_sponsor_is_back() {
    let world = world(Sponsor { opens: false, ..willing() }).await;
    let challenge = world.challenge("/paid").await;
    world.ledger.publish_sponsor(willing()).await.expect("ledger");
    let opening = Opening::answering(&challenge, 7, DEPOSIT);
    world.get("/paid", &opening.authorization()).await.receipt();
}

#[tokio::test]
async fn an_open_for_the_sponsor_to_pay_is_refused_with_an_offer_to_pay_oneself() {
    let world = world(willing()).await;
    let challenge = world.challenge("/paid").await;
    world.ledger.publish_sponsor(Sponsor { opens: false, ..willing() }).await.expect("ledger");
    let opening = Opening::answering(&challenge, 7, DEPOSIT);
    let id = opening.action.channel_id;

    let refused = world.refuses_402(&opening.authorization(), "verification-failed", "unsponsored").await;

    assert_eq!(world.ledger.channel(&id).await.expect("ledger"), None, "nothing is on record");
    let again = Opening::answering(&refused.challenge(), 8, DEPOSIT);
    assert_eq!(again.fee_payer, PAYER.pubkey());
    world.get("/paid", &again.authorization()).await.receipt();
}

#[tokio::test]
async fn a_payer_whose_budget_is_spent_pays_itself_and_nobody_else_has_to() {
    let world = world(willing()).await;
    let spent = Hold {
        signature: [1; 64].into(),
        kind: SpendingKind::Open,
        payer: Some(PAYER.pubkey()),
        day: day_of(START),
        lamports: 70_000,
        charge: 70_000,
    };
    world.ledger.hold(&[spent]).await.expect("ledger");
    let opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);

    let refused = world.refuses_402(&opening.authorization(), "verification-failed", "unsponsored").await;

    let offered = refused.challenge().session_request().expect("a request").method_details;
    assert_eq!(offered.fee_payer_key, None);
    let others = world.challenge("/paid").await.session_request().expect("a request").method_details;
    assert_eq!(others.fee_payer_key, Some(SPONSOR.pubkey()));
}

#[tokio::test]
async fn a_transaction_of_the_payers_does_not_answer_a_sponsored_challenge_nor_the_reverse() {
    let world = world(willing()).await;
    let mut unasked = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    unasked.fee_payer = PAYER.pubkey();
    unasked.open.agreement.rent_payer = PAYER.pubkey();
    world.refuses_402(&unasked.authorization(), "verification-failed", "open-mismatch").await;

    world.ledger.publish_sponsor(Sponsor { opens: false, ..willing() }).await.expect("ledger");
    let mut presumed = Opening::answering(&world.challenge("/paid").await, 8, DEPOSIT);
    presumed.fee_payer = SPONSOR.pubkey();
    presumed.open.agreement.rent_payer = SPONSOR.pubkey();
    world.refuses_402(&presumed.authorization(), "verification-failed", "open-mismatch").await;
    let mut split = Opening::answering(&world.challenge("/paid").await, 9, DEPOSIT);
    split.open.agreement.rent_payer = SPONSOR.pubkey();
    world.refuses_402(&split.authorization(), "verification-failed", "open-mismatch").await;
}

#[tokio::test]
async fn a_payer_with_as_many_channels_as_it_may_have_is_told_to_close_one() {
    let world = world(willing()).await;
    for salt in [7, 8] {
        let opening = Opening::answering(&world.challenge("/paid").await, salt, DEPOSIT);
        world.get("/paid", &opening.authorization()).await.receipt();
    }
    let third = Opening::answering(&world.challenge("/paid").await, 9, DEPOSIT);
    let id = third.action.channel_id;
    let asked = request(Method::GET, "/paid", Some(&third.authorization()), "");
    world.refuses(asked, 429, "about:blank", "too-many-channels").await;
    assert_eq!(world.ledger.channel(&id).await.expect("ledger"), None, "nothing is on record");
}

#[tokio::test]
async fn no_voucher_is_sold_on_while_closes_cannot_be_paid_for() {
    let world = world(willing()).await;
    let session = world.opened().await;
    assert_eq!(world.get("/paid", &session.voucher(PRICE)).await.status, 200);
    world.ledger.publish_sponsor(Sponsor { vouchers: false, ..willing() }).await.expect("ledger");
    let before = world.channel(&session.id).await.watermarks;

    let asked = request(Method::GET, "/paid", Some(&session.voucher(2 * PRICE)), "");
    let refused = world.refuses(asked, 503, "about:blank", "unavailable").await;

    assert!(refused.header("retry-after").is_some());
    assert_eq!(world.channel(&session.id).await.watermarks, before, "nothing was accepted");
    world.ledger.publish_sponsor(willing()).await.expect("ledger");
    assert_eq!(world.get("/paid", &session.voucher(2 * PRICE)).await.status, 200);
}

#[tokio::test]
async fn beyond_the_opens_of_a_minute_a_challenge_offers_payment_by_the_payer() {
    let world = world(Sponsor { opens_per_minute: Some(1), ..willing() }).await;
    let (first, second) = (world.challenge("/paid").await, world.challenge("/paid").await);
    let opening = Opening::answering(&first, 7, DEPOSIT);
    world.get("/paid", &opening.authorization()).await.receipt();

    let offered = world.challenge("/paid").await.session_request().expect("a request").method_details;
    assert_eq!(offered.fee_payer_key, None);
    let late = Opening::answering(&second, 8, DEPOSIT);
    let refused = world.refuses_402(&late.authorization(), "verification-failed", "unsponsored").await;
    let again = Opening::answering(&refused.challenge(), 9, DEPOSIT);
    assert_eq!(again.fee_payer, PAYER.pubkey());
    world.get("/paid", &again.authorization()).await.receipt();
}
