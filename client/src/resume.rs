//! Picking up what a crash, or a server's word, left open.

use toll_protocol::ChannelStatus;

use crate::channel::{ChannelStage, Pending, SavedChannel};
use crate::clock::unix_now;
use crate::conversation::Conversation;
use crate::error::PayError;
use crate::open::Opening;
use crate::request::Request;
use crate::top_up::ToppedUp;

/// Seconds after which a signed deposit cannot land any more: blockhashes live for two minutes at most.
const OPEN_LIFE: i64 = 300;

/// How many of the channels that a server closed are looked up before another is opened, newest first.
const LEFT_BEHIND_LOOKS: usize = 4;

impl Conversation<'_> {
    /// Sends again whatever a crash left unanswered, except vouchers, which go with their request.
    ///
    /// `None` when the channel turns out never to have opened.
    pub(crate) async fn resume(
        &self,
        request: &Request,
        channel: SavedChannel,
    ) -> Result<Option<SavedChannel>, PayError> {
        match &channel.pending {
            Some(Pending::Open { .. }) => match self.submit_open(request, channel.clone()).await? {
                Opening::Opened(channel) => Ok(Some(*channel)),
                Opening::BlockhashExpired | Opening::Unsponsored(_) | Opening::Unknown(_) => {
                    self.look_up(channel).await
                }
            },
            Some(Pending::TopUp { .. }) => match self.submit_top_up(request, channel).await? {
                ToppedUp::Raised(channel) => Ok(Some(*channel)),
                ToppedUp::Refused(channel, _) => self.look_up(*channel).await,
            },
            _ => Ok(Some(channel)),
        }
    }

    /// Looks on the chain, if it may be asked, for deposits that this server called failed.
    ///
    /// One that landed all the same is used before another is made; one that no longer can is forgotten.
    pub(crate) async fn look_again(&self, request: &Request) -> Result<Option<SavedChannel>, PayError> {
        let Some(cluster) = &self.payer.cluster else { return Ok(None) };
        let origin = request.origin();
        let (payer, policy) = (self.payer.address(), &self.payer.policy);
        let abandoned = self.book.channels().into_iter().filter(|channel| {
            channel.stage == ChannelStage::Abandoned
                && (&channel.origin, channel.payer) == (&origin, payer)
                && channel.network == policy.network
                && policy.programs.contains(&channel.program)
        });
        for mut channel in abandoned {
            match cluster.channel(&channel.channel_id, &channel.program).await? {
                Some(account) if account.status == ChannelStatus::Open => {
                    self.check_transport(request)?;
                    channel.stage = ChannelStage::Open;
                    channel.take_amounts(&account);
                    self.book.put(channel.clone())?;
                    return Ok(Some(channel));
                }
                None if unix_now() - channel.opened_at > OPEN_LIFE => {
                    self.book.remove(&channel.channel_id)?
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Refuses another deposit while the chain, if it may be asked, still holds two that this server calls closed.
    ///
    /// One may be on its way out: a close takes a moment to land.
    pub(crate) async fn check_left_behind(&self, request: &Request) -> Result<(), PayError> {
        let Some(cluster) = &self.payer.cluster else { return Ok(()) };
        let origin = request.origin();
        let left = self.book.channels().into_iter().rev().filter(|channel| {
            matches!(channel.stage, ChannelStage::Closing | ChannelStage::Closed)
                && (&channel.origin, channel.payer) == (&origin, self.payer.address())
                && channel.network == self.payer.policy.network
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

    /// Corrects the recorded amounts by the chain's, if the chain may be asked.
    pub(crate) async fn reread_deposit(&self, channel: &mut SavedChannel) -> Result<(), PayError> {
        let Some(cluster) = &self.payer.cluster else { return Ok(()) };
        if let Some(account) = cluster.channel(&channel.channel_id, &channel.program).await? {
            channel.take_amounts(&account);
        }
        Ok(())
    }

    /// Asks the chain about a channel whose last step the server does not know, if the chain may be asked.
    async fn look_up(&self, mut channel: SavedChannel) -> Result<Option<SavedChannel>, PayError> {
        let Some(cluster) = &self.payer.cluster else {
            let known = channel.stage == ChannelStage::Open;
            if !known {
                channel.stage = ChannelStage::Abandoned;
                channel.pending = None;
                self.book.put(channel.clone())?;
            }
            return Ok(known.then_some(channel));
        };
        let account = cluster.channel(&channel.channel_id, &channel.program).await?;
        channel.pending = None;
        match &account {
            Some(account) => {
                channel.stage = ChannelStage::Open;
                channel.take_amounts(account);
            }
            None => channel.stage = ChannelStage::Abandoned,
        }
        self.book.put(channel.clone())?;
        Ok(account.map(|_| channel))
    }
}
