//! The rent that the cluster asks for at present. It falls with SIMD-0437 and may rise with SIMD-0438: nobody
//! computes it from a constant.

use solana_account::Account;
use solana_pubkey::Pubkey;

use crate::ChainError;

/// Address of the rent sysvar.
pub const RENT: Pubkey = Pubkey::from_str_const("SysvarRent111111111111111111111111111111111");

/// Bytes that every account has beside its data.
const OVERHEAD: u64 = 128;

/// What an account must hold to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainRent {
    /// Lamports per byte, for good.
    pub lamports_per_byte: u64,
}

impl ChainRent {
    /// Reads the rent sysvar's account: a rate per byte, and a factor that is 1 since SIMD-0194 and was 2 before.
    pub fn decode(account: Option<&Account>) -> Result<Self, ChainError> {
        let malformed =
            |reason: &str| ChainError::Malformed { what: "rent sysvar", reason: reason.to_owned() };
        let account = account.ok_or_else(|| malformed("there is none"))?;
        let data = account.data.first_chunk::<16>().ok_or_else(|| malformed("not 17 bytes"))?;
        let word = |at: usize| <[u8; 8]>::try_from(&data[at..at + 8]).expect("eight bytes");
        let rate = u64::from_le_bytes(word(0));
        let factor = match u64::from_le_bytes(word(8)) {
            bits if bits == 1f64.to_bits() => 1,
            bits if bits == 2f64.to_bits() => 2,
            _ => return Err(malformed("an exemption threshold that is neither 1 nor 2")),
        };
        let lamports_per_byte = rate.checked_mul(factor).ok_or_else(|| malformed("a rate beyond reason"))?;
        Ok(Self { lamports_per_byte })
    }

    /// The least that an account with `size` bytes of data must hold, in lamports.
    pub fn minimum(&self, size: u64) -> u64 {
        size.saturating_add(OVERHEAD).saturating_mul(self.lamports_per_byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysvar(rate: u64, threshold: f64) -> Account {
        let mut data = rate.to_le_bytes().to_vec();
        data.extend(threshold.to_le_bytes());
        data.push(50);
        Account { data, ..Account::default() }
    }

    #[test]
    fn rent_is_for_the_data_and_128_bytes_more_old_style_and_new() {
        let new = ChainRent::decode(Some(&sysvar(5_080, 1.0))).unwrap();
        assert_eq!((new.minimum(256), new.minimum(165), new.minimum(0)), (1_950_720, 1_488_440, 650_240));
        let old = ChainRent::decode(Some(&sysvar(3_480, 2.0))).unwrap();
        assert_eq!((old.minimum(256), old.minimum(165), old.minimum(0)), (2_672_640, 2_039_280, 890_880));
    }

    #[test]
    fn a_sysvar_that_makes_no_sense_is_malformed() {
        let short = Account { data: vec![0; 15], ..Account::default() };
        let strange = sysvar(5_080, 1.5);
        let huge = sysvar(u64::MAX, 2.0);
        for account in [None, Some(&short), Some(&strange), Some(&huge)] {
            assert!(matches!(ChainRent::decode(account), Err(ChainError::Malformed { .. })));
        }
    }
}
