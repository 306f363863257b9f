//! Reads what the Ed25519 precompile verified in the instruction just before this one.
//!
//! The precompile fails the whole transaction on a bad signature, so an instruction that it processed is proof:
//! this key signed this message. It is not told here which; `voucher` decides what the message is worth.
//!
//! Only one shape is taken: one signature, with key, signature and message inside that very instruction, at fixed
//! places. The precompile itself would follow offsets into *other* instructions, and then the bytes looked at here
//! would not be the bytes that were verified.

use anchor_lang::pinocchio::sysvars::instructions::INSTRUCTIONS_ID;
use anchor_lang::prelude::*;
use toll_protocol::VOUCHER_SIZE;

use crate::error::ChannelError;

/// The precompile.
const ED25519_PROGRAM: Address = Address::from_str_const("Ed25519SigVerify111111111111111111111111111");

/// count u8 = 1 | padding u8 = 0 | signature offset, instruction | key offset, instruction | message offset, size,
/// instruction. An instruction index of FFFF is "this one".
const HEADER: [u8; 16] = [1, 0, 48, 0, 0xFF, 0xFF, 16, 0, 0xFF, 0xFF, 112, 0, 50, 0, 0xFF, 0xFF];

/// Where the message begins: after header, key and signature.
const MESSAGE_OFFSET: usize = 16 + 32 + 64;
/// Where the header says how long the message is.
const MESSAGE_SIZE_OFFSET: usize = 12;

/// A message and the key that signed it.
#[derive(Debug, PartialEq, Eq)]
pub struct Signed<'a, Message: ?Sized = [u8; VOUCHER_SIZE]> {
    /// Whose signature was verified.
    pub signer: &'a [u8; 32],
    /// What was signed.
    pub message: &'a Message,
}

/// The message verified by the instruction before this one, found through the instructions sysvar.
///
/// What counts is the transaction's instruction: a program that calls this one needs the verification right before
/// its own instruction.
#[inline(always)]
pub fn preceding(instructions: &AccountView) -> Result<Signed<'_>> {
    Ok(parse(preceding_data(instructions)?).ok_or(ChannelError::MalformedEd25519Instruction)?)
}

/// The same for a message of any length.
#[inline(always)]
pub fn preceding_of_any_size(instructions: &AccountView) -> Result<Signed<'_, [u8]>> {
    Ok(parse_any_size(preceding_data(instructions)?).ok_or(ChannelError::MalformedEd25519Instruction)?)
}

/// The data of the precompile's instruction before this one.
#[inline(always)]
fn preceding_data(instructions: &AccountView) -> Result<&[u8]> {
    require!(*instructions.address() == INSTRUCTIONS_ID, ProgramError::UnsupportedSysvar);
    // SAFETY: nothing in this program writes to a sysvar.
    let sysvar = unsafe { instructions.borrow_unchecked() };
    let previous = previous(sysvar).filter(|(program, _)| **program == *ED25519_PROGRAM.as_array());
    let (_, data) = previous.ok_or(ChannelError::MissingEd25519Verification)?;
    Ok(data)
}

/// Program and data of the instruction before the current one.
///
/// The sysvar is `count u16 | count × offset u16 | instructions | current index u16`, an instruction
/// `count u16 | count × (flags u8, key[32]) | program[32] | length u16 | data`.
#[inline(always)]
fn previous(sysvar: &[u8]) -> Option<(&[u8; 32], &[u8])> {
    const ACCOUNT_SIZE: usize = 33;
    let index = u16_at(sysvar, sysvar.len().checked_sub(2)?)?.checked_sub(1)?;
    let start = u16_at(sysvar, 2 + 2 * index)?;
    let accounts = u16_at(sysvar, start)?;
    let (program, rest) = sysvar.get(start + 2 + accounts * ACCOUNT_SIZE..)?.split_first_chunk()?;
    let (length, data) = rest.split_first_chunk()?;
    Some((program, data.get(..usize::from(u16::from_le_bytes(*length)))?))
}

#[inline(always)]
fn u16_at(bytes: &[u8], offset: usize) -> Option<usize> {
    let number = bytes.get(offset..)?.first_chunk()?;
    Some(usize::from(u16::from_le_bytes(*number)))
}

/// Takes the one accepted shape apart; `None` for any other.
#[inline(always)]
fn parse(data: &[u8]) -> Option<Signed<'_>> {
    let data: &[u8; MESSAGE_OFFSET + VOUCHER_SIZE] = data.try_into().ok()?;
    let (header, rest) = data.split_first_chunk::<16>()?;
    let (signer, rest) = rest.split_first_chunk()?;
    let (_signature, message) = rest.split_first_chunk::<64>()?;
    (*header == HEADER).then_some(Signed { signer, message: message.first_chunk()? })
}

/// The same shape around a message that fills the rest of `data`.
#[inline(always)]
fn parse_any_size(data: &[u8]) -> Option<Signed<'_, [u8]>> {
    let (header, rest) = data.split_first_chunk::<16>()?;
    let (signer, rest) = rest.split_first_chunk()?;
    let (_signature, message) = rest.split_first_chunk::<64>()?;
    let size = u16::try_from(message.len()).ok()?.to_le_bytes();
    let mut expected = HEADER;
    expected[MESSAGE_SIZE_OFFSET..MESSAGE_SIZE_OFFSET + 2].copy_from_slice(&size);
    (*header == expected).then_some(Signed { signer, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction() -> [u8; 162] {
        let mut data = [0; 162];
        data[..16].copy_from_slice(&HEADER);
        data[16..48].fill(0xAA);
        data[48..112].fill(0xBB);
        data[112..].fill(0xCC);
        data
    }

    #[test]
    fn the_one_shape_yields_key_and_message() {
        assert_eq!(parse(&instruction()), Some(Signed { signer: &[0xAA; 32], message: &[0xCC; 50] }));
    }

    #[test]
    fn the_header_is_the_protocol_vector() {
        let vector =
            [0x01, 0x00, 0x30, 0x00, 0xff, 0xff, 0x10, 0x00, 0xff, 0xff, 0x70, 0x00, 0x32, 0x00, 0xff, 0xff];
        assert_eq!(HEADER, vector);
    }

    #[test]
    fn any_other_header_byte_is_refused() {
        for index in 0..16 {
            for bit in 0..8 {
                let mut data = instruction();
                data[index] ^= 1 << bit;
                assert_eq!(parse(&data), None, "byte {index} bit {bit}");
            }
        }
    }

    #[test]
    fn any_other_length_is_refused() {
        let long = [instruction().to_vec(), vec![0]].concat();
        assert_eq!(parse(&long), None);
        for length in 0..162 {
            assert_eq!(parse(&long[..length]), None, "{length} bytes");
        }
    }

    /// The same header around `size` bytes.
    fn around(size: u16) -> Vec<u8> {
        let mut data = instruction()[..MESSAGE_OFFSET].to_vec();
        data[12..14].copy_from_slice(&size.to_le_bytes());
        data.resize(MESSAGE_OFFSET + usize::from(size), 0xCC);
        data
    }

    #[test]
    fn a_message_of_any_size_has_its_size_in_the_header() {
        for size in [0, 1, 49, 50, 51, 523, 1_000] {
            let data = around(size);
            let signed = parse_any_size(&data).expect("the one shape");
            assert_eq!((signed.signer, signed.message), (&[0xAA; 32], &vec![0xCC; size.into()][..]));
            assert_eq!(parse_any_size(&data[..data.len() - 1]), None, "one byte short of {size}");
            assert_eq!(parse_any_size(&[data, vec![0]].concat()), None, "one byte over {size}");
        }
    }

    #[test]
    fn any_other_header_byte_around_a_message_of_any_size_is_refused() {
        for index in 0..16 {
            for bit in 0..8 {
                let mut data = around(523);
                data[index] ^= 1 << bit;
                assert_eq!(parse_any_size(&data), None, "byte {index} bit {bit}");
            }
        }
    }

    #[test]
    fn both_readers_agree_on_a_voucher() {
        let data = instruction();
        let (fixed, any) = (parse(&data).expect("a voucher"), parse_any_size(&data).expect("a voucher"));
        assert_eq!((fixed.signer, &fixed.message[..]), (any.signer, any.message));
    }

    /// A sysvar with these instructions, each of `accounts` accounts, and a current index.
    fn sysvar(instructions: &[(usize, [u8; 32], &[u8])], current: u16) -> Vec<u8> {
        let mut offsets = Vec::new();
        let mut bodies = Vec::new();
        for (accounts, program, data) in instructions {
            offsets.extend((2 + 2 * instructions.len() as u16 + bodies.len() as u16).to_le_bytes());
            bodies.extend((*accounts as u16).to_le_bytes());
            bodies.extend(vec![0xEE; 33 * accounts]);
            bodies.extend(program);
            bodies.extend((data.len() as u16).to_le_bytes());
            bodies.extend(*data);
        }
        let count = (instructions.len() as u16).to_le_bytes();
        [count.to_vec(), offsets, bodies, current.to_le_bytes().to_vec()].concat()
    }

    #[test]
    fn the_instruction_before_the_current_one_is_found() {
        let instructions: [(usize, [u8; 32], &[u8]); 3] =
            [(0, [1; 32], &[]), (3, [2; 32], &[7, 8]), (1, [3; 32], &[9])];
        assert_eq!(previous(&sysvar(&instructions, 0)), None);
        assert_eq!(previous(&sysvar(&instructions, 1)), Some((&[1; 32], &[][..])));
        assert_eq!(previous(&sysvar(&instructions, 2)), Some((&[2; 32], &[7, 8][..])));
    }

    #[test]
    fn a_cut_off_sysvar_shows_nothing() {
        let bytes = sysvar(&[(1, [1; 32], &[5; 10]), (0, [2; 32], &[])], 1);
        assert!(previous(&bytes).is_some());
        for length in 0..60 {
            // Whatever index the cut makes of its last two bytes, it leads nowhere or out of bounds.
            let _ = previous(&bytes[..length]);
        }
    }
}
