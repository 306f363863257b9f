//! Looks at its own read-only data, where SBPF v3 and its linkers have two traps.
//!
//! **Address 0.** The data begins there, and a reference to whatever comes first is for Rust no reference: `Some` of
//! it reads as `None`. [`GUARD`] comes first, and nothing refers to it.
//!
//! **Tables of references.** Their entries are addresses, which only the linker knows. One that forgets a table leaves
//! offsets there, which at an address this low point at data all the same, and at the wrong.
//!
//! The first byte of the instruction's data is the question, the second an index; the answer is the error code.

use core::hint::black_box;

/// What lies at address 0.
#[used]
#[no_mangle]
#[cfg_attr(target_os = "solana", link_section = ".rodata.0")]
pub static GUARD: [u8; 16] = *b"nobody refers...";

static NUMBERS: [u64; 4] = [11, 22, 33, 44];
static LETTERS: [u8; 5] = *b"abcde";

/// Of one type and of several lengths, in an order that is not that of their addresses.
static WORDS: [&[u8]; 5] = [b"three", b"one", &LETTERS, b"four", b"two"];
/// Through another reference.
static TABLES: [&[&[u8]; 5]; 2] = [&WORDS, &["x".as_bytes(), b"y", b"z", b"u", b"v"]];
/// To code.
static ANSWERS: [fn(u64) -> u64; 3] = [|x| x + 1, |x| x ^ 0x0F, |x| x ^ 0xFF];

/// How many references read as none.
fn lost() -> u64 {
    let words = WORDS.iter().map(|word| black_box(Some(*word)).is_none());
    let tables = TABLES.iter().map(|table| black_box(Some(*table)).is_none());
    let numbers = NUMBERS.iter().map(|number| black_box(Some(number)).is_none());
    let letters = [black_box(Some(&LETTERS)).is_none()];
    words.chain(tables).chain(numbers).chain(letters).map(u64::from).sum()
}

/// A word's length and letters as one number.
fn number(word: &[u8]) -> u64 {
    word.iter().fold(word.len() as u64, |sum, letter| (sum << 5) + u64::from(letter & 31))
}

/// The answer to `question` about `index`.
pub fn answer(question: u8, index: usize) -> u64 {
    match question {
        0 => lost(),
        1 => number(black_box(&WORDS)[index % 5]),
        2 => number(black_box(&TABLES)[index / 5 % 2][index % 5]),
        3 => black_box(&ANSWERS)[index % 3](index as u64),
        _ => black_box(&NUMBERS)[index % 4],
    }
}

/// # Safety
///
/// For the loader only: `data` points at the instruction's data, which has its length before it.
#[cfg(target_os = "solana")]
#[no_mangle]
pub unsafe extern "C" fn entrypoint(_input: *mut u8, data: *const u8) -> u64 {
    if *data.sub(8).cast::<u64>() < 2 {
        return u64::MAX;
    }
    answer(*data, (*data.add(1)).into())
}
