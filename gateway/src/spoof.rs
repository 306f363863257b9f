//! Headers of a client that an upstream would take for the gateway's own, or that name another method or path
//! than the one that was priced.
//!
//! CGI, and with it WSGI, PHP and Rack, hands headers over as `HTTP_X_PAYER`: `X_Payer` and `X-Payer` are one to
//! them. So names are compared by letters and digits, everything else counts as a dash. A `_method` parameter
//! in query or form, which some frameworks honour too, is no header and the upstream's own affair.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};

use crate::header::{PAYMENT_AUTHORIZATION, X_PAYER, is_payment};

/// Headers that stand in for the method or the path. Dropped from free requests too: a free path that names a
/// priced one in such a header is the priced one. Who honours them:
const OVERRIDES: [&str; 15] = [
    // Express method-override, Rack::MethodOverride, Symfony, Laravel, ASP.NET Core.
    "x-http-method-override",
    // OData services, older REST frameworks.
    "x-http-method",
    "x-method-override",
    // Symfony, Laminas and others that know how IIS and ISAPI_Rewrite say what was asked for.
    "x-original-url",
    "x-rewrite-url",
    // Services that stand behind nginx's auth_request or a forward-auth proxy.
    "x-original-uri",
    "x-original-path",
    "x-original-method",
    "x-forwarded-method",
    "x-auth-request-redirect",
    // Envoy's filters.
    "x-envoy-original-path",
    "x-envoy-original-method",
    // gunicorn takes these from its proxy, by default from any on loopback; WSGI mount recipes know the third.
    "script-name",
    "path-info",
    "x-script-name",
];

/// Headers that the gateway sets or that frame the message: only under their own name.
const NO_ALIAS: [&str; 3] = ["x-forwarded-host", "content-length", "transfer-encoding"];

/// Headers by which proxies describe the client and the request, besides `X-Forwarded-*`.
const FORWARDING: [&str; 7] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "x-original-host",
    "x-original-forwarded-for",
];

/// Removes what only this gateway may say or read: payment credentials, the payer's name in any spelling, and
/// whatever names another method or path.
pub(crate) fn strip_own(headers: &mut HeaderMap) {
    remove(headers, |name| {
        let is = |expected: &&str| reads_as(name, expected);
        is(&X_PAYER.as_str())
            || is(&PAYMENT_AUTHORIZATION.as_str())
            || OVERRIDES.iter().any(&is)
            || NO_ALIAS.iter().any(|expected| is(expected) && name.as_str() != *expected)
    });
    if headers.get_all(AUTHORIZATION).iter().any(is_payment) {
        let others: Vec<_> =
            headers.get_all(AUTHORIZATION).iter().filter(|value| !is_payment(value)).cloned().collect();
        headers.remove(AUTHORIZATION);
        for other in others {
            headers.append(AUTHORIZATION, other);
        }
    }
}

/// Removes what a proxy in front would say about the client and the path it asked for (`X-Forwarded-Prefix`
/// moves Spring, Werkzeug and ASP.NET Core to another one): believed only from a trusted proxy.
pub(crate) fn strip_forwarding(headers: &mut HeaderMap) {
    remove(headers, |name| {
        let is_forwarded =
            |prefix: &str| name.as_str().get(..prefix.len()).is_some_and(|start| reads_alike(start, prefix));
        is_forwarded("x-forwarded-") || FORWARDING.iter().any(|expected| reads_as(name, expected))
    });
}

fn remove(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    let unwanted: Vec<_> = headers.keys().filter(|name| is_unwanted(name)).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}

fn reads_as(name: &HeaderName, expected: &str) -> bool {
    reads_alike(name.as_str(), expected)
}

/// Whether a `HeaderName`, which is in lower case, is `expected` once everything but letters and digits is a dash.
fn reads_alike(name: &str, expected: &str) -> bool {
    let folded = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
    name.len() == expected.len() && name.bytes().map(folded).eq(expected.bytes())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn left(strip: impl Fn(&mut HeaderMap), names: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for name in names {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_static("x"));
        }
        strip(&mut headers);
        headers.keys().map(|name| name.as_str().to_owned()).collect()
    }

    #[test]
    fn the_payers_name_is_dropped_in_every_spelling() {
        let spellings = ["X-Payer", "X_Payer", "x_payer", "X-PAYER", "X.Payer", "x!payer"];
        assert_eq!(left(strip_own, &spellings), [""; 0]);
        assert_eq!(left(strip_own, &["X-Payers", "X-Pay-Er", "XPayer", "Payer"]).len(), 4);
    }

    #[test]
    fn no_credential_is_left_in_any_spelling_of_its_own_field() {
        let spellings = ["Payment-Authorization", "Payment_Authorization", "payment.authorization"];
        assert_eq!(left(strip_own, &spellings), [""; 0]);
        assert_eq!(left(strip_own, &["Authorization", "Payment-Receipts"]).len(), 2);
    }

    #[test]
    fn another_method_or_path_is_dropped_in_every_spelling() {
        for name in OVERRIDES {
            assert_eq!(left(strip_own, &[name, &name.replace('-', "_")]), [""; 0], "{name}");
        }
    }

    #[test]
    fn headers_that_frame_the_message_stay_under_their_own_name() {
        let names = ["Content-Length", "Content_Length", "Transfer_Encoding", "X_Forwarded_Host", "api_key"];
        assert_eq!(left(strip_own, &names), ["content-length", "api_key"]);
    }

    #[test]
    fn what_a_proxy_would_say_is_dropped_in_every_spelling() {
        let names = ["X-Forwarded-For", "X_Forwarded_Prefix", "X-Forwarded-Uri", "Forwarded", "X_Real_IP"];
        assert_eq!(left(strip_forwarding, &names), [""; 0]);
        assert_eq!(left(strip_forwarding, &["X-Request-Id", "X-Forwarded"]).len(), 2);
    }
}
