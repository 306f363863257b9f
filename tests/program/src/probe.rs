//! The program that looks at its own read-only data (`programs/rodata-probe`), and what it answers.

use crate::program::{file, named};
use litesvm::LiteSVM;
use solana_instruction::Instruction;
use solana_instruction::error::InstructionError;
use solana_message::{Message, VersionedMessage};
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;

/// Asks the probe `question` about `index`: success is an answer of 0, any other is the error code.
///
/// # Errors
///
/// The answer.
///
/// # Panics
///
/// When the probe was not run.
pub fn probe(question: u8, index: u8) -> Result<(), InstructionError> {
    let (program_id, payer) = (named("rodata probe"), named("relayer"));
    let mut svm = LiteSVM::new().with_sigverify(false);
    svm.add_program(program_id, &file("TOLL_TEST_PROBE", "rodata-probe/elf/rodata_probe.so"))
        .expect("the probe loads");
    svm.airdrop(&payer, 1_000_000_000).expect("lamports for the fee");
    let question = Instruction { program_id, accounts: Vec::new(), data: vec![question, index] };
    let message = Message::new_with_blockhash(&[question], Some(&payer), &svm.latest_blockhash());
    let transaction = VersionedTransaction {
        signatures: vec![Signature::default()],
        message: VersionedMessage::Legacy(message),
    };
    match svm.send_transaction(transaction).map_err(|failed| failed.err) {
        Ok(_) => Ok(()),
        Err(TransactionError::InstructionError(0, answer)) => Err(answer),
        Err(other) => panic!("the probe did not run: {other:?}"),
    }
}
