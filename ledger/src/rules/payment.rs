//! Which payments are taken, and how they go on.
//!
//! `Reserved → Landed → Served`, or `Reserved → Failed`. A challenge, a message and a signature pay once each, whoever
//! shows them, and in whichever way: they are reserved before anything is sent.

use crate::{Payment, PaymentFailure, PaymentState, Reserved, Sponsor, Unsponsored};

/// What is known when a payment is shown.
#[derive(Clone, Debug)]
pub(crate) struct PaymentAsked {
    /// What the challenge was answered with before.
    pub(crate) known: Option<Payment>,
    /// Whether that was this very payment, for this very request.
    pub(crate) is_same: bool,
    /// Whether the transaction has answered another challenge, or is on record for something else.
    pub(crate) is_used: bool,
    /// How many of its kind wait for the settler: transactions to be sent, or to be looked for.
    pub(crate) waiting: usize,
    /// How many may.
    pub(crate) most_waiting: usize,
    /// What the sponsor said last, and what it has spent on the payer today, in lamports; `None` where it is not to pay
    /// or has said nothing.
    pub(crate) sponsor: Option<(Sponsor, u64)>,
}

/// Whether the payment is reserved. An error is the answer instead, and nothing changes.
pub(crate) fn reserve(asked: PaymentAsked) -> Result<(), Reserved> {
    if let Some(known) = asked.known {
        return Err(if asked.is_same {
            Reserved::Existing(Box::new(known))
        } else {
            Reserved::ChallengeUsed
        });
    }
    if asked.is_used {
        return Err(Reserved::PaymentUsed);
    }
    if asked.waiting >= asked.most_waiting {
        return Err(Reserved::Crowded);
    }
    match asked.sponsor {
        Some((sponsor, charged)) => pays_for(&sponsor, charged).map_err(Reserved::Unsponsored),
        None => Ok(()),
    }
}

/// Whether the sponsor pays the fee of a charge of a payer on whom it has spent `charged` lamports today. What it costs to
/// the lamport is the settler's to say.
pub(crate) fn pays_for(sponsor: &Sponsor, charged: u64) -> Result<(), Unsponsored> {
    if !sponsor.top_ups {
        return Err(Unsponsored::OutOfFunds);
    }
    if charged >= sponsor.payer_budget {
        return Err(Unsponsored::PayerBudget);
    }
    Ok(())
}

/// Whether what is in `state` can turn out to have landed. One that was given up as expired can.
pub(crate) fn can_land(state: PaymentState, failure: Option<PaymentFailure>) -> bool {
    match state {
        PaymentState::Reserved => true,
        PaymentState::Failed => failure == Some(PaymentFailure::Expired),
        PaymentState::Landed | PaymentState::Served => false,
    }
}

#[cfg(test)]
mod laws;
