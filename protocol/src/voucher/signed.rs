//! Signed vouchers, and the proof that a signature was checked.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde_json::Value;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use thiserror::Error;

use super::Voucher;
use crate::json::{Members, Object, serde_through_json};
use crate::{ChannelId, JsonError};

/// A voucher with the signature of the key that vouches. Nothing says yet that the signature is good.
///
/// Source: draft-solana-session, "Voucher Format".
#[derive(Clone, PartialEq, Eq)]
pub struct SignedVoucher {
    /// What is promised.
    pub voucher: Voucher,
    /// Who promises.
    pub signer: Pubkey,
    /// Ed25519 over the voucher's 50 bytes.
    pub signature: Signature,
}

/// A voucher whose channel, signer and signature were checked. [`SignedVoucher::verify`] and
/// [`SignedVoucher::verify_with`] make one, and whoever signs vouchers itself ([`crate::OperatorKey`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedVoucher(SignedVoucher);

/// Why a voucher is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VoucherError {
    /// It draws on another channel.
    #[error("voucher is for channel {found}, not {expected}")]
    ChannelMismatch {
        /// The channel in use.
        expected: ChannelId,
        /// The channel the voucher names.
        found: ChannelId,
    },
    /// Another key signed it.
    #[error("voucher is signed by {found}, the channel's authorized signer is {expected}")]
    SignerMismatch {
        /// The channel's authorized signer.
        expected: Pubkey,
        /// The key the voucher names.
        found: Pubkey,
    },
    /// The key is no curve point, or one for which anyone can make signatures.
    #[error("{0} is not a usable Ed25519 key")]
    UnusableKey(Pubkey),
    /// The signature does not verify.
    #[error("voucher signature is not valid")]
    Signature,
}

impl SignedVoucher {
    /// Signs `voucher` with `key`.
    pub fn sign(voucher: Voucher, key: &SigningKey) -> Self {
        Self {
            voucher,
            signer: Pubkey::new_from_array(key.verifying_key().to_bytes()),
            signature: Signature::from(key.sign(&voucher.encode()).to_bytes()),
        }
    }

    /// Checks that this voucher draws on `channel` and that `authorized_signer` signed it.
    ///
    /// The signature check comes last and is the strict one, as in the Ed25519 precompile: what passes here
    /// settles on chain. Amount and expiry are the ledger's and the gateway's questions.
    pub fn verify(
        &self,
        channel: &ChannelId,
        authorized_signer: &Pubkey,
    ) -> Result<VerifiedVoucher, VoucherError> {
        if self.voucher.channel_id != *channel {
            let (expected, found) = (*channel, self.voucher.channel_id);
            return Err(VoucherError::ChannelMismatch { expected, found });
        }
        if self.signer != *authorized_signer {
            let (expected, found) = (*authorized_signer, self.signer);
            return Err(VoucherError::SignerMismatch { expected, found });
        }
        let key = VoucherKey::new(&self.signer).ok_or(VoucherError::UnusableKey(self.signer))?;
        self.verify_with(channel, &key)
    }

    /// The same for a key that is known already: what is left to do is the signature check itself.
    pub fn verify_with(
        &self,
        channel: &ChannelId,
        key: &VoucherKey,
    ) -> Result<VerifiedVoucher, VoucherError> {
        if self.voucher.channel_id != *channel {
            let (expected, found) = (*channel, self.voucher.channel_id);
            return Err(VoucherError::ChannelMismatch { expected, found });
        }
        if self.signer != key.address() {
            return Err(VoucherError::SignerMismatch { expected: key.address(), found: self.signer });
        }
        verify_strict(&key.0, &self.voucher.encode(), &self.signature)
            .then(|| VerifiedVoucher(self.clone()))
            .ok_or(VoucherError::Signature)
    }
}

/// A channel's authorized signer, ready to verify with: decompressing it once serves any number of vouchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoucherKey(VerifyingKey);

impl VoucherKey {
    /// The key at `address`; `None` when that is no curve point, or one of small order, for which anyone can make
    /// signatures.
    pub fn new(address: &Pubkey) -> Option<Self> {
        verifying_key(address).map(Self)
    }

    /// The key's 32 bytes.
    pub fn address(&self) -> Pubkey {
        Pubkey::new_from_array(self.0.to_bytes())
    }
}

impl SignedVoucher {
    /// The voucher as JSON.
    pub fn to_json(&self) -> Value {
        let voucher = Object::default()
            .text("channelId", self.voucher.channel_id)
            .text("cumulativeAmount", self.voucher.cumulative_amount)
            .maybe("expiresAt", Some(self.voucher.expires_at).filter(|at| *at != 0));
        Object::default()
            .with("voucher", voucher.into_value())
            .text("signer", self.signer)
            .text("signature", self.signature)
            .text("signatureType", "ed25519")
            .into_value()
    }

    /// Reads a signed voucher. An absent expiry is 0: never. Unknown members are ignored.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        Self::read(&Members::of(value, "voucher")?)
    }

    pub(crate) fn read(signed: &Members<'_>) -> Result<Self, JsonError> {
        let voucher = signed.object("voucher")?;
        signed.exactly("signatureType", "ed25519")?;
        Ok(Self {
            voucher: Voucher {
                channel_id: voucher.get("channelId")?,
                cumulative_amount: voucher.get("cumulativeAmount")?,
                expires_at: voucher.find("expiresAt")?.unwrap_or(0),
            },
            signer: signed.get("signer")?,
            signature: signed.get("signature")?,
        })
    }
}

impl VerifiedVoucher {
    /// The voucher with its signature.
    pub const fn signed(&self) -> &SignedVoucher {
        &self.0
    }

    /// The voucher alone.
    pub const fn voucher(&self) -> &Voucher {
        &self.0.voucher
    }

    /// The voucher with its signature, by value.
    pub fn into_signed(self) -> SignedVoucher {
        self.0
    }
}

impl fmt::Debug for SignedVoucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedVoucher")
            .field("voucher", &self.voucher)
            .field("signer", &self.signer)
            .finish_non_exhaustive()
    }
}

/// A voucher that this process has signed.
pub(crate) const fn trust(signed: SignedVoucher) -> VerifiedVoucher {
    VerifiedVoucher(signed)
}

/// Whether `key` can be a channel's authorized signer: a curve point, and not of small order.
pub fn is_voucher_key(key: &Pubkey) -> bool {
    verifying_key(key).is_some()
}

/// `key` as a key to verify with, unless it is no curve point or one of small order.
pub(crate) fn verifying_key(key: &Pubkey) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(key.as_array()).ok().filter(|key| !key.is_weak())
}

/// Whether `signature` is `key`'s over `message`, by the strict rules.
pub(crate) fn verify_strict(key: &VerifyingKey, message: &[u8], signature: &Signature) -> bool {
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature.as_array())).is_ok()
}

serde_through_json!(SignedVoucher);
