//! What payer, server and chain do together, from the first request to the last lamport.
//!
//! Each scenario works on a fresh [`World`] and runs on any chain.

use toll_protocol::{Amount, ChannelStatus, OPEN_SLOT_WINDOW};

use crate::World;
use crate::world::{DEPOSIT, FUNDS, GRACE, PRICE};

/// Vouchers, a top-up when the deposit runs short, a cooperative close: everyone gets what is theirs, and the
/// rent comes back.
pub async fn session_from_open_to_reclaim(mut world: World) {
    let (payer, book) = (world.payer(), world.book());
    let sponsor_before = world.sponsor_lamports().await;

    let replies = world.pay(&payer, &book, 15).await;
    let payments: Vec<_> = replies.iter().filter_map(|reply| reply.payment.as_ref()).collect();
    assert!(payments[0].opened && payments[1..].iter().all(|payment| !payment.opened));
    assert_eq!(payments.iter().filter(|payment| !payment.topped_up.is_zero()).count(), 1);
    assert_eq!(world.upstream.served(), 15);
    let id = payments[0].channel;
    let account = world.channel(&id).await.expect("open");
    assert_eq!((account.status, account.settled), (ChannelStatus::Open, Amount::ZERO));
    assert!(account.deposit > DEPOSIT);

    payer.close(&book, &id).await.expect("the close is answered");
    let spent = 15 * PRICE.get();
    assert_eq!(world.balances().await, (FUNDS.get() - spent, spent));
    let escrow = world.cluster().account(&world.instructions(id).escrow()).await.expect("the chain answers");
    assert!(escrow.is_none(), "the escrow account is closed");
    assert_eq!(world.channel(&id).await.map(|account| account.status), Some(ChannelStatus::Distributed));

    world.chain.wait_for_slot(account.open_slot + OPEN_SLOT_WINDOW + 2).await;
    world.wait_for_channel(&id, "reclaimed", |account| account.is_none()).await;
    let fees = fees(&mut world).await;
    assert_eq!(world.sponsor_lamports().await, sponsor_before - fees);
}

/// The payer walks away without the server: the settler brings the last voucher on chain before the grace
/// period ends, and the server sells nothing more on that channel.
pub async fn payer_leaves_and_the_payee_loses_nothing(world: World) {
    let (payer, book) = (world.payer(), world.book());
    let id = world.pay(&payer, &book, 3).await[0].payment.as_ref().expect("paid").channel;

    world.act_as_payer(world.instructions(id).request_close()).await.expect("the request lands");
    world
        .wait_for_channel(&id, "distributed", |account| {
            account.is_some_and(|account| account.status == ChannelStatus::Distributed)
        })
        .await;
    assert_eq!(world.balances().await, (FUNDS.get() - 3 * PRICE.get(), 3 * PRICE.get()));

    // The same client goes on, on a channel of its own making.
    let next = world.pay(&payer, &book, 1).await[0].payment.as_ref().expect("paid").channel;
    assert_ne!(next, id);
}

/// The server is gone for good: after the grace period the payer takes back everything. Needs a world that leaves
/// channels open.
pub async fn server_vanishes_and_the_payer_loses_nothing(mut world: World) {
    let (payer, book) = (world.payer(), world.book());
    let id = world.pay(&payer, &book, 2).await[0].payment.as_ref().expect("paid").channel;
    world.stop_server().await;

    let channel = world.instructions(id);
    world.act_as_payer(channel.request_close()).await.expect("the request lands");
    world.chain.wait(u64::from(GRACE) + 2).await;
    world.act_as_payer(channel.seal()).await.expect("anyone seals after the grace period");
    world.act_as_payer(channel.withdraw_payer()).await.expect("the payer withdraws");
    assert_eq!(world.balances().await, (FUNDS.get(), 0));
}

/// Stopping the server closes its channels first: nothing accepted stays behind.
pub async fn shutdown_settles_what_was_accepted(mut world: World) {
    let (payer, book) = (world.payer(), world.book());
    let id = world.pay(&payer, &book, 4).await[0].payment.as_ref().expect("paid").channel;

    world.stop_server().await;

    assert_eq!(world.channel(&id).await.map(|account| account.status), Some(ChannelStatus::Distributed));
    assert_eq!(world.balances().await, (FUNDS.get() - 4 * PRICE.get(), 4 * PRICE.get()));
}

/// What the settler has paid in fees, read from the chain.
async fn fees(world: &mut World) -> u64 {
    let ledger = world.server().ledger().clone();
    let mut fees = 0;
    for channel in ledger.channels(toll_ledger::ChannelState::ALL).await.expect("the ledger answers") {
        for submission in ledger.submissions_of(&channel.id).await.expect("the ledger answers") {
            let Some(signature) = submission.signature else { continue };
            fees += world.cluster().outcome(&signature).await.expect("it landed").fee_lamports;
        }
    }
    fees
}
