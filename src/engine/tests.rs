//! The engine over a simulated cloud that fails, lies and stops answering: whatever happens, running again converges.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt as _};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    address::{Address, Name, Need, Owner},
    artifact::Build,
    client::{self, Reason, aws},
    resource::{
        self, Change, Desired, Field, Flaw, Identity, Lives, Objection, Observation, Ownership, Phase, Result, Scope,
    },
    stack::{Definition, Origin, Settings},
    state::{Document, Etag, Holder, Session, Store, StoreError},
    template::Templates,
};

/// One thing in the simulated cloud.
#[derive(Clone, Debug, PartialEq)]
struct Thing {
    physical: String,
    owner: Option<Owner>,
    spec: Value,
    /// How many looks until it is ready.
    pending: u32,
}

/// What goes wrong at a request.
#[derive(Clone, Copy, Debug)]
enum Fault {
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
struct World {
    things: BTreeMap<String, Thing>,
    requests: usize,
    mutations: usize,
    faults: BTreeMap<usize, Fault>,
    made: usize,
    /// What stays: it does not hold up the deletion of what it uses, since it may be replaced.
    kept: BTreeSet<Address>,
    log: Vec<String>,
}

/// A kind of the simulated cloud.
struct Fake {
    section: &'static str,
    world: Arc<Mutex<World>>,
    killed: Arc<Notify>,
    /// Whether names are unique at the provider; else things are told apart by their tags alone.
    unique: bool,
    data: bool,
    slow: u32,
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
            let look = |name: &Name| {
                let id = self.find(&world, name)?;
                let thing = world.things.get_mut(&id)?;
                let phase = match thing.pending {
                    0 => Phase::Ready,
                    _ => Phase::Pending("CREATING".to_owned()),
                };
                thing.pending = thing.pending.saturating_sub(1);
                let ownership = thing.owner.clone().map_or(Ownership::Foreign, Ownership::Tagged);
                Some(Observation {
                    observed: thing.spec.clone(),
                    identity: Identity { id: Some(id.clone()), ownership },
                    phase,
                    outputs: [("id", id.clone())].into(),
                    live: Arc::new(id),
                })
            };
            Ok(names.iter().map(look).collect())
        })
    }
    fn create<'a>(&'a self, cx: &'a Cx, name: &'a Name, spec: &'a Value) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let spec = self.desired(spec, cx)?.spec;
            self.send(format!("create {}", name.owner.address), |world| {
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
                    thing.spec = spec;
                    thing.owner = Some(name.owner.clone());
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
                let mut others = world.things.values().filter(|it| !stays(it));
                let used = others.any(|it| it.spec["ids"].as_array().is_some_and(|it| it.contains(&json!(id))));
                if used {
                    return Err(client::Error::new("fake", "Delete", Reason::Invalid, "in use").into());
                }
                world.things.remove(&id);
                Ok(())
            })
            .await
        })
    }
}

/// A cloud, a state, and the means to run the engine over them.
struct Rig {
    world: Arc<Mutex<World>>,
    killed: Arc<Notify>,
    state: Memory,
}

/// A state in memory, for speed; [`crate::state::FileStore`] has tests of its own.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Option<Document>>>);

impl Store for Memory {
    fn load(&self) -> BoxFuture<'_, std::result::Result<Option<(Document, Etag)>, StoreError>> {
        let it = self.0.lock().expect("not poisoned").clone();
        Box::pin(async move {
            Ok(it.map(|it| {
                let etag = Etag(it.serial.to_string());
                (it, etag)
            }))
        })
    }
    fn swap<'a>(
        &'a self,
        document: &'a Document,
        expected: Option<&'a Etag>,
    ) -> BoxFuture<'a, std::result::Result<Etag, StoreError>> {
        Box::pin(async move {
            let mut stored = self.0.lock().expect("not poisoned");
            if stored.as_ref().map(|it| it.serial.to_string()) != expected.map(|it| it.0.clone()) {
                return Err(StoreError::Conflict);
            }
            *stored = Some(document.clone());
            Ok(Etag(document.serial.to_string()))
        })
    }
    fn place(&self) -> String {
        "memory".to_owned()
    }
}

/// Each (section, name) with its size, its flavour, and the resources it needs.
type Sketch = BTreeMap<Address, (u32, u8, Vec<Address>)>;

fn stack(sketch: &Sketch) -> Stack {
    let resources = sketch.iter().map(|(address, (size, flavour, needs))| {
        let wires: Vec<Value> = needs.iter().map(|it| json!({ "$ref": it.to_string() })).collect();
        let spec = json!({ "size": size, "flavour": flavour, "uses": wires });
        let needs: Vec<Need> = crate::address::needs(&spec);
        let origin = Origin { file: "stack.yaml".into(), line: 1, column: 1 };
        (address.clone(), Definition { spec, needs, protect: false, renamed_from: None, origin })
    });
    Stack { name: "s".into(), settings: Settings::default(), resources: resources.collect(), hash: "h".into() }
}

fn cx() -> Cx {
    static AWS: OnceLock<Arc<aws::Aws>> = OnceLock::new();
    let aws = AWS.get_or_init(|| {
        let keys = Some(("a".to_owned(), "b".to_owned()));
        let target = aws::Target { region: "r".into(), endpoint: Some("http://127.0.0.1:9".into()), keys };
        // The load only fills in what the target leaves out; it sends nothing.
        Arc::new(std::thread::spawn(move || runtime().block_on(aws::Aws::connect(&target))).join().expect("connects"))
    });
    Cx {
        aws: aws.clone(),
        scope: Scope { stack: "s".into(), account: "0".into(), region: "r".into() },
        templates: Arc::new(Templates::new("templates")),
        artifacts: Arc::default(),
        tags: BTreeMap::new(),
        lives: Lives::default(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

impl Rig {
    fn new() -> Self {
        Self { world: Arc::default(), killed: Arc::default(), state: Memory::default() }
    }

    fn kinds(&self) -> [Fake; 3] {
        let fake = |section, unique, data, slow| Fake {
            section,
            world: self.world.clone(),
            killed: self.killed.clone(),
            unique,
            data,
            slow,
        };
        [fake("topic", true, true, 0), fake("job", false, false, 0), fake("cluster", true, false, 2)]
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.state.clone())
    }

    /// Runs the engine once, as a process of its own, until it ends or is killed; `None` when it was killed.
    async fn run(&self, stack: &Stack, goal: Goal) -> Option<Summary> {
        // A kill that came when the run before was over is not meant for this one.
        self.killed.notified().now_or_never();
        let fakes = self.kinds();
        let kinds: Vec<&dyn Kind> = fakes.iter().map(|it| it as &dyn Kind).collect();
        // No process has this number, so a later run of this machine takes over at once.
        let holder = Holder {
            user: "u".into(),
            host: "h".into(),
            pid: i32::MAX as u32,
            run: uuid::Uuid::new_v4(),
            ci: None,
            commit: None,
        };
        let session = Session::acquire(self.store(), holder).await.expect("free");
        let cx = cx();
        let engine = Engine { kinds: &kinds, cx: &cx, stack };
        let observed = engine.observe(session.document()).await.expect("readable");
        let plan = engine.plan(session.document(), &observed, goal).expect("resolvable");
        let consent: BTreeSet<Address> = plan.steps.iter().map(|it| it.address.clone()).collect();
        let (events, _inbox) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let mandate = Mandate { session: &session, consent: &consent, events: &events, cancel: &cancel };
        let summary = tokio::select! {
            biased;
            () = self.killed.notified() => None,
            summary = engine.apply(&plan, mandate) => Some(summary),
        };
        if summary.is_some() {
            session.release().await.expect("still held");
        }
        summary
    }

    async fn plan(&self, stack: &Stack) -> Plan {
        let fakes = self.kinds();
        let kinds: Vec<&dyn Kind> = fakes.iter().map(|it| it as &dyn Kind).collect();
        let document = self.store().load().await.expect("readable").map(|it| it.0).unwrap_or_default();
        let cx = cx();
        let engine = Engine { kinds: &kinds, cx: &cx, stack };
        let observed = engine.observe(&document).await.expect("readable");
        engine.plan(&document, &observed, Goal::Up).expect("resolvable")
    }

    fn owned(&self) -> Vec<Address> {
        let world = self.world.lock().expect("not poisoned");
        let mut owned: Vec<Address> =
            world.things.values().filter_map(|it| it.owner.as_ref().map(|it| it.address.clone())).collect();
        owned.sort();
        owned
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.world.lock().expect("not poisoned").log)
    }
}

fn sketch(parts: &[(&str, &str, u32, u8, &[&str])]) -> Sketch {
    let part = |it: &(&str, &str, u32, u8, &[&str])| {
        let needs = it.4.iter().map(|it| it.parse().expect("an address")).collect();
        (Address::new(it.0, it.1), (it.2, it.3, needs))
    };
    parts.iter().map(part).collect()
}

/// Writes a plan as one line per step: the action, the address, and what holds it up.
fn lines(plan: &Plan) -> Vec<String> {
    let line = |it: &Step| {
        let refused = it.refused.as_ref().map(|it| format!(" refused: {}", it.reason)).unwrap_or_default();
        format!("{} {}{}{refused}", it.action, it.address, if it.resumes { " (resumes)" } else { "" })
    };
    plan.steps.iter().filter(|it| it.action != Action::Noop).map(line).collect()
}

#[test]
fn needs_come_first_and_leave_last() {
    let rig = Rig::new();
    let both = stack(&sketch(&[
        ("topic", "a", 1, 0, &["cluster.c"]),
        ("cluster", "c", 1, 0, &[]),
        ("job", "j", 1, 0, &["topic.a"]),
    ]));
    runtime().block_on(async {
        assert!(rig.run(&both, Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(rig.log(), ["create cluster.c", "create topic.a", "create job.j"]);
        assert!(rig.plan(&both).await.is_empty());
        assert!(rig.run(&both, Goal::Teardown).await.expect("not killed").is_complete());
        assert_eq!(rig.log(), ["delete job.j", "delete topic.a", "delete cluster.c"]);
        assert!(rig.owned().is_empty());
    });
}

#[test]
fn a_replacement_is_followed_by_what_needs_it() {
    let rig = Rig::new();
    let parts = |flavour| stack(&sketch(&[("job", "a", 1, flavour, &[]), ("job", "b", 1, 0, &[])]));
    runtime().block_on(async {
        assert!(rig.run(&parts(0), Goal::Up).await.expect("not killed").is_complete());
        rig.log();
        assert_eq!(lines(&rig.plan(&parts(1)).await), ["replace job.a"]);
        assert!(rig.run(&parts(1), Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(rig.log(), ["delete job.a", "create job.a"]);
        assert!(rig.plan(&parts(1)).await.is_empty());
    });
}

#[test]
fn what_bears_data_is_neither_replaced_nor_shrunk() {
    let rig = Rig::new();
    let part = |size, flavour| stack(&sketch(&[("topic", "a", size, flavour, &[])]));
    runtime().block_on(async {
        assert!(rig.run(&part(8, 0), Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(lines(&rig.plan(&part(4, 0)).await), ["update topic.a refused: Keep 8."]);
        let replaced = lines(&rig.plan(&part(8, 1)).await);
        assert!(
            replaced[0].starts_with("replace topic.a refused: `flavour` cannot be changed in place"),
            "{replaced:?}"
        );
        rig.log();
        assert!(!rig.run(&part(4, 0), Goal::Up).await.expect("not killed").is_complete());
        assert!(rig.log().is_empty());
    });
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let rig = Rig::new();
    let part = stack(&sketch(&[("topic", "a", 1, 0, &[])]));
    let thing = Thing { physical: "topic/s-a".into(), owner: None, spec: json!({ "size": 9 }), pending: 0 };
    rig.world.lock().expect("not poisoned").things.insert("x".into(), thing.clone());
    runtime().block_on(async {
        let plan = rig.plan(&part).await;
        assert!(lines(&plan)[0].contains("is not ours"), "{:?}", lines(&plan));
        assert!(!rig.run(&part, Goal::Up).await.expect("not killed").is_complete());
        assert!(rig.run(&part, Goal::Teardown).await.expect("not killed").is_complete());
    });
    assert_eq!(rig.world.lock().expect("not poisoned").things["x"], thing);
}

#[test]
fn a_lost_state_is_found_again_by_tags() {
    let rig = Rig::new();
    let parts = stack(&sketch(&[("topic", "a", 1, 0, &["job.j"]), ("job", "j", 1, 0, &[])]));
    runtime().block_on(async {
        assert!(rig.run(&parts, Goal::Up).await.expect("not killed").is_complete());
        *rig.state.0.lock().expect("not poisoned") = None;
        rig.log();
        assert!(rig.run(&parts, Goal::Up).await.expect("not killed").is_complete());
        assert!(rig.log().iter().all(|it| !it.starts_with("create")));
        assert!(rig.plan(&parts).await.is_empty());
        assert_eq!(rig.owned().len(), 2);
        *rig.state.0.lock().expect("not poisoned") = None;
        assert!(rig.run(&parts, Goal::Teardown).await.expect("not killed").is_complete());
    });
    assert!(rig.owned().is_empty());
}

#[test]
fn a_failure_stops_only_what_needs_it() {
    let rig = Rig::new();
    let parts =
        stack(&sketch(&[("cluster", "a", 1, 0, &[]), ("job", "b", 1, 0, &["cluster.a"]), ("job", "c", 1, 0, &[])]));
    rig.world.lock().expect("not poisoned").faults.insert(1, Fault::Refused);
    runtime().block_on(async {
        let summary = rig.run(&parts, Goal::Up).await.expect("not killed");
        assert_eq!((summary.failures.len(), summary.skipped.len()), (1, 1));
        assert_eq!(rig.owned(), [Address::new("job", "c")]);
        assert!(rig.run(&parts, Goal::Up).await.expect("not killed").is_complete());
    });
}

fn any_sketch() -> impl Strategy<Value = Sketch> {
    let part = (0u8..3, 0u8..3, 1u32..4, 0u8..2, proptest::collection::vec((0u8..3, 0u8..3), 0..3));
    proptest::collection::vec(part, 0..7).prop_map(|parts| {
        const SECTIONS: [&str; 3] = ["cluster", "job", "topic"];
        let at = |section: u8, name: u8| Address::new(SECTIONS[usize::from(section)], format!("n{name}"));
        let mut sketch: Sketch =
            parts.iter().map(|it| (at(it.0, it.1), (it.2, if it.0 == 2 { 0 } else { it.3 }, Vec::new()))).collect();
        for part in &parts {
            let from = at(part.0, part.1);
            // Needs point to what sorts before, so there is no cycle.
            let needs: BTreeSet<Address> =
                part.4.iter().map(|it| at(it.0, it.1)).filter(|it| *it < from && sketch.contains_key(it)).collect();
            if let Some(it) = sketch.get_mut(&from) {
                it.2 = needs.into_iter().collect();
            }
        }
        sketch
    })
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Refused),
        Just(Fault::AnswerLost),
        Just(Fault::RequestLost),
        Just(Fault::Busy),
        Just(Fault::KilledBefore),
        Just(Fault::KilledAfter),
    ]
}

/// Topics only grow: a later stack must not ask for less.
fn grown(first: &Sketch, second: &Sketch) -> Sketch {
    let mut second = second.clone();
    for (address, part) in &mut second {
        if let Some(before) = first.get(address) {
            part.0 = part.0.max(before.0);
        }
    }
    second
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever fails, gets lost or is killed on the way from one stack to another, running the same command again
    /// converges: exactly what is defined exists, once; nothing is left to do; and teardown leaves nothing.
    #[test]
    fn running_again_converges(
        first in any_sketch(),
        second in any_sketch(),
        faults in proptest::collection::btree_map(1usize..25, any_fault(), 0..5),
    ) {
        let rig = Rig::new();
        let second = grown(&first, &second);
        let (first, second) = (stack(&first), stack(&second));
        rig.world.lock().expect("not poisoned").faults = faults;
        rig.world.lock().expect("not poisoned").kept = second.resources.keys().cloned().collect();
        runtime().block_on(async {
            rig.run(&first, Goal::Up).await;
            for _ in 0..8 {
                if rig.run(&second, Goal::Up).await.is_some_and(|it| it.is_complete()) {
                    break;
                }
            }
            let again = rig.plan(&second).await;
            assert!(again.is_empty(), "still to do: {:?}", lines(&again));
            assert_eq!(rig.owned(), second.resources.keys().cloned().collect::<Vec<_>>());
            let before = rig.world.lock().expect("not poisoned").mutations;
            assert!(rig.run(&second, Goal::Up).await.expect("not killed").is_complete());
            assert_eq!(rig.world.lock().expect("not poisoned").mutations, before, "an empty plan changes nothing");
            rig.world.lock().expect("not poisoned").kept.clear();
            for _ in 0..8 {
                if rig.run(&second, Goal::Teardown).await.is_some_and(|it| it.is_complete()) {
                    break;
                }
            }
            assert!(rig.owned().is_empty(), "left behind: {:?}", rig.owned());
            let document: Document = rig.store().load().await.expect("readable").expect("there").0;
            assert!(document.resources.is_empty());
        });
    }

    /// A plan is the same however often it is made, names each address once, and puts needs before what needs them.
    #[test]
    fn plans_are_in_order(first in any_sketch(), second in any_sketch()) {
        let rig = Rig::new();
        let second = stack(&grown(&first, &second));
        runtime().block_on(async {
            rig.run(&stack(&first), Goal::Up).await;
            let plan = rig.plan(&second).await;
            assert_eq!(lines(&plan), lines(&rig.plan(&second).await));
            let place: BTreeMap<&Address, usize> = plan.steps.iter().enumerate().map(|(i, it)| (&it.address, i)).collect();
            assert_eq!(place.len(), plan.steps.len());
            for step in plan.steps.iter().filter(|it| it.action != Action::Replace) {
                for need in &step.after {
                    assert!(place.get(need).is_none_or(|it| *it < place[&step.address]), "{} before {need}", step.address);
                }
            }
        });
    }
}

#[test]
fn what_a_resource_error_says_reaches_the_user() {
    let cause: Cause = resource::Error::Client(client::Error::new("fake", "Create", Reason::Denied, "no")).into();
    assert_eq!(cause.to_string(), "fake Create: no");
}
