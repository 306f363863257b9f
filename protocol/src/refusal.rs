//! Refusal codes: the `code` member of a problem document, one reason each.
//!
//! The draft knows three problem types; the code tells the cases apart. Servers pick status, problem type and
//! remedy from here, clients decide by the same table. `REFUSALS.md` is generated from it. A code is never
//! renamed and never means something else; a client treats one it does not know by the HTTP status.
//!
//! Source: draft-solana-session, "Error Responses"; the codes are this project's own.

use std::fmt;
use std::str::FromStr;

use crate::ProblemType;

/// What whoever sent the refused request should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Pay: answer the challenge that came along.
    Pay,
    /// Answer the fresh challenge instead of the one echoed.
    AnswerAfresh,
    /// Sign another voucher, by the figures that came along.
    SignAgain,
    /// Top up, or open a channel with a larger deposit.
    TopUp,
    /// Forget this channel and open another.
    OpenAnother,
    /// Send the very same request again, after `Retry-After` where that is given. It costs nothing more.
    Repeat,
    /// If this was charged, its answer is not to be had any more: pay anew, by a higher voucher, for another.
    PayAnew,
    /// The same will be refused again: something about the request, the client or the server is wrong.
    Mend,
}

impl Remedy {
    /// What to do, as half a sentence.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Pay => "answer the challenge",
            Self::AnswerAfresh => "answer the fresh challenge",
            Self::SignAgain => "sign another voucher, by the figures given",
            Self::TopUp => "top up, or open a larger channel",
            Self::OpenAnother => "open another channel",
            Self::Repeat => "send the very same later; it costs nothing more",
            Self::PayAnew => "pay anew, by a higher voucher",
            Self::Mend => "mend the request; the same is refused again",
        }
    }
}

macro_rules! refusals {
    ($($(#[doc = $meaning:literal])+ $code:ident $text:literal $statuses:tt $kind:ident $remedy:ident;)+) => {
        /// Why a request was refused, as programs read it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RefusalCode {
            $($(#[doc = $meaning])+ $code,)+
        }

        impl RefusalCode {
            /// Every code, in the order of the request path.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The code as the wire has it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text,)+ }
            }

            /// The HTTP statuses it comes with, the usual one first.
            pub const fn statuses(self) -> &'static [u16] {
                match self { $(Self::$code => &$statuses,)+ }
            }

            /// The problem type it comes with.
            pub const fn problem_type(self) -> ProblemType {
                match self { $(Self::$code => ProblemType::$kind,)+ }
            }

            /// What its receiver should do next.
            pub const fn remedy(self) -> Remedy {
                match self { $(Self::$code => Remedy::$remedy,)+ }
            }

            /// What it says, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$code => concat!($($meaning),+).trim_ascii(),)+ }
            }
        }
    };
}

refusals! {
    /// No credential came with the request.
    PaymentRequired "payment-required" [402] PaymentRequired Pay;
    /// No route of this server matches the request.
    NotFound "not-found" [404] Blank Mend;
    /// The credential cannot be decoded, lacks a member or has one of a wrong type.
    Malformed "malformed" [402] MalformedCredential Mend;
    /// More than one credential came with the request.
    SeveralCredentials "several-credentials" [400] BadRequest Mend;
    /// The credential is for another payment method.
    MethodUnsupported "method-unsupported" [400] MethodUnsupported Mend;
    /// The echoed challenge is not this server's, not for this route's terms, or used.
    Challenge "challenge" [402] InvalidChallenge AnswerAfresh;
    /// The echoed challenge has expired.
    ChallengeExpired "challenge-expired" [402] PaymentExpired AnswerAfresh;
    /// The echoed challenge is for another request body.
    BodyMismatch "body-mismatch" [402] VerificationFailed AnswerAfresh;
    /// The action belongs to sessions in which the other side signs the vouchers.
    WrongMode "wrong-mode" [402] VerificationFailed Mend;
    /// The proof does not verify, or is not the one that this session was opened with.
    ProofMismatch "proof-mismatch" [402] VerificationFailed Mend;
    /// Challenge, credential and transaction of an open disagree, or the open breaks a rule.
    OpenMismatch "open-mismatch" [402] VerificationFailed Mend;
    /// The same for a top-up.
    TopUpMismatch "top-up-mismatch" [402] VerificationFailed Mend;
    /// Challenge and transaction of a single payment disagree, or the transaction does more than pay.
    ChargeMismatch "charge-mismatch" [402] VerificationFailed Mend;
    /// The transaction was shown for another challenge before: it pays once.
    PaymentUsed "payment-used" [402] VerificationFailed AnswerAfresh;
    /// The mint is not accepted here.
    MintNotAllowed "mint-not-allowed" [402] VerificationFailed Mend;
    /// The deposit is below the minimum.
    DepositTooSmall "deposit-too-small" [402] VerificationFailed Mend;
    /// The idle timeout was not among those offered.
    IdleTimeoutNotOffered "idle-timeout-not-offered" [402] VerificationFailed Mend;
    /// The cluster refused the transaction.
    TransactionFailed "transaction-failed" [402] VerificationFailed Mend;
    /// The transaction's blockhash ran out before it landed.
    BlockhashExpired "blockhash-expired" [402] VerificationFailed AnswerAfresh;
    /// The sponsor does not pay for this at present; the payer may pay fees and rent itself.
    Unsponsored "unsponsored" [402] VerificationFailed AnswerAfresh;
    /// This payer has as many channels as it may have at once.
    TooManyChannels "too-many-channels" [429] Blank Repeat;
    /// This payer forced closes too often of late.
    OpensSuspended "opens-suspended" [429] Blank Repeat;
    /// The server knows no such channel.
    ChannelNotFound "channel-not-found" [402] VerificationFailed OpenAnother;
    /// The channel is about to close and buys nothing more.
    ChannelClosing "channel-closing" [402] VerificationFailed OpenAnother;
    /// The channel is closed.
    ChannelClosed "channel-closed" [402] VerificationFailed OpenAnother;
    /// Challenge, credential and voucher name different channels.
    ChannelMismatch "channel-mismatch" [402] VerificationFailed Mend;
    /// The voucher is not by the channel's authorized signer.
    SignerMismatch "signer-mismatch" [402] VerificationFailed Mend;
    /// The voucher's signature does not verify.
    Signature "signature" [402] VerificationFailed Mend;
    /// The voucher has expired, or expires too soon to be settled for sure.
    VoucherExpired "voucher-expired" [402] VerificationFailed SignAgain;
    /// The chain shows this voucher, or is about to: it proves nothing any more. Sign above `settled`;
    /// under the same `Idempotency-Key` that gets an answer which was kept, at no charge.
    VoucherPublished "voucher-published" [402] VerificationFailed SignAgain;
    /// The voucher is not above the accepted watermark.
    NotIncreasing "not-increasing" [402] VerificationFailed SignAgain;
    /// The voucher rises by less than the minimum.
    DeltaTooSmall "delta-too-small" [402] VerificationFailed SignAgain;
    /// The voucher runs ahead of what the request costs.
    ExcessiveIncrement "excessive-increment" [402] VerificationFailed SignAgain;
    /// The voucher covers less than the request costs.
    Insufficient "insufficient" [402] VerificationFailed SignAgain;
    /// The request costs more than the deposit has left.
    TopUpNeeded "top-up-needed" [402] VerificationFailed TopUp;
    /// The voucher promises more than the deposit.
    ExceedsDeposit "exceeds-deposit" [402] VerificationFailed TopUp;
    /// The `Idempotency-Key` was used for another request.
    IdempotencyKeyReuse "idempotency-key-reuse" [409] Blank Mend;
    /// The request was charged and answered before, and the answer was not kept.
    ReplayBodyGone "replay-body-gone" [409] Blank PayAnew;
    /// The body is longer than bodies of paid requests may be.
    BodyTooLarge "body-too-large" [413] Blank Mend;
    /// The body did not arrive in time.
    BodyTimeout "body-timeout" [408] Blank Repeat;
    /// Too many requests of this kind lately.
    RateLimited "rate-limited" [429] Blank Repeat;
    /// Something the server needs is missing for now.
    Unavailable "unavailable" [503] Blank Repeat;
    /// No node of the cluster can be reached; nothing was charged.
    ClusterUnreachable "cluster-unreachable" [502] Blank Repeat;
    /// The service behind the server did not answer, 502, or not in time, 504; a paid request may be repeated free.
    Upstream "upstream" [502, 504] Blank Repeat;
}

impl RefusalCode {
    /// The HTTP status it usually comes with.
    pub const fn status(self) -> u16 {
        self.statuses()[0]
    }

    /// Whether the very same request may do better later.
    pub const fn may_be_repeated(self) -> bool {
        matches!(self.remedy(), Remedy::Repeat)
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A code this crate does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no refusal code")]
pub struct UnknownRefusal(pub String);

impl FromStr for RefusalCode {
    type Err = UnknownRefusal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|code| code.as_str() == text);
        known.copied().ok_or_else(|| UnknownRefusal(text.to_owned()))
    }
}
