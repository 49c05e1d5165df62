//! Triggers: Lambda's event source mappings for Kafka, and their tags. The poller does the work.
//!
//! Mappings of other event sources are the cloud's: requests about them pass on, and a list of all mappings holds both.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    call::{Call, Fault, Reply},
    cloudwatch::source::GroupWatched,
    cluster::{Clusters, State as ClusterState},
    record::Records,
    upstream::{self, Upstream},
};
use crate::local::poller::{Poller, Status};

mod check;
mod record;

pub(crate) use check::function;
use check::{Input, invalid};
use record::{Mapping, Mappings, Settings, State};

/// Begins the markers that continue a list of the gateway's own mappings.
const MARKER: &str = "ecomctl-";
/// The most mappings on one page.
const PAGE: usize = 100;

/// The mappings of this machine.
#[derive(Clone, Debug)]
pub(crate) struct TriggerApi {
    records: Arc<Records<Mappings>>,
    clusters: Arc<Records<Clusters>>,
    poller: Poller,
    upstream: Upstream,
    account: String,
    pace: Duration,
}

impl TriggerApi {
    /// Serves these records. Changes take at least `pace` to settle.
    pub(crate) fn new(
        records: Records<Mappings>,
        clusters: Arc<Records<Clusters>>,
        poller: Poller,
        upstream: Upstream,
        account: &str,
        pace: Duration,
    ) -> Self {
        Self { records: Arc::new(records), clusters, poller, upstream, account: account.to_owned(), pace }
    }

    /// Starts what was enabled, and takes up again what was under way, when the gateway ended.
    pub(crate) async fn resume(&self) {
        for mapping in self.records.now().values() {
            match mapping.state {
                State::Enabled => self.poller.start(mapping.job()).await,
                State::Disabled => (),
                _ => self.settle(mapping.uuid.clone()),
            }
        }
    }

    /// Says how every mapping is doing.
    pub(crate) fn health(&self) -> Value {
        let health = |it: &Mapping| {
            let status = self.poller.status(&it.uuid);
            json!({ "uuid": it.uuid, "topic": it.topic, "group": it.group, "state": it.state, "poller": status })
        };
        self.records.now().values().map(health).collect()
    }

    /// Lists the mappings whose lag is told.
    pub(crate) fn watched(&self) -> Vec<GroupWatched> {
        let watched = |it: &Mapping| GroupWatched {
            region: it.region.clone(),
            uuid: it.uuid.clone(),
            function: function(&it.function_arn).0,
            cluster: it.source_arn.split('/').nth(1).unwrap_or_default().to_owned(),
            group: it.group.clone(),
            topic: it.topic.clone(),
            counts: it.enabled && it.settings.counts_events(),
        };
        self.records.now().values().filter(|it| it.state != State::Deleting).map(watched).collect()
    }

    /// Answers a request about mappings; [`Reply::Pass`] where it concerns another event source.
    pub(crate) async fn answer(&self, call: &Call) -> Result<Reply, Fault> {
        match call.route() {
            ("POST", path) if path[1..] == ["event-source-mappings"] => self.create(call).await,
            ("GET", path) if path[1..] == ["event-source-mappings"] => self.list(call).await,
            (method, path) if matches!(path[1..], ["event-source-mappings", _]) => {
                let uuid = path[2];
                if !self.records.now().contains_key(uuid) {
                    return Ok(Reply::Pass);
                }
                match method {
                    "GET" => Ok(Reply::ok(self.show(&self.find(uuid)?))),
                    "PUT" => self.update(call, uuid).await,
                    "DELETE" => self.delete(uuid).await,
                    _ => Ok(Reply::Pass),
                }
            }
            (_, path) if matches!(path[1..], ["tags", _]) => self.tags(call, path[2]).await,
            _ => Ok(Reply::Pass),
        }
    }

    async fn create(&self, call: &Call) -> Result<Reply, Fault> {
        let document: Value = call.input()?;
        let source = document["EventSourceArn"].as_str().unwrap_or_default().to_owned();
        if !source.contains(":kafka:") {
            return Ok(Reply::Pass);
        }
        let input = check::input(document)?;
        let mut settings = Settings::default();
        input.apply(&mut settings)?;
        let topic = input.topic()?.to_owned();
        let now = now();
        let (start, start_timestamp) = input.start(now)?;
        let asked_group = input.group()?.map(str::to_owned);
        if self.clusters.now().get(&source).is_none_or(|it| it.state == ClusterState::Deleting) {
            return Err(invalid(format!("The cluster {source} does not exist.")));
        }
        let function_arn = self.function(&input, &call.region).await?;
        let uuid = Uuid::new_v4().to_string();
        let enabled = input.enabled.unwrap_or(true);
        let mapping = Mapping {
            arn: format!("arn:aws:lambda:{}:{}:event-source-mapping:{uuid}", call.region, self.account),
            region: call.region.clone(),
            function_arn,
            source_arn: source,
            topic,
            group: asked_group.clone().unwrap_or_else(|| uuid.clone()),
            start,
            start_timestamp,
            enabled,
            state: State::Creating,
            modified: now,
            settings,
            tags: input.tags.clone().unwrap_or_default(),
            uuid: uuid.clone(),
        };
        let made = mapping.clone();
        self.records
            .change(move |all| {
                let same = |it: &&Mapping| {
                    let group = asked_group.as_ref().map_or(it.group == it.uuid, |group| *group == it.group);
                    group
                        && it.function_arn == made.function_arn
                        && it.source_arn == made.source_arn
                        && it.topic == made.topic
                };
                if let Some(other) = all.values().find(same) {
                    let message = format!(
                        "An event source mapping with event source arn ({}), topic ({}) and function ({}) already exists: UUID {}.",
                        made.source_arn, made.topic, made.function_arn, other.uuid
                    );
                    return Err(Fault::new(409, "ResourceConflictException", message));
                }
                all.insert(made.uuid.clone(), made);
                Ok(())
            })
            .await?;
        self.settle(uuid);
        Ok(Reply::Json(202, self.show(&mapping)))
    }

    async fn update(&self, call: &Call, uuid: &str) -> Result<Reply, Fault> {
        let input: Input = check::input(call.input()?)?;
        let fixed = [input.event_source_arn.is_some(), input.topics.is_some(), input.starting_position.is_some()];
        if fixed.contains(&true) {
            return Err(invalid(
                "The event source, the topic and the starting position of a mapping cannot be changed.",
            ));
        }
        let function_arn = match input.function_name {
            Some(_) => Some(self.function(&input, &call.region).await?),
            None => None,
        };
        let mapping = self
            .records
            .change(|all| {
                let mapping = all.get_mut(uuid).ok_or_else(|| missing(uuid))?;
                settled(mapping)?;
                if input.group()?.is_some_and(|it| it != mapping.group) {
                    return Err(invalid("The consumer group of a mapping cannot be changed."));
                }
                input.apply(&mut mapping.settings)?;
                let enabled = input.enabled.unwrap_or(mapping.enabled);
                mapping.state = match (mapping.enabled, enabled) {
                    (false, true) => State::Enabling,
                    (true, false) => State::Disabling,
                    _ => State::Updating,
                };
                mapping.enabled = enabled;
                mapping.modified = now();
                if let Some(it) = function_arn {
                    mapping.function_arn = it;
                }
                Ok(mapping.clone())
            })
            .await?;
        self.settle(uuid.to_owned());
        Ok(Reply::Json(202, self.show(&mapping)))
    }

    async fn delete(&self, uuid: &str) -> Result<Reply, Fault> {
        let mapping = self
            .records
            .change(|all| {
                let mapping = all.get_mut(uuid).ok_or_else(|| missing(uuid))?;
                settled(mapping)?;
                mapping.state = State::Deleting;
                mapping.modified = now();
                Ok(mapping.clone())
            })
            .await?;
        self.settle(uuid.to_owned());
        Ok(Reply::Json(202, self.show(&mapping)))
    }

    async fn list(&self, call: &Call) -> Result<Reply, Fault> {
        let source = call.parameter("EventSourceArn");
        let marker = call.parameter("Marker");
        let foreign_marker = marker.is_some_and(|it| !it.starts_with(MARKER));
        if foreign_marker || source.is_some_and(|it| !it.contains(":kafka:")) {
            return Ok(Reply::Pass);
        }
        let number =
            |it: &str| it.parse::<usize>().map_err(|_| invalid(format!("{it} is not a valid number or marker.")));
        let size = call.parameter("MaxItems").map(number).transpose()?.unwrap_or(PAGE).clamp(1, PAGE);
        let from = marker.and_then(|it| it.strip_prefix(MARKER)).map(number).transpose()?.unwrap_or(0);
        let function = call.parameter("FunctionName").map(check::function);
        let records = self.records.now();
        let wanted = |it: &&Mapping| {
            let function_fits = function.as_ref().is_none_or(|(name, version)| {
                let own = check::function(&it.function_arn);
                own.0 == *name && version.as_ref().is_none_or(|version| own.1.as_ref() == Some(version))
            });
            it.region == call.region && source.is_none_or(|source| it.source_arn == source) && function_fits
        };
        let own: Vec<&Mapping> = records.values().filter(wanted).collect();
        let mut page: Vec<Value> = own.iter().skip(from).take(size).map(|it| self.show(it)).collect();
        let mut next = (from + page.len() < own.len()).then(|| json!(format!("{MARKER}{}", from + page.len())));
        if source.is_none() && next.is_none() && page.len() < size {
            let theirs = self.list_upstream(call, size - page.len()).await?;
            page.extend(theirs["EventSourceMappings"].as_array().cloned().unwrap_or_default());
            next = Some(theirs["NextMarker"].clone()).filter(|it| !it.is_null());
        }
        let mut answer = json!({ "EventSourceMappings": page });
        if let Some(next) = next {
            answer["NextMarker"] = next;
        }
        Ok(Reply::ok(answer))
    }

    async fn list_upstream(&self, call: &Call, size: usize) -> Result<Value, Fault> {
        let function = call.parameter("FunctionName").map(|it| format!("&FunctionName={}", upstream::segment(it)));
        let function = function.unwrap_or_default();
        let path = format!("/2015-03-31/event-source-mappings/?MaxItems={size}{function}");
        let request = self.upstream.request("GET", &path, "lambda", &call.region);
        let answer =
            self.upstream.send(request, bytes::Bytes::new()).await.map_err(|err| unavailable(err.to_string()))?;
        match answer.status.is_success() {
            true => Ok(answer.json()),
            // A function that only the gateway's mappings name is no failure of the list.
            false if answer.status.as_u16() == 404 => Ok(json!({})),
            false => Err(unavailable(answer.refusal())),
        }
    }

    async fn tags(&self, call: &Call, arn: &str) -> Result<Reply, Fault> {
        let Some(uuid) = arn.rsplit(':').next().filter(|it| self.records.now().contains_key(*it)) else {
            return Ok(Reply::Pass);
        };
        match call.method.as_str() {
            "GET" => Ok(Reply::ok(json!({ "Tags": self.find(uuid)?.tags }))),
            "POST" => {
                let tags = check::input(call.input()?)?.tags.unwrap_or_default();
                self.change(uuid, |it| it.tags.extend(tags)).await?;
                Ok(Reply::Empty(204))
            }
            "DELETE" => {
                let keys = call.parameters("tagKeys");
                self.change(uuid, |it| it.tags.retain(|key, _| !keys.contains(&key.as_str()))).await?;
                Ok(Reply::Empty(204))
            }
            _ => Ok(Reply::Pass),
        }
    }

    /// Asks the cloud for the function that a request names; returns its ARN.
    async fn function(&self, input: &Input, region: &str) -> Result<String, Fault> {
        let given = input.function_name.as_deref().ok_or_else(|| invalid("FunctionName is required."))?;
        let (name, version) = check::function(given);
        let qualifier = version.as_ref().map_or_else(String::new, |it| format!("?Qualifier={}", upstream::segment(it)));
        let path = format!("/2015-03-31/functions/{}{qualifier}", upstream::segment(&name));
        let request = self.upstream.request("GET", &path, "lambda", region);
        let answer =
            self.upstream.send(request, bytes::Bytes::new()).await.map_err(|err| unavailable(err.to_string()))?;
        match answer.json().pointer("/Configuration/FunctionArn").and_then(Value::as_str) {
            Some(arn) if answer.status.is_success() => {
                let (name, _) = check::function(arn);
                let base = format!("arn:aws:lambda:{region}:{}:function:{name}", self.account);
                Ok(version.map_or(base.clone(), |it| format!("{base}:{it}")))
            }
            _ if answer.status.as_u16() == 404 => {
                Err(Fault::new(404, "ResourceNotFoundException", format!("Function not found: {given}")))
            }
            _ => Err(unavailable(answer.refusal())),
        }
    }

    fn find(&self, uuid: &str) -> Result<Mapping, Fault> {
        self.records.now().get(uuid).cloned().ok_or_else(|| missing(uuid))
    }

    fn show(&self, mapping: &Mapping) -> Value {
        let Status { result, .. } = self.poller.status(&mapping.uuid).unwrap_or_default();
        mapping.show(&result)
    }

    async fn change(&self, uuid: &str, change: impl FnOnce(&mut Mapping)) -> Result<(), Fault> {
        let changed = self.records.change(|all| {
            change(all.get_mut(uuid).ok_or_else(|| missing(uuid))?);
            Ok(())
        });
        changed.await
    }

    /// Brings a mapping to where its state leads, in the background.
    fn settle(&self, uuid: String) {
        let api = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(api.pace).await;
            while !api.step(&uuid).await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    /// Tries to settle a mapping; says whether nothing is left to do.
    async fn step(&self, uuid: &str) -> bool {
        let Ok(mapping) = self.find(uuid) else { return true };
        if mapping.state == State::Deleting {
            self.poller.stop(uuid).await;
            return self.records.change(|all| Ok(all.remove(uuid))).await.is_ok();
        }
        let state = if mapping.enabled {
            self.poller.start(mapping.job()).await;
            State::Enabled
        } else {
            self.poller.stop(uuid).await;
            State::Disabled
        };
        self.change(uuid, |it| it.state = state).await.is_ok()
    }
}

/// Refuses a change while another one is under way.
fn settled(mapping: &Mapping) -> Result<(), Fault> {
    if mapping.state.is_settled() {
        return Ok(());
    }
    let message = format!(
        "Cannot change the event source mapping {}: it is in use, in state {}.",
        mapping.uuid,
        json!(mapping.state)
    );
    Err(Fault::new(400, "ResourceInUseException", message))
}

fn missing(uuid: &str) -> Fault {
    Fault::new(404, "ResourceNotFoundException", format!("The event source mapping {uuid} does not exist."))
}

fn unavailable(reason: String) -> Fault {
    Fault::new(503, "ServiceException", reason)
}

/// Returns the time in seconds since 1970.
fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}
