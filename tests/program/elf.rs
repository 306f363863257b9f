//! The ELF itself: the one version of bytecode that clusters go on taking, and whose build it is.

use toll_program_tests::{elf, program_id, treasury_owner};

const RODATA: u64 = 0;
const CODE: u64 = 1 << 32;

fn number(elf: &[u8], at: usize, size: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes[..size].copy_from_slice(&elf[at..at + size]);
    u64::from_le_bytes(bytes)
}

/// Type, flags, offset, virtual and physical address, size in file and in memory.
fn segment(elf: &[u8], index: usize) -> [u64; 7] {
    let header = 64 + 56 * index;
    [(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8)]
        .map(|(at, size)| number(elf, header + at, size))
}

#[test]
fn the_header_says_sbpf_v3() {
    let elf = elf();
    assert_eq!(elf[..8], [0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    let (machine, version, header) = (number(&elf, 18, 2), number(&elf, 48, 4), number(&elf, 32, 8));
    assert_eq!((machine, version, header), (247, 3, 64));
}

#[test]
fn there_are_read_only_data_and_code_and_nothing_writable() {
    let elf = elf();
    assert_eq!(number(&elf, 56, 2), 2, "segments");
    let [_, _, _, _, _, data, _] = segment(&elf, 0);
    let [_, _, _, _, _, code, _] = segment(&elf, 1);
    let begin = 64 + 2 * 56;
    assert_eq!(segment(&elf, 0), [1, 4, begin, RODATA, RODATA, data, data]);
    assert_eq!(segment(&elf, 1), [1, 1, begin + data, CODE, CODE, code, code]);
    assert!(data.is_multiple_of(8) && code.is_multiple_of(8));
    assert!((CODE..CODE + code).contains(&number(&elf, 24, 8)), "the entry point");
    assert_eq!(elf.len() as u64, begin + data + code, "no symbols, no sections");
}

#[test]
fn nothing_but_the_identities_lies_where_a_reference_would_be_none() {
    let elf = elf();
    let expected = format!("session-channel program={} treasury={} ", program_id(), treasury_owner());
    assert!(elf[64 + 2 * 56..].starts_with(expected.as_bytes()));
}
