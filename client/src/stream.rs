//! A stream of events that is paid for as it comes.
//!
//! When the server says that what is authorized is used up, the next voucher goes to the same resource with `HEAD`, on
//! another connection, and the stream goes on. What a stream may cost in all is what any one request may cost by the
//! policy; the server is asked for nothing more once it asks twice and sends nothing in between.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use toll_chain::cause;
use toll_protocol::{EventCutter, NeedVoucher, PaymentEvent, Receipt, format_receipt};

use crate::channel::{SavedChannel, Unanswered};
use crate::clock::unix_now;
use crate::conversation::{Conversation, adopt};
use crate::credential::header_for;
use crate::error::PayError;
use crate::exchange;
use crate::purchase::Purchase;
use crate::request::{IDEMPOTENCY_KEY, Request};
use crate::response::{PAYMENT_RECEIPT, Response};
use crate::voucher::{BUSY_ATTEMPTS, fresh_key, is_busy};

impl Conversation<'_> {
    /// Sends the request with its voucher, and pays on if the answer is a stream that asks for it.
    pub(crate) async fn send_paid(
        &self,
        purchase: &mut Purchase<'_>,
        channel: &mut SavedChannel,
        payment: &[(HeaderName, String)],
    ) -> Result<Response, PayError> {
        let (request, policy) = (purchase.request, &self.payer.policy);
        let incoming = exchange::begin(self.wire, request, payment, policy).await?;
        if incoming.status().is_success() && is_event_stream(&incoming) && !channel.operated {
            return self.follow(purchase, channel, incoming).await;
        }
        exchange::read(request, incoming, policy).await
    }

    /// Reads a stream to its end. Its receipt takes the place of the one that came in front.
    async fn follow(
        &self,
        purchase: &mut Purchase<'_>,
        channel: &mut SavedChannel,
        mut incoming: reqwest::Response,
    ) -> Result<Response, PayError> {
        let request = purchase.request;
        let (status, mut headers) = (incoming.status(), incoming.headers().clone());
        let (mut cutter, mut body) = (EventCutter::default(), Vec::new());
        let mut may_ask = true;
        let broken = |reason: String| PayError::Unreachable { url: request.origin(), reason };
        loop {
            let chunk = incoming.chunk().await.map_err(|error| broken(cause(&error)))?;
            let is_over = chunk.is_none();
            if let Some(chunk) = chunk {
                cutter.push(&chunk).map_err(|error| broken(error.to_string()))?;
            }
            loop {
                let event = match cutter.next() {
                    Some(event) => event,
                    None if is_over => match cutter.rest() {
                        Some(rest) => rest,
                        None => break,
                    },
                    None => break,
                };
                let said = event.payment().transpose();
                match said
                    .map_err(|error| PayError::Dishonest(format!("unreadable payment event: {error}")))?
                {
                    Some(PaymentEvent::NeedVoucher(needed)) => {
                        if !std::mem::replace(&mut may_ask, false) {
                            return self.leave(
                                purchase,
                                channel,
                                PayError::Dishonest(
                                    "it asks for vouchers and delivers nothing for them".to_owned(),
                                ),
                            );
                        }
                        if let Err(error) = self.pay_on(purchase, channel, &needed).await {
                            return self.leave(purchase, channel, error);
                        }
                    }
                    Some(PaymentEvent::Receipt(receipt)) => {
                        headers.insert(PAYMENT_RECEIPT, receipt_value(&receipt)?);
                    }
                    None => {
                        may_ask = true;
                        if let Some(live) = self.live {
                            live(&event.bytes);
                        } else if body.len() + event.bytes.len() > self.payer.policy.max_body {
                            let limit = self.payer.policy.max_body;
                            return Err(PayError::TooLarge { origin: request.origin(), limit });
                        } else {
                            body.extend_from_slice(&event.bytes);
                        }
                    }
                }
            }
            if is_over {
                return Ok(Response { status, headers, body });
            }
        }
    }

    /// Stops reading a stream: the server charges what it has delivered. The request is not asked for again.
    fn leave(
        &self,
        purchase: &Purchase<'_>,
        channel: &mut SavedChannel,
        error: PayError,
    ) -> Result<Response, PayError> {
        channel.forget(&purchase.fingerprint);
        self.book.put(channel.clone())?;
        Err(error)
    }

    /// Sends the voucher that a stream waits for, after a top-up where the deposit does not reach that far.
    async fn pay_on(
        &self,
        purchase: &mut Purchase<'_>,
        channel: &mut SavedChannel,
        needed: &NeedVoucher,
    ) -> Result<(), PayError> {
        let required = needed.required_cumulative;
        if needed.channel_id != channel.channel_id || required <= needed.accepted_cumulative {
            return Err(PayError::Dishonest(format!(
                "it wants {required} signed on {}, of which {} is accepted",
                needed.channel_id, needed.accepted_cumulative
            )));
        }
        adopt(channel, needed.accepted_cumulative)?;
        let (limit, base) = (self.payer.policy.max_amount, purchase.base(channel));
        let price = required.saturating_sub(base);
        if price > limit {
            return Err(PayError::PriceAboveLimit { price, limit });
        }
        if required > channel.deposit {
            self.reread_deposit(channel).await?;
        }
        if required > channel.deposit {
            let missing = required.saturating_sub(channel.deposit);
            let first = channel.first_deposit.unwrap_or(channel.deposit);
            let additional = self.payer.policy.top_up_for(self.held(channel), first, missing)?;
            *channel = self.top_up_by(purchase.request, channel.clone(), additional).await?;
        }
        let voucher = Unanswered {
            cumulative: required,
            base,
            fingerprint: purchase.fingerprint.clone(),
            idempotency_key: fresh_key(),
            challenge: channel.challenge.clone(),
            signed_at: unix_now(),
        };
        let credential = self.voucher_credential(channel, &voucher)?;
        channel.signed = channel.signed.max(required);
        self.book.put(channel.clone())?;
        let update = Request { method: Method::HEAD, body: Vec::new(), ..purchase.request.clone() };
        let headers =
            [(header_for(&voucher.challenge), credential), (IDEMPOTENCY_KEY, voucher.idempotency_key)];
        for _ in 0..BUSY_ATTEMPTS {
            let response = self.send(&update, &headers).await?;
            match response.status {
                StatusCode::OK => {
                    if let Some(receipt) = response.receipt()? {
                        self.take_receipt(channel, &receipt)?;
                    }
                    return Ok(());
                }
                status if is_busy(status) => tokio::time::sleep(response.retry_after()).await,
                _ => return Err(response.refusal().into()),
            }
        }
        Err(PayError::Endless)
    }
}

fn is_event_stream(incoming: &reqwest::Response) -> bool {
    let value =
        incoming.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
}

fn receipt_value(receipt: &Receipt) -> Result<HeaderValue, PayError> {
    HeaderValue::from_str(&format_receipt(receipt))
        .map_err(|_| PayError::Dishonest("unreadable receipt".to_owned()))
}
