//! Migrations against a real `PostgreSQL`: applied once, refused when they do not continue the history, and undone.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::path::Path;

use database::{Database, Settings, Tls};
use lambda_runtime::Diagnostic;
use migrate::{OPTIONS, Request, checksum, handle};
use serde_json::{Value, json};
use testing::Server;

struct Target {
    server: &'static Server,
    name: String,
}

impl Target {
    fn new() -> Self {
        let server = Server::shared().unwrap();
        Self { server, name: server.database().unwrap() }
    }

    fn database(&self) -> Database {
        let settings = Settings {
            host: self.server.host().to_owned(),
            port: 5432,
            name: self.name.clone(),
            secret: "arn:none".to_owned(),
            tls: Tls::Disable,
        };
        Database::new(settings, "test", &OPTIONS).with_credentials("postgres", "")
    }

    /// Invokes the function as Lambda would: JSON in, JSON or a function error out.
    async fn invoke(&self, action: &str, migrations: &[Value]) -> Result<Value, Diagnostic> {
        let request: Request =
            serde_json::from_value(json!({"action": action, "schema": "shop", "migrations": migrations})).unwrap();
        let answer = handle(&mut self.database(), &request).await.map_err(Diagnostic::from)?;
        Ok(serde_json::to_value(answer).unwrap())
    }

    fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql).unwrap()
    }
}

fn migration(version: &str, name: &str, sql: &str) -> Value {
    json!({"version": version, "name": name, "sql": sql, "checksum": checksum(sql)})
}

fn two() -> [Value; 2] {
    [
        migration("0001", "things", "CREATE TABLE things (id int PRIMARY KEY, name text);\n"),
        migration("0002", "index", "CREATE INDEX things_name ON things (name);\nINSERT INTO things VALUES (1, 'a');\n"),
    ]
}

/// The migrations of the repository.
fn shop() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates/migrations/shop");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let migrations = files.iter().map(|file| {
        let (version, name) = file.file_stem().unwrap().to_str().unwrap().split_once('_').unwrap();
        migration(version, name, &std::fs::read_to_string(file).unwrap())
    });
    migrations.collect()
}

#[tokio::test]
async fn applies_what_is_pending_once_and_tells_what_is_there() {
    let target = Target::new();
    let empty = target.invoke("status", &[]).await.unwrap();
    assert_eq!(empty, json!({"schema": "shop", "applied": [], "drift": [], "ran": [], "dropped": []}));
    assert_eq!(target.sql("SELECT to_regnamespace('ecomctl') IS NULL"), "t\n", "status wrote something");

    let [first, second] = two();
    let answer = target.invoke("apply", std::slice::from_ref(&first)).await.unwrap();
    assert_eq!(answer["ran"], json!(["0001"]));
    let answer = target.invoke("apply", &[second.clone(), first.clone()]).await.unwrap();
    assert_eq!(answer["ran"], json!(["0002"]));
    assert_eq!(target.sql("SELECT count(*) FROM things"), "1\n");
    let answer = target.invoke("apply", &[first, second]).await.unwrap();
    assert_eq!((&answer["ran"], &answer["drift"]), (&json!([]), &json!([])));
    let entry = &answer["applied"][1];
    assert_eq!((&entry["version"], &entry["name"]), (&json!("0002"), &json!("index")));
    assert!(entry["sql"].as_str().unwrap().starts_with("CREATE INDEX things_name"), "{entry}");
    assert!(entry["applied_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn an_edited_migration_is_refused_with_the_difference() {
    let target = Target::new();
    let [first, second] = two();
    target.invoke("apply", &[first, second.clone()]).await.unwrap();
    let edited = migration("0001", "things", "CREATE TABLE things (id bigint PRIMARY KEY, name text);\r\n");
    let error = target
        .invoke("apply", &[edited, second, migration("0003", "more", "CREATE TABLE more ();")])
        .await
        .unwrap_err();
    assert_eq!(error.error_type, "MigrationEdited");
    assert!(error.error_message.starts_with("migration 0001_things was applied with another text"), "{error:?}");
    assert!(
        error.error_message.ends_with(
            "-CREATE TABLE things (id int PRIMARY KEY, name text);\n\
             +CREATE TABLE things (id bigint PRIMARY KEY, name text);\n"
        ),
        "{error:?}"
    );
    assert_eq!(target.sql("SELECT to_regclass('more') IS NULL"), "t\n", "nothing runs after a refusal");
}

#[tokio::test]
async fn missing_and_overtaken_migrations_are_refused() {
    let target = Target::new();
    let [first, second] = two();
    target.invoke("apply", &[first.clone(), second.clone()]).await.unwrap();
    let error = target.invoke("apply", std::slice::from_ref(&second)).await.unwrap_err();
    assert_eq!(error.error_type, "MigrationMissing");
    let zero = migration("0000", "late", "CREATE TABLE late ();");
    let error = target.invoke("apply", &[zero, first, second]).await.unwrap_err();
    assert_eq!(error.error_type, "MigrationOutOfOrder");
    assert!(error.error_message.contains("0000_late comes before 0002_index"), "{error:?}");
}

#[tokio::test]
async fn a_failing_migration_names_its_line_and_leaves_nothing_of_itself() {
    let target = Target::new();
    let [first, _] = two();
    let bad = migration("0002", "bad", "CREATE TABLE half (id int);\n\n-- ünïcödé\nINSERT INTO thinks\nVALUES (1);\n");
    let after = migration("0003", "after", "CREATE TABLE later ();");
    let error = target.invoke("apply", &[first.clone(), bad, after]).await.unwrap_err();
    assert_eq!(error.error_type, "MigrationFailed");
    assert_eq!(
        error.error_message,
        "migration 0002_bad line 4: relation \"thinks\" does not exist (SQLSTATE 42P01)\n    4 | INSERT INTO thinks"
    );
    let answer = target.invoke("count", &[]).await.unwrap();
    assert_eq!((&answer["applied"][1], &answer["tables"]), (&Value::Null, &json!({"things": 0})));

    let sneaky = migration("0002", "sneaky", "CREATE TABLE half (id int); COMMIT;");
    let error = target.invoke("apply", &[first, sneaky]).await.unwrap_err();
    assert!(error.error_message.contains("it ends the transaction that it runs in"), "{error:?}");
}

#[tokio::test]
async fn changes_by_other_hands_are_named() {
    let target = Target::new();
    target.invoke("apply", &shop()).await.unwrap();
    assert_eq!(target.invoke("status", &[]).await.unwrap()["drift"], json!([]));
    target.sql(
        "ALTER TABLE orders ALTER COLUMN status DROP NOT NULL; DROP INDEX payments_ingested_at;
         DROP TABLE rejected_events;         ALTER TABLE customers DISABLE TRIGGER stamp; CREATE TABLE mine ();",
    );
    let answer = target.invoke("status", &[]).await.unwrap();
    let drift: Vec<_> = answer["drift"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["object"].as_str().unwrap(), d["found"].as_str()))
        .collect();
    let expected = [
        ("column status on public.orders", Some("text")),
        ("index payments_ingested_at on public.payments", None),
        ("table public.rejected_events", None),
        (
            "trigger stamp on public.customers",
            Some(
                "CREATE TRIGGER stamp BEFORE UPDATE ON public.customers FOR EACH ROW EXECUTE \
                 FUNCTION stamp_ingested_at() (enabled: D)",
            ),
        ),
    ];
    assert_eq!(drift, expected);
}

#[tokio::test]
async fn rows_are_counted_and_rejected_events_by_reason() {
    let target = Target::new();
    assert_eq!(target.invoke("count", &[]).await.unwrap()["tables"], json!({}));
    target.invoke("apply", &shop()).await.unwrap();
    target.sql(
        r#"INSERT INTO rejected_events (topic, partition, "offset", payload, reason, detail)
           SELECT 'orders', 0, n, '', CASE n WHEN 1 THEN 'not_json' ELSE 'bad_amount' END, '' FROM generate_series(1, 3) n"#,
    );
    let answer = target.invoke("count", &[]).await.unwrap();
    assert_eq!((&answer["tables"]["rejected_events"], &answer["tables"]["orders"]), (&json!(3), &json!(0)));
    assert_eq!(answer["rejected"], json!({"not_json": 1, "bad_amount": 2}));
}

#[tokio::test]
async fn drop_removes_what_was_made_and_nothing_else() {
    let target = Target::new();
    target.sql("CREATE TABLE mine (id int)");
    target.invoke("apply", &shop()).await.unwrap();
    target.sql("CREATE VIEW report AS SELECT customer_id FROM customers");
    let error = target.invoke("drop", &[]).await.unwrap_err();
    assert_eq!(error.error_type, "DatabaseFailed");
    assert!(error.error_message.contains("view report depends on table customers"), "{error:?}");
    assert_eq!(target.invoke("status", &[]).await.unwrap()["applied"].as_array().unwrap().len(), shop().len());

    target.sql("DROP VIEW report");
    let answer = target.invoke("drop", &[]).await.unwrap();
    assert!(answer["dropped"].as_array().unwrap().contains(&json!("table public.customers")));
    assert_eq!(answer["applied"], json!([]));
    assert_eq!(target.invoke("count", &[]).await.unwrap()["tables"], json!({"mine": 0}));
    assert_eq!(target.sql("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"), "0\n");
    assert_eq!(target.invoke("drop", &[]).await.unwrap()["dropped"], json!([]));
    assert_eq!(target.invoke("apply", &shop()).await.unwrap()["ran"].as_array().unwrap().len(), shop().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_at_the_same_time_apply_each_migration_once() {
    let target = std::sync::Arc::new(Target::new());
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let target = std::sync::Arc::clone(&target);
        running.spawn(async move { target.invoke("apply", &shop()).await.unwrap()["ran"].as_array().unwrap().len() });
    }
    assert_eq!(running.join_all().await.iter().sum::<usize>(), shop().len());
}

#[tokio::test]
async fn a_database_that_is_gone_is_told_from_one_that_cannot_be_reached() {
    let gone = Target { name: "never_made".to_owned(), ..Target::new() };
    for action in ["status", "drop"] {
        let error = gone.invoke(action, &[]).await.unwrap_err();
        assert_eq!(error.error_type, "DatabaseMissing", "{}", error.error_message);
    }
}
