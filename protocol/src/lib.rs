//! The bytes and words of a payment channel: vouchers, splits, channel accounts, and (with `std`) the
//! HTTP headers that carry them.
//!
//! Nothing here does I/O, reads a clock or knows a database. Without `std` the crate has no dependencies
//! and is what the on-chain program shares with everyone else.
#![cfg_attr(not(feature = "std"), no_std)]

mod amount;
mod batch;
mod ceiling;
mod channel;
mod splits;
mod voucher;

#[cfg(feature = "std")]
mod account;
#[cfg(feature = "std")]
mod address;
#[cfg(feature = "std")]
mod agreement;
#[cfg(feature = "std")]
mod at_idle;
#[cfg(feature = "std")]
pub mod base58;
#[cfg(feature = "std")]
mod canonical;
#[cfg(feature = "std")]
mod challenge;
#[cfg(feature = "std")]
mod charge;
#[cfg(feature = "std")]
mod credential;
#[cfg(feature = "std")]
mod digest;
#[cfg(feature = "std")]
mod event;
#[cfg(feature = "std")]
mod header;
#[cfg(feature = "std")]
mod instruction;
#[cfg(feature = "std")]
mod json;
#[cfg(feature = "std")]
mod operator;
#[cfg(feature = "std")]
mod problem;
#[cfg(feature = "std")]
mod profile;
#[cfg(feature = "std")]
mod receipt;
#[cfg(feature = "std")]
mod refusal;
#[cfg(feature = "std")]
mod session;
#[cfg(feature = "std")]
mod sse;
#[cfg(feature = "std")]
mod text;
#[cfg(feature = "std")]
mod transaction;

pub use amount::{Amount, ParseAmountError, parse_u64};
pub use batch::{BATCH_DOMAIN, BATCH_MAGIC, BatchError, BatchMessage, MAX_BATCH, batch_size};
pub use ceiling::{CEILING_MAGIC, Ceiling};
pub use channel::*;
pub use splits::{
    BPS_DENOMINATOR, MAX_RECIPIENTS, SPLIT_SIZE, SplitsError, SplitsPreimage, share, share_between,
};
pub use voucher::{BadMagic, VOUCHER_MAGIC, VOUCHER_SIZE, Voucher};

#[cfg(feature = "std")]
pub use self::{
    account::{AccountError, ChannelAccount, ChannelStanding},
    address::*,
    agreement::{Agreement, Difference},
    at_idle::{DepositAtIdle, Standing},
    batch::{BatchVoucher, SignedBatch},
    canonical::{
        EncodingError, base64_decode, base64_encode, base64url_decode, base64url_encode, canonical_json,
        parse_json,
    },
    ceiling::SignedCeiling,
    challenge::{
        Challenge, ChallengeError, ChallengeSecret, CredentialField, INTENT, IntentRequest, METHOD, Offer,
        Realm, SECRET_MIN,
    },
    charge::*,
    credential::{
        Action, Authentication, CloseAction, CloseAuthority, Credential, CredentialError, OpenAction,
        PROOF_DOMAIN, ProofError, TopUpAction, UseAction, VoucherAction,
    },
    digest::BodyDigest,
    event::{ChannelEvent, EventError, Invocation, SkipReason},
    header::{
        Challenges, HeaderError, MAX_HEADER, format_authorization, format_payment, format_receipt,
        format_www_authenticate, parse_authorization, parse_payment, parse_receipt, parse_www_authenticate,
    },
    instruction::{
        Channel, ChannelInstruction, ComputeBudget, CreateAssociatedTokenAccount, ED25519_INSTRUCTION_SIZE,
        InstructionError, Open, TopUp, checkpoint, compute_unit_limit, compute_unit_price,
        create_associated_token_account, decode_ed25519, decode_settle_batch, discriminator, ed25519_verify,
        ed25519_verify_batch, ed25519_verify_ceiling, settle_batch,
    },
    json::JsonError,
    operator::OperatorKey,
    problem::{PROBLEM_BASE, Problem, ProblemType},
    profile::{Capabilities, ProgramProfile},
    receipt::Receipt,
    refusal::{RefusalCode, Remedy, UnknownRefusal},
    session::{
        ChannelOffer, MAX_IDLE_TIMEOUT, MethodDetails, Network, RequestError, SessionRequest, UnknownNetwork,
        VoucherSigner,
    },
    splits::{Split, Splits},
    sse::{EventCutter, EventTooLong, NeedVoucher, PaymentEvent, StreamEvent},
    transaction::{
        MAX_TRANSACTION, MAX_TRANSACTION_V1, TransactionError, decode_any_transaction, decode_transaction,
        encode_transaction, static_instructions,
    },
    voucher::{SignedVoucher, VerifiedVoucher, VoucherError, VoucherKey, is_voucher_key},
};
