//! Alarms: what is remembered of them, and how CloudWatch shows them. Pure.
//!
//! Shapes: the CloudWatch API reference, as aws-sdk-cloudwatch reads it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::metric::{Dimension, Query};

pub(super) mod answer;
pub(super) mod check;
pub(super) mod evaluate;
pub(super) mod history;
mod message;
mod rule;
pub(super) mod watch;

/// All alarms, by region and name, as `region/name`.
pub(super) type Alarms = BTreeMap<String, Alarm>;

/// One alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Alarm {
    /// The region.
    pub(super) region: String,
    /// The ARN.
    pub(super) arn: String,
    /// What was asked for.
    pub(super) rule: Rule,
    /// When that was.
    pub(super) configured: Timestamp,
    /// Its state.
    pub(super) state: State,
    /// Why it is in that state, in words.
    pub(super) reason: String,
    /// The same as a JSON text, where there are data.
    pub(super) data: Option<String>,
    /// When the state was set last.
    pub(super) updated: Timestamp,
    /// When the state became another one last.
    pub(super) transitioned: Timestamp,
    /// Why its expression cannot be evaluated, where it cannot.
    #[serde(default)]
    pub(super) error: Option<String>,
    /// The children whose change made the state what it is.
    #[serde(default)]
    pub(super) triggers: Vec<String>,
    /// Its tags.
    pub(super) tags: BTreeMap<String, String>,
}

/// The state of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum State {
    /// Within the threshold.
    Ok,
    /// Beyond it.
    Alarm,
    /// Unknown.
    InsufficientData,
}

impl State {
    /// Returns CloudWatch's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// What an alarm watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Rule {
    /// A metric, or math over metrics.
    Metric(Box<MetricRule>),
    /// Other alarms.
    Composite(CompositeRule),
}

/// What both sorts of alarms have.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Common {
    pub(super) alarm_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alarm_description: Option<String>,
    #[serde(default = "yes")]
    pub(super) actions_enabled: bool,
    #[serde(default, rename = "OKActions")]
    pub(super) ok_actions: Vec<String>,
    #[serde(default)]
    pub(super) alarm_actions: Vec<String>,
    #[serde(default)]
    pub(super) insufficient_data_actions: Vec<String>,
}

fn yes() -> bool {
    true
}

/// An alarm on a metric, or on math over metrics: the input of `PutMetricAlarm`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricRule {
    #[serde(flatten)]
    pub(super) common: Common,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metric_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) statistic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extended_statistic: Option<String>,
    #[serde(default)]
    pub(super) dimensions: Vec<Dimension>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evaluation_periods: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datapoints_to_alarm: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comparison_operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) treat_missing_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evaluate_low_sample_count_percentile: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) metrics: Vec<Query>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) threshold_metric_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evaluation_window: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warm_up_configuration: Option<Value>,
    #[serde(default, skip_serializing)]
    pub(super) evaluation_criteria: Option<Value>,
}

/// An alarm on other alarms: the input of `PutCompositeAlarm`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CompositeRule {
    #[serde(flatten)]
    pub(super) common: Common,
    pub(super) alarm_rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actions_suppressor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actions_suppressor_wait_period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actions_suppressor_extension_period: Option<i64>,
}

impl Rule {
    /// Returns what both sorts have.
    pub(super) fn common(&self) -> &Common {
        match self {
            Self::Metric(it) => &it.common,
            Self::Composite(it) => &it.common,
        }
    }

    /// Returns the same, to be changed.
    pub(super) fn common_mut(&mut self) -> &mut Common {
        match self {
            Self::Metric(it) => &mut it.common,
            Self::Composite(it) => &mut it.common,
        }
    }

    /// Returns CloudWatch's word for the sort.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Metric(_) => "MetricAlarm",
            Self::Composite(_) => "CompositeAlarm",
        }
    }
}

impl Alarm {
    /// Makes an alarm that was never evaluated.
    pub(super) fn new(region: &str, account: &str, rule: Rule, now: Timestamp) -> Self {
        let name = &rule.common().alarm_name;
        Self {
            region: region.to_owned(),
            arn: format!("arn:aws:cloudwatch:{region}:{account}:alarm:{name}"),
            rule,
            configured: now,
            state: State::InsufficientData,
            reason: "Unchecked: Initial alarm creation".to_owned(),
            data: None,
            updated: now,
            transitioned: now,
            error: None,
            triggers: Vec::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Returns the name.
    pub(super) fn name(&self) -> &str {
        &self.rule.common().alarm_name
    }

    /// Returns the key.
    pub(super) fn key(&self) -> String {
        key(&self.region, self.name())
    }

    /// Returns what it does in its state.
    pub(super) fn actions(&self) -> &[String] {
        let common = self.rule.common();
        match self.state {
            State::Ok => &common.ok_actions,
            State::Alarm => &common.alarm_actions,
            State::InsufficientData => &common.insufficient_data_actions,
        }
    }

    /// Shows it. `suppressed` says whether its suppressor holds its actions back.
    pub(super) fn show(&self, suppressed: bool) -> Value {
        let mut all = match &self.rule {
            Rule::Metric(it) => json!(it),
            Rule::Composite(it) => json!(it),
        };
        let mut more = Map::new();
        more.insert("AlarmArn".to_owned(), json!(self.arn));
        more.insert("AlarmConfigurationUpdatedTimestamp".to_owned(), time(self.configured));
        more.insert("StateValue".to_owned(), json!(self.state));
        more.insert("StateReason".to_owned(), json!(self.reason));
        more.insert("StateUpdatedTimestamp".to_owned(), time(self.updated));
        more.insert("StateTransitionedTimestamp".to_owned(), time(self.transitioned));
        if let Some(data) = &self.data {
            more.insert("StateReasonData".to_owned(), json!(data));
        }
        if self.error.is_some() {
            more.insert("EvaluationState".to_owned(), json!("EVALUATION_ERROR"));
        }
        if suppressed {
            more.insert("ActionsSuppressedBy".to_owned(), json!("Alarm"));
            more.insert("ActionsSuppressedReason".to_owned(), json!("The suppressor alarm is in ALARM state"));
        }
        if let Some(it) = all.as_object_mut() {
            it.extend(more);
        }
        all
    }
}

/// Returns the key of an alarm.
pub(super) fn key(region: &str, name: &str) -> String {
    format!("{region}/{name}")
}

/// Writes a time as seconds since 1970.
pub(super) fn time(at: Timestamp) -> Value {
    json!(at.as_duration().as_secs_f64())
}

/// Returns the time, in whole microseconds.
pub(super) fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap_or_default()
}
