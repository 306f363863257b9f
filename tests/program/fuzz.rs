//! The body of the fuzz target, on a bounded number of cases drawn from a seed.
//!
//! `TOLL_FUZZ_CASES` and `TOLL_FUZZ_SEED` set how many, and which.

use arbitrary::Unstructured;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Instant;
use toll_program_tests::fuzz::Arena;

const CASES: u64 = 10_000;
/// Every instruction of the program.
const INSTRUCTIONS: [u8; 15] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 228];

fn from_environment(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => default,
    }
}

/// The bytes of case number `index`.
fn bytes(seed: u64, index: u64) -> Vec<u8> {
    let block = |block: u8| {
        Sha256::new().chain_update(seed.to_le_bytes()).chain_update(index.to_le_bytes()).chain_update([block])
    };
    (0..4).flat_map(|index| block(index).finalize()).collect()
}

#[test]
fn arbitrary_instructions_get_a_clean_answer_and_keep_every_law() {
    let cases = from_environment("TOLL_FUZZ_CASES", CASES);
    let seed = from_environment("TOLL_FUZZ_SEED", 1);
    let mut arena = Arena::new();
    let mut tally = BTreeMap::<u8, (u64, u64)>::new();
    let started = Instant::now();
    for index in 0..cases {
        let bytes = bytes(seed, index);
        let case = arena.case(&mut Unstructured::new(&bytes)).expect("any bytes make a case");
        let verdict = arena.execute(&case);
        if let Some(discriminator) = case.discriminator() {
            let (landed, refused) = tally.entry(discriminator).or_default();
            *(if verdict.result.is_ok() { landed } else { refused }) += 1;
        }
    }
    let rate = cases as f64 / started.elapsed().as_secs_f64();
    tally.retain(|discriminator, _| INSTRUCTIONS.contains(discriminator));
    println!("{cases} cases, {rate:.0} per second (landed, refused): {tally:?}");
    // Nobody can sign as the event authority, so that one never lands.
    let both = |discriminator: &u8| {
        let (landed, refused) = tally.get(discriminator).copied().unwrap_or_default();
        (landed > 0 || *discriminator == 228) && refused > 0
    };
    assert!(cases < CASES || INSTRUCTIONS.iter().all(both), "{tally:?}");
}
