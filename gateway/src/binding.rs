//! Whether a credential is for the body it comes with: the same for every way to pay.
//!
//! A route that binds bodies puts their digest into its challenges, so that what was paid for one body buys no
//! other. A challenge with a digest is held to it everywhere. Source: draft-httpauth-payment, "Request Body
//! Binding".

use toll_protocol::{BodyDigest, Challenge};

use crate::body::RequestBody;
use crate::reject::Rejection;

/// Checks the body of a request that `challenge` is to buy. `binds` says whether the route binds bodies: then a
/// challenge without a digest buys no body.
pub(crate) fn check(challenge: &Challenge, body: &[u8], binds: bool) -> Result<(), Rejection> {
    match &challenge.digest {
        Some(bound) if *bound == BodyDigest::of(body) => Ok(()),
        None if body.is_empty() || !binds => Ok(()),
        Some(_) | None => Err(Rejection::BodyMismatch),
    }
}

/// The same for a request that buys no service, such as an `open`: it may leave the body out.
pub(crate) async fn check_if_present(
    challenge: &Challenge,
    body: &mut RequestBody,
    binds: bool,
) -> Result<(), Rejection> {
    if body.is_empty() || (challenge.digest.is_none() && !binds) {
        return Ok(());
    }
    match body.digest().await? {
        digest if digest == challenge.digest => Ok(()),
        _ => Err(Rejection::BodyMismatch),
    }
}
