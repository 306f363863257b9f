//! Instructions and signed transactions.
//!
//! Instructions go in as ordered groups that say what may be left for a later transaction; what comes out
//! always fits a packet.

use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{CompileError, VersionedMessage, v0, v1};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use toll_ledger::{Effect, Intent, SubmissionKind};
use toll_protocol::{
    Channel, SignedVoucher, compute_unit_limit, compute_unit_price, create_associated_token_account,
    ed25519_verify, encode_transaction,
};

use super::packing::Format;
use super::payout::Beneficiary;
use crate::SettlerError;
use crate::config::SettlerKeys;
use crate::plan::Action;
use crate::purse::{fee_of, priority};

/// Most compute units a transaction may have: what a first, simulated version asks for.
pub(crate) const MAX_COMPUTE_UNITS: u32 = 1_400_000;

/// Most bytes of accounts that a transaction may load: what the older formats ask for unless told otherwise, while in
/// version 1 nothing is asked for by default.
const MAX_LOADED_BYTES: u32 = 64 * 1_024 * 1_024;

/// A transaction that is signed and nothing more.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// Its wire form.
    pub bytes: Vec<u8>,
    /// Its first signature, by which the cluster knows it.
    pub signature: Signature,
    /// Its fee, if it is ours to pay, in lamports.
    pub fee: u64,
}

/// What a transaction does, and the instructions it takes.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// What the ledger writes down of it.
    pub intent: Intent,
    /// The instructions, without a compute budget.
    pub instructions: Vec<Instruction>,
}

/// Whether a payout may go out with an action.
#[derive(Clone, Debug)]
pub(crate) enum Payout {
    /// Yes, once these token accounts exist.
    Ready {
        /// The accounts to create.
        missing: Vec<Beneficiary>,
    },
    /// No: a share would be forfeited.
    Held {
        /// Which, and why.
        reason: String,
    },
}

/// The ways to carry out `action`, best first.
///
/// The first does everything in one transaction. The others leave the rest for later, in case the first
/// does not fit: sealing stops the clock, so it goes before paying out. Empty when all that is left is a
/// payout that is held.
pub(crate) fn drafts(action: &Action, channel: &Channel, payout: &Payout, fee_payer: &Pubkey) -> Vec<Draft> {
    let seal = match action {
        Action::Settle(voucher) => {
            let instructions = vec![ed25519_verify(voucher), channel.settle()];
            return vec![draft(SubmissionKind::Settle, effect(channel, Some(voucher)), instructions)];
        }
        Action::SettleClosing(voucher) => {
            let instructions = vec![ed25519_verify(voucher), channel.settle_closing()];
            return vec![draft(SubmissionKind::Settle, effect(channel, Some(voucher)), instructions)];
        }
        Action::PayOut(voucher) => return pay_out(voucher.as_ref(), channel, payout, fee_payer),
        Action::Rearm(voucher) => {
            // What cannot be rearmed, for want of an account or of room, is closed.
            let close = drafts(&Action::Close(Some(voucher.clone())), channel, payout, fee_payer);
            return rearm(voucher, channel, payout, fee_payer).into_iter().chain(close).collect();
        }
        Action::Reclaim => {
            return vec![draft(SubmissionKind::Reclaim, effect(channel, None), vec![channel.reclaim()])];
        }
        Action::Close(voucher) => {
            let effect = effect(channel, voucher.as_ref());
            draft(SubmissionKind::Close, effect, settle_and_seal(channel, voucher))
        }
        Action::Seal => draft(SubmissionKind::Seal, effect(channel, None), vec![channel.seal()]),
        Action::Distribute => draft(SubmissionKind::Distribute, effect(channel, None), Vec::new()),
    };
    let mut drafts = Vec::new();
    if let Payout::Ready { missing } = payout {
        let mut instructions: Vec<_> = missing.iter().map(|one| create(one, channel, fee_payer)).collect();
        instructions.extend(seal.instructions.iter().cloned());
        instructions.push(channel.distribute());
        let mut intent = seal.intent.clone();
        intent.effects.iter_mut().for_each(|effect| effect.pays_out = true);
        drafts.push(Draft { intent, instructions });
    }
    if !seal.instructions.is_empty() {
        drafts.push(seal);
    } else if let Payout::Ready { missing } = payout {
        // Too many accounts to create beside the payout: create some, pay in the next transaction.
        for count in (1..=missing.len()).rev() {
            let instructions = missing[..count].iter().map(|one| create(one, channel, fee_payer)).collect();
            drafts.push(Draft { intent: seal.intent.clone(), instructions });
        }
    }
    drafts
}

/// Settles and pays out, or settles now and pays out later; the channel stays open.
fn pay_out(
    voucher: Option<&SignedVoucher>,
    channel: &Channel,
    payout: &Payout,
    fee_payer: &Pubkey,
) -> Vec<Draft> {
    let kind = if voucher.is_some() { SubmissionKind::Settle } else { SubmissionKind::Distribute };
    let settle: Vec<_> =
        voucher.into_iter().flat_map(|voucher| [ed25519_verify(voucher), channel.settle()]).collect();
    let mut drafts = Vec::new();
    if let Payout::Ready { missing } = payout {
        let mut instructions: Vec<_> = missing.iter().map(|one| create(one, channel, fee_payer)).collect();
        instructions.extend(settle.iter().cloned());
        instructions.push(channel.distribute());
        drafts.push(draft(kind, effect(channel, voucher), instructions));
    }
    if !settle.is_empty() {
        drafts.push(draft(kind, effect(channel, voucher), settle));
    }
    drafts
}

/// Pays out and refunds, so every account has to be there: it forfeits no refund.
fn rearm(voucher: &SignedVoucher, channel: &Channel, payout: &Payout, fee_payer: &Pubkey) -> Option<Draft> {
    let Payout::Ready { missing } = payout else { return None };
    let mut instructions: Vec<_> = missing.iter().map(|one| create(one, channel, fee_payer)).collect();
    instructions.extend([ed25519_verify(voucher), channel.rearm(true)]);
    Some(draft(SubmissionKind::Rearm, effect(channel, Some(voucher)), instructions))
}

fn draft(kind: SubmissionKind, effect: Effect, instructions: Vec<Instruction>) -> Draft {
    Draft { intent: Intent::of(kind, effect), instructions }
}

fn effect(channel: &Channel, voucher: Option<&SignedVoucher>) -> Effect {
    let publishes = voucher.map(|signed| signed.voucher.cumulative_amount);
    Effect { publishes, ..Effect::on(channel.id) }
}

/// The first of `drafts` that fits a packet, signed.
pub(crate) fn sign_first_fitting(
    drafts: Vec<Draft>,
    budget: Budget,
    keys: &SettlerKeys,
    blockhash: Hash,
    format: Format,
) -> Result<(Draft, Signed), SettlerError> {
    let mut smallest: Option<(SubmissionKind, usize)> = None;
    for draft in drafts {
        let signed = sign(&draft, budget, keys, blockhash, format)?;
        let size = signed.bytes.len();
        if size <= format.limits().bytes {
            return Ok((draft, signed));
        }
        smallest = Some(smallest.map_or((draft.intent.kind, size), |(kind, least)| (kind, least.min(size))));
    }
    let (kind, size) = smallest.unwrap_or((SubmissionKind::Distribute, 0));
    Err(SettlerError::TooLarge { kind: kind.as_str(), size })
}

/// Compute budget of a transaction of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Units to ask for.
    pub units: u32,
    /// Micro-lamports per unit; zero sets no price.
    pub price: u64,
}

impl Budget {
    /// The instructions that ask for it.
    pub(crate) fn instructions(self) -> Vec<Instruction> {
        let price = (self.price > 0).then(|| compute_unit_price(self.price));
        [compute_unit_limit(self.units)].into_iter().chain(price).collect()
    }
}

/// Signs a draft with whichever of our keys it needs.
pub(crate) fn sign(
    draft: &Draft,
    budget: Budget,
    keys: &SettlerKeys,
    blockhash: Hash,
    format: Format,
) -> Result<Signed, SettlerError> {
    let what = draft.intent.kind.as_str();
    let message = compile(draft, budget, &keys.fee_payer.pubkey(), blockhash, format)
        .map_err(|error| SettlerError::Build { what, reason: error.to_string() })?;
    let bytes = message.serialize();
    let signers = usize::from(message.header().num_required_signatures);
    let signatures = message.static_account_keys()[..signers]
        .iter()
        .map(|key| {
            let key = key_of(keys, key).ok_or_else(|| SettlerError::Build {
                what,
                reason: format!("it needs the signature of {key}, which is not ours"),
            })?;
            Ok(key.sign_message(&bytes))
        })
        .collect::<Result<Vec<_>, SettlerError>>()?;
    let (signature, fee) = (signatures[0], fee_of(&message));
    Ok(Signed { bytes: encode_transaction(&VersionedTransaction { signatures, message }), signature, fee })
}

fn compile(
    draft: &Draft,
    budget: Budget,
    fee_payer: &Pubkey,
    blockhash: Hash,
    format: Format,
) -> Result<VersionedMessage, CompileError> {
    if format == Format::V1 {
        let mut config = v1::TransactionConfig::empty()
            .with_compute_unit_limit(budget.units)
            .with_loaded_accounts_data_size_limit(MAX_LOADED_BYTES);
        if budget.price > 0 {
            config = config.with_priority_fee(priority(budget.units.into(), budget.price));
        }
        let instructions = &draft.instructions;
        let message = v1::Message::try_compile_with_config(fee_payer, instructions, blockhash, config)?;
        return Ok(VersionedMessage::V1(message));
    }
    let instructions = [budget.instructions(), draft.instructions.clone()].concat();
    Ok(VersionedMessage::V0(v0::Message::try_compile(fee_payer, &instructions, &[], blockhash)?))
}

/// Adds the fee payer's signature to a payer-signed transaction, unless the payer pays its fee itself: that one
/// is complete.
pub(crate) fn co_sign(mut transaction: VersionedTransaction, fee_payer: &Keypair) -> Signed {
    let mut fee = 0;
    if transaction.message.static_account_keys().first() == Some(&fee_payer.pubkey()) {
        transaction.signatures[0] = fee_payer.sign_message(&transaction.message.serialize());
        fee = fee_of(&transaction.message);
    }
    let signature = transaction.signatures[0];
    Signed { bytes: encode_transaction(&transaction), signature, fee }
}

/// The ed25519 check must come right before the instruction that reads it.
fn settle_and_seal(channel: &Channel, voucher: &Option<SignedVoucher>) -> Vec<Instruction> {
    let mut instructions: Vec<_> = voucher.iter().map(ed25519_verify).collect();
    instructions.push(channel.settle_and_seal(voucher.is_some()));
    instructions
}

fn create(beneficiary: &Beneficiary, channel: &Channel, fee_payer: &Pubkey) -> Instruction {
    create_associated_token_account(fee_payer, &beneficiary.owner, &channel.mint, &channel.token_program)
}

fn key_of<'a>(keys: &'a SettlerKeys, key: &Pubkey) -> Option<&'a Keypair> {
    [&keys.fee_payer, &keys.payee].into_iter().find(|ours| ours.pubkey() == *key)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use toll_ledger::MAX_PAYABLE_RECIPIENTS;
    use toll_protocol::{
        Amount, ChannelId, ChannelTerms, MAX_TRANSACTION, PROGRAM_ID, Split, Splits, TOKEN_PROGRAM,
        TREASURY_OWNER, Voucher, decode_transaction, static_instructions,
    };

    use super::*;

    fn keys() -> SettlerKeys {
        let (fee_payer, payee) = (Keypair::new_from_array([1; 32]), Keypair::new_from_array([2; 32]));
        SettlerKeys { fee_payer, payee, operator: None }
    }

    fn key(seed: u8) -> Pubkey {
        Pubkey::new_from_array([seed; 32])
    }

    fn channel(recipients: usize) -> Channel {
        let keys = keys();
        let (payer, payee, mint) = (key(3), keys.payee.pubkey(), key(4));
        let terms = ChannelTerms { payer, payee, mint, authorized_signer: payer, salt: 1, open_slot: 2 };
        let split = |index: usize| Split { recipient: key(100 + index as u8), share_bps: 100 };
        Channel {
            program: PROGRAM_ID,
            id: terms.address(&PROGRAM_ID).0,
            payer,
            payee,
            mint,
            token_program: TOKEN_PROGRAM,
            rent_payer: keys.fee_payer.pubkey(),
            splits: Splits::new((0..recipients).map(split).collect()).unwrap(),
            treasury_owner: TREASURY_OWNER,
        }
    }

    fn voucher(channel_id: ChannelId) -> SignedVoucher {
        let voucher = Voucher { channel_id, cumulative_amount: Amount::new(16), expires_at: 0 };
        SignedVoucher::sign(voucher, &SigningKey::from_bytes(&[3; 32]))
    }

    fn ready(channel: &Channel, missing: usize) -> Payout {
        let missing = channel.beneficiaries().into_iter().take(missing);
        let missing = missing.map(|owner| Beneficiary { owner, account: channel.token_account(&owner) });
        Payout::Ready { missing: missing.collect() }
    }

    fn first_fitting(
        action: &Action,
        channel: &Channel,
        payout: &Payout,
    ) -> (SubmissionKind, Vec<(Pubkey, u8)>, usize) {
        let keys = keys();
        let drafts = drafts(action, channel, payout, &keys.fee_payer.pubkey());
        let budget = Budget { units: 100_000, price: 1 };
        let (draft, signed) = sign_first_fitting(drafts, budget, &keys, Hash::default(), Format::V0).unwrap();
        let transaction = decode_transaction(&signed.bytes).unwrap();
        transaction.verify_and_hash_message().unwrap();
        let instructions = static_instructions(&transaction).unwrap();
        let steps = instructions.iter().skip(2).map(|one| (one.program_id, one.data[0])).collect();
        (draft.intent.kind, steps, signed.bytes.len())
    }

    const CREATE: (Pubkey, u8) = (toll_protocol::ASSOCIATED_TOKEN_PROGRAM, 1);
    const VERIFY: (Pubkey, u8) = (toll_protocol::ED25519_PROGRAM, 1);
    const SETTLE: (Pubkey, u8) = (PROGRAM_ID, 2);
    const SETTLE_AND_SEAL: (Pubkey, u8) = (PROGRAM_ID, 4);
    const SEAL: (Pubkey, u8) = (PROGRAM_ID, 6);
    const DISTRIBUTE: (Pubkey, u8) = (PROGRAM_ID, 7);
    const REARM: (Pubkey, u8) = (PROGRAM_ID, toll_protocol::discriminator::REARM);

    #[test]
    fn close_is_one_transaction_that_verifies_seals_and_pays() {
        let channel = channel(0);
        let close = Action::Close(Some(voucher(channel.id)));
        let (kind, steps, size) = first_fitting(&close, &channel, &ready(&channel, 0));
        assert_eq!(kind, SubmissionKind::Close);
        assert_eq!(steps, [VERIFY, SETTLE_AND_SEAL, DISTRIBUTE]);
        assert!(size <= MAX_TRANSACTION, "{size}");
    }

    #[test]
    fn missing_accounts_are_created_before_the_voucher_check() {
        let channel = channel(0);
        let close = Action::Close(Some(voucher(channel.id)));
        let (_, steps, _) = first_fitting(&close, &channel, &ready(&channel, 2));
        assert_eq!(steps, [CREATE, CREATE, VERIFY, SETTLE_AND_SEAL, DISTRIBUTE]);
    }

    #[test]
    fn what_is_written_down_names_the_voucher_shown_and_whether_it_pays_out() {
        let channel = channel(0);
        let (shown, close) = (Some(Amount::new(16)), Action::Close(Some(voucher(channel.id))));
        let held = Payout::Held { reason: String::new() };
        for (action, payout, publishes, pays_out) in [
            (&Action::Settle(voucher(channel.id)), &ready(&channel, 0), shown, false),
            (&close, &ready(&channel, 0), shown, true),
            (&close, &held, shown, false),
            (&Action::Close(None), &ready(&channel, 0), None, true),
            (&Action::Seal, &ready(&channel, 0), None, true),
            (&Action::Distribute, &ready(&channel, 0), None, true),
            (&Action::Reclaim, &ready(&channel, 0), None, false),
        ] {
            let drafts = drafts(action, &channel, payout, &key(1));
            let expected = [Effect { channel: channel.id, publishes, pays_out }];
            assert_eq!(drafts[0].intent.effects, expected, "{action:?}");
        }
    }

    #[test]
    fn accounts_made_for_a_later_payout_pay_nobody_yet() {
        let channel = channel(MAX_PAYABLE_RECIPIENTS);
        let drafts = drafts(&Action::Distribute, &channel, &ready(&channel, 10), &keys().fee_payer.pubkey());
        let budget = Budget { units: 100_000, price: 1 };
        let (draft, _) = sign_first_fitting(drafts, budget, &keys(), Hash::default(), Format::V0).unwrap();
        assert_eq!(draft.intent.effects, [Effect::on(channel.id)]);
    }

    #[test]
    fn close_without_a_voucher_has_no_check() {
        let channel = channel(0);
        let (_, steps, _) = first_fitting(&Action::Close(None), &channel, &ready(&channel, 0));
        assert_eq!(steps, [SETTLE_AND_SEAL, DISTRIBUTE]);
    }

    #[test]
    fn close_with_three_recipients_still_fits_and_with_more_seals_alone() {
        let fitting = (0..=MAX_PAYABLE_RECIPIENTS)
            .take_while(|count| {
                let channel = channel(*count);
                let close = Action::Close(Some(voucher(channel.id)));
                first_fitting(&close, &channel, &ready(&channel, 0)).1.len() == 3
            })
            .count();
        assert!((4..MAX_PAYABLE_RECIPIENTS).contains(&fitting), "{fitting} recipient counts fit");

        let channel = channel(fitting);
        let close = Action::Close(Some(voucher(channel.id)));
        let (kind, steps, _) = first_fitting(&close, &channel, &ready(&channel, 0));
        assert_eq!((kind, steps), (SubmissionKind::Close, vec![VERIFY, SETTLE_AND_SEAL]));
    }

    #[test]
    fn held_payout_leaves_only_the_seal() {
        let channel = channel(0);
        let held = Payout::Held { reason: String::new() };
        let close = Action::Close(Some(voucher(channel.id)));
        assert_eq!(first_fitting(&close, &channel, &held).1, [VERIFY, SETTLE_AND_SEAL]);
        assert_eq!(first_fitting(&Action::Seal, &channel, &held).1, [SEAL]);
        assert!(drafts(&Action::Distribute, &channel, &held, &key(1)).is_empty());
    }

    #[test]
    fn settle_moves_nothing_else() {
        let channel = channel(0);
        let settle = Action::Settle(voucher(channel.id));
        let (kind, steps, _) = first_fitting(&settle, &channel, &ready(&channel, 0));
        assert_eq!((kind, steps), (SubmissionKind::Settle, vec![VERIFY, SETTLE]));
    }

    #[test]
    fn rearm_is_one_transaction_and_a_close_where_a_share_would_be_forfeited() {
        let channel = channel(0);
        let rearm = Action::Rearm(voucher(channel.id));
        let (kind, steps, size) = first_fitting(&rearm, &channel, &ready(&channel, 0));
        assert_eq!((kind, steps), (SubmissionKind::Rearm, vec![VERIFY, REARM]));
        assert!(size <= MAX_TRANSACTION, "{size}");
        let (_, steps, _) = first_fitting(&rearm, &channel, &ready(&channel, 1));
        assert_eq!(steps, [CREATE, VERIFY, REARM]);
        let held = Payout::Held { reason: String::new() };
        let (kind, steps, _) = first_fitting(&rearm, &channel, &held);
        assert_eq!((kind, steps), (SubmissionKind::Close, vec![VERIFY, SETTLE_AND_SEAL]));
    }

    #[test]
    fn payout_of_an_open_channel_settles_first_and_settles_alone_where_nobody_can_be_paid() {
        let channel = channel(0);
        let pay_out = Action::PayOut(Some(voucher(channel.id)));
        let (kind, steps, _) = first_fitting(&pay_out, &channel, &ready(&channel, 0));
        assert_eq!((kind, steps), (SubmissionKind::Settle, vec![VERIFY, SETTLE, DISTRIBUTE]));
        let held = Payout::Held { reason: String::new() };
        assert_eq!(first_fitting(&pay_out, &channel, &held).1, [VERIFY, SETTLE]);
        let (kind, steps, _) = first_fitting(&Action::PayOut(None), &channel, &ready(&channel, 0));
        assert_eq!((kind, steps), (SubmissionKind::Distribute, vec![DISTRIBUTE]));
        assert!(drafts(&Action::PayOut(None), &channel, &held, &key(1)).is_empty());
        // The channel is not over, whatever becomes of its account later.
        let drafts = drafts(&pay_out, &channel, &ready(&channel, 0), &key(1));
        assert!(drafts.iter().all(|draft| draft.intent.effects.iter().all(|effect| !effect.pays_out)));
    }

    #[test]
    fn late_seal_pays_in_the_same_transaction() {
        let channel = channel(1);
        let (kind, steps, _) = first_fitting(&Action::Seal, &channel, &ready(&channel, 0));
        assert_eq!((kind, steps), (SubmissionKind::Seal, vec![SEAL, DISTRIBUTE]));
    }

    #[test]
    fn payout_carries_its_maximum_of_recipients_and_not_one_more() {
        for (count, fits) in [(MAX_PAYABLE_RECIPIENTS, true), (MAX_PAYABLE_RECIPIENTS + 1, false)] {
            let channel = channel(count);
            let drafts =
                drafts(&Action::Distribute, &channel, &ready(&channel, 0), &keys().fee_payer.pubkey());
            let budget = Budget { units: 100_000, price: 1 };
            let signed = sign_first_fitting(drafts, budget, &keys(), Hash::default(), Format::V0);
            assert_eq!(signed.is_ok(), fits, "{count} recipients");
            if let Err(error) = signed {
                assert!(matches!(error, SettlerError::TooLarge { kind: "distribute", size } if size > 1_232));
            }
        }
    }

    #[test]
    fn accounts_that_do_not_fit_beside_the_payout_are_created_first() {
        let channel = channel(MAX_PAYABLE_RECIPIENTS);
        let (kind, steps, _) = first_fitting(&Action::Distribute, &channel, &ready(&channel, 10));
        assert_eq!(kind, SubmissionKind::Distribute);
        assert!(steps.len() >= 4 && steps.iter().all(|step| *step == CREATE), "{steps:?}");
    }

    #[test]
    fn signature_of_a_stranger_cannot_be_made() {
        let mut channel = channel(0);
        channel.payee = key(99);
        let intent = Intent::on(SubmissionKind::Close, &[channel.id]);
        let draft = Draft { intent, instructions: vec![channel.settle_and_seal(false)] };
        let budget = Budget { units: 1, price: 0 };
        let error = sign(&draft, budget, &keys(), Hash::default(), Format::V0).unwrap_err();
        assert!(error.to_string().contains("not ours"), "{error}");
    }
}
