//! Raising a deposit.

use std::time::Duration;

use solana_hash::Hash;
use toll_protocol::{Action, Amount, ChannelId, Credential, RefusalCode, TopUp, TopUpAction};

use crate::channel::{Pending, SavedChannel};
use crate::conversation::Conversation;
use crate::credential::{authorization, header_of, sign_as_payer};
use crate::error::PayError;
use crate::offer::Offer;
use crate::request::Request;
use crate::response::Refusal;

/// How often the same credential is sent again while the server cannot say how it went.
const SUBMIT_ATTEMPTS: usize = 6;

/// How often an offer with another blockhash is asked for, half a second apart.
const BLOCKHASH_ATTEMPTS: usize = 20;

/// What became of a top-up that was sent.
pub(crate) enum ToppedUp {
    /// The deposit is raised.
    Raised(Box<SavedChannel>),
    /// The server did not take it.
    Refused(Box<SavedChannel>, Refusal),
}

impl Conversation<'_> {
    /// See [`Payer::top_up`](crate::Payer::top_up).
    pub(crate) async fn top_up(&self, id: &ChannelId, additional: Amount) -> Result<SavedChannel, PayError> {
        let channel = self.book.in_use(id).ok_or(PayError::NoChannel(*id))?;
        let request = channel.resource()?;
        self.check_transport(&request)?;
        let Some(mut channel) = self.resume(&request, channel).await? else {
            return Err(PayError::NoChannel(*id));
        };
        // A top-up that was called refused may have landed.
        self.reread_deposit(&mut channel).await?;
        let limit = self.payer.policy.max_deposit;
        let needed = self.held(&channel).checked_add(additional).unwrap_or(Amount::new(u64::MAX));
        if needed > limit {
            return Err(PayError::DepositAboveLimit { needed, limit });
        }
        self.top_up_by(&request, channel, additional).await
    }

    /// Signs a top-up against a fresh blockhash, puts it on disk, sends it.
    pub(crate) async fn top_up_by(
        &self,
        request: &Request,
        channel: SavedChannel,
        additional: Amount,
    ) -> Result<SavedChannel, PayError> {
        let (channel, refusal) = match self.sign_top_up(request, channel, additional, true).await? {
            ToppedUp::Raised(channel) => return Ok(*channel),
            ToppedUp::Refused(channel, refusal) => (channel, refusal),
        };
        // The sponsor that a challenge names may not pay for this payer any more.
        if refusal.code() != Some(RefusalCode::Unsponsored) {
            return Err(refusal.into());
        }
        if !self.payer.policy.pay_fees {
            return Err(PayError::Unsponsored);
        }
        match self.sign_top_up(request, *channel, additional, false).await? {
            ToppedUp::Raised(channel) => Ok(*channel),
            ToppedUp::Refused(_, refusal) => Err(refusal.into()),
        }
    }

    /// Signs a top-up for the sponsor's money, where the server offers one, or for the payer's own; sends it.
    async fn sign_top_up(
        &self,
        request: &Request,
        mut channel: SavedChannel,
        additional: Amount,
        sponsored: bool,
    ) -> Result<ToppedUp, PayError> {
        // Vouchers are accepted under any challenge for the channel; a transaction needs a living blockhash.
        let (offer, blockhash) = self.unused_blockhash(request, &channel).await?;
        self.check_tokens(&channel.mint, &channel.token_program, additional).await?;
        let fee_payer = offer.terms.fee_payer.filter(|_| sponsored).unwrap_or(channel.payer);
        if fee_payer == channel.payer {
            self.check_sol_for_top_up().await?;
        }
        let top_up = TopUp {
            channel: channel.channel_id,
            payer: channel.payer,
            mint: channel.mint,
            token_program: channel.token_program,
            amount: additional,
        };
        let transaction =
            sign_as_payer(&self.payer.key, &fee_payer, &[top_up.instruction(&channel.program)], blockhash)?;
        let at_idle = self.payer.policy.at_idle(&offer);
        let credential = Credential {
            challenge: offer.challenge,
            action: Action::TopUp(TopUpAction {
                channel_id: channel.channel_id,
                additional,
                at_idle,
                transaction,
            }),
            source: None,
        };
        channel.top_up_blockhash = Some(blockhash.to_string());
        channel.pending = Some(Pending::TopUp { authorization: authorization(&credential)?, additional });
        self.book.put(channel.clone())?;
        self.submit_top_up(request, channel).await
    }

    /// An offer whose blockhash the channel's last top-up did not use.
    ///
    /// Two top-ups by one amount under one blockhash are one transaction, which lands once.
    async fn unused_blockhash(
        &self,
        request: &Request,
        channel: &SavedChannel,
    ) -> Result<(Offer, Hash), PayError> {
        for _ in 0..BLOCKHASH_ATTEMPTS {
            let offer = self.fresh_offer(request).await?;
            self.payer.policy.check(&offer)?;
            let Some((blockhash, _)) = offer.terms.recent else {
                return Err(PayError::Malformed("it quotes no blockhash".into()));
            };
            if channel.top_up_blockhash != Some(blockhash.to_string()) {
                return Ok((offer, blockhash));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(PayError::Malformed("it quotes a blockhash that was used before".into()))
    }

    /// Sends a signed top-up, and again while the server cannot say how it went.
    pub(crate) async fn submit_top_up(
        &self,
        request: &Request,
        mut channel: SavedChannel,
    ) -> Result<ToppedUp, PayError> {
        let Some(Pending::TopUp { authorization, additional }) = channel.pending.clone() else {
            return Ok(ToppedUp::Raised(Box::new(channel)));
        };
        for attempt in 1..=SUBMIT_ATTEMPTS {
            let response = self.send(request, &[header_of(&authorization)]).await?;
            if response.status.is_success() {
                if let Some(receipt) = response.receipt()? {
                    self.take_receipt(&mut channel, &receipt)?;
                }
                channel.deposit = channel.deposit.checked_add(additional).unwrap_or(channel.deposit);
                channel.pending = None;
                self.book.put(channel.clone())?;
                return Ok(ToppedUp::Raised(Box::new(channel)));
            }
            let refusal = response.refusal();
            match response.status.as_u16() {
                503 if attempt < SUBMIT_ATTEMPTS => tokio::time::sleep(response.retry_after()).await,
                400..=499 if response.status.as_u16() != 429 => {
                    channel.pending = None;
                    self.book.put(channel.clone())?;
                    return Ok(ToppedUp::Refused(Box::new(channel), refusal));
                }
                _ => return Err(refusal.into()),
            }
        }
        Err(PayError::Endless)
    }
}
