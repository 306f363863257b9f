//! A transaction in words.

use serde_json::{Value, json};
use solana_instruction::Instruction;
use solana_message::VersionedMessage;
use solana_pubkey::Pubkey;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{
    ASSOCIATED_TOKEN_PROGRAM, COMPUTE_BUDGET_PROGRAM, ChannelInstruction, ComputeBudget, ED25519_PROGRAM,
    ProgramProfile, SYSTEM_PROGRAM, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, decode_ed25519, static_instructions,
};

/// What the transaction of `size` bytes is.
pub(super) fn describe(transaction: &VersionedTransaction, size: usize) -> Value {
    let message = &transaction.message;
    let version = match message {
        VersionedMessage::Legacy(_) => "legacy",
        VersionedMessage::V0(_) => "0",
        VersionedMessage::V1(_) => "1",
    };
    let keys = message.static_account_keys();
    let signed = message.serialize();
    let signers: Vec<Value> = transaction
        .signatures
        .iter()
        .zip(keys)
        .map(|(signature, key)| {
            let standing = match signature.as_ref() == [0; 64] {
                true => "not signed yet",
                false if signature.verify(key.as_ref(), &signed) => "verifies",
                false => "does not verify",
            };
            json!({ "key": key.to_string(), "signature": standing })
        })
        .collect();
    let instructions = match static_instructions(transaction) {
        Ok(found) => found.iter().map(instruction).collect(),
        Err(error) => json!(error.to_string()),
    };
    json!({
        "kind": "transaction",
        "version": version,
        "bytes": size,
        "feePayer": keys.first().map(ToString::to_string),
        "recentBlockhash": message.recent_blockhash().to_string(),
        "signers": signers,
        "instructions": instructions,
    })
}

fn instruction(instruction: &Instruction) -> Value {
    let Instruction { program_id, accounts, data } = instruction;
    let addresses: Vec<Pubkey> = accounts.iter().map(|meta| meta.pubkey).collect();
    let is_channel_program = ProgramProfile::of(program_id).is_some();
    let says = match *program_id {
        COMPUTE_BUDGET_PROGRAM => ComputeBudget::decode(data).ok().map(|budget| format!("{budget:?}")),
        ED25519_PROGRAM => decode_ed25519(data).ok().map(|signed| format!("{:?}", signed.voucher)),
        _ if is_channel_program => {
            ChannelInstruction::decode(data, &addresses).ok().map(|known| format!("{known:?}"))
        }
        _ => None,
    };
    json!({
        "program": name(program_id, is_channel_program),
        "says": says,
        "accounts": addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "dataBytes": data.len(),
    })
}

fn name(program: &Pubkey, is_channel_program: bool) -> String {
    let known = [
        (COMPUTE_BUDGET_PROGRAM, "compute budget"),
        (ED25519_PROGRAM, "ed25519 check"),
        (ASSOCIATED_TOKEN_PROGRAM, "associated token account"),
        (TOKEN_PROGRAM, "token"),
        (TOKEN_2022_PROGRAM, "token-2022"),
        (SYSTEM_PROGRAM, "system"),
    ];
    let known = known.iter().find(|(id, _)| id == program).map(|(_, name)| *name);
    match known.or(is_channel_program.then_some("payment channel")) {
        Some(name) => format!("{name} ({program})"),
        None => program.to_string(),
    }
}
