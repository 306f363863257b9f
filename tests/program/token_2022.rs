//! Token-2022: which extensions a mint and a token account may carry, by the bytes that carry them.

use toll_program_tests::{
    Action, Attempt,
    ChannelError::{self, *},
    DECIMALS, Event, Plan, Status, TOKEN_2022_PROGRAM, World, mint_account, tlv,
};

/// Pointers and metadata, with sizes that the token program takes: they say what a token is called, not how it moves.
const ALLOWED_ON_MINTS: [(u16, usize); 6] = [(18, 64), (19, 90), (20, 64), (21, 80), (22, 64), (23, 72)];
/// Above every number that Token-2022 has given out.
const NUMBERS: std::ops::RangeInclusive<u16> = 1..=64;

fn world() -> World {
    World::with_channel(Plan::token_2022())
}

fn with_mint_trailer(trailer: &[u8]) -> World {
    let mut world = world();
    world.put(world.channel.mint, mint_account(&TOKEN_2022_PROGRAM, DECIMALS, trailer));
    world
}

/// The instructions besides `open` that look at the mint, each on a ledger where it would land.
fn readers() -> [(&'static str, Action); 4] {
    [
        ("top_up", |world| world.top_up(1)),
        ("distribute", |world| {
            world.edit(|state| state.settled = 10);
            world.distribute()
        }),
        ("rearm", |world| world.rearm()),
        ("withdraw_payer", |world| {
            world.edit(|state| state.status = Status::Sealed as u8);
            world.withdraw_payer()
        }),
    ]
}

mod mints {
    use super::*;

    #[track_caller]
    fn rejects(error: ChannelError, trailer: &[u8]) {
        for (_, send) in readers() {
            send(&mut with_mint_trailer(trailer)).rejects_with(error);
        }
        let mut world = World::before_open(Plan::token_2022());
        world.put(world.channel.mint, mint_account(&TOKEN_2022_PROGRAM, DECIMALS, trailer));
        world.open().rejects_with(error);
    }

    #[test]
    fn descriptive_extensions_are_allowed_alone_and_together() {
        let all: Vec<_> = ALLOWED_ON_MINTS.iter().map(|(number, size)| (*number, vec![0; *size])).collect();
        let mut trailers: Vec<_> = all.iter().map(|extension| tlv(std::slice::from_ref(extension))).collect();
        trailers.push(tlv(&all));
        for mint_trailer in trailers {
            let plan = Plan { mint_trailer, ..Plan::token_2022() };
            let mut world = World::opened(plan);
            for (name, send) in readers() {
                if let Err(error) = send(&mut world).send() {
                    panic!("{name}: {error:?}");
                }
            }
        }
    }

    #[test]
    fn every_other_extension_rejects_by_its_presence() {
        for number in NUMBERS.chain([100, 255, 256, 65_535]) {
            if ALLOWED_ON_MINTS.iter().any(|(allowed, _)| *allowed == number) {
                continue;
            }
            for size in [0, 1, 32, 108] {
                let mut world = with_mint_trailer(&tlv(&[(number, vec![0; size])]));
                world.top_up(1).rejects_with(MalformedMintTokenExtensions);
            }
        }
    }

    #[test]
    fn an_unwanted_extension_is_found_behind_allowed_ones() {
        rejects(MalformedMintTokenExtensions, &tlv(&[(18, vec![0; 64]), (1, vec![0; 108])]));
        rejects(MalformedMintTokenExtensions, &tlv(&[(19, vec![0; 90]), (12, vec![0; 32])]));
    }

    #[test]
    fn fees_hooks_and_permanent_delegates_reject_everywhere() {
        for (number, size) in
            [(1, 108), (14, 64), (12, 32), (9, 0), (3, 32), (6, 1), (4, 65), (10, 52), (26, 33)]
        {
            rejects(MalformedMintTokenExtensions, &tlv(&[(number, vec![0; size])]));
        }
    }

    #[test]
    fn the_owner_extension_of_accounts_is_none_of_mints() {
        rejects(MalformedMintTokenExtensions, &tlv(&[(7, vec![])]));
    }

    #[test]
    fn malformed_trailers_reject() {
        for trailer in [
            // One byte that is not zero; a type without a length; half a length; more length than bytes.
            vec![1],
            vec![18, 0],
            vec![18, 0, 64],
            vec![18, 0, 64, 0, 1, 2, 3],
            vec![18, 0, 0xff, 0xff],
            [tlv(&[(18, vec![0; 64])]), vec![9]].concat(),
        ] {
            rejects(MalformedMintTokenExtensions, &trailer);
        }
    }

    #[test]
    fn zeros_end_the_list() {
        for trailer in [vec![0], vec![0, 0], vec![0; 40], [tlv(&[(18, vec![0; 64])]), vec![0; 7]].concat()] {
            let mut world = with_mint_trailer(&trailer);
            world.top_up(1).succeeds();
        }
    }

    #[test]
    fn what_follows_the_end_is_not_read() {
        // Type 0, then what would be a transfer fee; the token program stops there as well.
        let trailer = [vec![0, 0], tlv(&[(1, vec![0; 108])])].concat();
        let mut world = with_mint_trailer(&trailer);
        world.top_up(1).succeeds();
    }

    #[test]
    fn a_plain_mint_of_82_bytes_is_fine() {
        let mut world = World::opened(Plan::token_2022());
        world.top_up(1).succeeds();
    }

    #[test]
    fn sizes_between_a_mint_and_an_extended_one_reject() {
        for size in [0, 81, 83, 120, 164, 165] {
            let mut world = world();
            let mut account = world.svm.get_account(&world.channel.mint).unwrap();
            account.data.resize(size, 0);
            world.put(world.channel.mint, account);
            world.top_up(1).rejects_with(MintAccountMismatch);
        }
    }

    #[test]
    fn the_size_of_a_multisig_rejects() {
        let mut world = with_mint_trailer(&tlv(&[(19, vec![0; 355 - 166 - 4])]));
        assert_eq!(world.svm.get_account(&world.channel.mint).unwrap().data.len(), 355);
        world.top_up(1).rejects_with(MintAccountMismatch);
    }

    #[test]
    fn an_extended_token_account_in_place_of_the_mint_rejects() {
        for account_type in [0, 2, 3] {
            let mut world = with_mint_trailer(&tlv(&[(18, vec![0; 64])]));
            let mut account = world.svm.get_account(&world.channel.mint).unwrap();
            account.data[165] = account_type;
            world.put(world.channel.mint, account);
            world.top_up(1).rejects_with(MintAccountMismatch);
        }
    }

    #[test]
    fn every_byte_of_the_padding_has_to_be_zero() {
        for at in [82, 83, 120, 163, 164] {
            let mut world = with_mint_trailer(&tlv(&[(18, vec![0; 64])]));
            let mut account = world.svm.get_account(&world.channel.mint).unwrap();
            account.data[at] = 1;
            world.put(world.channel.mint, account.clone());
            world.top_up(1).rejects_with(MalformedMintTokenAccountData);
            // Seen before the extensions behind it.
            account.data[166] = 1;
            world.put(world.channel.mint, account);
            world.top_up(1).rejects_with(MalformedMintTokenAccountData);
        }
    }

    #[test]
    fn a_mint_of_spl_token_rejects() {
        let mut world = world();
        world.put(world.channel.mint, mint_account(&toll_program_tests::TOKEN_PROGRAM, DECIMALS, &[]));
        world.top_up(1).rejects_with(MintAccountMismatch);
    }
}

mod accounts {
    use super::*;

    /// Escrow, payer and treasury: where their accounts are, and what an unwanted extension on them is called.
    fn roles(world: &World) -> [(toll_program_tests::Pubkey, ChannelError); 3] {
        [
            (world.channel.escrow, InvalidChannelTokenExtensions),
            (world.channel.payer_tokens, InvalidPayerTokenExtensions),
            (world.channel.treasury_tokens, InvalidTreasuryTokenExtensions),
        ]
    }

    /// An instruction that checks the account of role `index`.
    fn send(world: &mut World, index: usize) -> Attempt<'_> {
        if index < 2 {
            return world.top_up(1);
        }
        world.edit(|state| state.settled = 10);
        world.distribute()
    }

    #[track_caller]
    fn rejects(trailer: &[u8]) {
        for index in 0..3 {
            let mut world = world();
            let (address, error) = roles(&world)[index];
            world.edit_tokens(address, |tokens| tokens.trailer = trailer.to_vec());
            send(&mut world, index).rejects_with(error);
        }
    }

    #[test]
    fn an_immutable_owner_is_the_only_extension_allowed() {
        for number in NUMBERS.chain([100, 65_535]).filter(|number| *number != 7) {
            for size in [0, 1, 8] {
                rejects(&tlv(&[(number, vec![0; size])]));
                rejects(&tlv(&[(7, vec![]), (number, vec![0; size])]));
            }
        }
    }

    #[test]
    fn an_immutable_owner_is_allowed() {
        for index in 0..3 {
            send(&mut world(), index).succeeds();
        }
    }

    #[test]
    fn an_account_without_extensions_is_allowed() {
        for index in 0..3 {
            let mut world = world();
            let (address, _) = roles(&world)[index];
            world.edit_tokens(address, |tokens| tokens.trailer.clear());
            send(&mut world, index).succeeds();
        }
    }

    #[test]
    fn malformed_trailers_reject() {
        for trailer in [vec![3], vec![7, 0], vec![7, 0, 0], vec![7, 0, 1, 0], vec![7, 0, 0, 0, 1]] {
            rejects(&trailer);
        }
    }

    #[test]
    fn zeros_end_the_list() {
        for index in 0..3 {
            let mut world = world();
            let (address, _) = roles(&world)[index];
            world.edit_tokens(address, |tokens| tokens.trailer = vec![7, 0, 0, 0, 0, 0, 0]);
            send(&mut world, index).succeeds();
        }
    }

    #[test]
    fn the_size_of_a_multisig_is_malformed() {
        let errors = [InvalidChannelTokenAccount, InvalidPayerTokenAccount, InvalidTreasuryTokenAccount];
        for (index, error) in errors.into_iter().enumerate() {
            let mut world = world();
            let (address, _) = roles(&world)[index];
            world.edit_tokens(address, |tokens| tokens.trailer = tlv(&[(7, vec![0; 355 - 166 - 4])]));
            send(&mut world, index).rejects_with(error);
        }
    }

    #[test]
    fn an_extended_account_has_to_say_that_it_is_an_account() {
        let errors = [InvalidChannelTokenAccount, InvalidPayerTokenAccount, InvalidTreasuryTokenAccount];
        for (index, error) in errors.into_iter().enumerate() {
            for account_type in [0, 1, 3] {
                let mut world = world();
                let (address, _) = roles(&world)[index];
                let mut account = world.svm.get_account(&address).unwrap();
                account.data[165] = account_type;
                world.put(address, account);
                send(&mut world, index).rejects_with(error);
            }
        }
    }

    #[test]
    fn a_mismatch_is_seen_before_an_extension() {
        let mut world = world();
        world.edit_tokens(world.channel.payer_tokens, |tokens| {
            tokens.owner = toll_program_tests::named("buyer");
            tokens.trailer = tlv(&[(8, vec![1])]);
        });
        world.top_up(1).rejects_with(PayerAccountMismatch);
    }

    #[test]
    fn a_payees_extension_forfeits_its_share_whichever_it_is() {
        for number in NUMBERS.filter(|number| *number != 7) {
            let mut world = world();
            world.edit(|state| state.settled = 10);
            world.edit_tokens(world.channel.payee_tokens, |tokens| {
                tokens.trailer = tlv(&[(number, vec![0; 8])])
            });
            let events = world.distribute().succeeds().events();
            assert!(matches!(
                events[..],
                [Event::PayoutRedirected { amount: 10, beneficiary: 1, reason: 0, .. }]
            ));
        }
    }
}

mod spl {
    use super::*;

    #[test]
    fn an_spl_account_with_a_trailer_is_malformed() {
        let mut world = World::with_channel(Plan::default());
        world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.trailer = tlv(&[(7, vec![])]));
        world.top_up(1).rejects_with(InvalidPayerTokenAccount);
    }

    #[test]
    fn an_spl_mint_with_a_trailer_is_malformed() {
        let mut world = World::with_channel(Plan::default());
        let trailer = tlv(&[(18, vec![0; 64])]);
        world.put(world.channel.mint, mint_account(&toll_program_tests::TOKEN_PROGRAM, DECIMALS, &trailer));
        world.top_up(1).rejects_with(MintAccountMismatch);
    }
}
