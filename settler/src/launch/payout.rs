//! Who a `distribute` pays, and whether their token accounts can take it.
//!
//! A share that meets an unusable account goes to the treasury for good (draft, "Forfeiture"), so every
//! account is looked at first: missing ones are created, unusable ones stop the payout.

use solana_account::Account;
use solana_pubkey::Pubkey;
use toll_protocol::{
    Amount, ChannelAccount, Splits, TOKEN_2022_PROGRAM, associated_token_address, share_between,
};

/// Size of a token account without extensions.
const TOKEN_ACCOUNT_SIZE: usize = 165;

/// Token-2022's mark of a token account, after the base layout.
const ACCOUNT_TYPE: u8 = 2;

/// The one Token-2022 account extension that the channel program pays into.
const IMMUTABLE_OWNER: u16 = 7;

/// A token account that the next `distribute` pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beneficiary {
    /// Whose it is.
    pub owner: Pubkey,
    /// The canonical token account.
    pub account: Pubkey,
}

/// The accounts that a final `distribute` pays when `settled` is the channel's last watermark.
///
/// Only shares above zero count: an account that gets nothing may be missing. The treasury always counts,
/// the program insists on it.
pub(crate) fn beneficiaries(
    channel: &ChannelAccount,
    splits: &Splits,
    settled: Amount,
    treasury_owner: Pubkey,
    token_program: Pubkey,
) -> Vec<Beneficiary> {
    let earns = |share_bps| share_between(channel.payout_watermark.get(), settled.get(), share_bps) > 0;
    let refund = channel.payer_withdrawn_at == 0 && channel.deposit > settled;
    let mut owners: Vec<_> = splits
        .as_slice()
        .iter()
        .filter(|split| earns(split.share_bps))
        .map(|split| split.recipient)
        .collect();
    owners.extend(earns(splits.payee_bps()).then_some(channel.payee));
    owners.extend(refund.then_some(channel.payer));
    owners.push(treasury_owner);
    let mut seen = Vec::with_capacity(owners.len());
    for owner in owners {
        let account = associated_token_address(&owner, &channel.mint, &token_program);
        let beneficiary = Beneficiary { owner, account };
        if !seen.contains(&beneficiary) {
            seen.push(beneficiary);
        }
    }
    seen
}

/// Whether a token account can take a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It can.
    Ready,
    /// It does not exist; anyone may create it.
    Missing,
    /// It would forfeit the share.
    Unusable(&'static str),
}

/// Judges the account found at a beneficiary's address as the channel program will.
pub(crate) fn readiness(
    beneficiary: &Beneficiary,
    found: Option<&Account>,
    mint: &Pubkey,
    token_program: &Pubkey,
) -> Readiness {
    let Some(account) = found.filter(|account| !account.data.is_empty() || account.owner == *token_program)
    else {
        return Readiness::Missing;
    };
    if account.owner != *token_program {
        return Readiness::Unusable("owned by another program");
    }
    let Some((base, extensions)) = account.data.split_at_checked(TOKEN_ACCOUNT_SIZE) else {
        return Readiness::Unusable("too short for a token account");
    };
    match base[108] {
        1 => {}
        2 => return Readiness::Unusable("frozen"),
        _ => return Readiness::Unusable("not initialized"),
    }
    if base[..32] != mint.to_bytes() {
        return Readiness::Unusable("of another mint");
    }
    if base[32..64] != beneficiary.owner.to_bytes() {
        return Readiness::Unusable("reassigned to another owner");
    }
    if extensions.is_empty() || (*token_program == TOKEN_2022_PROGRAM && payable(extensions)) {
        Readiness::Ready
    } else {
        Readiness::Unusable("carries an extension that channels do not pay into")
    }
}

/// Whether everything after the base layout is harmless.
fn payable(extensions: &[u8]) -> bool {
    let Some((&ACCOUNT_TYPE, mut rest)) = extensions.split_first() else { return false };
    while let Some((head, tail)) = rest.split_first_chunk::<2>() {
        let extension = u16::from_le_bytes(*head);
        if extension == 0 {
            return true;
        }
        let Some((length, tail)) = tail.split_first_chunk::<2>() else { return false };
        let length = usize::from(u16::from_le_bytes(*length));
        let (true, Some(tail)) = (extension == IMMUTABLE_OWNER, tail.get(length..)) else { return false };
        rest = tail;
    }
    rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use toll_protocol::{ChannelStatus, Split, TOKEN_PROGRAM};

    use super::*;

    fn key(seed: u8) -> Pubkey {
        Pubkey::new_from_array([seed; 32])
    }

    fn channel(payout_watermark: u64) -> ChannelAccount {
        ChannelAccount {
            bump: 255,
            status: ChannelStatus::Sealed,
            salt: 0,
            deposit: Amount::new(1_000),
            settled: Amount::new(payout_watermark),
            payout_watermark: Amount::new(payout_watermark),
            closure_started_at: 0,
            payer_withdrawn_at: 0,
            grace_period: 900,
            distribution_hash: [0; 32],
            payer: key(1),
            payee: key(2),
            authorized_signer: key(1),
            mint: key(3),
            rent_payer: key(4),
            open_slot: 0,
        }
    }

    fn splits(shares: &[u16]) -> Splits {
        let split =
            |(index, share): (usize, &u16)| Split { recipient: key(100 + index as u8), share_bps: *share };
        Splits::new(shares.iter().enumerate().map(split).collect()).unwrap()
    }

    fn owners(channel: &ChannelAccount, splits: &Splits, settled: u64) -> Vec<Pubkey> {
        let paid = beneficiaries(channel, splits, Amount::new(settled), key(9), TOKEN_PROGRAM);
        paid.into_iter().map(|one| one.owner).collect()
    }

    #[test]
    fn everybody_with_a_share_is_paid_and_the_treasury_always_counts() {
        assert_eq!(owners(&channel(0), &splits(&[1_000]), 500), [key(100), key(2), key(1), key(9)]);
    }

    #[test]
    fn nothing_settled_leaves_only_the_refund() {
        assert_eq!(owners(&channel(0), &splits(&[1_000]), 0), [key(1), key(9)]);
    }

    #[test]
    fn share_that_rounds_to_nothing_is_no_share() {
        assert_eq!(owners(&channel(0), &splits(&[1]), 9_999), [key(2), key(9)]);
    }

    #[test]
    fn whole_deposit_settled_leaves_no_refund() {
        assert_eq!(owners(&channel(0), &splits(&[]), 1_000), [key(2), key(9)]);
    }

    #[test]
    fn refund_that_was_taken_is_not_paid_again() {
        let channel = ChannelAccount { payer_withdrawn_at: 7, ..channel(0) };
        assert_eq!(owners(&channel, &splits(&[]), 500), [key(2), key(9)]);
    }

    #[test]
    fn share_that_was_paid_before_counts_no_more() {
        assert_eq!(owners(&channel(500), &splits(&[1_000]), 500), [key(1), key(9)]);
    }

    #[test]
    fn owner_in_two_roles_is_listed_once() {
        let channel = ChannelAccount { payee: key(9), ..channel(0) };
        assert_eq!(owners(&channel, &splits(&[]), 500), [key(9), key(1)]);
    }

    const OWNER: u8 = 5;

    fn token_account(program: Pubkey, change: impl FnOnce(&mut Vec<u8>)) -> Account {
        let mut data = vec![0; TOKEN_ACCOUNT_SIZE];
        data[..32].copy_from_slice(key(3).as_ref());
        data[32..64].copy_from_slice(key(OWNER).as_ref());
        data[108] = 1;
        change(&mut data);
        Account { lamports: 1, data, owner: program, ..Account::default() }
    }

    fn judge(program: Pubkey, change: impl FnOnce(&mut Vec<u8>)) -> Readiness {
        let beneficiary = Beneficiary { owner: key(OWNER), account: key(6) };
        readiness(&beneficiary, Some(&token_account(program, change)), &key(3), &program)
    }

    #[test]
    fn ordinary_account_is_ready() {
        assert_eq!(judge(TOKEN_PROGRAM, |_| ()), Readiness::Ready);
        assert_eq!(judge(TOKEN_2022_PROGRAM, |_| ()), Readiness::Ready);
    }

    #[test]
    fn account_that_is_not_there_can_be_created() {
        let beneficiary = Beneficiary { owner: key(OWNER), account: key(6) };
        assert_eq!(readiness(&beneficiary, None, &key(3), &TOKEN_PROGRAM), Readiness::Missing);
        // Lamports alone do not make it one.
        let funded = Account { lamports: 5, ..Account::default() };
        assert_eq!(readiness(&beneficiary, Some(&funded), &key(3), &TOKEN_PROGRAM), Readiness::Missing);
    }

    #[test]
    fn frozen_foreign_or_reassigned_account_is_unusable() {
        let unusable =
            |change: fn(&mut Vec<u8>)| matches!(judge(TOKEN_PROGRAM, change), Readiness::Unusable(_));
        assert!(unusable(|data| data[108] = 2), "frozen");
        assert!(unusable(|data| data[108] = 0), "not initialized");
        assert!(unusable(|data| data[0] ^= 1), "of another mint");
        assert!(unusable(|data| data[32] ^= 1), "of another owner");
        assert!(unusable(|data| data.truncate(100)), "too short");
        assert!(unusable(|data| data.push(2)), "an SPL account is never longer");
    }

    #[test]
    fn account_of_another_program_is_unusable() {
        let beneficiary = Beneficiary { owner: key(OWNER), account: key(6) };
        let account = token_account(TOKEN_2022_PROGRAM, |_| ());
        let judged = readiness(&beneficiary, Some(&account), &key(3), &TOKEN_PROGRAM);
        assert_eq!(judged, Readiness::Unusable("owned by another program"));
    }

    #[test]
    fn immutable_owner_is_the_only_extension_that_is_paid() {
        let with = |extension: &'static [u8]| {
            judge(TOKEN_2022_PROGRAM, |data| {
                data.push(ACCOUNT_TYPE);
                data.extend_from_slice(extension);
            })
        };
        assert_eq!(with(&[7, 0, 0, 0]), Readiness::Ready);
        assert_eq!(with(&[7, 0, 0, 0, 0, 0, 1, 2]), Readiness::Ready, "type 0 ends the list");
        for refused in [&[8, 0, 1, 0, 1][..], &[7, 0], &[7, 0, 9, 0], &[7, 0, 0, 0, 11, 0, 0, 0], &[1]] {
            assert!(matches!(with(refused), Readiness::Unusable(_)), "{refused:?}");
        }
    }
}
