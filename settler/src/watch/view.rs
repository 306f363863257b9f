//! Channels as the chain shows them at one moment.

use solana_account::Account;
use toll_chain::{Accounts, CLOCK, Chain, ChainClock, ChainError};
use toll_ledger::{ChannelRecord, ChannelState};
use toll_protocol::ChannelAccount;
use tracing::warn;

use crate::SettlerError;

/// Most channels looked at in one view: a node answers for a hundred accounts at once, the clock among them.
pub(crate) const MOST: usize = 99;

/// Channels as the chain shows them at one moment.
pub(crate) struct View {
    pub(crate) slot: u64,
    pub(crate) clock: ChainClock,
    /// One entry per record looked up; `None` when no channel account is there.
    pub(crate) accounts: Vec<Option<ChannelAccount>>,
}

impl View {
    /// Fetches the accounts of `records` and the chain's clock. Keep it to [`MOST`] for one answer.
    pub(crate) async fn of(chain: &dyn Chain, records: &[ChannelRecord]) -> Result<Self, SettlerError> {
        let mut addresses = vec![CLOCK];
        addresses.extend(records.iter().map(|record| record.id.pubkey()));
        let Accounts { slot, accounts } = chain.accounts(&addresses).await?;
        let [clock, channels @ ..] = accounts.as_slice() else {
            return Err(
                ChainError::Malformed { what: "accounts", reason: "an empty answer".to_owned() }.into()
            );
        };
        let accounts =
            records.iter().zip(channels).map(|(record, account)| channel_account(record, account.as_ref()));
        Ok(Self { slot, clock: ChainClock::decode(clock.as_ref())?, accounts: accounts.collect() })
    }
}

/// The channel in `account`, if there is one that the channel program owns.
pub(crate) fn channel_account(record: &ChannelRecord, account: Option<&Account>) -> Option<ChannelAccount> {
    let account = account.filter(|account| account.owner == record.agreement.program)?;
    ChannelAccount::decode(&account.data)
        .inspect_err(|error| warn!(channel = %record.id, %error, "not a channel account"))
        .ok()
}

/// Whether the ledger has these facts already.
///
/// A channel that has not been seen yet and is not there is no news: its open may be on its way.
pub(crate) fn is_known(record: &ChannelRecord, account: Option<&ChannelAccount>, slot: u64) -> bool {
    let Some(account) = account else {
        return matches!(record.state, ChannelState::Opening | ChannelState::Failed | ChannelState::Gone);
    };
    let marks = &record.watermarks;
    slot < record.observed_slot
        || (record.chain_status == Some(account.status)
            && marks.deposit == account.deposit
            && marks.settled == account.settled
            && marks.payout_watermark == account.payout_watermark
            && record.payer_withdrawn_at.unwrap_or(0) == account.payer_withdrawn_at)
}
