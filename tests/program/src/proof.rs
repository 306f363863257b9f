//! The Ed25519 instruction that proves a voucher, and every way to bend it.

use crate::program::ED25519_PROGRAM;
use ed25519_dalek::{Signer, SigningKey};
use solana_instruction::Instruction;

const HEADER: usize = 16;

/// The data of an Ed25519 precompile instruction: `header[16] | key[32] | signature[64] | message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    data: Vec<u8>,
}

impl Proof {
    /// Proves that `key` signed `message`, in the one form that the program takes.
    pub fn of(message: &[u8], key: &SigningKey) -> Self {
        let mut data = vec![1, 0];
        // Signature, key and message: where each lies, in this same instruction.
        for number in [48, u16::MAX, 16, u16::MAX, 112, message.len() as u16, u16::MAX] {
            data.extend(number.to_le_bytes());
        }
        assert_eq!(data.len(), HEADER);
        data.extend(key.verifying_key().to_bytes());
        data.extend(key.sign(message).to_bytes());
        data.extend(message);
        Self { data }
    }

    /// One byte replaced.
    pub fn with_byte(mut self, at: usize, byte: u8) -> Self {
        self.data[at] = byte;
        self
    }

    /// One little-endian u16 of the header replaced.
    pub fn with_u16(mut self, at: usize, number: u16) -> Self {
        self.data[at..at + 2].copy_from_slice(&number.to_le_bytes());
        self
    }

    /// Bytes added at the end.
    pub fn followed_by(mut self, bytes: &[u8]) -> Self {
        self.data.extend(bytes);
        self
    }

    /// The same proof with key, signature and message in another order: `parts` lists them by the first byte
    /// of their offset in the header (2 signature, 6 key, 10 message).
    pub fn rearranged(self, parts: [usize; 3]) -> Self {
        let (key, rest) = self.data[HEADER..].split_at(32);
        let (signature, message) = rest.split_at(64);
        let mut data = self.data[..HEADER].to_vec();
        for part in parts {
            let offset = data.len() as u16;
            data[part..part + 2].copy_from_slice(&offset.to_le_bytes());
            data.extend(match part {
                2 => signature,
                6 => key,
                10 => message,
                _ => panic!("no offset at {part}"),
            });
        }
        Self { data }
    }

    /// The instruction's data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The instruction itself.
    pub fn instruction(&self) -> Instruction {
        Instruction { program_id: ED25519_PROGRAM, accounts: Vec::new(), data: self.data.clone() }
    }
}
