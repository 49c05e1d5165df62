//! From rows to answers: the job's gold tables, as SQL reads them from the lake, equal what PostgreSQL computes from the
//! core tables with queries that share no code with the job (`notebooks/tests/oracle`). So do the dashboard's numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use ecomctl::client::aws::{Aws, Target};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::Client;

use crate::{
    figures,
    order::turn,
    place::{PATIENCE, Place, UNTIL, copied},
    watched,
};

/// The lake of the stack `local`.
const BUCKET: &str = "local-lake-000000000000";

/// The contracts of tables, by name.
pub(crate) type Contracts = BTreeMap<String, Contract>;

/// A table of a contract, as far as it matters here.
#[derive(Deserialize)]
pub(crate) struct Contract {
    pub(crate) columns: Vec<Column>,
}

#[derive(Deserialize)]
pub(crate) struct Column {
    name: String,
    r#type: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn gold_is_what_the_database_says() {
    let _turn = turn().await;
    let place = Place::up().await;
    let database = place.database().await;
    database.batch_execute(&text("tests/oracle/paid_orders.sql")).await.expect("a view");

    produce(&place, "10000", "7").await;
    let first = medallion(&place).await;
    agree(&place, &database, &first).await;
    let written = commits(&place).await;
    assert!(written.len() >= 10, "{written:?}");

    medallion(&place).await;
    assert_eq!(commits(&place).await, written, "a run without news writes nothing");

    produce(&place, "500", "8").await;
    // Somebody pays late, and an order changes.
    let newer = "updated_at = updated_at + interval '1 day', event_id = gen_random_uuid()";
    let change = format!(
        "UPDATE payments SET status = 'refunded', outcome = 'returned', {newer}
             WHERE payment_id IN (SELECT payment_id FROM payments WHERE status = 'succeeded' ORDER BY 1 LIMIT 50);
         UPDATE order_details SET quantity = quantity + 1, {newer}
             WHERE order_id IN (SELECT order_id FROM orders ORDER BY 1 LIMIT 50);"
    );
    database.batch_execute(&change).await.expect("changed");
    let second = medallion(&place).await;
    agree(&place, &database, &second).await;
    let contracts = serde_json::from_str(&text("src/ecom_pipeline/contracts/gold.json")).expect("contracts");
    figures::agree(&place, &database, &contracts, &second).await;

    let failed = place.run(["query", "local", "select * from gold.daily_sale"]).await.expect_err("no such table");
    assert!(failed.contains("daily_sale") && failed.contains("does not exist"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_task_fails_the_run_and_says_why_and_people_are_told() {
    let _turn = turn().await;
    let place = Place::up().await;
    let wrong = "jdbc_url=jdbc:postgresql://127.0.0.1:9/nowhere";
    let failed = place.run(["run", "local", "medallion", "--parameter", wrong]).await.expect_err("no database there");
    for part in ["run::failed", "task bronze", "Traceback", "ecomctl logs local job.medallion"] {
        assert!(failed.contains(part), "no `{part}` in:\n{failed}");
    }
    let logs = place.run(["logs", "local", "job.medallion"]).await.expect("logs");
    assert!(logs.lines().any(|it| it.starts_with("bronze")), "{logs}");
    watched::a_failed_run_is_told_at_once_and_once(&place).await;
    watched::nothing_went_off_but(&place, &["local-medallion-failed"]).await;
}

async fn produce(place: &Place, orders: &str, seed: &str) {
    place.run(["produce", "local", "--until", UNTIL, "--orders", orders, "--seed", seed]).await.expect("sent");
    place.settle(PATIENCE).await;
}

/// Runs the job as of now, and returns when that was.
async fn medallion(place: &Place) -> String {
    let now = Timestamp::now().to_string();
    let ended = place.run(["--json", "run", "local", "medallion", "--as-of", &now]).await.expect("ends well");
    let ended: Value = serde_json::from_str(&ended).expect("JSON");
    assert_eq!((&ended["result"], ended["tasks"].as_array().map(Vec::len)), (&"SUCCESS".into(), Some(3)));
    now
}

/// Compares every gold table, read through Athena's API, with the oracle's.
async fn agree(place: &Place, database: &Client, as_of: &str) {
    let contracts: Contracts =
        serde_json::from_str(&text("src/ecom_pipeline/contracts/gold.json")).expect("a contract");
    assert_eq!(contracts.len(), 6);
    for (table, contract) in &contracts {
        // It tells of the runs, not of the orders.
        let columns: Vec<_> = contract.columns.iter().filter(|it| it.name != "gold_at").collect();
        let names: Vec<_> = columns.iter().map(|it| it.name.as_str()).collect();
        let sql = format!("select {} from gold.{table}", names.join(", "));
        let found = place.run(["query", "local", &sql, "--csv", "--limit", "0"]).await.expect("rows");
        let found: BTreeSet<_> = found.lines().skip(1).map(str::to_owned).collect();

        let shown: Vec<_> = columns.iter().map(|it| it.shown()).collect();
        let oracle = oracle(table, as_of);
        let expected = copied(
            database,
            &format!("COPY (SELECT {} FROM ({oracle}) AS oracle) TO STDOUT (FORMAT csv)", shown.join(", ")),
        )
        .await;
        let expected: BTreeSet<_> = expected.into_iter().collect();
        assert!(!expected.is_empty(), "{table}: the oracle has no rows");
        let difference: Vec<_> = found.symmetric_difference(&expected).take(8).collect();
        assert!(difference.is_empty(), "{table} ({} and {} rows): {difference:#?}", found.len(), expected.len());
    }
}

/// Returns the query by which PostgreSQL says what a table of gold holds.
pub(crate) fn oracle(table: &str, as_of: &str) -> String {
    let oracle = text(&format!("tests/oracle/{table}.sql")).replace("$1", &format!("'{as_of}'"));
    oracle.trim_end().trim_end_matches(';').to_owned()
}

impl Column {
    /// What PostgreSQL keeps of the column: values as the lake does. When a run wrote is nothing that it knows.
    pub(crate) fn stored(&self) -> String {
        let Self { name, r#type } = self;
        match (name.as_str(), r#type.strip_prefix("decimal")) {
            ("gold_at", _) => "now() AS gold_at".to_owned(),
            (_, Some(scale)) => format!("{name}::numeric{scale} AS {name}"),
            (_, None) => name.clone(),
        }
    }

    /// How PostgreSQL writes the column as Athena does.
    fn shown(&self) -> String {
        let Self { name, r#type } = self;
        match r#type.as_str() {
            "boolean" => format!("{name}::text"),
            "timestamp" => format!("to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') || ' UTC'"),
            it => match it.strip_prefix("decimal") {
                Some(scale) => format!("{name}::numeric{scale}"),
                None => name.clone(),
            },
        }
    }
}

/// Lists the commits of all silver and gold tables.
async fn commits(place: &Place) -> BTreeSet<String> {
    let endpoint = Some(place.endpoints().await.gateway);
    let keys = Some(("000000000000".to_owned(), "test".to_owned()));
    let aws = Aws::connect(&Target { region: "us-east-1".into(), endpoint, keys }).await;
    let mut found = BTreeSet::new();
    for layer in ["silver/", "gold/"] {
        let pages = aws.s3().list_objects_v2().bucket(BUCKET).prefix(layer).into_paginator().send();
        for page in pages.try_collect().await.expect("a list") {
            let keys = page.contents.unwrap_or_default().into_iter().filter_map(|it| it.key);
            let is_json = |it: &str| Path::new(it).extension().is_some_and(|it| it == "json");
            found.extend(keys.filter(|it| it.contains("/_delta_log/") && is_json(it)));
        }
    }
    found
}

/// Reads a text of the notebooks.
fn text(path: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("notebooks").join(path);
    fs::read_to_string(path).expect("a text")
}
