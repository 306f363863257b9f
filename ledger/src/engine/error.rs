//! What a database says when it cannot do as told.

/// A database's refusal or failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct DatabaseError {
    kind: DatabaseErrorKind,
    text: String,
}

/// What a failure means to who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatabaseErrorKind {
    /// The change would break a rule of the schema.
    Constraint,
    /// Others were writing for too long.
    Busy,
    /// Another transaction was in the way: this one changed nothing, and may be done again.
    Conflict,
    /// The database cannot be reached, or did not answer in time. What was being committed may be, or not.
    Disconnected,
    /// There is no room to write.
    Full,
    /// It is no database.
    NotADatabase,
    /// A stored value means nothing, or a statement did not do what it always does.
    Unexpected,
    /// Everything else.
    Other,
}

impl DatabaseError {
    pub(crate) fn new(kind: DatabaseErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// A column that holds a value of no meaning.
    pub(crate) fn undecodable(column: impl std::fmt::Display) -> Self {
        Self::new(DatabaseErrorKind::Unexpected, format!("column {column} holds no valid value"))
    }

    /// A row that is always there is not.
    pub(crate) fn no_row() -> Self {
        Self::new(DatabaseErrorKind::Unexpected, "a row is missing")
    }

    /// A statement that changes one row changed `rows`.
    pub(crate) fn changed_rows(rows: usize) -> Self {
        Self::new(DatabaseErrorKind::Unexpected, format!("a change of one row changed {rows}"))
    }

    /// Nothing to talk to.
    pub(crate) fn not_connected() -> Self {
        Self::new(DatabaseErrorKind::Disconnected, "not connected")
    }

    /// What it means.
    pub fn kind(&self) -> DatabaseErrorKind {
        self.kind
    }
}
