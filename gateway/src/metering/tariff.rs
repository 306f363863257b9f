//! From what was used to what it costs. Integers only: units, and base units of the mint.
//!
//! Each rate is worked out exactly over all units used so far and rounded up to a base unit once, so what a stream
//! has cost at any moment does not depend on how it was cut into events.

use std::num::NonZeroU64;

use http::HeaderName;
use toll_protocol::Amount;

/// A price table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// For the request itself, in base units.
    pub base: Amount,
    /// For what it used.
    pub rates: Vec<Rate>,
    /// The most that one request costs, in base units.
    pub cap: Option<Amount>,
}

/// The price of one kind of unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What is counted.
    pub unit: Unit,
    /// Price of `per` units, in base units.
    pub price: Amount,
    /// How many units that is the price of.
    pub per: NonZeroU64,
    /// Other prices for units beyond a number, that number rising.
    pub tiers: Vec<Tier>,
}

/// A price for the units above a number, up to the next tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Units that cost less or more before this applies.
    pub above: u64,
    /// Price of as many units as the rate's is, in base units.
    pub price: Amount,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A byte of the answer's body.
    Byte,
    /// A second that the answer took, by the clock of the gateway.
    Second,
    /// An event of a stream that has data, `[DONE]` aside.
    Event,
    /// What the upstream says in this header of its answer.
    Header(HeaderName),
    /// What it says in this trailer.
    Trailer(HeaderName),
    /// What it says under this path of names in the JSON of its answer, or of an event of its stream. Running totals: the
    /// greatest counts.
    Field(Vec<String>),
}

/// What a request has used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// Seconds since the request was passed on.
    pub seconds: u64,
    /// Events with data.
    pub events: u64,
    /// What the upstream reported, for each rate of the tariff that goes by that.
    pub reported: Vec<Option<u64>>,
}

impl Tariff {
    /// One price whatever is used.
    pub const fn fixed(price: Amount) -> Self {
        Self { base: price, rates: Vec::new(), cap: None }
    }

    /// What `usage` costs, in base units. What nobody has reported yet costs nothing.
    pub fn cost(&self, usage: &Usage) -> Amount {
        let each = self.rates.iter().enumerate().map(|(nth, rate)| rate.cost(rate.units(nth, usage)));
        let sum = each.fold(self.base.get(), |sum, cost| sum.saturating_add(cost.get()));
        let cost = Amount::new(sum);
        self.cap.map_or(cost, |cap| cost.min(cap))
    }

    /// Whether everything has been reported that the tariff goes by.
    pub fn is_complete(&self, usage: &Usage) -> bool {
        let reported = |(nth, _): (usize, &Rate)| usage.reported.get(nth).copied().flatten().is_some();
        self.rates.iter().enumerate().filter(|(_, rate)| rate.unit.is_reported()).all(reported)
    }
}

impl Unit {
    /// Whether only the upstream knows it.
    pub const fn is_reported(&self) -> bool {
        matches!(self, Self::Header(_) | Self::Trailer(_) | Self::Field(_))
    }
}

impl Rate {
    fn units(&self, nth: usize, usage: &Usage) -> u64 {
        match self.unit {
            Unit::Byte => usage.bytes,
            Unit::Second => usage.seconds,
            Unit::Event => usage.events,
            Unit::Header(_) | Unit::Trailer(_) | Unit::Field(_) => {
                usage.reported.get(nth).copied().flatten().unwrap_or(0)
            }
        }
    }

    /// What so many units cost, rounded up.
    pub fn cost(&self, units: u64) -> Amount {
        let ends = self.tiers.iter().map(|tier| tier.above).chain([u64::MAX]);
        let begins =
            [(0, self.price)].into_iter().chain(self.tiers.iter().map(|tier| (tier.above, tier.price)));
        // The parts add up to `units`, so the sum is at most a product of two u64.
        let exact: u128 = begins
            .zip(ends)
            .map(|((from, price), to)| {
                let part = units.min(to).saturating_sub(from);
                u128::from(part) * u128::from(price.get())
            })
            .sum();
        let cost = exact.div_ceil(u128::from(self.per.get()));
        Amount::new(u64::try_from(cost).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod laws;
