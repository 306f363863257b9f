//! An `open` in the making: every part of challenge, credential and transaction can be bent before it is sent.

use ed25519_dalek::{Signer, SigningKey};
use serde_json::Value;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_message::{VersionedMessage, v0};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use toll_protocol::{
    Action, Agreement, Amount, Authentication, Challenge, ChannelOffer, ChannelTerms, Credential, Open,
    OpenAction, VoucherSigner, base64url_encode, canonical_json, encode_transaction,
};

use crate::world::{self, authorization};

type Bend<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A payer's `open`. Fresh from [`Opening::answering`] it is right in every respect.
pub(crate) struct Opening {
    pub(crate) challenge: Challenge,
    /// What the credential claims.
    pub(crate) action: OpenAction,
    /// What the transaction does.
    pub(crate) open: Open,
    pub(crate) fee_payer: Pubkey,
    pub(crate) blockhash: Hash,
    pub(crate) payer: SigningKey,
    /// Instructions before and after the channel's.
    pub(crate) before: Vec<Instruction>,
    pub(crate) after: Vec<Instruction>,
    bend_instruction: Option<Bend<Instruction>>,
    bend_message: Option<Bend<VersionedMessage>>,
    bend_signed: Option<Bend<VersionedTransaction>>,
    bend_payload: Option<Bend<Value>>,
    bend_echo: Option<Bend<Value>>,
}

impl Opening {
    /// Answers `challenge` with a channel of `deposit` base units and the given salt.
    pub(crate) fn answering(challenge: &Challenge, salt: u64, deposit: u64) -> Self {
        let request = challenge.session_request().expect("a session challenge");
        let details = &request.method_details;
        let ChannelOffer::New { recent_blockhash, recent_slot, grace_period, .. } = &details.channel else {
            panic!("the challenge is for a new channel")
        };
        let payer = world::payer_key();
        let operator = match details.voucher_signer {
            VoucherSigner::Client => None,
            VoucherSigner::Operator(operator) => Some(operator),
        };
        let terms = ChannelTerms {
            payer: world::public(&payer),
            payee: request.recipient,
            mint: request.currency,
            authorized_signer: operator.unwrap_or(world::public(&payer)),
            salt,
            open_slot: *recent_slot,
        };
        let fee_payer = details.fee_payer_key.unwrap_or(terms.payer);
        let open = Open {
            agreement: Agreement {
                program: details.channel_program,
                terms,
                grace_period: *grace_period,
                splits: details.splits.clone(),
                rent_payer: fee_payer,
                token_program: details.token_program.expect("named"),
            },
            deposit: Amount::new(deposit),
        };
        let action = OpenAction {
            channel_id: open.channel_id(),
            payer: terms.payer,
            payee: terms.payee,
            mint: terms.mint,
            authorized_signer: terms.authorized_signer,
            salt,
            deposit: open.deposit,
            grace_period: open.agreement.grace_period,
            idle_timeout: None,
            open_slot: terms.open_slot,
            splits: (!open.agreement.splits.is_empty()).then(|| open.agreement.splits.clone()),
            authorization_policy: None,
            authentication: operator.map(|_| Authentication::sign(&open.channel_id(), &challenge.id, &payer)),
            at_idle: None,
            transaction: Vec::new(),
        };
        Self {
            challenge: challenge.clone(),
            action,
            blockhash: *recent_blockhash,
            open,
            fee_payer,
            payer,
            before: Vec::new(),
            after: Vec::new(),
            bend_instruction: None,
            bend_message: None,
            bend_signed: None,
            bend_payload: None,
            bend_echo: None,
        }
    }

    /// Changes seeds in transaction and credential alike, and the address with them.
    pub(crate) fn set_terms(&mut self, change: impl FnOnce(&mut ChannelTerms)) {
        change(&mut self.open.agreement.terms);
        let terms = self.open.agreement.terms;
        self.action.payer = terms.payer;
        self.action.payee = terms.payee;
        self.action.mint = terms.mint;
        self.action.authorized_signer = terms.authorized_signer;
        self.action.salt = terms.salt;
        self.action.open_slot = terms.open_slot;
        self.action.channel_id = self.open.channel_id();
    }

    /// Changes seeds in the transaction only; the claimed address follows it.
    pub(crate) fn set_transaction_terms(&mut self, change: impl FnOnce(&mut ChannelTerms)) {
        change(&mut self.open.agreement.terms);
        self.action.channel_id = self.open.channel_id();
    }

    pub(crate) fn bend_instruction(&mut self, bend: impl FnOnce(&mut Instruction) + Send + 'static) {
        self.bend_instruction = Some(Box::new(bend));
    }

    /// Bends the message before it is signed.
    pub(crate) fn bend_message(&mut self, bend: impl FnOnce(&mut VersionedMessage) + Send + 'static) {
        self.bend_message = Some(Box::new(bend));
    }

    pub(crate) fn bend_signed(&mut self, bend: impl FnOnce(&mut VersionedTransaction) + Send + 'static) {
        self.bend_signed = Some(Box::new(bend));
    }

    pub(crate) fn bend_payload(&mut self, bend: impl FnOnce(&mut Value) + Send + 'static) {
        self.bend_payload = Some(Box::new(bend));
    }

    pub(crate) fn bend_echo(&mut self, bend: impl FnOnce(&mut Value) + Send + 'static) {
        self.bend_echo = Some(Box::new(bend));
    }

    /// The value of `Authorization`.
    pub(crate) fn authorization(mut self) -> String {
        let mut instruction = self.open.instruction();
        if let Some(bend) = self.bend_instruction.take() {
            bend(&mut instruction);
        }
        let instructions: Vec<_> =
            self.before.drain(..).chain([instruction]).chain(self.after.drain(..)).collect();
        let message = v0::Message::try_compile(&self.fee_payer, &instructions, &[], self.blockhash);
        let mut message = VersionedMessage::V0(message.expect("compiles"));
        if let Some(bend) = self.bend_message.take() {
            bend(&mut message);
        }
        let mut transaction = sign(message, &self.payer);
        if let Some(bend) = self.bend_signed.take() {
            bend(&mut transaction);
        }
        if self.action.transaction.is_empty() {
            self.action.transaction = encode_transaction(&transaction);
        }
        let credential = Credential {
            challenge: self.challenge,
            action: Action::Open(Box::new(self.action)),
            source: None,
        };
        let mut json = credential.to_json();
        if let Some(bend) = self.bend_payload.take() {
            bend(&mut json["payload"]);
        }
        if let Some(bend) = self.bend_echo.take() {
            bend(&mut json["challenge"]);
        }
        authorization(&base64url_encode(canonical_json(&json).expect("JSON")))
    }
}

/// `message` with `key`'s signature, if it is among the signers, and empty slots for the others.
pub(crate) fn sign(message: VersionedMessage, key: &SigningKey) -> VersionedTransaction {
    let signers = usize::from(message.header().num_required_signatures);
    let mut signatures = vec![Signature::default(); signers];
    let own = world::public(key);
    if let Some(index) = message.static_account_keys()[..signers].iter().position(|signer| *signer == own) {
        signatures[index] = Signature::from(key.sign(&message.serialize()).to_bytes());
    }
    VersionedTransaction { signatures, message }
}
