//! Opens that the gateway recorded: what lands, and what is never signed.

use solana_account::Account;
use solana_instruction::Instruction;
use solana_message::VersionedMessage;
use solana_message::v0::MessageAddressTableLookup;
use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, NewChannel, SubmissionKind, SubmissionState};
use toll_protocol::{
    Amount, ChannelId, ChannelStatus, SYSTEM_PROGRAM, compute_unit_limit, compute_unit_price,
    create_associated_token_account, encode_transaction,
};
use toll_settler::Step;

use crate::chain::{CHANNEL_RENT, EMPTY_ACCOUNT_RENT, Faults, TOKEN_ACCOUNT_RENT};
use crate::world::{FEE_PAYER_LAMPORTS, PAYER_TOKENS, World, key};

/// What a payer with other plans sends: instructions made from the agreed channel.
async fn record_with(
    world: &World,
    make: impl Fn(&NewChannel, Instruction) -> Vec<Instruction>,
) -> ChannelId {
    let channel = world.new_channel(1, 1_000);
    let agreed = world.open_instruction(&channel);
    let transaction = world.payer_signed(&make(&channel, agreed));
    world.record_open_as(channel, transaction).await
}

/// Asserts that nothing was signed, sent or paid, and that the ledger says why.
async fn assert_refused(world: &World, id: &ChannelId, reason: &str) {
    let settler = world.settler().await;
    world.drive(&settler).await;

    let record = world.record(id).await;
    assert_eq!(record.state, ChannelState::Failed);
    let failure = record.failure.expect("a failed open has a reason");
    assert!(failure.contains(reason), "{failure}");
    assert_eq!(world.count(id, SubmissionKind::Open, SubmissionState::Failed).await, 1);
    assert_eq!(world.chain.lock().submitted.len(), 0);
    assert_eq!(world.chain.lamports(&world.fee_payer.pubkey()), FEE_PAYER_LAMPORTS);
    assert_eq!(settler.take_summary().refused.len(), 1);
}

#[tokio::test]
async fn open_lands_and_the_payer_needs_no_sol() {
    let world = World::new();
    let id = world.record_open(1, 1_000).await;
    let settler = world.settler().await;

    world.drive(&settler).await;

    let account = world.account(&id).unwrap();
    assert_eq!((account.status, account.deposit.get()), (ChannelStatus::Open, 1_000));
    assert_eq!(account.rent_payer, world.fee_payer.pubkey());
    assert_eq!(world.record(&id).await.state, ChannelState::Open);
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 1_000);
    assert_eq!(world.chain.lamports(&world.payer.pubkey()), 0);
}

#[tokio::test]
async fn landed_open_says_what_it_cost() {
    let world = World::new();
    let id = world.opened(1, 1_000).await;

    let opens = world.submissions(&id, SubmissionKind::Open).await;

    assert_eq!(opens[0].fee_lamports, Some(10_000));
    assert!(opens[0].compute_units.unwrap() > 1_000);
    assert!(opens[0].landed_slot.is_some());
}

#[tokio::test]
async fn compute_budget_within_the_caps_is_allowed() {
    let world = World::new();
    let id =
        record_with(&world, |_, open| vec![compute_unit_limit(400_000), compute_unit_price(50_000), open])
            .await;
    let settler = world.settler().await;
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Open);
}

#[tokio::test]
async fn compute_price_above_the_cap_is_refused() {
    let world = World::new();
    let id = record_with(&world, |_, open| vec![compute_unit_price(50_001), open]).await;
    assert_refused(&world, &id, "compute budget").await;
}

#[tokio::test]
async fn second_instruction_is_refused() {
    let world = World::new();
    let fee_payer = world.fee_payer.pubkey();
    let mint = world.mint;
    let token_program = world.token_program;
    let id = record_with(&world, |_, open| {
        vec![open, create_associated_token_account(&fee_payer, &key(50).pubkey(), &mint, &token_program)]
    })
    .await;
    assert_refused(&world, &id, "not agreed").await;
}

#[tokio::test]
async fn open_twice_in_one_transaction_is_refused() {
    let world = World::new();
    let id = record_with(&world, |_, open| vec![open.clone(), open]).await;
    assert_refused(&world, &id, "exactly once").await;
}

#[tokio::test]
async fn other_deposit_than_recorded_is_refused() {
    let world = World::new();
    let id = record_with(&world, |channel, _| {
        let less = NewChannel { deposit: Amount::new(999), ..channel.clone() };
        vec![world.open_instruction(&less)]
    })
    .await;
    assert_refused(&world, &id, "not agreed").await;
}

#[tokio::test]
async fn other_grace_period_than_recorded_is_refused() {
    let world = World::new();
    let id = record_with(&world, |channel, _| {
        let mut shorter = channel.clone();
        shorter.agreement.grace_period = 1;
        vec![world.open_instruction(&shorter)]
    })
    .await;
    assert_refused(&world, &id, "not agreed").await;
}

#[tokio::test]
async fn transaction_that_another_key_pays_for_is_refused() {
    let world = World::new();
    let other = key(60);
    let channel = world.new_channel(1, 1_000);
    let open = world.open_instruction(&channel);
    let transaction = world.signed_by(&other.pubkey(), &[open], &[&world.payer, &other]);
    let id = world.record_open_as(channel, encode_transaction(&transaction)).await;
    assert_refused(&world, &id, "fee payer").await;
}

#[tokio::test]
async fn transaction_that_the_payer_did_not_sign_is_refused() {
    let world = World::new();
    let channel = world.new_channel(1, 1_000);
    let open = world.open_instruction(&channel);
    let transaction = world.signed_by(&world.fee_payer.pubkey(), &[open], &[]);
    let id = world.record_open_as(channel, encode_transaction(&transaction)).await;
    assert_refused(&world, &id, "does not verify").await;
}

#[tokio::test]
async fn bytes_that_are_no_transaction_are_refused() {
    let world = World::new();
    let id = world.record_open_as(world.new_channel(1, 1_000), vec![1, 2, 3]).await;
    assert_refused(&world, &id, "not exactly one transaction").await;
}

#[tokio::test]
async fn rent_that_another_key_would_pay_is_refused() {
    let world = World::new();
    let mut channel = world.new_channel(1, 1_000);
    channel.agreement.rent_payer = world.payer.pubkey();
    let transaction = world.payer_signed(&[world.open_instruction(&channel)]);
    let id = world.record_open_as(channel, transaction).await;
    assert_refused(&world, &id, "rent payer").await;
}

#[tokio::test]
async fn open_that_the_payer_cannot_fund_is_refused_before_it_costs_anything() {
    let world = World::new();
    let id = world.record_open(1, PAYER_TOKENS + 1).await;
    assert_refused(&world, &id, "token account holds 50000000 of the 50000001").await;
    assert_eq!(world.chain.lock().simulated, 0);
}

#[tokio::test]
async fn blockhash_that_has_expired_is_refused() {
    let world = World::new();
    let id = world.record_open(1, 1_000).await;
    world.chain.advance(151, 60);
    assert_refused(&world, &id, "blockhash has expired").await;
}

#[tokio::test]
async fn blockhash_is_refused_once_its_rest_of_life_is_below_the_margin() {
    for (blocks, state) in [(130, ChannelState::Open), (131, ChannelState::Failed)] {
        let world = World::new();
        let settler = world.settler().await;
        let id = world.record_open(1, 1_000).await;
        world.chain.advance(blocks, 60);

        world.drive(&settler).await;

        assert_eq!(world.record(&id).await.state, state, "{blocks} blocks later");
    }
}

#[tokio::test]
async fn blockhash_of_an_earlier_process_is_judged_by_the_node() {
    let world = World::new();
    let id = world.record_open(1, 1_000).await;
    world.chain.advance(140, 60);

    // This settler never published that blockhash.
    let settler = world.settler().await;
    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Open);
}

#[tokio::test]
async fn open_that_never_lands_fails_when_its_blockhash_is_over() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.record_open(1, 1_000).await;
    world.chain.fault(Faults { drop_submissions: true, ..Default::default() });
    settler.pass(true).await.unwrap();
    assert_eq!(world.record(&id).await.state, ChannelState::Opening);

    world.chain.advance(159, 60);
    world.drive(&settler).await;

    let record = world.record(&id).await;
    assert_eq!(record.state, ChannelState::Failed);
    assert!(record.failure.unwrap().contains("expired"));
    assert_eq!(world.count(&id, SubmissionKind::Open, SubmissionState::Expired).await, 1);
}

#[tokio::test]
async fn open_that_shows_up_after_it_was_given_up_is_taken_over() {
    let world = World::new();
    let settler = world.settler().await;
    let channel = world.new_channel(1, 1_000);
    let open = world.open_instruction(&channel);
    let id = world.record_open_as(channel, vec![0]).await;
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Failed);

    world.send(&[open], &[&world.payer, &world.fee_payer]);
    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Open);
}

#[tokio::test]
async fn open_that_its_payer_closes_at_once_is_settled_like_any_other() {
    let world = World::new();
    let id = world.record_open(1, 1_000).await;
    world.die_at(SubmissionKind::Open, Step::Submitted).await;
    world.send(&[world.channel(&id).await.request_close()], &[&world.payer]);

    let settler = world.settler().await;
    world.drive(&settler).await;

    world.assert_paid_out(&id, 1_000, 0).await;
}

#[tokio::test]
async fn lost_answer_to_an_open_is_no_second_open() {
    let world = World::new();
    let settler = world.settler().await;
    world.chain.fault(Faults { lose_answers: true, ..Default::default() });
    let id = world.open(&settler, 1, 1_000).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Open);
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 1_000);
}

#[tokio::test]
async fn many_opens_land_side_by_side() {
    let world = World::new();
    for salt in 0..25 {
        world.record_open(salt, 100).await;
    }
    let settler = world.settler().await;
    world.drive(&settler).await;

    let open = world.ledger.channels(&[ChannelState::Open]).await.unwrap();
    assert_eq!(open.len(), 25);
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 2_500);
}

#[tokio::test]
async fn node_that_has_not_heard_of_the_blockhash_is_asked_again() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.record_open(1, 1_000).await;
    world.chain.fault(Faults { simulation_behind: true, ..Default::default() });
    settler.pass(true).await.unwrap();
    assert_eq!(world.record(&id).await.state, ChannelState::Opening);

    world.chain.fault(Default::default());
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Open);
}

#[tokio::test]
async fn channel_that_the_payer_opened_on_other_terms_is_never_touched() {
    let world = World::new();
    let settler = world.settler().await;
    let agreed = world.new_channel(1, 1_000);
    let id =
        world.record_open_as(agreed.clone(), world.payer_signed(&[world.open_instruction(&agreed)])).await;
    // Same seeds, so the same address; but another grace period, and rent of its own.
    let relayer = key(61);
    world.put(
        relayer.pubkey(),
        solana_account::Account::new(1_000_000_000, 0, &toll_protocol::SYSTEM_PROGRAM),
    );
    let mut other = agreed;
    other.agreement.grace_period = 5;
    other.agreement.rent_payer = relayer.pubkey();
    world.send(&[world.open_instruction(&other)], &[&world.payer, &relayer]);
    world.send(&[world.channel(&id).await.request_close()], &[&world.payer]);

    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Failed);
    assert_eq!(world.account(&id).unwrap().status, ChannelStatus::Closing);
    assert_eq!(world.chain.lock().submitted.len(), 0);
}

#[tokio::test]
async fn lookup_table_is_refused() {
    let world = World::new();
    let channel = world.new_channel(1, 1_000);
    let open = world.open_instruction(&channel);
    let mut transaction = world.signed_by(&world.fee_payer.pubkey(), &[open], &[]);
    let VersionedMessage::V0(message) = &mut transaction.message else { panic!("not a v0 message") };
    message.address_table_lookups.push(MessageAddressTableLookup {
        account_key: key(70).pubkey(),
        writable_indexes: vec![0],
        readonly_indexes: vec![],
    });
    transaction.signatures[1] = world.payer.sign_message(&transaction.message.serialize());
    let id = world.record_open_as(channel, encode_transaction(&transaction)).await;
    assert_refused(&world, &id, "lookup tables").await;
}

#[tokio::test]
async fn third_signer_is_refused() {
    let world = World::new();
    let other = key(60);
    let id = {
        let channel = world.new_channel(1, 1_000);
        let mut open = world.open_instruction(&channel);
        open.accounts[2].is_signer = true;
        open.accounts[2].pubkey = other.pubkey();
        let transaction = world.signed_by(&world.fee_payer.pubkey(), &[open], &[&world.payer, &other]);
        world.record_open_as(channel, encode_transaction(&transaction)).await
    };
    assert_refused(&world, &id, "signers are not exactly").await;
}

#[tokio::test]
async fn sponsor_keeps_what_closing_takes_and_says_so_before_it_signs() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;
    // Enough to close what is open, a refund account included, and not enough for another channel.
    let reserve = world.config().purse.minimum_reserve;
    world.put(world.fee_payer.pubkey(), Account::new(reserve + 7_000_000, 0, &SYSTEM_PROGRAM));

    let refused = world.record_open(2, 1_000).await;
    world.drive(&settler).await;

    let record = world.record(&refused).await;
    assert_eq!(record.state, ChannelState::Failed);
    assert!(record.failure.unwrap().contains("sponsor is out of SOL"));
    assert_eq!(world.submissions(&refused, SubmissionKind::Open).await[0].signature, None);

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn sponsor_opens_as_many_as_it_can_pay_for() {
    let world = World::new();
    let settler = world.settler().await;
    // For two opens, their closes with a refund account each, and the fee payer's own minimum.
    let rents = CHANNEL_RENT + TOKEN_ACCOUNT_RENT;
    let closes = 2 * (25_000 + TOKEN_ACCOUNT_RENT) + EMPTY_ACCOUNT_RENT;
    let lamports = world.config().purse.minimum_reserve + 2 * (rents + 10_000) + closes;
    world.put(world.fee_payer.pubkey(), Account::new(lamports, 0, &SYSTEM_PROGRAM));
    for salt in 1..=3 {
        world.record_open(salt, 1_000).await;
    }

    settler.pass(true).await.unwrap();
    world.drive(&settler).await;

    assert_eq!(world.ledger.channels(&[ChannelState::Open]).await.unwrap().len(), 2);
    assert_eq!(world.ledger.channels(&[ChannelState::Failed]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn flood_of_opens_does_not_keep_a_close_waiting() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;
    for salt in 2..=200 {
        // More than the payer has: each fails in its simulation.
        world.record_open(salt, PAYER_TOKENS + salt).await;
    }
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();

    settler.pass(false).await.unwrap();

    assert_eq!(world.count(&id, SubmissionKind::Close, SubmissionState::Recorded).await, 1);
    assert!(world.ledger.requested().await.unwrap().len() >= 100, "the others have to wait");
    world.drive(&settler).await;
    assert_eq!(world.ledger.requested().await.unwrap(), []);
}
