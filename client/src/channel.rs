//! What the payer remembers of one channel.

use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use solana_pubkey::Pubkey;
use toll_protocol::{Amount, Challenge, ChannelAccount, ChannelId, ChannelTerms, Network, Receipt, Splits};

use crate::book::BookError;
use crate::request::Request;

/// Where a channel stands, as far as the payer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChannelStage {
    /// The deposit was signed; whether it landed is not known yet.
    Opening,
    /// Vouchers are accepted.
    Open,
    /// A close was asked for.
    Closing,
    /// The server said that it is closed.
    Closed,
    /// The deposit never landed, as far as the server knows.
    Abandoned,
}

/// A transaction that was signed and not yet answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Pending {
    /// A deposit: the very header that carries it.
    Open {
        /// Value of the `Authorization` header.
        authorization: String,
    },
    /// A top-up: the very header that carries it, and by how much it raises the deposit.
    #[serde(rename_all = "camelCase")]
    TopUp {
        /// Value of the `Authorization` header.
        authorization: String,
        /// The increase.
        additional: Amount,
    },
}

/// A voucher that was sent, or is about to be, and was not answered below 500.
///
/// A server that charged for it owes the answer: the same voucher under the same challenge and key gets it without
/// a second charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unanswered {
    /// The cumulative amount it authorizes.
    pub cumulative: Amount,
    /// What had been signed for other requests before it.
    pub base: Amount,
    /// Digest of the request it pays for.
    pub fingerprint: String,
    /// The request's `Idempotency-Key`.
    pub idempotency_key: String,
    /// The challenge it answers.
    pub challenge: Challenge,
    /// Unix seconds.
    pub signed_at: i64,
}

/// How long an unanswered voucher is worth presenting, in seconds: servers keep answers for a day.
const UNANSWERED_LIFE: i64 = 86_400;

impl Unanswered {
    /// Whether it is still worth presenting, or asking after, at `now` (unix seconds).
    pub(crate) fn is_kept(&self, now: i64) -> bool {
        now - self.signed_at < UNANSWERED_LIFE
    }
}

/// How many unanswered vouchers are kept for one channel.
const MAX_UNANSWERED: usize = 256;

/// One channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedChannel {
    /// Its address.
    pub channel_id: ChannelId,
    /// Scheme, host and port of the server.
    pub origin: String,
    /// The resource it was opened for; close and top-up go there.
    pub url: String,
    /// The HTTP method it was opened with, since a resource is priced by method too.
    pub method: String,
    /// The network of the challenge.
    pub network: Network,
    /// The channel program.
    #[serde(with = "toll_protocol::base58")]
    pub program: Pubkey,
    /// Who deposited.
    #[serde(with = "toll_protocol::base58")]
    pub payer: Pubkey,
    /// Who earns.
    #[serde(with = "toll_protocol::base58")]
    pub payee: Pubkey,
    /// The token.
    #[serde(with = "toll_protocol::base58")]
    pub mint: Pubkey,
    /// SPL Token or Token-2022.
    #[serde(with = "toll_protocol::base58")]
    pub token_program: Pubkey,
    /// Decimals of the token.
    pub decimals: u8,
    /// Whose vouchers count.
    #[serde(with = "toll_protocol::base58")]
    pub authorized_signer: Pubkey,
    /// Whether that is the server's operator: requests then carry the proof that the payer opened the channel with, and
    /// the server signs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub operated: bool,
    /// Who paid the rent and gets it back.
    #[serde(with = "toll_protocol::base58")]
    pub rent_payer: Pubkey,
    /// Seed of the address.
    #[serde(with = "decimal")]
    pub salt: u64,
    /// Seed of the address.
    #[serde(with = "decimal")]
    pub open_slot: u64,
    /// Seconds between a forced close and the refund.
    pub grace_period_seconds: u32,
    /// Shares other than the payee's.
    pub splits: Splits,
    /// Tokens escrowed.
    pub deposit: Amount,
    /// Price of one request, as last challenged.
    pub price: Amount,
    /// The highest cumulative amount ever signed: what the payee could take at most. Where the server signs, that is
    /// the deposit, and this is what the payer asked for.
    pub signed: Amount,
    /// The highest that the server said it accepted.
    pub accepted: Amount,
    /// What the server said it charged.
    pub spent: Amount,
    /// Where it stands.
    pub stage: ChannelStage,
    /// What to echo: the opening challenge, or a newer one for the same terms where the payer signs.
    pub challenge: Challenge,
    /// Blockhash of the last top-up: another one by the same amount under it would be the same transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_up_blockhash: Option<String>,
    /// The transaction that was signed and not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Vouchers that were not answered, oldest first, at most one for each request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
    /// The last receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_receipt: Option<Receipt>,
    /// Unix seconds.
    pub opened_at: i64,
    /// What its open escrowed: what a session on it is worth, where an earlier one was refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_deposit: Option<Amount>,
    /// What the payee has of the deposit for good, as the chain last showed it.
    #[serde(default)]
    pub settled: Amount,
}

impl SavedChannel {
    /// The seeds of its address.
    pub fn terms(&self) -> ChannelTerms {
        ChannelTerms {
            payer: self.payer,
            payee: self.payee,
            mint: self.mint,
            authorized_signer: self.authorized_signer,
            salt: self.salt,
            open_slot: self.open_slot,
        }
    }

    /// Takes the amounts of its account, as the chain shows it. A deposit falls when a session is refunded.
    pub(crate) fn take_amounts(&mut self, account: &ChannelAccount) {
        self.deposit = account.deposit;
        self.settled = account.settled;
    }

    /// What is held of the payer's at most: the deposit less what is the payee's. That is what is settled, by the chain;
    /// where the chain is not asked, what the payer itself has signed. A server's word is not in it.
    pub(crate) fn held(&self, by_chain: bool) -> Amount {
        self.deposit.saturating_sub(if by_chain { self.settled } else { self.signed })
    }

    /// The resource it was opened for.
    pub(crate) fn resource(&self) -> Result<Request, BookError> {
        let unusable = |what| BookError::Unusable { channel: self.channel_id, what };
        Ok(Request {
            method: Method::from_bytes(self.method.as_bytes()).map_err(|_| unusable("method"))?,
            url: self.url.parse().map_err(|_| unusable("URL"))?,
            headers: HeaderMap::new(),
            body: Vec::new(),
        })
    }

    /// Who signs its vouchers, if the payer does not.
    pub(crate) fn operator(&self) -> Option<Pubkey> {
        self.operated.then_some(self.authorized_signer)
    }

    /// The unanswered voucher for the request with this fingerprint.
    pub fn unanswered(&self, fingerprint: &str) -> Option<&Unanswered> {
        self.unanswered.iter().find(|unanswered| unanswered.fingerprint == fingerprint)
    }

    /// Puts a voucher on record as signed and unanswered, in place of an earlier one for the same request.
    pub(crate) fn remember(&mut self, voucher: Unanswered, now: i64) {
        self.signed = self.signed.max(voucher.cumulative);
        self.forget(&voucher.fingerprint);
        self.unanswered.retain(|other| other.is_kept(now));
        if self.unanswered.len() == MAX_UNANSWERED {
            let oldest = self.unanswered.remove(0);
            tracing::warn!(channel = %self.channel_id, cumulative = %oldest.cumulative, "too many requests without an answer; the oldest is given up");
        }
        self.unanswered.push(voucher);
    }

    /// Takes the voucher for the request with this fingerprint off the record; whether there was one.
    pub(crate) fn forget(&mut self, fingerprint: &str) -> bool {
        let before = self.unanswered.len();
        self.unanswered.retain(|unanswered| unanswered.fingerprint != fingerprint);
        self.unanswered.len() < before
    }

    /// Ends the channel's use. Vouchers that were not answered stay on record: their requests may be paid for.
    pub(crate) fn end(&mut self, stage: ChannelStage) {
        self.stage = stage;
        self.pending = None;
    }

    /// Adopts a watermark the server reported: never above what was signed, never lower than known.
    ///
    /// Returns whether the report was within what was signed.
    pub fn adopt_accepted(&mut self, reported: Amount) -> bool {
        if self.operated && reported <= self.deposit {
            self.signed = self.signed.max(reported);
        }
        if reported > self.signed {
            return false;
        }
        self.accepted = self.accepted.max(reported);
        true
    }
}

/// 64-bit numbers as decimal text, since JSON's numbers stop at 53 bits.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        toll_protocol::parse_u64(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
