//! Arbitrary instructions on the channel program's real ELF: `toll_program_tests::fuzz` says what must hold.
//!
//! ```text
//! cargo run --release --manifest-path tests/fuzz/Cargo.toml -- -max_len=512 -runs=10000000 tests/fuzz/corpus
//! ```
//!
//! A new instruction needs a line in `TEMPLATES` (tests/program/src/fuzz/case.rs), and what it may do that no other
//! may needs its place in the laws beside it.
//!
//! LiteSVM runs the program as machine code of its own making, which libFuzzer's instrumentation does not see. What
//! guides it instead is how a case ended and how many compute units it took, which tells almost any two paths
//! through the program apart. So an ordinary build will do, and runs many times faster than what `cargo +nightly
//! fuzz run --fuzz-dir tests/fuzz --sanitizer none program` (after `cargo install cargo-fuzz`) makes of it.
#![no_main]

use libfuzzer_sys::{arbitrary::Unstructured, fuzz_target};
use std::cell::RefCell;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicU8, Ordering};
use toll_program_tests::fuzz::Arena;

const PATHS: usize = 1 << 15;

/// One counter per path; libFuzzer keeps an input that sets one which was never set before.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static COUNTERS: [AtomicU8; PATHS] = [const { AtomicU8::new(0) }; PATHS];

thread_local! {
    static ARENA: RefCell<Arena> = RefCell::new(Arena::new());
}

fuzz_target!(|data: &[u8]| {
    ARENA.with_borrow_mut(|arena| {
        let case = arena.case(&mut Unstructured::new(data)).expect("any bytes make a case");
        let verdict = arena.execute(&case);
        let path = (case.discriminator(), verdict.compute_units, format!("{:?}", verdict.result));
        let path = BuildHasherDefault::<DefaultHasher>::default().hash_one(path) as usize % PATHS;
        COUNTERS[path].store(1, Ordering::Relaxed);
    });
});
