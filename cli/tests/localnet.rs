//! The embedded chain behaves like a cluster, plus a clock that can be moved.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use solana_signer::Signer;
use toll_chain::Cluster;
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::Amount;

/// What the server answers to a websocket handshake.
fn upgrades(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let handshake = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).unwrap();
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

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

    let websocket = localnet.ws_url.trim_start_matches("ws://").to_owned();
    assert!(upgrades(&websocket).starts_with("HTTP/1.1 101"));

    let url = localnet.rpc_url.clone();
    localnet.stop().await;
    assert!(Cluster::new(url).slot().await.is_err());
}
