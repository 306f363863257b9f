//! Minting test tokens: for whoever holds a mint's authority.

use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use toll_protocol::{Amount, TOKEN_PROGRAM, associated_token_address, create_associated_token_account};

use crate::{ChainError, Cluster, Landed};

/// Mints `amount` of `mint` to `owner`'s associated account, which is made when missing; `authority` pays the
/// fee and the rent.
pub async fn mint_to(
    cluster: &Cluster,
    authority: &Keypair,
    mint: &Pubkey,
    owner: &Pubkey,
    amount: Amount,
) -> Result<Landed, ChainError> {
    let account = associated_token_address(owner, mint, &TOKEN_PROGRAM);
    let instructions = [
        create_associated_token_account(&authority.pubkey(), owner, mint, &TOKEN_PROGRAM),
        mint_tokens(mint, &account, &authority.pubkey(), amount),
    ];
    cluster.send(&instructions, authority, &[]).await
}

/// SPL Token's `MintTo` (7): amount.
fn mint_tokens(mint: &Pubkey, account: &Pubkey, authority: &Pubkey, amount: Amount) -> Instruction {
    let mut data = vec![7];
    data.extend_from_slice(&amount.get().to_le_bytes());
    Instruction {
        program_id: TOKEN_PROGRAM,
        accounts: vec![
            AccountMeta::new(*mint, false),
            AccountMeta::new(*account, false),
            AccountMeta::new_readonly(*authority, true),
        ],
        data,
    }
}
