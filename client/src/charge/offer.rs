//! What a 402 asks for one request, decoded and checked for its own sake.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use toll_protocol::{CHARGE_INTENT, Challenge, ChargeRequest, METHOD, parse_www_authenticate};

use crate::error::PayError;

/// A challenge for a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeOffer {
    /// To be echoed.
    pub challenge: Challenge,
    /// What it says.
    pub request: ChargeRequest,
}

impl ChargeOffer {
    /// Every charge challenge among a 402's headers, in their order: one for each token that the server takes. An error
    /// in place of one that cannot be read, or has expired at `now` (unix seconds).
    pub(crate) fn all(headers: &HeaderMap, now: i64) -> Vec<Result<Self, PayError>> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        values
            .filter_map(|value| parse_www_authenticate(value.as_bytes()).ok())
            .flat_map(|challenges| challenges.payment)
            .filter(|challenge| challenge.method == METHOD && challenge.intent == CHARGE_INTENT)
            .map(|challenge| Self::new(challenge, now))
            .collect()
    }

    fn new(challenge: Challenge, now: i64) -> Result<Self, PayError> {
        let malformed = |error: &dyn std::fmt::Display| PayError::Malformed(error.to_string());
        let expires_at = challenge.expires_at().map_err(|error| malformed(&error))?;
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(PayError::Expired(challenge.expires.unwrap_or_default()));
        }
        let request = challenge.charge_request().map_err(|error| malformed(&error))?;
        Ok(Self { challenge, request })
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::collections::BTreeMap;

    use solana_hash::Hash;
    use solana_pubkey::Pubkey;
    use toll_protocol::{
        Amount, ChallengeSecret, ChargeDetails, ChargeSplit, Network, Offer, Realm, TOKEN_PROGRAM,
    };

    use super::*;

    pub(crate) const EXPIRES_AT: i64 = 2_000_000_000;

    pub(crate) fn key(byte: u8) -> Pubkey {
        Pubkey::new_from_array([byte; 32])
    }

    /// A charge of 100, 30 of which go to two others; one of them gets an account.
    pub(crate) fn request() -> ChargeRequest {
        ChargeRequest {
            amount: Amount::new(100),
            currency: key(1),
            recipient: key(2),
            description: None,
            external_id: Some("order 7".into()),
            method_details: ChargeDetails {
                network: Network::Localnet,
                decimals: 6,
                token_program: Some(TOKEN_PROGRAM),
                fee_payer_key: Some(key(4)),
                splits: vec![
                    ChargeSplit {
                        recipient: key(5),
                        amount: Amount::new(10),
                        memo: None,
                        creates_account: true,
                    },
                    ChargeSplit {
                        recipient: key(6),
                        amount: Amount::new(20),
                        memo: Some("a share".into()),
                        creates_account: false,
                    },
                ],
                recent_blockhash: Some(Hash::new_from_array([7; 32])),
            },
        }
    }

    pub(crate) fn challenge(request: &ChargeRequest) -> Challenge {
        let secret = ChallengeSecret::new([7; 32].to_vec()).unwrap();
        let realm = Realm::new("example.com").unwrap();
        let opaque = BTreeMap::new();
        Challenge::issue(&secret, Offer { realm: &realm, request, expires_at: EXPIRES_AT, opaque: &opaque })
            .unwrap()
    }

    pub(crate) fn offer() -> ChargeOffer {
        ChargeOffer::new(challenge(&request()), 0).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use toll_protocol::format_www_authenticate;

    use super::testing::{EXPIRES_AT, challenge, request};
    use super::*;

    #[test]
    fn every_charge_is_found_and_an_expired_one_refused() {
        let value = format_www_authenticate(&challenge(&request())).unwrap();
        let session = value.replace("\"charge\"", "\"session\"");
        let mut headers = HeaderMap::new();
        for value in ["Basic realm=\"x\"", &session, &value, &value] {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        let offers = ChargeOffer::all(&headers, EXPIRES_AT - 1);
        assert_eq!(offers.len(), 2);
        assert_eq!(offers[1].as_ref().unwrap().request, request());
        let expired = ChargeOffer::all(&headers, EXPIRES_AT);
        assert!(expired.iter().all(|offer| matches!(offer, Err(PayError::Expired(_)))));
    }

    #[test]
    fn splits_that_leave_nothing_for_the_recipient_are_malformed() {
        let mut greedy = request();
        greedy.method_details.splits[0].amount = toll_protocol::Amount::new(80);
        let refused = ChargeOffer::new(challenge(&greedy), 0);
        assert!(matches!(refused, Err(PayError::Malformed(_))), "{refused:?}");
    }
}
