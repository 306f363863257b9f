//! Token amounts: unsigned integers of a mint's smallest unit.

use core::fmt;
use core::str::FromStr;

/// An amount in base units of the channel's mint. Arithmetic is checked; there are no fractions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Amount(u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of `base_units`.
    pub const fn new(base_units: u64) -> Self {
        Self(base_units)
    }

    /// The number of base units.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, or `None` when it does not fit a u64.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` when `other` is larger.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The difference, or nothing when `other` is larger.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not a canonical decimal u64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseAmountError;

impl fmt::Display for ParseAmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a decimal number of base units (0 or [1-9][0-9]*, at most 18446744073709551615)")
    }
}

impl core::error::Error for ParseAmountError {}

/// Parses `0` or `[1-9][0-9]*` up to u64's maximum: no sign, space, exponent or leading zero.
pub fn parse_u64(text: &str) -> Result<u64, ParseAmountError> {
    let bytes = text.as_bytes();
    let canonical = match bytes {
        [] => false,
        [b'0'] => true,
        [b'0', ..] => false,
        digits => digits.len() <= 20 && digits.iter().all(u8::is_ascii_digit),
    };
    if !canonical {
        return Err(ParseAmountError);
    }
    text.parse().map_err(|_| ParseAmountError)
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_u64(text).map(Self)
    }
}
