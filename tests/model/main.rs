//! A plain model of channels beside the real program: whatever honest and hostile actors send in whatever order,
//! both agree on what lands, on every channel account and on every token.
//!
//! `TOLL_MODEL_CASES` and `TOLL_MODEL_STEPS` set how many sequences run and how long they are. What fails is shrunk to
//! its shortest form and kept in `tests/model/found/`, by seed and in words; every later run begins with it. Once
//! mended it moves to `reproduction.rs` as a test, since a seed means something else when the generator changes.

mod arbitrary;
mod bend;
mod hostile;
mod model;
mod op;
mod reproduction;
mod run;

use crate::run::Tally;
use proptest::test_runner::{Config, FailurePersistence, FileFailurePersistence, TestRunner};
use std::cell::RefCell;
use toll_program_tests::TokenKind;

/// Sequences per token program: with both, more than 100,000 instructions.
const CASES: u32 = 2_600;
const STEPS: usize = 60;
/// Instructions that one token program's sequences come to at least.
const LEAST: u64 = 50_000;

fn from_environment<T: std::str::FromStr>(variable: &str, default: T) -> T {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => default,
    }
}

/// Where shrunk failures are kept.
fn found(file: &'static str) -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::Direct(file)))
}

fn program_and_model_agree(token: TokenKind) {
    let cases = from_environment("TOLL_MODEL_CASES", CASES);
    let steps = from_environment("TOLL_MODEL_STEPS", STEPS);
    let kept = found(concat!(env!("CARGO_MANIFEST_DIR"), "/../model/found/sequences.txt"));
    let config = Config { cases, failure_persistence: kept, max_shrink_iters: 4_096, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let sequence = arbitrary::sequence(steps);
    let tally = RefCell::new(Tally::new());
    runner
        .run(&sequence, |ops| run::run(token, &ops, &mut tally.borrow_mut()))
        .unwrap_or_else(|error| panic!("{error}"));

    let tally = tally.into_inner();
    let instructions: u64 = tally.values().map(|(landed, refused)| landed + refused).sum();
    println!("{instructions} instructions (landed, refused): {tally:?}");
    // A sequence that refuses everything agrees with everything: see that both happened, many times over.
    if cases >= CASES && steps >= STEPS {
        assert!(instructions >= LEAST, "only {instructions} instructions");
        assert_eq!(tally.len(), 17, "{tally:?}");
        let both = |name, landed, refused| {
            (landed >= 3 || name == "exchange") && (refused >= 3 || name == "checkpoint")
        };
        assert!(tally.iter().all(|(name, (landed, refused))| both(*name, *landed, *refused)), "{tally:?}");
    }
}

#[test]
fn any_sequence_keeps_every_spl_token_where_the_model_says() {
    program_and_model_agree(TokenKind::Spl);
}

#[test]
fn any_sequence_keeps_every_token_2022_token_where_the_model_says() {
    program_and_model_agree(TokenKind::Token2022);
}
