//! Where the values of the metrics of AWS's own namespaces come from: real numbers of what runs on this machine.
//!
//! Functions and event source mappings are counted as they work; databases and consumer groups are asked every few
//! seconds, but have one value a minute, as at AWS: the latest. Only what is invoked through the gateway is counted.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{select, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    metric::{Metric, Point},
    series::Summary,
    store::Store,
};
use crate::local::gateway::{
    Postgres, broker::Brokers, database::DatabaseApi, trigger::TriggerApi, upstream::Upstream,
};

mod database;
mod embedded;
pub(crate) mod function;
mod kafka;
mod log;

pub(crate) use database::Watched as DatabaseWatched;
pub(crate) use kafka::Watched as GroupWatched;

/// How often is looked whether something is due.
const TICK: Duration = Duration::from_secs(2);
/// How often databases and consumer groups are asked, in ticks.
const ASKED: u32 = 7;
/// How often logs are read while nothing is invoked, in ticks.
const QUIET: u32 = 7;
/// How long logs are read at every tick after an invocation, in ticks.
const LIVELY: u32 = 5;

/// Takes values as they arise.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    store: Arc<Store>,
    running: Arc<Mutex<BTreeMap<(String, String), u32>>>,
    /// How many invocations there were: where some are, there are new lines in logs.
    invoked: Arc<AtomicU64>,
}

impl Meter {
    /// Fills a store.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, running: Arc::default(), invoked: Arc::default() }
    }

    /// Adds a value to a metric, now.
    fn add(&self, region: &str, metric: Metric, unit: &str, value: f64) {
        self.add_at(region, metric, unit, value, Timestamp::now().as_second());
    }

    fn add_at(&self, region: &str, metric: Metric, unit: &str, value: f64, at: i64) {
        let now = Timestamp::now().as_second();
        let values = Summary::one(value);
        self.store.put(region, [Point { metric, at, fine: false, unit: unit.to_owned(), values }], now);
    }

    /// Makes a value the one of this minute.
    fn set(&self, region: &str, metric: Metric, unit: &str, value: f64) {
        let at = Timestamp::now().as_second();
        let values = Summary::one(value);
        self.store.set(region, Point { metric, at, fine: false, unit: unit.to_owned(), values }, at);
    }

    /// Counts events of an event source mapping, under a name of Lambda's.
    pub(crate) fn events(&self, region: &str, mapping: &str, name: &str, count: usize) {
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        self.add(region, Metric::new("AWS/Lambda", name, [("EventSourceMappingUUID", mapping)]), "Count", count);
    }

    fn counter(&self) -> u64 {
        self.invoked.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), u32>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked for values.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) meter: Meter,
    pub(crate) upstream: Upstream,
    pub(crate) brokers: Arc<Brokers>,
    pub(crate) postgres: Postgres,
    pub(crate) databases: DatabaseApi,
    pub(crate) triggers: TriggerApi,
    /// The region whose logs are read.
    pub(crate) region: String,
}

impl Sources {
    /// Asks until it is stopped.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let work = async {
            futures::join!(self.read_logs(), self.ask_kafka(), self.ask_databases());
        };
        select! {
            () = work => (),
            () = stop.cancelled() => (),
        }
    }

    async fn read_logs(&self) {
        let mut reader = log::Reader::new(self.upstream.clone(), &self.region);
        let (mut invoked, mut lively, mut quiet) = (0, 0, QUIET);
        loop {
            let now = self.meter.counter();
            if now != invoked {
                (invoked, lively) = (now, LIVELY);
            }
            if lively > 0 || quiet >= QUIET {
                (lively, quiet) = (lively.saturating_sub(1), 0);
                let points = reader.read().await;
                self.meter.store.put(&self.region, points, Timestamp::now().as_second());
            }
            quiet += 1;
            sleep(TICK).await;
        }
    }

    async fn ask_kafka(&self) {
        let mut lags = kafka::Lags::default();
        loop {
            for it in self.triggers.watched() {
                lags.sample(&it, &self.brokers, &self.meter).await;
            }
            sleep(TICK * ASKED).await;
        }
    }

    async fn ask_databases(&self) {
        let mut server = database::Asked::new(self.postgres.clone());
        loop {
            let instances = self.databases.watched();
            if !instances.is_empty() {
                server.sample(&instances, &self.meter).await;
            }
            sleep(TICK * ASKED).await;
        }
    }
}
