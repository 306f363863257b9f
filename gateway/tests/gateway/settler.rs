//! A stand-in for the settler: it makes recorded submissions come true without a chain.

use std::sync::Arc;
use std::time::Duration;

use solana_signature::Signature;
use tokio::sync::Mutex;
use toll_ledger::{
    ChannelRecord, ChannelState, CloseLanded, CloseReason, Ledger, LedgerError, Submission, SubmissionKind,
};
use toll_protocol::{Amount, ChannelAccount, ChannelStatus};

/// What becomes of submissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    /// They land.
    Lands,
    /// Nothing happens.
    Silent,
    /// They fail.
    Fails,
    /// Their blockhash runs out.
    Expires,
}

/// The running stand-in; it stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Settler {
    chain: Arc<Mutex<Chain>>,
    task: tokio::task::JoinHandle<()>,
}

impl Settler {
    pub(crate) fn start(ledger: Ledger) -> Self {
        let chain = Arc::new(Mutex::new(Chain::Lands));
        let task = tokio::spawn({
            let chain = Arc::clone(&chain);
            async move {
                loop {
                    let chain = chain.lock().await;
                    step(&ledger, *chain).await.expect("the stand-in's ledger");
                    drop(chain);
                    ledger.changed(Duration::from_millis(20)).await;
                }
            }
        });
        Self { chain, task }
    }

    /// Takes effect between two steps.
    pub(crate) async fn set(&self, chain: Chain) {
        *self.chain.lock().await = chain;
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn step(ledger: &Ledger, chain: Chain) -> Result<(), LedgerError> {
    if chain == Chain::Silent {
        return Ok(());
    }
    for submission in ledger.requested().await? {
        // Tests of single payments say themselves what becomes of them.
        let Some(channel) = submission.channel() else { continue };
        let record = ledger.channel(&channel).await?.expect("its channel");
        match chain {
            Chain::Lands => land(ledger, &submission, &record).await?,
            Chain::Fails => {
                ledger.failed(submission.id, "custom program error: 0x1").await?;
                if submission.kind == SubmissionKind::Open {
                    ledger.open_failed(&record.id, "custom program error: 0x1").await?;
                }
            }
            Chain::Expires | Chain::Silent => {
                ledger.expired(submission.id).await?;
                if submission.kind == SubmissionKind::Open {
                    ledger.open_failed(&record.id, "its blockhash ran out").await?;
                }
            }
        }
    }
    if chain == Chain::Lands {
        for record in ledger.channels(&[ChannelState::Closing]).await? {
            if record.close_reason != Some(CloseReason::Forced) {
                close(ledger, &record).await?;
            }
        }
    }
    Ok(())
}

async fn land(ledger: &Ledger, submission: &Submission, record: &ChannelRecord) -> Result<(), LedgerError> {
    let signature = Signature::from([submission.id.get() as u8; 64]);
    ledger.record_signed(submission.id, submission.transaction.clone(), signature, 2_000).await?;
    let mut account = account_of(record);
    if submission.kind == SubmissionKind::TopUp {
        let additional = submission.amount.expect("a top-up has an amount");
        account.deposit = Amount::new(account.deposit.get() + additional.get());
    }
    let slot = record.observed_slot.max(1_000) + 1;
    ledger.observe(&record.id, Some(&account), slot).await?;
    ledger.landed(submission.id, slot, Some(5_000), Some(20_000)).await?;
    Ok(())
}

async fn close(ledger: &Ledger, record: &ChannelRecord) -> Result<(), LedgerError> {
    let voucher = ledger.best_voucher_to_settle(&record.id, ledger.now()).await?;
    let settled = voucher.map_or(record.watermarks.settled, |voucher| voucher.voucher.cumulative_amount);
    let refunded = record.watermarks.deposit.checked_sub(settled).expect("within the deposit");
    let signature = Signature::from([77; 64]);
    let slot = record.observed_slot + 1;
    ledger.close_landed(&record.id, CloseLanded { signature, settled, refunded, slot }).await
}

/// The account the chain would show for an open channel.
pub(crate) fn account_of(record: &ChannelRecord) -> ChannelAccount {
    ChannelAccount {
        bump: record.bump,
        status: ChannelStatus::Open,
        salt: record.agreement.terms.salt,
        deposit: record.watermarks.deposit,
        settled: record.watermarks.settled,
        payout_watermark: record.watermarks.payout_watermark,
        closure_started_at: 0,
        payer_withdrawn_at: 0,
        grace_period: record.agreement.grace_period,
        distribution_hash: record.agreement.splits.hash(),
        payer: record.agreement.terms.payer,
        payee: record.agreement.terms.payee,
        authorized_signer: record.agreement.terms.authorized_signer,
        mint: record.agreement.terms.mint,
        rent_payer: record.agreement.rent_payer,
        open_slot: record.agreement.terms.open_slot,
    }
}
