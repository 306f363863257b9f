//! The example alert rules and the dashboard name what a server shows.

use std::collections::BTreeSet;

use serde_json::Value;
use toll_cli::server::Role;

use crate::shop::{Shop, buy, look, repository_file};

/// The names of our metrics in `text`.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !is_of_a_name(c));
    words.filter(|word| word.starts_with("toll_")).map(str::to_owned).collect()
}

/// The series of a scrape, by name.
fn shown(scrape: &str) -> BTreeSet<String> {
    let series = scrape.lines().filter(|line| !line.starts_with('#'));
    series.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_alerts_and_the_dashboard_is_in_a_scrape_after_a_paid_request() {
    let shop = Shop::new().await;
    let server = shop.open(Role::Both, "[admin]\nlisten = \"127.0.0.1:0\"\n").await;
    buy(&server, &shop.customer().await).await;
    let shown = shown(&look(&server, "/metrics", None).await.1);
    server.stop().await.unwrap();

    for file in ["monitoring/alerts.yml", "monitoring/dashboard.json"] {
        let named = metrics(&repository_file(file));
        assert!(named.len() > 8, "{file} names {named:?}");
        let missing: Vec<_> = named.difference(&shown).collect();
        assert_eq!(missing, Vec::<&String>::new(), "{file} names what {shown:?} has not");
    }
    let on_the_dashboard = metrics(&repository_file("monitoring/dashboard.json"));
    let unseen: Vec<_> = shown
        .iter()
        .filter(|name| name.starts_with("toll_") && !name.ends_with("_sum") && !name.ends_with("_count"))
        .filter(|name| !on_the_dashboard.contains(*name))
        .collect();
    assert_eq!(unseen, Vec::<&String>::new(), "nobody looks at these");
}

#[test]
fn every_panel_of_the_dashboard_asks_something_and_has_a_place_of_its_own() {
    let dashboard: Value = serde_json::from_str(&repository_file("monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let places: BTreeSet<_> = panels.iter().map(|panel| panel["gridPos"].to_string()).collect();
    assert_eq!(places.len(), panels.len());
    for panel in panels {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert!(!metrics(target["expr"].as_str().unwrap()).is_empty(), "{target}");
        }
    }
}

#[test]
fn every_alert_has_an_expression_and_says_what_it_is_about() {
    let alerts = repository_file("monitoring/alerts.yml");
    let rules: Vec<&str> = alerts.split("- alert: ").skip(1).collect();
    assert!(rules.len() > 8);
    for rule in rules {
        let line =
            |name: &str| rule.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_default();
        assert!(!metrics(line("expr: ")).is_empty(), "{rule}");
        assert!(!line("summary: ").is_empty(), "{rule}");
    }
}
