//! Whose build this is, readable in the file: `strings`, or `programs/build inspect`, show it.
//!
//! The text stands at the very beginning of the read-only data, which SBPF v3 maps at address 0. A reference to
//! address 0 is for Rust no reference: `Some(&x)` would read as `None`. So the first place belongs to something that
//! nobody refers to, and `programs/build` fails where anything else stands there.

use crate::constants::{PROGRAM_ID_TEXT, TREASURY_OWNER_TEXT};

const SIZE: usize = 144;

#[used]
#[no_mangle]
#[cfg_attr(target_os = "solana", link_section = ".rodata.0")]
static IDENTITY: [u8; SIZE] =
    text(&["session-channel program=", PROGRAM_ID_TEXT, " treasury=", TREASURY_OWNER_TEXT, " "]);

/// The parts one after another, and zeros.
const fn text(parts: &[&str]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let (mut size, mut part) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            bytes[size] = parts[part].as_bytes()[index];
            size += 1;
            index += 1;
        }
        part += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identities_are_readable_words() {
        let text = core::str::from_utf8(&IDENTITY).expect("letters").trim_end_matches('\0');
        let expected = format!("session-channel program={PROGRAM_ID_TEXT} treasury={TREASURY_OWNER_TEXT} ");
        assert_eq!(text, expected);
    }

    #[test]
    fn the_longest_addresses_fit() {
        assert!("session-channel program= treasury= ".len() + 2 * 44 <= SIZE);
    }
}
