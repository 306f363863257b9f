//! From the first byte of an instruction to its handler.
//!
//! Anchor would refuse too few accounts with its own error, let too many pass, look at accounts before arguments,
//! and take events under its own seeds. This program's interface says otherwise, so its entry point checks the shape
//! of an instruction here, arguments first, and then runs the handler that `#[program]` generated.
#![cfg_attr(not(all(feature = "entrypoint", target_os = "solana")), allow(dead_code))]

use anchor_lang::prelude::*;
use anchor_lang::AccountCursor;

use crate::__handlers as handlers;
use crate::error::ChannelError;
use crate::state::check_splits;

type Handler = for<'a> fn(&'a Address, &'a mut AccountCursor, &'a [u8], usize) -> u64;

/// Finds the handler for `data`, checks the arguments it will read, counts the accounts, and lets `run` call it.
///
/// Arguments are exact; instructions without arguments ignore what follows their first byte.
#[inline(always)]
fn dispatch(data: &[u8], accounts: usize, mut run: impl FnMut(Handler, &[u8]) -> u64) -> Result<u64> {
    const FEW: ProgramError = ProgramError::NotEnoughAccountKeys;
    const WRONG: ProgramError = ProgramError::Custom(ChannelError::NotEnoughAccountKeys as u32);

    let (discriminator, arguments) = data.split_first().ok_or(ProgramError::InvalidInstructionData)?;
    let mut run_with = |handler: Handler, expected: usize, error: ProgramError| {
        if accounts == expected {
            Ok(run(handler, arguments))
        } else {
            Err(error)
        }
    };
    match discriminator {
        1 => {
            // salt u64, deposit u64, grace period u32, open slot u64; then the splits
            check_splits(arguments.get(28..).ok_or(ProgramError::InvalidInstructionData)?)?;
            run_with(handlers::open, 14, FEW)
        }
        2 => run_with(handlers::settle, 2, FEW),
        3 => {
            require!(arguments.len() == 8, ProgramError::InvalidInstructionData);
            run_with(handlers::top_up, 6, WRONG)
        }
        4 => {
            require!(arguments.len() == 1, ProgramError::InvalidInstructionData);
            run_with(handlers::settle_and_seal, 3, WRONG)
        }
        5 => run_with(handlers::request_close, 2, WRONG),
        6 => run_with(handlers::seal, 1, FEW),
        7 => {
            check_splits(arguments)?;
            // The recipients' accounts follow; `distribute` counts them later.
            run_with(handlers::distribute, accounts.max(11), FEW)
        }
        8 => run_with(handlers::withdraw_payer, 6, WRONG),
        9 => run_with(handlers::reclaim, 2, FEW),
        228 => run_with(handlers::emit_event, 1, WRONG),
        _ => Ok(run(addition(data, accounts)?, arguments)),
    }
}

/// The handler of an instruction that the reference program does not have.
///
/// These are strict throughout: no byte after the arguments, and one error for any wrong number of accounts. They
/// stand apart so that the match above, which every `settle` pays for, does not grow with them.
#[inline(never)]
fn addition(data: &[u8], accounts: usize) -> Result<Handler> {
    let (discriminator, arguments) = data.split_first().ok_or(ProgramError::InvalidInstructionData)?;
    let (handler, size, expected): (Handler, usize, usize) = match discriminator {
        // The channels' accounts follow; `settle_batch` counts them against the signed message.
        10 => (handlers::settle_batch, 0, accounts.max(2)),
        11 => {
            // has_voucher u8; then the splits, whose accounts `rearm` counts
            check_splits(arguments.get(1..).ok_or(ProgramError::InvalidInstructionData)?)?;
            (handlers::rearm, arguments.len(), accounts.max(11))
        }
        12 => (handlers::settle_up_to, 8, 5),
        13 => (handlers::settle_closing, 0, 4),
        14 => (handlers::checkpoint, 0, 3),
        _ => return Err(ProgramError::InvalidInstructionData),
    };
    require!(arguments.len() == size, ProgramError::InvalidInstructionData);
    require!(accounts == expected, ChannelError::NotEnoughAccountKeys);
    Ok(handler)
}

#[cfg(all(feature = "entrypoint", target_os = "solana"))]
mod entrypoint {
    use core::mem::MaybeUninit;

    use super::*;

    anchor_lang::pinocchio::default_allocator!();
    anchor_lang::pinocchio::default_panic_handler!();

    /// Accounts that an instruction can have.
    const MAX_ACCOUNTS: usize = 256;

    /// # Safety
    ///
    /// For the loader only: `input` is the serialized instruction and `data` points at its data, which has its
    /// length before it.
    #[no_mangle]
    unsafe extern "C" fn entrypoint(input: *mut u8, data: *const u8) -> u64 {
        let length = *data.sub(8).cast::<u64>() as usize;
        let data = core::slice::from_raw_parts(data, length);
        let accounts = *input.cast::<u64>() as usize;
        let mut views = [const { MaybeUninit::<AccountView>::uninit() }; MAX_ACCOUNTS];
        let run = |handler: Handler, arguments: &[u8]| {
            let mut cursor = AccountCursor::new(input, views.as_mut_ptr().cast());
            handler(&crate::ID, &mut cursor, arguments, accounts)
        };
        match dispatch(data, accounts, run) {
            Ok(code) => code,
            Err(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(data: &[u8], accounts: usize) -> Option<ProgramError> {
        dispatch(data, accounts, |_, _| 0).err()
    }

    #[test]
    fn instructions_take_exactly_their_accounts() {
        let few = ProgramError::NotEnoughAccountKeys;
        let wrong = ProgramError::Custom(9);
        let open = [vec![1], vec![0; 32]].concat();
        let cases: [(&[u8], usize, ProgramError); 12] = [
            (&open, 14, few.clone()),
            (&[2], 2, few.clone()),
            (&[3, 0, 0, 0, 0, 0, 0, 0, 0], 6, wrong.clone()),
            (&[4, 0], 3, wrong.clone()),
            (&[5], 2, wrong.clone()),
            (&[6], 1, few.clone()),
            (&[8], 6, wrong.clone()),
            (&[9], 2, few),
            (&[12, 0, 0, 0, 0, 0, 0, 0, 0], 5, wrong.clone()),
            (&[13], 4, wrong.clone()),
            (&[14], 3, wrong.clone()),
            (&[228], 1, wrong),
        ];
        for (data, expected, error) in cases {
            for accounts in 0..20 {
                let want = (accounts != expected).then(|| error.clone());
                assert_eq!(refusal(data, accounts), want, "instruction {} with {accounts} accounts", data[0]);
            }
        }
    }

    #[test]
    fn distribute_takes_eleven_accounts_or_more() {
        let data = [7, 0, 0, 0, 0];
        assert_eq!(refusal(&data, 10), Some(ProgramError::NotEnoughAccountKeys));
        assert_eq!(refusal(&data, 11), None);
        assert_eq!(refusal(&data, 43), None);
    }

    #[test]
    fn a_batch_and_a_rearm_take_as_many_accounts_as_they_need_or_more() {
        for (data, fewest) in [(&[10][..], 2), (&[11, 0, 0, 0, 0, 0], 11)] {
            assert_eq!(refusal(data, fewest - 1), Some(ProgramError::Custom(9)));
            assert_eq!(refusal(data, fewest), None);
            assert_eq!(refusal(data, 61), None);
        }
    }

    #[test]
    fn bad_arguments_are_named_before_missing_accounts() {
        let many = [vec![7, 33, 0, 0, 0], vec![1; 33 * 34]].concat();
        assert_eq!(refusal(&many, 8), Some(ProgramError::Custom(260)));
        let opening = [vec![1], vec![0; 28], many[1..].to_vec()].concat();
        assert_eq!(refusal(&opening, 0), Some(ProgramError::Custom(260)));
        let rearming = [vec![11, 0], many[1..].to_vec()].concat();
        assert_eq!(refusal(&rearming, 0), Some(ProgramError::Custom(260)));
        assert_eq!(refusal(&[12, 1], 0), Some(ProgramError::InvalidInstructionData));
    }

    #[test]
    fn splits_are_refused_with_their_own_codes() {
        let data = |entries: &[(u8, u16)]| {
            let entries: Vec<u8> = entries
                .iter()
                .flat_map(|(key, bps)| [vec![*key; 32], bps.to_le_bytes().to_vec()].concat())
                .collect();
            [vec![7], (entries.len() as u32 / 34).to_le_bytes().to_vec(), entries].concat()
        };
        assert_eq!(refusal(&data(&[(1, 10_000)]), 12), None);
        assert_eq!(refusal(&data(&[(1, 0)]), 12), Some(ProgramError::Custom(261)));
        assert_eq!(refusal(&data(&[(1, 1), (1, 1)]), 12), Some(ProgramError::Custom(263)));
        assert_eq!(refusal(&data(&[(1, 5_000), (2, 5_001)]), 12), Some(ProgramError::Custom(261)));
        // Entry by entry: whichever fault comes first.
        assert_eq!(refusal(&data(&[(1, 1), (1, 1), (2, 0)]), 12), Some(ProgramError::Custom(263)));
        assert_eq!(refusal(&data(&[(1, 1), (2, 0), (1, 1)]), 12), Some(ProgramError::Custom(261)));
    }

    #[test]
    fn malformed_data_is_refused() {
        let invalid = Some(ProgramError::InvalidInstructionData);
        assert_eq!(refusal(&[], 0), invalid);
        for discriminator in [0, 15, 16, 227, 229, 255] {
            assert_eq!(refusal(&[discriminator, 0, 0], 2), invalid, "{discriminator}");
        }
        assert_eq!(refusal(&[3, 0], 6), invalid);
        assert_eq!(refusal(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0], 6), invalid);
        assert_eq!(refusal(&[4], 3), invalid);
        assert_eq!(refusal(&[4, 1, 1], 3), invalid);
        assert_eq!(refusal(&[1], 14), invalid);
        assert_eq!(refusal(&[7, 0, 0, 0], 11), invalid);
        assert_eq!(refusal(&[7, 1, 0, 0, 0], 11), invalid);
        assert_eq!(refusal(&[7, 0, 0, 0, 0, 0], 11), invalid);
        assert_eq!(refusal(&[11], 11), invalid);
        assert_eq!(refusal(&[11, 0, 0, 0, 0], 11), invalid);
        assert_eq!(refusal(&[12, 0, 0, 0, 0, 0, 0, 0], 5), invalid);
    }

    #[test]
    fn additions_take_no_byte_too_many() {
        let invalid = Some(ProgramError::InvalidInstructionData);
        assert_eq!(refusal(&[10, 0], 2), invalid);
        assert_eq!(refusal(&[11, 0, 0, 0, 0, 0, 0], 11), invalid);
        assert_eq!(refusal(&[12, 0, 0, 0, 0, 0, 0, 0, 0, 0], 5), invalid);
        assert_eq!(refusal(&[13, 0], 4), invalid);
        assert_eq!(refusal(&[14, 0], 3), invalid);
    }

    #[test]
    fn what_follows_an_instruction_without_arguments_is_ignored() {
        assert_eq!(refusal(&[2, 1, 2, 3], 2), None);
        assert_eq!(refusal(&[228, 0x45, 0xA5], 1), None);
    }
}
