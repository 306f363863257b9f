//! What a payer checks before it signs a charge.

use solana_pubkey::Pubkey;
use toll_protocol::{Amount, TOKEN_2022_PROGRAM, TOKEN_PROGRAM};

use super::ChargeOffer;
use crate::conversation::Conversation;
use crate::error::PayError;
use crate::policy::Policy;

impl Policy {
    /// Checks a charge against the limits, before anything is signed for it.
    ///
    /// Source: draft-solana-charge, "Client Verification".
    pub fn check_charge(&self, offer: &ChargeOffer) -> Result<(), PayError> {
        let request = &offer.request;
        let details = &request.method_details;
        self.check_token(details.network, &request.currency, details.decimals)?;
        self.check_price(request.amount)?;
        self.check_recipients(
            std::iter::once(request.recipient).chain(details.splits.iter().map(|split| split.recipient)),
        )?;
        if details.fee_payer_key.is_none() && !self.pay_fees {
            return Err(PayError::Unsponsored);
        }
        Ok(())
    }
}

impl Conversation<'_> {
    /// The mint's token program, after the chain was asked whether the charge can be paid: the mint is what the server
    /// says, the payer has enough, and everybody who is paid has an account.
    pub(super) async fn check_on_chain(&self, offer: &ChargeOffer) -> Result<Pubkey, PayError> {
        let (request, details) = (&offer.request, &offer.request.method_details);
        let payer = self.payer.address();
        let names_payer = details.splits.iter().any(|split| split.recipient == payer);
        if request.recipient == payer || details.fee_payer_key == Some(payer) || names_payer {
            return Err(PayError::Malformed("it names this payer as recipient or sponsor".into()));
        }
        let Some(cluster) = &self.payer.cluster else {
            return details.token_program.ok_or_else(|| {
                PayError::Malformed("it names no token program, and no RPC may be asked".into())
            });
        };
        cluster.check_network(self.payer.policy.network).await?;
        let mint = request.currency;
        let (token_program, decimals) = cluster.mint(&mint).await?;
        let is_token = token_program == TOKEN_PROGRAM || token_program == TOKEN_2022_PROGRAM;
        let claimed = (details.token_program.unwrap_or(token_program), details.decimals);
        if !is_token || claimed != (token_program, decimals) {
            return Err(PayError::Malformed(format!(
                "it says that {mint} has {} decimals under {}, and it has {decimals} under {token_program}",
                claimed.1, claimed.0
            )));
        }
        self.check_tokens(&mint, &token_program, request.amount).await?;
        let created = details.splits.iter().filter(|split| split.creates_account);
        let created: Vec<Pubkey> = created.map(|split| split.recipient).collect();
        let splits = details.splits.iter().map(|split| split.recipient);
        for owner in std::iter::once(request.recipient).chain(splits) {
            if !created.contains(&owner) && cluster.tokens(&owner, &mint, &token_program).await?.is_none() {
                return Err(PayError::NoAccount { owner, mint });
            }
        }
        if details.fee_payer_key.is_none() {
            self.check_sol_for_charge(&token_program, created.len()).await?;
        }
        Ok(token_program)
    }
}

impl Policy {
    /// One price, whatever it is for.
    pub(crate) fn check_price(&self, price: Amount) -> Result<(), PayError> {
        if let Some(expected) = self.amount.filter(|expected| *expected != price) {
            return Err(PayError::OtherPrice { asked: price, expected });
        }
        if price > self.max_amount {
            return Err(PayError::PriceAboveLimit { price, limit: self.max_amount });
        }
        Ok(())
    }

    /// Everybody who gets something.
    pub(crate) fn check_recipients(
        &self,
        mut recipients: impl Iterator<Item = Pubkey>,
    ) -> Result<(), PayError> {
        let stranger = recipients.find(|recipient| !self.recipients.contains(recipient));
        match stranger.filter(|_| !self.recipients.is_empty()) {
            Some(recipient) => Err(PayError::UnknownRecipient { recipient }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use toll_protocol::Network;

    use super::super::offer::testing::{key, offer};
    use super::*;

    fn policy() -> Policy {
        Policy::new(Network::Localnet, Vec::new())
    }

    #[test]
    fn a_charge_within_every_limit_passes() {
        policy().check_charge(&offer()).unwrap();
    }

    #[test]
    fn another_network_token_or_number_of_decimals_is_refused() {
        let elsewhere = Policy { network: Network::Mainnet, ..policy() };
        assert!(matches!(elsewhere.check_charge(&offer()), Err(PayError::WrongNetwork { .. })));
        let other = Policy { mint: Some(key(9)), ..policy() };
        assert!(matches!(other.check_charge(&offer()), Err(PayError::WrongMint { .. })));
        let other = Policy { decimals: Some(2), ..policy() };
        assert!(matches!(other.check_charge(&offer()), Err(PayError::WrongDecimals { .. })));
    }

    #[test]
    fn the_amount_is_exact_where_one_is_given_and_within_the_limit_otherwise() {
        let exactly = |amount| Policy { amount: Some(Amount::new(amount)), ..policy() };
        exactly(100).check_charge(&offer()).unwrap();
        for amount in [99, 101] {
            let refused = exactly(amount).check_charge(&offer());
            assert!(matches!(refused, Err(PayError::OtherPrice { .. })), "{refused:?}");
        }
        let below = Policy { max_amount: Amount::new(99), ..policy() };
        assert!(matches!(below.check_charge(&offer()), Err(PayError::PriceAboveLimit { .. })));
    }

    #[test]
    fn nobody_is_paid_who_is_not_listed_where_a_list_is_given() {
        let all = Policy { recipients: vec![key(2), key(5), key(6)], ..policy() };
        all.check_charge(&offer()).unwrap();
        for (listed, stranger) in [([key(2), key(5)], key(6)), ([key(5), key(6)], key(2))] {
            let some = Policy { recipients: listed.to_vec(), ..policy() };
            let refused = some.check_charge(&offer());
            assert!(
                matches!(refused, Err(PayError::UnknownRecipient { recipient }) if recipient == stranger),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn fees_are_the_payers_only_where_that_was_agreed_to() {
        let mut unsponsored = offer();
        unsponsored.request.method_details.fee_payer_key = None;
        assert!(matches!(policy().check_charge(&unsponsored), Err(PayError::Unsponsored)));
        Policy { pay_fees: true, ..policy() }.check_charge(&unsponsored).unwrap();
    }
}
