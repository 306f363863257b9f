//! What transactions cost, in lamports.

use solana_message::VersionedMessage;
use solana_pubkey::Pubkey;
use toll_chain::ChainRent;
use toll_protocol::{
    COMPUTE_BUDGET_PROGRAM, ComputeBudget, ED25519_PROGRAM, TOKEN_PROGRAM, decode_any_transaction,
};

/// Fee per signature, of the transaction's signers as of the ed25519 program's. The same on every cluster.
pub(crate) const PER_SIGNATURE: u64 = 5_000;

/// Compute units that an instruction without a limit of its own is granted.
const DEFAULT_UNITS: u64 = 200_000;

/// Most compute units of a transaction.
const MAX_UNITS: u64 = 1_400_000;

/// Compute units that one transaction of a close may take, generously: what its priority fee is reserved for.
const CLOSE_UNITS: u64 = 400_000;

/// Transactions that a close may be cut into: seal, payout, reclaim.
const CLOSE_TRANSACTIONS: u64 = 3;

/// Compute units that settling without closing may take, generously.
const SETTLE_UNITS: u64 = 40_000;

/// What the sponsor's doings cost on this cluster, in lamports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Most that the fee of an open or a top-up may be.
    pub client_fee: u64,
    /// Fees of a close from seal to reclaim.
    pub close_fee: u64,
    /// Rent of a channel's account; comes back.
    pub channel_rent: u64,
    /// Rent of a token account of the larger kind. Comes back only from a channel's escrow.
    pub token_account_rent: u64,
    /// Rent of an SPL Token account, the smaller kind.
    pub spl_account_rent: u64,
    /// What an account that exists must have: the fee payer as well.
    pub empty_account_rent: u64,
}

/// Bytes of a channel's account.
const CHANNEL_SIZE: u64 = 256;

/// Bytes of SPL Token's accounts.
const SPL_ACCOUNT_SIZE: u64 = 165;

/// Bytes of the larger kind of token account, Token-2022's with an immutable owner.
const TOKEN_ACCOUNT_SIZE: u64 = 170;

impl Prices {
    /// The prices that fees and the cluster's rent make.
    pub(crate) fn new(fees: &FeeTerms, rent: &ChainRent) -> Self {
        Self {
            client_fee: fees.client_fee(),
            close_fee: fees.close_fee(),
            channel_rent: rent.minimum(CHANNEL_SIZE),
            token_account_rent: rent.minimum(TOKEN_ACCOUNT_SIZE),
            spl_account_rent: rent.minimum(SPL_ACCOUNT_SIZE),
            empty_account_rent: rent.minimum(0),
        }
    }

    /// Rent of a token account of `token_program`.
    pub(crate) fn account_rent(&self, token_program: &Pubkey) -> u64 {
        if *token_program == TOKEN_PROGRAM { self.spl_account_rent } else { self.token_account_rent }
    }

    /// Lamports that leave with an open.
    pub(crate) fn open_outlay(&self) -> u64 {
        self.client_fee.saturating_add(self.channel_rent).saturating_add(self.token_account_rent)
    }

    /// What an open charges to budgets: its fee, and its close's.
    pub(crate) fn open_charge(&self) -> u64 {
        self.client_fee.saturating_add(self.close_fee)
    }
}

/// Caps and prices that fees follow from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeeTerms {
    /// Most compute units of a client's transaction.
    pub unit_cap: u32,
    /// Highest price of a client's transaction, in micro-lamports per unit.
    pub price_cap: u64,
    /// Price of our own transactions, in micro-lamports per unit.
    pub own_price: u64,
    /// Signers of a close: fee payer and payee, or both in one.
    pub close_signers: u64,
}

impl FeeTerms {
    /// Fee of a client's transaction that we co-sign, at most.
    pub(crate) fn client_fee(&self) -> u64 {
        (2 * PER_SIGNATURE).saturating_add(priority(u64::from(self.unit_cap), self.price_cap))
    }

    /// Fees of a close: each transaction has our signature, the first the payee's and a voucher's as well.
    pub(crate) fn close_fee(&self) -> u64 {
        let signatures = self.close_signers + 1 + (CLOSE_TRANSACTIONS - 1);
        let priority = priority(CLOSE_UNITS, self.own_price).saturating_mul(CLOSE_TRANSACTIONS);
        signatures.saturating_mul(PER_SIGNATURE).saturating_add(priority)
    }
}

/// Fee of settling without closing, at most: our signature and the voucher's. `own_price` in micro-lamports per unit.
pub(crate) fn settle_fee(own_price: u64) -> u64 {
    (2 * PER_SIGNATURE).saturating_add(priority(SETTLE_UNITS, own_price))
}

/// `units` at `price` micro-lamports, rounded up to lamports.
pub(crate) fn priority(units: u64, price: u64) -> u64 {
    let micro = u128::from(units) * u128::from(price);
    u64::try_from(micro.div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// The fee of a message: for every signature, those that its ed25519 instructions check included, and for its
/// compute budget. What the cluster's nodes charge, to the lamport.
pub(crate) fn fee_of(message: &VersionedMessage) -> u64 {
    let keys = message.static_account_keys();
    let mut signatures = u64::from(message.header().num_required_signatures);
    let (mut limit, mut price, mut others) = (None, 0, 0u64);
    for instruction in message.instructions() {
        match keys.get(usize::from(instruction.program_id_index)) {
            Some(program) if *program == COMPUTE_BUDGET_PROGRAM => {
                match ComputeBudget::decode(&instruction.data) {
                    Ok(ComputeBudget::UnitLimit(units)) => limit = Some(u64::from(units)),
                    Ok(ComputeBudget::UnitPrice(micro)) => price = micro,
                    _ => {}
                }
            }
            Some(program) if *program == ED25519_PROGRAM => {
                // The first byte counts the signatures.
                signatures += u64::from(instruction.data.first().copied().unwrap_or(0));
            }
            _ => others += 1,
        }
    }
    if let VersionedMessage::V1(message) = message {
        // The price of the whole transaction, in its header.
        let priority = message.config.priority_fee.unwrap_or(0);
        return signatures.saturating_mul(PER_SIGNATURE).saturating_add(priority);
    }
    let units = limit.unwrap_or(others.saturating_mul(DEFAULT_UNITS)).min(MAX_UNITS);
    signatures.saturating_mul(PER_SIGNATURE).saturating_add(priority(units, price))
}

/// The fee of a transaction's bytes; nothing for bytes that are none.
pub(crate) fn fee_of_bytes(bytes: &[u8]) -> u64 {
    decode_any_transaction(bytes).map_or(0, |transaction| fee_of(&transaction.message))
}

#[cfg(test)]
mod tests {
    use solana_hash::Hash;
    use solana_instruction::{AccountMeta, Instruction};
    use solana_message::v0;
    use toll_protocol::{compute_unit_limit, compute_unit_price};

    use super::*;

    fn fee(instructions: &[Instruction]) -> u64 {
        let payer = Pubkey::new_from_array([1; 32]);
        let message = v0::Message::try_compile(&payer, instructions, &[], Hash::default()).unwrap();
        fee_of(&VersionedMessage::V0(message))
    }

    fn call(signers: u8) -> Instruction {
        let signer = |seed: u8| AccountMeta::new_readonly(Pubkey::new_from_array([seed; 32]), true);
        let accounts = (1..=signers).map(signer).collect();
        Instruction { program_id: Pubkey::new_from_array([99; 32]), accounts, data: Vec::new() }
    }

    #[test]
    fn every_signature_costs_the_same_wherever_it_is_checked() {
        let verify = Instruction { program_id: ED25519_PROGRAM, accounts: Vec::new(), data: vec![1, 0] };
        assert_eq!(fee(&[call(1)]), 5_000);
        assert_eq!(fee(&[call(2)]), 10_000);
        assert_eq!(fee(&[verify.clone(), call(2)]), 15_000);
        assert_eq!(fee(&[verify.clone(), call(1), verify, call(1)]), 15_000);
    }

    #[test]
    fn priority_is_for_the_limit_asked_for_and_rounded_up() {
        let with = |units, price| fee(&[compute_unit_limit(units), compute_unit_price(price), call(1)]);
        assert_eq!(with(400_000, 50_000), 5_000 + 20_000);
        assert_eq!(with(1, 1), 5_001);
        assert_eq!(with(u32::MAX, 1_000_000), 5_000 + MAX_UNITS);
        assert_eq!(fee(&[compute_unit_limit(400_000), call(1)]), 5_000, "no price, no fee");
    }

    #[test]
    fn without_a_limit_every_instruction_has_its_default() {
        assert_eq!(fee(&[compute_unit_price(1_000_000), call(1), call(1)]), 5_000 + 2 * DEFAULT_UNITS);
    }

    #[test]
    fn a_close_has_the_fees_of_its_three_transactions() {
        let terms = FeeTerms { unit_cap: 400_000, price_cap: 50_000, own_price: 0, close_signers: 2 };
        assert_eq!(terms.close_fee(), 25_000);
        assert_eq!(FeeTerms { close_signers: 1, ..terms }.close_fee(), 20_000);
        assert_eq!(FeeTerms { own_price: 1_000, ..terms }.close_fee(), 25_000 + 3 * 400);
        assert_eq!(terms.client_fee(), 30_000);
    }
}
