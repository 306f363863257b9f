//! Open channels, and vouchers signed ahead on them.

use std::ops::Range;

use ed25519_dalek::SigningKey;
use solana_pubkey::Pubkey;
use toll_ledger::{ChannelFixture, Ledger, NewChannel, SystemClock, Twin};
use toll_protocol::{Amount, ChannelId, SignedVoucher, Voucher};

use super::{Failure, PRICE};

/// What each payer escrows, in base units: never used up.
pub(super) const DEPOSIT: u64 = 1 << 40;

/// Different voucher keys. Making one costs as much as a signature.
const SIGNERS: u64 = 4_096;

/// Channels that are opened one by one; more are written as rows.
const BATCH: u64 = 10_000;

/// A step from one channel to the next that leaves no order to profit from: a prime.
const STEP: usize = 7_919;

/// Open channels of one ledger.
pub(super) struct Channels {
    signers: Vec<SigningKey>,
    all: Vec<Channel>,
    /// Requests of each lane so far.
    taken: usize,
}

struct Channel {
    id: ChannelId,
    /// Cumulative amount of the last voucher, in base units.
    promised: u64,
}

/// A voucher that is yet to be signed.
struct Due {
    signer: usize,
    voucher: Voucher,
}

impl Channels {
    /// A blank ledger on disk.
    pub(super) async fn ledger() -> Result<Ledger, Failure> {
        Ok(Ledger::temporary(SystemClock))
    }

    /// Opens `count` channels, in the ledger only.
    pub(super) async fn seed(ledger: &Ledger, count: u64, threads: usize) -> Result<Self, Failure> {
        let mut channels = Self { signers: signers(count), all: Vec::new(), taken: 0 };
        ledger.open_all(channels.add(0..count.min(BATCH), threads)).await?;
        if count > BATCH {
            let twins = channels.add_twins(BATCH..count, threads);
            ledger.open_twins(&fixture(0, &channels.signers[0]), twins).await?;
        }
        Ok(channels)
    }

    /// `count` channels that are in no ledger yet.
    pub(super) fn make(count: u64, threads: usize) -> (Self, Vec<ChannelFixture>) {
        let mut channels = Self { signers: signers(count), all: Vec::new(), taken: 0 };
        let fixtures = channels.add(0..count, threads);
        (channels, fixtures)
    }

    fn add(&mut self, salts: Range<u64>, threads: usize) -> Vec<ChannelFixture> {
        let salts: Vec<u64> = salts.collect();
        let made = in_parallel(&salts, threads, |salt| {
            let fixture = fixture(*salt, &self.signers[(*salt % SIGNERS) as usize]);
            (fixture.id(), fixture)
        });
        self.all.extend(made.iter().map(|(id, _)| Channel { id: *id, promised: 0 }));
        made.into_iter().map(|(_, fixture)| fixture).collect()
    }

    fn add_twins(&mut self, salts: Range<u64>, threads: usize) -> Vec<Twin> {
        let salts: Vec<u64> = salts.collect();
        let made = in_parallel(&salts, threads, |salt| {
            let NewChannel { agreement, .. } =
                fixture(*salt, &self.signers[(*salt % SIGNERS) as usize]).channel;
            let (id, bump) = agreement.terms.address(&agreement.program);
            Twin { id, bump, salt: *salt, signer: agreement.terms.authorized_signer }
        });
        self.all.extend(made.iter().map(|twin| Channel { id: twin.id, promised: 0 }));
        made
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Signs `each` vouchers for each of `lanes`: a lane has channels of its own, so its vouchers are accepted in
    /// their order whatever the other lanes do.
    pub(super) fn sign(&mut self, lanes: usize, each: usize, threads: usize) -> Vec<Vec<SignedVoucher>> {
        let owned = self.all.len() / lanes;
        let due: Vec<Vec<Due>> = (0..lanes)
            .map(|lane| {
                let positions = (self.taken..self.taken + each).map(|nth| nth.wrapping_mul(STEP) % owned);
                let indices: Vec<_> = positions.map(|position| position * lanes + lane).collect();
                indices.into_iter().map(|index| self.raise(index)).collect()
            })
            .collect();
        self.taken += each;
        in_parallel(&due, threads, |lane| {
            lane.iter().map(|due| SignedVoucher::sign(due.voucher, &self.signers[due.signer])).collect()
        })
    }

    fn raise(&mut self, index: usize) -> Due {
        let channel = &mut self.all[index];
        channel.promised += PRICE;
        let cumulative_amount = Amount::new(channel.promised);
        let voucher = Voucher { channel_id: channel.id, cumulative_amount, expires_at: 0 };
        Due { signer: index % SIGNERS as usize, voucher }
    }
}

/// Who earns.
pub(super) fn payee() -> Pubkey {
    Pubkey::from(signer(u64::MAX).verifying_key().to_bytes())
}

/// The voucher keys of `count` channels.
fn signers(count: u64) -> Vec<SigningKey> {
    (0..count.min(SIGNERS)).map(signer).collect()
}

fn signer(number: u64) -> SigningKey {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    SigningKey::from_bytes(&seed)
}

fn fixture(salt: u64, signer: &SigningKey) -> ChannelFixture {
    let mut fixture = ChannelFixture::new(salt, DEPOSIT);
    fixture.channel.agreement.terms.authorized_signer = Pubkey::from(signer.verifying_key().to_bytes());
    fixture.channel.agreement.terms.payee = payee();
    fixture.channel.price = Amount::new(PRICE);
    // Nobody goes idle while this runs.
    fixture.channel.idle_timeout = 86_400;
    fixture
}

/// What `make` makes of each of `items`, in their order, on so many threads.
pub(super) fn in_parallel<T: Sync, M: Send>(
    items: &[T],
    threads: usize,
    make: impl Fn(&T) -> M + Sync,
) -> Vec<M> {
    let part = items.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let make = &make;
        let parts: Vec<_> = items
            .chunks(part)
            .map(|items| scope.spawn(move || items.iter().map(make).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("a worker does not panic")).collect()
    })
}
