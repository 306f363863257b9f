//! Payments: reserved once, landed once, served once.

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_ledger::{
    Answer, NewPayment, Payment, PaymentFailure, PaymentLanded, PaymentMeans, PaymentState, Reserved,
    StoredResponse, SubmissionKind,
};

use crate::{World, amount};

fn signature(byte: u8) -> Signature {
    Signature::from([byte; 64])
}

fn pulled(challenge: &str, message: u8, signature: Option<Signature>) -> NewPayment {
    NewPayment {
        challenge_id: challenge.to_owned(),
        challenge_expires_at: crate::START + 300,
        terms: "e30".to_owned(),
        fingerprint: [9; 32],
        recipient: Pubkey::from([1; 32]),
        mint: Pubkey::from([2; 32]),
        amount: amount(1_000),
        means: PaymentMeans::Transaction {
            bytes: vec![message; 3],
            message_digest: [message; 32],
            signature,
            payer: Pubkey::from([3; 32]),
        },
    }
}

fn pushed(challenge: &str, byte: u8) -> NewPayment {
    NewPayment { means: PaymentMeans::Signature(signature(byte)), ..pulled(challenge, 0, None) }
}

async fn world() -> World {
    let world = World::with_deposit(1_000).await;
    for open in world.ledger.requested().await.unwrap() {
        world.ledger.failed(open.id, "not ours").await.unwrap();
    }
    world
}

async fn reserve(world: &World, payment: NewPayment) -> Reserved {
    world.ledger.reserve_payment(payment, false).await.unwrap()
}

async fn known(world: &World, challenge: &str) -> Payment {
    world.ledger.payment(challenge).await.unwrap().unwrap()
}

fn landed(message: u8) -> PaymentLanded {
    PaymentLanded { message_digest: [message; 32], payer: Pubkey::from([3; 32]), slot: 7 }
}

#[tokio::test]
async fn challenge_message_and_signature_are_reserved_together() {
    let world = world().await;
    assert_eq!(reserve(&world, pulled("a", 1, Some(signature(1)))).await, Reserved::Recorded);
    let requested = world.ledger.requested().await.unwrap();
    assert_eq!((requested.len(), requested[0].kind), (1, SubmissionKind::Charge));
    assert_eq!(requested[0].amount, Some(amount(1_000)));
    let before = world.dump();

    let same = reserve(&world, pulled("a", 1, Some(signature(1)))).await;
    assert!(matches!(same, Reserved::Existing(payment) if payment.submission == Some(requested[0].id)));
    let otherwise = NewPayment { fingerprint: [8; 32], ..pulled("a", 1, Some(signature(1))) };
    assert_eq!(reserve(&world, otherwise).await, Reserved::ChallengeUsed, "for another request");
    assert_eq!(reserve(&world, pulled("a", 2, None)).await, Reserved::ChallengeUsed);
    assert_eq!(reserve(&world, pushed("a", 1)).await, Reserved::ChallengeUsed);
    assert_eq!(reserve(&world, pulled("b", 1, Some(signature(2)))).await, Reserved::PaymentUsed);
    assert_eq!(reserve(&world, pulled("b", 2, Some(signature(1)))).await, Reserved::PaymentUsed);
    assert_eq!(reserve(&world, pushed("b", 1)).await, Reserved::PaymentUsed);
    assert_eq!(world.dump(), before, "a refusal changes nothing");
}

#[tokio::test]
async fn a_payment_lands_and_is_served_once() {
    let world = world().await;
    reserve(&world, pulled("a", 1, None)).await;
    let id = known(&world, "a").await.submission.unwrap();
    assert_eq!(world.ledger.payment_of(id).await.unwrap().unwrap().challenge_id, "a");
    assert!(!world.ledger.serve_payment("a", None).await.unwrap(), "it is not paid");

    world.ledger.record_signed(id, vec![1], signature(4), 500).await.unwrap();
    assert_eq!(known(&world, "a").await.signature, Some(signature(4)));
    assert_eq!(reserve(&world, pushed("b", 4)).await, Reserved::PaymentUsed, "shown by whoever saw it");
    world.ledger.landed(id, 7, Some(10_000), Some(1)).await.unwrap();
    let payment = known(&world, "a").await;
    assert_eq!(
        (payment.state, payment.landed_slot, payment.answer),
        (PaymentState::Landed, Some(7), Answer::Unserved)
    );

    let response =
        StoredResponse { status: 200, headers: vec![("a".into(), "b".into())], body: b"hello".to_vec() };
    assert!(world.ledger.serve_payment("a", Some(response.clone())).await.unwrap());
    assert!(!world.ledger.serve_payment("a", None).await.unwrap(), "the first answer stays");
    let payment = known(&world, "a").await;
    assert_eq!((payment.state, payment.answer), (PaymentState::Served, Answer::Kept(response)));
    let state = world.ledger.payment_failed("a", PaymentFailure::Refused, "late").await.unwrap();
    assert_eq!(state, Some(PaymentState::Served));
}

#[tokio::test]
async fn a_payment_that_was_given_up_as_expired_can_still_have_landed() {
    let world = world().await;
    reserve(&world, pulled("a", 1, None)).await;
    let id = known(&world, "a").await.submission.unwrap();
    world.ledger.record_signed(id, vec![1], signature(4), 500).await.unwrap();
    world.ledger.expired(id).await.unwrap();
    assert_eq!(known(&world, "a").await.failure, Some(PaymentFailure::Expired));
    world.ledger.landed(id, 9, None, None).await.unwrap();
    let payment = known(&world, "a").await;
    assert_eq!((payment.state, payment.failure, payment.reason), (PaymentState::Landed, None, None));
}

#[tokio::test]
async fn a_payment_that_fails_says_why() {
    let world = world().await;
    reserve(&world, pulled("a", 1, None)).await;
    let id = known(&world, "a").await.submission.unwrap();
    world.ledger.payment_failed("a", PaymentFailure::Unsponsored, "no budget").await.unwrap();
    world.ledger.failed(id, "no budget").await.unwrap();
    let payment = known(&world, "a").await;
    assert_eq!((payment.state, payment.failure), (PaymentState::Failed, Some(PaymentFailure::Unsponsored)));
    assert_eq!(payment.reason.as_deref(), Some("no budget"));
    reserve(&world, pulled("b", 2, None)).await;
    let id = known(&world, "b").await.submission.unwrap();
    world.ledger.failed(id, "insufficient funds").await.unwrap();
    assert_eq!(known(&world, "b").await.failure, Some(PaymentFailure::Refused));
}

#[tokio::test]
async fn what_a_payer_has_sent_pays_one_challenge() {
    let world = world().await;
    assert_eq!(reserve(&world, pushed("a", 1)).await, Reserved::Recorded);
    assert!(matches!(reserve(&world, pushed("a", 1)).await, Reserved::Existing(_)));
    assert_eq!(reserve(&world, pushed("b", 1)).await, Reserved::PaymentUsed);
    assert_eq!(world.ledger.pushed_payments(10).await.unwrap().len(), 1);
    assert!(world.ledger.requested().await.unwrap().is_empty(), "there is nothing to send");

    assert_eq!(world.ledger.push_landed("a", landed(1)).await.unwrap(), Some(PaymentState::Landed));
    assert_eq!(world.ledger.push_landed("none", landed(2)).await.unwrap(), None);
    assert!(world.ledger.pushed_payments(10).await.unwrap().is_empty());
    assert_eq!(known(&world, "a").await.payer, Some(Pubkey::from([3; 32])));
    // Another signature over the same message.
    assert_eq!(reserve(&world, pushed("b", 2)).await, Reserved::Recorded);
    assert_eq!(world.ledger.push_landed("b", landed(1)).await.unwrap(), Some(PaymentState::Failed));
    assert_eq!(known(&world, "b").await.failure, Some(PaymentFailure::Used));
}

#[tokio::test]
async fn of_many_who_show_one_payment_one_is_recorded() {
    let world = world().await;
    let mut tries = tokio::task::JoinSet::new();
    for index in 0..32 {
        let (ledger, payment) = (world.ledger.clone(), pulled(&index.to_string(), 1, Some(signature(1))));
        tries.spawn(async move { ledger.reserve_payment(payment, false).await.unwrap() });
    }
    let recorded = tries.join_all().await;
    assert_eq!(recorded.iter().filter(|answer| **answer == Reserved::Recorded).count(), 1, "{recorded:?}");
    assert_eq!(recorded.iter().filter(|answer| **answer == Reserved::PaymentUsed).count(), 31);
}

#[tokio::test]
async fn payments_wait_for_the_settler_in_a_queue_with_an_end() {
    let world = World::with_settings(1_000, |settings| settings.max_requested = 2).await;
    for open in world.ledger.requested().await.unwrap() {
        world.ledger.failed(open.id, "not ours").await.unwrap();
    }
    assert_eq!(reserve(&world, pushed("a", 1)).await, Reserved::Recorded);
    assert_eq!(reserve(&world, pushed("b", 2)).await, Reserved::Recorded);
    assert_eq!(reserve(&world, pushed("c", 3)).await, Reserved::Crowded);
    // What others say to have sent keeps nobody from handing over a transaction.
    assert_eq!(reserve(&world, pulled("d", 4, None)).await, Reserved::Recorded);
    assert_eq!(reserve(&world, pulled("e", 5, None)).await, Reserved::Recorded);
    assert_eq!(reserve(&world, pulled("f", 6, None)).await, Reserved::Crowded);
    assert!(matches!(reserve(&world, pushed("b", 2)).await, Reserved::Existing(_)));
}

#[tokio::test]
async fn a_payment_that_bought_something_is_never_forgotten() {
    let world = world().await;
    reserve(&world, pushed("a", 1)).await;
    world.ledger.push_landed("a", landed(1)).await.unwrap();
    let response = StoredResponse { status: 200, headers: Vec::new(), body: b"hello".to_vec() };
    world.ledger.serve_payment("a", Some(response)).await.unwrap();
    reserve(&world, pushed("b", 2)).await;
    world.ledger.payment_failed("b", PaymentFailure::Refused, "unknown").await.unwrap();

    world.clock.advance(10 * 365 * 86_400);
    let purged = world.ledger.purge(world.ledger.now()).await.unwrap();
    assert_eq!((purged.payments, purged.answers), (1, 1));
    let payment = known(&world, "a").await;
    assert_eq!((payment.answer, payment.terms.as_str()), (Answer::NotKept, ""));
    assert_eq!(reserve(&world, pushed("c", 1)).await, Reserved::PaymentUsed);
    assert_eq!(reserve(&world, pulled("c", 1, None)).await, Reserved::PaymentUsed);
    assert_eq!(world.ledger.payment("b").await.unwrap(), None);
}
