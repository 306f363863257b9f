//! Amounts as people type and read them.
//!
//! A bare integer is base units; a number with a point is whole tokens. So a forgotten point makes an
//! amount too small, which is refused, and never too large.

use std::fmt;
use std::str::FromStr;

use toll_protocol::Amount;

/// An amount from the command line, before the mint's decimals are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Base units of the mint.
    BaseUnits(u64),
    /// `digits / 10^places` whole tokens.
    Tokens {
        /// All digits, without the point.
        digits: u64,
        /// How many of them stand after the point.
        places: u8,
    },
}

/// Why a text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Neither an integer nor a decimal number.
    #[error("`{0}` is no amount: use base units like 25000, or tokens with a point like 0.025")]
    Malformed(String),
    /// More places after the point than the mint has.
    #[error("{quantity} has more than the mint's {decimals} decimals")]
    TooPrecise {
        /// What was given.
        quantity: Quantity,
        /// What the mint has.
        decimals: u8,
    },
    /// Above the largest u64.
    #[error("{0} does not fit 64 bits")]
    TooLarge(Quantity),
}

impl Quantity {
    /// The amount in base units of a mint with `decimals`.
    pub fn base_units(self, decimals: u8) -> Result<Amount, QuantityError> {
        match self {
            Self::BaseUnits(amount) => Ok(Amount::new(amount)),
            Self::Tokens { digits, places } => {
                let scale = decimals
                    .checked_sub(places)
                    .ok_or(QuantityError::TooPrecise { quantity: self, decimals })?;
                10u64
                    .checked_pow(scale.into())
                    .and_then(|scale| digits.checked_mul(scale))
                    .map(Amount::new)
                    .ok_or(QuantityError::TooLarge(self))
            }
        }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || QuantityError::Malformed(text.into());
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.split_once('.') {
            None if all_digits(text) => text.parse().map(Self::BaseUnits).map_err(|_| malformed()),
            Some((whole, fraction)) if all_digits(whole) && all_digits(fraction) && fraction.len() <= 18 => {
                // Trailing zeros say nothing: `1.0000000` fits a mint of six decimals.
                let fraction = fraction.trim_end_matches('0');
                let digits = format!("{whole}{fraction}").parse().map_err(|_| malformed())?;
                let places = u8::try_from(fraction.len()).expect("at most 18 places");
                Ok(Self::Tokens { digits, places })
            }
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BaseUnits(amount) => amount.fmt(f),
            Self::Tokens { digits, places } => {
                f.write_str(&tokens(Amount::new(digits), places))?;
                if places == 0 { f.write_str(".0") } else { Ok(()) }
            }
        }
    }
}

/// `amount` in whole tokens: `1.5`, `0.00025`, `50`.
pub fn tokens(amount: Amount, decimals: u8) -> String {
    let digits = format!("{:0>width$}", amount.get(), width = usize::from(decimals) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals));
    match fraction.trim_end_matches('0') {
        "" => whole.into(),
        fraction => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base_units(text: &str) -> Result<u64, QuantityError> {
        text.parse::<Quantity>()?.base_units(6).map(Amount::get)
    }

    #[test]
    fn an_integer_is_base_units() {
        assert_eq!(base_units("25000"), Ok(25_000));
        assert_eq!(base_units("0"), Ok(0));
    }

    #[test]
    fn a_point_makes_it_tokens() {
        assert_eq!(base_units("0.025"), Ok(25_000));
        assert_eq!(base_units("50.0"), Ok(50_000_000));
        assert_eq!(base_units("1.0000000"), Ok(1_000_000));
    }

    #[test]
    fn more_places_than_the_mint_has_is_refused_rather_than_rounded() {
        assert!(matches!(base_units("0.0000001"), Err(QuantityError::TooPrecise { .. })));
    }

    #[test]
    fn an_amount_above_64_bits_is_refused() {
        assert!(base_units("18446744073709551616").is_err());
        assert!(matches!(base_units("18446744073709.6"), Err(QuantityError::TooLarge(_))));
    }

    #[test]
    fn signs_exponents_units_and_blanks_are_no_amounts() {
        for text in ["", "-1", "+1", "1e6", ".5", "5.", "1 000", "1_000", "0x10", "1,5", "5usdc", "1.2.3"] {
            assert!(matches!(base_units(text), Err(QuantityError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn tokens_are_written_without_trailing_zeros() {
        assert_eq!(tokens(Amount::new(1_500_000), 6), "1.5");
        assert_eq!(tokens(Amount::new(250), 6), "0.00025");
        assert_eq!(tokens(Amount::new(50_000_000), 6), "50");
        assert_eq!(tokens(Amount::new(7), 0), "7");
    }
}
