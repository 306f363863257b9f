//! Which vouchers a settlement could still want.

use toll_protocol::{Amount, SignedVoucher};

/// Leaves of `vouchers`, all of one channel, those worth keeping once `spent` is charged: every one at or above that,
/// and the highest that never expires, in case the better ones expire first.
pub(crate) fn retain(vouchers: &mut Vec<SignedVoucher>, spent: Amount) {
    let everlasting = vouchers
        .iter()
        .filter(|signed| signed.voucher.expires_at == 0)
        .map(|signed| signed.voucher.cumulative_amount)
        .max();
    vouchers.retain(|signed| {
        let voucher = &signed.voucher;
        voucher.cumulative_amount >= spent
            || (voucher.expires_at == 0 && Some(voucher.cumulative_amount) == everlasting)
    });
}
