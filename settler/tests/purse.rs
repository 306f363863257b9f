//! What the fee payer's lamports are spent on, and what they are kept for.

use solana_account::Account;
use solana_signer::Signer;
use toll_ledger::{
    ChannelState, CloseReason, RecordedTopUp, Spending, SpendingKind, Sponsor, SubmissionKind,
    SubmissionState, day_of,
};
use toll_protocol::{Amount, ChannelId, SYSTEM_PROGRAM, encode_transaction};
use toll_settler::{PurseError, PurseSettings, Settler, SettlerConfig, SettlerError, Step};

use crate::chain::{CHANNEL_RENT, EMPTY_ACCOUNT_RENT, NOW, TOKEN_ACCOUNT_RENT};
use crate::world::{FEE_PAYER_LAMPORTS, World};

/// Fee of an open or a top-up that asks for no priority: ours and the payer's signature.
const FEE: u64 = 10_000;
/// What is reckoned for the transactions of a close: two signers, a voucher, payout, reclaim.
const CLOSE: u64 = 25_000;

fn config(world: &World, change: impl FnOnce(&mut PurseSettings)) -> SettlerConfig {
    let mut config = world.config();
    change(&mut config.purse);
    config
}

async fn settler(world: &World, change: impl FnOnce(&mut PurseSettings)) -> Settler {
    world.start(world.keys(), config(world, change)).await.expect("the settler starts")
}

async fn spending(world: &World, kind: SpendingKind) -> Spending {
    let rows = world.ledger.spending_since(day_of(NOW)).await.unwrap();
    let none = Spending { day: day_of(NOW), kind, payer: None, transactions: 0, spent: 0, charged: 0 };
    rows.into_iter().filter(|row| row.kind == kind).fold(none, |sum, row| Spending {
        transactions: sum.transactions + row.transactions,
        spent: sum.spent + row.spent,
        charged: sum.charged + row.charged,
        ..row
    })
}

async fn failure(world: &World, id: &ChannelId) -> String {
    let record = world.record(id).await;
    assert_eq!(record.state, ChannelState::Failed);
    assert_eq!(world.submissions(id, SubmissionKind::Open).await[0].signature, None, "nothing was signed");
    record.failure.expect("a reason")
}

/// A channel whose payer pays fee and rent itself.
async fn record_open_by_payer(world: &World, salt: u64) -> ChannelId {
    let mut channel = world.new_channel(salt, 1_000);
    channel.agreement.rent_payer = world.payer.pubkey();
    let open = world.open_instruction(&channel);
    let transaction = world.signed_by(&world.payer.pubkey(), &[open], &[&world.payer]);
    world.record_open_as(channel, encode_transaction(&transaction)).await
}

#[tokio::test]
async fn an_open_is_charged_with_its_close_and_spends_its_fee() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;

    let open = spending(&world, SpendingKind::Open).await;
    assert_eq!((open.transactions, open.spent, open.charged), (1, FEE, FEE + CLOSE));
    assert_eq!(open.payer, Some(world.payer.pubkey()));

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;
    let close = spending(&world, SpendingKind::Close).await;
    assert_eq!((close.spent, close.charged), (FEE, 0), "no voucher: our signature and the payee's");
    assert_eq!(world.ledger.holds().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_held_becomes_what_it_cost_once_wherever_the_settler_died() {
    for step in [Step::Recorded, Step::Submitted, Step::Confirmed, Step::Observed, Step::Marked] {
        let world = World::new();
        world.record_open(1, 1_000).await;
        world.die_at(SubmissionKind::Open, step).await;
        if step != Step::Marked {
            assert_eq!(world.ledger.holds().await.unwrap().len(), 1, "{step:?}");
        }
        let settler = world.settler().await;
        world.drive(&settler).await;
        let open = spending(&world, SpendingKind::Open).await;
        assert_eq!((open.transactions, open.spent), (1, FEE), "{step:?}");
        assert_eq!(world.ledger.holds().await.unwrap(), [], "{step:?}");
    }
}

#[tokio::test]
async fn a_budget_that_is_spent_stays_spent_over_a_restart_and_closes_go_on() {
    let mut world = World::new();
    let one = FEE + CLOSE;
    let limit = |purse: &mut PurseSettings| purse.budget_per_day = Some(2 * one - 1);
    let id = {
        let settler = settler(&world, limit).await;
        world.open(&settler, 1, 1_000).await
    };
    world.pay(&id, 160).await;

    let settler = settler(&world, limit).await;
    let said = world.ledger.sponsor().await.unwrap().unwrap();
    assert!(!said.opens, "and says so");
    // A gateway that has not heard yet.
    world.ledger.publish_sponsor(Sponsor { opens: true, ..said }).await.unwrap();
    let second = world.open(&settler, 2, 1_000).await;
    assert!(failure(&world, &second).await.contains("lamports a day has"), "{second}");

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;
    world.assert_paid_out(&id, 1_000, 160).await;

    world.clock.advance(toll_ledger::DAY);
    let third = world.open(&settler, 3, 1_000).await;
    assert_eq!(world.record(&third).await.state, ChannelState::Open, "a new day");
}

#[tokio::test]
async fn a_payer_has_no_more_channels_than_it_may_have_whatever_the_gateway_recorded() {
    let world = World::new();
    let mut ids = Vec::new();
    for salt in 1..=3 {
        ids.push(world.record_open(salt, 1_000).await);
    }
    let settler = settler(&world, |purse| purse.channels_per_payer = 2).await;
    world.drive(&settler).await;
    assert_eq!(world.ledger.channels(&[ChannelState::Open]).await.unwrap().len(), 2);
    assert!(failure(&world, &ids[2]).await.contains("as many as it may have"));
}

#[tokio::test]
async fn an_open_that_its_payer_pays_needs_no_signature_of_ours_and_returns_the_rent_to_the_payer() {
    let mut world = World::new();
    world.put(world.payer.pubkey(), Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM));
    let settler = world.settler().await;
    let id = record_open_by_payer(&world, 1).await;
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Open);
    assert_eq!(world.account(&id).unwrap().rent_payer, world.payer.pubkey());
    assert_eq!(world.chain.lamports(&world.fee_payer.pubkey()), FEE_PAYER_LAMPORTS, "we paid nothing");

    world.pay(&id, 160).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;
    world.assert_paid_out(&id, 1_000, 160).await;
    world.chain.advance(1_501, 600);
    world.drive(&settler).await;
    assert_eq!(world.account(&id), None, "reclaimed");

    let fees = spending(&world, SpendingKind::Close).await.spent;
    assert_eq!(world.chain.lamports(&world.fee_payer.pubkey()), FEE_PAYER_LAMPORTS - fees);
    assert!(fees <= CLOSE, "{fees}");
    let payer = world.chain.lamports(&world.payer.pubkey());
    assert_eq!(payer, 1_000_000_000 - 5_000, "all but the fee of its own open");
}

#[tokio::test]
async fn a_payer_that_pays_the_rent_pays_the_fee_as_well() {
    let world = World::new();
    world.put(world.payer.pubkey(), Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM));
    let mut channel = world.new_channel(1, 1_000);
    channel.agreement.rent_payer = world.payer.pubkey();
    let open = world.open_instruction(&channel);
    let transaction = world.payer_signed(&[open]);
    let id = world.record_open_as(channel, transaction).await;
    let settler = world.settler().await;
    world.drive(&settler).await;
    assert!(failure(&world, &id).await.contains("not its rent payer"));
}

#[tokio::test]
async fn a_top_up_below_the_minimum_lands_only_when_its_payer_pays_the_fee() {
    let world = World::new();
    world.put(world.payer.pubkey(), Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM));
    let settler = settler(&world, |purse| purse.minimum_top_up = 500).await;
    let id = world.open(&settler, 1, 1_000).await;
    world.record_top_up(&id, 499).await;
    world.drive(&settler).await;
    assert_eq!(world.count(&id, SubmissionKind::TopUp, SubmissionState::Failed).await, 1);
    assert_eq!(world.record(&id).await.watermarks.deposit.get(), 1_000);

    let amount = Amount::new(498);
    let top_up = world.channel(&id).await.top_up(amount);
    let paid_by_payer = world.signed_by(&world.payer.pubkey(), &[top_up], &[&world.payer]);
    let recorded = world.ledger.record_top_up(&id, amount, encode_transaction(&paid_by_payer)).await;
    assert!(matches!(recorded, Ok(RecordedTopUp::Recorded(_))), "{recorded:?}");
    world.record_top_up(&id, 500).await;
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.watermarks.deposit.get(), 1_998);
    assert_eq!(spending(&world, SpendingKind::TopUp).await.spent, FEE, "one of the two");
}

#[tokio::test]
async fn an_expiring_voucher_is_settled_when_it_is_worth_it_and_within_the_days_budget() {
    let mut world = World::new();
    let settler = settler(&world, |purse| {
        purse.settle_worth = 100;
        purse.settle_budget_per_day = Some(10_000);
    })
    .await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay_until(&id, 99, NOW + 60).await;
    world.drive(&settler).await;
    assert_eq!(world.account(&id).unwrap().settled.get(), 0, "not worth it");
    world.pay_until(&id, 100, NOW + 60).await;
    world.drive(&settler).await;
    assert_eq!(world.account(&id).unwrap().settled.get(), 100);
    world.pay_until(&id, 300, NOW + 60).await;
    settler.pass(true).await.unwrap();
    assert_eq!(world.account(&id).unwrap().settled.get(), 100, "the budget is spent");
    assert!(settler.take_summary().held[0].1.contains("for settle has 0 left"));
}

#[tokio::test]
async fn exposure_shrinks_with_the_balance_opens_first_and_vouchers_last() {
    let world = World::new();
    let settler = world.settler().await;
    for salt in 1..=4 {
        world.open(&settler, salt, 1_000).await;
    }
    let minimum = world.config().purse.minimum_reserve;
    let reserve = minimum + EMPTY_ACCOUNT_RENT + 4 * (CLOSE + TOKEN_ACCOUNT_RENT);
    let open = CHANNEL_RENT + 2 * TOKEN_ACCOUNT_RENT + FEE + 20_000 + CLOSE;
    let cases = [
        (reserve + open, (true, true, true)),
        (reserve + open - 1, (false, true, true)),
        (reserve + FEE + 20_000, (false, true, true)),
        (reserve + FEE + 20_000 - 1, (false, false, true)),
        (4 * CLOSE + EMPTY_ACCOUNT_RENT, (false, false, true)),
        (4 * CLOSE + EMPTY_ACCOUNT_RENT - 1, (false, false, false)),
    ];
    for (lamports, expected) in cases {
        world.put(world.fee_payer.pubkey(), Account::new(lamports, 0, &SYSTEM_PROGRAM));
        settler.pass(true).await.unwrap();
        let sponsor = world.ledger.sponsor().await.unwrap().unwrap();
        assert_eq!((sponsor.opens, sponsor.top_ups, sponsor.vouchers), expected, "{lamports}");
    }
    for record in world.ledger.channels(&[ChannelState::Open]).await.unwrap() {
        world.ledger.request_close(&record.id, CloseReason::Requested, None).await.unwrap();
    }
    world.drive(&settler).await;
    assert_eq!(
        world.ledger.channels(&[ChannelState::Closed]).await.unwrap().len(),
        4,
        "every close is paid for"
    );
}

async fn refusal(world: &World, change: impl FnOnce(&mut PurseSettings)) -> PurseError {
    match world.start(world.keys(), config(world, change)).await {
        Err(SettlerError::Purse(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the settler starts"),
    }
}

#[tokio::test]
async fn a_purse_that_cannot_work_is_refused_by_the_settings_name() {
    let world = World::new();
    let zero = refusal(&world, |purse| purse.channels_per_payer = 0).await;
    assert_eq!(zero, PurseError::Zero { setting: "settler.purse.channels_per_payer" });

    // Most that an open may cost: two signatures and the priority that the caps allow.
    let needed = FEE + 20_000 + CLOSE;
    let budget = needed - 1;
    let small = refusal(&world, |purse| purse.budget_per_day = Some(budget)).await;
    let setting = "settler.purse.budget_per_day";
    assert_eq!(small, PurseError::BudgetBelowOneOpen { setting, budget, needed });
    assert!(small.to_string().starts_with("settler.purse.budget_per_day: "), "{small}");

    let meagre = refusal(&world, |purse| purse.reserve_per_channel = Some(CLOSE - 1)).await;
    assert_eq!(meagre, PurseError::ReserveBelowOneClose { reserve: CLOSE - 1, needed: CLOSE });

    let hoard = refusal(&world, |purse| purse.minimum_reserve = FEE_PAYER_LAMPORTS).await;
    let reserve = FEE_PAYER_LAMPORTS + EMPTY_ACCOUNT_RENT + CLOSE + TOKEN_ACCOUNT_RENT;
    assert_eq!(hoard, PurseError::ReserveAboveBalance { reserve, balance: FEE_PAYER_LAMPORTS });
    assert!(hoard.to_string().contains("settler.purse.minimum_reserve"), "{hoard}");
}

#[tokio::test]
async fn a_poor_sponsor_starts_all_the_same_while_it_has_channels_to_close() {
    let world = World::new();
    let id = world.opened(1, 1_000).await;
    world.put(world.fee_payer.pubkey(), Account::new(EMPTY_ACCOUNT_RENT + CLOSE, 0, &SYSTEM_PROGRAM));
    let settler = world.settler().await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;
    world.assert_paid_out(&id, 1_000, 0).await;
}

#[tokio::test]
async fn a_running_settler_says_when_the_sponsor_is_out_of_sol_and_when_it_is_back() {
    let world = World::new();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(world.settler().await.run(async move {
        let _ = stopped.await;
    }));
    for (lamports, opens) in [(EMPTY_ACCOUNT_RENT, false), (FEE_PAYER_LAMPORTS, true)] {
        world.put(world.fee_payer.pubkey(), Account::new(lamports, 0, &SYSTEM_PROGRAM));
        let mut said = None;
        for _ in 0..500 {
            said = world.ledger.sponsor().await.unwrap().map(|sponsor| sponsor.opens);
            if said == Some(opens) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(said, Some(opens), "with {lamports} lamports");
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

/// A settle's fee: our signature and the voucher's.
const SETTLE: u64 = 10_000;

#[tokio::test]
async fn a_settle_is_worth_its_fee_once_a_sol_has_a_price() {
    let mut world = World::new();
    // 10,000 lamports are 150 base units.
    let price = |purse: &mut PurseSettings| purse.base_units_per_sol = Some(15_000_000);
    let config = SettlerConfig {
        settle_threshold: Some(Amount::new(100)),
        channels_per_transaction: 1,
        ..config(&world, price)
    };
    let settler = world.start(world.keys(), config).await.unwrap();
    let (lasting, expiring) = (world.open(&settler, 1, 1_000).await, world.open(&settler, 2, 1_000).await);
    world.pay(&lasting, 149).await;
    world.pay_until(&expiring, 149, NOW + 60).await;
    world.drive(&settler).await;
    for id in [lasting, expiring] {
        assert_eq!(world.account(&id).unwrap().settled.get(), 0, "worth less than the fee");
    }

    world.pay(&lasting, 150).await;
    world.pay_until(&expiring, 150, NOW + 60).await;
    world.drive(&settler).await;

    for id in [lasting, expiring] {
        assert_eq!(world.account(&id).unwrap().settled.get(), 150);
    }
    assert_eq!(spending(&world, SpendingKind::Settle).await.spent, 2 * SETTLE, "what was reckoned with");
}

#[tokio::test]
async fn the_fee_that_a_settle_must_be_worth_is_no_less_than_what_it_costs() {
    let mut world = World::new();
    let settle_threshold = Some(Amount::new(100));
    let config = SettlerConfig { compute_unit_price: 50_000, settle_threshold, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;
    world.drive(&settler).await;
    // 40,000 units at that price are 2,000 lamports.
    let spent = spending(&world, SpendingKind::Settle).await.spent;
    assert!((SETTLE + 1..=SETTLE + 2_000).contains(&spent), "{spent}");
}

#[tokio::test]
async fn opens_beyond_the_rate_of_a_minute_are_not_sponsored() {
    let world = World::new();
    let settler = settler(&world, |purse| purse.opens_per_minute = Some(1)).await;
    assert!(world.ledger.sponsors_opens().await.unwrap());
    world.open(&settler, 1, 1_000).await;

    assert!(!world.ledger.sponsors_opens().await.unwrap(), "what challenges go by");

    world.clock.advance(60);
    assert!(world.ledger.sponsors_opens().await.unwrap());
}

// A voucher is only taken if it can be settled. Whichever channels are closed first leave too little for the last one,
// so with too little for all there is none whose close is paid for.
#[tokio::test]
async fn vouchers_stop_on_all_channels_at_once_since_every_close_takes_from_the_same_lamports() {
    /// What a close with a voucher takes at once: two signers and the voucher.
    const AT_ONCE: u64 = 15_000;
    for last in 0..3 {
        let mut world = World::new();
        // Nothing comes back to us from these.
        world.put(world.payer.pubkey(), Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM));
        // Nor do they share a transaction.
        let config = SettlerConfig { channels_per_transaction: 1, ..world.config() };
        let settler = world.start(world.keys(), config).await.unwrap();
        let mut ids = Vec::new();
        for salt in 0..3 {
            let id = record_open_by_payer(&world, salt).await;
            world.drive(&settler).await;
            world.pay(&id, 160).await;
            ids.push(id);
        }
        let lamports = EMPTY_ACCOUNT_RENT + 3 * AT_ONCE - 1;
        world.put(world.fee_payer.pubkey(), Account::new(lamports, 0, &SYSTEM_PROGRAM));
        settler.pass(true).await.unwrap();
        assert!(!world.ledger.sponsor().await.unwrap().unwrap().vouchers);

        let last = ids.remove(last);
        for id in &ids {
            world.ledger.request_close(id, CloseReason::Requested, None).await.unwrap();
        }
        world.drive(&settler).await;
        world.ledger.request_close(&last, CloseReason::Requested, None).await.unwrap();
        for _ in 0..10 {
            settler.pass(true).await.unwrap();
        }

        for id in &ids {
            assert_eq!(world.record(id).await.state, ChannelState::Closed);
        }
        assert_eq!(world.record(&last).await.state, ChannelState::Closing, "nothing is left for it");
        assert_eq!(world.tokens(&world.payee.pubkey()), 2 * 160);
    }
}

#[tokio::test]
async fn what_is_kept_for_each_channel_may_be_said() {
    let world = World::new();
    let reserve = 3_000_000;
    let settler = settler(&world, |purse| purse.reserve_per_channel = Some(reserve)).await;
    let kept = world.config().purse.minimum_reserve + EMPTY_ACCOUNT_RENT + reserve;
    let open = CHANNEL_RENT + TOKEN_ACCOUNT_RENT + FEE + 20_000;
    for (lamports, opens) in [(kept + open, true), (kept + open - 1, false)] {
        world.put(world.fee_payer.pubkey(), Account::new(lamports, 0, &SYSTEM_PROGRAM));
        settler.pass(true).await.unwrap();
        assert_eq!(world.ledger.sponsor().await.unwrap().unwrap().opens, opens, "{lamports}");
    }
}
