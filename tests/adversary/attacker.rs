//! A client that keeps to the protocol and to nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use reqwest::{Client, Method};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{
    Action, Agreement, Amount, Challenge, ChannelId, ChannelOffer, ChannelTerms, CloseAction, CloseAuthority,
    Credential, Open, OpenAction, PROGRAM_ID, SignedVoucher, TOKEN_PROGRAM, TopUp, TopUpAction, Voucher,
    VoucherAction, encode_transaction, format_authorization, parse_www_authenticate,
};
use toll_tests::World;
use toll_tests::world::BACKDATE;

/// How often an answer that is not there yet is asked for.
const PATIENCE: u32 = 40;

/// A payer with tokens and without SOL.
pub struct Attacker {
    pub key: Keypair,
    url: String,
    http: Client,
    salts: AtomicU64,
}

/// A channel of the attacker's.
pub struct Channel {
    pub id: ChannelId,
    challenge: Challenge,
    mint: Pubkey,
}

/// An answer that was no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub code: String,
}

type Outcome<T = ()> = Result<T, Refused>;

impl Attacker {
    /// One with `tokens` base units.
    pub async fn with_tokens(world: &World, tokens: u64) -> Self {
        let attacker = Self::without_tokens(world);
        world.fixture.mint_to(&attacker.key.pubkey(), Amount::new(tokens)).await.expect("tokens are minted");
        attacker
    }

    /// One with nothing at all.
    pub fn without_tokens(world: &World) -> Self {
        let address = world.server().address.expect("the gateway runs");
        Self {
            key: Keypair::new(),
            url: format!("http://{address}/count"),
            http: Client::new(),
            salts: AtomicU64::new(1),
        }
    }

    /// Opens a channel at the sponsor's expense. Terms without a sponsor are not taken.
    pub async fn open(&self, deposit: u64) -> Outcome<Channel> {
        let challenge = self.challenge().await?;
        let request = challenge.session_request().expect("a session challenge");
        let details = &request.method_details;
        let ChannelOffer::New { recent_blockhash, recent_slot, grace_period, .. } = &details.channel else {
            panic!("a challenge for a new channel");
        };
        let Some(sponsor) = details.fee_payer_key else {
            return Err(Refused { status: 402, code: "unsponsored".to_owned() });
        };
        let payer = self.key.pubkey();
        let terms = ChannelTerms {
            payer,
            payee: request.recipient,
            mint: request.currency,
            authorized_signer: payer,
            salt: self.salts.fetch_add(1, Ordering::Relaxed),
            open_slot: recent_slot.saturating_sub(BACKDATE),
        };
        let open = Open {
            agreement: Agreement {
                program: details.channel_program,
                terms,
                grace_period: *grace_period,
                splits: details.splits.clone(),
                rent_payer: sponsor,
                token_program: TOKEN_PROGRAM,
            },
            deposit: Amount::new(deposit),
        };
        let action = OpenAction {
            channel_id: open.channel_id(),
            payer,
            payee: terms.payee,
            mint: terms.mint,
            authorized_signer: payer,
            salt: terms.salt,
            deposit: open.deposit,
            grace_period: *grace_period,
            idle_timeout: None,
            open_slot: terms.open_slot,
            splits: None,
            authorization_policy: None,
            authentication: None,
            at_idle: None,
            transaction: self.sign(&sponsor, &[open.instruction()], *recent_blockhash),
        };
        let id = action.channel_id;
        self.act(Method::GET, &challenge, Action::Open(Box::new(action))).await?;
        Ok(Channel { id, challenge, mint: terms.mint })
    }

    /// Raises a deposit at the sponsor's expense.
    pub async fn top_up(&self, channel: &Channel, amount: u64) -> Outcome {
        let challenge = self.challenge().await?;
        let request = challenge.session_request().expect("a session challenge");
        let details = &request.method_details;
        let ChannelOffer::New { recent_blockhash, .. } = &details.channel else { panic!("a blockhash") };
        let Some(sponsor) = details.fee_payer_key else {
            return Err(Refused { status: 402, code: "unsponsored".to_owned() });
        };
        let amount = Amount::new(amount);
        let top_up = TopUp {
            channel: channel.id,
            payer: self.key.pubkey(),
            mint: channel.mint,
            token_program: TOKEN_PROGRAM,
            amount,
        };
        let transaction = self.sign(&sponsor, &[top_up.instruction(&PROGRAM_ID)], *recent_blockhash);
        let action = TopUpAction { channel_id: channel.id, additional: amount, at_idle: None, transaction };
        self.act(Method::GET, &challenge, Action::TopUp(action)).await
    }

    /// Pays up to `cumulative` base units with a voucher that expires at `expires_at` (unix seconds; 0: never).
    pub async fn pay(&self, method: Method, channel: &Channel, cumulative: u64, expires_at: i64) -> Outcome {
        let voucher = self.voucher(channel, cumulative, expires_at);
        let action = VoucherAction { channel_id: channel.id, voucher };
        self.act(method, &channel.challenge, Action::Voucher(action)).await
    }

    /// Closes the channel with a voucher for `cumulative` base units.
    pub async fn close(&self, channel: &Channel, cumulative: u64) -> Outcome {
        let authority = CloseAuthority::Voucher(self.voucher(channel, cumulative, 0));
        let action = CloseAction { channel_id: channel.id, authority };
        self.act(Method::GET, &channel.challenge, Action::Close(action)).await
    }

    fn voucher(&self, channel: &Channel, cumulative: u64, expires_at: i64) -> SignedVoucher {
        let voucher =
            Voucher { channel_id: channel.id, cumulative_amount: Amount::new(cumulative), expires_at };
        SignedVoucher::sign(voucher, &SigningKey::from_bytes(self.key.secret_bytes()))
    }

    async fn challenge(&self) -> Outcome<Challenge> {
        for _ in 0..PATIENCE {
            let response = self.http.get(&self.url).send().await.expect("the server answers");
            let header = response.headers().get("www-authenticate").cloned();
            if let Some(header) = header {
                let mut challenges = parse_www_authenticate(header.as_bytes()).expect("well formed").payment;
                return Ok(challenges.remove(0));
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Err(Refused { status: 503, code: "unavailable".to_owned() })
    }

    /// Sends a credential, again while the server cannot say how it went.
    async fn act(&self, method: Method, challenge: &Challenge, action: Action) -> Outcome {
        let credential = Credential { challenge: challenge.clone(), action, source: None };
        let authorization = format_authorization(&credential).expect("a credential");
        let mut refused = Refused { status: 0, code: String::new() };
        for _ in 0..PATIENCE {
            let request =
                self.http.request(method.clone(), &self.url).header("authorization", &authorization);
            let response = request.send().await.expect("the server answers");
            let status = response.status().as_u16();
            if response.status().is_success() {
                return Ok(());
            }
            let body = response.bytes().await.expect("a body");
            let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let code = problem.get("code").and_then(|code| code.as_str()).unwrap_or_default().to_owned();
            refused = Refused { status, code };
            if status != 503 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Err(refused)
    }

    fn sign(
        &self,
        fee_payer: &Pubkey,
        instructions: &[Instruction],
        blockhash: solana_hash::Hash,
    ) -> Vec<u8> {
        let message = Message::new_with_blockhash(instructions, Some(fee_payer), &blockhash);
        let message = VersionedMessage::Legacy(message);
        let signers = usize::from(message.header().num_required_signatures);
        let mut signatures = vec![Signature::default(); signers];
        let own = message.static_account_keys()[..signers].iter().position(|key| *key == self.key.pubkey());
        signatures[own.expect("the payer signs")] = self.key.sign_message(&message.serialize());
        encode_transaction(&VersionedTransaction { signatures, message })
    }
}
