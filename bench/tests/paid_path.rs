//! The benchmark of the paid path runs from end to end, and its JSON has the members that its readers look for. What
//! it measures is for a machine that does nothing else.

use serde_json::Value;
use toll_bench::paid_path::{Plan, paid_path};

#[test]
fn every_figure_of_the_paid_path_is_in_its_json() {
    let plan = Plan {
        requests: 16,
        rounds: 2,
        channels: vec![20, 60],
        connections: vec![1, 4],
        idle_channels: 30,
        postgres: false,
        python: None,
        cores: 2,
    };
    let report: Value = serde_json::from_str(&paid_path(&plan).unwrap().to_json()).unwrap();
    for member in [
        "verifyPerSecond",
        "acceptPerSecond",
        "layerPerSecond",
        "freePerSecond",
        "paidPerSecond",
        "ratioToFree",
        "ratioToVerify",
        "p50Micros",
        "p99Micros",
        "manyChannelsCost",
    ] {
        assert!(report[member].as_f64().is_some_and(|figure| figure > 0.0), "{member}: {}", report[member]);
    }
    for member in ["p99AddedMicros", "bytesPerIdleChannel"] {
        assert!(report[member].is_number(), "{member}: {}", report[member]);
    }
    for member in ["peerPerSecond", "ratioToPeer", "postgresToSqlite"] {
        assert!(report[member].is_null(), "not asked for: {member}");
        assert!(report.as_object().unwrap().contains_key(member));
    }
    let rows: Vec<_> = report["rows"].as_array().unwrap().iter().map(described).collect();
    let expected = [
        "verify 2 of 20",
        "accept 20 of 20",
        "layer 20 of 20",
        "free 1 of 20",
        "paid 1 of 20",
        "free 4 of 20",
        "paid 4 of 20",
        "paid 4 of 60",
    ];
    assert_eq!(rows, expected);
    for row in report["rows"].as_array().unwrap() {
        assert!(row["perSecond"].as_f64() >= row["slowest"].as_f64(), "{row}");
        assert!(row["perSecond"].as_f64() <= row["fastest"].as_f64(), "{row}");
        assert!(row["p50Micros"].as_f64() <= row["p99Micros"].as_f64(), "{row}");
        assert_eq!(row["engine"], "sqlite");
    }
}

#[test]
fn more_connections_than_channels_are_refused() {
    let plan = Plan {
        requests: 1,
        rounds: 1,
        channels: vec![3],
        connections: vec![4],
        idle_channels: 1,
        postgres: false,
        python: None,
        cores: 1,
    };
    assert_eq!(paid_path(&plan).unwrap_err().to_string(), "4 connections need a channel each");
}

fn described(row: &Value) -> String {
    format!("{} {} of {}", row["stage"].as_str().unwrap(), row["connections"], row["channels"])
}
