//! What a caller gets for its request.

use http::{HeaderMap, StatusCode};
use solana_pubkey::Pubkey;
use toll_protocol::{Amount, ChannelId, ChargeReceipt, Receipt};

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
    /// The payment from a channel, if there was one.
    pub payment: Option<Payment>,
    /// The charge that paid, if one did.
    pub charge: Option<PaidCharge>,
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

/// A transfer that paid for one request.
#[derive(Clone, Debug)]
pub struct PaidCharge {
    /// What it moved in all, in base units.
    pub amount: Amount,
    /// The token.
    pub mint: Pubkey,
    /// Who was paid, besides splits.
    pub recipient: Pubkey,
    /// Whether the server paid the fee.
    pub sponsored: bool,
    /// Whether the payer sent it to the chain itself.
    pub pushed: bool,
    /// The server's receipt, if one came with the answer.
    pub receipt: Option<ChargeReceipt>,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self {
            status: response.status,
            headers: response.headers,
            body: response.body,
            payment: None,
            charge: None,
        }
    }
}
