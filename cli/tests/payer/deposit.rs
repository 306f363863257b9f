//! Deposits that run short, and who pays for raising them.

use toll_client::{ChannelStage, PayError};
use toll_ledger::Sponsor;
use toll_protocol::Amount;

use crate::support::gateway::{Customer, Merchant};

#[tokio::test]
async fn a_deposit_that_runs_short_is_topped_up_on_the_way() {
    let (merchant, customer) = (
        Merchant::start().await,
        Customer::with(|policy| {
            policy.deposit = Some(Amount::new(2_000));
        }),
    );
    let book = customer.book();
    let mut topped_up = Vec::new();
    for _ in 0..5 {
        let reply = customer.payer.pay(&book, &merchant.request()).await.unwrap();
        topped_up.push(reply.payment.unwrap().topped_up.get());
    }
    assert_eq!(topped_up, [0, 0, 2_000, 0, 2_000]);
    assert_eq!(merchant.channels().await, 1);
    assert_eq!(book.channels()[0].deposit, Amount::new(6_000));
}

/// What the sponsor of [`Merchant`] pays for, all in all.
fn willing() -> Sponsor {
    Sponsor {
        opens: true,
        top_ups: true,
        vouchers: true,
        channels_per_payer: 100,
        minimum_top_up: Amount::ZERO,
        payer_budget: 1_000_000,
        open_charge: 1_000,
        opens_per_minute: None,
        published_at: 0,
    }
}

#[tokio::test]
async fn a_channel_that_nobody_sponsors_is_opened_and_raised_by_its_payer_if_that_was_agreed_to() {
    let merchant = Merchant::start().await;
    merchant.ledger.publish_sponsor(Sponsor { opens: false, top_ups: false, ..willing() }).await.unwrap();

    let unwilling = Customer::new();
    let refused = unwilling.payer.pay(&unwilling.book(), &merchant.request()).await;
    assert!(matches!(refused, Err(PayError::Unsponsored)), "{refused:?}");
    assert!(unwilling.book().channels().is_empty());

    let customer = Customer::with(|policy| {
        policy.pay_fees = true;
        policy.deposit = Some(Amount::new(2_000));
    });
    let book = customer.book();
    for _ in 0..3 {
        customer.payer.pay(&book, &merchant.request()).await.unwrap();
    }

    let channel = &book.channels()[0];
    assert_eq!((channel.rent_payer, channel.deposit), (customer.payer.address(), Amount::new(4_000)));
    let record = merchant.ledger.channel(&channel.channel_id).await.unwrap().unwrap();
    assert_eq!(record.agreement.rent_payer, customer.payer.address());
    assert_eq!(merchant.charged().await, 3_000);
}

#[tokio::test]
async fn a_payer_whose_share_of_the_sponsor_is_used_up_goes_on_at_its_own_cost() {
    let merchant = Merchant::start().await;
    // The challenge offers a sponsor, who then does not pay for this payer.
    merchant.ledger.publish_sponsor(Sponsor { payer_budget: 0, ..willing() }).await.unwrap();

    let unwilling = Customer::new();
    let refused = unwilling.payer.pay(&unwilling.book(), &merchant.request()).await;
    assert!(matches!(refused, Err(PayError::Unsponsored)), "{refused:?}");
    let stages: Vec<_> = unwilling.book().channels().iter().map(|channel| channel.stage).collect();
    assert_eq!(stages, [ChannelStage::Abandoned]);

    let customer = Customer::with(|policy| policy.pay_fees = true);
    let book = customer.book();
    let reply = customer.payer.pay(&book, &merchant.request()).await.unwrap();

    assert!(reply.payment.unwrap().opened);
    let [abandoned, channel] = &book.channels()[..] else { panic!("{} channels", book.channels().len()) };
    assert_eq!((abandoned.stage, channel.stage), (ChannelStage::Abandoned, ChannelStage::Open));
    assert_eq!(channel.rent_payer, customer.payer.address());
}

#[tokio::test]
async fn a_top_up_that_the_sponsor_does_not_pay_for_is_made_at_the_payers_cost_if_that_was_agreed_to() {
    for pay_fees in [false, true] {
        let merchant = Merchant::start().await;
        let customer = Customer::with(|policy| {
            policy.pay_fees = pay_fees;
            policy.deposit = Some(Amount::new(1_000));
        });
        let book = customer.book();
        merchant.ledger.publish_sponsor(willing()).await.unwrap();
        customer.payer.pay(&book, &merchant.request()).await.unwrap();
        // The challenge goes on naming a sponsor, who does not pay for one as small.
        let picky = Sponsor { minimum_top_up: Amount::new(1_001), ..willing() };
        merchant.ledger.publish_sponsor(picky).await.unwrap();

        let second = customer.payer.pay(&book, &merchant.request()).await;

        let channel = &book.channels()[0];
        if pay_fees {
            assert_eq!(second.unwrap().payment.unwrap().topped_up, Amount::new(1_000));
            assert_eq!(channel.deposit, Amount::new(2_000));
        } else {
            assert!(matches!(second, Err(PayError::Unsponsored)), "{second:?}");
            assert_eq!((channel.deposit, channel.pending.is_some()), (Amount::new(1_000), false));
        }
    }
}

#[tokio::test]
async fn a_top_up_by_hand_raises_the_deposit_by_exactly_that() {
    let (merchant, customer) = (Merchant::start().await, Customer::new());
    let book = customer.book();
    customer.payer.pay(&book, &merchant.request()).await.unwrap();
    let id = book.channels()[0].channel_id;

    let channel = customer.payer.top_up(&book, &id, Amount::new(123)).await.unwrap();

    assert_eq!(channel.deposit, Amount::new(10_123));
    let record = merchant.ledger.channel(&id).await.unwrap().unwrap();
    assert_eq!(record.watermarks.deposit, Amount::new(10_123));
    let refused = customer.payer.top_up(&book, &id, Amount::new(10_000_000)).await;
    assert!(matches!(refused, Err(PayError::DepositAboveLimit { .. })), "{refused:?}");
}
