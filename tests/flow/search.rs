//! What the settler asks of a node about all channels at once, asked of a real one.

use std::time::Duration;

use solana_signer::Signer;
use toll_chain::{Chain, ChannelFilter, RpcChain};
use toll_protocol::{Amount, ChannelStatus, PROGRAM_ID};
use toll_tests::TestChain;
use toll_tests::world::{AtShutdown, DEPOSIT};

/// How long a subscription may take to come about, or to tell.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn forced_close_is_hinted_at_searched_for_and_listed() {
    let mut world = super::world(AtShutdown::LeaveOpen).await;
    let (payer, book) = (world.payer(), world.book());
    let id = world.pay(&payer, &book, 1).await[0].payment.as_ref().expect("paid").channel;
    world.stop_server().await;
    let TestChain::Embedded(localnet) = &world.chain else { panic!("this chain is embedded") };
    // Nobody listens at the first of them.
    let websockets = vec!["ws://127.0.0.1:9".to_owned(), localnet.ws_url.clone()];
    let chain = RpcChain::new(world.chain.rpc_url()).with_websockets(websockets);
    let payee = world.actors.payee.pubkey();
    let filter = ChannelFilter { program: PROGRAM_ID, payee, status: ChannelStatus::Closing };
    let mut hints = chain.hints(&filter).expect("there are subscriptions");
    tokio::time::timeout(PATIENCE, hints.next()).await.expect("the second node takes the subscription");
    let slot = chain.tip().await.expect("a tip").slot;
    assert_eq!(chain.find_channels(&filter, slot).await.expect("the node searches").addresses, []);

    world.act_as_payer(world.instructions(id).request_close()).await.expect("the close begins");

    tokio::time::timeout(PATIENCE, hints.next()).await.expect("a hint");
    let found = chain.find_channels(&filter, slot).await.expect("the node searches");
    assert_eq!(found.addresses, [id.pubkey()]);
    assert!(found.slot >= slot);
    let listed = chain.list_channels(&PROGRAM_ID, &payee, slot).await.expect("the node lists");
    let [(address, standing)] = listed.channels.as_slice() else { panic!("{listed:?}") };
    assert_eq!(*address, id.pubkey());
    assert_eq!((standing.status, standing.deposit), (ChannelStatus::Closing, DEPOSIT));
    assert_eq!(standing.settled, Amount::ZERO);
}
