//! Rent that comes back once a channel's slot window is over.

use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_protocol::{ChannelId, MAX_TRANSACTION};

use crate::chain::CHANNEL_RENT;
use crate::world::World;

async fn close(world: &World, settler: &toll_settler::Settler, id: &ChannelId) {
    world.ledger.request_close(id, CloseReason::Requested, None).await.unwrap();
    world.drive(settler).await;
}

#[tokio::test]
async fn rent_is_reclaimed_one_slot_after_the_window_and_not_before() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    close(&world, &settler, &id).await;

    world.chain.advance(1_500, 600);
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Closed);
    assert_eq!(world.submissions(&id, SubmissionKind::Reclaim).await, []);

    world.chain.advance(1, 0);
    world.drive(&settler).await;
    assert_eq!(world.record(&id).await.state, ChannelState::Gone);
    assert_eq!(world.account(&id), None);
    world.assert_rent_returned(settler.take_summary().fee_lamports(), 0);
}

#[tokio::test]
async fn many_channels_are_reclaimed_in_full_batches() {
    let world = World::new();
    let settler = world.settler().await;
    for salt in 0..40 {
        world.record_open(salt, 100).await;
    }
    world.drive(&settler).await;
    settler.close_all(CloseReason::Shutdown).await.unwrap();
    world.drive(&settler).await;
    assert_eq!(world.ledger.channels(&[ChannelState::Closed]).await.unwrap().len(), 40);
    settler.take_summary();

    world.chain.advance(1_501, 600);
    let before = world.chain.lamports(&world.fee_payer.pubkey());
    world.drive(&settler).await;

    assert_eq!(world.ledger.channels(&[ChannelState::Gone]).await.unwrap().len(), 40);
    let summary = settler.take_summary();
    let batches: Vec<_> = summary.reports.iter().map(|report| report.channels.len()).collect();
    assert_eq!(batches.iter().sum::<usize>(), 40);
    assert_eq!(batches.len(), 2, "{batches:?}");
    assert!(batches.iter().any(|batch| *batch >= 25), "{batches:?}");
    let chain = world.chain.lock();
    assert!(chain.landed.iter().all(|bytes| bytes.len() <= MAX_TRANSACTION));
    drop(chain);
    let after = world.chain.lamports(&world.fee_payer.pubkey());
    assert_eq!(after, before + 40 * CHANNEL_RENT - summary.fee_lamports());
}

#[tokio::test]
async fn close_after_the_window_gives_the_account_back_at_once() {
    let mut world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    world.pay(&id, 160).await;
    world.chain.advance(1_501, 600);

    close(&world, &settler, &id).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Gone);
    assert_eq!(world.submissions(&id, SubmissionKind::Reclaim).await, []);
    world.assert_paid_out(&id, 1_000, 160).await;
    world.assert_rent_returned(settler.take_summary().fee_lamports(), 0);
}

#[tokio::test]
async fn channel_reclaimed_by_somebody_else_is_gone_without_a_transaction() {
    let world = World::new();
    let settler = world.settler().await;
    let id = world.open(&settler, 1, 1_000).await;
    close(&world, &settler, &id).await;
    world.chain.advance(1_501, 600);
    world.send(&[world.channel(&id).await.reclaim()], &[]);

    world.drive(&settler).await;

    assert_eq!(world.record(&id).await.state, ChannelState::Gone);
    assert_eq!(world.submissions(&id, SubmissionKind::Reclaim).await, []);
}

#[tokio::test]
async fn one_channel_that_went_meanwhile_does_not_spoil_the_batch() {
    let world = World::new();
    let settler = world.settler().await;
    let mut ids = Vec::new();
    for salt in 0..3 {
        let id = world.open(&settler, salt, 100).await;
        close(&world, &settler, &id).await;
        ids.push(id);
    }
    world.chain.advance(1_501, 600);
    // The settler looks, then somebody is faster.
    let reclaim = world.channel(&ids[1]).await.reclaim();
    let chain = world.chain.clone();
    let payer = crate::world::key(201);
    world.put(payer.pubkey(), solana_account::Account::new(1_000_000_000, 0, &toll_protocol::SYSTEM_PROGRAM));
    let transaction = std::sync::Mutex::new(Some(world.signed_by(&payer.pubkey(), &[reclaim], &[&payer])));
    let settler = settler.on_step(move |kind, _| {
        if kind == SubmissionKind::Reclaim
            && let Some(transaction) = transaction.lock().unwrap().take()
        {
            chain.lock().svm.send_transaction(transaction).unwrap();
        }
    });

    world.drive(&settler).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    world.drive(&settler).await;

    for id in &ids {
        assert_eq!(world.record(id).await.state, ChannelState::Gone);
    }
    assert_eq!(world.count(&ids[0], SubmissionKind::Reclaim, SubmissionState::Landed).await, 1);
    assert_eq!(world.submissions(&ids[1], SubmissionKind::Reclaim).await, []);
}
