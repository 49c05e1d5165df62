//! Runs what is in the queue: at most one run per core at a time, each job's own limit included.

pub(super) mod arrival;
mod attempt;
mod log;
mod schedule;
mod spark;
mod task;
mod webhook;
mod wheel;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{select, sync::Notify, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    call::now,
    destination::Destinations,
    job::Jobs,
    log::Log,
    run::{
        record::{Ending, Life, Run, State},
        store::Runs,
    },
    secret::Secrets,
    workspace::Workspace,
};
use crate::local::{gateway::record::Records, starter::Starter};

/// What runs are run with.
pub(super) struct Place {
    /// The Python environment of Spark.
    pub(super) python: PathBuf,
    /// The folder for what is installed and embedded.
    pub(super) data: PathBuf,
    /// URL of all AWS services.
    pub(super) gateway: String,
    /// URL of this server.
    pub(super) address: String,
    /// Starts processes.
    pub(super) starter: Starter,
    /// Where is noted what became of runs.
    pub(super) log: Arc<Log>,
    /// How many runs there may be at a time.
    pub(super) cores: usize,
}

/// Runs runs.
#[derive(Clone)]
pub(super) struct Runner(Arc<Inner>);

struct Inner {
    place: Place,
    runs: Arc<Runs>,
    jobs: Arc<Jobs>,
    workspace: Arc<Workspace>,
    secrets: Arc<Secrets>,
    outbox: webhook::Outbox,
    arrivals: Records<arrival::Watches>,
    /// The runs that have left the queue, each with its wish to be cancelled.
    active: Mutex<BTreeMap<i64, CancellationToken>>,
    installing: tokio::sync::Mutex<()>,
    wake: Notify,
    ended: Notify,
    drivers: TaskTracker,
}

impl Runner {
    /// Prepares to run. Nothing happens before [`Runner::serve`].
    pub(super) fn new(
        place: Place,
        runs: Arc<Runs>,
        jobs: Arc<Jobs>,
        workspace: Arc<Workspace>,
        secrets: Arc<Secrets>,
        destinations: Arc<Destinations>,
    ) -> std::io::Result<Self> {
        attempt::write_programs(&place)?;
        let arrivals = Records::open(place.data.join("arrivals.json"))?;
        let outbox = webhook::Outbox::new(destinations, Arc::clone(&place.log));
        Ok(Self(Arc::new(Inner {
            place,
            runs,
            jobs,
            workspace,
            secrets,
            outbox,
            arrivals,
            active: Mutex::default(),
            installing: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            ended: Notify::new(),
            drivers: TaskTracker::new(),
        })))
    }

    /// Looks into the queue.
    pub(super) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Cancels a run; one that is over stays as it is. Returns before it is over.
    pub(super) async fn cancel(&self, id: i64) {
        self.0.runs.change(id, cancelled).await;
        // Only now: whoever leaves the queue is among the active before it says so.
        let token = self.0.active().get(&id).cloned();
        if let Some(token) = token {
            token.cancel();
        }
        self.0.ended.notify_one();
    }

    /// Runs what comes into the queue, and what is due, until `shutdown` is cancelled; then no process of it is left.
    pub(super) async fn serve(&self, shutdown: CancellationToken) {
        let due = schedule::serve(&self.0, self);
        let queue = async {
            loop {
                self.dispatch(&shutdown).await;
                self.0.wake.notified().await;
            }
        };
        select! {
            () = due => {}
            () = Box::pin(arrival::serve(&self.0, self)) => {}
            () = queue => {}
            () = shutdown.cancelled() => {}
        }
        self.0.drivers.close();
        self.0.drivers.wait().await;
        self.0.outbox.close().await;
    }

    async fn dispatch(&self, shutdown: &CancellationToken) {
        let inner = &self.0;
        for run in inner.runs.all().into_iter().rev().filter(|it| it.state.life == Life::Queued) {
            if inner.active().len() >= inner.place.cores {
                return;
            }
            let is_same = |it: &Arc<Run>| it.job == run.job && it.id != run.id;
            let others = inner.runs.all();
            let others =
                others.iter().filter(|it| is_same(it) && !it.state.life.is_over() && it.state.life != Life::Queued);
            let Ok(settings) = run.read() else { continue };
            if others.count() >= settings.max_concurrent_runs.unwrap_or(1).max(1) as usize {
                continue;
            }
            let cancel = CancellationToken::new();
            inner.active().insert(run.id, cancel.clone());
            let started = inner.runs.change(run.id, started).await;
            if started.is_none_or(|it| it.state.life != Life::Pending) {
                inner.active().remove(&run.id);
                continue;
            }
            let (inner, shutdown) = (Arc::clone(inner), shutdown.clone());
            self.0.drivers.spawn(async move { inner.drive(run.id, cancel, shutdown).await });
        }
    }
}

/// Leaves the queue, where it is still in it.
fn started(run: &mut Run) {
    if run.state.life == Life::Queued {
        run.state = State::new(Life::Pending, "");
        run.started = Some(now());
    }
}

/// Is over at once, where nothing of it has begun; otherwise who drives it brings it to its end.
fn cancelled(run: &mut Run) {
    match run.state.life {
        Life::Queued => run.end(&State::over(Life::Terminated, Ending::Canceled, "Run cancelled.")),
        it if !it.is_over() => run.state = State::new(Life::Terminating, "Run is being cancelled."),
        _ => {}
    }
}

impl Inner {
    /// The data is whole even when a thread ended while it held the lock: each change is one assignment.
    fn active(&self) -> MutexGuard<'_, BTreeMap<i64, CancellationToken>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one run to its end, whatever that is.
    async fn drive(self: Arc<Self>, id: i64, cancel: CancellationToken, shutdown: CancellationToken) {
        let state = match self.runs.find(id).map(|it| (it.read(), it)) {
            Some((Ok(settings), run)) => {
                self.place.log.write(&format!("run {id} of {} begins", run.name()));
                webhook::tell(&self, &run, &settings, "on_start");
                let limit = settings.timeout_seconds.filter(|it| *it > 0).map(Duration::from_secs);
                let timeout = async {
                    match limit {
                        Some(it) => sleep(it).await,
                        None => std::future::pending().await,
                    }
                };
                select! {
                    it = task::all(&self, id, &settings) => it,
                    () = cancel.cancelled() => State::over(Life::Terminated, Ending::Canceled, "Run cancelled."),
                    () = timeout => State::over(Life::Terminated, Ending::TimedOut, "Run timed out."),
                    () = shutdown.cancelled() => {
                        let message = "The local cloud was stopped while the run was under way.";
                        State::over(Life::InternalError, Ending::Failed, message)
                    }
                }
            }
            Some((Err(fault), _)) => State::over(Life::InternalError, Ending::Failed, fault.message),
            None => return,
        };
        let run = self.runs.change(id, |it| it.end(&state)).await;
        self.active().remove(&id);
        self.wake.notify_one();
        self.ended.notify_one();
        let Some(run) = run else { return };
        let words = [format!("{:?}", state.life), state.result.map(|it| format!(", {it:?}")).unwrap_or_default()];
        self.place.log.write(&format!("run {id} of {}: {} {}", run.name(), words.concat(), state.message));
        if let Ok(settings) = run.read() {
            webhook::tell(&self, &run, &settings, webhook::event_of(state.result));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(life: Life) -> Run {
        let run = json!({
            "id": 1, "job": 1, "number": 1, "creator": "x", "submitted": false, "trigger": "ONE_TIME", "settings": {},
            "parameters": {}, "created": 1, "state": { "life": life, "result": null, "message": "" }, "tasks": [],
        });
        serde_json::from_value(run).expect("a run")
    }

    /// Whichever of the two comes first: it is over, or somebody drives it who is told.
    #[test]
    fn a_run_that_is_cancelled_while_it_leaves_the_queue_does_not_stay() {
        let mut first = run(Life::Queued);
        cancelled(&mut first);
        started(&mut first);
        assert_eq!((first.state.life, first.state.result), (Life::Terminated, Some(Ending::Canceled)));
        let mut second = run(Life::Queued);
        started(&mut second);
        assert_eq!(second.state.life, Life::Pending, "it is driven");
        cancelled(&mut second);
        assert_eq!(second.state.life, Life::Terminating);
        let mut over = run(Life::Terminated);
        cancelled(&mut over);
        assert_eq!(over.state.life, Life::Terminated);
    }
}
