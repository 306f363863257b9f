//! One request, paid for: 402 → checks → open → voucher → body.

use std::time::Duration;

use http::StatusCode;
use toll_protocol::Amount;

use crate::channel::SavedChannel;
use crate::choice::{Choice, Intents};
use crate::clock::unix_now;
use crate::conversation::Conversation;
use crate::error::PayError;
use crate::purchase::Purchase;
use crate::reply::Reply;
use crate::request::Request;
use crate::response::Response;

/// How many exchanges one request may take: an open, a top-up, a resynchronization or two, and the answer.
const MAX_EXCHANGES: usize = 8;

/// What an exchange with an open channel led to.
pub(crate) enum Turn {
    /// The request is answered.
    Served(Box<Reply>),
    /// Go on with the channel as it is now.
    Again(Box<SavedChannel>),
    /// The channel buys nothing more.
    Gone,
    /// The channel buys something else: vouchers of this request are signed by somebody else, or at another price.
    Elsewhere,
}

impl Conversation<'_> {
    /// See [`Payer::pay`](crate::Payer::pay). `first` is the answer to `request` without a credential, if there is
    /// one already.
    pub(crate) async fn pay(
        &self,
        request: &Request,
        mut first: Option<Response>,
    ) -> Result<Reply, PayError> {
        let mut purchase = Purchase::new(request);
        if let Some(reply) = self.earlier_charge(&purchase).await? {
            return Ok(reply);
        }
        let mut channel = self.usable_channel(&purchase).await?;
        self.check_unpaid(&purchase, Duration::ZERO).await?;
        let (mut opened, mut topped_up) = (false, Amount::ZERO);
        for _ in 0..MAX_EXCHANGES {
            let Some(current) = channel else {
                let response = match first.take() {
                    Some(response) => response,
                    None => self.send(request, &[]).await?,
                };
                if response.status != StatusCode::PAYMENT_REQUIRED {
                    return Ok(response.into());
                }
                let url = request.url.as_str();
                let choice = self.payer.policy.choose(&response.headers, url, unix_now())?;
                if !request.has_room_for(choice.challenge()) {
                    return Err(PayError::AuthorizationTaken { url: url.to_owned() });
                }
                let offer = match choice {
                    Choice::Charge(offer) => return self.pay_charge(&mut purchase, *offer).await,
                    Choice::Session(offer) => *offer,
                };
                self.check_transport(request)?;
                purchase.quote(offer.terms.price)?;
                let (origin, payer) = (request.origin(), self.payer.address());
                if let Some(mut known) = self.book.answering(&origin, &payer, &offer.terms, &purchase.left) {
                    purchase.change_channel();
                    if !known.operated {
                        known.take_challenge(&offer)?;
                        known.price = offer.terms.price;
                    }
                    channel = self.check_open(&purchase, known).await?;
                    continue;
                }
                self.check_left_behind(request).await?;
                self.retire().await;
                let new = self.open(request, offer).await?;
                purchase.change_channel();
                // The offer that was accepted in the end may be a later one.
                purchase.quote(new.price)?;
                channel = Some(new);
                opened = true;
                continue;
            };
            let deposit = current.deposit;
            match self.voucher_turn(&mut purchase, current).await? {
                Turn::Served(mut reply) => {
                    if let Some(payment) = &mut reply.payment {
                        (payment.opened, payment.topped_up) = (opened, topped_up);
                    }
                    return Ok(*reply);
                }
                Turn::Again(next) => {
                    let raised = next.deposit.saturating_sub(deposit);
                    topped_up = topped_up.checked_add(raised).unwrap_or(topped_up);
                    channel = Some(*next);
                }
                Turn::Elsewhere if opened => return Err(PayError::Endless),
                Turn::Elsewhere => channel = None,
                Turn::Gone => {
                    let patience = if opened { Duration::ZERO } else { self.payer.policy.close_patience };
                    let unpaid = self.check_unpaid(&purchase, patience).await;
                    // One request is worth one deposit, whatever becomes of the channel.
                    if opened && !matches!(unpaid, Err(PayError::Redeemed { .. })) {
                        return Err(PayError::ClosedAtOnce);
                    }
                    unpaid?;
                    channel = None;
                }
            }
        }
        Err(PayError::Endless)
    }

    /// Whether the server should be asked first what it sells the request for. One whose operator may sign has channels
    /// of several kinds, and a voucher that is shown for the wrong one may be redeemed all the same.
    fn may_be_for_others(&self, purchase: &Purchase<'_>, channel: &SavedChannel) -> bool {
        let request = purchase.request;
        let opened_for_it = channel.url == request.url.as_str() && channel.method == request.method.as_str();
        !self.payer.policy.operators.is_empty()
            && !opened_for_it
            && channel.pending.is_none()
            && channel.unanswered(&purchase.fingerprint).is_none()
    }

    /// Whether the payer named a price, and the server has yet to name its own.
    fn asks_first(&self, purchase: &Purchase<'_>, channel: &SavedChannel) -> bool {
        self.payer.policy.amount.is_some()
            && channel.pending.is_none()
            && channel.unanswered(&purchase.fingerprint).is_none()
    }

    /// The channel to go on with, after whatever a crash left unanswered.
    async fn usable_channel(&self, purchase: &Purchase<'_>) -> Result<Option<SavedChannel>, PayError> {
        let request = purchase.request;
        if self.payer.policy.intents == Intents::Charge {
            return Ok(None);
        }
        let Some(channel) = self.payer.known_channel(self.book, request) else {
            return self.look_again(request).await;
        };
        let elsewhere = self.may_be_for_others(purchase, &channel) || self.asks_first(purchase, &channel);
        if elsewhere || !request.has_room_for(&channel.challenge) {
            return Ok(None);
        }
        self.check_transport(request)?;
        match self.resume(request, channel).await? {
            Some(channel) => self.check_open(purchase, channel).await,
            None => Ok(None),
        }
    }
}
