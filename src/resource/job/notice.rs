//! Who is told of a job's runs, and what counts as not healthy.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    address::{Address, Ref},
    resource::{Cx, Destination, Result},
};

/// Whom to write to.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the API's own words")]
pub struct Emails {
    /// When a run begins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_start: Vec<String>,
    /// When a run succeeds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_success: Vec<String>,
    /// When a run fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<String>,
    /// When a run takes longer than the rule `run_duration_seconds` of `health` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_duration_warning_threshold_exceeded: Vec<String>,
    /// When a stream falls behind more than a rule of `health` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_streaming_backlog_exceeded: Vec<String>,
}

/// What to call: at most 3 notification destinations for each event.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the API's own words")]
pub struct Webhooks {
    /// When a run begins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_start: Vec<Called>,
    /// When a run succeeds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_success: Vec<Called>,
    /// When a run fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Called>,
    /// When a run takes longer than the rule `run_duration_seconds` of `health` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_duration_warning_threshold_exceeded: Vec<Called>,
    /// When a stream falls behind more than a rule of `health` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_streaming_backlog_exceeded: Vec<Called>,
}

/// A notification destination of the workspace.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Called {
    /// One of this stack.
    Destination(Ref<Destination>),
    /// Any other, by its identifier.
    Id(String),
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Destination(it) => it.address().fmt(f),
            Self::Id(it) => f.write_str(it),
        }
    }
}

impl Called {
    /// Returns its identifier.
    ///
    /// # Errors
    /// [`Error::NotReady`](crate::resource::Error::NotReady) while it is not there.
    pub(super) fn id(&self, cx: &Cx) -> Result<String> {
        match self {
            Self::Destination(it) => cx.output(&it.address(), "id"),
            Self::Id(it) => Ok(it.clone()),
        }
    }
}

/// When to be silent.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Silence {
    /// Whether nobody is told of runs that were skipped. Default: `false`.
    pub no_alert_for_skipped_runs: bool,
    /// Whether nobody is told of runs that were cancelled. Default: `false`.
    pub no_alert_for_canceled_runs: bool,
}

/// Something that is not healthy.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is measured.
    pub metric: Metric,
    /// What is too much.
    pub greater_than: i64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// How long a run takes, in seconds.
    RunDurationSeconds,
    /// How many bytes a stream has not read yet.
    StreamingBacklogBytes,
    /// How many seconds of events a stream is behind.
    StreamingBacklogSeconds,
    /// How many files a stream has not read yet.
    StreamingBacklogFiles,
    /// How many records a stream has not read yet.
    StreamingBacklogRecords,
}

/// The events of emails and webhooks.
pub(super) const EVENTS: [&str; 5] =
    ["on_start", "on_success", "on_failure", "on_duration_warning_threshold_exceeded", "on_streaming_backlog_exceeded"];

impl Emails {
    /// The addressees by event.
    pub(super) fn events(&self) -> [(&'static str, &[String]); 5] {
        let it = [
            &self.on_start,
            &self.on_success,
            &self.on_failure,
            &self.on_duration_warning_threshold_exceeded,
            &self.on_streaming_backlog_exceeded,
        ];
        std::array::from_fn(|i| (EVENTS[i], it[i].as_slice()))
    }
}

impl Webhooks {
    /// Returns the first destination that is not there yet.
    pub(super) fn awaited(&self, cx: &Cx) -> Option<Address> {
        let all = self.events().into_iter().flat_map(|it| it.1);
        let mut missing = all.filter(|it| it.id(cx).is_err());
        missing.find_map(|it| match it {
            Called::Destination(it) => Some(it.address()),
            Called::Id(_) => None,
        })
    }

    /// The destinations by event.
    pub(super) fn events(&self) -> [(&'static str, &[Called]); 5] {
        let it = [
            &self.on_start,
            &self.on_success,
            &self.on_failure,
            &self.on_duration_warning_threshold_exceeded,
            &self.on_streaming_backlog_exceeded,
        ];
        std::array::from_fn(|i| (EVENTS[i], it[i].as_slice()))
    }
}
