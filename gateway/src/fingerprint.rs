//! What makes a repeat of a paid request recognizable.

use bytes::Bytes;
use http::request::Parts;
use sha2::{Digest, Sha256};
use toll_ledger::ReplayKey;
use toll_protocol::{ChannelId, SignedVoucher};

use crate::header::IDEMPOTENCY_KEY;
use crate::reject::Rejection;

/// Longest `Idempotency-Key`.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// The key and fingerprint of a request.
///
/// With an `Idempotency-Key` the key is channel, challenge and that; the fingerprint is method, target and
/// body. Without one, only the very same voucher on the very same request is a repeat.
pub(crate) fn replay_key(
    signed: &SignedVoucher,
    challenge_id: &str,
    request: &Parts,
    body: &Bytes,
) -> Result<ReplayKey, Rejection> {
    let fingerprint = fingerprint(request, body);
    let channel = &signed.voucher.channel_id;
    let key = idempotency_key(channel, challenge_id, request)?.unwrap_or_else(|| {
        digest(&[
            b"voucher",
            channel.as_bytes(),
            &signed.voucher.encode(),
            signed.signature.as_ref(),
            &fingerprint,
        ])
    });
    Ok(ReplayKey { key, fingerprint })
}

/// The same for a request that a proof pays for. The proof is that of every request of its session, so without an
/// `Idempotency-Key` nothing is a repeat.
pub(crate) fn replay_key_of_use(
    channel: &ChannelId,
    challenge_id: &str,
    request: &Parts,
    body: &Bytes,
) -> Result<ReplayKey, Rejection> {
    let key = idempotency_key(channel, challenge_id, request)?.unwrap_or_else(rand::random);
    Ok(ReplayKey { key, fingerprint: fingerprint(request, body) })
}

/// The same for a request that a single payment pays for: the challenge buys one request, so nothing else names it.
pub(crate) fn replay_key_of_charge(challenge_id: &str, request: &Parts, body: &Bytes) -> ReplayKey {
    let key = digest(&[b"charge", challenge_id.as_bytes()]);
    ReplayKey { key, fingerprint: fingerprint(request, body) }
}

fn fingerprint(request: &Parts, body: &Bytes) -> [u8; 32] {
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let body = Sha256::digest(body);
    digest(&[b"request", request.method.as_str().as_bytes(), target.as_bytes(), &body])
}

fn idempotency_key(
    channel: &ChannelId,
    challenge_id: &str,
    request: &Parts,
) -> Result<Option<[u8; 32]>, Rejection> {
    let mut keys = request.headers.get_all(&IDEMPOTENCY_KEY).iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) if key.len() <= MAX_IDEMPOTENCY_KEY => {
            Ok(Some(digest(&[b"key", channel.as_bytes(), challenge_id.as_bytes(), key.as_bytes()])))
        }
        _ => {
            let reason =
                format!("a request carries one Idempotency-Key of at most {MAX_IDEMPOTENCY_KEY} bytes");
            Err(Rejection::Malformed(reason))
        }
    }
}

/// Hash of `parts` with their lengths, so that no two lists of parts read the same.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
