//! One request, paid for by one transfer: checks → signature → disk → server → body.

use rand::RngCore;
use solana_hash::Hash;
use toll_chain::{Chain, ChainError};
use toll_protocol::{base64_decode, base64url_encode};

use super::fate::ChargeFate;
use super::present::Presented;
use super::sign::{Way, sign};
use super::{ChargeOffer, SavedCharge};
use crate::choice::Choice;
use crate::clock::unix_now;
use crate::conversation::Conversation;
use crate::error::PayError;
use crate::purchase::Purchase;
use crate::reply::Reply;

/// How often a charge is signed for one request: anew only when the one before is void.
const SIGNATURES: usize = 2;

impl Conversation<'_> {
    /// Pays what `offer` asks, and again only what the chain shows void.
    pub(crate) async fn pay_charge(
        &self,
        purchase: &mut Purchase<'_>,
        offer: ChargeOffer,
    ) -> Result<Reply, PayError> {
        self.check_transport(purchase.request)?;
        self.check_no_voucher(purchase)?;
        let mut offer = offer;
        for _ in 0..SIGNATURES {
            purchase.quote(offer.request.amount)?;
            let charge = self.sign_charge(purchase, &offer).await?;
            self.book.put_charge(charge.clone())?;
            match self.present(purchase.request, &charge).await? {
                Presented::Served(reply) => return Ok(*reply),
                Presented::Void(response) => {
                    let refusal = response.refusal();
                    let url = purchase.request.url.as_str();
                    offer = match self.payer.policy.choose(&response.headers, url, unix_now()) {
                        Ok(Choice::Charge(another)) => *another,
                        _ => return Err(refusal.into()),
                    };
                }
            }
        }
        Err(PayError::Endless)
    }

    /// Presents the charge that an earlier call signed for this request, if there is one. `None` when there is none, or
    /// when it is void.
    pub(crate) async fn earlier_charge(&self, purchase: &Purchase<'_>) -> Result<Option<Reply>, PayError> {
        let payer = self.payer.address();
        let Some(charge) = self.book.charge(&purchase.fingerprint, &payer) else { return Ok(None) };
        if !charge.is_kept(unix_now()) || charge.network != self.payer.policy.network {
            self.book.remove_charge(&charge.fingerprint, &payer)?;
            return Ok(None);
        }
        self.check_transport(purchase.request)?;
        match self.present(purchase.request, &charge).await {
            Ok(Presented::Served(reply)) => Ok(Some(*reply)),
            Ok(Presented::Void(_)) => Ok(None),
            Err(PayError::Refused { .. }) if self.payer.cluster.is_none() => {
                Err(self.charge_unanswered(&charge, ChargeFate::Unknown))
            }
            Err(error) => Err(error),
        }
    }

    /// A request for which a voucher went out is not paid for once more.
    fn check_no_voucher(&self, purchase: &Purchase<'_>) -> Result<(), PayError> {
        let (origin, payer, now) = (purchase.request.origin(), self.payer.address(), unix_now());
        for channel in self.book.channels() {
            let ours = channel.origin == origin && channel.payer == payer;
            let voucher = channel.unanswered(&purchase.fingerprint).filter(|voucher| voucher.is_kept(now));
            if let Some(voucher) = voucher.filter(|_| ours) {
                let (channel, cumulative) = (channel.channel_id, voucher.cumulative);
                return Err(PayError::MaybeRedeemed { channel, cumulative });
            }
        }
        Ok(())
    }

    /// Checks everything, then signs. What the payer is to send itself is tried out before.
    async fn sign_charge(
        &self,
        purchase: &Purchase<'_>,
        offer: &ChargeOffer,
    ) -> Result<SavedCharge, PayError> {
        self.payer.policy.check_charge(offer)?;
        let token_program = self.check_on_chain(offer).await?;
        let blockhash = self.blockhash_for(offer).await?;
        let sponsored = offer.request.method_details.fee_payer_key.is_some();
        let way = if self.payer.policy.push && !sponsored { Way::Push } else { Way::Pull };
        let (key, request) = (&self.payer.key, purchase.request);
        let charge = sign(key, request, offer, &token_program, blockhash, way, fresh_key())?;
        if let (Some(text), Some(cluster)) = (&charge.pushed, &self.payer.cluster) {
            let bytes = base64_decode(text).map_err(|error| PayError::Malformed(error.to_string()))?;
            if let Some(failure) = cluster.chain().simulate(&bytes).await?.error {
                return Err(ChainError::NotTaken(failure.to_string()).into());
            }
        }
        Ok(charge)
    }

    /// The blockhash of the challenge, unless the chain does not take it any more.
    async fn blockhash_for(&self, offer: &ChargeOffer) -> Result<Hash, PayError> {
        let challenged = offer.request.method_details.recent_blockhash;
        let Some(cluster) = &self.payer.cluster else {
            let missing = || PayError::Malformed("it names no blockhash, and no RPC may be asked".into());
            return challenged.ok_or_else(missing);
        };
        match challenged {
            Some(hash) if cluster.chain().is_blockhash_valid(&hash).await? => Ok(hash),
            _ => Ok(cluster.chain().tip().await?.blockhash),
        }
    }
}

fn fresh_key() -> String {
    let mut key = [0; 18];
    rand::rngs::OsRng.fill_bytes(&mut key);
    base64url_encode(key)
}
