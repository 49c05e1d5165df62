//! An event source mapping: Lambda polls a topic and hands its records to a function.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::{self, EventSourceMappingConfiguration, EventSourceMappingMetric, EventSourcePosition};
use futures::future::{join_all, try_join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Bucket, Change, Cx, Desired, Field, Flaw, Function, Identity, Objection, Outputs, Phase, Resource, Result, Scope,
    Tags, Topic, bucket, function, touched,
};
use crate::{
    address::{Name, Ref},
    client::{self, Error},
    quantity::Span,
};

/// Hands the records of one topic to a function, in batches, in order within each partition. What polls stands in the
/// cluster's subnets and security groups, and needs no network of its own.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The topic. Cannot be changed.
    pub topic: Ref<Topic>,
    /// The function.
    pub function: Ref<Function>,
    /// The most records in one batch, up to 10000. Default: 500.
    #[serde(default = "five_hundred")]
    pub batch_size: u32,
    /// How long to gather a batch, in whole seconds, up to `5m`. Default: `1s`.
    #[serde(default = "second")]
    pub window: Span,
    /// Where a new consumer group begins. Counts when the trigger is created. Default: `trim_horizon`.
    #[serde(default)]
    pub starting_position: Position,
    /// The Kafka consumer group that keeps the place in the topic. Cannot be changed. Default: `<stack>-<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_group: Option<String>,
    /// How often a failed batch is tried again. Default: until its records expire, or 10 times with `on_failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The age at which records are not tried any more: `1m` to `7d`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
    /// Whether a failed batch is cut in two, to find the record that fails. Default: `false`.
    #[serde(default)]
    pub bisect: bool,
    /// The bucket that takes what failed for good, with the whole records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Ref<Bucket>>,
    /// Pollers of its own, which `retries`, `max_age` and `bisect` demand. Default: those that Lambda scales by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pollers: Option<Pollers>,
    /// Whether CloudWatch counts the events that are polled, handed over, and fail, as `alarms/trigger_failures.toml` needs
    /// it. Default: `false`.
    #[serde(default)]
    pub metrics: bool,
    /// Whether records are handed over; switched off, the consumer group keeps its place. Default: `true`.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// Where a new consumer group begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// At the oldest record.
    #[default]
    TrimHorizon,
    /// After the newest record.
    Latest,
}

/// How many pollers a trigger has to itself ("provisioned mode").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pollers {
    /// The fewest, 1 to 200.
    pub min: u32,
    /// The most, 1 to 2000.
    pub max: u32,
}

/// An event source mapping as Lambda has it.
#[derive(Debug)]
pub struct LiveTrigger {
    mapping: EventSourceMappingConfiguration,
    tags: Tags,
}

const fn five_hundred() -> u32 {
    500
}

const fn second() -> Span {
    Span::seconds(1)
}

const fn yes() -> bool {
    true
}

impl Resource for Trigger {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("source", Field::Immutable),
        ("consumer_group", Field::Defaulted),
        ("retries", Field::Defaulted),
        ("max_age", Field::Defaulted),
        ("tags", Field::Defaulted),
    ];
    const LISTED: bool = false;
    const OUTPUTS: &'static [&'static str] = &["id", "arn", "consumer_group"];
    type Live = LiveTrigger;

    /// The function and the consumer group: together they are one mapping.
    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        let group = self.consumer_group.clone().unwrap_or_else(|| scope.physical(name));
        format!("{}/{group}", scope.physical_of(&self.function))
    }

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if !(1..=10_000).contains(&self.batch_size) {
            flaws.push(Flaw::new("/batch_size", format!("a batch has 1 to 10000 records, not {}", self.batch_size)));
        }
        let seconds = self.window.as_secs();
        if seconds > 300 || self.window != Span::seconds(seconds) {
            let flaw = Flaw::new("/window", format!("Lambda cannot gather batches for {}", self.window));
            flaws.push(flaw.help("write `0s` to `5m`, in whole seconds"));
        }
        if self.retries.is_some_and(|it| it > 10_000) {
            flaws.push(Flaw::new("/retries", "Lambda tries at most 10000 times again"));
        }
        if let Some(age) = self.max_age
            && !(Span::seconds(60)..=Span::seconds(604_800)).contains(&age)
        {
            flaws.push(
                Flaw::new("/max_age", format!("Lambda does not know a record age of {age}")).help("write `1m` to `7d`"),
            );
        }
        if let Some(Pollers { min, max }) = self.pollers
            && !((1..=200).contains(&min) && (1..=2000).contains(&max) && min <= max)
        {
            flaws.push(Flaw::new("/pollers", "there are 1 to 200 pollers at least and 1 to 2000 at most"));
        }
        let needs = [("retries", self.retries.is_some()), ("max_age", self.max_age.is_some()), ("bisect", self.bisect)];
        for (field, _) in needs.iter().filter(|it| it.1 && self.pollers.is_none()) {
            let flaw =
                Flaw::new(format!("/{field}"), format!("Lambda knows `{field}` for pollers of a trigger's own only"));
            flaws.push(flaw.help("add `pollers: {min: 1, max: 4}`"));
        }
        if let Some(group) = self.consumer_group.as_ref().filter(|it| !is_group(it)) {
            flaws.push(Flaw::new("/consumer_group", format!("`{group}` is no name for a consumer group")));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        match split(physical).1 {
            it if is_group(it) => Vec::new(),
            it => vec![Flaw::new("", format!("`{it}` is no name for a consumer group"))],
        }
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let mut desired = Desired::of(self).tagged(cx).with("function", function::live_name(&cx.scope, &self.function));
        if let Some(bucket) = &self.on_failure {
            desired = desired.with("on_failure", bucket::name_in(&cx.scope, &bucket.name));
        }
        desired.with_result("source", cx.live(&self.topic).map(|it| it.cluster_arn().to_owned()))
    }

    /// Lists once per function, and again what was made for the function rather than its alias; a mapping whose function
    /// was changed since is asked for by its identifier.
    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveTrigger>>> {
        let functions: BTreeSet<&str> = names.iter().map(|it| split(&it.physical).0).collect();
        let lists = try_join_all(functions.iter().map(async |function| {
            let wanted = names.iter().filter(|it| split(&it.physical).0 == *function);
            let mut all = list(cx, &format!("{function}:{}", function::LIVE)).await?;
            if !wanted.clone().all(|it| all.iter().any(|found| is_it(found, it))) {
                all.extend(list(cx, function).await?);
            }
            Ok::<_, client::Error>(all)
        }));
        let lists: BTreeMap<_, _> = functions.iter().zip(lists.await?).collect();
        let found = names.iter().map(async |name| {
            let (function, group) = split(&name.physical);
            let all = lists.get(&function).map(Vec::as_slice).unwrap_or_default();
            let by_id = all.iter().find(|it| name.id.is_some() && it.uuid() == name.id.as_deref());
            let mapping = match by_id.or_else(|| all.iter().find(|it| group_of(it) == Some(group))) {
                Some(it) => Some(it.clone()),
                None => get(cx, name.id.as_deref()).await?,
            };
            let Some(mapping) = mapping else { return Ok::<_, client::Error>(None) };
            let tags = tags(cx, mapping.event_source_mapping_arn()).await?;
            Ok(Some(LiveTrigger { mapping, tags }))
        });
        join_all(found).await.into_iter().map(|it| it.map_err(Into::into)).collect()
    }

    fn observed(live: &LiveTrigger) -> Value {
        let it = &live.mapping;
        let positive = |it: Option<i32>| it.and_then(|it| u32::try_from(it).ok());
        let span = |it: Option<i32>| positive(it).map(|it| Span::seconds(it.into()));
        let position = match it.starting_position() {
            Some(EventSourcePosition::Latest) => Position::Latest,
            _ => Position::TrimHorizon,
        };
        let destination = it.destination_config().and_then(|it| it.on_failure()?.destination());
        let pollers = it.provisioned_poller_config().and_then(|it| {
            Some(Pollers { min: positive(it.minimum_pollers())?, max: positive(it.maximum_pollers())? })
        });
        let mut observed = json!({
            "topic": it.topics().first(),
            "function": it.function_arn().and_then(function::name_in),
            "source": it.event_source_arn(),
            "batch_size": it.batch_size(),
            "window": span(it.maximum_batching_window_in_seconds()),
            "starting_position": position,
            "consumer_group": group_of(it),
            "retries": positive(it.maximum_retry_attempts()),
            "max_age": span(it.maximum_record_age_in_seconds()),
            "bisect": it.bisect_batch_on_function_error().unwrap_or(false),
            "on_failure": destination.and_then(|it| it.rsplit(':').next()).filter(|it| !it.is_empty()),
            "pollers": pollers,
            "metrics": it.metrics_config().is_some_and(|it| it.metrics().contains(&EventSourceMappingMetric::EventCount)),
            "tags": live.tags.observed(),
        });
        // While it is on its way, what it will be is not told.
        match it.state() {
            Some("Enabled" | "Enabling") => observed["enabled"] = json!(true),
            Some("Disabled" | "Disabling") => observed["enabled"] = json!(false),
            _ => (),
        }
        observed
    }

    fn identity(live: &LiveTrigger) -> Identity {
        Identity { id: live.mapping.uuid().map(str::to_owned), ownership: live.tags.ownership() }
    }

    fn phase(live: &LiveTrigger) -> Phase {
        match live.mapping.state() {
            Some("Enabled" | "Disabled") => Phase::Ready,
            Some("Deleting") => Phase::Deleting,
            Some(it) => Phase::Pending(it.to_owned()),
            None => Phase::Pending("unknown".into()),
        }
    }

    fn outputs(live: &LiveTrigger) -> Outputs {
        let it = &live.mapping;
        let parts = [("id", it.uuid()), ("arn", it.event_source_mapping_arn()), ("consumer_group", group_of(it))];
        parts.into_iter().filter_map(|(key, it)| Some((key, it?.to_owned()))).collect()
    }

    fn objections(&self, _cx: &Cx, _live: &LiveTrigger, changes: &[Change]) -> Vec<Objection> {
        let object = |it: &Change| {
            let (reason, help) = match it.field.as_str() {
                "topic" => (
                    "a trigger cannot move to another topic: its consumer group keeps the place in this one",
                    "put it back, and add a trigger with another name for the other topic",
                ),
                "consumer_group" => (
                    "the consumer group keeps the place in the topic: under another one, records are read twice or lost",
                    "put it back, or remove the line if there was none",
                ),
                "starting_position" => (
                    "the starting position counts only when a consumer group begins",
                    "put it back; to read again from the start, add a trigger with another name",
                ),
                _ => return None,
            };
            Some(Objection { field: it.field.clone(), reason: reason.into(), help: help.into() })
        };
        changes.iter().filter_map(object).collect()
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let group = split(&name.physical).1;
        let group = types::AmazonManagedKafkaEventSourceConfig::builder().consumer_group_id(group).build();
        let position = match self.starting_position {
            Position::TrimHorizon => EventSourcePosition::TrimHorizon,
            Position::Latest => EventSourcePosition::Latest,
        };
        let topic = cx.live(&self.topic)?;
        let request = cx
            .aws
            .lambda()
            .create_event_source_mapping()
            .function_name(function::live_name(&cx.scope, &self.function))
            .event_source_arn(topic.cluster_arn())
            .topics(topic.name())
            .amazon_managed_kafka_event_source_config(group)
            .starting_position(position)
            .batch_size(number(self.batch_size))
            .maximum_batching_window_in_seconds(seconds(self.window))
            .set_maximum_retry_attempts(self.retries.map(number))
            .set_maximum_record_age_in_seconds(self.max_age.map(seconds))
            .set_bisect_batch_on_function_error(self.bisect.then_some(true))
            .set_destination_config(self.on_failure.as_ref().map(|_| self.destination(&cx.scope)))
            .set_provisioned_poller_config(self.pollers.map(|_| self.pollers()))
            .set_metrics_config(self.metrics.then(|| self.metrics()))
            .enabled(self.enabled)
            .set_tags(Some(cx.tags(&name.owner).into_iter().collect()));
        let sent = request.send().await.map_err(Error::aws("lambda", "CreateEventSourceMapping"));
        sent.map(|_| ()).map_err(|err| err.conflict_is_exists().into())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveTrigger, changes: &[Change]) -> Result<()> {
        let mut touched = touched(changes);
        let lambda = cx.aws.lambda();
        if touched.remove("tags")
            && let Some(arn) = live.mapping.event_source_mapping_arn()
        {
            let tags = live.tags.after(cx, name, changes).into_iter().collect();
            let sent = lambda.tag_resource().resource(arn).set_tags(Some(tags)).send().await;
            sent.map_err(Error::aws("lambda", "TagResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let sent = lambda.untag_resource().resource(arn).set_tag_keys(Some(gone)).send().await;
                sent.map_err(Error::aws("lambda", "UntagResource"))?;
            }
        }
        if touched.is_empty() {
            return Ok(());
        }
        let mut request = lambda.update_event_source_mapping().set_uuid(live.mapping.uuid().map(str::to_owned));
        for field in touched {
            request = match field {
                "function" => request.function_name(function::live_name(&cx.scope, &self.function)),
                "batch_size" => request.batch_size(number(self.batch_size)),
                "window" => request.maximum_batching_window_in_seconds(seconds(self.window)),
                // Lambda spells "without end" as -1.
                "retries" => request.maximum_retry_attempts(self.retries.map_or(-1, number)),
                "max_age" => request.maximum_record_age_in_seconds(self.max_age.map_or(-1, seconds)),
                "bisect" => request.bisect_batch_on_function_error(self.bisect),
                "on_failure" => request.destination_config(self.destination(&cx.scope)),
                "pollers" => request.provisioned_poller_config(self.pollers()),
                "metrics" => request.metrics_config(self.metrics()),
                "enabled" => request.enabled(self.enabled),
                _ => request,
            };
        }
        request.send().await.map_err(Error::aws("lambda", "UpdateEventSourceMapping"))?;
        Ok(())
    }

    async fn delete(cx: &Cx, _name: &Name, live: &LiveTrigger) -> Result<()> {
        if Self::phase(live) == Phase::Deleting {
            return Ok(());
        }
        let request = cx.aws.lambda().delete_event_source_mapping().set_uuid(live.mapping.uuid().map(str::to_owned));
        let sent = request.send().await.map_err(Error::aws("lambda", "DeleteEventSourceMapping"));
        Ok(Error::missing_is_done(sent)?)
    }
}

impl Trigger {
    /// Returns where failures go; the empty destination is how Lambda spells "nowhere".
    fn destination(&self, scope: &Scope) -> types::DestinationConfig {
        let arn = self
            .on_failure
            .as_ref()
            .map(|it| format!("arn:{}:s3:::{}", scope.partition(), bucket::name_in(scope, &it.name)));
        let failure = types::OnFailure::builder().destination(arn.unwrap_or_default()).build();
        types::DestinationConfig::builder().on_failure(failure).build()
    }

    /// Returns what is counted; an empty list is how Lambda spells "nothing".
    fn metrics(&self) -> types::EventSourceMappingMetricsConfig {
        let counted = self.metrics.then_some(EventSourceMappingMetric::EventCount);
        types::EventSourceMappingMetricsConfig::builder().set_metrics(Some(counted.into_iter().collect())).build()
    }

    /// Returns the pollers; none at all is how Lambda spells "on demand".
    fn pollers(&self) -> types::ProvisionedPollerConfig {
        let number = |it: fn(Pollers) -> u32| self.pollers.map(it).map(number);
        types::ProvisionedPollerConfig::builder()
            .set_minimum_pollers(number(|it| it.min))
            .set_maximum_pollers(number(|it| it.max))
            .build()
    }
}

/// Parts a physical name into the function's and the consumer group.
fn split(physical: &str) -> (&str, &str) {
    physical.split_once('/').unwrap_or((physical, ""))
}

/// Says whether Lambda takes a consumer group of this name: `ConsumerGroupId` in its API reference.
fn is_group(name: &str) -> bool {
    (1..=200).contains(&name.len()) && name.chars().all(|it| it.is_ascii_alphanumeric() || "-_/*:.".contains(it))
}

fn is_it(mapping: &EventSourceMappingConfiguration, name: &Name) -> bool {
    name.id.is_some() && mapping.uuid() == name.id.as_deref() || group_of(mapping) == Some(split(&name.physical).1)
}

fn group_of(mapping: &EventSourceMappingConfiguration) -> Option<&str> {
    mapping.amazon_managed_kafka_event_source_config()?.consumer_group_id()
}

fn number(it: u32) -> i32 {
    i32::try_from(it).unwrap_or(i32::MAX)
}

fn seconds(it: Span) -> i32 {
    i32::try_from(it.as_secs()).unwrap_or(i32::MAX)
}

async fn list(cx: &Cx, function: &str) -> client::Result<Vec<EventSourceMappingConfiguration>> {
    let pages = cx.aws.lambda().list_event_source_mappings().function_name(function).into_paginator().items().send();
    let found: Result<Vec<_>, _> = pages.try_collect().await.map_err(Error::aws("lambda", "ListEventSourceMappings"));
    Ok(Error::missing_is_none(found)?.unwrap_or_default())
}

async fn get(cx: &Cx, id: Option<&str>) -> client::Result<Option<EventSourceMappingConfiguration>> {
    let Some(id) = id else { return Ok(None) };
    let sent = cx.aws.lambda().get_event_source_mapping().uuid(id).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("lambda", "GetEventSourceMapping")))?;
    Ok(found.map(|it| {
        EventSourceMappingConfiguration::builder()
            .set_uuid(it.uuid)
            .set_starting_position(it.starting_position)
            .set_batch_size(it.batch_size)
            .set_maximum_batching_window_in_seconds(it.maximum_batching_window_in_seconds)
            .set_event_source_arn(it.event_source_arn)
            .set_function_arn(it.function_arn)
            .set_state(it.state)
            .set_destination_config(it.destination_config)
            .set_topics(it.topics)
            .set_maximum_record_age_in_seconds(it.maximum_record_age_in_seconds)
            .set_bisect_batch_on_function_error(it.bisect_batch_on_function_error)
            .set_maximum_retry_attempts(it.maximum_retry_attempts)
            .set_amazon_managed_kafka_event_source_config(it.amazon_managed_kafka_event_source_config)
            .set_event_source_mapping_arn(it.event_source_mapping_arn)
            .set_provisioned_poller_config(it.provisioned_poller_config)
            .set_metrics_config(it.metrics_config)
            .build()
    }))
}

async fn tags(cx: &Cx, arn: Option<&str>) -> client::Result<Tags> {
    let Some(arn) = arn else { return Ok(Tags::default()) };
    let sent = cx.aws.lambda().list_tags().resource(arn).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("lambda", "ListTags")))?;
    Ok(found.and_then(|it| it.tags).unwrap_or_default().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> Trigger {
        let mut whole = json!({ "topic": "orders", "function": "ingest" });
        for (key, it) in value.as_object().into_iter().flatten() {
            whole[key] = it.clone();
        }
        serde_json::from_value(whole).expect("a spec")
    }

    fn scope() -> Scope {
        Scope { stack: "prod".into(), account: "123456789012".into(), region: "eu-west-1".into() }
    }

    #[test]
    fn one_function_and_one_group_are_one_mapping() {
        assert_eq!(spec(json!({})).physical_name(&scope(), "order_details"), "prod-ingest/prod-order-details");
        assert_eq!(spec(json!({ "consumer_group": "g" })).physical_name(&scope(), "orders"), "prod-ingest/g");
    }

    #[test]
    fn what_is_sent_is_observed() {
        let pollers = json!({ "min": 1, "max": 4 });
        let spec = spec(
            json!({ "on_failure": "rejects", "pollers": pollers, "retries": 5, "bisect": true, "max_age": "1d", "metrics": true }),
        );
        let group = types::AmazonManagedKafkaEventSourceConfig::builder().consumer_group_id("prod-orders").build();
        let mapping = EventSourceMappingConfiguration::builder()
            .topics("orders")
            .function_arn("arn:aws:lambda:eu-west-1:123456789012:function:prod-ingest:live")
            .batch_size(500)
            .maximum_batching_window_in_seconds(1)
            .starting_position(EventSourcePosition::TrimHorizon)
            .amazon_managed_kafka_event_source_config(group)
            .maximum_retry_attempts(5)
            .maximum_record_age_in_seconds(86_400)
            .bisect_batch_on_function_error(true)
            .destination_config(spec.destination(&scope()))
            .provisioned_poller_config(spec.pollers())
            .metrics_config(spec.metrics())
            .state("Enabled")
            .build();
        let mut wanted = Desired::of(&spec).spec;
        for (key, value) in [
            ("function", json!("prod-ingest:live")),
            ("on_failure", json!("prod-rejects-123456789012")),
            ("consumer_group", json!("prod-orders")),
            ("source", Value::Null),
            ("tags", json!({})),
        ] {
            wanted[key] = value;
        }
        assert_eq!(Trigger::observed(&LiveTrigger { mapping, tags: Tags::default() }), wanted);
    }

    #[test]
    fn endless_is_unset() {
        let mapping =
            EventSourceMappingConfiguration::builder().maximum_retry_attempts(-1).maximum_record_age_in_seconds(-1);
        let mapping = mapping.destination_config(spec(json!({})).destination(&scope())).state("Updating").build();
        let observed = Trigger::observed(&LiveTrigger { mapping, tags: Tags::default() });
        for field in ["retries", "max_age", "on_failure", "pollers"] {
            assert_eq!(observed[field], Value::Null, "{field}");
        }
        assert_eq!(observed.get("enabled"), None, "not told while it is updating");
    }

    #[test]
    fn what_would_lose_the_place_is_refused() {
        let change = |field: &str| Change {
            field: field.into(),
            from: json!("a"),
            to: json!("b"),
            cause: super::super::Cause::Edit,
            waits_for: None,
        };
        let lost = ["topic", "consumer_group", "starting_position"];
        let live = LiveTrigger { mapping: EventSourceMappingConfiguration::builder().build(), tags: Tags::default() };
        let changes: Vec<_> = lost.into_iter().chain(["batch_size"]).map(change).collect();
        let cx = crate::resource::testing::cx();
        let objections = spec(json!({})).objections(&cx, &live, &changes);
        assert_eq!(objections.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), lost);
    }

    #[test]
    fn flaws() {
        let at = |value| spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
        assert_eq!(at(json!({})), Vec::<String>::new());
        assert_eq!(at(json!({ "batch_size": 10_001, "window": "6m" })), ["/batch_size", "/window"]);
        assert_eq!(at(json!({ "retries": 3, "bisect": true })), ["/retries", "/bisect"]);
        assert_eq!(at(json!({ "pollers": { "min": 5, "max": 4 } })), ["/pollers"]);
        assert_eq!(at(json!({ "consumer_group": "a b" })), ["/consumer_group"]);
    }
}
