//! Which of the ways to pay that a 402 offers is taken.

use http::HeaderMap;
use toll_protocol::Challenge;

use crate::charge::ChargeOffer;
use crate::error::PayError;
use crate::offer::Offer;
use crate::policy::Policy;

/// The ways in which a payer pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intents {
    /// A session where one is offered that the policy allows, since one deposit pays for many requests; otherwise a
    /// charge.
    #[default]
    Either,
    /// Sessions, and nothing else.
    Session,
    /// Charges, and nothing else: each request is a transfer of its own, and channels stay as they are.
    Charge,
}

/// What is taken.
#[derive(Debug)]
pub(crate) enum Choice {
    /// A session.
    Session(Box<Offer>),
    /// A charge.
    Charge(Box<ChargeOffer>),
}

impl Choice {
    /// The challenge to answer.
    pub(crate) fn challenge(&self) -> &Challenge {
        match self {
            Self::Session(offer) => &offer.challenge,
            Self::Charge(offer) => &offer.challenge,
        }
    }
}

impl Policy {
    /// The offer of a 402 that the policy allows, in the order of [`Intents`]. Where it allows none, the error says what
    /// is wrong with the session, or with the charge where only that is offered.
    pub(crate) fn choose(&self, headers: &HeaderMap, url: &str, now: i64) -> Result<Choice, PayError> {
        let session = || {
            let offer = Offer::from_headers(headers, url, now)?;
            self.check(&offer).map(|()| Choice::Session(Box::new(offer)))
        };
        let charge = || self.charge(headers, url, now).map(|offer| Choice::Charge(Box::new(offer)));
        match self.intents {
            Intents::Session => session(),
            Intents::Charge => charge(),
            Intents::Either => session().or_else(|refused| match charge() {
                Err(error) if matches!(refused, PayError::NoOffer { .. }) => Err(error),
                Err(_) => Err(refused),
                chosen => chosen,
            }),
        }
    }

    /// The first charge that the policy allows, or what is wrong with the first.
    fn charge(&self, headers: &HeaderMap, url: &str, now: i64) -> Result<ChargeOffer, PayError> {
        let mut reason = None;
        for offer in ChargeOffer::all(headers, now) {
            match offer.and_then(|offer| self.check_charge(&offer).map(|()| offer)) {
                Ok(offer) => return Ok(offer),
                Err(error) => drop(reason.get_or_insert(error)),
            }
        }
        Err(reason.unwrap_or_else(|| PayError::NoOffer { url: url.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::WWW_AUTHENTICATE;
    use solana_pubkey::Pubkey;
    use toll_protocol::{Amount, Network, format_www_authenticate};

    use super::*;
    use crate::charge::testing as charge;
    use crate::offer::testing as session;

    fn headers(values: &[&toll_protocol::Challenge]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for challenge in values {
            let value = format_www_authenticate(challenge).unwrap();
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(&value).unwrap());
        }
        headers
    }

    fn policy(intents: Intents) -> Policy {
        let programs = vec![session::offer().terms.program];
        Policy { intents, ..Policy::new(Network::Localnet, programs) }
    }

    fn choose(policy: &Policy, headers: &HeaderMap) -> Result<&'static str, PayError> {
        policy.choose(headers, "http://h/", 0).map(|choice| match choice {
            Choice::Session(_) => "session",
            Choice::Charge(_) => "charge",
        })
    }

    #[test]
    fn a_session_is_taken_where_both_are_offered_unless_the_policy_says_otherwise() {
        let both =
            headers(&[&charge::challenge(&charge::request()), &session::challenge(&session::request())]);
        assert_eq!(choose(&policy(Intents::Either), &both).unwrap(), "session");
        assert_eq!(choose(&policy(Intents::Session), &both).unwrap(), "session");
        assert_eq!(choose(&policy(Intents::Charge), &both).unwrap(), "charge");
    }

    #[test]
    fn what_is_not_wanted_is_not_taken_for_want_of_another() {
        let one = headers(&[&charge::challenge(&charge::request())]);
        assert_eq!(choose(&policy(Intents::Either), &one).unwrap(), "charge");
        assert!(matches!(choose(&policy(Intents::Session), &one), Err(PayError::NoOffer { .. })));
        let other = headers(&[&session::challenge(&session::request())]);
        assert!(matches!(choose(&policy(Intents::Charge), &other), Err(PayError::NoOffer { .. })));
    }

    #[test]
    fn a_session_that_the_policy_refuses_leaves_the_charge_beside_it() {
        let both =
            headers(&[&session::challenge(&session::request()), &charge::challenge(&charge::request())]);
        let wary = Policy { programs: vec![Pubkey::new_from_array([9; 32])], ..policy(Intents::Either) };
        assert_eq!(choose(&wary, &both).unwrap(), "charge");
        let poor = Policy { max_amount: Amount::new(1), ..wary };
        assert!(matches!(choose(&poor, &both), Err(PayError::UnknownProgram { .. })));
    }

    #[test]
    fn of_several_tokens_the_one_that_the_policy_allows_is_paid() {
        let mut other = charge::request();
        other.currency = charge::key(9);
        let both = headers(&[&charge::challenge(&other), &charge::challenge(&charge::request())]);
        let policy = Policy { mint: Some(charge::request().currency), ..policy(Intents::Either) };
        let chosen = policy.choose(&both, "http://h/", 0).unwrap();
        assert!(matches!(chosen, Choice::Charge(offer) if offer.request == charge::request()));
    }
}
