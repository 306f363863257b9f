//! Raising a deposit, and picking up what a crash left unanswered.

use std::time::Duration;

use http::Method;
use http::header::{AUTHORIZATION, HeaderMap};
use solana_hash::Hash;
use toll_protocol::{Action, Amount, ChannelId, ChannelStatus, Credential, TopUp, TopUpAction};

use super::error::PayError;
use super::http_exchange::{Refusal, Request};
use super::offer::Offer;
use super::open::{Opening, authorization, sign_as_payer};
use super::{Payer, unix_now};
use crate::error::{CliError, Exit};
use crate::state::{Book, ChannelStage, Pending, SavedChannel};

/// How often the same credential is sent again while the server cannot say how it went.
const SUBMIT_ATTEMPTS: usize = 6;

/// Seconds after which a signed deposit cannot land any more: blockhashes live for two minutes at most.
const OPEN_LIFE: i64 = 300;

/// How many of the channels that a server closed are looked up before another is opened, newest first.
const LEFT_BEHIND_LOOKS: usize = 4;

/// How often an offer with another blockhash is asked for, half a second apart.
const BLOCKHASH_ATTEMPTS: usize = 20;

impl Payer {
    /// Raises the deposit of a saved channel by `additional`, within the limits.
    pub async fn top_up(
        &self,
        book: &mut Book,
        id: &ChannelId,
        additional: Amount,
    ) -> Result<SavedChannel, PayError> {
        let channel = open_channel(book, id)?;
        let request = resource(&channel)?;
        self.check_transport(&request)?;
        let Some(mut channel) = self.resume(book, &request, channel).await? else {
            return Err(PayError::NoChannel(*id));
        };
        // A top-up that was called refused may have landed.
        self.reread_deposit(&mut channel).await?;
        let limit = self.policy.max_deposit;
        let needed = channel.deposit.checked_add(additional).unwrap_or(Amount::new(u64::MAX));
        if needed > limit {
            return Err(PayError::DepositAboveLimit { needed, limit });
        }
        self.top_up_by(book, &request, channel, additional).await
    }

    /// Signs a top-up against a fresh blockhash, puts it on disk, sends it.
    pub(super) async fn top_up_by(
        &self,
        book: &mut Book,
        request: &Request,
        mut channel: SavedChannel,
        additional: Amount,
    ) -> Result<SavedChannel, PayError> {
        // Vouchers are accepted under any challenge for the channel; a transaction needs a living blockhash.
        let (offer, blockhash) = self.unused_blockhash(request, &channel).await?;
        self.check_funds(&channel.mint, &channel.token_program, additional).await?;
        let top_up = TopUp {
            channel: channel.channel_id,
            payer: channel.payer,
            mint: channel.mint,
            token_program: channel.token_program,
            amount: additional,
        };
        let fee_payer = offer.terms.fee_payer.unwrap_or(channel.payer);
        let transaction =
            sign_as_payer(&self.key, &fee_payer, &[top_up.instruction(&channel.program)], blockhash)?;
        let credential = Credential {
            challenge: offer.challenge,
            action: Action::TopUp(TopUpAction { channel_id: channel.channel_id, additional, transaction }),
            source: None,
        };
        channel.top_up_blockhash = Some(blockhash.to_string());
        channel.pending = Some(Pending::TopUp { authorization: authorization(&credential)?, additional });
        book.put(channel.clone())?;
        match self.submit_top_up(book, request, channel).await? {
            Ok(channel) => Ok(channel),
            Err((_, refusal)) => Err(refusal.into()),
        }
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
            self.policy.check(&offer)?;
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
    async fn submit_top_up(
        &self,
        book: &mut Book,
        request: &Request,
        mut channel: SavedChannel,
    ) -> Result<Result<SavedChannel, (SavedChannel, Refusal)>, PayError> {
        let Some(Pending::TopUp { authorization, additional }) = channel.pending.clone() else {
            return Ok(Ok(channel));
        };
        for attempt in 1..=SUBMIT_ATTEMPTS {
            let response = self.send(request, &[(AUTHORIZATION, authorization.clone())]).await?;
            if response.status.is_success() {
                if let Some(receipt) = response.receipt()? {
                    self.take_receipt(&mut channel, &receipt)?;
                }
                channel.deposit = channel.deposit.checked_add(additional).unwrap_or(channel.deposit);
                channel.pending = None;
                book.put(channel.clone())?;
                return Ok(Ok(channel));
            }
            let refusal = response.refusal();
            match response.status.as_u16() {
                503 if attempt < SUBMIT_ATTEMPTS => tokio::time::sleep(response.retry_after()).await,
                400..=499 if response.status.as_u16() != 429 => {
                    channel.pending = None;
                    book.put(channel.clone())?;
                    return Ok(Err((channel, refusal)));
                }
                _ => return Err(refusal.into()),
            }
        }
        Err(PayError::Endless)
    }

    /// Sends again whatever a crash left unanswered, except vouchers, which go with their request.
    ///
    /// `None` when the channel turns out never to have opened.
    pub(super) async fn resume(
        &self,
        book: &mut Book,
        request: &Request,
        channel: SavedChannel,
    ) -> Result<Option<SavedChannel>, PayError> {
        match &channel.pending {
            Some(Pending::Open { .. }) => match self.submit_open(book, request, channel.clone()).await? {
                Opening::Opened(channel) => Ok(Some(*channel)),
                Opening::BlockhashExpired | Opening::Unknown(_) => self.look_up(book, channel).await,
            },
            Some(Pending::TopUp { .. }) => match self.submit_top_up(book, request, channel).await? {
                Ok(channel) => Ok(Some(channel)),
                Err((channel, _)) => self.look_up(book, channel).await,
            },
            _ => Ok(Some(channel)),
        }
    }

    /// Looks on the chain, if it may be asked, for deposits that this server called failed.
    ///
    /// One that landed all the same is used before another is made; one that no longer can is forgotten.
    pub(super) async fn look_again(
        &self,
        book: &mut Book,
        request: &Request,
    ) -> Result<Option<SavedChannel>, PayError> {
        let Some(cluster) = &self.cluster else { return Ok(None) };
        let origin = request.origin();
        let abandoned: Vec<SavedChannel> = book
            .channels()
            .iter()
            .filter(|channel| channel.stage == ChannelStage::Abandoned && channel.origin == origin)
            .filter(|channel| channel.payer == self.address() && channel.network == self.policy.network)
            .filter(|channel| self.policy.programs.contains(&channel.program))
            .cloned()
            .collect();
        for mut channel in abandoned {
            match cluster.channel(&channel.channel_id, &channel.program).await? {
                Some(account) if account.status == ChannelStatus::Open => {
                    self.check_transport(request)?;
                    channel.stage = ChannelStage::Open;
                    channel.deposit = account.deposit;
                    book.put(channel.clone())?;
                    return Ok(Some(channel));
                }
                None if unix_now() - channel.opened_at > OPEN_LIFE => book.remove(&channel.channel_id)?,
                _ => {}
            }
        }
        Ok(None)
    }

    /// Refuses another deposit while the chain, if it may be asked, still holds two that this server calls closed.
    ///
    /// One may be on its way out: a close takes a moment to land.
    pub(super) async fn check_left_behind(&self, book: &Book, request: &Request) -> Result<(), PayError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        let origin = request.origin();
        let left = book.channels().iter().rev().filter(|channel| {
            matches!(channel.stage, ChannelStage::Closing | ChannelStage::Closed)
                && (&channel.origin, channel.payer) == (&origin, self.address())
                && channel.network == self.policy.network
        });
        let mut open = 0;
        for channel in left.take(LEFT_BEHIND_LOOKS) {
            let account = cluster.channel(&channel.channel_id, &channel.program).await?;
            open += usize::from(account.is_some_and(|account| account.status == ChannelStatus::Open));
            if open == 2 {
                return Err(PayError::LeftBehind { origin, channel: channel.channel_id });
            }
        }
        Ok(())
    }

    /// Corrects the recorded deposit by the chain's, if the chain may be asked.
    pub(super) async fn reread_deposit(&self, channel: &mut SavedChannel) -> Result<(), PayError> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        if let Some(account) = cluster.channel(&channel.channel_id, &channel.program).await? {
            channel.deposit = account.deposit;
        }
        Ok(())
    }

    /// Asks the chain about a channel whose last step the server does not know, if the chain may be asked.
    async fn look_up(
        &self,
        book: &mut Book,
        mut channel: SavedChannel,
    ) -> Result<Option<SavedChannel>, PayError> {
        let Some(cluster) = &self.cluster else {
            let known = channel.stage == ChannelStage::Open;
            if !known {
                channel.stage = ChannelStage::Abandoned;
                channel.pending = None;
                book.put(channel.clone())?;
            }
            return Ok(known.then_some(channel));
        };
        let account = cluster.channel(&channel.channel_id, &channel.program).await?;
        channel.pending = None;
        match &account {
            Some(account) => {
                channel.stage = ChannelStage::Open;
                channel.deposit = account.deposit;
            }
            None => channel.stage = ChannelStage::Abandoned,
        }
        book.put(channel.clone())?;
        Ok(account.map(|_| channel))
    }
}

/// The saved channel, if it is open or about to be.
pub(super) fn open_channel(book: &Book, id: &ChannelId) -> Result<SavedChannel, PayError> {
    book.channel(id)
        .filter(|channel| {
            matches!(channel.stage, ChannelStage::Opening | ChannelStage::Open | ChannelStage::Closing)
        })
        .cloned()
        .ok_or(PayError::NoChannel(*id))
}

/// The resource that a channel was opened for.
pub(super) fn resource(channel: &SavedChannel) -> Result<Request, PayError> {
    let malformed = |what: &str| {
        let what = format!("the state file has no usable {what} for {}", channel.channel_id);
        CliError::new(Exit::State, what, "restore it, or leave the channel with `toll request-close`")
    };
    Ok(Request {
        method: Method::from_bytes(channel.method.as_bytes()).map_err(|_| malformed("method"))?,
        url: channel.url.parse().map_err(|_| malformed("URL"))?,
        headers: HeaderMap::new(),
        body: Vec::new(),
    })
}
