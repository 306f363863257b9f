//! What a caller gets for its request.

use http::{HeaderMap, StatusCode};
use toll_protocol::{Amount, ChannelId, Receipt};

use crate::response::Response;

/// An answer, and what it cost.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The payment, if there was one.
    pub payment: Option<Payment>,
}

/// What one request cost.
#[derive(Clone, Debug)]
pub struct Payment {
    /// The channel that paid.
    pub channel: ChannelId,
    /// Whether it was opened for this request.
    pub opened: bool,
    /// By how much its deposit was raised on the way.
    pub topped_up: Amount,
    /// What was charged.
    pub charged: Amount,
    /// The server's receipt.
    pub receipt: Receipt,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self { status: response.status, headers: response.headers, body: response.body, payment: None }
    }
}
