//! A simulated cloud, and a kind of resource in it, that fail on demand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    address::{Address, Name, Owner},
    artifact::Build,
    client::{self, Reason},
    resource::{
        Change, Cx, Desired, Field, Flaw, Identity, Kind, Objection, Observation, Ownership, Phase, Result, Scope,
    },
};

/// One thing in the simulated cloud.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Thing {
    pub(super) physical: String,
    pub(super) owner: Option<Owner>,
    pub(super) spec: Value,
    /// How many looks until it is ready.
    pub(super) pending: u32,
}

/// What goes wrong at a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Refused, with no effect.
    Refused,
    /// Took effect, but no answer came.
    AnswerLost,
    /// Never reached the cloud, and no answer came.
    RequestLost,
    /// Not now.
    Busy,
    /// The process is killed before the request is sent.
    KilledBefore,
    /// The process is killed after the request took effect.
    KilledAfter,
}

/// The simulated cloud. Things are keyed by an identifier that it makes up.
#[derive(Default)]
pub(super) struct World {
    pub(super) things: BTreeMap<String, Thing>,
    pub(super) requests: usize,
    pub(super) mutations: usize,
    pub(super) faults: BTreeMap<usize, Fault>,
    pub(super) made: usize,
    /// What stays: it does not hold up the deletion of what it uses, since it may be replaced.
    pub(super) kept: BTreeSet<Address>,
    pub(super) log: Vec<String>,
    /// What cannot be read, and for how many looks.
    pub(super) unreadable: BTreeMap<Address, u32>,
    /// Whether nothing can carry tags, and belongs to whom what holds it belongs to.
    pub(super) inherits: bool,
    /// What is there and is not seen, and for how many looks.
    pub(super) unseen: BTreeMap<Address, u32>,
    /// For how many looks an update is on trial.
    pub(super) trials: u32,
    /// How many updates that are on trial do harm, before none does.
    pub(super) harms: u32,
    /// What is on trial, by identifier: what was there before, and for how many looks more.
    pub(super) on_trial: BTreeMap<String, (Value, u32)>,
}

/// A kind of the simulated cloud.
pub(super) struct Fake {
    pub(super) section: &'static str,
    pub(super) world: Arc<Mutex<World>>,
    pub(super) killed: Arc<Notify>,
    /// Whether names are unique at the provider; else things are told apart by their tags alone.
    pub(super) unique: bool,
    pub(super) data: bool,
    pub(super) slow: u32,
}

const FIELDS: &[(&str, Field)] = &[("size", Field::Grows("Keep {live}.")), ("flavour", Field::Immutable)];

impl Fake {
    fn find(&self, world: &World, name: &Name) -> Option<String> {
        let is_it = |it: &Thing| match self.unique {
            true => it.physical == name.physical,
            false => {
                it.owner.as_ref().is_some_and(|it| it.stack == name.owner.stack && it.address == name.owner.address)
            }
        };
        world.things.iter().find(|(_, it)| is_it(it)).map(|(id, _)| id.clone())
    }

    /// Sends a request that changes something, through whatever fault is due.
    async fn send(&self, what: String, effect: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
        let lost = |text: &str| client::Error::new("fake", "Send", Reason::Unavailable, text).into();
        let (result, kill) = {
            let mut world = self.world.lock().expect("not poisoned");
            world.requests += 1;
            let fault = world.faults.get(&world.requests).copied();
            let sent = |world: &mut World| {
                world.mutations += 1;
                world.log.push(what.clone());
                effect(world)
            };
            match fault {
                None => (sent(&mut world), false),
                Some(Fault::Refused) => {
                    (Err(client::Error::new("fake", "Send", Reason::Invalid, "refused").into()), false)
                }
                Some(Fault::Busy) => (Err(client::Error::new("fake", "Send", Reason::Busy, "busy").into()), false),
                Some(Fault::RequestLost) => (Err(lost("request lost")), false),
                Some(Fault::AnswerLost) => (sent(&mut world).and(Err(lost("answer lost"))), false),
                Some(Fault::KilledBefore) => (Ok(()), true),
                Some(Fault::KilledAfter) => (sent(&mut world), true),
            }
        };
        if kill {
            self.killed.notify_one();
            std::future::pending::<()>().await;
        }
        result
    }
}

impl Kind for Fake {
    fn name(&self) -> &'static str {
        self.section
    }
    fn fields(&self) -> &'static [(&'static str, Field)] {
        FIELDS
    }
    fn data_bearing(&self) -> bool {
        self.data
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
    fn leaves_last(&self) -> bool {
        self.section == "right"
    }
    fn overwrites(&self) -> bool {
        self.section == "right"
    }
    fn interrupts(&self, field: &str) -> Option<&'static str> {
        (self.section == "right" && field == "size").then_some("restarts it")
    }
    fn leaves_behind(&self, _: &Name, _: &Observation) -> Option<String> {
        (self.section == "right").then(|| "a copy".to_owned())
    }
    fn schema(&self, _: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::Schema::default()
    }
    fn parse(&self, spec: Value) -> Result<Value, serde_path_to_error::Error<serde_json::Error>> {
        Ok(spec)
    }
    fn physical_name(&self, _: &Value, scope: &Scope, name: &str) -> Result<String> {
        Ok(format!("{}/{}", self.section, scope.physical(name)))
    }
    fn build(&self, _: &Value) -> Result<Option<Build>> {
        Ok(None)
    }
    fn check(&self, _: &Value) -> Result<Vec<Flaw>> {
        Ok(Vec::new())
    }
    fn check_name(&self, _: &str) -> Vec<Flaw> {
        Vec::new()
    }
    fn objections(&self, _: &Value, _: &Cx, _: &Observation, _: &[Change]) -> Result<Vec<Objection>> {
        Ok(Vec::new())
    }
    fn desired(&self, spec: &Value, cx: &Cx) -> Result<Desired> {
        // A field that only the other resource's identifier can fill, as a policy with an ARN.
        let needs = crate::address::needs(spec);
        let ids: Result<Vec<String>> = needs.iter().filter(|it| !it.weak).map(|it| cx.output(&it.to, "id")).collect();
        Desired::of(spec).with_result("ids", ids)
    }
    fn read<'a>(&'a self, _: &'a Cx, names: &'a [Name]) -> BoxFuture<'a, Result<Vec<Option<Observation>>>> {
        Box::pin(async move {
            let mut world = self.world.lock().expect("not poisoned");
            let inherits = world.inherits;
            let look = |name: &Name| {
                if let Some(looks) = world.unseen.get_mut(&name.owner.address).filter(|it| **it > 0) {
                    *looks -= 1;
                    return None;
                }
                let id = self.find(&world, name)?;
                let dark = world.unreadable.get_mut(&name.owner.address).filter(|it| **it > 0);
                let dark = dark.map(|it| *it -= 1).is_some();
                let (harms, trial) = (world.harms > 0, world.on_trial.get_mut(&id));
                let tried = trial.map(|it| {
                    let over = it.1 == 0;
                    it.1 = it.1.saturating_sub(1);
                    match (harms, over) {
                        (true, _) => Phase::Regressed("it does harm".to_owned()),
                        (false, true) => Phase::Ready,
                        (false, false) => Phase::OnTrial { on: "on trial".to_owned(), left: Duration::ZERO },
                    }
                });
                let thing = world.things.get_mut(&id)?;
                let mut observed = thing.spec.clone();
                if tried.is_some() {
                    observed["trial"] = json!(true);
                }
                let phase = match thing.pending {
                    _ if dark => Phase::Unreadable("nobody answers".to_owned()),
                    0 => tried.unwrap_or(Phase::Ready),
                    _ => Phase::Pending("CREATING".to_owned()),
                };
                thing.pending = thing.pending.saturating_sub(1);
                let ownership = match inherits {
                    true => Ownership::Inherited(Some(name.owner.stack.clone())),
                    false => thing.owner.clone().map_or(Ownership::Foreign, Ownership::Tagged),
                };
                Some(Observation {
                    observed: if dark { json!({}) } else { observed },
                    identity: Identity { id: Some(id.clone()), ownership },
                    phase,
                    outputs: [("id", id.clone())].into(),
                    live: Arc::new(id),
                })
            };
            Ok(names.iter().map(look).collect())
        })
    }
    fn candidates<'a>(&'a self, _: &'a Cx) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let world = self.world.lock().expect("not poisoned");
            let own = world.things.values().map(|it| it.physical.clone());
            Ok(own.filter(|it| self.unique && it.starts_with(self.section)).collect())
        })
    }
    fn create<'a>(&'a self, cx: &'a Cx, name: &'a Name, spec: &'a Value) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let spec = self.desired(spec, cx)?.spec;
            self.send(format!("create {}", name.owner.address), |world| {
                if let Some(id) = self.find(world, name).filter(|_| self.overwrites()) {
                    let thing = world.things.get_mut(&id).expect("found");
                    (thing.spec, thing.owner) = (spec, Some(name.owner.clone()));
                    return Ok(());
                }
                if self.unique && self.find(world, name).is_some() {
                    return Err(client::Error::new("fake", "Create", Reason::Exists, "exists").into());
                }
                world.made += 1;
                let id = format!("{}-{}", self.section, world.made);
                let owner = Some(name.owner.clone());
                world.things.insert(id, Thing { physical: name.physical.clone(), owner, spec, pending: self.slow });
                Ok(())
            })
            .await
        })
    }
    fn update<'a>(
        &'a self,
        cx: &'a Cx,
        name: &'a Name,
        spec: &'a Value,
        live: &'a Observation,
        _: &'a [Change],
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let spec = self.desired(spec, cx)?.spec;
            let id = live.identity.id.clone().unwrap_or_default();
            self.send(format!("update {}", name.owner.address), |world| {
                if let Some(thing) = world.things.get_mut(&id) {
                    let before = std::mem::replace(&mut thing.spec, spec);
                    thing.owner = Some(name.owner.clone());
                    if thing.spec == before {
                        world.on_trial.remove(&id);
                    } else if world.trials > 0 {
                        world.on_trial.entry(id).or_insert((before, 0)).1 = world.trials;
                    }
                }
                Ok(())
            })
            .await
        })
    }
    fn revert<'a>(&'a self, _: &'a Cx, name: &'a Name, live: &'a Observation) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let id = live.identity.id.clone().unwrap_or_default();
            self.send(format!("revert {}", name.owner.address), |world| {
                if let (Some((before, _)), Some(thing)) = (world.on_trial.remove(&id), world.things.get_mut(&id)) {
                    thing.spec = before;
                    world.harms = world.harms.saturating_sub(1);
                }
                Ok(())
            })
            .await
        })
    }
    fn delete<'a>(&'a self, _: &'a Cx, name: &'a Name, live: &'a Observation) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let id = live.identity.id.clone().unwrap_or_default();
            self.send(format!("delete {}", name.owner.address), |world| {
                let stays = |it: &Thing| it.owner.as_ref().is_some_and(|it| world.kept.contains(&it.address));
                // What leaves last names what it needs, and holds none of it.
                let mut others = world.things.values().filter(|it| !stays(it) && !it.physical.starts_with("right/"));
                let used = others.any(|it| it.spec["ids"].as_array().is_some_and(|it| it.contains(&json!(id))));
                if used {
                    return Err(client::Error::new("fake", "Delete", Reason::Invalid, "in use").into());
                }
                world.things.remove(&id);
                world.on_trial.remove(&id);
                Ok(())
            })
            .await
        })
    }
}
