//! The examples of the crates, run against a real server on the embedded chain.

use toll_tests::World;
use toll_tests::world::{AtShutdown, FUNDS, PRICE};

#[allow(dead_code, unreachable_pub, reason = "a program, whose `main` is for people")]
#[path = "../../client/examples/pay.rs"]
mod pay;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_a_paying_client_moves_money() {
    let mut world: World = super::world(AtShutdown::Close).await;
    let (key, state) = (world.folder().join("payer.json"), world.folder().join("channels.json"));
    let url = world.request().url;

    for _ in 0..3 {
        pay::get(url.as_str(), &key, &state).await.unwrap();
    }

    let book = world.book();
    let [channel] = &book.channels()[..] else { panic!("{} channels", book.channels().len()) };
    assert_eq!(channel.spent.get(), 3 * PRICE.get());
    // The server's money hangs on the channel's own key, not on the one that holds the funds.
    let account = world.channel(&channel.channel_id).await.unwrap();
    assert_eq!(account.authorized_signer, channel.authorized_signer);
    assert_ne!(account.authorized_signer, account.payer);
    let escrowed = world.balances().await;
    assert_eq!(escrowed.0, FUNDS.get() - account.deposit.get());

    world.stop_server().await;
    assert_eq!(world.balances().await, (FUNDS.get() - 3 * PRICE.get(), 3 * PRICE.get()));
}
