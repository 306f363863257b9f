//! An embedded chain with many payers, and a server's ledger.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use solana_account::Account;
use solana_keypair::Keypair;
use solana_message::{VersionedMessage, v0};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_chain::{Chain, Cluster, RpcChain};
use toll_ledger::{
    Acceptance, ChannelState, Charge, Ledger, NewChannel, RecordedOpen, RecordedTopUp, Renewal,
    RenewalRequested, SystemClock,
};
use toll_localnet::program::ELF;
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::{
    Agreement, Amount, ChannelId, ChannelTerms, Network, OPEN_SLOT_WINDOW, OperatorKey, PROGRAM_ID,
    SignedVoucher, Splits, TOKEN_PROGRAM, TREASURY_OWNER, Voucher, encode_transaction,
};
use toll_settler::{ListedMint, Settler, SettlerConfig, SettlerKeys, TransactionVersion};

use super::Failure;

/// Milliseconds of a slot, those of mainnet.
const SLOT_MS: u64 = 200;

/// What each payer escrows, in base units.
const DEPOSIT: u64 = 1_000_000;

/// What each payer pays, in base units.
const PAID: u64 = 16_000;

/// Top-ups that are recorded at once.
const TOP_UPS_AT_ONCE: usize = 100;

/// Lamports of a payer that pays for its top-up.
const PAYER_LAMPORTS: u64 = 10_000_000;

/// Lamports for each channel's rent and fees.
const LAMPORTS_PER_CHANNEL: u64 = 6_000_000;

/// Everybody around one settler.
pub(super) struct Scene {
    localnet: Localnet,
    cluster: Cluster,
    pub(super) ledger: Ledger,
    actors: Actors,
    fixture: Fixture,
    channels: Vec<Payer>,
    /// Whether payers want their deposits to stay in escrow between two sessions.
    keep_deposits: bool,
    /// Who signs the vouchers, if not their payers.
    operator: Option<OperatorKey>,
}

/// A payer, and the one channel it has.
struct Payer {
    key: Keypair,
    terms: std::sync::OnceLock<ChannelTerms>,
}

impl Scene {
    /// A fresh chain, and `channels` payers with tokens and no SOL.
    pub(super) async fn new(channels: u64) -> Result<Self, Failure> {
        let localnet =
            Localnet::start(LocalnetConfig { slot_ms: SLOT_MS, ..LocalnetConfig::default() }).await?;
        localnet.deploy(&PROGRAM_ID, ELF).await?;
        let actors = Actors::new();
        let cluster = Cluster::new(localnet.rpc_url.as_str());
        let fixture = Fixture::prepare(Cluster::new(localnet.rpc_url.as_str()), &actors).await?;
        cluster.airdrop(&actors.fee_payer.pubkey(), channels * LAMPORTS_PER_CHANNEL).await?;
        let payers: Vec<_> =
            (0..channels).map(|_| Payer { key: Keypair::new(), terms: std::sync::OnceLock::new() }).collect();
        for payer in &payers {
            localnet.set_tokens(&payer.key.pubkey(), &fixture.mint, Amount::new(DEPOSIT)).await?;
        }
        let ledger = Ledger::temporary(SystemClock);
        let (keep_deposits, operator) = (false, None);
        Ok(Self { localnet, cluster, ledger, actors, fixture, channels: payers, keep_deposits, operator })
    }

    /// The same, with payers that leave their deposits in escrow.
    pub(super) async fn keeping(channels: u64) -> Result<Self, Failure> {
        Ok(Self { keep_deposits: true, ..Self::new(channels).await? })
    }

    /// The same, with vouchers that the operator signs.
    pub(super) async fn operated(channels: u64) -> Result<Self, Failure> {
        let operator = OperatorKey::from_secret(Keypair::new().secret_bytes());
        Ok(Self { operator: Some(operator), ..Self::new(channels).await? })
    }

    /// The settler of the server, 64 transactions in flight.
    pub(super) async fn settler(
        &self,
        channels_per_transaction: usize,
        transaction_version: TransactionVersion,
    ) -> Result<Settler, Failure> {
        let mint = ListedMint { mint: self.fixture.mint, token_program: TOKEN_PROGRAM };
        let mut config = SettlerConfig {
            poll_interval: Duration::from_millis(500),
            in_flight: 64,
            channels_per_transaction,
            transaction_version,
            ..SettlerConfig::new(Network::Localnet, PROGRAM_ID, TREASURY_OWNER, vec![mint])
        };
        // More than a sponsor pays for in a minute.
        config.purse.opens_per_minute = None;
        let keys = SettlerKeys {
            fee_payer: self.actors.fee_payer.insecure_clone(),
            payee: self.actors.payee.insecure_clone(),
            operator: self.operator.clone(),
        };
        let chain = Arc::new(RpcChain::new(self.localnet.rpc_url.as_str()));
        Ok(Settler::start(self.ledger.clone(), chain, keys, config).await?)
    }

    /// Records `count` opens from `first` on, as a gateway does.
    pub(super) async fn record_opens(&self, first: u64, count: u64) -> Result<(), Failure> {
        if count == 0 {
            return Ok(());
        }
        let tip = self.cluster.chain().tip().await?;
        let range = usize::try_from(first)?..usize::try_from(first + count)?;
        for payer in &self.channels[range] {
            let terms = ChannelTerms {
                payer: payer.key.pubkey(),
                payee: self.actors.payee.pubkey(),
                mint: self.fixture.mint,
                authorized_signer: self.operator.as_ref().map_or(payer.key.pubkey(), OperatorKey::pubkey),
                salt: 1,
                open_slot: tip.slot,
            };
            let terms = *payer.terms.get_or_init(|| terms);
            let channel = self.new_channel(terms);
            let open = channel.agreement.open(channel.deposit);
            let message = v0::Message::try_compile(
                &self.actors.fee_payer.pubkey(),
                &[open.instruction()],
                &[],
                tip.blockhash,
            )?;
            let message = VersionedMessage::V0(message);
            let signatures = vec![Signature::default(), payer.key.sign_message(&message.serialize())];
            let transaction = encode_transaction(&VersionedTransaction { signatures, message });
            let challenge = terms.payer.to_string();
            let expires_at = self.ledger.now() + 600;
            let recorded = self.ledger.record_open(channel, transaction, &challenge, expires_at).await?;
            if !matches!(recorded, RecordedOpen::Recorded(_)) {
                return Err(format!("an open was not recorded: {recorded:?}").into());
            }
        }
        Ok(())
    }

    fn new_channel(&self, terms: ChannelTerms) -> NewChannel {
        NewChannel {
            agreement: Agreement {
                program: PROGRAM_ID,
                terms,
                token_program: TOKEN_PROGRAM,
                rent_payer: self.actors.fee_payer.pubkey(),
                grace_period: 900,
                splits: Splits::none(),
            },
            deposit: Amount::new(DEPOSIT),
            price: Amount::new(PAID),
            unit_type: None,
            // Nobody goes idle while this runs.
            idle_timeout: 86_400,
            proof: None,
            keep_deposit: self.keep_deposits,
        }
    }

    /// Takes one voucher on every channel.
    pub(super) async fn pay_once(&self) -> Result<(), Failure> {
        self.pay(1).await
    }

    /// Takes the voucher of session number `session` on every channel.
    pub(super) async fn pay(&self, session: u64) -> Result<(), Failure> {
        let first = session * self.channels.len() as u64;
        for (request, (payer, id)) in (first..).zip(self.channels.iter().zip(self.ids())) {
            let cumulative_amount = Amount::new(session * PAID);
            let voucher = Voucher { channel_id: id, cumulative_amount, expires_at: 0 };
            let verified = match &self.operator {
                Some(operator) => operator.sign(voucher),
                None => SignedVoucher::sign(voucher, &SigningKey::from_bytes(payer.key.secret_bytes()))
                    .verify(&id, &payer.key.pubkey())?,
            };
            let accepted = self.ledger.accept(&verified, Charge::of(PAID, request)).await?;
            if !matches!(accepted, Acceptance::Accepted(_)) {
                return Err(format!("a voucher was refused: {accepted:?}").into());
            }
        }
        Ok(())
    }

    /// Asks for every channel's session to be ended, as if it had been idle for its timeout.
    pub(super) async fn request_renewals(&self) -> Result<(), Failure> {
        let expected = if self.keep_deposits { RenewalRequested::Kept } else { RenewalRequested::Recorded };
        let always = Renewal { returning: false, worth: Amount::ZERO, can_rearm: true };
        for id in self.ids() {
            let requested = self.ledger.request_renewal(&id, always, self.ledger.now() + 100_000).await?;
            if requested != expected {
                return Err(format!("a channel is not renewed: {requested:?}").into());
            }
        }
        Ok(())
    }

    /// How many sessions a deposit lasts.
    pub(super) const fn sessions_per_deposit() -> u64 {
        DEPOSIT / PAID
    }

    /// How many channels are still to be paid out, of which the deposit stays.
    pub(super) async fn to_pay_out(&self) -> Result<usize, Failure> {
        Ok(self.ledger.to_pay_out(self.channels.len()).await?.len())
    }

    /// Gives every payer the SOL for a fee.
    pub(super) async fn fund_payers(&self) -> Result<(), Failure> {
        let funded = Account { lamports: PAYER_LAMPORTS, ..Account::default() };
        let accounts: Vec<_> =
            self.channels.iter().map(|payer| (payer.key.pubkey(), funded.clone())).collect();
        Ok(self.localnet.put_accounts(&accounts).await?)
    }

    /// Tops every channel up by what a session costs, as a gateway does, and waits until all have landed. The sponsor
    /// pays for it if it is `sponsored`, otherwise each payer does.
    pub(super) async fn top_up_all(&self, sponsored: bool) -> Result<(), Failure> {
        let amount = Amount::new(PAID);
        let mut before = Vec::new();
        for id in self.ids() {
            let record = self.ledger.channel(&id).await?.ok_or("a channel is not known")?;
            before.push(record.watermarks.deposit.get());
        }
        for payers in self.channels.chunks(TOP_UPS_AT_ONCE) {
            let tip = self.cluster.chain().tip().await?;
            for payer in payers {
                let Some(terms) = payer.terms.get() else { continue };
                let agreement = self.new_channel(*terms).agreement;
                let (id, instruction) =
                    (terms.address(&PROGRAM_ID).0, agreement.channel(TREASURY_OWNER).top_up(amount));
                let owner = payer.key.pubkey();
                let fee_payer = if sponsored { self.actors.fee_payer.pubkey() } else { owner };
                let message = v0::Message::try_compile(&fee_payer, &[instruction], &[], tip.blockhash)?;
                let message = VersionedMessage::V0(message);
                let by_payer = payer.key.sign_message(&message.serialize());
                let signatures =
                    if sponsored { vec![Signature::default(), by_payer] } else { vec![by_payer] };
                let transaction = encode_transaction(&VersionedTransaction { signatures, message });
                let recorded = self.ledger.record_top_up(&id, amount, transaction).await?;
                if !matches!(recorded, RecordedTopUp::Recorded(_)) {
                    return Err(format!("a top-up was not recorded: {recorded:?}").into());
                }
            }
            while !(self.ledger.requested().await?.is_empty() && self.ledger.unresolved().await?.is_empty()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        for (id, before) in self.ids().into_iter().zip(before) {
            let deposit = self.ledger.channel(&id).await?.map(|record| record.watermarks.deposit);
            if deposit != Some(Amount::new(before + PAID)) {
                return Err(format!("after its top-up {id} has a deposit of {deposit:?}").into());
            }
        }
        Ok(())
    }

    /// The channels that were recorded.
    pub(super) fn ids(&self) -> Vec<ChannelId> {
        let terms = self.channels.iter().filter_map(|payer| payer.terms.get());
        terms.map(|terms| terms.address(&PROGRAM_ID).0).collect()
    }

    /// How many channels are in these states.
    pub(super) async fn count(&self, states: &[ChannelState]) -> Result<u64, Failure> {
        Ok(self.ledger.count_channels(states).await?)
    }

    /// Why an open failed.
    pub(super) async fn why_failed(&self) -> Result<String, Failure> {
        let failed = self.ledger.channels(&[ChannelState::Failed]).await?;
        Ok(failed.into_iter().find_map(|record| record.failure).unwrap_or_default())
    }

    /// Lets so many slots pass that the newest channel's rent can be taken back.
    pub(super) async fn end_slot_window(&self) -> Result<(), Failure> {
        let slot = self.cluster.slot().await?;
        Ok(self.localnet.advance_to_slot(slot + OPEN_SLOT_WINDOW + 2).await?)
    }

    /// Lamports of the one who pays fees and rent.
    pub(super) async fn sponsor_lamports(&self) -> Result<u64, Failure> {
        Ok(self.cluster.lamports(&self.actors.fee_payer.pubkey()).await?)
    }

    /// Fails unless everybody got what it was due.
    pub(super) async fn check_balances(&self) -> Result<(), Failure> {
        let count = self.channels.len() as u64;
        let expected = [(self.actors.payee.pubkey(), count * PAID)];
        let payers = self.channels.iter().map(|payer| (payer.key.pubkey(), DEPOSIT - PAID));
        for (owner, expected) in expected.into_iter().chain(payers) {
            let tokens = self.tokens(&owner).await?;
            if tokens != expected {
                return Err(format!("{owner} has {tokens} tokens and should have {expected}").into());
            }
        }
        Ok(())
    }

    /// Fails unless the payee has what it was due, and every deposit is still in escrow.
    pub(super) async fn check_kept(&self) -> Result<(), Failure> {
        let due = self.channels.len() as u64 * PAID;
        let paid = self.tokens(&self.actors.payee.pubkey()).await?;
        if paid != due {
            return Err(format!("the payee has {paid} tokens and should have {due}").into());
        }
        for id in self.ids() {
            let account = self.cluster.channel(&id, &PROGRAM_ID).await?.ok_or("a channel is gone")?;
            let found = [account.deposit, account.settled, account.payout_watermark];
            if found != [DEPOSIT, PAID, PAID].map(Amount::new) {
                return Err(format!("{id} has {found:?}").into());
            }
        }
        Ok(())
    }

    async fn tokens(&self, owner: &Pubkey) -> Result<u64, Failure> {
        Ok(self.fixture.tokens(owner).await?.get())
    }
}
