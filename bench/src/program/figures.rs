//! The committed figures, and what may not become of them.

use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Measured;

/// How much a row may grow, in hundredths of the committed figure.
const TOLERANCE: u64 = 2;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/program.json");

/// What one row cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Figure {
    /// The row's name.
    pub scenario: String,
    /// Compute units of the whole transaction.
    pub compute_units: u64,
    /// What it may cost at most.
    pub limit: u64,
}

/// What every row cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Figures(pub Vec<Figure>);

/// The committed figures cannot be used.
#[derive(Debug, Error)]
pub enum FiguresError {
    /// The file cannot be read or written.
    #[error("{COMMITTED}: {0}")]
    File(#[from] std::io::Error),
    /// The file is not what `--json` prints.
    #[error("{COMMITTED}: {0}")]
    Json(#[from] serde_json::Error),
}

/// A row that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Complaint {
    /// It costs more than it ever may.
    #[error("{scenario}: {compute_units} compute units, {limit} allowed")]
    AboveLimit {
        /// The row.
        scenario: String,
        /// Compute units now.
        compute_units: u64,
        /// Compute units allowed.
        limit: u64,
    },
    /// It costs more than it did.
    #[error(
        "{scenario}: {compute_units} compute units, more than {TOLERANCE}% above the committed {committed}"
    )]
    Grown {
        /// The row.
        scenario: String,
        /// Compute units now.
        compute_units: u64,
        /// Compute units when the figures were committed.
        committed: u64,
    },
    /// No figure of it was committed.
    #[error("{scenario}: not among the committed figures; add it with --write")]
    New {
        /// The row.
        scenario: String,
    },
    /// It was committed, and nothing measures it any more.
    #[error("{scenario}: committed, but no longer measured; remove it with --write")]
    Lost {
        /// The row.
        scenario: String,
    },
    /// Another limit was committed.
    #[error("{scenario}: {limit} compute units allowed, {committed} in the committed figures")]
    LimitChanged {
        /// The row.
        scenario: String,
        /// The limit now.
        limit: u64,
        /// The limit when the figures were committed.
        committed: u64,
    },
}

impl Figures {
    /// The figures of a measurement.
    pub fn of(rows: &[Measured]) -> Self {
        let figure = |measured: &Measured| Figure {
            scenario: measured.row.name.to_owned(),
            compute_units: measured.compute_units,
            limit: measured.row.limit,
        };
        Self(rows.iter().map(figure).collect())
    }

    /// The figures in the repository.
    ///
    /// # Errors
    ///
    /// When the file is missing or not what [`Figures::write`] writes.
    pub fn committed() -> Result<Self, FiguresError> {
        Ok(serde_json::from_slice(&std::fs::read(Path::new(COMMITTED))?)?)
    }

    /// Replaces the figures in the repository.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self) -> Result<(), FiguresError> {
        Ok(std::fs::write(COMMITTED, self.to_json() + "\n")?)
    }

    /// The figures as `--json` prints them: one row per line, so that a change shows as one line.
    pub fn to_json(&self) -> String {
        let row = |figure| serde_json::to_string(figure).expect("figures are text and numbers");
        let rows: Vec<_> = self.0.iter().map(row).collect();
        format!("[\n  {}\n]", rows.join(",\n  "))
    }

    /// What is wrong with these figures, measured just now, where `committed` is what they were.
    pub fn compare(&self, committed: &Self) -> Vec<Complaint> {
        let mut complaints: Vec<_> = self.0.iter().flat_map(|now| now.compare(committed)).collect();
        let lost = committed.0.iter().filter(|figure| self.find(&figure.scenario).is_none());
        complaints.extend(lost.map(|figure| Complaint::Lost { scenario: figure.scenario.clone() }));
        complaints
    }

    fn find(&self, scenario: &str) -> Option<&Figure> {
        self.0.iter().find(|figure| figure.scenario == scenario)
    }
}

impl Figure {
    fn compare(&self, committed: &Figures) -> Vec<Complaint> {
        let Self { scenario, compute_units, limit } = self.clone();
        let mut complaints = Vec::new();
        if compute_units > limit {
            complaints.push(Complaint::AboveLimit { scenario: scenario.clone(), compute_units, limit });
        }
        let Some(before) = committed.find(&scenario) else {
            complaints.push(Complaint::New { scenario });
            return complaints;
        };
        if compute_units * 100 > before.compute_units * (100 + TOLERANCE) {
            let committed = before.compute_units;
            complaints.push(Complaint::Grown { scenario: scenario.clone(), compute_units, committed });
        }
        if limit != before.limit {
            complaints.push(Complaint::LimitChanged { scenario, limit, committed: before.limit });
        }
        complaints
    }
}
