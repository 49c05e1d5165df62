//! What is applied, what differs from it, and how full the tables are. Reads only.

use std::collections::BTreeMap;

use database::postgres::{Client, Error as PostgresError, IsolationLevel, error::SqlState};
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
    /// Rows per table of `PostgreSQL`'s schema `public`; `null` when counting took too long.
    pub tables: BTreeMap<String, Option<i64>>,
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
    /// RFC 3339, UTC.
    pub applied_at: String,
}

impl From<Applied> for Entry {
    fn from(Applied { version, name, checksum, applied_at, .. }: Applied) -> Self {
        Self { version, name, checksum, applied_at }
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
    let tables = counts(client).await?;
    Ok(Status { schema: schema.to_owned(), applied: applied.into_iter().map(Entry::from).collect(), drift, tables })
}

async fn counts(client: &mut Client) -> Result<BTreeMap<String, Option<i64>>, PostgresError> {
    let transaction = client.build_transaction().read_only(true).start().await?;
    let tables = transaction
        .query(
            "SELECT relname, format('SELECT %L, count(*) FROM %s', relname, c.oid::regclass) FROM pg_class c
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
            &[],
        )
        .await?;
    let mut counts = BTreeMap::new();
    let mut selects: Vec<String> = Vec::with_capacity(tables.len());
    for table in &tables {
        counts.insert(table.try_get(0)?, None);
        selects.push(table.try_get(1)?);
    }
    if selects.is_empty() {
        return Ok(counts);
    }
    transaction.batch_execute("SET LOCAL statement_timeout = '20s'").await?;
    match transaction.query(&selects.join(" UNION ALL "), &[]).await {
        Ok(rows) => {
            for row in &rows {
                counts.insert(row.try_get(0)?, Some(row.try_get(1)?));
            }
        }
        Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
            tracing::warn!("the rows were not counted within 20 seconds");
        }
        Err(error) => return Err(error),
    }
    transaction.rollback().await?;
    Ok(counts)
}
