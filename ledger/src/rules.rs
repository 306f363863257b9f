//! The rules: what is known plus what is asked, to a change or a refusal.
//!
//! Pure functions: no SQL, no clock, no waiting. Every decision about a channel is taken here, once; what carries it
//! out reads rows, asks, and writes what it is told. The database's own constraints say the laws again, as the last
//! guard.

pub(crate) mod acceptance;
pub(crate) mod closing;
pub(crate) mod observation;
pub(crate) mod retention;

#[cfg(test)]
mod channel_laws;
#[cfg(test)]
mod laws;
