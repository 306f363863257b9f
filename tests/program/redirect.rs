//! Shares that cannot be paid: when they go to the treasury, and when the instruction fails instead.

use toll_program_tests::{
    ASSOCIATED_TOKEN_PROGRAM, ChannelError, Event, FROZEN, INITIALIZED, PAYER_TOKENS, Plan, Pubkey, Status,
    TokenKind, TokenState, UNINITIALIZED, World, named, program_id, tlv,
};

const RECIPIENT: u8 = 0;
const PAYEE: u8 = 1;
const PAYER: u8 = 2;

const EXTENSION: u8 = 0;
const MALFORMED: u8 = 1;
const NOT_INITIALIZED: u8 = 2;
const REASSIGNED: u8 = 3;

/// Sealed, with 10,000 of 1,000,000 settled: 1,000 for the recipient, 9,000 for the payee.
fn world(token: TokenKind) -> World {
    World::with_state(Plan { token, ..Plan::with_shares(&[1_000]) }, |state| {
        state.settled = 10_000;
        state.status = Status::Sealed as u8;
    })
}

/// Each beneficiary: number, owner, token account, amount due.
fn beneficiaries(world: &World) -> [(u8, Pubkey, Pubkey, u64); 3] {
    let channel = &world.channel;
    [
        (RECIPIENT, channel.plan.splits[0].0, channel.recipient_tokens[0], 1_000),
        (PAYEE, channel.plan.payee, channel.payee_tokens, 9_000),
        (PAYER, channel.plan.payer, channel.payer_tokens, 990_000),
    ]
}

/// Every beneficiary in turn has the fault: its amount goes to the treasury with `reason`, the others are paid.
#[track_caller]
fn redirects(token: TokenKind, reason: u8, spoil: impl Fn(&mut World, Pubkey)) {
    for index in 0..3 {
        let mut world = world(token);
        let (beneficiary, owner, address, amount) = beneficiaries(&world)[index];
        spoil(&mut world, address);
        let before = beneficiaries(&world).map(|(_, _, address, _)| world.tokens(&address));
        let spoiled = world.svm.get_account(&address);
        let landed = world.distribute().succeeds();

        let channel = world.channel.address;
        assert_eq!(
            landed.events(),
            [Event::PayoutRedirected { channel, owner, amount, beneficiary, reason }]
        );
        assert_eq!(world.tokens(&world.channel.treasury_tokens), amount);
        assert_eq!(world.svm.get_account(&address), spoiled, "the unusable account is left alone");
        for (other, (_, _, address, amount)) in beneficiaries(&world).into_iter().enumerate() {
            if other != index {
                assert_eq!(world.tokens(&address) - before[other], amount);
            }
        }
        assert!(world.is_gone(&world.channel.escrow));
    }
}

#[test]
fn a_missing_account_forfeits_as_malformed() {
    for token in TokenKind::ALL {
        redirects(token, MALFORMED, |world, address| world.remove(address));
    }
}

#[test]
fn an_address_that_only_holds_lamports_forfeits_as_malformed() {
    for token in TokenKind::ALL {
        redirects(token, MALFORMED, |world, address| world.put_wallet(address));
    }
}

#[test]
fn an_account_of_another_program_forfeits_as_malformed() {
    for token in TokenKind::ALL {
        redirects(token, MALFORMED, |world, address| {
            let mut account = world.svm.get_account(&address).unwrap();
            account.owner = named("another program");
            world.put(address, account);
        });
    }
}

#[test]
fn an_account_of_another_size_forfeits_as_malformed() {
    for token in TokenKind::ALL {
        redirects(token, MALFORMED, |world, address| {
            let mut account = world.svm.get_account(&address).unwrap();
            account.data.truncate(164);
            world.put(address, account);
        });
    }
}

#[test]
fn a_frozen_account_forfeits() {
    for token in TokenKind::ALL {
        redirects(token, NOT_INITIALIZED, |world, address| {
            world.edit_tokens(address, |tokens| tokens.state = FROZEN);
        });
    }
}

#[test]
fn an_uninitialized_account_forfeits() {
    for token in TokenKind::ALL {
        redirects(token, NOT_INITIALIZED, |world, address| {
            world.edit_tokens(address, |tokens| tokens.state = UNINITIALIZED);
        });
    }
}

#[test]
fn an_account_that_changed_hands_forfeits() {
    for token in TokenKind::ALL {
        redirects(token, REASSIGNED, |world, address| {
            world.edit_tokens(address, |tokens| tokens.owner = named("buyer"));
        });
    }
}

#[test]
fn a_frozen_account_that_changed_hands_forfeits_as_frozen() {
    redirects(TokenKind::Spl, NOT_INITIALIZED, |world, address| {
        world.edit_tokens(address, |tokens| (tokens.state, tokens.owner) = (FROZEN, named("buyer")));
    });
}

#[test]
fn an_account_that_wants_memos_forfeits() {
    redirects(TokenKind::Token2022, EXTENSION, |world, address| {
        world.edit_tokens(address, |tokens| tokens.trailer = tlv(&[(7, vec![]), (8, vec![1])]));
    });
}

#[test]
fn an_account_that_changed_hands_is_not_searched_for_extensions() {
    redirects(TokenKind::Token2022, REASSIGNED, |world, address| {
        world.edit_tokens(address, |tokens| {
            tokens.owner = named("buyer");
            tokens.trailer = tlv(&[(8, vec![1])]);
        });
    });
}

#[test]
fn an_account_with_an_unknown_extension_forfeits_whatever_its_length_says() {
    redirects(TokenKind::Token2022, EXTENSION, |world, address| {
        world.edit_tokens(address, |tokens| tokens.trailer = vec![99, 0, 0xff, 0xff]);
    });
}

#[test]
fn a_malformed_trailer_fails_and_changes_nothing() {
    // Extension 7 without the bytes of its length, and one that is longer than what is left.
    for trailer in [vec![7, 0], vec![7, 0, 0], vec![7, 0, 5, 0, 1], vec![18, 0, 64, 0], vec![1]] {
        let errors = [
            ChannelError::InvalidRecipientTokenExtensions,
            ChannelError::InvalidPayeeTokenExtensions,
            ChannelError::InvalidPayerTokenExtensions,
        ];
        for (index, error) in errors.into_iter().enumerate() {
            let mut world = world(TokenKind::Token2022);
            let (_, _, address, _) = beneficiaries(&world)[index];
            world.edit_tokens(address, |tokens| tokens.trailer.clone_from(&trailer));
            world.distribute().rejects_with(error);
        }
    }
}

#[test]
fn a_malformed_trailer_does_not_matter_where_nothing_is_due() {
    let mut world =
        World::with_state(Plan { token: TokenKind::Token2022, ..Plan::with_shares(&[10_000]) }, |state| {
            state.settled = 10_000;
        });
    world.edit_tokens(world.channel.payee_tokens, |tokens| tokens.trailer = vec![7, 0]);
    assert_eq!(world.distribute().succeeds().events(), []);
}

#[test]
fn another_address_fails_and_changes_nothing() {
    let errors = [
        (11, ChannelError::RecipientAccountMismatch),
        (5, ChannelError::PayeeAccountMismatch),
        (4, ChannelError::PayerAccountMismatch),
    ];
    for token in TokenKind::ALL {
        for (index, error) in errors {
            // Neither an empty address nor a good account of somebody else's.
            world(token).distribute().account(index, named("nowhere")).rejects_with(error);
            let mut world = world(token);
            let bystander = world.put_tokens(named("bystander"), 0);
            world.distribute().account(index, bystander).rejects_with(error);
        }
    }
}

#[test]
fn a_beneficiarys_second_account_is_not_its_canonical_one() {
    // A good, initialized account of the right owner and mint, at an address that is not derived.
    for (index, owner, error) in [
        (11, "recipient 0", ChannelError::RecipientAccountMismatch),
        (5, "payee", ChannelError::PayeeAccountMismatch),
        (4, "payer", ChannelError::PayerAccountMismatch),
    ] {
        let mut world = world(TokenKind::Spl);
        let state = TokenState::ordinary(world.channel.mint, named(owner), &world.channel.token_program, 0);
        world.put_token_state(named("second account"), &state);
        world.distribute().account(index, named("second account")).rejects_with(error);
    }
}

#[test]
fn an_empty_address_under_another_bump_forces_no_forfeiture() {
    for token in TokenKind::ALL {
        let errors = [
            (11, ChannelError::RecipientAccountMismatch),
            (5, ChannelError::PayeeAccountMismatch),
            (4, ChannelError::PayerAccountMismatch),
        ];
        for (beneficiary, (index, error)) in errors.into_iter().enumerate() {
            let mut world = world(token);
            let (_, owner, _, _) = beneficiaries(&world)[beneficiary];
            for address in non_canonical(&world, &owner).take(3) {
                world.distribute().account(index, address).rejects_with(error);
                // Nor does one that holds lamports.
                world.put_wallet(address);
                world.distribute().account(index, address).rejects_with(error);
            }
        }
    }
}

/// Every address that derives from (owner, token program, mint) under a bump below the canonical one.
fn non_canonical(world: &World, owner: &Pubkey) -> impl Iterator<Item = Pubkey> + use<> {
    let (mint, token_program, owner) = (world.channel.mint, world.channel.token_program, *owner);
    let seeds = move |bump: &[u8]| {
        Pubkey::create_program_address(
            &[owner.as_ref(), token_program.as_ref(), mint.as_ref(), bump],
            &ASSOCIATED_TOKEN_PROGRAM,
        )
        .ok()
    };
    (0..=255u8).rev().filter_map(move |bump| seeds(&[bump])).skip(1)
}

#[test]
fn the_event_is_90_bytes_at_stack_height_2() {
    let mut world = world(TokenKind::Spl);
    world.remove(world.channel.payee_tokens);
    let landed = world.distribute().succeeds();
    let data = landed.invocations_of(&program_id());
    assert_eq!(data.len(), 1);
    assert_eq!(data[0].len(), 90);
    assert_eq!(data[0][8..16], [0xd1, 0x16, 0xb9, 0xd7, 0x54, 0xa7, 0x54, 0x50]);
    assert_eq!(data[0][16..48], world.channel.address.to_bytes());
    assert_eq!(data[0][48..80], world.channel.plan.payee.to_bytes());
    assert_eq!(data[0][80..], [&9_000u64.to_le_bytes()[..], &[PAYEE, MALFORMED]].concat());
}

#[test]
fn events_come_in_the_order_of_payment() {
    let mut world = world(TokenKind::Spl);
    for (_, _, address, _) in beneficiaries(&world) {
        world.remove(address);
    }
    let events = world.distribute().succeeds().events();
    let order: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::PayoutRedirected { beneficiary, amount, .. } => (*beneficiary, *amount),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(order, [(RECIPIENT, 1_000), (PAYEE, 9_000), (PAYER, 990_000)]);
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 1_000_000);
}

#[test]
fn a_redirect_needs_the_true_event_authority() {
    let mut world = world(TokenKind::Spl);
    world.remove(world.channel.payee_tokens);
    world.distribute().account(9, named("authority")).rejects_with(ChannelError::InvalidEventAuthority);
}

#[test]
fn the_event_authority_is_seen_before_the_next_beneficiarys_address() {
    let mut world = world(TokenKind::Spl);
    world.remove(world.channel.recipient_tokens[0]);
    world
        .distribute()
        .account(9, named("authority"))
        .account(5, named("payee's tokens"))
        .rejects_with(ChannelError::InvalidEventAuthority);
}

#[test]
fn while_open_a_redirect_is_final() {
    let mut world = World::with_state(Plan::with_shares(&[1_000]), |state| state.settled = 10_000);
    let recipient = world.channel.recipient_tokens[0];
    world.edit_tokens(recipient, |tokens| tokens.state = FROZEN);
    world.distribute().succeeds();
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 1_000);
    assert_eq!(world.state().payout_watermark, 10_000);

    world.put_tokens(named("recipient 0"), 0);
    world.settle(&world.voucher(15_000)).succeeds();
    world.distribute().succeeds();
    assert_eq!(world.tokens(&recipient), 500, "what was forfeited does not come back");
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 1_000);
}

#[test]
fn while_open_the_payers_account_forfeits_nothing() {
    let mut world = World::with_state(Plan::default(), |state| state.settled = 10_000);
    world.remove(world.channel.payer_tokens);
    assert_eq!(world.distribute().succeeds().events(), []);
}

#[test]
fn anyone_chooses_the_moment_at_which_a_payer_forfeits_its_refund() {
    // What the documents warn payers of. Nobody who signs here is owed anything.
    let mut world = World::opened(Plan::default());
    world.seal_as_payee().succeeds();
    let payer_tokens = world.channel.payer_tokens;
    world.edit_tokens(payer_tokens, |tokens| tokens.state = FROZEN);
    world.distribute().succeeds();
    world.edit_tokens(payer_tokens, |tokens| tokens.state = INITIALIZED);
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 1_000_000);
    world.withdraw_payer().rejects_with(ChannelError::InvalidChannelStatus);
    assert_eq!(world.tokens(&payer_tokens), PAYER_TOKENS - 1_000_000, "it does not come back");
}

#[test]
fn a_payer_who_withdrew_before_forfeits_nothing() {
    let mut world = world(TokenKind::Spl);
    world.withdraw_payer().succeeds();
    assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 10_000);
    world.remove(world.channel.payer_tokens);
    assert_eq!(world.distribute().succeeds().events(), []);
    assert_eq!(world.tokens(&world.channel.treasury_tokens), 0);
}
