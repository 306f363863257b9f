//! What a file may leave out, and what is refused by its name.

use super::*;

#[test]
fn a_file_that_names_only_node_and_keys_has_the_defaults() {
    let named = serde_json::json!({ "rpc": "http://node", "fee_payer": "a.json", "payee": "b.json" });
    let settings: SettlerSettings = serde_json::from_value(named).unwrap();
    assert_eq!(settings, SettlerSettings::new("http://node", "a.json", "b.json"));
    settings.validate().unwrap();
}

#[test]
fn intervals_of_zero_are_refused_by_name() {
    for setting in [
        "drain_timeout_seconds",
        "tip_interval_ms",
        "poll_interval_ms",
        "comparisons_per_poll",
        "compare_within_seconds",
        "query_timeout_ms",
        "confirm_interval_ms",
        "resend_interval_ms",
        "purge_interval_seconds",
        "concurrency",
        "in_flight",
        "channels_per_transaction",
    ] {
        let mut values = serde_json::to_value(SettlerSettings::new("http://node", "a", "b")).unwrap();
        values[setting] = 0.into();
        let settings: SettlerSettings = serde_json::from_value(values).unwrap();
        assert_eq!(settings.validate().unwrap_err().setting, format!("settler.{setting}"));
    }
}

#[test]
fn limits_of_the_purse_that_are_zero_are_refused_by_name() {
    for setting in [
        "open_budget_per_day",
        "top_up_budget_per_day",
        "charge_budget_per_day",
        "settle_budget_per_day",
        "refund_account_budget_per_day",
        "payer_budget_per_day",
        "budget_per_day",
        "budget",
        "reserve_per_channel",
        "channels_per_payer",
        "base_units_per_sol",
        "opens_per_minute",
        "refund_accounts_per_day",
    ] {
        let mut values = serde_json::to_value(SettlerSettings::new("http://node", "a", "b")).unwrap();
        values["purse"][setting] = 0.into();
        let settings: SettlerSettings = serde_json::from_value(values).unwrap();
        assert_eq!(settings.validate().unwrap_err().setting, format!("settler.purse.{setting}"));
    }
}

#[test]
fn a_margin_that_no_blockhash_has_left_is_refused() {
    let mut settings = SettlerSettings::new("http://node", "a", "b");
    settings.blockhash_margin_blocks = 150;
    assert_eq!(settings.validate().unwrap_err().setting, "settler.blockhash_margin_blocks");
}
