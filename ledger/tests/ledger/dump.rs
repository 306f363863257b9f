//! The whole database as text, to show that nothing changed.

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use toll_ledger::Ledger;

/// Every row of every table, read on a connection of its own.
pub(crate) fn dump(ledger: &Ledger) -> String {
    let connection = Connection::open_with_flags(ledger.path(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut tables = connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
        )
        .unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut text = String::new();
    for table in tables.map(Result::unwrap) {
        let mut rows = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let rows = rows
            .query_map([], |row| {
                (0..columns).map(|column| row.get::<_, Value>(column)).collect::<Result<Vec<_>, _>>()
            })
            .unwrap();
        for row in rows {
            text.push_str(&format!("{table}: {:?}\n", row.unwrap()));
        }
    }
    text
}
