//! A local cloud for the tests, and stacks on it that the engine runs in this very process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use ecomctl::{
    address::{Address, Name},
    artifact,
    client::{
        aws::{Aws, Target},
        databricks::{self, Databricks},
        fabric::{self, Fabric},
    },
    engine::{Aim, Engine, Goal, Mandate, Observed, Plan},
    local::{self, Endpoints, Home},
    resource::{Cx, KINDS, Kind, Lives, Phase, Scope},
    stack::{self, Stack},
    state::{Document, FileStore, Holder, Session, Store},
    template::Templates,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[path = "../powerbi/stand_in.rs"]
mod stand_in;

/// A local cloud of the tests' own, and what stands in for Fabric, which it does not have.
pub(crate) struct Place {
    endpoints: Endpoints,
    fabric: stand_in::Process,
    dir: TempDir,
}

/// One stack on it.
pub(crate) struct Stage {
    pub(crate) stack: Stack,
    pub(crate) cx: Cx,
    store: Arc<FileStore>,
    file: PathBuf,
}

impl Place {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::with_program(dir.path(), Path::new(env!("CARGO_BIN_EXE_ecomctl"))).expect("a home");
        let home = home.with_software(&scratch().join("software")).expect("software").with_free_ports();
        let endpoints = local::ensure(&home, &|it| eprintln!("{} {}", it.part, it.message)).await.expect("starts");
        Self { endpoints, fabric: stand_in::Process::start(), dir }
    }

    /// Loads a fixture as the stack of this name.
    pub(crate) fn load(&self, name: &str, fixture: &str) -> Stack {
        let root = self.dir.path().join("project");
        fs::create_dir_all(root.join("stacks")).expect("created");
        fs::copy(fixture, root.join(format!("stacks/kind-{}.yaml", name.replace('_', "-")))).expect("copied");
        stack::load(&root, &format!("kind-{}", name.replace('_', "-")), KINDS)
            .unwrap_or_else(|err| panic!("{fixture}: {err:?}"))
    }

    /// Loads this text as the stack of this name.
    pub(crate) fn write(&self, name: &str, text: &str) -> Stack {
        let file = self.dir.path().join(format!("{name}.yaml"));
        fs::write(&file, text).expect("written");
        self.load(name, file.to_str().expect("a path in UTF-8"))
    }

    /// Prepares a stack, as the first of these fixtures has it: what any of them needs is built, nothing is deployed.
    pub(crate) async fn stage(&self, name: &str, fixtures: &[&str]) -> Stage {
        let there = fixtures.iter().filter(|it| Path::new(it).is_file());
        let stacks: Vec<Stack> = there.map(|it| self.load(name, it)).collect();
        self.stage_of(&stacks.iter().collect::<Vec<_>>()).await
    }

    /// The same, of stacks that are loaded.
    pub(crate) async fn stage_of(&self, stacks: &[&Stack]) -> Stage {
        let target = Target {
            region: self.endpoints.region.clone(),
            endpoint: Some(self.endpoints.gateway.clone()),
            keys: Some((self.endpoints.account.clone(), "secret".to_owned())),
        };
        let workspace = databricks::Target::ambient().host(Some(self.endpoints.databricks.clone())).token("local");
        let build = |(address, it): (&Address, &stack::Definition)| {
            let kind = ecomctl::resource::kind(KINDS, &address.kind).expect("a kind");
            kind.build(&it.spec).expect("readable")
        };
        let requests: BTreeSet<_> = stacks.iter().flat_map(|it| &it.resources).filter_map(build).collect();
        let stack = Stack::clone(stacks.first().expect("a fixture"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let artifacts = artifact::build(root, &scratch().join("artifacts"), &requests, &|_| ()).await.expect("builds");
        let cx = Cx {
            aws: Arc::new(Aws::connect(&target).await),
            databricks: Arc::new(Databricks::new(workspace)),
            fabric: Arc::new(Fabric::new(fabric::Target::at(&self.fabric.url))),
            scope: Scope {
                stack: stack.name.clone(),
                account: self.endpoints.account.clone(),
                region: self.endpoints.region.clone(),
            },
            templates: Arc::new(Templates::new(root.join("templates"))),
            artifacts: Arc::new(artifacts),
            tags: stack.settings.tags.clone(),
            lives: Lives::default(),
            specs: specs(&stack),
        };
        let file = self.dir.path().join(format!("{}.json", stack.name));
        Stage { stack, cx, store: Arc::new(FileStore::new(&file)), file }
    }
}

impl Drop for Place {
    /// Stops the local cloud, also when a test fails.
    fn drop(&mut self) {
        let home = self.dir.path();
        let stop =
            Command::new(env!("CARGO_BIN_EXE_ecomctl")).args(["local", "stop"]).env("ECOMCTL_HOME", home).status();
        assert!(stop.is_ok_and(|it| it.success()) || std::thread::panicking(), "the local cloud does not stop");
    }
}

impl Stage {
    /// Goes on with another definition of the same stack.
    pub(crate) fn switch(&mut self, stack: Stack) {
        self.cx.tags = stack.settings.tags.clone();
        self.cx.specs = specs(&stack);
        self.stack = stack;
    }

    fn engine(&self) -> Engine<'_> {
        Engine { kinds: KINDS, cx: &self.cx, stack: &self.stack }
    }

    async fn document(&self) -> Document {
        self.store.load().await.expect("readable").map(|it| it.0).unwrap_or_default()
    }

    pub(crate) async fn observe(&self) -> Observed {
        self.engine().observe(&self.document().await).await.expect("readable")
    }

    pub(crate) async fn plan(&self) -> Plan {
        let document = self.document().await;
        let observed = self.engine().observe(&document).await.expect("readable");
        self.engine().plan(&document, &observed, Goal::Up).expect("resolvable")
    }

    /// Plans as if nothing was recorded.
    pub(crate) fn plan_without_state(&self, observed: &Observed, aim: Aim) -> Plan {
        self.engine().plan(&Document::new(), observed, aim).expect("resolvable")
    }

    /// Ends the protection of everything.
    pub(crate) async fn unprotect(&self) {
        let (mut document, etag) = self.store.load().await.expect("readable").expect("there");
        document.resources.values_mut().for_each(|it| it.protect = false);
        document.serial += 1;
        self.store.swap(&document, Some(&etag)).await.expect("written");
    }

    pub(crate) async fn up(&self) -> Result<(), String> {
        self.reach(Goal::Up).await
    }

    pub(crate) async fn down(&self) -> Result<(), String> {
        self.reach(Goal::Teardown).await
    }

    /// Runs to a goal, with consent to everything, and says what failed.
    async fn reach(&self, goal: Goal) -> Result<(), String> {
        let holder = Holder {
            user: "tests".into(),
            host: "here".into(),
            // No process has this number, so that the next run takes over at once from one that was dropped.
            pid: i32::MAX.unsigned_abs(),
            start: None,
            boot: Some("of the tests".into()),
            run: uuid::Uuid::new_v4(),
            ci: None,
            commit: None,
        };
        let session = Session::acquire(self.store.clone(), holder).await.expect("free");
        let observed = self.engine().observe(session.document()).await.expect("readable");
        let plan = self.engine().plan(session.document(), &observed, goal).expect("resolvable");
        let consent = plan.steps.iter().map(|it| it.address.clone()).collect();
        let (events, _inbox) = mpsc::unbounded_channel();
        let cancel = CancellationToken::new();
        let mandate = Mandate { session: &session, consent: &consent, events: &events, cancel: &cancel };
        let summary = self.engine().apply(&plan, mandate).await;
        session.release().await.expect("still held");
        match summary.is_complete() {
            true => Ok(()),
            false => Err(format!("{:?}; not begun: {:?}", summary.failures, summary.skipped)),
        }
    }

    /// Loses the state with its copies, from which it would come back.
    pub(crate) fn forget(&self) {
        fs::remove_file(&self.file).expect("there was a state");
        fs::remove_dir_all(self.file.with_extension("history")).expect("there were copies");
    }

    pub(crate) fn state(&self) -> String {
        fs::read_to_string(&self.file).expect("there is a state")
    }

    /// Waits until a resource that was changed by hand is ready.
    pub(crate) async fn settle(&self, kind: &dyn Kind, name: &Name) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            let live = kind.read(&self.cx, std::slice::from_ref(name)).await.map_err(|err| err.to_string())?;
            if live[0].as_ref().is_some_and(|it| it.phase == Phase::Ready) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("it does not become ready".to_owned())
    }
}

/// What a stack wants of its resources.
fn specs(stack: &Stack) -> Arc<BTreeMap<Address, serde_json::Value>> {
    Arc::new(stack.resources.iter().map(|(address, it)| (address.clone(), it.spec.clone())).collect())
}

/// Where what all tests share lies: downloaded software and built Lambdas.
fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}
