//! Why an action was refused or failed, in the form Lambda reports function errors: a stable type and a message.

use database::postgres;
use lambda_runtime::Diagnostic;

/// A refusal or a failure. Whatever it is, no migration is half applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request or its list of migrations makes no sense by itself.
    #[error("{0}")]
    Malformed(String),
    /// A migration was changed after it had been applied.
    #[error(
        "migration {migration} was applied with another text; restore it and put the change in a new migration\n{diff}"
    )]
    Edited {
        /// Version and name.
        migration: String,
        /// Unified diff from the applied text to the given one.
        diff: String,
    },
    /// A migration that was applied is not given any more.
    #[error("migration {migration} was applied and is not among those given; restore its file")]
    Missing {
        /// Version and name.
        migration: String,
    },
    /// A migration that was not applied has a lower version than one that was.
    #[error("migration {migration} comes before {applied}, which is applied already; give it a higher version")]
    OutOfOrder {
        /// Version and name of the one that is pending.
        migration: String,
        /// Version and name of the highest that is applied.
        applied: String,
    },
    /// `PostgreSQL` refused a migration. Those before it are applied, it and those after it are not.
    #[error("migration {migration}{place}: {problem}")]
    Failed {
        /// Version and name.
        migration: String,
        /// ` line <n>`, or nothing when `PostgreSQL` does not say where.
        place: String,
        /// `PostgreSQL`'s words, with the line itself below.
        problem: String,
    },
    /// Another run holds the lock.
    #[error("another run is migrating this database; it was waited for in vain, run again when it is done")]
    Locked,
    /// There is no connection to the database.
    #[error(transparent)]
    Connect(#[from] database::Error),
    /// `PostgreSQL` refused something other than a migration.
    #[error("{}", describe(.0))]
    Database(#[from] postgres::Error),
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let error_type = match error {
            Error::Malformed(_) => "MigrationMalformed",
            Error::Edited { .. } => "MigrationEdited",
            Error::Missing { .. } => "MigrationMissing",
            Error::OutOfOrder { .. } => "MigrationOutOfOrder",
            Error::Failed { .. } => "MigrationFailed",
            Error::Locked => "MigrationLocked",
            Error::Connect(ref error) if error.is_missing() => "DatabaseMissing",
            Error::Connect(_) => "DatabaseUnreachable",
            Error::Database(_) => "DatabaseFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// `PostgreSQL`'s message with its detail and hint.
pub(crate) fn describe(error: &postgres::Error) -> String {
    let mut text = database::reason(error);
    let extra = error.as_db_error().map(|server| [("detail", server.detail()), ("hint", server.hint())]);
    for (name, words) in extra.into_iter().flatten() {
        if let Some(words) = words {
            text = format!("{text}\n{name}: {words}");
        }
    }
    text
}
