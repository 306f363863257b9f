//! Every lamport that left the fee payer, or came back to it.

use std::collections::HashMap;

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_chain::{BalanceChange, Cluster, Mention};
use toll_ledger::Ledger;

use super::Difference;
use crate::error::Result;
use crate::output::Output;
use crate::server::ledger_error;

/// How far the fee payer's lamports were compared.
#[derive(Debug, Default)]
pub(super) struct Balance {
    /// Transactions that the log and the cluster both have.
    pub(super) compared: u64,
    /// Transactions of the log that are older than all that the node remembers.
    pub(super) forgotten: u64,
    /// What others' transactions brought, or took where it is below zero, in lamports.
    pub(super) outside: Vec<(Signature, i128)>,
}

/// Follows the fee payer's balance from before the oldest transaction that the node remembers until now, by what the log
/// says of each; where the log says nothing, by what the cluster says.
pub(super) async fn compare(
    book: &Ledger,
    cluster: &Cluster,
    fee_payer: &Pubkey,
    output: Output,
    differences: &mut Vec<Difference>,
) -> Result<Balance> {
    let failed = |error| ledger_error(&error);
    let in_log = book.lamports_taken(fee_payer).await.map_err(failed)?;
    let taken: HashMap<Signature, i128> =
        in_log.iter().map(|one| (one.signature, i128::from(one.taken))).collect();
    let mut balance = Balance::default();
    if taken.is_empty() {
        return Ok(balance);
    }
    let progress = output.spinner("reading the fee payer's transactions");
    let mentions = mentions(cluster, fee_payer, &taken).await?;
    let known: HashMap<Signature, u64> =
        mentions.iter().map(|mention| (mention.signature, mention.slot)).collect();
    let mut moved = 0i128;
    for Mention { signature, .. } in &mentions {
        if let Some(taken) = taken.get(signature) {
            balance.compared += 1;
            moved -= taken;
            continue;
        }
        let brought = brought(cluster.chain().balance_change(signature, fee_payer).await?);
        moved += brought;
        if brought == 0 {
            continue;
        }
        if book.has_transaction(signature).await.map_err(failed)? {
            differences.push(transaction(signature, 0, brought));
            moved -= brought;
        } else {
            balance.outside.push((*signature, brought));
        }
        progress.set_message(format!("{} transactions from outside", balance.outside.len()));
    }
    let first_known = in_log.iter().position(|one| known.contains_key(&one.signature));
    for (place, one) in in_log.iter().enumerate().filter(|(_, one)| !known.contains_key(&one.signature)) {
        match first_known {
            Some(first) if place > first => {
                differences.push(transaction(&one.signature, -i128::from(one.taken), 0));
            }
            _ => balance.forgotten += 1,
        }
    }
    let Some(before) = balance_before(cluster, fee_payer, &mentions).await? else { return Ok(balance) };
    let (expected, found) = (before + moved, i128::from(cluster.lamports(fee_payer).await?));
    if expected != found {
        let of = fee_payer.to_string();
        let (ledger, chain) = (expected.to_string(), found.to_string());
        differences.push(Difference { member: "feePayer", of, what: "lamports", ledger, chain });
        // Which of them it is takes a question for each.
        for Mention { signature, .. } in &mentions {
            let Some(taken) = taken.get(signature) else { continue };
            let change = cluster.chain().balance_change(signature, fee_payer).await?;
            if brought(change) != -taken {
                differences.push(transaction(signature, -taken, brought(change)));
            }
        }
    }
    progress.finish_and_clear();
    Ok(balance)
}

fn transaction(signature: &Signature, ledger: i128, chain: i128) -> Difference {
    let (ledger, chain) = (ledger.to_string(), chain.to_string());
    Difference { member: "signature", of: signature.to_string(), what: "lamports", ledger, chain }
}

fn brought(change: Option<BalanceChange>) -> i128 {
    change.map_or(0, |change| i128::from(change.after) - i128::from(change.before))
}

/// The fee payer's transactions, the newest first, back to the oldest that the log has or the node remembers.
async fn mentions(
    cluster: &Cluster,
    fee_payer: &Pubkey,
    taken: &HashMap<Signature, i128>,
) -> Result<Vec<Mention>> {
    let mut mentions: Vec<Mention> = Vec::new();
    let mut missing = taken.len();
    while missing > 0 {
        let last = mentions.last().map(|mention| mention.signature);
        let page = cluster.chain().mentions(fee_payer, last.as_ref()).await?;
        if page.is_empty() {
            break;
        }
        let found = page.iter().filter(|mention| taken.contains_key(&mention.signature)).count();
        missing = missing.saturating_sub(found);
        mentions.extend(page);
    }
    Ok(mentions)
}

/// What the fee payer had before the oldest of its transactions. Several may share a slot, in any order.
async fn balance_before(cluster: &Cluster, fee_payer: &Pubkey, mentions: &[Mention]) -> Result<Option<i128>> {
    let Some(oldest) = mentions.last() else { return Ok(None) };
    let mut changes = Vec::new();
    for mention in mentions.iter().rev().take_while(|mention| mention.slot == oldest.slot) {
        changes.extend(cluster.chain().balance_change(&mention.signature, fee_payer).await?);
    }
    let follows = |before: u64| changes.iter().any(|other| other.after == before && other.before != before);
    let first = changes.iter().find(|change| !follows(change.before)).or(changes.first());
    Ok(first.map(|change| i128::from(change.before)))
}
