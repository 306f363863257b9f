//! The service behind the demo's gateway: it factors numbers, which takes work and is easy to check.

use std::future::Future;
use std::net::SocketAddr;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::error::{CliError, Exit, Result};

/// The answer to `GET /factors/{number}`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Factors {
    number: u64,
    /// Prime, in rising order, repeated as often as they divide.
    factors: Vec<u64>,
}

/// Serves until `stop` resolves. Listens on a free local port.
pub(super) async fn serve(stop: impl Future<Output = ()> + Send + 'static) -> Result<SocketAddr> {
    let failed = |error: std::io::Error| {
        CliError::new(
            Exit::Network,
            format_args!("cannot listen on 127.0.0.1: {error}"),
            "check the loopback device",
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let router = Router::new().route("/factors/{number}", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stop).await });
    Ok(address)
}

async fn answer(Path(number): Path<u64>) -> Result<Json<Factors>, StatusCode> {
    // Trial division: a bound keeps one request from taking the whole thread.
    if !(2..=u64::from(u32::MAX)).contains(&number) {
        return Err(StatusCode::UNPROCESSABLE_ENTITY);
    }
    Ok(Json(Factors { number, factors: factors(number) }))
}

/// The number that request `index` asks about: 32 bits that look random and are the same every time.
pub(super) fn task(index: u64) -> u64 {
    // SplitMix64.
    let mut mixed = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 32).max(2)
}

/// Whether `body` factors `number`: the factors are prime, rising, and their product is the number.
pub(super) fn is_right(number: u64, body: &[u8]) -> bool {
    let Ok(answer) = serde_json::from_slice::<Factors>(body) else { return false };
    let product = answer.factors.iter().try_fold(1u64, |product, factor| product.checked_mul(*factor));
    answer.number == number
        && product == Some(number)
        && answer.factors.is_sorted()
        && answer.factors.iter().all(|factor| *factor >= 2 && factors(*factor).len() == 1)
}

fn factors(mut number: u64) -> Vec<u64> {
    let mut factors = Vec::new();
    let mut divisor = 2;
    while divisor * divisor <= number {
        while number.is_multiple_of(divisor) {
            factors.push(divisor);
            number /= divisor;
        }
        divisor += if divisor == 2 { 1 } else { 2 };
    }
    if number > 1 {
        factors.push(number);
    }
    factors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(number: u64, factors: &[u64]) -> Vec<u8> {
        serde_json::to_vec(&Factors { number, factors: factors.to_vec() }).unwrap()
    }

    #[test]
    fn every_tasks_own_factors_are_right() {
        for index in 0..200 {
            let number = task(index);
            assert!(is_right(number, &body(number, &factors(number))), "{number}");
        }
    }

    #[test]
    fn wrong_factors_are_seen() {
        assert!(is_right(12, &body(12, &[2, 2, 3])));
        for wrong in [&[12][..], &[2, 6], &[3, 2, 2], &[2, 2, 3, 1], &[2, 2], &[]] {
            assert!(!is_right(12, &body(12, wrong)), "{wrong:?}");
        }
        assert!(!is_right(12, &body(13, &[13])));
        assert!(!is_right(12, b"{}"));
    }

    #[test]
    fn tasks_differ_from_each_other() {
        let tasks: std::collections::BTreeSet<u64> = (0..1_000).map(task).collect();
        assert_eq!(tasks.len(), 1_000);
    }
}
