//! Sessions that are renewed on their channel, as their payer sees it.

use toll_ledger::{ChannelState, Renewal, RenewalRequested};
use toll_protocol::{Amount, ChannelAccount, ChannelOffer, DepositAtIdle, Standing};

use crate::opening::Opening;
use crate::settler::{Chain, account_of};
use crate::top_up::Raise;
use crate::world::{DEPOSIT, PRICE, Session, World};

const ALWAYS: Renewal = Renewal { returning: false, worth: Amount::ZERO, can_rearm: true };

/// A channel with one paid request whose rearm is on its way.
async fn renewing() -> (World, Session) {
    let world = World::new().await;
    let session = world.opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    world.chain(Chain::Silent).await;
    world.pass(600).await;
    let requested =
        world.ledger.request_renewal(&session.id, ALWAYS, world.ledger.now()).await.expect("ledger");
    assert_eq!(requested, RenewalRequested::Recorded);
    (world, session)
}

/// The rearm lands.
async fn rearmed(world: &World, session: &Session) {
    let record = world.channel(&session.id).await;
    let settled = record.watermarks.accepted;
    let account =
        ChannelAccount { deposit: settled, settled, payout_watermark: settled, ..account_of(&record) };
    let slot = record.observed_slot + 1;
    world.ledger.rearm_landed(&session.id, &account, slot).await.expect("ledger");
}

#[tokio::test]
async fn while_a_session_is_settled_its_payer_waits_and_pays_nothing() {
    let (world, session) = renewing().await;
    let before = world.state().await;
    for credential in [session.voucher(2 * PRICE), Raise::of(&session, 500).authorization()] {
        let answer = world.get("/paid", &credential).await;
        world.is_refusal(&answer, 503, "about:blank", "unavailable");
        assert_eq!(answer.header("retry-after"), Some("3"));
        assert_eq!(world.state().await, before);
    }

    rearmed(&world, &session).await;
    world.chain(Chain::Lands).await;

    let answer = world.refuses_402(&session.voucher(2 * PRICE), "verification-failed", "top-up-needed").await;
    let offered = answer.challenge().session_request().expect("request").method_details.channel;
    let one = Amount::new(PRICE);
    let standing = Some(Standing { deposit: one, settled: one, accepted: one });
    assert_eq!(offered, ChannelOffer::Resume { channel_id: session.id, idle_timeout: 600, standing });
    world.get("/paid", &Raise::of(&session, 500).authorization()).await.receipt();
    assert_eq!(world.get("/paid", &session.voucher(2 * PRICE)).await.receipt().spent.get(), 2 * PRICE);
}

#[tokio::test]
async fn a_channel_that_its_payer_leaves_while_it_is_settled_is_closed_all_the_same() {
    let (world, session) = renewing().await;
    let left = world.get("/paid", &session.close(PRICE + 1)).await;
    world.is_refusal(&left, 503, "about:blank", "unavailable");

    let record = world.channel(&session.id).await;
    assert_eq!((record.state, record.renewing), (ChannelState::Closing, false));
    world.refuses_402(&session.voucher(2 * PRICE), "verification-failed", "channel-closing").await;
}

#[tokio::test]
async fn a_voucher_that_the_chain_shows_makes_no_close_of_a_rearm() {
    let (world, session) = renewing().await;
    let record = world.channel(&session.id).await;
    let account = ChannelAccount { settled: record.watermarks.accepted, ..account_of(&record) };
    world.ledger.observe(&session.id, Some(&account), record.observed_slot + 1).await.expect("ledger");
    world.get("/paid", &session.close(PRICE)).await;
    assert!(world.channel(&session.id).await.renewing);
}

#[tokio::test]
async fn where_deposits_may_stay_the_payer_chooses_and_its_last_word_counts() {
    let world = World::with(|terms| terms.keeps_deposits = true).await;
    let challenge = world.challenge("/paid").await;
    let offered = challenge.session_request().expect("request").method_details.at_idle_options;
    assert_eq!(offered, [DepositAtIdle::Refund, DepositAtIdle::Keep]);
    let mut opening = Opening::answering(&challenge, 7, DEPOSIT);
    opening.action.at_idle = Some(DepositAtIdle::Keep);
    let id = opening.action.channel_id;
    world.get("/paid", &opening.authorization()).await.receipt();
    let session = Session { id, challenge, key: crate::world::payer_key() };

    let mut submissions = world.ledger.submissions_of(&id).await.expect("ledger");
    let open = submissions.remove(0).id;
    assert_eq!(world.channel(&id).await.kept_by, Some(open), "the open that said so is on record");
    let says = |amount, at_idle| Raise::of(&session, amount).saying(at_idle).authorization();
    for (amount, at_idle, kept) in [
        (500, None, Some(0)),
        (501, Some(DepositAtIdle::Refund), None),
        (502, None, None),
        (503, Some(DepositAtIdle::Keep), Some(4)),
    ] {
        world.get("/paid", &says(amount, at_idle)).await.receipt();
        let submissions = world.ledger.submissions_of(&id).await.expect("ledger");
        let kept_by = world.channel(&id).await.kept_by;
        assert_eq!(kept_by, kept.map(|index: usize| submissions[index].id), "{amount}");
    }
    world.get("/paid", &says(501, Some(DepositAtIdle::Refund))).await.receipt();
    assert!(world.channel(&id).await.kept_by.is_some(), "a repeat says nothing anew");
}

#[tokio::test]
async fn where_deposits_are_refunded_nothing_is_said_of_it() {
    let world = World::new().await;
    let challenge = world.challenge("/paid").await;
    let request = challenge.session_request().expect("request").to_json();
    assert_eq!(request["methodDetails"].get("depositAtIdleOptions"), None);
    let session = world.opened().await;
    assert_eq!(world.channel(&session.id).await.kept_by, None);
}

#[tokio::test]
async fn a_client_that_has_never_heard_of_it_opens_and_is_refunded_as_ever() {
    let world = World::with(|terms| terms.keeps_deposits = true).await;
    let session = world.opened().await;
    world.get("/paid", &session.voucher(PRICE)).await.receipt();
    assert_eq!(world.channel(&session.id).await.kept_by, None);
    let requested = world.ledger.request_renewal(&session.id, ALWAYS, i64::MAX).await.expect("ledger");
    assert_eq!(requested, RenewalRequested::Recorded, "its rest is not kept");
}
