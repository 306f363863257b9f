//! What the payer agrees to. Checked before anything is signed.

use std::time::Duration;

use solana_pubkey::Pubkey;
use toll_protocol::{Amount, DepositAtIdle, Network};

use crate::choice::Intents;
use crate::error::PayError;
use crate::offer::Offer;

/// Requests that a deposit covers when the server suggests none.
const REQUESTS_PER_DEPOSIT: u64 = 100;

/// The payer's limits.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The payer's network.
    pub network: Network,
    /// Channel programs the payer trusts there.
    pub programs: Vec<Pubkey>,
    /// The only mint to pay with, or any.
    pub mint: Option<Pubkey>,
    /// The decimals of the mint that the limits below were meant for, or any.
    pub decimals: Option<u8>,
    /// How to pay where a server offers several ways.
    pub intents: Intents,
    /// What a request must cost, in base units, or any price up to [`Self::max_amount`]. Where it is given, the server is
    /// asked for its price before every request, also of a channel that is open.
    pub amount: Option<Amount>,
    /// Who may be paid, by their keys: payees of channels, recipients of charges, and everybody who has a share. Anybody
    /// where none is listed.
    pub recipients: Vec<Pubkey>,
    /// Whether charges that nobody sponsors are sent to the chain by the payer, which then shows the signature, instead
    /// of by the server. It needs a cluster.
    pub push: bool,
    /// The most that one request may cost, in base units.
    pub max_amount: Amount,
    /// The most that one channel may hold at a time, in base units: its deposit less what is settled, by the chain, or
    /// less what was signed where the chain is not asked.
    pub max_deposit: Amount,
    /// The deposit to make, in base units; the server's suggestion otherwise.
    pub deposit: Option<Amount>,
    /// Whether the deposit stays in escrow between two sessions where the server offers that, instead of being refunded
    /// when the channel was idle. It is the payer's as before: [`Self::max_deposit`] bounds it, and a forced close gets it
    /// back.
    pub keep_deposit: bool,
    /// The longest wait for a refund after a forced close, in seconds.
    pub max_grace_period: u32,
    /// Whether the payer pays network fees and rent itself, in SOL, for servers that sponsor neither.
    pub pay_fees: bool,
    /// Servers that may sign the vouchers themselves, by their operators' keys: each can take the whole deposit of a
    /// channel with it, and is told so by nobody. None unless listed.
    pub operators: Vec<Pubkey>,
    /// Whether vouchers of new channels are signed with the payer's own key instead of one derived for the channel.
    pub sign_with_payer_key: bool,
    /// Whether plain HTTP may carry credentials beyond this machine.
    pub allow_http: bool,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long to wait for the chain to show a close that the server speaks of.
    pub close_patience: Duration,
    /// The largest answer to read, in bytes.
    pub max_body: usize,
    /// Slots by which `openSlot` lies before the challenge's slot: the channel's rent comes back that much
    /// sooner, and the open transaction has that much less time to land (1500 slots in all).
    pub backdate_slots: u64,
}

impl Policy {
    /// Limits for a network where only `programs` are trusted: 1 token of six decimals per request, 10 per
    /// channel, a day of grace.
    pub fn new(network: Network, programs: Vec<Pubkey>) -> Self {
        Self {
            network,
            programs,
            mint: None,
            decimals: None,
            intents: Intents::Either,
            amount: None,
            recipients: Vec::new(),
            push: false,
            max_amount: Amount::new(1_000_000),
            max_deposit: Amount::new(10_000_000),
            deposit: None,
            keep_deposit: false,
            max_grace_period: 86_400,
            pay_fees: false,
            operators: Vec::new(),
            sign_with_payer_key: false,
            allow_http: false,
            timeout: Duration::from_secs(120),
            close_patience: Duration::from_secs(15),
            max_body: 256 << 20,
            backdate_slots: 0,
        }
    }

    /// Checks an offer against the limits, before anything is signed for it.
    ///
    /// Source: draft-solana-session, "Request Schema"; SES rules for clients.
    pub fn check(&self, offer: &Offer) -> Result<(), PayError> {
        let terms = &offer.terms;
        self.check_token(terms.network, &terms.mint, terms.decimals)?;
        if !self.programs.contains(&terms.program) {
            return Err(PayError::UnknownProgram { program: terms.program, network: self.network });
        }
        if let Some(operator) = terms.operator.filter(|operator| !self.operators.contains(operator)) {
            return Err(PayError::OperatorSigned { operator });
        }
        if terms.fee_payer.is_none() && !self.pay_fees {
            return Err(PayError::Unsponsored);
        }
        self.check_price(terms.price)?;
        let splits = terms.splits.as_slice().iter().map(|split| split.recipient);
        self.check_recipients(std::iter::once(terms.payee).chain(splits))?;
        if let Some(challenged) = terms.grace_period.filter(|grace| *grace > self.max_grace_period) {
            return Err(PayError::GraceAboveLimit { challenged, limit: self.max_grace_period });
        }
        Ok(())
    }

    /// Checks where the money is, and what.
    pub(crate) fn check_token(&self, network: Network, mint: &Pubkey, decimals: u8) -> Result<(), PayError> {
        if network != self.network {
            return Err(PayError::WrongNetwork { challenged: network, expected: self.network });
        }
        if let Some(expected) = self.mint.filter(|expected| expected != mint) {
            return Err(PayError::WrongMint { challenged: *mint, expected });
        }
        if let Some(expected) = self.decimals.filter(|expected| *expected != decimals) {
            return Err(PayError::WrongDecimals { challenged: decimals, expected });
        }
        Ok(())
    }

    /// The deposit for a new channel: the one asked for, or the server's suggestion, or a hundred requests'
    /// worth; never below what the server accepts or one request costs, never above the limit.
    pub fn deposit_for(&self, offer: &Offer) -> Result<Amount, PayError> {
        let minimum = offer.terms.minimum_deposit.unwrap_or(Amount::ZERO).max(offer.terms.price);
        if minimum > self.max_deposit {
            return Err(PayError::DepositAboveLimit { needed: minimum, limit: self.max_deposit });
        }
        match self.deposit {
            Some(deposit) if deposit > self.max_deposit => {
                Err(PayError::DepositAboveLimit { needed: deposit, limit: self.max_deposit })
            }
            Some(deposit) if deposit < minimum => Err(PayError::DepositTooSmall { deposit, minimum }),
            Some(deposit) => Ok(deposit),
            None => {
                let hundred = Amount::new(offer.terms.price.get().saturating_mul(REQUESTS_PER_DEPOSIT));
                let wanted = offer.terms.suggested_deposit.unwrap_or(hundred);
                Ok(wanted.max(minimum).min(self.max_deposit))
            }
        }
    }

    /// By how much to raise a deposit that lacks `missing`, when `held` is in escrow of the payer's: as much again, or
    /// as much as the `first` deposit where less is left of that, within the limit.
    pub fn top_up_for(&self, held: Amount, first: Amount, missing: Amount) -> Result<Amount, PayError> {
        let needed = held.checked_add(missing).unwrap_or(Amount::new(u64::MAX));
        if needed > self.max_deposit {
            return Err(PayError::DepositAboveLimit { needed, limit: self.max_deposit });
        }
        let step = self.deposit.unwrap_or(held.max(first)).max(missing);
        Ok(step.min(self.max_deposit.saturating_sub(held)))
    }

    /// What to answer where the server lets the payer choose what becomes of its deposit.
    pub(crate) fn at_idle(&self, offer: &Offer) -> Option<DepositAtIdle> {
        let choice = if self.keep_deposit { DepositAtIdle::Keep } else { DepositAtIdle::Refund };
        offer.terms.keeps_deposits.then_some(choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::testing::offer;

    fn policy(offer: &Offer) -> Policy {
        Policy::new(Network::Localnet, vec![offer.terms.program])
    }

    #[test]
    fn an_offer_within_every_limit_passes() {
        let offer = offer();
        policy(&offer).check(&offer).unwrap();
    }

    #[test]
    fn another_network_is_refused() {
        let offer = offer();
        let policy = Policy { network: Network::Devnet, ..policy(&offer) };
        assert!(matches!(policy.check(&offer), Err(PayError::WrongNetwork { .. })));
    }

    #[test]
    fn an_unknown_program_is_refused() {
        let offer = offer();
        let policy = Policy { programs: vec![Pubkey::new_from_array([9; 32])], ..policy(&offer) };
        assert!(matches!(policy.check(&offer), Err(PayError::UnknownProgram { .. })));
    }

    #[test]
    fn another_mint_is_refused_when_one_was_named() {
        let offer = offer();
        let policy = Policy { mint: Some(Pubkey::new_from_array([9; 32])), ..policy(&offer) };
        assert!(matches!(policy.check(&offer), Err(PayError::WrongMint { .. })));
    }

    #[test]
    fn limits_meant_for_another_number_of_decimals_are_not_applied() {
        let offer = offer();
        let right = Policy { decimals: Some(6), ..policy(&offer) };
        right.check(&offer).unwrap();
        let wrong = Policy { decimals: Some(2), ..right };
        let refused = wrong.check(&offer);
        assert!(
            matches!(refused, Err(PayError::WrongDecimals { challenged: 6, expected: 2 })),
            "{refused:?}"
        );
    }

    #[test]
    fn fees_are_paid_in_sol_only_when_that_was_agreed_to() {
        let mut offer = offer();
        offer.terms.fee_payer = None;
        let unwilling = policy(&offer);
        assert!(matches!(unwilling.check(&offer), Err(PayError::Unsponsored)));
        Policy { pay_fees: true, ..unwilling }.check(&offer).unwrap();
    }

    #[test]
    fn a_server_signs_for_the_payer_only_where_its_operator_is_listed() {
        let mut offer = offer();
        let operator = Pubkey::new_from_array([4; 32]);
        offer.terms.operator = Some(operator);
        for operators in [vec![], vec![Pubkey::new_from_array([5; 32])]] {
            let refused = Policy { operators, ..policy(&offer) }.check(&offer);
            assert!(matches!(refused, Err(PayError::OperatorSigned { operator: it }) if it == operator));
        }
        Policy { operators: vec![operator], ..policy(&offer) }.check(&offer).unwrap();
    }

    #[test]
    fn the_price_may_equal_the_limit_and_not_exceed_it() {
        let offer = offer();
        let at = Policy { max_amount: offer.terms.price, ..policy(&offer) };
        at.check(&offer).unwrap();
        let below = Policy { max_amount: offer.terms.price.saturating_sub(Amount::new(1)), ..policy(&offer) };
        assert!(matches!(below.check(&offer), Err(PayError::PriceAboveLimit { .. })));
    }

    #[test]
    fn a_grace_period_above_the_limit_is_refused() {
        let offer = offer();
        let policy = Policy { max_grace_period: 899, ..policy(&offer) };
        assert!(matches!(
            policy.check(&offer),
            Err(PayError::GraceAboveLimit { challenged: 900, limit: 899 })
        ));
    }

    #[test]
    fn the_suggested_deposit_is_taken_up_to_the_limit() {
        let offer = offer();
        let wide = policy(&offer);
        assert_eq!(wide.deposit_for(&offer).unwrap(), Amount::new(50_000));
        let narrow = Policy { max_deposit: Amount::new(2_000), ..wide };
        assert_eq!(narrow.deposit_for(&offer).unwrap(), Amount::new(2_000));
    }

    #[test]
    fn a_deposit_outside_the_limits_is_refused_rather_than_bent() {
        let offer = offer();
        let wide = policy(&offer);
        let deposit = |amount| Policy { deposit: Some(Amount::new(amount)), ..wide.clone() };
        assert_eq!(deposit(1_000).deposit_for(&offer).unwrap(), Amount::new(1_000));
        assert!(matches!(deposit(999).deposit_for(&offer), Err(PayError::DepositTooSmall { .. })));
        assert!(matches!(deposit(10_000_001).deposit_for(&offer), Err(PayError::DepositAboveLimit { .. })));
        let minimum_too_high = Policy { max_deposit: Amount::new(999), ..wide };
        assert!(matches!(minimum_too_high.deposit_for(&offer), Err(PayError::DepositAboveLimit { .. })));
    }

    #[test]
    fn a_top_up_never_lifts_the_deposit_above_the_limit() {
        let offer = offer();
        let policy = Policy { max_deposit: Amount::new(70), ..policy(&offer) };
        let top_up = |held, first, missing| {
            policy.top_up_for(Amount::new(held), Amount::new(first), Amount::new(missing))
        };
        assert_eq!(top_up(30, 30, 1).unwrap(), Amount::new(30));
        assert_eq!(top_up(50, 30, 1).unwrap(), Amount::new(20));
        assert_eq!(top_up(50, 50, 20).unwrap(), Amount::new(20));
        assert!(matches!(top_up(50, 50, 21), Err(PayError::DepositAboveLimit { .. })));
        assert_eq!(top_up(0, 30, 1).unwrap(), Amount::new(30), "as a new channel would hold");
        assert_eq!(top_up(0, 90, 1).unwrap(), Amount::new(70));
    }

    #[test]
    fn a_deposit_stays_only_where_both_sides_want_it() {
        let mut offer = offer();
        let refunding = policy(&offer);
        let keeping = Policy { keep_deposit: true, ..refunding.clone() };
        assert_eq!((keeping.at_idle(&offer), refunding.at_idle(&offer)), (None, None));
        offer.terms.keeps_deposits = true;
        assert_eq!(keeping.at_idle(&offer), Some(DepositAtIdle::Keep));
        assert_eq!(refunding.at_idle(&offer), Some(DepositAtIdle::Refund));
    }
}
