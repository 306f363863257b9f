//! Why a request is refused: the only place that picks status, problem type and `code`.
//!
//! Source: draft-solana-session, "Error Responses". The draft knows three problem types; `code` tells the
//! cases apart. Details carry values the sender already knows, or, once it proved itself, its channel's.

use std::fmt::Display;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use solana_pubkey::Pubkey;
use toll_ledger::{ChannelRecord, LedgerError, Watermarks};
use toll_protocol::{Amount, Problem, ProblemType};

/// One reason per variant.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// No credential.
    PaymentRequired,
    /// More than one Payment credential.
    SeveralCredentials,
    /// A credential for another payment method.
    MethodUnsupported,
    /// Undecodable, incomplete or mistyped.
    Malformed(String),
    /// The echoed challenge is not ours, not for this, or no longer good.
    Challenge(String),
    /// An `open` disagrees with its challenge, its transaction or the rules.
    OpenMismatch(String),
    /// The same for `topUp`.
    TopUpMismatch(String),
    /// The mint is not on the allow-list.
    MintNotAllowed(Pubkey),
    /// The deposit is below the floor.
    DepositTooSmall { deposit: Amount, minimum: Amount },
    /// An idle timeout nobody offered.
    IdleTimeoutNotOffered(u32),
    /// The cluster refused the transaction.
    TransactionFailed(String),
    /// The transaction can no longer land.
    BlockhashExpired(String),
    /// The voucher's signature does not verify.
    Signature,
    /// The voucher names another signer than the channel's.
    SignerMismatch,
    /// The voucher does not rise above the accepted watermark.
    NotIncreasing { cumulative: Amount, figures: Option<Box<Figures>> },
    /// The voucher rises by less than the minimum.
    DeltaTooSmall { increment: Amount, minimum: Amount, figures: Option<Box<Figures>> },
    /// The voucher runs ahead of what the request costs.
    Excessive { cumulative: Amount, figures: Option<Box<Figures>> },
    /// The voucher promises more than the deposit.
    ExceedsDeposit { cumulative: Amount, deposit: Amount },
    /// The voucher expired or expires too soon.
    VoucherExpired(String),
    /// Outer and inner channel differ, or the channel is not what the challenge names.
    ChannelMismatch(String),
    /// An action of operator-signed sessions.
    WrongMode,
    /// A good voucher for less than the request costs.
    Insufficient(Box<Figures>),
    /// No such channel.
    ChannelNotFound,
    /// The channel is about to close.
    ChannelClosing,
    /// The channel is closed.
    ChannelClosed,
    /// Something needed is missing for now; nothing was consumed.
    Unavailable { detail: String, retry_after: u32 },
    /// Too many of these lately.
    RateLimited { detail: &'static str, retry_after: u32 },
    /// The payer forced closes too often of late.
    OpensSuspended { retry_after: u32 },
    /// The idempotency key was used for another request.
    KeyReuse,
    /// Served before, and the answer was not kept.
    ReplayBodyGone,
    /// The request's body is larger than paid requests may be.
    BodyTooLarge(usize),
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

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::SeveralCredentials | Self::MethodUnsupported => StatusCode::BAD_REQUEST,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::RateLimited { .. } | Self::OpensSuspended { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::KeyReuse | Self::ReplayBodyGone => StatusCode::CONFLICT,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::PAYMENT_REQUIRED,
        }
    }

    fn kind(&self) -> ProblemType {
        match self {
            Self::PaymentRequired => ProblemType::PaymentRequired,
            Self::MethodUnsupported => ProblemType::MethodUnsupported,
            Self::Malformed(_) | Self::SeveralCredentials => ProblemType::MalformedCredential,
            Self::Challenge(_) => ProblemType::InvalidChallenge,
            Self::Unavailable { .. }
            | Self::RateLimited { .. }
            | Self::OpensSuspended { .. }
            | Self::KeyReuse
            | Self::ReplayBodyGone
            | Self::BodyTooLarge(_) => ProblemType::Blank,
            _ => ProblemType::VerificationFailed,
        }
    }

    /// The machine-readable reason.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::PaymentRequired => "payment-required",
            Self::SeveralCredentials | Self::Malformed(_) => "malformed",
            Self::MethodUnsupported => "method-unsupported",
            Self::Challenge(_) => "challenge",
            Self::OpenMismatch(_) => "open-mismatch",
            Self::TopUpMismatch(_) => "top-up-mismatch",
            Self::MintNotAllowed(_) => "mint-not-allowed",
            Self::DepositTooSmall { .. } => "deposit-too-small",
            Self::IdleTimeoutNotOffered(_) => "idle-timeout-not-offered",
            Self::TransactionFailed(_) => "transaction-failed",
            Self::BlockhashExpired(_) => "blockhash-expired",
            Self::Signature => "signature",
            Self::SignerMismatch => "signer-mismatch",
            Self::NotIncreasing { .. } => "not-increasing",
            Self::DeltaTooSmall { .. } => "delta-too-small",
            Self::Excessive { .. } => "excessive-increment",
            Self::ExceedsDeposit { .. } => "exceeds-deposit",
            Self::VoucherExpired(_) => "voucher-expired",
            Self::ChannelMismatch(_) => "channel-mismatch",
            Self::WrongMode => "wrong-mode",
            Self::Insufficient(figures) if figures.required > figures.watermarks.deposit => "top-up-needed",
            Self::Insufficient(_) => "insufficient",
            Self::ChannelNotFound => "channel-not-found",
            Self::ChannelClosing => "channel-closing",
            Self::ChannelClosed => "channel-closed",
            Self::Unavailable { .. } => "unavailable",
            Self::RateLimited { .. } => "rate-limited",
            Self::OpensSuspended { .. } => "opens-suspended",
            Self::KeyReuse => "idempotency-key-reuse",
            Self::ReplayBodyGone => "replay-body-gone",
            Self::BodyTooLarge(_) => "body-too-large",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::PaymentRequired => "this resource is paid for through a payment channel".to_owned(),
            Self::SeveralCredentials => "a request carries exactly one Payment credential".to_owned(),
            Self::MethodUnsupported => "only the payment method \"solana\" is accepted here".to_owned(),
            Self::Malformed(reason)
            | Self::Challenge(reason)
            | Self::OpenMismatch(reason)
            | Self::TopUpMismatch(reason)
            | Self::TransactionFailed(reason)
            | Self::BlockhashExpired(reason)
            | Self::VoucherExpired(reason)
            | Self::ChannelMismatch(reason) => reason.clone(),
            Self::MintNotAllowed(mint) => format!("mint {mint} is not accepted here"),
            Self::DepositTooSmall { deposit, minimum } => {
                format!("deposit {deposit} is below the minimum of {minimum}")
            }
            Self::IdleTimeoutNotOffered(timeout) => {
                format!("an idle timeout of {timeout} seconds was not among the advertised options")
            }
            Self::Signature => "the voucher's signature does not verify".to_owned(),
            Self::SignerMismatch => "the voucher is not by the channel's authorized signer".to_owned(),
            Self::NotIncreasing { cumulative, .. } => {
                format!("cumulative amount {cumulative} does not rise above the accepted watermark")
            }
            Self::DeltaTooSmall { increment, minimum, .. } => {
                format!("the voucher rises by {increment}, the minimum is {minimum}")
            }
            Self::Excessive { cumulative, .. } => {
                format!("cumulative amount {cumulative} runs ahead of what the request costs")
            }
            Self::ExceedsDeposit { cumulative, deposit } => {
                format!("Amount exceeds deposit: the voucher promises {cumulative} of {deposit}")
            }
            Self::WrongMode => {
                "use is only valid for operator-signed sessions; this one takes vouchers".to_owned()
            }
            Self::Insufficient(figures) => format!(
                "the voucher must reach {}; the deposit is {}",
                figures.required, figures.watermarks.deposit
            ),
            Self::ChannelNotFound => "Channel not found: unknown session channel".to_owned(),
            Self::ChannelClosing => {
                "the channel is closing and buys nothing more (session_close_pending)".to_owned()
            }
            Self::ChannelClosed => {
                "the channel is closed; open a new one (session_channel_finalized)".to_owned()
            }
            Self::Unavailable { detail, .. } => detail.clone(),
            Self::RateLimited { detail, .. } => (*detail).to_owned(),
            Self::OpensSuspended { .. } => {
                "this payer forced several closes lately; opens are suspended for a while".to_owned()
            }
            Self::KeyReuse => "this Idempotency-Key was used for another request".to_owned(),
            Self::ReplayBodyGone => {
                "this request was charged and answered before, and the answer was not kept".to_owned()
            }
            Self::BodyTooLarge(limit) => format!("bodies of paid requests are limited to {limit} bytes"),
        }
    }

    fn retry_after(&self) -> Option<u32> {
        match self {
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

    /// The response, with `challenge` when one could be made.
    pub(crate) fn into_response(self, challenge: Option<HeaderValue>) -> Response {
        let status = self.status();
        let mut problem = Problem::new(self.kind(), status.as_u16(), self.detail()).code(self.code());
        if let Some(Figures { required, watermarks }) = self.figures() {
            problem = problem
                .with("requiredCumulative", *required)
                .with("acceptedCumulative", watermarks.accepted)
                .with("spent", watermarks.spent)
                .with("deposit", watermarks.deposit);
        }
        let mut response = Response::new(Body::from(problem.body()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
