//! Rounds of one measurement, and what they come to.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Failure;

/// Longest time that a histogram tells apart, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

/// One round.
pub(super) struct Round {
    pub(super) requests: u64,
    pub(super) took: Duration,
    /// Nanoseconds.
    pub(super) latency: Histogram<u64>,
}

/// What several rounds came to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// Requests a second, the median of the rounds.
    pub per_second: f64,
    /// The slowest round.
    pub slowest: f64,
    /// The fastest.
    pub fastest: f64,
    /// How far apart these two are, over the median.
    pub spread: f64,
    /// Half of all requests took no longer, in microseconds.
    pub p50_micros: f64,
    /// 99 of 100 took no longer, in microseconds.
    pub p99_micros: f64,
}

impl Round {
    pub(super) fn per_second(&self) -> f64 {
        float(self.requests) / self.took.as_secs_f64()
    }
}

impl Figure {
    /// The figure of `rounds`, of which there is at least one.
    pub(super) fn of(rounds: &[Round]) -> Result<Self, Failure> {
        let mut rates: Vec<f64> = rounds.iter().map(Round::per_second).collect();
        rates.sort_by(f64::total_cmp);
        let (slowest, fastest) = (*rates.first().ok_or("no rounds")?, *rates.last().ok_or("no rounds")?);
        let per_second = f64::midpoint(rates[(rates.len() - 1) / 2], rates[rates.len() / 2]);
        let mut latency = histogram();
        for round in rounds {
            latency.add(&round.latency)?;
        }
        let micros = |quantile| float(latency.value_at_quantile(quantile)) / 1_000.0;
        Ok(Self {
            per_second,
            slowest,
            fastest,
            spread: (fastest - slowest) / per_second,
            p50_micros: micros(0.5),
            p99_micros: micros(0.99),
        })
    }
}

/// Runs `round` once to warm up and `rounds` times for the figure.
pub(super) fn measure(
    rounds: usize,
    mut round: impl FnMut() -> Result<Round, Failure>,
) -> Result<Figure, Failure> {
    round()?;
    let rounds: Vec<Round> = (0..rounds).map(|_| round()).collect::<Result<_, _>>()?;
    Figure::of(&rounds)
}

/// An empty histogram of nanoseconds.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds that a histogram can have")
}

/// Notes one request.
pub(super) fn note(latency: &mut Histogram<u64>, took: Duration) {
    latency.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(LONGEST).max(1));
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(requests: u64, millis: u64) -> Round {
        let took = Duration::from_millis(millis);
        let mut latency = histogram();
        note(&mut latency, took);
        Round { requests, took, latency }
    }

    #[test]
    fn a_figure_is_the_median_with_its_spread() {
        let figure = Figure::of(&[round(100, 1_000), round(100, 500), round(100, 2_000)]).unwrap();
        assert_eq!((figure.per_second, figure.slowest, figure.fastest), (100.0, 50.0, 200.0));
        assert_eq!(figure.spread, 1.5);
        assert!((figure.p50_micros - 1_000_000.0).abs() < 1_000.0, "{}", figure.p50_micros);
        assert!((figure.p99_micros - 2_000_000.0).abs() < 2_000.0, "{}", figure.p99_micros);
    }

    #[test]
    fn the_first_round_only_warms_up() {
        let mut rounds = [round(1, 60_000), round(10, 1_000), round(30, 1_000)].into_iter();
        let figure = measure(2, || Ok(rounds.next().unwrap())).unwrap();
        assert_eq!((figure.per_second, figure.slowest), (20.0, 10.0));
    }
}
