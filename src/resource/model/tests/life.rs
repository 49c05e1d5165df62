//! A model's life in a workspace: made, loaded, changed by others, and what a run finds that comes after one that was killed.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::*;
use crate::{
    address::Owner,
    client::{
        aws::{Aws, Target},
        fabric::testing::StandIn,
        http::testing::{Answer, Server},
    },
    resource::{Cause, Lives},
};

/// A workspace, and a lake whose tables hold something or not.
pub(super) struct World {
    pub(super) there: StandIn,
    pub(super) cx: Cx,
    written: Arc<AtomicBool>,
    _lake: Server,
}

impl World {
    /// Makes one for a stack whose model says this besides; the tables are written.
    pub(super) async fn new(model: Value) -> Self {
        let (there, written) = (StandIn::start(), Arc::new(AtomicBool::new(true)));
        let is_written = written.clone();
        let lake = Server::start(move |it| {
            assert!(it.path().trim_end_matches('/').ends_with("s-lake-000000000000"), "{}", it.target);
            let asks = it.query("prefix").unwrap_or_default();
            assert!(asks.starts_with("gold/") && asks.ends_with("/_delta_log/"), "{asks}");
            let found = match is_written.load(Ordering::Relaxed) {
                true => "<ListBucketResult><KeyCount>1</KeyCount></ListBucketResult>",
                false => "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>",
            };
            Answer::With(200, "content-type: application/xml", found)
        })
        .await;
        let target = Target {
            region: "us-east-1".into(),
            endpoint: Some(lake.host.clone()),
            keys: Some(("000000000000".into(), "x".into())),
        };
        let cx = Cx {
            aws: Arc::new(Aws::connect(&target).await),
            databricks: testing::databricks("http://127.0.0.1:9"),
            fabric: testing::fabric(&there.url),
            scope: Scope { stack: "s".into(), account: "000000000000".into(), region: target.region },
            templates: Arc::new(templates()),
            artifacts: Arc::default(),
            tags: BTreeMap::new(),
            lives: Lives::default(),
            specs: Arc::new(specs(model)),
        };
        Self { there, cx, written, _lake: lake }
    }

    /// Goes on as another run of the program, whose stack says this of the model.
    fn again(&mut self, model: Value) {
        self.cx.fabric = testing::fabric(&self.there.url);
        self.cx.specs = Arc::new(specs(model));
    }

    fn model(&self) -> Model {
        Ground::of(&self.cx).read(&Address::new("model", "sales")).expect("a spec")
    }

    async fn look(&self) -> Result<Option<LiveModel>, String> {
        Ok(Model::read(&self.cx, &[name()]).await.map_err(|err| err.to_string())?.remove(0))
    }

    async fn live(&self) -> LiveModel {
        self.look().await.expect("read").expect("there")
    }

    async fn changes(&self) -> Vec<Change> {
        differences(&self.model().desired(&self.cx).expect("known").spec, &Model::observed(&self.live().await))
    }

    /// Makes it, and sends the first update: a run that is killed then.
    async fn begin(&self) {
        let model = self.model();
        model.create(&self.cx, &name()).await.expect("made");
        model.update(&self.cx, &name(), &self.live().await, &self.changes().await).await.expect("begun");
    }

    /// Does what the engine does: makes it where it is not there, awaits it, updates for as long as that leaves less.
    async fn up(&self) -> Result<(), String> {
        let model = self.model();
        if self.look().await?.is_none() {
            model.create(&self.cx, &name()).await.map_err(|err| err.to_string())?;
        }
        let mut left = usize::MAX;
        loop {
            let live = self.look().await?.ok_or("it is gone")?;
            match Model::phase(&live) {
                Phase::Pending(_) => continue,
                Phase::Failed(why) => return Err(why),
                _ => (),
            }
            let changes = differences(&model.desired(&self.cx).expect("known").spec, &Model::observed(&live));
            match changes.len() {
                0 => return Ok(()),
                it if it >= left => return Err(format!("it stays as it is: {changes:?}")),
                it => left = it,
            }
            model.update(&self.cx, &name(), &live, &changes).await.map_err(|err| err.to_string())?;
        }
    }

    /// How often data were asked for.
    async fn loads(&self) -> usize {
        self.there.asked_of("POST", "/refreshes$").await.len()
    }

    /// How often data were asked for, once there is nothing more to do.
    async fn settled(&self) -> usize {
        assert_eq!(self.changes().await, []);
        self.loads().await
    }

    /// Lets the history say of all refreshes that they are at this.
    async fn history(&self, status: &str) {
        let told = json!({ "errorCode": "ModelRefreshFailed", "errorDescription": "DSN not found" }).to_string();
        self.there.refreshes(json!({ "status": status, "serviceExceptionJson": told })).await;
    }
}

fn name() -> Name {
    let owner = Owner { stack: "s".into(), address: Address::new("model", "sales"), nonce: "n".into() };
    Name { physical: format!("{WORKSPACE}/s-sales"), owner, id: None }
}

/// What differs, entry by entry. What connection is bound is left open.
fn differences(want: &Value, have: &Value) -> Vec<Change> {
    fn differ(field: &str, from: &Value, to: &Value, found: &mut Vec<Change>) {
        if let (Some(old), Some(new)) = (from.as_object(), to.as_object()) {
            for it in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                let field = if field.is_empty() { it.clone() } else { format!("{field}.{it}") };
                differ(&field, old.get(it).unwrap_or(&Value::Null), new.get(it).unwrap_or(&Value::Null), found);
            }
        } else if from != to && field != "connection" {
            let (from, to, cause) = (from.clone(), to.clone(), Cause::Drift);
            found.push(Change { field: field.to_owned(), from, to, cause, waits_for: None });
        }
    }
    let mut found = Vec::new();
    differ("", have, want, &mut found);
    found
}

#[tokio::test]
async fn data_are_loaded_once() {
    let mut world = World::new(json!({})).await;
    world.up().await.expect("made");
    assert_eq!(world.settled().await, 1);
    let live = world.live().await;
    assert_eq!(live.mark().and_then(|it| it.refresh), None, "the history is not asked for ever");
    assert_eq!(Model::outputs(&live)["data"], "loaded");
    world.again(json!({}));
    world.up().await.expect("nothing to do");
    assert_eq!(world.settled().await, 1);
    let elsewhere = json!({ "athena": { "dsn": "elsewhere" } });
    world.again(json!({ "source": elsewhere }));
    world.up().await.expect("changed");
    assert_eq!(world.settled().await, 2, "another source holds other data");
    world.again(json!({ "source": elsewhere, "refresh": false }));
    world.up().await.expect("changed");
    assert_eq!(world.settled().await, 2);
    world.again(json!({ "source": elsewhere }));
    world.up().await.expect("changed");
    assert_eq!(world.settled().await, 3, "what others loaded meanwhile is not known");
}

#[tokio::test]
async fn before_the_first_run_of_the_job_there_is_nothing_to_load() {
    let mut world = World::new(json!({})).await;
    world.written.store(false, Ordering::Relaxed);
    world.up().await.expect("published all the same");
    assert_eq!(world.settled().await, 0);
    let told = Model::outputs(&world.live().await)["data"].clone();
    assert!(told.starts_with("none to load yet: no run has written daily_sales, product_sales"), "{told}");
    assert!(told.contains("run the job, then `up` again"), "{told}");
    world.again(json!({ "mode": "direct_query" }));
    world.up().await.expect("changed");
    assert_eq!(world.settled().await, 0);

    world.written.store(true, Ordering::Relaxed);
    let fields: Vec<String> = world.changes().await.into_iter().map(|it| it.field).collect();
    assert_eq!(fields, ["definition.data", "definition.loaded"], "the plan says so once there is");
    world.up().await.expect("loaded");
    assert_eq!(world.settled().await, 1);
}

#[tokio::test]
async fn a_refresh_that_fails_fails_the_run_and_is_asked_for_again_by_the_next() {
    let mut world = World::new(json!({})).await;
    world.begin().await;
    world.history("Failed").await;
    let why = world.up().await.expect_err("it failed");
    assert!(why.contains("s-sales is published, and its refresh failed: ModelRefreshFailed: DSN not found"), "{why}");
    assert_eq!(world.loads().await, 1, "one run asks once");

    world.again(json!({}));
    let changes = world.changes().await;
    let told: Vec<(&str, &Value)> = changes.iter().map(|it| (it.field.as_str(), &it.from)).collect();
    let failed = json!("ModelRefreshFailed: DSN not found");
    assert_eq!(told, [("definition.data", &Value::Null), ("definition.loaded", &failed)], "the plan tells it");
    world.up().await.expect("mended");
    assert_eq!(world.settled().await, 2);
}

#[tokio::test]
async fn what_a_killed_run_began_is_awaited_and_not_begun_again() {
    for status in ["Unknown", "InProgress", "Completed"] {
        let mut world = World::new(json!({})).await;
        world.begin().await;
        world.again(json!({}));
        world.history(status).await;
        let pending = matches!(Model::phase(&world.live().await), Phase::Pending(_));
        assert_eq!(pending, status != "Completed", "{status}");
        world.history("Completed").await;
        world.up().await.expect("goes on");
        assert_eq!(world.settled().await, 1, "{status}");
    }
}

/// The run dies at its first request, then at its second, and so on: with the request, or with the answer to it.
#[tokio::test]
async fn a_run_that_is_killed_anywhere_is_made_up_for() {
    let mut world = World::new(json!({})).await;
    for arrives in [true, false] {
        let mut killed = 0;
        for skip in 0.. {
            let last = json!({ "path": "", "skip": skip, "times": 1, "late": arrives, "cut": true });
            let dead = json!({ "path": "", "skip": skip, "times": 1000, "cut": true });
            world.there.faults(json!([last, dead])).await;
            let loads = world.loads().await;
            let survived = world.up().await.is_ok();
            world.there.faults(json!([])).await;
            world.again(json!({}));
            world.up().await.unwrap_or_else(|err| panic!("after {skip} requests: {err}"));
            let begun = world.settled().await - loads;
            assert!((1..=2).contains(&begun), "after {skip} requests {begun} refreshes");
            let there = world.cx.fabric.items(WORKSPACE, Sort::Model).await.expect("listed");
            assert_eq!(there.len(), 1, "after {skip} requests");
            Model::delete(&world.cx, &name(), &world.live().await).await.expect("deleted");
            if survived {
                break;
            }
            killed += 1;
        }
        assert!(killed > 12, "a life has more requests than {killed}");
    }
}

#[tokio::test]
async fn data_that_others_made_it_load_are_loaded_anew() {
    let mut world = World::new(json!({})).await;
    world.up().await.expect("made");
    // Somebody lets it read another table, loads that, and says nothing.
    let id = world.live().await.id().to_owned();
    let mut parts = world.cx.fabric.definition(WORKSPACE, Sort::Model, &id).await.expect("a definition");
    for (_, content) in &mut parts {
        let text = String::from_utf8(content.clone()).expect("text");
        *content = text.replace("Name = \"daily_sales\"", "Name = \"secret_sales\"").into_bytes();
    }
    world.cx.fabric.define(WORKSPACE, Sort::Model, &id, &parts).await.expect("meddled with");
    world.again(json!({}));
    // The run that puts it back is killed before it loads anything.
    let changes = world.changes().await;
    assert_eq!(changes.len(), 3, "{changes:?}");
    let fault = json!([{ "method": "POST", "path": "/refreshes$", "times": 9, "status": 403, "body": {} }]);
    world.there.faults(fault).await;
    let live = world.live().await;
    world.model().update(&world.cx, &name(), &live, &changes).await.expect_err("no refresh");
    world.there.faults(json!([])).await;
    world.again(json!({}));
    let loads = world.loads().await;
    world.up().await.expect("put back");
    assert_eq!(world.settled().await - loads, 1, "and loaded");
}

#[tokio::test]
async fn a_definition_that_nobody_knows_to_be_there_is_not_loaded() {
    let mut world = World::new(json!({})).await;
    world.up().await.expect("made");
    world.again(json!({ "source": { "athena": { "dsn": "elsewhere" } } }));
    world.there.faults(json!([{ "method": "POST", "path": "updateDefinition", "times": 1, "status": 202 }])).await;
    let (live, changes) = (world.live().await, world.changes().await);
    world.model().update(&world.cx, &name(), &live, &changes).await.expect("taken, or not");
    assert_eq!(world.loads().await, 1);
    assert_eq!(world.changes().await, changes, "it was not: the next look shows it");
    world.up().await.expect("changed");
    assert_eq!(world.settled().await, 2);
}

#[tokio::test]
async fn a_model_that_people_renamed_is_found_and_called_as_it_was() {
    let world = World::new(json!({})).await;
    world.up().await.expect("made");
    let live = world.live().await;
    let about = format!("Ours. {} Ask Ada.", live.item.description);
    world.cx.fabric.describe(WORKSPACE, Sort::Model, live.id(), "Best of sales", &about).await.expect("renamed");
    assert_eq!(world.live().await.id(), live.id(), "known by what it says, though no state knows its identifier");
    let fields: Vec<(String, Value)> = world.changes().await.into_iter().map(|it| (it.field, it.from)).collect();
    assert_eq!(fields, [("name".to_owned(), json!("Best of sales"))]);
    world.up().await.expect("called as it was");
    assert_eq!(world.live().await.item.display_name, "s-sales");
    assert_eq!(world.settled().await, 1);
}

#[tokio::test]
async fn another_refresh_that_runs_is_awaited() {
    let world = World::new(json!({})).await;
    world.model().create(&world.cx, &name()).await.expect("made");
    let id = world.live().await.id().to_owned();
    testing::fabric(&world.there.url).refresh(WORKSPACE, &id).await.expect("somebody else's");
    world.up().await.expect("waits for it");
    assert_eq!(world.settled().await, 2, "it may have loaded what was there before");
}
