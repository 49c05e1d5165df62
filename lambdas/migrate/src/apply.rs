//! Runs pending migrations, and undoes all that were run.

use std::time::Instant;

use database::postgres::{Client, Error as PostgresError, Transaction, error::ErrorPosition};

use crate::{
    Error,
    error::describe,
    history,
    migration::{Migration, normalise, pending},
    structure,
};

/// Applies what is pending, each in a transaction of its own, and returns the versions that were run. A refusal comes
/// before anything runs.
pub(crate) async fn apply(client: &mut Client, schema: &str, given: &[Migration]) -> Result<Vec<String>, Error> {
    history::lock(client).await?;
    history::create(client).await?;
    let applied = history::read(client, schema).await?;
    let pending = pending(&applied, given)?;
    let mut ran = Vec::with_capacity(pending.len());
    for migration in pending {
        run(client, schema, migration).await?;
        tracing::info!("applied migration {}", migration.title());
        ran.push(migration.version.clone());
    }
    history::unlock(client).await?;
    Ok(ran)
}

/// Removes what the migrations made and their history, in one transaction, and returns the objects. Nothing that
/// others made goes along: where such a thing depends on ours, `PostgreSQL` refuses and names it.
pub(crate) async fn drop(client: &mut Client, schema: &str) -> Result<Vec<String>, Error> {
    // Dependents before what they depend on; within a kind, one statement takes all at once.
    const KINDS: [(&str, &str); 10] = [
        ("view", "VIEW"),
        ("materialized view", "MATERIALIZED VIEW"),
        ("foreign table", "FOREIGN TABLE"),
        ("table", "TABLE"),
        ("sequence", "SEQUENCE"),
        ("procedure", "PROCEDURE"),
        ("aggregate", "AGGREGATE"),
        ("function", "FUNCTION"),
        ("type", "TYPE"),
        ("schema", "SCHEMA"),
    ];
    history::lock(client).await?;
    let applied = history::read(client, schema).await?;
    let made: Vec<String> = applied.into_iter().flat_map(|migration| migration.objects).collect();
    let transaction = client.transaction().await?;
    let existing = structure::objects(&transaction).await?;
    let mut dropped: Vec<String> = made.into_iter().filter(|object| existing.contains(object)).collect();
    dropped.sort();
    dropped.dedup();
    for (kind, keyword) in KINDS {
        let names: Vec<&str> =
            dropped.iter().filter_map(|object| object.strip_prefix(kind)?.strip_prefix(' ')).collect();
        if !names.is_empty() {
            transaction.batch_execute(&format!("DROP {keyword} {}", names.join(", "))).await?;
        }
    }
    let has_history =
        transaction.query_one("SELECT to_regclass('ecomctl.ecomctl_migrations') IS NOT NULL", &[]).await?;
    if has_history.try_get(0)? {
        history::forget(&transaction, schema).await?;
    }
    transaction.commit().await?;
    history::unlock(client).await?;
    Ok(dropped)
}

async fn run(client: &mut Client, schema: &str, migration: &Migration) -> Result<(), Error> {
    let begun = Instant::now();
    let transaction = client.transaction().await?;
    let before = structure::objects(&transaction).await?;
    let own = transaction_id(&transaction).await?;
    let text = normalise(&migration.sql);
    transaction.batch_execute(&text).await.map_err(|error| failed(migration, &text, &error))?;
    if transaction_id(&transaction).await? != own {
        return Err(Error::Failed {
            migration: migration.title(),
            place: String::new(),
            problem: "it ends the transaction that it runs in; take its COMMIT or ROLLBACK out".to_owned(),
        });
    }
    // What a migration set for itself must not reach the next one.
    transaction.batch_execute("RESET ALL").await?;
    let after = structure::objects(&transaction).await?;
    let made: Vec<String> = after.into_iter().filter(|object| !before.contains(object)).collect();
    let took = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
    history::record(&transaction, schema, migration, took, &made).await?;
    let all: Vec<String> = history::read(&transaction, schema).await?.into_iter().flat_map(|m| m.objects).collect();
    let shape = structure::read(&transaction, &all).await?;
    structure::record(&transaction, schema, &shape).await?;
    transaction.commit().await?;
    Ok(())
}

async fn transaction_id(transaction: &Transaction<'_>) -> Result<String, PostgresError> {
    transaction.query_one("SELECT pg_current_xact_id()::text", &[]).await?.try_get(0)
}

/// The error with its line, counted in the file, and the line itself.
fn failed(migration: &Migration, text: &str, error: &PostgresError) -> Error {
    let position = error.as_db_error().and_then(|server| match server.position() {
        Some(ErrorPosition::Original(position)) => Some(*position as usize),
        _ => None,
    });
    let line = position.map(|position| text.chars().take(position - 1).filter(|c| *c == '\n').count() + 1);
    let quoted = line.and_then(|line| Some(format!("\n{line:>5} | {}", text.lines().nth(line - 1)?)));
    Error::Failed {
        migration: migration.title(),
        place: line.map(|line| format!(" line {line}")).unwrap_or_default(),
        problem: format!("{}{}", describe(error), quoted.unwrap_or_default()),
    }
}
