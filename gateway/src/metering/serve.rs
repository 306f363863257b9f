//! From an earmark to an answer.
//!
//! An answer that is short, or JSON, is held back until what it used is charged, and its receipt says so. Any other
//! body passes while it comes; its receipt, in front, says what stood before, and what it cost follows it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, TE};
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use toll_ledger::{ChannelRecord, Watermarks};
use toll_protocol::Amount;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use super::{Metering, Tab, Usage, body, stream};
use crate::deliver::{self, Keeper, MAX_REPLAY_BODY, Undelivered};
use crate::gateway::{Gateway, receipt_header};
use crate::header::{PAYMENT_RECEIPT, mark_private};

/// Longest JSON that is held back until it is paid for, in bytes.
const LONGEST_JSON: usize = 1024 * 1024;

/// A request that is about to be served, with all it takes to charge it afterwards.
pub(crate) struct MeteredSale {
    pub(crate) gateway: Arc<Gateway>,
    /// The channel, with its amounts right after the earmark.
    pub(crate) channel: ChannelRecord,
    pub(crate) metering: Arc<Metering>,
    /// What is earmarked before, in base units: the most that an answer costs which is no stream of events.
    pub(crate) price: Amount,
    /// How far vouchers may run ahead of a stream.
    pub(crate) headroom: Amount,
    pub(crate) challenge_id: String,
    pub(crate) keeper: Keeper,
    pub(crate) tab: Tab,
}

impl MeteredSale {
    /// The receipt for the channel at `watermarks`.
    pub(super) fn receipt(&self, watermarks: Watermarks) -> toll_protocol::Receipt {
        let channel = ChannelRecord { watermarks, ..self.channel.clone() };
        self.gateway.receipt(&channel, &self.challenge_id)
    }

    /// Seconds since `began`, in unix seconds.
    pub(super) fn seconds_since(&self, began: i64) -> u64 {
        self.gateway.now().saturating_sub(began).max(0).unsigned_abs()
    }

    /// What `usage` costs in the end. What was not reported as it should have been costs what was earmarked.
    pub(super) fn final_cost(&self, usage: &Usage) -> Amount {
        let cost = self.metering.tariff.cost(usage);
        if self.metering.tariff.is_complete(usage) {
            return cost;
        }
        tracing::warn!("the upstream did not report what a request used");
        cost.max(self.metering.tariff.cap.map_or(self.price, |cap| self.price.min(cap)))
    }
}

/// Answers a request for which `sale` has earmarked. Call it from [`deliver::to_its_end`].
pub(crate) async fn serve<S>(mut sale: MeteredSale, mut request: Request, inner: S) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let began = sale.gateway.now();
    let metering = Arc::clone(&sale.metering);
    let tariff = &metering.tariff;
    if tariff.reads_bodies() {
        request.headers_mut().remove(ACCEPT_ENCODING);
    }
    let takes_trailers =
        request.headers().get_all(TE).iter().any(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    let Ok(mut response) = inner.oneshot(request).instrument(tracing::info_span!("upstream")).await;
    response.headers_mut().remove(PAYMENT_RECEIPT);
    let status = response.status();
    sale.tab.answered(status);
    if status.is_server_error() || response.extensions().get::<Undelivered>().is_some() {
        let used = sale.metering.server_errors.of(sale.price);
        sale.tab.settle(used, &tariff.unused()).await;
        return response;
    }
    mark_private(response.headers_mut());
    if status.is_client_error() {
        let used = sale.metering.client_errors.of(sale.price);
        sale.tab.settle(used, &tariff.unused()).await;
        return deliver::hand_over(sale.keeper, response).await;
    }
    let mut usage = tariff.unused();
    tariff.read_headers(&mut usage, response.headers());
    if is(response.headers(), "text/event-stream") {
        return stream::stream(sale, usage, began, response);
    }
    let bounded = response.body().size_hint().upper().is_some_and(|upper| upper <= MAX_REPLAY_BODY as u64);
    if !bounded && !is(response.headers(), "application/json") {
        return body::stream(sale, usage, began, response, Bytes::new(), takes_trailers);
    }
    let (mut parts, mut answer) = response.into_parts();
    let (mut held, mut trailers) = (BytesMut::new(), None);
    while let Some(frame) = answer.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => held.extend_from_slice(&data),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            // Nothing has left yet, so the repeat may run the service again.
            Err(error) => {
                tracing::warn!(%error, "the answer to a paid request broke off");
                sale.tab.settle(Amount::ZERO, &usage).await;
                return deliver::failure(StatusCode::BAD_GATEWAY);
            }
        }
        if held.len() > LONGEST_JSON {
            let response = Response::from_parts(parts, answer);
            return body::stream(sale, usage, began, response, held.freeze(), takes_trailers);
        }
    }
    let bytes = held.freeze();
    usage.bytes = bytes.len() as u64;
    usage.seconds = sale.seconds_since(began);
    tariff.read_text(&mut usage, &bytes);
    if let Some(trailers) = &trailers {
        tariff.read_trailers(&mut usage, trailers);
    }
    let cost = sale.final_cost(&usage);
    let MeteredSale { gateway, channel, challenge_id, keeper, tab, .. } = sale;
    // Charged before it leaves; should that fail, nothing leaves.
    let Some(watermarks) = tab.settle(cost, &usage).await else {
        return deliver::failure(StatusCode::SERVICE_UNAVAILABLE);
    };
    if parts.status.is_success() {
        let receipt = gateway.receipt(&ChannelRecord { watermarks, ..channel }, &challenge_id);
        parts.headers.insert(PAYMENT_RECEIPT, receipt_header(&receipt));
    }
    deliver::hand_over(keeper, Response::from_parts(parts, Body::from(bytes))).await
}

fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}
