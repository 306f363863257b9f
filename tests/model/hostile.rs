//! Accounts that are not what they are passed off as.

use toll_program_tests::{ASSOCIATED_TOKEN_PROGRAM, Action, Pubkey, TokenState, World, named};

/// An instruction, and an account of it that has to be exactly what the channel says.
///
/// Left out are the accounts that an instruction has no need to look at: those of events, and the payer's tokens
/// where no refund is due; and the channel where nothing else ties the instruction to it.
pub(crate) fn target(instruction: usize, account: usize) -> (Action, usize) {
    const TARGETS: [(Action, &[usize]); 7] = [
        (|world| world.distribute(), &[0, 1, 2, 3, 5, 6, 7, 8, 11, 12]),
        (|world| world.withdraw_payer(), &[0, 1, 2, 3, 4, 5]),
        (|world| world.top_up(5), &[0, 1, 2, 3, 4, 5]),
        (|world| world.reclaim(), &[1]),
        (|world| world.seal_as_payee(), &[0]),
        (|world| world.rearm(), &[0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12]),
        (|world| world.settle_up_to(1, &world.ceiling(2)), &[0, 1, 2, 3]),
    ];
    let (action, accounts) = TARGETS[instruction % TARGETS.len()];
    (action, accounts[account % accounts.len()])
}

/// Puts token accounts and wallets where somebody might prepare them, and returns their addresses: some empty, all
/// of them wrong.
pub(crate) fn impostors(world: &mut World) -> Vec<Pubkey> {
    let channel = world.channel.clone();
    let mut addresses =
        vec![named("empty"), named("second account"), world.put_tokens(named("bystander"), 0)];
    let second = TokenState::ordinary(channel.mint, channel.plan.payee, &channel.token_program, 0);
    world.put_token_state(named("second account"), &second);
    let recipients = channel.plan.splits.iter().map(|(recipient, _)| *recipient);
    for owner in recipients.chain([channel.plan.payer, channel.plan.payee]) {
        addresses.push(non_canonical(&owner, &channel.mint, &channel.token_program));
    }
    addresses
}

/// The address that follows the canonical one when bumps are tried downwards: nobody can put anything there.
fn non_canonical(owner: &Pubkey, mint: &Pubkey, token_program: &Pubkey) -> Pubkey {
    let seeds = [owner.as_ref(), token_program.as_ref(), mint.as_ref()];
    let at = |bump: u8| {
        let bump = [bump];
        let seeds = [seeds[0], seeds[1], seeds[2], &bump];
        Pubkey::create_program_address(&seeds, &ASSOCIATED_TOKEN_PROGRAM).ok()
    };
    (0..=u8::MAX).rev().filter_map(at).nth(1).expect("half of all bumps lead to an address")
}
