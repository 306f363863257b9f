//! Somebody who pays: 402 → checks → open → voucher → body.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use http::header::HeaderName;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::Cluster;
use toll_protocol::{Amount, Receipt};

use crate::book::Book;
use crate::channel::SavedChannel;
use crate::error::PayError;
use crate::exchange;
use crate::offer::Offer;
use crate::policy::Policy;
use crate::purchase::Purchase;
use crate::reply::Reply;
use crate::request::Request;
use crate::response::Response;

/// How many exchanges one request may take: an open, a top-up, a resynchronization or two, and the answer.
const MAX_EXCHANGES: usize = 8;

/// Somebody who pays.
pub struct Payer {
    pub(crate) key: Keypair,
    pub(crate) policy: Policy,
    client: reqwest::Client,
    pub(crate) cluster: Option<Cluster>,
}

/// What an exchange with an open channel led to.
pub(crate) enum Turn {
    /// The request is answered.
    Served(Box<Reply>),
    /// Go on with the channel as it is now.
    Again(Box<SavedChannel>),
    /// The channel buys nothing more.
    Gone,
}

impl Payer {
    /// A payer with a key and limits. With a cluster, balances are checked before a deposit is signed.
    pub fn new(key: Keypair, policy: Policy, cluster: Option<Cluster>) -> Result<Self, PayError> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(policy.timeout)
            // A redirect would carry a credential to a server it was not made for.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| PayError::NoClient(error.to_string()))?;
        Ok(Self { key, policy, client, cluster })
    }

    /// The payer's address.
    pub fn address(&self) -> Pubkey {
        self.key.pubkey()
    }

    /// The payer's limits.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The cluster that balances are checked on, if any.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Sends `request`, paying for it if the server asks and the policy allows.
    ///
    /// A channel with the same server is used again, topped up within the limits, or replaced when it is
    /// closed. An error says what was refused; a voucher that was sent and not answered below 500 stays on record
    /// and is presented again by the next call for the same request, which is then not charged twice. A call
    /// signs one price, the first that the server names for the request.
    pub async fn pay(&self, book: &mut Book, request: &Request) -> Result<Reply, PayError> {
        let mut channel = self.usable_channel(book, request).await?;
        let (mut opened, mut topped_up) = (false, Amount::ZERO);
        let mut purchase = Purchase::new(request);
        for _ in 0..MAX_EXCHANGES {
            let Some(current) = channel else {
                let response = self.send(request, &[]).await?;
                if response.status != StatusCode::PAYMENT_REQUIRED {
                    return Ok(response.into());
                }
                // One request is worth one deposit, whatever becomes of the channel.
                if opened {
                    return Err(PayError::ClosedAtOnce);
                }
                let offer = Offer::from_headers(&response.headers, request.url.as_str(), unix_now())?;
                self.check_transport(request)?;
                self.policy.check(&offer)?;
                purchase.quote(offer.terms.price)?;
                self.check_left_behind(book, request).await?;
                let new = self.open(book, request, offer).await?;
                purchase.change_channel();
                // The offer that was accepted in the end may be a later one.
                purchase.quote(new.price)?;
                channel = Some(new);
                opened = true;
                continue;
            };
            let deposit = current.deposit;
            match self.voucher_turn(book, &mut purchase, current).await? {
                Turn::Served(mut reply) => {
                    if let Some(payment) = &mut reply.payment {
                        (payment.opened, payment.topped_up) = (opened, topped_up);
                    }
                    return Ok(*reply);
                }
                Turn::Again(next) => {
                    let raised = next.deposit.saturating_sub(deposit);
                    topped_up = topped_up.checked_add(raised).unwrap_or(topped_up);
                    channel = Some(*next);
                }
                Turn::Gone => channel = None,
            }
        }
        Err(PayError::Endless)
    }

    /// Gives up the vouchers that went unanswered for `request`: the next call pays anew. Whether there were any.
    pub fn give_up(&self, book: &mut Book, request: &Request) -> Result<bool, PayError> {
        let fingerprint = request.fingerprint();
        let mut any = false;
        for mut channel in book.channels().to_vec() {
            if channel.payer == self.address() && channel.forget(&fingerprint) {
                book.put(channel)?;
                any = true;
            }
        }
        Ok(any)
    }

    /// The channel to go on with, after whatever a crash left unanswered.
    async fn usable_channel(
        &self,
        book: &mut Book,
        request: &Request,
    ) -> Result<Option<SavedChannel>, PayError> {
        let programs = &self.policy.programs;
        let known = programs.iter().find_map(|program| {
            book.usable(&request.origin(), &self.address(), self.policy.network, program).cloned()
        });
        match known {
            Some(channel) => {
                self.check_transport(request)?;
                self.resume(book, request, channel).await
            }
            None => self.look_again(book, request).await,
        }
    }

    /// Refuses to show a credential to everybody between here and the server (RFC draft httpauth-payment,
    /// "Transport Security": never over cleartext).
    pub(crate) fn check_transport(&self, request: &Request) -> Result<(), PayError> {
        if self.policy.allow_http || request.is_private() {
            return Ok(());
        }
        Err(PayError::Cleartext { origin: request.origin() })
    }

    /// A challenge that was made just now: the answer to `request` without a credential.
    pub(crate) async fn fresh_offer(&self, request: &Request) -> Result<Offer, PayError> {
        let response = self.send(request, &[]).await?;
        if response.status != StatusCode::PAYMENT_REQUIRED {
            return Err(PayError::NoOffer { url: request.url.to_string() });
        }
        Offer::from_headers(&response.headers, request.url.as_str(), unix_now())
    }

    pub(crate) async fn send(
        &self,
        request: &Request,
        payment: &[(HeaderName, String)],
    ) -> Result<Response, PayError> {
        exchange::send(&self.client, request, payment, self.policy.max_body).await
    }

    /// Adopts a receipt after checking it: spent ≤ accepted ≤ signed, and for this channel.
    pub(crate) fn take_receipt(&self, channel: &mut SavedChannel, receipt: &Receipt) -> Result<(), PayError> {
        if receipt.reference != channel.channel_id {
            let found = receipt.reference;
            return Err(PayError::Dishonest(format!("a receipt for {found}, not {}", channel.channel_id)));
        }
        if receipt.spent > receipt.accepted_cumulative {
            let (spent, accepted) = (receipt.spent, receipt.accepted_cumulative);
            return Err(PayError::Dishonest(format!("{spent} spent of {accepted} accepted")));
        }
        adopt(channel, receipt.accepted_cumulative)?;
        channel.spent = channel.spent.max(receipt.spent);
        channel.last_receipt = Some(receipt.clone());
        Ok(())
    }
}

/// Adopts a watermark the server reported, unless it is above what was signed.
pub(crate) fn adopt(channel: &mut SavedChannel, accepted: Amount) -> Result<(), PayError> {
    if channel.adopt_accepted(accepted) {
        return Ok(());
    }
    Err(PayError::Dishonest(format!("{accepted} accepted, but only {} was signed", channel.signed)))
}

pub(crate) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
