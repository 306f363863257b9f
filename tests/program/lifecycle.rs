//! The status diagram: from each status exactly the documented instructions land, and lead where it says.

use toll_program_tests::{Action, Batch, GRACE_PERIOD, NOW, OPEN_SLOT_WINDOW, Plan, SLOT, Status, World};

const LIVE: [(&str, Action); 15] = [
    ("settle", |world| world.settle(&world.voucher(500))),
    ("top_up", |world| world.top_up(1)),
    ("request_close", |world| world.request_close()),
    ("settle_and_seal with a voucher", |world| world.settle_and_seal(&world.voucher(500))),
    ("settle_and_seal without", |world| world.seal_as_payee()),
    ("seal", |world| world.seal()),
    ("distribute", |world| world.distribute()),
    ("withdraw_payer", |world| world.withdraw_payer()),
    ("reclaim", |world| world.reclaim()),
    ("settle_batch", |world| world.settle_batch(&Batch::of([(world.channel.address, 500)]))),
    ("settle_batch below the watermark", |world| {
        world.settle_batch(&Batch::of([(world.channel.address, 99)]))
    }),
    ("rearm", |world| world.rearm()),
    ("settle_up_to", |world| world.settle_up_to(300, &world.ceiling(500))),
    ("settle_closing", |world| world.settle_closing(&world.voucher(500))),
    ("checkpoint", |world| world.checkpoint()),
];

/// In `status`, with 100 settled and paid out half; closing since [`NOW`].
fn world(status: Status) -> World {
    let mut world = World::with_state(Plan::default(), |state| {
        state.status = status as u8;
        (state.settled, state.payout_watermark) = (100, 50);
        if status == Status::Closing {
            state.closure_started_at = NOW;
        }
    });
    world.edit_tokens(world.channel.escrow, |tokens| tokens.amount -= 50);
    world
}

/// Runs every instruction and compares the statuses that those which land lead to; `None` is an account gone.
#[track_caller]
fn lead_to(world: fn() -> World, expected: &[(&str, Option<Status>)]) {
    for (name, send) in LIVE {
        let mut world = world();
        // These two change no status, and land in every one.
        if ["settle_batch below the watermark", "checkpoint"].contains(&name) {
            let before = world.state();
            send(&mut world).succeeds();
            assert_eq!(world.state(), before, "{name}");
            continue;
        }
        let outcome = send(&mut world).send();
        let expected = expected.iter().find(|(each, _)| *each == name).map(|(_, status)| *status);
        assert_eq!(outcome.is_ok(), expected.is_some(), "{name}: {:?}", outcome.err());
        if let Some(status) = expected {
            let gone = world.is_gone(&world.channel.address);
            assert_eq!((!gone).then(|| world.state().status), status.map(|status| status as u8), "{name}");
        }
    }
}

#[test]
fn an_open_channel_settles_grows_pays_out_closes_and_seals() {
    let to = [
        ("settle", Some(Status::Open)),
        ("top_up", Some(Status::Open)),
        ("distribute", Some(Status::Open)),
        ("settle_batch", Some(Status::Open)),
        ("rearm", Some(Status::Open)),
        ("settle_up_to", Some(Status::Open)),
        ("request_close", Some(Status::Closing)),
        ("settle_and_seal with a voucher", Some(Status::Sealed)),
        ("settle_and_seal without", Some(Status::Sealed)),
    ];
    lead_to(|| world(Status::Open), &to);
    // However old it is.
    lead_to(
        || {
            let mut world = world(Status::Open);
            world.set_clock(SLOT + OPEN_SLOT_WINDOW + 1, NOW + 1_000_000);
            world
        },
        &to,
    );
}

#[test]
fn a_closing_channel_settles_and_is_sealed_by_its_payee_within_the_grace_period() {
    let to = [
        ("settle_batch", Some(Status::Closing)),
        ("settle_up_to", Some(Status::Closing)),
        ("settle_closing", Some(Status::Closing)),
        ("settle_and_seal with a voucher", Some(Status::Sealed)),
        ("settle_and_seal without", Some(Status::Sealed)),
    ];
    lead_to(|| world(Status::Closing), &to);
}

#[test]
fn a_closing_channel_is_sealed_by_anyone_after_the_grace_period() {
    lead_to(
        || {
            let mut world = world(Status::Closing);
            world.at_time(NOW + i64::from(GRACE_PERIOD));
            world
        },
        &[("seal", Some(Status::Sealed))],
    );
}

#[test]
fn a_sealed_channel_refunds_and_distributes() {
    let to = [("withdraw_payer", Some(Status::Sealed)), ("distribute", Some(Status::Distributed))];
    lead_to(|| world(Status::Sealed), &to);
}

#[test]
fn a_sealed_channel_out_of_its_window_is_gone_after_distribution() {
    lead_to(
        || {
            let mut world = world(Status::Sealed);
            world.at_slot(SLOT + OPEN_SLOT_WINDOW + 1);
            world
        },
        &[("withdraw_payer", Some(Status::Sealed)), ("distribute", None)],
    );
}

#[test]
fn a_distributed_channel_waits_for_its_window() {
    lead_to(|| world(Status::Distributed), &[]);
}

#[test]
fn a_distributed_channel_out_of_its_window_is_reclaimed() {
    lead_to(
        || {
            let mut world = world(Status::Distributed);
            world.at_slot(SLOT + OPEN_SLOT_WINDOW + 1);
            world
        },
        &[("reclaim", None)],
    );
}

#[test]
fn a_whole_life_returns_every_lamport_and_every_token() {
    let mut world = World::before_open(Plan::with_shares(&[1_000]));
    let parties = |world: &World| {
        let channel = &world.channel;
        let lamports = world.lamports(&channel.plan.rent_payer) + world.lamports(&channel.plan.payer);
        let accounts = [
            channel.payer_tokens,
            channel.payee_tokens,
            channel.treasury_tokens,
            channel.recipient_tokens[0],
        ];
        (lamports, accounts.map(|address| world.tokens(&address)).iter().sum::<u64>())
    };
    let before = parties(&world);
    world.open().succeeds();
    world.settle(&world.voucher(333)).succeeds();
    world.distribute().succeeds();
    world.top_up(1_000).succeeds();
    world.settle(&world.voucher(1_000_500)).succeeds();
    world.request_close().succeeds();
    world.settle_and_seal(&world.voucher(1_000_777)).succeeds();
    world.withdraw_payer().succeeds();
    world.distribute().succeeds();
    world.at_slot(SLOT + OPEN_SLOT_WINDOW + 1);
    world.reclaim().succeeds();
    assert_eq!(parties(&world), before);
    assert_eq!(world.tokens(&world.channel.payee_tokens), 1_000_777 * 9 / 10);
}

#[test]
fn a_planted_channel_is_what_open_makes() {
    let planted = World::with_channel(Plan::with_shares(&[1_000]));
    let opened = World::opened(Plan::with_shares(&[1_000]));
    let address = planted.channel.address;
    assert_eq!(planted.svm.get_account(&address), opened.svm.get_account(&address));
    assert_eq!(planted.token_state(&planted.channel.escrow), opened.token_state(&opened.channel.escrow));
}
