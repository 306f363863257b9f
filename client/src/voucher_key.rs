//! The key that signs a channel's vouchers: one per channel, derived from the payer's key.
//!
//! ```text
//! seed = HKDF-SHA256(salt = "tollkeeper voucher key v1",
//!                    ikm  = the 32 secret bytes of the payer's key,
//!                    info = program[32] | payee[32] | mint[32] | salt u64 LE | open slot u64 LE), 32 bytes
//! key  = the Ed25519 key of that seed (RFC 8032, RFC 5869)
//! ```
//!
//! So a voucher key that leaks costs one channel's deposit and not the payer's funds, and a state file that is lost
//! costs nothing: everything in `info` is in the channel's account.

use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use sha2::Sha256;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use toll_chain::key_file;

use crate::channel::SavedChannel;
use crate::error::PayError;

/// Keeps these keys apart from all others that are ever derived from the same secret.
const DOMAIN: &[u8] = b"tollkeeper voucher key v1";

/// What tells one channel of a payer from another, before its address is known: that depends on the voucher key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoucherKeySeeds {
    /// The channel program.
    pub program: Pubkey,
    /// Who earns.
    pub payee: Pubkey,
    /// The token.
    pub mint: Pubkey,
    /// Tells apart channels of the same parties.
    pub salt: u64,
    /// The incarnation's epoch.
    pub open_slot: u64,
}

impl VoucherKeySeeds {
    /// The voucher key of the channel that `payer` opens with these.
    pub fn derive(&self, payer: &Keypair) -> SigningKey {
        let mut seed = [0; 32];
        Hkdf::<Sha256>::new(Some(DOMAIN), payer.secret_bytes())
            .expand_multi_info(
                &[
                    self.program.as_ref(),
                    self.payee.as_ref(),
                    self.mint.as_ref(),
                    &self.salt.to_le_bytes(),
                    &self.open_slot.to_le_bytes(),
                ],
                &mut seed,
            )
            .expect("32 bytes are one block of SHA-256");
        SigningKey::from_bytes(&seed)
    }
}

/// The key that signs for `channel`: its own, or the payer's where the channel was opened so.
pub(crate) fn signing_key(payer: &Keypair, channel: &SavedChannel) -> Result<SigningKey, PayError> {
    let seeds = VoucherKeySeeds {
        program: channel.program,
        payee: channel.payee,
        mint: channel.mint,
        salt: channel.salt,
        open_slot: channel.open_slot,
    };
    let authorized = channel.authorized_signer.to_bytes();
    [seeds.derive(payer), key_file::voucher_key(payer)]
        .into_iter()
        .find(|key| key.verifying_key().to_bytes() == authorized)
        .ok_or(PayError::ForeignSigner { channel: channel.channel_id, signer: channel.authorized_signer })
}

#[cfg(test)]
mod tests {
    use solana_signer::Signer;
    use toll_protocol::PROGRAM_ID;

    use super::*;

    fn payer() -> Keypair {
        Keypair::new_from_array([7; 32])
    }

    fn seeds() -> VoucherKeySeeds {
        VoucherKeySeeds {
            program: PROGRAM_ID,
            payee: Pubkey::new_from_array([2; 32]),
            mint: Pubkey::new_from_array([1; 32]),
            salt: 42,
            open_slot: 2_000,
        }
    }

    #[test]
    fn the_derivation_never_changes() {
        // Computed with another implementation of HKDF and Ed25519. Another result would lose what is escrowed.
        let key = seeds().derive(&payer());
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(key.to_bytes()), "97a0807c1a694e65239370421e90f4637bcfb4ce50cc2092279b3b103a8dffab");
        assert_eq!(
            hex(key.verifying_key().to_bytes()),
            "d3ed81f83b1725b6f79edacd28d6fbd0805fb6073ad00349ba324bd7676f9f36"
        );
    }

    #[test]
    fn every_part_of_a_channels_identity_and_the_payer_change_the_key() {
        let other = Pubkey::new_from_array([9; 32]);
        let variants = [
            seeds(),
            VoucherKeySeeds { program: other, ..seeds() },
            VoucherKeySeeds { payee: other, ..seeds() },
            VoucherKeySeeds { mint: other, ..seeds() },
            VoucherKeySeeds { salt: 43, ..seeds() },
            VoucherKeySeeds { open_slot: 2_001, ..seeds() },
        ];
        let mut keys: Vec<_> = variants.iter().map(|seeds| seeds.derive(&payer()).to_bytes()).collect();
        keys.push(seeds().derive(&Keypair::new_from_array([8; 32])).to_bytes());
        keys.push(*payer().secret_bytes());
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), variants.len() + 2);
        assert!(toll_protocol::is_voucher_key(&payer().pubkey()));
    }
}
