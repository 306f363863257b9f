//! The credential that a request brings, and the header field it came in.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use toll_protocol::{Challenge, CredentialField};

use crate::header::{PAYMENT_AUTHORIZATION, is_payment};
use crate::reject::Rejection;

/// The one value of `headers` that is a credential, or should be one, and where it is.
///
/// `Authorization` may hold other schemes; whatever is in `Payment-Authorization` is meant for us.
pub(crate) fn sole(headers: &HeaderMap) -> Result<(CredentialField, &HeaderValue), Rejection> {
    let in_authorization = headers.get_all(AUTHORIZATION).iter().filter(|value| is_payment(value));
    let in_its_own = headers.get_all(&PAYMENT_AUTHORIZATION).iter();
    let mut presented = in_authorization
        .map(|value| (CredentialField::Authorization, value))
        .chain(in_its_own.map(|value| (CredentialField::PaymentAuthorization, value)));
    let first = presented.next().ok_or(Rejection::PaymentRequired)?;
    if presented.next().is_some() { Err(Rejection::SeveralCredentials) } else { Ok(first) }
}

/// A credential satisfies its challenge only from the field that the challenge selects (draft-httpauth-payment-01,
/// "Credentials"). The challenge decides and not the route, since a channel may pay on several.
pub(crate) fn check_field(challenge: &Challenge, field: CredentialField) -> Result<(), Rejection> {
    if challenge.field == field {
        return Ok(());
    }
    let selected = challenge.field.name();
    Err(Rejection::malformed(format!("the challenge takes its credential in {selected} and nowhere else")))
}
