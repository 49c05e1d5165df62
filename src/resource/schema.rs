//! The tables of a database, as versioned migrations that a function applies from inside the network.

use std::{collections::BTreeMap, path::Path, time::Duration};

use aws_sdk_lambda::{
    config::{Config, retry::RetryConfig, timeout::TimeoutConfig},
    primitives::Blob,
};
use futures::future::{join, join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Database, Desired, Error as KindError, Field, Function, Identity, Objection, Outputs, Ownership, Phase,
    Resource, Result, Scope, database, function::LIVE,
};
use crate::{
    address::{Name, Ref},
    client::{Error, Reason},
};

mod migration;

use migration::Migration;

/// The tables of a database. Migrations only ever go forward: what was applied is neither edited nor removed.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The database that holds the tables. Cannot be changed.
    pub database: Ref<Database>,
    /// The function that applies the migrations.
    pub function: Ref<Function>,
    /// The folder of migrations below `templates/`: files named `<version>_<name>.sql`, applied by version.
    pub migrations: String,
}

/// What a database says of its migrations.
#[derive(Debug)]
pub struct LiveSchema {
    database: String,
    applied: Vec<Applied>,
    drift: Vec<Drift>,
    /// The stack that the database's tags name.
    stack: Option<String>,
    /// Why the function could not say: what is applied is not known then, and mending the function comes first.
    unanswered: Option<String>,
}

/// One applied migration.
#[derive(Clone, Debug, Deserialize)]
struct Applied {
    version: String,
    checksum: String,
    /// Its text, where the function keeps it.
    #[serde(default)]
    sql: Option<String>,
}

/// One object of the database that is not as the migrations left it.
#[derive(Clone, Debug, Deserialize)]
struct Drift {
    object: String,
    recorded: Option<String>,
    found: Option<String>,
}

/// What the function answers to every action: how the database is afterwards.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    applied: Vec<Applied>,
    #[serde(default)]
    drift: Vec<Drift>,
}

/// How the function says that it failed: "Lambda function errors" in the developer guide.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Failure {
    error_type: String,
    error_message: String,
}

impl Resource for Schema {
    const FIELDS: &'static [(&'static str, Field)] = &[("database", Field::Immutable), ("function", Field::WriteOnly)];
    const DATA_BEARING: bool = true;
    const PATIENCE: Duration = Duration::from_secs(15 * 60);
    const LISTED: bool = false;
    const OUTPUTS: &'static [&'static str] = &["version"];
    type Live = LiveSchema;

    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        format!("{}/{}/{name}", scope.physical_of(&self.function), scope.physical_of(&self.database))
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let migrations = self.files(cx)?;
        let checksums: BTreeMap<_, _> = migrations.into_iter().map(|it| (it.version, it.checksum)).collect();
        Ok(Desired::of(self)
            .with("database", cx.scope.physical_of(&self.database))
            .with("function", cx.scope.physical_of(&self.function))
            .with("migrations", json!(checksums))
            .with("structure", json!({})))
    }

    /// Asks the function, and RDS for the databases: without its database a schema is gone, whatever the function says.
    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveSchema>>> {
        let parts: Vec<_> = names.iter().map(|it| Parts::of(&it.physical)).collect();
        let databases = database::find(cx, parts.iter().map(|it| it.database.to_owned()).collect());
        let answers = join_all(parts.iter().map(|it| it.status(cx)));
        let (databases, answers) = join(databases, answers).await;
        let live =
            |((parts, database), answer): ((&Parts<'_>, Option<database::LiveDatabase>), Result<Option<Answer>>)| {
                let Some(database) = database else { return Ok(None) };
                let answer = match answer {
                    Ok(it) => it,
                    // A database that is only being made holds nothing, and cannot be asked.
                    Err(_) if !matches!(Database::phase(&database), Phase::Ready) => None,
                    Err(err) if is_missing(&err) => None,
                    Err(KindError::Client(err)) if err.reason == Reason::Other => {
                        let (database, stack) = (parts.database.to_owned(), database.stack());
                        let unanswered = Some(err.message);
                        return Ok(Some(LiveSchema { database, applied: vec![], drift: vec![], stack, unanswered }));
                    }
                    Err(err) => return Err(err),
                };
                let live = |Answer { applied, drift }| LiveSchema {
                    database: parts.database.to_owned(),
                    applied,
                    drift,
                    stack: database.stack(),
                    unanswered: None,
                };
                Ok(answer.filter(|it| !it.applied.is_empty()).map(live))
            };
        parts.iter().zip(databases?).zip(answers).map(live).collect()
    }

    fn phase(live: &LiveSchema) -> Phase {
        live.unanswered.clone().map_or(Phase::Ready, Phase::Unreadable)
    }

    fn observed(live: &LiveSchema) -> Value {
        if live.unanswered.is_some() {
            return json!({});
        }
        let checksums: BTreeMap<_, _> = live.applied.iter().map(|it| (&it.version, &it.checksum)).collect();
        let structure: BTreeMap<_, _> = live.drift.iter().map(|it| (&it.object, it.to_string())).collect();
        json!({ "database": live.database, "migrations": checksums, "structure": structure })
    }

    fn identity(live: &LiveSchema) -> Identity {
        Identity { id: None, ownership: Ownership::Inherited(live.stack.clone()) }
    }

    fn outputs(live: &LiveSchema) -> Outputs {
        let newest = live.applied.iter().map(|it| &it.version).max();
        newest.into_iter().map(|it| ("version", it.clone())).collect()
    }

    fn objections(&self, cx: &Cx, live: &LiveSchema, changes: &[Change]) -> Vec<Objection> {
        let files = self.files(cx).unwrap_or_default();
        let newest = live.applied.iter().map(|it| it.version.as_str()).max().unwrap_or_default();
        let object = |change: &Change| {
            if let Some(object) = change.field.strip_prefix("structure.") {
                let drift = live.drift.iter().find(|it| it.object == object)?;
                return Some(Objection {
                    field: change.field.clone(),
                    reason: format!("{object} is not as the migrations left it: {drift}"),
                    help: "undo the change in the database; to keep it, undo it and make it a new migration".into(),
                });
            }
            let version = change.field.strip_prefix("migrations.")?;
            let file = files.iter().find(|it| it.version == version);
            let applied = live.applied.iter().find(|it| it.version == version);
            let (reason, help) = match (file, applied) {
                (Some(file), Some(applied)) => (
                    format!("migration {version} was edited after it was applied{}", difference(applied, file)),
                    "put it back, and make the change in a new migration",
                ),
                (None, _) => (
                    format!("migration {version} is applied, and missing from `{}`", self.migrations),
                    "put the file back; to undo what it did, add a new migration",
                ),
                (Some(_), None) if version < newest => (
                    format!("migration {version} comes before {newest}, which is applied already"),
                    "give it a later version",
                ),
                (Some(_), None) => return None,
            };
            Some(Objection { field: change.field.clone(), reason, help: help.into() })
        };
        changes.iter().filter_map(object).collect()
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        self.apply(cx, name).await
    }

    async fn update(&self, cx: &Cx, name: &Name, _live: &LiveSchema, _changes: &[Change]) -> Result<()> {
        self.apply(cx, name).await
    }

    async fn delete(cx: &Cx, name: &Name, _live: &LiveSchema) -> Result<()> {
        let parts = Parts::of(&name.physical);
        let request = json!({ "action": "drop", "schema": parts.schema });
        match parts.invoke(cx, parts.function, &request).await {
            Err(err) if is_missing(&err) => Ok(()),
            // The function cannot reach what is not there any more.
            Err(err) => {
                match database::find(cx, [parts.database.to_owned()].into()).await?.into_iter().flatten().next() {
                    None => Ok(()),
                    Some(_) => Err(err),
                }
            }
            Ok(_) => Ok(()),
        }
    }
}

/// Says whether the database itself is gone, and the schema with it.
fn is_missing(err: &KindError) -> bool {
    matches!(err, KindError::Client(it) if it.reason == Reason::Missing)
}

impl Schema {
    fn files(&self, cx: &Cx) -> Result<Vec<Migration>> {
        migration::read(&cx.templates, Path::new(&self.migrations))
    }

    /// Applies what is not applied yet; the function holds a lock meanwhile, and applies nothing twice.
    async fn apply(&self, cx: &Cx, name: &Name) -> Result<()> {
        let parts = Parts::of(&name.physical);
        let request = json!({ "action": "apply", "schema": parts.schema, "migrations": self.files(cx)? });
        let function = cx.scope.physical_of(&self.function);
        match parts.invoke(cx, &function, &request).await? {
            Some(_) => Ok(()),
            None => Err(KindError::NotReady(self.function.address())),
        }
    }
}

/// The parts of a physical name.
struct Parts<'a> {
    function: &'a str,
    database: &'a str,
    schema: &'a str,
}

impl<'a> Parts<'a> {
    fn of(physical: &'a str) -> Self {
        let mut parts = physical.splitn(3, '/');
        let mut next = || parts.next().unwrap_or_default();
        Self { function: next(), database: next(), schema: next() }
    }

    async fn status(&self, cx: &Cx) -> Result<Option<Answer>> {
        self.invoke(cx, self.function, &json!({ "action": "status", "schema": self.schema })).await
    }

    /// Invokes the function and reads its answer; `None` when there is no such function.
    async fn invoke(&self, cx: &Cx, function: &str, request: &Value) -> Result<Option<Answer>> {
        // A migration may take as long as a function may, and is not to be begun again behind its own back.
        let patient = TimeoutConfig::builder().operation_attempt_timeout(Schema::PATIENCE).build();
        let once = Config::builder().timeout_config(patient).retry_config(RetryConfig::disabled());
        let call =
            cx.aws.lambda().invoke().function_name(function).qualifier(LIVE).payload(Blob::new(request.to_string()));
        let call = call.customize();
        let call = if request["action"] == "status" { call } else { call.config_override(once) };
        let sent = call.send().await.map_err(Error::aws("lambda", "Invoke"));
        let Some(answer) = Error::missing_is_none(sent)? else { return Ok(None) };
        let payload = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        if answer.function_error().is_some() {
            let failure: Failure = serde_json::from_slice(payload).unwrap_or_default();
            return Err(failure.explain(function));
        }
        let unusable = |err| KindError::Unusable(format!("{function} answered what cannot be read: {err}"));
        serde_json::from_slice(payload).map(Some).map_err(unusable)
    }
}

impl Failure {
    fn explain(self, function: &str) -> KindError {
        let Self { error_type, error_message } = self;
        match error_type.as_str() {
            // Whose message says what to do, and may have a difference below.
            "MigrationEdited" | "MigrationMissing" | "MigrationOutOfOrder" | "MigrationMalformed" => {
                KindError::Refused {
                    message: error_message,
                    help: "nothing was applied; mend the migrations and run `ecomctl up` again".into(),
                }
            }
            "MigrationFailed" => KindError::Refused {
                message: error_message,
                help: "those before it are applied; mend this one and run `ecomctl up` again".into(),
            },
            // Another run migrates: that ends.
            // PostgreSQL runs, and has no such database any more: what it held is gone.
            "DatabaseMissing" => Error::new("lambda", "Invoke", Reason::Missing, error_message).into(),
            "MigrationLocked" => Error::new("lambda", "Invoke", Reason::Busy, error_message).into(),
            _ => {
                let text = format!("{function} failed: {error_message} ({error_type})");
                Error::new("lambda", "Invoke", Reason::Other, text).into()
            }
        }
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.recorded, &self.found) {
            (Some(recorded), Some(found)) => write!(f, "it was `{recorded}` and is `{found}`"),
            (Some(_), None) => f.write_str("it is gone"),
            (None, _) => f.write_str("it is new"),
        }
    }
}

/// Shows how a file differs from what was applied, where that is known.
fn difference(applied: &Applied, file: &Migration) -> String {
    let Some(sql) = &applied.sql else { return String::new() };
    let diff = similar::TextDiff::from_lines(sql.as_str(), &file.sql);
    let shown = diff.unified_diff().context_radius(1).header("applied", "file").to_string();
    if shown.is_empty() { String::new() } else { format!(":\n{}", shown.trim_end()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{Cause, testing};

    fn applied(version: &str, sql: &str) -> Applied {
        let file = Migration::new(version.into(), String::new(), sql);
        Applied { version: version.into(), checksum: file.checksum, sql: Some(file.sql) }
    }

    fn live(applied: Vec<Applied>) -> LiveSchema {
        LiveSchema { database: "s-shop".into(), applied, drift: Vec::new(), stack: Some("s".into()), unanswered: None }
    }

    fn change(field: &str) -> Change {
        Change { field: field.into(), from: json!("a"), to: json!("b"), cause: Cause::Edit, waits_for: None }
    }

    #[test]
    fn history_is_not_rewritten() {
        let (cx, _root) = testing::cx_with(&[
            ("migrations/shop/0001_orders.sql", "create table orders (id bigint);\n"),
            ("migrations/shop/0003_late.sql", "select 3;"),
            ("migrations/shop/0005_new.sql", "select 5;"),
        ]);
        let schema: Schema = serde_json::from_value(json!({
            "database": "shop", "function": "migrate", "migrations": "migrations/shop",
        }))
        .expect("a spec");
        let live = live(vec![
            applied("0001", "create table orders (id text);\n"),
            applied("0002", "select 2;"),
            applied("0004", "select 4;"),
        ]);
        let changes = ["0001", "0002", "0003", "0005"].map(|it| change(&format!("migrations.{it}")));
        let reasons: Vec<_> = schema.objections(&cx, &live, &changes).into_iter().map(|it| it.reason).collect();
        assert_eq!(
            reasons,
            [
                "migration 0001 was edited after it was applied:\n--- applied\n+++ file\n@@ -1 +1 @@\n\
             -create table orders (id text);\n+create table orders (id bigint);",
                "migration 0002 is applied, and missing from `migrations/shop`",
                "migration 0003 comes before 0004, which is applied already",
            ]
        );
    }

    #[test]
    fn what_is_wanted_is_observed() {
        let (cx, _root) = testing::cx_with(&[("migrations/shop/0001_orders.sql", "select 1;\r\n")]);
        let schema: Schema = serde_json::from_value(json!({
            "database": "shop", "function": "migrate", "migrations": "migrations/shop",
        }))
        .expect("a spec");
        let wanted = schema.desired(&cx).expect("migrations").without("function").spec;
        let observed = Schema::observed(&live(vec![applied("0001", "select 1;")]));
        for field in ["database", "migrations", "structure"] {
            assert_eq!(observed[field], wanted[field], "{field}");
        }
    }

    #[test]
    fn changes_by_other_hands_are_shown() {
        let answer: Answer = serde_json::from_value(json!({
            "ran": [], "schema": "shop", "tables": {}, "applied": [{ "version": "1", "checksum": "c", "name": "n" }],
            "drift": [{ "object": "column x on public.a", "recorded": "text", "found": "integer" }],
        }))
        .expect("an answer");
        let live = LiveSchema { drift: answer.drift, ..live(answer.applied) };
        let text = "it was `text` and is `integer`";
        assert_eq!(Schema::observed(&live)["structure"], json!({ "column x on public.a": text }));
        let schema: Schema = serde_json::from_value(json!({
            "database": "shop", "function": "migrate", "migrations": "migrations/shop",
        }))
        .expect("a spec");
        let objections = schema.objections(&testing::cx(), &live, &[change("structure.column x on public.a")]);
        assert_eq!(objections[0].reason, format!("column x on public.a is not as the migrations left it: {text}"));
    }

    #[test]
    fn what_cannot_be_asked_is_not_called_unchanged_and_what_is_gone_is_missing() {
        let dark = LiveSchema { unanswered: Some("no login".into()), ..live(vec![]) };
        assert_eq!(Schema::phase(&dark), Phase::Unreadable("no login".into()));
        assert_eq!(Schema::observed(&dark), json!({}));
        let failure = |it: &str| Failure { error_type: it.into(), error_message: "why".into() }.explain("s-migrate");
        assert!(is_missing(&failure("DatabaseMissing")));
        assert!(!is_missing(&failure("DatabaseUnreachable")) && !is_missing(&failure("MigrationFailed")));
    }

    #[test]
    fn physical_names_come_apart() {
        let parts = Parts::of("s-migrate/s-shop/shop");
        assert_eq!((parts.function, parts.database, parts.schema), ("s-migrate", "s-shop", "shop"));
    }
}
