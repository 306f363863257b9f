//! Thirty-two recipients: compute units and bytes.

use toll_program_tests::{Plan, Status, TokenKind, World, compute_unit_limit};

const DEFAULT_COMPUTE_UNITS: u64 = 200_000;
/// What fits one packet of the network.
const PACKET: usize = 1_232;

fn plan(token: TokenKind, recipients: usize) -> Plan {
    Plan { token, ..Plan::with_shares(&vec![300; recipients]) }
}

/// Open or sealed, with every recipient owed something, dust and a refund.
fn due(token: TokenKind, recipients: usize, status: Status) -> World {
    World::with_state(plan(token, recipients), |state| {
        state.settled = 500_003;
        state.status = status as u8;
    })
}

/// The share of each recipient of 300 ten-thousandths of 500,003.
const SHARE: u64 = 15_000;

#[test]
fn thirty_two_spl_recipients_are_paid_within_the_default_limit() {
    for status in [Status::Open, Status::Sealed] {
        let mut world = due(TokenKind::Spl, 32, status);
        let landed = world.distribute().through_lookup_table().succeeds();
        assert!(landed.compute_units() <= DEFAULT_COMPUTE_UNITS);
        assert!(world.channel.recipient_tokens.iter().all(|address| world.tokens(address) == SHARE));
        assert_eq!(world.tokens(&world.channel.payee_tokens), 500_003 * 400 / 10_000);
    }
}

#[test]
fn thirty_two_spl_recipients_are_paid_whatever_the_bumps() {
    // Other salts, other escrow addresses; other recipients would only repeat it.
    for salt in 0..20 {
        let mut world = World::with_state(Plan { salt, ..plan(TokenKind::Spl, 32) }, |state| {
            state.settled = 500_003;
            state.status = Status::Sealed as u8;
        });
        world.distribute().through_lookup_table().succeeds();
    }
}

#[test]
fn thirty_two_token_2022_recipients_are_paid_within_a_raised_limit() {
    for status in [Status::Open, Status::Sealed] {
        let mut world = due(TokenKind::Token2022, 32, status);
        world.distribute().preceded_by(compute_unit_limit(1_400_000)).through_lookup_table().succeeds();
        assert!(world.channel.recipient_tokens.iter().all(|address| world.tokens(address) == SHARE));
    }
}

#[test]
fn unusable_recipients_do_not_hold_up_the_rest() {
    // Each costs an event, and a transaction runs 64 instructions in all: enough, since the treasury gets the sum of
    // what is redirected in one transfer.
    for (token, recipients) in [(TokenKind::Spl, 32), (TokenKind::Token2022, 32)] {
        let mut world = due(token, recipients, Status::Sealed);
        for address in world.channel.recipient_tokens.clone() {
            world.remove(address);
        }
        let payee = world.channel.payee_tokens;
        let attempt = world.distribute().preceded_by(compute_unit_limit(1_400_000)).through_lookup_table();
        assert_eq!(attempt.succeeds().events().len(), recipients);
        assert_eq!(world.tokens(&world.channel.treasury_tokens), 500_003 - world.tokens(&payee));
    }
}

#[test]
fn unusable_recipients_do_not_hold_up_a_new_session() {
    for token in TokenKind::ALL {
        let mut world = due(token, 32, Status::Open);
        for address in world.channel.recipient_tokens.clone() {
            world.remove(address);
        }
        let attempt = world.rearm().preceded_by(compute_unit_limit(1_400_000)).through_lookup_table();
        assert_eq!(attempt.succeeds().events().len(), 32 + 1);
        assert_eq!(world.tokens(&world.channel.treasury_tokens), 32 * SHARE);
        assert_eq!(world.state().deposit, 500_003);
    }
}

#[test]
fn redirected_shares_reach_the_treasury_in_one_transfer() {
    let mut world = due(TokenKind::Token2022, 4, Status::Open);
    for address in world.channel.recipient_tokens.clone() {
        world.remove(address);
    }
    let landed = world.distribute().preceded_by(compute_unit_limit(1_400_000)).succeeds();
    assert_eq!(landed.events().len(), 4);
    assert_eq!(landed.invocations_of(&TokenKind::Token2022.program()).len(), 2, "payee and treasury");
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 4 * SHARE);
}

#[test]
fn a_channel_with_thirty_two_recipients_opens_within_the_default_limit() {
    for token in TokenKind::ALL {
        let mut world = World::before_open(plan(token, 32));
        let landed = world.open().through_lookup_table().succeeds();
        assert!(landed.compute_units() <= DEFAULT_COMPUTE_UNITS);
        assert_eq!(world.state(), world.channel.opened());
    }
}

#[test]
fn a_distribution_fits_a_packet_with_up_to_27_recipients() {
    // The list of splits is in the data whole: beyond 27 no lookup table makes room for it.
    let size = |recipients| {
        due(TokenKind::Spl, recipients, Status::Open).distribute().through_lookup_table().wire_size()
    };
    assert!(size(27) <= PACKET, "{}", size(27));
    assert!(size(28) > PACKET, "{}", size(28));
}
