//! Picking up what a crash, or a server's word, left open.

use toll_protocol::ChannelStatus;

use crate::book::Book;
use crate::channel::{ChannelStage, Pending, SavedChannel};
use crate::error::PayError;
use crate::open::Opening;
use crate::payer::{Payer, unix_now};
use crate::request::Request;
use crate::top_up::ToppedUp;

/// Seconds after which a signed deposit cannot land any more: blockhashes live for two minutes at most.
const OPEN_LIFE: i64 = 300;

/// How many of the channels that a server closed are looked up before another is opened, newest first.
const LEFT_BEHIND_LOOKS: usize = 4;

impl Payer {
    /// Sends again whatever a crash left unanswered, except vouchers, which go with their request.
    ///
    /// `None` when the channel turns out never to have opened.
    pub(crate) async fn resume(
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
                ToppedUp::Raised(channel) => Ok(Some(*channel)),
                ToppedUp::Refused(channel, _) => self.look_up(book, *channel).await,
            },
            _ => Ok(Some(channel)),
        }
    }

    /// Looks on the chain, if it may be asked, for deposits that this server called failed.
    ///
    /// One that landed all the same is used before another is made; one that no longer can is forgotten.
    pub(crate) async fn look_again(
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
    pub(crate) async fn check_left_behind(&self, book: &Book, request: &Request) -> Result<(), PayError> {
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
    pub(crate) async fn reread_deposit(&self, channel: &mut SavedChannel) -> Result<(), PayError> {
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
