//! A settler killed between any two steps, and the next one that finishes its work exactly once.

use std::sync::{Arc, Mutex};

use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_protocol::{ChannelId, ChannelStatus};
use toll_settler::Step;

use crate::chain::{CHANNEL_RENT, NOW};
use crate::world::{GRACE_PERIOD, PAYER_TOKENS, World};

/// A channel with 160 of 1000 accepted, and a ledger that no settler holds.
async fn paid_channel() -> (World, ChannelId) {
    let mut world = World::new();
    let id = world.opened(1, 1_000).await;
    world.pay(&id, 160).await;
    (world, id)
}

/// Kills at `step` of `kind`, then lets a new settler finish.
async fn kill_and_restart(world: &World, kind: SubmissionKind, step: Step) {
    world.die_at(kind, step).await;
    let settler = world.settler().await;
    world.drive(&settler).await;
}

/// Exactly one submission of `kind` landed, and none is left in doubt.
async fn assert_landed_once(world: &World, id: &ChannelId, kind: SubmissionKind, step: Step) {
    assert_eq!(world.count(id, kind, SubmissionState::Landed).await, 1, "{kind} killed at {step:?}");
    assert_eq!(world.ledger.unresolved().await.unwrap(), [], "{kind} killed at {step:?}");
}

#[tokio::test]
async fn close_is_finished_exactly_once_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let (world, id) = paid_channel().await;
        let before = world.chain.lock().landed.len();
        world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();

        kill_and_restart(&world, SubmissionKind::Close, step).await;

        assert_eq!(world.chain.lock().landed.len(), before + 1, "killed at {step:?}");
        assert_landed_once(&world, &id, SubmissionKind::Close, step).await;
        world.assert_paid_out(&id, 1_000, 160).await;
    }
}

/// `count` channels with 160 of 1000 accepted each, all of which are to close.
async fn closing_channels(count: u64) -> (World, Vec<ChannelId>) {
    let mut world = World::new();
    let settler = world.settler().await;
    let mut ids = Vec::new();
    for salt in 0..count {
        ids.push(world.record_open(salt, 1_000).await);
    }
    world.drive(&settler).await;
    drop(settler);
    for id in &ids {
        world.pay(id, 160).await;
        world.ledger.request_close(id, CloseReason::Requested, None).await.unwrap();
    }
    (world, ids)
}

async fn assert_closed_exactly_once(world: &World, ids: &[ChannelId], step: Step) {
    for id in ids {
        assert_landed_once(world, id, SubmissionKind::Close, step).await;
        assert_eq!(world.record(id).await.state, ChannelState::Closed, "killed at {step:?}");
        let landed = world.ledger.submissions_of(id).await.unwrap();
        let landed = landed.iter().filter(|one| one.state == SubmissionState::Landed);
        let effects = landed.flat_map(|one| &one.effects);
        let payouts = effects.filter(|effect| effect.channel == *id && effect.pays_out).count();
        assert_eq!(payouts, 1, "killed at {step:?}");
    }
    let paid = 160 * ids.len() as u64;
    assert_eq!(world.tokens(&world.payee.pubkey()), paid, "killed at {step:?}");
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - paid, "killed at {step:?}");
    assert_eq!(world.ledger.holds().await.unwrap(), [], "killed at {step:?}");
}

#[tokio::test]
async fn closes_in_one_transaction_are_finished_exactly_once_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let (world, ids) = closing_channels(2).await;
        let before = world.chain.lock().landed.len();

        kill_and_restart(&world, SubmissionKind::Close, step).await;

        assert_eq!(world.chain.lock().landed.len(), before + 1, "killed at {step:?}");
        assert_closed_exactly_once(&world, &ids, step).await;
    }
}

#[tokio::test]
async fn seals_and_payouts_in_their_transactions_are_finished_exactly_once_after_a_kill_at_any_step() {
    for kind in [SubmissionKind::Close, SubmissionKind::Distribute] {
        for step in Step::ALL {
            let (world, ids) = closing_channels(6).await;

            kill_and_restart(&world, kind, step).await;

            assert_closed_exactly_once(&world, &ids, step).await;
        }
    }
}

#[tokio::test]
async fn settles_in_one_transaction_are_finished_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let mut world = World::new();
        let ids = [world.opened(1, 1_000).await, world.opened(2, 1_000).await];
        for id in &ids {
            world.pay_until(id, 160, NOW + 100).await;
        }

        kill_and_restart(&world, SubmissionKind::Settle, step).await;

        for id in &ids {
            assert_landed_once(&world, id, SubmissionKind::Settle, step).await;
            assert_eq!(world.record(id).await.watermarks.settled.get(), 160, "killed at {step:?}");
        }
        assert_eq!(world.ledger.holds().await.unwrap(), [], "killed at {step:?}");
    }
}

#[tokio::test]
async fn open_lands_exactly_once_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let world = World::new();
        let id = world.record_open(1, 1_000).await;

        kill_and_restart(&world, SubmissionKind::Open, step).await;

        assert_eq!(world.chain.lock().landed.len(), 1, "killed at {step:?}");
        assert_landed_once(&world, &id, SubmissionKind::Open, step).await;
        assert_eq!(world.record(&id).await.state, ChannelState::Open);
        assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 1_000);
    }
}

#[tokio::test]
async fn top_up_lands_exactly_once_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let (world, id) = paid_channel().await;
        world.record_top_up(&id, 500).await;

        kill_and_restart(&world, SubmissionKind::TopUp, step).await;

        assert_landed_once(&world, &id, SubmissionKind::TopUp, step).await;
        assert_eq!(world.account(&id).unwrap().deposit.get(), 1_500, "killed at {step:?}");
        assert_eq!(world.record(&id).await.watermarks.deposit.get(), 1_500);
    }
}

#[tokio::test]
async fn late_seal_is_finished_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let (world, id) = paid_channel().await;
        world.send(&[world.channel(&id).await.request_close()], &[&world.payer]);
        world.chain.advance(10, i64::from(GRACE_PERIOD));

        kill_and_restart(&world, SubmissionKind::Seal, step).await;

        assert_landed_once(&world, &id, SubmissionKind::Seal, step).await;
        world.assert_paid_out(&id, 1_000, 0).await;
    }
}

#[tokio::test]
async fn partial_settle_is_finished_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let mut world = World::new();
        let id = world.opened(1, 1_000).await;
        world.pay_until(&id, 160, NOW + 100).await;

        kill_and_restart(&world, SubmissionKind::Settle, step).await;

        assert_landed_once(&world, &id, SubmissionKind::Settle, step).await;
        assert_eq!(world.record(&id).await.watermarks.settled.get(), 160, "killed at {step:?}");
        assert_eq!(world.account(&id).unwrap().status, ChannelStatus::Open);
    }
}

#[tokio::test]
async fn reclaim_is_finished_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let (world, id) = paid_channel().await;
        world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
        let settler = world.settler().await;
        world.drive(&settler).await;
        drop(settler);
        world.chain.advance(1_501, 600);
        let before = world.chain.lamports(&world.fee_payer.pubkey());

        kill_and_restart(&world, SubmissionKind::Reclaim, step).await;

        assert_landed_once(&world, &id, SubmissionKind::Reclaim, step).await;
        assert_eq!(world.record(&id).await.state, ChannelState::Gone, "killed at {step:?}");
        assert_eq!(world.chain.lamports(&world.fee_payer.pubkey()), before + CHANNEL_RENT - 5_000);
    }
}

#[tokio::test]
async fn close_killed_before_sending_and_found_after_expiry_is_planned_anew() {
    let (world, id) = paid_channel().await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.die_at(SubmissionKind::Close, Step::Recorded).await;
    world.chain.advance(400, 160);

    let settler = world.settler().await;
    world.drive(&settler).await;

    assert_eq!(world.count(&id, SubmissionKind::Close, SubmissionState::Expired).await, 1);
    assert_eq!(world.count(&id, SubmissionKind::Close, SubmissionState::Landed).await, 1);
    assert_eq!(world.chain.lock().submitted.len(), 2, "the open and the second close");
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn close_killed_after_sending_and_found_after_expiry_is_not_repeated() {
    let (world, id) = paid_channel().await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.die_at(SubmissionKind::Close, Step::Submitted).await;
    world.chain.advance(400, 160);

    let settler = world.settler().await;
    world.drive(&settler).await;

    assert_eq!(world.submissions(&id, SubmissionKind::Close).await.len(), 1);
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn settler_killed_again_and_again_still_closes_once() {
    let (world, id) = paid_channel().await;
    let before = world.chain.lock().landed.len();
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();

    for step in Step::ALL {
        world.die_at(SubmissionKind::Close, step).await;
    }
    let settler = world.settler().await;
    world.drive(&settler).await;

    assert_eq!(world.chain.lock().landed.len(), before + 1);
    assert_landed_once(&world, &id, SubmissionKind::Close, Step::Marked).await;
    world.assert_paid_out(&id, 1_000, 160).await;
}

#[tokio::test]
async fn steps_come_in_order_and_the_record_comes_before_the_cluster_hears_of_it() {
    let (world, id) = paid_channel().await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    let sent_before = world.chain.lock().submitted.len();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (chain, steps) = (world.chain.clone(), Arc::clone(&seen));
    let settler = world.settler().await.on_step(move |kind, step| {
        let sent = chain.lock().submitted.len() - sent_before;
        steps.lock().unwrap().push((kind, step, sent));
    });

    world.drive(&settler).await;

    let expected = Step::ALL.map(|step| {
        let sent = usize::from(step as u8 >= Step::Submitted as u8);
        (SubmissionKind::Close, step, sent)
    });
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn settler_killed_with_its_close_on_record_finds_it_there() {
    let (world, id) = paid_channel().await;
    world.ledger.request_close(&id, CloseReason::Requested, None).await.unwrap();
    world.die_at(SubmissionKind::Close, Step::Built).await;
    assert_eq!(world.submissions(&id, SubmissionKind::Close).await, []);

    world.die_at(SubmissionKind::Close, Step::Recorded).await;
    let closes = world.submissions(&id, SubmissionKind::Close).await;
    assert_eq!(closes.iter().map(|close| close.state).collect::<Vec<_>>(), [SubmissionState::Recorded]);
    assert_eq!(world.account(&id).unwrap().status, ChannelStatus::Open);
}
