//! Paying for a request from an open channel.

use http::StatusCode;
use rand::RngCore;
use toll_protocol::{
    Action, Amount, Credential, RefusalCode, Remedy, SignedVoucher, UseAction, Voucher, VoucherAction,
    base64url_encode,
};

use crate::channel::{ChannelStage, SavedChannel, Unanswered};
use crate::clock::unix_now;
use crate::conversation::{Conversation, adopt};
use crate::credential::{authorization, header_for};
use crate::error::PayError;
use crate::offer::Offer;
use crate::open::prove;
use crate::pay::Turn;
use crate::purchase::Purchase;
use crate::reply::{Payment, Reply};
use crate::request::IDEMPOTENCY_KEY;
use crate::response::{Refusal, Response};
use crate::voucher_key::signing_key;

/// How often one voucher is presented in a row to a server that is busy.
pub(crate) const BUSY_ATTEMPTS: usize = 4;

impl Conversation<'_> {
    /// Presents a voucher: the one that went unanswered for the same request, or the next one.
    ///
    /// The voucher is on disk before it is sent, and stays there until it is answered below 500: a server that
    /// charged and then failed serves the same voucher again without a second charge.
    pub(crate) async fn voucher_turn(
        &self,
        purchase: &mut Purchase<'_>,
        mut channel: SavedChannel,
    ) -> Result<Turn, PayError> {
        if let Some(operator) = channel.operator().filter(|key| !self.payer.policy.operators.contains(key)) {
            return Err(PayError::OperatorSigned { operator });
        }
        let earlier = purchase.earlier(&channel);
        let repeated = earlier.is_some();
        let voucher = match earlier {
            Some(voucher) => voucher,
            None => Unanswered {
                cumulative: self.next_cumulative(&channel)?,
                base: purchase.base(&channel),
                fingerprint: purchase.fingerprint.clone(),
                idempotency_key: fresh_key(),
                challenge: channel.challenge.clone(),
                signed_at: unix_now(),
            },
        };
        if !repeated && voucher.cumulative > purchase.ceiling(&channel) {
            return Err(PayError::Dishonest(format!(
                "it wants {} signed, where one request may raise that to {} at most",
                voucher.cumulative,
                purchase.ceiling(&channel)
            )));
        }
        if voucher.cumulative > channel.deposit {
            // A top-up that was called refused may have landed.
            self.reread_deposit(&mut channel).await?;
        }
        if voucher.cumulative > channel.deposit {
            let missing = voucher.cumulative.saturating_sub(channel.deposit);
            return self.top_up_by_policy(purchase, channel, missing).await;
        }
        let credential = self.voucher_credential(&channel, &voucher)?;
        channel.remember(voucher.clone(), unix_now());
        self.book.put(channel.clone())?;
        purchase.presented = true;

        let header = header_for(&channel.challenge);
        let headers = [(header, credential), (IDEMPOTENCY_KEY, voucher.idempotency_key.clone())];
        let mut response = self.send_paid(purchase, &mut channel, &headers).await?;
        for _ in 1..BUSY_ATTEMPTS {
            // Nothing was consumed: the same voucher again, under the same key.
            if !is_busy(response.status) {
                break;
            }
            tokio::time::sleep(response.retry_after()).await;
            response = self.send_paid(purchase, &mut channel, &headers).await?;
        }
        match response.status {
            StatusCode::PAYMENT_REQUIRED => self.after_refusal(purchase, channel, repeated, &response).await,
            StatusCode::CONFLICT if response.refusal().code().is_some() => {
                self.after_conflict(purchase, channel, &voucher, response)
            }
            status if is_busy(status) => Err(response.refusal().into()),
            status if status.is_server_error() => Ok(Turn::Served(Box::new(response.into()))),
            _ => self.served(channel, &voucher, repeated, response),
        }
    }

    /// Raises a deposit that lacks `missing` for the next voucher, within the policy.
    async fn top_up_by_policy(
        &self,
        purchase: &Purchase<'_>,
        channel: SavedChannel,
        missing: Amount,
    ) -> Result<Turn, PayError> {
        let first = channel.first_deposit.unwrap_or(channel.deposit);
        let additional = self.payer.policy.top_up_for(self.held(&channel), first, missing)?;
        self.top_up_by(purchase.request, channel, additional).await.map(again)
    }

    /// What the deposit lacks for the next voucher by the server's word alone: it says that an earlier session was
    /// refunded, and no chain can be asked. Its word is good for one top-up of a request, and lowers nothing that counts
    /// against the limit.
    fn missing_by_word(
        &self,
        purchase: &mut Purchase<'_>,
        channel: &SavedChannel,
        refusal: &Refusal,
    ) -> Result<Option<Amount>, PayError> {
        let claimed = refusal.deposit.filter(|_| refusal.code() == Some(RefusalCode::TopUpNeeded));
        let Some(claimed) = claimed.filter(|_| self.payer.cluster.is_none()) else { return Ok(None) };
        let missing = self.next_cumulative(channel)?.saturating_sub(claimed);
        Ok((!missing.is_zero() && claimed < channel.deposit && purchase.take_word()).then_some(missing))
    }

    /// The next amount to sign: one request above what the server has charged, and above what it accepted. What it
    /// accepted and did not charge is credit.
    fn next_cumulative(&self, channel: &SavedChannel) -> Result<Amount, PayError> {
        self.payer.policy.check_price(channel.price)?;
        let overflow =
            || PayError::DepositAboveLimit { needed: channel.price, limit: self.payer.policy.max_deposit };
        let due = channel.spent.min(channel.accepted).checked_add(channel.price).ok_or_else(overflow)?;
        Ok(due.max(channel.accepted.checked_add(Amount::new(1)).ok_or_else(overflow)?))
    }

    pub(crate) fn sign(
        &self,
        channel: &SavedChannel,
        cumulative_amount: Amount,
    ) -> Result<SignedVoucher, PayError> {
        let voucher = Voucher { channel_id: channel.channel_id, cumulative_amount, expires_at: 0 };
        Ok(SignedVoucher::sign(voucher, &signing_key(&self.payer.key, channel)?))
    }

    /// The same voucher under the same challenge gives the same header: servers know a repeat by both. Where the server
    /// signs, it knows one by its key.
    pub(crate) fn voucher_credential(
        &self,
        channel: &SavedChannel,
        voucher: &Unanswered,
    ) -> Result<String, PayError> {
        let channel_id = channel.channel_id;
        let action = if channel.operated {
            let authentication = prove(&self.payer.key, &channel_id, &channel.challenge);
            Action::Use(UseAction { channel_id, authentication })
        } else {
            Action::Voucher(VoucherAction { channel_id, voucher: self.sign(channel, voucher.cumulative)? })
        };
        authorization(&Credential { challenge: voucher.challenge.clone(), action, source: None })
    }

    /// An answer below 500, whoever gave it: the voucher has bought what it can.
    fn served(
        &self,
        mut channel: SavedChannel,
        voucher: &Unanswered,
        repeated: bool,
        response: Response,
    ) -> Result<Turn, PayError> {
        let (spent_before, accepted_before) = (channel.spent, channel.accepted);
        // Without a receipt nobody says whether it was charged; the next answer will.
        let receipt = response.receipt()?;
        if receipt.is_none() && response.status.is_success() {
            let (id, signed) = (channel.channel_id, channel.signed);
            tracing::warn!(channel = %id, %signed, "no receipt came with the answer");
        }
        if let Some(receipt) = &receipt {
            self.take_receipt(&mut channel, receipt)?;
            warn_of_overcharge(&channel, voucher, accepted_before);
        }
        channel.forget(&voucher.fingerprint);
        if receipt.is_some() && !repeated && !channel.operated {
            // Accepted now, so not before: an unanswered voucher that is no higher never was and never will be.
            channel
                .unanswered
                .retain(|other| other.cumulative <= accepted_before || other.cumulative > voucher.cumulative);
        }
        let payment = receipt.map(|receipt| Payment {
            channel: channel.channel_id,
            opened: false,
            topped_up: Amount::ZERO,
            charged: channel.spent.saturating_sub(spent_before),
            receipt,
        });
        // Not written yet: losing this costs one exchange, in which the server tells it again.
        self.book.note(channel);
        Ok(Turn::Served(Box::new(Reply { payment, ..response.into() })))
    }

    /// A 402 for a voucher: learn from it what may be learned, or give up.
    ///
    /// The voucher stays on record until another takes its place, so that what was signed for this request is
    /// never counted as signed for others.
    async fn after_refusal(
        &self,
        purchase: &mut Purchase<'_>,
        mut channel: SavedChannel,
        repeated: bool,
        response: &Response,
    ) -> Result<Turn, PayError> {
        let refusal = response.refusal();
        let Some(code) = refusal.code() else { return Err(refusal.into()) };
        match code {
            RefusalCode::ChannelNotFound | RefusalCode::ChannelClosed => {
                channel.end(ChannelStage::Closed);
                self.book.put(channel)?;
                return Ok(Turn::Gone);
            }
            RefusalCode::ChannelClosing => {
                channel.end(ChannelStage::Closing);
                self.book.put(channel)?;
                return Ok(Turn::Gone);
            }
            RefusalCode::NotIncreasing
            | RefusalCode::VoucherPublished
            | RefusalCode::Insufficient
            | RefusalCode::TopUpNeeded
            | RefusalCode::ExceedsDeposit
            | RefusalCode::DeltaTooSmall
            | RefusalCode::ExcessiveIncrement
            | RefusalCode::Challenge
            | RefusalCode::ChallengeExpired
            | RefusalCode::BodyMismatch => {}
            _ => return Err(refusal.into()),
        }
        if channel.operated && code == RefusalCode::Challenge {
            return self.elsewhere(purchase, channel);
        }
        let known = (channel.accepted, channel.price, channel.deposit, channel.spent);
        let challenge = channel.challenge.id.clone();
        if matches!(code, RefusalCode::TopUpNeeded | RefusalCode::ExceedsDeposit) {
            self.reread_deposit(&mut channel).await?;
        }
        if let Some(accepted) = refusal.accepted {
            adopt(&mut channel, accepted)?;
        }
        if let (RefusalCode::VoucherPublished, true, Some(published)) =
            (code, repeated, channel.unanswered(&purchase.fingerprint).cloned())
            && purchase.prove(&channel, published, channel.accepted.min(refusal.accepted.unwrap_or_default()))
        {
            self.book.put(channel.clone())?;
            return Ok(again(channel));
        }
        // What earlier requests cost is not this one's.
        channel.spent = channel.spent.max(refusal.spent.unwrap_or_default().min(channel.accepted));
        let takes_no_credit = match code {
            RefusalCode::Insufficient | RefusalCode::NotIncreasing => refusal.spent.is_none(),
            RefusalCode::DeltaTooSmall => true,
            _ => false,
        };
        if takes_no_credit {
            channel.spent = channel.spent.max(channel.accepted);
        }
        let offer = Offer::from_headers(&response.headers, &channel.url, unix_now())?;
        self.payer.policy.check(&offer)?;
        if offer.terms.operator != channel.operator() {
            // A request for which a voucher went out is not paid from another channel.
            return if channel.operated { self.elsewhere(purchase, channel) } else { Err(refusal.into()) };
        }
        channel.take_challenge(&offer)?;
        channel.price = offer.terms.price;
        purchase.quote(offer.terms.price)?;
        if purchase.repeats && self.next_cumulative(&channel)? > purchase.ceiling(&channel) {
            // It was accepted, and neither its answer nor a free repeat is to be had.
            channel.forget(&purchase.fingerprint);
            self.book.put(channel)?;
            return Err(PayError::AnswerLost);
        }
        // Asking again makes sense only if something was learned; a repeat knew less to begin with.
        let learned = (channel.accepted, channel.price, channel.deposit, channel.spent) != known;
        let answers_another = code.remedy() == Remedy::AnswerAfresh && channel.challenge.id != challenge;
        if let Some(missing) = self.missing_by_word(purchase, &channel, &refusal)? {
            return self.top_up_by_policy(purchase, channel, missing).await;
        }
        if !(learned || repeated || answers_another) {
            return Err(refusal.into());
        }
        self.book.put(channel.clone())?;
        Ok(again(channel))
    }

    /// The channel stays as it is, for what else the server sells; nothing was charged to it.
    fn elsewhere(&self, purchase: &mut Purchase<'_>, mut channel: SavedChannel) -> Result<Turn, PayError> {
        channel.forget(&purchase.fingerprint);
        purchase.left.push(channel.channel_id);
        self.book.put(channel)?;
        Ok(Turn::Elsewhere)
    }

    /// A 409: the idempotency key, or a request that was served before.
    fn after_conflict(
        &self,
        purchase: &Purchase<'_>,
        mut channel: SavedChannel,
        voucher: &Unanswered,
        response: Response,
    ) -> Result<Turn, PayError> {
        match response.refusal().code() {
            // Keys are random: this one belongs to another request only by the server's mistake.
            Some(RefusalCode::IdempotencyKeyReuse) => Ok(again(channel)),
            Some(RefusalCode::ReplayBodyGone) => {
                adopt(&mut channel, voucher.cumulative)?;
                channel.forget(&purchase.fingerprint);
                self.book.put(channel)?;
                Err(PayError::AnswerLost)
            }
            // Some 409 of the service behind the gateway: an answer like any other.
            _ => self.served(channel, voucher, true, response),
        }
    }
}

/// Whether the server took nothing and asks for patience.
pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
}

impl SavedChannel {
    /// Echoes `offer` from now on, if it is for the same relation.
    pub(crate) fn take_challenge(&mut self, offer: &Offer) -> Result<(), PayError> {
        let terms = &offer.terms;
        let same = (terms.mint, terms.payee, terms.program) == (self.mint, self.payee, self.program);
        if !same || terms.resume.is_some_and(|id| id != self.channel_id) {
            return Err(PayError::Malformed("it is for another channel than the one it answers".into()));
        }
        // A session's proof is bound to the challenge that opened it.
        if !self.operated {
            self.challenge = offer.challenge.clone();
        }
        Ok(())
    }
}

/// Says when a server that signs for itself took more than it asked, for this request and those without an answer. All
/// that can be done about it is to list its operator no more.
fn warn_of_overcharge(channel: &SavedChannel, voucher: &Unanswered, accepted_before: Amount) {
    let owed = |one: &Unanswered| one.cumulative.saturating_sub(one.base).get();
    let others = channel.unanswered.iter().filter(|one| one.fingerprint != voucher.fingerprint);
    let due = owed(voucher).saturating_add(others.map(owed).fold(0, u64::saturating_add));
    let taken = channel.accepted.saturating_sub(accepted_before).get();
    if channel.operated && taken > due {
        let (id, price) = (channel.channel_id, channel.price);
        tracing::warn!(channel = %id, %price, taken, "the server signed for more than it asked");
    }
}

fn again(channel: SavedChannel) -> Turn {
    Turn::Again(Box::new(channel))
}

pub(crate) fn fresh_key() -> String {
    let mut key = [0; 18];
    rand::rngs::OsRng.fill_bytes(&mut key);
    base64url_encode(key)
}
