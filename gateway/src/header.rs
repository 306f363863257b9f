//! The header fields this gateway reads and writes besides the grammar in `toll_protocol::header`.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};

/// Names the verified payer to the upstream.
pub(crate) const X_PAYER: HeaderName = HeaderName::from_static("x-payer");
/// The credential, where a challenge selects it (`toll_protocol::CredentialField`).
pub(crate) const PAYMENT_AUTHORIZATION: HeaderName = HeaderName::from_static("payment-authorization");
/// The receipt.
pub(crate) const PAYMENT_RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");
/// The client's name for a request it may repeat.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether an `Authorization` value is, or in a comma list contains, a Payment credential, well formed or not.
pub(crate) fn is_payment(value: &HeaderValue) -> bool {
    // A credential is a kilobyte: what begins like one is not read to its end.
    let names_payment = |credential: &[u8]| {
        let credential = credential.trim_ascii_start();
        let end =
            credential.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(credential.len());
        credential[..end].eq_ignore_ascii_case(b"payment")
    };
    let mut rest = value.as_bytes();
    loop {
        if names_payment(rest) {
            return true;
        }
        let Some(comma) = rest.iter().position(|byte| *byte == b',') else { return false };
        rest = &rest[comma + 1..];
    }
}

/// Makes sure that no shared cache keeps the response: adds `private`, drops what contradicts it.
pub(crate) fn mark_private(headers: &mut HeaderMap) {
    let directives: Vec<String> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|directive| {
            let name = directive.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
            !matches!(name.as_str(), "" | "public" | "s-maxage" | "private")
        })
        .map(str::to_owned)
        .chain(["private".to_owned()])
        .collect();
    let value = HeaderValue::from_str(&directives.join(", ")).unwrap_or(HeaderValue::from_static("private"));
    headers.insert(CACHE_CONTROL, value);
}

/// The same for an answer that may say already that nobody keeps it.
///
/// Caches know that answers to `Authorization` are one client's (RFC 9111, section 3.5), and nothing of a credential
/// elsewhere.
pub(crate) fn keep_from_shared_caches(headers: &mut HeaderMap) {
    let is_no_store = |value: &HeaderValue| {
        let mut directives = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        directives.any(|directive| directive.eq_ignore_ascii_case(b"no-store"))
    };
    if !headers.get_all(CACHE_CONTROL).iter().any(is_no_store) {
        mark_private(headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payment_scheme_is_found_in_any_case_and_no_other_is() {
        for value in ["Payment abc", "payment abc", "PAYMENT", "Payment\tabc", "Bearer x, Payment abc"] {
            assert!(is_payment(&HeaderValue::from_str(value).expect("value")), "{value:?}");
        }
        for value in ["Bearer Payment", "Payments abc", "Basic abc", ""] {
            assert!(!is_payment(&HeaderValue::from_str(value).expect("value")), "{value:?}");
        }
    }

    #[test]
    fn private_joins_the_upstreams_directives_and_beats_public() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60, s-maxage=9"));
        headers.append(CACHE_CONTROL, HeaderValue::from_static("must-revalidate"));
        mark_private(&mut headers);
        let values: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(values, ["max-age=60, must-revalidate, private"]);
    }
}
