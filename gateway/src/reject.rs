//! Why a request is refused: the only place that picks a refusal code and says it in words.
//!
//! Status, problem type and title follow from the code ([`toll_protocol::RefusalCode`]). Details carry values
//! the sender already knows, or, once it proved itself, its channel's.

use std::fmt::Display;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use solana_pubkey::Pubkey;
use toll_ledger::{ChannelRecord, LedgerError, Watermarks};
use toll_protocol::{Amount, Problem, RefusalCode};

/// One reason per variant, in the words that its problem document says it with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    /// No credential.
    #[error("this resource is paid for through a payment channel")]
    PaymentRequired,
    /// Nothing here has such a path.
    #[error("no such route")]
    NotFound,
    /// More than one Payment credential.
    #[error("a request carries exactly one Payment credential")]
    SeveralCredentials,
    /// A credential for another payment method.
    #[error("only the payment method \"solana\" is accepted here")]
    MethodUnsupported,
    /// Undecodable, incomplete or mistyped.
    #[error("{0}")]
    Malformed(String),
    /// The echoed challenge is not ours, not for this, or no longer good.
    #[error("{0}")]
    Challenge(String),
    /// The echoed challenge is no longer good for an open.
    #[error("the challenge has expired")]
    ChallengeExpired,
    /// The echoed challenge was issued for another body, or for none on a route that binds bodies.
    #[error("the challenge is for another request body; answer the fresh one")]
    BodyMismatch,
    /// An `open` disagrees with its challenge, its transaction or the rules.
    #[error("{0}")]
    OpenMismatch(String),
    /// The same for `topUp`.
    #[error("{0}")]
    TopUpMismatch(String),
    /// The same for a single payment.
    #[error("{0}")]
    ChargeMismatch(String),
    /// The transaction was shown for something else before.
    #[error("this transaction was shown for another challenge; a transaction pays once")]
    PaymentUsed,
    /// No node of the cluster has answered lately. Nothing was charged.
    #[error("the cluster cannot be reached, so nothing was charged; repeat the same request")]
    ClusterUnreachable,
    /// The mint is not on the allow-list.
    #[error("mint {0} is not accepted here")]
    MintNotAllowed(Pubkey),
    /// The deposit is below the floor.
    #[error("deposit {deposit} is below the minimum of {minimum}")]
    DepositTooSmall { deposit: Amount, minimum: Amount },
    /// An idle timeout nobody offered.
    #[error("an idle timeout of {0} seconds was not among the advertised options")]
    IdleTimeoutNotOffered(u32),
    /// The cluster refused the transaction.
    #[error("{0}")]
    TransactionFailed(String),
    /// The transaction can no longer land.
    #[error("{0}")]
    BlockhashExpired(String),
    /// The voucher's signature does not verify.
    #[error("the voucher's signature does not verify")]
    Signature,
    /// The voucher names another signer than the channel's.
    #[error("the voucher is not by the channel's authorized signer")]
    SignerMismatch,
    /// The voucher could be anybody's: the chain shows it, or a transaction in flight may. Nothing private is said.
    #[error("vouchers up to {up_to} were sent to the chain and prove nothing; sign above")]
    VoucherPublished { up_to: Amount },
    /// The voucher does not rise above the accepted watermark.
    #[error("cumulative amount {cumulative} does not rise above the accepted watermark")]
    NotIncreasing { cumulative: Amount, figures: Option<Box<Figures>> },
    /// The voucher rises by less than the minimum.
    #[error("the voucher rises by {increment}, the minimum is {minimum}")]
    DeltaTooSmall { increment: Amount, minimum: Amount, figures: Option<Box<Figures>> },
    /// The voucher runs ahead of what the request costs.
    #[error("cumulative amount {cumulative} runs ahead of what the request costs")]
    Excessive { cumulative: Amount, figures: Option<Box<Figures>> },
    /// The voucher promises more than the deposit.
    #[error("Amount exceeds deposit: the voucher promises {cumulative} of {deposit}")]
    ExceedsDeposit { cumulative: Amount, deposit: Amount },
    /// The voucher expired or expires too soon.
    #[error("{0}")]
    VoucherExpired(String),
    /// Outer and inner channel differ, or the channel is not what the challenge names.
    #[error("{0}")]
    ChannelMismatch(String),
    /// An action of the other kind of session.
    #[error("{0}")]
    WrongMode(&'static str),
    /// A bearer proof that does not verify, or not the one that was bound.
    #[error("the proof is not the one that this session was opened with")]
    ProofMismatch,
    /// A good voucher for less than the request costs.
    #[error("the voucher must reach {}; the deposit is {}", .0.required, .0.watermarks.deposit)]
    Insufficient(Box<Figures>),
    /// No such channel.
    #[error("Channel not found: unknown session channel")]
    ChannelNotFound,
    /// The channel is about to close.
    #[error("the channel is closing and buys nothing more (session_close_pending)")]
    ChannelClosing,
    /// The channel is closed.
    #[error("the channel is closed; open a new one (session_channel_finalized)")]
    ChannelClosed,
    /// Something needed is missing for now; nothing was consumed.
    #[error("{detail}")]
    Unavailable { detail: String, retry_after: u32 },
    /// Too many of these lately.
    #[error("{detail}")]
    RateLimited { detail: &'static str, retry_after: u32 },
    /// The sponsor does not pay for it at present.
    #[error("{0}")]
    Unsponsored(String),
    /// The payer has as many channels as it may have.
    #[error("this payer has {live} channels, as many as it may have at once; close one")]
    TooManyChannels { live: u64 },
    /// The payer forced closes too often of late.
    #[error("this payer forced several closes lately; opens are suspended for a while")]
    OpensSuspended { retry_after: u32 },
    /// The idempotency key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReuse,
    /// Served before, and the answer was not kept.
    #[error("this request was charged and answered before, and the answer was not kept")]
    ReplayBodyGone,
    /// The request's body is larger than paid requests may be.
    #[error("bodies of paid requests are limited to {0} bytes")]
    BodyTooLarge(usize),
    /// The request's body did not arrive in time.
    #[error("the request's body did not arrive in time")]
    BodyTimeout,
}

/// A channel's accounting, shown to whoever proved to hold its key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Smallest cumulative amount that would do.
    pub(crate) required: Amount,
    pub(crate) watermarks: Watermarks,
}

/// A rejection, and the channel it was about when the sender proved to hold that channel's key: then the
/// fresh challenge offers to resume it. Anyone else is offered a new channel.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) rejection: Rejection,
    pub(crate) resume: Option<Box<ChannelRecord>>,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self { rejection, resume: None }
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Rejection::from(error).into()
    }
}

impl From<LedgerError> for Rejection {
    fn from(error: LedgerError) -> Self {
        tracing::error!(%error, "ledger");
        Self::Unavailable { detail: "the ledger is not available".to_owned(), retry_after: 5 }
    }
}

impl Rejection {
    /// The same, answered with an offer to resume `channel`.
    pub(crate) fn resuming(self, channel: &ChannelRecord) -> Refusal {
        Refusal { rejection: self, resume: Some(Box::new(channel.clone())) }
    }

    /// The same, with the channel's figures where the reason is about them.
    pub(crate) fn with_figures(self, known: Figures) -> Self {
        let known = Some(Box::new(known));
        match self {
            Self::NotIncreasing { cumulative, .. } => Self::NotIncreasing { cumulative, figures: known },
            Self::DeltaTooSmall { increment, minimum, .. } => {
                Self::DeltaTooSmall { increment, minimum, figures: known }
            }
            Self::Excessive { cumulative, .. } => Self::Excessive { cumulative, figures: known },
            other => other,
        }
    }

    pub(crate) fn malformed(reason: impl Display) -> Self {
        Self::Malformed(reason.to_string())
    }

    /// The machine-readable reason; status, problem type and title follow from it.
    pub(crate) fn code(&self) -> RefusalCode {
        match self {
            Self::PaymentRequired => RefusalCode::PaymentRequired,
            Self::NotFound => RefusalCode::NotFound,
            Self::SeveralCredentials => RefusalCode::SeveralCredentials,
            Self::Malformed(_) => RefusalCode::Malformed,
            Self::MethodUnsupported => RefusalCode::MethodUnsupported,
            Self::Challenge(_) => RefusalCode::Challenge,
            Self::ChallengeExpired => RefusalCode::ChallengeExpired,
            Self::OpenMismatch(_) => RefusalCode::OpenMismatch,
            Self::TopUpMismatch(_) => RefusalCode::TopUpMismatch,
            Self::ChargeMismatch(_) => RefusalCode::ChargeMismatch,
            Self::PaymentUsed => RefusalCode::PaymentUsed,
            Self::ClusterUnreachable => RefusalCode::ClusterUnreachable,
            Self::MintNotAllowed(_) => RefusalCode::MintNotAllowed,
            Self::DepositTooSmall { .. } => RefusalCode::DepositTooSmall,
            Self::IdleTimeoutNotOffered(_) => RefusalCode::IdleTimeoutNotOffered,
            Self::TransactionFailed(_) => RefusalCode::TransactionFailed,
            Self::BlockhashExpired(_) => RefusalCode::BlockhashExpired,
            Self::Signature => RefusalCode::Signature,
            Self::SignerMismatch => RefusalCode::SignerMismatch,
            Self::VoucherPublished { .. } => RefusalCode::VoucherPublished,
            Self::NotIncreasing { .. } => RefusalCode::NotIncreasing,
            Self::DeltaTooSmall { .. } => RefusalCode::DeltaTooSmall,
            Self::Excessive { .. } => RefusalCode::ExcessiveIncrement,
            Self::ExceedsDeposit { .. } => RefusalCode::ExceedsDeposit,
            Self::VoucherExpired(_) => RefusalCode::VoucherExpired,
            Self::ChannelMismatch(_) => RefusalCode::ChannelMismatch,
            Self::WrongMode(_) => RefusalCode::WrongMode,
            Self::ProofMismatch => RefusalCode::ProofMismatch,
            Self::Insufficient(figures) if figures.required > figures.watermarks.deposit => {
                RefusalCode::TopUpNeeded
            }
            Self::Insufficient(_) => RefusalCode::Insufficient,
            Self::ChannelNotFound => RefusalCode::ChannelNotFound,
            Self::ChannelClosing => RefusalCode::ChannelClosing,
            Self::ChannelClosed => RefusalCode::ChannelClosed,
            Self::Unavailable { .. } => RefusalCode::Unavailable,
            Self::RateLimited { .. } => RefusalCode::RateLimited,
            Self::Unsponsored(_) => RefusalCode::Unsponsored,
            Self::TooManyChannels { .. } => RefusalCode::TooManyChannels,
            Self::OpensSuspended { .. } => RefusalCode::OpensSuspended,
            Self::KeyReuse => RefusalCode::IdempotencyKeyReuse,
            Self::ReplayBodyGone => RefusalCode::ReplayBodyGone,
            Self::BodyMismatch => RefusalCode::BodyMismatch,
            Self::BodyTooLarge(_) => RefusalCode::BodyTooLarge,
            Self::BodyTimeout => RefusalCode::BodyTimeout,
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.code().status()
    }

    fn retry_after(&self) -> Option<u32> {
        match self {
            Self::TooManyChannels { .. } => Some(60),
            Self::ClusterUnreachable => Some(5),
            Self::Unavailable { retry_after, .. }
            | Self::RateLimited { retry_after, .. }
            | Self::OpensSuspended { retry_after } => Some(*retry_after),
            _ => None,
        }
    }

    fn figures(&self) -> Option<&Figures> {
        match self {
            Self::Insufficient(figures) => Some(figures),
            Self::NotIncreasing { figures, .. }
            | Self::DeltaTooSmall { figures, .. }
            | Self::Excessive { figures, .. } => figures.as_deref(),
            _ => None,
        }
    }

    /// The response, with the challenges that could be made, in their order.
    pub(crate) fn into_response(self, challenges: impl IntoIterator<Item = HeaderValue>) -> Response {
        let status = self.status();
        let mut problem = Problem::refusal(self.code(), self.to_string());
        problem.status = status;
        if let Some(Figures { required, watermarks }) = self.figures() {
            problem = problem
                .with("requiredCumulative", *required)
                .with("acceptedCumulative", watermarks.accepted)
                .with("spent", watermarks.spent)
                .with("deposit", watermarks.deposit);
        }
        if let Self::VoucherPublished { up_to } = self {
            problem = problem.with("settled", up_to);
        }
        let mut response = Response::new(Body::from(problem.body()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
