//! A Kafka topic, made through MSK's control plane, so that no path to the brokers is needed.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_kafka::{operation::describe_topic::DescribeTopicOutput, types::TopicState};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cluster, Cx, Desired, Error as KindError, Field, Flaw, Identity, Outputs, Ownership, Phase, Resource,
    Result, Scope, cluster, touched,
};
use crate::{
    address::{Name, Ref},
    client::Error,
    quantity::Span,
};

/// The configs that have fields of their own.
const RETENTION: &str = "retention.ms";
const CLEANUP: &str = "cleanup.policy";

/// A Kafka topic. It is named plainly inside its cluster.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// The cluster that holds the topic. Cannot be changed.
    pub cluster: Ref<Cluster>,
    /// How many partitions. It can grow, and not shrink.
    pub partitions: u32,
    /// How many brokers hold each record. Cannot be changed. Default: 3.
    #[serde(default = "three")]
    pub replication: u32,
    /// How long records are kept. Default: `7d`.
    #[serde(default = "week")]
    pub retention: Span,
    /// What happens to old records. Default: `delete`.
    #[serde(default)]
    pub cleanup: Cleanup,
    /// Other configs of the topic, by Kafka's names, with their values as text: `min.insync.replicas: "2"`.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

/// What happens to old records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cleanup {
    /// They are deleted once the retention is over.
    #[default]
    Delete,
    /// The newest of each key is kept for ever.
    Compact,
    /// The newest of each key is kept until the retention is over.
    CompactDelete,
}

/// A topic as MSK has it.
#[derive(Clone, Debug)]
pub struct LiveTopic {
    topic: DescribeTopicOutput,
    configs: BTreeMap<String, String>,
    cluster: String,
    /// The stack that the cluster's tags name.
    stack: Option<String>,
}

impl LiveTopic {
    /// The ARN of the cluster, which event source mappings take.
    pub fn cluster_arn(&self) -> &str {
        &self.cluster
    }

    /// The name within the cluster.
    pub fn name(&self) -> &str {
        self.topic.topic_name().unwrap_or_default()
    }
}

const fn three() -> u32 {
    3
}

const fn week() -> Span {
    Span::seconds(7 * 86_400)
}

impl Cleanup {
    const fn as_config(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
            Self::CompactDelete => "compact,delete",
        }
    }

    fn from_config(text: &str) -> Self {
        let words: BTreeSet<_> = text.split(',').map(str::trim).collect();
        match (words.contains("compact"), words.contains("delete")) {
            (true, true) => Self::CompactDelete,
            (true, false) => Self::Compact,
            _ => Self::Delete,
        }
    }
}

impl Resource for Topic {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("cluster", Field::Immutable),
        ("partitions", Field::Grows("Kafka cannot shrink a topic. Keep {live}.")),
        ("replication", Field::Immutable),
        ("config", Field::Defaulted),
    ];
    const DATA_BEARING: bool = true;
    const LISTED: bool = false;
    const OUTPUTS: &'static [&'static str] = &["arn", "name"];
    type Live = LiveTopic;

    fn physical_name(&self, scope: &Scope, name: &str) -> String {
        format!("{}/{name}", scope.physical_of(&self.cluster))
    }

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        for (field, value) in [("partitions", self.partitions), ("replication", self.replication)] {
            if value == 0 {
                flaws.push(Flaw::new(format!("/{field}"), format!("a topic needs at least one of its {field}")));
            }
        }
        for (config, field) in [(RETENTION, "retention"), (CLEANUP, "cleanup")] {
            if self.config.contains_key(config) {
                let flaw = Flaw::new(format!("/config/{config}"), format!("`{config}` has a field of its own"));
                flaws.push(flaw.help(format!("say `{field}:` instead")));
            }
        }
        let in_sync = self.config.get("min.insync.replicas").and_then(|it| it.parse::<u32>().ok());
        if in_sync.is_some_and(|it| it > self.replication) {
            let text = format!("nothing could be written: only {} replicas can be in sync", self.replication);
            flaws.push(Flaw::new("/config/min.insync.replicas", text));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        let name = physical.rsplit('/').next().unwrap_or_default();
        let fits = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
        if (1..=249).contains(&name.len()) && name.chars().all(fits) && name != "." && name != ".." {
            return Vec::new();
        }
        let flaw = Flaw::new("", format!("`{name}` is no name for a topic"));
        vec![flaw.help("Kafka allows 249 characters: letters, digits, `.`, `_` and `-`")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        Ok(Desired::of(self).with("cluster", cx.scope.physical_of(&self.cluster)))
    }

    /// Asks for the clusters once, then for each topic: lists of topics lack the configs.
    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveTopic>>> {
        let clusters: BTreeSet<&str> = names.iter().map(|it| split(&it.physical).0).collect();
        let found = cluster::find(cx, clusters.iter().copied()).await?;
        let found: BTreeMap<_, _> = clusters.into_iter().zip(found).collect();
        let topics = names.iter().map(async |name| {
            let (cluster, topic) = split(&name.physical);
            let Some(cluster) = found.get(cluster).and_then(Option::as_ref) else { return Ok(None) };
            let request = cx.aws.kafka().describe_topic().cluster_arn(cluster.arn()).topic_name(topic);
            let sent = request.send().await.map_err(Error::aws("kafka", "DescribeTopic"));
            let found = Error::missing_is_none(sent)?;
            let live = |topic: DescribeTopicOutput| {
                let configs = topic.configs().map(decode).transpose()?.unwrap_or_default();
                Ok(LiveTopic { topic, configs, cluster: cluster.arn().to_owned(), stack: cluster.stack() })
            };
            found.map(live).transpose()
        });
        try_join_all(topics).await
    }

    fn observed(live: &LiveTopic) -> Value {
        let own = |it: &(&String, &String)| ![RETENTION, CLEANUP].contains(&it.0.as_str());
        let retention = live.configs.get(RETENTION).and_then(|it| it.parse().ok()).map(Span::millis);
        json!({
            "cluster": live.cluster.rsplit('/').nth(1),
            "partitions": live.topic.partition_count(),
            "replication": live.topic.replication_factor(),
            // Kafka writes a retention without end as -1, which no span is.
            "retention": retention.map_or_else(|| live.configs.get(RETENTION).map(|_| json!("forever")), |it| Some(json!(it))),
            "cleanup": live.configs.get(CLEANUP).map(|it| Cleanup::from_config(it)),
            "config": live.configs.iter().filter(own).collect::<BTreeMap<_, _>>(),
        })
    }

    fn identity(live: &LiveTopic) -> Identity {
        let id = live.topic.topic_arn().map(str::to_owned);
        Identity { id, ownership: Ownership::Inherited(live.stack.clone()) }
    }

    fn phase(live: &LiveTopic) -> Phase {
        match live.topic.status() {
            Some(TopicState::Active) | None => Phase::Ready,
            Some(TopicState::Deleting) => Phase::Deleting,
            Some(it) => Phase::Pending(it.as_str().to_owned()),
        }
    }

    fn outputs(live: &LiveTopic) -> Outputs {
        let arn = live.topic.topic_arn().unwrap_or_default();
        Outputs::from([("arn", arn.to_owned()), ("name", live.name().to_owned())])
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let cluster = cx.live(&self.cluster)?;
        let number = |it: u32| i32::try_from(it).unwrap_or(i32::MAX);
        let request = cx.aws.kafka().create_topic().cluster_arn(cluster.arn()).topic_name(split(&name.physical).1);
        let request = request.partition_count(number(self.partitions)).replication_factor(number(self.replication));
        let sent = request.configs(self.configs()).send().await.map_err(Error::aws("kafka", "CreateTopic"));
        sent.map(|_| ()).map_err(|err| err.conflict_is_exists().into())
    }

    /// One request takes configs or partitions, not both: the configs go first.
    async fn update(&self, cx: &Cx, _name: &Name, live: &LiveTopic, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        let request = cx.aws.kafka().update_topic().cluster_arn(&live.cluster).topic_name(live.name());
        let request = if ["retention", "cleanup", "config"].iter().any(|it| touched.contains(it)) {
            request.configs(self.configs())
        } else if touched.contains("partitions") {
            request.partition_count(i32::try_from(self.partitions).unwrap_or(i32::MAX))
        } else {
            return Ok(());
        };
        request.send().await.map_err(Error::aws("kafka", "UpdateTopic"))?;
        Ok(())
    }

    async fn delete(cx: &Cx, _name: &Name, live: &LiveTopic) -> Result<()> {
        let request = cx.aws.kafka().delete_topic().cluster_arn(&live.cluster).topic_name(live.name());
        let sent = request.send().await.map_err(Error::aws("kafka", "DeleteTopic"));
        Ok(Error::missing_is_done(sent)?)
    }
}

impl Topic {
    /// Returns all declared configs as MSK takes them: a JSON object in base64.
    fn configs(&self) -> String {
        let mut configs = self.config.clone();
        configs.insert(RETENTION.into(), self.retention.as_millis().to_string());
        configs.insert(CLEANUP.into(), self.cleanup.as_config().into());
        STANDARD.encode(json!(configs).to_string())
    }
}

/// Parts a physical name into the cluster's and the topic's.
fn split(physical: &str) -> (&str, &str) {
    physical.split_once('/').unwrap_or((physical, ""))
}

fn decode(configs: &str) -> Result<BTreeMap<String, String>> {
    let unusable =
        |err: &dyn std::fmt::Display| KindError::Unusable(format!("MSK returned configs that cannot be read: {err}"));
    let json = STANDARD.decode(configs).map_err(|err| unusable(&err))?;
    let map: BTreeMap<String, Value> = serde_json::from_slice(&json).map_err(|err| unusable(&err))?;
    let text = |it: Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
    Ok(map.into_iter().map(|(key, it)| (key, text(it))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> Topic {
        serde_json::from_value(value).expect("a spec")
    }

    fn live(configs: &str) -> LiveTopic {
        let topic = DescribeTopicOutput::builder().partition_count(6).replication_factor(3).status(TopicState::Active);
        LiveTopic {
            topic: topic.build(),
            configs: decode(configs).expect("configs"),
            cluster: "arn:aws:kafka:us-east-1:1:cluster/s-events/uuid".into(),
            stack: Some("s".into()),
        }
    }

    #[test]
    fn what_is_sent_is_observed() {
        let topic = spec(json!({
            "cluster": "events", "partitions": 6, "cleanup": "compact_delete", "config": { "min.insync.replicas": "2" },
        }));
        let observed = Topic::observed(&live(&topic.configs()));
        let mut wanted = Desired::of(&topic).spec;
        wanted["cluster"] = json!("s-events");
        assert_eq!(observed, wanted);
    }

    #[test]
    fn retention_without_end_is_seen() {
        let configs = STANDARD.encode(r#"{"retention.ms":"-1","segment.bytes":1}"#);
        let observed = Topic::observed(&live(&configs));
        assert_eq!(observed["retention"], "forever");
        assert_eq!(observed["config"], json!({ "segment.bytes": "1" }));
        assert_eq!(observed["cleanup"], Value::Null);
    }

    #[test]
    fn flaws() {
        let topic = spec(json!({
            "cluster": "events", "partitions": 0, "replication": 1,
            "config": { "retention.ms": "1", "min.insync.replicas": "2" },
        }));
        let at: Vec<_> = topic.check().into_iter().map(|it| it.at).collect();
        assert_eq!(at, ["/partitions", "/config/retention.ms", "/config/min.insync.replicas"]);
        assert_eq!(Topic::check_name("c/order_details"), []);
        assert_eq!(Topic::check_name("c/order details").len(), 1);
    }

    #[test]
    fn configs_that_are_no_json_are_an_error() {
        assert!(decode("%").is_err());
        assert!(decode(&STANDARD.encode("[]")).is_err());
    }
}
