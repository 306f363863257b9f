//! Looking at a ledger from outside, to show what is in it and that nothing changed.

use crate::acceptance::Tail;
use crate::engine::{DatabaseError, FromValue, Row, Tx, Value};
use crate::{Ledger, LedgerConfig};

impl Ledger {
    /// Every row of every table, read on a connection of its own.
    ///
    /// # Panics
    /// When the database cannot be read.
    pub fn dump(&self) -> String {
        outside(self.settings(), |tx| {
            let tables = match tx {
                Tx::Sqlite(_) => {
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
                }
                Tx::Postgres(_) => {
                    "SELECT CAST(table_name AS TEXT) FROM information_schema.tables
                      WHERE table_schema = current_schema() ORDER BY 1"
                }
            };
            let tables = tx.all(tables, &[], |row| row.get::<_, String>(0)).expect("tables");
            let mut text = String::new();
            for table in tables {
                let mut rows = tx.all(leak(format!("SELECT * FROM {table}")), &[], shown).expect("rows");
                rows.sort_unstable();
                for row in rows {
                    text.push_str(&format!("{table}: {row}\n"));
                }
            }
            text
        })
    }

    /// The number that `sql` asks for.
    ///
    /// # Panics
    /// When there is none.
    pub fn ask_number(&self, sql: &str) -> i64 {
        self.ask(sql)
    }

    /// The text that `sql` asks for.
    ///
    /// # Panics
    /// When there is none.
    pub fn ask_text(&self, sql: &str) -> String {
        self.ask(sql)
    }

    fn ask<T: FromValue + Send>(&self, sql: &str) -> T {
        let sql = leak(sql.to_owned());
        outside(self.settings(), |tx| tx.one(sql, &[], |row| row.get(0)).expect("an answer"))
    }

    /// Runs `sql` from outside.
    ///
    /// # Panics
    /// When it fails.
    pub fn meddle(&self, sql: &str) {
        self.try_meddle(sql).expect("a change");
    }

    /// Runs `sql` from outside, or says why the database does not.
    pub fn try_meddle(&self, sql: &str) -> Result<(), String> {
        let sql = leak(sql.to_owned());
        outside(self.settings(), |tx| tx.execute(sql, &[]).map(drop).map_err(|error| error.to_string()))
    }
}

/// Statements live as long as the process; those of tests may as well.
fn leak(sql: String) -> &'static str {
    Box::leak(sql.into_boxed_str())
}

/// Works on a connection of its own, on a thread of its own: tests run where tasks do.
fn outside<T: Send>(config: &LedgerConfig, work: impl FnOnce(&Tx) -> T + Send) -> T {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let (tx, _) = Tx::open(config, 0).expect("a ledger that opens");
            if let Tx::Sqlite(_) = tx {
                tx.begin().expect("nobody else writes");
                Tail::default().begin(&tx, true).expect("a tail that is posted");
                tx.commit().expect("a disk");
            }
            work(&tx)
        });
        worker.join().expect("an answer from outside")
    })
}

fn shown(row: &Row<'_>) -> Result<String, DatabaseError> {
    let mut text = String::new();
    for column in 0..row.len() {
        let Shown(value) = row.get(column)?;
        text.push_str(&value);
        text.push(' ');
    }
    Ok(text)
}

struct Shown(String);

impl FromValue for Shown {
    fn from_value(value: Value<'_>) -> Option<Self> {
        Some(Self(format!("{value:?}")))
    }
}
