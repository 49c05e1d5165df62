//! Spark for one run: a Sail server, started when the first task needs it, and again when it has ended.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    select,
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Inner, attempt, log, wheel};
use crate::local::{databricks::job::settings::Settings, files};

/// The longest that it may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a run finds its Spark.
pub(super) struct Server<'a> {
    inner: &'a Inner,
    run: i64,
    settings: &'a Settings,
    now: Mutex<Option<Arc<Spark>>>,
}

/// A Spark server that listens. It ends when this is dropped.
pub(super) struct Spark {
    /// Its port of 127.0.0.1.
    pub(super) port: u16,
    /// Cancelled when it has ended by itself.
    pub(super) gone: CancellationToken,
    log: PathBuf,
    _stop: DropGuard,
}

impl Spark {
    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        files::tail(&self.log, 15)
    }
}

impl<'a> Server<'a> {
    /// Prepares it, and starts nothing.
    pub(super) fn new(inner: &'a Inner, run: i64, settings: &'a Settings) -> Self {
        Self { inner, run, settings, now: Mutex::new(None) }
    }

    /// The server that runs, or a new one.
    pub(super) async fn get(&self) -> Result<Arc<Spark>, String> {
        let mut now = self.now.lock().await;
        match &*now {
            Some(it) if !it.gone.is_cancelled() => Ok(Arc::clone(it)),
            _ => {
                let it = Arc::new(self.start().await?);
                *now = Some(Arc::clone(&it));
                Ok(it)
            }
        }
    }

    async fn start(&self) -> Result<Spark, String> {
        let io = |err: std::io::Error| format!("Spark's server cannot be started: {err}");
        let folder = self.inner.runs.folder(self.run).join("spark");
        let (work, log) = (folder.join("work"), folder.join("log"));
        std::fs::create_dir_all(&work).map_err(io)?;
        // Functions of Python are run by the server, so it needs what any task of the run has. What cannot be had is that
        // task's own failure.
        let mut libraries = Vec::new();
        let mut variables = BTreeMap::new();
        for task in &self.settings.tasks {
            if let Ok((more, _)) = wheel::install(self.inner, &task.packages(self.settings)).await {
                libraries.extend(more);
            }
            variables.extend(attempt::variables(self.inner, task.cluster(self.settings)).unwrap_or_default());
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr()).map_err(io)?.port();
        let mut command = attempt::python(&self.inner.place, &work, &libraries, &variables).map_err(io)?;
        command.args(["-m", "pysail", "spark", "server", "--ip", "127.0.0.1", "--port", &port.to_string()]);
        command.env("SAIL_EXECUTION__CHECKPOINT__PATH", folder.join("work/checkpoint")).env("SPARK_HOME", &work);
        let (reader, writer) = std::io::pipe().map_err(io)?;
        command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(io)?).stderr(writer);
        log::keep(reader, log.clone(), &self.inner.secrets).map_err(io)?;
        let name = format!("run {} spark", self.run);
        let mut process = self.inner.place.starter.start(name, command).await.map_err(io)?;

        let (gone, stop) = (CancellationToken::new(), CancellationToken::new());
        let listens = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                sleep(Duration::from_millis(25)).await;
            }
        };
        let why = select! {
            it = timeout(PATIENCE, listens) => match it {
                Ok(()) => None,
                Err(_) => Some(format!("it does not listen within {} s", PATIENCE.as_secs())),
            },
            it = process.child.wait() => Some(it.map_or_else(|err| err.to_string(), |it| format!("it ended ({it})"))),
        };
        if let Some(why) = why {
            return Err(format!("Spark's server cannot be started: {why}\n{}", files::tail(&log, 15)));
        }
        let spark = Spark { port, gone: gone.clone(), log, _stop: stop.clone().drop_guard() };
        tokio::spawn(async move {
            select! {
                _ = process.child.wait() => gone.cancel(),
                () = stop.cancelled() => {}
            }
            drop(process);
            // What it kept while it ran is of no use to anybody.
            files::remove(&work).ok();
        });
        Ok(spark)
    }
}
