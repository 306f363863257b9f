//! A bank with the channel program in it, a mint, and the parties of one channel.

use ed25519_dalek::SigningKey;
use solana_keypair::Keypair;
use solana_program_test::{BanksClientError, ProgramTest, ProgramTestContext};
use solana_signer::Signer;
use toll_protocol::{
    Agreement, Amount, Channel, ChannelAccount, ChannelTerms, Open, PROGRAM_ID, SignedVoucher, Splits,
    TOKEN_PROGRAM, TREASURY_OWNER, Voucher, associated_token_address,
};

use solana_account::Account;
use solana_instruction::{Instruction, error::InstructionError};
use solana_pubkey::Pubkey;
use solana_transaction::Transaction;
use solana_transaction_error::TransactionError;

const ELF: &[u8] = include_bytes!("../../programs/session-channel/elf/session_channel.so");
const BPF_LOADER: Pubkey = Pubkey::from_str_const("BPFLoader2111111111111111111111111111111111");
const LAMPORTS: u64 = 1_000_000_000;

/// What the payer owns before anything happens.
pub(crate) const FUNDS: u64 = 50_000_000;
/// What the channel is opened with.
pub(crate) const DEPOSIT: u64 = 1_000_000;
/// Seconds between a payer's request to close and the right of anyone to seal.
pub(crate) const GRACE: u32 = 900;

/// One bank and the parties of one channel.
pub(crate) struct Bank {
    context: ProgramTestContext,
    mint: Pubkey,
    sponsor: Keypair,
    payer: Keypair,
    payee: Keypair,
    channel: Channel,
}

impl Bank {
    /// A bank whose payer owns [`FUNDS`] and no lamports, with a channel open on it.
    pub(crate) async fn with_open_channel() -> Self {
        let (mint, sponsor, payer, payee) =
            (Pubkey::new_unique(), Keypair::new(), Keypair::new(), Keypair::new());
        let mut genesis = ProgramTest::default();
        genesis.add_account(PROGRAM_ID, account(BPF_LOADER, ELF.to_vec(), true));
        genesis.add_account(mint, account(TOKEN_PROGRAM, mint_data(), false));
        genesis.add_account(sponsor.pubkey(), Account { lamports: LAMPORTS, ..Account::default() });
        for (owner, amount) in [(payer.pubkey(), FUNDS), (payee.pubkey(), 0), (TREASURY_OWNER, 0)] {
            let address = associated_token_address(&owner, &mint, &TOKEN_PROGRAM);
            genesis.add_account(address, account(TOKEN_PROGRAM, token_data(&mint, &owner, amount), false));
        }
        let mut context = genesis.start_with_context().await;
        context.warp_to_slot(10).expect("a young bank moves on");

        let terms = ChannelTerms {
            payer: payer.pubkey(),
            payee: payee.pubkey(),
            mint,
            authorized_signer: payer.pubkey(),
            salt: 7,
            open_slot: 10,
        };
        let open = Open {
            agreement: Agreement {
                program: PROGRAM_ID,
                terms,
                grace_period: GRACE,
                splits: Splits::default(),
                rent_payer: sponsor.pubkey(),
                token_program: TOKEN_PROGRAM,
            },
            deposit: Amount::new(DEPOSIT),
        };
        let channel = Channel {
            program: PROGRAM_ID,
            id: open.channel_id(),
            payer: payer.pubkey(),
            payee: payee.pubkey(),
            mint,
            token_program: TOKEN_PROGRAM,
            rent_payer: sponsor.pubkey(),
            splits: Splits::default(),
            treasury_owner: TREASURY_OWNER,
        };
        let mut bank = Self { context, mint, sponsor, payer, payee, channel };
        bank.send(&[open.instruction()], &[Party::Payer]).await.expect("the channel opens");
        bank
    }

    /// The channel's instructions.
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// A voucher of the payer's for `cumulative_amount`.
    pub(crate) fn voucher(&self, cumulative_amount: u64) -> SignedVoucher {
        let key = SigningKey::from_bytes(self.payer.secret_bytes());
        let cumulative_amount = Amount::new(cumulative_amount);
        SignedVoucher::sign(Voucher { channel_id: self.channel.id, cumulative_amount, expires_at: 0 }, &key)
    }

    /// Sends `instructions`, paid for by the sponsor and signed by `parties` as well.
    pub(crate) async fn send(
        &mut self,
        instructions: &[Instruction],
        parties: &[Party],
    ) -> Result<(), BanksClientError> {
        // Starting a bank, here or in another test, turns on a log line for every instruction.
        log::set_max_level(log::LevelFilter::Warn);
        let blockhash = self.context.get_new_latest_blockhash().await.expect("the bank makes blocks");
        let mut signers = vec![&self.sponsor];
        for party in parties {
            signers.push(match party {
                Party::Payer => &self.payer,
                Party::Payee => &self.payee,
            });
        }
        let sponsor = self.sponsor.pubkey();
        let transaction =
            Transaction::new_signed_with_payer(instructions, Some(&sponsor), &signers, blockhash);
        self.context.banks_client.process_transaction(transaction).await
    }

    /// The channel account, if it is still there.
    pub(crate) async fn account(&self) -> Option<ChannelAccount> {
        let account =
            self.context.banks_client.get_account(self.channel.id.pubkey()).await.expect("the bank answers");
        account.map(|account| ChannelAccount::decode(&account.data).expect("a channel account decodes"))
    }

    /// Base units in the token account at `address`; `None` when there is none.
    pub(crate) async fn tokens(&self, address: Pubkey) -> Option<u64> {
        let account = self.context.banks_client.get_account(address).await.expect("the bank answers")?;
        Some(u64::from_le_bytes(account.data[64..72].try_into().expect("eight bytes")))
    }

    /// Base units that `party` owns.
    pub(crate) async fn balance(&self, party: Party) -> u64 {
        let owner = match party {
            Party::Payer => self.payer.pubkey(),
            Party::Payee => self.payee.pubkey(),
        };
        self.tokens(associated_token_address(&owner, &self.mint, &TOKEN_PROGRAM))
            .await
            .expect("it has an account")
    }

    /// Lamports of the one who pays fees and rent.
    pub(crate) async fn sponsor_lamports(&self) -> u64 {
        self.context.banks_client.get_balance(self.sponsor.pubkey()).await.expect("the bank answers")
    }

    /// Moves to `slot`.
    pub(crate) fn warp(&mut self, slot: u64) {
        self.context.warp_to_slot(slot).expect("slots only rise");
    }

    /// Moves the bank's clock on by `seconds`.
    pub(crate) async fn wait(&mut self, seconds: i64) {
        let mut clock: solana_clock::Clock = self.context.banks_client.get_sysvar().await.expect("a clock");
        clock.unix_timestamp += seconds;
        self.context.set_sysvar(&clock);
    }
}

/// Who signs besides the sponsor.
#[derive(Clone, Copy)]
pub(crate) enum Party {
    Payer,
    Payee,
}

/// The program's error code, if that is what `result` holds.
pub(crate) fn code(result: Result<(), BanksClientError>) -> Option<u32> {
    match result.err()?.unwrap() {
        TransactionError::InstructionError(_, InstructionError::Custom(code)) => Some(code),
        other => panic!("not an error of the program: {other}"),
    }
}

fn account(owner: Pubkey, data: Vec<u8>, executable: bool) -> Account {
    Account { lamports: LAMPORTS, data, owner, executable, rent_epoch: u64::MAX }
}

fn mint_data() -> Vec<u8> {
    let mut data = vec![0; 82];
    data[44] = 6; // decimals
    data[45] = 1; // initialized
    data
}

fn token_data(mint: &Pubkey, owner: &Pubkey, amount: u64) -> Vec<u8> {
    let mut data = vec![0; 165];
    data[..32].copy_from_slice(mint.as_ref());
    data[32..64].copy_from_slice(owner.as_ref());
    data[64..72].copy_from_slice(&amount.to_le_bytes());
    data[108] = 1; // initialized
    data
}
