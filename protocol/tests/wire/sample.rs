//! Valid values, for tests to change one thing at a time.

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use toll_protocol::*;

pub(crate) fn payer() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub(crate) fn voucher_key() -> SigningKey {
    SigningKey::from_bytes(&[3; 32])
}

pub(crate) fn pubkey(key: &SigningKey) -> Pubkey {
    Pubkey::new_from_array(key.verifying_key().to_bytes())
}

pub(crate) fn key(byte: u8) -> Pubkey {
    Pubkey::new_from_array([byte; 32])
}

pub(crate) fn channel_id() -> ChannelId {
    ChannelId::from(key(0xC1))
}

pub(crate) fn voucher(cumulative: u64) -> SignedVoucher {
    let cumulative_amount = Amount::new(cumulative);
    SignedVoucher::sign(
        Voucher { channel_id: channel_id(), cumulative_amount, expires_at: 0 },
        &voucher_key(),
    )
}

pub(crate) fn proof() -> Authentication {
    Authentication::sign(&channel_id(), "opening", &payer())
}

pub(crate) fn splits() -> Splits {
    let split = |byte, share_bps| Split { recipient: key(byte), share_bps };
    Splits::new(vec![split(0x11, 1_000), split(0x22, 250)]).expect("the splits keep the rules")
}

pub(crate) fn terms() -> ChannelTerms {
    ChannelTerms {
        payer: pubkey(&payer()),
        payee: key(0xEE),
        mint: key(0xAA),
        authorized_signer: pubkey(&voucher_key()),
        salt: 42,
        open_slot: 352_114_093,
    }
}

pub(crate) fn open() -> Open {
    Open {
        agreement: Agreement {
            program: PROGRAM_ID,
            terms: terms(),
            grace_period: 900,
            splits: splits(),
            rent_payer: key(0xFE),
            token_program: TOKEN_PROGRAM,
        },
        deposit: Amount::new(50_000),
    }
}

pub(crate) fn channel() -> Channel {
    open().agreement.channel(TREASURY_OWNER)
}

pub(crate) fn open_action() -> OpenAction {
    OpenAction {
        channel_id: channel_id(),
        payer: pubkey(&payer()),
        payee: key(0xEE),
        mint: key(0xAA),
        authorized_signer: pubkey(&voucher_key()),
        salt: 42,
        deposit: Amount::new(50_000),
        grace_period: 900,
        idle_timeout: Some(30),
        open_slot: 352_114_093,
        splits: Some(splits()),
        authorization_policy: None,
        authentication: None,
        at_idle: None,
        transaction: vec![1, 2, 3, 250],
    }
}

pub(crate) fn request() -> SessionRequest {
    SessionRequest {
        amount: Amount::new(16),
        currency: key(0xAA),
        recipient: key(0xEE),
        unit_type: Some("request".to_owned()),
        suggested_deposit: Some(Amount::new(50_000)),
        minimum_deposit: Some(Amount::new(1_000)),
        description: None,
        external_id: None,
        method_details: MethodDetails {
            network: Network::Localnet,
            channel_program: PROGRAM_ID,
            decimals: 6,
            token_program: Some(TOKEN_PROGRAM),
            fee_payer_key: Some(key(0xFE)),
            voucher_signer: VoucherSigner::Client,
            min_voucher_delta: None,
            ttl_seconds: None,
            splits: splits(),
            at_idle_options: Vec::new(),
            channel: ChannelOffer::New {
                recent_blockhash: Hash::new_from_array([7; 32]),
                recent_slot: 352_114_093,
                grace_period: 900,
                idle_timeout_options: vec![30, 600, 86_400],
            },
        },
    }
}

pub(crate) fn resume_request() -> SessionRequest {
    let mut request = request();
    request.minimum_deposit = None;
    request.suggested_deposit = None;
    request.method_details.channel =
        ChannelOffer::Resume { channel_id: channel_id(), idle_timeout: 600, standing: None };
    request
}

pub(crate) fn secret() -> ChallengeSecret {
    ChallengeSecret::new([0x5E; 32]).expect("32 bytes are enough")
}

pub(crate) fn challenge() -> Challenge {
    let realm = Realm::new("api.example.com").expect("a plain realm");
    let opaque = [("n".to_owned(), "AAAAAAAAAAAAAAAAAAAAAA".to_owned())].into();
    let offer = Offer { realm: &realm, request: &request(), expires_at: 1_763_675_932, opaque: &opaque };
    Challenge::issue(&secret(), offer).expect("the offer makes a challenge")
}

pub(crate) fn credential(action: Action) -> Credential {
    Credential { challenge: challenge(), action, source: None }
}

/// The JSON of a credential with `payload` in place of its own.
pub(crate) fn credential_json(payload: Value) -> Value {
    json!({ "challenge": challenge().to_json(), "payload": payload })
}

/// The object at `path` inside `value`.
pub(crate) fn at<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(value, |value, name| &mut value[*name])
}

/// Removes `member` from the object `value`; it must be there.
pub(crate) fn remove(value: &mut Value, member: &str) {
    let removed = value.as_object_mut().expect("an object").remove(member);
    assert!(removed.is_some(), "{member} was there");
}

pub(crate) fn missing(member: &str) -> JsonError {
    JsonError::Missing { member: member.to_owned() }
}

pub(crate) fn invalid(member: &str, expected: &'static str) -> JsonError {
    JsonError::Invalid { member: member.to_owned(), expected }
}
