//! One HTTP request and its answer.

use http::header::{HeaderName, HeaderValue};
use toll_chain::cause;

use crate::error::PayError;
use crate::request::Request;
use crate::response::Response;

/// Sends `request` with further headers and reads the whole answer, if it has at most `limit` bytes.
pub(crate) async fn send(
    client: &reqwest::Client,
    request: &Request,
    payment: &[(HeaderName, String)],
    limit: usize,
) -> Result<Response, PayError> {
    let unreachable =
        |error: reqwest::Error| PayError::Unreachable { url: request.origin(), reason: cause(&error) };
    let mut headers = request.headers.clone();
    for (name, value) in payment {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| PayError::Malformed(format!("{name} cannot be written as a header")))?;
        // Credentials stay out of debug output.
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let mut response = client
        .request(request.method.clone(), request.url.clone())
        .headers(headers)
        .body(request.body.clone())
        .send()
        .await
        .map_err(unreachable)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > limit {
            return Err(PayError::TooLarge { origin: request.origin(), limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body })
}
