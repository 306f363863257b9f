//! Every way in which an open can disagree with its challenge, its credential or the rules, one test each.
//! None of them leaves anything on record for co-signing.

use serde_json::json;
use solana_hash::Hash;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::VersionedMessage;
use solana_message::v0::MessageAddressTableLookup;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::{
    Amount, OPEN_SLOT_WINDOW, SYSTEM_PROGRAM, Split, Splits, TOKEN_2022_PROGRAM, compute_unit_limit,
    compute_unit_price,
};

use crate::opening::Opening;
use crate::world::{DEPOSIT, PAYEE, PAYER, SLOT, SPONSOR, STRANGER, World};

async fn rejects(bend: impl FnOnce(&mut Opening), kind: &str, code: &str) {
    let world = World::new().await;
    let mut opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    bend(&mut opening);
    world.refuses_402(&opening.authorization(), kind, code).await;
    assert!(world.ledger.requested().await.expect("ledger").is_empty());
}

macro_rules! rejects {
    ($($name:ident: $kind:literal $code:literal, $bend:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let bend: fn(&mut Opening) = $bend;
            rejects(bend, $kind, $code).await;
        }
    )*};
}

fn splits(share_bps: u16) -> Splits {
    Splits::new(vec![Split { recipient: STRANGER.pubkey(), share_bps }]).expect("splits")
}

fn transfer(from: Pubkey) -> Instruction {
    let mut data = vec![2, 0, 0, 0];
    data.extend_from_slice(&1_000_000u64.to_le_bytes());
    let accounts = vec![AccountMeta::new(from, true), AccountMeta::new(STRANGER.pubkey(), false)];
    Instruction { program_id: SYSTEM_PROGRAM, accounts, data }
}

// The transaction says something else than challenge and credential.
rejects! {
    another_payer_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.set_transaction_terms(|terms| terms.payer = STRANGER.pubkey());
    another_payee_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.set_transaction_terms(|terms| terms.payee = STRANGER.pubkey());
    another_mint_in_the_transaction: "verification-failed" "mint-not-allowed",
        |opening| opening.set_transaction_terms(|terms| terms.mint = STRANGER.pubkey());
    another_signer_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.set_transaction_terms(|terms| terms.authorized_signer = STRANGER.pubkey());
    another_salt_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.set_transaction_terms(|terms| terms.salt = 8);
    another_open_slot_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.set_transaction_terms(|terms| terms.open_slot -= 1);
    another_deposit_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.open.deposit = Amount::new(DEPOSIT - 1);
    another_grace_period_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.open.agreement.grace_period = 1;
    splits_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.open.agreement.splits = splits(9_999);
    another_rent_payer_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.open.agreement.rent_payer = PAYER.pubkey();
    another_token_program_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.open.agreement.token_program = TOKEN_2022_PROGRAM;
    another_program_in_the_transaction: "verification-failed" "open-mismatch",
        |opening| opening.open.agreement.program = STRANGER.pubkey();
}

// The credential says something else than challenge and transaction.
rejects! {
    another_channel_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.channel_id = STRANGER.pubkey().into();
    another_payer_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.payer = STRANGER.pubkey();
    another_payee_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.payee = STRANGER.pubkey();
    another_mint_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.mint = STRANGER.pubkey();
    another_signer_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.authorized_signer = STRANGER.pubkey();
    another_salt_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.salt = 8;
    another_deposit_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.deposit = Amount::new(DEPOSIT + 1);
    another_grace_period_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.grace_period = 901;
    another_open_slot_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.open_slot -= 1;
    splits_in_the_credential: "verification-failed" "open-mismatch",
        |opening| opening.action.splits = Some(splits(1));
    a_policy_for_another_signer: "verification-failed" "open-mismatch",
        |opening| opening.bend_payload(|payload| {
            payload["authorizationPolicy"] = json!({ "signer": STRANGER.pubkey().to_string() });
        });
}

// Credential and transaction agree on what the challenge does not offer.
rejects! {
    another_payee_than_challenged: "verification-failed" "open-mismatch",
        |opening| opening.set_terms(|terms| terms.payee = STRANGER.pubkey());
    a_mint_that_is_not_listed: "verification-failed" "mint-not-allowed",
        |opening| opening.set_terms(|terms| terms.mint = STRANGER.pubkey());
    another_grace_period_than_challenged: "verification-failed" "open-mismatch",
        |opening| { opening.open.agreement.grace_period = 1; opening.action.grace_period = 1; };
    other_splits_than_challenged: "verification-failed" "open-mismatch",
        |opening| { opening.open.agreement.splits = splits(500); opening.action.splits = Some(splits(500)); };
    a_slot_after_the_challenged_one: "verification-failed" "open-mismatch",
        |opening| opening.set_terms(|terms| terms.open_slot = SLOT + 1);
    a_slot_older_than_the_window: "verification-failed" "open-mismatch",
        |opening| opening.set_terms(|terms| terms.open_slot = SLOT - OLDEST - 1);
    a_deposit_below_the_minimum: "verification-failed" "deposit-too-small",
        |opening| { opening.open.deposit = Amount::new(99); opening.action.deposit = Amount::new(99); };
    an_idle_timeout_nobody_offered: "verification-failed" "idle-timeout-not-offered",
        |opening| opening.action.idle_timeout = Some(601);
    the_sponsor_as_payer: "verification-failed" "open-mismatch",
        |opening| { opening.set_terms(|terms| terms.payer = SPONSOR.pubkey()); opening.payer = SPONSOR.signing(); };
    the_payee_as_payer: "verification-failed" "open-mismatch",
        |opening| { opening.set_terms(|terms| terms.payer = PAYEE.pubkey()); opening.payer = PAYEE.signing(); };
    a_signer_off_the_curve: "verification-failed" "open-mismatch",
        |opening| {
            let off_curve = (0..).map(|byte| Pubkey::from([byte; 32])).find(|key| !key.is_on_curve());
            opening.set_terms(|terms| terms.authorized_signer = off_curve.expect("half of them"));
        };
    a_signer_of_small_order: "verification-failed" "open-mismatch",
        |opening| {
            let mut identity = [0; 32];
            identity[0] = 1;
            opening.set_terms(|terms| terms.authorized_signer = Pubkey::from(identity));
        };
}

// What else stands in the transaction.
rejects! {
    another_fee_payer: "verification-failed" "open-mismatch",
        |opening| opening.fee_payer = STRANGER.pubkey();
    the_payer_as_fee_payer: "verification-failed" "open-mismatch",
        |opening| opening.fee_payer = PAYER.pubkey();
    another_blockhash: "verification-failed" "open-mismatch",
        |opening| opening.blockhash = Hash::new_from_array([1; 32]);
    a_transfer_from_the_sponsor: "verification-failed" "open-mismatch",
        |opening| opening.after = vec![transfer(SPONSOR.pubkey())];
    a_transfer_from_the_payer: "verification-failed" "open-mismatch",
        |opening| opening.before = vec![transfer(PAYER.pubkey())];
    an_instruction_of_an_unknown_program: "verification-failed" "open-mismatch",
        |opening| opening.after = vec![Instruction { program_id: STRANGER.pubkey(), accounts: vec![], data: vec![] }];
    a_durable_nonce: "verification-failed" "open-mismatch",
        |opening| opening.before = vec![Instruction {
            program_id: SYSTEM_PROGRAM,
            accounts: vec![AccountMeta::new(STRANGER.pubkey(), false), AccountMeta::new_readonly(PAYER.pubkey(), true)],
            data: vec![4, 0, 0, 0],
        }];
    two_opens: "verification-failed" "open-mismatch",
        |opening| opening.after = vec![opening.open.instruction()];
    an_open_and_a_reclaim: "verification-failed" "open-mismatch",
        |opening| opening.after = vec![Instruction {
            program_id: opening.open.agreement.program,
            accounts: vec![AccountMeta::new(STRANGER.pubkey(), false), AccountMeta::new(SPONSOR.pubkey(), false)],
            data: vec![9],
        }];
    no_channel_instruction: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| *open = compute_unit_limit(1));
    another_channel_instruction: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| open.data = vec![5]);
    a_compute_unit_limit_above_the_cap: "verification-failed" "open-mismatch",
        |opening| opening.before = vec![compute_unit_limit(400_001)];
    a_compute_unit_price_above_the_cap: "verification-failed" "open-mismatch",
        |opening| opening.before = vec![compute_unit_price(50_001)];
    a_repeated_compute_unit_price: "verification-failed" "open-mismatch",
        |opening| opening.before = vec![compute_unit_price(1), compute_unit_price(2)];
    a_heap_request: "verification-failed" "open-mismatch",
        |opening| opening.before = vec![Instruction { data: vec![1, 0, 0, 1, 0], ..compute_unit_limit(1) }];
    a_compute_budget_instruction_with_accounts: "verification-failed" "open-mismatch",
        |opening| opening.before = vec![Instruction {
            accounts: vec![AccountMeta::new(STRANGER.pubkey(), false)],
            ..compute_unit_limit(1)
        }];
    a_lookup_table: "verification-failed" "open-mismatch",
        |opening| opening.bend_message(|message| {
            let VersionedMessage::V0(v0) = message else { unreachable!() };
            v0.address_table_lookups.push(MessageAddressTableLookup {
                account_key: STRANGER.pubkey(),
                writable_indexes: vec![0],
                readonly_indexes: vec![],
            });
        });
    a_stray_account: "verification-failed" "open-mismatch",
        |opening| opening.bend_message(|message| {
            let VersionedMessage::V0(v0) = message else { unreachable!() };
            v0.account_keys.push(STRANGER.pubkey());
            v0.header.num_readonly_unsigned_accounts += 1;
        });
    a_third_signer: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| open.accounts[2].is_signer = true);
    a_readonly_account_made_writable: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| open.accounts[3].is_writable = true);
    a_writable_account_made_readonly: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| open.accounts[5].is_writable = false);
    data_after_the_arguments: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| open.data.push(0));
    truncated_data: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| { open.data.pop(); });
    an_account_too_many: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| open.accounts.push(open.accounts[2].clone()));
    an_account_too_few: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| { open.accounts.pop(); });
    payee_and_mint_swapped: "verification-failed" "open-mismatch",
        |opening| opening.bend_instruction(|open| open.accounts.swap(2, 3));
}

/// Replaces one account of the open by a stranger's.
async fn foreign_account(index: usize) {
    rejects(
        move |opening| {
            opening.bend_instruction(move |open| open.accounts[index].pubkey = STRANGER.pubkey());
        },
        "verification-failed",
        "open-mismatch",
    )
    .await;
}

macro_rules! foreign_accounts {
    ($($name:ident: $index:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            foreign_account($index).await;
        }
    )*};
}

foreign_accounts! {
    a_foreign_account_at_payer: 0;
    a_foreign_account_at_rent_payer: 1;
    a_foreign_account_at_payee: 2;
    a_foreign_account_at_mint: 3;
    a_foreign_account_at_authorized_signer: 4;
    a_foreign_account_at_channel: 5;
    a_foreign_account_at_payer_tokens: 6;
    a_foreign_account_at_escrow: 7;
    a_foreign_account_at_token_program: 8;
    a_foreign_account_at_system_program: 9;
    a_foreign_account_at_rent_sysvar: 10;
    a_foreign_account_at_associated_token_program: 11;
    a_foreign_account_at_event_authority: 12;
    a_foreign_account_at_own_program: 13;
}

// Signatures and bytes.
rejects! {
    a_missing_payer_signature: "verification-failed" "open-mismatch",
        |opening| opening.bend_signed(|signed| signed.signatures[1] = Signature::default());
    an_invalid_payer_signature: "verification-failed" "open-mismatch",
        |opening| opening.bend_signed(|signed| signed.signatures[1] = Signature::from([1; 64]));
    a_payer_signature_over_another_message: "verification-failed" "open-mismatch",
        |opening| {
            opening.action.deposit = Amount::new(DEPOSIT + 1);
            opening.bend_signed(|signed| {
                let VersionedMessage::V0(v0) = &mut signed.message else { unreachable!() };
                let open = v0.instructions.last_mut().expect("the open");
                open.data[9..17].copy_from_slice(&(DEPOSIT + 1).to_le_bytes());
            });
        };
    a_deposit_beyond_the_ledgers_integers: "verification-failed" "open-mismatch",
        |opening| {
            opening.open.deposit = Amount::new(u64::MAX);
            opening.action.deposit = Amount::new(u64::MAX);
        };
    a_filled_sponsor_slot: "verification-failed" "open-mismatch",
        |opening| opening.bend_signed(|signed| signed.signatures[0] = Signature::from([1; 64]));
    bytes_that_are_no_transaction: "verification-failed" "open-mismatch",
        |opening| opening.action.transaction = vec![1, 2, 3];
    a_transaction_over_the_size_limit: "verification-failed" "open-mismatch",
        |opening| opening.action.transaction = vec![0; 1_233];
    a_transaction_that_is_not_base64: "malformed-credential" "malformed",
        |opening| opening.bend_payload(|payload| payload["transaction"] = json!("!!!"));
    a_transaction_in_url_safe_base64: "malformed-credential" "malformed",
        |opening| opening.bend_payload(|payload| payload["transaction"] = json!("_-_-"));
}

// The credential's shape.
rejects! {
    a_bump_in_the_credential: "malformed-credential" "malformed",
        |opening| opening.bend_payload(|payload| payload["bump"] = json!(255));
    the_right_bump_in_the_credential: "malformed-credential" "malformed",
        |opening| {
            let bump = opening.open.agreement.terms.address(&opening.open.agreement.program).1;
            opening.bend_payload(move |payload| payload["bump"] = json!(bump));
        };
    a_voucher_in_the_open: "malformed-credential" "malformed",
        |opening| opening.bend_payload(|payload| payload["voucher"] = json!({}));
    an_operators_proof_in_the_open: "malformed-credential" "malformed",
        |opening| opening.bend_payload(|payload| payload["authentication"] = json!({
            "type": "proof",
            "challengeId": "x",
            "payer": PAYER.pubkey().to_string(),
            "signature": Signature::from([1; 64]).to_string(),
        }));
    a_grace_period_of_zero: "malformed-credential" "malformed",
        |opening| opening.bend_payload(|payload| payload["gracePeriodSeconds"] = json!(0));
    a_numeric_salt: "malformed-credential" "malformed",
        |opening| opening.bend_payload(|payload| payload["salt"] = json!(7));
    a_missing_open_slot: "malformed-credential" "malformed",
        |opening| opening.bend_payload(|payload| { payload.as_object_mut().expect("object").remove("openSlot"); });
    an_oversized_policy: "malformed-credential" "malformed",
        |opening| opening.bend_payload(|payload| payload["authorizationPolicy"] = json!({ "x": "y".repeat(1_024) }));
}

/// How many slots before the tip an open may start: it must be in the program's window for as long as its blockhash
/// lives, which is 150 blocks.
const OLDEST: u64 = OPEN_SLOT_WINDOW - 150;

#[tokio::test]
async fn the_oldest_slot_that_can_still_land_opens() {
    let world = World::new().await;
    let mut opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    opening.set_terms(|terms| terms.open_slot = SLOT - OLDEST);
    assert_eq!(world.get("/paid", &opening.authorization()).await.status, 200);
}

#[tokio::test]
async fn a_slot_that_could_leave_the_window_before_it_lands_rejects() {
    let world = World::new().await;
    let mut opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    opening.set_terms(|terms| terms.open_slot = SLOT - OLDEST);
    world.publish_tip(SLOT + 1).await;
    world.refuses_402(&opening.authorization(), "verification-failed", "open-mismatch").await;
}

#[tokio::test]
async fn a_deposit_at_the_minimum_opens() {
    let world = World::new().await;
    let opening = Opening::answering(&world.challenge("/paid").await, 7, 100);
    assert_eq!(world.get("/paid", &opening.authorization()).await.status, 200);
}

#[tokio::test]
async fn an_idle_timeout_rejects_when_none_is_offered() {
    let world = World::with(|terms| terms.idle_timeout_options.clear()).await;
    let mut opening = Opening::answering(&world.challenge("/paid").await, 7, DEPOSIT);
    opening.action.idle_timeout = Some(600);
    let answer =
        world.refuses_402(&opening.authorization(), "verification-failed", "idle-timeout-not-offered").await;
    assert!(answer.text().contains("was not among the advertised options"));
}
