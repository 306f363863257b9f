//! Requests that are paid one by one, on the embedded chain.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_cli::server::Role;
use toll_gateway::{ChargeConfig, ChargeSplitConfig};
use toll_ledger::PaymentState;
use toll_protocol::*;
use toll_tests::World;
use toll_tests::world::{AtShutdown, FUNDS, PRICE};

/// A world that takes charges.
async fn world(charge: ChargeConfig) -> World {
    let mut world = crate::world(AtShutdown::Close).await;
    world.stop_server().await;
    world.config.charge = ChargeConfig { enabled: true, ..charge };
    world.start_server(Role::Both).await;
    world
}

/// What a payer changes about the instructions that pay.
type Bend = Box<dyn Fn(&mut Vec<Instruction>)>;

/// Pays by hand.
struct Customer<'a> {
    world: &'a World,
    key: Keypair,
    http: reqwest::Client,
}

impl<'a> Customer<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, key: world.actors.payer.insecure_clone(), http: reqwest::Client::new() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.world.server().address.expect("the gateway runs"))
    }

    async fn send(&self, path: &str, authorization: Option<&str>) -> Response {
        let mut request = self.http.get(self.url(path));
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        request.send().await.expect("the server answers")
    }

    /// The charge that a 402 offers, behind the session.
    async fn challenge(&self) -> (Challenge, ChargeRequest) {
        for _ in 0..100 {
            let response = self.send("/count", None).await;
            if response.status() == StatusCode::PAYMENT_REQUIRED {
                let lines = response.headers().get_all("www-authenticate").iter();
                let offered: Vec<Challenge> = lines
                    .map(|line| {
                        parse_www_authenticate(line.as_bytes()).expect("well formed").payment.remove(0)
                    })
                    .collect();
                let intents: Vec<_> = offered.iter().map(|challenge| challenge.intent.as_str()).collect();
                assert_eq!(intents, ["session", "charge"], "one line each, the session first");
                let request = offered[1].charge_request().expect("a charge");
                return (offered[1].clone(), request);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the server offers nothing");
    }

    /// The payment of `request`, its instructions changed by `bend`, with the payer's signature.
    async fn sign(&self, request: &ChargeRequest, bend: impl FnOnce(&mut Vec<Instruction>)) -> Vec<u8> {
        let mut instructions =
            request.instructions(&self.key.pubkey(), &TOKEN_PROGRAM).expect("the charge keeps the rules");
        bend(&mut instructions);
        let fee_payer = request.method_details.fee_payer_key.unwrap_or(self.key.pubkey());
        let blockhash = request.method_details.recent_blockhash.expect("the settler has published one");
        let message = Message::new_with_blockhash(&instructions, Some(&fee_payer), &blockhash);
        let message = VersionedMessage::Legacy(message);
        let signers = usize::from(message.header().num_required_signatures);
        let mut signatures = vec![Signature::default(); signers];
        let own = message.static_account_keys()[..signers].iter().position(|key| *key == self.key.pubkey());
        if let Some(own) = own {
            signatures[own] = self.key.sign_message(&message.serialize());
        }
        encode_transaction(&VersionedTransaction { signatures, message })
    }

    async fn credential(&self, bend: impl FnOnce(&mut Vec<Instruction>)) -> (Challenge, String) {
        let (challenge, request) = self.challenge().await;
        let payload = ChargePayload::Transaction(self.sign(&request, bend).await);
        let authorization = authorization(&challenge, payload);
        (challenge, authorization)
    }

    async fn tokens(&self, owner: &Pubkey) -> u64 {
        self.world.fixture.tokens(owner).await.expect("the chain answers").get()
    }

    async fn lamports(&self, key: &Pubkey) -> u64 {
        self.world.cluster().lamports(key).await.expect("the chain answers")
    }
}

fn authorization(challenge: &Challenge, payload: ChargePayload) -> String {
    let credential = ChargeCredential { challenge: challenge.clone(), payload, source: None };
    format_payment(&credential.into()).expect("it fits a header")
}

fn receipt(response: &Response) -> ChargeReceipt {
    let value = response.headers()["payment-receipt"].as_bytes();
    let json = parse_json(&base64url_decode(value).expect("base64url")).expect("JSON");
    ChargeReceipt::from_json(&json).expect("a receipt")
}

async fn code(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let problem = Problem::parse(&response.bytes().await.expect("a body")).expect("a problem document");
    (status, problem.code.unwrap_or_default(), problem.detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_without_sol_pays_one_request_and_its_repeats_cost_nothing() {
    let mut world = world(ChargeConfig::default()).await;
    let sponsor = world.sponsor_lamports().await;
    {
        let customer = Customer::new(&world);
        assert_eq!(customer.lamports(&customer.key.pubkey()).await, 0);
        let (challenge, authorization) = customer.credential(|_| {}).await;

        let tries = (0..8).map(|_| customer.send("/count", Some(&authorization)));
        let mut answers = Vec::new();
        for response in futures::future::join_all(tries).await {
            assert_eq!(response.status(), StatusCode::OK);
            let receipt = receipt(&response);
            assert_eq!(receipt.challenge_id, challenge.id);
            assert!(response.headers()["cache-control"].to_str().expect("text").contains("private"));
            answers.push((receipt.reference, response.text().await.expect("a body")));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(world.upstream.served(), 1);
        let later = customer.send("/count", Some(&authorization)).await;
        assert_eq!((receipt(&later).reference, later.text().await.expect("a body")), answers[0]);

        let other = code(customer.send("/other", Some(&authorization)).await).await;
        assert_eq!((other.0, other.1.as_str()), (402, "challenge"), "{}", other.2);
        assert_eq!(world.upstream.served(), 1);
        assert_eq!(world.balances().await, (FUNDS.get() - PRICE.get(), PRICE.get()));
        assert_eq!(customer.lamports(&customer.key.pubkey()).await, 0);

        let payment = world.server().ledger().payment(&challenge.id).await.expect("the ledger answers");
        let payment = payment.expect("it is on record");
        assert_eq!((payment.state, payment.signature), (PaymentState::Served, Some(answers[0].0)));
        let outcome = world.cluster().outcome(&answers[0].0).await.expect("it landed");
        assert_eq!(world.sponsor_lamports().await, sponsor - outcome.fee_lamports, "its fee and no more");
    }
    world.stop_server().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_pays_its_own_fee_is_told_when_it_cannot_and_served_when_it_can() {
    let mut world = world(ChargeConfig { sponsored: false, ..ChargeConfig::default() }).await;
    let sponsor = world.sponsor_lamports().await;
    {
        let customer = Customer::new(&world);
        let (_, authorization) = customer.credential(|_| {}).await;
        let (status, code, detail) = code(customer.send("/count", Some(&authorization)).await).await;
        assert_eq!((status, code.as_str()), (402, "transaction-failed"));
        assert!(detail.contains("cannot pay the fee") && detail.contains("send it SOL"), "{detail}");
        assert_eq!(world.balances().await, (FUNDS.get(), 0));

        world.cluster().airdrop(&customer.key.pubkey(), 1_000_000_000).await.expect("SOL");
        let (_, authorization) = customer.credential(|_| {}).await;
        let response = customer.send("/count", Some(&authorization)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(world.balances().await, (FUNDS.get() - PRICE.get(), PRICE.get()));
        assert_eq!(world.sponsor_lamports().await, sponsor, "nobody else paid for it");
        assert_eq!(world.upstream.served(), 1);
    }
    world.stop_server().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_pays_everybody_it_lists() {
    let (platform, agent) = (Keypair::new().pubkey(), Keypair::new().pubkey());
    let split = |recipient, share_bps, memo: Option<&str>| ChargeSplitConfig {
        recipient,
        share_bps,
        memo: memo.map(str::to_owned),
        create_account: true,
    };
    let splits = vec![split(platform, 1_000, Some("platform fee")), split(agent, 250, None)];
    let mut world = world(ChargeConfig { splits, ..ChargeConfig::default() }).await;
    {
        let customer = Customer::new(&world);
        let (_, authorization) = customer.credential(|_| {}).await;
        let response = customer.send("/count", Some(&authorization)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(customer.tokens(&platform).await, 100);
        assert_eq!(customer.tokens(&agent).await, 25);
        assert_eq!(world.balances().await, (FUNDS.get() - 1_000, 875));
    }
    world.stop_server().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_for_a_payer_that_wants_more_than_to_pay() {
    let mut world = world(ChargeConfig::default()).await;
    let (sponsor, mint) = (world.actors.fee_payer.pubkey(), world.fixture.mint);
    let before = world.sponsor_lamports().await;
    {
        let customer = Customer::new(&world);
        let payer = customer.key.pubkey();
        let system = move |data: Vec<u8>| Instruction {
            program_id: SYSTEM_PROGRAM,
            accounts: vec![
                solana_instruction::AccountMeta::new(sponsor, true),
                solana_instruction::AccountMeta::new(payer, false),
            ],
            data,
        };
        let attempts: Vec<(&str, Bend)> = vec![
            ("its lamports", Box::new(move |all| all.push(system([&[2, 0, 0, 0][..], &[9; 8]].concat())))),
            (
                "an account for itself",
                Box::new(move |all| {
                    all.push(create_associated_token_account(&sponsor, &payer, &mint, &TOKEN_PROGRAM));
                }),
            ),
            ("a priority fee", Box::new(|all| all.push(compute_unit_price(u64::MAX)))),
            ("another amount", Box::new(|all| all[0].data[1] ^= 1)),
            ("no reference", Box::new(|all| all.truncate(1))),
            ("its payment twice", Box::new(|all| all.insert(0, all[0].clone()))),
        ];
        for (what, bend) in attempts {
            let (challenge, authorization) = customer.credential(bend).await;
            let (status, code, detail) = code(customer.send("/count", Some(&authorization)).await).await;
            assert_eq!((status, code.as_str()), (402, "charge-mismatch"), "{what}: {detail}");
            let known = world.server().ledger().payment(&challenge.id).await.expect("the ledger answers");
            assert_eq!(known, None, "{what}");
        }
        assert_eq!(world.sponsor_lamports().await, before);
        assert_eq!((world.balances().await, world.upstream.served()), ((FUNDS.get(), 0), 0));
    }
    world.stop_server().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_sends_its_payment_itself_and_it_pays_once() {
    let mut world = world(ChargeConfig { sponsored: false, ..ChargeConfig::default() }).await;
    {
        let customer = Customer::new(&world);
        let payer = customer.key.pubkey();
        world.cluster().airdrop(&payer, 1_000_000_000).await.expect("SOL");
        let (challenge, request) = customer.challenge().await;
        let instructions = request.instructions(&payer, &TOKEN_PROGRAM).expect("a charge");
        let sent = world.cluster().send(&instructions, &customer.key, &[]).await.expect("it lands").signature;
        let pushed = authorization(&challenge, ChargePayload::Signature(sent));
        let response = customer.send("/count", Some(&pushed)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(receipt(&response).reference, sent);
        let repeated = customer.send("/count", Some(&pushed)).await;
        assert_eq!(repeated.text().await.expect("a body"), response.text().await.expect("a body"));
        assert_eq!(world.upstream.served(), 1);

        let (other, _) = customer.challenge().await;
        let again = authorization(&other, ChargePayload::Signature(sent));
        let refused = code(customer.send("/count", Some(&again)).await).await;
        assert_eq!((refused.0, refused.1.as_str()), (402, "payment-used"), "{}", refused.2);

        // As much, to the right account, but for nothing of ours: it has another reference.
        let mut stray = instructions.clone();
        *stray.last_mut().expect("a memo") = memo("another reference");
        let sent = world.cluster().send(&stray, &customer.key, &[]).await.expect("it lands").signature;
        let (challenge, _) = customer.challenge().await;
        let stray = authorization(&challenge, ChargePayload::Signature(sent));
        let refused = code(customer.send("/count", Some(&stray)).await).await;
        assert_eq!((refused.0, refused.1.as_str()), (402, "transaction-failed"), "{}", refused.2);
        assert!(refused.2.contains("memo"), "{}", refused.2);

        // Less than was asked.
        let (challenge, request) = customer.challenge().await;
        let cheap = ChargeRequest { amount: Amount::new(PRICE.get() - 1), ..request };
        let instructions = cheap.instructions(&payer, &TOKEN_PROGRAM).expect("a charge");
        let sent = world.cluster().send(&instructions, &customer.key, &[]).await.expect("it lands").signature;
        let cheap = authorization(&challenge, ChargePayload::Signature(sent));
        let refused = code(customer.send("/count", Some(&cheap)).await).await;
        assert_eq!((refused.0, refused.1.as_str()), (402, "transaction-failed"), "{}", refused.2);
        assert_eq!(world.upstream.served(), 1);
    }
    world.stop_server().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_without_tokens_is_told_what_its_account_lacks_and_costs_nobody_a_fee() {
    let mut world = world(ChargeConfig::default()).await;
    let before = world.sponsor_lamports().await;
    {
        let customer = Customer { key: Keypair::new(), ..Customer::new(&world) };
        let (_, authorization) = customer.credential(|_| {}).await;
        let (status, code, detail) = code(customer.send("/count", Some(&authorization)).await).await;
        assert_eq!((status, code.as_str()), (402, "transaction-failed"), "{detail}");
        assert!(detail.contains("holds 0 of the 1000"), "{detail}");
        assert_eq!((world.sponsor_lamports().await, world.upstream.served()), (before, 0));
    }
    world.stop_server().await;
}
