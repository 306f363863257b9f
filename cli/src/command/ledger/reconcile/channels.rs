//! Each channel's lines, row, account and escrow.

use solana_pubkey::Pubkey;
use toll_chain::{Chain, Cluster};
use toll_ledger::{Account, ChannelState, EntryKind, Ledger};
use toll_protocol::{ChannelAccount, ChannelStatus, associated_token_address};

use super::Difference;
use crate::error::Result;
use crate::output::Output;
use crate::server::ledger_error;

/// Channels whose accounts are read at once.
const PAGE: usize = 50;

/// An account's owner and data.
type Found = Option<(Pubkey, Vec<u8>)>;

/// Compares every channel, and returns how many there are.
pub(super) async fn compare_all(
    book: &Ledger,
    cluster: &Cluster,
    output: Output,
    differences: &mut Vec<Difference>,
) -> Result<u64> {
    let progress = output.spinner("comparing channels");
    let mut compared = 0u64;
    let mut accounts = page(book, None).await?;
    while !accounts.is_empty() {
        let addresses = accounts.iter().flat_map(|account| [account.channel.pubkey(), escrow(account)]);
        let found = cluster.chain().accounts(&addresses.collect::<Vec<_>>()).await?.accounts;
        let mut found = found.into_iter().map(|found| found.map(|it| (it.owner, it.data)));
        for account in &accounts {
            let (on_chain, tokens) = (found.next().flatten(), found.next().flatten());
            compare(account, &on_chain, &tokens, differences);
            compared += 1;
        }
        progress.set_message(format!("{compared} channels compared"));
        accounts = page(book, accounts.last()).await?;
    }
    progress.finish_and_clear();
    Ok(compared)
}

/// The next accounts behind `last`; none at the end.
async fn page(book: &Ledger, last: Option<&Account>) -> Result<Vec<Account>> {
    book.accounts(last.map(|account| account.channel), PAGE).await.map_err(|error| ledger_error(&error))
}

fn escrow(account: &Account) -> Pubkey {
    let agreement = &account.agreement;
    associated_token_address(&account.channel.pubkey(), &agreement.terms.mint, &agreement.token_program)
}

/// Notes what differs between a channel's lines, its row and its account.
fn compare(account: &Account, found: &Found, tokens: &Found, differences: &mut Vec<Difference>) {
    let mut differ = |what: &'static str, ledger: String, chain: String| {
        if ledger != chain {
            let of = account.channel.to_string();
            differences.push(Difference { member: "channelId", of, what, ledger, chain });
        }
    };
    let marks = account.watermarks;
    let in_books = marks.deposit.get().saturating_sub(marks.payout_watermark.get());
    let expected_left = match (account.is_over(), account.payer_withdrawn_at) {
        (true, _) => 0,
        (false, Some(_)) => marks.settled.get().saturating_sub(marks.payout_watermark.get()),
        (false, None) => in_books,
    };
    differ("left by the entries", account.left().to_string(), expected_left.to_string());
    differ(
        "accepted by the entries",
        account.sum(EntryKind::Acceptance).to_string(),
        marks.spent.to_string(),
    );

    // Somebody may send lamports to an address that is no channel any more.
    let channel = found.as_ref().filter(|(owner, _)| *owner == account.agreement.program);
    let is_there = !matches!(account.state, None | Some(ChannelState::Gone));
    let there = |is: bool| if is { "there" } else { "gone" }.to_owned();
    differ("account", there(is_there), there(channel.is_some()));
    let Some(channel) = channel.and_then(|(_, data)| ChannelAccount::decode(data).ok()) else { return };
    let fits = match account.state {
        Some(ChannelState::Open) => channel.status == ChannelStatus::Open,
        Some(ChannelState::Closed) => channel.status == ChannelStatus::Distributed,
        // Service stops before the chain hears of it.
        _ => channel.status != ChannelStatus::Distributed,
    };
    let state = account.state.map_or("archived", ChannelState::as_str);
    differ("status", state.to_owned(), if fits { state } else { standing(channel.status) }.to_owned());
    differ("settled", marks.settled.to_string(), channel.settled.to_string());
    // Whoever empties a channel pays out all of `settled` and leaves the watermark as it was.
    if !account.is_over() {
        differ("payoutWatermark", marks.payout_watermark.to_string(), channel.payout_watermark.to_string());
        differ("deposit", marks.deposit.to_string(), channel.deposit.to_string());
        // More may lie there: anybody can send tokens to an address.
        let held = tokens.as_ref().filter(|(owner, _)| *owner == account.agreement.token_program);
        let held = held.and_then(|(_, data)| Some(u64::from_le_bytes(data.get(64..72)?.try_into().ok()?)));
        let held = held.unwrap_or(0).min(expected_left);
        differ("escrow", expected_left.to_string(), held.to_string());
    }
}

fn standing(status: ChannelStatus) -> &'static str {
    match status {
        ChannelStatus::Open => "open",
        ChannelStatus::Distributed => "distributed",
        ChannelStatus::Closing => "closing",
        ChannelStatus::Sealed => "sealed",
    }
}
