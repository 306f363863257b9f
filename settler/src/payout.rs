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
