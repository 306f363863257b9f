//! What a guarded handler may know about who paid.

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_ledger::Watermarks;
use toll_protocol::{Amount, ChannelId};

/// The payment that admitted a request: an axum extractor for handlers behind a [`crate::PaymentLayer`].
///
/// On a route that is free, extracting it answers 500: make it an `Option` there.
#[derive(Clone, Copy, Debug)]
pub struct Paid {
    /// The channel that paid.
    pub channel: ChannelId,
    /// The key whose deposit it spends.
    pub payer: Pubkey,
    /// What this request was charged, in base units.
    pub charged: Amount,
    /// The channel's accounting after the charge.
    pub watermarks: Watermarks,
}

/// The single payment that admitted a request, as an extension of it, where no channel did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidOnce {
    /// Whose tokens it moved.
    pub payer: Pubkey,
    /// How much in all, in base units.
    pub charged: Amount,
    /// The transaction.
    pub reference: Signature,
}

impl<S: Sync> FromRequestParts<S> for Paid {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let unpaid = (StatusCode::INTERNAL_SERVER_ERROR, "this handler is not behind a payment layer");
        parts.extensions.get::<Self>().copied().ok_or(unpaid)
    }
}

impl<S: Sync> axum::extract::OptionalFromRequestParts<S> for Paid {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied())
    }
}
