//! Channels for the laws to hold of.

use proptest::prelude::*;
use solana_pubkey::Pubkey;
use toll_protocol::{
    Agreement, Amount, ChannelAccount, ChannelStatus, ChannelTerms, PROGRAM_ID, Splits, TOKEN_PROGRAM,
};

use super::observation::account_seen;
use crate::engine::{FromValue, Value};
use crate::{ChannelRecord, ChannelState, SubmissionId, Watermarks};

pub(super) const NOW: i64 = 1_790_000_000;
pub(super) const SIGNER: Pubkey = Pubkey::new_from_array([7; 32]);

/// A channel of which only the open is on record.
pub(super) fn opening() -> ChannelRecord {
    let agreement = Agreement {
        program: PROGRAM_ID,
        terms: ChannelTerms {
            payer: Pubkey::new_from_array([1; 32]),
            payee: Pubkey::new_from_array([2; 32]),
            mint: Pubkey::new_from_array([3; 32]),
            authorized_signer: SIGNER,
            salt: 1,
            open_slot: 100,
        },
        token_program: TOKEN_PROGRAM,
        rent_payer: Pubkey::new_from_array([4; 32]),
        grace_period: 900,
        splits: Splits::none(),
    };
    let (id, bump) = agreement.terms.address(&agreement.program);
    ChannelRecord {
        id,
        bump,
        agreement,
        price: Amount::new(16),
        unit_type: None,
        idle_timeout: 600,
        opening_challenge_id: "challenge".to_owned(),
        proof: None,
        state: ChannelState::Opening,
        watermarks: Watermarks { deposit: Amount::new(1_000), ..Watermarks::default() },
        sent: Amount::ZERO,
        chain_status: None,
        closure_started_at: None,
        payer_withdrawn_at: None,
        last_activity_at: NOW - 10,
        close_reason: None,
        closing_at: None,
        renewing: false,
        rearmed: None,
        kept_by: None,
        pay_out_to: None,
        close_signature: None,
        refunded: None,
        failure: Some("lost".to_owned()),
        observed_slot: 0,
        created_at: NOW - 10,
    }
}

pub(super) fn account(record: &ChannelRecord) -> ChannelAccount {
    let Agreement { terms, rent_payer, grace_period, splits, .. } = &record.agreement;
    ChannelAccount {
        bump: record.bump,
        status: ChannelStatus::Open,
        salt: terms.salt,
        deposit: record.watermarks.deposit,
        settled: record.watermarks.settled,
        payout_watermark: record.watermarks.payout_watermark,
        closure_started_at: 0,
        payer_withdrawn_at: 0,
        grace_period: *grace_period,
        distribution_hash: splits.hash(),
        payer: terms.payer,
        payee: terms.payee,
        authorized_signer: terms.authorized_signer,
        mint: terms.mint,
        rent_payer: *rent_payer,
        open_slot: terms.open_slot,
    }
}

pub(super) fn open() -> ChannelRecord {
    let record = opening();
    account_seen(&record, &account(&record), 100, NOW).expect("its own account").after
}

/// The submission of that number.
pub(super) fn submission(number: i64) -> SubmissionId {
    SubmissionId::from_value(Value::Integer(number)).expect("a number")
}

/// Five amounts that keep the law, on a deposit of up to 3000.
pub(super) fn watermarks() -> impl Strategy<Value = Watermarks> {
    (0u64..=3_000, 0u64..=3_000, 0u64..=3_000, 0u64..=3_000, 0u64..=3_000).prop_map(
        |(deposit, accepted, spent, settled, payout)| {
            let accepted = accepted.min(deposit);
            let settled = settled.min(accepted);
            Watermarks {
                deposit: Amount::new(deposit),
                accepted: Amount::new(accepted),
                spent: Amount::new(spent.min(accepted)),
                earmarked: Amount::ZERO,
                settled: Amount::new(settled),
                payout_watermark: Amount::new(payout.min(settled)),
            }
        },
    )
}

/// What a node may answer about `record`, if it has an account: one with lawful amounts.
pub(super) fn shown() -> impl Strategy<Value = (ChannelStatus, Watermarks, i64)> {
    let status = prop_oneof![
        6 => Just(ChannelStatus::Open),
        1 => Just(ChannelStatus::Closing),
        1 => Just(ChannelStatus::Sealed),
        1 => Just(ChannelStatus::Distributed),
    ];
    (status, watermarks(), prop_oneof![Just(0i64), Just(NOW)])
}

/// The account of `record` as it is shown.
pub(super) fn account_as(
    record: &ChannelRecord,
    (status, marks, closure_started_at): (ChannelStatus, Watermarks, i64),
) -> ChannelAccount {
    ChannelAccount {
        status,
        deposit: marks.deposit,
        settled: marks.settled,
        payout_watermark: marks.payout_watermark,
        closure_started_at,
        ..account(record)
    }
}
