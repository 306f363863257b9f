//! A store that cannot write accepts nothing.

use toll_ledger::{Acceptance, Charge, DatabaseErrorKind, LedgerError, StoredResponse};

use crate::{World, amount};

#[tokio::test]
async fn full_disk_refuses_and_keeps_what_was_accepted() {
    let world = World::with_deposit(1_000_000).await;
    world.ledger.fill_disk(true).await.unwrap();
    let mut accepted = 0;
    // What is accepted goes behind the tail, so room for the rows is not asked for.
    let (refused, error) = loop {
        let cumulative = accepted + 16;
        match world.ledger.accept(&world.channel.voucher(cumulative), Charge::of(16, cumulative)).await {
            Ok(Acceptance::Accepted(_)) => accepted = cumulative,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break (cumulative, error),
        }
    };
    // Posts the tail, on a connection that has room.
    let before = world.dump();
    if accepted > 0 {
        let large = StoredResponse { status: 200, headers: Vec::new(), body: vec![0; 1 << 20] };
        assert!(
            world.ledger.store_response(&world.id, &Charge::of(16, accepted).replay, large).await.is_err()
        );
        assert_eq!(world.dump(), before);
    }
    assert_eq!(world.ledger.replay(&world.id, &Charge::of(16, refused).replay).await.unwrap(), None);

    let LedgerError::Database { operation, cause } = &error else { panic!("{error}") };
    assert_eq!(*operation, "accept_voucher");
    assert_eq!(cause.kind(), DatabaseErrorKind::Full);
    let watermarks = world.watermarks().await;
    assert_eq!((watermarks.accepted, watermarks.spent), (amount(accepted), amount(accepted)));
}

#[tokio::test]
async fn refused_voucher_is_accepted_once_there_is_room_again() {
    let world = World::with_deposit(1_000_000).await;
    world.ledger.accept(&world.channel.voucher(16), Charge::of(16, 1)).await.unwrap();
    world.ledger.fill_disk(true).await.unwrap();
    let large = StoredResponse { status: 200, headers: Vec::new(), body: vec![0; 1 << 20] };
    let key = Charge::of(16, 1).replay;
    let before = world.dump();
    assert!(world.ledger.store_response(&world.id, &key, large.clone()).await.is_err());
    assert_eq!(world.dump(), before);

    world.ledger.fill_disk(false).await.unwrap();

    assert!(world.ledger.store_response(&world.id, &key, large).await.unwrap());
    let acceptance = world.ledger.accept(&world.channel.voucher(32), Charge::of(16, 2)).await.unwrap();
    assert!(matches!(acceptance, Acceptance::Accepted(_)), "{acceptance:?}");
}
