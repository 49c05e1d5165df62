//! `PostgreSQL`, on loopback only, with a password that only a file knows.

use std::{fs, path::Path, time::Duration};

use rustix::process::Signal;
use tokio::{process::Command, time::timeout};

use super::Parts;
use crate::local::{
    error::{Error, Result},
    files,
    process::{self, Process},
    run::Run,
};

/// Prepares the cluster, once, clears away a crash's traces, and says how to start the server.
pub(super) async fn command(parts: &Parts) -> Result<Command> {
    let home = &parts.home;
    let parent = home.data().join("postgres");
    let cluster = parent.join("cluster");
    if !cluster.exists() {
        create(parts, &parent, &cluster).await?;
    }
    clear(&cluster).await?;

    let mut command =
        super::bare(parts.programs.identity, super::Part::Postgres.end(), &parts.programs.postgres.join("postgres"));
    command.arg("-D").arg(&cluster);
    for (name, value) in [
        ("port", parts.ports.postgres.to_string().as_str()),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("max_connections", "100"),
        ("shared_buffers", "128MB"),
        ("max_wal_size", "1GB"),
        ("fsync", "on"),
        ("jit", "off"),
        ("track_io_timing", "on"),
        ("log_destination", "stderr"),
        ("logging_collector", "off"),
        ("log_line_prefix", "%m [%p] "),
        ("log_timezone", "UTC"),
        ("timezone", "UTC"),
    ] {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    Ok(command)
}

/// Makes a cluster under another name first, so that an interrupted attempt is made again from the start.
async fn create(parts: &Parts, parent: &Path, cluster: &Path) -> Result<()> {
    let identity = parts.programs.identity;
    let draft = cluster.with_extension("new");
    let words = parent.join("password.new");
    files::create_dir(parent)?;
    files::remove(&draft)?;
    let password = match fs::read_to_string(parts.home.postgres_password()) {
        Ok(it) => it,
        Err(_) => {
            let it = uuid::Uuid::new_v4().simple().to_string();
            files::write(&parts.home.postgres_password(), it.as_bytes())?;
            it
        }
    };
    files::write(&words, password.as_bytes())?;
    identity.give(parent)?;
    identity.give(&words)?;
    let run = Run {
        what: "create the PostgreSQL cluster",
        help: "`ecomctl local reset`, then try again",
        patience: Duration::from_secs(120),
    };
    let mut initdb = super::bare(identity, Signal::KILL, &parts.programs.postgres.join("initdb"));
    initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums"]);
    initdb.arg("--pwfile").arg(&words).arg("--pgdata").arg(&draft);
    let made = run.run(&mut initdb).await;
    files::remove(&words)?;
    made?;
    files::rename(&draft, cluster)
}

/// Removes a lock that nobody holds. `PostgreSQL` itself refuses to start when another program has the process number
/// that a crashed server left in its lock file; here it is known which process worked on the data.
async fn clear(cluster: &Path) -> Result<()> {
    let lock = cluster.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&lock) else { return Ok(()) };
    let server = text.lines().next().and_then(|it| it.trim().parse().ok()).and_then(Process::find);
    if let Some(server) = server
        && process::works_in(server.pid, cluster)
    {
        for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
            server.signal(signal);
            if process::wait_gone(&[server], Duration::from_secs(5)).await {
                return files::remove(&lock);
            }
        }
        let message = format!("process {} still works on its data and does not end", server.pid);
        return Err(Error::Part { part: "postgres".to_owned(), message, log: String::new() });
    }
    files::remove(&lock)
}

/// Says whether the server answers a query.
pub(super) async fn is_ready(parts: &Parts) -> bool {
    let Ok(password) = fs::read_to_string(parts.home.postgres_password()) else { return false };
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(parts.ports.postgres).user("postgres").password(password).dbname("postgres");
    let query = async {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.ok()?;
        let ask = async move { client.simple_query("SELECT 1").await.ok() };
        // The connection ends when the client, which the question owns, is dropped.
        let (answer, _) = tokio::join!(ask, connection);
        answer
    };
    timeout(Duration::from_secs(5), query).await.is_ok_and(|it| it.is_some())
}
