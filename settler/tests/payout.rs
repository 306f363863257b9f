//! Payouts that reach everybody, and those that wait because a share would be lost.

use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, MAX_PAYABLE_RECIPIENTS, SubmissionKind, SubmissionState};
use toll_protocol::{Amount, ChannelStatus, MAX_TRANSACTION, Split, Splits, TREASURY_OWNER};

use toll_settler::{PurseSettings, SettlerConfig};

use crate::tokens;
use crate::world::{PAYER_TOKENS, World};

/// `count` recipients with 1 % each.
fn recipients(count: u8) -> Splits {
    let recipient = |index: u8| Pubkey::new_from_array([100 + index; 32]);
    Splits::new((0..count).map(|index| Split { recipient: recipient(index), share_bps: 100 }).collect())
        .unwrap()
}

/// Opens a channel, pays 10 000 of 20 000, closes it.
async fn closed(world: &mut World) -> toll_protocol::ChannelId {
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 20_000).await;
    world.pay(&id, 10_000).await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;
    id
}

#[tokio::test]
async fn missing_accounts_are_created_in_the_closing_transaction_and_nothing_is_forfeited() {
    let mut world = World::with_splits(recipients(2));
    let splits = world.splits.clone();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 20_000).await;
    world.pay(&id, 10_000).await;
    world.remove_tokens(splits.as_slice()[0].recipient);
    world.remove_tokens(world.payee.pubkey());
    let before = world.chain.lock().landed.len();

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    assert_eq!(world.chain.lock().landed.len(), before + 1);
    assert_eq!(world.tokens(&splits.as_slice()[0].recipient), 100);
    assert_eq!(world.tokens(&splits.as_slice()[1].recipient), 100);
    assert_eq!(world.tokens(&world.payee.pubkey()), 9_800);
    assert_eq!(world.tokens(&TREASURY_OWNER), 0);
}

#[tokio::test]
async fn account_that_the_payer_closed_is_created_again_for_the_refund() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, PAYER_TOKENS).await;
    world.pay(&id, 10_000).await;
    world.remove_tokens(world.payer.pubkey());

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 10_000);
    assert_eq!(world.tokens(&TREASURY_OWNER), 0);
}

// Closing one's own account and keeping its rent, each time it is created again, must not pay.
#[tokio::test]
async fn refund_account_is_created_at_our_expense_a_few_times_a_day_only() {
    let world = World::new();
    let purse = PurseSettings { refund_accounts_per_day: 1, ..world.config().purse };
    let config = SettlerConfig { purse, ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    for (salt, created) in [(1, true), (2, false)] {
        world.put_tokens(world.payer.pubkey(), 1_000);
        let id = world.open(&settler, salt, 1_000).await;
        world.remove_tokens(world.payer.pubkey());
        world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
        world.drive(&settler).await;
        let account = world.chain.account(&world.token_account(&world.payer.pubkey()));
        assert_eq!(account.is_some(), created, "channel {salt}");
    }
    let held = settler.take_summary().held;
    assert!(held[0].1.contains("missing"), "{held:?}");
    assert_eq!(world.tokens(&TREASURY_OWNER), 0);

    world.put_tokens(world.payer.pubkey(), 0);
    tokio::time::sleep(world.config().poll_interval).await;
    world.drive(&settler).await;
    assert_eq!(world.tokens(&world.payer.pubkey()), 1_000);
}

// Else a payer could spoil its own account, and the payee would never see what it earned.
#[tokio::test]
async fn payee_is_paid_in_the_end_whatever_the_payer_did_to_its_own_account() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 20_000).await;
    world.pay(&id, 19_999).await;
    let reassigned = tokens::account(world.mint, TREASURY_OWNER, world.token_program, 0);
    world.put(world.token_account(&world.payer.pubkey()), reassigned);
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();

    let day = i64::try_from(world.config().refund_patience.as_secs()).unwrap();
    for (seconds, paid) in [(0, 0), (day - 1, 0), (1, 19_999)] {
        world.clock.advance(seconds);
        tokio::time::sleep(world.config().poll_interval).await;
        world.drive(&settler).await;
        assert_eq!(world.tokens(&world.payee.pubkey()), paid, "after {seconds} more seconds");
    }

    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
    assert_eq!(world.tokens(&TREASURY_OWNER), 1, "what the payer would not take");
}

#[tokio::test]
async fn account_without_a_share_is_not_created() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 20_000).await;
    world.remove_tokens(world.payee.pubkey());

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
    assert_eq!(world.chain.account(&world.token_account(&world.payee.pubkey())), None);
}

#[tokio::test]
async fn frozen_account_is_sealed_for_but_not_paid_until_it_thaws() {
    let mut world = World::with_splits(recipients(1));
    let recipient = world.splits.as_slice()[0].recipient;
    let mut frozen = tokens::account(world.mint, recipient, world.token_program, 0);
    frozen.data[108] = 2;
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 20_000).await;
    world.pay(&id, 10_000).await;
    world.put(world.token_account(&recipient), frozen);

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    let account = world.account(&id).unwrap();
    assert_eq!((account.status, account.settled), (ChannelStatus::Sealed, Amount::new(10_000)));
    assert_eq!(world.tokens(&world.payee.pubkey()), 0);
    let held = settler.take_summary().held;
    assert!(held[0].1.contains("frozen"), "{held:?}");

    world.put_tokens(recipient, 0);
    tokio::time::sleep(world.config().poll_interval).await;
    world.drive(&settler).await;

    assert_eq!(world.tokens(&recipient), 100);
    assert_eq!(world.tokens(&TREASURY_OWNER), 0);
    let record = world.record(&id).await;
    assert_eq!((record.state, record.refunded), (ChannelState::Closed, Some(Amount::new(10_000))));
    assert!(settler.take_summary().held.is_empty());
}

#[tokio::test]
async fn close_too_large_for_one_transaction_seals_first_and_pays_next() {
    let mut world = World::with_splits(recipients(MAX_PAYABLE_RECIPIENTS as u8));
    let id = closed(&mut world).await;

    assert_eq!(world.count(&id, SubmissionKind::Close, SubmissionState::Landed).await, 1);
    assert_eq!(world.count(&id, SubmissionKind::Distribute, SubmissionState::Landed).await, 1);
    assert!(world.chain.lock().submitted.iter().all(|bytes| bytes.len() <= MAX_TRANSACTION));
    for split in world.splits.as_slice() {
        assert_eq!(world.tokens(&split.recipient), 100);
    }
    assert_eq!(world.tokens(&world.payee.pubkey()), 9_000);
    let record = world.record(&id).await;
    assert_eq!((record.state, record.refunded), (ChannelState::Closed, Some(Amount::new(10_000))));
    let distribute = &world.submissions(&id, SubmissionKind::Distribute).await[0];
    assert_eq!(record.close_signature, distribute.signature);
}

#[tokio::test]
async fn more_accounts_than_fit_are_created_over_several_transactions() {
    let mut world = World::with_splits(recipients(MAX_PAYABLE_RECIPIENTS as u8));
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 20_000).await;
    world.pay(&id, 10_000).await;
    for split in world.splits.as_slice() {
        world.remove_tokens(split.recipient);
    }

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    assert!(world.chain.lock().submitted.iter().all(|bytes| bytes.len() <= MAX_TRANSACTION));
    for split in world.splits.as_slice() {
        assert_eq!(world.tokens(&split.recipient), 100);
    }
    assert_eq!(world.tokens(&TREASURY_OWNER), 0);
    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
}

#[tokio::test]
async fn channel_with_more_recipients_than_a_payout_carries_is_not_opened() {
    let world = World::with_splits(recipients(MAX_PAYABLE_RECIPIENTS as u8 + 1));
    let settler = world.settler().await;
    let id = world.record_open(1, 20_000).await;

    world.drive(&settler).await;

    let record = world.record(&id).await;
    assert_eq!(record.state, ChannelState::Failed);
    assert!(record.failure.unwrap().contains("recipients"));
    assert_eq!(world.chain.lock().submitted.len(), 0);
}

#[tokio::test]
async fn dust_goes_to_the_treasury() {
    let mut world = World::with_splits(recipients(2));
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 20_000).await;
    world.pay(&id, 150).await;

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    // 1 % of 150 is 1.5, and 98 % is 147.
    assert_eq!(world.tokens(&world.payee.pubkey()), 147);
    assert_eq!(world.tokens(&TREASURY_OWNER), 1);
}

#[tokio::test]
async fn token_2022_account_that_is_created_for_a_payout_can_take_it() {
    let mut world = World::token_2022();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 20_000).await;
    world.pay(&id, 10_000).await;
    world.remove_tokens(world.payee.pubkey());

    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;

    world.assert_paid_out(&id, 20_000, 10_000).await;
    let created = world.chain.account(&world.token_account(&world.payee.pubkey())).unwrap();
    assert!(created.data.len() > 165, "with an extension that the next payout has to put up with");

    let second = world.open(&settler, 2, 20_000).await;
    world.pay(&second, 5_000).await;
    world.ledger.request_close(&second, CloseReason::Requested, None).await.unwrap();
    world.drive(&settler).await;
    assert_eq!(world.tokens(&world.payee.pubkey()), 15_000);
}
