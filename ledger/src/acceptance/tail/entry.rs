//! An accepted voucher as bytes: fixed fields, little-endian, then the challenge's id.

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::{Amount, ChannelId, SignedVoucher, Voucher};

use crate::LedgerError;
use crate::acceptance::Charge;
use crate::acceptance::group::Offer;
use crate::column::undecodable;
use crate::replay::ReplayKey;

/// An accepted voucher, and what is spent on its channel by that.
pub(super) struct Entry {
    pub(super) offer: Offer,
    pub(super) spent: Amount,
}

/// Adds an entry to `bytes`.
pub(super) fn write(bytes: &mut Vec<u8>, offer: &Offer, spent: Amount) {
    let Offer { signed, charge, now, .. } = offer;
    let SignedVoucher { voucher, signer, signature } = signed;
    bytes.extend_from_slice(voucher.channel_id.as_bytes());
    bytes.extend_from_slice(&voucher.cumulative_amount.get().to_le_bytes());
    bytes.extend_from_slice(&voucher.expires_at.to_le_bytes());
    bytes.extend_from_slice(signer.as_ref());
    bytes.extend_from_slice(signature.as_ref());
    bytes.extend_from_slice(&now.to_le_bytes());
    bytes.extend_from_slice(&charge.replay.key);
    bytes.extend_from_slice(&charge.replay.fingerprint);
    bytes.extend_from_slice(&charge.cost.get().to_le_bytes());
    bytes.extend_from_slice(&spent.get().to_le_bytes());
    bytes.extend_from_slice(&(charge.challenge_id.len() as u64).to_le_bytes());
    bytes.extend_from_slice(charge.challenge_id.as_bytes());
}

/// Every entry of `bytes`.
pub(super) fn read(mut bytes: &[u8]) -> Result<Vec<Entry>, LedgerError> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        entries.push(one(&mut bytes).ok_or_else(|| undecodable("entries"))?);
    }
    Ok(entries)
}

fn one(bytes: &mut &[u8]) -> Option<Entry> {
    let channel_id = ChannelId::new(*take(bytes)?);
    let cumulative_amount = Amount::new(u64::from_le_bytes(*take(bytes)?));
    let expires_at = i64::from_le_bytes(*take(bytes)?);
    let signer = Pubkey::new_from_array(*take(bytes)?);
    let signature = Signature::from(*take::<64>(bytes)?);
    let now = i64::from_le_bytes(*take(bytes)?);
    let replay = ReplayKey { key: *take(bytes)?, fingerprint: *take(bytes)? };
    let cost = Amount::new(u64::from_le_bytes(*take(bytes)?));
    let spent = Amount::new(u64::from_le_bytes(*take(bytes)?));
    let length = usize::try_from(u64::from_le_bytes(*take(bytes)?)).ok()?;
    let (challenge_id, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let challenge_id = std::str::from_utf8(challenge_id).ok()?.to_owned();
    let charge = Charge {
        cost,
        headroom: Amount::ZERO,
        min_delta: Amount::ZERO,
        challenge_id,
        replay,
        is_of_voucher: false,
    };
    let voucher = Voucher { channel_id, cumulative_amount, expires_at };
    let signed = SignedVoucher { voucher, signer, signature };
    Some(Entry { offer: Offer { signed, charge, now, oldest: i64::MIN }, spent })
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(byte: u8, challenge_id: &str) -> Offer {
        let voucher = Voucher {
            channel_id: ChannelId::new([byte; 32]),
            cumulative_amount: Amount::new(u64::from(byte) << 40),
            expires_at: -i64::from(byte),
        };
        let signed = SignedVoucher {
            voucher,
            signer: Pubkey::new_from_array([byte + 1; 32]),
            signature: Signature::from([byte + 2; 64]),
        };
        let charge = Charge {
            cost: Amount::new(16),
            headroom: Amount::ZERO,
            min_delta: Amount::ZERO,
            challenge_id: challenge_id.to_owned(),
            replay: ReplayKey { key: [byte + 3; 32], fingerprint: [byte + 4; 32] },
            is_of_voucher: false,
        };
        Offer { signed, charge, now: 1_790_000_000, oldest: i64::MIN }
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let offers = [offer(1, "a challenge"), offer(7, ""), offer(9, "é")];
        let mut bytes = Vec::new();
        for (spent, offer) in offers.iter().enumerate() {
            write(&mut bytes, offer, Amount::new(spent as u64));
        }
        let entries = read(&bytes).unwrap();
        assert_eq!(entries.len(), offers.len());
        for (spent, (entry, offer)) in entries.iter().zip(&offers).enumerate() {
            assert_eq!(entry.spent, Amount::new(spent as u64));
            assert_eq!(entry.offer.signed, offer.signed);
            assert_eq!((&entry.offer.charge, entry.offer.now), (&offer.charge, offer.now));
        }
        for cut in 1..bytes.len() {
            let cut = read(&bytes[..cut]);
            assert!(cut.is_err() || cut.is_ok_and(|entries| entries.len() < offers.len()));
        }
    }
}
