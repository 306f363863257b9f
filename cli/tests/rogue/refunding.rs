//! A server that says of every deposit that it was refunded.

use toll_client::{PayError, Policy, Request};
use toll_protocol::{Action, Amount, Problem, ProblemType};

use crate::PRICE;
use crate::support::acceptable;
use crate::support::gateway::Customer;
use crate::support::rogue::{Rogue, ask, receipt};

#[tokio::test]
async fn however_often_a_server_calls_a_deposit_refunded_it_holds_no_more_than_the_limit() {
    const LIMIT: u64 = 25_000;
    let rogue = Rogue::start(acceptable(), |action, loot| match action {
        Action::Open(open) => receipt(open.channel_id, 0, None),
        Action::TopUp(top_up) => receipt(top_up.channel_id, 0, None),
        _ => {
            let problem = Problem::new(ProblemType::VerificationFailed, 402, "no").code("top-up-needed");
            let problem = problem.with("deposit", "0").with("acceptedCumulative", "0");
            assert!(!loot.vouchers.is_empty());
            ask(&acceptable(), problem)
        }
    })
    .await;
    let customer = Customer::with(|policy: &mut Policy| {
        policy.max_amount = Amount::new(PRICE);
        policy.max_deposit = Amount::new(LIMIT);
    });
    let book = customer.book();

    for _ in 0..6 {
        let ended = customer.payer.pay(&book, &Request::get(rogue.url.clone())).await;
        assert!(ended.is_err(), "{ended:?}");
        // The server quotes one blockhash for ever, which is good for one top-up by the same amount.
        let mut channel = book.channels()[0].clone();
        channel.top_up_blockhash = None;
        book.put(channel).unwrap();
        let loot = rogue.loot();
        let escrowed: u64 =
            loot.deposits.iter().map(|(_, deposit)| *deposit).chain(loot.top_ups).map(Amount::get).sum();
        let signed = loot.vouchers.iter().max().copied().unwrap_or(0);
        assert!(escrowed - signed <= LIMIT, "{escrowed} escrowed, {signed} signed");
    }

    let ended = customer.payer.pay(&book, &Request::get(rogue.url.clone())).await;
    assert!(matches!(ended, Err(PayError::DepositAboveLimit { .. })), "{ended:?}");
    assert_eq!(rogue.loot().deposits.len(), 1);
}
