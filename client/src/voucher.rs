//! Paying for a request from an open channel.

use http::StatusCode;
use http::header::AUTHORIZATION;
use rand::RngCore;
use toll_protocol::{Action, Amount, Credential, SignedVoucher, Voucher, VoucherAction, base64url_encode};

use crate::book::Book;
use crate::channel::{ChannelStage, Pending, SavedChannel};
use crate::credential::authorization;
use crate::error::PayError;
use crate::offer::Offer;
use crate::payer::{Payer, Turn, adopt, unix_now};
use crate::reply::{Payment, Reply};
use crate::request::{IDEMPOTENCY_KEY, Request};
use crate::response::Response;

impl Payer {
    /// Presents a voucher with `request`: the one that went unanswered for the same request, or the next one.
    ///
    /// The voucher is on disk before it is sent. Nothing above `ceiling` is signed: a server may correct what
    /// it is offered for one request, but not collect several times for it.
    pub(crate) async fn voucher_turn(
        &self,
        book: &mut Book,
        request: &Request,
        mut channel: SavedChannel,
        ceiling: Amount,
    ) -> Result<Turn, PayError> {
        let fingerprint = request.fingerprint();
        let (cumulative, idempotency_key) = match channel.pending.take() {
            Some(Pending::Voucher { cumulative, fingerprint: pending, idempotency_key })
                if pending == fingerprint =>
            {
                (cumulative, idempotency_key)
            }
            _ => (self.next_cumulative(&channel)?, fresh_key()),
        };
        if cumulative > ceiling {
            return Err(PayError::Dishonest(format!(
                "it wants {cumulative} signed, where one request may raise that to {ceiling} at most"
            )));
        }
        if cumulative > channel.deposit {
            // A top-up that was called refused may have landed.
            self.reread_deposit(&mut channel).await?;
        }
        if cumulative > channel.deposit {
            let additional = self.policy.top_up_for(channel.deposit, cumulative)?;
            return self.top_up_by(book, request, channel, additional).await.map(again);
        }
        channel.signed = channel.signed.max(cumulative);
        channel.pending =
            Some(Pending::Voucher { cumulative, fingerprint, idempotency_key: idempotency_key.clone() });
        let credential = self.voucher_credential(&channel, cumulative)?;
        book.put(channel.clone())?;

        let headers = [(AUTHORIZATION, credential), (IDEMPOTENCY_KEY, idempotency_key)];
        let mut response = self.send(request, &headers).await?;
        for _ in 0..3 {
            // Nothing was consumed: the same voucher again, under the same key.
            if !matches!(response.status.as_u16(), 429 | 503) {
                break;
            }
            tokio::time::sleep(response.retry_after()).await;
            response = self.send(request, &headers).await?;
        }
        match response.status {
            StatusCode::PAYMENT_REQUIRED => self.after_refusal(book, channel, &response).await,
            StatusCode::CONFLICT if !response.refusal().code.is_empty() => {
                self.after_conflict(book, channel, cumulative, &response)
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Err(response.refusal().into()),
            _ => self.served(book, channel, response).map(|reply| Turn::Served(Box::new(reply))),
        }
    }

    /// The next amount to sign: one request above what the server accepted.
    fn next_cumulative(&self, channel: &SavedChannel) -> Result<Amount, PayError> {
        if channel.price > self.policy.max_amount {
            return Err(PayError::PriceAboveLimit { price: channel.price, limit: self.policy.max_amount });
        }
        let overflow =
            || PayError::DepositAboveLimit { needed: channel.price, limit: self.policy.max_deposit };
        channel.accepted.checked_add(channel.price).ok_or_else(overflow)
    }

    pub(crate) fn sign(&self, channel: &SavedChannel, cumulative_amount: Amount) -> SignedVoucher {
        let voucher = Voucher { channel_id: channel.channel_id, cumulative_amount, expires_at: 0 };
        SignedVoucher::sign(voucher, &self.voucher_key)
    }

    fn voucher_credential(&self, channel: &SavedChannel, cumulative: Amount) -> Result<String, PayError> {
        authorization(&Credential {
            challenge: channel.challenge.clone(),
            action: Action::Voucher(VoucherAction {
                channel_id: channel.channel_id,
                voucher: self.sign(channel, cumulative),
            }),
            source: None,
        })
    }

    fn served(
        &self,
        book: &mut Book,
        mut channel: SavedChannel,
        response: Response,
    ) -> Result<Reply, PayError> {
        let spent_before = channel.spent;
        // Without a receipt nobody says whether it was charged; the next answer will.
        let receipt = response.receipt()?;
        if receipt.is_none() && response.status.is_success() {
            let (id, signed) = (channel.channel_id, channel.signed);
            tracing::warn!(channel = %id, %signed, "no receipt came with the answer");
        }
        if let Some(receipt) = &receipt {
            self.take_receipt(&mut channel, receipt)?;
        }
        channel.pending = None;
        let payment = receipt.map(|receipt| Payment {
            channel: channel.channel_id,
            opened: false,
            topped_up: Amount::ZERO,
            charged: channel.spent.saturating_sub(spent_before),
            receipt,
        });
        // Not written yet: losing this costs one exchange, in which the server tells it again.
        book.note(channel);
        Ok(Reply { payment, ..response.into() })
    }

    /// A 402 for a voucher: learn from it what may be learned, or give up.
    async fn after_refusal(
        &self,
        book: &mut Book,
        mut channel: SavedChannel,
        response: &Response,
    ) -> Result<Turn, PayError> {
        let refusal = response.refusal();
        match refusal.code.as_str() {
            "channel-not-found" | "channel-closed" => {
                channel.stage = ChannelStage::Closed;
                channel.pending = None;
                book.put(channel)?;
                Ok(Turn::Gone)
            }
            "channel-closing" => {
                channel.stage = ChannelStage::Closing;
                channel.pending = None;
                book.put(channel)?;
                Ok(Turn::Gone)
            }
            "not-increasing"
            | "insufficient"
            | "top-up-needed"
            | "exceeds-deposit"
            | "delta-too-small"
            | "excessive-increment"
            | "challenge" => {
                let known = (channel.accepted, channel.price, channel.deposit);
                let id = channel.challenge.id.clone();
                if matches!(refusal.code.as_str(), "top-up-needed" | "exceeds-deposit") {
                    self.reread_deposit(&mut channel).await?;
                }
                if let Some(accepted) = refusal.accepted {
                    adopt(&mut channel, accepted)?;
                }
                let offer = Offer::from_headers(&response.headers, &channel.url, unix_now())?;
                self.take_terms(&mut channel, &offer)?;
                channel.pending = None;
                // Asking again makes sense only if something was learned.
                let learned = (channel.accepted, channel.price, channel.deposit) != known;
                if !learned && (refusal.code != "challenge" || channel.challenge.id == id) {
                    return Err(refusal.into());
                }
                book.put(channel.clone())?;
                Ok(again(channel))
            }
            _ => Err(refusal.into()),
        }
    }

    /// Takes price and challenge of a newer offer for the same relation, within the limits.
    fn take_terms(&self, channel: &mut SavedChannel, offer: &Offer) -> Result<(), PayError> {
        self.policy.check(offer)?;
        channel.take_challenge(offer)?;
        channel.price = offer.terms.price;
        Ok(())
    }

    /// A 409: the idempotency key, or a request that was served before.
    fn after_conflict(
        &self,
        book: &mut Book,
        mut channel: SavedChannel,
        cumulative: Amount,
        response: &Response,
    ) -> Result<Turn, PayError> {
        let refusal = response.refusal();
        channel.pending = None;
        match refusal.code.as_str() {
            "idempotency-key-reuse" => {
                book.put(channel.clone())?;
                Ok(again(channel))
            }
            "replay-body-gone" => {
                adopt(&mut channel, cumulative)?;
                book.put(channel)?;
                Err(PayError::AnswerLost)
            }
            // Some 409 of the service behind the gateway: an answer like any other.
            _ => self.served(book, channel, response.clone()).map(|reply| Turn::Served(Box::new(reply))),
        }
    }
}

impl SavedChannel {
    /// Echoes `offer` from now on, if it is for the same relation.
    pub(crate) fn take_challenge(&mut self, offer: &Offer) -> Result<(), PayError> {
        let terms = &offer.terms;
        let same = (terms.mint, terms.payee, terms.program) == (self.mint, self.payee, self.program);
        if !same || terms.resume.is_some_and(|id| id != self.channel_id) {
            return Err(PayError::Malformed("it is for another channel than the one it answers".into()));
        }
        self.challenge = offer.challenge.clone();
        Ok(())
    }
}

fn again(channel: SavedChannel) -> Turn {
    Turn::Again(Box::new(channel))
}

fn fresh_key() -> String {
    let mut key = [0; 18];
    rand::rngs::OsRng.fill_bytes(&mut key);
    base64url_encode(key)
}
