//! References into read-only data, as the channel program's toolchain links them for SBPF v3: by a program that looks.

use toll_program_tests::{InstructionError, probe};

/// A word's length and letters as one number.
fn number(word: &str) -> u32 {
    word.bytes().fold(word.len() as u32, |sum, letter| (sum << 5) + u32::from(letter & 31))
}

#[test]
fn no_reference_reads_as_none() {
    assert_eq!(probe(0, 0), Ok(()));
}

#[test]
fn a_table_of_references_leads_to_its_words() {
    for (index, word) in ["three", "one", "abcde", "four", "two"].into_iter().enumerate() {
        assert_eq!(probe(1, index as u8), Err(InstructionError::Custom(number(word))), "{word}");
    }
}

#[test]
fn a_table_of_tables_leads_to_theirs() {
    let words = ["three", "one", "abcde", "four", "two", "x", "y", "z", "u", "v"];
    for (index, word) in words.into_iter().enumerate() {
        assert_eq!(probe(2, index as u8), Err(InstructionError::Custom(number(word))), "{word}");
    }
}

#[test]
fn a_table_of_functions_leads_to_code() {
    for (index, answer) in [1, 14, 253].into_iter().enumerate() {
        assert_eq!(probe(3, index as u8), Err(InstructionError::Custom(answer)));
    }
}

#[test]
fn a_table_of_numbers_holds_them() {
    for (index, answer) in [11, 22, 33, 44].into_iter().enumerate() {
        assert_eq!(probe(4, index as u8), Err(InstructionError::Custom(answer)));
    }
}
