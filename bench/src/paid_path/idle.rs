//! What a channel that has paid once leaves in memory.

use toll_gateway::PaymentLayer;

use super::Failure;
use super::channels::Channels;
use super::shop::{Shop, pay_in_process};
use crate::memory::resident;

/// Requests before memory is read, for what is made once.
const WARM_UP: usize = 2_000;

/// Vouchers signed at a time: what the benchmark itself holds must not show.
const AT_ONCE: usize = 500;

/// Pays once on each of `touched` channels. Returns the bytes that the process grew by.
pub(super) fn growth(
    shop: &Shop,
    channels: &mut Channels,
    touched: usize,
    threads: usize,
) -> Result<u64, Failure> {
    let layer = shop.layer();
    pay(shop, layer, channels, WARM_UP.min(touched), threads)?;
    let before = resident();
    pay(shop, layer, channels, touched, threads)?;
    Ok(resident().saturating_sub(before))
}

fn pay(
    shop: &Shop,
    layer: &PaymentLayer,
    channels: &mut Channels,
    mut left: usize,
    threads: usize,
) -> Result<(), Failure> {
    while left > 0 {
        let now = left.min(AT_ONCE);
        let signed = channels.sign(1, now, threads).pop().unwrap_or_default();
        let headers: Vec<String> =
            signed.iter().map(|signed| shop.authorization(signed)).collect::<Result<_, _>>()?;
        shop.handle().block_on(async {
            futures::future::try_join_all(headers.iter().map(|header| pay_in_process(layer, header))).await
        })?;
        left -= now;
    }
    Ok(())
}
