//! A request that may have to be paid for.

use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use toll_protocol::{Challenge, CredentialField};

/// The header that makes a retry the same request.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request that may have to be paid for.
#[derive(Clone, Debug)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// The resource.
    pub url: reqwest::Url,
    /// Headers of the caller; never payment headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

impl Request {
    /// A GET without headers.
    pub fn get(url: reqwest::Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Vec::new() }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether nobody on the way can read it: TLS, or a server on this machine.
    pub fn is_private(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        self.url.scheme() == "https"
            || host == "localhost"
            || address.is_some_and(|address| address.is_loopback())
    }

    /// Whether there is a header for a credential that answers `challenge`: the caller's own `Authorization` stays.
    pub(crate) fn has_room_for(&self, challenge: &Challenge) -> bool {
        challenge.field != CredentialField::Authorization || !self.headers.contains_key(AUTHORIZATION)
    }

    /// Tells one request from another: SHA-256 over method, URL and body.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for part in [self.method.as_str().as_bytes(), self.url.as_str().as_bytes(), &self.body] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        toll_protocol::base64url_encode(digest.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_tells_method_url_and_body_apart() {
        let request = Request::get("http://h/a".parse().unwrap());
        let others = [
            Request { method: Method::POST, ..request.clone() },
            Request { url: "http://h/b".parse().unwrap(), ..request.clone() },
            Request { body: b"x".to_vec(), ..request.clone() },
        ];
        for other in others {
            assert_ne!(other.fingerprint(), request.fingerprint());
        }
        assert_eq!(request.fingerprint(), request.clone().fingerprint());
    }

    #[test]
    fn only_tls_and_this_machine_are_private() {
        let private = |url: &str| Request::get(url.parse().unwrap()).is_private();
        for url in ["https://h/", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost:80/"] {
            assert!(private(url), "{url}");
        }
        for url in ["http://h/", "http://10.0.0.1/", "http://127.0.0.1.h/", "http://localhost.h/"] {
            assert!(!private(url), "{url}");
        }
    }
}
