//! What the parties of a channel agreed on, and whether the chain has it so.
//!
//! These facts are fixed when a channel opens. Whoever needs them takes them from here: the builder of its
//! instructions, the ledger's row, and the one comparison with the account on chain.

use solana_pubkey::Pubkey;

use crate::{Amount, Channel, ChannelAccount, ChannelId, ChannelTerms, Open, Splits};

/// The facts of a channel that never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The channel program. With `terms`, this makes the address.
    pub program: Pubkey,
    /// The seeds of the address.
    pub terms: ChannelTerms,
    /// The mint's token program: SPL Token or Token-2022.
    pub token_program: Pubkey,
    /// Who pays the rent at open and gets it back.
    pub rent_payer: Pubkey,
    /// Time between a payer's forced close and the first permissionless seal, in seconds: the payee settles in it.
    pub grace_period: u32,
    /// Who shares in the payouts.
    pub splits: Splits,
}

/// What a channel account has other than agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Difference {
    /// Another payer.
    Payer,
    /// Another payee.
    Payee,
    /// Another mint.
    Mint,
    /// Another authorized signer.
    AuthorizedSigner,
    /// Another salt.
    Salt,
    /// Another open slot.
    OpenSlot,
    /// Another bump: the address is not the canonical one.
    Bump,
    /// Less escrowed than promised.
    Deposit,
    /// Another grace period, or none.
    GracePeriod,
    /// Other splits.
    Splits,
    /// Another rent payer.
    RentPayer,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Payer => "has another payer",
            Self::Payee => "has another payee",
            Self::Mint => "has another mint",
            Self::AuthorizedSigner => "has another authorized signer",
            Self::Salt => "has another salt",
            Self::OpenSlot => "has another open slot",
            Self::Bump => "has another bump",
            Self::Deposit => "has a smaller deposit",
            Self::GracePeriod => "has another grace period",
            Self::Splits => "has other splits",
            Self::RentPayer => "has another rent payer",
        })
    }
}

impl Agreement {
    /// The channel's address.
    pub fn channel_id(&self) -> ChannelId {
        self.terms.address(&self.program).0
    }

    /// What opens the channel with `deposit`.
    pub fn open(&self, deposit: Amount) -> Open {
        Open { agreement: self.clone(), deposit }
    }

    /// What acts on the open channel; `treasury_owner` is the deployment's.
    pub fn channel(&self, treasury_owner: Pubkey) -> Channel {
        Channel {
            program: self.program,
            id: self.channel_id(),
            payer: self.terms.payer,
            payee: self.terms.payee,
            mint: self.terms.mint,
            token_program: self.token_program,
            rent_payer: self.rent_payer,
            splits: self.splits.clone(),
            treasury_owner,
        }
    }

    /// The first thing that `account` has other than agreed, `deposit` being the least that must be escrowed;
    /// `None` when nothing differs (draft-solana-session, "Open": read the channel back after it lands).
    ///
    /// Status and watermarks are not compared: a channel that its payer closes at once is the agreed one too.
    pub fn difference(&self, account: &ChannelAccount, deposit: Amount) -> Option<Difference> {
        let terms = &self.terms;
        let bump = terms.address(&self.program).1;
        let grace = account.grace_period == self.grace_period && account.grace_period > 0;
        let checks = [
            (account.payer == terms.payer, Difference::Payer),
            (account.payee == terms.payee, Difference::Payee),
            (account.mint == terms.mint, Difference::Mint),
            (account.authorized_signer == terms.authorized_signer, Difference::AuthorizedSigner),
            (account.salt == terms.salt, Difference::Salt),
            (account.open_slot == terms.open_slot, Difference::OpenSlot),
            (account.bump == bump, Difference::Bump),
            (account.deposit >= deposit, Difference::Deposit),
            (grace, Difference::GracePeriod),
            (account.distribution_hash == self.splits.hash(), Difference::Splits),
            (account.rent_payer == self.rent_payer, Difference::RentPayer),
        ];
        checks.into_iter().find(|(same, _)| !same).map(|(_, difference)| difference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelStatus, PROGRAM_ID, TOKEN_PROGRAM};

    fn key(seed: u8) -> Pubkey {
        Pubkey::new_from_array([seed; 32])
    }

    fn agreement() -> Agreement {
        let terms = ChannelTerms {
            payer: key(1),
            payee: key(2),
            mint: key(3),
            authorized_signer: key(4),
            salt: 5,
            open_slot: 6,
        };
        Agreement {
            program: PROGRAM_ID,
            terms,
            token_program: TOKEN_PROGRAM,
            rent_payer: key(7),
            grace_period: 900,
            splits: Splits::new(Vec::new()).unwrap(),
        }
    }

    fn account() -> ChannelAccount {
        let Agreement { terms, rent_payer, grace_period, splits, program, .. } = agreement();
        ChannelAccount {
            bump: terms.address(&program).1,
            status: ChannelStatus::Open,
            salt: terms.salt,
            deposit: Amount::new(1_000),
            settled: Amount::ZERO,
            payout_watermark: Amount::ZERO,
            closure_started_at: 0,
            payer_withdrawn_at: 0,
            grace_period,
            distribution_hash: splits.hash(),
            payer: terms.payer,
            payee: terms.payee,
            authorized_signer: terms.authorized_signer,
            mint: terms.mint,
            rent_payer,
            open_slot: terms.open_slot,
        }
    }

    fn differs(change: impl FnOnce(&mut ChannelAccount)) -> Option<Difference> {
        let mut account = account();
        change(&mut account);
        agreement().difference(&account, Amount::new(1_000))
    }

    #[test]
    fn the_agreed_channel_does_not_differ_whatever_its_state() {
        assert_eq!(differs(|_| ()), None);
        assert_eq!(differs(|account| account.status = ChannelStatus::Closing), None);
        assert_eq!(differs(|account| account.deposit = Amount::new(1_001)), None);
        assert_eq!(differs(|account| account.settled = Amount::new(9)), None);
    }

    #[test]
    fn every_fact_that_differs_is_named() {
        assert_eq!(differs(|account| account.payer = key(9)), Some(Difference::Payer));
        assert_eq!(differs(|account| account.payee = key(9)), Some(Difference::Payee));
        assert_eq!(differs(|account| account.mint = key(9)), Some(Difference::Mint));
        assert_eq!(differs(|account| account.authorized_signer = key(9)), Some(Difference::AuthorizedSigner));
        assert_eq!(differs(|account| account.salt = 9), Some(Difference::Salt));
        assert_eq!(differs(|account| account.open_slot = 9), Some(Difference::OpenSlot));
        assert_eq!(differs(|account| account.bump ^= 1), Some(Difference::Bump));
        assert_eq!(differs(|account| account.deposit = Amount::new(999)), Some(Difference::Deposit));
        assert_eq!(differs(|account| account.grace_period = 899), Some(Difference::GracePeriod));
        assert_eq!(differs(|account| account.distribution_hash[0] ^= 1), Some(Difference::Splits));
        assert_eq!(differs(|account| account.rent_payer = key(9)), Some(Difference::RentPayer));
    }

    #[test]
    fn a_channel_without_a_grace_period_is_never_agreed() {
        let account = ChannelAccount { grace_period: 0, ..account() };
        let agreement = Agreement { grace_period: 0, ..agreement() };
        assert_eq!(agreement.difference(&account, Amount::ZERO), Some(Difference::GracePeriod));
    }

    #[test]
    fn the_instructions_are_for_the_agreed_address() {
        let agreement = agreement();
        assert_eq!(agreement.open(Amount::new(1)).channel_id(), agreement.channel_id());
        assert_eq!(agreement.channel(key(8)).id, agreement.channel_id());
    }
}
