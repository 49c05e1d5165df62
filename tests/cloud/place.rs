//! A local cloud, and a project whose stack takes it for AWS: the same program, through a proxy of the tests' own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::{fs::symlink, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Mutex,
    time::{Duration, Instant},
};

use ecomctl::{
    artifact,
    client::{
        aws::{Aws, Target},
        databricks::{self, Databricks},
    },
    local::{self, Endpoints, Home},
    resource::KINDS,
    stack,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{
    asked::Asked,
    fault::Fault,
    proxy::{Kept, Mode, Point, Proxy, Watch},
};

/// The stack that is deployed.
pub(crate) const STACK: &str = "test";
/// The bucket that its state may be kept in, which belongs to no stack.
pub(crate) const STATES: &str = "pipeline-states";
/// The longest that one run may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the update adds to the stack's file.
pub(crate) const UPDATE: &str = "
  log_group:
    ingest:
      retention: 60d
    extra:
      retention: 7d
  bucket:
    lake:
      lifecycle:
        unfinished:
          abort_uploads_after: 2d
  trigger:
    orders:
      batch_size: 1500
  job:
    medallion:
      timeout: 3h
    maintenance: null
  dashboard:
    pipeline:
      uses:
        - function.ingest
        - trigger.orders
        - trigger.order_details
        - trigger.payments
        - trigger.customers
        - database.shop
        - job.medallion
        - table.daily_sales
        - table.product_sales
        - table.payment_outcomes
        - table.customer_segments
        - table.cohort_retention
        - table.order_facts
  catalog:
    gold:
      description: What others read
  workgroup:
    analytics:
      scan_limit: 200GiB
";

/// What it changes within the file: more memory; and nothing watches the job that goes.
pub(crate) const CHANGES: [(&str, &str); 3] = [
    ("    ingest:\n      architecture", "    ingest:\n      memory: 512MiB\n      architecture"),
    ("DATABRICKS_HOST: null }", "DATABRICKS_HOST: null, JOB_MAINTENANCE: null }"),
    ("  alarm:\n", "  alarm:\n    maintenance_failed: null\n    maintenance_late: null\n    maintenance_slow: null\n"),
];

/// A local cloud of the tests' own, and a project on it.
pub(crate) struct Place {
    pub(crate) proxy: Proxy,
    pub(crate) aws: Aws,
    pub(crate) databricks: Databricks,
    dir: TempDir,
    told: Mutex<String>,
}

/// The key that requests are signed with: a secret, which must never be seen.
pub(crate) const CANARY: &str = "canary7Zq3vXw9kT5mB2nR8sLd4Hf6Jy1Pc0GuEa";

/// The watcher's token: another.
pub(crate) const TOKEN: &str = "canary9Wd2fKq7Yb4Hs6Lm1Tz8Rn3Xc5Vp0JgEu";

/// A run that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` when it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) asked: Vec<Asked>,
    /// What it asked of AWS as it came, where that is kept.
    pub(crate) kept: Vec<Kept>,
    /// How many of its requests failed on purpose.
    pub(crate) failures: usize,
    /// What it was to die at.
    pub(crate) point: Option<Point>,
    pub(crate) elapsed: Duration,
}

impl Place {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let root = dir.path().join("project");
        fs::create_dir_all(root.join("stacks")).expect("created");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for it in [
            "Cargo.toml",
            "Cargo.lock",
            "lambdas",
            "notebooks",
            "src",
            "templates",
            "tests",
            "rust-toolchain.toml",
            ".cargo",
        ] {
            if repository.join(it).exists() {
                symlink(repository.join(it), root.join(it)).expect("linked");
            }
        }
        fs::copy(repository.join("stacks/base.yaml"), root.join("stacks/base.yaml")).expect("copied");
        let local = fs::read_to_string(repository.join("stacks/local.yaml")).expect("readable");
        assert!(local.contains("target: local\n"), "the stack says where it lives");
        // Each run reaches Databricks through a port of its own, which is not to show as a change of the function.
        let watch = "    watch:\n      architecture: native\n      network: null\n      environment:\n";
        assert!(local.contains(watch), "the stack says what differs for the watcher");
        let host = "      outputs: { DATABRICKS_HOST: null }\n      environment:\n        DATABRICKS_HOST: http://127.0.0.1:9\n";
        let text = local.replace("target: local\n", "target: aws\n");
        let text = text.replace(watch, &watch.replace("      environment:\n", host));
        let webhook = "    webhook:\n      architecture: native\n";
        assert!(text.contains(webhook), "the stack says what differs for who answers webhooks");
        // Not as above, where more changes later.
        let host = host.replace("outputs: { DATABRICKS_HOST: null }", "outputs:\n        DATABRICKS_HOST: null");
        let text = text.replace(webhook, &format!("{webhook}{host}"));
        // The watcher's token is a secret here.
        let public = "      value_from: { env: null, public: local }\n";
        assert!(text.contains(public), "the stack says which token is for this machine");
        let text = text.replace(public, "");
        fs::write(stack_file(&root), text).expect("written");

        let requests: BTreeSet<_> = stack::load(&root, STACK, KINDS)
            .unwrap_or_else(|err| panic!("{err:?}"))
            .resources
            .iter()
            .filter_map(|(address, it)| {
                let kind = ecomctl::resource::kind(KINDS, &address.kind).expect("a kind");
                kind.build(&it.spec).expect("readable")
            })
            .collect();
        // What other tests built from the same sources is not built again.
        let built = artifact::build(repository, &scratch.join("artifacts"), &requests, &|_| ()).await.expect("builds");
        assert_eq!(built.len(), requests.len());
        let home = dir.path().join("home");
        fs::create_dir_all(&home).expect("created");
        symlink(scratch.join("artifacts/artifacts"), home.join("artifacts")).expect("linked");

        Self::on(dir).await
    }

    /// Starts a local cloud with a project that has no stack yet.
    pub(crate) async fn bare() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(dir.path().join("project/stacks")).expect("created");
        fs::create_dir_all(dir.path().join("home")).expect("created");
        Self::on(dir).await
    }

    async fn on(dir: TempDir) -> Self {
        let (home, scratch) = (dir.path().join("home"), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let cloud = Home::with_program(&home, Path::new(env!("CARGO_BIN_EXE_ecomctl"))).expect("a home");
        let cloud = cloud.with_software(&scratch.join("software")).expect("software").with_free_ports();
        let guard = Stop(&home);
        let Endpoints { gateway, databricks: workspace, account, region, .. } =
            local::ensure(&cloud, &|it| eprintln!("{} {}", it.part, it.message)).await.expect("starts");
        let keys = Some((account, "secret".to_owned()));
        let aws = Aws::connect(&Target { region, endpoint: Some(gateway.clone()), keys }).await;
        let proxy = Proxy::before(&gateway, &workspace);
        let target = databricks::Target::ambient().host(Some(workspace)).token("local");
        std::mem::forget(guard);
        Self { proxy, aws, databricks: Databricks::new(target), dir, told: Mutex::default() }
    }

    /// Runs the program to its end, without a terminal, its requests going through the proxy.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.run_as(Mode::Watch, args).await
    }

    /// Does so in another mode.
    pub(crate) async fn run_as(&self, mode: Mode, args: &[&str]) -> Ended {
        // Clients slow down when they are told to, and wait for answers that never come.
        let patience = match mode {
            Mode::Fail(Fault::Throttled | Fault::Silent) => PATIENCE * 8,
            Mode::Keep => PATIENCE * 4,
            _ => PATIENCE,
        };
        self.watch(&self.project(), patience, args, mode).await
    }

    /// Does so, for a run that may take longer.
    pub(crate) async fn run_within(&self, patience: Duration, args: &[&str]) -> Ended {
        self.watch(&self.project(), patience, args, Mode::Watch).await
    }

    /// Does so in another checkout of the project, where it may have to wait for runs elsewhere.
    pub(crate) async fn run_elsewhere(&self, project: &Path, args: &[&str]) -> Ended {
        self.watch(project, PATIENCE * 2, args, Mode::Watch).await
    }

    /// Asks the program which flags give consent to everything.
    pub(crate) async fn consent(&self) -> Vec<String> {
        self.consent_for(STACK).await
    }

    /// Does so for another stack.
    pub(crate) async fn consent_for(&self, stack: &str) -> Vec<String> {
        let refused = self.run(&["teardown", stack, "--json"]).await.exits(9);
        let error = refused.err.lines().filter_map(|it| serde_json::from_str::<serde_json::Value>(it).ok());
        let help = error.filter_map(|it| Some(it["error"]["help"].as_str()?.to_owned())).next_back();
        let help = help.unwrap_or_else(|| panic!("{}", refused.err));
        let (_, flags) = help.split_once(&format!("ecomctl teardown {stack} ")).expect("the command");
        flags.split(' ').map(str::to_owned).collect()
    }

    /// Writes a stack's file.
    pub(crate) fn define(&self, stack: &str, text: &str) {
        fs::write(self.project().join(format!("stacks/{stack}.yaml")), text).expect("written");
    }

    async fn watch(&self, project: &Path, patience: Duration, args: &[&str], mode: Mode) -> Ended {
        let (begun, watch) = (Instant::now(), self.proxy.watch(mode).await);
        let child = self.spawn(project, args, &watch);
        let output = tokio::time::timeout(patience, child.wait_with_output()).await;
        let late = |_| panic!("{args:?} takes longer than {patience:?}, having asked {:#?}", watch.seen());
        let output = output.unwrap_or_else(late).expect("it ran");
        // Its number may soon be another's.
        watch.client(0);
        let text = |it: Vec<u8>| String::from_utf8(it).expect("what it prints is UTF-8");
        let code = output.status.code();
        assert!(code.is_some() || output.status.signal() == Some(9), "{output:?}");
        let (out, err) = (text(output.stdout), text(output.stderr));
        let mut told = self.told.lock().expect("not poisoned");
        told.push_str(&out);
        told.push_str(&err);
        drop(told);
        Ended {
            code,
            out,
            err,
            asked: watch.seen(),
            point: watch.point(),
            kept: watch.kept(),
            failures: watch.failures(),
            elapsed: begun.elapsed(),
        }
    }

    /// Starts the program on a project, without a terminal, its requests going through the proxy.
    pub(crate) fn spawn(&self, project: &Path, args: &[&str], watch: &Watch) -> Child {
        let child = Command::new(env!("CARGO_BIN_EXE_ecomctl"))
            .arg("-C")
            .arg(project)
            .args(args)
            .env("ECOMCTL_HOME", self.home())
            .env("AWS_ENDPOINT_URL", &watch.gateway)
            .env("AWS_ACCESS_KEY_ID", local::ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", CANARY)
            .env("AWS_REGION", local::REGION)
            .env("DATABRICKS_HOST", &watch.workspace)
            .env("DATABRICKS_TOKEN", "local")
            .env("DATABRICKS_WATCH_TOKEN", TOKEN)
            .env("DATABRICKS_CONFIG_FILE", "/dev/null")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            // Long enough for an answer that comes, and no longer.
            .env("ECOMCTL_TIMEOUT", if watch.is_silent() { "4s" } else { "" })
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        watch.client(child.id().expect("not waited for"));
        child
    }

    /// Where the stacks' files are.
    pub(crate) fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// The file of the stack's state.
    pub(crate) fn state_file(&self) -> PathBuf {
        self.home().join("state").join(format!("{STACK}.json"))
    }

    /// Where the program keeps its own files.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Loses the state, and all that lies beside it.
    pub(crate) async fn forget(&self) {
        let folder = self.home().join("state");
        if folder.exists() {
            fs::remove_dir_all(folder).expect("removed");
        }
        if fs::read_to_string(stack_file(&self.project())).is_ok_and(|it| it.contains(STATES)) {
            let s3 = self.aws.s3();
            let listed = s3.list_objects_v2().bucket(STATES).send().await.expect("listed");
            assert_eq!(listed.is_truncated(), Some(false), "all at once");
            for it in listed.contents().iter().filter_map(|it| it.key()) {
                s3.delete_object().bucket(STATES).key(it).send().await.expect("deleted");
            }
        }
    }

    /// Keeps the stack's state in a bucket from now on, which holds none as yet.
    pub(crate) async fn keep_state_far(&self) {
        self.edit(|it| it.replacen("target: aws\n", &format!("target: aws\n  state: s3://{STATES}/team\n"), 1));
        self.run(&["state", "init", STACK]).await.exits(0);
    }

    /// Returns all that the program printed so far.
    pub(crate) fn told(&self) -> String {
        self.told.lock().expect("not poisoned").clone()
    }

    /// Returns every file of the state, with its content.
    pub(crate) fn state(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.home().join("state")];
        while let Some(folder) = folders.pop() {
            for it in fs::read_dir(folder).into_iter().flatten() {
                let path = it.expect("listed").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    match fs::read(&path) {
                        Ok(bytes) => found.insert(path, bytes),
                        // A run that is at work replaces files.
                        Err(err) if err.kind() == std::io::ErrorKind::NotFound => None,
                        Err(err) => panic!("{}: {err}", path.display()),
                    };
                }
            }
        }
        found
    }

    /// Changes the stack's file into another shape: some is changed, some is new, some goes.
    pub(crate) fn update(&self) {
        self.edit(|it| {
            CHANGES.iter().fold(it.to_owned(), |file, (from, to)| {
                assert_eq!(file.matches(from).count(), 1, "{from} in {file}");
                file.replace(from, to)
            }) + UPDATE
        });
    }

    /// Changes the stack's file, and returns what it was.
    pub(crate) fn edit(&self, change: impl FnOnce(&str) -> String) -> String {
        let path = stack_file(&self.dir.path().join("project"));
        let before = fs::read_to_string(&path).expect("readable");
        let after = change(&before);
        assert_ne!(before, after, "the edit changes something");
        fs::write(path, after).expect("written");
        before
    }
}

impl Ended {
    /// Checks the exit code.
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// Checks that nothing was asked for that could change anything, writes of such an object excepted.
    pub(crate) fn changes_nothing_but(self, object: &str) -> Self {
        let mutating = self.asked.iter().filter(|it| it.mutating && !it.resource.contains(object));
        assert_eq!(mutating.map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
        self
    }

    /// Checks that the result holds a text.
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text), "{text}\n{}\n{}", self.out, self.err);
        self
    }

    /// Checks that nothing was asked for that could change anything, and that something was asked for at all.
    pub(crate) fn changes_nothing(self, what: &str) -> Self {
        let mutating: Vec<_> = self.asked.iter().filter(|it| it.mutating).map(ToString::to_string).collect();
        assert!(mutating.is_empty(), "{what} sends {mutating:#?}");
        assert!(!self.asked.is_empty(), "{what} looks at nothing");
        eprintln!("{what}: {} requests, none mutating, {:.2} s", self.asked.len(), self.elapsed.as_secs_f32());
        self
    }
}

fn stack_file(root: &Path) -> PathBuf {
    root.join("stacks").join(format!("{STACK}.yaml"))
}

impl Drop for Place {
    /// Stops the local cloud, also when a test fails.
    fn drop(&mut self) {
        drop(Stop(&self.home()));
    }
}

/// Stops a local cloud when dropped.
struct Stop<'a>(&'a Path);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        let stop = std::process::Command::new(env!("CARGO_BIN_EXE_ecomctl"))
            .args(["local", "stop"])
            .env("ECOMCTL_HOME", self.0)
            .status();
        assert!(stop.is_ok_and(|it| it.success()) || std::thread::panicking(), "the local cloud does not stop");
    }
}
