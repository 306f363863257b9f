//! A shop that strangers buy from: found by discovery, with routes of both signers.

use solana_keypair::Keypair;
use solana_signer::Signer;
use toll_cli::keys;
use toll_cli::server::Role;
use toll_protocol::{ChannelId, ChannelStatus};
use toll_tests::World;

/// Name of the host, and of the protection space: validators compare them.
const HOST: &str = "localhost";

/// A world whose server also signs vouchers itself, below `/operated`, and says what it sells.
pub(crate) async fn shop() -> World {
    let mut world = crate::world().await;
    world.stop_server().await;
    let operator = Keypair::new();
    let file = world.folder().join("operator.json");
    keys::write(&file, &operator, false).expect("a key is written");
    let config = &mut world.config;
    config.gateway.realm = HOST.to_owned();
    config.gateway.operator_key_file = Some(file);
    config.session.operator = Some(operator.pubkey());
    config.discovery.public_url = Some(format!("http://{HOST}:{}", config.gateway.listen.port()));
    let operated = "path = '/operated/**'\nprice = '0.001'\nvoucher_signer = 'operator'";
    config.routes.insert(0, toml::from_str(operated).expect("a route"));
    world.start_server(Role::Both).await;
    world
}

/// The shop's address.
pub(crate) fn url(world: &World, path: &str) -> String {
    let port = world.server().address.expect("the gateway runs").port();
    format!("http://{HOST}:{port}{path}")
}

/// Asserts that `channel` is over, that the payee has `earned` of what the payer had, and the payer the rest.
pub(crate) async fn is_paid_out(world: &World, channel: &ChannelId, earned: u64) {
    let account = world.channel(channel).await.expect("its account is there until its rent comes back");
    assert_eq!((account.status, account.settled.get()), (ChannelStatus::Distributed, earned));
    let funds = toll_tests::world::FUNDS.get();
    assert_eq!(world.balances().await, (funds - earned, earned));
}
