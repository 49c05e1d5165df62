//! The poller: takes records from Kafka to Lambda as an event source mapping does.
//!
//! One consumer per mapping, one invocation at a time: the order of every partition is kept. Offsets are committed only
//! after the function took the records, or after the on-failure destination did: at least once, never lost. It knows
//! neither the API of mappings nor their records.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    client::kafka::Start,
    local::gateway::{broker::Brokers, cloudwatch::source::Meter, upstream::Upstream},
};

mod batch;
mod deliver;
mod event;
mod invoke;
mod reject;
mod run;

pub(crate) use reject::Destination;

/// The most bytes of an event: what Lambda takes in a synchronous invocation.
const LARGEST_EVENT: usize = 6 * 1024 * 1024;
/// How long a poller may take to end: an invocation under way is awaited that long.
const GRACE: Duration = Duration::from_secs(10);

/// What one mapping does.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// The mapping's identifier.
    pub(crate) id: String,
    /// The region.
    pub(crate) region: String,
    /// The function, with a version or alias behind it or not.
    pub(crate) function_arn: String,
    /// The cluster.
    pub(crate) source_arn: String,
    /// The topic.
    pub(crate) topic: String,
    /// The consumer group.
    pub(crate) group: String,
    /// Where reading begins.
    pub(crate) start: Start,
    /// The most records of a batch.
    pub(crate) batch_size: usize,
    /// How long a batch is gathered.
    pub(crate) window: Duration,
    /// The most retries; `None` for ever.
    pub(crate) retries: Option<u32>,
    /// The age beyond which a failed record is not tried again.
    pub(crate) age: Option<Duration>,
    /// Whether a failed batch is split in two.
    pub(crate) bisect: bool,
    /// Whether the function reports single records that failed.
    pub(crate) reports_items: bool,
    /// Whether its events are counted as metrics.
    pub(crate) counts_events: bool,
    /// Where records go that are given up.
    pub(crate) destination: Option<Destination>,
}

/// How a mapping is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// How the latest attempt went, in Lambda's words; empty before the first.
    pub(crate) result: String,
    /// The records that were taken.
    pub(crate) records: u64,
    /// The invocations that were answered.
    pub(crate) invocations: u64,
    /// The invocations that failed.
    pub(crate) failures: u64,
    /// The records that were given up.
    pub(crate) given_up: u64,
}

/// Runs the mappings of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Poller {
    upstream: Upstream,
    brokers: Arc<Brokers>,
    meter: Meter,
    running: Arc<Mutex<BTreeMap<String, Running>>>,
}

#[derive(Debug)]
struct Running {
    /// Cancelled when it shall end; the flag says whether it comes back.
    stop: CancellationToken,
    leave: CancellationToken,
    status: Arc<Mutex<Status>>,
    task: JoinHandle<()>,
}

impl Poller {
    /// Runs nothing yet.
    pub(crate) fn new(upstream: Upstream, brokers: Arc<Brokers>, meter: Meter) -> Self {
        Self { upstream, brokers, meter, running: Arc::default() }
    }

    /// Starts a mapping; where it runs already, it goes on with these settings.
    pub(crate) async fn start(&self, job: Job) {
        let before = self.end(&job.id, false).await;
        let id = job.id.clone();
        let (stop, leave) = (CancellationToken::new(), CancellationToken::new());
        let status = Arc::new(Mutex::new(before.unwrap_or_default()));
        let run = run::Run {
            job,
            upstream: self.upstream.clone(),
            brokers: Arc::clone(&self.brokers),
            meter: self.meter.clone(),
            status: Arc::clone(&status),
            stop: stop.clone(),
            leave: leave.clone(),
        };
        let task = tokio::spawn(run.forever());
        self.lock().insert(id, Running { stop, leave, status, task });
    }

    /// Stops a mapping and leaves its group. An invocation under way is awaited for a while.
    pub(crate) async fn stop(&self, id: &str) {
        self.end(id, true).await;
    }

    /// Stops all mappings, which keep their places in their groups for the next start.
    pub(crate) async fn pause_all(&self) {
        let all: Vec<_> = self.lock().keys().cloned().collect();
        futures::future::join_all(all.iter().map(|it| self.end(it, false))).await;
    }

    /// Says how a mapping is doing; `None` while it does not run.
    pub(crate) fn status(&self, id: &str) -> Option<Status> {
        self.lock().get(id).map(|it| it.status.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn end(&self, id: &str, leave: bool) -> Option<Status> {
        let it = self.lock().remove(id)?;
        if leave {
            it.leave.cancel();
        }
        it.stop.cancel();
        let mut task = it.task;
        if tokio::time::timeout(GRACE, &mut task).await.is_err() {
            task.abort();
        }
        let status = it.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(status)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
