//! What commands do with a local cloud: start it, ask it, stop it.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    join,
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{
    Endpoints, PARTS, PartStatus, Progress, State, Status,
    board::{self, Record},
    error::{Error, Result},
    exec::Identity,
    files,
    home::Home,
    part::Programs,
    ports::Ports,
    process,
    setup::{self, open_lock, postgres},
    socket::{self, Request},
    supervisor,
};

/// The longest that a supervisor may take until all its parts answer; each part has its own limit beneath it.
const PATIENCE: Duration = Duration::from_secs(180);

/// Makes sure that the local cloud runs and answers: sets it up, starts it, or waits for it, as need be. Takes some
/// milliseconds when it runs already. Restarts one that an older build of `ecomctl` started.
pub async fn ensure(home: &Home, progress: &(dyn Fn(Progress) + Sync)) -> Result<Endpoints> {
    if let Some(status) = socket::ask(home, Request::Status).await? {
        if status.build != board::build_of(home.program()) {
            progress(Progress {
                part: "supervisor",
                message: "restarting: ecomctl has changed".to_owned(),
                done: None,
            });
            stop(home).await?;
        } else if status.ready {
            return Ok(status.endpoints);
        }
    }
    let mut start = None;
    let mut told = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match socket::ask(home, Request::Status).await? {
            Some(status) => {
                tell(&status.parts, &mut told, progress);
                if status.ready {
                    return Ok(status.endpoints);
                }
            }
            None => match &mut start {
                None if !is_held(home)? => start = Some(launch(home, progress).await?),
                Some(child) => check(home, child)?,
                // It is about to listen.
                None => {}
            },
        }
        if Instant::now() > deadline {
            let message = format!("did not get all parts ready within {} s", PATIENCE.as_secs());
            return Err(Error::Supervisor { message, log: files::tail(&home.log("supervisor"), 15) });
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Finds out where the local cloud answers; none when it does not run, or not with all its parts.
pub async fn running(home: &Home) -> Result<Option<Endpoints>> {
    Ok(socket::ask(home, Request::Status).await?.filter(|it| it.ready).map(|it| it.endpoints))
}

/// Describes the local cloud, running or not.
pub async fn status(home: &Home) -> Result<Status> {
    if let Some(status) = socket::ask(home, Request::Memory).await? {
        return Ok(status);
    }
    let endpoints = board::endpoints(Ports::known(home)?);
    Ok(Status { ready: false, pid: None, since: None, build: String::new(), endpoints, parts: Vec::new() })
}

/// Stops the local cloud, and says whether it ran. No process of it is left afterwards, and all data is kept.
pub async fn stop(home: &Home) -> Result<bool> {
    // Its own deadlines are shorter: this one passes only when the supervisor itself hangs.
    const LONGEST: Duration = Duration::from_secs(60);
    if !home.local().exists() {
        return Ok(false);
    }
    let ran = is_held(home)?;
    let record: Option<Record> = files::read_note(&home.record());
    let mut asked = false;
    let deadline = Instant::now() + LONGEST;
    while is_held(home)? {
        // One that has just been started listens a little later.
        asked = asked || socket::ask(home, Request::Stop).await?.is_some();
        if Instant::now() > deadline {
            let Some(record) = &record else {
                let message = format!("does not stop within {} s", LONGEST.as_secs());
                return Err(Error::Supervisor { message, log: files::tail(&home.log("supervisor"), 15) });
            };
            record.supervisor.signal(Signal::KILL);
            process::wait_gone(&[record.supervisor], Duration::from_secs(5)).await;
        }
        sleep(Duration::from_millis(10)).await;
    }
    // The lock is released a moment before the process is gone.
    if let Some(record) = &record {
        process::wait_gone(&[record.supervisor], Duration::from_secs(5)).await;
    }
    supervisor::clear_leftovers(home).await?;
    Ok(ran)
}

/// Stops the local cloud and removes all its data, its logs and its choice of ports. Downloaded software stays.
pub async fn reset(home: &Home) -> Result<()> {
    stop(home).await?;
    for path in [home.data(), home.run(), home.logs(), home.ports()] {
        files::remove(&path)?;
    }
    Ok(())
}

/// The last lines of the logs of all parts, or of one: each with the part's name.
pub fn logs(home: &Home, part: Option<&str>, lines: usize) -> Vec<(&'static str, String)> {
    PARTS
        .into_iter()
        .filter(|&it| part.is_none_or(|part| part == it))
        .map(|it| (it, files::tail(&home.log(it), lines)))
        .collect()
}

/// Follows a log from its present end.
pub struct Follow {
    path: PathBuf,
    at: u64,
}

impl Follow {
    /// Begins at the end of a part's log.
    pub fn new(home: &Home, part: &str) -> Self {
        let path = home.log(part);
        let at = path.metadata().map_or(0, |it| it.len());
        Self { path, at }
    }

    /// What was written since the last call, in whole lines; empty when nothing was.
    pub fn more(&mut self) -> Result<String> {
        let mut read = || -> io::Result<String> {
            let mut file = match File::open(&self.path) {
                Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
                it => it?,
            };
            // A shorter file is a new one.
            if file.metadata()?.len() < self.at {
                self.at = 0;
            }
            file.seek(SeekFrom::Start(self.at))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            bytes.truncate(bytes.iter().rposition(|&it| it == b'\n').map_or(0, |it| it + 1));
            self.at += bytes.len() as u64;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().map_err(|err| Error::io("read", self.path.display(), err))
    }
}

/// Sets up, and starts a supervisor in the background.
async fn launch(home: &Home, progress: &(dyn Fn(Progress) + Sync)) -> Result<Child> {
    let tools = setup::setup(home, progress).await?;
    let data = home.data();
    let (postgres, identity) = join!(postgres::programs(home), Identity::choose(home.program(), &data));
    let programs = Programs { java: tools.java, postgres, identity: identity? };
    files::write_json(&home.run().join("programs.json"), &programs)?;
    let log = files::open_log(&home.log("supervisor"))?;
    let error_log = log.try_clone().map_err(|err| Error::io("open", "supervisor.log", err))?;
    let mut command = Command::new(home.program());
    command.args(["local", "serve"]).envs(home.environment());
    command.current_dir(home.local()).stdin(Stdio::null()).stdout(log).stderr(error_log);
    command.spawn().map_err(|err| Error::io("start", home.program().display(), err))
}

/// Fails when a supervisor that was started here has ended, with its own words.
fn check(home: &Home, child: &mut Child) -> Result<()> {
    // It also ends, with success, when another one was faster; that one is waited for.
    let Ok(Some(ended)) = child.try_wait() else { return Ok(()) };
    if ended.success() && is_held(home)? {
        return Ok(());
    }
    match files::read_json::<(String, String)>(&home.failure())? {
        Some((message, help)) => Err(Error::Start { message, help }),
        None => Err(Error::Supervisor {
            message: format!("ended while it started ({ended})"),
            log: files::tail(&home.log("supervisor"), 15),
        }),
    }
}

/// Says whether a supervisor lives.
fn is_held(home: &Home) -> Result<bool> {
    if !home.local().exists() {
        return Ok(false);
    }
    match open_lock(&home.supervisor_lock())?.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(err)) => Err(Error::io("lock", home.supervisor_lock().display(), err)),
    }
}

/// Reports what has changed since the last time.
fn tell(parts: &[PartStatus], told: &mut Vec<(&'static str, State, Instant)>, progress: &(dyn Fn(Progress) + Sync)) {
    for name in PARTS {
        let Some(part) = parts.iter().find(|it| it.name == name) else { continue };
        let last = told.iter().rev().find(|it| it.0 == name).copied();
        if last.is_some_and(|it| it.1 == part.state) || part.state == State::Stopped {
            continue;
        }
        let began = last.map_or_else(Instant::now, |it| it.2);
        let (message, done) = match part.state {
            State::Ready => ("ready", Some(began.elapsed())),
            State::Crashed => ("crashed, is started again", None),
            State::Starting | State::Stopped => ("starting", None),
        };
        progress(Progress { part: name, message: message.to_owned(), done });
        told.push((name, part.state, began));
    }
}
