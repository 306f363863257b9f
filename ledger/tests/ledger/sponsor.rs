//! What the sponsor's word means for opens and vouchers.

use solana_signature::Signature;
use toll_ledger::{
    Acceptance, ChannelFixture, Charge, CloseReason, Hold, Ledger, ManualClock, RecordedOpen, SpendingKind,
    Sponsor, Unsponsored, day_of,
};
use toll_protocol::Amount;

use crate::{START, World};

fn willing() -> Sponsor {
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

fn ledger() -> Ledger {
    Ledger::temporary(ManualClock::new(START))
}

fn self_funded(salt: u64) -> ChannelFixture {
    let mut channel = ChannelFixture::new(salt, 1_000);
    channel.channel.agreement.rent_payer = channel.channel.agreement.terms.payer;
    channel
}

#[tokio::test]
async fn the_last_word_counts() {
    let ledger = ledger();
    assert_eq!(ledger.sponsor().await.unwrap(), None);
    ledger.publish_sponsor(willing()).await.unwrap();
    let tired = Sponsor { opens: false, published_at: START + 5, ..willing() };
    ledger.publish_sponsor(tired).await.unwrap();
    assert_eq!(ledger.sponsor().await.unwrap(), Some(tired));
}

#[tokio::test]
async fn a_payer_has_so_many_channels_at_once_whoever_pays_for_them() {
    let ledger = ledger();
    ledger.publish_sponsor(willing()).await.unwrap();
    let first = ChannelFixture::new(1, 1_000);
    first.open(&ledger).await.unwrap();
    self_funded(2).open(&ledger).await.unwrap();
    let before = ledger.dump();

    for refused in [ChannelFixture::new(3, 1_000), self_funded(4)] {
        let recorded = refused.record(&ledger).await.unwrap();
        assert_eq!(recorded, RecordedOpen::TooManyChannels { live: 2 });
    }
    assert_eq!(ledger.dump(), before, "nothing changed");

    ledger.request_close(&first.id(), CloseReason::Requested, None).await.unwrap();
    let closing = ChannelFixture::new(5, 1_000).record(&ledger).await.unwrap();
    assert_eq!(closing, RecordedOpen::TooManyChannels { live: 2 }, "a close must land first");
    ledger.observe(&first.id(), None, 101).await.unwrap();
    let recorded = ChannelFixture::new(6, 1_000).record(&ledger).await.unwrap();
    assert!(matches!(recorded, RecordedOpen::Recorded(_)), "{recorded:?}");
}

#[tokio::test]
async fn a_sponsor_out_of_funds_leaves_opens_to_payers_that_pay_themselves() {
    let ledger = ledger();
    ledger.publish_sponsor(Sponsor { opens: false, ..willing() }).await.unwrap();
    let before = ledger.dump();

    let recorded = ChannelFixture::new(1, 1_000).record(&ledger).await.unwrap();
    assert_eq!(recorded, RecordedOpen::Unsponsored(Unsponsored::OutOfFunds));
    assert_eq!(ledger.dump(), before, "nothing changed");

    let recorded = self_funded(2).record(&ledger).await.unwrap();
    assert!(matches!(recorded, RecordedOpen::Recorded(_)), "{recorded:?}");
}

#[tokio::test]
async fn a_payers_budget_counts_what_is_spent_and_what_is_held_today() {
    let ledger = ledger();
    ledger.publish_sponsor(willing()).await.unwrap();
    let channel = ChannelFixture::new(1, 1_000);
    let hold = |number: u8, day: i64, charge: u64| Hold {
        signature: Signature::from([number; 64]),
        kind: SpendingKind::TopUp,
        payer: Some(channel.channel.agreement.terms.payer),
        day,
        lamports: charge,
        charge,
    };
    let today = day_of(START);
    ledger.hold(&[hold(1, today - 1, 100_000), hold(2, today, 60_001)]).await.unwrap();

    let recorded = channel.record(&ledger).await.unwrap();
    assert_eq!(recorded, RecordedOpen::Unsponsored(Unsponsored::PayerBudget));

    ledger.resolve_hold(&Signature::from([2; 64]), &[]).await.unwrap();
    ledger.hold(&[hold(3, today, 60_000)]).await.unwrap();
    let recorded = channel.record(&ledger).await.unwrap();
    assert!(matches!(recorded, RecordedOpen::Recorded(_)), "{recorded:?}");
}

#[tokio::test]
async fn no_voucher_is_taken_while_closes_cannot_be_paid_for() {
    let world = World::with_deposit(1_000).await;
    world.ledger.publish_sponsor(Sponsor { vouchers: false, ..willing() }).await.unwrap();
    let before = world.dump();

    let refused = world.ledger.accept(&world.channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    assert_eq!(refused, Acceptance::CloseUnfunded);
    assert_eq!(world.dump(), before, "nothing changed");

    world.ledger.publish_sponsor(willing()).await.unwrap();
    let taken = world.ledger.accept(&world.channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    assert!(matches!(taken, Acceptance::Accepted(_)), "{taken:?}");
}

#[tokio::test]
async fn only_paid_service_keeps_a_channel_from_being_idle() {
    let world = World::with_deposit(1_000).await;
    world.clock.advance(599);
    let free = Charge { headroom: Amount::new(1), ..Charge::of(0, 1) };
    let taken = world.ledger.accept(&world.channel.voucher(1), free).await.unwrap();
    assert!(matches!(taken, Acceptance::Accepted(_)), "{taken:?}");
    world.clock.advance(1);
    assert_eq!(world.ledger.idle_channels(START + 600).await.unwrap(), [world.id]);

    let taken = world.ledger.accept(&world.channel.voucher(17), Charge::of(16, 2)).await.unwrap();
    assert!(matches!(taken, Acceptance::Accepted(_)), "{taken:?}");
    assert_eq!(world.ledger.idle_channels(START + 600).await.unwrap(), []);
}

#[tokio::test]
async fn a_sponsor_pays_for_so_many_opens_a_minute_and_payers_for_any_number() {
    let clock = ManualClock::new(START - START % 60);
    let ledger = Ledger::temporary(clock.clone());
    let sponsor = Sponsor { opens_per_minute: Some(2), channels_per_payer: 99, ..willing() };
    ledger.publish_sponsor(sponsor).await.unwrap();
    for salt in 1..=2 {
        assert!(ledger.sponsors_opens().await.unwrap(), "{salt}");
        ChannelFixture::new(salt, 1_000).record(&ledger).await.unwrap();
    }
    clock.advance(59);
    let before = ledger.dump();

    assert!(!ledger.sponsors_opens().await.unwrap());
    let third = ChannelFixture::new(3, 1_000).record(&ledger).await.unwrap();
    assert_eq!(third, RecordedOpen::Unsponsored(Unsponsored::TooManyOpens));
    assert_eq!(ledger.dump(), before, "nothing changed");
    let own = self_funded(4).record(&ledger).await.unwrap();
    assert!(matches!(own, RecordedOpen::Recorded(_)), "{own:?}");

    // Said again, the limit does not begin anew; a new minute does.
    ledger.publish_sponsor(sponsor).await.unwrap();
    assert!(!ledger.sponsors_opens().await.unwrap());
    clock.advance(1);
    let third = ChannelFixture::new(5, 1_000).record(&ledger).await.unwrap();
    assert!(matches!(third, RecordedOpen::Recorded(_)), "{third:?}");
}

#[tokio::test]
async fn an_open_that_is_refused_before_it_cost_anything_leaves_its_place_to_others() {
    let clock = ManualClock::new(START - START % 60);
    let ledger = Ledger::temporary(clock.clone());
    let sponsor = Sponsor { opens_per_minute: Some(1), channels_per_payer: 99, ..willing() };
    ledger.publish_sponsor(sponsor).await.unwrap();
    let refused = ChannelFixture::new(1, 1_000);
    refused.record(&ledger).await.unwrap();
    assert!(!ledger.sponsors_opens().await.unwrap());

    ledger.open_failed(&refused.id(), "no tokens").await.unwrap();
    assert!(ledger.sponsors_opens().await.unwrap());
    // Its place is given back once, and only in its minute.
    ledger.open_failed(&refused.id(), "no tokens").await.unwrap();
    let second = ChannelFixture::new(2, 1_000);
    second.record(&ledger).await.unwrap();
    ledger.open_failed(&refused.id(), "no tokens").await.unwrap();
    assert!(!ledger.sponsors_opens().await.unwrap());
    clock.advance(60);
    let third = ChannelFixture::new(3, 1_000);
    third.record(&ledger).await.unwrap();
    ledger.open_failed(&second.id(), "no tokens").await.unwrap();
    assert!(!ledger.sponsors_opens().await.unwrap());

    // One that was signed and sent took its place for good.
    let submission = ledger.submissions_of(&third.id()).await.unwrap()[0].id;
    ledger.record_signed(submission, vec![1], Signature::from([1; 64]), 1).await.unwrap();
    ledger.open_failed(&third.id(), "it expired").await.unwrap();
    assert!(!ledger.sponsors_opens().await.unwrap());
}
