//! The pipeline, brought up by the real program on a local cloud of its own, and looked at from outside.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{self, Stdio},
    time::Duration,
};

use ecomctl::{
    client::{self, kafka::Kafka},
    local::{self, Endpoints, Home},
};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// The topics; the core tables have the same names.
pub(crate) const TOPICS: [&str; 4] = ["customers", "orders", "order_details", "payments"];
/// How long a backlog may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// The time of the last event of all runs: equal runs send equal events.
pub(crate) const UNTIL: &str = "2026-06-01T00:00:00Z";
const PROGRAM: &str = env!("CARGO_BIN_EXE_ecomctl");

/// A home that is gone with the test; software and built Lambdas are shared by all tests.
pub(crate) struct Place {
    home: Home,
    dir: TempDir,
    project: PathBuf,
}

impl Place {
    /// Brings the stack `local` up.
    pub(crate) async fn up() -> Self {
        let place = Self::new();
        place.run(["up", "local", "--yes"]).await.expect("comes up");
        place
    }

    /// Brings a stack `local` up that differs from the repository's in these fields of resources.
    pub(crate) async fn up_with(resources: &str) -> Self {
        let mut place = Self::new();
        // What is built from the repository itself is found again from the copy.
        place.run(["build", "local"]).await.expect("builds");
        let (repository, project) = (place.project.clone(), place.dir.path().join("project"));
        fs::create_dir_all(project.join("stacks")).expect("created");
        for it in fs::read_dir(&repository).expect("a folder").map(|it| it.expect("an entry").file_name()) {
            if it != "stacks" && it != ".ecomctl" {
                symlink(repository.join(&it), project.join(&it)).expect("linked");
            }
        }
        for (from, to) in [("base", "base"), ("local", "shipped")] {
            let [from, to] = [(&repository, from), (&project, to)].map(|(at, it)| at.join(format!("stacks/{it}.yaml")));
            fs::copy(from, to).expect("copied");
        }
        let text = format!("extends: shipped.yaml\nstack: {{ target: local }}\nresources:\n{resources}");
        fs::write(project.join("stacks/local.yaml"), text).expect("written");
        place.project = project;
        place.run(["up", "local", "--yes"]).await.expect("comes up");
        place
    }

    fn new() -> Self {
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let dir = tempfile::tempdir().expect("a folder");
        let artifacts = shared.join("artifacts/artifacts");
        fs::create_dir_all(&artifacts).expect("created");
        symlink(artifacts, dir.path().join("artifacts")).expect("linked");
        let home = Home::with_program(dir.path(), Path::new(PROGRAM)).expect("a home");
        let home = home.with_software(&shared.join("software")).expect("software").with_free_ports();
        Self { home, dir, project: PathBuf::from(env!("CARGO_MANIFEST_DIR")) }
    }

    /// Runs the program in this project; returns what it printed, or what it complained of.
    pub(crate) async fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(&self.project).stdin(Stdio::null()).kill_on_drop(true);
        let software = Path::new(env!("CARGO_TARGET_TMPDIR")).join("software");
        command.env("ECOMCTL_HOME", self.dir.path()).env("ECOMCTL_PORTS", "free").env("ECOMCTL_SOFTWARE", software);
        let output = command.output().await.expect("the program starts");
        let text = |it: Vec<u8>| String::from_utf8_lossy(&it).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Reads the state of the local cloud.
    pub(crate) async fn status(&self) -> local::Status {
        local::status(&self.home).await.expect("a status")
    }

    /// Returns where the local cloud answers.
    pub(crate) async fn endpoints(&self) -> Endpoints {
        self.status().await.endpoints
    }

    /// Connects to the brokers.
    pub(crate) async fn kafka(&self) -> Kafka {
        Kafka::connect(&self.endpoints().await.kafka).await.expect("brokers")
    }

    /// Connects to the database that holds the tables.
    pub(crate) async fn database(&self) -> tokio_postgres::Client {
        let on = self.endpoints().await;
        let (host, port) = on.postgres.split_once(':').expect("host and port");
        let mut config = tokio_postgres::Config::new();
        let password = fs::read_to_string(self.home.postgres_password()).expect("a password");
        config.host(host).port(port.parse().expect("a port")).user("postgres").password(password).dbname("shop");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a database");
        tokio::spawn(connection);
        client.batch_execute("SET TimeZone = 'UTC'").await.expect("set");
        client
    }
}

/// Sums up the ends of all partitions, and the offsets that the triggers have committed.
pub(crate) async fn offsets(kafka: &Kafka) -> client::Result<(i64, i64)> {
    let (mut end, mut taken) = (0, 0);
    for topic in TOPICS {
        for it in kafka.progress(&format!("local-{}", topic.replace('_', "-")), &[topic]).await? {
            end += it.end;
            taken += it.committed.unwrap_or(0);
        }
    }
    Ok((end, taken))
}

/// Reads rows as `COPY … TO STDOUT` writes them.
pub(crate) async fn copy(database: &tokio_postgres::Client, query: &str) -> Vec<String> {
    copied(database, &format!("COPY ({query}) TO STDOUT")).await
}

/// Reads the lines that a `COPY` writes.
pub(crate) async fn copied(database: &tokio_postgres::Client, statement: &str) -> Vec<String> {
    let stream = database.copy_out(statement).await.expect("a copy").boxed();
    let bytes = stream.try_fold(Vec::new(), |mut all, it| async move {
        all.extend_from_slice(&it);
        Ok(all)
    });
    let text = String::from_utf8(bytes.await.expect("rows")).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

impl Drop for Place {
    /// Stops the local cloud, also when a test fails.
    fn drop(&mut self) {
        let home = self.dir.path();
        let stop = process::Command::new(PROGRAM).args(["local", "stop"]).env("ECOMCTL_HOME", home).status();
        assert!(stop.is_ok_and(|it| it.success()) || std::thread::panicking(), "the local cloud does not stop");
    }
}

/// Sends the events of seed 7; returns how many.
pub(crate) async fn produce(place: &Place, options: &[&str]) -> Result<usize, String> {
    let always = ["produce", "local", "--seed", "7", "--until", UNTIL, "--json"];
    let out = place.run(always.iter().chain(options).copied()).await?;
    let out: Value = serde_json::from_str(&out).expect("JSON");
    Ok(usize::try_from(out["events"].as_u64().expect("a number")).expect("fits"))
}
