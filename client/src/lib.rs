//! A client that pays for HTTP requests: out of payment channels, or by a transfer for each.
//!
//! A program that has an HTTP client with middleware adds [`PaymentMiddleware`] to it (`examples/pay.rs`). Underneath,
//! [`Payer::pay`] sends a request; when the server asks for money, it opens a channel and signs vouchers, or signs a
//! charge, and comes back with the answer. What the payer agrees to is a [`Policy`]; what it remembers is a [`Book`]. The rules
//! that keep its money safe:
//!
//! 1. Nothing is signed for an offer that the policy, or the payer's balance, does not cover.
//! 2. What is signed is on disk before it is sent, and sent again rather than signed anew after a crash.
//! 3. Vouchers are signed by a key of the channel's own ([`VoucherKeySeeds`]), not by the one that holds the funds.
//! 4. A request for which a voucher went out is paid from another channel only once that voucher is void on chain.
//! 5. A request is paid for once: another charge is signed only when the chain shows that the one before cannot land.
//! 6. The server's figures are adopted only up to what was signed (draft-solana-session, "Receipt Format").
//!
//! Nothing here writes to a terminal or ends a process: errors are [`PayError`].

mod book;
mod channel;
mod charge;
mod choice;
mod clock;
mod close;
mod conversation;
mod credential;
mod doubt;
mod error;
mod exchange;
mod funds;
#[cfg(feature = "middleware")]
mod middleware;
mod offer;
mod open;
mod pay;
mod payer;
mod policy;
mod purchase;
mod recover;
mod reply;
mod request;
mod response;
mod resume;
mod retire;
mod stream;
mod top_up;
mod voucher;
mod voucher_key;

pub use book::{Book, BookError, VERSION};
pub use channel::{ChannelStage, Pending, SavedChannel, Unanswered};
pub use charge::{ChargeOffer, SavedCharge};
pub use choice::Intents;
pub use error::PayError;
#[cfg(feature = "middleware")]
pub use middleware::PaymentMiddleware;
pub use offer::{MAX_AGE, Offer, OfferTerms};
pub use payer::Payer;
pub use policy::Policy;
pub use recover::FoundChannel;
pub use reply::{PaidCharge, Payment, Reply};
pub use request::{IDEMPOTENCY_KEY, Request};
pub use response::{PAYMENT_RECEIPT, Refusal, Response};
pub use voucher_key::VoucherKeySeeds;
