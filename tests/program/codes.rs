//! Every error code that can be reached, reached.

use std::collections::BTreeSet;
use toll_program_tests::{
    Account, Action, Batch, Channel,
    ChannelError::{self, *},
    FROZEN, NOW, OPEN_SLOT_WINDOW, Plan, Proof, SLOT, SYSTEM_PROGRAM, Status, Voucher, World,
    event_authority, named, voucher_key,
};

/// Codes that stand for states which no account and no argument can bring about.
const UNREACHABLE: [(ChannelError, &str); 8] = [
    (NotImplemented, "every instruction is implemented"),
    (InvalidPayeeTokenAccount, "an unusable payee account forfeits instead"),
    (InvalidRecipientTokenAccount, "an unusable recipient account forfeits instead"),
    (VoucherMessageMismatch, "reserved: the message is the voucher"),
    (DistributionPartsOverflow, "32 shares of 16 bits fit 32"),
    (DistributionAmountOverflow, "a share of a u64 is a u64"),
    (DistributionPreimageLengthOverflow, "the count is limited first"),
    (DistributeTransferQueueOverflow, "32 recipients and three more are the most"),
];

/// The code, the ledger, and the instruction that is answered with it there.
type Row = (ChannelError, fn() -> World, Action);

fn fresh() -> World {
    World::before_open(Plan::with_shares(&[1_000, 250]))
}

fn open() -> World {
    World::with_channel(Plan::default())
}

fn token_2022() -> World {
    World::with_state(
        Plan { token: toll_program_tests::TokenKind::Token2022, ..Plan::with_shares(&[1_000]) },
        |state| {
            state.settled = 10_000;
        },
    )
}

fn due() -> World {
    World::with_state(Plan::with_shares(&[1_000]), |state| state.settled = 10_000)
}

fn sealed() -> World {
    World::with_state(Plan::with_shares(&[1_000]), |state| {
        state.settled = 10_000;
        state.status = Status::Sealed as u8;
    })
}

fn closing() -> World {
    World::with_state(Plan::default(), |state| {
        state.status = Status::Closing as u8;
        state.closure_started_at = NOW;
    })
}

fn distributed() -> World {
    World::with_state(Plan::default(), |state| state.status = Status::Distributed as u8)
}

/// With a Token-2022 extension that asks for memos on the account that `pick` picks.
fn with_memos(pick: fn(&Channel) -> toll_program_tests::Pubkey, trailer: &[u8]) -> World {
    let mut world = token_2022();
    let address = pick(&world.channel);
    world.edit_tokens(address, |tokens| tokens.trailer = trailer.to_vec());
    world
}

const MEMO: [u8; 5] = [8, 0, 1, 0, 1];
const CUT_OFF: [u8; 2] = [7, 0];

const ROWS: [Row; 64] = [
    (MissingRequiredSignature, open, |world| world.request_close().unsigned(0)),
    (InvalidChannelStatus, open, |world| world.seal()),
    (
        InvalidAccountDiscriminator,
        || World::with_state(Plan::default(), |state| state.discriminator = 2),
        |world| world.request_close(),
    ),
    (
        UnsupportedChannelVersion,
        || World::with_state(Plan::default(), |state| state.version = 2),
        |world| world.request_close(),
    ),
    (InvalidChannelPayer, open, |world| world.request_close().account(0, named("stranger"))),
    (InvalidChannelPayee, open, |world| world.seal_as_payee().account(0, named("stranger"))),
    (InvalidChannelMint, open, |world| world.top_up(1).account(4, named("another mint"))),
    (InvalidEventAuthority, fresh, |world| world.open().account(12, named("authority"))),
    (NotEnoughAccountKeys, open, |world| world.request_close().one_account_less()),
    (InvalidChannelRentPayer, distributed, |world| world.reclaim().account(1, named("stranger"))),
    (ChannelAccountMismatch, fresh, |world| world.open().account(7, named("escrow"))),
    (InvalidChannelTokenAccount, open, |world| {
        world.remove(world.channel.escrow);
        world.top_up(1)
    }),
    (InvalidChannelTokenExtensions, || with_memos(|channel| channel.escrow, &MEMO), |world| world.top_up(1)),
    (MintAccountMismatch, open, |world| {
        world.spoil_mint();
        world.top_up(1)
    }),
    (InvalidMintTokenProgram, open, |world| world.top_up(1).account(5, named("token program"))),
    (
        MalformedMintTokenAccountData,
        || World::with_channel(Plan { mint_trailer: vec![0; 4], ..Plan::token_2022() }),
        |world| {
            let mut mint = world.svm.get_account(&world.channel.mint).unwrap();
            mint.data[100] = 1;
            world.put(world.channel.mint, mint);
            world.top_up(1)
        },
    ),
    (
        MalformedMintTokenExtensions,
        || World::with_channel(Plan { mint_trailer: vec![1, 0, 0, 0], ..Plan::token_2022() }),
        |world| world.top_up(1),
    ),
    (PayerAccountMismatch, fresh, |world| world.open().account(6, named("payer's tokens"))),
    (InvalidPayerTokenAccount, fresh, |world| {
        world.remove(world.channel.payer_tokens);
        world.open()
    }),
    (
        InvalidPayerTokenExtensions,
        || with_memos(|channel| channel.payer_tokens, &MEMO),
        |world| world.top_up(1),
    ),
    (PayeeAccountMismatch, due, |world| world.distribute().account(5, named("payee's tokens"))),
    (
        InvalidPayeeTokenExtensions,
        || with_memos(|channel| channel.payee_tokens, &CUT_OFF),
        |world| world.distribute(),
    ),
    (DepositMustBeNonZero, open, |world| world.top_up(0)),
    (
        GracePeriodMustBeNonZero,
        || World::before_open(Plan { grace_period: 0, ..Plan::default() }),
        |world| world.open(),
    ),
    (MissingEd25519Verification, open, |world| world.settle_alone()),
    (MalformedEd25519Instruction, open, |world| {
        let proof = world.sign(&world.voucher(1)).with_byte(1, 1);
        world.settle_proof(&proof)
    }),
    (VoucherChannelMismatch, open, |world| {
        let voucher = Voucher { channel: named("another"), ..world.voucher(1) };
        world.settle(&voucher)
    }),
    (VoucherExpired, open, |world| {
        let voucher = Voucher { expires_at: NOW, ..world.voucher(1) };
        world.settle(&voucher)
    }),
    (VoucherWatermarkNotMonotonic, due, |world| world.settle(&world.voucher(10_000))),
    (VoucherOverDeposit, open, |world| world.settle(&world.voucher(1_000_001))),
    (VoucherSignerMismatch, open, |world| {
        let proof = Proof::of(&world.voucher(1).encode(), &voucher_key(9));
        world.settle_proof(&proof)
    }),
    (VoucherBadMagic, open, |world| {
        let voucher = Voucher { magic: *b"V\x02", ..world.voucher(1) };
        world.settle(&voucher)
    }),
    (InvalidRecipientCount, || World::before_open(Plan::with_shares(&[1; 33])), |world| world.open()),
    (InvalidSplitConfig, || World::before_open(Plan::with_shares(&[0])), |world| world.open()),
    (DuplicateRecipient, fresh, |world| world.open().patch(33 + 34, named("recipient 0").as_ref())),
    (ChannelAddressMismatch, fresh, |world| world.open().account(5, named("elsewhere"))),
    (
        PayerPayeeMustDiffer,
        || World::before_open(Plan { payee: named("payer"), ..Plan::default() }),
        |world| world.open(),
    ),
    (InvalidAuthorizedSigner, fresh, |world| world.open().account(4, event_authority())),
    (
        OpenSlotOutOfWindow,
        || World::before_open(Plan { open_slot: SLOT + 1, ..Plan::default() }),
        |world| world.open(),
    ),
    (TopUpDepositOverflow, open, |world| world.top_up(u64::MAX)),
    (SealDeadlineOverflow, closing, |world| {
        world.spoil_closure(i64::MAX);
        world.seal()
    }),
    (SealGracePeriodNotElapsed, closing, |world| world.seal()),
    (PayerAlreadyWithdrawn, sealed, |world| {
        world.edit(|state| state.payer_withdrawn_at = NOW);
        world.withdraw_payer()
    }),
    (RefundCalculationOverflow, sealed, |world| {
        world.spoil_deposit(9_999);
        world.withdraw_payer()
    }),
    (ChannelNotDistributable, closing, |world| world.distribute()),
    (TreasuryAccountMismatch, due, |world| {
        world.edit_tokens(world.channel.treasury_tokens, |tokens| tokens.state = FROZEN);
        world.distribute()
    }),
    (InvalidTreasuryTokenAccount, due, |world| {
        world.remove(world.channel.treasury_tokens);
        world.distribute()
    }),
    (
        InvalidTreasuryTokenExtensions,
        || with_memos(|channel| channel.treasury_tokens, &MEMO),
        |world| world.distribute(),
    ),
    (RecipientAccountMismatch, due, |world| world.distribute().account(11, named("elsewhere"))),
    (
        InvalidRecipientTokenExtensions,
        || with_memos(|channel| channel.recipient_tokens[0], &CUT_OFF),
        |world| world.distribute(),
    ),
    (InvalidDistributionHash, due, |world| world.distribute().patch(5 + 32, &1_001u16.to_le_bytes())),
    (NothingToDistribute, || World::with_channel(Plan::default()), |world| world.distribute()),
    (RecipientAccountCountMismatch, due, |world| world.distribute().one_account_more()),
    (DistributePoolOverflow, due, |world| {
        world.spoil_payout_watermark(10_001);
        world.distribute()
    }),
    (DistributeBalanceCalculationOverflow, sealed, |world| {
        world.edit_tokens(world.channel.escrow, |tokens| tokens.amount = 999_999);
        world.distribute()
    }),
    (RentPayerBalanceOverflow, distributed, |world| {
        world.put(world.channel.plan.rent_payer, Account::new(u64::MAX, 0, &SYSTEM_PROGRAM));
        world.at_slot(SLOT + OPEN_SLOT_WINDOW + 1);
        world.reclaim()
    }),
    (ChannelCloseTooEarly, distributed, |world| world.reclaim()),
    (InvalidBatchSize, open, |world| {
        let batch = batch(world);
        world.settle_batch(&Batch { count: 2, ..batch })
    }),
    (BatchAccountCountMismatch, open, |world| {
        let batch = batch(world);
        world.settle_batch(&batch).one_account_more()
    }),
    (BatchChannelsNotAscending, open, |world| {
        let channel = world.channel.address;
        world.settle_batch(&Batch::of([(channel, 1), (channel, 2)]))
    }),
    (BatchChannelsMismatch, open, |world| {
        let batch = batch(world);
        world.settle_batch(&Batch { program: named("another program"), ..batch })
    }),
    (BatchTargetMustBeNonZero, open, |world| world.settle_batch(&Batch::of([(world.channel.address, 0)]))),
    (NothingToRearm, open, |world| {
        world.edit(|state| (state.settled, state.payout_watermark) = (state.deposit, state.deposit));
        world.rearm()
    }),
    (AmountOverVoucher, open, |world| world.settle_up_to(2, &world.ceiling(1))),
];

fn batch(world: &World) -> Batch {
    Batch::of([(world.channel.address, 1)])
}

#[test]
fn every_reachable_code_is_reached_and_changes_nothing() {
    for (error, start, send) in ROWS {
        send(&mut start()).rejects_with(error);
    }
}

#[test]
fn no_code_is_left_out() {
    let reached: BTreeSet<_> = ROWS.iter().map(|(error, ..)| *error).collect();
    let unreachable: BTreeSet<_> = UNREACHABLE.iter().map(|(error, _)| *error).collect();
    assert!(reached.is_disjoint(&unreachable));
    assert_eq!(
        reached.len() + unreachable.len(),
        65 + 7,
        "the reference's codes, and those of the additions"
    );
}
