//! Reads what the Ed25519 precompile verified in the instruction just before this one.
//!
//! The precompile fails the whole transaction on a bad signature, so an instruction that it processed is proof:
//! this key signed this message. It is not told here which; `voucher` decides what the message is worth.
//!
//! Only one shape is taken: one signature, with key, signature and message inside that very instruction, at fixed
//! places. The precompile itself would follow offsets into *other* instructions, and then the bytes looked at here
//! would not be the bytes that were verified.

use anchor_lang::pinocchio::sysvars::instructions::Instructions;
use anchor_lang::prelude::*;
use toll_protocol::VOUCHER_SIZE;

use crate::error::ChannelError;

/// The precompile.
const ED25519_PROGRAM: Address = Address::from_str_const("Ed25519SigVerify111111111111111111111111111");

/// count u8 = 1 | padding u8 = 0 | signature offset, instruction | key offset, instruction | message offset, size,
/// instruction. An instruction index of FFFF is "this one".
const HEADER: [u8; 16] = [1, 0, 48, 0, 0xFF, 0xFF, 16, 0, 0xFF, 0xFF, 112, 0, 50, 0, 0xFF, 0xFF];

/// A message and the key that signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Whose signature was verified.
    pub signer: [u8; 32],
    /// What was signed.
    pub message: [u8; VOUCHER_SIZE],
}

/// The message verified by the instruction before this one.
///
/// The index is that of the transaction's instruction: a program that calls this one needs the verification right
/// before its own instruction.
#[inline(always)]
pub fn preceding(instructions: &AccountView) -> Result<Signed> {
    let instructions = Instructions::try_from(instructions)?;
    let Some(previous) = instructions.load_current_index().checked_sub(1) else {
        return ChannelError::MissingEd25519Verification.err();
    };
    let previous = instructions
        .load_instruction_at(usize::from(previous))
        .map_err(|_| ChannelError::MissingEd25519Verification)?;
    require!(previous.get_program_id() == &ED25519_PROGRAM, ChannelError::MissingEd25519Verification);
    Ok(parse(previous.get_instruction_data()).ok_or(ChannelError::MalformedEd25519Instruction)?)
}

/// Takes the one accepted shape apart; `None` for any other.
fn parse(data: &[u8]) -> Option<Signed> {
    let data: &[u8; 16 + 32 + 64 + VOUCHER_SIZE] = data.try_into().ok()?;
    let (header, rest) = data.split_first_chunk::<16>()?;
    let (signer, rest) = rest.split_first_chunk::<32>()?;
    let (_signature, message) = rest.split_first_chunk::<64>()?;
    (*header == HEADER).then_some(Signed { signer: *signer, message: *message.first_chunk()? })
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
        assert_eq!(parse(&instruction()), Some(Signed { signer: [0xAA; 32], message: [0xCC; 50] }));
    }

    #[test]
    fn the_header_is_the_protocol_vector() {
        let vector = [
            0x01, 0x00, 0x30, 0x00, 0xff, 0xff, 0x10, 0x00, 0xff, 0xff, 0x70, 0x00, 0x32, 0x00, 0xff, 0xff,
        ];
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
}
