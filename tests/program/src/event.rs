//! The program's events, read from the self-invocations that carry them.

use solana_pubkey::Pubkey;

const TAG: [u8; 8] = [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];
const OPENED: [u8; 8] = [0xa6, 0xac, 0x61, 0x09, 0x4d, 0x4c, 0xbd, 0x6d];
const PAYOUT_REDIRECTED: [u8; 8] = [0xd1, 0x16, 0xb9, 0xd7, 0x54, 0xa7, 0x54, 0x50];

/// What the program told its indexers.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Opened { channel: Pubkey, open_slot: u64 },
    PayoutRedirected { channel: Pubkey, owner: Pubkey, amount: u64, beneficiary: u8, reason: u8 },
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
