//! What one call may sign for one request: one price, whatever the server asks.

use toll_protocol::{Amount, ChannelId};

use crate::channel::{SavedChannel, Unanswered};
use crate::error::PayError;
use crate::request::Request;

/// One request on its way through as many exchanges as it takes.
pub(crate) struct Purchase<'a> {
    pub(crate) request: &'a Request,
    /// Tells the request from others, on disk as well.
    pub(crate) fingerprint: String,
    /// What the server asked for this request when it first did so in this call.
    quoted: Option<Amount>,
    /// What had been signed on the channel before this request.
    base: Option<Amount>,
    /// Whether a voucher went out in this call.
    pub(crate) presented: bool,
    /// Whether an earlier call had sent one.
    pub(crate) repeats: bool,
    /// What asks next for the answer that an earlier voucher bought.
    proof: Option<Unanswered>,
    /// Whether such a voucher was made.
    proven: bool,
    /// Whether the server's word on the deposit was taken for a top-up.
    word_taken: bool,
    /// Channels that buy other things at this server, and not this one.
    pub(crate) left: Vec<ChannelId>,
}

impl<'a> Purchase<'a> {
    pub(crate) fn new(request: &'a Request) -> Self {
        let fingerprint = request.fingerprint();
        Self {
            request,
            fingerprint,
            quoted: None,
            base: None,
            presented: false,
            repeats: false,
            proof: None,
            proven: false,
            word_taken: false,
            left: Vec::new(),
        }
    }

    /// Takes a challenged price. The first one binds: a server may ask less afterwards, and never more.
    pub(crate) fn quote(&mut self, asked: Amount) -> Result<(), PayError> {
        match self.quoted {
            Some(quoted) if asked > quoted => Err(PayError::PriceRaised { quoted, asked }),
            Some(_) => Ok(()),
            None => {
                self.quoted = Some(asked);
                Ok(())
            }
        }
    }

    /// Takes the server's word on the deposit, once.
    pub(crate) fn take_word(&mut self) -> bool {
        !std::mem::replace(&mut self.word_taken, true)
    }

    /// Goes on with another channel.
    pub(crate) fn change_channel(&mut self) {
        self.base = None;
    }

    /// What was signed on `channel` for other requests. What an earlier call signed for this one is not counted
    /// twice.
    pub(crate) fn base(&mut self, channel: &SavedChannel) -> Amount {
        *self.base.get_or_insert_with(|| {
            let known = if channel.operated { channel.accepted } else { channel.signed };
            channel.unanswered(&self.fingerprint).map_or(known, |unanswered| unanswered.base)
        })
    }

    /// The most that may be signed on `channel`: one price above what was signed for other requests.
    ///
    /// Until the server has named a price for this request, the last one it named for any counts.
    pub(crate) fn ceiling(&mut self, channel: &SavedChannel) -> Amount {
        let price = self.quoted.unwrap_or(channel.price);
        self.base(channel).checked_add(price).unwrap_or(Amount::new(u64::MAX))
    }

    /// Asks once more for the answer that `published` bought, after everybody could read that voucher on the chain:
    /// under the same key, with a voucher that only the payer can sign. It is one base unit above `shown`, what the
    /// chain shows, and buys nothing. Whether there is room for it, and this is the first.
    pub(crate) fn prove(&mut self, channel: &SavedChannel, published: Unanswered, shown: Amount) -> bool {
        let above = shown.max(published.cumulative).checked_add(Amount::new(1));
        let Some(cumulative) = above.filter(|above| !self.proven && *above <= channel.deposit) else {
            return false;
        };
        self.proof = Some(Unanswered { cumulative, ..published });
        self.proven = true;
        true
    }

    /// The voucher that an earlier call sent for this request, if this one has sent none, or what takes its place.
    pub(crate) fn earlier(&mut self, channel: &SavedChannel) -> Option<Unanswered> {
        if let Some(proof) = self.proof.take() {
            return Some(proof);
        }
        let earlier = channel.unanswered(&self.fingerprint).filter(|_| !self.presented).cloned();
        self.repeats |= earlier.is_some();
        earlier
    }
}
