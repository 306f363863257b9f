//! Every setting, changed in a file, changes what it is for.
//!
//! A setting without a row fails the test. `Asked` rows ask a gateway made from the file. `Seen` rows show the value
//! where the work is done: in the terms, the settler's configuration, the price table; `Acts` rows name besides the
//! test that sees what it does there. `Tested` rows name a test that sees the behaviour change.

use std::collections::BTreeSet;
use std::path::Path;

use http::Method;
use toll_cli::config::Config;
use toll_gateway::{Pricer, RouteTable, Terms};
use toll_settler::SettlerConfig;

use super::example::{EXAMPLE, settings};
use super::shop;

const KEY: &str = "\"4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU\"";

/// What a server is made of.
struct Built {
    config: Config,
    terms: Terms,
    settler: SettlerConfig,
    routes: RouteTable,
}

enum Effect {
    /// The file says this TOML; here is where it arrives, and how it reads there.
    Seen(&'static str, fn(&Built) -> String, &'static str),
    /// The same, and the test of what it does there.
    Acts(&'static str, fn(&Built) -> String, &'static str, &'static str, &'static str),
    /// The file says this TOML; here is what a gateway made from it answers, and how that reads.
    Asked(&'static str, fn(&Built) -> String, &'static str),
    /// The file of a test, from the root of the repository, and its name.
    Tested(&'static str, &'static str),
}
use Effect::{Acts, Asked, Seen, Tested};

const SETTLER_RUNNING: &str = "settler/tests/running.rs";
const WATCHING: &str = "settler/tests/watching.rs";
const PURSE: &str = "settler/tests/purse.rs";
const SHUTDOWN: &str = "cli/tests/shutdown.rs";
const ARCHIVE: &str = "ledger/tests/ledger/archive.rs";
const ANSWER: &str = "ledger/tests/ledger/answer.rs";
const BODIES: &str = "gateway/tests/gateway/bodies.rs";
const LISTENER: &str = "gateway/tests/gateway/listener.rs";
const OPEN: &str = "gateway/tests/gateway/open.rs";
const OUTAGE: &str = "gateway/tests/gateway/outage.rs";
const VOUCHER: &str = "gateway/tests/gateway/voucher.rs";
const HOOK: &str = "gateway/tests/gateway/price_hook.rs";
const METERING: &str = "gateway/tests/gateway/metering.rs";
const METERED_STREAM: &str = "gateway/tests/gateway/metered_stream.rs";
const PROXY: &str = "gateway/tests/gateway/proxy.rs";
const ACT: &str = "cli/tests/settings/act.rs";
const CHARGE: &str = "gateway/tests/gateway/charge.rs";
const DISCOVERY: &str = "gateway/tests/gateway/discovery.rs";
const EYES: &str = "cli/tests/eyes/admin.rs";
const TRACES: &str = "cli/tests/eyes/traces.rs";

#[rustfmt::skip]
const ROWS: &[(&str, Effect)] = &[
    ("ledger.path", Tested(ACT, "a_secret_that_no_file_names_outlives_the_server")),
    ("ledger.url", Tested("ledger/src/config.rs", "a_ledger_is_in_one_place")),
    ("ledger.server_patience_seconds", Tested("ledger/tests/ledger/postgres.rs", "a_server_that_does_not_answer_is_given_up_after_its_patience")),
    ("ledger.replay_retention_seconds", Tested(ARCHIVE, "replay_retention_seconds_says_how_long_answers_are_kept")),
    ("ledger.replay_entry_retention_days", Tested(ARCHIVE, "replay_entry_retention_days_bounds_the_requests_of_a_live_channel")),
    ("ledger.max_answer_bytes", Tested(ANSWER, "the_oldest_answers_of_all_channels_make_room")),
    ("ledger.max_answer_bytes_per_channel", Tested(ANSWER, "the_oldest_answers_of_a_channel_make_room")),
    ("ledger.archive_after_days", Tested(ARCHIVE, "archive_after_days_says_when")),
    ("ledger.archive_retention_days", Tested(ARCHIVE, "archive_retention_days_says_how_long")),
    ("ledger.failed_open_retention_seconds", Tested(ARCHIVE, "failed_open_retention_seconds_says_how_long")),
    ("ledger.max_failed_opens", Tested(ARCHIVE, "max_failed_opens_lets_the_oldest_go_early_but_no_address_that_could_still_open")),
    ("ledger.max_requested", Tested(ARCHIVE, "max_requested_bounds_what_waits_for_the_settler")),
    ("ledger.purge_batch_rows", Tested(ARCHIVE, "purge_batch_rows_bounds_each_transaction")),
    ("ledger.book_channels", Tested("ledger/src/book/tests.rs", "the_book_forgets_the_channel_that_was_longest_without_a_request")),

    ("gateway.listen", Tested("cli/tests/chain.rs", "a_server_whose_port_is_taken_does_not_start_and_leaves_its_channels_open")),
    ("gateway.upstream", Tested(ACT, "the_limits_of_the_file_hold")),
    ("gateway.realm", Asked("\"other\"", |built| weather(built).challenge().realm.clone(), "other")),
    ("gateway.secret_file", Tested(ACT, "a_secret_that_the_file_names_is_the_one_that_is_used")),
    ("gateway.previous_secret_file", Tested("gateway/tests/gateway/challenge.rs", "a_challenge_under_the_previous_secret_is_recognized")),
    ("gateway.operator_key_file", Tested(ACT, "a_gateway_signs_vouchers_with_the_key_in_its_file")),
    ("gateway.unpriced", Asked("\"free\"", |built| built.ask(&Method::GET, "/other").status.to_string(), "200 OK")),
    ("gateway.trusted_proxy", Tested(PROXY, "a_trusted_proxy_may_say_where_a_request_came_from_and_not_what_it_is")),
    ("gateway.insecure", Tested("gateway/tests/gateway/config.rs", "a_public_address_needs_tls_in_front")),
    ("gateway.challenge_ttl_seconds", Asked("301", |built| (weather(built).challenge().expires_at().unwrap().unwrap() - shop::NOW).to_string(), "301")),
    ("gateway.landing_timeout_seconds", Acts("31", |built| built.terms.landing_timeout.to_string(), "31", OPEN, "an_open_that_does_not_land_in_time_can_be_resumed")),
    ("gateway.upstream_timeout_seconds", Tested(PROXY, "an_upstream_that_hangs_is_a_504")),
    ("gateway.request_body_limit", Tested("gateway/tests/gateway/replay.rs", "a_body_over_the_limit_is_refused_before_the_charge")),
    ("gateway.transport.header_timeout_seconds", Tested(LISTENER, "unfinished_headers_are_cut_off")),
    ("gateway.transport.body_timeout_seconds", Tested(BODIES, "a_body_that_does_not_end_in_time_is_a_408_and_buys_nothing")),
    ("gateway.transport.stall_timeout_seconds", Tested(LISTENER, "a_client_that_does_not_take_its_answer_is_cut_off")),
    ("gateway.transport.upstream_stall_timeout_seconds", Tested(BODIES, "an_upstream_that_stops_in_the_middle_of_an_answer_is_not_waited_for")),
    ("gateway.transport.idle_timeout_seconds", Tested(LISTENER, "a_connection_is_used_again_until_it_idles_for_too_long")),
    ("gateway.transport.drain_timeout_seconds", Tested(LISTENER, "the_server_stops_although_a_request_hangs")),
    ("gateway.transport.connections", Tested(LISTENER, "connections_beyond_the_cap_are_turned_away")),
    ("gateway.transport.connections_per_peer", Tested(LISTENER, "connections_beyond_the_cap_are_turned_away")),
    ("gateway.transport.buffered_body_bytes", Tested(BODIES, "bodies_share_a_budget_and_give_it_back")),
    ("gateway.limits.opens_per_minute", Tested(ACT, "the_limits_of_the_file_hold")),
    ("gateway.limits.updates_per_minute", Acts("31", |built| built.terms.limits.updates_per_minute.to_string(), "31", "gateway/tests/gateway/top_up.rs", "updates_of_one_channel_are_rate_limited")),
    ("gateway.limits.repeats_per_minute", Acts("31", |built| built.terms.limits.repeats_per_minute.to_string(), "31", "gateway/tests/gateway/published.rs", "repeats_of_a_landed_top_up_leave_the_payers_updates_alone")),
    ("gateway.limits.vouchers_per_second", Acts("31", |built| built.terms.limits.vouchers_per_second.to_string(), "31", VOUCHER, "vouchers_of_one_channel_are_rate_limited")),
    ("gateway.limits.refusals_per_second", Acts("31", |built| built.terms.limits.refusals_per_second.to_string(), "31", VOUCHER, "refused_vouchers_of_one_channel_are_rate_limited")),
    ("gateway.limits.recent_answer_bytes", Tested("gateway/tests/gateway/replay.rs", "answers_of_all_channels_share_a_memory")),
    ("gateway.limits.recent_answer_bytes_per_channel", Tested("gateway/tests/gateway/replay.rs", "an_answer_that_was_forgotten_is_not_served_again")),
    ("gateway.limits.forced_closes", Acts("3", |built| built.terms.limits.forced_closes.to_string(), "3", OPEN, "a_payer_who_keeps_forcing_closes_waits")),
    ("gateway.limits.forced_close_pause", Acts("31", |built| built.terms.limits.forced_close_pause.to_string(), "31", OPEN, "a_payer_who_keeps_forcing_closes_waits")),

    ("session.network", Asked("\"devnet\"", |built| format!("{} {}", weather(built).request().method_details.network, built.settler.network), "devnet devnet")),
    ("session.program", Asked(KEY, |built| format!("{} {}", key(weather(built).request().method_details.channel_program), key(built.settler.program)), "true true")),
    ("session.payee", Asked("\"4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM\"", |built| weather(built).request().recipient.to_string(), "4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM")),
    ("session.fee_payer", Asked(KEY, |built| format!("{:?}", weather(built).request().method_details.fee_payer_key.map(key)), "Some(true)")),
    ("session.operator", Acts(KEY, |built| format!("{:?}", built.terms.operator.map(key)), "Some(true)", "gateway/tests/gateway/operator.rs", "the_challenge_names_the_operator_on_its_routes_and_no_others")),
    ("session.mint", Tested("gateway/tests/gateway/config.rs", "the_mint_allow_list_is_explicit")),
    ("session.allowed_mints", Tested("gateway/tests/gateway/config.rs", "the_mint_allow_list_is_explicit")),
    ("session.token_program", Asked("\"TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb\"", |built| format!("{:?}", weather(built).request().method_details.token_program), "Some(TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb)")),
    ("session.decimals", Asked("5", |built| format!("{} {:?}", weather(built).request().method_details.decimals, weather(built).request().minimum_deposit.map(|it| it.get())), "5 Some(10000)")),
    ("session.grace_period_seconds", Asked("901", |built| format!("{} {}", weather(built).new_channel().0, built.terms.min_voucher_life), "901 961")),
    ("session.idle_timeout_seconds", Acts("601", |built| built.terms.idle_timeout.to_string(), "601", OPEN, "an_open_lands_and_answers_with_a_receipt_and_no_content")),
    ("session.idle_timeout_options_seconds", Asked("[600, 900]", |built| format!("{:?}", weather(built).new_channel().1), "[600, 900]")),
    ("session.minimum_deposit", Asked("\"0.2\"", |built| format!("{:?}", weather(built).request().minimum_deposit.map(|it| it.get())), "Some(200000)")),
    ("session.suggested_deposit", Asked("\"2\"", |built| format!("{:?}", weather(built).request().suggested_deposit.map(|it| it.get())), "Some(2000000)")),
    ("session.min_voucher_delta", Asked("\"0.0001\"", |built| format!("{:?}", weather(built).request().method_details.min_voucher_delta.map(|it| it.get())), "Some(100)")),
    ("session.min_voucher_life_seconds", Acts("1000", |built| built.terms.min_voucher_life.to_string(), "1000", VOUCHER, "a_voucher_must_outlive_the_grace_period")),
    ("session.clock_tolerance_seconds", Acts("31", |built| built.terms.clock_tolerance.to_string(), "31", "gateway/tests/gateway/close.rs", "the_clock_tolerance_authenticates_a_close_and_no_longer")),
    ("session.observation_max_age_seconds", Acts("20", |built| built.terms.observation_limit(900).to_string(), "20", OUTAGE, "too_much_unsettled_on_a_channel_is_not_added_to_out_of_sight")),
    ("session.max_unobserved_seconds", Acts("200", |built| built.terms.unobserved_limit(900).to_string(), "200", OUTAGE, "the_time_out_of_sight_is_a_setting_that_only_shortens")),
    ("session.max_unobserved_exposure", Acts("\"5\"", |built| built.terms.max_unobserved_exposure.to_string(), "5000000", OUTAGE, "too_much_unsettled_on_a_channel_is_not_added_to_out_of_sight")),
    ("session.max_unobserved_exposure_total", Acts("\"500\"", |built| built.terms.max_unobserved_exposure_total.to_string(), "500000000", OUTAGE, "too_much_unsettled_in_all_is_not_added_to_out_of_sight")),
    ("session.hint_life_slots", Acts("100", |built| built.terms.hint_life_slots.to_string(), "100", OPEN, "a_challenged_blockhash_near_its_end_rejects_and_burns_nothing")),
    ("session.tip_max_age_seconds", Acts("20", |built| built.terms.tip_max_age.to_string(), "20", OPEN, "an_open_without_a_recent_tip_waits")),
    ("session.max_compute_unit_limit", Acts("300000", |built| format!("{} {}", built.terms.max_compute_unit_limit, built.settler.compute_unit_cap), "300000 300000", OPEN, "compute_budget_within_the_caps_is_allowed")),
    ("session.max_compute_unit_price", Acts("40000", |built| format!("{} {}", built.terms.max_compute_unit_price, built.settler.compute_unit_price_cap), "40000 40000", OPEN, "compute_budget_within_the_caps_is_allowed")),
    ("session.splits.recipient", Tested("gateway/tests/gateway/challenge.rs", "splits_are_quoted")),
    ("session.splits.share_bps", Tested("gateway/tests/gateway/challenge.rs", "splits_are_quoted")),

    ("settler.rpc", Tested("cli/tests/chain.rs", "of_several_nodes_the_next_is_asked_while_one_does_not_answer")),
    ("settler.websocket", Tested(WATCHING, "hint_brings_the_next_look_forward")),
    ("settler.fee_payer", Tested("cli/tests/settings/check.rs", "keys_of_others_are_refused")),
    ("settler.payee", Tested("cli/tests/settings/check.rs", "what_is_missing_on_this_machine_is_named_by_its_setting")),
    ("settler.operator_key_file", Tested("settler/tests/batch.rs", "without_the_operators_key_each_channel_settles_by_its_own_voucher")),
    ("settler.treasury_owner", Acts(KEY, |built| built.settler.treasury_owner.to_string(), "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU", "settler/tests/startup.rs", "missing_treasury_account_is_created_on_localnet")),
    ("settler.create_treasury_accounts", Acts("false", |built| built.settler.creates_treasury_accounts().to_string(), "false", "settler/tests/startup.rs", "missing_treasury_account_is_refused_where_it_may_not_be_created")),
    ("settler.create_payee_accounts", Acts("false", |built| format!("{:?}", built.settler.create_payee_accounts), "Some(false)", "settler/tests/startup.rs", "missing_account_of_the_payee_is_refused_by_its_address_where_it_may_not_be_created")),
    ("settler.close_on_shutdown", Tested(SHUTDOWN, "sigterm_closes_none_of_2000_open_channels_unless_told_to")),
    ("settler.drain_timeout_seconds", Tested(SHUTDOWN, "sigterm_with_2000_open_channels_closes_what_it_can_in_its_time_and_the_next_start_resumes")),
    ("settler.settle_threshold", Acts("\"5\"", |built| format!("{:?}", built.settler.settle_threshold.map(|it| it.get())), "Some(5000000)", "settler/tests/close.rs", "much_unsettled_is_settled_at_the_threshold")),
    ("settler.settle_before_expiry_seconds", Acts("0", |built| format!("{:?}", built.settler.settle_before_expiry), "None", "settler/tests/close.rs", "voucher_about_to_expire_is_settled_while_the_channel_stays_open")),
    ("settler.refund_patience_seconds", Acts("61", |built| format!("{:?}", built.settler.refund_patience), "61s", "settler/tests/payout.rs", "payee_is_paid_in_the_end_whatever_the_payer_did_to_its_own_account")),
    ("settler.low_balance_lamports", Acts("50000001", |built| built.settler.low_balance.to_string(), "50000001", "settler/tests/startup.rs", "poor_fee_payer_is_only_warned_about")),
    ("settler.compute_unit_price", Acts("7", |built| built.settler.compute_unit_price.to_string(), "7", PURSE, "the_fee_that_a_settle_must_be_worth_is_no_less_than_what_it_costs")),
    ("settler.blockhash_margin_blocks", Acts("21", |built| built.settler.blockhash_margin.to_string(), "21", "settler/tests/open.rs", "blockhash_is_refused_once_its_rest_of_life_is_below_the_margin")),
    ("settler.tip_interval_ms", Acts("2001", |built| format!("{:?}", built.settler.tip_interval), "2.001s", SETTLER_RUNNING, "tip_and_comparison_with_the_chain_are_renewed")),
    ("settler.poll_interval_ms", Acts("5001", |built| format!("{:?}", built.settler.poll_interval), "5.001s", WATCHING, "hint_brings_the_next_look_forward")),
    ("settler.comparisons_per_poll", Acts("9", |built| built.settler.comparisons_per_poll.to_string(), "9", WATCHING, "few_channels_come_around_in_time_without_a_list")),
    ("settler.compare_within_seconds", Tested(WATCHING, "every_channel_is_compared_within_its_time_by_one_question_however_many_there_are")),
    ("settler.query_timeout_ms", Tested(WATCHING, "node_that_is_too_slow_for_the_search_costs_its_timeout_and_no_more")),
    ("settler.confirm_interval_ms", Seen("201", |built| format!("{:?}", built.settler.confirm_interval), "201ms")),
    ("settler.resend_interval_ms", Acts("2001", |built| format!("{:?}", built.settler.resend_interval), "2.001s", "settler/tests/fate.rs", "what_is_not_confirmed_is_sent_again_after_the_resend_interval_and_not_before")),
    ("settler.purge_interval_seconds", Tested(SETTLER_RUNNING, "ledger_is_purged_by_the_loop_and_by_a_single_round")),
    ("settler.purse.open_budget_per_day", Acts("7", |built| format!("{:?}", built.settler.purse.open_budget_per_day), "Some(7)", "settler/src/purse/book/tests.rs", "each_budget_refuses_by_its_name_what_exceeds_it_and_takes_the_rest")),
    ("settler.purse.charge_budget_per_day", Acts("7", |built| format!("{:?}", built.settler.purse.charge_budget_per_day), "Some(7)", "settler/src/purse/book/tests.rs", "a_budget_of_one_kind_refuses_that_kind_and_no_other")),
    ("settler.purse.top_up_budget_per_day", Acts("7", |built| format!("{:?}", built.settler.purse.top_up_budget_per_day), "Some(7)", "settler/src/purse/book/tests.rs", "a_budget_of_one_kind_refuses_that_kind_and_no_other")),
    ("settler.purse.settle_budget_per_day", Acts("7", |built| format!("{:?}", built.settler.purse.settle_budget_per_day), "Some(7)", PURSE, "an_expiring_voucher_is_settled_when_it_is_worth_it_and_within_the_days_budget")),
    ("settler.purse.refund_account_budget_per_day", Acts("7", |built| format!("{:?}", built.settler.purse.refund_account_budget_per_day), "Some(7)", "settler/src/purse/book/tests.rs", "a_budget_of_one_kind_refuses_that_kind_and_no_other")),
    ("settler.purse.payer_budget_per_day", Acts("7", |built| format!("{:?}", built.settler.purse.payer_budget_per_day), "7", "settler/src/purse/book/tests.rs", "a_payers_budget_is_nobody_elses")),
    ("settler.purse.budget_per_day", Acts("7", |built| format!("{:?}", built.settler.purse.budget_per_day), "Some(7)", PURSE, "a_budget_that_is_spent_stays_spent_over_a_restart_and_closes_go_on")),
    ("settler.purse.budget", Acts("7", |built| format!("{:?}", built.settler.purse.budget), "Some(7)", "settler/src/purse/book/tests.rs", "a_day_is_over_at_midnight_and_the_whole_budget_never")),
    ("settler.purse.minimum_reserve", Acts("7", |built| format!("{:?}", built.settler.purse.minimum_reserve), "7", PURSE, "exposure_shrinks_with_the_balance_opens_first_and_vouchers_last")),
    ("settler.purse.reserve_per_channel", Acts("7", |built| format!("{:?}", built.settler.purse.reserve_per_channel), "Some(7)", PURSE, "what_is_kept_for_each_channel_may_be_said")),
    ("settler.purse.channels_per_payer", Acts("7", |built| format!("{:?}", built.settler.purse.channels_per_payer), "7", PURSE, "a_payer_has_no_more_channels_than_it_may_have_whatever_the_gateway_recorded")),
    ("settler.purse.minimum_top_up", Acts("7", |built| format!("{:?}", built.settler.purse.minimum_top_up), "7", PURSE, "a_top_up_below_the_minimum_lands_only_when_its_payer_pays_the_fee")),
    ("settler.purse.settle_worth", Acts("7", |built| format!("{:?}", built.settler.purse.settle_worth), "7", PURSE, "an_expiring_voucher_is_settled_when_it_is_worth_it_and_within_the_days_budget")),
    ("settler.purse.base_units_per_sol", Tested(PURSE, "a_settle_is_worth_its_fee_once_a_sol_has_a_price")),
    ("settler.purse.opens_per_minute", Tested(PURSE, "opens_beyond_the_rate_of_a_minute_are_not_sponsored")),
    ("settler.purse.refund_accounts_per_day", Acts("7", |built| format!("{:?}", built.settler.purse.refund_accounts_per_day), "7", "settler/tests/payout.rs", "refund_account_is_created_at_our_expense_a_few_times_a_day_only")),
    ("settler.in_flight", Acts("65", |built| built.settler.in_flight.to_string(), "65", "settler/tests/shutdown.rs", "flood_of_opens_stays_within_the_window")),
    ("settler.channels_per_transaction", Tested("settler/tests/packing.rs", "channels_per_transaction_says_how_many_share_one")),
    ("settler.transaction_version", Acts("\"v1\"", |built| format!("{:?}", built.settler.transaction_version), "V1", "settler/tests/packing.rs", "ten_closes_share_a_transaction_of_version_1_whole")),
    ("settler.concurrency", Acts("17", |built| built.settler.concurrency.to_string(), "17", "settler/tests/isolation.rs", "so_many_transactions_are_started_at_once")),
    ("settler.renew_wait_seconds", Acts("31", |built| format!("{:?}", built.settler.renew_wait), "31s", "settler/tests/kept.rs", "renew_wait_seconds_lets_idle_channels_wait_for_company")),
    ("settler.renew", Acts("\"always\"", |built| format!("{:?}", built.settler.renew), "Always", "settler/tests/renewal.rs", "renew_says_whose_channels_are_rearmed")),

    ("charge.enabled", Tested(CHARGE, "a_charge_is_offered_behind_the_session_where_it_is_enabled")),
    ("charge.sponsored", Tested(CHARGE, "a_charge_names_the_sponsor_where_it_pays")),
    ("charge.reference_prefix", Tested(CHARGE, "each_charge_has_a_reference_of_its_own_that_begins_as_the_seller_says")),
    ("charge.payments_per_minute", Tested(CHARGE, "a_payer_pays_so_many_times_a_minute")),
    ("charge.splits.recipient", Tested(CHARGE, "shares_of_the_price_are_split_off")),
    ("charge.splits.share_bps", Tested(CHARGE, "shares_of_the_price_are_split_off")),
    ("charge.splits.memo", Tested("tests/flow/one_by_one.rs", "a_charge_pays_everybody_it_lists")),
    ("charge.splits.create_account", Tested("tests/flow/one_by_one.rs", "a_charge_pays_everybody_it_lists")),
    ("discovery.public_url", Tested(DISCOVERY, "nothing_is_listed_without_a_public_url_and_below_it_with_one")),
    ("discovery.title", Tested(DISCOVERY, "the_service_is_called_as_the_file_says")),
    ("discovery.description", Tested(DISCOVERY, "the_service_is_called_as_the_file_says")),
    ("discovery.categories", Tested(DISCOVERY, "the_service_is_called_as_the_file_says")),
    ("discovery.homepage", Tested(DISCOVERY, "the_service_is_called_as_the_file_says")),
    ("discovery.upstream_document", Tested(DISCOVERY, "the_upstreams_own_document_gets_prices_and_loses_what_nobody_reaches")),

    ("admin.listen", Tested(EYES, "metrics_and_probes_are_there_when_they_are_asked_for_and_only_then")),
    ("admin.token_file", Tested(EYES, "only_who_brings_the_token_sees_anything")),
    ("telemetry.otlp_endpoint", Tested(TRACES, "a_collector_that_is_named_gets_a_trace_of_every_request")),

    ("routes.method", Asked("\"POST\"", |built| built.ask(&Method::POST, WEATHER).status.to_string(), "402 Payment Required")),
    ("routes.path", Asked("\"/other\"", |built| built.ask(&Method::GET, "/other").status.to_string(), "402 Payment Required")),
    ("routes.price", Asked("\"0.002\"", |built| weather(built).request().amount.to_string(), "2000")),
    ("routes.description", Asked("\"one call\"", |built| weather(built).challenge().description.clone().unwrap_or_default(), "one call")),
    ("routes.unit_type", Asked("\"call\"", |built| weather(built).request().unit_type.unwrap_or_default(), "call")),
    ("routes.voucher_signer", Tested("gateway/tests/gateway/operator.rs", "the_challenge_names_the_operator_on_its_routes_and_no_others")),
    ("routes.credential_header", Tested("gateway/tests/gateway/credential_header.rs", "only_routes_that_want_it_select_the_other_field")),
    ("routes.accept", Tested(CHARGE, "a_route_is_paid_in_the_ways_that_it_accepts")),
    ("routes.bind_body", Acts("true", |built| price(built, |price| price.bind_body.to_string()), "true", "gateway/tests/gateway/binding.rs", "a_credential_for_one_body_does_not_buy_another")),
    ("routes.headroom", Acts("\"0.5\"", |built| price(built, |price| price.headroom.to_string()), "500000", VOUCHER, "headroom_lets_a_voucher_run_ahead_of_the_charge")),
    ("gateway.price_hook.url", Tested(HOOK, "a_hook_says_the_price_and_is_told_what_was_charged")),
    ("gateway.price_hook.secret_file", Tested(HOOK, "a_hook_says_the_price_and_is_told_what_was_charged")),
    ("gateway.price_hook.timeout_ms", Tested(HOOK, "a_request_whose_price_nobody_says_is_refused_or_costs_its_route")),
    ("gateway.price_hook.on_failure", Tested(HOOK, "a_request_whose_price_nobody_says_is_refused_or_costs_its_route")),
    ("routes.price_hook", Tested(HOOK, "a_hook_says_the_price_and_is_told_what_was_charged")),
    ("routes.on_client_error", Tested(METERING, "a_failure_is_free_where_the_route_says_so_and_its_price_pays_for_the_next_request")),
    ("routes.on_server_error", Tested(METERING, "a_request_that_failed_for_free_is_served_again_for_its_voucher")),
    ("routes.meter.base", Tested(METERING, "what_was_used_is_charged_and_the_rest_pays_for_the_next_request")),
    ("routes.meter.cap", Tested(METERING, "nothing_costs_more_than_the_cap")),
    ("routes.meter.voucher_wait_seconds", Tested(METERED_STREAM, "a_stream_that_gets_no_voucher_ends_with_a_receipt_for_what_it_delivered")),
    ("routes.meter.rates.unit", Tested(METERING, "bytes_seconds_headers_and_trailers_are_counted")),
    ("routes.meter.rates.name", Tested(METERING, "what_was_used_is_charged_and_the_rest_pays_for_the_next_request")),
    ("routes.meter.rates.price", Tested(METERING, "what_was_used_is_charged_and_the_rest_pays_for_the_next_request")),
    ("routes.meter.rates.per", Tested(METERING, "what_was_used_is_charged_and_the_rest_pays_for_the_next_request")),
    ("routes.meter.rates.tiers.above", Tested(METERING, "what_was_used_is_charged_and_the_rest_pays_for_the_next_request")),
    ("routes.meter.rates.tiers.price", Tested(METERING, "what_was_used_is_charged_and_the_rest_pays_for_the_next_request")),
];

/// What the example's route prices.
const WEATHER: &str = "/v1/weather/x";

impl Built {
    fn ask(&self, method: &Method, path: &str) -> shop::Asked {
        shop::ask(self.terms.clone(), self.config.routes(&self.terms).unwrap(), method, path)
    }
}

fn weather(built: &Built) -> shop::Asked {
    built.ask(&Method::GET, WEATHER)
}

/// Whether it is [`KEY`].
fn key(address: solana_pubkey::Pubkey) -> bool {
    address.to_string() == KEY.trim_matches('"')
}

fn price(built: &Built, of: impl Fn(&toll_gateway::Price) -> String) -> String {
    match built.routes.quote(&Method::GET, &"/v1/weather/x".parse().unwrap()) {
        toll_gateway::Quote::Priced(price) => of(&price),
        other => format!("{other:?}"),
    }
}

/// The example with `value` at `path`.
fn build(path: &str, value: &str) -> Built {
    let mut file: toml::Table = EXAMPLE.parse().unwrap();
    if path == "session.network" {
        let settler = file["settler"].as_table_mut().unwrap();
        settler.insert("treasury_owner".into(), KEY.trim_matches('"').into());
    }
    if !path.is_empty() {
        let parsed: toml::Table = format!("value = {value}").parse().unwrap();
        let (sections, name) = path.rsplit_once('.').unwrap();
        let mut section = &mut file;
        for part in sections.split('.') {
            let next = section.entry(part).or_insert_with(|| toml::Table::new().into());
            section = match next {
                toml::Value::Array(items) => items[0].as_table_mut().unwrap(),
                other => other.as_table_mut().unwrap(),
            };
        }
        section.insert(name.to_owned(), parsed["value"].clone());
    }
    let text = toml::to_string(&file).unwrap();
    let config = Config::parse(&text, Path::new("")).unwrap_or_else(|error| panic!("{path}: {error}"));
    let terms = config.terms().unwrap();
    let settler = config.settler_config(Vec::new()).unwrap();
    let routes = config.routes(&terms).unwrap();
    Built { config, terms, settler, routes }
}

/// `path = value` in the file makes `seen` read as expected, which it does not without.
fn reads(unchanged: &Built, path: &str, value: &str, seen: fn(&Built) -> String, expected: &str) {
    assert_ne!(seen(unchanged), expected, "{path} reads so without being set");
    assert_eq!(seen(&build(path, value)), expected, "{path} = {value}");
}

fn is_tested(path: &str, file: &str, name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join(file)).unwrap();
    assert!(text.contains(&format!("fn {name}(")), "{path}: {file} has no test {name}");
}

#[test]
fn every_setting_acts() {
    let rows: BTreeSet<String> = ROWS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(rows.len(), ROWS.len(), "a setting has two rows");
    assert_eq!(rows, settings(), "each setting of the schema needs a row here");
    let unchanged = build("", "");
    for (path, effect) in ROWS {
        match effect {
            Seen(value, seen, expected) | Asked(value, seen, expected) => {
                reads(&unchanged, path, value, *seen, expected);
            }
            Acts(value, seen, expected, file, name) => {
                reads(&unchanged, path, value, *seen, expected);
                is_tested(path, file, name);
            }
            Tested(file, name) => is_tested(path, file, name),
        }
    }
}

#[test]
fn the_ledger_is_opened_with_the_settings_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut built = build("ledger.max_requested", "3");
    built.config.ledger.path = folder.path().join("toll.db");
    let ledger = toll_ledger::Ledger::with(built.config.ledger.clone(), toll_ledger::SystemClock).unwrap();
    assert_eq!(ledger.settings(), &built.config.ledger);
    assert_eq!(ledger.settings().max_requested, 3);
}
