//! Who this program is, who its treasury is, and the limits it lives by.
//!
//! The program id and the treasury's owner are build inputs: `TOLL_PROGRAM_ID` and `TOLL_TREASURY_OWNER` in the
//! environment of the compiler replace the localnet values committed here.

use anchor_lang::prelude::*;

/// The program id that a build without `TOLL_PROGRAM_ID` carries.
pub const LOCALNET_PROGRAM_ID: &str = "ToLLkeeperSessionChanneL1111111111111111111";

/// The treasury owner that a build without `TOLL_TREASURY_OWNER` carries: `BE EF` sixteen times, a placeholder
/// that no one holds a key for.
pub const PLACEHOLDER_TREASURY_OWNER: &str = "DrLViEZBgqj6TgP8vKqu22uvLgV6p3tfkvCYfG8yqSUn";
