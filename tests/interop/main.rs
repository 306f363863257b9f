//! Clients and servers that others wrote, against this gateway and this client: on the embedded chain with the real
//! program, over HTTP, and every balance read from the chain. See README.md beside this file.

use toll_tests::world::AtShutdown;
use toll_tests::{TestChain, World};

mod foreign;
mod mpp_client;
mod mpp_server;
mod pay_kit_client;
mod pay_kit_server;
mod shop;
mod validate;

async fn world() -> World {
    World::start(TestChain::embedded().await, AtShutdown::Close).await
}
