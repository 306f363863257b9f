//! What became of a charge that was handed out.

use solana_hash::Hash;
use solana_signature::Signature;
use toll_chain::{Chain, ChainError, Cluster, Fate};
use toll_protocol::associated_token_address;

use super::SavedCharge;
use crate::conversation::Conversation;
use crate::error::PayError;

/// How many of the payer's newest transfers are looked through for one that somebody else sent.
const LOOKED_THROUGH: usize = 64;

/// What became of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChargeFate {
    /// It is paid.
    Landed(Signature),
    /// It is not, and can never be.
    Void,
    /// It may be, or may yet.
    Unknown,
}

impl Conversation<'_> {
    /// What the chain says of a charge; nothing is known where it cannot be asked.
    pub(super) async fn charge_fate(&self, charge: &SavedCharge) -> ChargeFate {
        let Some(cluster) = &self.payer.cluster else { return ChargeFate::Unknown };
        fate(cluster, charge).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "what became of a charge is not known");
            ChargeFate::Unknown
        })
    }

    /// What a server that does not answer a charge has to be told apart by: it was paid, or may be.
    pub(super) fn charge_unanswered(&self, charge: &SavedCharge, fate: ChargeFate) -> PayError {
        match fate {
            ChargeFate::Landed(signature) => PayError::Charged { signature },
            ChargeFate::Void | ChargeFate::Unknown => PayError::MaybeCharged { amount: charge.amount },
        }
    }
}

async fn fate(cluster: &Cluster, charge: &SavedCharge) -> Result<ChargeFate, ChainError> {
    let unreadable = |what| ChainError::Malformed { what, reason: "the state file has none".to_owned() };
    let blockhash: Hash = charge.blockhash.parse().map_err(|_| unreadable("blockhash"))?;
    let signature: Signature = charge.signature.parse().map_err(|_| unreadable("signature"))?;
    // Asked first: what is not there once the blockhash is dead will never be.
    let alive = cluster.chain().is_blockhash_valid(&blockhash).await?;
    let first =
        if charge.sponsored { first_signature(cluster, charge, &signature).await? } else { Some(signature) };
    let fate = match first {
        Some(first) => cluster.chain().statuses(&[first]).await?.into_iter().next(),
        None => None,
    };
    Ok(match (fate, first) {
        (Some(Fate::Landed { .. }), Some(first)) => ChargeFate::Landed(first),
        (Some(Fate::Failed { .. } | Fate::DidNotRun { .. }), _) => ChargeFate::Void,
        (Some(Fate::Pending), _) => ChargeFate::Unknown,
        (Some(Fate::Unknown | Fate::Landed { .. }) | None, _) if alive => ChargeFate::Unknown,
        (Some(Fate::Unknown | Fate::Landed { .. }) | None, _) => ChargeFate::Void,
    })
}

/// A sponsor's signature comes first and names the transaction; the payer knows only its own. So the newest
/// transactions of the account that paid are looked through for it.
async fn first_signature(
    cluster: &Cluster,
    charge: &SavedCharge,
    signature: &Signature,
) -> Result<Option<Signature>, ChainError> {
    let source = associated_token_address(&charge.payer, &charge.mint, &charge.token_program);
    let mentions = cluster.chain().mentions(&source, None).await?;
    for mention in mentions.into_iter().take(LOOKED_THROUGH) {
        let signatures = cluster.chain().signatures(&mention.signature).await?;
        if signatures.is_some_and(|signatures| signatures.contains(signature)) {
            return Ok(Some(mention.signature));
        }
    }
    Ok(None)
}
