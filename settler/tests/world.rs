//! A cluster, a ledger and the people around one settler.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use solana_account::Account;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{VersionedMessage, v0};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use tempfile::TempDir;
use toll_ledger::{
    Acceptance, ChannelRecord, Charge, Ledger, ManualClock, NewChannel, RecordedOpen, RecordedTopUp,
    Submission, SubmissionKind, SubmissionState,
};
use toll_protocol::{
    Agreement, Amount, Channel, ChannelAccount, ChannelId, ChannelTerms, Network, OperatorKey, PROGRAM_ID,
    SYSTEM_PROGRAM, SignedVoucher, Splits, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, TREASURY_OWNER,
    VerifiedVoucher, Voucher, associated_token_address, encode_transaction,
};
use toll_settler::{
    ListedMint, PurseSettings, Renew, Settler, SettlerConfig, SettlerError, SettlerKeys, Step,
};

use crate::chain::{CHANNEL_RENT, NOW, TestChain};
use crate::tokens;

/// Tokens the payer starts with.
pub const PAYER_TOKENS: u64 = 50_000_000;
/// Lamports the fee payer starts with.
pub const FEE_PAYER_LAMPORTS: u64 = 10_000_000_000;
/// Seconds of grace of every channel.
pub const GRACE_PERIOD: u32 = 900;
/// Seconds after which a channel is idle.
pub const IDLE_TIMEOUT: u32 = 600;

/// Everything a settler meets.
pub struct World {
    pub chain: TestChain,
    pub ledger: Ledger,
    pub clock: ManualClock,
    pub fee_payer: Keypair,
    pub payee: Keypair,
    pub payer: Keypair,
    pub mint: Pubkey,
    pub token_program: Pubkey,
    pub splits: Splits,
    pub renew: Renew,
    /// Whoever signs the vouchers of new channels, if not their payers.
    pub operator: Option<OperatorKey>,
    /// Whether payers want their deposits to stay in escrow.
    pub keep_deposits: bool,
    requests: u64,
    directory: TempDir,
}

impl World {
    /// Payer with tokens and no SOL, payee and treasury with token accounts.
    pub fn new() -> Self {
        Self::with_splits(Splits::none())
    }

    /// Channels of this world pay these recipients, who have token accounts.
    pub fn with_splits(splits: Splits) -> Self {
        Self::made_of(splits, TOKEN_PROGRAM)
    }

    /// Channels of this world are in a Token-2022 mint.
    pub fn token_2022() -> Self {
        Self::made_of(Splits::none(), TOKEN_2022_PROGRAM)
    }

    fn made_of(splits: Splits, token_program: Pubkey) -> Self {
        let clock = ManualClock::new(NOW);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let world = Self {
            chain: TestChain::new(),
            ledger: Ledger::open(directory.path().join("ledger.db"), clock.clone()).expect("a ledger"),
            clock,
            fee_payer: key(1),
            payee: key(2),
            payer: key(3),
            mint: Pubkey::new_from_array([9; 32]),
            token_program,
            splits,
            renew: Renew::Never,
            operator: None,
            keep_deposits: false,
            requests: 0,
            directory,
        };
        world.put(world.mint, tokens::mint(world.token_program));
        world.put(world.fee_payer.pubkey(), Account::new(FEE_PAYER_LAMPORTS, 0, &SYSTEM_PROGRAM));
        world.put_tokens(world.payer.pubkey(), PAYER_TOKENS);
        world.put_tokens(world.payee.pubkey(), 0);
        world.put_tokens(TREASURY_OWNER, 0);
        for split in world.splits.as_slice() {
            world.put_tokens(split.recipient, 0);
        }
        world
    }

    /// Vouchers of this world are signed by the operator, whose key the settler has.
    pub fn operated() -> Self {
        Self { operator: Some(OperatorKey::from_secret(&[4; 32])), ..Self::new() }
    }

    /// Where the ledger is.
    pub fn ledger_path(&self) -> PathBuf {
        self.directory.path().join("ledger.db")
    }

    pub fn put(&self, address: Pubkey, account: Account) {
        self.chain.lock().svm.set_account(address, account).expect("any account may be put");
    }

    pub fn put_tokens(&self, owner: Pubkey, amount: u64) {
        self.put(self.token_account(&owner), tokens::account(self.mint, owner, self.token_program, amount));
    }

    pub fn remove_tokens(&self, owner: Pubkey) {
        self.put(self.token_account(&owner), Account::default());
    }

    pub fn token_account(&self, owner: &Pubkey) -> Pubkey {
        associated_token_address(owner, &self.mint, &self.token_program)
    }

    /// Tokens of `owner`; none without a token account.
    pub fn tokens(&self, owner: &Pubkey) -> u64 {
        self.chain.account(&self.token_account(owner)).map_or(0, |account| tokens::amount(&account))
    }

    pub fn listed(&self) -> ListedMint {
        ListedMint { mint: self.mint, token_program: self.token_program }
    }

    /// Everything at once, nothing by the wall clock.
    pub fn config(&self) -> SettlerConfig {
        SettlerConfig {
            tip_interval: Duration::from_millis(20),
            poll_interval: Duration::from_millis(20),
            confirm_interval: Duration::ZERO,
            resend_interval: Duration::ZERO,
            drain_timeout: Duration::from_secs(20),
            close_on_shutdown: true,
            renew: self.renew,
            renew_wait: Duration::ZERO,
            purse: PurseSettings {
                channels_per_payer: 1_000,
                payer_budget_per_day: 1_000_000_000,
                minimum_top_up: 0,
                settle_worth: 0,
                ..PurseSettings::default()
            },
            ..SettlerConfig::new(Network::Localnet, PROGRAM_ID, TREASURY_OWNER, vec![self.listed()])
        }
    }

    pub fn keys(&self) -> SettlerKeys {
        SettlerKeys {
            fee_payer: self.fee_payer.insecure_clone(),
            payee: self.payee.insecure_clone(),
            operator: self.operator.clone(),
        }
    }

    pub async fn start(&self, keys: SettlerKeys, config: SettlerConfig) -> Result<Settler, SettlerError> {
        Settler::start(self.ledger.clone(), Arc::new(self.chain.clone()), keys, config).await
    }

    pub async fn settler(&self) -> Settler {
        self.start(self.keys(), self.config()).await.expect("the settler starts")
    }

    /// Passes until there is nothing left to do.
    pub async fn drive(&self, settler: &Settler) {
        for _ in 0..200 {
            settler.publish_tip().await.expect("a tip");
            let pass = settler.pass(true).await.expect("a pass");
            if pass.sent + pass.in_flight + pass.waiting == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the settler never comes to rest: {:?}", settler.take_summary());
    }

    /// Drives a settler that dies right after `step` of the first submission of `kind`. Panics when it never
    /// gets there.
    pub async fn die_at(&self, kind: SubmissionKind, step: Step) {
        struct Killed;
        let settler = self.settler().await.on_step(move |at, reached| {
            if (at, reached) == (kind, step) {
                // Unlike a panic, this prints nothing.
                std::panic::resume_unwind(Box::new(Killed));
            }
        });
        let running = tokio::spawn(async move {
            for _ in 0..50 {
                settler.publish_tip().await.expect("a tip");
                settler.pass(true).await.expect("a pass");
            }
        });
        let died = running.await.expect_err("the settler comes to the step").into_panic();
        assert!(died.is::<Killed>(), "the settler dies of the kill and of nothing else");
    }

    /// The terms of channel number `salt`.
    pub fn terms(&self, salt: u64) -> ChannelTerms {
        ChannelTerms {
            payer: self.payer.pubkey(),
            payee: self.payee.pubkey(),
            mint: self.mint,
            authorized_signer: self.operator.as_ref().map_or(self.payer.pubkey(), OperatorKey::pubkey),
            salt,
            open_slot: self.chain.slot(),
        }
    }

    /// Channel number `salt` as it would be opened now.
    pub fn new_channel(&self, salt: u64, deposit: u64) -> NewChannel {
        NewChannel {
            agreement: Agreement {
                program: PROGRAM_ID,
                terms: self.terms(salt),
                token_program: self.token_program,
                rent_payer: self.fee_payer.pubkey(),
                grace_period: GRACE_PERIOD,
                splits: self.splits.clone(),
            },
            deposit: Amount::new(deposit),
            price: Amount::new(16),
            unit_type: None,
            idle_timeout: IDLE_TIMEOUT,
            proof: None,
            keep_deposit: self.keep_deposits,
        }
    }

    /// The instruction that opens `channel`.
    pub fn open_instruction(&self, channel: &NewChannel) -> Instruction {
        channel.agreement.open(channel.deposit).instruction()
    }

    /// A transaction signed by the payer, with the fee payer's slot empty.
    pub fn payer_signed(&self, instructions: &[Instruction]) -> Vec<u8> {
        encode_transaction(&self.signed_by(&self.fee_payer.pubkey(), instructions, &[&self.payer]))
    }

    /// The same transaction with other bytes where the fee payer's signature goes.
    pub fn payer_signed_again(&self, instructions: &[Instruction]) -> Vec<u8> {
        let mut transaction = self.signed_by(&self.fee_payer.pubkey(), instructions, &[&self.payer]);
        transaction.signatures[0] = Signature::from([1; 64]);
        encode_transaction(&transaction)
    }

    /// A transaction on the newest blockhash, signed by some of its signers.
    pub fn signed_by(
        &self,
        fee_payer: &Pubkey,
        instructions: &[Instruction],
        signers: &[&Keypair],
    ) -> VersionedTransaction {
        let blockhash = self.chain.lock().svm.latest_blockhash();
        let message = v0::Message::try_compile(fee_payer, instructions, &[], blockhash).expect("it compiles");
        let message = VersionedMessage::V0(message);
        let bytes = message.serialize();
        let count = usize::from(message.header().num_required_signatures);
        let sign = |key: &Pubkey| {
            let signer = signers.iter().find(|signer| signer.pubkey() == *key);
            signer.map_or_else(Signature::default, |signer| signer.sign_message(&bytes))
        };
        let signatures = message.static_account_keys()[..count].iter().map(sign).collect();
        VersionedTransaction { signatures, message }
    }

    /// Sends instructions as somebody else would, paid by a key of its own.
    pub fn send(&self, instructions: &[Instruction], signers: &[&Keypair]) {
        let relayer = key(200);
        self.put(relayer.pubkey(), Account::new(1_000_000_000, 0, &SYSTEM_PROGRAM));
        let all: Vec<_> = signers.iter().copied().chain([&relayer]).collect();
        let transaction = self.signed_by(&relayer.pubkey(), instructions, &all);
        self.chain.lock().svm.send_transaction(transaction).expect("it lands");
    }

    /// Records an open as the gateway would.
    pub async fn record_open(&self, salt: u64, deposit: u64) -> ChannelId {
        let channel = self.new_channel(salt, deposit);
        let transaction = self.payer_signed(&[self.open_instruction(&channel)]);
        self.record_open_as(channel, transaction).await
    }

    /// Records `channel` with any transaction.
    pub async fn record_open_as(&self, channel: NewChannel, transaction: Vec<u8>) -> ChannelId {
        let (id, _) = channel.agreement.terms.address(&channel.agreement.program);
        let challenge = format!("challenge {}", channel.agreement.terms.salt);
        let recorded = self.ledger.record_open(channel, transaction, &challenge, NOW + 300).await;
        assert!(matches!(recorded, Ok(RecordedOpen::Recorded(_))), "{recorded:?}");
        id
    }

    /// A channel that is open, on chain and in the ledger.
    pub async fn open(&self, settler: &Settler, salt: u64, deposit: u64) -> ChannelId {
        let id = self.record_open(salt, deposit).await;
        self.drive(settler).await;
        id
    }

    /// An open channel, made by a settler that is gone again.
    pub async fn opened(&self, salt: u64, deposit: u64) -> ChannelId {
        let settler = self.settler().await;
        self.open(&settler, salt, deposit).await
    }

    /// Records a top-up as the gateway would.
    pub async fn record_top_up(&self, id: &ChannelId, amount: u64) {
        let amount = Amount::new(amount);
        let transaction = self.payer_signed(&[self.channel(id).await.top_up(amount)]);
        let recorded = self.ledger.record_top_up(id, amount, transaction).await;
        assert!(matches!(recorded, Ok(RecordedTopUp::Recorded(_))), "{recorded:?}");
    }

    /// Builds instructions for a channel.
    pub async fn channel(&self, id: &ChannelId) -> Channel {
        let record = self.record(id).await;
        record.agreement.channel(TREASURY_OWNER)
    }

    /// A voucher by the payer, or by the operator.
    pub fn voucher(&self, id: &ChannelId, cumulative: u64, expires_at: i64) -> VerifiedVoucher {
        let voucher = Voucher { channel_id: *id, cumulative_amount: Amount::new(cumulative), expires_at };
        if let Some(operator) = &self.operator {
            return operator.sign(voucher);
        }
        let key = SigningKey::from_bytes(self.payer.secret_bytes());
        SignedVoucher::sign(voucher, &key)
            .verify(id, &self.payer.pubkey())
            .expect("its own signature verifies")
    }

    /// Accepts a voucher up to `cumulative`, all of it spent.
    pub async fn pay(&mut self, id: &ChannelId, cumulative: u64) {
        self.pay_until(id, cumulative, 0).await;
    }

    /// Accepts a voucher that expires.
    pub async fn pay_until(&mut self, id: &ChannelId, cumulative: u64, expires_at: i64) {
        let spent = self.record(id).await.watermarks.spent.get();
        self.requests += 1;
        let voucher = self.voucher(id, cumulative, expires_at);
        let accepted = self.ledger.accept(&voucher, Charge::of(cumulative - spent, self.requests)).await;
        assert!(matches!(accepted, Ok(Acceptance::Accepted(_))), "{accepted:?}");
    }

    pub async fn record(&self, id: &ChannelId) -> ChannelRecord {
        self.ledger.channel(id).await.expect("the ledger reads").expect("the channel is known")
    }

    /// The channel on chain.
    pub fn account(&self, id: &ChannelId) -> Option<ChannelAccount> {
        let account = self.chain.account(&id.pubkey())?;
        Some(ChannelAccount::decode(&account.data).expect("a channel account"))
    }

    pub async fn submissions(&self, id: &ChannelId, kind: SubmissionKind) -> Vec<Submission> {
        let mut all = self.ledger.submissions_of(id).await.expect("the ledger reads");
        all.retain(|submission| submission.kind == kind);
        all
    }

    /// How many submissions of `kind` are in `state`.
    pub async fn count(&self, id: &ChannelId, kind: SubmissionKind, state: SubmissionState) -> usize {
        self.submissions(id, kind).await.iter().filter(|submission| submission.state == state).count()
    }

    /// Asserts that a closed channel paid exactly `settled` to the payee, the rest of `deposit` back, and
    /// kept nothing.
    pub async fn assert_paid_out(&self, id: &ChannelId, deposit: u64, settled: u64) {
        assert_eq!(self.tokens(&self.payee.pubkey()), settled, "the payee got what was settled");
        assert_eq!(self.tokens(&self.payer.pubkey()), PAYER_TOKENS - settled, "the payer got the rest");
        assert_eq!(self.chain.account(&self.channel(id).await.escrow()), None, "the escrow is closed");
        let record = self.record(id).await;
        assert_eq!(record.watermarks.settled, Amount::new(settled));
        assert_eq!(record.refunded, Some(Amount::new(deposit - settled)));
        assert!(record.close_signature.is_some());
    }

    /// Asserts that a channel's tokens have left it.
    pub fn assert_paid_out_on_chain(&self, id: &ChannelId) {
        let status = self.account(id).map(|account| account.status);
        assert_eq!(status, Some(toll_protocol::ChannelStatus::Distributed));
    }

    /// Asserts that all rent is back: the fee payer is short of nothing but fees.
    pub fn assert_rent_returned(&self, fees: u64, channels_not_reclaimed: u64) {
        let out = FEE_PAYER_LAMPORTS - self.chain.lamports(&self.fee_payer.pubkey());
        assert_eq!(out, fees + channels_not_reclaimed * CHANNEL_RENT);
    }
}

/// The keypair number `seed`.
pub fn key(seed: u8) -> Keypair {
    Keypair::new_from_array([seed; 32])
}
