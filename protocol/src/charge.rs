//! The `charge` intent: one request is paid for by one transfer, once.
//!
//! The payer signs a transaction that holds a transfer for each [`Leg`], and hands it over to be sent (*pull*), or sends
//! it itself and names its signature (*push*). Source: draft-solana-charge.

mod credential;
mod instruction;
mod payload;
mod receipt;
mod request;
mod verify;

pub use credential::{ChargeCredential, PaymentCredential};
pub use instruction::{MEMO_PROGRAM, TransferChecked, memo};
pub use payload::ChargePayload;
pub use receipt::ChargeReceipt;
pub use request::{
    CHARGE_INTENT, ChargeDetails, ChargeError, ChargeRequest, ChargeSplit, Leg, MAX_CHARGE_SPLITS, MAX_MEMO,
};
pub use verify::{ChargeCaps, ChargeRefused, VerifiedCharge, message_digest, verify_charge, verify_paid};
