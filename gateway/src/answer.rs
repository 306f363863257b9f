//! Answers to the session's own messages: opens, top-ups, closes, voucher-only updates.

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use toll_protocol::Receipt;

use crate::gateway::receipt_header;
use crate::header::PAYMENT_RECEIPT;

/// 200 with a receipt and a small JSON body. `HEAD` drops the body further out.
pub(crate) fn lifecycle(receipt: &Receipt, body: serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    headers.insert(PAYMENT_RECEIPT, receipt_header(receipt));
    response
}
