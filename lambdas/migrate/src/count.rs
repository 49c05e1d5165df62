//! How full the tables are, and why events were rejected. Reads only, and gives up on counting after a while.

use std::collections::BTreeMap;

use database::postgres::{Client, Error as PostgresError, Transaction, error::SqlState};
use serde::Serialize;

/// How long counting may take in all: `PostgreSQL` reads every row for it.
const PATIENCE: &str = "SET LOCAL statement_timeout = '20s'";

/// What the tables of `PostgreSQL`'s schema `public` hold.
#[derive(Debug, Default, Serialize)]
pub struct Counts {
    /// Rows per table; `null` when counting took too long.
    pub tables: BTreeMap<String, Option<i64>>,
    /// Rows of `rejected_events` by `reason`; empty without such a table, or when counting took too long.
    pub rejected: BTreeMap<String, i64>,
}

/// Counts in a transaction that cannot write.
pub(crate) async fn count(client: &mut Client) -> Result<Counts, PostgresError> {
    let transaction = client.build_transaction().read_only(true).start().await?;
    let tables = transaction
        .query(
            "SELECT relname, format('SELECT %L, count(*) FROM %s', relname, c.oid::regclass) FROM pg_class c
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
            &[],
        )
        .await?;
    let mut counts = Counts::default();
    let mut selects: Vec<String> = Vec::with_capacity(tables.len());
    for table in &tables {
        counts.tables.insert(table.try_get(0)?, None);
        selects.push(table.try_get(1)?);
    }
    match fill(&mut counts, &transaction, &selects).await {
        Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
            tracing::warn!("the rows were not counted in time");
        }
        filled => filled?,
    }
    transaction.rollback().await?;
    Ok(counts)
}

async fn fill(counts: &mut Counts, transaction: &Transaction<'_>, selects: &[String]) -> Result<(), PostgresError> {
    if selects.is_empty() {
        return Ok(());
    }
    transaction.batch_execute(PATIENCE).await?;
    for row in transaction.query(&selects.join(" UNION ALL "), &[]).await? {
        counts.tables.insert(row.try_get(0)?, Some(row.try_get(1)?));
    }
    if counts.tables.contains_key("rejected_events") {
        for row in transaction.query("SELECT reason, count(*) FROM public.rejected_events GROUP BY 1", &[]).await? {
            counts.rejected.insert(row.try_get(0)?, row.try_get(1)?);
        }
    }
    Ok(())
}
