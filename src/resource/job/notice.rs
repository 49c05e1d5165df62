//! Who is told of a job's runs, and what counts as not healthy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// What to call: identifiers of the workspace's notification destinations, at most 3 for each event.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the API's own words")]
pub struct Webhooks {
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
    /// The destinations by event.
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
