//! Compute units of the channel program: whole transactions with one compute-budget instruction (150 units), in
//! LiteSVM with its token programs, on the committed ELF.
//!
//! The channel and its escrow account have bump 255, as a client that looks for a good salt gets them; every other
//! address falls as its name does.

mod figures;
mod rows;
mod scenario;

pub use figures::{Complaint, Figure, Figures, FiguresError};
pub use rows::{ROWS, Row};

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, CellAlignment, Table};

/// A row, and what it cost just now.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// What was measured.
    pub row: &'static Row,
    /// Compute units of the whole transaction.
    pub compute_units: u64,
}

/// Runs every scenario.
pub fn measure() -> Vec<Measured> {
    ROWS.iter().map(|row| Measured { row, compute_units: row.scenario.compute_units() }).collect()
}

/// The result for people, with the reference implementation's figures beside ours.
pub fn table(rows: &[Measured]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_header([
        "scenario",
        "compute units",
        "limit",
        "reference",
        "of it, %",
    ]);
    for Measured { row, compute_units } in rows {
        let share = row.reference.map(|reference| (compute_units * 100 / reference).to_string());
        let figures = [
            grouped(*compute_units),
            grouped(row.limit),
            row.reference.map(grouped).unwrap_or_default(),
            share.unwrap_or_default(),
        ];
        let cells = figures.map(|figure| Cell::new(figure).set_alignment(CellAlignment::Right));
        table.add_row([Cell::new(row.name)].into_iter().chain(cells));
    }
    table.to_string()
}

/// With a comma every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
