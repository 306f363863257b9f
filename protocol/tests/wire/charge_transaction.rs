//! Which transactions pay a charge. Each case changes one thing about one that does.

use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use solana_hash::Hash;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::{Message, VersionedMessage, v0, v1};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::*;

use crate::charge::{charge, split};
use crate::sample::{key, payer, pubkey};

const CAPS: ChargeCaps = ChargeCaps { unit_limit: 200_000, unit_price: 50_000 };

fn sponsor() -> Pubkey {
    key(0xFE)
}

/// A charge whose payer pays the fee itself.
fn unsponsored() -> ChargeRequest {
    let mut request = charge();
    request.method_details.fee_payer_key = None;
    request
}

fn instructions(request: &ChargeRequest) -> Vec<Instruction> {
    let mut all = vec![compute_unit_price(1), compute_unit_limit(200_000)];
    all.extend(request.instructions(&pubkey(&payer()), &TOKEN_PROGRAM).expect("the charge keeps the rules"));
    all
}

fn signed(message: VersionedMessage, key: &SigningKey) -> Vec<u8> {
    let signers = usize::from(message.header().num_required_signatures);
    let mut signatures = vec![Signature::default(); signers];
    let own = message.static_account_keys()[..signers].iter().position(|signer| *signer == pubkey(key));
    if let Some(own) = own {
        signatures[own] = Signature::from(key.sign(&message.serialize()).to_bytes());
    }
    encode_transaction(&VersionedTransaction { signatures, message })
}

fn legacy(fee_payer: &Pubkey, instructions: &[Instruction]) -> Vec<u8> {
    let message = Message::new_with_blockhash(instructions, Some(fee_payer), &Hash::new_from_array([7; 32]));
    signed(VersionedMessage::Legacy(message), &payer())
}

fn verify(bytes: &[u8], request: &ChargeRequest) -> Result<VerifiedCharge, ChargeRefused> {
    verify_charge(bytes, request, &TOKEN_PROGRAM, &CAPS)
}

#[test]
fn a_charge_is_paid_in_every_format_by_the_sponsor_or_the_payer() {
    for (request, fee_payer) in [(charge(), sponsor()), (unsponsored(), pubkey(&payer()))] {
        let all = instructions(&request);
        let blockhash = Hash::new_from_array([7; 32]);
        let v0 = v0::Message::try_compile(&fee_payer, &all, &[], blockhash).expect("a message");
        let config = v1::TransactionConfig::empty().with_compute_unit_limit(200_000).with_priority_fee(1);
        let v1 = v1::Message::try_compile_with_config(&fee_payer, &all[2..], blockhash, config)
            .expect("a message");
        let formats = [
            legacy(&fee_payer, &all),
            signed(VersionedMessage::V0(v0), &payer()),
            signed(VersionedMessage::V1(v1), &payer()),
        ];
        for bytes in formats {
            let verified = verify(&bytes, &request).expect("it pays");
            assert_eq!((verified.payer, verified.fee_payer), (pubkey(&payer()), fee_payer));
            assert_eq!(verified.creates, [key(0x11)]);
            assert_eq!(verified.message_digest, message_digest(&verified.transaction.message));
        }
    }
}

#[test]
fn a_transaction_that_does_anything_else_is_refused() {
    let payer = pubkey(&payer());
    let own = associated_token_address(&payer, &key(0xAA), &TOKEN_PROGRAM);
    let of = |owner: Pubkey| associated_token_address(&owner, &key(0xAA), &TOKEN_PROGRAM);
    let system = move |tag: u8| Instruction {
        program_id: SYSTEM_PROGRAM,
        accounts: vec![AccountMeta::new(sponsor(), true), AccountMeta::new(payer, false)],
        data: [vec![tag, 0, 0, 0], vec![1; 8]].concat(),
    };
    let token = move |data: Vec<u8>| Instruction {
        program_id: TOKEN_PROGRAM,
        accounts: vec![
            AccountMeta::new(own, false),
            AccountMeta::new(payer, false),
            AccountMeta::new(payer, true),
        ],
        data,
    };
    let create = |funder, owner, mint| CreateAssociatedTokenAccount {
        funder,
        owner,
        mint,
        token_program: TOKEN_PROGRAM,
    };
    type Bend = Box<dyn Fn(&mut Vec<Instruction>)>;
    // In order: price, limit, creation, the recipient's transfer, two of the split, two memos.
    type Says = fn(&ChargeRefused) -> bool;
    let cases: Vec<(&str, Bend, Says)> = vec![
        ("system transfer", Box::new(move |all| all.push(system(2))), |it| {
            matches!(it, ChargeRefused::ForeignProgram(_))
        }),
        ("system create", Box::new(move |all| all.push(system(0))), |it| {
            matches!(it, ChargeRefused::ForeignProgram(_))
        }),
        ("nonce", Box::new(move |all| all.insert(0, system(4))), |it| {
            matches!(it, ChargeRefused::ForeignProgram(_))
        }),
        (
            "foreign program",
            Box::new(|all| all.push(Instruction { program_id: key(0x55), accounts: vec![], data: vec![] })),
            |it| matches!(it, ChargeRefused::ForeignProgram(_)),
        ),
        ("approve", Box::new(move |all| all.push(token(vec![4; 9]))), |it| {
            matches!(it, ChargeRefused::Instruction(_))
        }),
        ("set authority", Box::new(move |all| all.push(token(vec![6, 2, 0]))), |it| {
            matches!(it, ChargeRefused::Instruction(_))
        }),
        ("close account", Box::new(move |all| all.push(token(vec![9]))), |it| {
            matches!(it, ChargeRefused::Instruction(_))
        }),
        ("plain transfer", Box::new(move |all| all.push(token(vec![3; 9]))), |it| {
            matches!(it, ChargeRefused::Instruction(_))
        }),
        ("one unit less", Box::new(|all| all[3].data[1] = all[3].data[1].wrapping_sub(1)), |it| {
            matches!(it, ChargeRefused::Transfer { .. })
        }),
        ("one unit more", Box::new(|all| all[3].data[1] += 1), |it| {
            matches!(it, ChargeRefused::Transfer { .. })
        }),
        ("other decimals", Box::new(|all| all[3].data[9] = 9), |it| {
            matches!(it, ChargeRefused::Mint { decimals: 9, .. })
        }),
        ("other mint", Box::new(|all| all[3].accounts[1].pubkey = key(0xAB)), |it| {
            matches!(it, ChargeRefused::Mint { .. })
        }),
        ("to the owner itself", Box::new(|all| all[3].accounts[2].pubkey = key(0xEE)), |it| {
            matches!(it, ChargeRefused::Transfer { .. })
        }),
        ("to somebody else", Box::new(move |all| all[3].accounts[2].pubkey = of(key(0x99))), |it| {
            matches!(it, ChargeRefused::Transfer { .. })
        }),
        ("to the payer", Box::new(move |all| all[3].accounts[2].pubkey = own), |it| {
            matches!(it, ChargeRefused::ToItself)
        }),
        ("from the sponsor", Box::new(move |all| all[3].accounts[0].pubkey = of(sponsor())), |it| {
            matches!(it, ChargeRefused::Source { .. })
        }),
        ("the sponsor's authority", Box::new(|all| all[3].accounts[3].pubkey = sponsor()), |it| {
            matches!(it, ChargeRefused::Source { .. })
        }),
        ("no payment", Box::new(|all| drop(all.remove(3))), |it| {
            matches!(it, ChargeRefused::LegMissing { .. })
        }),
        ("one transfer for two equal splits", Box::new(|all| drop(all.remove(5))), |it| {
            matches!(it, ChargeRefused::LegMissing { .. })
        }),
        ("paid twice", Box::new(|all| all.insert(3, all[3].clone())), |it| {
            matches!(it, ChargeRefused::Transfer { .. })
        }),
        ("no account for the split", Box::new(|all| drop(all.remove(2))), |it| {
            matches!(it, ChargeRefused::CreationMissing)
        }),
        (
            "the account too late",
            Box::new(|all| {
                let create = all.remove(2);
                all.push(create);
            }),
            |it| matches!(it, ChargeRefused::CreationMissing),
        ),
        ("the account twice", Box::new(|all| all.insert(2, all[2].clone())), |it| {
            matches!(it, ChargeRefused::Creation(_))
        }),
        (
            "an account for the recipient",
            Box::new(move |all| all.insert(2, create(sponsor(), key(0xEE), key(0xAA)).instruction())),
            |it| matches!(it, ChargeRefused::Creation(_)),
        ),
        (
            "an account of another mint",
            Box::new(move |all| all.insert(2, create(sponsor(), key(0x11), key(0xAB)).instruction())),
            |it| matches!(it, ChargeRefused::Creation(_)),
        ),
        (
            "an account at the payer's cost",
            Box::new(move |all| all[2] = create(payer, key(0x11), key(0xAA)).instruction()),
            |it| matches!(it, ChargeRefused::Creation(_)),
        ),
        ("creation that is not idempotent", Box::new(|all| all[2].data = vec![0]), |it| {
            matches!(it, ChargeRefused::Instruction(_))
        }),
        ("creation at another address", Box::new(|all| all[2].accounts[1].pubkey = key(0x77)), |it| {
            matches!(it, ChargeRefused::Instruction(_))
        }),
        ("no reference", Box::new(|all| drop(all.remove(6))), |it| matches!(it, ChargeRefused::MemoMissing)),
        ("another reference", Box::new(|all| all[6] = memo("order-8")), |it| {
            matches!(it, ChargeRefused::Memo)
        }),
        ("a memo twice", Box::new(|all| all.push(all[6].clone())), |it| matches!(it, ChargeRefused::Memo)),
        (
            "a memo of the sponsor",
            Box::new(|all| all[6].accounts.push(AccountMeta::new_readonly(sponsor(), true))),
            |it| matches!(it, ChargeRefused::MemoAccounts),
        ),
        ("more units", Box::new(|all| all[1] = compute_unit_limit(300_001)), |it| {
            matches!(it, ChargeRefused::UnitLimit { units: 300_001, most: 300_000 })
        }),
        ("dearer units", Box::new(|all| all[0] = compute_unit_price(50_001)), |it| {
            matches!(it, ChargeRefused::UnitPrice { .. })
        }),
        ("a price without a limit", Box::new(|all| drop(all.remove(1))), |it| {
            matches!(it, ChargeRefused::PriceWithoutLimit)
        }),
        ("two limits", Box::new(|all| all.push(compute_unit_limit(1))), |it| {
            matches!(it, ChargeRefused::BudgetTwice)
        }),
        ("heap", Box::new(|all| all[1].data = vec![1, 0, 0, 1, 0]), |it| matches!(it, ChargeRefused::Budget)),
        (
            "a budget with accounts",
            Box::new(|all| all[1].accounts.push(AccountMeta::new(sponsor(), true))),
            |it| matches!(it, ChargeRefused::Budget),
        ),
        (
            "another signer",
            Box::new(|all| all[6].accounts.push(AccountMeta::new_readonly(key(0x66), true))),
            |it| matches!(it, ChargeRefused::Signers { .. }),
        ),
    ];
    for (what, bend, expected) in cases {
        let mut all = instructions(&charge());
        bend(&mut all);
        let refused = verify(&legacy(&sponsor(), &all), &charge()).map(|_| ()).expect_err(what);
        assert!(expected(&refused), "{what}: {refused:?}");
    }
}

#[test]
fn the_right_ones_sign_and_nobody_else() {
    let all = instructions(&charge());
    let bytes = legacy(&sponsor(), &all);
    let bent = |bend: fn(&mut VersionedTransaction)| {
        let mut transaction = decode_transaction(&bytes).expect("a transaction");
        bend(&mut transaction);
        verify(&encode_transaction(&transaction), &charge()).map(|_| ())
    };
    assert_eq!(bent(|_| {}), Ok(()));
    let payer = pubkey(&payer());
    assert_eq!(bent(|it| it.signatures[1] = Signature::default()), Err(ChargeRefused::PayerUnsigned(payer)));
    assert_eq!(bent(|it| it.signatures[0] = Signature::from([1; 64])), Err(ChargeRefused::SponsorSigned));
    // Who was to pay the fee is part of the terms.
    let sponsored = Err(ChargeRefused::Signers { sponsor: Some(sponsor()) });
    assert_eq!(verify(&legacy(&payer, &instructions(&unsponsored())), &charge()).map(|_| ()), sponsored);
    assert_eq!(verify(&legacy(&key(0x44), &all), &charge()).map(|_| ()), sponsored);
    assert_eq!(verify(&bytes, &unsponsored()).map(|_| ()), Err(ChargeRefused::Signers { sponsor: None }),);
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let undecodable = |bytes: &[u8]| match verify(bytes, &charge()) {
        Err(ChargeRefused::Undecodable(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(undecodable(&[]), TransactionError::Malformed);
    assert_eq!(undecodable(&[0; 1_233]), TransactionError::TooLarge(1_233));
    let all = instructions(&charge());
    let mut v0 = v0::Message::try_compile(&sponsor(), &all, &[], Hash::default()).expect("a message");
    v0.address_table_lookups.push(v0::MessageAddressTableLookup {
        account_key: key(0x70),
        writable_indexes: vec![0],
        readonly_indexes: vec![],
    });
    assert_eq!(undecodable(&signed(VersionedMessage::V0(v0), &payer())), TransactionError::LookupTables);
}

#[test]
fn a_payment_on_chain_is_held_against_its_legs_and_memos_only() {
    let request = unsponsored();
    let paid = |all: &[Instruction]| {
        let bytes = legacy(&pubkey(&payer()), all);
        verify_paid(&decode_transaction(&bytes).expect("a transaction"), &request, &TOKEN_PROGRAM)
    };
    let mut all = instructions(&request);
    assert_eq!(paid(&all), Ok(pubkey(&payer())));
    // What a wallet adds is its own affair.
    all.push(Instruction { program_id: key(0x55), accounts: vec![], data: vec![1] });
    all.remove(2);
    assert_eq!(paid(&all), Ok(pubkey(&payer())));
    let short =
        all.iter().enumerate().filter(|(index, _)| *index != 3).map(|(_, it)| it.clone()).collect::<Vec<_>>();
    assert!(matches!(paid(&short), Err(ChargeRefused::LegMissing { .. })));
    all.retain(|instruction| instruction.data != b"order-7");
    assert_eq!(paid(&all), Err(ChargeRefused::MemoMissing));
}

/// Instructions that a payer might try to slip in, and the charge's own.
fn soup() -> impl Strategy<Value = Vec<Instruction>> {
    let request = charge();
    let own = instructions(&request);
    let sponsored = associated_token_address(&sponsor(), &key(0xAA), &TOKEN_PROGRAM);
    let foreign = [
        Instruction {
            program_id: SYSTEM_PROGRAM,
            accounts: vec![AccountMeta::new(sponsor(), true), AccountMeta::new(pubkey(&payer()), false)],
            data: [vec![2, 0, 0, 0], vec![1; 8]].concat(),
        },
        TransferChecked {
            token_program: TOKEN_PROGRAM,
            source: sponsored,
            mint: key(0xAA),
            destination: associated_token_address(&key(0xEE), &key(0xAA), &TOKEN_PROGRAM),
            authority: sponsor(),
            amount: Amount::new(800),
            decimals: 6,
        }
        .instruction(),
        compute_unit_price(u64::MAX),
        compute_unit_limit(1_400_000),
        create_associated_token_account(&sponsor(), &key(0x31), &key(0xAA), &TOKEN_PROGRAM),
        memo("anything"),
    ];
    let bent = (0..own.len(), any::<prop::sample::Index>(), any::<u8>());
    (
        proptest::collection::vec((0..foreign.len(), any::<prop::sample::Index>()), 0..3),
        proptest::option::of(bent),
    )
        .prop_map(move |(extra, bent)| {
            let mut all = own.clone();
            if let Some((instruction, at, byte)) = bent {
                let data = &mut all[instruction].data;
                let at = at.index(data.len());
                data[at] = byte;
            }
            for (which, at) in extra {
                all.insert(at.index(all.len() + 1), foreign[which].clone());
            }
            all
        })
}

proptest! {
    // Whatever is accepted takes nothing of the sponsor but a bounded fee and the rent that was promised.
    #[test]
    fn what_is_accepted_takes_no_more_of_the_sponsor_than_was_promised(all in soup()) {
        let Ok(verified) = verify(&legacy(&sponsor(), &all), &charge()) else { return Ok(()) };
        prop_assert!(verified.creates.iter().all(|owner| *owner == key(0x11)) && verified.creates.len() <= 1);
        let (mut paid, mut limit, mut price) = (0u64, 0u64, 0u64);
        for instruction in static_instructions(&verified.transaction).expect("no lookup tables") {
            let stands = instruction.accounts.iter().position(|account| account.pubkey == sponsor());
            prop_assert!(stands.is_none() || (instruction.program_id == ASSOCIATED_TOKEN_PROGRAM && stands == Some(0)));
            if let Ok(transfer) = TransferChecked::decode(&instruction) {
                prop_assert_eq!(transfer.authority, pubkey(&payer()));
                paid += transfer.amount.get();
            }
            if instruction.program_id == COMPUTE_BUDGET_PROGRAM {
                match ComputeBudget::decode(&instruction.data).expect("understood") {
                    ComputeBudget::UnitLimit(units) => limit = units.into(),
                    ComputeBudget::UnitPrice(micro) => price = micro,
                }
            }
        }
        prop_assert_eq!(paid, 1_000, "all that was asked, and no more");
        prop_assert!(u128::from(limit) * u128::from(price) <= u128::from(CAPS.units(2)) * u128::from(CAPS.unit_price));
    }

    // Reading never panics.
    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(verify(&bytes, &charge()).is_err());
    }
}

#[test]
fn a_payer_may_create_the_account_of_any_split_and_set_its_own_fee() {
    let mut request = unsponsored();
    request.method_details.splits = vec![split(0x11, 100, None, false)];
    let mut all = instructions(&request);
    let payer = pubkey(&payer());
    all.insert(2, create_associated_token_account(&payer, &key(0x11), &key(0xAA), &TOKEN_PROGRAM));
    all[0] = compute_unit_price(u64::from(u32::MAX));
    let verified = verify(&legacy(&payer, &all), &request).expect("it pays");
    assert_eq!(verified.creates, [key(0x11)]);
    all[2] = create_associated_token_account(&payer, &key(0xEE), &key(0xAA), &TOKEN_PROGRAM);
    let refused = verify(&legacy(&payer, &all), &request).map(|_| ());
    assert_eq!(refused, Err(ChargeRefused::Creation(key(0xEE))), "never the recipient's");
}
