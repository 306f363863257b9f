//! Issues challenges, and recognizes the ones it issued.
//!
//! A challenge is stateless: its id is an HMAC over its fields. `expires` and single use limit the `open`
//! alone; a channel's vouchers, top-ups and close may echo any authentic challenge of its terms.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderValue;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use toll_ledger::{ChannelRecord, ChannelState, Tip, Watermarks};
use toll_protocol::{
    Amount, Challenge, ChannelOffer, DepositAtIdle, INTENT, METHOD, MethodDetails, Offer, OperatorKey,
    SessionRequest, Splits, Standing, VoucherSigner, format_www_authenticate,
};

use super::recognized::Recognized;
use super::sponsorship::Funding;
use crate::gateway::Gateway;
use crate::price::Price;
use crate::reject::Rejection;

/// Member of `opaque` that names the route a challenge is for.
pub(crate) const ROUTE_TAG: &str = "op";

/// What a payer may choose where deposits can stay.
const AT_IDLE: [DepositAtIdle; 2] = [DepositAtIdle::Refund, DepositAtIdle::Keep];

impl Gateway {
    /// The challenge is for this scheme and realm, and was issued here.
    pub(crate) fn recognize(&self, challenge: &Challenge) -> Result<(), Rejection> {
        if challenge.method != METHOD {
            return Err(Rejection::MethodUnsupported);
        }
        let ours =
            challenge.realm == self.terms.realm.as_str() && self.recognize_as_ours(challenge).is_some();
        if !ours {
            return Err(foreign());
        }
        if challenge.intent != INTENT {
            return Err(Rejection::Challenge(format!(
                "the challenge is for the intent {}",
                challenge.intent
            )));
        }
        Ok(())
    }

    pub(crate) fn recognize_as_ours(&self, challenge: &Challenge) -> Option<Arc<Recognized>> {
        self.recognized.recognize(challenge, &self.secrets.ring(), self.now())
    }

    /// The challenge asks today's price of this route, for a channel like `channel`.
    pub(crate) fn check_price(
        &self,
        challenge: &Challenge,
        price: &Price,
        channel: &ChannelRecord,
    ) -> Result<(), Rejection> {
        let recognized = self.check_place(challenge, channel)?;
        let request = terms_of(&recognized)?;
        let same = request.amount == price.amount
            && request.unit_type == price.unit_type
            && request.currency == self.terms.mint
            && request.recipient == self.terms.payee
            && request.method_details.voucher_signer == self.voucher_signer(price)?;
        if same && self.is_ours(channel) {
            return Ok(());
        }
        Err(Rejection::Challenge("the challenge is for other terms than this route's".to_owned()))
    }

    /// The challenge is for the cluster and program of this gateway, and not for another channel.
    pub(crate) fn check_place(
        &self,
        challenge: &Challenge,
        channel: &ChannelRecord,
    ) -> Result<Arc<Recognized>, Rejection> {
        let recognized = self.recognize_as_ours(challenge).ok_or_else(foreign)?;
        let details = &terms_of(&recognized)?.method_details;
        if details.network != self.terms.network || details.channel_program != self.terms.program {
            return Err(Rejection::Challenge("the challenge is for another network or program".to_owned()));
        }
        if matches!(details.channel, ChannelOffer::Resume { channel_id, .. } if channel_id != channel.id) {
            return Err(Rejection::ChannelMismatch("the challenge resumes another channel".to_owned()));
        }
        Ok(recognized)
    }

    /// The challenge may be answered by an `open` now: unexpired, for a new channel, by this route, on
    /// today's terms, with a blockhash that is still good for a while.
    pub(crate) fn check_opening(
        &self,
        challenge: &Challenge,
        price: &Price,
        tip: &Tip,
    ) -> Result<OpeningTerms, Rejection> {
        let refuse = |reason: &str| Err(Rejection::Challenge(reason.to_owned()));
        // A challenge without a readable expiry is treated as expired.
        let Ok(Some(expires_at)) = challenge.expires_at() else {
            return refuse("the challenge does not say until when it is good");
        };
        if self.now() >= expires_at {
            return Err(Rejection::ChallengeExpired);
        }
        let request = session_request(challenge)?;
        let ChannelOffer::New { recent_blockhash, recent_slot, .. } = &request.method_details.channel else {
            return refuse("the challenge resumes a channel, it cannot open one");
        };
        let (blockhash, recent_slot) = (*recent_blockhash, *recent_slot);
        let sponsor = request.method_details.fee_payer_key;
        let operator = match request.method_details.voucher_signer {
            VoucherSigner::Client => None,
            VoucherSigner::Operator(key) => Some(key),
        };
        // Either is good whatever is offered by now: the ledger knows whether the sponsor still pays.
        let offered = if sponsor.is_some() { Funding::Sponsored } else { Funding::ByPayer };
        let now_offered = self.new_channel_request(price, blockhash, recent_slot, offered)?;
        if request != now_offered || route_tag(challenge).as_deref() != Some(price.route.as_str()) {
            return refuse("the challenge is for other terms than this route's");
        }
        // In slots and not in time: how long a slot takes is the cluster's affair.
        if tip.slot.saturating_sub(recent_slot) > self.terms.hint_life_slots {
            let reason = "the challenged blockhash is about to expire; sign for the fresh challenge";
            return Err(Rejection::BlockhashExpired(reason.to_owned()));
        }
        Ok(OpeningTerms { blockhash, recent_slot, expires_at, sponsor, operator })
    }

    /// A challenge for the route, as a `WWW-Authenticate` value. With `resume` it offers to go on with that
    /// channel, if the channel can. It names no sponsor when the sponsor pays for nothing at present, or when
    /// `funding` says so. With `digest` it is for that request body only.
    pub(crate) async fn fresh_challenge(
        &self,
        price: &Price,
        resume: Option<&ChannelRecord>,
        funding: Funding,
        digest: Option<String>,
    ) -> Result<HeaderValue, Rejection> {
        let request = match resume.filter(|channel| self.can_resume(price, channel)) {
            Some(channel) => self.resume_request(price, channel, funding.for_top_ups(self).await?)?,
            None => {
                let tip = self.quoted_tip().await?;
                let funding = funding.for_opens(self).await?;
                self.new_channel_request(price, tip.blockhash, tip.slot, funding)?
            }
        };
        let expires_at = self.now() + i64::from(self.terms.challenge_ttl);
        let nonce = toll_protocol::base64url_encode(rand::random::<[u8; 16]>());
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

    /// The chain's tip for a challenge. A stale one opens nothing, but as long as vouchers are taken out of the chain's
    /// sight they need a challenge to echo.
    async fn quoted_tip(&self) -> Result<Tip, Rejection> {
        let out_of_sight = self.terms.unobserved_limit(self.terms.grace_period);
        self.tip_of_age(out_of_sight.max(self.terms.tip_max_age.into())).await
    }

    /// The chain's tip, if an open may go by it.
    pub(crate) async fn tip(&self) -> Result<Tip, Rejection> {
        self.tip_of_age(self.terms.tip_max_age.into()).await
    }

    async fn tip_of_age(&self, seconds: i64) -> Result<Tip, Rejection> {
        let oldest = self.now().saturating_sub(seconds);
        self.ledger.latest_tip().await?.filter(|tip| tip.published_at >= oldest).ok_or_else(|| {
            Rejection::Unavailable {
                detail: "no recent blockhash is known, so no challenge can be issued".to_owned(),
                retry_after: 2,
            }
        })
    }

    /// An operator-signed session goes by the terms of the one challenge that opened it.
    fn can_resume(&self, price: &Price, channel: &ChannelRecord) -> bool {
        let same = channel.proof.is_some() == price.operator_signed
            && (channel.proof.is_none()
                || (channel.price, &channel.unit_type) == (price.amount, &price.unit_type));
        same && channel.state == ChannelState::Open
            && channel.closure_started_at.is_none()
            && self.is_ours(channel)
    }

    /// Who signs the vouchers of sessions on a route.
    fn voucher_signer(&self, price: &Price) -> Result<VoucherSigner, Rejection> {
        if !price.operator_signed {
            return Ok(VoucherSigner::Client);
        }
        let key =
            self.operator.as_ref().map(OperatorKey::pubkey).filter(|key| self.terms.operator == Some(*key));
        key.map(VoucherSigner::Operator).ok_or_else(|| unissuable("the operator's key is not here"))
    }

    /// The channel pays this payee, in this mint, under this program.
    fn is_ours(&self, channel: &ChannelRecord) -> bool {
        channel.agreement.terms.mint == self.terms.mint
            && channel.agreement.terms.payee == self.terms.payee
            && channel.agreement.program == self.terms.program
    }

    fn new_channel_request(
        &self,
        price: &Price,
        blockhash: Hash,
        slot: u64,
        funding: Funding,
    ) -> Result<SessionRequest, Rejection> {
        let terms = &self.terms;
        let channel = ChannelOffer::New {
            recent_blockhash: blockhash,
            recent_slot: slot,
            grace_period: terms.grace_period,
            idle_timeout_options: terms.idle_timeout_options.clone(),
        };
        Ok(SessionRequest {
            minimum_deposit: Some(terms.minimum_deposit),
            suggested_deposit: terms.suggested_deposit,
            ..self.request(price, terms.splits.clone(), channel, funding)?
        })
    }

    fn resume_request(
        &self,
        price: &Price,
        channel: &ChannelRecord,
        funding: Funding,
    ) -> Result<SessionRequest, Rejection> {
        let Watermarks { deposit, settled, accepted, .. } = channel.watermarks;
        let offer = ChannelOffer::Resume {
            channel_id: channel.id,
            idle_timeout: channel.idle_timeout,
            standing: Some(Standing { deposit, settled, accepted }),
        };
        self.request(price, channel.agreement.splits.clone(), offer, funding)
    }

    fn request(
        &self,
        price: &Price,
        splits: Splits,
        channel: ChannelOffer,
        funding: Funding,
    ) -> Result<SessionRequest, Rejection> {
        let terms = &self.terms;
        let min_delta = Some(terms.min_voucher_delta).filter(|delta| *delta > Amount::new(1));
        Ok(SessionRequest {
            amount: price.amount,
            currency: terms.mint,
            recipient: terms.payee,
            unit_type: price.unit_type.clone(),
            suggested_deposit: None,
            minimum_deposit: None,
            description: None,
            external_id: None,
            method_details: MethodDetails {
                network: terms.network,
                channel_program: terms.program,
                decimals: terms.decimals,
                token_program: Some(terms.token_program),
                fee_payer_key: (funding == Funding::Sponsored).then_some(terms.fee_payer),
                voucher_signer: self.voucher_signer(price)?,
                // The client makes no vouchers that it could hold to.
                min_voucher_delta: min_delta.filter(|_| !price.operator_signed),
                ttl_seconds: None,
                splits,
                at_idle_options: if terms.keeps_deposits { AT_IDLE.to_vec() } else { Vec::new() },
                channel,
            },
        })
    }
}

/// What an `open` takes from the challenge it answers.
#[derive(Clone, Debug)]
pub(crate) struct OpeningTerms {
    pub(crate) blockhash: Hash,
    pub(crate) recent_slot: u64,
    pub(crate) expires_at: i64,
    /// Who pays fee and rent; `None` when the payer does.
    pub(crate) sponsor: Option<Pubkey>,
    /// Who signs the vouchers; `None` when the client does.
    pub(crate) operator: Option<Pubkey>,
}

fn foreign() -> Rejection {
    Rejection::Challenge("session credential echoes a challenge this server did not issue".to_owned())
}

fn terms_of(recognized: &Recognized) -> Result<&SessionRequest, Rejection> {
    recognized.request.as_ref().map_err(|reason| Rejection::Challenge(reason.clone()))
}

fn session_request(challenge: &Challenge) -> Result<SessionRequest, Rejection> {
    challenge.session_request().map_err(|error| Rejection::Challenge(error.to_string()))
}

/// The route that issued the challenge.
pub(crate) fn route_tag(challenge: &Challenge) -> Option<String> {
    challenge.opaque_members().ok()?.remove(ROUTE_TAG)
}

pub(crate) fn unissuable(error: impl std::fmt::Display) -> Rejection {
    tracing::error!(%error, "cannot issue a challenge");
    Rejection::Unavailable { detail: "no challenge can be issued for this route".to_owned(), retry_after: 60 }
}
