//! Mints and token accounts, byte by byte, as both token programs store them.

use crate::program::{TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use crate::world::rent_of;
use solana_account::Account;
use solana_pubkey::Pubkey;

/// The state byte of an account that was never initialized.
pub const UNINITIALIZED: u8 = 0;
/// The state byte of an account in use.
pub const INITIALIZED: u8 = 1;
/// The state byte of an account that the freeze authority froze.
pub const FROZEN: u8 = 2;

/// The number of the `ImmutableOwner` extension, which every associated Token-2022 account carries.
pub const IMMUTABLE_OWNER: u16 = 7;

/// A Token-2022 extension: its number and its data.
pub type Extension = (u16, Vec<u8>);

/// The mint whose tokens are lamports.
pub const WRAPPED_SOL: Pubkey = solana_pubkey::pubkey!("So11111111111111111111111111111111111111112");

const BASE_MINT: usize = 82;
const BASE_ACCOUNT: usize = 165;
const ACCOUNT_TYPE_MINT: u8 = 1;
const ACCOUNT_TYPE_ACCOUNT: u8 = 2;

/// The type-length-value bytes of `extensions`.
pub fn tlv(extensions: &[Extension]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, data) in extensions {
        bytes.extend(number.to_le_bytes());
        bytes.extend((data.len() as u16).to_le_bytes());
        bytes.extend(data);
    }
    bytes
}

/// A mint without authorities. A non-empty `trailer` makes it an extended Token-2022 mint.
pub fn mint_account(token_program: &Pubkey, decimals: u8, trailer: &[u8]) -> Account {
    let mut data = vec![0; BASE_MINT];
    data[36..44].copy_from_slice(&u64::MAX.to_le_bytes());
    data[44] = decimals;
    data[45] = 1;
    if !trailer.is_empty() {
        data.resize(BASE_ACCOUNT, 0);
        data.push(ACCOUNT_TYPE_MINT);
        data.extend(trailer);
    }
    owned_by(token_program, data)
}

/// A token account: its fields, and what follows them in an extended Token-2022 account.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenState {
    pub mint: Pubkey,
    pub owner: Pubkey,
    pub amount: u64,
    pub state: u8,
    /// Set as delegate for everything, and as close authority.
    pub delegate: Option<Pubkey>,
    /// What follows the account type byte; empty for an account of 165 bytes.
    pub trailer: Vec<u8>,
}

impl TokenState {
    /// An ordinary account of `token_program`: for Token-2022 with `ImmutableOwner`, as an associated account has.
    pub fn ordinary(mint: Pubkey, owner: Pubkey, token_program: &Pubkey, amount: u64) -> Self {
        let trailer = if *token_program == TOKEN_2022_PROGRAM {
            tlv(&[(IMMUTABLE_OWNER, Vec::new())])
        } else {
            Vec::new()
        };
        Self { mint, owner, amount, state: INITIALIZED, delegate: None, trailer }
    }

    /// The account's data.
    pub fn encode(&self) -> Vec<u8> {
        let mut data = vec![0; BASE_ACCOUNT];
        data[..32].copy_from_slice(self.mint.as_ref());
        data[32..64].copy_from_slice(self.owner.as_ref());
        data[64..72].copy_from_slice(&self.amount.to_le_bytes());
        data[108] = self.state;
        if self.mint == WRAPPED_SOL {
            data[109] = 1;
            data[113..121].copy_from_slice(&rent_of(BASE_ACCOUNT).to_le_bytes());
        }
        if let Some(delegate) = self.delegate {
            data[72] = 1;
            data[76..108].copy_from_slice(delegate.as_ref());
            data[121..129].copy_from_slice(&u64::MAX.to_le_bytes());
            data[129] = 1;
            data[133..165].copy_from_slice(delegate.as_ref());
        }
        if !self.trailer.is_empty() {
            data.push(ACCOUNT_TYPE_ACCOUNT);
            data.extend(&self.trailer);
        }
        data
    }

    /// Reads an account's data.
    pub fn decode(data: &[u8]) -> Self {
        let key = |at: usize| Pubkey::new_from_array(data[at..at + 32].try_into().expect("32 bytes"));
        Self {
            mint: key(0),
            owner: key(32),
            amount: u64::from_le_bytes(data[64..72].try_into().expect("8 bytes")),
            state: data[108],
            delegate: (data[72] == 1).then(|| key(76)),
            trailer: data.get(BASE_ACCOUNT + 1..).unwrap_or_default().to_vec(),
        }
    }
}

/// The ledger's account for `state`.
pub fn token_account(token_program: &Pubkey, state: &TokenState) -> Account {
    assert!(*token_program == TOKEN_PROGRAM || *token_program == TOKEN_2022_PROGRAM);
    let mut account = owned_by(token_program, state.encode());
    if state.mint == WRAPPED_SOL {
        account.lamports += state.amount;
    }
    account
}

/// A rent-exempt account with `data`.
pub(crate) fn owned_by(owner: &Pubkey, data: Vec<u8>) -> Account {
    Account { lamports: rent_of(data.len()), data, owner: *owner, executable: false, rent_epoch: u64::MAX }
}
