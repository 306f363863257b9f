//! The bare signature check: what nothing that takes vouchers can do without.

use std::time::Instant;

use ed25519_dalek::{Signature, VerifyingKey};
use toll_protocol::SignedVoucher;

use super::Failure;
use super::channels::in_parallel;
use super::rounds::{Round, histogram, note};

/// Checks every lane's vouchers on a thread of its own, keys decompressed before.
pub(super) fn round(lanes: &[Vec<SignedVoucher>]) -> Result<Round, Failure> {
    let ready: Vec<Vec<_>> = lanes
        .iter()
        .map(|lane| lane.iter().map(prepared).collect::<Result<_, _>>())
        .collect::<Result<_, Failure>>()?;
    let began = Instant::now();
    let parts = in_parallel(&ready, ready.len(), |lane| {
        let mut latency = histogram();
        for (key, message, signature) in lane {
            let began = Instant::now();
            if key.verify_strict(message, signature).is_err() {
                return Err("a voucher does not verify");
            }
            note(&mut latency, began.elapsed());
        }
        Ok(latency)
    });
    let took = began.elapsed();
    let mut latency = histogram();
    for part in parts {
        latency.add(part?)?;
    }
    Ok(Round { requests: lanes.iter().map(|lane| lane.len() as u64).sum(), took, latency })
}

fn prepared(signed: &SignedVoucher) -> Result<(VerifyingKey, Vec<u8>, Signature), Failure> {
    let key = VerifyingKey::from_bytes(signed.signer.as_array())?;
    let signature = Signature::from_bytes(signed.signature.as_array());
    Ok((key, signed.voucher.encode().to_vec(), signature))
}
