//! What `[settler]` says unless it is told.

pub(super) fn drain_timeout() -> u32 {
    90
}

pub(super) fn settle_before_expiry() -> u32 {
    120
}

pub(super) fn refund_patience() -> u32 {
    24 * 60 * 60
}

pub(super) fn low_balance() -> u64 {
    50_000_000
}

pub(super) fn blockhash_margin() -> u16 {
    20
}

pub(super) fn tip_interval() -> u32 {
    2_000
}

pub(super) fn poll_interval() -> u32 {
    5_000
}

/// One call: a node answers for a hundred accounts at once, the clock among them.
pub(super) fn comparisons() -> u16 {
    99
}

pub(super) fn query_timeout() -> u32 {
    5_000
}

pub(super) fn confirm_interval() -> u32 {
    200
}

pub(super) fn resend_interval() -> u32 {
    2_000
}

pub(super) fn purge_interval() -> u32 {
    60 * 60
}

pub(super) fn concurrency() -> u16 {
    16
}

pub(super) fn in_flight() -> u16 {
    64
}

/// Above what any transaction carries.
pub(super) fn channels_per_transaction() -> u16 {
    64
}

pub(super) fn renew_wait() -> u32 {
    30
}
