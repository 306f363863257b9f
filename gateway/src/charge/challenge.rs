//! Issues charge challenges, and compares those that are answered with what it would issue.
//!
//! Each has a reference of its own as `externalId`. The payer's transaction repeats it as a memo, so that a transfer
//! pays the challenge it was made for and no other of the same price.

use std::collections::BTreeMap;

use http::HeaderValue;
use solana_hash::Hash;
use toll_protocol::{
    CHARGE_INTENT, Challenge, ChargeDetails, ChargeRequest, ChargeSplit, METHOD, Offer, base64url_encode,
    format_www_authenticate,
};

use crate::gateway::Gateway;
use crate::price::Price;
use crate::reject::Rejection;
use crate::session::{ROUTE_TAG, route_tag, unissuable};
use crate::terms::ChargeTerms;

impl Gateway {
    /// A charge challenge for the route, as a `WWW-Authenticate` value. It names no sponsor where the sponsor pays for no
    /// charges, at present or for whoever was refused with `rejection`.
    pub(super) async fn charge_challenge(
        &self,
        terms: &ChargeTerms,
        price: &Price,
        rejection: &Rejection,
        digest: Option<String>,
    ) -> Result<HeaderValue, Rejection> {
        let is_sponsored = terms.sponsored
            && !matches!(rejection, Rejection::Unsponsored(_))
            && self.ledger.sponsor().await?.is_none_or(|sponsor| sponsor.top_ups);
        // One that is stale would only mislead: whoever pays can ask the cluster.
        let blockhash = self.tip().await.ok().map(|tip| tip.blockhash);
        let reference = format!("{}{}", terms.reference_prefix, base64url_encode(rand::random::<[u8; 16]>()));
        let request = self.charge_request(terms, price, reference, is_sponsored, blockhash);
        request.check().map_err(unissuable)?;
        let expires_at = self.now() + i64::from(self.terms.challenge_ttl);
        let nonce = base64url_encode(rand::random::<[u8; 16]>());
        let opaque = BTreeMap::from([("n".to_owned(), nonce), (ROUTE_TAG.to_owned(), price.route.clone())]);
        let offer = Offer { realm: &self.terms.realm, request: &request, expires_at, opaque: &opaque };
        let secret = &self.secrets.ring().current;
        let mut challenge = Challenge::issue_for_body(secret, offer, digest)
            .map_err(unissuable)?
            .answered_in(price.field, secret);
        challenge.description = price.description.clone();
        let value = format_www_authenticate(&challenge).map_err(unissuable)?;
        HeaderValue::from_str(&value).map_err(unissuable)
    }

    /// What a charge for `price` asks.
    fn charge_request(
        &self,
        terms: &ChargeTerms,
        price: &Price,
        reference: String,
        is_sponsored: bool,
        recent_blockhash: Option<Hash>,
    ) -> ChargeRequest {
        let splits = terms.splits.iter().map(|split| ChargeSplit {
            recipient: split.recipient,
            amount: split.of(price.amount),
            memo: split.memo.clone(),
            creates_account: split.creates_account,
        });
        ChargeRequest {
            amount: price.amount,
            currency: self.terms.mint,
            recipient: self.terms.payee,
            description: None,
            external_id: Some(reference),
            method_details: ChargeDetails {
                network: self.terms.network,
                decimals: self.terms.decimals,
                token_program: Some(self.terms.token_program),
                fee_payer_key: is_sponsored.then_some(self.terms.fee_payer),
                splits: splits.collect(),
                recent_blockhash,
            },
        }
    }

    /// The challenge is for this scheme and realm, and was issued here.
    pub(super) fn recognize_charge(&self, challenge: &Challenge) -> Result<(), Rejection> {
        if challenge.method != METHOD {
            return Err(Rejection::MethodUnsupported);
        }
        let is_ours = challenge.intent == CHARGE_INTENT
            && challenge.realm == self.terms.realm.as_str()
            && self.recognized.recognize(challenge, &self.secrets.ring(), self.now()).is_some();
        if is_ours {
            return Ok(());
        }
        let reason = "the credential echoes a challenge this server did not issue";
        Err(Rejection::Challenge(reason.to_owned()))
    }

    /// The challenge may be answered now: unexpired, by this route, on today's terms. Returns what it asks, and until when
    /// it may be answered, in unix seconds.
    pub(super) fn check_charge(
        &self,
        terms: &ChargeTerms,
        challenge: &Challenge,
        price: &Price,
    ) -> Result<(ChargeRequest, i64), Rejection> {
        let refuse = |reason: &str| Err(Rejection::Challenge(reason.to_owned()));
        // A challenge without a readable expiry is treated as expired.
        let Ok(Some(expires_at)) = challenge.expires_at() else {
            return refuse("the challenge does not say until when it is good");
        };
        if self.now() >= expires_at {
            return Err(Rejection::ChallengeExpired);
        }
        let request = challenge.charge_request().map_err(|error| Rejection::Challenge(error.to_string()))?;
        let reference = request.external_id.clone().unwrap_or_default();
        let details = &request.method_details;
        let (is_sponsored, blockhash) = (details.fee_payer_key.is_some(), details.recent_blockhash);
        let offered = self.charge_request(terms, price, reference, is_sponsored, blockhash);
        if request != offered || route_tag(challenge).as_deref() != Some(price.route.as_str()) {
            return refuse("the challenge is for other terms than this route's");
        }
        Ok((request, expires_at))
    }
}
