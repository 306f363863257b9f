//! The world's verbs: one per instruction.

use crate::attempt::Attempt;
use crate::batch::Batch;
use crate::proof::Proof;
use crate::voucher::{Voucher, voucher_key};
use crate::wire::{settle_batch, settle_batch_of_the_living};
use crate::world::World;
use solana_instruction::Instruction;

impl World {
    /// Any instruction.
    pub fn attempt(&mut self, instruction: Instruction) -> Attempt<'_> {
        Attempt::new(self, instruction)
    }

    /// Opens the channel.
    pub fn open(&mut self) -> Attempt<'_> {
        let instruction = self.channel.open();
        self.attempt(instruction)
    }

    /// Settles `voucher`, signed by the authorized signer.
    pub fn settle(&mut self, voucher: &Voucher) -> Attempt<'_> {
        let proof = self.sign(voucher);
        self.settle_proof(&proof)
    }

    /// Settles whatever `proof` proves.
    pub fn settle_proof(&mut self, proof: &Proof) -> Attempt<'_> {
        self.settle_alone().preceded_by(proof.instruction())
    }

    /// Settles with nothing before it.
    pub fn settle_alone(&mut self) -> Attempt<'_> {
        let instruction = self.channel.settle();
        self.attempt(instruction)
    }

    /// Adds `amount` to the deposit.
    pub fn top_up(&mut self, amount: u64) -> Attempt<'_> {
        let instruction = self.channel.top_up(amount);
        self.attempt(instruction)
    }

    /// The payee settles `voucher` and seals.
    pub fn settle_and_seal(&mut self, voucher: &Voucher) -> Attempt<'_> {
        let proof = self.sign(voucher);
        self.settle_and_seal_proof(&proof)
    }

    /// The payee settles whatever `proof` proves, and seals.
    pub fn settle_and_seal_proof(&mut self, proof: &Proof) -> Attempt<'_> {
        let instruction = self.channel.settle_and_seal(1);
        self.attempt(instruction).preceded_by(proof.instruction())
    }

    /// The payee seals at the present watermark.
    pub fn seal_as_payee(&mut self) -> Attempt<'_> {
        let instruction = self.channel.settle_and_seal(0);
        self.attempt(instruction)
    }

    /// The payer starts the grace period.
    pub fn request_close(&mut self) -> Attempt<'_> {
        let instruction = self.channel.request_close();
        self.attempt(instruction)
    }

    /// Anyone seals after the grace period.
    pub fn seal(&mut self) -> Attempt<'_> {
        let instruction = self.channel.seal();
        self.attempt(instruction)
    }

    /// Anyone pays out.
    pub fn distribute(&mut self) -> Attempt<'_> {
        let instruction = self.channel.distribute();
        self.attempt(instruction)
    }

    /// The payer takes the refund.
    pub fn withdraw_payer(&mut self) -> Attempt<'_> {
        let instruction = self.channel.withdraw_payer();
        self.attempt(instruction)
    }

    /// Anyone frees the account.
    pub fn reclaim(&mut self) -> Attempt<'_> {
        let instruction = self.channel.reclaim();
        self.attempt(instruction)
    }

    /// Settles `batch`, signed by the authorized signer.
    pub fn settle_batch(&mut self, batch: &Batch) -> Attempt<'_> {
        let proof = Proof::of(&batch.encode(), &voucher_key(self.channel.plan.voucher_key));
        self.attempt(settle_batch(&batch.channels())).preceded_by(proof.instruction())
    }

    /// Settles those of `batch` that can still settle, signed by the authorized signer.
    pub fn settle_batch_of_the_living(&mut self, batch: &Batch) -> Attempt<'_> {
        let proof = Proof::of(&batch.encode(), &voucher_key(self.channel.plan.voucher_key));
        self.attempt(settle_batch_of_the_living(&batch.channels())).preceded_by(proof.instruction())
    }

    /// The payee ends a session without a voucher.
    pub fn rearm(&mut self) -> Attempt<'_> {
        let instruction = self.channel.rearm(0);
        self.attempt(instruction)
    }

    /// The payee settles `voucher` and ends the session.
    pub fn rearm_with(&mut self, voucher: &Voucher) -> Attempt<'_> {
        let proof = self.sign(voucher);
        self.rearm_with_proof(&proof)
    }

    /// The payee settles whatever `proof` proves, and ends the session.
    pub fn rearm_with_proof(&mut self, proof: &Proof) -> Attempt<'_> {
        let instruction = self.channel.rearm(1);
        self.attempt(instruction).preceded_by(proof.instruction())
    }

    /// The payee settles `amount` of `ceiling`.
    pub fn settle_up_to(&mut self, amount: u64, ceiling: &Voucher) -> Attempt<'_> {
        let proof = self.sign(ceiling);
        self.settle_up_to_proof(amount, &proof)
    }

    /// The payee settles `amount` of whatever `proof` proves.
    pub fn settle_up_to_proof(&mut self, amount: u64, proof: &Proof) -> Attempt<'_> {
        let instruction = self.channel.settle_up_to(amount);
        self.attempt(instruction).preceded_by(proof.instruction())
    }

    /// Anyone settles `voucher` during the grace period.
    pub fn settle_closing(&mut self, voucher: &Voucher) -> Attempt<'_> {
        let proof = self.sign(voucher);
        self.settle_closing_proof(&proof)
    }

    /// Anyone settles whatever `proof` proves during the grace period.
    pub fn settle_closing_proof(&mut self, proof: &Proof) -> Attempt<'_> {
        let instruction = self.channel.settle_closing();
        self.attempt(instruction).preceded_by(proof.instruction())
    }

    /// Anyone asks what the channel is.
    pub fn checkpoint(&mut self) -> Attempt<'_> {
        let instruction = self.channel.checkpoint();
        self.attempt(instruction)
    }

    /// Calls the event instruction from outside.
    pub fn emit_event(&mut self) -> Attempt<'_> {
        let instruction = self.channel.emit_event();
        self.attempt(instruction)
    }
}
