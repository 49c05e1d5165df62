//! A provisioned MSK cluster: Apache Kafka, encrypted at rest and on the way.

use std::time::Duration;

use aws_sdk_kafka::{
    operation::get_bootstrap_brokers::GetBootstrapBrokersOutput,
    types::{self, ClientBroker, ClusterState},
};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Key, Network, Objection, Outputs, Phase, Resource,
    Result, Tags, key, network, shared_prefix, touched,
};
use crate::{
    address::{Name, Ref},
    client::{self, Error, Reason},
    quantity::Size,
};

/// A Kafka cluster in Amazon MSK.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The version of Kafka, as MSK spells it, such as `3.9.x.kraft`; at least 3.6.
    pub kafka_version: String,
    /// The size of each broker, such as `kafka.m7g.large`.
    pub instance_type: String,
    /// How many brokers: a multiple of the number of subnets. It can grow, and not shrink.
    pub brokers: u32,
    /// The volume of each broker, in whole GiB. It can grow, and not shrink.
    pub storage: Size,
    /// How clients reach the brokers. Default: `tls`.
    #[serde(default)]
    pub encryption_in_transit: InTransit,
    /// How clients prove who they are. Default: IAM alone.
    #[serde(default)]
    pub authentication: Authentication,
    /// The ARN of the KMS key that encrypts the volumes. Default: the account's key for MSK. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The key of this stack that encrypts the volumes. Instead of `kms_key`. Cannot be changed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Ref<Key>>,
    /// The network that the brokers are spread over. Instead of `subnets` and `security_groups`. Cannot be changed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Ref<Network>>,
    /// The subnets that the brokers are spread over, one per availability zone. Cannot be changed.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// The security groups of the brokers. Cannot be changed.
    #[serde(default)]
    pub security_groups: Vec<String>,
}

/// How clients reach the brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InTransit {
    /// Only over TLS.
    #[default]
    Tls,
    /// Over TLS or in the clear.
    TlsPlaintext,
    /// Only in the clear.
    Plaintext,
}

/// How clients prove who they are to the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authentication {
    /// With IAM: each client needs permission for the cluster, its topics and its groups. Default: `true`.
    #[serde(default = "yes")]
    pub iam: bool,
    /// Not at all: whoever reaches a broker may do everything. Default: `false`.
    #[serde(default)]
    pub unauthenticated: bool,
}

impl Default for Authentication {
    fn default() -> Self {
        Self { iam: true, unauthenticated: false }
    }
}

/// A cluster as MSK has it.
#[derive(Clone, Debug)]
pub struct LiveCluster {
    cluster: types::Cluster,
    /// Where its brokers are, once there are any.
    brokers: Option<GetBootstrapBrokersOutput>,
    tags: Tags,
}

impl LiveCluster {
    /// The ARN, which topics and event source mappings take.
    pub fn arn(&self) -> &str {
        self.cluster.cluster_arn().unwrap_or_default()
    }

    /// The stack that its tags name: whose its topics are.
    pub fn stack(&self) -> Option<String> {
        self.tags.stack()
    }

    /// The addresses of the brokers as `host:port,…`, of the safest listener that there is.
    fn bootstrap(&self) -> Option<&str> {
        let brokers = self.brokers.as_ref()?;
        let listeners = [
            brokers.bootstrap_broker_string_sasl_iam(),
            brokers.bootstrap_broker_string_tls(),
            brokers.bootstrap_broker_string(),
        ];
        listeners.into_iter().flatten().find(|it| !it.is_empty())
    }

    fn version(&self) -> Option<String> {
        self.cluster.current_version().map(str::to_owned)
    }
}

const fn yes() -> bool {
    true
}

impl Resource for Cluster {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("brokers", Field::Grows("MSK cannot take brokers away. Keep {live}.")),
        ("storage", Field::Grows("MSK cannot shrink a volume. Keep {live}.")),
        ("kms_key", Field::Defaulted),
        ("subnets", Field::Immutable),
        ("security_groups", Field::Immutable),
        ("tags", Field::Defaulted),
    ];
    const DATA_BEARING: bool = true;
    const PATIENCE: Duration = Duration::from_secs(45 * 60);
    const USUAL: Option<Duration> = Some(Duration::from_secs(25 * 60));
    const INTERRUPTS: &'static [(&'static str, &'static str)] = &[
        ("instance_type", "restarts the brokers, one after the other: about 15 minutes each"),
        ("kafka_version", "restarts the brokers, one after the other, and cannot be undone"),
        ("encryption_in_transit", "restarts the brokers, one after the other"),
        ("authentication", "restarts the brokers, one after the other"),
    ];
    const OUTPUTS: &'static [&'static str] = &["arn", "name", "uuid", "bootstrap"];
    type Live = LiveCluster;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws: Vec<Flaw> = key::flaw(self.key.as_ref(), self.kms_key.as_ref()).into_iter().collect();
        if !(1..=90).contains(&self.brokers) {
            flaws.push(Flaw::new("/brokers", format!("MSK runs 1 to 90 brokers, not {}", self.brokers)));
        } else if let subnets @ 1.. = self.subnets.len()
            && !(self.brokers as usize).is_multiple_of(subnets)
        {
            let text = format!("{} brokers cannot be spread evenly over {subnets} subnets", self.brokers);
            flaws.push(Flaw::new("/brokers", text).help(format!("use a multiple of {subnets}")));
        }
        if !(1..=16_384).contains(&self.storage.as_gibibytes()) || !self.storage.as_bytes().is_multiple_of(1 << 30) {
            let flaw = Flaw::new("/storage", format!("a broker's volume cannot be {}", self.storage));
            flaws.push(flaw.help("write 1GiB to 16384GiB, in whole GiB"));
        }
        if !self.authentication.iam && !self.authentication.unauthenticated {
            let flaw = Flaw::new("/authentication", "no client could connect: every way to authenticate is off");
            flaws.push(flaw.help("set `iam: true`"));
        }
        if self.authentication.iam && self.encryption_in_transit == InTransit::Plaintext {
            let flaw = Flaw::new("/encryption_in_transit", "IAM authentication works over TLS only");
            flaws.push(
                flaw.help("set `encryption_in_transit: tls`, or `authentication: {iam: false, unauthenticated: true}`"),
            );
        }
        let raw = !self.subnets.is_empty() || !self.security_groups.is_empty();
        flaws.extend(network::flaws(self.network.as_ref(), raw));
        if !self.kafka_version.starts_with(|it: char| it.is_ascii_digit()) {
            flaws.push(Flaw::new("/kafka_version", format!("`{}` is no version of Kafka", self.kafka_version)));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        let fits = |it: char| it.is_ascii_alphanumeric() || it == '-';
        if (1..=64).contains(&physical.len()) && physical.chars().all(fits) {
            return Vec::new();
        }
        let flaw = Flaw::new("", format!("`{physical}` is no name for an MSK cluster"));
        vec![flaw.help("MSK allows 64 characters: letters, digits and hyphens")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        self.spreads(cx)?;
        let place = || self.place(cx);
        let desired = Desired::of(self).tagged(cx).without("network");
        let desired = key::named(desired, "kms_key", cx, self.key.as_ref())?;
        let desired = desired.with_result("subnets", place().map(|it| it.0))?;
        desired.with_result("security_groups", place().map(|it| it.1))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveCluster>>> {
        let found = find(cx, names.iter().map(|it| it.physical.as_str())).await?;
        let complete = found.into_iter().map(async |cluster| match cluster {
            Some(it) => Ok::<_, client::Error>(Some(LiveCluster { brokers: brokers(cx, &it.cluster).await?, ..it })),
            None => Ok(None),
        });
        Ok(try_join_all(complete).await?)
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.kafka().list_clusters_v2().into_paginator().items().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("kafka", "ListClustersV2"))?;
        let names = listed.iter().filter_map(|it| it.cluster_name());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveCluster) -> Value {
        let Some(it) = live.cluster.provisioned() else { return json!({}) };
        let nodes = it.broker_node_group_info();
        let sorted = |list: Option<&[String]>| {
            let mut list = list.unwrap_or_default().to_vec();
            list.sort();
            list
        };
        let storage = nodes.and_then(|it| it.storage_info()?.ebs_storage_info()?.volume_size());
        let storage = storage.and_then(|it| u64::try_from(it).ok()).map(Size::gibibytes);
        let encryption = it.encryption_info();
        let in_transit = match encryption.and_then(|it| it.encryption_in_transit()?.client_broker()) {
            Some(ClientBroker::Plaintext) => InTransit::Plaintext,
            Some(ClientBroker::TlsPlaintext) => InTransit::TlsPlaintext,
            _ => InTransit::Tls,
        };
        let clients = it.client_authentication();
        json!({
            "kafka_version": it.current_broker_software_info().and_then(|it| it.kafka_version()),
            "instance_type": nodes.and_then(|it| it.instance_type()),
            "brokers": it.number_of_broker_nodes(),
            "storage": storage,
            "encryption_in_transit": in_transit,
            "authentication": {
                "iam": clients.and_then(|it| it.sasl()?.iam()?.enabled()).unwrap_or(false),
                "unauthenticated": clients.and_then(|it| it.unauthenticated()?.enabled()).unwrap_or(false),
            },
            "kms_key": encryption.and_then(|it| it.encryption_at_rest()?.data_volume_kms_key_id()),
            "subnets": sorted(nodes.map(types::BrokerNodeGroupInfo::client_subnets)),
            "security_groups": sorted(nodes.map(types::BrokerNodeGroupInfo::security_groups)),
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveCluster) -> Identity {
        Identity { id: Some(live.arn().to_owned()), ownership: live.tags.ownership() }
    }

    fn phase(live: &LiveCluster) -> Phase {
        let why = live.cluster.state_info().and_then(|it| it.message()).unwrap_or("MSK gives no reason");
        match live.cluster.state() {
            // Brokers serve clients while MSK heals or maintains them.
            Some(ClusterState::Active | ClusterState::Healing | ClusterState::Maintenance) => Phase::Ready,
            Some(ClusterState::Deleting) => Phase::Deleting,
            Some(ClusterState::Failed) => Phase::Failed(format!("FAILED: {why}")),
            Some(it) => Phase::Pending(it.as_str().to_owned()),
            None => Phase::Pending("unknown".into()),
        }
    }

    fn outputs(live: &LiveCluster) -> Outputs {
        let uuid = live.arn().rsplit('/').next();
        let parts = [
            ("arn", Some(live.arn())),
            ("name", live.cluster.cluster_name()),
            // Policies for topics and groups are made of it.
            ("uuid", uuid),
            ("bootstrap", live.bootstrap()),
        ];
        parts.into_iter().filter_map(|(key, it)| Some((key, it?.to_owned()))).collect()
    }

    fn objections(&self, _cx: &Cx, _live: &LiveCluster, changes: &[Change]) -> Vec<Objection> {
        let object = |it: &Change| Objection {
            field: it.field.clone(),
            reason: "MSK cannot change the key that encrypts a cluster".into(),
            help: "put it back; to move, define a second cluster and mirror the topics".into(),
        };
        changes.iter().filter(|it| it.is("kms_key")).map(object).collect()
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let size = types::EbsStorageInfo::builder().volume_size(gibibytes(self.storage)).build();
        let (subnets, groups) = self.place(cx)?;
        let nodes = types::BrokerNodeGroupInfo::builder()
            .instance_type(&self.instance_type)
            .set_client_subnets(Some(subnets))
            .set_security_groups(Some(groups).filter(|it| !it.is_empty()))
            .storage_info(types::StorageInfo::builder().ebs_storage_info(size).build());
        let request = types::ProvisionedRequest::builder()
            .broker_node_group_info(nodes.build())
            .kafka_version(&self.kafka_version)
            .number_of_broker_nodes(i32::try_from(self.brokers).unwrap_or(i32::MAX))
            .client_authentication(self.client_authentication())
            .encryption_info(self.encryption(key::arn(cx, self.key.as_ref(), self.kms_key.as_ref())?));
        let request = cx.aws.kafka().create_cluster_v2().cluster_name(&name.physical).provisioned(request.build());
        let request = request.set_tags(Some(cx.tags(&name.owner).into_iter().collect()));
        let sent = request.send().await.map_err(Error::aws("kafka", "CreateClusterV2"));
        sent.map(|_| ()).map_err(|err| err.conflict_is_exists().into())
    }

    /// MSK makes one change at a time, and every change takes a while: the first that is wanted is sent.
    async fn update(&self, cx: &Cx, name: &Name, live: &LiveCluster, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        let kafka = cx.aws.kafka();
        let (arn, version) = (live.arn(), live.version());
        if touched.contains("tags") {
            let tags = live.tags.after(cx, name, changes).into_iter().collect();
            let sent = kafka.tag_resource().resource_arn(arn).set_tags(Some(tags)).send().await;
            sent.map_err(Error::aws("kafka", "TagResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let sent = kafka.untag_resource().resource_arn(arn).set_tag_keys(Some(gone)).send().await;
                sent.map_err(Error::aws("kafka", "UntagResource"))?;
            }
        }
        let sent = if touched.contains("encryption_in_transit") || touched.contains("authentication") {
            let request = kafka.update_security().cluster_arn(arn).set_current_version(version);
            let request = request.client_authentication(self.client_authentication());
            // The key at rest cannot be named again.
            let on_the_way = types::EncryptionInfo::builder().encryption_in_transit(self.in_transit()).build();
            let sent = request.encryption_info(on_the_way).send().await;
            sent.map(|_| ()).map_err(Error::aws("kafka", "UpdateSecurity"))
        } else if touched.contains("storage") {
            let volume = types::BrokerEbsVolumeInfo::builder();
            let volume = volume.kafka_broker_node_id("All").volume_size_gb(gibibytes(self.storage)).build();
            let request = kafka.update_broker_storage().cluster_arn(arn).set_current_version(version);
            let sent = request.target_broker_ebs_volume_info(volume).send().await;
            sent.map(|_| ()).map_err(Error::aws("kafka", "UpdateBrokerStorage"))
        } else if touched.contains("instance_type") {
            let request = kafka.update_broker_type().cluster_arn(arn).set_current_version(version);
            let sent = request.target_instance_type(&self.instance_type).send().await;
            sent.map(|_| ()).map_err(Error::aws("kafka", "UpdateBrokerType"))
        } else if touched.contains("brokers") {
            let request = kafka.update_broker_count().cluster_arn(arn).set_current_version(version);
            let target = i32::try_from(self.brokers).unwrap_or(i32::MAX);
            let sent = request.target_number_of_broker_nodes(target).send().await;
            sent.map(|_| ()).map_err(Error::aws("kafka", "UpdateBrokerCount"))
        } else if touched.contains("kafka_version") {
            let request = kafka.update_cluster_kafka_version().cluster_arn(arn).set_current_version(version);
            let sent = request.target_kafka_version(&self.kafka_version).send().await;
            sent.map(|_| ()).map_err(Error::aws("kafka", "UpdateClusterKafkaVersion"))
        } else {
            Ok(())
        };
        Ok(sent?)
    }

    async fn delete(cx: &Cx, _name: &Name, live: &LiveCluster) -> Result<()> {
        let request = cx.aws.kafka().delete_cluster().cluster_arn(live.arn()).set_current_version(live.version());
        let sent = request.send().await.map_err(Error::aws("kafka", "DeleteCluster"));
        Ok(Error::missing_is_done(sent)?)
    }
}

impl Cluster {
    /// Returns its subnets and its security groups, sorted.
    fn place(&self, cx: &Cx) -> Result<(Vec<String>, Vec<String>)> {
        let (mut subnets, mut groups) = match &self.network {
            None => (self.subnets.clone(), self.security_groups.clone()),
            Some(own) => network::place(cx, own, "brokers").map(|it| (it.subnets, vec![it.group]))?,
        };
        subnets.sort();
        groups.sort();
        Ok((subnets, groups))
    }

    /// Refuses brokers that cannot be spread evenly over the zones of their network.
    fn spreads(&self, cx: &Cx) -> Result<()> {
        let Some(network) = &self.network else { return Ok(()) };
        let zones = cx.spec(network)?.zones;
        if self.brokers.is_multiple_of(zones) {
            return Ok(());
        }
        Err(KindError::Refused {
            message: format!(
                "{} brokers cannot be spread evenly over the {zones} zones of {}",
                self.brokers,
                network.address()
            ),
            help: format!("use a multiple of {zones}"),
        })
    }

    fn client_authentication(&self) -> types::ClientAuthentication {
        let Authentication { iam, unauthenticated } = self.authentication;
        let sasl = types::Sasl::builder().iam(types::Iam::builder().enabled(iam).build()).build();
        let open = types::Unauthenticated::builder().enabled(unauthenticated).build();
        types::ClientAuthentication::builder().sasl(sasl).unauthenticated(open).build()
    }

    fn encryption(&self, key: Option<String>) -> types::EncryptionInfo {
        let rest = |key: String| types::EncryptionAtRest::builder().data_volume_kms_key_id(key).build();
        types::EncryptionInfo::builder()
            .encryption_in_transit(self.in_transit())
            .set_encryption_at_rest(key.map(rest))
            .build()
    }

    fn in_transit(&self) -> types::EncryptionInTransit {
        let clients = match self.encryption_in_transit {
            InTransit::Tls => ClientBroker::Tls,
            InTransit::TlsPlaintext => ClientBroker::TlsPlaintext,
            InTransit::Plaintext => ClientBroker::Plaintext,
        };
        types::EncryptionInTransit::builder().client_broker(clients).in_cluster(true).build()
    }
}

/// Finds clusters by name, in order, without the addresses of their brokers: one request per hundred clusters.
pub(super) async fn find<'a>(
    cx: &Cx,
    names: impl Iterator<Item = &'a str> + Clone,
) -> client::Result<Vec<Option<LiveCluster>>> {
    let prefix = shared_prefix(names.clone());
    let pages = cx.aws.kafka().list_clusters_v2().cluster_name_filter(prefix).into_paginator().items().send();
    let found: Vec<_> = pages.try_collect().await.map_err(Error::aws("kafka", "ListClustersV2"))?;
    let pick = |name| {
        let it = found.iter().find(|it| it.cluster_name() == Some(name))?.clone();
        let tags = it.tags.clone().unwrap_or_default().into_iter().collect();
        Some(LiveCluster { tags, cluster: it, brokers: None })
    };
    Ok(names.map(pick).collect())
}

async fn brokers(cx: &Cx, cluster: &types::Cluster) -> client::Result<Option<GetBootstrapBrokersOutput>> {
    // MSK refuses to tell before there are any, and after there were.
    if matches!(cluster.state(), Some(ClusterState::Creating | ClusterState::Deleting | ClusterState::Failed)) {
        return Ok(None);
    }
    let request = cx.aws.kafka().get_bootstrap_brokers().set_cluster_arn(cluster.cluster_arn().map(str::to_owned));
    match request.send().await.map_err(Error::aws("kafka", "GetBootstrapBrokers")) {
        Ok(it) => Ok(Some(it)),
        Err(err) if matches!(err.reason, Reason::Missing | Reason::Busy) => Ok(None),
        Err(err) => Err(err),
    }
}

fn gibibytes(size: Size) -> i32 {
    i32::try_from(size.as_gibibytes()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: Value) -> Cluster {
        let mut whole = json!({
            "kafka_version": "3.9.x.kraft", "instance_type": "kafka.m7g.large", "brokers": 3, "storage": "100GiB",
        });
        for (key, it) in value.as_object().into_iter().flatten() {
            whole[key] = it.clone();
        }
        serde_json::from_value(whole).expect("a spec")
    }

    fn live(spec: &Cluster) -> LiveCluster {
        let size = types::EbsStorageInfo::builder().volume_size(gibibytes(spec.storage)).build();
        let nodes = types::BrokerNodeGroupInfo::builder()
            .instance_type(&spec.instance_type)
            .set_client_subnets(Some(spec.subnets.clone()))
            .storage_info(types::StorageInfo::builder().ebs_storage_info(size).build())
            .build();
        let software = types::BrokerSoftwareInfo::builder().kafka_version(&spec.kafka_version).build();
        let provisioned = types::Provisioned::builder()
            .broker_node_group_info(nodes)
            .current_broker_software_info(software)
            .number_of_broker_nodes(3)
            .client_authentication(spec.client_authentication())
            .encryption_info(spec.encryption(None))
            .build();
        let cluster = types::Cluster::builder().provisioned(provisioned).cluster_arn("arn:cluster/s-events/uuid");
        LiveCluster { cluster: cluster.build(), brokers: None, tags: Tags::default() }
    }

    #[test]
    fn what_is_wanted_is_observed() {
        let spec = spec(json!({ "encryption_in_transit": "tls_plaintext", "subnets": ["b", "a", "c"] }));
        let mut wanted = Desired::of(&spec).spec;
        wanted["subnets"] = json!(["a", "b", "c"]);
        wanted["kms_key"] = Value::Null;
        wanted["tags"] = json!({});
        assert_eq!(Cluster::observed(&live(&spec)), wanted);
    }

    #[test]
    fn the_safest_listener_is_the_one_to_use() {
        let mut live = live(&spec(json!({})));
        assert_eq!(Cluster::outputs(&live).get("bootstrap"), None);
        let brokers = GetBootstrapBrokersOutput::builder().bootstrap_broker_string("b:9092");
        live.brokers = Some(brokers.clone().bootstrap_broker_string_sasl_iam("").build());
        assert_eq!(live.bootstrap(), Some("b:9092"));
        live.brokers = Some(brokers.bootstrap_broker_string_sasl_iam("b:9098").build());
        assert_eq!(live.bootstrap(), Some("b:9098"));
        assert_eq!(Cluster::outputs(&live)["uuid"], "uuid");
    }

    #[test]
    fn phases() {
        let phase = |state: ClusterState| {
            let cluster = types::Cluster::builder().state(state).build();
            Cluster::phase(&LiveCluster { cluster, brokers: None, tags: Tags::default() })
        };
        assert_eq!(phase(ClusterState::Active), Phase::Ready);
        assert_eq!(phase(ClusterState::Creating), Phase::Pending("CREATING".into()));
        assert_eq!(phase(ClusterState::Deleting), Phase::Deleting);
        assert_eq!(phase(ClusterState::Failed), Phase::Failed("FAILED: MSK gives no reason".into()));
    }

    #[test]
    fn flaws() {
        let at = |value| spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
        assert_eq!(at(json!({})), Vec::<String>::new());
        assert_eq!(at(json!({ "brokers": 4, "subnets": ["a", "b", "c"] })), ["/brokers"]);
        assert_eq!(at(json!({ "storage": "1500MiB" })), ["/storage"]);
        assert_eq!(at(json!({ "encryption_in_transit": "plaintext" })), ["/encryption_in_transit"]);
        assert_eq!(at(json!({ "authentication": { "iam": false } })), ["/authentication"]);
    }
}
