//! The channel program in a real bank: `solana-program-test` runs fees, rent, blockhashes and the token program as a
//! validator does.

mod bank;

use bank::{Bank, DEPOSIT, FUNDS, GRACE, Party, code};
use toll_protocol::{Amount, ChannelStatus, ed25519_verify};

const OPEN_SLOT: u64 = 10;
const INVALID_STATUS: u32 = 2;
const NOT_MONOTONIC: u32 = 234;
const OVER_DEPOSIT: u32 = 235;
const SEAL_TOO_EARLY: u32 = 2201;
const RECLAIM_TOO_EARLY: u32 = 2414;

#[tokio::test]
async fn cooperative_close_pays_the_payee_and_refunds_the_payer() {
    let mut bank = Bank::with_open_channel().await;
    let voucher = bank.voucher(300_000);

    let close = [ed25519_verify(&voucher), bank.channel().settle_and_seal(true), bank.channel().distribute()];
    bank.send(&close, &[Party::Payee]).await.expect("the close lands");

    assert_eq!(bank.balance(Party::Payee).await, 300_000);
    assert_eq!(bank.balance(Party::Payer).await, FUNDS - 300_000);
    assert_eq!(bank.tokens(bank.channel().escrow()).await, None);
    assert_eq!(bank.account().await.map(|account| account.status), Some(ChannelStatus::Distributed));
}

#[tokio::test]
async fn reclaim_waits_for_the_window_and_returns_every_lamport_of_rent() {
    let mut bank = Bank::with_open_channel().await;
    let seal = [bank.channel().settle_and_seal(false), bank.channel().distribute()];
    bank.send(&seal, &[Party::Payee]).await.expect("the close lands");

    let reclaim = [bank.channel().reclaim()];
    bank.warp(OPEN_SLOT + 1_500);
    assert_eq!(code(bank.send(&reclaim, &[]).await), Some(RECLAIM_TOO_EARLY));
    assert!(bank.account().await.is_some());

    bank.warp(OPEN_SLOT + 1_510);
    let before = bank.sponsor_lamports().await;
    bank.send(&reclaim, &[]).await.expect("the reclaim lands");
    assert_eq!(bank.account().await, None);
    const FEE: u64 = 5_000;
    const RENT: u64 = 2_672_640;
    assert_eq!(bank.sponsor_lamports().await, before + RENT - FEE);
}

#[tokio::test]
async fn top_up_raises_the_ceiling_of_vouchers() {
    let mut bank = Bank::with_open_channel().await;
    let above = bank.voucher(DEPOSIT + 1);
    let settle = [ed25519_verify(&above), bank.channel().settle()];
    assert_eq!(code(bank.send(&settle, &[]).await), Some(OVER_DEPOSIT));
    assert_eq!(bank.account().await.expect("open").settled, Amount::ZERO);

    let top_up = [bank.channel().top_up(Amount::new(1))];
    bank.send(&top_up, &[Party::Payer]).await.expect("the top-up lands");
    bank.send(&settle, &[]).await.expect("the same voucher settles now");

    let account = bank.account().await.expect("open");
    assert_eq!((account.deposit.get(), account.settled.get()), (DEPOSIT + 1, DEPOSIT + 1));
    assert_eq!(code(bank.send(&settle, &[]).await), Some(NOT_MONOTONIC));
}

#[tokio::test]
async fn payer_leaves_alone_after_the_grace_period() {
    let mut bank = Bank::with_open_channel().await;
    let request_close = [bank.channel().request_close()];
    bank.send(&request_close, &[Party::Payer]).await.expect("the request lands");

    let seal = [bank.channel().seal()];
    assert_eq!(code(bank.send(&seal, &[]).await), Some(SEAL_TOO_EARLY));
    let voucher = bank.voucher(5);
    let settle = [ed25519_verify(&voucher), bank.channel().settle()];
    assert_eq!(code(bank.send(&settle, &[]).await), Some(INVALID_STATUS));

    bank.wait(i64::from(GRACE)).await;
    bank.send(&seal, &[]).await.expect("anyone seals");
    let withdraw = [bank.channel().withdraw_payer()];
    bank.send(&withdraw, &[Party::Payer]).await.expect("the payer withdraws");
    assert_eq!(bank.balance(Party::Payer).await, FUNDS);
    assert_eq!(bank.balance(Party::Payee).await, 0);
}

#[tokio::test]
async fn payee_still_settles_within_the_grace_period() {
    let mut bank = Bank::with_open_channel().await;
    let request_close = [bank.channel().request_close()];
    bank.send(&request_close, &[Party::Payer]).await.expect("the request lands");
    bank.wait(i64::from(GRACE) - 60).await;

    let voucher = bank.voucher(DEPOSIT);
    let close = [ed25519_verify(&voucher), bank.channel().settle_and_seal(true), bank.channel().distribute()];
    bank.send(&close, &[Party::Payee]).await.expect("the close lands");
    assert_eq!(bank.balance(Party::Payee).await, DEPOSIT);
    assert_eq!(bank.balance(Party::Payer).await, FUNDS - DEPOSIT);
}
