//! A long answer that is no stream of events: it passes while it comes, and costs at most what was earmarked.

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderValue, TRAILER};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;
use toll_protocol::Amount;

use super::Usage;
use super::serve::MeteredSale;
use super::usage::SEARCHED;
use crate::gateway::receipt_header;
use crate::header::PAYMENT_RECEIPT;

pub(super) type Frames = mpsc::Sender<Result<Frame<Bytes>, axum::BoxError>>;

/// A body of the frames that are sent, one of them waiting at a time.
pub(super) fn channel() -> (Frames, Body) {
    let (frames, receiver) = mpsc::channel(1);
    let frames_of = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|frame| (frame, receiver))
    });
    (frames, Body::new(StreamBody::new(frames_of)))
}

/// Answers with `response`, `held` before what is left of its body.
pub(super) fn stream(
    sale: MeteredSale,
    usage: Usage,
    began: i64,
    response: Response,
    held: Bytes,
    takes_trailers: bool,
) -> Response {
    let (mut parts, answer) = response.into_parts();
    if parts.status.is_success() {
        let receipt = sale.receipt(sale.channel.watermarks);
        parts.headers.insert(PAYMENT_RECEIPT, receipt_header(&receipt));
    }
    if takes_trailers {
        // Trailers need chunks.
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.insert(TRAILER, HeaderValue::from_static("payment-receipt"));
    }
    let (frames, body) = channel();
    let head = deliver_head(&parts);
    tokio::spawn(async move {
        let keeper = pump(sale, usage, began, answer, held, frames, takes_trailers).await;
        keeper.keep(head, None);
    });
    Response::from_parts(parts, body)
}

pub(super) fn deliver_head(parts: &http::response::Parts) -> crate::deliver::Head {
    crate::deliver::Head { status: parts.status.as_u16(), headers: parts.headers.clone() }
}

async fn pump(
    mut sale: MeteredSale,
    mut usage: Usage,
    began: i64,
    mut answer: Body,
    held: Bytes,
    frames: Frames,
    takes_trailers: bool,
) -> crate::deliver::Keeper {
    let mut tail = BytesMut::new();
    let mut delivered = Amount::ZERO;
    let mut trailers = HeaderMap::new();
    let mut next = (!held.is_empty()).then_some(held);
    let is_whole = loop {
        let data = match next.take() {
            Some(held) => held,
            None => match answer.frame().await {
                None => break true,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(frame) => {
                        trailers.extend(frame.into_trailers().unwrap_or_default());
                        continue;
                    }
                },
                Some(Err(error)) => {
                    tracing::warn!(%error, "the answer to a paid request broke off");
                    let _ = frames.send(Err(error.into())).await;
                    break false;
                }
            },
        };
        let Ok(permit) = frames.reserve().await else { break false };
        let before = usage.clone();
        usage.bytes += data.len() as u64;
        usage.seconds = sale.seconds_since(began);
        let cost = sale.metering.tariff.cost(&usage).min(sale.tab.amount());
        if !sale.tab.note(cost).await {
            usage = before;
            break false;
        }
        if sale.metering.tariff.reads_bodies() {
            tail.extend_from_slice(&data);
            let excess = tail.len().saturating_sub(SEARCHED);
            let _ = tail.split_to(excess);
        }
        delivered = cost;
        permit.send(Ok(Frame::data(data)));
    };
    let used = if is_whole {
        sale.metering.tariff.read_text(&mut usage, &tail);
        sale.metering.tariff.read_trailers(&mut usage, &trailers);
        sale.final_cost(&usage)
    } else {
        delivered
    };
    let MeteredSale { gateway, channel, challenge_id, keeper, tab, .. } = sale;
    let settled = tab.settle(used, &usage).await;
    if let Some(watermarks) = settled.filter(|_| is_whole && takes_trailers) {
        let paid = toll_ledger::ChannelRecord { watermarks, ..channel };
        let receipt = gateway.receipt(&paid, &challenge_id);
        trailers.insert(PAYMENT_RECEIPT, receipt_header(&receipt));
        let _ = frames.send(Ok(Frame::trailers(trailers))).await;
    }
    keeper
}
