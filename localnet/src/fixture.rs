//! What a fresh test cluster needs before anybody can pay: a mint, a treasury, keys with funds.
//!
//! Real transactions only, so the same code prepares the embedded chain and a `solana-test-validator`.

use std::path::Path;

use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_system_interface::instruction::create_account;
use toll_protocol::{Amount, TOKEN_PROGRAM, TREASURY_OWNER, create_associated_token_account};

use toll_chain::{Cluster, Landed, key_file, mint_to};

use crate::LocalnetError;

type Result<T, E = LocalnetError> = std::result::Result<T, E>;

/// Size of a mint account without extensions, in either token program.
const MINT_SIZE: u64 = 82;

/// Decimals of the test mint, those of USDC.
pub const DECIMALS: u8 = 6;

/// The key of the test mint: the same everywhere, so that a configuration can name it. It signs nothing but
/// the mint's creation on a chain of one's own.
pub fn test_mint() -> Keypair {
    Keypair::new_from_array(*b"the test mint of `toll localnet`")
}

/// Everybody with a key on a test cluster.
pub struct Actors {
    /// Has tokens and no SOL.
    pub payer: Keypair,
    /// Earns; signs settlements.
    pub payee: Keypair,
    /// Pays fees and rent.
    pub fee_payer: Keypair,
    /// May mint test tokens.
    pub mint_authority: Keypair,
    /// The test mint's own key: its address.
    pub mint: Keypair,
}

impl Actors {
    /// Fresh keys.
    pub fn new() -> Self {
        Self {
            payer: Keypair::new(),
            payee: Keypair::new(),
            fee_payer: Keypair::new(),
            mint_authority: Keypair::new(),
            mint: Keypair::new(),
        }
    }

    /// Keys kept in `folder`; those that are missing are made. The mint is [`test_mint`] unless one is there.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let key = |name: &str| key_file::read_or_create(&folder.join(name));
        if !folder.join("mint.json").exists() {
            key_file::write(&folder.join("mint.json"), &test_mint(), false)?;
        }
        Ok(Self {
            payer: key("payer.json")?,
            payee: key("payee.json")?,
            fee_payer: key("fee-payer.json")?,
            mint_authority: key("mint-authority.json")?,
            mint: key("mint.json")?,
        })
    }
}

impl Default for Actors {
    fn default() -> Self {
        Self::new()
    }
}

/// A test cluster, ready for channels.
pub struct Fixture {
    /// The cluster.
    pub cluster: Cluster,
    /// The test mint, of SPL Token and six decimals.
    pub mint: Pubkey,
    /// Who may mint more.
    pub mint_authority: Keypair,
}

impl Fixture {
    /// Gives the fee payer and the mint authority SOL, makes the mint, and the treasury's and payee's accounts.
    ///
    /// The payer gets nothing here: see [`Self::mint_to`].
    pub async fn prepare(cluster: Cluster, actors: &Actors) -> Result<Self> {
        for key in [&actors.fee_payer, &actors.mint_authority] {
            cluster.airdrop(&key.pubkey(), 10_000_000_000).await?;
        }
        let authority = actors.mint_authority.insecure_clone();
        let mint = &actors.mint;
        let rent = cluster.rent().await?.minimum(MINT_SIZE);
        let instructions = [
            create_account(&authority.pubkey(), &mint.pubkey(), rent, MINT_SIZE, &TOKEN_PROGRAM),
            initialize_mint(&mint.pubkey(), &authority.pubkey(), DECIMALS),
            create_associated_token_account(
                &authority.pubkey(),
                &TREASURY_OWNER,
                &mint.pubkey(),
                &TOKEN_PROGRAM,
            ),
            create_associated_token_account(
                &authority.pubkey(),
                &actors.payee.pubkey(),
                &mint.pubkey(),
                &TOKEN_PROGRAM,
            ),
        ];
        cluster.send(&instructions, &authority, &[mint]).await?;
        Ok(Self { cluster, mint: mint.pubkey(), mint_authority: authority })
    }

    /// Mints `amount` to `owner`'s associated account, which is made when missing.
    pub async fn mint_to(&self, owner: &Pubkey, amount: Amount) -> Result<Landed> {
        Ok(mint_to(&self.cluster, &self.mint_authority, &self.mint, owner, amount).await?)
    }

    /// What `owner` has of the test mint.
    pub async fn tokens(&self, owner: &Pubkey) -> Result<Amount> {
        Ok(self.cluster.tokens(owner, &self.mint, &TOKEN_PROGRAM).await?.unwrap_or(Amount::ZERO))
    }
}

/// SPL Token's `InitializeMint2` (20): decimals, mint authority, no freeze authority.
fn initialize_mint(mint: &Pubkey, authority: &Pubkey, decimals: u8) -> Instruction {
    let mut data = vec![20, decimals];
    data.extend_from_slice(authority.as_ref());
    data.push(0);
    Instruction { program_id: TOKEN_PROGRAM, accounts: vec![AccountMeta::new(*mint, false)], data }
}
