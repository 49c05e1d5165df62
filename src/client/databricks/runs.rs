//! Runs of jobs: started, watched, cancelled. API 2.2.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Databricks, read};
use crate::client::Result;

/// The most runs that one page of a list holds.
const PAGE: usize = 24;

/// A run of a job, with its tasks.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// Its number.
    pub run_id: i64,
    /// The job that it is a run of; 0 for none.
    #[serde(default)]
    pub job_id: i64,
    /// The how-manieth attempt of the job it is.
    #[serde(default)]
    pub number_in_job: i64,
    /// How far it is.
    #[serde(default)]
    pub state: State,
    /// The same in the newer words.
    #[serde(default)]
    pub status: Option<Status>,
    /// When it began, in milliseconds since 1970; 0 before that.
    #[serde(default)]
    pub start_time: i64,
    /// When it ended, in milliseconds since 1970; 0 before that.
    #[serde(default)]
    pub end_time: i64,
    /// Where a browser shows it.
    #[serde(default)]
    pub run_page_url: Option<String>,
    /// What started it, such as `PERIODIC` or `ONE_TIME`.
    #[serde(default)]
    pub trigger: Option<String>,
    /// Its tasks.
    #[serde(default)]
    pub tasks: Vec<Task>,
}

/// A task within a run.
#[derive(Clone, Debug, Deserialize)]
pub struct Task {
    /// The number of the task's own run: its output is asked for by it.
    pub run_id: i64,
    /// The key of the task within the job.
    pub task_key: String,
    /// Which attempt it is, from 0.
    #[serde(default)]
    pub attempt_number: i64,
    /// How far it is.
    #[serde(default)]
    pub state: State,
    /// When it began, in milliseconds since 1970; 0 before that.
    #[serde(default)]
    pub start_time: i64,
    /// When it ended, in milliseconds since 1970; 0 before that.
    #[serde(default)]
    pub end_time: i64,
}

/// How far something is.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct State {
    /// Where in its life.
    #[serde(default)]
    pub life_cycle_state: LifeCycle,
    /// How it ended, once it did.
    #[serde(default)]
    pub result_state: Option<Outcome>,
    /// What else there is to say.
    #[serde(default)]
    pub state_message: String,
}

/// How far something is, in the newer words.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Status {
    /// Such as `RUNNING` or `TERMINATED`.
    #[serde(default)]
    pub state: String,
    /// Why it ended.
    #[serde(default)]
    pub termination_details: Option<Termination>,
}

/// Why something ended.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Termination {
    /// Such as `RUN_EXECUTION_ERROR`.
    #[serde(default)]
    pub code: String,
    /// Whose fault it is, such as `CLIENT_ERROR`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// In words.
    #[serde(default)]
    pub message: String,
}

/// Where in its life a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LifeCycle {
    /// Waits for another task.
    Blocked,
    /// Waits for its cluster.
    Pending,
    /// Waits for another run.
    Queued,
    /// Runs.
    Running,
    /// Is about to end.
    Terminating,
    /// Failed, and is tried again soon.
    WaitingForRetry,
    /// Ended; how, is in its result.
    Terminated,
    /// Never began.
    Skipped,
    /// Failed through no fault of its own.
    InternalError,
    /// A word that is newer than this program: not over, as far as is known.
    #[default]
    #[serde(other)]
    Unknown,
}

impl LifeCycle {
    /// Says whether nothing more will happen.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Terminated | Self::Skipped | Self::InternalError => true,
            Self::Blocked
            | Self::Pending
            | Self::Queued
            | Self::Running
            | Self::Terminating
            | Self::WaitingForRetry
            | Self::Unknown => false,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// Well.
    Success,
    /// With an error.
    Failed,
    /// It took longer than it may.
    Timedout,
    /// Somebody stopped it.
    Canceled,
    /// Its condition was not met.
    Excluded,
    /// It is switched off.
    Disabled,
    /// Too many runs of the job were under way.
    MaximumConcurrentRunsReached,
    /// What it depends on failed.
    UpstreamFailed,
    /// What it depends on was stopped.
    UpstreamCanceled,
    /// Well, although some of its tasks failed.
    SuccessWithFailures,
    /// A word that is newer than this program: no success, as far as is known.
    #[serde(other)]
    Unknown,
}

/// What a task put out.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Output {
    /// What it printed.
    #[serde(default)]
    pub logs: Option<String>,
    /// Whether the beginning of what it printed is left out.
    #[serde(default)]
    pub logs_truncated: bool,
    /// The error that it ended with.
    #[serde(default)]
    pub error: Option<String>,
    /// Where the error came from.
    #[serde(default)]
    pub error_trace: Option<String>,
    /// What a notebook gave back.
    #[serde(default)]
    pub notebook_output: Option<Value>,
}

#[derive(Deserialize)]
struct Started {
    run_id: i64,
}

impl Databricks {
    /// Starts a run and returns its number. The same `token` (64 characters at most) never starts a second one.
    ///
    /// # Errors
    /// That of the request.
    pub async fn run_now(&self, job: i64, token: &str, parameters: &BTreeMap<String, String>) -> Result<i64> {
        const OPERATION: &str = "jobs/run-now";
        let mut body = json!({ "job_id": job, "idempotency_token": token });
        if !parameters.is_empty() {
            body["job_parameters"] = json!(parameters);
        }
        let answer = self.put(OPERATION, Method::POST, "/api/2.2/jobs/run-now", body).await?;
        Ok(read::<Started>(OPERATION, answer)?.run_id)
    }

    /// Returns a run with all its tasks.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is none.
    pub async fn run(&self, id: i64) -> Result<Run> {
        const OPERATION: &str = "jobs/runs/get";
        let mut whole: Option<Run> = None;
        let mut token: Option<String> = None;
        loop {
            let page = token.take().map(|it| ("page_token", it));
            let query = [("run_id", id.to_string())].into_iter().chain(page).collect();
            let answer = self.get(OPERATION, "/api/2.2/jobs/runs/get", query).await?;
            token =
                answer.get("next_page_token").and_then(Value::as_str).map(str::to_owned).filter(|it| !it.is_empty());
            let next: Run = read(OPERATION, answer)?;
            let run = whole.get_or_insert_with(|| Run { tasks: Vec::new(), ..next.clone() });
            run.tasks.extend(next.tasks);
            if token.is_none() {
                break;
            }
        }
        whole.ok_or_else(|| super::unusable("a run without a page"))
    }

    /// Lists the latest runs of a job without their tasks, newest first: page by page, to the end of the one with a run that
    /// is far enough back.
    ///
    /// # Errors
    /// That of the request.
    pub async fn runs(&self, job: i64, enough: impl Fn(&Run) -> bool) -> Result<Vec<Run>> {
        const OPERATION: &str = "jobs/runs/list";
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let page = token.take().map(|it| ("page_token", it));
            let query = [("job_id", job.to_string()), ("limit", PAGE.to_string())].into_iter().chain(page).collect();
            let mut answer = self.get(OPERATION, "/api/2.2/jobs/runs/list", query).await?;
            let runs: Vec<Run> = answer.get_mut("runs").map_or(Ok(Vec::new()), |it| read(OPERATION, it.take()))?;
            let far = runs.iter().any(&enough);
            found.extend(runs);
            let next = answer.get("next_page_token").and_then(Value::as_str);
            token = next.filter(|it| !far && !it.is_empty()).map(str::to_owned);
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Lists all runs of the workspace that are under way, as the API describes them, with their tasks.
    ///
    /// # Errors
    /// That of the request.
    pub async fn active_runs(&self) -> Result<Vec<Value>> {
        let query =
            [("active_only", "true".to_owned()), ("expand_tasks", "true".to_owned()), ("limit", PAGE.to_string())];
        self.pages("jobs/runs/list", "/api/2.2/jobs/runs/list", &query, "runs").await
    }

    /// Asks for a run to be stopped. Does not wait until it is.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is none.
    pub async fn cancel_run(&self, id: i64) -> Result<()> {
        self.put("jobs/runs/cancel", Method::POST, "/api/2.2/jobs/runs/cancel", json!({ "run_id": id })).await.map(drop)
    }

    /// Asks for all active runs of a job to be stopped. Does not wait until they are.
    ///
    /// # Errors
    /// [`Reason::Missing`](crate::client::Reason) when there is no such job.
    pub async fn cancel_runs(&self, job: i64) -> Result<()> {
        const PATH: &str = "/api/2.2/jobs/runs/cancel-all";
        self.put("jobs/runs/cancel-all", Method::POST, PATH, json!({ "job_id": job })).await.map(drop)
    }

    /// Returns what a task put out, by the number of the task's own run.
    ///
    /// # Errors
    /// That of the request.
    pub async fn run_output(&self, task_run: i64) -> Result<Output> {
        const OPERATION: &str = "jobs/runs/get-output";
        let query = vec![("run_id", task_run.to_string())];
        read(OPERATION, self.get(OPERATION, "/api/2.2/jobs/runs/get-output", query).await?)
    }
}
