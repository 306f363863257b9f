//! The program this crate speaks to: its committed constants and its interface description.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use toll_protocol::*;

fn program_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/session-channel").join(name)
}

fn constants() -> String {
    fs::read_to_string(program_file("src/constants.rs")).expect("the program's constants are there")
}

/// The program's interface description, and its instruction called `name`.
fn idl_instruction<'a>(idl: &'a Value, name: &str) -> &'a Value {
    let instructions = idl["instructions"].as_array().expect("instructions");
    let found = instructions.iter().find(|instruction| instruction["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is in the interface description"))
}

fn idl() -> Value {
    let bytes = fs::read(program_file("idl.json")).expect("the program's interface description is there");
    serde_json::from_slice(&bytes).expect("it is JSON")
}

fn key(byte: u8) -> Pubkey {
    Pubkey::new_from_array([byte; 32])
}

fn open() -> Open {
    let split = |byte, share_bps| Split { recipient: key(byte), share_bps };
    Open {
        agreement: Agreement {
            program: PROGRAM_ID,
            terms: ChannelTerms {
                payer: key(1),
                payee: key(2),
                mint: key(3),
                authorized_signer: key(4),
                salt: 42,
                open_slot: 7,
            },
            grace_period: 900,
            splits: Splits::new(vec![split(0x11, 1_000), split(0x22, 250)]).expect("valid splits"),
            rent_payer: key(5),
            token_program: TOKEN_PROGRAM,
        },
        deposit: Amount::new(50_000),
    }
}

fn channel() -> Channel {
    open().agreement.channel(TREASURY_OWNER)
}

fn batch() -> BatchVoucher {
    BatchVoucher::new(PROGRAM_ID, vec![(channel().id, Amount::new(7))], 0).expect("a batch of one")
}

/// Each instruction, its name there, and what this crate takes its accounts to be.
fn instructions() -> Vec<(&'static str, Instruction, &'static [&'static str])> {
    let channel = channel();
    vec![
        (
            "open",
            open().instruction(),
            &[
                "payer",
                "rent_payer",
                "payee",
                "mint",
                "authorized_signer",
                "channel",
                "payer_token_account",
                "channel_token_account",
                "token_program",
                "system_program",
                "rent",
                "associated_token_program",
                "event_authority",
                "self_program",
            ],
        ),
        ("settle", channel.settle(), &["channel", "instructions"]),
        (
            "top_up",
            channel.top_up(Amount::new(1)),
            &["payer", "channel", "payer_token_account", "channel_token_account", "mint", "token_program"],
        ),
        ("settle_and_seal", channel.settle_and_seal(true), &["payee", "channel", "instructions"]),
        ("request_close", channel.request_close(), &["payer", "channel"]),
        ("seal", channel.seal(), &["channel"]),
        (
            "distribute",
            channel.distribute(),
            &[
                "channel",
                "payer",
                "rent_payer",
                "channel_token_account",
                "payer_token_account",
                "payee_token_account",
                "treasury_token_account",
                "mint",
                "token_program",
                "event_authority",
                "self_program",
            ],
        ),
        (
            "withdraw_payer",
            channel.withdraw_payer(),
            &["payer", "channel", "channel_token_account", "payer_token_account", "mint", "token_program"],
        ),
        ("reclaim", channel.reclaim(), &["channel", "rent_payer"]),
        ("settle_batch", settle_batch(&batch()), &["instructions"]),
        (
            "rearm",
            channel.rearm(true),
            &[
                "payee",
                "channel",
                "channel_token_account",
                "mint",
                "payer_token_account",
                "token_program",
                "instructions",
                "payee_token_account",
                "treasury_token_account",
                "event_authority",
                "self_program",
            ],
        ),
        (
            "settle_up_to",
            channel.settle_up_to(Amount::new(1)),
            &["payee", "channel", "instructions", "event_authority", "self_program"],
        ),
        (
            "settle_closing",
            channel.settle_closing(),
            &["channel", "instructions", "event_authority", "self_program"],
        ),
        ("checkpoint", channel.checkpoint(), &["channel", "event_authority", "self_program"]),
    ]
}

#[test]
fn program_id_is_the_programs_default() {
    let default = format!(r#"LOCALNET_PROGRAM_ID: &str = "{PROGRAM_ID}";"#);
    assert!(constants().contains(&default), "{default}");
}

#[test]
fn treasury_owner_is_the_programs_placeholder() {
    let default = format!(r#"PLACEHOLDER_TREASURY_OWNER: &str = "{TREASURY_OWNER}";"#);
    assert!(constants().contains(&default), "{default}");
    assert_eq!(TREASURY_OWNER.to_bytes(), std::array::from_fn(|index| [0xBE, 0xEF][index % 2]));
}

#[test]
fn interface_description_is_of_this_program() {
    assert_eq!(idl()["address"], PROGRAM_ID.to_string());
}

#[test]
fn discriminators_are_the_programs() {
    let idl = idl();
    for (name, instruction, _) in instructions() {
        let described = idl_instruction(&idl, name);
        assert_eq!(described["discriminator"], serde_json::json!([instruction.data[0]]), "{name}");
    }
}

#[test]
fn account_lists_have_the_programs_order() {
    let idl = idl();
    for (name, _, accounts) in instructions() {
        let described = idl_instruction(&idl, name)["accounts"].as_array().expect("accounts");
        let names: Vec<_> =
            described.iter().map(|account| account["name"].as_str().expect("a name")).collect();
        assert_eq!(names, accounts, "{name}");
    }
}

#[test]
fn account_flags_are_the_programs() {
    let idl = idl();
    for (name, instruction, accounts) in instructions() {
        let described = idl_instruction(&idl, name)["accounts"].as_array().expect("accounts");
        assert_eq!(described.len(), accounts.len(), "{name}");
        // Recipients follow the named accounts of `distribute` and `rearm`, channels those of `settle_batch`.
        assert!(instruction.accounts.len() >= described.len(), "{name}");
        for (meta, account) in instruction.accounts.iter().zip(described) {
            let flag = |flag: &str| account[flag].as_bool().unwrap_or(false);
            let flags = (meta.is_signer, meta.is_writable);
            assert_eq!(flags, (flag("signer"), flag("writable")), "{name}: {}", account["name"]);
        }
    }
}

// All sample keys differ, so two accounts that trade places in one list stand out.
#[test]
fn one_name_stands_for_one_account_in_every_list() {
    let mut keys: HashMap<&str, Pubkey> = HashMap::new();
    for (name, instruction, accounts) in instructions() {
        for (meta, account) in instruction.accounts.iter().zip(accounts) {
            let known = *keys.entry(account).or_insert(meta.pubkey);
            assert_eq!(meta.pubkey, known, "{name}: {account}");
        }
    }
    let distinct: HashSet<_> = keys.values().collect();
    assert_eq!(distinct.len(), keys.len());
    assert_eq!(keys["instructions"], INSTRUCTIONS_SYSVAR);
    assert_eq!(keys["self_program"], PROGRAM_ID);
    assert_eq!(keys["channel_token_account"], channel().escrow());
}

#[test]
fn arguments_have_the_programs_order() {
    let idl = idl();
    let expected: [(&str, &[(&str, &str)]); 14] = [
        (
            "open",
            &[
                ("salt", "u64"),
                ("deposit", "u64"),
                ("grace_period", "u32"),
                ("open_slot", "u64"),
                ("splits", SPLITS),
            ],
        ),
        ("settle", &[]),
        ("top_up", &[("amount", "u64")]),
        ("settle_and_seal", &[("has_voucher", "u8")]),
        ("request_close", &[]),
        ("seal", &[]),
        ("distribute", &[("splits", SPLITS)]),
        ("withdraw_payer", &[]),
        ("reclaim", &[]),
        ("settle_batch", &[]),
        ("rearm", &[("has_voucher", "u8"), ("splits", SPLITS)]),
        ("settle_up_to", &[("amount", "u64")]),
        ("settle_closing", &[]),
        ("checkpoint", &[]),
    ];
    for (name, expected) in expected {
        let described = idl_instruction(&idl, name)["args"].as_array().expect("arguments");
        let described: Vec<_> = described
            .iter()
            .map(|argument| (argument["name"].as_str().expect("a name"), type_of(&argument["type"])))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(name, kind)| (*name, (*kind).to_owned())).collect();
        assert_eq!(described, expected, "{name}");
    }
}

const SPLITS: &str = r#"{"vec":{"defined":{"name":"Split"}}}"#;

fn type_of(described: &Value) -> String {
    described.as_str().map_or_else(|| described.to_string(), str::to_owned)
}

#[test]
fn nothing_but_the_instructions_spoken_here_and_the_event_is_described() {
    let idl = idl();
    let described = idl["instructions"].as_array().expect("instructions");
    let described: HashSet<_> =
        described.iter().filter_map(|instruction| instruction["name"].as_str()).collect();
    let spoken: HashSet<_> =
        instructions().into_iter().map(|(name, _, _)| name).chain(["emit_event"]).collect();
    assert_eq!(described, spoken);
}

#[test]
fn account_fields_lie_where_the_program_puts_them() {
    let account = ChannelAccount {
        bump: 254,
        status: ChannelStatus::Distributed,
        salt: 42,
        deposit: Amount::new(50_000),
        settled: Amount::new(33),
        payout_watermark: Amount::new(16),
        closure_started_at: 1_763_675_932,
        payer_withdrawn_at: 1_763_675_933,
        grace_period: 900,
        distribution_hash: [7; 32],
        payer: key(1),
        payee: key(2),
        authorized_signer: key(3),
        mint: key(4),
        rent_payer: key(5),
        open_slot: 352_114_093,
    };
    let fields: [(&str, Vec<u8>); 17] = [
        ("version", vec![CHANNEL_VERSION]),
        ("bump", vec![254]),
        ("status", vec![3]),
        ("salt", 42u64.to_le_bytes().into()),
        ("deposit", 50_000u64.to_le_bytes().into()),
        ("settled", 33u64.to_le_bytes().into()),
        ("payout_watermark", 16u64.to_le_bytes().into()),
        ("closure_started_at", 1_763_675_932i64.to_le_bytes().into()),
        ("payer_withdrawn_at", 1_763_675_933i64.to_le_bytes().into()),
        ("grace_period", 900u32.to_le_bytes().into()),
        ("distribution_hash", vec![7; 32]),
        ("payer", vec![1; 32]),
        ("payee", vec![2; 32]),
        ("authorized_signer", vec![3; 32]),
        ("mint", vec![4; 32]),
        ("rent_payer", vec![5; 32]),
        ("open_slot", 352_114_093u64.to_le_bytes().into()),
    ];
    let idl = idl();
    let types = idl["types"].as_array().expect("types");
    let described = types.iter().find(|kind| kind["name"] == "Channel").expect("the channel is described");
    let described = described["type"]["fields"].as_array().expect("fields");
    let names: Vec<_> = described.iter().map(|field| field["name"].as_str().expect("a name")).collect();
    assert_eq!(names, fields.each_ref().map(|(name, _)| *name));
    assert_eq!(idl["accounts"][0]["discriminator"], serde_json::json!([CHANNEL_DISCRIMINATOR]));

    let bytes: Vec<u8> =
        [CHANNEL_DISCRIMINATOR].into_iter().chain(fields.into_iter().flat_map(|(_, bytes)| bytes)).collect();
    assert_eq!(bytes, account.encode());
}

#[test]
fn events_have_the_programs_names_and_sizes() {
    let idl = idl();
    let described = idl["events"].as_array().expect("events");
    let sizes = [
        ("Opened", 40),
        ("PayoutRedirected", 74),
        ("Settled", 40),
        ("Rearmed", 56),
        ("Skipped", 49),
        ("Checkpointed", 287),
        ("Vacant", 32),
    ];
    assert_eq!(described.len(), sizes.len());
    for (name, size) in sizes {
        let event = described.iter().find(|event| event["name"] == name).expect("the event is described");
        let name = event["discriminator"].as_array().expect("bytes").iter();
        let name = name.map(|byte| byte.as_u64().expect("a byte") as u8);
        // A body of ones is a channel with version and status 1.
        let tag = [0xe4, 0x45, 0xa5, 0x2e, 0x51, 0xcb, 0x9a, 0x1d];
        let data: Vec<u8> = tag.into_iter().chain(name).chain(vec![1; size]).collect();
        assert!(ChannelEvent::decode(&data).is_ok(), "{}", event["name"]);
        assert_eq!(ChannelEvent::decode(&data[..15 + size]), Err(EventError::Body(size - 1)));
        assert_eq!(ChannelEvent::decode(&[data, vec![1]].concat()), Err(EventError::Body(size + 1)));
    }
    assert_eq!(ChannelEvent::decode(&[1, 2, 3]), Err(EventError::Tag));
}
