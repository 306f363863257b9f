//! Golden vectors: bytes that every implementation must agree on, in any language.

use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use serde_json::Value;
use sha2::{Digest, Sha256};
use solana_hash::Hash;
use solana_message::{VersionedMessage, v0};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::*;

fn vectors(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    serde_json::from_slice(&fs::read(path).expect("the vectors are there")).expect("the vectors are JSON")
}

fn rows(value: &Value) -> &[Value] {
    let rows = value.as_array().expect("a list of vectors");
    assert!(!rows.is_empty());
    rows
}

fn text<'a>(row: &'a Value, member: &str) -> &'a str {
    row[member].as_str().unwrap_or_else(|| panic!("{member} is a string"))
}

fn key(row: &Value, member: &str) -> Pubkey {
    text(row, member).parse().expect("base58 of 32 bytes")
}

fn decimal(row: &Value, member: &str) -> u64 {
    parse_u64(text(row, member)).expect("a decimal u64")
}

fn number<T: TryFrom<u64>>(row: &Value, member: &str) -> T {
    let number = row[member].as_u64().unwrap_or_else(|| panic!("{member} is a number"));
    T::try_from(number).ok().expect("the number fits")
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signing_key(row: &Value) -> SigningKey {
    let secret = text(row, "secretKey");
    let byte = |index: usize| u8::from_str_radix(&secret[2 * index..2 * index + 2], 16).expect("hex");
    SigningKey::from_bytes(&std::array::from_fn(byte))
}

fn challenge(row: &Value) -> Challenge {
    let optional = |member: &str| row[member].as_str().map(str::to_owned);
    Challenge {
        id: text(row, "id").to_owned(),
        realm: text(row, "realm").to_owned(),
        method: text(row, "method").to_owned(),
        intent: text(row, "intent").to_owned(),
        request: text(row, "request").to_owned(),
        expires: optional("expires"),
        digest: optional("digest"),
        description: None,
        opaque: optional("opaque"),
        field: CredentialField::selected_by(row["header"].as_str()).expect("a known field"),
    }
}

fn terms(row: &Value) -> ChannelTerms {
    ChannelTerms {
        payer: key(row, "payer"),
        payee: key(row, "payee"),
        mint: key(row, "mint"),
        authorized_signer: key(row, "authorizedSigner"),
        salt: decimal(row, "salt"),
        open_slot: decimal(row, "openSlot"),
    }
}

fn splits(row: &Value) -> Splits {
    serde_json::from_value(row["splits"].clone()).expect("splits")
}

#[test]
fn challenge_ids_match() {
    for row in rows(&vectors("challenge-id.json")) {
        let name = text(row, "name");
        assert_eq!(challenge(row).id_under(text(row, "secret").as_bytes()), text(row, "id"), "{name}");
    }
}

#[test]
fn a_long_secret_recognizes_the_challenges_made_under_it() {
    let mut recognized = 0;
    for row in rows(&vectors("challenge-id.json")) {
        if let Ok(secret) = ChallengeSecret::new(text(row, "secret")) {
            assert!(challenge(row).is_authentic(&secret), "{}", text(row, "name"));
            recognized += 1;
        }
    }
    assert_eq!(recognized, 7);
}

#[test]
fn request_json_canonicalizes_to_the_request_in_the_challenge() {
    for row in rows(&vectors("challenge-id.json")) {
        let Some(json) = row["requestJson"].as_str() else { continue };
        let value = parse_json(json.as_bytes()).expect("JSON");
        let canonical = canonical_json(&value).expect("canonical");
        assert_eq!(base64url_encode(canonical), text(row, "request"), "{}", text(row, "name"));
    }
}

#[test]
fn the_session_challenge_reads_back_into_the_same_request() {
    let vectors = vectors("challenge-id.json");
    let row = rows(&vectors).iter().find(|row| row["intent"] == "session" && row["method"] == "solana");
    let challenge = challenge(row.expect("a session challenge"));

    let request = challenge.session_request().expect("a session request");

    assert_eq!(base64url_encode(canonical_json(&request).expect("canonical")), challenge.request);
    assert_eq!(request.amount, Amount::new(16));
    assert_eq!(challenge.expires_at(), Ok(Some(1_773_576_300)));
    let opaque = challenge.opaque_members().expect("a flat object");
    assert_eq!(opaque["n"], "AAAAAAAAAAAAAAAAAAAAAA");
}

#[test]
fn channel_addresses_match() {
    for row in rows(&vectors("channel-address.json")) {
        let (address, bump) = terms(row).address(&key(row, "program"));
        assert_eq!((address.to_string().as_str(), bump), (text(row, "address"), number(row, "bump")));
    }
}

#[test]
fn every_seed_changes_the_channel_address() {
    let vectors = vectors("channel-address.json");
    let row = &rows(&vectors)[0];
    let (terms, program) = (terms(row), key(row, "program"));
    let other = Pubkey::new_from_array([9; 32]);
    let changed = [
        ChannelTerms { payer: other, ..terms },
        ChannelTerms { payee: other, ..terms },
        ChannelTerms { mint: other, ..terms },
        ChannelTerms { authorized_signer: other, ..terms },
        ChannelTerms { salt: terms.salt + 1, ..terms },
        ChannelTerms { open_slot: terms.open_slot + 1, ..terms },
    ];

    for changed in changed {
        assert_ne!(changed.address(&program).0, terms.address(&program).0, "{changed:?}");
    }
    assert_ne!(terms.address(&other).0, terms.address(&program).0);
}

#[test]
fn voucher_bytes_and_signatures_match() {
    let vectors = vectors("voucher.json");
    let secret = signing_key(&vectors);
    let signer = key(&vectors, "signer");
    let channel_id = ChannelId::from(key(&vectors, "channelId"));
    for row in rows(&vectors["vouchers"]) {
        let voucher = Voucher {
            channel_id,
            cumulative_amount: Amount::new(decimal(row, "cumulativeAmount")),
            expires_at: row["expiresAt"].as_i64().expect("seconds"),
        };
        let signed = SignedVoucher::sign(voucher, &secret);

        assert_eq!(hex(voucher.encode()), text(row, "bytes"));
        assert_eq!(Voucher::decode(&voucher.encode()), Ok(voucher));
        assert_eq!(signed.signer, signer);
        if let Some(signature) = row["signature"].as_str() {
            assert_eq!(signed.signature.to_string(), signature);
        }
        assert_eq!(signed.verify(&channel_id, &signer).map(|verified| *verified.voucher()), Ok(voucher));
    }
}

#[test]
fn the_bearer_proof_matches() {
    let row = vectors("proof.json");
    let channel = ChannelId::from(key(&row, "channelId"));
    let challenge_id = text(&row, "challengeId");

    let proof = Authentication::sign(&channel, challenge_id, &signing_key(&row));

    assert_eq!(String::from_utf8(proof.message(&channel)).expect("UTF-8"), text(&row, "message"));
    assert_eq!(hex(Sha256::digest(proof.message(&channel))), text(&row, "sha256"));
    assert_eq!(proof.payer, key(&row, "payer"));
    assert_eq!(proof.signature.to_string(), text(&row, "signature"));
    assert_eq!(proof.verify(&channel, challenge_id, &key(&row, "payer")), Ok(()));
}

#[test]
fn splits_preimages_and_hashes_match() {
    for row in rows(&vectors("splits.json")["preimages"]) {
        let (name, splits) = (text(row, "name"), splits(row));
        assert_eq!(hex(splits.preimage()), text(row, "preimage"), "{name}");
        assert_eq!(hex(splits.hash()), text(row, "sha256"), "{name}");
        assert_eq!(splits.payee_bps(), number::<u16>(row, "payeeBps"), "{name}");
        assert_eq!(Splits::from_preimage(&splits.preimage()).as_ref(), Ok(&splits), "{name}");
        assert_eq!(splits.to_json(), row["splits"], "{name}");
    }
}

#[test]
fn shares_are_paid_as_the_vectors_say() {
    for row in rows(&vectors("splits.json")["distributions"]) {
        let name = text(row, "name");
        let shares: Vec<u16> =
            rows(&row["shares"]).iter().map(|bps| bps.as_u64().expect("bps") as u16).collect();
        let mut totals = vec![0; shares.len()];
        let mut watermark = 0;
        for (settled, paid) in rows(&row["settled"]).iter().zip(rows(&row["paid"])) {
            let settled = parse_u64(settled.as_str().expect("an amount")).expect("a u64");
            for (index, bps) in shares.iter().enumerate() {
                let delta = share_between(watermark, settled, *bps);
                assert_eq!(delta.to_string(), paid[index].as_str().expect("an amount"), "{name}");
                totals[index] += delta;
            }
            watermark = settled;
        }
        let expected: Vec<_> = rows(&row["totals"]).iter().map(|total| total.as_str()).collect();
        let totals_text: Vec<_> = totals.iter().map(u64::to_string).collect();
        assert_eq!(totals_text.iter().map(|total| Some(total.as_str())).collect::<Vec<_>>(), expected);
        assert_eq!((watermark - totals.iter().sum::<u64>()).to_string(), text(row, "dust"), "{name}");
    }
}

#[test]
fn the_ed25519_instruction_matches() {
    let instructions = vectors("instructions.json");
    let row = &instructions["ed25519"];
    let voucher = Voucher {
        channel_id: ChannelId::from(key(row, "channelId")),
        cumulative_amount: Amount::new(decimal(row, "cumulativeAmount")),
        expires_at: 0,
    };
    let signed = SignedVoucher::sign(voucher, &signing_key(&vectors("voucher.json")));

    let instruction = ed25519_verify(&signed);

    assert_eq!(instruction.program_id, ED25519_PROGRAM);
    assert!(instruction.accounts.is_empty());
    assert_eq!(instruction.data.len(), ED25519_INSTRUCTION_SIZE);
    assert_eq!(hex(&instruction.data), text(row, "data"));
    assert_eq!(hex(Sha256::digest(&instruction.data)), text(row, "sha256"));
    assert_eq!(decode_ed25519(&instruction.data), Ok(signed));
}

#[test]
fn the_ceiling_matches() {
    let vectors = vectors("voucher.json");
    let row = &vectors["ceiling"];
    let ceiling = Ceiling {
        channel_id: ChannelId::from(key(&vectors, "channelId")),
        maximum: Amount::new(decimal(row, "maximum")),
        expires_at: row["expiresAt"].as_i64().expect("seconds"),
    };
    assert_eq!(hex(ceiling.encode()), text(row, "bytes"));
    assert_eq!(Ceiling::decode(&ceiling.encode()), Ok(ceiling));
}

fn open(row: &Value, splits: Splits) -> Open {
    Open {
        agreement: Agreement {
            program: key(row, "program"),
            terms: terms(row),
            grace_period: number(row, "gracePeriod"),
            splits,
            rent_payer: key(row, "rentPayer"),
            token_program: key(row, "tokenProgram"),
        },
        deposit: Amount::new(decimal(row, "deposit")),
    }
}

fn two_splits() -> Splits {
    let vectors = vectors("splits.json");
    splits(&rows(&vectors["preimages"])[1])
}

#[test]
fn open_data_matches() {
    let row = &vectors("instructions.json")["open"];
    assert_eq!(hex(open(row, Splits::none()).instruction().data), text(row, "data"));
    assert_eq!(hex(open(row, two_splits()).instruction().data), text(row, "dataWithTwoSplits"));
}

// The sizes are those of another client's version 0 transactions, so the account lists have equal lengths
// and share their keys in the same way.
#[test]
fn open_transactions_are_as_long_as_other_clients_make_them() {
    let row = &vectors("instructions.json")["open"];
    let size = |open: Open| {
        let message =
            v0::Message::try_compile(&open.agreement.rent_payer, &[open.instruction()], &[], Hash::default())
                .expect("the instruction fits a message");
        let signatures = vec![Signature::default(); usize::from(message.header.num_required_signatures)];
        let transaction = VersionedTransaction { signatures, message: VersionedMessage::V0(message) };
        let bytes = encode_transaction(&transaction);
        assert_eq!(decode_transaction(&bytes), Ok(transaction));
        bytes.len()
    };
    let sponsored = open(row, Splits::none());
    let mut self_funded = sponsored.clone();
    self_funded.agreement.rent_payer = self_funded.agreement.terms.payer;

    let sizes = &row["transactionSizes"];
    assert_eq!(size(sponsored), number::<usize>(sizes, "sponsored"));
    assert_eq!(size(self_funded), number::<usize>(sizes, "selfFunded"));
    assert_eq!(size(open(row, two_splits())), number::<usize>(sizes, "sponsoredWithTwoSplits"));
}

#[test]
fn the_data_of_the_other_instructions_matches() {
    let instructions = vectors("instructions.json");
    let (row, others) = (&instructions["open"], &instructions["others"]);
    let open = open(row, Splits::none());
    let channel = open.agreement.channel(TREASURY_OWNER);
    let with_splits = Channel { splits: two_splits(), ..channel.clone() };
    let built = [
        ("settle", channel.settle()),
        ("topUp1000", channel.top_up(Amount::new(1_000))),
        ("settleAndSeal", channel.settle_and_seal(false)),
        ("settleAndSealWithVoucher", channel.settle_and_seal(true)),
        ("requestClose", channel.request_close()),
        ("seal", channel.seal()),
        ("distribute", channel.distribute()),
        ("distributeWithTwoSplits", with_splits.distribute()),
        ("withdrawPayer", channel.withdraw_payer()),
        ("reclaim", channel.reclaim()),
        ("settleBatch", settle_batch(&batch(&instructions["batch"]))),
        ("rearm", channel.rearm(false)),
        ("rearmWithVoucherAndTwoSplits", with_splits.rearm(true)),
        ("settleUpTo1000", channel.settle_up_to(Amount::new(1_000))),
        ("settleClosing", channel.settle_closing()),
        ("checkpoint", channel.checkpoint()),
    ];

    assert_eq!(built.len(), others.as_object().expect("named instructions").len());
    for (name, instruction) in built {
        assert_eq!(hex(instruction.data), text(others, name), "{name}");
        assert_eq!(instruction.program_id, channel.program, "{name}");
    }
}

fn batch(row: &Value) -> BatchVoucher {
    let strings = |name| row[name].as_array().into_iter().flatten().filter_map(Value::as_str);
    let channels = strings("channels").map(|text| text.parse::<ChannelId>().expect("an address"));
    let targets = channels.zip(strings("targets").map(|text| text.parse().expect("an amount"))).collect();
    let program = text(&vectors("instructions.json")["open"], "program").parse().expect("an address");
    BatchVoucher::new(program, targets, row["expiresAt"].as_i64().expect("seconds")).expect("a batch")
}

#[test]
fn batches_match() {
    let instructions = vectors("instructions.json");
    let row = &instructions["batch"];
    assert_eq!(text(row, "domain").as_bytes(), BATCH_DOMAIN);
    assert_eq!(hex(batch(row).channels_hash()), text(row, "channelsHash"));
    assert_eq!(hex(batch(row).encode()), text(row, "message"));
}

#[test]
fn canonical_json_matches() {
    for row in rows(&vectors("canonical-json.json")) {
        let value = parse_json(text(row, "input").as_bytes()).expect("JSON");
        let canonical = String::from_utf8(canonical_json(&value).expect("canonical")).expect("UTF-8");
        assert_eq!(canonical, text(row, "canonical"), "{}", text(row, "name"));
    }
}

#[test]
fn the_event_authority_of_a_known_program_matches() {
    let program = key(&vectors("instructions.json")["open"], "program");
    assert_eq!(event_authority(&program).to_string(), "75c2huVzDW1Eq4kD86by5392sjdJzuAT195XNgP2f2tX");
}
