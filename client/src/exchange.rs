//! One HTTP request and its answer.

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use toll_chain::cause;

use crate::error::PayError;
use crate::policy::Policy;
use crate::request::Request;
use crate::response::Response;

/// What carries a request to its server: an HTTP client, or what comes after this in a chain of middleware.
#[async_trait]
pub(crate) trait Wire: Send + Sync {
    /// Sends, and returns once the answer's head is there. The error is the innermost cause in words.
    async fn carry(&self, request: reqwest::Request) -> Result<reqwest::Response, String>;
}

#[async_trait]
impl Wire for reqwest::Client {
    async fn carry(&self, request: reqwest::Request) -> Result<reqwest::Response, String> {
        self.execute(request).await.map_err(|error| cause(&error))
    }
}

/// Sends `request` with further headers and reads the whole answer, within the policy's time and size.
pub(crate) async fn send(
    wire: &dyn Wire,
    request: &Request,
    payment: &[(HeaderName, String)],
    policy: &Policy,
) -> Result<Response, PayError> {
    read(request, begin(wire, request, payment, policy).await?, policy).await
}

/// Sends `request` with further headers, and returns once the answer's head is there.
pub(crate) async fn begin(
    wire: &dyn Wire,
    request: &Request,
    payment: &[(HeaderName, String)],
    policy: &Policy,
) -> Result<reqwest::Response, PayError> {
    let mut outgoing = outgoing(request, policy);
    for (name, value) in payment {
        if name == AUTHORIZATION && request.headers.contains_key(AUTHORIZATION) {
            return Err(PayError::AuthorizationTaken { url: request.url.to_string() });
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| PayError::Malformed(format!("{name} cannot be written as a header")))?;
        // Credentials stay out of debug output.
        value.set_sensitive(true);
        outgoing.headers_mut().insert(name, value);
    }
    wire.carry(outgoing).await.map_err(|reason| unreachable(request, reason))
}

/// `request` without a credential, in the words of the HTTP client.
pub(crate) fn outgoing(request: &Request, policy: &Policy) -> reqwest::Request {
    let mut outgoing = reqwest::Request::new(request.method.clone(), request.url.clone());
    *outgoing.headers_mut() = request.headers.clone();
    if !request.body.is_empty() {
        *outgoing.body_mut() = Some(request.body.clone().into());
    }
    *outgoing.timeout_mut() = Some(policy.timeout);
    outgoing
}

/// Reads an answer to its end.
pub(crate) async fn read(
    request: &Request,
    mut response: reqwest::Response,
    policy: &Policy,
) -> Result<Response, PayError> {
    let limit = policy.max_body;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(request, cause(&error)))? {
        if body.len() + chunk.len() > limit {
            return Err(PayError::TooLarge { origin: request.origin(), limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body })
}

fn unreachable(request: &Request, reason: String) -> PayError {
    PayError::Unreachable { url: request.origin(), reason }
}
