//! Watches what reports nothing by itself: Databricks jobs, the age of tables, deadlocks of the database; and puts alarms
//! into words for people.
//!
//! It is invoked every minute, by a job's webhook, and by SNS. What it sees goes into its log as metrics; it decides on no
//! alarm. An invocation fails when a part of what is watched could not be looked at; the other parts are told all the same.

mod alarm;
mod aws;
mod databricks;
mod deadlocks;
mod event;
mod gold;
mod http;
mod look;
mod metrics;
mod run;
mod settings;
mod state;
mod store;

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
};

use database::Database;
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

pub use http::Error as RequestError;
pub use settings::{Place, Settings, Workspace};

use crate::{
    alarm::Message,
    aws::Aws,
    event::{Call, Event, Webhook},
    http::Http,
    metrics::Lines,
};

/// The function between invocations.
#[derive(Debug)]
pub struct Watch {
    settings: Settings,
    aws: Aws,
    workspace: Option<databricks::Workspace>,
    database: Option<tokio::sync::Mutex<Database>>,
}

/// Why an invocation failed, wholly or in part. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An environment variable is missing or makes no sense.
    #[error("environment variable {name}: {problem}")]
    Setting {
        /// The variable.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The event is none of those that are known.
    #[error("the event is neither a schedule's, nor a call over HTTP, nor messages of SNS")]
    Event,
    /// Databricks or AWS did not answer as needed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// There is no connection to the database.
    #[error(transparent)]
    Connect(#[from] database::Error),
    /// The database refused the question.
    #[error("count deadlocks: {0}")]
    Query(String),
    /// Several parts could not be looked at.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let error_type = match &error {
            Error::Setting { .. } => "SettingWrong",
            Error::Event => "EventMalformed",
            Error::Request(_) => "RequestFailed",
            Error::Connect(_) | Error::Query(_) => "DatabaseFailed",
            Error::Several(_) => "SeveralFailed",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// Where metrics go. Locked only while a line is written.
pub(crate) type Log<'a> = &'a Mutex<dyn Write + Send + 'a>;

/// One invocation: at what moment, until when, and where its metrics go.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    /// In milliseconds since 1970.
    pub(crate) now: i64,
    pub(crate) end: Instant,
    pub(crate) log: Log<'a>,
}

impl Moment<'_> {
    /// Writes metrics. What cannot be written is lost, which its alarm will notice.
    pub(crate) fn write(&self, lines: Lines) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(err) = lines.write(&mut *log) {
            tracing::warn!("metrics were not written: {err}");
        }
    }
}

impl Watch {
    /// Prepares for invocations; sends nothing. `environment` holds what Lambda sets: region, credentials, endpoint.
    pub fn new(settings: Settings, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let http = Http::new();
        let aws = Aws::new(http.clone(), environment);
        let workspace = settings.workspace.as_ref().map(|it| databricks::Workspace::new(http, &it.host, &it.secret));
        let options = [("statement_timeout", "5s"), ("default_transaction_read_only", "on")];
        let database = settings.database.clone();
        let database = database.map(|it| tokio::sync::Mutex::new(Database::new(it, "ecomctl-watch", &options)));
        Self { settings, aws, workspace, database }
    }

    /// Counts the deadlocks of this database over this connection.
    #[must_use]
    pub fn with_database(mut self, database: Database) -> Self {
        self.database = Some(tokio::sync::Mutex::new(database));
        self
    }

    /// Does what an event asks for, at `now` in milliseconds since 1970, and until `end` at the latest. Returns the
    /// function's answer.
    pub async fn handle(&self, event: &Value, now: i64, end: Instant, log: impl Write + Send) -> Result<Value, Error> {
        let log = Mutex::new(log);
        let moment = Moment { now, end, log: &log };
        match Event::read(event) {
            Some(Event::Look) => self.look(moment).await,
            Some(Event::Call(call)) => self.answer(&call, moment).await,
            Some(Event::Messages(messages)) => self.word(&messages, end).await,
            None => Err(Error::Event),
        }
    }

    /// Looks at everything. That it does comes first: should nothing else succeed, it is known to be alive.
    async fn look(&self, moment: Moment<'_>) -> Result<Value, Error> {
        let mut lines = Lines::new(&self.settings.stack, moment.now);
        lines.add(None, &[("Heartbeat", "Count", vec![1])]);
        moment.write(lines);
        let (jobs, tables, deadlocks) =
            tokio::join!(self.look_at_jobs(moment), self.look_at_tables(moment), self.look_at_database(moment));
        let mut failures: Vec<Error> = [jobs, tables, deadlocks].into_iter().filter_map(Result::err).collect();
        match failures.len() {
            0 => Ok(json!({ "looked": true })),
            1 => Err(failures.remove(0)),
            _ => Err(Error::Several(failures)),
        }
    }

    /// Answers a job's webhook by looking at that job at once.
    async fn answer(&self, call: &Call, moment: Moment<'_>) -> Result<Value, Error> {
        let answer = |status: u16| Ok(json!({ "statusCode": status }));
        let Some(workspace) = &self.settings.workspace else { return answer(404) };
        let Some(secret) = &workspace.webhook else { return answer(404) };
        if call.credentials.is_none() {
            return answer(401);
        }
        if !is_meant(&self.aws.secret(secret, moment.end).await?, call.credentials.as_deref()) {
            tracing::warn!("a call without the right credentials");
            return answer(401);
        }
        let Ok(webhook) = serde_json::from_str::<Webhook>(&call.body) else { return answer(400) };
        let id = webhook.job.job_id;
        let looked = async {
            let name = workspace.jobs.iter().find(|it| *it.1 == id).map(|it| it.0.clone());
            let name = match name {
                None if workspace.jobs.is_empty() => self.remembered(id, moment.end).await?,
                it => it,
            };
            let Some(name) = name else { return Ok(false) };
            self.look_at(&[(&name, id)], Some(webhook.run.whole()), moment).await.map(|()| true)
        };
        match looked.await {
            Ok(true) => answer(204),
            // Another stack's; or so new that nobody has looked at it, which the schedule will.
            Ok(false) => answer(404),
            Err(err) => {
                // The schedule makes up for it; the caller may try again.
                let err: Error = err;
                tracing::error!("{err}");
                answer(503)
            }
        }
    }

    /// Puts messages into words, and passes them on.
    async fn word(&self, messages: &[(Option<String>, String)], end: Instant) -> Result<Value, Error> {
        let unset = || Error::Setting { name: "PEOPLE_TOPIC_ARN".to_owned(), problem: "not set".to_owned() };
        let topic = self.settings.people.as_deref().ok_or_else(unset)?;
        for (subject, message) in messages {
            let message = Message::new(&self.settings.stack, subject.as_deref(), message);
            self.aws.publish(topic, &message.subject, &message.by_protocol(), end).await?;
        }
        Ok(json!({ "told": messages.len() }))
    }
}

/// Says whether a caller has what a secret holds: user name and password, as JSON or as `user:password`; or a password alone,
/// with any user name. Compared by their hashes, so that the time it takes tells nothing.
fn is_meant(secret: &str, credentials: Option<&str>) -> bool {
    let secret = secret.trim();
    let document: Value = serde_json::from_str(secret).unwrap_or_default();
    let pair = document["username"].as_str().zip(document["password"].as_str());
    let wanted = pair.map_or_else(|| secret.to_owned(), |(user, password)| format!("{user}:{password}"));
    let wanted = Sha256::digest(wanted);
    let is_wanted = |it: &str| !it.is_empty() && Sha256::digest(it) == wanted;
    let parts = credentials.and_then(|it| Some((it, it.split_once(':')?.1)));
    parts.is_some_and(|(both, password)| is_wanted(both) | (pair.is_none() && is_wanted(password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_credentials_are_meant() {
        let secret = r#"{"username":"databricks","password":"p:w"}"#;
        assert!(is_meant(secret, Some("databricks:p:w")) && is_meant("u:p\n", Some("u:p")));
        for wrong in [None, Some(""), Some("databricks:"), Some(secret), Some("databricks:p:w ")] {
            assert!(!is_meant(secret, wrong), "{wrong:?}");
        }
        assert!(is_meant("word\n", Some("databricks:word")) && is_meant("word", Some(":word")));
        assert!(is_meant("a:b", Some("databricks:a:b")), "a password may hold a colon");
        for wrong in [None, Some("word"), Some("databricks:"), Some("word:"), Some("databricks:word:"), Some("")] {
            assert!(!is_meant("word", wrong), "{wrong:?}");
        }
        for anybody in [Some(""), Some(":"), Some("u:")] {
            assert!(!is_meant("", anybody), "{anybody:?}");
        }
    }
}
