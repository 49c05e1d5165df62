//! What is remembered of an event source mapping, and how Lambda shows it. Pure.
//!
//! Shapes: the Lambda API reference, as aws-sdk-lambda reads it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    client::kafka::Start,
    local::poller::{Destination, Job},
};

/// How long a batch is gathered where a mapping does not say; it cannot be said in whole seconds.
const DEFAULT_WINDOW: Duration = Duration::from_millis(500);

/// All mappings, by UUID.
pub(crate) type Mappings = BTreeMap<String, Mapping>;

/// One mapping.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Mapping {
    /// The UUID, which also is its key.
    pub(crate) uuid: String,
    /// The ARN.
    pub(crate) arn: String,
    /// The region.
    pub(crate) region: String,
    /// The function's ARN, with the version or alias that was asked for.
    pub(crate) function_arn: String,
    /// The cluster's ARN.
    pub(crate) source_arn: String,
    /// The topic.
    pub(crate) topic: String,
    /// The consumer group.
    pub(crate) group: String,
    /// Where reading begins, in Lambda's words.
    pub(crate) start: String,
    /// The time for `AT_TIMESTAMP`, in seconds since 1970.
    pub(crate) start_timestamp: Option<f64>,
    /// Whether it shall run.
    pub(crate) enabled: bool,
    /// How far along it is.
    pub(crate) state: State,
    /// When it was changed last, in seconds since 1970.
    pub(crate) modified: f64,
    /// What may be changed later.
    pub(crate) settings: Settings,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
}

/// How far along a mapping is, in Lambda's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Asked for.
    Creating,
    /// About to run.
    Enabling,
    /// Runs.
    Enabled,
    /// About to stop.
    Disabling,
    /// Does not run.
    Disabled,
    /// About to run with other settings.
    Updating,
    /// On its way out.
    Deleting,
}

impl State {
    /// Says whether nothing is under way.
    pub(crate) fn is_settled(self) -> bool {
        matches!(self, Self::Enabled | Self::Disabled)
    }
}

/// What may be changed later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The most records of a batch.
    pub(crate) batch_size: u32,
    /// How long a batch is gathered, in seconds; `None` for half of one.
    pub(crate) window: Option<u32>,
    /// The most retries; -1 for ever.
    pub(crate) retries: i64,
    /// The age in seconds beyond which a failed record is not tried again; -1 for none.
    pub(crate) age: i64,
    /// Whether a failed batch is split in two.
    pub(crate) bisect: bool,
    /// Whether the function reports single records that failed.
    pub(crate) reports_items: bool,
    /// Where records go that are given up, as an ARN.
    pub(crate) destination: Option<String>,
    /// What is remembered and shown; only `MetricsConfig` has an effect here.
    pub(crate) shown: Map<String, Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_size: 100,
            window: None,
            retries: -1,
            age: -1,
            bisect: false,
            reports_items: false,
            destination: None,
            shown: Map::new(),
        }
    }
}

impl Settings {
    /// Says whether events are to be counted.
    pub(crate) fn counts_events(&self) -> bool {
        let groups = self.shown.get("MetricsConfig").and_then(|it| it["Metrics"].as_array());
        groups.is_some_and(|it| it.iter().any(|it| it == "EventCount"))
    }
}

impl Mapping {
    /// Shows it as every operation on mappings does. `result` is how the latest batch went.
    pub(crate) fn show(&self, result: &str) -> Value {
        let it = &self.settings;
        let mut shown = Value::Object(it.shown.clone());
        let fields = json!({
            "UUID": self.uuid,
            "EventSourceMappingArn": self.arn,
            "EventSourceArn": self.source_arn,
            "FunctionArn": self.function_arn,
            "Topics": [self.topic],
            "StartingPosition": self.start,
            "StartingPositionTimestamp": self.start_timestamp,
            "AmazonManagedKafkaEventSourceConfig": { "ConsumerGroupId": self.group },
            "BatchSize": it.batch_size,
            "MaximumBatchingWindowInSeconds": it.window.unwrap_or(0),
            "MaximumRetryAttempts": it.retries,
            "MaximumRecordAgeInSeconds": it.age,
            "BisectBatchOnFunctionError": it.bisect,
            "FunctionResponseTypes": if it.reports_items { json!(["ReportBatchItemFailures"]) } else { json!([]) },
            "DestinationConfig": { "OnFailure": { "Destination": it.destination } },
            "State": self.state,
            "StateTransitionReason": "USER_INITIATED",
            "LastModified": self.modified,
            "LastProcessingResult": if result.is_empty() { "No records processed" } else { result },
        });
        if let (Some(shown), Value::Object(fields)) = (shown.as_object_mut(), fields) {
            shown.extend(fields.into_iter().filter(|(_, it)| !it.is_null()));
        }
        shown
    }

    /// Returns what the poller is to do.
    pub(crate) fn job(&self) -> Job {
        let it = &self.settings;
        Job {
            id: self.uuid.clone(),
            region: self.region.clone(),
            function_arn: self.function_arn.clone(),
            source_arn: self.source_arn.clone(),
            topic: self.topic.clone(),
            group: self.group.clone(),
            start: match (self.start.as_str(), self.start_timestamp) {
                ("LATEST", _) => Start::Newest,
                #[expect(clippy::cast_possible_truncation, reason = "a date in milliseconds fits")]
                ("AT_TIMESTAMP", Some(seconds)) => Start::At((seconds * 1000.0) as i64),
                _ => Start::Oldest,
            },
            batch_size: usize::try_from(it.batch_size).unwrap_or(100),
            window: it.window.map_or(DEFAULT_WINDOW, |it| Duration::from_secs(it.into())),
            retries: u32::try_from(it.retries).ok(),
            age: u64::try_from(it.age).ok().map(Duration::from_secs),
            bisect: it.bisect,
            reports_items: it.reports_items,
            counts_events: it.counts_events(),
            destination: it.destination.as_deref().and_then(Destination::parse),
        }
    }
}
