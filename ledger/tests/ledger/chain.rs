//! The published tip and the time of observation.

use solana_hash::Hash;
use toll_ledger::{Ledger, ManualClock, TIP_LIFE, Tip};

use crate::START;

fn tip(slot: u64) -> Tip {
    Tip {
        blockhash: Hash::new_from_array([slot as u8; 32]),
        slot,
        block_height: slot - 5,
        last_valid_block_height: slot + 145,
        published_at: START + slot as i64,
    }
}

#[tokio::test]
async fn tip_published_last_is_the_latest() {
    let ledger = Ledger::temporary(ManualClock::new(START));
    assert_eq!(ledger.latest_tip().await.unwrap(), None);
    ledger.publish_tip(tip(10)).await.unwrap();
    ledger.publish_tip(tip(11)).await.unwrap();
    assert_eq!(ledger.latest_tip().await.unwrap(), Some(tip(11)));
}

#[tokio::test]
async fn tip_of_an_older_slot_is_ignored() {
    let ledger = Ledger::temporary(ManualClock::new(START));
    ledger.publish_tip(tip(11)).await.unwrap();
    ledger.publish_tip(tip(10)).await.unwrap();
    assert_eq!(ledger.latest_tip().await.unwrap(), Some(tip(11)));
}

// One answer with a slot of the far future must not stop challenges for good.
#[tokio::test]
async fn tip_that_nothing_follows_is_replaced_in_the_end() {
    let ledger = Ledger::temporary(ManualClock::new(START));
    ledger.publish_tip(Tip { slot: i64::MAX as u64, ..tip(11) }).await.unwrap();
    let next = |after| Tip { published_at: START + 11 + after, ..tip(12) };
    ledger.publish_tip(next(TIP_LIFE - 1)).await.unwrap();
    assert_ne!(ledger.latest_tip().await.unwrap(), Some(next(TIP_LIFE - 1)));
    ledger.publish_tip(next(TIP_LIFE)).await.unwrap();
    assert_eq!(ledger.latest_tip().await.unwrap(), Some(next(TIP_LIFE)));
}

#[tokio::test]
async fn time_of_observation_never_goes_back() {
    let ledger = Ledger::temporary(ManualClock::new(START));
    assert_eq!(ledger.channels_observed_at().await.unwrap(), None);
    ledger.mark_channels_observed(START + 10).await.unwrap();
    ledger.mark_channels_observed(START + 5).await.unwrap();
    assert_eq!(ledger.channels_observed_at().await.unwrap(), Some(START + 10));
}
