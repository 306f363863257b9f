//! Feature gates: what a cluster has switched on.

use solana_account::Account;
use solana_pubkey::Pubkey;

/// The program that owns feature gates.
pub const FEATURE_PROGRAM: Pubkey = Pubkey::from_str_const("Feature111111111111111111111111111111111111");

/// The gate of transactions of version 1 (SIMD-0385).
pub const TRANSACTION_V1_GATE: Pubkey = Pubkey::from_str_const("txv1aq4pp281K9um3tnPgkfX8UqtFT6wcVW3hNezGLL");

/// Whether a feature gate is open: its data is the slot since when, if any.
pub fn is_open(gate: &Account) -> bool {
    gate.owner == FEATURE_PROGRAM && gate.data.first() == Some(&1)
}

/// A gate that has been open since slot 0, for a chain of one's own.
pub fn open_gate() -> Account {
    let mut data = vec![0; 9];
    data[0] = 1;
    Account { lamports: 953_520, data, owner: FEATURE_PROGRAM, executable: false, rent_epoch: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_open_when_its_program_says_since_when() {
        assert!(is_open(&open_gate()));
        let asked_for = Account { data: vec![0; 9], ..open_gate() };
        assert!(!is_open(&asked_for));
        let anybodys = Account { owner: Pubkey::new_from_array([1; 32]), ..open_gate() };
        assert!(!is_open(&anybodys));
    }
}
