//! The ledger against its real databases: what holds on a file holds on a server (`postgres`).

mod acceptance;
mod answer;
mod archive;
mod chain;
mod clock_jumps;
mod closing;
mod comparison;
mod concurrency;
mod crash;
mod cut_off;
mod earmark;
mod file;
mod finality;
mod full_disk;
mod group;
mod journal;
mod law;
mod lease;
mod observation;
mod opening;
mod payment;
mod postgres;
mod power_cut;
mod renewal;
mod replay;
mod shared;
mod spending;
mod sponsor;
mod store;
mod submission;
mod tail;
mod voucher;

use toll_ledger::{ChannelFixture, Ledger, LedgerConfig, ManualClock, Watermarks};
use toll_protocol::{Amount, ChannelId};

/// When every test starts, in unix seconds.
const START: i64 = 1_700_000_000;

/// A ledger with one open channel in it, and the clock that both go by.
struct World {
    ledger: Ledger,
    clock: ManualClock,
    channel: ChannelFixture,
    id: ChannelId,
}

impl World {
    /// A world whose channel holds `deposit`.
    async fn with_deposit(deposit: u64) -> Self {
        Self::with_settings(deposit, |_| {}).await
    }

    /// The same on a ledger with settings of its own.
    async fn with_settings(deposit: u64, set: impl FnOnce(&mut LedgerConfig)) -> Self {
        let clock = ManualClock::new(START);
        let ledger = Ledger::temporary_with(clock.clone(), set);
        let channel = ChannelFixture::new(1, deposit);
        let id = channel.open(&ledger).await.unwrap();
        Self { ledger, clock, channel, id }
    }

    /// The channel's amounts.
    async fn watermarks(&self) -> Watermarks {
        self.ledger.channel(&self.id).await.unwrap().unwrap().watermarks
    }

    /// Everything in the database.
    fn dump(&self) -> String {
        self.ledger.dump()
    }
}

fn amount(base_units: u64) -> Amount {
    Amount::new(base_units)
}
