//! Power is cut: what was written and not synced since the last answer is gone, in part and in any order.
//!
//! A commit is answered after its frames are synced to the log, so what lies in both files at that moment stays. Of what
//! is written until the next answer any sectors may be there: first those of the log, and once these are synced, those of
//! the database, when a checkpoint copies the log into it.

use std::path::Path;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use toll_ledger::{Acceptance, ChannelFixture, ChannelState, Charge, Ledger, LedgerConfig, ManualClock};

use crate::{START, amount};

/// What a disk writes whole.
const SECTOR: usize = 512;

/// Vouchers that are accepted: enough for the log to be copied into the database and begun anew.
const VOUCHERS: u64 = 320;

/// The two files, as they are when power comes back.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    fn read(database: &Path) -> Self {
        let log = database.with_extension("db-wal");
        Self { database: std::fs::read(database).unwrap(), log: std::fs::read(log).unwrap() }
    }

    fn open(&self) -> (Ledger, tempfile::TempDir) {
        // What comes back need not be synced again: memory will do where there is a folder of it.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let database = folder.path().join("ledger.db");
        std::fs::write(&database, &self.database).unwrap();
        std::fs::write(database.with_extension("db-wal"), &self.log).unwrap();
        (Ledger::with(LedgerConfig::new(database), ManualClock::new(START)).unwrap(), folder)
    }
}

/// `from` with any of the sectors that differ in `to`, and any of the length that it has more.
fn torn(from: &[u8], to: &[u8], random: &mut TestRng) -> Vec<u8> {
    let growth = to.len().saturating_sub(from.len());
    let length = match growth {
        0 => to.len(),
        growth => from.len() + random.next_u32() as usize % (growth + 1),
    };
    let mut image = from.to_vec();
    image.resize(length, 0);
    for (number, sector) in image.chunks_mut(SECTOR).enumerate() {
        if random.next_u32().is_multiple_of(2) {
            let at = number * SECTOR;
            sector.copy_from_slice(&to[at..at + sector.len()]);
        }
    }
    image
}

/// What a cut may leave after `from` was answered and before `to` is.
fn cut(from: &Files, to: &Files, random: &mut TestRng) -> Vec<Files> {
    let logged = Files { log: torn(&from.log, &to.log, random), ..from.clone() };
    let mut left = vec![logged];
    if from.database != to.database {
        left.push(from.clone());
        for _ in 0..8 {
            let database = torn(&from.database, &to.database, random);
            left.push(Files { database, log: to.log.clone() });
            left.push(Files { log: torn(&from.log, &to.log, random), ..from.clone() });
        }
    }
    left
}

#[tokio::test]
async fn power_cut_leaves_all_that_was_answered_and_nothing_by_halves() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("ledger.db");
    let ledger = Ledger::with(LedgerConfig::new(&database), ManualClock::new(START)).unwrap();
    let channel = ChannelFixture::new(1, 1 << 40);
    let id = channel.open(&ledger).await.unwrap();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let (mut cuts, mut lost, mut checkpoints) = (0, 0, 0);
    let mut before = Files::read(&database);
    for number in 1..=VOUCHERS {
        let mut steps = Vec::new();
        if number % 2 == 0 {
            // Whoever reads has vouchers posted from the tail to the rows. That waits for the disk only where it copies
            // the log into the database.
            ledger.channel(&id).await.unwrap();
            let posted = Files::read(&database);
            if posted.database != before.database {
                steps.push((before, posted.clone()));
                before = posted;
            }
        }
        let accepted = ledger.accept(&channel.voucher(number * 16), Charge::of(16, number)).await.unwrap();
        assert!(matches!(accepted, Acceptance::Accepted(_)), "{accepted:?}");
        let after = Files::read(&database);
        steps.push((before, after.clone()));
        checkpoints += steps.iter().filter(|(from, to)| from.database != to.database).count();
        for files in steps.iter().flat_map(|(from, to)| cut(from, to, &mut random)).collect::<Vec<_>>() {
            let (left, _folder) = files.open();
            let record = left.channel(&id).await.unwrap().unwrap();
            let marks = record.watermarks;
            let requests = marks.accepted.get() / 16;
            assert!(requests == number - 1 || requests == number, "{requests} of {number} are left");
            assert_eq!((marks.spent, record.state), (marks.accepted, ChannelState::Open));
            let charged = left.ask_number("SELECT count(*) FROM replays");
            assert_eq!(u64::try_from(charged), Ok(requests), "each charge is known by its request");
            if requests > 0 {
                let voucher = left.highest_voucher(&id).await.unwrap().unwrap();
                assert_eq!(voucher.voucher.cumulative_amount, amount(requests * 16));
                voucher.verify(&id, &channel.channel.agreement.terms.authorized_signer).unwrap();
            }
            assert_eq!(left.ask_text("PRAGMA integrity_check"), "ok");
            cuts += 1;
            lost += u64::from(requests < number);
        }
        before = after;
    }
    println!(
        "{cuts} power cuts after {VOUCHERS} answers, {checkpoints} of them in a checkpoint: every answer is there; \
         {lost} times the one under way is not"
    );
    assert!(checkpoints >= 1 && lost > 0 && lost < cuts, "{checkpoints} checkpoints, {lost} of {cuts} lost");
}
