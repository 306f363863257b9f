//! Sessions that end with a payout: the channel and the rest of its deposit stay, by the payer's word.

use solana_signer::Signer;
use toll_ledger::{ChannelState, CloseReason, SubmissionKind, SubmissionState};
use toll_protocol::{Amount, ChannelId, ChannelStatus};
use toll_settler::{Renew, Settler, SettlerConfig, Step};

use crate::world::{IDLE_TIMEOUT, PAYER_TOKENS, World};

/// Channels with 160 of 1000 paid each, that are idle and whose payer leaves the rest there.
async fn idle(count: u64) -> (World, Vec<ChannelId>) {
    let mut world = World::new();
    (world.renew, world.keep_deposits) = (Renew::Always, true);
    let settler = world.settler().await;
    let mut ids = Vec::new();
    for salt in 0..count {
        ids.push(world.open(&settler, salt, 1_000).await);
    }
    drop(settler);
    for id in &ids {
        world.pay(id, 160).await;
    }
    world.clock.advance(i64::from(IDLE_TIMEOUT));
    (world, ids)
}

/// Asserts that the payee has what it earned, and that the channels serve on with what they have.
async fn assert_kept(world: &World, ids: &[ChannelId], why: &str) {
    for id in ids {
        let account = world.account(id).unwrap();
        let amounts = [account.deposit, account.settled, account.payout_watermark].map(Amount::get);
        assert_eq!((account.status, amounts), (ChannelStatus::Open, [1_000, 160, 160]), "{why}");
        let record = world.record(id).await;
        assert_eq!((record.state, record.pay_out_to), (ChannelState::Open, None), "{why}");
        assert_eq!(record.watermarks.deposit, Amount::new(1_000), "{why}");
    }
    let count = ids.len() as u64;
    assert_eq!(world.tokens(&world.payee.pubkey()), 160 * count, "{why}");
    assert_eq!(world.tokens(&world.payer.pubkey()), PAYER_TOKENS - 1_000 * count, "{why}");
    assert_eq!(world.ledger.unresolved().await.unwrap(), [], "{why}");
    assert_eq!(world.ledger.holds().await.unwrap(), [], "{why}");
}

async fn closed(world: &World, settler: &Settler, id: &ChannelId, earned: u64) {
    world.ledger.request_close(id, CloseReason::Requested, None).await.unwrap();
    world.drive(settler).await;
    world.assert_paid_out(id, 1_000, earned).await;
}

#[tokio::test]
async fn the_next_session_goes_on_with_the_deposit_that_stayed() {
    let (mut world, ids) = idle(1).await;
    let settler = world.settler().await;

    world.drive(&settler).await;

    assert_kept(&world, &ids, "the first session is over").await;
    let before = world.chain.lock().landed.len();
    world.pay(&ids[0], 400).await;
    world.drive(&settler).await;
    assert_eq!(world.chain.lock().landed.len(), before, "and begins without a transaction");
    closed(&world, &settler, &ids[0], 400).await;
}

#[tokio::test]
async fn payouts_of_several_channels_share_a_signature_and_need_none_of_the_payee() {
    let (world, ids) = idle(2).await;
    let settler = world.settler().await;

    world.drive(&settler).await;

    assert_kept(&world, &ids, "packed").await;
    let settles = world.submissions(&ids[0], SubmissionKind::Settle).await;
    assert_eq!((settles.len(), settles[0].channels().len()), (1, 2));
    assert_eq!(settles[0].fee_lamports, Some(15_000), "one signature, and one for each voucher");
}

#[tokio::test]
async fn a_payout_is_finished_exactly_once_after_a_kill_at_any_step() {
    for step in Step::ALL {
        let (world, ids) = idle(2).await;
        let before = world.chain.lock().landed.len();

        world.die_at(SubmissionKind::Settle, step).await;
        let settler = world.settler().await;
        world.drive(&settler).await;

        assert_eq!(world.chain.lock().landed.len(), before + 1, "killed at {step:?}");
        assert_kept(&world, &ids, &format!("killed at {step:?}")).await;
    }
}

#[tokio::test]
async fn what_is_settled_already_is_only_paid_out() {
    let (world, ids) = idle(1).await;
    let id = &ids[0];
    let channel = world.channel(id).await;
    let voucher = world.voucher(id, 160, 0);
    world.send(&[toll_protocol::ed25519_verify(voucher.signed()), channel.settle()], &[]);
    let always = toll_ledger::Renewal { returning: false, worth: Amount::ZERO, can_rearm: true };
    let requested = world.ledger.request_renewal(id, always, world.ledger.now()).await.unwrap();
    assert_eq!(requested, toll_ledger::RenewalRequested::Kept);
    let settler = world.settler().await;

    world.drive(&settler).await;

    assert_kept(&world, &ids, "somebody else had settled").await;
    assert_eq!(world.count(id, SubmissionKind::Distribute, SubmissionState::Landed).await, 1);
    assert_eq!(world.submissions(id, SubmissionKind::Settle).await, []);
}

#[tokio::test]
async fn a_payer_that_forces_a_close_gets_everything_but_what_it_owes() {
    let (mut world, ids) = idle(1).await;
    let settler = world.settler().await;
    world.drive(&settler).await;
    world.pay(&ids[0], 240).await;

    world.send(&[world.channel(&ids[0]).await.request_close()], &[&world.payer]);
    world.drive(&settler).await;

    world.assert_paid_out(&ids[0], 1_000, 240).await;
}

#[tokio::test]
async fn a_payer_that_stays_away_is_refunded_after_another_idle_timeout() {
    let (world, ids) = idle(1).await;
    let settler = world.settler().await;
    world.drive(&settler).await;

    world.clock.advance(i64::from(IDLE_TIMEOUT) - 1);
    world.drive(&settler).await;
    assert_kept(&world, &ids, "it waits").await;
    world.clock.advance(1);
    world.drive(&settler).await;

    world.assert_paid_out(&ids[0], 1_000, 160).await;
}

#[tokio::test]
async fn a_payee_that_cannot_be_paid_keeps_nothing_from_being_settled() {
    let (world, ids) = idle(1).await;
    let settler = world.settler().await;
    let mut account = world.chain.account(&world.token_account(&world.payee.pubkey())).unwrap();
    account.data[108] = 2;
    world.put(world.token_account(&world.payee.pubkey()), account);

    for _ in 0..5 {
        settler.publish_tip().await.unwrap();
        settler.pass(true).await.unwrap();
    }

    let account = world.account(&ids[0]).unwrap();
    assert_eq!((account.settled.get(), account.payout_watermark.get()), (160, 0));
    assert_eq!(world.record(&ids[0]).await.pay_out_to, Some(Amount::new(160)));
}

#[tokio::test]
async fn a_server_that_renews_nothing_refunds_whatever_the_payer_said() {
    let (mut world, ids) = idle(1).await;
    world.renew = Renew::Never;
    let settler = world.settler().await;

    world.drive(&settler).await;

    world.assert_paid_out(&ids[0], 1_000, 160).await;
}

#[tokio::test]
async fn renew_wait_seconds_lets_idle_channels_wait_for_company() {
    let (world, ids) = idle(1).await;
    let config = SettlerConfig { renew_wait: std::time::Duration::from_secs(30), ..world.config() };
    let settler = world.start(world.keys(), config).await.unwrap();
    world.drive(&settler).await;
    assert_eq!(world.account(&ids[0]).unwrap().settled, Amount::ZERO, "it waits, and sells on");
    assert_eq!(world.record(&ids[0]).await.state, ChannelState::Open);

    world.clock.advance(30);
    world.drive(&settler).await;

    assert_kept(&world, &ids, "nobody came").await;
}
