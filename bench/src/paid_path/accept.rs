//! Rules and durable acceptance, without HTTP: from a signed voucher to its watermark on disk.

use toll_ledger::{Acceptance, Charge, Ledger, ReplayKey};
use toll_protocol::{Amount, SignedVoucher};

use super::{Failure, PRICE};

/// Checks the signature and accepts, durably: as a request does, with the key out of the book.
pub(super) async fn accept(ledger: &Ledger, signed: &SignedVoucher) -> Result<(), Failure> {
    let id = &signed.voucher.channel_id;
    let booked = ledger.booked(id).await?.ok_or("a voucher is of no channel")?;
    let key = booked.channel.key().ok_or("a channel's signer is no key")?;
    let verified = signed.verify_with(id, key)?;
    match ledger.accept(&verified, charge(signed)).await? {
        Acceptance::Accepted(_) => Ok(()),
        refused => Err(format!("a voucher was refused: {refused:?}").into()),
    }
}

fn charge(signed: &SignedVoucher) -> Charge {
    let mut key = [0; 32];
    // As good as a digest: no two signatures begin alike.
    key.copy_from_slice(&signed.signature.as_ref()[..32]);
    Charge {
        cost: Amount::new(PRICE),
        headroom: Amount::ZERO,
        min_delta: Amount::ZERO,
        challenge_id: "challenge".to_owned(),
        replay: ReplayKey { key, fingerprint: key },
        is_of_voucher: true,
    }
}
