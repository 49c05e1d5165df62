//! Updates of a cluster: one at a time, each against the version that the caller saw.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Cluster, ClusterApi, State, bad, check, not_found, record, stale_version};
use crate::local::gateway::call::{Call, Fault, Reply};

impl ClusterApi {
    /// Answers the update that the rest of the path names; [`Reply::Pass`] where it names none.
    pub(super) async fn update(&self, call: &Call, arn: &str, path: &[&str]) -> Result<Reply, Fault> {
        let (kind, apply): (_, Apply) = match (call.method.as_str(), path) {
            ("PUT", ["nodes", "count"]) => ("INCREASE_BROKER_COUNT", count),
            ("PUT", ["nodes", "storage"]) => ("UPDATE_BROKER_STORAGE", storage),
            ("PUT", ["nodes", "type"]) => ("UPDATE_BROKER_TYPE", instance_type),
            ("PUT", ["storage"]) => ("UPDATE_STORAGE", volumes),
            ("PUT", ["version"]) => ("UPDATE_CLUSTER_KAFKA_VERSION", kafka_version),
            ("PUT", ["configuration"]) => ("UPDATE_CLUSTER_CONFIGURATION", configuration),
            ("PUT", ["monitoring"]) => ("UPDATE_MONITORING", monitoring),
            ("PUT", ["rebalancing"]) => ("UPDATE_REBALANCING", rebalancing),
            ("PATCH", ["security"]) => ("UPDATE_SECURITY", security),
            _ => return Ok(Reply::Pass),
        };
        let input: Map<String, Value> = call.input()?;
        let operation = record::Operation {
            arn: format!("{}/{}", arn.replacen(":cluster/", ":cluster-operation/", 1), Uuid::new_v4()),
            kind: kind.to_owned(),
            created: jiff::Timestamp::now().to_string(),
            done: false,
        };
        let answer = json!({ "clusterArn": arn, "clusterOperationArn": operation.arn });
        self.records
            .change(|all| {
                let cluster = all.get_mut(arn).ok_or_else(|| not_found(arn))?;
                if cluster.serverless {
                    return Err(bad("This operation cannot be performed on serverless clusters."));
                }
                if cluster.state != State::Active {
                    let state = json!(cluster.state);
                    return Err(bad(format!(
                        "You can't update a cluster that is in state {state}: it must be ACTIVE."
                    )));
                }
                if input.get("currentVersion").and_then(Value::as_str) != Some(&cluster.version) {
                    return Err(stale_version());
                }
                apply(cluster, &input)?;
                cluster.state = State::Updating;
                cluster.version = record::version();
                cluster.operation = Some(operation);
                Ok(())
            })
            .await?;
        self.settle(arn.to_owned());
        Ok(Reply::ok(answer))
    }
}

type Apply = fn(&mut Cluster, &Map<String, Value>) -> Result<(), Fault>;

fn count(cluster: &mut Cluster, input: &Map<String, Value>) -> Result<(), Fault> {
    let target = input.get("targetNumberOfBrokerNodes").and_then(Value::as_i64).unwrap_or(0);
    if target <= cluster.nodes() || target > 90 {
        let now = cluster.nodes();
        return Err(bad(format!(
            "The target number of broker nodes must be greater than the current {now}, and at most 90."
        )));
    }
    let mut shape = cluster.shape.clone();
    shape.insert("numberOfBrokerNodes".into(), json!(target));
    let subnets = shape.get("brokerNodeGroupInfo").and_then(|it| it["clientSubnets"].as_array()).map_or(0, Vec::len);
    if subnets > 0 && target % i64::try_from(subnets).unwrap_or(1) != 0 {
        return Err(bad("The number of broker nodes must be a multiple of the number of client subnets."));
    }
    cluster.shape = shape;
    Ok(())
}

fn storage(cluster: &mut Cluster, input: &Map<String, Value>) -> Result<(), Fault> {
    let target = input.get("targetBrokerEBSVolumeInfo").and_then(|it| it.get(0));
    let target = target.ok_or_else(|| bad("The parameter targetBrokerEBSVolumeInfo is required."))?;
    grow(cluster, &target["volumeSizeGB"])?;
    if let Some(it) = target.get("provisionedThroughput") {
        cluster.shape["brokerNodeGroupInfo"]["storageInfo"]["ebsStorageInfo"]["provisionedThroughput"] = it.clone();
    }
    Ok(())
}

fn volumes(cluster: &mut Cluster, input: &Map<String, Value>) -> Result<(), Fault> {
    if let Some(size) = input.get("volumeSizeGB") {
        grow(cluster, size)?;
    }
    if let Some(mode) = input.get("storageMode") {
        cluster.shape.insert("storageMode".into(), mode.clone());
    }
    Ok(())
}

fn grow(cluster: &mut Cluster, size: &Value) -> Result<(), Fault> {
    check::volume(Some(size))?;
    let now = &mut cluster.shape["brokerNodeGroupInfo"]["storageInfo"]["ebsStorageInfo"]["volumeSize"];
    if size.as_i64() <= now.as_i64() {
        return Err(bad(format!("The volume size must be greater than the current {now} GiB: volumes never shrink.")));
    }
    *now = size.clone();
    Ok(())
}

fn instance_type(cluster: &mut Cluster, input: &Map<String, Value>) -> Result<(), Fault> {
    let target = input.get("targetInstanceType").filter(|it| it.is_string());
    let target = target.ok_or_else(|| bad("The parameter targetInstanceType is required."))?;
    let now = &mut cluster.shape["brokerNodeGroupInfo"]["instanceType"];
    if now == target {
        return Err(bad(format!("The brokers are of type {target} already.")));
    }
    *now = target.clone();
    Ok(())
}

fn kafka_version(cluster: &mut Cluster, input: &Map<String, Value>) -> Result<(), Fault> {
    let target = input.get("targetKafkaVersion").and_then(Value::as_str).unwrap_or_default();
    let software = &mut cluster.shape["currentBrokerSoftwareInfo"];
    let now = software["kafkaVersion"].as_str().unwrap_or_default();
    if !check::is_newer(target, now) {
        return Err(bad(format!("The target Kafka version must be newer than the current {now}.")));
    }
    software["kafkaVersion"] = json!(target);
    check::configuration(software, input.get("configurationInfo").cloned());
    Ok(())
}

fn configuration(cluster: &mut Cluster, input: &Map<String, Value>) -> Result<(), Fault> {
    let info = input.get("configurationInfo").cloned();
    if !info.as_ref().is_some_and(|it| it["arn"].is_string() && it["revision"].is_i64()) {
        return Err(bad("The parameter configurationInfo needs an arn and a revision."));
    }
    check::configuration(&mut cluster.shape["currentBrokerSoftwareInfo"], info);
    Ok(())
}

fn monitoring(cluster: &mut Cluster, input: &Map<String, Value>) -> Result<(), Fault> {
    copy(cluster, input, &["enhancedMonitoring", "openMonitoring", "loggingInfo"])
}

fn rebalancing(cluster: &mut Cluster, input: &Map<String, Value>) -> Result<(), Fault> {
    copy(cluster, input, &["rebalancing"])
}

fn security(cluster: &mut Cluster, input: &Map<String, Value>) -> Result<(), Fault> {
    copy(cluster, input, &["clientAuthentication", "encryptionInfo"])
}

/// Takes over the fields that a request gives; refuses one that gives none.
fn copy(cluster: &mut Cluster, input: &Map<String, Value>, fields: &[&str]) -> Result<(), Fault> {
    let given = fields.iter().filter_map(|it| input.get_key_value(*it)).filter(|(_, it)| !it.is_null());
    let given: Vec<_> = given.map(|(key, value)| (key.clone(), value.clone())).collect();
    if given.is_empty() {
        return Err(bad(format!("The request gives none of {}.", fields.join(", "))));
    }
    cluster.shape.extend(given);
    Ok(())
}
