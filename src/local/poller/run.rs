//! One mapping at work: fetches ahead while the function is busy, and begins anew after whatever goes wrong.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Job, LARGEST_EVENT, Status,
    batch::{Batch, Gather, Limits, Piece},
    deliver::{GivenUp, Noted, Outlet, Policy, deliver},
    event,
    invoke::{Function, Target},
    reject,
};
use crate::{
    client::{
        self, Reason,
        kafka::{Consumer, Fetched, Record, Subscription},
    },
    local::gateway::{broker::Brokers, cloudwatch::source::Meter, upstream::Upstream},
};

/// How many fetches may wait for the function, each of at most 8 MiB.
const AHEAD: usize = 2;
/// How long a consumer may fail before it is built anew.
const PATIENCE: Duration = Duration::from_secs(20);

/// One mapping at work.
pub(super) struct Run {
    pub(super) job: Job,
    pub(super) upstream: Upstream,
    pub(super) brokers: Arc<Brokers>,
    pub(super) meter: Meter,
    pub(super) status: Arc<Mutex<Status>>,
    /// Cancelled when it shall end.
    pub(super) stop: CancellationToken,
    /// Cancelled before `stop` when it shall also leave its group.
    pub(super) leave: CancellationToken,
}

impl Run {
    /// Works until it is stopped.
    pub(super) async fn forever(self) {
        let job = &self.job;
        let upstream = self.upstream.clone();
        let function = Function::new(upstream, &job.function_arn, &job.region, job.reports_items, self.meter.clone());
        while !self.stop.is_cancelled() {
            let opened = tokio::select! {
                it = self.open() => it,
                () = self.stop.cancelled() => break,
            };
            match opened {
                Ok(consumer) => {
                    self.work(&consumer, &function).await;
                    if let Err(err) = consumer.close(!self.leave.is_cancelled()).await {
                        tracing::debug!("mapping {}: {err}", job.id);
                    }
                }
                Err(err) => {
                    self.problem(&err.to_string());
                    self.wait(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn open(&self) -> client::Result<Consumer> {
        let Job { topic, group, id, start, .. } = &self.job;
        let kafka = self.brokers.kafka().await?;
        kafka.consumer(&Subscription { topic, group, member: id, start: *start }).await
    }

    /// Fetches and delivers until it is stopped, or until the consumer has to be built anew.
    async fn work(&self, consumer: &Consumer, function: &dyn Target) {
        let (send, receive) = mpsc::channel(AHEAD);
        // Either half ending ends the other: the fetching half by dropping `send`, the delivering one when stopped.
        futures::join!(self.fetch(consumer, send), self.pass(consumer, receive, function));
    }

    async fn fetch(&self, consumer: &Consumer, send: mpsc::Sender<Fetched>) {
        let mut failing: Option<Instant> = None;
        loop {
            let fetched = tokio::select! {
                it = consumer.poll(Duration::from_secs(1)) => it,
                () = self.stop.cancelled() => return,
                () = send.closed() => return,
            };
            match fetched {
                Ok(it) => {
                    failing = None;
                    self.count("PolledEventCount", it.records.len());
                    if !it.records.is_empty() && !self.hand_over(consumer, &send, it).await {
                        return;
                    }
                }
                Err(err) => {
                    let since = *failing.get_or_insert_with(Instant::now);
                    self.problem(&err.to_string());
                    if err.reason != Reason::Unavailable || since.elapsed() > PATIENCE {
                        return;
                    }
                    self.wait(Duration::from_millis(300)).await;
                }
            }
        }
    }

    /// Waits until there is room, and keeps the membership alive meanwhile. `false` when nobody takes it any more.
    async fn hand_over(&self, consumer: &Consumer, send: &mpsc::Sender<Fetched>, fetched: Fetched) -> bool {
        let mut fetched = Some(fetched);
        let mut room = Box::pin(send.reserve());
        let mut permit = timeout(Duration::from_secs(1), &mut room).await.ok();
        if permit.is_none() {
            consumer.pause().await;
            loop {
                tokio::select! {
                    it = &mut room => { permit = Some(it); break; }
                    () = self.stop.cancelled() => break,
                    // Fetches nothing, as all is paused.
                    it = consumer.poll(Duration::from_secs(5)) => match it {
                        Ok(it) if it.records.is_empty() => (),
                        Err(err) if err.reason == Reason::Unavailable => self.wait(Duration::from_millis(300)).await,
                        // Also where partitions that are not paused arrived meanwhile: later records must not overtake.
                        _ => return false,
                    },
                }
            }
            consumer.resume().await;
        }
        match (permit, fetched.take()) {
            (Some(Ok(permit)), Some(it)) => {
                permit.send(it);
                true
            }
            _ => false,
        }
    }

    async fn pass(&self, consumer: &Consumer, mut receive: mpsc::Receiver<Fetched>, function: &dyn Target) {
        let job = &self.job;
        let limits = Limits { records: job.batch_size, bytes: LARGEST_EVENT, window: job.window };
        let head = event::head(&job.source_arn, self.brokers.address());
        let mut gather = Gather::new(limits, head.into());
        let mut waiting: VecDeque<Record> = VecDeque::new();
        let mut epoch = 0;
        let mut open = true;
        let mut delivering: Option<Pin<Box<dyn Future<Output = bool> + Send + '_>>> = None;
        loop {
            while !gather.is_full() && waiting.front().is_some_and(|it| gather.push(it)) {
                waiting.pop_front();
            }
            let due = gather.due().map(Instant::from_std);
            if delivering.is_none() && open && due.is_some_and(|it| it <= Instant::now()) {
                delivering = Some(Box::pin(self.deliver(consumer, gather.take(), epoch, function)));
                continue;
            }
            let busy = delivering.is_some();
            tokio::select! {
                biased;
                done = async { match delivering.as_mut() { Some(it) => it.await, None => std::future::pending().await } } => {
                    delivering = None;
                    if !done {
                        // Its records come again, so what follows them must not go first.
                        return;
                    }
                }
                () = self.stop.cancelled(), if open => open = false,
                fetched = receive.recv(), if open && waiting.is_empty() && !gather.is_full() => match fetched {
                    Some(it) => {
                        if it.epoch != epoch {
                            gather.clear();
                            epoch = it.epoch;
                        }
                        waiting.extend(it.records);
                    }
                    None => open = false,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if open && !busy && due.is_some() => (),
            }
            if !open && delivering.is_none() {
                return;
            }
        }
    }

    async fn deliver(&self, consumer: &Consumer, batch: Batch, epoch: u64, function: &dyn Target) -> bool {
        let job = &self.job;
        let policy =
            Policy { retries: job.retries, age: job.age, bisect: job.bisect, destination: job.destination.is_some() };
        deliver(&batch, policy, function, &Hold { run: self, consumer, epoch }).await
    }

    async fn wait(&self, wait: Duration) {
        // Being stopped meanwhile is as good as the time being over.
        let _ = timeout(wait, self.stop.cancelled()).await;
    }

    /// Counts events, where the mapping was asked to.
    fn count(&self, name: &str, events: usize) {
        if self.job.counts_events && events > 0 {
            self.meter.events(&self.job.region, &self.job.id, name, events);
        }
    }

    fn problem(&self, reason: &str) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let result = format!("PROBLEM: {reason}");
        if status.result != result {
            tracing::warn!("mapping {} of {}: {reason}", self.job.id, self.job.topic);
            status.result = result;
        }
    }
}

/// The records that a consumer holds, as long as they are its own.
struct Hold<'a> {
    run: &'a Run,
    consumer: &'a Consumer,
    epoch: u64,
}

impl Outlet for Hold<'_> {
    fn commit(&self, next: Vec<(i32, i64)>) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            for attempt in 0.. {
                if self.consumer.epoch() != self.epoch {
                    return false;
                }
                match self.consumer.commit(next.iter().copied()).await {
                    Ok(()) => return true,
                    Err(err) if err.reason == Reason::Unavailable && attempt < 10 => {
                        self.run.wait(Duration::from_millis(300)).await;
                    }
                    Err(err) => {
                        self.run.problem(&err.to_string());
                        return false;
                    }
                }
            }
            false
        })
    }

    fn keep<'a>(
        &'a self,
        batch: &'a Batch,
        piece: &'a Piece,
        given_up: &'a GivenUp,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let job = &self.run.job;
            let Some(destination) = &job.destination else { return Ok(()) };
            let event = batch.event(piece);
            let source = (job.source_arn.as_str(), self.run.brokers.address());
            let record = reject::record(batch, piece, given_up, &job.function_arn, source, event.len());
            let event = String::from_utf8_lossy(&event);
            destination.take(&self.run.upstream, &job.region, &job.id, record, &event).await
        })
    }

    fn pause(&self, wait: Duration) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            self.run.wait(wait).await;
            !self.run.stop.is_cancelled() && self.consumer.epoch() == self.epoch
        })
    }

    fn note(&self, result: Noted<'_>) {
        {
            let mut status = self.run.status.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Noted::Done(count) => {
                    "OK".clone_into(&mut status.result);
                    status.records += count as u64;
                    status.invocations += 1;
                }
                Noted::Failed(..) => {
                    status.invocations += 1;
                    status.failures += 1;
                }
                Noted::GivenUp(count) => status.given_up += count as u64,
                Noted::Stuck(..) => (),
            }
        }
        match result {
            Noted::Failed(count, reason) => {
                self.run.count("InvokedEventCount", count);
                self.run.count("FailedInvokeEventCount", count);
                self.run.problem(&format!("the function failed: {reason}"));
            }
            Noted::Stuck(count, reason) => {
                self.run.count("FailedInvokeEventCount", count);
                self.run.problem(reason);
            }
            Noted::GivenUp(count) => {
                let kept = self.run.job.destination.is_some();
                let name = if kept { "OnFailureDestinationDeliveredEventCount" } else { "DroppedEventCount" };
                self.run.count(name, count);
                self.run.problem(&format!("{count} records were given up"));
            }
            Noted::Done(count) => self.run.count("InvokedEventCount", count),
        }
    }
}
