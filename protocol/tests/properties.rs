//! Laws that hold for every input.

use ed25519_dalek::SigningKey;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_protocol::*;

fn pubkeys() -> impl Strategy<Value = Pubkey> {
    any::<[u8; 32]>().prop_map(Pubkey::new_from_array)
}

fn channel_ids() -> impl Strategy<Value = ChannelId> {
    pubkeys().prop_map(ChannelId::from)
}

fn amounts() -> impl Strategy<Value = Amount> {
    prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)].prop_map(Amount::new)
}

fn signatures() -> impl Strategy<Value = Signature> {
    any::<[u8; 64]>().prop_map(Signature::from)
}

/// Seconds that RFC 3339 can write.
fn times() -> impl Strategy<Value = i64> {
    0..253_402_300_800i64
}

/// Recipients with shares that add up to at most everything.
fn splits() -> impl Strategy<Value = Splits> {
    vec((any::<[u8; 31]>(), 1..=312u16), 0..=32).prop_map(|entries| {
        let split = |(index, (bytes, share_bps)): (usize, ([u8; 31], u16))| {
            let mut recipient = [index as u8; 32];
            recipient[1..].copy_from_slice(&bytes);
            Split { recipient: Pubkey::new_from_array(recipient), share_bps }
        };
        Splits::new(entries.into_iter().enumerate().map(split).collect()).expect("32 × 312 is below 10000")
    })
}

fn vouchers() -> impl Strategy<Value = Voucher> {
    (channel_ids(), amounts(), 0..(1i64 << 53)).prop_map(|(channel_id, cumulative_amount, expires_at)| {
        Voucher { channel_id, cumulative_amount, expires_at }
    })
}

fn signed_vouchers() -> impl Strategy<Value = SignedVoucher> {
    (vouchers(), pubkeys(), signatures()).prop_map(|(voucher, signer, signature)| SignedVoucher {
        voucher,
        signer,
        signature,
    })
}

fn proofs() -> impl Strategy<Value = Authentication> {
    (any::<String>(), pubkeys(), signatures()).prop_map(|(challenge_id, payer, signature)| Authentication {
        challenge_id,
        payer,
        signature,
    })
}

fn offers() -> impl Strategy<Value = ChannelOffer> {
    let options = vec(1..=MAX_IDLE_TIMEOUT, 0..5).prop_map(|mut options| {
        options.sort_unstable();
        options.dedup();
        options
    });
    prop_oneof![
        (any::<[u8; 32]>(), any::<u64>(), 1..=u32::MAX, options).prop_map(
            |(blockhash, recent_slot, grace_period, idle_timeout_options)| ChannelOffer::New {
                recent_blockhash: Hash::new_from_array(blockhash),
                recent_slot,
                grace_period,
                idle_timeout_options,
            }
        ),
        (channel_ids(), 1..=MAX_IDLE_TIMEOUT, option::of((amounts(), amounts(), amounts()))).prop_map(
            |(channel_id, idle_timeout, amounts)| {
                let standing =
                    amounts.map(|(deposit, settled, accepted)| Standing { deposit, settled, accepted });
                ChannelOffer::Resume { channel_id, idle_timeout, standing }
            }
        ),
    ]
}

fn at_idle() -> impl Strategy<Value = DepositAtIdle> {
    prop_oneof![Just(DepositAtIdle::Refund), Just(DepositAtIdle::Keep)]
}

fn method_details() -> impl Strategy<Value = MethodDetails> {
    let networks = prop_oneof![Just(Network::Mainnet), Just(Network::Devnet), Just(Network::Localnet)];
    let signers = prop_oneof![Just(VoucherSigner::Client), pubkeys().prop_map(VoucherSigner::Operator)];
    let token_programs = option::of(prop_oneof![Just(TOKEN_PROGRAM), Just(TOKEN_2022_PROGRAM)]);
    let first = (networks, pubkeys(), 0..=9u8, token_programs, option::of(pubkeys()), signers);
    let second = (option::of(amounts()), option::of(any::<u32>()), splits(), vec(at_idle(), 0..3), offers());
    (first, second).prop_map(|(first, second)| {
        let (network, channel_program, decimals, token_program, fee_payer_key, voucher_signer) = first;
        let (min_voucher_delta, ttl_seconds, splits, at_idle_options, channel) = second;
        MethodDetails {
            network,
            channel_program,
            decimals,
            token_program,
            fee_payer_key,
            voucher_signer,
            min_voucher_delta,
            ttl_seconds,
            splits,
            at_idle_options,
            channel,
        }
    })
}

fn requests() -> impl Strategy<Value = SessionRequest> {
    let terms = (1..=u64::MAX, pubkeys(), pubkeys(), option::of(amounts()), option::of(amounts()));
    let texts = (option::of(any::<String>()), option::of(any::<String>()), option::of(any::<String>()));
    (terms, texts, method_details()).prop_map(|(terms, texts, method_details)| {
        let (amount, currency, recipient, suggested_deposit, minimum_deposit) = terms;
        let (unit_type, description, external_id) = texts;
        SessionRequest {
            amount: Amount::new(amount),
            currency,
            recipient,
            unit_type,
            suggested_deposit,
            minimum_deposit,
            description,
            external_id,
            method_details,
        }
    })
}

/// Challenges that a header can carry.
fn challenges() -> impl Strategy<Value = Challenge> {
    let text = || "[ -~]{1,40}";
    let names = ("[a-z]{1,8}", "[A-Za-z0-9-]{1,8}");
    let optional =
        (option::of(text()), option::of(text()), option::of(text()), option::of("[A-Za-z0-9_-]{1,40}"));
    let field =
        prop_oneof![Just(CredentialField::Authorization), Just(CredentialField::PaymentAuthorization)];
    (text(), text(), names, "[A-Za-z0-9_-]{1,80}", optional, field).prop_map(
        |(id, realm, (method, intent), request, (expires, digest, description, opaque), field)| Challenge {
            id,
            realm,
            method,
            intent,
            request,
            expires,
            digest,
            description,
            opaque,
            field,
        },
    )
}

fn open_actions() -> impl Strategy<Value = OpenAction> {
    let keys = (channel_ids(), pubkeys(), pubkeys(), pubkeys(), pubkeys());
    let numbers = (any::<u64>(), amounts(), 1..=u32::MAX, option::of(any::<u32>()), any::<u64>());
    let rest = (
        option::of(splits()),
        option::of(proofs()),
        option::of(at_idle()),
        vec(any::<u8>(), 0..=MAX_TRANSACTION),
    );
    (keys, numbers, rest).prop_map(|(keys, numbers, rest)| {
        let (channel_id, payer, payee, mint, authorized_signer) = keys;
        let (salt, deposit, grace_period, idle_timeout, open_slot) = numbers;
        let (splits, authentication, at_idle, transaction) = rest;
        OpenAction {
            channel_id,
            payer,
            payee,
            mint,
            authorized_signer,
            salt,
            deposit,
            grace_period,
            idle_timeout,
            open_slot,
            splits,
            authorization_policy: None,
            authentication,
            at_idle,
            transaction,
        }
    })
}

fn actions() -> impl Strategy<Value = Action> {
    let authorities = prop_oneof![
        signed_vouchers().prop_map(CloseAuthority::Voucher),
        proofs().prop_map(CloseAuthority::Authentication),
    ];
    prop_oneof![
        open_actions().prop_map(|open| Action::Open(Box::new(open))),
        (channel_ids(), signed_vouchers())
            .prop_map(|(channel_id, voucher)| Action::Voucher(VoucherAction { channel_id, voucher })),
        (channel_ids(), proofs())
            .prop_map(|(channel_id, authentication)| Action::Use(UseAction { channel_id, authentication })),
        (channel_ids(), amounts(), option::of(at_idle()), vec(any::<u8>(), 0..=MAX_TRANSACTION)).prop_map(
            |(channel_id, additional, at_idle, transaction)| Action::TopUp(TopUpAction {
                channel_id,
                additional,
                at_idle,
                transaction,
            })
        ),
        (channel_ids(), authorities)
            .prop_map(|(channel_id, authority)| Action::Close(CloseAction { channel_id, authority })),
    ]
}

fn credentials() -> impl Strategy<Value = Credential> {
    (challenges(), actions(), option::of(any::<String>()))
        .prop_map(|(challenge, action, source)| Credential { challenge, action, source })
}

fn receipts() -> impl Strategy<Value = Receipt> {
    let amounts = (amounts(), amounts(), option::of(amounts()));
    let rest = (option::of(any::<String>()), any::<u32>(), option::of(signatures()));
    (channel_ids(), times(), amounts, rest).prop_map(|(reference, timestamp, amounts, rest)| {
        let (accepted_cumulative, spent, refunded) = amounts;
        let (challenge_id, idle_timeout, tx_hash) = rest;
        Receipt {
            reference,
            timestamp,
            challenge_id,
            accepted_cumulative,
            spent,
            idle_timeout,
            tx_hash,
            refunded,
        }
    })
}

/// Any JSON, with the numbers that documents of this crate use.
fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1i64 << 53)..(1i64 << 53)).prop_map(Value::from),
        (-1e30..1e30f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn problems() -> impl Strategy<Value = Problem> {
    let kinds = prop_oneof![
        Just(ProblemType::PaymentRequired),
        Just(ProblemType::VerificationFailed),
        Just(ProblemType::MalformedCredential),
        Just(ProblemType::InvalidChallenge),
        Just(ProblemType::Blank),
        "https://example\\.com/[a-z]{1,9}".prop_map(ProblemType::Other),
    ];
    let members = proptest::collection::btree_map("[a-z]{7,12}", json_values(), 0..3);
    (kinds, any::<u16>(), any::<String>(), option::of(any::<String>()), members).prop_map(
        |(kind, status, detail, code, members)| {
            let problem = Problem::new(kind, status, detail);
            let problem = code.into_iter().fold(problem, Problem::code);
            members.into_iter().fold(problem, |problem, (name, value)| problem.with(&name, value))
        },
    )
}

/// Text that looks like a challenge list, cut and mixed.
fn list_like() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("Payment ".to_owned()),
        Just("Bearer".to_owned()),
        Just(", ".to_owned()),
        Just("=".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("id=\"a\"".to_owned()),
        Just("realm=r, method=solana, intent=session, request=e30".to_owned()),
        any::<String>(),
    ];
    vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn header_parsers_take_any_bytes(bytes in vec(any::<u8>(), 0..512)) {
        let _ = parse_www_authenticate(&bytes);
        let _ = parse_authorization(&bytes);
        let _ = parse_receipt(&bytes);
    }

    #[test]
    fn header_parsers_take_any_encoded_json(value in json_values()) {
        let encoded = base64url_encode(canonical_json(&value).expect("canonical"));
        let credential = parse_authorization(format!("Payment {encoded}"));
        prop_assert!(matches!(credential, Some(Err(_))), "arbitrary JSON is no credential");
        prop_assert!(parse_receipt(&encoded).is_err());
        let _ = SessionRequest::from_json(&value);
        let _ = Problem::from_json(&value);
    }

    #[test]
    fn challenge_lists_take_any_mixture(list in list_like()) {
        let challenges = parse_www_authenticate(&list).expect("not too large");
        for challenge in challenges.payment {
            prop_assert!(!challenge.id.is_empty());
        }
    }

    // What a list holds does not depend on what stands before it, as long as that is a whole challenge.
    #[test]
    fn challenges_in_a_list_are_read_one_by_one(first in challenges(), second in challenges()) {
        let format = |challenge| format_www_authenticate(challenge).expect("a header can carry it");
        let list = format!("{}, Bearer realm=\"x\", {}", format(&first), format(&second));
        let challenges = parse_www_authenticate(list).expect("not too large");
        prop_assert_eq!(challenges.payment, [first, second]);
        prop_assert_eq!(challenges.others, ["Bearer"]);
        prop_assert!(challenges.malformed.is_empty());
    }

    #[test]
    fn credentials_read_back(credential in credentials()) {
        match format_authorization(&credential) {
            Ok(value) => prop_assert_eq!(parse_authorization(value), Some(Ok(credential))),
            Err(error) => prop_assert!(matches!(error, HeaderError::TooLarge(_)), "{}", error),
        }
    }

    #[test]
    fn receipts_read_back(receipt in receipts()) {
        prop_assert_eq!(parse_receipt(format_receipt(&receipt)), Ok(receipt));
    }

    #[test]
    fn requests_read_back(request in requests()) {
        prop_assert_eq!(SessionRequest::from_json(&request.to_json()), Ok(request));
    }

    #[test]
    fn problems_read_back(problem in problems()) {
        prop_assert_eq!(Problem::from_json(&problem.to_json()), Ok(problem));
    }

    #[test]
    fn signed_vouchers_read_back(voucher in signed_vouchers()) {
        let json = serde_json::to_string(&voucher).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<SignedVoucher>(&json).expect("the same"), voucher);
    }

    #[test]
    fn canonical_json_is_its_own_canonical_form(value in json_values()) {
        let canonical = canonical_json(&value).expect("canonical");
        let again = parse_json(&canonical).expect("JSON");
        prop_assert_eq!(canonical_json(&again).expect("canonical"), canonical);
    }

    #[test]
    fn canonical_json_does_not_depend_on_the_order_of_members(pairs in vec(("[a-c\u{fb33}\u{1f602}]{0,3}", any::<u32>()), 0..6)) {
        let forward: Value = pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let mut seen = std::collections::HashSet::new();
        let last_first = pairs.iter().rev().filter(|(name, _)| seen.insert(name.clone()));
        let text: Vec<_> = last_first.map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        let backward = parse_json(format!("{{{}}}", text.join(",")).as_bytes()).expect("JSON");
        prop_assert_eq!(canonical_json(&forward).expect("canonical"), canonical_json(&backward).expect("canonical"));
    }

    #[test]
    fn base64_reads_back_in_both_alphabets(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(base64url_decode(base64url_encode(&bytes)), Ok(bytes.clone()));
        prop_assert_eq!(base64_decode(base64_encode(&bytes)), Ok(bytes));
    }

    #[test]
    fn decimal_text_is_canonical_or_refused(text in "[0-9+ .e-]{0,22}") {
        if let Ok(amount) = text.parse::<Amount>() {
            prop_assert_eq!(amount.to_string(), text);
        } else {
            let canonical = text.parse::<u64>().is_ok_and(|number| number.to_string() == text);
            prop_assert!(!canonical);
        }
    }

    #[test]
    fn vouchers_read_back_from_their_bytes(voucher in vouchers()) {
        prop_assert_eq!(Voucher::decode(&voucher.encode()), Ok(voucher));
    }

    #[test]
    fn voucher_bytes_read_back_into_the_same_bytes(tail in any::<[u8; 48]>()) {
        let mut bytes = [0; VOUCHER_SIZE];
        bytes[..2].copy_from_slice(&VOUCHER_MAGIC);
        bytes[2..].copy_from_slice(&tail);
        prop_assert_eq!(Voucher::decode(&bytes).map(|voucher| voucher.encode()), Ok(bytes));
    }

    #[test]
    fn only_the_signers_own_voucher_verifies(voucher in vouchers(), seed in any::<[u8; 32]>(), bit in 0..400usize) {
        let signed = SignedVoucher::sign(voucher, &SigningKey::from_bytes(&seed));
        prop_assert!(signed.verify(&voucher.channel_id, &signed.signer).is_ok());

        let mut bytes = voucher.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = Voucher::decode(&bytes) {
            let forged = SignedVoucher { voucher: changed, ..signed.clone() };
            prop_assert_eq!(forged.verify(&changed.channel_id, &signed.signer), Err(VoucherError::Signature));
        }
    }

    #[test]
    fn ed25519_instructions_read_back(voucher in signed_vouchers()) {
        let data = ed25519_verify(&voucher).data;
        prop_assert_eq!(data.len(), ED25519_INSTRUCTION_SIZE);
        prop_assert_eq!(decode_ed25519(&data), Ok(voucher));
    }

    #[test]
    fn decoders_take_any_bytes(bytes in vec(any::<u8>(), 0..300), keys in vec(pubkeys(), 0..16)) {
        let _ = decode_ed25519(&bytes);
        let _ = ChannelAccount::decode(&bytes);
        let _ = ComputeBudget::decode(&bytes);
        let _ = decode_transaction(&bytes);
        let _ = ChannelInstruction::decode(&bytes, &keys);
        for kind in 0..12u8 {
            let _ = ChannelInstruction::decode(&[&[kind], bytes.as_slice()].concat(), &keys);
        }
        if let Ok(splits) = Splits::from_preimage(&bytes) {
            prop_assert_eq!(splits.preimage(), bytes);
        }
    }

    #[test]
    fn a_share_is_the_exact_floor(total in any::<u64>(), share_bps in 0..=BPS_DENOMINATOR) {
        let exact = u128::from(total) * u128::from(share_bps) / u128::from(BPS_DENOMINATOR);
        prop_assert_eq!(u128::from(share(total, share_bps)), exact);
    }

    #[test]
    fn shares_never_exceed_what_settled(settled in any::<u64>(), splits in splits()) {
        let payee = share(settled, splits.payee_bps());
        let recipients = splits.as_slice().iter().map(|split| share(settled, split.share_bps));
        let paid: u128 = recipients.chain([payee]).map(u128::from).sum();
        let parties = splits.as_slice().len() as u128 + 1;
        prop_assert!(paid <= u128::from(settled));
        prop_assert!(u128::from(settled) - paid < parties);
    }

    // However often a channel distributes on the way, each party ends with the share of the whole.
    #[test]
    fn payments_telescope(mut steps in vec(any::<u64>(), 1..12), share_bps in 0..=BPS_DENOMINATOR) {
        steps.sort_unstable();
        let mut watermark = 0;
        let mut paid = 0u128;
        for settled in &steps {
            paid += u128::from(share_between(watermark, *settled, share_bps));
            watermark = *settled;
        }
        prop_assert_eq!(paid, u128::from(share(watermark, share_bps)));
    }

    #[test]
    fn splits_read_back(splits in splits()) {
        prop_assert_eq!(Splits::from_preimage(&splits.preimage()), Ok(splits.clone()));
        prop_assert_eq!(Splits::from_json(&splits.to_json()), Ok(splits));
    }

    #[test]
    fn moving_a_separator_between_fields_changes_the_id(left in "[a-z]{1,6}", right in "[a-z]{1,6}", cut in 1..6usize) {
        let challenge = |expires: &str, digest: &str| Challenge {
            id: String::new(),
            realm: "r".to_owned(),
            method: "solana".to_owned(),
            intent: "session".to_owned(),
            request: "e30".to_owned(),
            expires: Some(expires.to_owned()),
            digest: Some(digest.to_owned()),
            description: None,
            opaque: None,
            field: CredentialField::Authorization,
        };
        let joined = format!("{left}{right}");
        let cut = cut.min(joined.len());
        let same = cut == left.len();
        let (other_left, other_right) = joined.split_at(cut);
        let ids = [challenge(&left, &right), challenge(other_left, other_right)].map(|c| c.id_under(&[7; 32]));
        prop_assert_eq!(ids[0] == ids[1], same);
    }
}
