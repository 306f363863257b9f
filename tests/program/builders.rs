//! `toll-protocol` against the same description: its instructions, bytes and addresses are the documented ones.

use toll_program_tests::{
    Batch, Channel, ChannelState, Plan, Proof, Status, TokenKind, Voucher, World, preimage, preimage_hash,
    program_id, settle_batch, settle_batch_of_the_living, treasury_owner, voucher_key,
};
use toll_protocol::{
    Agreement, Amount, BatchVoucher, ChannelAccount, ChannelEvent, ChannelId, ChannelInstruction,
    ChannelStatus, ChannelTerms, Invocation, Open, SignedBatch, SignedCeiling, SignedVoucher, SkipReason,
    Split, Splits, TopUp,
};

fn channel(token: TokenKind) -> Channel {
    Channel::new(Plan { token, ..Plan::with_shares(&[1_000, 250, 1]) })
}

fn splits(channel: &Channel) -> Splits {
    let splits = channel.plan.splits.iter();
    Splits::new(
        splits.map(|(recipient, share_bps)| Split { recipient: *recipient, share_bps: *share_bps }).collect(),
    )
    .unwrap()
}

fn terms(channel: &Channel) -> ChannelTerms {
    ChannelTerms {
        payer: channel.plan.payer,
        payee: channel.plan.payee,
        mint: channel.mint,
        authorized_signer: channel.authorized_signer,
        salt: channel.plan.salt,
        open_slot: channel.plan.open_slot,
    }
}

fn built(channel: &Channel) -> toll_protocol::Channel {
    toll_protocol::Channel {
        program: program_id(),
        id: ChannelId::new(channel.address.to_bytes()),
        payer: channel.plan.payer,
        payee: channel.plan.payee,
        mint: channel.mint,
        token_program: channel.token_program,
        rent_payer: channel.plan.rent_payer,
        splits: splits(channel),
        treasury_owner: treasury_owner(),
    }
}

#[test]
fn addresses_agree() {
    for token in TokenKind::ALL {
        let channel = channel(token);
        let (id, bump) = terms(&channel).address(&program_id());
        assert_eq!((id.pubkey(), bump), (channel.address, channel.bump));
        assert_eq!(built(&channel).escrow(), channel.escrow);
        assert_eq!(toll_protocol::event_authority(&program_id()), toll_program_tests::event_authority());
    }
}

#[test]
fn the_open_instruction_agrees_and_reads_back() {
    for token in TokenKind::ALL {
        let channel = channel(token);
        let open = Open {
            agreement: Agreement {
                program: program_id(),
                terms: terms(&channel),
                grace_period: channel.plan.grace_period,
                splits: splits(&channel),
                rent_payer: channel.plan.rent_payer,
                token_program: channel.token_program,
            },
            deposit: Amount::new(channel.plan.deposit),
        };
        let instruction = open.instruction();
        assert_eq!(instruction, channel.open());
        let keys: Vec<_> = instruction.accounts.iter().map(|meta| meta.pubkey).collect();
        assert_eq!(Open::decode(&instruction.data, &keys).unwrap(), open);
    }
}

#[test]
fn the_top_up_instruction_agrees_and_reads_back() {
    let channel = channel(TokenKind::Spl);
    let instruction = built(&channel).top_up(Amount::new(77));
    assert_eq!(instruction, channel.top_up(77));
    let keys: Vec<_> = instruction.accounts.iter().map(|meta| meta.pubkey).collect();
    assert_eq!(TopUp::decode(&instruction.data, &keys).unwrap().amount, Amount::new(77));
}

#[test]
fn the_other_instructions_agree() {
    for token in TokenKind::ALL {
        let channel = channel(token);
        let built = built(&channel);
        assert_eq!(built.settle(), channel.settle());
        assert_eq!(built.settle_and_seal(true), channel.settle_and_seal(1));
        assert_eq!(built.settle_and_seal(false), channel.settle_and_seal(0));
        assert_eq!(built.request_close(), channel.request_close());
        assert_eq!(built.seal(), channel.seal());
        assert_eq!(built.distribute(), channel.distribute());
        assert_eq!(built.withdraw_payer(), channel.withdraw_payer());
        assert_eq!(built.reclaim(), channel.reclaim());
        assert_eq!(built.rearm(true), channel.rearm(1));
        assert_eq!(built.rearm(false), channel.rearm(0));
        assert_eq!(built.settle_up_to(Amount::new(9)), channel.settle_up_to(9));
        assert_eq!(built.settle_closing(), channel.settle_closing());
        assert_eq!(built.checkpoint(), channel.checkpoint());
    }
}

#[test]
fn batches_agree_and_read_back() {
    let targets: Vec<_> =
        (1..=60u64).map(|salt| Channel::new(Plan { salt, ..Plan::default() }).address).zip(7..).collect();
    for count in [1, 2, 59, 60] {
        let ours = Batch { expires_at: 1_234, ..Batch::of(targets[..count].iter().copied()) };
        let theirs = targets[..count]
            .iter()
            .map(|(channel, target)| (ChannelId::new(channel.to_bytes()), Amount::new(*target)))
            .collect();
        let theirs = BatchVoucher::new(program_id(), theirs, 1_234).unwrap();
        assert_eq!(theirs.encode(), ours.encode());
        assert_eq!(toll_protocol::settle_batch(&theirs), settle_batch_of_the_living(&ours.channels()));
        let signed = SignedBatch::sign(theirs, &voucher_key(3));
        let proof = toll_protocol::ed25519_verify_batch(&signed);
        assert_eq!(proof, Proof::of(&ours.encode(), &voucher_key(3)).instruction());
        for settle in [settle_batch(&ours.channels()), settle_batch_of_the_living(&ours.channels())] {
            let keys: Vec<_> = settle.accounts.iter().map(|meta| meta.pubkey).collect();
            let decoded = toll_protocol::decode_settle_batch(&proof.data, &program_id(), &keys);
            assert_eq!(decoded.as_ref(), Ok(&signed));
            let named = ChannelInstruction::decode(&settle.data, &keys).map(|settle| settle.channels());
            assert_eq!(named, Ok(signed.batch.channels().copied().collect()));
        }
    }
}

#[test]
fn events_read_back() {
    let mut world = World::opened(Plan::with_shares(&[1_000]));
    let id = built(&world.channel.clone()).id;
    let event_of = |landed: toll_program_tests::Landed| {
        let data = landed.invocations_of(&program_id());
        ChannelEvent::decode(data.last().expect("an event")).expect("a known event")
    };
    let settled = event_of(world.settle_up_to(60, &world.ceiling(100)).succeeds());
    assert_eq!(settled, ChannelEvent::Settled { channel: id, settled: Amount::new(60) });
    let rearmed = event_of(world.rearm().succeeds());
    let (settled, refunded) = (Amount::new(60), Amount::new(999_940));
    assert_eq!(rearmed, ChannelEvent::Rearmed { channel: id, settled, distributed: settled, refunded });
    world.top_up(10).succeeds();
    let batch = Batch::of([(world.channel.address, 70)]);
    world.seal_as_payee().succeeds();
    let skipped = event_of(world.settle_batch_of_the_living(&batch).succeeds());
    let (target, reason) = (Amount::new(70), SkipReason::Sealed);
    assert_eq!(skipped, ChannelEvent::Skipped { channel: id, target, settled, reason });
    let ChannelEvent::Checkpointed { channel, account } = event_of(world.checkpoint().succeeds()) else {
        panic!("another event");
    };
    assert_eq!((channel, account.encode()[..].to_vec()), (id, world.state().encode()));
    world.remove(world.channel.address);
    assert_eq!(event_of(world.checkpoint().succeeds()), ChannelEvent::Vacant { channel: id });
}

#[test]
fn the_events_of_a_failed_transaction_look_genuine_and_are_not_read() {
    let mut world = World::opened(Plan::with_shares(&[1_000]));
    let id = built(&world.channel.clone()).id;
    // The second instruction fails, and takes the capture back.
    let (ceiling, seal) = (world.ceiling(100), world.channel.seal());
    let invoked = world.settle_up_to(60, &ceiling).followed_by([seal]).invoked_before_failing();
    assert_eq!(world.state().settled, 0);
    let read = |status: Result<(), &str>| {
        let invocations =
            invoked.iter().map(|(program, accounts, data)| Invocation { program, accounts, data });
        ChannelEvent::of_transaction(&status, &program_id(), invocations)
    };
    let settled = ChannelEvent::Settled { channel: id, settled: Amount::new(60) };
    assert_eq!(read(Ok(())), Ok(vec![settled]), "to whoever does not ask whether it succeeded");
    assert_eq!(read(Err("custom program error: 0x2")), Ok(Vec::new()));
}

#[test]
fn vouchers_and_their_proofs_agree() {
    let channel = channel(TokenKind::Spl);
    for (cumulative, expires_at) in [(0, 0), (16, 0), (42, 1_234), (u64::MAX, i64::MIN)] {
        let ours = Voucher { magic: [0x56, 0x01], channel: channel.address, cumulative, expires_at };
        let theirs = toll_protocol::Voucher {
            channel_id: ChannelId::new(channel.address.to_bytes()),
            cumulative_amount: Amount::new(cumulative),
            expires_at,
        };
        assert_eq!(theirs.encode()[..], ours.encode());
        let signed = SignedVoucher::sign(theirs, &voucher_key(3));
        let proof = Proof::of(&ours.encode(), &voucher_key(3));
        assert_eq!(toll_protocol::ed25519_verify(&signed), proof.instruction());
    }
}

#[test]
fn ceilings_and_their_proofs_agree() {
    let mut world = World::with_channel(Plan::default());
    let ours = Voucher { expires_at: i64::MAX, ..world.ceiling(77) };
    let theirs = toll_protocol::Ceiling {
        channel_id: ChannelId::new(world.channel.address.to_bytes()),
        maximum: Amount::new(77),
        expires_at: i64::MAX,
    };
    assert_eq!(theirs.encode()[..], ours.encode());
    let proof = toll_protocol::ed25519_verify_ceiling(&SignedCeiling::sign(theirs, &voucher_key(3)));
    assert_eq!(proof, world.sign(&ours).instruction());
    let capture = world.channel.settle_up_to(76);
    world.attempt(capture).preceded_by(proof).succeeds();
    assert_eq!(world.state().settled, 76);
}

#[test]
fn splits_agree() {
    let channel = channel(TokenKind::Spl);
    assert_eq!(splits(&channel).preimage(), preimage(&channel.plan.splits));
    assert_eq!(splits(&channel).hash(), preimage_hash(&channel.plan.splits));
}

#[test]
fn channel_accounts_agree() {
    let channel = channel(TokenKind::Spl);
    for (status, theirs) in [
        (Status::Open, ChannelStatus::Open),
        (Status::Sealed, ChannelStatus::Sealed),
        (Status::Closing, ChannelStatus::Closing),
        (Status::Distributed, ChannelStatus::Distributed),
    ] {
        let state = ChannelState {
            status: status as u8,
            settled: 7,
            payout_watermark: 5,
            closure_started_at: -3,
            payer_withdrawn_at: 9,
            ..channel.opened()
        };
        let account = ChannelAccount::decode(&state.encode()).unwrap();
        assert_eq!(account.status, theirs);
        assert_eq!((account.settled, account.payout_watermark), (Amount::new(7), Amount::new(5)));
        assert_eq!((account.closure_started_at, account.payer_withdrawn_at), (-3, 9));
        assert_eq!(account.terms(), terms(&channel));
        assert_eq!(account.encode()[..], state.encode());
    }
}

#[test]
fn a_session_built_by_the_protocol_crate_runs_on_the_program() {
    let mut world = World::before_open(Plan::with_shares(&[1_000, 250, 1]));
    let built = built(&world.channel.clone());
    world.open().succeeds();
    let voucher = toll_protocol::Voucher {
        channel_id: built.id,
        cumulative_amount: Amount::new(10_000),
        expires_at: 0,
    };
    let proof = toll_protocol::ed25519_verify(&SignedVoucher::sign(voucher, &voucher_key(3)));
    world
        .attempt(built.settle_and_seal(true))
        .preceded_by(proof)
        .followed_by([built.distribute()])
        .succeeds();
    let account = world.svm.get_account(&world.channel.address).unwrap();
    assert_eq!(ChannelAccount::decode(&account.data).unwrap().status, ChannelStatus::Distributed);
}
