//! A payer that talks to one server: what every exchange of its has in common.

use http::StatusCode;
use http::header::HeaderName;
use toll_protocol::{Amount, Receipt};

use crate::book::Book;
use crate::channel::SavedChannel;
use crate::clock::unix_now;
use crate::error::PayError;
use crate::exchange::{self, Wire};
use crate::offer::Offer;
use crate::payer::Payer;
use crate::request::Request;
use crate::response::Response;

/// Takes the events of a stream as they come, byte for byte.
pub(crate) type Live<'a> = &'a (dyn Fn(&[u8]) + Send + Sync);

/// A payer with its memory open and a way to reach servers. Its [`Book::turn`] is taken.
pub(crate) struct Conversation<'a> {
    pub(crate) payer: &'a Payer,
    pub(crate) book: &'a Book,
    pub(crate) wire: &'a dyn Wire,
    /// Who wants a stream's events as they come.
    pub(crate) live: Option<Live<'a>>,
}

impl Conversation<'_> {
    /// Refuses to show a credential to everybody between here and the server (RFC draft httpauth-payment,
    /// "Transport Security": never over cleartext).
    pub(crate) fn check_transport(&self, request: &Request) -> Result<(), PayError> {
        if self.payer.policy.allow_http || request.is_private() {
            return Ok(());
        }
        Err(PayError::Cleartext { origin: request.origin() })
    }

    /// A challenge that was made just now: the answer to `request` without a credential.
    pub(crate) async fn fresh_offer(&self, request: &Request) -> Result<Offer, PayError> {
        let response = self.send(request, &[]).await?;
        if response.status != StatusCode::PAYMENT_REQUIRED {
            return Err(PayError::NoOffer { url: request.url.to_string() });
        }
        Offer::from_headers(&response.headers, request.url.as_str(), unix_now())
    }

    pub(crate) async fn send(
        &self,
        request: &Request,
        payment: &[(HeaderName, String)],
    ) -> Result<Response, PayError> {
        exchange::send(self.wire, request, payment, &self.payer.policy).await
    }

    /// What is held of the payer's in `channel`, by the best that is known.
    pub(crate) fn held(&self, channel: &SavedChannel) -> Amount {
        channel.held(self.payer.cluster.is_some())
    }

    /// Adopts a receipt after checking it: spent ≤ accepted ≤ signed, and for this channel.
    pub(crate) fn take_receipt(&self, channel: &mut SavedChannel, receipt: &Receipt) -> Result<(), PayError> {
        if receipt.reference != channel.channel_id {
            let found = receipt.reference;
            return Err(PayError::Dishonest(format!("a receipt for {found}, not {}", channel.channel_id)));
        }
        if receipt.spent > receipt.accepted_cumulative {
            let (spent, accepted) = (receipt.spent, receipt.accepted_cumulative);
            return Err(PayError::Dishonest(format!("{spent} spent of {accepted} accepted")));
        }
        adopt(channel, receipt.accepted_cumulative)?;
        channel.spent = channel.spent.max(receipt.spent);
        channel.last_receipt = Some(receipt.clone());
        Ok(())
    }
}

/// Adopts a watermark the server reported, unless it is above what was signed.
pub(crate) fn adopt(channel: &mut SavedChannel, accepted: Amount) -> Result<(), PayError> {
    if channel.adopt_accepted(accepted) {
        return Ok(());
    }
    Err(PayError::Dishonest(format!("{accepted} accepted, but only {} was signed", channel.signed)))
}
