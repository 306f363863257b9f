//! A hook behind a URL: JSON both ways, a shared secret in a header.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::HeaderValue;
use serde_json::{Value, json};
use toll_protocol::{Amount, parse_u64};

use super::{HookFailed, HookedPrice, PriceHook, PriceQuestion, UsageReport};

/// The header with the secret.
const SECRET_HEADER: &str = "x-toll-hook-secret";

/// Longest answer, in bytes.
const LONGEST: usize = 4 * 1024;

/// Asks a URL. Each question and report is a `POST` of one JSON object with a member `event`: `quote` or `usage`.
///
/// A quote is answered with one of `{}` (the route's own price), `{"price": "1500"}` in base units, `{"free": true}` and
/// `{"notFound": true}`.
#[derive(Clone, Debug)]
pub struct HttpHook {
    client: reqwest::Client,
    url: reqwest::Url,
    secret: Option<HeaderValue>,
}

impl HttpHook {
    /// A hook at `url`, which is shown `secret` with every request.
    pub fn new(url: reqwest::Url, secret: Option<HeaderValue>) -> Result<Self, reqwest::Error> {
        let client =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let secret = secret.map(|mut secret| {
            // Kept out of debug output.
            secret.set_sensitive(true);
            secret
        });
        Ok(Self { client, url, secret })
    }

    fn send(&self, body: &Value) -> impl Future<Output = Result<Vec<u8>, HookFailed>> + Send + use<> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
        if let Some(secret) = &self.secret {
            request = request.header(SECRET_HEADER, secret.clone());
        }
        async move {
            let failed = |error: reqwest::Error| HookFailed(error.without_url().to_string());
            let mut response = request.send().await.map_err(failed)?;
            if !response.status().is_success() {
                return Err(HookFailed(format!("it answered {}", response.status())));
            }
            let mut bytes = Vec::new();
            while let Some(more) = response.chunk().await.map_err(failed)? {
                if bytes.len() + more.len() > LONGEST {
                    return Err(HookFailed(format!("its answer is longer than {LONGEST} bytes")));
                }
                bytes.extend_from_slice(&more);
            }
            Ok(bytes)
        }
    }
}

impl PriceHook for HttpHook {
    fn quote(&self, question: PriceQuestion) -> BoxFuture<'static, Result<HookedPrice, HookFailed>> {
        let asked = self.send(&json!({
            "event": "quote",
            "method": question.method.as_str(),
            "target": question.target.path_and_query().map_or("/", |target| target.as_str()),
            "route": question.route,
            "price": question.price.to_string(),
        }));
        async move { read(&asked.await?) }.boxed()
    }

    fn report(&self, report: UsageReport) -> BoxFuture<'static, Result<(), HookFailed>> {
        let usage = report.usage.map(|usage| {
            json!({
                "bytes": usage.bytes,
                "seconds": usage.seconds,
                "events": usage.events,
                "reported": usage.reported,
            })
        });
        let told = self.send(&json!({
            "event": "usage",
            "route": report.route,
            "channelId": report.channel.to_string(),
            "payer": report.payer.to_string(),
            "status": report.status,
            "charged": report.charged.to_string(),
            "usage": usage,
        }));
        async move { told.await.map(drop) }.boxed()
    }
}

fn read(answer: &[u8]) -> Result<HookedPrice, HookFailed> {
    let unreadable = || HookFailed("its answer is not understood".to_owned());
    let json: Value = serde_json::from_slice(answer).map_err(|_| unreadable())?;
    let members = json.as_object().ok_or_else(unreadable)?;
    let mut members = members.iter();
    let said = match members.next() {
        None => Ok(HookedPrice::AsConfigured),
        Some((name, Value::String(price))) if name == "price" => {
            parse_u64(price).map(|price| HookedPrice::Price(Amount::new(price))).map_err(|_| unreadable())
        }
        Some((name, Value::Bool(true))) if name == "free" => Ok(HookedPrice::Free),
        Some((name, Value::Bool(true))) if name == "notFound" => Ok(HookedPrice::NotFound),
        Some(_) => Err(unreadable()),
    };
    if members.next().is_some() { Err(unreadable()) } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_says_one_thing_or_nothing_that_is_understood() {
        assert_eq!(read(b"{}"), Ok(HookedPrice::AsConfigured));
        assert_eq!(read(br#"{"price":"1500"}"#), Ok(HookedPrice::Price(Amount::new(1_500))));
        assert_eq!(read(br#"{"free":true}"#), Ok(HookedPrice::Free));
        assert_eq!(read(br#"{"notFound":true}"#), Ok(HookedPrice::NotFound));
        for text in [
            "",
            "null",
            "[]",
            "1500",
            r#"{"price":1500}"#,
            r#"{"price":"-1"}"#,
            r#"{"price":"0.1"}"#,
            r#"{"free":false}"#,
            r#"{"prize":"1"}"#,
            r#"{"free":true,"price":"1"}"#,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
