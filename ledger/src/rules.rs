//! The rules: what is known plus what is asked, to a change or a refusal.
//!
//! Pure functions: no SQL, no clock, no waiting. Every decision about a channel is taken here, once; what carries it
//! out reads rows, asks, and writes what it is told. The database's own constraints say the laws again, as the last
//! guard.

pub(crate) mod acceptance;
pub(crate) mod closing;
pub(crate) mod earmark;
pub(crate) mod finality;
pub(crate) mod money;
pub(crate) mod observation;
pub(crate) mod opening;
pub(crate) mod payment;
pub(crate) mod renewal;
pub(crate) mod retention;
pub(crate) mod spending;
pub(crate) mod sponsorship;
pub(crate) mod submission;

#[cfg(test)]
mod channel_laws;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod laws;
