//! What every request shares: terms, ledger, challenge secret, limits.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use solana_pubkey::Pubkey;
use toll_ledger::{ChannelRecord, Ledger, ReplayKey, Watermarks};
use toll_protocol::{ChallengeSecret, ChannelId, OperatorKey, Receipt};

use crate::in_flight::InFlight;
use crate::limit::RateLimit;
use crate::metering::Paused;
use crate::metrics::Metrics;
use crate::recent::Recent;
use crate::reject::Rejection;
use crate::secrets::Secrets;
use crate::session::{Exposure, RecognizedChallenges, Rules};
use crate::terms::Terms;

/// One merchant's payment state behind any number of [`crate::PaymentLayer`]s.
///
/// It reads time from its ledger's clock, holds no chain key and never calls a cluster: what it wants from the
/// chain it records in the ledger, and waits.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) ledger: Ledger,
    pub(crate) terms: Terms,
    pub(crate) secrets: Secrets,
    pub(crate) operator: Option<OperatorKey>,
    pub(crate) in_flight: InFlight,
    /// Channels for which a voucher is being signed here.
    pub(crate) signing: InFlight<ChannelId>,
    pub(crate) recent: Arc<Recent>,
    /// When this process began to charge, in unix seconds.
    pub(crate) started_at: i64,
    pub(crate) exposure: Exposure,
    pub(crate) recognized: RecognizedChallenges,
    pub(crate) metrics: Metrics,
    /// Channels whose streams wait for a voucher.
    pub(crate) paused: Paused,
    opens: RateLimit<Pubkey>,
    updates: RateLimit<ChannelId>,
    repeats: RateLimit<ChannelId>,
    vouchers: RateLimit<ChannelId>,
    refusals: RateLimit<ChannelId>,
    reruns: RateLimit<ReplayKey>,
    doubts: RateLimit<ChannelId>,
    charges: RateLimit<Pubkey>,
}

/// How often a minute the service may fail one paid request and be tried again for it.
const RERUNS_PER_MINUTE: u32 = 5;

/// How many of a channel's requests a minute run again because nobody knows whether they were served.
const DOUBTS_PER_MINUTE: u32 = 30;

impl Gateway {
    /// A gateway that charges by `terms` into `ledger`, and signs its challenges with `secret`.
    pub fn new(ledger: Ledger, terms: Terms, secret: ChallengeSecret) -> Self {
        let minute = Duration::from_secs(60);
        let second = Duration::from_secs(1);
        Self {
            opens: RateLimit::new(terms.limits.opens_per_minute, minute),
            updates: RateLimit::new(terms.limits.updates_per_minute, minute),
            repeats: RateLimit::new(terms.limits.repeats_per_minute, minute),
            vouchers: RateLimit::new(terms.limits.vouchers_per_second, second),
            refusals: RateLimit::new(terms.limits.refusals_per_second, second),
            reruns: RateLimit::new(RERUNS_PER_MINUTE, minute),
            doubts: RateLimit::new(DOUBTS_PER_MINUTE, minute),
            charges: RateLimit::new(terms.charge.as_ref().map_or(0, |it| it.payments_per_minute), minute),
            in_flight: InFlight::default(),
            signing: InFlight::default(),
            operator: None,
            recent: Arc::new(Recent::new(
                terms.limits.recent_answer_bytes,
                terms.limits.recent_answer_bytes_per_channel,
            )),
            started_at: ledger.now(),
            exposure: Exposure::default(),
            recognized: RecognizedChallenges::default(),
            metrics: Metrics::default(),
            paused: Paused::default(),
            ledger,
            terms,
            secrets: Secrets::new(secret),
        }
    }

    /// Signs the vouchers of operator-signed sessions with `operator`. Without it, and unless it is the key that the
    /// terms name, such sessions are refused.
    #[must_use]
    pub fn with_operator(mut self, operator: OperatorKey) -> Self {
        self.operator = Some(operator);
        self
    }

    /// Makes challenges with `secret` from now on. What the one before made is recognized until it has expired. Whether
    /// that is another one.
    pub fn rotate_secret(&self, secret: ChallengeSecret) -> bool {
        let now = self.now();
        self.secrets.rotate(secret, now, now.saturating_add(i64::from(self.terms.challenge_ttl)))
    }

    /// The terms it charges by.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The ledger it charges into.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn now(&self) -> i64 {
        self.ledger.now()
    }

    pub(crate) fn landing_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.terms.landing_timeout))
    }

    /// What a client's transaction may hold.
    pub(crate) fn transaction_rules(&self) -> Rules {
        Rules {
            program: self.terms.program,
            max_compute_unit_limit: self.terms.max_compute_unit_limit,
            max_compute_unit_price: self.terms.max_compute_unit_price,
        }
    }

    pub(crate) fn limit_open(&self, payer: Pubkey) -> Result<(), Rejection> {
        let limited =
            |retry_after| Rejection::RateLimited { detail: "too many opens by this payer", retry_after };
        self.opens.take(payer, self.now()).map_err(limited)
    }

    pub(crate) fn limit_charge(&self, payer: Pubkey) -> Result<(), Rejection> {
        let limited = |retry_after| Rejection::RateLimited {
            detail: "too many single payments by this payer; open a session",
            retry_after,
        };
        self.charges.take(payer, self.now()).map_err(limited)
    }

    pub(crate) fn limit_update(&self, channel: ChannelId) -> Result<(), Rejection> {
        let limited =
            |retry_after| Rejection::RateLimited { detail: "too many updates of this channel", retry_after };
        self.updates.take(channel, self.now()).map_err(limited)
    }

    /// Repeats of what the chain shows: anybody can send them, so they take nothing from the payer's updates.
    pub(crate) fn limit_repeat(&self, channel: ChannelId) -> Result<(), Rejection> {
        let limited =
            |retry_after| Rejection::RateLimited { detail: "too many repeats for this channel", retry_after };
        self.repeats.take(channel, self.now()).map_err(limited)
    }

    pub(crate) fn limit_voucher(&self, channel: ChannelId) -> Result<(), Rejection> {
        let limited = |retry_after| Rejection::RateLimited {
            detail: "too many vouchers for this channel",
            retry_after,
        };
        self.vouchers.take(channel, self.now()).map_err(limited)
    }

    /// Refused vouchers cost a signature check as well, to tell their senders more.
    pub(crate) fn limit_refusal(&self, channel: ChannelId) -> Result<(), Rejection> {
        let limited = |retry_after| Rejection::RateLimited {
            detail: "too many refused vouchers for this channel",
            retry_after,
        };
        self.refusals.take(channel, self.now()).map_err(limited)
    }

    /// A request that was charged and failed is tried again for free, within reason.
    pub(crate) fn limit_rerun(&self, key: ReplayKey) -> Result<(), Rejection> {
        let limited =
            |retry_after| Rejection::RateLimited { detail: "this request failed too often", retry_after };
        self.reruns.take(key, self.now()).map_err(limited)
    }

    pub(crate) fn limit_doubt(&self, channel: ChannelId) -> Result<(), Rejection> {
        let limited = |retry_after| Rejection::RateLimited {
            detail: "too many requests of this channel are in doubt",
            retry_after,
        };
        self.doubts.take(channel, self.now()).map_err(limited)
    }

    /// A payer that keeps forcing closes costs grace periods and rent (draft-solana-session, "Security
    /// Considerations", grace period).
    pub(crate) async fn check_forced_closes(&self, payer: &Pubkey) -> Result<(), Rejection> {
        let pause = self.terms.limits.forced_close_pause;
        let forced = self.ledger.forced_closes(payer, self.now() - i64::from(pause)).await?;
        if forced >= self.terms.limits.forced_closes as u64 {
            return Err(Rejection::OpensSuspended { retry_after: pause });
        }
        Ok(())
    }

    /// A receipt with what the chain shows of `channel` and nothing else, for whoever asks.
    pub(crate) fn public_receipt(&self, channel: &ChannelRecord, challenge_id: &str) -> Receipt {
        let settled = channel.watermarks.settled;
        Receipt { accepted_cumulative: settled, spent: settled, ..self.receipt(channel, challenge_id) }
    }

    /// A receipt for `channel` as it stands.
    pub(crate) fn receipt(&self, channel: &ChannelRecord, challenge_id: &str) -> Receipt {
        self.receipt_after(channel, channel.watermarks, challenge_id.to_owned())
    }

    /// A receipt for `channel` with the amounts that it has after a charge.
    pub(crate) fn receipt_after(
        &self,
        channel: &ChannelRecord,
        after: Watermarks,
        challenge_id: String,
    ) -> Receipt {
        Receipt {
            reference: channel.id,
            timestamp: self.now(),
            challenge_id: Some(challenge_id),
            accepted_cumulative: after.accepted,
            spent: after.spent,
            idle_timeout: channel.idle_timeout,
            tx_hash: None,
            refunded: None,
        }
    }
}

/// A receipt as the value of `Payment-Receipt`.
pub(crate) fn receipt_header(receipt: &Receipt) -> HeaderValue {
    HeaderValue::from_str(&toll_protocol::format_receipt(receipt)).expect("base64url is visible ASCII")
}
