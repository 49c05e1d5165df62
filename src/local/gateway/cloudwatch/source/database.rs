//! The PostgreSQL behind all instances, in RDS's metrics.
//!
//! Source: "Amazon CloudWatch metrics for Amazon RDS" in the RDS user guide. Processor time and memory are those of the
//! one server; connections, storage and reading are those of each instance's database. Nothing measures writing here.

use std::{collections::HashMap, fs, time::Instant};

use jiff::Timestamp;
use tokio_postgres::Client;

use super::Meter;
use crate::local::gateway::{Postgres, cloudwatch::metric::Metric};

/// The kernel's ticks in a second: always these on Linux, as seen from outside the kernel (proc(5), `USER_HZ`).
const TICKS: f64 = 100.0;

/// An instance that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// The region.
    pub(crate) region: String,
    /// The identifier.
    pub(crate) id: String,
    /// The database; `None` where the instance has none.
    pub(crate) database: Option<String>,
    /// The role.
    pub(crate) user: String,
    /// The storage that was asked for, in GiB.
    pub(crate) storage: i64,
}

/// A server that is asked over a connection of its own: one of those that are kept for superusers, so that it is had
/// when all others are taken.
#[derive(Debug)]
pub(super) struct Asked {
    postgres: Postgres,
    client: Option<Client>,
    /// At the end of the minute before, and now.
    processor: Option<(Used, Used)>,
    /// The blocks that were read of each database, and how long that took, in milliseconds.
    read: HashMap<String, (i64, f64)>,
}

/// The processor time that was used up to then.
#[derive(Clone, Copy, Debug)]
struct Used {
    ticks: f64,
    at: Instant,
    minute: i64,
}

const DATABASE: &str = "
    SELECT (SELECT count(*) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND CASE WHEN $1 = '' THEN usename = $2 ELSE datname = $1 END),
           (SELECT pg_database_size(oid) FROM pg_database WHERE datname = $1),
           (SELECT blks_read FROM pg_stat_database WHERE datname = $1),
           (SELECT blk_read_time FROM pg_stat_database WHERE datname = $1)";
const PROCESSES: &str = "SELECT pid, pid = pg_backend_pid() FROM pg_stat_activity";

impl Asked {
    /// Connects to nothing yet.
    pub(super) fn new(postgres: Postgres) -> Self {
        Self { postgres, client: None, processor: None, read: HashMap::new() }
    }

    /// Asks the server and tells what it says. A server that is away tells nothing.
    pub(super) async fn sample(&mut self, instances: &[Watched], meter: &Meter) {
        let Some(client) = self.connected().await else { return };
        match Self::ask(&client, instances).await {
            Ok((processes, found)) => {
                let busy = self.busy(&processes);
                let memory = free_memory();
                for (it, (connections, size, blocks, took)) in instances.iter().zip(found) {
                    let set = |name: &str, unit: &str, value: f64| {
                        let metric = Metric::new("AWS/RDS", name, [("DBInstanceIdentifier", &*it.id)]);
                        meter.set(&it.region, metric, unit, value);
                    };
                    busy.iter().for_each(|it| set("CPUUtilization", "Percent", *it));
                    memory.iter().for_each(|it| set("FreeableMemory", "Bytes", *it));
                    set("DatabaseConnections", "Count", number(connections));
                    set("FreeStorageSpace", "Bytes", number((it.storage << 30) - size));
                    let before = self.read.insert(it.id.clone(), (blocks, took));
                    if let Some((before, spent)) = before.filter(|it| it.0 <= blocks) {
                        let each = if blocks > before { (took - spent) / number(blocks - before) } else { 0.0 };
                        set("ReadLatency", "Seconds", each / 1000.0);
                    }
                }
                self.client = Some(client);
            }
            Err(err) => tracing::debug!("PostgreSQL tells nothing of itself: {err}"),
        }
    }

    /// Takes the connection, or makes one.
    async fn connected(&mut self) -> Option<Client> {
        if let Some(it) = self.client.take().filter(|it| !it.is_closed()) {
            return Some(it);
        }
        match self.postgres.connect("postgres").await {
            Ok(it) => Some(it),
            Err(err) => {
                tracing::debug!("PostgreSQL: {err}");
                None
            }
        }
    }

    async fn ask(
        client: &Client,
        instances: &[Watched],
    ) -> Result<(Vec<(i32, bool)>, Vec<(i64, i64, i64, f64)>), tokio_postgres::Error> {
        let rows = client.query(PROCESSES, &[]).await?;
        let processes = rows.iter().filter_map(|it| Some((it.get::<_, Option<i32>>(0)?, it.get(1)))).collect();
        let mut found = Vec::new();
        for it in instances {
            let name = it.database.as_deref().unwrap_or_default();
            let row = client.query_one(DATABASE, &[&name, &it.user]).await?;
            let number = |at: usize| row.get::<_, Option<i64>>(at).unwrap_or_default();
            found.push((number(0), number(1), number(2), row.get::<_, Option<f64>>(3).unwrap_or_default()));
        }
        Ok((processes, found))
    }

    /// Says how busy the processors were since the minute began, in percent; `None` at the first time.
    fn busy(&mut self, processes: &[(i32, bool)]) -> Option<f64> {
        let own = processes.iter().find(|it| it.1)?.0;
        let server = stat(own)?.parent;
        // What ended already is with the server's own.
        let mut ticks = stat(server).map_or(0.0, |it| it.own + it.children);
        ticks += processes.iter().filter_map(|it| stat(it.0)).map(|it| it.own).sum::<f64>();
        let now = Used { ticks, at: Instant::now(), minute: Timestamp::now().as_second().div_euclid(60) };
        let (base, last) = self.processor.unwrap_or((now, now));
        // After a restart of the server, everything begins anew.
        let base = if last.ticks > ticks {
            now
        } else if last.minute < now.minute {
            last
        } else {
            base
        };
        self.processor = Some((base, now));
        let seconds = now.at.duration_since(base.at).as_secs_f64();
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let all = seconds * f64::from(u32::try_from(processors).unwrap_or(1));
        (seconds > 0.5).then(|| ((ticks - base.ticks) / TICKS / all * 100.0).clamp(0.0, 100.0))
    }
}

struct Stat {
    parent: i32,
    own: f64,
    children: f64,
}

/// Reads what the kernel tells of a process.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
    let parent = fields.get(1)?.parse().ok()?;
    Some(Stat { parent, own: number(11)? + number(12)?, children: number(13)? + number(14)? })
}

/// Returns the memory that programs could have, in bytes.
fn free_memory() -> Option<f64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|it| it.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|it| it * 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "bytes and counts of one machine are far below 2^52")]
fn number(it: i64) -> f64 {
    it as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        let own = stat(i32::try_from(std::process::id()).expect("small")).expect("this process");
        assert!(own.parent > 0 && own.own >= 0.0);
        assert!(free_memory().is_some_and(|it| it > 0.0));
        assert!(stat(-1).is_none());
    }
}
