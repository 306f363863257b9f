//! The rows of the table.

use toll_program_tests::Status::{Closing, Open, Sealed};
use toll_program_tests::TokenKind::{self, Spl, Token2022};

use super::scenario::Scenario;

/// A scenario with its name and what it may cost.
#[derive(Debug)]
pub struct Row {
    /// Names the row in every output.
    pub name: &'static str,
    /// What is measured.
    pub scenario: Scenario,
    /// Compute units that it may cost at most.
    pub limit: u64,
    /// Compute units of the reference implementation, built with the same toolchain, where it has the instruction.
    pub reference: Option<u64>,
}

const fn row(name: &'static str, scenario: Scenario, limit: u64, reference: u64) -> Row {
    Row { name, scenario, limit, reference: Some(reference) }
}

/// A row of an instruction that the reference implementation does not have. Its limit is what it cost at first and a
/// little more.
const fn ours(name: &'static str, scenario: Scenario, limit: u64) -> Row {
    Row { name, scenario, limit, reference: None }
}

const fn rearm(token: TokenKind, recipients: usize, voucher: bool) -> Scenario {
    Scenario::Rearm { token, recipients, voucher }
}

/// Every row, in the order of the table.
pub const ROWS: &[Row] = &[
    row("open n=1 SPL", Scenario::Open(Spl, 1), 27_500, 29_362),
    row("open n=4 SPL", Scenario::Open(Spl, 4), 27_500, 29_608),
    row("open n=16 SPL", Scenario::Open(Spl, 16), 30_000, 31_672),
    row("open n=32 SPL", Scenario::Open(Spl, 32), 35_000, 37_112),
    row("open n=1 Token-2022", Scenario::Open(Token2022, 1), 29_000, 30_885),
    row("open n=16 Token-2022", Scenario::Open(Token2022, 16), 31_500, 33_195),
    row("open n=32 Token-2022", Scenario::Open(Token2022, 32), 36_500, 38_635),
    row("settle, first voucher", Scenario::Settle { settled: 0 }, 560, 521),
    row("settle, later voucher", Scenario::Settle { settled: 500_003 }, 560, 521),
    row("top_up SPL", Scenario::TopUp(Spl), 3_500, 7_902),
    row("top_up Token-2022", Scenario::TopUp(Token2022), 5_000, 6_839),
    row("request_close", Scenario::RequestClose, 430, 388),
    row("seal", Scenario::Seal, 430, 368),
    row("settle_and_seal with voucher", Scenario::SettleAndSeal { from: Open, voucher: true }, 620, 571),
    row("settle_and_seal without voucher", Scenario::SettleAndSeal { from: Open, voucher: false }, 470, 424),
    row(
        "settle_and_seal with voucher, closing",
        Scenario::SettleAndSeal { from: Closing, voucher: true },
        650,
        600,
    ),
    row(
        "settle_and_seal without voucher, closing",
        Scenario::SettleAndSeal { from: Closing, voucher: false },
        500,
        453,
    ),
    row("distribute n=1 SPL, open", Scenario::Distribute(Spl, 1, Open), 8_500, 17_058),
    row("distribute n=4 SPL, open", Scenario::Distribute(Spl, 4, Open), 13_000, 29_462),
    row("distribute n=16 SPL, open", Scenario::Distribute(Spl, 16, Open), 27_000, 79_135),
    row("distribute n=32 SPL, open", Scenario::Distribute(Spl, 32, Open), 45_000, 132_616),
    row("distribute n=1 SPL, final", Scenario::Distribute(Spl, 1, Sealed), 14_500, 23_401),
    row("distribute n=16 SPL, final", Scenario::Distribute(Spl, 16, Sealed), 32_000, 85_452),
    row("distribute n=32 SPL, final", Scenario::Distribute(Spl, 32, Sealed), 50_000, 138_933),
    row("distribute n=16 Token-2022, open", Scenario::Distribute(Token2022, 16, Open), 80_000, 126_650),
    row("distribute n=32 Token-2022, open", Scenario::Distribute(Token2022, 32, Open), 145_000, 231_793),
    row("distribute n=32 Token-2022, final", Scenario::Distribute(Token2022, 32, Sealed), 150_000, 239_321),
    row("withdraw_payer SPL", Scenario::WithdrawPayer(Spl), 4_000, 8_124),
    row("withdraw_payer Token-2022", Scenario::WithdrawPayer(Token2022), 5_000, 7_061),
    row("reclaim", Scenario::Reclaim, 430, 405),
    ours("settle_batch n=1", Scenario::SettleBatch(1), 1_150),
    ours("settle_batch n=10", Scenario::SettleBatch(10), 2_750),
    ours("settle_batch n=59", Scenario::SettleBatch(59), 11_500),
    ours("settle_batch n=10, one sealed", Scenario::SettleBatchDead(10), 4_100),
    ours("settle_batch n=58, one sealed", Scenario::SettleBatchDead(58), 12_500),
    ours("rearm n=0 SPL with voucher", rearm(Spl, 0, true), 7_300),
    ours("rearm n=1 SPL with voucher", rearm(Spl, 1, true), 8_800),
    ours("rearm n=1 SPL without voucher", rearm(Spl, 1, false), 8_500),
    ours("rearm n=16 SPL without voucher", rearm(Spl, 16, false), 27_500),
    ours("rearm n=32 SPL without voucher", rearm(Spl, 32, false), 48_000),
    ours("rearm n=1 Token-2022 without voucher", rearm(Token2022, 1, false), 18_000),
    ours("rearm n=32 Token-2022 without voucher", rearm(Token2022, 32, false), 150_000),
    ours("settle_up_to", Scenario::SettleUpTo, 2_000),
    ours("settle_closing", Scenario::SettleClosing, 1_950),
    ours("checkpoint", Scenario::Checkpoint { opened: true }, 1_800),
    ours("checkpoint without a channel", Scenario::Checkpoint { opened: false }, 1_600),
];
