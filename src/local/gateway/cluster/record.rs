//! What is remembered of a cluster, and how MSK's two API versions show it. Pure.
//!
//! Shapes: the MSK API reference, as aws-sdk-kafka reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// All clusters, by ARN.
pub(crate) type Clusters = BTreeMap<String, Cluster>;

/// One cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cluster {
    /// The ARN, which also is its key.
    pub(crate) arn: String,
    /// The name, unique in its region.
    pub(crate) name: String,
    /// The region.
    pub(crate) region: String,
    /// Whether it is serverless.
    pub(crate) serverless: bool,
    /// How far along it is.
    pub(crate) state: State,
    /// Changes with every update; updates must name the current one.
    pub(crate) version: String,
    /// When it was asked for, as an ISO date.
    pub(crate) created: String,
    /// Its tags.
    pub(crate) tags: BTreeMap<String, String>,
    /// What MSK shows as `provisioned` or `serverless`.
    pub(crate) shape: Map<String, Value>,
    /// The latest update.
    pub(crate) operation: Option<Operation>,
    /// The topics made through it, each with the last part of its ARN.
    #[serde(default)]
    pub(crate) topics: BTreeMap<String, Uuid>,
}

/// How far along a cluster is, in MSK's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum State {
    /// Asked for, and not usable yet.
    Creating,
    /// Usable.
    Active,
    /// Usable, with an update under way.
    Updating,
    /// On its way out.
    Deleting,
}

/// An update that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// The ARN.
    pub(crate) arn: String,
    /// What is updated, in MSK's words, such as `INCREASE_BROKER_COUNT`.
    pub(crate) kind: String,
    /// When it was asked for, as an ISO date.
    pub(crate) created: String,
    /// Whether it is done.
    pub(crate) done: bool,
}

impl Cluster {
    /// Shows it as `DescribeClusterV2` does.
    pub(crate) fn v2(&self) -> Value {
        let (kind, section) =
            if self.serverless { ("SERVERLESS", "serverless") } else { ("PROVISIONED", "provisioned") };
        let mut shown = json!({
            "clusterType": kind,
            "clusterArn": self.arn,
            "clusterName": self.name,
            "creationTime": self.created,
            "currentVersion": self.version,
            "state": self.state,
            "tags": self.tags,
            section: self.shape,
        });
        self.show_operation(&mut shown);
        shown
    }

    /// Shows it as `DescribeCluster` does, which knows provisioned clusters alone.
    pub(crate) fn v1(&self) -> Value {
        let mut shown = Value::Object(self.shape.clone());
        shown["clusterArn"] = json!(self.arn);
        shown["clusterName"] = json!(self.name);
        shown["creationTime"] = json!(self.created);
        shown["currentVersion"] = json!(self.version);
        shown["state"] = json!(self.state);
        shown["tags"] = json!(self.tags);
        self.show_operation(&mut shown);
        shown
    }

    /// Shows its latest update as `DescribeClusterOperation` does.
    pub(crate) fn operation(&self) -> Option<Value> {
        self.operation.as_ref().map(|it| {
            json!({
                "clusterArn": self.arn,
                "creationTime": it.created,
                "operationArn": it.arn,
                "operationType": it.kind,
                "operationState": if it.done { "UPDATE_COMPLETE" } else { "UPDATE_IN_PROGRESS" },
            })
        })
    }

    /// Returns the number of broker nodes that it claims to have.
    pub(crate) fn nodes(&self) -> i64 {
        self.shape.get("numberOfBrokerNodes").and_then(Value::as_i64).unwrap_or(1)
    }

    /// Returns the ARN of a topic: the cluster's, with the topic's name behind it.
    pub(crate) fn topic_arn(&self, topic: &str) -> String {
        let base = self.arn.replacen(":cluster/", ":topic/", 1);
        format!("{base}/{topic}")
    }

    fn show_operation(&self, shown: &mut Value) {
        if let Some(it) = self.operation.as_ref().filter(|it| !it.done) {
            shown["activeOperationArn"] = json!(it.arn);
        }
    }
}

/// Makes a version, in MSK's looks.
pub(crate) fn version() -> String {
    let random = Uuid::new_v4().simple().to_string().to_uppercase();
    format!("K{}", random.chars().take(13).collect::<String>())
}
