//! CloudWatch: metrics, math over them, alarms that are evaluated and act, dashboards. Logs are the cloud's behind the
//! gateway.
//!
//! Alarms, their history and dashboards are kept on disk; values of metrics in memory, for three hours, and gone with
//! the supervisor: an alarm then keeps its state until what came since decides. Not there: anomaly detection, Metrics
//! Insights, PromQL, metric streams; what is not answered here passes on. Shapes: the CloudWatch API reference, as
//! aws-sdk-cloudwatch and botocore read it.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use axum::body::Body;
use http::{HeaderMap, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

mod alarm;
mod cbor;
mod dashboard;
mod math;
pub(crate) mod metric;
mod query;
pub(crate) mod series;
pub(crate) mod source;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod wire;

use alarm::{Alarms, check::Tag, history::History};
use dashboard::Dashboard;
use store::Store;

use super::{
    call::{Call, Fault},
    record::Records,
    upstream::Upstream,
};

/// What is kept on disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    alarms: Alarms,
    history: History,
    dashboards: BTreeMap<String, Dashboard>,
}

/// The metrics, alarms and dashboards of this machine.
#[derive(Clone, Debug)]
pub(crate) struct CloudWatch {
    records: Arc<Records<Document>>,
    /// The values of all metrics.
    pub(crate) store: Arc<Store>,
    upstream: Upstream,
    account: String,
    /// Since when values are known.
    started: Timestamp,
    /// Tells whoever evaluates alarms that one changed.
    wake: Arc<Notify>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfResource {
    #[serde(rename = "ResourceARN")]
    arn: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

/// A refusal that says more than its message.
#[derive(Debug)]
struct Refusal {
    fault: Fault,
    more: Map<String, Value>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, more: Map::new() }
    }
}

impl CloudWatch {
    /// Reads what is remembered. Evaluates nothing yet.
    pub(crate) fn open(records: PathBuf, upstream: Upstream, account: &str) -> std::io::Result<Self> {
        Ok(Self {
            records: Arc::new(Records::open(records)?),
            store: Arc::default(),
            upstream,
            account: account.to_owned(),
            started: Timestamp::now(),
            wake: Arc::default(),
        })
    }

    /// Answers a request of the monitoring API; `None` where it is the cloud's.
    pub(crate) async fn answer(&self, headers: &HeaderMap, call: &Call) -> Option<Response<Body>> {
        let asked = wire::asked(headers, call)?;
        let answered = match wire::input(asked.format, headers, &call.body) {
            Ok(document) => self.operate(&asked.operation, document, &call.region).await,
            Err(fault) => Some(Err(fault.into())),
        };
        Some(match answered? {
            Ok(document) => wire::reply(asked.format, &document),
            Err(Refusal { fault, more }) => {
                tracing::info!("monitoring {}: {fault}", asked.operation);
                wire::refusal(asked.format, &fault, more)
            }
        })
    }

    async fn operate(&self, operation: &str, asked: Value, region: &str) -> Option<Result<Value, Refusal>> {
        let answer = match operation {
            "PutMetricData" => self.put_data(asked, region),
            "GetMetricData" => self.get_data(asked, region),
            "GetMetricStatistics" => self.statistics(asked, region),
            "ListMetrics" => self.list(asked, region),
            "PutMetricAlarm" => self.put_metric_alarm(asked, region).await,
            "PutCompositeAlarm" => self.put_composite_alarm(asked, region).await,
            "DescribeAlarms" => self.describe(asked, region),
            "DescribeAlarmsForMetric" => self.of_metric(asked, region),
            "DescribeAlarmHistory" => self.past(asked, region),
            "DeleteAlarms" => self.delete(asked, region).await,
            "SetAlarmState" => self.set_state(asked, region).await,
            "EnableAlarmActions" => self.enable(asked, region, true).await,
            "DisableAlarmActions" => self.enable(asked, region, false).await,
            "TagResource" | "UntagResource" | "ListTagsForResource" => self.tags(operation, asked).await,
            "PutDashboard" => return Some(self.put_dashboard(asked).await),
            "GetDashboard" => self.get_dashboard(asked),
            "ListDashboards" => self.list_dashboards(asked),
            "DeleteDashboards" => self.delete_dashboards(asked).await,
            _ => return None,
        };
        Some(answer.map_err(Refusal::from))
    }

    async fn tags(&self, operation: &str, asked: Value) -> Result<Value, Fault> {
        let asked: OfResource = input(asked)?;
        let missing =
            || Fault::new(404, "ResourceNotFoundException", format!("There is no alarm or dashboard {}.", asked.arn));
        if operation == "ListTagsForResource" {
            let mut now = Document::clone(&self.records.now());
            let tags = tags_of(&mut now, &asked.arn).ok_or_else(missing)?;
            let tags = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
            return Ok(json!({ "Tags": tags.collect::<Vec<_>>() }));
        }
        let new = alarm::check::tags(&asked.tags)?;
        self.records
            .change(|all| {
                let tags = tags_of(all, &asked.arn).ok_or_else(missing)?;
                tags.extend(new);
                asked.tag_keys.iter().for_each(|it| drop(tags.remove(it)));
                alarm::check::few(tags)?;
                Ok(json!({}))
            })
            .await
    }
}

/// Finds the tags of a resource by its ARN.
fn tags_of<'a>(all: &'a mut Document, arn: &str) -> Option<&'a mut BTreeMap<String, String>> {
    if let Some((_, name)) = arn.split_once(":dashboard/") {
        return all.dashboards.get_mut(name).map(|it| &mut it.tags);
    }
    all.alarms.values_mut().find(|it| it.arn == arn).map(|it| &mut it.tags)
}

/// Reads an operation's input.
fn input<T: DeserializeOwned>(asked: Value) -> Result<T, Fault> {
    serde_json::from_value(asked).map_err(|err| invalid(format!("The request is not valid: {err}.")))
}

/// Refuses what breaks a rule of the API.
fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "ValidationError", message)
}

/// Refuses a value, as the operations on metrics and dashboards put it.
fn invalid_value(message: impl Into<String>) -> Fault {
    Fault::new(400, "InvalidParameterValueException", message)
}

/// Writes whole seconds since 1970 as a time.
fn seconds(at: i64) -> Value {
    alarm::time(Timestamp::from_second(at).unwrap_or_default())
}
