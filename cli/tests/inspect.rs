//! `toll inspect`: whatever the scheme and the program have, in words.

mod support;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use serde_json::json;
use solana_keypair::Keypair;
use solana_message::{VersionedMessage, v0};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use support::Toll;
use toll_cli::Exit;
use toll_protocol::{
    Agreement, Amount, ChannelAccount, ChannelId, ChannelStatus, ChannelTerms, PROGRAM_ID, Problem, Receipt,
    RefusalCode, SignedVoucher, Splits, TOKEN_PROGRAM, Voucher, base64_encode, base64url_encode,
    canonical_json, encode_transaction, format_receipt,
};

const CHANNEL: ChannelId = ChannelId::new([7; 32]);

fn inspected(text: &str) -> serde_json::Value {
    Toll::new().run(&["--json", "inspect", text]).succeeds().json()
}

fn terms(payer: Pubkey) -> ChannelTerms {
    ChannelTerms {
        payer,
        payee: Pubkey::new_from_array([2; 32]),
        mint: Pubkey::new_from_array([3; 32]),
        authorized_signer: payer,
        salt: 1,
        open_slot: 9,
    }
}

/// The challenge of the draft's example, roughly.
const CHALLENGE: &str = "Payment id=\"abc\", realm=\"api.example.com\", method=\"solana\", intent=\"session\", \
    request=\"eyJhbW91bnQiOiIxMDAwIn0\", expires=\"2036-01-01T00:00:00Z\"";

#[test]
fn a_challenge_shows_its_request_with_and_without_the_headers_name() {
    for text in [CHALLENGE.to_owned(), format!("WWW-Authenticate: {CHALLENGE}")] {
        let found = inspected(&text);
        assert_eq!(found["kind"], "challenge");
        assert_eq!(found["realm"], "api.example.com");
        assert_eq!(found["request"], json!({ "amount": "1000" }));
        assert!(found["readable"].as_str().unwrap().starts_with("not as a session: "), "{found}");
    }
    let both = inspected(&format!("{CHALLENGE}, {CHALLENGE}"));
    assert_eq!((&both["kind"], both["challenges"].as_array().unwrap().len()), (&json!("challenges"), 2));
}

#[test]
fn a_voucher_says_whether_its_signature_verifies() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let voucher = Voucher { channel_id: CHANNEL, cumulative_amount: Amount::new(16), expires_at: 0 };
    let signed = SignedVoucher::sign(voucher, &key);
    let found = inspected(&signed.to_json().to_string());
    assert_eq!(
        (&found["kind"], &found["verdict"]),
        (&json!("voucher"), &json!("verifies under the signer it names"))
    );
    let mut other = signed;
    other.voucher.cumulative_amount = Amount::new(17);
    let found = inspected(&other.to_json().to_string());
    assert_eq!(found["verdict"], "does not verify under the signer it names");

    let message = voucher.encode();
    let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
    for text in [hex, base64_encode(message), base64url_encode(message), bs58::encode(message).into_string()]
    {
        let found = inspected(&text);
        assert_eq!(
            (&found["kind"], &found["cumulativeAmount"]),
            (&json!("voucher message"), &json!("16")),
            "{text}"
        );
        assert_eq!(found["channelId"], CHANNEL.to_string());
    }
}

#[test]
fn a_receipt_and_a_problem_are_read() {
    let receipt = Receipt {
        reference: CHANNEL,
        timestamp: 1_790_000_000,
        challenge_id: None,
        accepted_cumulative: Amount::new(32),
        spent: Amount::new(16),
        idle_timeout: 600,
        tx_hash: None,
        refunded: None,
    };
    for text in [format_receipt(&receipt), format!("Payment-Receipt: {}", format_receipt(&receipt))] {
        let found = inspected(&text);
        assert_eq!((&found["kind"], &found["acceptedCumulative"]), (&json!("receipt"), &json!("32")));
    }
    let problem = Problem::refusal(RefusalCode::TopUpNeeded, "16 more");
    let found = inspected(&String::from_utf8(problem.body()).unwrap());
    assert_eq!(
        (&found["kind"], &found["remedy"]),
        (&json!("problem"), &json!("top up, or open a larger channel"))
    );
}

#[test]
fn a_transaction_tells_its_instructions_and_who_has_signed() {
    let (payer, sponsor) = (Keypair::new(), Pubkey::new_from_array([8; 32]));
    let agreement = Agreement {
        program: PROGRAM_ID,
        terms: terms(payer.pubkey()),
        token_program: TOKEN_PROGRAM,
        rent_payer: sponsor,
        grace_period: 900,
        splits: Splits::none(),
    };
    let open = agreement.open(Amount::new(1_000)).instruction();
    let message = v0::Message::try_compile(&sponsor, &[open], &[], Default::default()).unwrap();
    let message = VersionedMessage::V0(message);
    let signatures = vec![Signature::default(), payer.sign_message(&message.serialize())];
    let bytes = encode_transaction(&VersionedTransaction { signatures, message });

    let found = inspected(&base64_encode(&bytes));

    assert_eq!((&found["kind"], &found["version"]), (&json!("transaction"), &json!("0")));
    assert_eq!(found["feePayer"], sponsor.to_string());
    let signers = [("not signed yet", sponsor), ("verifies", payer.pubkey())];
    for (signer, (signature, key)) in found["signers"].as_array().unwrap().iter().zip(signers) {
        assert_eq!(*signer, json!({ "key": key.to_string(), "signature": signature }));
    }
    let open = &found["instructions"][0];
    assert!(open["program"].as_str().unwrap().starts_with("payment channel ("), "{open}");
    assert!(open["says"].as_str().unwrap().starts_with("Open("), "{open}");
}

#[test]
fn a_channel_account_is_shown_like_one_on_chain() {
    let account = ChannelAccount {
        bump: 255,
        status: ChannelStatus::Closing,
        salt: 1,
        deposit: Amount::new(1_000),
        settled: Amount::new(16),
        payout_watermark: Amount::ZERO,
        closure_started_at: 5,
        payer_withdrawn_at: 0,
        grace_period: 900,
        distribution_hash: [0; 32],
        payer: Pubkey::new_from_array([1; 32]),
        payee: Pubkey::new_from_array([2; 32]),
        authorized_signer: Pubkey::new_from_array([1; 32]),
        mint: Pubkey::new_from_array([3; 32]),
        rent_payer: Pubkey::new_from_array([4; 32]),
        open_slot: 9,
    };
    let found = inspected(&base64_encode(account.encode()));
    assert_eq!((&found["kind"], &found["status"]), (&json!("channel account"), &json!("closing")));
    assert_eq!(found["settled"], "16");
}

#[test]
fn what_is_nothing_says_so_in_one_line() {
    for (text, says) in [
        ("", "nothing to look at"),
        ("?", "neither a header"),
        ("AAAA", "3 bytes of nothing"),
        ("{\"a\":1}", "JSON with members"),
        ("{", "JSON"),
        ("Payment !!!", ""),
        ("Payment realm=\"x\"", "is missing or empty"),
    ] {
        let ended = Toll::new().run(&["inspect", text]);
        ended.fails_with(Exit::Usage.code(), &[says]);
    }
}

#[test]
fn a_strangers_text_does_not_steer_the_terminal() {
    let evil =
        BTreeMap::from([("title", json!("\u{1b}[2Jx")), ("status", json!(402)), ("\u{1b}]0;", json!([1]))]);
    let text = String::from_utf8(canonical_json(&json!(evil)).unwrap()).unwrap();
    let ended = Toll::new().run(&["inspect", &text]);
    let shown = &ended.succeeds().stdout;
    assert!(shown.starts_with("kind: problem") && !shown.contains('\u{1b}'), "{shown:?}");
}
