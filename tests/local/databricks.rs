//! The local Databricks, as the official SDK for Python sees it. What is looked at is in `databricks/sdk.py`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, extract::State, http::HeaderMap, routing::post};
use ecomctl::local::{self, Endpoints, Home};
use serde_json::{Value, json};

use super::traces::{kill, session};

/// The SDK in an environment of its own, and a wheel to run.
pub(crate) struct Sdk {
    python: PathBuf,
    wheel: PathBuf,
    url: String,
}

impl Sdk {
    /// Makes both, where they are not there from an earlier test.
    pub(crate) fn new(home: &Home, on: &Endpoints) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let requirements = source("requirements.txt");
        let wanted = fs::read_to_string(&requirements).expect("requirements");
        let (venv, marker) = (target.join("databricks-sdk"), target.join("databricks-sdk/made-from"));
        let python = venv.join("bin/python");
        if fs::read_to_string(&marker).is_ok_and(|it| it == wanted) {
            eprintln!("the SDK is there");
        } else {
            fs::remove_dir_all(&venv).ok();
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
            let pip = ["-m", "pip", "install", "--quiet", "--require-hashes", "--requirement"];
            run(Command::new(&python).args(pip).arg(&requirements));
            fs::write(&marker, wanted).expect("marker");
        }
        let built = target.join("tiny-wheel");
        fs::remove_dir_all(&built).ok();
        copy(&source("tiny_wheel"), &built.join("source"));
        let build = ["-m", "build", "--wheel", "--no-isolation", "--outdir"];
        run(Command::new(home.spark().join("bin/python"))
            .args(build)
            .arg(built.join("dist"))
            .arg(built.join("source")));
        let wheel = fs::read_dir(built.join("dist")).expect("dist").next().expect("a wheel").expect("a wheel").path();
        Self { python, wheel, url: on.databricks.clone() }
    }

    /// Looks at one thing.
    fn see(&self, what: &str, more: &[&str]) -> Value {
        let mut command = Command::new(&self.python);
        command.arg(source("sdk.py")).arg(&self.url).arg(&self.wheel).arg(what).args(more);
        // Nothing of this machine's own configuration may matter.
        let text = run(command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent"));
        serde_json::from_str(&text).unwrap_or_else(|err| panic!("{what}: {err}\n{text}"))
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local/databricks").join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("directory");
    for entry in fs::read_dir(from).expect("directory").map(|it| it.expect("entry")) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copy");
        }
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn refusal(class: &str, code: &str, message: &str) -> Value {
    json!([class, code, message])
}

pub(crate) fn callers_are_known(sdk: &Sdk) {
    let seen = sdk.see("auth", &[]);
    assert_eq!((&seen["user"], &seen["machine"]), (&json!("local@localhost"), &json!("local")));
    assert_eq!(seen["workspace"], 1_000_000_000_000_001_i64);
    assert_eq!(seen["wrong"], json!(["PermissionDenied", "PERMISSION_DENIED"]));
    assert_eq!(seen["wrong machine"], "ValueError: invalid_client: Client authentication failed");
}

pub(crate) fn files_are_kept(sdk: &Sdk) {
    let seen = sdk.see("workspace", &[]);
    let folder = "/Shared/test/new";
    let parent = format!("The parent folder ({folder}) does not exist.");
    assert_eq!(seen["no parent"], refusal("ResourceDoesNotExist", "RESOURCE_DOES_NOT_EXIST", &parent));
    assert_eq!(seen["again"][1], "RESOURCE_ALREADY_EXISTS");
    let file = ["kept its id", "size", "content", "large"].map(|it| &seen[it]);
    assert_eq!(file, [&json!(true), &json!(5), &json!("three"), &json!(12 << 20)]);
    assert_eq!(seen["exported"], "# Databricks notebook source\nprint(1)\n");
    let objects = [("a.txt", "FILE"), ("large", "FILE"), ("m", "NOTEBOOK"), ("n", "NOTEBOOK")];
    let objects = objects.map(|(name, kind)| json!([format!("{folder}/{name}"), kind]));
    assert_eq!(seen["objects"], json!(objects));
    assert_eq!(seen["not empty"][1], "DIRECTORY_NOT_EMPTY");
    let gone = format!("Path ({folder}) doesn't exist.");
    assert_eq!(seen["gone"], refusal("ResourceDoesNotExist", "RESOURCE_DOES_NOT_EXIST", &gone));
}

pub(crate) fn jobs_are_kept(sdk: &Sdk) {
    let seen = sdk.see("crud", &[]);
    assert_eq!((&seen["id is large"], &seen["tasks"]), (&json!(true), &json!(230)));
    assert_eq!((&seen["by name"], &seen["in pages"], &seen["left"]), (&json!([true]), &json!(6), &json!(0)));
    assert_eq!(seen["after"], json!([["new", "t001", "t002"], { "team": "shop" }]));
    for (what, words) in [
        ("bad cron", "has 5 fields"),
        ("two triggers", "Only one of schedule and continuous"),
        ("cycle", "cycle among a, b"),
        ("tags", "at most 25"),
    ] {
        assert_eq!(seen[what][0], "InvalidParameterValue", "{what}");
        assert!(seen[what][2].as_str().is_some_and(|it| it.contains(words)), "{what}: {}", seen[what]);
    }
    assert_eq!(seen["unknown"][1], "MALFORMED_REQUEST");
    // The SDK knows these two by their words, for their code is another.
    for what in ["no job", "no run"] {
        let told = (&seen[what][0], &seen[what][1]);
        assert_eq!(told, (&json!("ResourceDoesNotExist"), &json!("INVALID_PARAMETER_VALUE")), "{what}");
    }
    assert_eq!((&seen["no api"][0], &seen["no api"][1]), (&json!("NotFound"), &json!("ENDPOINT_NOT_FOUND")));
}

pub(crate) fn permissions_have_one_owner(sdk: &Sdk) {
    let seen = sdk.see("permissions", &[]);
    let admins = json!(["admins", "CAN_MANAGE"]);
    assert_eq!(seen["at first"], json!([admins, ["local@localhost", "IS_OWNER"]]));
    let one = refusal("InvalidParameterValue", "INVALID_PARAMETER_VALUE", "The job must have exactly one owner.");
    assert_eq!((&seen["none"], &seen["two"]), (&one, &one));
    assert_eq!(seen["after"], json!([["a@b", "IS_OWNER"], admins, ["users", "CAN_VIEW"]]));
    assert_eq!(seen["no job"][1], "RESOURCE_DOES_NOT_EXIST");
    assert_eq!(seen["folder"], json!([admins, ["users", "CAN_READ"]]));
    assert_eq!(seen["shared"], json!([admins, ["users", "CAN_MANAGE"]]), "whoever made it");
}

pub(crate) fn secrets_are_kept(sdk: &Sdk) {
    let seen = sdk.see("secrets", &[]);
    assert_eq!(seen["again"][1], "RESOURCE_ALREADY_EXISTS");
    assert_eq!((&seen["keys"], &seen["value"]), (&json!(["database"]), &json!("geheimer")));
    assert_eq!(seen["acls"], json!([["local@localhost", "MANAGE"], ["users", "READ"]]));
    assert_eq!((&seen["gone"][1], &seen["no scope"][1]), (&json!("RESOURCE_DOES_NOT_EXIST"), &seen["gone"][1]));
}

/// Two runs at once leave one job per definition, and the official types know every field that was rendered.
pub(crate) fn rendered_jobs_are_known(sdk: &Sdk, home: &Path) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = tempfile::tempdir().expect("a folder");
    fs::create_dir(project.path().join("stacks")).expect("created");
    std::os::unix::fs::symlink(repository.join("tests"), project.path().join("tests")).expect("linked");
    for (fixture, fields) in [
        ("job.yaml", &["email_notifications", "parameters", "run_as", "schedule", "continuous", "trigger"][..]),
        ("job.update.yaml", &["environments", "health", "max_concurrent_runs", "notification_settings"]),
    ] {
        fs::copy(repository.join("tests/fixtures").join(fixture), project.path().join("stacks/job.yaml"))
            .expect("copied");
        let up = || {
            let mut up = Command::new(env!("CARGO_BIN_EXE_ecomctl"));
            up.arg("-C").arg(project.path()).args(["up", "job", "--yes"]);
            up.env("ECOMCTL_HOME", home).env("ECOMCTL_PORTS", "free").stdin(Stdio::null());
            up.env("ECOMCTL_SOFTWARE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("software"));
            up.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
        };
        let ended = [up(), up()].map(|it| it.wait_with_output().expect("it ends"));
        let codes = ended.each_ref().map(|it| it.status.code());
        let told = || ended.each_ref().map(|it| String::from_utf8_lossy(&it.stderr).into_owned()).join("\n\n");
        assert!(
            codes.contains(&Some(0)) && codes.iter().all(|it| [Some(0), Some(7)].contains(it)),
            "{codes:?} {}",
            told()
        );

        let seen = sdk.see("rendered", &[]);
        let jobs: Vec<_> = seen.as_object().expect("jobs").iter().filter(|it| it.0.starts_with("job-")).collect();
        assert_eq!(jobs.len(), 3, "{jobs:#?}");
        for (name, job) in &jobs {
            assert_eq!(job["sdk"], job["plain"], "{name} by the SDK");
            assert_eq!(job["bundles"], job["sent"], "{name} by the bundles");
        }
        for field in fields {
            assert!(jobs.iter().any(|it| !it.1["plain"][field].is_null()), "no job has `{field}`");
        }
    }
}

const SUCCESS: [&str; 2] = ["TERMINATED", "SUCCESS"];

pub(crate) fn tasks_run(sdk: &Sdk) {
    let seen = sdk.see("runs", &[]);
    eprintln!("four tasks took {} s", seen["seconds"]);
    assert_eq!((&seen["same"], &seen["run"]), (&json!(true), &json!(SUCCESS)), "{seen}");
    assert_eq!(seen["tasks"], json!({ "wheel": SUCCESS, "script": SUCCESS, "notebook": SUCCESS, "last": SUCCESS }));
    let run = seen["run id"].as_str().expect("a run");
    assert_eq!(seen["wheel"], format!("wheel ['--day', 'friday', '--run', '{run}'] [0, 2, 4]\n"));
    assert_eq!(seen["script"], "args ['script', '{{nothing}}'] total 45 password [REDACTED]\n");
    assert_eq!((&seen["notebook"], &seen["last"]), (&json!("friday 2 [REDACTED]"), &json!("friday\n")));
    assert!(seen["parent"][2].as_str().is_some_and(|it| it.contains("multiple tasks is not supported")));
    let daemon = format!("sleep\0{}\0", seen["daemon"].as_str().expect("a number"));
    let processes = fs::read_dir("/proc").expect("processes").filter_map(|it| Some(it.ok()?.path().join("cmdline")));
    let left: Vec<_> = processes.filter(|it| fs::read_to_string(it).is_ok_and(|it| it == daemon)).collect();
    assert!(left.is_empty(), "a task's daemon outlives it: {left:?}");
    assert_eq!(seen["status"], json!(["TERMINATED", "SUCCESS"]));
    assert_eq!((&seen["listed"], &seen["active"]), (&json!([true]), &json!(0)));
    assert_eq!(seen["deleted"][0], "ResourceDoesNotExist");
}

pub(crate) fn failures_are_told(sdk: &Sdk) {
    let seen = sdk.see("failures", &[]);
    let failed = ["INTERNAL_ERROR", "FAILED"];
    let skipped = ["TERMINATED", "UPSTREAM_FAILED"];
    assert_eq!(seen["run"], json!(failed));
    let message = "Task fails failed with message: Workload failed, see run output for details.";
    assert!(seen["message"].as_str().is_some_and(|it| it.starts_with(message)), "{}", seen["message"]);
    let tasks = json!({ "fails": ["TERMINATED", "FAILED"], "after": skipped, "anyway": SUCCESS });
    assert_eq!((&seen["tasks"], &seen["attempts"]), (&tasks, &json!([0, 1, 0, 0])));
    assert_eq!(seen["error"], "ValueError: no such order: [REDACTED]");
    let trace = seen["trace"].as_str().expect("a trace");
    let lines: Vec<&str> = trace.lines().filter(|it| it.contains("fails.py")).collect();
    assert!(lines.len() == 2 && lines[0].ends_with("line 6, in <module>"), "{trace}");
    assert!(!trace.contains("launch.py") && !trace.contains("hush-hush"), "{trace}");
    assert_eq!(seen["logs"], format!("before\n{trace}"));
    assert_eq!(seen["repaired"], json!([SUCCESS, { "fails": SUCCESS, "after": SUCCESS, "anyway": SUCCESS }]));
    let timed_out = ["TERMINATED", "TIMEDOUT"];
    assert_eq!(seen["timed out"], json!([failed, { "slow": timed_out, "quick": skipped }]));
    assert_eq!(seen["job timed out"], json!([timed_out, { "slow": timed_out }]));
    assert_eq!(seen["one too many"], json!(["SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED"]));
    assert_eq!(seen["queued"], json!(["QUEUED", null]));
    assert_eq!(seen["delete"][1], "INVALID_STATE");
    let canceled = ["TERMINATED", "CANCELED"];
    assert_eq!(seen["queued, cancelled"], json!(canceled));
    assert_eq!(seen["cancelled"], json!([canceled, { "slow": canceled }, "USER_CANCELED"]));
}

type Heard = Arc<Mutex<Vec<(String, Value)>>>;

async fn hear(State(heard): State<Heard>, headers: HeaderMap, body: String) {
    let authorization = headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    heard.lock().expect("heard").push((authorization, serde_json::from_str(&body).expect("JSON")));
}

pub(crate) async fn schedules_and_webhooks_fire(sdk: &Sdk) {
    let heard = Heard::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("http://{}/hook", listener.local_addr().expect("address"));
    let app = Router::new().route("/hook", post(hear)).with_state(Arc::clone(&heard));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let seen = tokio::task::block_in_place(|| sdk.see("schedules", &[&url]));
    assert_eq!(seen["trigger"], json!(["PERIODIC"]), "{seen}");
    let run: i64 = seen["run"][0].as_str().and_then(|it| it.parse().ok()).expect("a run");
    let events = || {
        let heard = heard.lock().expect("heard");
        let own = heard.iter().filter(|it| it.1["run"]["run_id"] == run);
        own.map(|it| (it.0.clone(), it.1["event_type"].clone(), it.1["job"].clone())).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while events().len() < 2 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let job: i64 = seen["job"].as_str().and_then(|it| it.parse().ok()).expect("a job");
    let told = |event: &str| ("Basic dTpw".to_owned(), json!(event), json!({ "job_id": job, "name": "each second" }));
    assert_eq!(events(), [told("jobs.on_start"), told("jobs.on_success")]);
    server.abort();
}

/// Returns the job, for [`arrivals_outlive_a_kill`].
pub(crate) async fn files_that_arrive_begin_runs(sdk: &Sdk, on: &Endpoints) -> String {
    let aws = super::aws(on).await;
    aws.s3().create_bucket().bucket("arrivals").send().await.expect("a bucket");
    put(on, "beside/before.csv").await;
    let see = |what: &str, more: &[&str]| tokio::task::block_in_place(|| sdk.see(what, more));
    let job = see("arrivals", &["s3://arrivals/in/"])["job"].as_str().expect("a job").to_owned();
    put(on, "beside/after.csv").await;
    put(on, "in/2026/first.csv").await;
    assert_eq!(see("arrived", &[&job, "1"])["triggers"], json!(["FILE_ARRIVAL"]));
    job
}

/// What was seen before a kill begins no other run after it, and what comes then begins the next.
pub(crate) async fn arrivals_outlive_a_kill(sdk: &Sdk, on: &Endpoints, job: &str) {
    let see = |count: &str| tokio::task::block_in_place(|| sdk.see("arrived", &[job, count]))["triggers"].clone();
    assert_eq!(see("1"), json!(["FILE_ARRIVAL"]), "the one from before");
    put(on, "in/2026/first.csv").await;
    put(on, "in/second.csv").await;
    assert_eq!(see("2"), json!(["FILE_ARRIVAL", "FILE_ARRIVAL"]));
}

async fn put(on: &Endpoints, key: &str) {
    let aws = super::aws(on).await;
    aws.s3().put_object().bucket("arrivals").key(key).body(b"x".to_vec().into()).send().await.expect("written");
}

pub(crate) async fn a_kill_ends_what_runs(sdk: &Sdk, home: &Home) {
    let left = tokio::task::block_in_place(|| sdk.see("begin", &[]));
    let supervisor = local::status(home).await.expect("status").pid.expect("supervisor");
    let before = session(supervisor);
    kill(supervisor);
    local::ensure(home, &|_| {}).await.expect("recover");
    assert_eq!(session(supervisor), Vec::<u32>::new(), "left by the supervisor that was killed, of {before:?}");
    let ids = ["run", "queued"].map(|it| left[it].as_str().expect("a run"));
    let seen = tokio::task::block_in_place(|| sdk.see("look", &ids));
    let failed = ["INTERNAL_ERROR", "FAILED"];
    assert_eq!((&seen["run"], &seen["tasks"]), (&json!(failed), &json!({ "left": failed })));
    assert_eq!(seen["message"], "The local cloud ended while the run was under way.");
    assert_eq!((&seen["next"], &seen["cancelled"]), (&json!(["RUNNING", null]), &json!(["TERMINATED", "CANCELED"])));
}
