//! The history of what was applied, in a schema of `PostgreSQL` of its own, and the lock that lets one run at a time
//! write it.

use database::postgres::{Client, Error as PostgresError, GenericClient, error::SqlState};

use crate::{
    Error,
    migration::{Applied, Migration, checksum, normalise},
};

/// The first number is this function's own, the second says what the lock is for.
const LOCK: &str = "SELECT pg_advisory_lock(1701015405, 100)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(1701015405, 100)";

const CREATE: &str = "
    CREATE SCHEMA IF NOT EXISTS ecomctl;
    CREATE TABLE IF NOT EXISTS ecomctl.ecomctl_migrations (
        schema      text        NOT NULL,
        version     text        NOT NULL,
        name        text        NOT NULL,
        checksum    text        NOT NULL,
        body        text        NOT NULL,
        applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        duration_ms bigint      NOT NULL,
        objects     text[]      NOT NULL,
        PRIMARY KEY (schema, version)
    );
    CREATE TABLE IF NOT EXISTS ecomctl.ecomctl_structure (
        schema     text NOT NULL,
        object     text NOT NULL,
        definition text NOT NULL,
        PRIMARY KEY (schema, object)
    );";

/// Waits until no other run migrates this database. The lock goes with the connection.
pub(crate) async fn lock(client: &Client) -> Result<(), Error> {
    client.batch_execute(LOCK).await.map_err(|error| match error.code() {
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => Error::Locked,
        _ => Error::Database(error),
    })
}

/// Lets the next run begin, without waiting for this connection to close.
pub(crate) async fn unlock(client: &Client) -> Result<(), PostgresError> {
    client.batch_execute(UNLOCK).await
}

/// Creates the tables of the history where they are missing.
pub(crate) async fn create(client: &Client) -> Result<(), PostgresError> {
    // `IF NOT EXISTS` tells of what exists, at every run; that is no news.
    client.batch_execute("SET client_min_messages = warning").await?;
    client.batch_execute(CREATE).await
}

/// What was applied under this name, oldest first; nothing when there is no history yet. Creates nothing.
pub(crate) async fn read(client: &impl GenericClient, schema: &str) -> Result<Vec<Applied>, PostgresError> {
    let exists = client.query_one("SELECT to_regclass('ecomctl.ecomctl_migrations') IS NOT NULL", &[]).await?;
    if !exists.try_get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    let sql = r#"SELECT version, name, checksum, body, objects,
            to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        FROM ecomctl.ecomctl_migrations WHERE schema = $1 ORDER BY version::numeric"#;
    let rows = client.query(sql, &[&schema]).await?;
    let applied = rows.iter().map(|row| {
        Ok(Applied {
            version: row.try_get(0)?,
            name: row.try_get(1)?,
            checksum: row.try_get(2)?,
            body: row.try_get(3)?,
            objects: row.try_get(4)?,
            applied_at: row.try_get(5)?,
        })
    });
    applied.collect()
}

/// Writes down that a migration was applied, how long it took, and which objects it made.
pub(crate) async fn record(
    client: &impl GenericClient,
    schema: &str,
    migration: &Migration,
    duration_ms: i64,
    objects: &[String],
) -> Result<(), PostgresError> {
    let sql = "INSERT INTO ecomctl.ecomctl_migrations (schema, version, name, checksum, body, duration_ms, objects)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Migration { version, name, sql: body, .. } = migration;
    let (checksum, body) = (checksum(body), normalise(body));
    client.execute(sql, &[&schema, version, name, &checksum, &body, &duration_ms, &objects]).await.map(drop)
}

/// Forgets everything that was applied under this name.
pub(crate) async fn forget(client: &impl GenericClient, schema: &str) -> Result<(), PostgresError> {
    client.execute("DELETE FROM ecomctl.ecomctl_migrations WHERE schema = $1", &[&schema]).await?;
    client.execute("DELETE FROM ecomctl.ecomctl_structure WHERE schema = $1", &[&schema]).await.map(drop)
}
