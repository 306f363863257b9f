//! Vouchers that wait for one commit are decided together, on what the process remembers if that still holds.

use toll_ledger::{Acceptance, Accepted, ChannelFixture, Charge, CloseReason, Ledger, ManualClock};

use crate::{START, World, amount};

/// Offers vouchers while the writer is busy, so that they are one group, in this order.
async fn group(ledger: &Ledger, offers: Vec<(&ChannelFixture, u64, Charge)>) -> Vec<Acceptance> {
    let hold = ledger.hold_writer().await;
    let mut tasks = Vec::new();
    for (channel, cumulative, charge) in offers {
        let (own, voucher) = (ledger.clone(), channel.voucher(cumulative));
        tasks.push(tokio::spawn(async move { own.accept(&voucher, charge).await.unwrap() }));
        while ledger.queued() < tasks.len() {
            tokio::task::yield_now().await;
        }
    }
    let commits = ledger.commits();
    drop(hold);
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    assert!(ledger.commits() <= commits + 1, "one group is one commit");
    outcomes
}

/// One ledger as two processes have it.
fn processes() -> [Ledger; 2] {
    let ledger = Ledger::temporary(ManualClock::new(START));
    [ledger.clone(), ledger.again(ManualClock::new(START))]
}

/// What was spent after a voucher was accepted; `None` when it was refused.
fn spent(acceptance: &Acceptance) -> Option<u64> {
    match acceptance {
        Acceptance::Accepted(Accepted { watermarks, .. }) => Some(watermarks.spent.get()),
        _ => None,
    }
}

#[tokio::test]
async fn vouchers_of_one_channel_build_on_each_other_within_a_group() {
    let world = World::with_deposit(1_000).await;
    for known in [false, true] {
        if known {
            world.ledger.reload(&world.id).await.unwrap();
        }
        let from = world.watermarks().await.spent.get();
        let offers = (1..=5).map(|nth| (&world.channel, from + 16 * nth, Charge::of(16, from + nth)));
        let outcomes = group(&world.ledger, offers.collect()).await;
        let expected: Vec<_> = (1..=5).map(|nth| Some(from + 16 * nth)).collect();
        assert_eq!(outcomes.iter().map(spent).collect::<Vec<_>>(), expected, "in the book: {known}");
        let marks = world.watermarks().await;
        assert_eq!((marks.accepted.get(), marks.spent.get()), (from + 80, from + 80));
        let highest = world.ledger.highest_voucher(&world.id).await.unwrap().unwrap();
        assert_eq!(highest.voucher.cumulative_amount, marks.accepted);
        let booked = world.ledger.booked(&world.id).await.unwrap().unwrap();
        assert_eq!(booked.channel.record.watermarks, marks);
    }
}

#[tokio::test]
async fn a_repeat_in_a_group_is_charged_nothing_and_nothing_builds_on_it() {
    let world = World::with_deposit(1_000).await;
    world.ledger.reload(&world.id).await.unwrap();
    world.ledger.accept(&world.channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    let other = ChannelFixture::new(2, 1_000);
    other.open(&world.ledger).await.unwrap();
    world.ledger.reload(&other.id()).await.unwrap();

    let outcomes = group(
        &world.ledger,
        vec![
            (&world.channel, 32, Charge::of(16, 2)),
            // The first request again, under a voucher that would pay for it.
            (&world.channel, 48, Charge::of(16, 1)),
            (&world.channel, 64, Charge::of(16, 3)),
            (&world.channel, 48, Charge::of(16, 4)),
            (&other, 16, Charge::of(16, 5)),
        ],
    )
    .await;

    assert_eq!(spent(&outcomes[0]), Some(32));
    assert!(matches!(outcomes[1], Acceptance::Replayed(_)), "{:?}", outcomes[1]);
    assert!(matches!(outcomes[2], Acceptance::Excessive { .. }), "{:?}", outcomes[2]);
    assert_eq!(spent(&outcomes[3]), Some(48));
    assert_eq!(spent(&outcomes[4]), Some(16));
    assert_eq!(world.watermarks().await.accepted, amount(48));
}

#[tokio::test]
async fn what_another_process_took_is_not_taken_again_on_what_this_one_remembers() {
    let [here, there] = processes();
    let channel = ChannelFixture::new(1, 1_000);
    let id = channel.open(&here).await.unwrap();
    here.booked(&id).await.unwrap();
    there.accept(&channel.voucher(16), Charge::of(16, 1)).await.unwrap();

    let stale = here.accept(&channel.voucher(16), Charge::of(16, 2)).await.unwrap();
    assert!(matches!(stale, Acceptance::Stale { .. }), "{stale:?}");
    let replayed = here.accept(&channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    assert!(matches!(replayed, Acceptance::Replayed(_)), "{replayed:?}");
    // Here it looks as if this were twice the price; there was a voucher in between.
    let accepted = here.accept(&channel.voucher(32), Charge::of(16, 3)).await.unwrap();
    assert_eq!(spent(&accepted), Some(32));
    there.request_close(&id, CloseReason::Requested, None).await.unwrap();
    let closing = here.accept(&channel.voucher(48), Charge::of(16, 4)).await.unwrap();
    assert!(matches!(closing, Acceptance::NotOpen(_)), "{closing:?}");

    let marks = here.channel(&id).await.unwrap().unwrap().watermarks;
    assert_eq!((marks.accepted, marks.spent), (amount(32), amount(32)));
}

#[tokio::test]
async fn a_voucher_that_the_chain_shows_meanwhile_buys_nothing() {
    let [here, there] = processes();
    let channel = ChannelFixture::new(1, 1_000);
    let id = channel.open(&here).await.unwrap();
    here.booked(&id).await.unwrap();
    let account = toll_protocol::ChannelAccount { settled: amount(16), ..channel.account() };
    there.observe(&id, Some(&account), 101).await.unwrap();
    let published = here.accept(&channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    assert_eq!(published, Acceptance::Published { up_to: amount(16) });
}

#[tokio::test]
async fn a_group_keeps_the_vouchers_that_a_settlement_could_want() {
    let world = World::with_deposit(1_000).await;
    world.ledger.reload(&world.id).await.unwrap();
    let ahead = |request| Charge { headroom: amount(100), ..Charge::of(10, request) };
    // Spent is 30 after these: the second covers it exactly, and the third promises more.
    let offers =
        vec![(&world.channel, 20, ahead(1)), (&world.channel, 30, ahead(2)), (&world.channel, 90, ahead(3))];
    let outcomes = group(&world.ledger, offers).await;
    assert_eq!(outcomes.iter().map(spent).collect::<Vec<_>>(), [Some(10), Some(20), Some(30)]);
    let best = world.ledger.best_voucher_to_settle(&world.id, START).await.unwrap().unwrap();
    assert_eq!(best.voucher.cumulative_amount, amount(30));
    let highest = world.ledger.highest_voucher(&world.id).await.unwrap().unwrap();
    assert_eq!(highest.voucher.cumulative_amount, amount(90));
}

#[tokio::test]
async fn a_group_that_cannot_be_written_leaves_the_book_as_it_was() {
    let world = World::with_deposit(1_000_000).await;
    world.ledger.reload(&world.id).await.unwrap();
    world.ledger.fill_disk(true).await.unwrap();
    let mut cumulative = 0;
    loop {
        cumulative += 16;
        let offered =
            world.ledger.accept(&world.channel.voucher(cumulative), Charge::of(16, cumulative)).await;
        if offered.is_err() {
            break;
        }
    }
    let booked = world.ledger.booked(&world.id).await.unwrap().unwrap();
    assert_eq!(booked.channel.record.watermarks, world.watermarks().await);
    assert_eq!(booked.channel.record.watermarks.accepted, amount(cumulative - 16));
}

#[tokio::test]
async fn a_group_costs_as_many_round_trips_as_one_voucher() {
    let ledger = Ledger::temporary(ManualClock::new(START));
    let channels: Vec<_> = (0..64).map(|salt| ChannelFixture::new(salt, 1_000)).collect();
    ledger.open_all(channels.clone()).await.unwrap();
    let mut next = 0;
    for in_the_book in [false, true] {
        if in_the_book {
            for channel in &channels {
                ledger.reload(&channel.id()).await.unwrap();
            }
        }
        let mut costs = Vec::new();
        for many in [1, 1, 64] {
            next += 1;
            let before = ledger.round_trips().await.unwrap();
            let offers = channels.iter().take(many).map(|channel| {
                let request = next * 1_000 + channel.channel.agreement.terms.salt;
                let cumulative =
                    if channel.channel.agreement.terms.salt == 0 { next } else { 1 + (next - 1) / 3 };
                (channel, cumulative * 16, Charge::of(16, request))
            });
            let outcomes = group(&ledger, offers.collect()).await;
            assert!(outcomes.iter().all(|outcome| spent(outcome).is_some()), "{outcomes:?}");
            costs.push(ledger.round_trips().await.unwrap() - before);
        }
        // The first one of a kind prepares its statements.
        assert_eq!(costs[1], costs[2], "in the book: {in_the_book}");
        // Two of them are this test's own.
        let most = if in_the_book { 6 } else { 8 };
        assert!(costs[2] <= most, "{costs:?} in the book: {in_the_book}");
    }
}

#[tokio::test]
async fn in_a_group_only_what_another_process_moved_is_read_anew() {
    let [here, there] = processes();
    let channels: Vec<_> = (0..8).map(|salt| ChannelFixture::new(salt, 1_000)).collect();
    here.open_all(channels.clone()).await.unwrap();
    for channel in &channels {
        here.reload(&channel.id()).await.unwrap();
    }
    for (nth, channel) in channels.iter().enumerate().step_by(2) {
        there.accept(&channel.voucher(16), Charge::of(16, nth as u64)).await.unwrap();
    }
    let offers = (100..).zip(&channels).map(|(request, channel)| (channel, 32, Charge::of(16, request)));
    let outcomes = group(&here, offers.collect()).await;
    for (nth, outcome) in outcomes.iter().enumerate() {
        match nth % 2 {
            0 => assert_eq!(spent(outcome), Some(32), "channel {nth}"),
            _ => assert!(matches!(outcome, Acceptance::Excessive { .. }), "channel {nth}: {outcome:?}"),
        }
    }
}
