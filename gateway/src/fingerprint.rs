//! What makes a repeat of a paid request recognizable.

use bytes::Bytes;
use http::request::Parts;
use sha2::{Digest, Sha256};
use toll_ledger::ReplayKey;
use toll_protocol::SignedVoucher;

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
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let body = Sha256::digest(body);
    let fingerprint = digest(&[b"request", request.method.as_str().as_bytes(), target.as_bytes(), &body]);
    let channel = signed.voucher.channel_id;
    let mut keys = request.headers.get_all(&IDEMPOTENCY_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (None, _) => digest(&[
            b"voucher",
            channel.as_bytes(),
            &signed.voucher.encode(),
            signed.signature.as_ref(),
            &fingerprint,
        ]),
        (Some(key), None) if key.len() <= MAX_IDEMPOTENCY_KEY => {
            digest(&[b"key", channel.as_bytes(), challenge_id.as_bytes(), key.as_bytes()])
        }
        _ => {
            let reason =
                format!("a request carries one Idempotency-Key of at most {MAX_IDEMPOTENCY_KEY} bytes");
            return Err(Rejection::Malformed(reason));
        }
    };
    Ok(ReplayKey { key, fingerprint })
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
