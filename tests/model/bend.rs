//! Instructions bent out of shape: whatever bytes and accounts arrive, the program answers with an error of its own
//! or of the ledger, never with a crash; and neither answer makes or loses a token or a lamport.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use toll_program_tests::{
    Batch, Instruction, InstructionError, NOW, Plan, Proof, Pubkey, TokenKind, TokenState, TransactionError,
    World, settle_batch_of_the_living, voucher_key,
};

const CASES: u32 = 2_000;

/// One change to an instruction that was good.
#[derive(Clone, Debug)]
enum Bend {
    Byte { at: usize, to: u8 },
    Cut { to: usize },
    Extend(Vec<u8>),
    Exchange { account: usize, with: usize },
    Remove { account: usize },
    Repeat { account: usize },
    Unsign { account: usize },
    Lock { account: usize },
}

fn bend() -> impl Strategy<Value = Bend> {
    let any = any::<usize>;
    prop_oneof![
        3 => (any(), prop_oneof![Just(0), Just(1), Just(255), 0..=255u8]).prop_map(|(at, to)| Bend::Byte { at, to }),
        1 => any().prop_map(|to| Bend::Cut { to }),
        1 => vec(0..=255u8, 1..40).prop_map(Bend::Extend),
        4 => (any(), any()).prop_map(|(account, with)| Bend::Exchange { account, with }),
        1 => any().prop_map(|account| Bend::Remove { account }),
        1 => any().prop_map(|account| Bend::Repeat { account }),
        1 => any().prop_map(|account| Bend::Unsign { account }),
        1 => any().prop_map(|account| Bend::Lock { account }),
    ]
}

fn apply(bend: Bend, instruction: &mut Instruction, pool: &[Pubkey]) {
    let Instruction { accounts, data, .. } = instruction;
    match bend {
        Bend::Byte { at, to } if !data.is_empty() => {
            let at = at % data.len();
            data[at] = to;
        }
        Bend::Cut { to } => data.truncate(to % (data.len() + 1)),
        Bend::Extend(bytes) => data.extend(bytes),
        Bend::Exchange { account, with } if !accounts.is_empty() => {
            let account = account % accounts.len();
            accounts[account].pubkey = pool[with % pool.len()];
            // Nobody signs for an address that has no key.
            accounts[account].is_signer = false;
        }
        Bend::Remove { account } if !accounts.is_empty() => {
            accounts.remove(account % accounts.len());
        }
        Bend::Repeat { account } if !accounts.is_empty() => {
            accounts.push(accounts[account % accounts.len()].clone());
        }
        Bend::Unsign { account } if !accounts.is_empty() => {
            let account = account % accounts.len();
            accounts[account].is_signer = false;
        }
        Bend::Lock { account } if !accounts.is_empty() => {
            let account = account % accounts.len();
            accounts[account].is_writable = false;
        }
        _ => {}
    }
}

const INSTRUCTIONS: [fn(&World) -> Instruction; 16] = [
    |world| world.channel.open(),
    |world| world.channel.settle(),
    |world| world.channel.top_up(5),
    |world| world.channel.settle_and_seal(1),
    |world| world.channel.request_close(),
    |world| world.channel.seal(),
    |world| world.channel.distribute(),
    |world| world.channel.withdraw_payer(),
    |world| world.channel.reclaim(),
    |world| world.channel.emit_event(),
    |world| world.channel.settle_batch(),
    |world| settle_batch_of_the_living(&[world.channel.address]),
    |world| world.channel.rearm(1),
    |world| world.channel.settle_up_to(8_000),
    |world| world.channel.settle_closing(),
    |world| world.channel.checkpoint(),
];

/// What proves 9,000 to `instruction`.
fn proof(world: &World, instruction: &Instruction) -> Instruction {
    if instruction.data.first() == Some(&10) {
        let batch = Batch::of([(world.channel.address, 9_000)]);
        return Proof::of(&batch.encode(), &voucher_key(3)).instruction();
    }
    if instruction.data.first() == Some(&12) {
        return world.sign(&world.ceiling(9_000)).instruction();
    }
    world.sign(&world.voucher(9_000)).instruction()
}

/// Ledgers in which one or the other instruction lands.
const STARTS: [fn(TokenKind) -> World; 6] = [
    |token| World::before_open(plan(token)),
    |token| World::with_state(plan(token), |state| state.settled = 5_000),
    |token| {
        let mut world =
            World::with_state(plan(token), |state| (state.status, state.closure_started_at) = (2, NOW));
        world.at_time(i64::MAX);
        world
    },
    |token| World::with_state(plan(token), |state| (state.status, state.closure_started_at) = (2, NOW)),
    |token| World::with_state(plan(token), |state| (state.status, state.settled) = (1, 5_000)),
    |token| {
        let mut world = World::with_state(plan(token), |state| state.status = 3);
        world.at_slot(u64::MAX);
        world
    },
];

fn plan(token: TokenKind) -> Plan {
    Plan { token, ..Plan::with_shares(&[3_333, 250]) }
}

/// Every token of the mint, and every lamport.
fn totals(world: &World) -> (u128, u128) {
    let channel = &world.channel;
    let ledger = &world.svm;
    let tokens = ledger.get_program_accounts(&channel.token_program).into_iter();
    let tokens = tokens.filter(|(address, account)| *address != channel.mint && account.data.len() >= 165);
    let lamports = ledger.accounts_db().inner.keys().map(|address| u128::from(world.lamports(address))).sum();
    (tokens.map(|(_, account)| u128::from(TokenState::decode(&account.data).amount)).sum(), lamports)
}

fn run(token: TokenKind, start: usize, index: usize, bends: Vec<Bend>) -> Result<(), TestCaseError> {
    let mut world = STARTS[start](token);
    let mut instruction = INSTRUCTIONS[index](&world);
    let everything: Vec<_> = INSTRUCTIONS.iter().flat_map(|each| each(&world).accounts).collect();
    let pool: Vec<_> = everything.iter().map(|meta| meta.pubkey).collect();
    for bend in bends {
        apply(bend, &mut instruction, &pool);
    }
    let before = totals(&world);
    let proof = proof(&world, &instruction);
    match world.attempt(instruction).preceded_by(proof).send() {
        Ok(landed) => {
            let (tokens, lamports) = totals(&world);
            prop_assert_eq!((tokens, lamports + u128::from(landed.fee())), before);
        }
        Err(TransactionError::InstructionError(1, error)) => {
            let crashed = matches!(
                error,
                InstructionError::ProgramFailedToComplete
                    | InstructionError::ComputationalBudgetExceeded
                    | InstructionError::UnbalancedInstruction
            );
            prop_assert!(!crashed, "{error:?}");
        }
        Err(other) => {
            prop_assert!(matches!(other, TransactionError::InsufficientFundsForRent { .. }), "{other:?}")
        }
    }
    Ok(())
}

#[test]
fn a_bent_instruction_gets_a_clean_answer() {
    let cases = crate::from_environment("TOLL_MODEL_CASES", CASES);
    let kept = crate::found(concat!(env!("CARGO_MANIFEST_DIR"), "/../model/found/bent.txt"));
    let config = Config { cases, failure_persistence: kept, ..Config::default() };
    let kinds = prop_oneof![Just(TokenKind::Spl), Just(TokenKind::Token2022)];
    let case = (kinds, 0..STARTS.len(), 0..INSTRUCTIONS.len(), vec(bend(), 0..4));
    let run = |(token, start, index, bends)| run(token, start, index, bends);
    TestRunner::new(config).run(&case, run).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_instruction_lands_unbent_from_some_start() {
    let lands = |index: usize| {
        STARTS.iter().any(|start| {
            let mut world = start(TokenKind::Spl);
            let instruction = INSTRUCTIONS[index](&world);
            let proof = proof(&world, &instruction);
            world.attempt(instruction).preceded_by(proof).send().is_ok()
        })
    };
    assert!((0..INSTRUCTIONS.len()).all(lands));
}
