//! What the payer remembers of a charge that was not answered.

use serde::{Deserialize, Serialize};
use solana_pubkey::Pubkey;
use toll_protocol::{Amount, Network};

/// How long it is worth presenting, or asking after, in seconds: servers keep answers for a day.
const LIFE: i64 = 86_400;

/// A charge that was signed and not answered: the very credential, to be presented again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedCharge {
    /// Digest of the request it pays for.
    pub fingerprint: String,
    /// The resource.
    pub url: String,
    /// The request's HTTP method.
    pub method: String,
    /// The network of the challenge.
    pub network: Network,
    /// Whose tokens it moves.
    #[serde(with = "toll_protocol::base58")]
    pub payer: Pubkey,
    /// Who is paid, besides splits.
    #[serde(with = "toll_protocol::base58")]
    pub recipient: Pubkey,
    /// The token.
    #[serde(with = "toll_protocol::base58")]
    pub mint: Pubkey,
    /// SPL Token or Token-2022.
    #[serde(with = "toll_protocol::base58")]
    pub token_program: Pubkey,
    /// Decimals of the token.
    pub decimals: u8,
    /// What it pays in all, in base units.
    pub amount: Amount,
    /// Whether somebody else pays the fee, and so signs first.
    pub sponsored: bool,
    /// The transaction, in base64, where the payer sends it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// The payer's signature, which is the transaction's first unless it is sponsored.
    pub signature: String,
    /// The blockhash it was signed with: it can land as long as that is valid.
    pub blockhash: String,
    /// Value of the `Authorization` header.
    pub authorization: String,
    /// The request's `Idempotency-Key`.
    pub idempotency_key: String,
    /// Unix seconds.
    pub signed_at: i64,
}

impl SavedCharge {
    /// Whether it is `payer`'s for the request with this fingerprint.
    pub(crate) fn pays(&self, fingerprint: &str, payer: &Pubkey) -> bool {
        self.fingerprint == fingerprint && self.payer == *payer
    }

    /// Whether it is still worth presenting, or asking after, at `now` (unix seconds).
    pub(crate) fn is_kept(&self, now: i64) -> bool {
        now - self.signed_at < LIFE
    }
}
