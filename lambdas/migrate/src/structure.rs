//! What the database's catalogue holds: the objects that a migration made, and the shape they have now, so that a
//! change made by hand is seen and named.

use std::collections::BTreeMap;

use database::postgres::{Error as PostgresError, GenericClient};
use serde::Serialize;

/// Definitions by object: `column status on public.orders` → `text NOT NULL`.
pub(crate) type Structure = BTreeMap<String, String>;

/// One difference between the structure that the last run left and the present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// What it is about, such as `index public.orders_ingested_at on public.orders`.
    pub object: String,
    /// Its definition after the last run; `None` when it did not exist.
    pub recorded: Option<String>,
    /// Its definition now; `None` when it is gone.
    pub found: Option<String>,
}

/// Every object of the database that a migration may have made, such as `table public.orders`. Leaves out what belongs
/// to extensions, to `PostgreSQL` and to the history.
pub(crate) async fn objects(client: &impl GenericClient) -> Result<Vec<String>, PostgresError> {
    let rows = client.query(include_str!("structure/objects.sql"), &[]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// The present shape of these objects and of all that hangs on them.
pub(crate) async fn read(client: &impl GenericClient, objects: &[String]) -> Result<Structure, PostgresError> {
    let rows = client.query(include_str!("structure/definitions.sql"), &[&objects]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Writes down the shape that a run leaves.
pub(crate) async fn record(
    client: &impl GenericClient,
    schema: &str,
    structure: &Structure,
) -> Result<(), PostgresError> {
    client.execute("DELETE FROM ecomctl.ecomctl_structure WHERE schema = $1", &[&schema]).await?;
    let (objects, definitions): (Vec<&String>, Vec<&String>) = structure.iter().unzip();
    let sql = "INSERT INTO ecomctl.ecomctl_structure (schema, object, definition)
               SELECT $1, object, definition FROM unnest($2::text[], $3::text[]) AS s(object, definition)";
    client.execute(sql, &[&schema, &objects, &definitions]).await.map(drop)
}

/// The shape that the last run left.
pub(crate) async fn recorded(client: &impl GenericClient, schema: &str) -> Result<Structure, PostgresError> {
    let sql = "SELECT object, definition FROM ecomctl.ecomctl_structure WHERE schema = $1";
    let rows = client.query(sql, &[&schema]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// What differs, by object. Of a table that is gone only the table is named, not all that hung on it.
pub(crate) fn drift(recorded: &Structure, found: &Structure) -> Vec<Drift> {
    let gone: Vec<String> = recorded
        .keys()
        .filter(|object| !found.contains_key(*object))
        .filter_map(|object| object.strip_prefix("table "))
        .map(|table| format!(" on {table}"))
        .collect();
    let mut names: Vec<&String> = recorded.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|object| recorded.get(*object) != found.get(*object))
        .filter(|object| !gone.iter().any(|table| object.ends_with(table)))
        .map(|object| Drift {
            object: object.clone(),
            recorded: recorded.get(object).cloned(),
            found: found.get(object).cloned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_differs_and_a_lost_table_once() {
        let structure = |pairs: &[(&str, &str)]| -> Structure {
            pairs.iter().map(|(object, definition)| ((*object).to_owned(), (*definition).to_owned())).collect()
        };
        let recorded = structure(&[
            ("table public.a", ""),
            ("column x on public.a", "text"),
            ("table public.b", ""),
            ("column x on public.b", "text"),
        ]);
        let found =
            structure(&[("table public.b", ""), ("column x on public.b", "integer"), ("column y on public.b", "text")]);
        let said: Vec<_> =
            drift(&recorded, &found).into_iter().map(|d| (d.object, d.recorded.is_some(), d.found.is_some())).collect();
        let expected = [
            ("column x on public.b", true, true),
            ("column y on public.b", false, true),
            ("table public.a", true, false),
        ];
        assert_eq!(said, expected.map(|(object, was, is)| (object.to_owned(), was, is)));
        assert_eq!(drift(&recorded, &recorded), []);
    }
}
