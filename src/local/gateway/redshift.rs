//! Redshift's Data API: statements run on the PostgreSQL behind the gateway, which Redshift descends from: schemas, comments
//! and catalogs are PostgreSQL's own.
//!
//! External schemas are made as schemas without tables, and what stands behind them is kept beside (`external.rs`). What
//! differs from Redshift: every cluster and workgroup that is named is there, with every database; tables in external
//! schemas cannot be queried; dialects are PostgreSQL's. Source: the Amazon Redshift Data API reference.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, SimpleQueryMessage, types::Type};
use uuid::Uuid;

mod external;

use super::{
    Postgres,
    call::{Call, Fault, Reply},
    database::Server as _,
    upstream::Upstream,
};
use external::External;

/// The role that runs statements: it owns these databases, and nothing else.
const ROLE: &str = "ecomctl_redshift";
/// How many statements are remembered.
const KEPT: usize = 2000;
/// The most rows of a page.
const PAGE: usize = 1000;

/// The statements, and what runs them.
#[derive(Clone, Debug)]
pub(crate) struct RedshiftApi(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    postgres: Postgres,
    cloud: Upstream,
    /// The role's password: another one each time.
    password: String,
    /// The databases that are prepared.
    ready: tokio::sync::Mutex<BTreeSet<String>>,
    statements: Mutex<Statements>,
}

#[derive(Debug, Default)]
struct Statements {
    all: BTreeMap<String, Statement>,
    /// Identifiers, the oldest first.
    order: VecDeque<String>,
}

#[derive(Clone, Debug)]
struct Statement {
    asked: Execute,
    since: Timestamp,
    until: Option<Timestamp>,
    end: Option<Result<Outcome, String>>,
}

/// What a statement came to.
#[derive(Clone, Debug, Default)]
struct Outcome {
    columns: Vec<(String, String)>,
    rows: Vec<Vec<Value>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Execute {
    sql: String,
    database: Option<String>,
    cluster_identifier: Option<String>,
    workgroup_name: Option<String>,
    db_user: Option<String>,
    secret_arn: Option<String>,
    #[serde(default)]
    parameters: Vec<Parameter>,
    client_token: Option<String>,
    statement_name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Asked {
    id: String,
    next_token: Option<String>,
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "ValidationException", message)
}

impl RedshiftApi {
    /// Prepares to run what comes. Connects to nothing yet.
    pub(crate) fn new(postgres: &Postgres, cloud: Upstream) -> Self {
        Self(Arc::new(Inner {
            postgres: postgres.clone(),
            cloud,
            password: Uuid::new_v4().simple().to_string(),
            ready: tokio::sync::Mutex::default(),
            statements: Mutex::default(),
        }))
    }

    /// Answers a call.
    pub(crate) async fn answer(&self, target: &str, call: &Call) -> Result<Reply, Fault> {
        match target.strip_prefix("RedshiftData.") {
            Some("ExecuteStatement") => self.execute(input(call)?, &call.region).await,
            Some("DescribeStatement") => self.describe(&input(call)?),
            Some("GetStatementResult") => self.result(&input(call)?),
            _ => Err(invalid(format!("{target} is not among the operations that work here"))),
        }
    }

    async fn execute(&self, asked: Execute, region: &str) -> Result<Reply, Fault> {
        let database = self.check(&asked, region).await?;
        let known =
            |it: &(&String, &Statement)| asked.client_token.is_some() && it.1.asked.client_token == asked.client_token;
        if let Some((id, it)) = self.statements().all.iter().find(known) {
            return Ok(begun(id, it));
        }
        let id = Uuid::new_v4().to_string();
        let statement = Statement { asked: asked.clone(), since: Timestamp::now(), until: None, end: None };
        let reply = begun(&id, &statement);
        {
            let mut statements = self.statements();
            statements.all.insert(id.clone(), statement);
            statements.order.push_back(id.clone());
            while statements.order.len() > KEPT {
                let oldest = statements.order.pop_front().unwrap_or_default();
                statements.all.remove(&oldest);
            }
        }
        let api = self.clone();
        tokio::spawn(async move {
            let end = api.run(&database, &asked).await.map_err(|it| format!("ERROR: {it}"));
            if let Some(it) = api.statements().all.get_mut(&id) {
                (it.end, it.until) = (Some(end), Some(Timestamp::now()));
            }
        });
        Ok(reply)
    }

    /// Refuses what the service would refuse; returns the database that stands for the one that is meant.
    async fn check(&self, asked: &Execute, region: &str) -> Result<String, Fault> {
        let warehouse = match (&asked.cluster_identifier, &asked.workgroup_name) {
            (Some(it), None) => format!("cluster {it}"),
            (None, Some(_)) if asked.db_user.is_some() => {
                return Err(invalid("DbUser cannot be given with WorkgroupName."));
            }
            (None, Some(it)) => format!("workgroup {it}"),
            _ => return Err(invalid("Exactly one of ClusterIdentifier and WorkgroupName is needed.")),
        };
        let database = asked.database.as_deref().filter(|it| !it.is_empty());
        let database = database.ok_or_else(|| invalid("Database is needed."))?;
        if asked.sql.trim().is_empty() {
            return Err(invalid("Sql is empty."));
        }
        if asked.db_user.is_some() && asked.secret_arn.is_some() {
            return Err(invalid("Only one of DbUser and SecretArn can be given."));
        }
        if let Some(it) = &asked.secret_arn {
            self.check_secret(it, region).await?;
        }
        let digest = Sha256::digest(format!("{region}/{warehouse}/{database}"));
        Ok(digest.iter().take(6).fold("redshift_".to_owned(), |text, it| format!("{text}{it:02x}")))
    }

    /// Looks into the secret as the service does. Whoever it names may run statements here: there are no users.
    async fn check_secret(&self, secret: &str, region: &str) -> Result<(), Fault> {
        let (wanted, target) = (json!({ "SecretId": secret }), "secretsmanager.GetSecretValue");
        let answer = self.0.cloud.ask("secretsmanager", region, target, &wanted).await;
        let answer = answer.map_err(|err| Fault::new(500, "InternalServerException", err.to_string()))?;
        if !answer.status.is_success() {
            return Err(invalid("Secrets Manager can't find the specified secret."));
        }
        let value: Value =
            serde_json::from_str(answer.json()["SecretString"].as_str().unwrap_or_default()).unwrap_or_default();
        match value["username"].is_string() && value["password"].is_string() {
            true => Ok(()),
            false => Err(invalid("The secret must be JSON with username and password.")),
        }
    }

    fn describe(&self, asked: &Asked) -> Result<Reply, Fault> {
        let it = self.find(&asked.id)?;
        let mut answer = document(&asked.id, &it);
        let until = it.until.unwrap_or_else(Timestamp::now);
        answer["QueryString"] = it.asked.sql.as_str().into();
        answer["UpdatedAt"] = seconds(until);
        answer["Duration"] = i64::try_from(until.duration_since(it.since).as_nanos()).unwrap_or(i64::MAX).into();
        answer["HasResultSet"] = false.into();
        match &it.end {
            None => answer["Status"] = "STARTED".into(),
            Some(Ok(outcome)) => {
                answer["Status"] = "FINISHED".into();
                answer["HasResultSet"] = (!outcome.columns.is_empty()).into();
                answer["ResultRows"] = outcome.rows.len().into();
            }
            Some(Err(why)) => {
                answer["Status"] = "FAILED".into();
                answer["Error"] = why.as_str().into();
            }
        }
        Ok(Reply::ok(answer))
    }

    fn result(&self, asked: &Asked) -> Result<Reply, Fault> {
        let missing = || {
            Fault::new(
                400,
                "ResourceNotFoundException",
                "Query does not have result. Please check query status with DescribeStatement.",
            )
        };
        let it = self.find(&asked.id)?;
        let outcome = it.end.and_then(Result::ok).filter(|it| !it.columns.is_empty()).ok_or_else(missing)?;
        let from: usize =
            asked.next_token.as_deref().unwrap_or("0").parse().map_err(|_| invalid("Invalid NextToken."))?;
        let columns =
            outcome.columns.iter().map(|(name, kind)| json!({ "name": name, "label": name, "typeName": kind }));
        let rows: Vec<_> = outcome.rows.iter().skip(from).take(PAGE).collect();
        let mut answer = json!({
            "Records": rows,
            "ColumnMetadata": columns.collect::<Vec<_>>(),
            "TotalNumRows": outcome.rows.len(),
        });
        if from + PAGE < outcome.rows.len() {
            answer["NextToken"] = (from + PAGE).to_string().into();
        }
        Ok(Reply::ok(answer))
    }

    fn find(&self, id: &str) -> Result<Statement, Fault> {
        let found = self.statements().all.get(id).cloned();
        found.ok_or_else(|| Fault::new(400, "ResourceNotFoundException", "Query does not exist."))
    }

    async fn run(&self, database: &str, asked: &Execute) -> Result<Outcome, String> {
        let mut client = self.connect(database).await?;
        if let Some(it) = External::read(&asked.sql)? {
            it.run(&mut client).await?;
            return Ok(Outcome::default());
        }
        let sql = external::filled(&asked.sql, |name| {
            asked.parameters.iter().find(|it| it.name == name).map(|it| it.value.clone())
        })?;
        let prepared = client.prepare(&sql).await.map_err(|err| words(&err))?;
        let kinds: Vec<Type> = prepared.columns().iter().map(|it| it.type_().clone()).collect();
        let columns =
            prepared.columns().iter().map(|it| (it.name().to_owned(), it.type_().name().to_owned())).collect();
        let mut rows = Vec::new();
        for message in client.simple_query(&sql).await.map_err(|err| words(&err))? {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push(kinds.iter().enumerate().map(|(at, kind)| field(kind, row.get(at))).collect());
            }
        }
        Ok(Outcome { columns, rows })
    }

    /// Connects to a database that is made, with Redshift's catalogs in it, when it is first asked for.
    async fn connect(&self, database: &str) -> Result<Client, String> {
        let inner = &self.0;
        let mut ready = inner.ready.lock().await;
        if ready.is_empty() {
            inner.postgres.role(ROLE, &inner.password).await?;
        }
        if !ready.contains(database) {
            inner.postgres.database(database, ROLE).await?;
            let client = inner.postgres.login(database, ROLE, &inner.password).await?;
            client.batch_execute(external::CATALOGS).await.map_err(|err| words(&err))?;
            ready.insert(database.to_owned());
        }
        drop(ready);
        inner.postgres.login(database, ROLE, &inner.password).await
    }

    /// The data is whole even when a thread ended while it held the lock: each change is one assignment.
    fn statements(&self) -> MutexGuard<'_, Statements> {
        self.0.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn input<T: serde::de::DeserializeOwned>(call: &Call) -> Result<T, Fault> {
    call.input().map_err(|it| invalid(it.message))
}

fn begun(id: &str, it: &Statement) -> Reply {
    Reply::ok(document(id, it))
}

/// What all answers about a statement say of it.
fn document(id: &str, it: &Statement) -> Value {
    let given = [
        ("Database", &it.asked.database),
        ("ClusterIdentifier", &it.asked.cluster_identifier),
        ("WorkgroupName", &it.asked.workgroup_name),
        ("DbUser", &it.asked.db_user),
        ("SecretArn", &it.asked.secret_arn),
        ("StatementName", &it.asked.statement_name),
    ];
    let mut answer = json!({ "Id": id, "CreatedAt": seconds(it.since) });
    for (name, value) in given {
        if let Some(value) = value {
            answer[name] = value.as_str().into();
        }
    }
    answer
}

fn seconds(at: Timestamp) -> Value {
    json!(at.as_duration().as_secs_f64())
}

/// A value as the API has it: one member that says of which sort it is.
fn field(kind: &Type, text: Option<&str>) -> Value {
    let Some(text) = text else { return json!({ "isNull": true }) };
    let long =
        [Type::INT2, Type::INT4, Type::INT8, Type::OID].contains(kind).then(|| text.parse::<i64>().ok()).flatten();
    let double = [Type::FLOAT4, Type::FLOAT8].contains(kind).then(|| text.parse::<f64>().ok()).flatten();
    match (long, double) {
        (Some(it), _) => json!({ "longValue": it }),
        (_, Some(it)) => json!({ "doubleValue": it }),
        _ if *kind == Type::BOOL => json!({ "booleanValue": text == "t" }),
        _ => json!({ "stringValue": text }),
    }
}

fn words(err: &tokio_postgres::Error) -> String {
    match err.as_db_error() {
        Some(it) => it.message().to_owned(),
        None => format!("PostgreSQL does not answer: {err}"),
    }
}
