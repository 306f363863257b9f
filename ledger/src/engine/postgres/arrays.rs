//! A statement for one row of parameters, as PostgreSQL runs it once for many.
//!
//! Each parameter becomes an array. Side by side they are a table called `given`, with the columns `p1`, `p2` and so on,
//! and `nth`, the place in the arrays, from 1.

/// `sql`, in PostgreSQL's spelling and with parameters of `types`, over arrays of these. An `UPDATE` returns `nth` of
/// whatever changed a row.
pub(super) fn over_arrays(sql: &str, types: &[&str]) -> String {
    let (verb, body) = begin(sql);
    let given = given(types);
    let body = columns(body);
    match verb {
        "INSERT" => values_to_select(&body, &given),
        "UPDATE" => format!("{} RETURNING given.nth", before_where(&body, &format!("FROM {given} "))),
        "DELETE" => before_where(&body, &format!("USING {given} ")),
        _ => before_where(&body, &format!(", {given} ")),
    }
}

/// The first word, and the statement without the remarks before it.
fn begin(sql: &str) -> (&str, &str) {
    let mut body = sql.trim_start();
    while body.starts_with("--") {
        body = body.split_once('\n').map_or("", |(_, rest)| rest.trim_start());
    }
    (body.split_whitespace().next().unwrap_or_default(), body)
}

fn given(types: &[&str]) -> String {
    let arrays: Vec<String> = (1..).zip(types).map(|(nth, of)| format!("${nth}::{of}[]")).collect();
    let columns: Vec<String> = (1..=types.len()).map(|nth| format!("p{nth}")).collect();
    format!("unnest({}) WITH ORDINALITY AS given ({}, nth)", arrays.join(", "), columns.join(", "))
}

/// Every `$2` as `given.p2`. The ledger's statements quote no dollar.
fn columns(sql: &str) -> String {
    sql.replace('$', "given.p")
}

fn values_to_select(sql: &str, given: &str) -> String {
    let Some((before, rest)) = sql.split_once("VALUES (") else { return sql.to_owned() };
    let end = closing(rest);
    format!("{before}SELECT {} FROM {given}{}", &rest[..end], &rest[end + 1..])
}

/// Where the parenthesis closes that was opened before `sql`.
fn closing(sql: &str) -> usize {
    let mut depth = 1;
    for (at, c) in sql.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    sql.len().saturating_sub(1)
}

fn before_where(sql: &str, source: &str) -> String {
    let mut depth = 0;
    for (at, c) in sql.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            'W' if depth == 0 && sql[at..].starts_with("WHERE ") => {
                return format!("{}{source}{}", &sql[..at], &sql[at..]);
            }
            _ => {}
        }
    }
    format!("{sql} {source}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "unnest($1::bytea[], $2::int8[]) WITH ORDINALITY AS given (p1, p2, nth)";

    #[test]
    fn one_statement_is_respelled_for_many_rows() {
        for (one, many) in [
            (
                "-- a remark\nINSERT INTO t (a, b) VALUES ($1, greatest($2, 0)) ON CONFLICT DO NOTHING",
                format!(
                    "INSERT INTO t (a, b) SELECT given.p1, greatest(given.p2, 0) FROM {GIVEN} ON CONFLICT DO NOTHING"
                ),
            ),
            (
                "UPDATE t SET b = (SELECT max(b) FROM u WHERE a = $1) WHERE a = $1 AND b < $2",
                format!(
                    "UPDATE t SET b = (SELECT max(b) FROM u WHERE a = given.p1) FROM {GIVEN} \
                     WHERE a = given.p1 AND b < given.p2 RETURNING given.nth"
                ),
            ),
            (
                "DELETE FROM t WHERE a = $1 AND b < $2",
                format!("DELETE FROM t USING {GIVEN} WHERE a = given.p1 AND b < given.p2"),
            ),
            (
                "SELECT * FROM t WHERE a = $1 AND b < $2",
                format!("SELECT * FROM t , {GIVEN} WHERE a = given.p1 AND b < given.p2"),
            ),
        ] {
            assert_eq!(over_arrays(one, &["bytea", "int8"]), many);
        }
    }
}
