//! The arena's ledger: channels of both token programs in every status, and whatever else might be passed off as
//! one of their accounts.

use super::proven::{batches, vouchers};
use super::{Arena, law};
use crate::plan::{Channel, GRACE_PERIOD, Plan, TokenKind};
use crate::program::{
    ASSOCIATED_TOKEN_PROGRAM, ED25519_PROGRAM, INSTRUCTIONS_SYSVAR, RENT_SYSVAR, SYSTEM_PROGRAM,
    TOKEN_PROGRAM, associated_token_address, event_authority, named, program_id,
};
use crate::proof::Proof;
use crate::state::{ChannelState, Status};
use crate::token::{FROZEN, TokenState, mint_account, owned_by};
use crate::voucher::voucher_key;
use crate::world::{DECIMALS, NOW, OPEN_SLOT_WINDOW, SLOT, World};
use solana_account::Account;
use solana_instruction::Instruction;
use solana_pubkey::{Pubkey, pubkey};

const CLOCK_SYSVAR: Pubkey = pubkey!("SysvarC1ock11111111111111111111111111111111");
const SYSVARS: Pubkey = pubkey!("Sysvar1111111111111111111111111111111111111");
const UPGRADEABLE_LOADER: Pubkey = pubkey!("BPFLoaderUpgradeab1e11111111111111111111111");
/// What precedes the ELF in an account of that loader.
const LOADER_METADATA: usize = 45;

pub(super) const DEPOSIT: u64 = 10_000;
const AGED: u64 = SLOT - OPEN_SLOT_WINDOW - 1;

/// What happened to a channel before the arena opened.
struct Past {
    open_slot: u64,
    /// `None`: it was never opened.
    state: Option<fn(&mut ChannelState)>,
    /// Tokens in escrow that nobody accounts for.
    gift: u64,
}

const fn past(open_slot: u64, gift: u64, state: fn(&mut ChannelState)) -> Past {
    Past { open_slot, state: Some(state), gift }
}

/// One channel of each, for each token program.
const PASTS: &[Past] = &[
    Past { open_slot: SLOT, state: None, gift: 0 },
    Past { open_slot: SLOT - OPEN_SLOT_WINDOW, state: None, gift: 77 },
    past(SLOT, 0, |_| {}),
    past(AGED, 0, |state| (state.settled, state.payout_watermark) = (5_000, 2_000)),
    past(SLOT, 1, |state| (state.settled, state.payout_watermark) = (DEPOSIT, DEPOSIT)),
    past(SLOT, 0, |state| (state.status, state.closure_started_at) = (Status::Closing as u8, NOW)),
    past(AGED, 0, |state| {
        (state.status, state.settled) = (Status::Closing as u8, 5_000);
        state.closure_started_at = NOW - GRACE_PERIOD as i64;
    }),
    past(SLOT, 9, |state| {
        (state.status, state.settled, state.payout_watermark) = (Status::Sealed as u8, 5_003, 1_000);
    }),
    past(AGED, 0, |state| (state.status, state.settled) = (Status::Sealed as u8, 5_003)),
    past(SLOT, 0, |state| {
        (state.status, state.settled, state.payer_withdrawn_at) = (Status::Sealed as u8, 5_003, NOW);
    }),
    past(SLOT, 0, |state| (state.status, state.settled) = (Status::Distributed as u8, 5_003)),
    past(AGED, 0, |state| (state.status, state.settled) = (Status::Distributed as u8, 5_003)),
];

/// What may be wrong with a channel's last recipient.
const HEALTHS: [&str; 4] = ["good", "frozen", "sold", "missing"];

/// What payee and recipients have got when all shares of `watermark` are paid, each rounded down.
pub(super) fn paid(plan: &Plan, watermark: u64) -> u64 {
    let shares = plan.splits.iter().map(|(_, share)| u64::from(*share));
    let payee = 10_000 - shares.clone().sum::<u64>();
    shares.chain([payee]).map(|share| watermark * share / 10_000).sum()
}

/// What escrow owes for `state`: to the recipients, the payee, the payer, and the treasury for rounding.
pub(super) fn owed(plan: &Plan, state: &ChannelState) -> u64 {
    let refunded = if state.payer_withdrawn_at == 0 { 0 } else { state.deposit - state.settled };
    state.deposit - paid(plan, state.payout_watermark) - refunded
}

/// Prepares the ledger.
pub(super) fn prepare() -> Arena {
    let mut world = World::before_open(Plan::default());
    let people = ["payer", "payee", "rent payer", "recipient", "stranger"].map(named);
    people.iter().for_each(|person| world.put_wallet(*person));
    let mut channels = Vec::new();
    let mut strangers = vec![named("stranger")];
    let mut pool = vec![event_authority(), program_id(), SYSTEM_PROGRAM, RENT_SYSVAR, INSTRUCTIONS_SYSVAR];
    pool.extend([ASSOCIATED_TOKEN_PROGRAM, ED25519_PROGRAM, CLOCK_SYSVAR, named("nobody"), world.relayer()]);
    pool.extend(people);
    for token in TokenKind::ALL {
        let planted = PASTS.iter().enumerate().map(|(index, past)| plant(&mut world, token, index, past));
        let planted: Vec<_> = planted.collect();
        strangers.extend(lookalikes(&mut world, &planted[2]));
        channels.extend(planted);
    }
    pool.extend(fakes(&mut world, &channels[2]));
    for channel in &channels {
        pool.extend([channel.mint, channel.token_program, channel.address, channel.escrow]);
        pool.extend([channel.payer_tokens, channel.payee_tokens, channel.treasury_tokens]);
        pool.extend([channel.authorized_signer]);
        pool.extend(&channel.recipient_tokens);
    }
    pool.extend(&strangers);
    pool.sort();
    pool.dedup();
    let fee_payer = world.relayer();
    let base = world.svm.accounts_db().inner.clone();
    let mut proofs: Vec<_> = channels.iter().flat_map(vouchers).collect();
    proofs.extend(batches(&channels, &settleable(&world, &channels)));
    let people = people.into_iter().chain([fee_payer]).collect();
    Arena { world, base, channels, pool, people, strangers, proofs, fee_payer }
}

/// A target for every channel that any batch may bring there: those that are open rise, the others have as much.
fn settleable(world: &World, channels: &[Channel]) -> Vec<(Pubkey, u64)> {
    let target = |channel: &Channel| {
        let state = law::channel(world.svm.accounts_db().get_account_ref(&channel.address))?;
        let target =
            if state.status == Status::Open as u8 { state.settled.max(6_000) } else { state.settled };
        (target > 0).then_some((channel.address, target))
    };
    channels.iter().filter_map(target).collect()
}

fn plant(world: &mut World, token: TokenKind, index: usize, past: &Past) -> Channel {
    let health = HEALTHS[index % HEALTHS.len()];
    let recipient = named(&format!("recipient {health}"));
    let plan = Plan {
        token,
        mint: named(&format!("{token:?} mint")),
        salt: index as u64,
        open_slot: past.open_slot,
        deposit: DEPOSIT,
        splits: vec![(named("recipient"), 3_333), (recipient, 250)],
        ..Plan::default()
    };
    world.channel = Channel::new(plan);
    let Channel { mint, token_program, address, plan, .. } = world.channel.clone();
    world.put(mint, mint_account(&token_program, DECIMALS, &[]));
    for owner in [plan.payee, named("recipient"), crate::program::treasury_owner()] {
        world.put_tokens(owner, 1_000);
    }
    world.put_tokens(plan.payer, 1_000_000);
    if health != "missing" {
        let tokens = world.put_tokens(recipient, 1_000);
        world.edit_tokens(tokens, |tokens| match health {
            "frozen" => tokens.state = FROZEN,
            "sold" => tokens.owner = named("buyer"),
            _ => {}
        });
    }
    match past.state {
        Some(change) => {
            let mut state = world.channel.opened();
            change(&mut state);
            world.put_channel(&state);
            if state.status != Status::Distributed as u8 {
                world.put_tokens(address, owed(&plan, &state) + past.gift);
            }
        }
        // Somebody was there before it was opened.
        None if past.gift > 0 => {
            world.put(
                address,
                Account { rent_epoch: u64::MAX, ..Account::new(2_000_000, 0, &SYSTEM_PROGRAM) },
            );
            world.put_tokens(address, past.gift);
        }
        None => {}
    }
    world.channel.clone()
}

/// Token accounts and wallets of people who are owed nothing.
fn lookalikes(world: &mut World, channel: &Channel) -> Vec<Pubkey> {
    world.channel = channel.clone();
    let Channel { mint, token_program, address, .. } = *channel;
    let own = world.put_tokens(named("stranger"), 500);
    let token = |name: &str| named(&format!("{name} of {token_program}"));
    let second = TokenState::ordinary(mint, channel.plan.payee, &token_program, 0);
    world.put_token_state(token("second account"), &second);
    // Somebody else's account that says it belongs to the channel.
    let loose = TokenState::ordinary(mint, address, &token_program, 0);
    world.put_token_state(token("loose escrow"), &loose);
    world.put(token("other mint"), mint_account(&token_program, DECIMALS, &[]));
    let foreign = TokenState::ordinary(token("other mint"), named("stranger"), &token_program, 500);
    world.put_token_state(token("other tokens"), &foreign);
    let mut broken = TokenState::ordinary(mint, named("stranger"), &token_program, 0).encode();
    broken.extend([2, 7, 0]);
    world.put(token("broken"), owned_by(&token_program, broken));
    vec![
        own,
        token("second account"),
        token("loose escrow"),
        token("other mint"),
        token("other tokens"),
        token("broken"),
    ]
}

/// Accounts that are not what they look like.
fn fakes(world: &mut World, channel: &Channel) -> Vec<Pubkey> {
    world.channel = channel.clone();
    let mut addresses = Vec::new();
    let mut put = |world: &mut World, name: &str, account: Account| {
        world.put(named(name), account);
        addresses.push(named(name));
    };
    let good = channel.opened().encode();
    let with_byte = |at: usize, byte: u8| {
        let mut data = good.clone();
        data[at] = byte;
        data
    };
    for (name, data) in [
        ("empty channel", Vec::new()),
        ("zeroed channel", vec![0; 256]),
        ("short channel", good[..255].to_vec()),
        ("long channel", [&good[..], &[0]].concat()),
        ("retired channel", with_byte(0, 2)),
        ("later channel", with_byte(1, 2)),
        ("channel of no status", with_byte(3, 4)),
        ("copied channel", good.clone()),
    ] {
        put(world, name, owned_by(&program_id(), data));
    }
    put(world, "foreign channel", owned_by(&SYSTEM_PROGRAM, good.clone()));
    let rent = world.svm.get_account(&RENT_SYSVAR).expect("a rent sysvar");
    put(world, "fake rent", rent);
    let proof = Proof::of(&world.voucher(6_000).encode(), &voucher_key(channel.plan.voucher_key));
    let instructions = instructions_sysvar(&[proof.instruction(), channel.settle()], 1);
    put(world, "fake instructions", owned_by(&SYSVARS, instructions));
    // A program that does as the token program does, with accounts to match.
    let (elf, _) = Pubkey::find_program_address(&[TOKEN_PROGRAM.as_ref()], &UPGRADEABLE_LOADER);
    let elf = world.svm.get_account(&elf).expect("the token program's ELF").data.split_off(LOADER_METADATA);
    let fake = named("fake token program");
    world.svm.add_program(fake, &elf).expect("the token program loads under any id");
    put(world, "fake mint", Account { owner: fake, ..mint_account(&TOKEN_PROGRAM, DECIMALS, &[]) });
    for owner in [channel.plan.payer, channel.address, crate::program::treasury_owner()] {
        let state = TokenState::ordinary(channel.mint, owner, &TOKEN_PROGRAM, 1_000_000);
        let address = associated_token_address(&owner, &channel.mint, &fake);
        world.put(address, owned_by(&fake, state.encode()));
        addresses.push(address);
    }
    addresses.push(fake);
    addresses
}

/// The bytes of an instructions sysvar that shows `instructions`, the one at `current` running.
fn instructions_sysvar(instructions: &[Instruction], current: u16) -> Vec<u8> {
    let number = |number: usize| (number as u16).to_le_bytes();
    let mut bytes = number(instructions.len()).to_vec();
    let mut bodies = Vec::new();
    for instruction in instructions {
        bytes.extend(number(2 + 2 * instructions.len() + bodies.len()));
        bodies.extend(number(instruction.accounts.len()));
        for meta in &instruction.accounts {
            bodies.push(u8::from(meta.is_signer) | u8::from(meta.is_writable) << 1);
            bodies.extend(meta.pubkey.to_bytes());
        }
        bodies.extend(instruction.program_id.to_bytes());
        bodies.extend(number(instruction.data.len()));
        bodies.extend(&instruction.data);
    }
    bytes.extend(bodies);
    bytes.extend(current.to_le_bytes());
    bytes
}
