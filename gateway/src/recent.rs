//! The answers to paid requests that carry no `Idempotency-Key`, in memory, for repeats that come soon.
//!
//! Two bounds hold: bytes for each channel, so that no payer pushes out another's answers by paying often, and bytes
//! in all, where the channels that were longest without a request lose theirs first. What is forgotten here is not
//! served again: see [`crate::repeat`].

mod packed;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use toll_ledger::{Answer, ReplayKey};
use toll_protocol::ChannelId;

pub(crate) use self::packed::Packed;

/// What an answer takes besides its text.
const OVERHEAD: usize = 256;

/// The answers in memory.
#[derive(Debug)]
pub(crate) struct Recent {
    /// Most bytes in all.
    most: usize,
    /// Most bytes of one channel.
    most_of_channel: usize,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    channels: LruCache<ChannelId, Channel>,
    bytes: usize,
}

/// One channel's answers, oldest first.
#[derive(Debug, Default)]
struct Channel {
    answers: VecDeque<Noted>,
    bytes: usize,
}

#[derive(Debug)]
struct Noted {
    key: ReplayKey,
    answer: Known,
    bytes: usize,
}

/// An [`Answer`] that is cheap to hand out.
#[derive(Clone, Debug)]
enum Known {
    Unserved,
    Kept(Packed),
    NotKept,
}

impl Recent {
    pub(crate) fn new(most: usize, most_of_channel: usize) -> Self {
        let held = Held { channels: LruCache::unbounded(), bytes: 0 };
        Self { most, most_of_channel, held: Mutex::new(held) }
    }

    /// The request is about to be charged and served: until that is done, or when it fails, it is unserved. What is
    /// known of it already stays.
    pub(crate) fn begin(&self, channel: ChannelId, key: ReplayKey) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.channels.get(&channel).is_some_and(|channel| channel.knows(&key)) {
            self.note(&mut held, channel, key, Known::Unserved);
        }
    }

    /// The request was served. `None`: its answer cannot be kept.
    pub(crate) fn finish(&self, channel: ChannelId, key: ReplayKey, answer: Option<Packed>) {
        let answer = answer.map_or(Known::NotKept, Known::Kept);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.note(&mut held, channel, key, answer);
    }

    /// What is known of the request's answer; `None` when nothing is, or nothing is any more.
    pub(crate) fn find(&self, channel: &ChannelId, key: &ReplayKey) -> Option<Answer> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = &held.channels.get(channel)?.answers;
        let known = answers.iter().rev().find(|noted| noted.key == *key)?.answer.clone();
        drop(held);
        Some(match known {
            Known::Unserved => Answer::Unserved,
            Known::Kept(answer) => Answer::Kept(answer.unpack()),
            Known::NotKept => Answer::NotKept,
        })
    }

    fn note(&self, held: &mut Held, channel: ChannelId, key: ReplayKey, answer: Known) {
        let mut noted = Noted { key, bytes: OVERHEAD + answer.bytes(), answer };
        if noted.bytes > self.most_of_channel.min(self.most) {
            noted = Noted { answer: Known::NotKept, bytes: OVERHEAD, ..noted };
        }
        let of_channel = held.channels.get_or_insert_mut(channel, Channel::default);
        let before = of_channel.bytes;
        of_channel.forget(&key);
        of_channel.bytes += noted.bytes;
        of_channel.answers.push_back(noted);
        while of_channel.bytes > self.most_of_channel {
            of_channel.forget_oldest();
        }
        held.bytes = held.bytes - before + of_channel.bytes;
        while held.bytes > self.most {
            held.forget_stalest();
        }
    }
}

impl Known {
    fn bytes(&self) -> usize {
        match self {
            Self::Kept(answer) => answer.len(),
            Self::Unserved | Self::NotKept => 0,
        }
    }
}

impl Channel {
    fn knows(&self, key: &ReplayKey) -> bool {
        self.answers.iter().rev().any(|noted| noted.key == *key)
    }

    fn forget(&mut self, key: &ReplayKey) {
        if let Some(index) = self.answers.iter().rposition(|noted| noted.key == *key) {
            let noted = self.answers.remove(index).expect("just found");
            self.bytes -= noted.bytes;
        }
    }

    fn forget_oldest(&mut self) {
        let noted = self.answers.pop_front().expect("bytes are of answers");
        self.bytes -= noted.bytes;
    }
}

impl Held {
    /// Forgets the oldest answer of the channel that was longest without a request.
    fn forget_stalest(&mut self) {
        let (id, stalest) = self.channels.peek_lru().expect("bytes are of channels");
        let (id, before) = (*id, stalest.bytes);
        let stalest = self.channels.peek_mut(&id).expect("just seen");
        stalest.forget_oldest();
        self.bytes -= before - stalest.bytes;
        if stalest.answers.is_empty() {
            self.channels.pop(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn channel(byte: u8) -> ChannelId {
        ChannelId::new([byte; 32])
    }

    fn key(byte: u8) -> ReplayKey {
        ReplayKey { key: [byte; 32], fingerprint: [0; 32] }
    }

    /// An answer that takes 1,000 bytes.
    fn thousand() -> Packed {
        Packed::new(200, &HeaderMap::new(), &[7; 1_000 - OVERHEAD - 4])
    }

    fn kept() -> Option<Answer> {
        Some(Answer::Kept(thousand().unpack()))
    }

    fn bytes(recent: &Recent) -> usize {
        recent.held.lock().expect("lock").bytes
    }

    #[test]
    fn an_answer_takes_the_place_of_its_beginning() {
        let recent = Recent::new(10_000, 10_000);
        assert_eq!(recent.find(&channel(1), &key(1)), None);
        recent.begin(channel(1), key(1));
        assert_eq!(recent.find(&channel(1), &key(1)), Some(Answer::Unserved));
        recent.finish(channel(1), key(1), Some(thousand()));
        recent.begin(channel(1), key(1));
        assert_eq!(recent.find(&channel(1), &key(1)), kept());
        assert_eq!(recent.find(&channel(2), &key(1)), None);
        assert_eq!(bytes(&recent), 1_000);
    }

    #[test]
    fn a_channel_pushes_out_its_own_answers_only() {
        let recent = Recent::new(10_000, 2_000);
        recent.finish(channel(1), key(0), Some(thousand()));
        for number in 1..=3 {
            recent.finish(channel(2), key(number), Some(thousand()));
        }
        assert_eq!(recent.find(&channel(2), &key(1)), None);
        for (of, number) in [(1, 0), (2, 2), (2, 3)] {
            assert_eq!(recent.find(&channel(of), &key(number)), kept());
        }
        assert_eq!(bytes(&recent), 3_000);
    }

    #[test]
    fn the_channel_longest_without_a_request_loses_first() {
        let recent = Recent::new(3_000, 3_000);
        for number in 1..=3 {
            recent.finish(channel(number), key(number), Some(thousand()));
        }
        recent.find(&channel(1), &key(1));
        recent.finish(channel(4), key(4), Some(thousand()));
        assert_eq!(recent.find(&channel(2), &key(2)), None);
        for number in [1, 3, 4] {
            assert_eq!(recent.find(&channel(number), &key(number)), kept());
        }
        assert_eq!((bytes(&recent), recent.held.lock().expect("lock").channels.len()), (3_000, 3));
    }

    #[test]
    fn an_answer_above_the_bound_counts_as_served() {
        let recent = Recent::new(10_000, 999);
        recent.finish(channel(1), key(1), Some(thousand()));
        assert_eq!(recent.find(&channel(1), &key(1)), Some(Answer::NotKept));
        assert_eq!(bytes(&recent), OVERHEAD);
    }
}
