//! `open`: what it makes, what it costs, and how much of the ground may be occupied already.

use toll_program_tests::{
    ChannelError, Event, GRACE_PERIOD, InstructionError, OPEN_SLOT_WINDOW, PAYER_TOKENS, Plan,
    RENT_OF_CHANNEL, SLOT, TOKEN_2022_PROGRAM, TokenKind, TokenState, UNINITIALIZED, World, named, preimage,
    program_id, rent_of,
};

const ESCROW_SIZE: usize = 165;

#[test]
fn a_new_channel_holds_exactly_its_terms() {
    for token in TokenKind::ALL {
        let mut world = World::before_open(Plan { token, ..Plan::with_shares(&[1_000, 250]) });
        world.open().succeeds();

        assert_eq!(world.state(), world.channel.opened());
        let account = world.svm.get_account(&world.channel.address).unwrap();
        assert_eq!(account.owner, program_id());
        assert_eq!(account.data[..4], [1, 1, world.channel.bump, 0]);
        assert_eq!(account.lamports, RENT_OF_CHANNEL);
    }
}

#[test]
fn the_deposit_moves_from_the_payer_to_the_escrow() {
    for token in TokenKind::ALL {
        let mut world = World::before_open(Plan { token, ..Plan::default() });
        world.open().succeeds();

        assert_eq!(world.tokens(&world.channel.escrow), 1_000_000);
        assert_eq!(world.tokens(&world.channel.payer_tokens), PAYER_TOKENS - 1_000_000);
        let escrow = world.token_state(&world.channel.escrow).unwrap();
        assert_eq!((escrow.owner, escrow.mint), (world.channel.address, world.channel.mint));
    }
}

#[test]
fn an_empty_list_of_splits_has_the_documented_hash() {
    let mut world = World::before_open(Plan::default());
    world.open().succeeds();
    let hash: String = world.state().distribution_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, "df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119");
}

#[test]
fn opened_is_the_only_event_and_the_only_self_invocation() {
    let mut world = World::before_open(Plan::default());
    let landed = world.open().succeeds();

    let opened = Event::Opened { channel: world.channel.address, open_slot: SLOT };
    assert_eq!(landed.events(), [opened]);
    let data = landed.invocations_of(&program_id());
    assert_eq!(data.len(), 1);
    assert_eq!(data[0].len(), 56);
    assert_eq!(
        data[0][..16],
        [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d, 0xa6, 0xac, 0x61, 9, 0x4d, 0x4c, 0xbd, 0x6d]
    );
    assert_eq!(data[0][16..48], world.channel.address.to_bytes());
    assert_eq!(data[0][48..], SLOT.to_le_bytes());
}

#[test]
fn the_rent_payer_pays_rent_to_the_lamport_and_the_payer_pays_none() {
    for (token, escrow_size) in [(TokenKind::Spl, ESCROW_SIZE), (TokenKind::Token2022, ESCROW_SIZE + 5)] {
        let mut world = World::before_open(Plan { token, ..Plan::default() });
        let (payer, rent_payer) = (world.channel.plan.payer, world.channel.plan.rent_payer);
        let before = (world.lamports(&payer), world.lamports(&rent_payer));
        world.open().succeeds();

        assert_eq!(world.lamports(&payer), before.0);
        assert_eq!(world.lamports(&rent_payer), before.1 - RENT_OF_CHANNEL - rent_of(escrow_size));
        assert_eq!(world.lamports(&world.channel.escrow), rent_of(escrow_size));
    }
}

#[test]
fn a_payer_who_is_the_rent_payer_and_the_fee_payer_pays_rent_and_one_fee() {
    let payer = named("payer");
    let mut world = World::before_open(Plan { rent_payer: payer, ..Plan::default() });
    let before = world.lamports(&payer);
    world.open().paid_by(payer).succeeds();

    assert_eq!(before - world.lamports(&payer), RENT_OF_CHANNEL + rent_of(ESCROW_SIZE) + 5_000);
    assert_eq!(world.state().rent_payer, payer);
}

#[test]
fn lamports_on_the_address_lower_the_rent_due() {
    let mut world = World::before_open(Plan::default());
    let rent_payer = world.channel.plan.rent_payer;
    // The least that the ledger lets anyone send to an empty address.
    let gift = rent_of(0);
    world.put(world.channel.address, wallet_of(gift));
    let before = world.lamports(&rent_payer);
    world.open().succeeds();

    assert_eq!(world.state(), world.channel.opened());
    assert_eq!(world.lamports(&world.channel.address), RENT_OF_CHANNEL);
    assert_eq!(before - world.lamports(&rent_payer), RENT_OF_CHANNEL - gift + rent_of(ESCROW_SIZE));
}

#[test]
fn lamports_beyond_the_rent_stay_on_the_address() {
    for gift in [RENT_OF_CHANNEL, RENT_OF_CHANNEL + 1] {
        let mut world = World::before_open(Plan::default());
        let rent_payer = world.channel.plan.rent_payer;
        world.put(world.channel.address, wallet_of(gift));
        let before = world.lamports(&rent_payer);
        world.open().succeeds();

        assert_eq!(world.lamports(&world.channel.address), gift);
        assert_eq!(before - world.lamports(&rent_payer), rent_of(ESCROW_SIZE));
    }
}

#[test]
fn one_lamport_on_the_address_does_not_stop_open() {
    let mut world = World::before_open(Plan::default());
    world.put(world.channel.address, wallet_of(1));
    world.open().succeeds();
    assert_eq!(world.lamports(&world.channel.address), RENT_OF_CHANNEL);
}

#[test]
fn an_escrow_that_exists_already_is_taken_over_and_its_tokens_are_not_credited() {
    for token in TokenKind::ALL {
        let mut world = World::before_open(Plan { token, ..Plan::default() });
        world.put_tokens(world.channel.address, 77);
        let before = world.lamports(&world.channel.plan.rent_payer);
        world.open().succeeds();

        assert_eq!(world.state().deposit, 1_000_000);
        assert_eq!(world.tokens(&world.channel.escrow), 1_000_077);
        assert_eq!(before - world.lamports(&world.channel.plan.rent_payer), RENT_OF_CHANNEL);
    }
}

#[test]
fn an_open_slot_lives_for_1500_slots() {
    for age in [0, 1, OPEN_SLOT_WINDOW - 1, OPEN_SLOT_WINDOW] {
        let mut world = World::before_open(Plan { open_slot: SLOT - age, ..Plan::default() });
        world.open().succeeds();
        assert_eq!(world.state().open_slot, SLOT - age);
    }
    let mut world = World::before_open(Plan { open_slot: SLOT - OPEN_SLOT_WINDOW - 1, ..Plan::default() });
    world.open().rejects_with(ChannelError::OpenSlotOutOfWindow);
}

#[test]
fn an_open_slot_of_zero_or_of_the_far_future_rejects() {
    for open_slot in [0, SLOT + 1, u64::MAX] {
        let mut world = World::before_open(Plan { open_slot, ..Plan::default() });
        world.open().rejects_with(ChannelError::OpenSlotOutOfWindow);
    }
}

#[test]
fn a_live_channel_is_not_opened_again() {
    let mut world = World::opened(Plan::default());
    // The system program's AccountAlreadyInUse.
    world.open().rejects_with(InstructionError::Custom(0));
}

#[test]
fn a_distributed_channel_is_not_opened_again() {
    let mut world = World::with_state(Plan::default(), |state| state.status = 3);
    world.open().rejects_with(InstructionError::Custom(0));
}

#[test]
fn the_smallest_terms_are_enough() {
    let mut world = World::before_open(Plan { deposit: 1, grace_period: 1, ..Plan::default() });
    world.open().succeeds();
    assert_eq!((world.state().deposit, world.state().grace_period), (1, 1));
}

#[test]
fn a_grace_period_has_no_upper_bound() {
    let mut world = World::before_open(Plan { grace_period: u32::MAX, ..Plan::default() });
    world.open().succeeds();
    assert_eq!(world.state().grace_period, u32::MAX);
}

#[test]
fn the_whole_share_may_go_to_recipients() {
    let mut world = World::before_open(Plan::with_shares(&[9_999, 1]));
    world.open().succeeds();
}

#[test]
fn a_sum_that_would_wrap_rejects() {
    // Two times 32,768 is 0 in sixteen bits.
    let mut world = World::before_open(Plan::with_shares(&[0x8000, 0x8000]));
    world.open().rejects_with(ChannelError::InvalidSplitConfig);
}

#[test]
fn a_zero_share_is_seen_before_a_repeated_recipient_of_the_same_entry() {
    let splits = vec![(named("a"), 1), (named("a"), 0)];
    World::before_open(Plan { splits, ..Plan::default() })
        .open()
        .rejects_with(ChannelError::InvalidSplitConfig);
}

#[test]
fn a_repeated_recipient_is_seen_before_a_zero_share_of_a_later_entry() {
    let splits = vec![(named("a"), 1), (named("a"), 1), (named("b"), 0)];
    World::before_open(Plan { splits, ..Plan::default() })
        .open()
        .rejects_with(ChannelError::DuplicateRecipient);
}

#[test]
fn a_repeated_recipient_is_seen_before_the_sum_of_all_shares() {
    let splits = vec![(named("a"), 9_000), (named("b"), 9_000), (named("a"), 1)];
    World::before_open(Plan { splits, ..Plan::default() })
        .open()
        .rejects_with(ChannelError::DuplicateRecipient);
}

#[test]
fn thirty_three_recipients_reject_whatever_follows_the_count() {
    let shares = [1; 33];
    let mut world = World::before_open(Plan::with_shares(&shares));
    world.open().rejects_with(ChannelError::InvalidRecipientCount);
    // A count of 2³² − 1 and nothing behind it.
    let data = [&world.channel.open_data(&[])[..29], &[0xff; 4]].concat();
    world.open().data(data).rejects_with(ChannelError::InvalidRecipientCount);
}

#[test]
fn one_byte_after_the_last_recipient_rejects() {
    let mut world = World::before_open(Plan::with_shares(&[1_000]));
    world.open().trailing(&[0]).rejects_with(InstructionError::InvalidInstructionData);
}

#[test]
fn a_count_below_the_recipients_sent_rejects() {
    let mut world = World::before_open(Plan::with_shares(&[1_000, 250]));
    world.open().patch(29, &1u32.to_le_bytes()).rejects_with(InstructionError::InvalidInstructionData);
}

#[test]
fn the_payee_may_be_a_recipient_too() {
    let splits = vec![(named("payee"), 500), (named("payer"), 500)];
    let mut world = World::before_open(Plan { splits, ..Plan::default() });
    world.open().succeeds();
}

#[test]
fn the_payer_may_sign_its_own_vouchers() {
    let key = toll_program_tests::voucher_key(3).verifying_key().to_bytes().into();
    let mut world = World::before_open(Plan { payer: key, ..Plan::default() });
    world.open().succeeds();
    assert_eq!(world.state().authorized_signer, world.state().payer);
}

#[test]
fn terms_that_differ_in_one_seed_open_beside_each_other() {
    let mut world = World::opened(Plan::default());
    let first = world.channel.address;
    for plan in [
        Plan { salt: 43, ..Plan::default() },
        Plan { open_slot: SLOT - 1, ..Plan::default() },
        Plan { voucher_key: 4, ..Plan::default() },
        Plan { payee: named("another payee"), ..Plan::default() },
    ] {
        world.channel = toll_program_tests::Channel::new(plan);
        assert_ne!(world.channel.address, first);
        world.open().succeeds();
        assert_eq!(world.state(), world.channel.opened());
    }
}

#[test]
fn terms_outside_the_seeds_do_not_make_another_channel() {
    let mut world = World::opened(Plan::default());
    let before = world.state();
    world.channel.plan.deposit = 5;
    world.channel.plan.grace_period = GRACE_PERIOD + 1;
    world.open().rejects_with(InstructionError::Custom(0));
    assert_eq!(world.state(), before);
}

#[test]
fn a_payer_without_enough_tokens_rejects() {
    for token in TokenKind::ALL {
        let mut world = World::before_open(Plan { token, deposit: PAYER_TOKENS + 1, ..Plan::default() });
        // The token program's InsufficientFunds.
        world.open().rejects_with(InstructionError::Custom(1));
    }
}

#[test]
fn a_rent_payer_without_lamports_rejects() {
    let mut world = World::before_open(Plan::default());
    world.put(world.channel.plan.rent_payer, wallet_of(RENT_OF_CHANNEL - 1));
    // The system program's ResultWithNegativeLamports.
    world.open().rejects_with(InstructionError::Custom(1));
}

#[test]
fn an_uninitialized_payer_token_account_rejects() {
    let mut world = World::before_open(Plan::default());
    world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.state = UNINITIALIZED);
    world.open().rejects_with(ChannelError::PayerAccountMismatch);
}

#[test]
fn a_payer_token_account_of_another_mint_rejects() {
    let mut world = World::before_open(Plan::default());
    world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.mint = named("another mint"));
    world.open().rejects_with(ChannelError::PayerAccountMismatch);
}

#[test]
fn a_malformed_account_is_seen_before_an_uninitialized_one() {
    let mut world = World::before_open(Plan::default());
    let mut state = world.token_state(&world.channel.payer_tokens).unwrap();
    state.state = UNINITIALIZED;
    let mut account = toll_program_tests::token_account(&world.channel.token_program, &state);
    account.data.pop();
    world.put(world.channel.payer_tokens, account);
    world.open().rejects_with(ChannelError::InvalidPayerTokenAccount);
}

#[test]
fn a_delegate_on_the_payers_tokens_is_no_concern() {
    let mut world = World::before_open(Plan::default());
    world.edit_tokens(world.channel.payer_tokens, |tokens| tokens.delegate = Some(named("delegate")));
    world.open().succeeds();
}

#[test]
fn a_mint_of_the_other_token_program_rejects() {
    let mut world = World::before_open(Plan::default());
    let mint = toll_program_tests::mint_account(&TOKEN_2022_PROGRAM, 6, &[]);
    world.put(world.channel.mint, mint);
    world.open().rejects_with(ChannelError::MintAccountMismatch);
}

#[test]
fn a_token_account_in_place_of_the_mint_rejects() {
    let mut world = World::before_open(Plan::default());
    let state = TokenState::ordinary(named("mint"), named("payer"), &world.channel.token_program, 1);
    world.put_token_state(world.channel.mint, &state);
    world.open().rejects_with(ChannelError::MintAccountMismatch);
}

#[test]
fn the_data_is_bit_for_bit_the_documented_vector() {
    let mut channel = toll_program_tests::Channel::new(Plan {
        salt: 42,
        deposit: 50_000,
        grace_period: 900,
        open_slot: 352_114_093,
        ..Plan::default()
    });
    let hex: String = channel.open().data.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "012a0000000000000050c300000000000084030000add5fc140000000000000000");

    channel.plan.splits = vec![([0x11; 32].into(), 1_000), ([0x22; 32].into(), 250)];
    assert_eq!(channel.open().data[29..], preimage(&channel.plan.splits));
    let hash: String = toll_program_tests::preimage_hash(&channel.plan.splits)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hash, "6100593369f3f0f2313a7e1ab2ab6d0c412edde83d91a23f1c06829c9dd1c9df");
}

fn wallet_of(lamports: u64) -> toll_program_tests::Account {
    toll_program_tests::Account::new(lamports, 0, &toll_program_tests::SYSTEM_PROGRAM)
}
