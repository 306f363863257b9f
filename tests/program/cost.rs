//! What instructions cost, in compute units of the whole transaction with one compute-budget instruction of 150.
//!
//! Every address has bump 255, as a client that looks for a good salt would see to.

use toll_program_tests::{
    Action, Batch, Channel, NOW, Plan, Status, TokenKind, World, compute_unit_limit, named,
};

/// A plan whose channel, escrow and token accounts all have bump 255.
fn plan(token: TokenKind, recipients: usize) -> Plan {
    let mint = named("mint");
    let ground = |name: &str| {
        let names = (0..).map(|nonce| named(&format!("{name} {nonce}")));
        names.into_iter().find(|owner| tokens_bump(owner, &mint, token) == 255).expect("half of all owners")
    };
    let splits = (0..recipients).map(|index| (ground(&format!("recipient {index}")), 300)).collect();
    let plan =
        Plan { token, mint, splits, payer: ground("payer"), payee: ground("payee"), ..Plan::default() };
    (0..)
        .map(|salt| Plan { salt, ..plan.clone() })
        .find(|plan| {
            let channel = Channel::new(plan.clone());
            channel.bump == 255 && tokens_bump(&channel.address, &mint, token) == 255
        })
        .expect("a quarter of all salts")
}

fn tokens_bump(
    owner: &toll_program_tests::Pubkey,
    mint: &toll_program_tests::Pubkey,
    token: TokenKind,
) -> u8 {
    let seeds = [owner.as_ref(), token.program().as_ref(), mint.as_ref()].map(<[u8]>::to_vec);
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    toll_program_tests::Pubkey::find_program_address(&seeds, &toll_program_tests::ASSOCIATED_TOKEN_PROGRAM).1
}

fn units(mut world: World, send: Action) -> u64 {
    let limit = compute_unit_limit(1_400_000);
    send(&mut world).started_by(limit).through_lookup_table().succeeds().compute_units()
}

fn due(token: TokenKind, recipients: usize, status: Status) -> World {
    World::with_state(plan(token, recipients), |state| {
        state.settled = 500_003;
        state.status = status as u8;
    })
}

/// The scenario, its limit, the ledger, the instruction.
type Row = (&'static str, u64, fn() -> World, Action);

fn one() -> World {
    World::with_channel(plan(TokenKind::Spl, 0))
}

fn closing() -> World {
    let mut world = one();
    world.edit(|state| (state.status, state.closure_started_at) = (Status::Closing as u8, NOW));
    world
}

/// `one`, and further channels beside it: `count` in all, for which a batch is due.
fn many(count: u64) -> (World, Batch) {
    let mut world = one();
    let mut targets = Vec::new();
    for salt in 1_000..1_000 + count {
        world.channel = Channel::new(Plan { salt, ..Plan::default() });
        let state = world.channel.opened();
        world.put_channel(&state);
        targets.push((world.channel.address, 10 + salt));
    }
    (world, Batch::of(targets))
}

/// The reference's instructions, with the limits that this program set itself.
const NINE: [Row; 16] = [
    ("open n=1 spl", 27_500, || World::before_open(plan(TokenKind::Spl, 1)), |world| world.open()),
    ("settle", 560, one, |world| world.settle(&world.voucher(100))),
    ("top_up spl", 3_500, one, |world| world.top_up(5)),
    ("request_close", 430, one, |world| world.request_close()),
    (
        "seal",
        430,
        || {
            let mut world = closing();
            world.at_time(NOW + 900);
            world
        },
        |world| world.seal(),
    ),
    (
        "reclaim",
        430,
        || {
            let mut world = one();
            world.edit(|state| state.status = Status::Distributed as u8);
            world.at_slot(u64::MAX);
            world
        },
        |world| world.reclaim(),
    ),
    ("settle_and_seal with voucher", 620, one, |world| world.settle_and_seal(&world.voucher(100))),
    ("distribute n=1 spl open", 8_500, || due(TokenKind::Spl, 1, Status::Open), |world| world.distribute()),
    ("distribute n=1 spl final", 14_500, || final_of(1), |world| world.distribute()),
    (
        "distribute n=32 spl open",
        45_000,
        || due(TokenKind::Spl, 32, Status::Open),
        |world| world.distribute(),
    ),
    ("distribute n=32 spl final", 50_000, || final_of(32), |world| world.distribute()),
    (
        "distribute n=32 token-2022 open",
        145_000,
        || due(TokenKind::Token2022, 32, Status::Open),
        |world| world.distribute(),
    ),
    ("withdraw_payer spl", 4_000, || due(TokenKind::Spl, 0, Status::Sealed), |world| world.withdraw_payer()),
    ("open n=32 spl", 37_112, || World::before_open(plan(TokenKind::Spl, 32)), |world| world.open()),
    (
        "top_up token-2022",
        6_839,
        || World::with_channel(plan(TokenKind::Token2022, 0)),
        |world| world.top_up(5),
    ),
    (
        "distribute n=32 token-2022 final",
        150_000,
        || due(TokenKind::Token2022, 32, Status::Sealed),
        |world| world.distribute(),
    ),
];

fn final_of(recipients: usize) -> World {
    let mut world = due(TokenKind::Spl, recipients, Status::Sealed);
    world.at_slot(u64::MAX);
    world
}

/// The additions.
const ADDITIONS: [Row; 12] = [
    ("settle_batch n=1", 1_500, || many(1).0, |world| world.settle_batch(&many(1).1)),
    ("settle_batch n=10", 4_000, || many(10).0, |world| world.settle_batch(&many(10).1)),
    ("settle_batch n=59", 15_000, || many(59).0, |world| world.settle_batch(&many(59).1)),
    ("settle_up_to", 2_500, one, |world| world.settle_up_to(60, &world.voucher(100))),
    ("settle_closing", 2_500, closing, |world| world.settle_closing(&world.voucher(100))),
    ("checkpoint", 2_500, one, |world| world.checkpoint()),
    (
        "checkpoint of nothing",
        2_500,
        || World::before_open(plan(TokenKind::Spl, 0)),
        |world| world.checkpoint(),
    ),
    ("rearm n=0 spl", 7_500, one, |world| world.rearm_with(&world.voucher(100))),
    (
        "rearm n=1 spl",
        8_500,
        || World::with_channel(plan(TokenKind::Spl, 1)),
        |world| world.rearm_with(&world.voucher(500_003)),
    ),
    ("rearm n=32 spl", 42_000, || due(TokenKind::Spl, 32, Status::Open), |world| world.rearm()),
    ("rearm n=1 token-2022", 18_000, || due(TokenKind::Token2022, 1, Status::Open), |world| world.rearm()),
    ("rearm n=32 token-2022", 150_000, || due(TokenKind::Token2022, 32, Status::Open), |world| world.rearm()),
];

fn check(rows: &[Row]) {
    for (name, limit, start, send) in rows {
        let units = units(start(), *send);
        println!("{name:<32} {units:>8} {limit:>8}");
        assert!(units <= *limit, "{name} takes {units}");
    }
}

#[test]
fn the_nine_stay_within_their_limits() {
    check(&NINE);
}

#[test]
fn the_additions_stay_within_theirs() {
    check(&ADDITIONS);
}
