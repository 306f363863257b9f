//! Mints and token accounts, byte by byte.

use solana_account::Account;
use solana_pubkey::Pubkey;

fn owned_by(owner: Pubkey, data: Vec<u8>) -> Account {
    let lamports = (128 + data.len() as u64) * 6_960;
    Account { lamports, data, owner, executable: false, rent_epoch: u64::MAX }
}

/// A mint of six decimals without authorities.
pub fn mint(token_program: Pubkey) -> Account {
    let mut data = vec![0; 82];
    data[36..44].copy_from_slice(&u64::MAX.to_le_bytes());
    data[44] = 6;
    data[45] = 1;
    owned_by(token_program, data)
}

/// An ordinary token account.
pub fn account(mint: Pubkey, owner: Pubkey, token_program: Pubkey, amount: u64) -> Account {
    let mut data = vec![0; 165];
    data[..32].copy_from_slice(mint.as_ref());
    data[32..64].copy_from_slice(owner.as_ref());
    data[64..72].copy_from_slice(&amount.to_le_bytes());
    data[108] = 1;
    owned_by(token_program, data)
}

/// What a token account holds.
pub fn amount(account: &Account) -> u64 {
    u64::from_le_bytes(account.data[64..72].try_into().expect("eight bytes"))
}
