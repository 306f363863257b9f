//! The payment layer in process: everything that payment is, without sockets.

use super::Failure;
use super::load;
use super::rounds::Round;
use super::shop::{Shop, pay_in_process};

/// Sends every lane of `Authorization` values through the layer.
pub(super) fn round(shop: &Shop, lanes: Vec<Vec<String>>) -> Result<Round, Failure> {
    let layer = shop.layer().clone();
    shop.handle().block_on(load::in_process(lanes, move |authorization: String| {
        let layer = layer.clone();
        async move { pay_in_process(&layer, &authorization).await }
    }))
}
