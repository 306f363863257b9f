//! `toll pay`

use std::io::Read;
use std::time::Duration;

use base64::Engine;
use clap::{Args, ValueEnum};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use solana_pubkey::Pubkey;

use crate::args::{LimitArgs, PayerArgs, address, base_units};
use crate::error::{CliError, Exit, Result};
use crate::money::{self, Quantity};
use crate::output::Output;
use toll_client::Book;
use toll_client::{IDEMPOTENCY_KEY, Intents, Payer, Policy, Reply, Request};

/// How long a command waits for another one that uses the same state file.
pub(super) const STATE_PATIENCE: Duration = Duration::from_secs(30);

/// What a first look at `toll pay --help` should teach.
const EXAMPLES: &str = "Examples:
  toll pay https://api.example.com/quote --max-amount 0.01
  toll pay https://api.example.com/ask --json-body '{\"question\": 1}'
  toll pay https://api.example.com/image > image.png
  toll pay https://api.example.com/report --intent charge --amount 0.25
  toll --json pay https://api.example.com/quote | jq .payment.charged

The body goes to stdout as it came, what it cost to stderr. A state file serves one command at a time:
give agents that pay in parallel a --state of their own each.";

/// Flags of `toll pay`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Pay {
    /// What to request
    url: String,

    /// HTTP method [default: GET, or POST with a body]
    #[arg(short = 'X', long)]
    method: Option<Method>,

    /// A header, `Name: value`; repeat for several
    #[arg(short = 'H', long, value_name = "HEADER")]
    header: Vec<String>,

    /// The body; `@FILE` reads a file, `@-` stdin
    #[arg(short, long, conflicts_with = "json_body")]
    data: Option<String>,

    /// A JSON body; sets Content-Type
    #[arg(long, value_name = "JSON")]
    json_body: Option<String>,

    /// Pay exactly this, and refuse any other price; the server is asked for its price first
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<Quantity>,

    /// How to pay: out of a channel (`session`), by a transfer for this request alone (`charge`), or `either`, which is a
    /// session where one is offered that the limits allow
    #[arg(long, value_name = "INTENT", value_enum, default_value_t = Intent::Either)]
    intent: Intent,

    /// Pay nobody but this key, neither as payee nor as one who has a share. Repeatable
    #[arg(long = "recipient", value_name = "ADDRESS", value_parser = address)]
    recipients: Vec<Pubkey>,

    /// Send charges that nobody sponsors to the chain oneself, and show the server the signature
    #[arg(long, requires = "pay_fees", conflicts_with = "no_balance_check")]
    push: bool,

    /// Give up what an earlier run paid for the same request without getting an answer, and pay anew
    #[arg(long)]
    pay_again: bool,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    payer: PayerArgs,
}

/// What `--intent` says.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Intent {
    Either,
    Session,
    Charge,
}

impl Pay {
    pub(super) async fn run(self, output: Output) -> Result<()> {
        let request = self.request()?;
        let decimals = self.limits.decimals;
        let policy = Policy {
            intents: match self.intent {
                Intent::Either => Intents::Either,
                Intent::Session => Intents::Session,
                Intent::Charge => Intents::Charge,
            },
            amount: self.amount.map(|amount| base_units(amount, decimals)).transpose()?,
            recipients: self.recipients.clone(),
            push: self.push,
            ..policy(&self.payer, &self.limits)?
        };
        let payer = payer_with(&self.payer, &self.limits, policy)?;
        // Another `toll pay` has as long as this one for its answer.
        let patience = STATE_PATIENCE.max(Duration::from_secs(self.limits.timeout));
        let book = Book::open(&self.payer.state_path(), patience)?;
        if self.pay_again {
            payer.give_up(&book, &request)?;
        }
        // In JSON the answer is one document, so a stream is held until it ends.
        let live = |bytes: &[u8]| output.bytes(bytes);
        let reply = match output.is_json() {
            true => payer.pay(&book, &request).await?,
            false => payer.pay_live(&book, &request, &live).await?,
        };
        book.flush()?;
        report(output, &reply, self.limits.decimals);
        if reply.status.is_success() || reply.status == StatusCode::NOT_MODIFIED {
            return Ok(());
        }
        let location = reply.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        if let Some(location) = location.filter(|_| reply.status.is_redirection()) {
            let what = format_args!("the server answered {} and points to {location}", reply.status);
            let remedy = "redirects are not followed with money; pay that URL if you trust it";
            return Err(CliError::new(Exit::Refused, what, remedy));
        }
        let what = format_args!("the server answered {}", reply.status).to_string();
        let remedy = if reply.status.is_server_error() {
            "the answer is on stdout; run it again, which pays nothing more for the same request"
        } else {
            "the answer is on stdout"
        };
        Err(CliError::new(Exit::Refused, what, remedy))
    }

    fn request(&self) -> Result<Request> {
        let url: reqwest::Url = self.url.parse().map_err(|error| {
            usage(format_args!("`{}` is no URL: {error}", self.url), "write http://host/path")
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(usage(format_args!("`{}` is no HTTP URL", self.url), "write http://host/path"));
        }
        let mut headers = HeaderMap::new();
        for header in &self.header {
            let (name, value) = parse_header(header)?;
            headers.append(name, value);
        }
        let body = match (&self.data, &self.json_body) {
            (Some(data), _) => read_body(data)?,
            (None, Some(text)) => {
                serde_json::from_str::<Value>(text).map_err(|error| {
                    usage(format_args!("--json-body is no JSON: {error}"), "check its quotes")
                })?;
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                text.clone().into_bytes()
            }
            (None, None) => Vec::new(),
        };
        let default =
            if self.data.is_some() || self.json_body.is_some() { Method::POST } else { Method::GET };
        Ok(Request { method: self.method.clone().unwrap_or(default), url, headers, body })
    }
}

/// A payer with the key, limits and cluster of the command line.
pub(super) fn payer(who: &PayerArgs, limits: &LimitArgs) -> Result<Payer> {
    payer_with(who, limits, policy(who, limits)?)
}

fn payer_with(who: &PayerArgs, limits: &LimitArgs, policy: Policy) -> Result<Payer> {
    let cluster = (!limits.no_balance_check).then(|| who.cluster.cluster());
    Ok(Payer::new(who.key()?, policy, cluster)?)
}

fn policy(who: &PayerArgs, limits: &LimitArgs) -> Result<Policy> {
    Ok(Policy {
        mint: limits.mint(who.cluster.network),
        decimals: Some(limits.decimals),
        max_amount: base_units(limits.max_amount, limits.decimals)?,
        max_deposit: base_units(limits.max_deposit, limits.decimals)?,
        deposit: limits.deposit.map(|deposit| base_units(deposit, limits.decimals)).transpose()?,
        keep_deposit: limits.keep_deposit,
        max_grace_period: limits.max_grace,
        pay_fees: limits.pay_fees,
        operators: limits.operators.clone(),
        sign_with_payer_key: limits.sign_with_payer_key,
        allow_http: limits.allow_http,
        max_body: limits.max_body,
        timeout: Duration::from_secs(limits.timeout),
        ..Policy::new(who.cluster.network, who.programs())
    })
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let malformed = || usage(format_args!("`{text}` is no header"), "write `Name: value`");
    let (name, value) = text.split_once(':').ok_or_else(malformed)?;
    let name: HeaderName = name.trim().parse().map_err(|_| malformed())?;
    let is_payment = name == AUTHORIZATION
        && value.split_whitespace().next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("payment"));
    if is_payment || name == IDEMPOTENCY_KEY || name.as_str().starts_with("payment-") {
        return Err(usage(format_args!("header `{name}` belongs to the payment"), "leave it out"));
    }
    let mut value: HeaderValue = value.trim().parse().map_err(|_| malformed())?;
    value.set_sensitive(name == AUTHORIZATION);
    Ok((name, value))
}

fn read_body(data: &str) -> Result<Vec<u8>> {
    let unreadable =
        |error: std::io::Error| usage(format_args!("cannot read `{data}`: {error}"), "check --data");
    match data.strip_prefix('@') {
        None => Ok(data.as_bytes().to_vec()),
        Some("-") => {
            let mut body = Vec::new();
            std::io::stdin().read_to_end(&mut body).map_err(unreadable)?;
            Ok(body)
        }
        Some(path) => std::fs::read(path).map_err(unreadable),
    }
}

fn usage(what: impl std::fmt::Display, remedy: &str) -> CliError {
    CliError::new(Exit::Usage, what, remedy)
}

/// The body goes to stdout as it came; what it cost goes to stderr.
fn report(output: Output, reply: &Reply, decimals: u8) {
    if output.is_json() {
        return output.result(&document(reply), String::new);
    }
    output.bytes(&reply.body);
    if let Some(payment) = &reply.payment {
        let receipt = &payment.receipt;
        output.note(format_args!(
            "paid {} from channel {} ({} spent in all{})",
            money::tokens(payment.charged, decimals),
            payment.channel,
            money::tokens(receipt.spent, decimals),
            if payment.opened { ", opened for this request" } else { "" },
        ));
    }
    if let Some(charge) = &reply.charge {
        let by = match (charge.sponsored, charge.pushed) {
            (true, _) => "the server paid the fee",
            (false, true) => "sent by this payer",
            (false, false) => "fee included",
        };
        let (amount, recipient) = (money::tokens(charge.amount, decimals), charge.recipient);
        match &charge.receipt {
            Some(receipt) => output.note(format_args!(
                "paid {amount} to {recipient} by one transfer ({by}), transaction {}",
                receipt.reference
            )),
            None => {
                output.note(format_args!("paid {amount} to {recipient} by one transfer ({by}), no receipt"))
            }
        }
    }
}

/// `{status, body | bodyBase64, payment: {channelId, opened, toppedUp, charged, receipt}, charge: {amount, currency,
/// recipient, sponsored, pushed, receipt}}`; JSON bodies inline.
fn document(reply: &Reply) -> Value {
    let mut document = json!({
        "status": reply.status.as_u16(),
        "payment": reply.payment.as_ref().map(|payment| json!({
            "channelId": payment.channel.to_string(),
            "opened": payment.opened,
            "toppedUp": payment.topped_up.to_string(),
            "charged": payment.charged.to_string(),
            "receipt": payment.receipt.to_json(),
        })),
        "charge": reply.charge.as_ref().map(|charge| json!({
            "amount": charge.amount.to_string(),
            "currency": charge.mint.to_string(),
            "recipient": charge.recipient.to_string(),
            "sponsored": charge.sponsored,
            "pushed": charge.pushed,
            "receipt": charge.receipt.as_ref().map(toll_protocol::ChargeReceipt::to_json),
        })),
    });
    match (serde_json::from_slice::<Value>(&reply.body), std::str::from_utf8(&reply.body)) {
        (Ok(body), _) => document["body"] = body,
        (Err(_), Ok(text)) => document["body"] = text.into(),
        (Err(_), Err(_)) => {
            document["bodyBase64"] = base64::engine::general_purpose::STANDARD.encode(&reply.body).into();
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payment_headers_cannot_be_set_by_hand() {
        for header in [
            "Authorization: payment x",
            "idempotency-key: 1",
            "Payment-Receipt: x",
            "Payment-Authorization: x",
        ] {
            assert_eq!(parse_header(header).unwrap_err().exit, Exit::Usage, "{header}");
        }
        assert_eq!(parse_header("Authorization: Bearer x").unwrap().1, "Bearer x");
    }

    #[test]
    fn a_header_needs_a_name_and_a_colon() {
        for header in ["", "x", ": x", "a b: c", "x: \u{1}"] {
            assert_eq!(parse_header(header).unwrap_err().exit, Exit::Usage, "{header}");
        }
        let (name, value) = parse_header("X-A:  b ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-a", "b"));
    }

    #[test]
    fn a_body_that_is_no_text_is_given_as_base64() {
        let reply = |body: &[u8]| Reply {
            status: http::StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.to_vec(),
            payment: None,
            charge: None,
        };
        assert_eq!(document(&reply(b"{\"a\":1}"))["body"], json!({"a": 1}));
        assert_eq!(document(&reply(b"hello"))["body"], "hello");
        assert_eq!(document(&reply(&[0xff, 0xfe]))["bodyBase64"], "//4=");
    }
}
