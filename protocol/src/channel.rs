//! The channel account: its address, its statuses, its constants.

use core::fmt;

/// First seed of a channel's address.
pub const CHANNEL_SEED: &[u8] = b"channel";

/// Size of a channel account in bytes.
pub const CHANNEL_SIZE: usize = 256;

/// First byte of a channel account. Zero is refused, so a blank account never passes for a channel.
pub const CHANNEL_DISCRIMINATOR: u8 = 1;

/// Second byte of a channel account: the layout.
pub const CHANNEL_VERSION: u8 = 1;

/// How old a channel's `open_slot` may be when it opens, and how long its address stays taken, in slots.
///
/// Only ever lower this: raising it would let a new channel reuse an address whose old vouchers still
/// verify. It must stay above 150, the blocks that a blockhash stays valid.
pub const OPEN_SLOT_WINDOW: u64 = 1_500;
const _: () = assert!(OPEN_SLOT_WINDOW >= 150 && OPEN_SLOT_WINDOW <= 1_500);

/// A channel's address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ChannelId([u8; 32]);

impl ChannelId {
    /// The channel at `address`.
    pub const fn new(address: [u8; 32]) -> Self {
        Self(address)
    }

    /// The raw address.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Where a channel stands in its life. The numbers are the byte in the account.
///
/// `Open → Closing → Sealed → Distributed → gone`, or straight from `Open` to `Sealed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChannelStatus {
    /// Vouchers settle, deposits grow.
    Open = 0,
    /// `settled` is frozen for good; tokens are waiting to be paid out.
    Sealed = 1,
    /// The payer asked to leave; the grace period runs.
    Closing = 2,
    /// Every token is paid out; only the account's rent is left.
    Distributed = 3,
}

/// The byte is no channel status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStatus(pub u8);

impl TryFrom<u8> for ChannelStatus {
    type Error = UnknownStatus;

    fn try_from(byte: u8) -> Result<Self, Self::Error> {
        match byte {
            0 => Ok(Self::Open),
            1 => Ok(Self::Sealed),
            2 => Ok(Self::Closing),
            3 => Ok(Self::Distributed),
            other => Err(UnknownStatus(other)),
        }
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelId(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}
