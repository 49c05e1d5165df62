//! Clusters: MSK's control plane in front of the one Kafka of this machine.
//!
//! A cluster becomes ACTIVE only once a broker answers. Its brokers' number, type and storage are remembered and shown,
//! not built: there is one broker. Deleting a cluster deletes its topics. Topics themselves: [`super::topic`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    broker::Brokers,
    call::{Call, Fault, Reply},
    record::Records,
};

mod check;
mod record;
mod update;

pub(crate) use check::bad;
pub(crate) use record::{Cluster, Clusters, State};

/// The pages that `ListClustersV2` cuts its answer into, unless asked otherwise.
const PAGE: usize = 100;

/// The clusters of this machine.
#[derive(Clone, Debug)]
pub(crate) struct ClusterApi {
    /// What is remembered.
    pub(crate) records: Arc<Records<Clusters>>,
    /// What is behind them.
    pub(crate) brokers: Arc<Brokers>,
    account: String,
    pace: Duration,
}

impl ClusterApi {
    /// Serves these records. Changes take at least `pace` to settle.
    pub(crate) fn new(records: Records<Clusters>, brokers: Arc<Brokers>, account: &str, pace: Duration) -> Self {
        Self { records: Arc::new(records), brokers, account: account.to_owned(), pace }
    }

    /// Takes up again what was under way when the gateway ended.
    pub(crate) fn resume(&self) {
        let records = self.records.now();
        records.values().filter(|it| it.state != State::Active).for_each(|it| self.settle(it.arn.clone()));
    }

    /// Answers a request of the MSK API; [`Reply::Pass`] where it concerns something else, such as a configuration.
    pub(crate) async fn answer(&self, call: &Call) -> Result<Reply, Fault> {
        match call.route() {
            ("POST", path) if path == ["api", "v2", "clusters"] => self.create_v2(call).await,
            ("POST", path) if path == ["v1", "clusters"] => self.create_v1(call).await,
            ("GET", path) if path == ["api", "v2", "clusters"] => self.list(call, Cluster::v2, |_| true),
            ("GET", path) if path == ["v1", "clusters"] => self.list(call, Cluster::v1, |it| !it.serverless),
            ("GET", path) if matches!(path[..], ["api", "v2", "clusters", _]) => {
                Ok(Reply::ok(json!({ "clusterInfo": self.find(path[3])?.v2() })))
            }
            ("GET", path) if matches!(path[..], ["v1", "clusters", _]) => {
                let cluster = self.find(path[2])?;
                if cluster.serverless {
                    return Err(bad(
                        "This operation cannot be performed on serverless clusters; use DescribeClusterV2.",
                    ));
                }
                Ok(Reply::ok(json!({ "clusterInfo": cluster.v1() })))
            }
            ("DELETE", path) if matches!(path[..], ["v1", "clusters", _]) => self.delete(call, path[2]).await,
            ("GET", path) if matches!(path[..], ["v1", "clusters", _, "bootstrap-brokers"]) => self.bootstrap(path[2]),
            ("GET", path) if matches!(path[..], ["v1", "clusters", _, "nodes"]) => self.nodes(path[2]),
            ("GET", path) if matches!(path[..], ["v1", "operations", _]) => self.operation(path[2]),
            (_, path) if matches!(path[..], ["v1", "tags", arn] if arn.contains(":cluster/")) => {
                self.tags(call, path[2]).await
            }
            ("PUT" | "PATCH", path) if matches!(path[..2], ["v1", "clusters"]) && path.len() > 3 => {
                self.update(call, path[2], &path[3..]).await
            }
            _ => Ok(Reply::Pass),
        }
    }

    /// Returns a cluster.
    ///
    /// # Errors
    /// MSK's `NotFoundException`.
    pub(crate) fn find(&self, arn: &str) -> Result<Cluster, Fault> {
        self.records.now().get(arn).cloned().ok_or_else(|| not_found(arn))
    }

    async fn create_v2(&self, call: &Call) -> Result<Reply, Fault> {
        let mut input: Map<String, Value> = call.input()?;
        let (serverless, shape) = match (input.remove("provisioned"), input.remove("serverless")) {
            (Some(Value::Object(it)), None) => (false, check::provisioned(it)?),
            (None, Some(Value::Object(it))) => (true, it),
            _ => return Err(bad("Exactly one of provisioned and serverless must be given.")),
        };
        let cluster = self.create(call, &input, serverless, shape).await?;
        let kind = if serverless { "SERVERLESS" } else { "PROVISIONED" };
        Ok(Reply::ok(json!({
            "clusterArn": cluster.arn, "clusterName": cluster.name, "state": cluster.state, "clusterType": kind,
        })))
    }

    async fn create_v1(&self, call: &Call) -> Result<Reply, Fault> {
        let mut input: Map<String, Value> = call.input()?;
        let mut shape = input.clone();
        shape.retain(|key, _| key != "clusterName" && key != "tags");
        input.retain(|key, _| key == "clusterName" || key == "tags");
        let cluster = self.create(call, &input, false, check::provisioned(shape)?).await?;
        Ok(Reply::ok(json!({ "clusterArn": cluster.arn, "clusterName": cluster.name, "state": cluster.state })))
    }

    async fn create(
        &self,
        call: &Call,
        input: &Map<String, Value>,
        serverless: bool,
        shape: Map<String, Value>,
    ) -> Result<Cluster, Fault> {
        let name = input.get("clusterName").and_then(Value::as_str).unwrap_or_default();
        check::name(name)?;
        let tags = match input.get("tags").filter(|it| !it.is_null()) {
            Some(it) => serde_json::from_value(it.clone()).map_err(|err| bad(format!("tags: {err}")))?,
            None => BTreeMap::new(),
        };
        let suffix = if serverless { "s1" } else { "1" };
        let arn = format!("arn:aws:kafka:{}:{}:cluster/{name}/{}-{suffix}", call.region, self.account, Uuid::new_v4());
        let cluster = Cluster {
            arn: arn.clone(),
            name: name.to_owned(),
            region: call.region.clone(),
            serverless,
            state: State::Creating,
            version: record::version(),
            created: jiff::Timestamp::now().to_string(),
            tags,
            shape,
            operation: None,
            topics: BTreeMap::new(),
        };
        let made = cluster.clone();
        self.records
            .change(move |all| {
                if all.values().any(|it| it.name == made.name && it.region == made.region) {
                    let message = format!("A cluster with the name '{}' already exists.", made.name);
                    return Err(Fault::new(409, "ConflictException", message));
                }
                all.insert(made.arn.clone(), made);
                Ok(())
            })
            .await?;
        self.settle(arn);
        Ok(cluster)
    }

    fn list(&self, call: &Call, show: fn(&Cluster) -> Value, wanted: fn(&Cluster) -> bool) -> Result<Reply, Fault> {
        let name = call.parameter("clusterNameFilter").unwrap_or_default();
        let kind = call.parameter("clusterTypeFilter").map(str::to_uppercase);
        let kind_fits = |it: &Cluster| match kind.as_deref() {
            Some("SERVERLESS") => it.serverless,
            Some("PROVISIONED") => !it.serverless,
            _ => true,
        };
        let records = self.records.now();
        let found = records
            .values()
            .filter(|it| it.region == call.region && it.name.starts_with(name) && kind_fits(it) && wanted(it));
        let (page, next) = page(call, found.map(show).collect())?;
        Ok(Reply::ok(with_token(json!({ "clusterInfoList": page }), next)))
    }

    async fn delete(&self, call: &Call, arn: &str) -> Result<Reply, Fault> {
        let version = call.parameter("currentVersion");
        self.records
            .change(|all| {
                let cluster = all.get_mut(arn).ok_or_else(|| not_found(arn))?;
                if version.is_some_and(|it| it != cluster.version) {
                    return Err(stale_version());
                }
                cluster.state = State::Deleting;
                Ok(())
            })
            .await?;
        self.settle(arn.to_owned());
        Ok(Reply::ok(json!({ "clusterArn": arn, "state": State::Deleting })))
    }

    /// The brokers speak plaintext, so that is the one string given, whatever the cluster's security is set to.
    fn bootstrap(&self, arn: &str) -> Result<Reply, Fault> {
        let cluster = self.find(arn)?;
        if cluster.state == State::Creating {
            let message = format!("The cluster {} is in state CREATING and has no brokers yet.", cluster.name);
            return Err(Fault::new(409, "ConflictException", message));
        }
        Ok(Reply::ok(json!({ "bootstrapBrokerString": self.brokers.address() })))
    }

    fn nodes(&self, arn: &str) -> Result<Reply, Fault> {
        let cluster = self.find(arn)?;
        let kind = cluster.shape.get("brokerNodeGroupInfo").map(|it| it["instanceType"].clone());
        let node = |id: i64| {
            json!({
                "nodeARN": format!("{arn}/{id}"), "nodeType": "BROKER", "instanceType": kind,
                "addedToClusterTime": cluster.created,
                "brokerNodeInfo": {
                    "brokerId": id, "endpoints": [self.brokers.address()],
                    "currentBrokerSoftwareInfo": cluster.shape.get("currentBrokerSoftwareInfo"),
                },
            })
        };
        Ok(Reply::ok(json!({ "nodeInfoList": (1..=cluster.nodes()).map(node).collect::<Vec<_>>() })))
    }

    fn operation(&self, arn: &str) -> Result<Reply, Fault> {
        let records = self.records.now();
        let cluster = records.values().find(|it| it.operation.as_ref().is_some_and(|it| it.arn == arn));
        let shown = cluster.and_then(Cluster::operation).ok_or_else(|| not_found(arn))?;
        Ok(Reply::ok(json!({ "clusterOperationInfo": shown })))
    }

    async fn tags(&self, call: &Call, arn: &str) -> Result<Reply, Fault> {
        match call.method.as_str() {
            "GET" => Ok(Reply::ok(json!({ "tags": self.find(arn)?.tags }))),
            "POST" => {
                #[derive(serde::Deserialize)]
                struct Input {
                    tags: BTreeMap<String, String>,
                }
                let Input { tags } = call.input()?;
                self.change(arn, |it| it.tags.extend(tags)).await?;
                Ok(Reply::Empty(204))
            }
            "DELETE" => {
                let keys = call.parameters("tagKeys");
                self.change(arn, |it| it.tags.retain(|key, _| !keys.contains(&key.as_str()))).await?;
                Ok(Reply::Empty(204))
            }
            _ => Ok(Reply::Pass),
        }
    }

    async fn change(&self, arn: &str, change: impl FnOnce(&mut Cluster)) -> Result<(), Fault> {
        let changed = self.records.change(|all| {
            change(all.get_mut(arn).ok_or_else(|| not_found(arn))?);
            Ok(())
        });
        changed.await
    }

    /// Brings a cluster to where its state leads, in the background: as long as it takes.
    fn settle(&self, arn: String) {
        let api = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(api.pace).await;
            while !api.step(&arn).await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    /// Tries to settle a cluster; says whether nothing is left to do.
    async fn step(&self, arn: &str) -> bool {
        let Ok(cluster) = self.find(arn) else { return true };
        match cluster.state {
            State::Active => true,
            State::Creating | State::Updating => {
                let active = |it: &mut Cluster| {
                    // Deleted meanwhile: that stands.
                    if it.state != State::Deleting {
                        it.state = State::Active;
                        it.operation.iter_mut().for_each(|it| it.done = true);
                    }
                };
                self.brokers.is_up().await && self.change(arn, active).await.is_ok()
            }
            State::Deleting => {
                let Ok(kafka) = self.brokers.kafka().await else { return false };
                for topic in cluster.topics.keys() {
                    if crate::client::Error::missing_is_done(kafka.delete_topic(topic).await).is_err() {
                        return false;
                    }
                }
                self.records.change(|all| Ok(all.remove(arn))).await.is_ok()
            }
        }
    }
}

/// Cuts a list into the page that a request asks for; returns it with the token for the next one.
pub(crate) fn page(call: &Call, all: Vec<Value>) -> Result<(Vec<Value>, Option<String>), Fault> {
    let number = |name: &str| match call.parameter(name) {
        Some(it) => {
            it.parse::<usize>().map(Some).map_err(|_| bad(format!("The parameter value of {name} is invalid.")))
        }
        None => Ok(None),
    };
    let size = number("maxResults")?.unwrap_or(PAGE).clamp(1, PAGE);
    let from = number("nextToken")?.unwrap_or(0);
    let next = (from + size < all.len()).then(|| (from + size).to_string());
    Ok((all.into_iter().skip(from).take(size).collect(), next))
}

/// Adds the token for the next page, where there is one.
pub(crate) fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    answer
}

fn not_found(arn: &str) -> Fault {
    Fault::new(404, "NotFoundException", format!("The resource {arn} does not exist."))
}

fn stale_version() -> Fault {
    bad("This operation requires the current version of the cluster; describe the cluster and try again.")
}
