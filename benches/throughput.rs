//! Events per second through the whole pipeline, from topics that are full to the last committed row, with the processor
//! time of each part; beside it, the same rows written by plain `COPY` into tables of the same shape, as the limit.
//!
//! Run: `just bench`.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has failed")]

#[path = "../tests/pipeline/place.rs"]
#[expect(dead_code, reason = "shared with the tests of the whole pipeline, which ask for more")]
mod place;
#[path = "../tests/pipeline/proc.rs"]
mod proc;

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, Write as _},
    pin::pin,
    time::{Duration, Instant},
};

use aws_sdk_lambda::Client as Lambda;
use ecomctl::client::aws::{Aws, Target};
use futures::SinkExt as _;
use place::{Place, TOPICS, copy, offsets};
use tokio_postgres::Client;

/// Orders of the run; each brings about nine other events.
const ORDERS: &str = "40000";
const PATIENCE: Duration = Duration::from_secs(300);

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<()> {
    let place = Place::up().await;
    let on = place.endpoints().await;
    let target = Target {
        region: on.region.clone(),
        endpoint: Some(on.gateway.clone()),
        keys: Some((on.account.clone(), "local".to_owned())),
    };
    let aws = Aws::connect(&target).await;
    switch(aws.lambda(), false).await?;
    let sent = place.run(["produce", "local", "--orders", ORDERS, "--seed", "7"]).await?;
    let kafka = place.kafka().await;
    let (end, before) = offsets(&kafka).await?;
    let events = end - before;
    let database = place.database().await;
    database.batch_execute("CHECKPOINT").await?;

    let (cpu, begun) = (cpu(&place).await, Instant::now());
    switch(aws.lambda(), true).await?;
    loop {
        let (end, taken) = offsets(&kafka).await?;
        if end == taken {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{taken} of {end} after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = begun.elapsed().as_secs_f64();
    let used = self::cpu(&place).await;
    let (rows, limit) = limit(&database).await?;

    let mut out = io::stdout().lock();
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    writeln!(out, "{}", sent.lines().last().unwrap_or_default())?;
    writeln!(out, "supervisor built as {profile}; CPU in microseconds per event\n")?;
    #[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
    let (events, rows) = (events as f64, rows as f64);
    writeln!(out, "pipeline  {events:>8} events in {took:>6.2} s  {:>8.0} events/s", events / took)?;
    writeln!(out, "COPY      {rows:>8} rows   in {limit:>6.2} s  {:>8.0} rows/s", rows / limit)?;
    for (part, after) in used {
        let seconds = after - cpu.get(part).copied().unwrap_or_default();
        writeln!(out, "{part:<12}{seconds:>6.2} s  {:>6.1} per event", seconds * 1e6 / events)?;
    }
    Ok(())
}

/// Enables or disables all triggers. When they are to be disabled, waits until they are.
async fn switch(lambda: &Lambda, enabled: bool) -> Result<()> {
    let all = lambda.list_event_source_mappings().send().await?;
    for it in all.event_source_mappings() {
        let uuid = it.uuid().ok_or("a trigger without an identifier")?;
        lambda.update_event_source_mapping().uuid(uuid).enabled(enabled).send().await?;
    }
    if enabled {
        return Ok(());
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let all = lambda.list_event_source_mappings().send().await?;
        if all.event_source_mappings().iter().all(|it| it.state() == Some("Disabled")) {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "the triggers are not disabled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Copies all rows into tables of the same shape; returns how many rows, and how many seconds it took.
async fn limit(database: &Client) -> Result<(usize, f64)> {
    let mut texts = Vec::new();
    for table in TOPICS {
        let rows = copy(database, &format!("SELECT * FROM {table}")).await;
        texts.push((table, rows.len(), rows.join("\n") + "\n"));
    }
    let shape = |table: &str| format!("CREATE TABLE copied.{table} (LIKE public.{table} INCLUDING ALL);");
    let keys = [
        ("orders", "customer_id", "customers"),
        ("order_details", "order_id", "orders"),
        ("payments", "order_id", "orders"),
    ]
    .map(|(of, by, to)| format!("ALTER TABLE copied.{of} ADD FOREIGN KEY ({by}) REFERENCES copied.{to};"));
    let schema = format!("CREATE SCHEMA copied; {} {} CHECKPOINT", TOPICS.map(shape).concat(), keys.concat());
    for it in schema.split_inclusive(';') {
        database.batch_execute(it).await?;
    }
    let (begun, mut count) = (Instant::now(), 0);
    for (table, rows, text) in texts {
        let mut sink = pin!(database.copy_in(&format!("COPY copied.{table} FROM STDIN")).await?);
        sink.send(bytes::Bytes::from(text)).await?;
        sink.close().await?;
        count += rows;
    }
    Ok((count, begun.elapsed().as_secs_f64()))
}

/// Sums up the processor time of each part, in seconds.
async fn cpu(place: &Place) -> BTreeMap<&'static str, f64> {
    let status = place.status().await;
    let mut roots: Vec<(&'static str, u32)> = vec![];
    for (name, part) in [("kafka", "kafka"), ("PostgreSQL", "postgres"), ("ministack", "ministack")] {
        roots.extend(status.parts.iter().find(|it| it.name == part).and_then(|it| Some((name, it.pid?))));
    }
    roots.extend(status.pid.map(|it| ("supervisor", it)));
    let mut sums = BTreeMap::new();
    for pid in proc::all() {
        let line = proc::ancestry(pid);
        let root = line.iter().find_map(|it| roots.iter().find(|(_, root)| root == it));
        let Some((name, _)) = root else { continue };
        let is_function = proc::environment(pid, "AWS_LAMBDA_FUNCTION_NAME").is_some();
        *sums.entry(if is_function { "function" } else { *name }).or_default() += seconds(pid);
    }
    sums
}

/// Returns the processor time of a process and of its children that have ended, in seconds.
fn seconds(pid: u32) -> f64 {
    // User and system time, own and of children, in hundredths of a second.
    let ticks: u64 = (14..=17).filter_map(|it| proc::field(pid, it)).sum();
    Duration::from_millis(ticks * 10).as_secs_f64()
}
