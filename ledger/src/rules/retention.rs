//! Which vouchers a settlement could still want.

use toll_protocol::{Amount, Voucher};

/// Leaves of `vouchers`, all of one channel, those worth keeping once `spent` is charged: every one at or above that,
/// and the highest that never expires, in case the better ones expire first.
pub(crate) fn retain<T>(vouchers: &mut Vec<T>, of: impl Fn(&T) -> &Voucher, spent: Amount) {
    let everlasting = vouchers
        .iter()
        .map(&of)
        .filter(|voucher| voucher.expires_at == 0)
        .map(|voucher| voucher.cumulative_amount)
        .max();
    vouchers.retain(|each| {
        let voucher = of(each);
        voucher.cumulative_amount >= spent
            || (voucher.expires_at == 0 && Some(voucher.cumulative_amount) == everlasting)
    });
}
