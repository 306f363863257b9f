//! The channel program this build was made with.

pub use toll_protocol::{PROGRAM_ID, TREASURY_OWNER};

/// The program's ELF, as committed: built for [`PROGRAM_ID`] and [`TREASURY_OWNER`].
pub const ELF: &[u8] = include_bytes!("../../programs/session-channel/elf/session_channel.so");
