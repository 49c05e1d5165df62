//! Topics: MSK's topic API in front of the one Kafka of this machine.
//!
//! A topic belongs to the cluster that made it, which is remembered; what Kafka says of it is asked anew each time. All
//! clusters share one set of topic names, as there is one Kafka: a name that another cluster has is refused. A topic
//! made past this API belongs to the only cluster there is, or to none. Kafka itself refuses more replicas than brokers.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    call::{Call, Fault, Reply},
    cluster::{self, Cluster, ClusterApi, Clusters, State, bad},
};
use crate::client::{Error, Reason, kafka};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    topic_name: String,
    partition_count: i32,
    replication_factor: i16,
    configs: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    partition_count: Option<i32>,
    configs: Option<String>,
}

impl ClusterApi {
    /// Answers a request of the topic API; [`Reply::Pass`] where it is none.
    pub(crate) async fn answer_topic(&self, call: &Call) -> Result<Reply, Fault> {
        let (method, path) = call.route();
        let [_, _, arn, "topics", rest @ ..] = &path[..] else { return Ok(Reply::Pass) };
        let cluster = self.find(arn)?;
        if cluster.serverless {
            return Err(bad("Topics of serverless clusters cannot be managed with this API."));
        }
        if !matches!(cluster.state, State::Active | State::Updating) {
            return Err(bad(format!("The cluster {} is not ACTIVE.", cluster.name)));
        }
        match (method, rest) {
            ("POST", []) => self.create_topic(call, &cluster).await,
            ("GET", []) => self.list_topics(call, &cluster).await,
            ("GET", [topic]) => self.describe_topic(&cluster, topic).await,
            ("GET", [topic, "partitions"]) => self.describe_partitions(call, &cluster, topic).await,
            ("PUT", [topic]) => self.update_topic(call, &cluster, topic).await,
            ("DELETE", [topic]) => self.delete_topic(&cluster, topic).await,
            _ => Ok(Reply::Pass),
        }
    }

    async fn create_topic(&self, call: &Call, cluster: &Cluster) -> Result<Reply, Fault> {
        let Create { topic_name: name, partition_count, replication_factor, configs } = call.input()?;
        let configs = configs.map(|it| decode(&it)).transpose()?.unwrap_or_default();
        let kafka = self.brokers.kafka().await.map_err(fault)?;
        // Remembered before it is made: should this end in between, the next attempt finds whose it is.
        let was_there = self
            .records
            .change(|all| {
                if let Some(other) = all.values().find(|it| it.arn != cluster.arn && it.topics.contains_key(&name)) {
                    return Err(exists(&format!(
                        "Topic '{name}' already exists: the clusters of this machine share one Kafka, and it belongs to the cluster {}.",
                        other.name
                    )));
                }
                let own = all.get_mut(&cluster.arn).ok_or_else(|| bad("The cluster is being deleted."))?;
                Ok(own.topics.insert(name.clone(), Uuid::new_v4()).is_some())
            })
            .await?;
        let made = kafka.create_topic(&name, partition_count, replication_factor, &configs).await;
        if let Err(err) = made {
            // An outage leaves open whether it was made, so it stays remembered.
            if !was_there && err.reason == Reason::Invalid {
                self.forget_topic(cluster, &name).await?;
            }
            return Err(fault(err));
        }
        Ok(status(cluster, &name, "CREATING"))
    }

    async fn update_topic(&self, call: &Call, cluster: &Cluster, topic: &str) -> Result<Reply, Fault> {
        self.owned(cluster, topic, "UnknownTopicOrPartitionException")?;
        let kafka = self.brokers.kafka().await.map_err(fault)?;
        match call.input()? {
            Update { partition_count: Some(total), configs: None } => {
                kafka.grow_topic(topic, total).await.map_err(fault)?;
            }
            Update { partition_count: None, configs: Some(configs) } => {
                // The given configuration replaces the topic's own as a whole.
                let wanted = decode(&configs)?;
                let now = kafka.topic_configs(topic).await.map_err(fault)?;
                let gone = now.into_keys().filter(|it| !wanted.contains_key(it)).map(|it| (it, None));
                let changes: BTreeMap<_, _> = gone
                    .collect::<Vec<_>>()
                    .into_iter()
                    .chain(wanted.iter().map(|(k, v)| (k.clone(), Some(v.clone()))))
                    .collect();
                if !changes.is_empty() {
                    kafka.configure_topic(topic, &changes).await.map_err(fault)?;
                }
            }
            _ => return Err(bad("Exactly one of configs and partitionCount must be given.")),
        }
        Ok(status(cluster, topic, "UPDATING"))
    }

    async fn delete_topic(&self, cluster: &Cluster, topic: &str) -> Result<Reply, Fault> {
        self.owned(cluster, topic, "UnknownTopicOrPartitionException")?;
        let kafka = self.brokers.kafka().await.map_err(fault)?;
        let deleted = kafka.delete_topic(topic).await;
        if deleted.as_ref().err().is_none_or(|it| it.reason == Reason::Missing) {
            self.forget_topic(cluster, topic).await?;
        }
        deleted.map_err(fault)?;
        Ok(status(cluster, topic, "DELETING"))
    }

    async fn describe_topic(&self, cluster: &Cluster, topic: &str) -> Result<Reply, Fault> {
        let found = self.topic(cluster, topic).await?;
        let kafka = self.brokers.kafka().await.map_err(fault)?;
        let configs = Error::missing_is_none(kafka.topic_configs(topic).await).map_err(fault)?;
        let configs = json!(configs.ok_or_else(|| missing(topic, "NotFoundException"))?);
        let led = found.partitions.iter().all(|it| it.leader.is_some());
        Ok(Reply::ok(json!({
            "topicArn": cluster.topic_arn(topic),
            "topicName": topic,
            "replicationFactor": found.partitions.first().map_or(0, |it| it.replicas.len()),
            "partitionCount": found.partitions.len(),
            "configs": BASE64_STANDARD.encode(configs.to_string()),
            "status": if led { "ACTIVE" } else { "CREATING" },
        })))
    }

    async fn describe_partitions(&self, call: &Call, cluster: &Cluster, topic: &str) -> Result<Reply, Fault> {
        let found = self.topic(cluster, topic).await?;
        let shown = found.partitions.iter().map(
            |it| json!({ "partition": it.number, "leader": it.leader, "replicas": it.replicas, "isr": it.in_sync }),
        );
        let (page, next) = cluster::page(call, shown.collect())?;
        Ok(Reply::ok(cluster::with_token(json!({ "partitions": page }), next)))
    }

    async fn list_topics(&self, call: &Call, cluster: &Cluster) -> Result<Reply, Fault> {
        let prefix = call.parameter("topicNameFilter").unwrap_or_default();
        let kafka = self.brokers.kafka().await.map_err(fault)?;
        let all = self.records.now();
        let names = kafka.topics().await.map_err(fault)?;
        let own: BTreeSet<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|it| it.starts_with(prefix) && belongs(&all, it) == Some(&cluster.arn))
            .collect();
        let found = kafka.describe(&own.into_iter().collect::<Vec<_>>()).await.map_err(fault)?;
        let shown = found.iter().map(|(name, it)| {
            json!({
                "topicArn": cluster.topic_arn(name),
                "topicName": name,
                "partitionCount": it.partitions.len(),
                "replicationFactor": it.partitions.first().map_or(0, |it| it.replicas.len()),
                "outOfSyncReplicaCount": it.partitions.iter().map(|it| it.replicas.len() - it.in_sync.len()).sum::<usize>(),
            })
        });
        let (page, next) = cluster::page(call, shown.collect())?;
        Ok(Reply::ok(cluster::with_token(json!({ "topics": page }), next)))
    }

    async fn topic(&self, cluster: &Cluster, topic: &str) -> Result<kafka::Topic, Fault> {
        self.owned(cluster, topic, "NotFoundException")?;
        let kafka = self.brokers.kafka().await.map_err(fault)?;
        let mut found = kafka.describe(&[topic]).await.map_err(fault)?;
        found.remove(topic).ok_or_else(|| missing(topic, "NotFoundException"))
    }

    fn owned(&self, cluster: &Cluster, topic: &str, code: &'static str) -> Result<(), Fault> {
        let own = belongs(&self.records.now(), topic) == Some(&cluster.arn);
        own.then_some(()).ok_or_else(|| missing(topic, code))
    }

    async fn forget_topic(&self, cluster: &Cluster, topic: &str) -> Result<(), Fault> {
        let forgotten = self.records.change(|all| {
            all.get_mut(&cluster.arn).map(|it| it.topics.remove(topic));
            Ok(())
        });
        forgotten.await
    }
}

/// Says which cluster a topic belongs to.
fn belongs<'a>(all: &'a Clusters, topic: &str) -> Option<&'a String> {
    let made_it = all.values().find(|it| it.topics.contains_key(topic));
    let only = || all.values().next().filter(|_| all.len() == 1);
    made_it.or_else(only).map(|it| &it.arn)
}

/// Reads a configuration: Base64 of a JSON object.
fn decode(configs: &str) -> Result<BTreeMap<String, String>, Fault> {
    let wrong = || bad("The parameter configs must be the Base64 encoding of a JSON object of topic configurations.");
    let text = BASE64_STANDARD.decode(configs).map_err(|_| wrong())?;
    let map: BTreeMap<String, Value> = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let text = |(key, value): (String, Value)| match value {
        Value::String(it) => Ok((key, it)),
        Value::Number(_) | Value::Bool(_) => Ok((key, value.to_string())),
        _ => Err(wrong()),
    };
    map.into_iter().map(text).collect()
}

fn status(cluster: &Cluster, topic: &str, status: &str) -> Reply {
    Reply::ok(json!({ "topicArn": cluster.topic_arn(topic), "topicName": topic, "status": status }))
}

fn missing(topic: &str, code: &'static str) -> Fault {
    Fault::new(404, code, format!("The topic '{topic}' does not exist in this cluster."))
}

fn exists(message: &str) -> Fault {
    Fault::new(409, "TopicExistsException", message)
}

/// Puts Kafka's refusal into MSK's words.
fn fault(err: Error) -> Fault {
    match err.reason {
        Reason::Exists => exists(&err.message),
        Reason::Missing => Fault::new(404, "UnknownTopicOrPartitionException", err.message),
        Reason::Invalid => bad(err.message),
        Reason::Busy => Fault::new(409, "ReassignmentInProgressException", err.message),
        Reason::Throttled => Fault::new(429, "TooManyRequestsException", err.message),
        Reason::Denied => Fault::new(403, "ForbiddenException", err.message),
        Reason::Unavailable => Fault::new(409, "ClusterConnectivityException", err.message),
        Reason::Other => Fault::new(500, "InternalServerErrorException", err.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_are_a_json_object_in_base64() {
        let read = |it: &str| decode(&BASE64_STANDARD.encode(it));
        let wanted = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "true".to_owned())]);
        assert_eq!(read(r#"{"a":"1","b":true}"#), Ok(wanted));
        assert_eq!(read("[]").expect_err("a list").code, "BadRequestException");
        assert_eq!(decode("{}").expect_err("no Base64").code, "BadRequestException");
    }
}
