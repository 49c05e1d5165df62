//! The numbers of the dashboard, from the definitions that Power BI's measures come from, equal what PostgreSQL says: the same
//! statements, over tables that it computes from the core tables itself (`notebooks/tests/oracle`).

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Map, Value};
use tokio_postgres::Client;

use crate::{
    lake::{Contracts, oracle},
    place::{Place, copied},
};

/// The spans of time that a reader can choose, as the file of the definitions words them: up to the newest order, and as many
/// days before; a payment may be later.
const RANGES: &str = "ranges as (
    select days, period, newest - oldest as starts, newest - latest as ends
    from (select max(order_date) as newest from daily_sales) e
    cross join (values (30, 'now', 29, -9999), (30, 'before', 59, 30), (90, 'now', 89, -9999), (90, 'before', 179, 90),
                       (0, 'now', 9999, -9999)) s (days, period, oldest, latest))";

/// Compares every number, once the job has run.
pub(crate) async fn agree(place: &Place, database: &Client, contracts: &Contracts, as_of: &str) {
    database.batch_execute("DROP SCHEMA IF EXISTS gold CASCADE; CREATE SCHEMA gold").await.expect("a schema");
    for (table, contract) in contracts {
        let columns: Vec<String> = contract.columns.iter().map(|it| it.stored()).collect();
        let made =
            format!("CREATE TABLE gold.{table} AS SELECT {} FROM ({}) t", columns.join(", "), oracle(table, as_of));
        database.batch_execute(&made).await.expect("a table");
    }
    let numbers = place.run(["--json", "dashboard", "local"]).await.expect("numbers");
    let numbers: Value = serde_json::from_str(&numbers).expect("JSON");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/dashboards/sales.toml");
    let defined: Value = toml::from_str(&fs::read_to_string(file).expect("definitions")).expect("TOML");
    assert_eq!(defined["days"], serde_json::json!([30, 90, 0]), "other spans of time than those above");

    let mut compared = 0;
    for (section, shown) in [("tile", "tiles"), ("visual", "visuals")] {
        for it in defined[section].as_array().expect("a list") {
            let name = it["name"].as_str().expect("a name");
            let mut all = numbers[shown].as_array().expect("a list").iter();
            let answer = &all.find(|it| it["name"] == name).expect("shown")["answer"];
            compared += same(database, name, it["sql"].as_str().expect("a statement"), answer, &[]).await;
        }
    }
    // When a run wrote is nothing that the database knows.
    let freshness = defined["freshness"]["sql"].as_str().expect("a statement");
    compared += same(database, "freshness", freshness, &numbers["freshness"]["answer"], &["newest_gold"]).await;
    assert!(compared > 500, "{compared} numbers are too few");
}

/// Compares the rows of one figure; returns how many numbers they hold.
async fn same(database: &Client, name: &str, sql: &str, answer: &Value, without: &[&str]) -> usize {
    let query = format!(
        "COPY (SELECT row_to_json(t) FROM (WITH {RANGES} SELECT * FROM ({sql}) figure) t) TO STDOUT (FORMAT csv, DELIMITER E'\\x01', \
         QUOTE E'\\x02')"
    );
    database.batch_execute("SET search_path = gold, public").await.expect("set");
    let rows = copied(database, &query).await;
    database.batch_execute("RESET search_path").await.expect("set");
    let expected: Vec<Value> = rows.iter().map(|it| serde_json::from_str(it).expect("JSON")).collect();
    let found = answer["rows"].as_array().unwrap_or_else(|| panic!("{name}: {answer}"));
    let plain = |row: &Value| -> String {
        let row: &Map<String, Value> = row.as_object().expect("a row");
        let mut cells: Vec<String> = row
            .iter()
            .filter(|it| !without.contains(&it.0.as_str()))
            .map(|(column, it)| format!("{column} {}", written(it)))
            .collect();
        cells.sort();
        cells.join(", ")
    };
    let (found, expected): (BTreeSet<_>, BTreeSet<_>) =
        (found.iter().map(plain).collect(), expected.iter().map(plain).collect());
    assert!(!expected.is_empty(), "{name}: PostgreSQL has no rows");
    let difference: Vec<_> = found.symmetric_difference(&expected).take(8).collect();
    assert!(difference.is_empty(), "{name} ({} and {} rows): {difference:#?}", found.len(), expected.len());
    rows.len() * expected.iter().next().map_or(0, |it| it.matches(", ").count() + 1)
}

/// A value in one spelling: numbers to nine digits, times to the second.
fn written(it: &Value) -> String {
    let text = it.as_str().map_or_else(|| it.to_string(), str::to_owned);
    if let Ok(number) = text.parse::<f64>() {
        return format!("{number:.8e}");
    }
    let is_time = text.len() >= 19 && text.as_bytes()[4] == b'-' && text.as_bytes()[13] == b':';
    if is_time { text[..19].replace('T', " ") } else { text }
}
