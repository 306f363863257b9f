//! A stream of events, charged event by event.
//!
//! What an event costs is on disk as delivered before the event leaves. When what is authorized is used up, the stream
//! says which voucher it needs, and waits; with that voucher it goes on, and without it the stream ends, with a receipt
//! as always. Nothing beyond what is authorized is delivered. A client that goes away owes what had left by then.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::BodyExt;
use toll_ledger::{ChannelRecord, Watermarks, Widened};
use toll_protocol::{Amount, EventCutter, NeedVoucher, PaymentEvent, StreamEvent};

use super::Usage;
use super::body::{Frames, channel, deliver_head};
use super::paused::Wanted;
use super::serve::MeteredSale;
use crate::gateway::receipt_header;
use crate::header::{PAYMENT_RECEIPT, mark_private};

/// How often a stream that waits looks whether its time is over.
const LOOK: Duration = Duration::from_millis(200);

/// How many such looks pass before the ledger is asked: another process may have taken the voucher, or a top-up landed.
const LOOKS: u32 = 5;

/// Answers with `response`, whose body is a stream of events.
pub(super) fn stream(sale: MeteredSale, usage: Usage, began: i64, response: Response) -> Response {
    let (mut parts, answer) = response.into_parts();
    if parts.status.is_success() {
        let receipt = sale.receipt(sale.channel.watermarks);
        parts.headers.insert(PAYMENT_RECEIPT, receipt_header(&receipt));
    }
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    mark_private(&mut parts.headers);
    parts.headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let head = deliver_head(&parts);
    let (frames, body) = channel();
    let meter = Meter { sale, usage, began, delivered: Amount::ZERO, frames };
    tokio::spawn(async move { meter.run(answer).await.keep(head, None) });
    Response::from_parts(parts, body)
}

struct Meter {
    sale: MeteredSale,
    usage: Usage,
    /// Unix seconds.
    began: i64,
    /// What has been delivered for.
    delivered: Amount,
    frames: Frames,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The upstream has said everything.
    Whole,
    /// The rest is not paid for, or cannot be had.
    Cut,
}

impl Meter {
    async fn run(mut self, answer: Body) -> crate::deliver::Keeper {
        let end = self.pump(answer).await;
        let used = match end {
            End::Whole if self.sale.metering.tariff.is_complete(&self.usage) => self.delivered,
            // What was not reported costs what was earmarked at first.
            End::Whole => self.delivered.max(self.sale.final_cost(&self.usage).min(self.sale.price)),
            End::Cut => self.delivered,
        };
        let MeteredSale { gateway, channel, challenge_id, keeper, tab, .. } = self.sale;
        if let Some(watermarks) = tab.settle(used, &self.usage).await {
            let receipt = gateway.receipt(&ChannelRecord { watermarks, ..channel }, &challenge_id);
            let _ = self
                .frames
                .send(Ok(Frame::data(PaymentEvent::Receipt(Box::new(receipt)).to_bytes().into())))
                .await;
        }
        keeper
    }

    async fn pump(&mut self, mut answer: Body) -> End {
        let mut cutter = EventCutter::default();
        loop {
            let frame = tokio::select! {
                () = self.frames.closed() => return End::Cut,
                frame = answer.frame() => frame,
            };
            let Some(frame) = frame else { break };
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => {
                    if let Err(error) = cutter.push(&data) {
                        tracing::warn!(%error, "a stream was ended");
                        return End::Cut;
                    }
                }
                Ok(Err(frame)) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    self.sale.metering.tariff.read_trailers(&mut self.usage, &trailers);
                }
                Err(error) => {
                    tracing::warn!(%error, "the answer to a paid request broke off");
                    return End::Cut;
                }
            }
            while let Some(event) = cutter.next() {
                if !self.deliver(event).await {
                    return End::Cut;
                }
            }
        }
        if let Some(rest) = cutter.rest()
            && !self.deliver(rest).await
        {
            return End::Cut;
        }
        self.close().await
    }

    /// What came after the last event, trailers and the last second, is charged as well.
    async fn close(&mut self) -> End {
        self.usage.seconds = self.sale.seconds_since(self.began);
        let cost = self.sale.metering.tariff.cost(&self.usage);
        if cost > self.sale.tab.amount() && !self.wait_for(cost).await {
            // Delivered already, and all that is authorized for it.
            self.delivered = self.sale.tab.amount();
            return End::Cut;
        }
        self.delivered = self.delivered.max(cost);
        End::Whole
    }

    /// Delivers an event once it is paid for. False: the stream is over.
    async fn deliver(&mut self, event: StreamEvent) -> bool {
        if event.is_of_payment() {
            return true;
        }
        let before = self.usage.clone();
        self.usage.bytes += event.bytes.len() as u64;
        self.usage.seconds = self.sale.seconds_since(self.began);
        if is_counted(&event) {
            self.usage.events += 1;
            let data = event.data.as_deref().unwrap_or_default();
            self.sale.metering.tariff.read_text(&mut self.usage, data.as_bytes());
        }
        let cost = self.sale.metering.tariff.cost(&self.usage);
        let is_paid = self.is_authorized(cost).await;
        let frames = self.frames.clone();
        let permit = if is_paid { frames.reserve().await.ok() } else { None };
        let (true, Some(permit)) = (is_paid, permit) else {
            self.usage = before;
            return false;
        };
        if !self.sale.tab.note(cost).await || self.frames.is_closed() {
            self.usage = before;
            return false;
        }
        permit.send(Ok(Frame::data(ended(event.bytes))));
        self.delivered = self.delivered.max(cost);
        true
    }

    async fn is_authorized(&mut self, cost: Amount) -> bool {
        cost <= self.sale.tab.amount() || self.wait_for(cost).await
    }

    /// Waits until `cost` is authorized. False when it is not in time, or nobody waits for it.
    async fn wait_for(&mut self, cost: Amount) -> bool {
        let gateway = std::sync::Arc::clone(&self.sale.gateway);
        let window = self.sale.headroom.max(self.sale.price);
        let most = Amount::new(cost.get().saturating_add(window.get()));
        let most = self.sale.metering.tariff.cap.map_or(most, |cap| most.min(cap.max(cost)));
        let mut deadline = gateway.now() + i64::from(self.sale.metering.voucher_wait);
        let mut said: Option<(Amount, Watermarks)> = None;
        let mut pause = None;
        loop {
            // Made before the ledger is asked, so that no voucher falls between.
            let raised = gateway.paused.next();
            tokio::pin!(raised);
            raised.as_mut().enable();
            let watermarks = match self.sale.tab.widen(cost, most).await {
                Ok(Widened::To(_)) => return true,
                Ok(Widened::Short { watermarks, .. }) => watermarks,
                Ok(Widened::Over) => return false,
                Err(error) => {
                    tracing::error!(%error, "a stream cannot ask for more");
                    return false;
                }
            };
            let wanted = self.wanted(&watermarks, cost);
            let required = wanted.required;
            if said.is_none_or(|(known, marks)| known != required || marks.deposit != watermarks.deposit) {
                // Something came of it.
                deadline = gateway.now() + i64::from(self.sale.metering.voucher_wait);
                drop(pause.take());
                pause = gateway.paused.pause(self.sale.channel.id, wanted);
                if pause.is_none() {
                    return false;
                }
                let needed = PaymentEvent::NeedVoucher(NeedVoucher {
                    channel_id: self.sale.channel.id,
                    required_cumulative: required,
                    accepted_cumulative: watermarks.accepted,
                    deposit: watermarks.deposit,
                });
                let event = Frame::data(needed.to_bytes().into());
                if self.frames.send(Ok(event)).await.is_err() {
                    return false;
                }
                said = Some((required, watermarks));
            }
            for _ in 0..LOOKS {
                tokio::select! {
                    () = self.frames.closed() => return false,
                    () = raised.as_mut() => break,
                    () = tokio::time::sleep(LOOK) => {}
                }
                if gateway.now() >= deadline {
                    drop(pause);
                    return false;
                }
            }
        }
    }

    /// The voucher to ask for: one that lasts for as long as vouchers may run ahead, where the deposit reaches so far.
    fn wanted(&self, watermarks: &Watermarks, cost: Amount) -> Wanted {
        let min_delta = self.sale.gateway.terms.min_voucher_delta;
        let missing = cost.saturating_sub(self.sale.tab.amount());
        let least = watermarks.required(missing, min_delta);
        let ahead = watermarks.required(missing.max(self.sale.headroom), min_delta);
        let required = if least <= watermarks.deposit { ahead.min(watermarks.deposit) } else { least };
        Wanted { least, required }
    }
}

/// The last event of a stream may come without the blank line that ends it.
fn ended(mut bytes: Vec<u8>) -> Bytes {
    let is_ended = [b"\n\n".as_slice(), b"\r\r", b"\r\n\r\n", b"\n\r"].iter().any(|end| bytes.ends_with(end));
    if is_ended {
        return bytes.into();
    }
    bytes.extend_from_slice(if bytes.ends_with(b"\n") || bytes.ends_with(b"\r") { b"\n" } else { b"\n\n" });
    bytes.into()
}

/// Whether an event delivers something.
fn is_counted(event: &StreamEvent) -> bool {
    event.data.as_deref().is_some_and(|data| data != "[DONE]")
}
