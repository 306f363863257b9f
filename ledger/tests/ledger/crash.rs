//! A process killed while it accepts vouchers has on disk all that it said it accepted.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use toll_ledger::{
    Acceptance, ChannelFixture, ChannelState, Charge, DatabaseUrl, Ledger, LedgerConfig, ManualClock,
};

use crate::{START, amount};

/// Names the ledger that the child process works on.
const LEDGER: &str = "TOLL_TEST_LEDGER";

const DEPOSIT: u64 = 1 << 40;

fn reopen(place: &str) -> Ledger {
    Ledger::with(LedgerConfig::at(DatabaseUrl::new(place)), ManualClock::new(START)).unwrap()
}

/// Not a test of its own: what the child process runs until it is killed.
#[test]
#[ignore = "run by killed_process_keeps_every_voucher_it_accepted"]
fn child_accepts_vouchers_until_it_is_killed() {
    let Ok(place) = std::env::var(LEDGER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let ledger = reopen(&place);
        let channel = ChannelFixture::new(1, DEPOSIT);
        let from = ledger.channel(&channel.id()).await.unwrap().unwrap().watermarks.accepted.get();
        for step in 1.. {
            let cumulative = from + step * 16;
            match ledger.accept(&channel.voucher(cumulative), Charge::of(16, cumulative)).await.unwrap() {
                Acceptance::Accepted(accepted) => {
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "accepted {}", accepted.watermarks.accepted).unwrap();
                    out.flush().unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

/// Lets a child accept until it has reported `reports` vouchers, kills it, and returns the last amount that
/// it managed to report.
fn accept_and_kill(place: &str, reports: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_accepts_vouchers_until_it_is_killed", "--ignored", "--nocapture"])
        .env(LEDGER, place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut amounts = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("accepted ").and_then(|amount| amount.parse().ok()));
    let last = amounts.by_ref().take(reports).last().expect("the child accepts vouchers");
    child.kill().unwrap();
    // What it still wrote before it died counts as well: it had left the process.
    let last = amounts.last().unwrap_or(last);
    child.wait().unwrap();
    last
}

#[tokio::test]
async fn killed_process_keeps_every_voucher_it_accepted() {
    let blank = Ledger::nowhere();
    let place = blank.place();
    let channel = ChannelFixture::new(1, DEPOSIT);
    channel.open(&reopen(&place)).await.unwrap();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]);
    for _ in 0..8 {
        let reports = 1 + (random.next_u32() % 60) as usize;

        let reported = accept_and_kill(&place, reports);

        let ledger = reopen(&place);
        let record = ledger.channel(&channel.id()).await.unwrap().unwrap();
        let watermarks = record.watermarks;
        assert_eq!(record.state, ChannelState::Open);
        assert!(watermarks.accepted >= amount(reported), "{} < {reported}", watermarks.accepted);
        assert_eq!(watermarks.spent, watermarks.accepted);
        let voucher = ledger.highest_voucher(&channel.id()).await.unwrap().unwrap();
        assert_eq!(voucher.voucher.cumulative_amount, watermarks.accepted);
        voucher.verify(&channel.id(), &channel.channel.agreement.terms.authorized_signer).unwrap();
        let last = Charge::of(16, watermarks.accepted.get());
        let repeat = ledger.accept(&channel.voucher(watermarks.accepted.get()), last).await.unwrap();
        assert!(matches!(repeat, Acceptance::Replayed(_)), "{repeat:?}");
    }
}
