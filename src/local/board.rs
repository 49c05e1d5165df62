//! What the supervisor knows of its parts, for whoever asks; and the supervisor's own log.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::UNIX_EPOCH,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    ACCOUNT, Endpoints, PartStatus, REGION, State, Status,
    error::{Error, Result},
    files,
    home::Home,
    part::Part,
    ports::Ports,
    process::{self, Process},
};

/// The processes of a supervisor, written down for the case that it is killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The supervisor.
    pub(crate) supervisor: Process,
    /// Its parts, each the leader of a process group in the supervisor's session.
    pub(crate) parts: BTreeMap<String, Process>,
}

/// What is known, and the wish to stop.
pub(crate) struct Board {
    home: Home,
    status: Mutex<Status>,
    record: Mutex<Record>,
    log: Mutex<File>,
    failure: Mutex<Option<Error>>,
    /// Cancelled when the local cloud is to stop.
    pub(crate) stop: CancellationToken,
}

impl Board {
    /// Begins with all parts stopped.
    pub(crate) fn new(home: &Home, ports: Ports) -> Result<Self> {
        let pid = std::process::id();
        let part = |name: &str, port| PartStatus {
            name: name.to_owned(),
            state: State::Stopped,
            pid: None,
            port,
            restarts: 0,
            since: None,
            memory: None,
            crash: None,
        };
        let mut parts: Vec<_> =
            [Part::Postgres, Part::Kafka, Part::Cloud].into_iter().map(|it| part(it.name(), it.port(ports))).collect();
        parts.push(part("gateway", ports.gateway));
        parts.push(part("databricks", ports.databricks));
        let status = Status {
            ready: false,
            pid: Some(pid),
            since: Some(Timestamp::now()),
            build: build_of(Path::new("/proc/self/exe")),
            endpoints: endpoints(ports),
            parts,
        };
        let supervisor = Process::find(pid).unwrap_or(Process { pid, start: 0 });
        Ok(Self {
            home: home.clone(),
            status: Mutex::new(status),
            record: Mutex::new(Record { supervisor, parts: BTreeMap::new() }),
            log: Mutex::new(files::open_log(&home.log("supervisor"))?),
            failure: Mutex::new(None),
            stop: CancellationToken::new(),
        })
    }

    /// What is known now, with the memory of the parts when it is wanted, for that takes some milliseconds.
    pub(crate) fn status(&self, memory: bool) -> Status {
        let mut status = held(&self.status).clone();
        if memory {
            for part in &mut status.parts {
                part.memory = part.pid.map(process::memory);
            }
        }
        status
    }

    /// Notes a part's new state.
    pub(crate) fn set(&self, name: &str, state: State) {
        let mut status = held(&self.status);
        if let Some(part) = status.parts.iter_mut().find(|it| it.name == name) {
            part.state = state;
            part.since = Some(Timestamp::now());
        }
        status.ready = status.parts.iter().all(|it| it.state == State::Ready);
    }

    /// Says whether all parts that are processes answer: those that the supervisor serves itself come after them.
    pub(crate) fn processes_ready(&self) -> bool {
        let names = [Part::Postgres, Part::Kafka, Part::Cloud].map(Part::name);
        let status = held(&self.status);
        status.parts.iter().filter(|it| names.contains(&it.name.as_str())).all(|it| it.state == State::Ready)
    }

    /// Notes a part's process, also on disk; none when it ended.
    pub(crate) fn set_process(&self, name: &str, process: Option<Process>) -> Result<()> {
        if let Some(part) = held(&self.status).parts.iter_mut().find(|it| it.name == name) {
            part.pid = process.map(|it| it.pid);
        }
        let mut record = held(&self.record);
        match process {
            Some(it) => record.parts.insert(name.to_owned(), it),
            None => record.parts.remove(name),
        };
        files::write_json(&self.home.record(), &*record)
    }

    /// Notes that a part crashed.
    pub(crate) fn crashed(&self, name: &str, why: &Error) {
        let why = why.to_string();
        // The lines that follow are the part's own log.
        let why = why.lines().next().unwrap_or_default();
        self.set(name, State::Crashed);
        if let Some(part) = held(&self.status).parts.iter_mut().find(|it| it.name == name) {
            part.restarts += 1;
            part.crash = Some(why.to_owned());
        }
        self.log(&format!("{name} crashed: {why}"));
    }

    /// Notes why the start failed, and stops. Only the first cause counts.
    pub(crate) fn fail(&self, err: Error) {
        self.log(&format!("cannot start: {err}"));
        held(&self.failure).get_or_insert(err);
        self.stop.cancel();
    }

    /// Why the start failed.
    pub(crate) fn failure(&self) -> Option<Error> {
        held(&self.failure).take()
    }

    /// Writes a line into the supervisor's log.
    pub(crate) fn log(&self, message: &str) {
        let line = format!("{:.3} {message}\n", Timestamp::now());
        // There is no better place to say that the log cannot be written.
        held(&self.log).write_all(line.as_bytes()).ok();
    }
}

/// Where a local cloud answers.
pub(crate) fn endpoints(ports: Ports) -> Endpoints {
    Endpoints {
        gateway: format!("http://127.0.0.1:{}", ports.gateway),
        databricks: format!("http://127.0.0.1:{}", ports.databricks),
        kafka: format!("127.0.0.1:{}", ports.kafka),
        postgres: format!("127.0.0.1:{}", ports.postgres),
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
    }
}

/// Tells builds of `ecomctl` apart, without reading them.
pub(crate) fn build_of(program: &Path) -> String {
    let told = fs::metadata(program).and_then(|it| Ok((it.len(), it.modified()?)));
    let told = told.map(|(size, time)| (size, time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()));
    told.map(|(size, time)| format!("{size}-{time}")).unwrap_or_default()
}

/// The data is whole even when a thread ended while it held the lock: each change is one assignment.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
