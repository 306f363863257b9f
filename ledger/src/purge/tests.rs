//! What a purge costs, counted by the database itself.

use std::path::Path;

use rusqlite::{Connection, StatementStatus};

use super::*;
use crate::engine::sqlite::Sqlite;
use crate::{channel, closing, comparison, finality, migrations, renewal};

const NOW: i64 = 100_000_000;

/// Every statement that a purge runs on the writer's connection, or off it.
const STATEMENTS: [&str; 35] = [
    NOTE_OVER,
    NOTE_BACK,
    OVER_WITH_REPLAYS,
    PURGE_CHANNEL_REPLAYS,
    NO_REPLAYS_LEFT,
    PURGE_OLD_REPLAYS,
    DROP_ANSWERS,
    PURGE_CHALLENGES,
    DROP_TRANSACTIONS,
    ONE_FAILED_OPEN_TOO_MANY,
    FAILED_OPENS,
    archive::NEXT,
    archive::COPY_SUBMISSIONS,
    archive::COPY_CHANNEL,
    archive::SUBMISSIONS,
    archive::DETACH,
    archive::DELETE_CHALLENGES,
    archive::DELETE_SUBMISSION,
    archive::DELETE_VOUCHERS,
    archive::DELETE_CHANNEL,
    archive::FORGET,
    archive::FORGET_SUBMISSIONS,
    archive::FORGET_CHANNEL,
    // Asked for every open, and at every poll.
    channel::FORCED_CLOSES,
    closing::IDLE_CHANNELS,
    comparison::OLDEST_COMPARED,
    comparison::OLDEST_COMPARISON,
    comparison::MARK_COMPARED,
    comparison::NEXT_LIVE_PAYEE,
    comparison::PAID_OUT,
    comparison::FAILED_IN_WINDOW,
    comparison::MOST_EXPOSED,
    comparison::EXPIRING_VOUCHERS,
    renewal::TO_PAY_OUT,
    finality::AWAITING_FINALITY,
];

fn migrated() -> Tx {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.set_prepared_statement_cache_capacity(128);
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    migrations::migrate(&mut connection, Path::new("test")).unwrap();
    Tx::Sqlite(Sqlite::of(connection))
}

fn plan(connection: &Connection, statement: &str) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {statement}");
    let mut statement = connection.prepare(&sql).unwrap();
    let unbound = statement.parameter_count();
    for parameter in 1..=unbound {
        statement.raw_bind_parameter(parameter, rusqlite::types::Null).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut plan = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get("detail").unwrap());
    }
    plan
}

#[test]
fn no_statement_of_a_purge_scans_a_table() {
    let tx = migrated();
    for statement in STATEMENTS {
        for step in plan(tx.connection(), statement) {
            // The first entry of an index is found without going on to the second.
            let first = step.contains(" USING INDEX ") && statement.ends_with("ORDER BY compared_at LIMIT 1");
            let harmless = !step.starts_with("SCAN") || step == "SCAN CONSTANT ROW" || first;
            assert!(harmless && !step.contains("TEMP B-TREE"), "{step}\n{statement}");
        }
    }
}

#[test]
fn a_scan_would_be_seen() {
    let scanned = plan(migrated().connection(), "SELECT channel_id FROM channels WHERE unit_type = ?1");
    assert!(scanned[0].starts_with("SCAN channels"), "{scanned:?}");
}

/// `count` channels in `state`, each with a paid request, a landed open, a challenge and a voucher.
fn fill(connection: &Connection, first: i64, count: i64, state: &str, at: i64) {
    let sql = format!(
        "CREATE TEMP TABLE fresh AS WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n
            WHERE i + 1 < {first} + {count}) SELECT i, CAST(printf('%032d', i) AS BLOB) AS id FROM n;
         INSERT INTO channels (channel_id, payer, payee, mint, authorized_signer, salt, open_slot, program, bump,
            token_program, rent_payer, grace_period, splits, price, idle_timeout, opening_challenge_id, state,
            deposit, accepted, created_at, last_activity_at, closing_at)
         SELECT id, id, id, id, id, i, 5, id, 255, id, id, 900, x'00000000', 1, 600, 'challenge', '{state}', 10, 1, {at}, {at},
            {at} FROM fresh;
         INSERT INTO replays (replay_key, fingerprint, channel_id, challenge_id, cost, accepted, spent, accepted_at,
            response_status) SELECT id, id, id, '', 1, 1, 1, {at}, 200 FROM fresh;
         INSERT INTO submissions (submission_id, kind, state, request, transaction_bytes, signature, created_at,
            updated_at) SELECT i, 'open', iif('{state}' = 'failed', 'failed', 'landed'), x'01', x'02', CAST(id || id AS BLOB), {at}, {at}
            FROM fresh;
         INSERT INTO submission_channels (channel_id, submission_id) SELECT id, i FROM fresh;
         INSERT INTO challenges SELECT printf('%d', i), i, {at} FROM fresh;
         INSERT INTO vouchers SELECT id, 1, 0, id, CAST(id || id AS BLOB), {at} FROM fresh;
         DROP TABLE fresh;"
    );
    let sql = match state {
        "failed" => {
            sql.replace("INSERT INTO vouchers", "INSERT INTO vouchers SELECT * FROM vouchers WHERE 0; --")
        }
        _ => sql,
    };
    connection.execute_batch(&sql).unwrap();
}

/// Runs every step to its end. Returns what each did.
fn purge(tx: &Tx) -> Vec<usize> {
    let steps: [Step; 9] = [
        note_over,
        channel_replays,
        |tx, batch| by_age(tx, PURGE_OLD_REPLAYS, batch),
        |tx, batch| by_age(tx, DROP_ANSWERS, batch),
        |tx, batch| by_age(tx, PURGE_CHALLENGES, batch),
        |tx, batch| by_age(tx, DROP_TRANSACTIONS, batch),
        failed_opens,
        archive::archive,
        archive::forget,
    ];
    let batch = Batch { now: NOW, until: NOW, rows: 7 };
    let mut done = Vec::new();
    for step in steps {
        let mut touched = 0;
        loop {
            let (rows, more) = step(tx, batch).unwrap();
            touched += rows;
            if !more {
                break;
            }
        }
        done.push(touched);
    }
    done
}

/// What a purge of 20 channels that are over and of 20 failed opens costs beside `live` open ones: what was done,
/// rows visited by scanning, and instructions run.
fn cost_beside(live: i64) -> (Vec<usize>, i32, i32) {
    let tx = migrated();
    let connection = tx.connection();
    connection.execute("INSERT INTO tip VALUES (1, zeroblob(32), 10000, 1, 1, 1)", []).unwrap();
    fill(connection, 1, 20, "gone", 1);
    fill(connection, 101, 20, "failed", 1);
    // Not due yet: what lives has been active since.
    fill(connection, 1_001, live, "open", NOW + 1);
    let done = purge(&tx);
    let status = |which| {
        let of = |sql: &&str| connection.prepare_cached(sql).unwrap().get_status(which);
        STATEMENTS.iter().map(of).sum()
    };
    (done, status(StatementStatus::FullscanStep), status(StatementStatus::VmStep))
}

#[test]
fn a_purge_costs_the_same_beside_a_hundred_and_beside_thirty_thousand_live_channels() {
    let (done, scanned, instructions) = cost_beside(100);
    assert_eq!(done, [20, 20, 20, 0, 40, 40, 20, 20, 20]);
    assert_eq!(scanned, 0, "rows visited by scanning");
    assert!(instructions > 1_000, "{instructions} instructions: nothing was counted");
    assert_eq!(cost_beside(30_000), (done, 0, instructions));
}

#[test]
fn every_column_of_a_channel_is_archived_or_is_known_to_matter_no_more() {
    let tx = migrated();
    let connection = tx.connection();
    let columns = |table: &str| -> Vec<String> {
        let mut info = connection.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
        info.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let missing = |table: &str, archive: &str| -> Vec<String> {
        let archived = columns(archive);
        columns(table).into_iter().filter(|name| !archived.contains(name)).collect()
    };
    let lost = [
        "bump",
        "idle_timeout",
        "state",
        "chain_status",
        "closure_started_at",
        "close_cumulative",
        "failure",
        "replays_kept",
        "sent_cumulative",
        "compared_at",
        "awaits_finality",
        "open_final",
        "renewing",
        // Each rearm is archived as a transaction, and so is each settle and payout.
        "rearmed",
        // It opens nothing any more.
        "proof",
        "kept_by",
        "pay_out_to",
        // Nothing is served any more.
        "earmarked",
    ];
    assert_eq!(missing("channels", "archived_channels"), lost);
    assert_eq!(
        missing("submissions", "archived_submissions"),
        ["request", "transaction_bytes", "last_valid_block_height"]
    );
}

/// What refers to a channel or a transaction keeps it from being deleted.
#[test]
fn whatever_refers_to_a_channel_or_a_transaction_is_removed_before_it() {
    let tx = migrated();
    let connection = tx.connection();
    let mut references = connection
        .prepare(
            "SELECT tables.name || ' to ' || keys.\"table\"
               FROM sqlite_schema AS tables JOIN pragma_foreign_key_list(tables.name) AS keys
              WHERE tables.type = 'table' ORDER BY 1",
        )
        .unwrap();
    let references: Vec<String> =
        references.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        references,
        [
            "challenges to submissions",
            // Neither is ever removed, and neither refers to what is.
            "journal to journal_channels",
            // A payment's transaction is of no channel, so it stays.
            "payments to submissions",
            "replays to channels",
            "submission_channels to channels",
            "submission_channels to submissions",
            "submissions to submission_kinds",
            "vouchers to channels",
        ]
    );
}
