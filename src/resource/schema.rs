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
    Resource, Result, Scope, database,
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
    /// The stack that the database's tags name.
    stack: Option<String>,
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

/// What the function answers to every action: the migrations that are applied afterwards.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    applied: Vec<Applied>,
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
            .with("migrations", json!(checksums)))
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
                    Err(err) => return Err(err),
                };
                let applied = answer.map(|it| it.applied).filter(|it| !it.is_empty());
                Ok(applied.map(|applied| LiveSchema {
                    database: parts.database.to_owned(),
                    applied,
                    stack: database.stack(),
                }))
            };
        parts.iter().zip(databases?).zip(answers).map(live).collect()
    }

    fn observed(live: &LiveSchema) -> Value {
        let checksums: BTreeMap<_, _> = live.applied.iter().map(|it| (&it.version, &it.checksum)).collect();
        json!({ "database": live.database, "migrations": checksums })
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
        parts.invoke(cx, parts.function, &request).await.map(|_| ())
    }
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
        let call = cx.aws.lambda().invoke().function_name(function).payload(Blob::new(request.to_string()));
        let call = call.customize();
        let call = if request["action"] == "status" { call } else { call.config_override(once) };
        let sent = call.send().await.map_err(Error::aws("lambda", "Invoke"));
        let Some(answer) = Error::missing_is_none(sent)? else { return Ok(None) };
        let payload = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        if answer.function_error().is_some() {
            let failure: Failure = serde_json::from_slice(payload).unwrap_or_default();
            let text = format!("{function} failed: {} ({})", failure.error_message, failure.error_type);
            return Err(Error::new("lambda", "Invoke", Reason::Other, text).into());
        }
        let unusable = |err| KindError::Unusable(format!("{function} answered what cannot be read: {err}"));
        serde_json::from_slice(payload).map(Some).map_err(unusable)
    }
}

/// Shows how a file differs from what was applied, where that is known.
fn difference(applied: &Applied, file: &Migration) -> String {
    let Some(sql) = &applied.sql else { return String::new() };
    let diff = similar::TextDiff::from_lines(sql.as_str(), &file.sql);
    let shown = diff.unified_diff().context_radius(1).missing_newline_hint(false).header("applied", "file").to_string();
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
        LiveSchema { database: "s-shop".into(), applied, stack: Some("s".into()) }
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
        assert_eq!(observed["migrations"], wanted["migrations"]);
        assert_eq!(observed["database"], wanted["database"]);
    }

    #[test]
    fn physical_names_come_apart() {
        let parts = Parts::of("s-migrate/s-shop/shop");
        assert_eq!((parts.function, parts.database, parts.schema), ("s-migrate", "s-shop", "shop"));
    }
}
