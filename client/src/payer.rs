//! Somebody who pays.

use std::time::Duration;

use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_chain::Cluster;
use toll_protocol::{Amount, ChannelId, Receipt};

use crate::book::Book;
use crate::channel::SavedChannel;
use crate::conversation::Conversation;
use crate::error::PayError;
use crate::exchange::Wire;
use crate::policy::Policy;
use crate::reply::Reply;
use crate::request::Request;
use crate::response::Response;

/// A key, limits, and a way to reach servers.
pub struct Payer {
    pub(crate) key: Keypair,
    pub(crate) policy: Policy,
    pub(crate) cluster: Option<Cluster>,
    client: reqwest::Client,
}

impl Payer {
    /// A payer with a key and limits. With a cluster, balances are checked before a deposit is signed.
    pub fn new(key: Keypair, policy: Policy, cluster: Option<Cluster>) -> Result<Self, PayError> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            // A redirect would carry a credential to a server it was not made for.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| PayError::NoClient(error.to_string()))?;
        Ok(Self { key, policy, cluster, client })
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
    /// and is presented again by the next call for the same request, which is then not charged twice. Calls for one
    /// server take turns.
    ///
    /// A request is worth one price, the first that the server names for it. When the server calls the channel closed
    /// that has the request's voucher, the cluster is asked: only a channel that is sealed or paid out below the
    /// voucher makes room for another. Otherwise, and where there is no cluster to ask, the request counts as paid
    /// ([`PayError::Redeemed`], [`PayError::MaybeRedeemed`]), this time and for a day, until [`Self::give_up`].
    /// The same holds for a charge: another one is signed for the request only when the chain shows that the first did
    /// not land and cannot any more ([`PayError::Charged`], [`PayError::MaybeCharged`]).
    ///
    /// What a server can take without an answer is that price, and one base unit for each time that a settled voucher's
    /// answer is asked for again.
    pub async fn pay(&self, book: &Book, request: &Request) -> Result<Reply, PayError> {
        self.pay_over(&self.client, book, request, None).await
    }

    /// The same, with the events of a stream given to `live` as they come; the reply's body is empty then. Events of the
    /// payment are not among them.
    pub async fn pay_live(
        &self,
        book: &Book,
        request: &Request,
        live: &(dyn Fn(&[u8]) + Send + Sync),
    ) -> Result<Reply, PayError> {
        let _turn = book.turn(&request.origin()).await;
        Conversation { payer: self, book, wire: &self.client, live: Some(live) }.pay(request, None).await
    }

    /// The same over another wire, and with the answer to the request without a credential, if it is known.
    pub(crate) async fn pay_over(
        &self,
        wire: &dyn Wire,
        book: &Book,
        request: &Request,
        first: Option<Response>,
    ) -> Result<Reply, PayError> {
        let _turn = book.turn(&request.origin()).await;
        Conversation { payer: self, book, wire, live: None }.pay(request, first).await
    }

    /// Raises the deposit of a saved channel by `additional`, in base units, within the limits.
    pub async fn top_up(
        &self,
        book: &Book,
        id: &ChannelId,
        additional: Amount,
    ) -> Result<SavedChannel, PayError> {
        let channel = book.in_use(id).ok_or(PayError::NoChannel(*id))?;
        let _turn = book.turn(&channel.origin).await;
        Conversation { payer: self, book, wire: &self.client, live: None }.top_up(id, additional).await
    }

    /// Asks the server to settle, pay out and refund, and waits for its receipt.
    ///
    /// The final voucher is the accepted amount signed again, so it promises nothing new. Asking again is
    /// answered with the same receipt.
    pub async fn close(&self, book: &Book, id: &ChannelId) -> Result<Receipt, PayError> {
        let channel = book.in_use(id).ok_or(PayError::NoChannel(*id))?;
        let _turn = book.turn(&channel.origin).await;
        Conversation { payer: self, book, wire: &self.client, live: None }.close(id).await
    }

    /// Gives up the vouchers and the charge that went unanswered for `request`: the next call pays anew. Whether there were any.
    pub fn give_up(&self, book: &Book, request: &Request) -> Result<bool, PayError> {
        let fingerprint = request.fingerprint();
        let mut any = book.remove_charge(&fingerprint, &self.address())?;
        for mut channel in book.channels() {
            if channel.payer == self.address() && channel.forget(&fingerprint) {
                book.put(channel)?;
                any = true;
            }
        }
        Ok(any)
    }

    /// The channel that would pay for `request`, as far as the book knows.
    pub(crate) fn known_channel(&self, book: &Book, request: &Request) -> Option<SavedChannel> {
        let (origin, payer, network) = (request.origin(), self.address(), self.policy.network);
        self.policy.programs.iter().find_map(|program| book.usable(&origin, &payer, network, program))
    }
}
