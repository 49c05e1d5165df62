//! What tasks run on: clusters of the job's own, and serverless environments.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{address::Ref, resource::SecretScope};

/// A cluster that is started for a run of the job, and shared by its tasks.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The version of Databricks' runtime, such as `17.3.x-scala2.13`.
    pub spark_version: String,
    /// The type of machine, such as `m7g.large`. Default: that of the pool or the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_type_id: Option<String>,
    /// The type of the driver's machine. Default: as the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_node_type_id: Option<String>,
    /// How many workers; 0 for one machine that is driver and worker in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_workers: Option<u32>,
    /// How many workers, as work comes and goes, instead of `num_workers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
    /// Settings of Spark.
    #[serde(default)]
    pub spark_conf: BTreeMap<String, String>,
    /// Variables of the environment. `{{secrets/<scope>/<key>}}` stands for a secret of a scope that is not this stack's.
    #[serde(default)]
    pub spark_env_vars: BTreeMap<String, String>,
    /// Variables of the environment that come from secrets of this stack's scopes.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretKey>,
    /// Tags of the machines, beside those of the job.
    #[serde(default)]
    pub custom_tags: BTreeMap<String, String>,
    /// Settings for AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_attributes: Option<AwsAttributes>,
    /// Who may use the cluster, and how it is isolated. Default: the workspace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_security_mode: Option<SecurityMode>,
    /// The user of a cluster for one, with `data_security_mode: single_user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_user_name: Option<String>,
    /// Spark's own engine, or Photon. Default: the runtime's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_engine: Option<Engine>,
    /// The pool that machines come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_pool_id: Option<String>,
    /// The policy that the cluster has to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_id: Option<String>,
    /// Whether disks grow when they are nearly full. Default: the workspace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_elastic_disk: Option<bool>,
    /// Scripts that run when a machine starts, as paths: `/Workspace/…`, `/Volumes/…` or `s3://…`.
    #[serde(default)]
    pub init_scripts: Vec<String>,
}

/// A value of a secret scope of this stack.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretKey {
    /// The scope.
    pub scope: Ref<SecretScope>,
    /// The key within.
    pub key: String,
}

/// How many workers a cluster may have.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Autoscale {
    /// The least.
    pub min_workers: u32,
    /// The most.
    pub max_workers: u32,
}

/// Settings of a cluster for AWS.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsAttributes {
    /// The ARN of the instance profile that says what the machines may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_profile_arn: Option<String>,
    /// Whether to buy cheaply. Default: Databricks' own, which is `spot_with_fallback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// How many machines, beginning with the driver's, are bought at the full price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_on_demand: Option<u32>,
    /// The zone, such as `eu-central-1a`, or `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
    /// The most to pay for a cheap machine, in percent of the full price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_bid_price_percent: Option<u32>,
    /// The kind of disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebs_volume_type: Option<Disk>,
    /// How many disks a machine has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebs_volume_count: Option<u32>,
    /// How large a disk is, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebs_volume_size: Option<u32>,
}

/// How machines are bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Cheaply, and gone at any time.
    Spot,
    /// At the full price.
    OnDemand,
    /// Cheaply where there are any.
    SpotWithFallback,
}

/// A kind of disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disk {
    /// Solid.
    GeneralPurposeSsd,
    /// Turning.
    ThroughputOptimizedHdd,
}

/// Who may use a cluster, and how it is isolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecurityMode {
    /// One user or service principal.
    SingleUser,
    /// Several, each kept apart.
    UserIsolation,
    /// Whoever may, without Unity Catalog.
    None,
}

/// What executes Spark's plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Spark's own.
    Standard,
    /// Photon.
    Photon,
}

/// A serverless environment.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Its version, a number in quotes such as `"4"`.
    pub environment_version: String,
    /// What is installed, as lines of a `requirements.txt`. The packages that tasks name are added.
    #[serde(default)]
    pub dependencies: Vec<String>,
}
