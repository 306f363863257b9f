//! Amounts written by people: whole tokens with a decimal point.

use toll_protocol::Amount;

use crate::terms::LARGEST_DEPOSIT;

/// Reads `"1"`, `"0.001"` and the like as base units of a mint with `decimals`. Exact: a fraction finer than a
/// base unit, a sign, an exponent and more than a channel can hold are errors, never rounded.
pub fn parse_tokens(text: &str, decimals: u8) -> Result<Amount, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
        return Err("must be tokens as a decimal number, like \"0.001\"".to_owned());
    }
    let fraction = fraction.trim_end_matches('0');
    let decimals = usize::from(decimals);
    if fraction.len() > decimals {
        return Err(format!("is finer than the mint's {decimals} decimals"));
    }
    let base_units = format!("{whole}{fraction:0<decimals$}");
    let base_units = base_units.parse().ok().filter(|amount| *amount <= LARGEST_DEPOSIT.get());
    base_units.map(Amount::new).ok_or_else(|| "is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_become_base_units_exactly() {
        for (text, base_units) in
            [("0.001", 1_000), ("1", 1_000_000), ("0.0000010", 1), ("12.5", 12_500_000), ("0", 0)]
        {
            assert_eq!(parse_tokens(text, 6), Ok(Amount::new(base_units)), "{text}");
        }
        assert_eq!(parse_tokens("7", 0), Ok(Amount::new(7)));
    }

    #[test]
    fn anything_inexact_or_ambiguous_is_refused() {
        for text in
            ["", ".5", "1.", "-1", "+1", "1e3", "1,5", " 1", "0.0000001", "9223372036854.775808", "1000u"]
        {
            assert!(parse_tokens(text, 6).is_err(), "{text}");
        }
    }
}
