//! What is known of a run, and its states in the words of the Jobs API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::{
    call::{new_id, now},
    job::settings::Settings,
};
use crate::local::gateway::call::Fault;

/// One run of a job, or of tasks that were submitted without one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: i64,
    /// The job; of a submitted run a number that no job has.
    pub(crate) job: i64,
    /// How many runs of the job there were with this one.
    pub(crate) number: u64,
    pub(crate) creator: String,
    pub(crate) submitted: bool,
    pub(crate) trigger: Trigger,
    /// The settings as they were when it was triggered.
    pub(crate) settings: Map<String, Value>,
    /// The job's parameters, with what this run was given for them.
    pub(crate) parameters: BTreeMap<String, String>,
    /// What this run was given in place of its tasks' own parameters.
    #[serde(default)]
    pub(crate) overrides: Overrides,
    pub(crate) token: Option<String>,
    /// When it was triggered, in milliseconds since 1970; so are the others.
    pub(crate) created: i64,
    /// When it left the queue.
    pub(crate) started: Option<i64>,
    pub(crate) ended: Option<i64>,
    pub(crate) state: State,
    pub(crate) tasks: Vec<TaskRun>,
    #[serde(default)]
    pub(crate) repairs: Vec<i64>,
}

/// What a run is given in place of its tasks' own parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Overrides {
    pub(crate) python_params: Option<Vec<String>>,
    pub(crate) notebook_params: BTreeMap<String, String>,
    pub(crate) python_named_params: BTreeMap<String, String>,
}

/// What began a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Trigger {
    OneTime,
    Periodic,
    Continuous,
    FileArrival,
}

/// A task within a run, with all attempts at it; the last one counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TaskRun {
    pub(crate) key: String,
    pub(crate) attempts: Vec<Attempt>,
}

/// One attempt at a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) id: i64,
    pub(crate) started: Option<i64>,
    /// When its code began to run.
    pub(crate) running: Option<i64>,
    pub(crate) ended: Option<i64>,
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) outcome: Outcome,
}

/// What the code of a task left. Secrets are masked in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Outcome {
    pub(crate) error: Option<String>,
    pub(crate) error_trace: Option<String>,
    /// What a notebook ended with.
    pub(crate) notebook_output: Option<String>,
    /// Whether that was longer.
    pub(crate) truncated: bool,
    /// What it set for the tasks after it.
    pub(crate) values: BTreeMap<String, Value>,
}

/// How far along a run or an attempt is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) life: Life,
    pub(crate) result: Option<Ending>,
    pub(crate) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Life {
    Blocked,
    Queued,
    Pending,
    Running,
    Terminating,
    WaitingForRetry,
    Terminated,
    Skipped,
    InternalError,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    #[serde(rename = "SUCCESS")]
    Success,
    #[serde(rename = "SUCCESS_WITH_FAILURES")]
    SuccessWithFailures,
    #[serde(rename = "FAILED")]
    Failed,
    #[serde(rename = "TIMEDOUT")]
    TimedOut,
    #[serde(rename = "CANCELED")]
    Canceled,
    #[serde(rename = "MAXIMUM_CONCURRENT_RUNS_REACHED")]
    MaximumConcurrentRunsReached,
    #[serde(rename = "UPSTREAM_FAILED")]
    UpstreamFailed,
    #[serde(rename = "UPSTREAM_CANCELED")]
    UpstreamCanceled,
    #[serde(rename = "EXCLUDED")]
    Excluded,
    #[serde(rename = "DISABLED")]
    Disabled,
}

impl Life {
    /// Says whether nothing comes after it.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Terminated | Self::Skipped | Self::InternalError)
    }
}

impl State {
    /// One that is not over.
    pub(crate) fn new(life: Life, message: impl Into<String>) -> Self {
        Self { life, result: None, message: message.into() }
    }

    /// One that is over.
    pub(crate) fn over(life: Life, result: Ending, message: impl Into<String>) -> Self {
        Self { life, result: Some(result), message: message.into() }
    }

    /// The `state` of the API.
    pub(crate) fn render(&self) -> Value {
        let mut it = json!({ "life_cycle_state": self.life, "state_message": self.message });
        let by_user = matches!(self.result, Some(Ending::Canceled | Ending::TimedOut));
        it["user_cancelled_or_timedout"] = by_user.into();
        if let Some(result) = self.result {
            it["result_state"] = json!(result);
        }
        if self.life == Life::Queued {
            it["queue_reason"] = self.message.clone().into();
        }
        it
    }

    /// The `status` of the API, which says the same in newer words.
    pub(crate) fn render_status(&self) -> Value {
        match self.life {
            Life::Queued => json!({
                "state": "QUEUED",
                "queue_details": { "code": "ACTIVE_RUNS_LIMIT_REACHED", "message": self.message },
            }),
            Life::WaitingForRetry => json!({ "state": "WAITING" }),
            Life::Blocked | Life::Pending | Life::Running | Life::Terminating => json!({ "state": self.life }),
            Life::Terminated | Life::Skipped | Life::InternalError => {
                let (code, kind) = self.termination();
                let details = json!({ "code": code, "type": kind, "message": self.message });
                json!({ "state": "TERMINATED", "termination_details": details })
            }
        }
    }

    fn termination(&self) -> (&'static str, &'static str) {
        match self.result {
            Some(Ending::Success) => ("SUCCESS", "SUCCESS"),
            Some(Ending::SuccessWithFailures) => ("SUCCESS_WITH_FAILURES", "SUCCESS"),
            Some(Ending::Failed) => ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
            Some(Ending::TimedOut) => ("CANCELED", "CLIENT_ERROR"),
            Some(Ending::Canceled) => ("USER_CANCELED", "CLIENT_ERROR"),
            Some(Ending::MaximumConcurrentRunsReached) => ("MAX_CONCURRENT_RUNS_EXCEEDED", "CLIENT_ERROR"),
            Some(Ending::UpstreamFailed | Ending::UpstreamCanceled) => ("SKIPPED", "CLIENT_ERROR"),
            Some(Ending::Excluded) => ("SKIPPED", "SUCCESS"),
            Some(Ending::Disabled) => ("DISABLED", "SUCCESS"),
            None => ("INTERNAL_ERROR", "INTERNAL_ERROR"),
        }
    }
}

impl Attempt {
    /// One that waits for other tasks, or for its turn.
    pub(crate) fn new(life: Life) -> Self {
        let state = State::new(life, "");
        Self { id: new_id(), started: None, running: None, ended: None, state, outcome: Outcome::default() }
    }

    /// Ends it.
    pub(crate) fn end(&mut self, state: State) {
        self.state = state;
        self.ended = Some(now());
    }
}

impl TaskRun {
    /// The attempt that counts.
    pub(crate) fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// The state of the attempt that counts.
    pub(crate) fn state(&self) -> Option<&State> {
        self.last().map(|it| &it.state)
    }
}

impl Run {
    /// The settings, typed.
    pub(crate) fn read(&self) -> Result<Settings, Fault> {
        super::super::call::read(self.settings.clone().into())
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.settings.get("name").and_then(Value::as_str).unwrap_or("Untitled")
    }

    /// Ends it, and all attempts of it that are not over.
    pub(crate) fn end(&mut self, state: &State) {
        self.state = state.clone();
        self.ended = Some(now());
        for attempt in self.tasks.iter_mut().filter_map(|it| it.attempts.last_mut()) {
            if !attempt.state.life.is_over() {
                attempt.end(state.clone());
            }
        }
    }
}
