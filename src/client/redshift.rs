//! A client for Amazon Redshift's Data API: SQL by requests, without a connection to the warehouse.
//!
//! A statement runs after the request that sends it was answered, so each is followed to its end here: that is the answer.
//! Requests and answers are declared here, as the Amazon Redshift Data API reference has them. Knows no SQL; no policy.

use std::{collections::BTreeMap, fmt, time::Duration};

use aws_config::SdkConfig;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Error, Reason, Result, fence::Gate, json::Json, raw::Again};

const SERVICE: &str = "redshift-data";
/// How long a statement is followed: a warehouse that sleeps takes a while to wake.
const LONGEST: Duration = Duration::from_mins(5);
/// The first pause between two looks; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(40);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A client for the Data API.
#[derive(Debug)]
pub struct Client(Json);

/// What runs statements.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warehouse {
    /// A provisioned cluster, by its identifier.
    Cluster(String),
    /// A serverless workgroup, by its name.
    Workgroup(String),
}

/// As whom statements run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Login {
    /// The database user that stands for the IAM identity.
    Identity,
    /// This database user of a cluster, by a password that is made for an hour.
    User(String),
    /// The user and the password of a secret, by its name or ARN.
    Secret(String),
}

/// Where statements run, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    /// What runs them.
    pub warehouse: Warehouse,
    /// The database.
    pub database: String,
    /// As whom.
    pub login: Login,
}

/// A row: its values as text, by the names of the columns; `None` for SQL's null.
pub type Row = BTreeMap<String, Option<String>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Begun {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    records: Vec<Vec<Value>>,
    #[serde(default)]
    column_metadata: Vec<Column>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
}

impl fmt::Display for Warehouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(it) => write!(f, "the cluster {it}"),
            Self::Workgroup(it) => write!(f, "the workgroup {it}"),
        }
    }
}

impl Client {
    /// Prepares a client. Sends nothing.
    pub fn new(config: &SdkConfig, gate: Gate) -> Self {
        Self(Json::new(SERVICE, "RedshiftData", config, gate))
    }

    /// Runs a statement to its end.
    ///
    /// # Errors
    /// Why it was not taken, or failed, in the warehouse's words.
    pub async fn run(&self, session: &Session, sql: &str) -> Result<()> {
        self.finish(session, sql, &[]).await.map(drop)
    }

    /// Runs a query to its end and returns its rows. The query says `:name` where a parameter is to stand.
    ///
    /// # Errors
    /// Why it was not taken, or failed, in the warehouse's words.
    pub async fn rows(&self, session: &Session, sql: &str, parameters: &[(String, &str)]) -> Result<Vec<Row>> {
        let id = self.finish(session, sql, parameters).await?;
        let (mut rows, mut input) = (Vec::new(), json!({ "Id": id }));
        loop {
            let page: Page = self.call("GetStatementResult", &input).await?;
            for record in page.records {
                let names = page.column_metadata.iter().map(|it| it.name.clone());
                rows.push(names.zip(record.iter().map(text)).collect());
            }
            match page.next_token.filter(|it| !it.is_empty()) {
                Some(next) => input["NextToken"] = next.into(),
                None => return Ok(rows),
            }
        }
    }

    /// Sends a statement and follows it; returns its identifier.
    async fn finish(&self, session: &Session, sql: &str, parameters: &[(String, &str)]) -> Result<String> {
        let mut input = json!({
            "Sql": sql,
            "Database": session.database,
            // Sent again after a lost answer, it is the same statement.
            "ClientToken": uuid::Uuid::new_v4().to_string(),
        });
        match &session.warehouse {
            Warehouse::Cluster(it) => input["ClusterIdentifier"] = it.as_str().into(),
            Warehouse::Workgroup(it) => input["WorkgroupName"] = it.as_str().into(),
        }
        match &session.login {
            Login::Identity => (),
            Login::User(it) => input["DbUser"] = it.as_str().into(),
            Login::Secret(it) => input["SecretArn"] = it.as_str().into(),
        }
        if !parameters.is_empty() {
            input["Parameters"] = parameters.iter().map(|(name, it)| json!({ "name": name, "value": it })).collect();
        }
        let begun: Begun = self.call("ExecuteStatement", &input).await.map_err(|err| refused(err, session))?;
        let (end, mut pause) = (Instant::now() + LONGEST, PAUSE);
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let state: State = self.call("DescribeStatement", &json!({ "Id": begun.id })).await?;
            match state.status.as_str() {
                "FINISHED" => return Ok(begun.id),
                "FAILED" | "ABORTED" => {
                    let said = state.error.unwrap_or_else(|| state.status.to_lowercase());
                    let message = format!("{said} (in {} of {})", session.database, session.warehouse);
                    return Err(Error::new(SERVICE, "ExecuteStatement", sort(&said), message));
                }
                _ if Instant::now() > end => {
                    let minutes = LONGEST.as_secs() / 60;
                    let text =
                        format!("statement {} in {} did not end within {minutes} minutes", begun.id, session.warehouse);
                    return Err(Error::new(SERVICE, "ExecuteStatement", Reason::Unavailable, text));
                }
                _ => (),
            }
        }
    }

    async fn call<O: DeserializeOwned>(&self, operation: &'static str, input: &Value) -> Result<O> {
        self.0.call(operation, input, Again::Yes).await
    }
}

/// Reads a value: exactly one member says of which sort it is.
fn text(field: &Value) -> Option<String> {
    let (sort, value) = field.as_object()?.iter().next()?;
    match value {
        _ if sort == "isNull" => None,
        Value::String(it) => Some(it.clone()),
        other => Some(other.to_string()),
    }
}

/// Sorts a refusal of the request itself: the Data API has one code for everything that it cannot take.
fn refused(mut err: Error, session: &Session) -> Error {
    let said = err.message.to_lowercase();
    if said.contains("endpoint doesn't exist") || said.contains("can't find the specified secret") {
        err.reason = Reason::Missing;
    } else if said.starts_with("activestatementsexceeded") || said.starts_with("activesessionsexceeded") {
        err.reason = Reason::Throttled;
    }
    err.message = format!("{} (for {})", err.message, session.warehouse);
    err
}

/// Sorts what a warehouse says of a statement that failed: only its words tell.
fn sort(said: &str) -> Reason {
    let said = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|it| said.contains(it));
    if has(&["already exists"]) {
        Reason::Exists
    } else if said.contains("schema") && has(&["does not exist"]) {
        Reason::Missing
    } else if has(&["permission denied", "must be owner", "must be superuser", "authentication failed"]) {
        Reason::Denied
    } else if has(&["serializable isolation", "concurrent transaction", "being modified by"]) {
        Reason::Busy
    } else {
        Reason::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_what_a_failure_means() {
        assert_eq!(sort("ERROR: Schema \"gold\" already exists"), Reason::Exists);
        assert_eq!(sort("ERROR: schema \"gold\" does not exist"), Reason::Missing);
        assert_eq!(sort("FATAL: database \"dev\" does not exist"), Reason::Invalid, "that is no schema that is gone");
        assert_eq!(sort("ERROR: must be owner of schema gold"), Reason::Denied);
        assert_eq!(sort("ERROR: syntax error at or near \"x\""), Reason::Invalid);
    }

    #[test]
    fn a_warehouse_that_is_gone_is_told_from_a_request_that_is_wrong() {
        let session =
            Session { warehouse: Warehouse::Workgroup("sales".into()), database: "dev".into(), login: Login::Identity };
        let reason = |message: &str| {
            let err = Error::new(SERVICE, "ExecuteStatement", Reason::Invalid, message);
            let err = refused(err, &session);
            assert!(err.message.ends_with("(for the workgroup sales)"), "{err}");
            err.reason
        };
        assert_eq!(reason("ValidationException: Redshift endpoint doesn't exist in this region."), Reason::Missing);
        assert_eq!(reason("ValidationException: Secrets Manager can't find the specified secret."), Reason::Missing);
        assert_eq!(reason("ActiveStatementsExceededException: wait"), Reason::Throttled);
        assert_eq!(reason("ValidationException: Database is missing"), Reason::Invalid);
    }

    #[test]
    fn values_are_read_whatever_their_sort() {
        assert_eq!(text(&json!({ "stringValue": "a" })).as_deref(), Some("a"));
        assert_eq!(text(&json!({ "longValue": 1 })).as_deref(), Some("1"));
        assert_eq!(text(&json!({ "isNull": true })), None);
    }
}
