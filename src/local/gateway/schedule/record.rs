//! What is kept of a schedule and of a group, and how the API shows it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{super::call::Fault, invalid, time::When};

/// A group of schedules; it carries their tags.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) deleting: bool,
}

/// A schedule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Schedule {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) arn: String,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) input: Input,
}

/// What a schedule is made of. What is not kept here is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Input {
    pub(super) schedule_expression: String,
    #[serde(default = "utc")]
    pub(super) schedule_expression_timezone: String,
    pub(super) flexible_time_window: Window,
    pub(super) target: Target,
    #[serde(default = "enabled")]
    pub(super) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_token: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Window {
    mode: String,
}

/// What is invoked, and how hard it is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Target {
    pub(super) arn: String,
    pub(super) role_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<String>,
    #[serde(default)]
    pub(super) retry_policy: Retry,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter_config: Option<DeadLetters>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub(super) struct Retry {
    pub(super) maximum_retry_attempts: u32,
    pub(super) maximum_event_age_in_seconds: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct DeadLetters {
    pub(super) arn: String,
}

impl Default for Retry {
    fn default() -> Self {
        Self { maximum_retry_attempts: 185, maximum_event_age_in_seconds: 86_400 }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn enabled() -> String {
    "ENABLED".to_owned()
}

/// Says whether a name is one for a schedule or a group.
pub(super) fn check_name(name: &str) -> Result<(), Fault> {
    let fits = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    match (1..=64).contains(&name.len()) && name.chars().all(fits) {
        true => Ok(()),
        false => Err(invalid(format!("{name:?} does not match ^[0-9a-zA-Z-_.]+$, or is too long."))),
    }
}

impl Input {
    /// Refuses what the API would refuse.
    pub(super) fn check(&self, name: &str) -> Result<(), Fault> {
        check_name(name)?;
        When::parse(&self.schedule_expression, &self.schedule_expression_timezone).map_err(invalid)?;
        if !["ENABLED", "DISABLED"].contains(&self.state.as_str()) {
            return Err(invalid(format!("State cannot be {}.", self.state)));
        }
        if self.flexible_time_window.mode != "OFF" {
            return Err(invalid("Only FlexibleTimeWindow OFF is kept here."));
        }
        let Target { arn, role_arn, input, retry_policy, dead_letter_config } = &self.target;
        if !arn.contains(":lambda:") || !arn.contains(":function:") {
            return Err(invalid("Only functions of Lambda are targets here."));
        }
        if !role_arn.contains(":role/") {
            return Err(invalid(format!("RoleArn {role_arn} is no role.")));
        }
        if input.as_ref().is_some_and(|it| serde_json::from_str::<Value>(it).is_err()) {
            return Err(invalid("Invalid Input: it must be JSON for a function."));
        }
        let age = retry_policy.maximum_event_age_in_seconds;
        if retry_policy.maximum_retry_attempts > 185 || !(60..=86_400).contains(&age) {
            return Err(invalid("RetryPolicy has 0 to 185 attempts, and 60 to 86400 seconds."));
        }
        if dead_letter_config.as_ref().is_some_and(|it| !it.arn.contains(":sqs:")) {
            return Err(invalid("DeadLetterConfig names no SQS queue."));
        }
        Ok(())
    }
}

impl Group {
    /// A group that has just been made.
    pub(super) fn new(name: &str, arn: String) -> Self {
        let (tags, now) = (BTreeMap::new(), Timestamp::UNIX_EPOCH);
        Self { name: name.to_owned(), arn, created: now, modified: now, tags, deleting: false }
    }

    pub(super) fn show(&self) -> Value {
        json!({
            "Name": self.name, "Arn": self.arn, "State": if self.deleting { "DELETING" } else { "ACTIVE" },
            "CreationDate": seconds(self.created), "LastModificationDate": seconds(self.modified),
        })
    }
}

impl Schedule {
    /// When it invokes next after a time; `None` when it never does.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if self.input.state != "ENABLED" {
            return None;
        }
        let when = When::parse(&self.input.schedule_expression, &self.input.schedule_expression_timezone).ok()?;
        when.next(self.created, after)
    }

    pub(super) fn show(&self) -> Value {
        let mut it = json!(self.input);
        if let Some(fields) = it.as_object_mut() {
            fields.shift_remove("ClientToken");
        }
        it["Name"] = self.name.clone().into();
        it["GroupName"] = self.group.clone().into();
        it["Arn"] = self.arn.clone().into();
        it["ActionAfterCompletion"] = "NONE".into();
        it["CreationDate"] = seconds(self.created).into();
        it["LastModificationDate"] = seconds(self.modified).into();
        it
    }

    pub(super) fn summary(&self) -> Value {
        json!({
            "Name": self.name, "GroupName": self.group, "Arn": self.arn, "State": self.input.state,
            "Target": { "Arn": self.input.target.arn },
            "CreationDate": seconds(self.created), "LastModificationDate": seconds(self.modified),
        })
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}
