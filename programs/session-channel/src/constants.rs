//! Who this program is, who its treasury is, and the limits it lives by.
//!
//! The program id and the treasury's owner are build inputs: `TOLL_PROGRAM_ID` and `TOLL_TREASURY_OWNER` in the
//! compiler's environment (base58) replace the localnet values committed here. The id is not replaced without the owner.

use anchor_lang::prelude::*;
use const_crypto::ed25519::derive_program_address;

pub use toll_protocol::{
    CHANNEL_DISCRIMINATOR, CHANNEL_SEED, CHANNEL_SIZE, CHANNEL_VERSION, OPEN_SLOT_WINDOW,
};

/// The program id that a build without `TOLL_PROGRAM_ID` carries.
pub const LOCALNET_PROGRAM_ID: &str = "ToLLkeeperSessionChanneL1111111111111111111";

/// The treasury owner that a build without `TOLL_TREASURY_OWNER` carries: `BE EF` sixteen times, a placeholder
/// that no one holds a key for.
pub const PLACEHOLDER_TREASURY_OWNER: &str = "DrLViEZBgqj6TgP8vKqu22uvLgV6p3tfkvCYfG8yqSUn";

/// [`PROGRAM_ID`] in base58.
pub(crate) const PROGRAM_ID_TEXT: &str = match option_env!("TOLL_PROGRAM_ID") {
    Some(id) => id,
    None => LOCALNET_PROGRAM_ID,
};

/// [`TREASURY_OWNER`] in base58.
pub(crate) const TREASURY_OWNER_TEXT: &str = match option_env!("TOLL_TREASURY_OWNER") {
    Some(owner) => owner,
    None => PLACEHOLDER_TREASURY_OWNER,
};

/// This program.
pub const PROGRAM_ID: Address = Address::from_str_const(PROGRAM_ID_TEXT);

/// Owner of the treasury's token accounts. What rounding leaves over, and payouts that their beneficiary cannot
/// receive, go to its associated token account of the channel's mint.
pub const TREASURY_OWNER: Address = Address::from_str_const(TREASURY_OWNER_TEXT);

// Whoever builds for an address of its own means to deploy; the stand-in would burn what reaches it.
const _: () = assert!(
    option_env!("TOLL_PROGRAM_ID").is_none() || option_env!("TOLL_TREASURY_OWNER").is_some(),
    "another program id needs a treasury: set TOLL_TREASURY_OWNER"
);
const _: () = assert!(
    !cfg!(feature = "mainnet") || !is_placeholder(TREASURY_OWNER.as_array()),
    "a mainnet build needs a treasury: set TOLL_TREASURY_OWNER"
);

/// Whether `key` is the committed stand-in, which would burn every token that reaches it.
const fn is_placeholder(key: &[u8; 32]) -> bool {
    let mut index = 0;
    while index < 32 {
        if key[index] != [0xBE, 0xEF][index % 2] {
            return false;
        }
        index += 1;
    }
    true
}

/// Seed of the address that signs this program's events.
pub const EVENT_AUTHORITY_SEED: &[u8] = b"event_authority";

// Deriving an address searches for a point off the curve: long for a constant, still free for the program.
#[allow(long_running_const_eval)]
const EVENT_AUTHORITY_AND_BUMP: ([u8; 32], u8) =
    derive_program_address(&[EVENT_AUTHORITY_SEED], PROGRAM_ID.as_array());

/// The address that signs this program's events to itself, so that nobody else can forge one.
pub const EVENT_AUTHORITY: Address = Address::new_from_array(EVENT_AUTHORITY_AND_BUMP.0);

/// Bump of [`EVENT_AUTHORITY`].
pub const EVENT_AUTHORITY_BUMP: u8 = EVENT_AUTHORITY_AND_BUMP.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_authority_is_the_canonical_derived_address() {
        let (address, bump) = find_program_address(&[EVENT_AUTHORITY_SEED], &PROGRAM_ID);
        assert_eq!((EVENT_AUTHORITY, EVENT_AUTHORITY_BUMP), (address, bump));
    }

    #[test]
    fn the_committed_treasury_is_recognized_as_a_placeholder() {
        assert!(is_placeholder(Address::from_str_const(PLACEHOLDER_TREASURY_OWNER).as_array()));
        assert!(!is_placeholder(PROGRAM_ID.as_array()));
    }

    #[test]
    fn the_reference_program_has_its_known_event_authority() {
        let reference = Address::from_str_const("CHNLxYvVA28MJP9PrFuDXccuoGXAx7jBacfLEkahyGsX");
        let (authority, bump) = derive_program_address(&[EVENT_AUTHORITY_SEED], reference.as_array());
        let known = Address::from_str_const("75c2huVzDW1Eq4kD86by5392sjdJzuAT195XNgP2f2tX");
        assert_eq!((Address::new_from_array(authority), bump), (known, 249));
    }
}
