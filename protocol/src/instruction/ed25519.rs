//! The precompile instruction that proves a voucher's signature to the channel program.

use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use solana_signature::Signature;

use super::InstructionError;
use crate::{ED25519_PROGRAM, SignedCeiling, SignedVoucher, VOUCHER_SIZE, Voucher};

/// Size of the instruction's data: header, key, signature, message.
pub const ED25519_INSTRUCTION_SIZE: usize = MESSAGE_OFFSET + VOUCHER_SIZE;

const KEY_OFFSET: usize = 16;
const SIGNATURE_OFFSET: usize = 48;
const MESSAGE_OFFSET: usize = 112;

/// One signature, and everything about it in this same instruction: the only form the program reads.
const HEADER: [u8; KEY_OFFSET] = header(VOUCHER_SIZE as u16);

/// The header around a message of `size` bytes.
const fn header(size: u16) -> [u8; KEY_OFFSET] {
    let size = size.to_le_bytes();
    let mut header = [0xff; KEY_OFFSET];
    header[0] = 1;
    header[1] = 0;
    header[2] = SIGNATURE_OFFSET as u8;
    header[3] = 0;
    header[6] = KEY_OFFSET as u8;
    header[7] = 0;
    header[10] = MESSAGE_OFFSET as u8;
    header[11] = 0;
    header[12] = size[0];
    header[13] = size[1];
    header
}

/// Proves `voucher` to a `settle` or `settle_and_seal` right after it.
pub fn ed25519_verify(voucher: &SignedVoucher) -> Instruction {
    verify_message(&voucher.signer, &voucher.signature, &voucher.voucher.encode())
}

/// Proves `ceiling` to a `settle_up_to` right after it.
pub fn ed25519_verify_ceiling(ceiling: &SignedCeiling) -> Instruction {
    verify_message(&ceiling.signer, &ceiling.signature, &ceiling.ceiling.encode())
}

/// Proves that `signer` signed `message`, which is shorter than 64 KiB.
pub(super) fn verify_message(signer: &Pubkey, signature: &Signature, message: &[u8]) -> Instruction {
    let size = u16::try_from(message.len()).expect("messages fit a transaction");
    let mut data = Vec::with_capacity(MESSAGE_OFFSET + message.len());
    data.extend_from_slice(&header(size));
    data.extend_from_slice(signer.as_ref());
    data.extend_from_slice(signature.as_ref());
    data.extend_from_slice(message);
    Instruction { program_id: ED25519_PROGRAM, accounts: Vec::new(), data }
}

/// Signer, signature and message of such an instruction.
pub(super) fn decode_message(data: &[u8]) -> Option<(Pubkey, Signature, &[u8])> {
    let size = u16::try_from(data.len().checked_sub(MESSAGE_OFFSET)?).ok()?;
    let rest = data.strip_prefix(&header(size))?;
    let (signer, rest) = rest.split_first_chunk::<32>()?;
    let (signature, message) = rest.split_first_chunk::<64>()?;
    Some((Pubkey::new_from_array(*signer), Signature::from(*signature), message))
}

/// Reads the voucher that such an instruction proves.
pub fn decode_ed25519(data: &[u8]) -> Result<SignedVoucher, InstructionError> {
    let decode = || {
        let rest = data.strip_prefix(&HEADER)?;
        let (signer, rest) = rest.split_first_chunk::<32>()?;
        let (signature, message) = rest.split_first_chunk::<64>()?;
        Some(SignedVoucher {
            voucher: Voucher::decode(message.try_into().ok()?).ok()?,
            signer: Pubkey::new_from_array(*signer),
            signature: Signature::from(*signature),
        })
    };
    decode().ok_or(InstructionError::Ed25519)
}
