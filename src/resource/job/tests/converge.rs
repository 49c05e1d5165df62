//! One job for one definition, whatever gets lost on the way: the real engine over a workspace that cuts connections.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    client::databricks::testing::{Answer, Request, Server},
    engine::{Action, Engine, Goal, Mandate, Plan},
    resource::{Cx, KINDS, testing},
    stack::{self, Stack},
    state::{FileStore, Holder, Session, Store},
};

const STACK: &str = "stack: { target: local, tags: { team: data } }
resources:
  job:
    nightly:
      tasks:
        look:
          notebook_task: { notebook_path: /Shared/look }
";

/// A workspace with jobs.
#[derive(Default)]
struct Jobs {
    #[expect(clippy::struct_field_names, reason = "a workspace's jobs are its jobs")]
    jobs: BTreeMap<i64, Value>,
    grants: BTreeMap<i64, Value>,
    /// The jobs whose runs were stopped.
    stopped: Vec<i64>,
    /// How many of the next creates take effect without an answer.
    cut: usize,
    /// How many of the next creates are cut before they take effect.
    lost: usize,
    creates: usize,
}

impl Jobs {
    fn answer(&mut self, it: &Request) -> Answer {
        let body = it.json();
        let id = || body["job_id"].as_i64().or_else(|| it.query("job_id")?.parse().ok()).unwrap_or_default();
        let fine = |it: Value| Answer::Json(200, it);
        let gone = || {
            Answer::Json(400, json!({ "error_code": "INVALID_PARAMETER_VALUE", "message": "Job 1 does not exist." }))
        };
        let show = |id: &i64, settings: &Value| {
            // As the service echoes it.
            let mut settings = settings.clone();
            settings["format"] = json!("MULTI_TASK");
            settings["email_notifications"] = json!({});
            settings["tasks"][0]["timeout_seconds"] = json!(0);
            json!({ "job_id": id, "created_time": id, "settings": settings })
        };
        match it.path() {
            "/api/2.2/jobs/create" => {
                self.creates += 1;
                if self.lost > 0 {
                    self.lost -= 1;
                    return Answer::Cut;
                }
                let id = 8_812_345_678_901_234_000 + i64::try_from(self.creates).expect("few");
                self.jobs.insert(id, body);
                self.grants.insert(id, json!([{ "user_name": "me@x", "permission_level": "IS_OWNER" }]));
                if self.cut > 0 {
                    self.cut -= 1;
                    return Answer::Cut;
                }
                fine(json!({ "job_id": id }))
            }
            "/api/2.2/jobs/get" => self.jobs.get(&id()).map_or_else(gone, |it| fine(show(&id(), it))),
            "/api/2.2/jobs/list" => {
                let named = self.jobs.iter().filter(|job| it.query("name").is_none_or(|name| job.1["name"] == name));
                fine(json!({ "jobs": named.map(|(id, it)| show(id, it)).collect::<Vec<_>>() }))
            }
            "/api/2.2/jobs/reset" => {
                self.jobs.insert(id(), body["new_settings"].clone());
                fine(json!({}))
            }
            "/api/2.2/jobs/runs/cancel-all" if self.jobs.contains_key(&id()) => {
                self.stopped.push(id());
                fine(json!({}))
            }
            "/api/2.2/jobs/runs/cancel-all" => gone(),
            "/api/2.2/jobs/delete" => self.jobs.remove(&id()).map_or_else(gone, |_| fine(json!({}))),
            path => match path.strip_prefix("/api/2.0/permissions/jobs/").and_then(|it| it.parse::<i64>().ok()) {
                Some(id) => {
                    if it.method == "PUT" {
                        self.grants.insert(id, body["access_control_list"].clone());
                    }
                    let all = self.grants[&id].as_array().into_iter().flatten().map(|it| {
                        let mut it = it.clone();
                        it["all_permissions"] = json!([{ "permission_level": it["permission_level"] }]);
                        it
                    });
                    fine(json!({ "access_control_list": all.collect::<Vec<_>>() }))
                }
                None => Answer::With(404, "x: y", "ENDPOINT_NOT_FOUND"),
            },
        }
    }
}

/// A stack with one job, its state, and the workspace.
struct World {
    folder: tempfile::TempDir,
    jobs: Arc<Mutex<Jobs>>,
    server: Server,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("stacks")).expect("created");
        let jobs = Arc::new(Mutex::new(Jobs::default()));
        let shared = jobs.clone();
        let server = Server::start(move |it: &Request| shared.lock().expect("nobody panicked").answer(it)).await;
        let world = Self { folder, jobs, server };
        world.says(STACK);
        world
    }

    fn says(&self, text: &str) {
        fs::write(self.folder.path().join("stacks/s.yaml"), text).expect("written");
    }

    fn load(&self) -> Stack {
        stack::load(self.folder.path(), "s", KINDS).unwrap_or_else(|err| panic!("{:?}", err.mistakes()))
    }

    async fn cx(&self, stack: &Stack) -> Cx {
        let host = self.server.host.clone();
        let specs = stack.resources.iter().map(|(address, it)| (address.clone(), it.spec.clone())).collect();
        let tags = stack.settings.tags.clone();
        // It makes a runtime of its own.
        let cx = tokio::task::spawn_blocking(testing::cx).await.expect("no panic");
        Cx { databricks: testing::databricks(&host), specs: Arc::new(specs), tags, ..cx }
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state.json")
    }

    async fn plan(&self, goal: Goal) -> Plan {
        let (stack, store) = (self.load(), FileStore::new(self.state()));
        let cx = self.cx(&stack).await;
        let engine = Engine { kinds: KINDS, cx: &cx, stack: &stack };
        let document = store.load().await.expect("readable").map(|it| it.0).unwrap_or_default();
        let observed = engine.observe(&document).await.expect("readable");
        engine.plan(&document, &observed, goal).expect("resolvable")
    }

    async fn reach(&self, goal: Goal) -> bool {
        let stack = self.load();
        let cx = self.cx(&stack).await;
        let engine = Engine { kinds: KINDS, cx: &cx, stack: &stack };
        let holder = Holder {
            user: "tests".into(),
            host: "here".into(),
            pid: std::process::id(),
            start: None,
            boot: None,
            run: uuid::Uuid::new_v4(),
            ci: None,
            commit: None,
        };
        let session = Session::acquire(Arc::new(FileStore::new(self.state())), holder).await.expect("free");
        let observed = engine.observe(session.document()).await.expect("readable");
        let plan = engine.plan(session.document(), &observed, goal).expect("resolvable");
        let consent = plan.steps.iter().map(|it| it.address.clone()).collect();
        let (events, _inbox) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let mandate = Mandate { session: &session, consent: &consent, events: &events, cancel: &cancel };
        let summary = engine.apply(&plan, mandate).await;
        session.release().await.expect("still held");
        summary.is_complete()
    }

    /// Runs `up`; gives how many jobs and creates there were in all, once nothing more is to do.
    async fn up(&self) -> (usize, usize) {
        assert!(self.reach(Goal::Up).await, "it is done");
        let plan = self.plan(Goal::Up).await;
        let open: Vec<_> = plan.steps.iter().filter(|it| it.action != Action::Noop).collect();
        assert!(open.is_empty(), "nothing more to do: {open:#?}");
        let jobs = self.jobs.lock().expect("nobody panicked");
        (jobs.jobs.len(), jobs.creates)
    }

    fn edit<T>(&self, change: impl FnOnce(&mut Jobs) -> T) -> T {
        change(&mut self.jobs.lock().expect("nobody panicked"))
    }
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_job() {
    let world = World::new().await;
    world.edit(|it| it.cut = 1);
    assert_eq!(world.up().await, (1, 1), "it was looked up, not sent again");
    let world = World::new().await;
    world.edit(|it| it.lost = 1);
    assert_eq!(world.up().await, (1, 2), "it was not there, and so sent again");
}

#[tokio::test]
async fn what_a_killed_run_or_a_lost_state_leaves_is_taken_up() {
    let world = World::new().await;
    assert_eq!(world.up().await, (1, 1));
    fs::remove_file(world.state()).expect("there was one");
    assert_eq!(world.up().await, (1, 1), "found by its tags");
    let tags = world.edit(|it| it.jobs.values().next().expect("the job")["tags"].clone());
    assert_eq!((&tags["ecomctl:address"], &tags["team"]), (&json!("job.nightly"), &json!("data")));
}

#[tokio::test]
async fn a_request_that_arrives_late_is_undone() {
    let world = World::new().await;
    assert_eq!(world.up().await, (1, 1));
    world.edit(|it| {
        let twin = it.jobs.values().next().expect("the job").clone();
        it.jobs.insert(9_000_000_000_000_000_000, twin.clone());
        // A stranger of the same name is none of ours.
        it.jobs.insert(7, json!({ "name": twin["name"], "tasks": twin["tasks"] }));
        it.grants.insert(7, json!([]));
    });
    let plan = world.plan(Goal::Up).await;
    assert_eq!(plan.steps[0].changes[0].field, "duplicates");
    assert_eq!(world.up().await, (2, 1), "ours, and the stranger's");
    assert!(world.edit(|it| it.jobs.contains_key(&7)));
    assert!(world.reach(Goal::Teardown).await);
    assert_eq!(world.edit(|it| it.jobs.keys().copied().collect::<Vec<_>>()), [7]);
    assert!(world.edit(|it| !it.stopped.is_empty() && !it.stopped.contains(&7)), "its runs end before it is gone");
}

#[tokio::test]
async fn a_strangers_job_of_the_same_name_is_not_taken() {
    let world = World::new().await;
    world.edit(|it| {
        it.jobs.insert(7, json!({ "name": "s-nightly", "tasks": [{ "task_key": "x" }] }));
        it.grants.insert(7, json!([]));
    });
    let plan = world.plan(Goal::Up).await;
    let refused = plan.steps[0].refused.as_ref().expect("refused");
    assert!(refused.reason.contains("exists already and is not ours"), "{refused:?}");
}

#[tokio::test]
async fn there_is_always_one_owner() {
    let world = World::new().await;
    world.says(&format!("{STACK}      permissions: {{ can_view: [{{ group: analysts }}] }}\n"));
    assert_eq!(world.up().await, (1, 1));
    let grants = || world.edit(|it| it.grants.values().next().expect("the job's").clone());
    let view = json!({ "group_name": "analysts", "permission_level": "CAN_VIEW" });
    assert_eq!(grants(), json!([view, { "user_name": "me@x", "permission_level": "IS_OWNER" }]), "who made it");
    world.says(&format!("{STACK}      owner: {{ service_principal: robot }}\n"));
    assert_eq!(world.up().await, (1, 1));
    let owner = json!({ "service_principal_name": "robot", "permission_level": "IS_OWNER" });
    assert_eq!(grants().as_array().map(|it| it.contains(&owner) && it.len() == 2), Some(true), "{}", grants());
    assert!(Path::new(&world.state()).is_file());
}
