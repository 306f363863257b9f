//! Every edge of a charge, by hand.

use solana_signature::Signature;
use toll_protocol::{ChannelId, Voucher};

use super::*;
use crate::answer::Answer;
use crate::replay::ReplayKey;

const SIGNER: Pubkey = Pubkey::new_from_array([7; 32]);
const CHANNEL: ChannelId = ChannelId::new([1; 32]);
/// The largest deposit that a ledger holds.
const MOST: u64 = i64::MAX as u64;
const NOW: i64 = 1_790_000_000;

fn marks(deposit: u64, accepted: u64, spent: u64) -> Watermarks {
    Watermarks {
        deposit: Amount::new(deposit),
        accepted: Amount::new(accepted),
        spent: Amount::new(spent),
        ..Watermarks::default()
    }
}

fn open(watermarks: Watermarks) -> Standing {
    Standing {
        state: ChannelState::Open,
        closure_started_at: None,
        authorized_signer: SIGNER,
        idle_timeout: 600,
        watermarks,
        sent: Amount::ZERO,
    }
}

fn voucher(cumulative: u64) -> SignedVoucher {
    SignedVoucher {
        voucher: Voucher { channel_id: CHANNEL, cumulative_amount: Amount::new(cumulative), expires_at: 0 },
        signer: SIGNER,
        signature: Signature::default(),
    }
}

fn charge(cost: u64, headroom: u64, min_delta: u64) -> Charge {
    Charge {
        cost: Amount::new(cost),
        headroom: Amount::new(headroom),
        min_delta: Amount::new(min_delta),
        challenge_id: "challenge".to_owned(),
        replay: ReplayKey { key: [5; 32], fingerprint: [6; 32] },
        is_of_voucher: false,
    }
}

fn earlier(channel: ChannelId, fingerprint: u8) -> Earlier {
    let replay = Replay {
        channel,
        challenge_id: "challenge".to_owned(),
        cost: Amount::new(16),
        accepted: Amount::new(16),
        spent: Amount::new(16),
        accepted_at: NOW - 1,
        answer: Answer::Unserved,
    };
    Earlier { replay, fingerprint: [fingerprint; 32] }
}

fn on(standing: &Standing, cumulative: u64, charge: &Charge) -> Verdict {
    decide(Some(standing), &voucher(cumulative), charge, None, true, NOW)
}

/// The refusal's name with its two figures, if it has any.
fn told(verdict: &Verdict) -> (&'static str, u64) {
    match verdict {
        Verdict::Raise(raise) => ("raise", raise.to.spent.get()),
        Verdict::ForeignSigner => ("foreign", 0),
        Verdict::Refuse(refusal) => match refusal {
            Acceptance::Accepted(_) => ("accepted", 0),
            Acceptance::Replayed(_) => ("replayed", 0),
            Acceptance::KeyReused => ("key reused", 0),
            Acceptance::Published { up_to } => ("published", up_to.get()),
            Acceptance::Stale { watermarks } => ("stale", watermarks.accepted.get()),
            Acceptance::DeltaTooSmall { required, .. } => ("delta", required.get()),
            Acceptance::Insufficient { required, .. } => ("insufficient", required.get()),
            Acceptance::Excessive { allowed, .. } => ("excessive", allowed.get()),
            Acceptance::OverDeposit { required, .. } => ("over deposit", required.get()),
            Acceptance::CloseUnfunded => ("unfunded", 0),
            Acceptance::NotOpen(_) => ("not open", 0),
            Acceptance::Unknown => ("unknown", 0),
        },
    }
}

#[test]
fn amounts_decide_at_their_edges() {
    // deposit, accepted, spent; cost, headroom, min delta; cumulative; verdict
    let edges = [
        ((1_000, 100, 100), (16, 0, 0), 116, ("raise", 116)),
        ((1_000, 100, 100), (16, 0, 0), 115, ("insufficient", 116)),
        ((1_000, 100, 100), (16, 0, 0), 117, ("excessive", 116)),
        ((1_000, 100, 100), (16, 4, 0), 120, ("raise", 116)),
        ((1_000, 100, 100), (16, 4, 0), 121, ("excessive", 120)),
        ((1_000, 100, 100), (16, 0, 0), 100, ("stale", 100)),
        ((1_000, 100, 100), (16, 0, 0), 0, ("stale", 100)),
        ((1_000, 100, 60), (16, 0, 0), 101, ("raise", 76)),
        ((1_000, 100, 60), (16, 0, 0), 100, ("stale", 100)),
        ((1_000, 100, 100), (0, 0, 0), 101, ("excessive", 100)),
        ((1_000, 100, 100), (0, 1, 0), 101, ("raise", 100)),
        ((1_000, 100, 100), (16, 40, 50), 149, ("delta", 150)),
        ((1_000, 100, 100), (16, 40, 50), 150, ("raise", 116)),
        ((1_000, 990, 980), (16, 40, 50), 1_000, ("raise", 996)),
        ((1_000, 990, 990), (16, 0, 0), 1_000, ("over deposit", 1_006)),
        ((1_000, 990, 990), (10, 0, 0), 1_000, ("raise", 1_000)),
        ((1_000, 980, 980), (20, 0, 0), 990, ("insufficient", 1_000)),
        ((1_000, 980, 980), (21, 0, 0), 990, ("over deposit", 1_001)),
        ((1_000, 990, 990), (10, 1, 0), 1_001, ("over deposit", 1_000)),
        ((1_000, 1_000, 1_000), (0, 1, 0), 1_000, ("stale", 1_000)),
        ((u64::MAX, u64::MAX - 1, u64::MAX - 1), (1, u64::MAX, 0), u64::MAX, ("raise", u64::MAX)),
        ((MOST, 5, 5), (u64::MAX, 0, 0), MOST, ("over deposit", u64::MAX)),
        ((0, 0, 0), (0, 0, 0), 0, ("stale", 0)),
    ];
    for ((deposit, accepted, spent), (cost, headroom, min_delta), cumulative, expected) in edges {
        let standing = open(marks(deposit, accepted, spent));
        let verdict = on(&standing, cumulative, &charge(cost, headroom, min_delta));
        let case = (deposit, accepted, spent, cost, headroom, min_delta, cumulative);
        assert_eq!(told(&verdict), expected, "{case:?}");
    }
}

#[test]
fn only_an_open_channel_without_a_forced_close_serves() {
    for state in ChannelState::ALL {
        let standing = Standing { state: *state, ..open(marks(1_000, 0, 0)) };
        let expected = if *state == ChannelState::Open { "raise" } else { "not open" };
        assert_eq!(told(&on(&standing, 16, &charge(16, 0, 0))).0, expected, "{state}");
    }
    let forced = Standing { closure_started_at: Some(NOW), ..open(marks(1_000, 0, 0)) };
    let verdict = on(&forced, 16, &charge(16, 0, 0));
    assert_eq!(verdict, Verdict::Refuse(Acceptance::NotOpen(ChannelState::Closing)));
    let unknown = decide(None, &voucher(16), &charge(16, 0, 0), None, true, NOW);
    assert_eq!(unknown, Verdict::Refuse(Acceptance::Unknown));
}

#[test]
fn what_the_chain_may_show_proves_nothing_not_even_a_repeat() {
    let mut standing = open(marks(1_000, 100, 100));
    standing.watermarks.settled = Amount::new(60);
    standing.sent = Amount::new(100);
    let repeat = Some(earlier(CHANNEL, 6));
    for (cumulative, expected) in [(60, "published"), (100, "published"), (116, "replayed")] {
        let verdict =
            decide(Some(&standing), &voucher(cumulative), &charge(16, 0, 0), repeat.clone(), true, NOW);
        assert_eq!(told(&verdict).0, expected, "{cumulative}");
    }
    let fresh = open(marks(1_000, 0, 0));
    assert_eq!(told(&on(&fresh, 0, &charge(0, 0, 0))).0, "stale", "nothing is published on a new channel");
}

#[test]
fn a_repeat_is_the_same_request_of_the_same_channel() {
    let standing = open(marks(1_000, 16, 16));
    let other = ChannelId::new([2; 32]);
    for (known, expected) in [
        (earlier(CHANNEL, 6), "replayed"),
        (earlier(CHANNEL, 9), "key reused"),
        (earlier(other, 6), "key reused"),
    ] {
        // Also under a voucher that would pay, and without a sponsor: nothing is charged for it.
        for (cumulative, funded) in [(16, true), (32, true), (32, false)] {
            let verdict = decide(
                Some(&standing),
                &voucher(cumulative),
                &charge(16, 0, 0),
                Some(known.clone()),
                funded,
                NOW,
            );
            assert_eq!(told(&verdict).0, expected, "{cumulative} {funded}");
        }
    }
}

#[test]
fn nothing_is_sold_while_a_close_cannot_be_paid_for() {
    let standing = open(marks(1_000, 0, 0));
    let verdict = decide(Some(&standing), &voucher(16), &charge(16, 0, 0), None, false, NOW);
    assert_eq!(verdict, Verdict::Refuse(Acceptance::CloseUnfunded));
}

#[test]
fn another_keys_voucher_is_no_voucher() {
    let standing =
        Standing { authorized_signer: Pubkey::new_from_array([8; 32]), ..open(marks(1_000, 0, 0)) };
    assert_eq!(on(&standing, 16, &charge(16, 0, 0)), Verdict::ForeignSigner);
}

#[test]
fn only_what_is_paid_for_is_activity() {
    let standing = open(marks(1_000, 0, 0));
    let at = |cost, headroom| match on(&standing, 16, &charge(cost, headroom, 0)) {
        Verdict::Raise(raise) => raise.active_at,
        refused => panic!("{refused:?}"),
    };
    assert_eq!(at(16, 0), Some(NOW));
    assert_eq!(at(0, 16), None);
}
