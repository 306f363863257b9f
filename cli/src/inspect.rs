//! Anything of the scheme, or of the channel program, in words: what it is, and what it says.
//!
//! Nothing is asked of anybody and nothing is believed: signatures are checked where everything they need is at hand,
//! and the outcome is told.

mod transaction;

use serde_json::{Map, Value, json};
use toll_protocol::{
    Ceiling, Challenge, ChannelAccount, Credential, Problem, Receipt, SessionRequest, VOUCHER_SIZE, Voucher,
    base64_decode, base64url_decode, decode_any_transaction, parse_authorization, parse_json,
    parse_www_authenticate,
};

use crate::command::on_chain;

/// Headers whose name may stand before the value.
const HEADERS: [&str; 4] = ["www-authenticate", "authorization", "payment-authorization", "payment-receipt"];

/// What `text` is: `{"kind": …}` and its members. `Err` says why it is nothing that is known.
pub(crate) fn inspect(text: &str) -> Result<Value, String> {
    let text = without_header_name(text.trim());
    if text.is_empty() {
        return Err("there is nothing to look at".to_owned());
    }
    if let Some(scheme) = text.split_ascii_whitespace().next().filter(|word| word.len() < text.len())
        && scheme.eq_ignore_ascii_case("payment")
    {
        return scheme_value(text);
    }
    if text.starts_with('{') {
        return of_json(&parse_json(text.as_bytes()).map_err(|error| error.to_string())?);
    }
    let decoded: Vec<Vec<u8>> =
        [base64url_decode(text).ok(), base64_decode(text).ok(), of_hex(text), of_base58(text)]
            .into_iter()
            .flatten()
            .collect();
    if decoded.is_empty() {
        return Err(
            "it is neither a header of the scheme, nor JSON, base64, base58 or hexadecimal".to_owned()
        );
    }
    let found = decoded.iter().find_map(|bytes| of_bytes(bytes));
    found.ok_or_else(|| format!("{} bytes of nothing that is known here", decoded[0].len()))
}

fn without_header_name(text: &str) -> &str {
    match text.split_once(':') {
        Some((name, value)) if HEADERS.iter().any(|header| name.trim().eq_ignore_ascii_case(header)) => {
            value.trim()
        }
        _ => text,
    }
}

/// A `Payment` challenge, several, or a credential.
fn scheme_value(text: &str) -> Result<Value, String> {
    let credential = parse_authorization(text);
    if let Some(Ok(credential)) = &credential {
        return Ok(of_credential(credential));
    }
    let challenges = parse_www_authenticate(text).map_err(|error| error.to_string())?;
    let found: Vec<Value> = challenges.payment.iter().map(of_challenge).collect();
    match (<[Value; 1]>::try_from(found), credential) {
        (Ok([only]), _) => Ok(only),
        (Err(several), _) if !several.is_empty() => {
            Ok(json!({ "kind": "challenges", "challenges": several }))
        }
        (_, Some(Err(error))) if !text.contains('=') => Err(error.to_string()),
        _ => {
            Err(challenges.malformed.first().map_or("no challenge is in it".to_owned(), ToString::to_string))
        }
    }
}

fn of_challenge(challenge: &Challenge) -> Value {
    let request = base64url_decode(&challenge.request).ok().and_then(|json| parse_json(&json).ok());
    let mut found = with_kind("challenge", challenge.to_json());
    found["request"] = request.unwrap_or_else(|| json!(challenge.request));
    if let Some(opaque) = challenge.opaque.as_ref().and_then(|text| base64url_decode(text).ok()) {
        found["opaque"] = parse_json(&opaque).unwrap_or_else(|_| json!(challenge.opaque));
    }
    found["readable"] = match challenge.session_request() {
        Ok(_) => json!("a session on solana"),
        Err(error) => json!(format!("not as a session: {error}")),
    };
    found
}

fn of_credential(credential: &Credential) -> Value {
    let mut found = with_kind("credential", credential.to_json());
    found["challenge"] = of_challenge(&credential.challenge);
    for part in ["voucher", "signature"] {
        if let Some(signed) =
            found["payload"].get(part).and_then(|part| toll_protocol::SignedVoucher::from_json(part).ok())
        {
            found["signature"] = json!(verdict(&signed));
        }
    }
    if let Some(text) = found["payload"]["transaction"].as_str().map(str::to_owned)
        && let Some(shown) = base64_decode(&text).ok().and_then(|bytes| of_transaction(&bytes))
    {
        found["payload"]["transaction"] = shown;
    }
    found
}

fn verdict(signed: &toll_protocol::SignedVoucher) -> &'static str {
    match signed.verify(&signed.voucher.channel_id, &signed.signer) {
        Ok(_) => "verifies under the signer it names",
        Err(_) => "does not verify under the signer it names",
    }
}

fn of_json(value: &Value) -> Result<Value, String> {
    let has = |members: &[&str]| members.iter().all(|member| value.get(member).is_some());
    let read = |error: String| move |kind: &str| format!("a {kind} that cannot be read: {error}");
    if has(&["challenge", "payload"]) {
        return match Credential::from_json(value) {
            Ok(credential) => Ok(of_credential(&credential)),
            Err(error) => Err(read(error.to_string())("credential")),
        };
    }
    if has(&["id", "realm", "method", "intent"]) {
        return match Challenge::from_json(value) {
            Ok(challenge) => Ok(of_challenge(&challenge)),
            Err(error) => Err(read(error.to_string())("challenge")),
        };
    }
    if has(&["acceptedCumulative", "spent"]) && value.get("type").is_none() {
        return match Receipt::from_json(value) {
            Ok(receipt) => Ok(with_kind("receipt", receipt.to_json())),
            Err(error) => Err(read(error.to_string())("receipt")),
        };
    }
    if let Ok(signed) = toll_protocol::SignedVoucher::from_json(value) {
        let mut found = with_kind("voucher", signed.to_json());
        found["verdict"] = json!(verdict(&signed));
        return Ok(found);
    }
    if has(&["amount", "currency"]) {
        return match SessionRequest::from_json(value) {
            Ok(request) => Ok(with_kind("request", request.to_json())),
            Err(error) => Err(read(error.to_string())("request")),
        };
    }
    if has(&["title", "status"])
        && let Ok(problem) = Problem::from_json(value)
    {
        let mut found = with_kind("problem", problem.to_json());
        if let Some(code) = problem.refusal_code() {
            found["meaning"] = json!(code.meaning());
            found["remedy"] = json!(code.remedy().advice());
        }
        return Ok(found);
    }
    Err("JSON with members of nothing that is known here".to_owned())
}

fn of_bytes(bytes: &[u8]) -> Option<Value> {
    if let Some(value) = bytes.starts_with(b"{").then(|| parse_json(bytes).ok()).flatten() {
        return of_json(&value).ok();
    }
    if let Ok(bytes) = <&[u8; VOUCHER_SIZE]>::try_from(bytes) {
        let of = |kind: &str, channel: &dyn ToString, name: &str, amount: u64, expires_at: i64| json!({ "kind": kind, "channelId": channel.to_string(), name: amount.to_string(), "expiresAt": expires_at });
        if let Ok(Voucher { channel_id, cumulative_amount, expires_at }) = Voucher::decode(bytes) {
            return Some(of(
                "voucher message",
                &channel_id,
                "cumulativeAmount",
                cumulative_amount.get(),
                expires_at,
            ));
        }
        if let Ok(Ceiling { channel_id, maximum, expires_at }) = Ceiling::decode(bytes) {
            return Some(of("ceiling message", &channel_id, "maximum", maximum.get(), expires_at));
        }
    }
    if let Ok(account) = ChannelAccount::decode(bytes) {
        return Some(with_kind("channel account", on_chain(&account)));
    }
    of_transaction(bytes)
}

fn of_transaction(bytes: &[u8]) -> Option<Value> {
    decode_any_transaction(bytes).ok().map(|transaction| transaction::describe(&transaction, bytes.len()))
}

fn with_kind(kind: &str, members: Value) -> Value {
    let mut found = Map::from_iter([("kind".to_owned(), json!(kind))]);
    found.extend(members.as_object().cloned().unwrap_or_default());
    Value::Object(found)
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty()
        || !digits.len().is_multiple_of(2)
        || !digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

fn of_base58(text: &str) -> Option<Vec<u8>> {
    bs58::decode(text).into_vec().ok()
}
