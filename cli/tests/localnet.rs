//! The embedded chain behaves like a cluster, plus a clock that can be moved.

use solana_signer::Signer;
use toll_cli::cluster::Cluster;
use toll_cli::localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::Amount;

#[tokio::test]
async fn a_fresh_chain_funds_actors_and_moves_its_clock() {
    let localnet =
        Localnet::start(LocalnetConfig { slot_ms: 100, ..LocalnetConfig::default() }).await.unwrap();
    let actors = Actors::new();
    let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await.unwrap();

    fixture.mint_to(&actors.payer.pubkey(), Amount::new(50_000_000)).await.unwrap();

    assert_eq!(fixture.tokens(&actors.payer.pubkey()).await.unwrap(), Amount::new(50_000_000));
    assert_eq!(fixture.cluster.lamports(&actors.payer.pubkey()).await.unwrap(), 0);

    let slot = fixture.cluster.slot().await.unwrap();
    localnet.advance_to_slot(slot + 1_501).await.unwrap();
    assert!(fixture.cluster.slot().await.unwrap() >= slot + 1_501);
    // The chain still takes transactions afterwards.
    fixture.mint_to(&actors.payer.pubkey(), Amount::new(1)).await.unwrap();

    let url = localnet.rpc_url.clone();
    localnet.stop().await;
    assert!(Cluster::new(url).slot().await.is_err());
}
