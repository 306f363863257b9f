//! Request bodies that are read before the charge: within a time, up to a size, and within a budget of memory
//! that all requests share.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use toll_protocol::BodyDigest;

use crate::reject::Rejection;

/// What reading bodies may take.
#[derive(Clone, Debug)]
pub(crate) struct BodyRules {
    /// Largest body, in bytes.
    pub(crate) limit: usize,
    /// Longest time from the first look at a body to its end.
    pub(crate) timeout: Duration,
    pub(crate) budget: Arc<Semaphore>,
}

impl Default for BodyRules {
    fn default() -> Self {
        let limit = 2 * 1024 * 1024;
        Self { limit, timeout: Duration::from_secs(30), budget: Arc::new(Semaphore::new(32 * limit)) }
    }
}

impl BodyRules {
    /// The same with a budget of `bytes` for all bodies that are held at one time.
    pub(crate) fn with_budget(self, bytes: usize) -> Self {
        Self { budget: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))), ..self }
    }

    /// Takes `bytes` from the budget until the result is dropped.
    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Rejection> {
        let exhausted = || Rejection::Unavailable {
            detail: "the bodies of other requests take all the memory there is for them".to_owned(),
            retry_after: 1,
        };
        let bytes = u32::try_from(bytes).map_err(|_| exhausted())?;
        Arc::clone(&self.budget).try_acquire_many_owned(bytes).map_err(|_| exhausted())
    }
}

/// The body of one request.
#[derive(Debug)]
pub(crate) struct RequestBody {
    rules: BodyRules,
    state: State,
}

#[derive(Debug)]
enum State {
    Unread(Body),
    Read(Bytes),
    /// It went by, and this is its digest.
    Digested(String),
    /// It failed, and nothing is left of it.
    Lost,
}

impl RequestBody {
    pub(crate) fn new(body: Body, rules: BodyRules) -> Self {
        let none = body.size_hint().exact() == Some(0);
        Self { rules, state: if none { State::Read(Bytes::new()) } else { State::Unread(body) } }
    }

    /// Whether there is nothing to read, as far as the request says.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.state, State::Read(bytes) if bytes.is_empty())
    }

    /// The whole body. Its bytes count against the budget until the last copy of them is dropped.
    pub(crate) async fn read(&mut self) -> Result<Bytes, Rejection> {
        if let State::Read(bytes) = &self.state {
            return Ok(bytes.clone());
        }
        let (mut bytes, mut held) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
        let rules = self.rules.clone();
        self.stream(|data| {
            let taken = rules.take(data.len())?;
            match &mut held {
                Some(held) => held.merge(taken),
                None => held = Some(taken),
            }
            bytes.extend_from_slice(data);
            Ok(())
        })
        .await?;
        let bytes = Bytes::from_owner(Held { bytes: bytes.freeze(), _held: held });
        self.state = State::Read(bytes.clone());
        Ok(bytes)
    }

    /// The digest of a body that is not empty, for a challenge. An unread body is not kept for it; of one that
    /// failed before there is none.
    pub(crate) async fn digest(&mut self) -> Result<Option<String>, Rejection> {
        match &self.state {
            State::Read(bytes) => return Ok((!bytes.is_empty()).then(|| BodyDigest::of(bytes))),
            State::Digested(digest) => return Ok(Some(digest.clone())),
            State::Lost => return Ok(None),
            State::Unread(_) => {}
        }
        let (mut digest, mut is_empty) = (BodyDigest::default(), true);
        self.stream(|data| {
            is_empty &= data.is_empty();
            digest.update(data);
            Ok(())
        })
        .await?;
        self.state = if is_empty { State::Read(Bytes::new()) } else { State::Digested(digest.finish()) };
        Ok(match &self.state {
            State::Digested(digest) => Some(digest.clone()),
            _ => None,
        })
    }

    /// Passes the body through `each`, a piece at a time, and leaves nothing of it.
    async fn stream(
        &mut self,
        mut each: impl FnMut(&Bytes) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let State::Unread(mut body) = std::mem::replace(&mut self.state, State::Lost) else {
            return Err(Rejection::malformed("the request's body broke off"));
        };
        let limit = self.rules.limit;
        let too_large = |length: u64| length > limit as u64;
        if too_large(body.size_hint().lower()) {
            return Err(Rejection::BodyTooLarge(limit));
        }
        let deadline = Instant::now() + self.rules.timeout;
        let mut length = 0_u64;
        loop {
            let frame = timeout_at(deadline, body.frame()).await.map_err(|_| Rejection::BodyTimeout)?;
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|_| Rejection::malformed("the request's body broke off"))?;
            let Some(data) = frame.data_ref() else { continue };
            length = length.saturating_add(data.len() as u64);
            if too_large(length) {
                return Err(Rejection::BodyTooLarge(limit));
            }
            each(data)?;
        }
    }
}

/// Bytes, and the part of the budget they take.
struct Held {
    bytes: Bytes,
    _held: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
