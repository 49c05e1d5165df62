//! The engine over a simulated cloud that fails, lies and stops answering: whatever happens, running again converges.

mod asked;
mod commits;
mod explore;
mod planner;
mod trial;
mod twins;
mod unsettled;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock},
};

use futures::future::{BoxFuture, FutureExt as _};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use world::{Fake, Fault, Thing, World};

use super::*;
use crate::{
    address::{Address, Need},
    client::{self, Reason, aws},
    resource::{self, Lives, Scope},
    stack::{Definition, Origin, Settings},
    state::{Document, Etag, Holder, Session, Store, StoreError},
    template::Templates,
};

/// A cloud, a state, and the means to run the engine over them.
struct Rig {
    world: Arc<Mutex<World>>,
    killed: Arc<Notify>,
    state: Memory,
}

/// A state in memory, for speed; [`crate::state::FileStore`] has tests of its own. Beside it, what goes wrong with writes.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Option<Document>>>, Arc<Mutex<Writes>>);

/// How many writes there were, and at which one the process dies: before it, or after.
#[derive(Default)]
struct Writes {
    count: usize,
    deadly: BTreeMap<usize, bool>,
    killed: Arc<Notify>,
}

impl Store for Memory {
    fn load(&self) -> BoxFuture<'_, Result<Option<(Document, Etag)>, StoreError>> {
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
    ) -> BoxFuture<'a, Result<Etag, StoreError>> {
        Box::pin(async move {
            let (deadly, killed) = {
                let mut writes = self.1.lock().expect("not poisoned");
                writes.count += 1;
                (writes.deadly.get(&writes.count).copied(), writes.killed.clone())
            };
            if deadly == Some(true) {
                killed.notify_one();
                std::future::pending::<()>().await;
            }
            let result = self.put(document, expected);
            if deadly == Some(false) {
                killed.notify_one();
                std::future::pending::<()>().await;
            }
            result
        })
    }
    fn place(&self) -> String {
        "memory".to_owned()
    }
}

impl Memory {
    fn put(&self, document: &Document, expected: Option<&Etag>) -> Result<Etag, StoreError> {
        let mut stored = self.0.lock().expect("not poisoned");
        if stored.as_ref().map(|it| it.serial.to_string()) != expected.map(|it| it.0.clone()) {
            return Err(StoreError::Conflict);
        }
        *stored = Some(document.clone());
        Ok(Etag(document.serial.to_string()))
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
        databricks: crate::resource::testing::databricks("http://127.0.0.1:9"),
        fabric: crate::resource::testing::fabric("http://127.0.0.1:9"),
        scope: Scope { stack: "s".into(), account: "0".into(), region: "r".into() },
        templates: Arc::new(Templates::new("templates")),
        artifacts: Arc::default(),
        tags: BTreeMap::new(),
        lives: Lives::default(),
        specs: Arc::default(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

impl Rig {
    fn new() -> Self {
        let rig = Self { world: Arc::default(), killed: Arc::default(), state: Memory::default() };
        rig.state.1.lock().expect("not poisoned").killed = rig.killed.clone();
        rig
    }

    fn kinds(&self) -> [Fake; 4] {
        let fake = |section, unique, data, slow| Fake {
            section,
            world: self.world.clone(),
            killed: self.killed.clone(),
            unique,
            data,
            slow,
        };
        [
            fake("topic", true, true, 0),
            fake("job", false, false, 0),
            fake("cluster", true, false, 2),
            fake("right", true, false, 0),
        ]
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.state.clone())
    }

    /// Runs the engine once, as a process of its own, until it ends or is killed; `None` when it was killed.
    async fn run(&self, stack: &Stack, aim: impl Into<Aim>) -> Option<Summary> {
        self.run_until(stack, aim, |_| false).await
    }

    /// The same, interrupted after the first event that is the one meant.
    async fn run_until(&self, stack: &Stack, aim: impl Into<Aim>, is_it: impl Fn(&Event) -> bool) -> Option<Summary> {
        self.run_on(self.store(), stack, aim, is_it).await
    }

    /// The same, with its state elsewhere.
    async fn run_on(
        &self,
        store: Arc<dyn Store>,
        stack: &Stack,
        aim: impl Into<Aim>,
        is_it: impl Fn(&Event) -> bool,
    ) -> Option<Summary> {
        // A kill that came when the run before was over is not meant for this one.
        self.killed.notified().now_or_never();
        tokio::select! {
            biased;
            () = self.killed.notified() => None,
            summary = self.until_its_end(store, stack, aim, is_it) => Some(summary),
        }
    }

    async fn until_its_end(
        &self,
        store: Arc<dyn Store>,
        stack: &Stack,
        aim: impl Into<Aim>,
        is_it: impl Fn(&Event) -> bool,
    ) -> Summary {
        let fakes = self.kinds();
        let kinds: Vec<&dyn Kind> = fakes.iter().map(|it| it as &dyn Kind).collect();
        // No process has this number, so a later run of this machine takes over at once.
        let holder = Holder {
            user: "u".into(),
            host: "h".into(),
            pid: i32::MAX as u32,
            start: None,
            boot: Some("simulated".to_owned()),
            run: uuid::Uuid::new_v4(),
            ci: None,
            commit: None,
        };
        let session = Session::acquire(store, holder).await.expect("free");
        let cx = cx();
        let engine = Engine { kinds: &kinds, cx: &cx, stack };
        let observed = engine.observe(session.document()).await.expect("readable");
        let plan = engine.plan(session.document(), &observed, aim).expect("resolvable");
        let lost = plan.steps.iter().filter(|it| it.loses_data);
        let consent: BTreeSet<Address> = lost.map(|it| it.address.clone()).collect();
        let (events, mut inbox) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let mandate = Mandate { session: &session, consent: &consent, events: &events, cancel: &cancel };
        let interrupt = async {
            while let Some(event) = inbox.recv().await {
                if is_it(&event) {
                    cancel.cancel();
                }
            }
        };
        let summary = tokio::select! {
            biased;
            () = interrupt => unreachable!("the sender lives as long as the run"),
            summary = engine.apply(&plan, mandate) => summary,
        };
        session.release().await.expect("still held");
        summary
    }

    async fn plan(&self, stack: &Stack) -> Plan {
        self.aimed(stack, Goal::Up).await.0
    }

    /// Plans, and returns what would be saved of that.
    async fn aimed(&self, stack: &Stack, aim: impl Into<Aim>) -> (Plan, Saved) {
        let aim = aim.into();
        let fakes = self.kinds();
        let kinds: Vec<&dyn Kind> = fakes.iter().map(|it| it as &dyn Kind).collect();
        let document = self.store().load().await.expect("readable").map(|it| it.0).unwrap_or_default();
        let cx = cx();
        let engine = Engine { kinds: &kinds, cx: &cx, stack };
        let observed = engine.observe(&document).await.expect("readable");
        let plan = engine.plan(&document, &observed, aim.clone()).expect("resolvable");
        let saved = engine.saved(&document, &observed, &plan, &aim);
        (plan, saved)
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
fn what_leaves_last_leaves_after_what_it_needs() {
    let rig = Rig::new();
    let both = stack(&sketch(&[
        ("cluster", "c", 1, 0, &[]),
        ("job", "j", 1, 0, &["right.r"]),
        ("right", "r", 1, 0, &["topic.a"]),
        ("topic", "a", 1, 0, &["cluster.c"]),
    ]));
    runtime().block_on(async {
        assert!(rig.run(&both, Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(rig.log(), ["create cluster.c", "create topic.a", "create right.r", "create job.j"]);
        assert!(rig.run(&both, Goal::Teardown).await.expect("not killed").is_complete());
        let log = rig.log();
        assert_eq!(log.len(), 4, "{log:?}");
        assert_eq!(log.last().map(String::as_str), Some("delete right.r"), "{log:?}");
    });
}

#[test]
fn a_plan_tells_what_is_interrupted_and_what_is_left_behind() {
    let rig = Rig::new();
    let sized = |size| stack(&sketch(&[("right", "r", size, 0, &[]), ("topic", "a", size, 0, &[])]));
    runtime().block_on(async {
        assert!(rig.plan(&sized(1)).await.notes.is_empty(), "what is made anew interrupts nobody");
        assert!(rig.run(&sized(1), Goal::Up).await.expect("not killed").is_complete());
        assert_eq!(rig.plan(&sized(2)).await.notes, ["right.r: `size` restarts it"]);
        assert!(rig.plan(&sized(1)).await.notes.is_empty());
        let (plan, _) = rig.aimed(&sized(1), Goal::Teardown).await;
        assert_eq!(plan.notes, ["right.r leaves behind a copy"]);
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

#[test]
fn what_awaits_a_deletion_that_is_passed_over_is_passed_over_and_told() {
    let rig = Rig::new();
    let before =
        stack(&sketch(&[("job", "a", 1, 0, &[]), ("job", "b", 1, 0, &["job.a"]), ("topic", "z", 1, 0, &["job.b"])]));
    let after = stack(&sketch(&[("job", "a", 1, 1, &[])]));
    runtime().block_on(async {
        assert!(rig.run(&before, Goal::Up).await.expect("not killed").is_complete());
        let due = rig.world.lock().expect("not poisoned").requests + 1;
        rig.world.lock().expect("not poisoned").faults.insert(due, Fault::Refused);
        let summary = rig.run(&after, Goal::Up).await.expect("not killed");
        assert_eq!(summary.failures.iter().map(|it| it.address.to_string()).collect::<Vec<_>>(), ["topic.z"]);
        let skipped: Vec<_> = summary.skipped.iter().map(|it| format!("{} {}", it.1, it.0)).collect();
        assert_eq!(skipped, ["delete job.b", "replace job.a"]);
        assert!(rig.run(&after, Goal::Up).await.expect("not killed").is_complete());
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
