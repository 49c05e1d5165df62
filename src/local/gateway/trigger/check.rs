//! What Lambda would refuse of an event source mapping for Kafka. Pure.
//!
//! Source: the Lambda API reference. Refused although Lambda takes them: filters, schema registries, Kafka topics as
//! destinations. Not checked, although Lambda may: that retries, age, splitting and reported items need provisioned mode.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::record::Settings;
use crate::local::{gateway::call::Fault, poller::Destination};

/// What `CreateEventSourceMapping` and `UpdateEventSourceMapping` take.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Input {
    pub(super) function_name: Option<String>,
    pub(super) event_source_arn: Option<String>,
    pub(super) topics: Option<Vec<String>>,
    pub(super) starting_position: Option<String>,
    pub(super) starting_position_timestamp: Option<f64>,
    pub(super) enabled: Option<bool>,
    pub(super) amazon_managed_kafka_event_source_config: Option<KafkaConfig>,
    pub(super) tags: Option<std::collections::BTreeMap<String, String>>,
    batch_size: Option<i64>,
    maximum_batching_window_in_seconds: Option<i64>,
    maximum_retry_attempts: Option<i64>,
    maximum_record_age_in_seconds: Option<i64>,
    bisect_batch_on_function_error: Option<bool>,
    function_response_types: Option<Vec<String>>,
    destination_config: Option<Value>,
    filter_criteria: Option<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What is particular to MSK.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct KafkaConfig {
    pub(super) consumer_group_id: Option<String>,
    schema_registry_config: Option<Value>,
}

/// What is remembered and shown; only `MetricsConfig` has an effect here.
const SHOWN: [&str; 5] =
    ["ProvisionedPollerConfig", "SourceAccessConfigurations", "MetricsConfig", "LoggingConfig", "KMSKeyArn"];
/// What belongs to other kinds of event sources.
const FOREIGN: [&str; 7] = [
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
    "Queues",
    "ScalingConfig",
    "SelfManagedEventSource",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
];

impl Input {
    /// Checks what is given and puts it into the settings.
    pub(super) fn apply(&self, settings: &mut Settings) -> Result<(), Fault> {
        if let Some(it) = FOREIGN.iter().find(|it| self.rest.get(**it).is_some_and(|it| !it.is_null())) {
            return Err(invalid(format!("{it} is not supported for Amazon MSK event sources.")));
        }
        if let Some(it) = self.batch_size {
            settings.batch_size = within("BatchSize", it, 1..=10_000)?;
        }
        if let Some(it) = self.maximum_batching_window_in_seconds {
            settings.window = Some(within("MaximumBatchingWindowInSeconds", it, 0..=300)?);
        }
        if let Some(it) = self.maximum_retry_attempts {
            settings.retries = within("MaximumRetryAttempts", it, -1..=10_000)?;
        }
        if let Some(it) = self.maximum_record_age_in_seconds {
            settings.age = match it {
                -1 => -1,
                it => within("MaximumRecordAgeInSeconds", it, 60..=604_800)?,
            };
        }
        if let Some(it) = self.bisect_batch_on_function_error {
            settings.bisect = it;
        }
        if let Some(types) = &self.function_response_types {
            if let Some(it) = types.iter().find(|it| *it != "ReportBatchItemFailures") {
                return Err(invalid(format!(
                    "{it} is not a function response type; there is ReportBatchItemFailures."
                )));
            }
            settings.reports_items = !types.is_empty();
        }
        if let Some(it) = &self.destination_config {
            settings.destination = destination(it)?;
        }
        if self.filter_criteria.as_ref().is_some_and(|it| it["Filters"].as_array().is_some_and(|it| !it.is_empty())) {
            return Err(invalid("Filters are not supported by the local cloud."));
        }
        let schemas = self.amazon_managed_kafka_event_source_config.as_ref();
        if schemas.is_some_and(|it| it.schema_registry_config.as_ref().is_some_and(|it| !it.is_null())) {
            return Err(invalid("Schema registries are not supported by the local cloud."));
        }
        for key in SHOWN {
            match self.rest.get(key) {
                None | Some(Value::Null) => (),
                Some(Value::Object(it)) if it.is_empty() => drop(settings.shown.remove(key)),
                Some(it) => drop(settings.shown.insert(key.to_owned(), it.clone())),
            }
        }
        Ok(())
    }

    /// Returns the one topic.
    pub(super) fn topic(&self) -> Result<&str, Fault> {
        match self.topics.as_deref() {
            Some([it]) if !it.is_empty() => Ok(it),
            _ => Err(invalid("Exactly one topic must be given for a Kafka event source.")),
        }
    }

    /// Returns where reading begins.
    pub(super) fn start(&self, now: f64) -> Result<(String, Option<f64>), Fault> {
        match (self.starting_position.as_deref(), self.starting_position_timestamp) {
            (Some(it @ ("TRIM_HORIZON" | "LATEST")), None) => Ok((it.to_owned(), None)),
            (Some(it @ "AT_TIMESTAMP"), Some(at)) if at <= now => Ok((it.to_owned(), Some(at))),
            (Some("AT_TIMESTAMP"), Some(_)) => Err(invalid("StartingPositionTimestamp must not be in the future.")),
            (Some("AT_TIMESTAMP"), None) => Err(invalid("AT_TIMESTAMP needs a StartingPositionTimestamp.")),
            (Some("TRIM_HORIZON" | "LATEST"), Some(_)) => {
                Err(invalid("StartingPositionTimestamp is for AT_TIMESTAMP alone."))
            }
            (Some(it), _) => Err(invalid(format!("{it} is not a starting position."))),
            (None, _) => Err(invalid("StartingPosition is required for a Kafka event source.")),
        }
    }

    /// Returns the consumer group that is asked for.
    pub(super) fn group(&self) -> Result<Option<&str>, Fault> {
        let config = self.amazon_managed_kafka_event_source_config.as_ref();
        let Some(group) = config.and_then(|it| it.consumer_group_id.as_deref()) else { return Ok(None) };
        let fits = |it: char| it.is_ascii_alphanumeric() || "-/*:_+=.@".contains(it);
        if (1..=200).contains(&group.len()) && group.chars().all(fits) {
            Ok(Some(group))
        } else {
            Err(invalid("ConsumerGroupId must be 1 to 200 letters, digits and -/*:_+=.@ characters."))
        }
    }
}

/// Reads `{"OnFailure":{"Destination":…}}`; an empty one takes the destination away.
fn destination(config: &Value) -> Result<Option<String>, Fault> {
    let Some(arn) = config.pointer("/OnFailure/Destination").and_then(Value::as_str).filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    if Destination::parse(arn).is_none() {
        return Err(invalid(format!("{arn} is not the ARN of a bucket, a queue or an SNS topic.")));
    }
    Ok(Some(arn.to_owned()))
}

fn within<T: TryFrom<i64>>(name: &str, value: i64, range: std::ops::RangeInclusive<i64>) -> Result<T, Fault> {
    let wrong = || invalid(format!("{name} is {value}; it must be from {} to {}.", range.start(), range.end()));
    if !range.contains(&value) {
        return Err(wrong());
    }
    T::try_from(value).map_err(|_| wrong())
}

/// Splits a function's name, ARN or partial ARN into its name and the version or alias behind it.
pub(crate) fn function(given: &str) -> (String, Option<String>) {
    let tail = given.rsplit_once("function:").map_or(given, |(_, it)| it);
    match tail.split_once(':') {
        Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
        None => (tail.to_owned(), None),
    }
}

/// Refuses a request as Lambda does.
pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(400, "InvalidParameterValueException", message)
}

/// Reads a request.
pub(super) fn input(document: Value) -> Result<Input, Fault> {
    serde_json::from_value(document).map_err(|err| Fault::new(400, "InvalidRequestContentException", err.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(given: Value) -> Result<Settings, Fault> {
        let mut settings = Settings::default();
        input(given)?.apply(&mut settings).map(|()| settings)
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        for (key, good, bad) in [
            ("BatchSize", 10_000, 10_001),
            ("MaximumBatchingWindowInSeconds", 300, 301),
            ("MaximumRetryAttempts", -1, -2),
            ("MaximumRecordAgeInSeconds", 60, 59),
        ] {
            assert!(applied(json!({ key: good })).is_ok(), "{key}");
            let refused = applied(json!({ key: bad })).expect_err("out of range");
            assert!(refused.message.contains(key) && refused.code == "InvalidParameterValueException", "{refused}");
        }
    }

    #[test]
    fn destinations_can_be_set_and_taken_away() {
        let with = |it: &str| json!({ "DestinationConfig": { "OnFailure": { "Destination": it } } });
        assert_eq!(
            applied(with("arn:aws:s3:::rejects")).expect("a bucket").destination.as_deref(),
            Some("arn:aws:s3:::rejects")
        );
        assert_eq!(applied(json!({ "DestinationConfig": { "OnFailure": {} } })).expect("none").destination, None);
        assert!(applied(with("kafka://late")).is_err());
    }

    #[test]
    fn what_is_not_supported_is_said() {
        for given in [
            json!({ "ParallelizationFactor": 2 }),
            json!({ "FilterCriteria": { "Filters": [{ "Pattern": "{}" }] } }),
            json!({ "FunctionResponseTypes": ["Other"] }),
            json!({ "AmazonManagedKafkaEventSourceConfig": { "SchemaRegistryConfig": { "EventRecordFormat": "JSON" } } }),
        ] {
            assert!(applied(given.clone()).is_err(), "{given}");
        }
        assert!(applied(json!({ "FilterCriteria": { "Filters": [] }, "Tags": {} })).is_ok());
        let shown = applied(json!({ "ProvisionedPollerConfig": { "MinimumPollers": 1 } })).expect("shown").shown;
        assert_eq!(shown["ProvisionedPollerConfig"]["MinimumPollers"], 1);
    }

    #[test]
    fn a_start_needs_a_position_and_a_time_where_it_says_so() {
        let start = |it: Value| input(it)?.start(100.0);
        assert_eq!(start(json!({ "StartingPosition": "LATEST" })), Ok(("LATEST".into(), None)));
        let at = |it: f64| start(json!({ "StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": it }));
        assert_eq!(at(99.5), Ok(("AT_TIMESTAMP".into(), Some(99.5))));
        assert!(at(101.0).is_err());
        assert!(start(json!({})).is_err() && start(json!({ "StartingPosition": "AT_TIMESTAMP" })).is_err());
    }

    #[test]
    fn functions_are_named_in_four_ways() {
        let named = |it: &str| function(it);
        assert_eq!(named("f"), ("f".into(), None));
        assert_eq!(named("f:live"), ("f".into(), Some("live".into())));
        assert_eq!(named("arn:aws:lambda:us-east-1:000000000000:function:f:3"), ("f".into(), Some("3".into())));
        assert_eq!(named("000000000000:function:f"), ("f".into(), None));
    }
}
