//! The program's events, read from the self-invocations that carry them.

use crate::state::ChannelState;
use solana_pubkey::Pubkey;

const TAG: [u8; 8] = [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];
const OPENED: [u8; 8] = [0xa6, 0xac, 0x61, 0x09, 0x4d, 0x4c, 0xbd, 0x6d];
const PAYOUT_REDIRECTED: [u8; 8] = [0xd1, 0x16, 0xb9, 0xd7, 0x54, 0xa7, 0x54, 0x50];
const SETTLED: [u8; 8] = [0xe8, 0xd2, 0x28, 0x11, 0x8e, 0x7c, 0x91, 0xee];
const REARMED: [u8; 8] = [0x5c, 0xeb, 0xda, 0xf5, 0xe2, 0xac, 0x42, 0x9b];
const CHECKPOINTED: [u8; 8] = [0x62, 0x4b, 0x3c, 0x9a, 0x9d, 0xc1, 0x20, 0xd1];
const SKIPPED: [u8; 8] = [0x0f, 0x31, 0xc4, 0x67, 0x38, 0x80, 0x54, 0xfe];
const VACANT: [u8; 8] = [0x6a, 0x77, 0x52, 0x65, 0x20, 0x58, 0x1c, 0xb0];

/// What the program told its indexers.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Opened { channel: Pubkey, open_slot: u64 },
    PayoutRedirected { channel: Pubkey, owner: Pubkey, amount: u64, beneficiary: u8, reason: u8 },
    Settled { channel: Pubkey, settled: u64 },
    Rearmed { channel: Pubkey, settled: u64, distributed: u64, refunded: u64 },
    Skipped { channel: Pubkey, target: u64, settled: u64, reason: u8 },
    Checkpointed { channel: Pubkey, state: Box<ChannelState> },
    Vacant { channel: Pubkey },
}

impl Event {
    /// The event in `data`, or `None` when it is the data of some other instruction.
    ///
    /// Panics on an event that is unknown or not exactly as long as it should be.
    pub fn decode(data: &[u8]) -> Option<Self> {
        let (name, body) = data.strip_prefix(&TAG)?.split_at(8);
        let key = |at: usize| Pubkey::new_from_array(body[at..at + 32].try_into().expect("32 bytes"));
        let word = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("8 bytes"));
        if name == OPENED {
            assert_eq!(data.len(), 56, "size of Opened");
            return Some(Self::Opened { channel: key(0), open_slot: word(32) });
        }
        if name == SETTLED {
            assert_eq!(data.len(), 56, "size of Settled");
            return Some(Self::Settled { channel: key(0), settled: word(32) });
        }
        if name == REARMED {
            assert_eq!(data.len(), 72, "size of Rearmed");
            let [settled, distributed, refunded] = [word(32), word(40), word(48)];
            return Some(Self::Rearmed { channel: key(0), settled, distributed, refunded });
        }
        if name == CHECKPOINTED {
            assert_eq!(data.len(), 303, "size of Checkpointed");
            let state = Box::new(ChannelState::decode(&[&[1], &body[32..]].concat()));
            return Some(Self::Checkpointed { channel: key(0), state });
        }
        if name == SKIPPED {
            assert_eq!(data.len(), 65, "size of Skipped");
            let [target, settled] = [word(32), word(40)];
            return Some(Self::Skipped { channel: key(0), target, settled, reason: body[48] });
        }
        if name == VACANT {
            assert_eq!(data.len(), 48, "size of Vacant");
            return Some(Self::Vacant { channel: key(0) });
        }
        assert_eq!(name, PAYOUT_REDIRECTED, "an unknown event");
        assert_eq!(data.len(), 90, "size of PayoutRedirected");
        Some(Self::PayoutRedirected {
            channel: key(0),
            owner: key(32),
            amount: word(64),
            beneficiary: body[72],
            reason: body[73],
        })
    }
}
