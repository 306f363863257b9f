//! Closing a channel together with the server.

use std::time::Duration;

use toll_protocol::{
    Action, Amount, ChannelId, ChannelStatus, CloseAction, CloseAuthority, Credential, Receipt, RefusalCode,
};

use crate::channel::{ChannelStage, SavedChannel};
use crate::clock::unix_now;
use crate::conversation::{Conversation, adopt};
use crate::credential::{authorization, header_for};
use crate::error::PayError;
use crate::offer::Offer;
use crate::open::prove;

/// How often a close is sent again while the server cannot say how it went, or knows better watermarks.
const CLOSE_ATTEMPTS: usize = 8;

/// How often the chain is asked whether a channel is closed there too, half a second apart: a node may lag.
const CHAIN_PATIENCE: usize = 30;

impl Conversation<'_> {
    /// See [`Payer::close`](crate::Payer::close).
    pub(crate) async fn close(&self, id: &ChannelId) -> Result<Receipt, PayError> {
        let channel = self.book.in_use(id).ok_or(PayError::NoChannel(*id))?;
        let request = channel.resource()?;
        self.check_transport(&request)?;
        let Some(mut channel) = self.resume(&request, channel).await? else {
            return Err(PayError::NoChannel(*id));
        };
        // On record first: from here on no voucher is signed for service.
        channel.stage = ChannelStage::Closing;
        self.book.put(channel.clone())?;
        let mut above = Amount::ZERO;
        for _ in 0..CLOSE_ATTEMPTS {
            let last = channel.accepted.checked_add(above).unwrap_or(channel.accepted);
            let authority = if channel.operated {
                CloseAuthority::Authentication(prove(&self.payer.key, id, &channel.challenge))
            } else {
                CloseAuthority::Voucher(self.sign(&channel, last)?)
            };
            let credential = Credential {
                challenge: channel.challenge.clone(),
                action: Action::Close(CloseAction { channel_id: *id, authority }),
                source: None,
            };
            let response =
                self.send(&request, &[(header_for(&channel.challenge), authorization(&credential)?)]).await?;
            if response.status.is_success() {
                let receipt = response
                    .receipt()?
                    .ok_or_else(|| PayError::Dishonest("a close without a receipt".into()))?;
                self.take_receipt(&mut channel, &receipt)?;
                self.check_refund(&channel, &receipt).await?;
                channel.end(ChannelStage::Closed);
                self.book.put(channel)?;
                return Ok(receipt);
            }
            let refusal = response.refusal();
            match (response.status.as_u16(), refusal.accepted) {
                (503 | 429, _) => tokio::time::sleep(response.retry_after()).await,
                // A voucher was accepted whose answer never came.
                (402, Some(accepted)) if accepted > channel.accepted => adopt(&mut channel, accepted)?,
                // The chain shows the last voucher, so it closes nothing: a base unit more shows who asks.
                (402, _)
                    if refusal.code() == Some(RefusalCode::VoucherPublished)
                        && above.is_zero()
                        && channel.accepted < channel.deposit =>
                {
                    above = Amount::new(1);
                    let last = channel.accepted.checked_add(above).unwrap_or(channel.accepted);
                    channel.signed = channel.signed.max(last);
                    self.book.put(channel.clone())?;
                }
                // The server has changed its secret, as one that was restarted may have.
                (402, _) if refusal.code() == Some(RefusalCode::Challenge) && !channel.operated => {
                    let offer = Offer::from_headers(&response.headers, &channel.url, unix_now())?;
                    if offer.challenge.id == channel.challenge.id {
                        return Err(refusal.into());
                    }
                    channel.challenge = offer.challenge;
                }
                _ => {
                    if matches!(
                        refusal.code(),
                        Some(RefusalCode::ChannelClosed | RefusalCode::ChannelNotFound)
                    ) {
                        channel.end(ChannelStage::Closed);
                        self.book.put(channel)?;
                    }
                    return Err(refusal.into());
                }
            }
        }
        Err(PayError::Endless)
    }

    /// Refuses a receipt that keeps a part of the refund, or, if the chain may be asked, one for a channel that
    /// is still open there.
    async fn check_refund(&self, channel: &SavedChannel, receipt: &Receipt) -> Result<(), PayError> {
        let due = channel.deposit.saturating_sub(receipt.spent);
        if let Some(refunded) = receipt.refunded.filter(|refunded| *refunded < due) {
            return Err(PayError::Dishonest(format!("{refunded} refunded, where {due} is due")));
        }
        let Some(cluster) = &self.payer.cluster else { return Ok(()) };
        for _ in 0..CHAIN_PATIENCE {
            match cluster.channel(&channel.channel_id, &channel.program).await {
                Ok(Some(account)) if account.status == ChannelStatus::Open => {}
                Ok(_) => return Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "the server's word is all there is for the close");
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(PayError::Dishonest(format!("channel {} is still open on chain", channel.channel_id)))
    }
}
