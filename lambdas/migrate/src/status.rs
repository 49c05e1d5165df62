//! What is applied, and what differs from it. Reads only, and never the tables' rows.

use database::postgres::{Client, Error as PostgresError, IsolationLevel};
use serde::Serialize;

use crate::{
    history,
    migration::Applied,
    structure::{self, Drift},
};

/// The state of the database, as one answer.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The name the migrations go by.
    pub schema: String,
    /// Oldest first.
    pub applied: Vec<Entry>,
    /// What was changed by other hands since the last run; empty when nothing was.
    pub drift: Vec<Drift>,
}

/// One migration that was applied.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Digits, as they were given.
    pub version: String,
    /// What it does, for people.
    pub name: String,
    /// SHA-256 of its normalised text.
    pub checksum: String,
    /// Its normalised text.
    pub sql: String,
    /// RFC 3339, UTC.
    pub applied_at: String,
}

impl From<Applied> for Entry {
    fn from(Applied { version, name, checksum, body, applied_at, .. }: Applied) -> Self {
        Self { version, name, checksum, sql: body, applied_at }
    }
}

/// Reads the state in transactions that cannot write. Works on a database where nothing was ever applied.
pub(crate) async fn status(client: &mut Client, schema: &str) -> Result<Status, PostgresError> {
    let transaction =
        client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead).start().await?;
    let applied = history::read(&transaction, schema).await?;
    let mut drift = Vec::new();
    if !applied.is_empty() {
        let made: Vec<String> = applied.iter().flat_map(|migration| migration.objects.iter().cloned()).collect();
        let recorded = structure::recorded(&transaction, schema).await?;
        drift = structure::drift(&recorded, &structure::read(&transaction, &made).await?);
    }
    transaction.rollback().await?;
    Ok(Status { schema: schema.to_owned(), applied: applied.into_iter().map(Entry::from).collect(), drift })
}
