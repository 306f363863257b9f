//! What a 402 offers: a challenge, decoded and checked for its own sake.

use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use toll_protocol::{
    Amount, Challenge, ChannelId, ChannelOffer, DepositAtIdle, INTENT, METHOD, Network, SessionRequest,
    Splits, VoucherSigner, parse_www_authenticate,
};

use crate::error::PayError;

/// How long a challenge is good for signing a deposit. Its blockhash dies before the challenge does, so an
/// older one is asked for again (draft-solana-session, "Request Schema": `recentBlockhash`).
///
/// A blockhash lives 150 blocks, which is half a minute where slots take 200 ms, and the server needs some of them.
pub const MAX_AGE: Duration = Duration::from_secs(15);

/// A challenge for a session, and when it came.
#[derive(Clone, Debug)]
pub struct Offer {
    /// To be echoed.
    pub challenge: Challenge,
    /// What it says.
    pub terms: OfferTerms,
    /// When it was received.
    pub received_at: Instant,
}

/// The terms of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferTerms {
    /// The cluster.
    pub network: Network,
    /// The channel program.
    pub program: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// Its decimals, as the server says.
    pub decimals: u8,
    /// SPL Token or Token-2022, when the server says.
    pub token_program: Option<Pubkey>,
    /// Who earns.
    pub payee: Pubkey,
    /// Who signs the vouchers, if not the payer: the server's operator, to be trusted with the whole deposit.
    pub operator: Option<Pubkey>,
    /// Who sponsors fees and rent, if anybody.
    pub fee_payer: Option<Pubkey>,
    /// Price of one request, in base units.
    pub price: Amount,
    /// Smallest deposit, in base units.
    pub minimum_deposit: Option<Amount>,
    /// Suggested deposit, in base units.
    pub suggested_deposit: Option<Amount>,
    /// Who shares in what the channel pays.
    pub splits: Splits,
    /// Seconds between a forced close and the refund; only said for a new channel.
    pub grace_period: Option<u32>,
    /// Blockhash and slot for a new channel.
    pub recent: Option<(Hash, u64)>,
    /// The channel to go on with, otherwise.
    pub resume: Option<ChannelId>,
    /// Whether the deposit may stay in escrow between two sessions.
    pub keeps_deposits: bool,
}

impl Offer {
    /// The first session challenge among a 402's headers that can be read and has not expired at `now`
    /// (unix seconds); one in which the payer signs before any other.
    pub fn from_headers(headers: &HeaderMap, url: &str, now: i64) -> Result<Self, PayError> {
        let (mut reason, mut operated) = (None, None);
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let challenges = match parse_www_authenticate(value.as_bytes()) {
                Ok(challenges) => challenges,
                Err(error) => {
                    reason = Some(PayError::Malformed(error.to_string()));
                    continue;
                }
            };
            let ours = |challenge: &Challenge| challenge.method == METHOD && challenge.intent == INTENT;
            for challenge in challenges.payment.into_iter().filter(ours) {
                match Self::new(challenge, now) {
                    Ok(offer) if offer.terms.operator.is_none() => return Ok(offer),
                    Ok(offer) => drop(operated.get_or_insert(offer)),
                    Err(error) => reason = Some(error),
                }
            }
            if let Some(error) = challenges.malformed.first() {
                reason.get_or_insert_with(|| PayError::Malformed(error.to_string()));
            }
        }
        if let Some(offer) = operated {
            return Ok(offer);
        }
        Err(reason.unwrap_or_else(|| PayError::NoOffer { url: url.to_owned() }))
    }

    fn new(challenge: Challenge, now: i64) -> Result<Self, PayError> {
        let malformed = |error: &dyn std::fmt::Display| PayError::Malformed(error.to_string());
        let expires_at = challenge.expires_at().map_err(|error| malformed(&error))?;
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(PayError::Expired(challenge.expires.unwrap_or_default()));
        }
        let request = challenge.session_request().map_err(|error| malformed(&error))?;
        Ok(Self { terms: OfferTerms::from(request), challenge, received_at: Instant::now() })
    }

    /// Whether the challenge is too old to sign a deposit for.
    pub fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.received_at) > MAX_AGE
    }
}

impl From<SessionRequest> for OfferTerms {
    fn from(request: SessionRequest) -> Self {
        let details = request.method_details;
        let (grace_period, recent, resume) = match details.channel {
            ChannelOffer::New { recent_blockhash, recent_slot, grace_period, .. } => {
                (Some(grace_period), Some((recent_blockhash, recent_slot)), None)
            }
            ChannelOffer::Resume { channel_id, .. } => (None, None, Some(channel_id)),
        };
        Self {
            network: details.network,
            program: details.channel_program,
            mint: request.currency,
            decimals: details.decimals,
            token_program: details.token_program,
            payee: request.recipient,
            operator: match details.voucher_signer {
                VoucherSigner::Client => None,
                VoucherSigner::Operator(operator) => Some(operator),
            },
            fee_payer: details.fee_payer_key,
            price: request.amount,
            minimum_deposit: request.minimum_deposit,
            suggested_deposit: request.suggested_deposit,
            splits: details.splits,
            grace_period,
            recent,
            resume,
            keeps_deposits: details.at_idle_options.contains(&DepositAtIdle::Keep),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::collections::BTreeMap;

    use toll_protocol::{ChallengeSecret, MethodDetails, Realm, TOKEN_PROGRAM};

    use super::*;

    pub(crate) const EXPIRES_AT: i64 = 2_000_000_000;

    pub(crate) fn request() -> SessionRequest {
        SessionRequest {
            amount: Amount::new(16),
            currency: Pubkey::new_from_array([1; 32]),
            recipient: Pubkey::new_from_array([2; 32]),
            unit_type: Some("request".into()),
            suggested_deposit: Some(Amount::new(50_000)),
            minimum_deposit: Some(Amount::new(1_000)),
            description: None,
            external_id: None,
            method_details: MethodDetails {
                network: Network::Localnet,
                channel_program: Pubkey::new_from_array([3; 32]),
                decimals: 6,
                token_program: Some(TOKEN_PROGRAM),
                fee_payer_key: Some(Pubkey::new_from_array([4; 32])),
                voucher_signer: VoucherSigner::Client,
                min_voucher_delta: None,
                ttl_seconds: None,
                splits: Splits::none(),
                at_idle_options: Vec::new(),
                channel: ChannelOffer::New {
                    recent_blockhash: Hash::new_from_array([5; 32]),
                    recent_slot: 2_000,
                    grace_period: 900,
                    idle_timeout_options: Vec::new(),
                },
            },
        }
    }

    pub(crate) fn challenge(request: &SessionRequest) -> Challenge {
        let secret = ChallengeSecret::new([7; 32].to_vec()).unwrap();
        let realm = Realm::new("example.com").unwrap();
        let opaque = BTreeMap::new();
        let offer = toll_protocol::Offer { realm: &realm, request, expires_at: EXPIRES_AT, opaque: &opaque };
        Challenge::issue(&secret, offer).unwrap()
    }

    pub(crate) fn offer() -> Offer {
        Offer::new(challenge(&request()), 0).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use toll_protocol::format_www_authenticate;

    use super::testing::{EXPIRES_AT, challenge, offer, request};
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn read(values: &[&str]) -> Result<Offer, PayError> {
        Offer::from_headers(&headers(values), "http://h/", 0)
    }

    #[test]
    fn a_session_challenge_is_found_among_others() {
        let ours = format_www_authenticate(&challenge(&request())).unwrap();
        let charge = ours.replace("\"session\"", "\"charge\"");
        let offer = read(&["Basic realm=\"x\"", &charge, &ours]).unwrap();
        assert_eq!(offer.terms.price, Amount::new(16));
        assert_eq!(offer.terms.recent.unwrap().1, 2_000);
    }

    #[test]
    fn a_402_without_a_session_challenge_is_no_offer() {
        assert!(matches!(read(&[]), Err(PayError::NoOffer { .. })));
        assert!(matches!(read(&["Basic realm=\"x\""]), Err(PayError::NoOffer { .. })));
    }

    #[test]
    fn the_intent_is_compared_letter_by_letter() {
        let shouted =
            format_www_authenticate(&challenge(&request())).unwrap().replace("\"session\"", "\"Session\"");
        assert!(matches!(read(&[&shouted]), Err(PayError::NoOffer { .. })));
    }

    #[test]
    fn an_expired_challenge_is_refused() {
        let value = format_www_authenticate(&challenge(&request())).unwrap();
        let at = |now| Offer::from_headers(&headers(&[&value]), "http://h/", now);
        at(EXPIRES_AT - 1).unwrap();
        assert!(matches!(at(EXPIRES_AT), Err(PayError::Expired(_))));
    }

    #[test]
    fn a_challenge_whose_request_cannot_be_read_is_malformed() {
        let mut challenge = challenge(&request());
        challenge.request = "e30".into();
        let value = format_www_authenticate(&challenge).unwrap();
        assert!(matches!(read(&[&value]), Err(PayError::Malformed(_))));
    }

    #[test]
    fn a_session_in_which_the_server_signs_is_taken_last() {
        let mut operated = request();
        let operator = Pubkey::new_from_array([4; 32]);
        operated.method_details.voucher_signer = VoucherSigner::Operator(operator);
        let operated = format_www_authenticate(&challenge(&operated)).unwrap();
        let ours = format_www_authenticate(&challenge(&request())).unwrap();
        assert_eq!(read(&[&operated]).unwrap().terms.operator, Some(operator));
        assert_eq!(read(&[&operated, &ours]).unwrap().terms.operator, None);
    }

    #[test]
    fn an_offer_is_stale_well_before_its_blockhash_dies() {
        let offer = offer();
        assert!(!offer.is_stale(offer.received_at + MAX_AGE));
        assert!(offer.is_stale(offer.received_at + MAX_AGE + Duration::from_millis(1)));
    }
}
