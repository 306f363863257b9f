//! Who pays a channel's fees and rent: the sponsor while it can, else the payer itself.
//!
//! The settler holds the purse and publishes what the sponsor pays for; this reads it. Source:
//! draft-solana-session, "Fee Sponsorship".

use toll_ledger::Unsponsored;
use toll_protocol::Amount;

use crate::gateway::Gateway;
use crate::reject::Rejection;

/// Who pays fees and rent, as a challenge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Funding {
    /// The sponsor, as far as it does at present.
    Sponsored,
    /// The payer.
    ByPayer,
}

impl Funding {
    /// What to offer to somebody who was refused: the sponsor's word about one payer binds no other.
    pub(crate) fn after(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::Unsponsored(_) => Self::ByPayer,
            _ => Self::Sponsored,
        }
    }

    /// What a challenge for a new channel may offer at present.
    pub(crate) async fn for_opens(self, gateway: &Gateway) -> Result<Self, Rejection> {
        self.unless(!gateway.ledger.sponsors_opens().await?)
    }

    /// What a challenge for an open channel may offer at present.
    pub(crate) async fn for_top_ups(self, gateway: &Gateway) -> Result<Self, Rejection> {
        self.unless(gateway.ledger.sponsor().await?.is_some_and(|sponsor| !sponsor.top_ups))
    }

    fn unless(self, out: bool) -> Result<Self, Rejection> {
        Ok(if out { Self::ByPayer } else { self })
    }
}

impl Gateway {
    /// The sponsor pays the fee of a top-up by `additional`.
    pub(crate) async fn check_top_up_sponsorship(&self, additional: Amount) -> Result<(), Rejection> {
        let Some(sponsor) = self.ledger.sponsor().await? else { return Ok(()) };
        if !sponsor.top_ups {
            return Err(Rejection::Unsponsored(
                "the sponsor pays for no top-ups at present; the payer may pay the fee itself".to_owned(),
            ));
        }
        if additional < sponsor.minimum_top_up {
            return Err(Rejection::Unsponsored(format!(
                "the sponsor pays for top-ups of {} base units or more; the payer may pay the fee itself",
                sponsor.minimum_top_up
            )));
        }
        Ok(())
    }
}

/// Why an open is not sponsored, and what remains.
pub(crate) fn refused(why: Unsponsored) -> Rejection {
    unsponsored(why, "channels")
}

/// The same for any of what the sponsor may pay for.
pub(crate) fn unsponsored(why: Unsponsored, what: &str) -> Rejection {
    let reason = match why {
        Unsponsored::OutOfFunds => format!("the sponsor pays for no {what} at present"),
        Unsponsored::TooManyOpens => {
            format!("the sponsor has paid for as many {what} as it does in a minute")
        }
        Unsponsored::PayerBudget => "the sponsor has spent on this payer what it spends in a day".to_owned(),
    };
    Rejection::Unsponsored(format!("{reason}; answer the fresh challenge and pay fee and rent yourself"))
}
