//! Events per second from a Lambda payload to committed rows, beside the same rows written by plain `COPY` as the
//! limit. Own `PostgreSQL` with its default guarantees (`fsync` on). Run: `cargo bench -p ingest`.

use std::{
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use database::{Database, Settings, Tls};
use ingest::{Ingest, OPTIONS, Source};
use serde_json::{Value, json};
use testing::{Error, Server};
use tokio::task::JoinSet;

/// Orders of a run; each brings a line or two, a payment, and now and then a customer.
const ORDERS: usize = 60_000;
/// Records per invocation.
const BATCH: usize = 5_000;
const TOPICS: [&str; 4] = ["customers", "orders", "order_details", "payments"];

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let server = Server::start_with(&["shared_buffers=256MB", "max_wal_size=2GB", "checkpoint_timeout=30min"])?;
    let events = events();
    let mixed = payloads(&events);
    let by_topic =
        TOPICS.map(|topic| payloads(&events.iter().filter(|(of, _)| *of == topic).cloned().collect::<Vec<_>>()));
    let meter = Meter { server: &server, events: events.len() };
    writeln!(io::stdout(), "{} events in batches of {BATCH}; CPU in microseconds per event", events.len())?;

    meter.measure("validation alone", || {
        for (topic, value) in &events {
            ingest::check(topic, value.as_bytes(), ingest::Moment::now()).map_err(|fault| fault.detail)?;
        }
        Ok(())
    })?;
    let full = shop(&server)?;
    meter.measure("one writer, topics mixed", || runtime.block_on(deliver(ingest_for(&server, &full), &mixed)))?;
    copy_out(&server, &full)?;
    let copied = shop(&server)?;
    meter.measure("limit: COPY of the same rows, one writer", || {
        TOPICS.iter().try_for_each(|table| copy_in(&server, &copied, table))
    })?;
    meter.measure("one writer, everything delivered again", || {
        runtime.block_on(deliver(ingest_for(&server, &full), &mixed))
    })?;
    let database = shop(&server)?;
    meter.measure("topic after topic, parents first", || {
        by_topic.iter().try_for_each(|batches| runtime.block_on(deliver(ingest_for(&server, &database), batches)))
    })?;
    let database = shop(&server)?;
    meter.measure("topic after topic, children first", || {
        by_topic.iter().rev().try_for_each(|batches| runtime.block_on(deliver(ingest_for(&server, &database), batches)))
    })?;
    let database = shop(&server)?;
    meter.measure("four writers at once, one per topic", || {
        runtime.block_on(async {
            let mut running = JoinSet::new();
            for payloads in by_topic.clone() {
                let ingest = ingest_for(&server, &database);
                running.spawn(async move { deliver(ingest, &payloads).await });
            }
            running.join_all().await.into_iter().collect()
        })
    })
}

/// Measures a run over all events.
struct Meter<'s> {
    server: &'s Server,
    events: usize,
}

impl Meter<'_> {
    #[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
    fn measure(&self, name: &str, run: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let (own, server, begun) = (own_cpu()?, self.server.cpu()?, Instant::now());
        run()?;
        let took = begun.elapsed().as_secs_f64();
        let per_event = |cpu: Duration| cpu.as_secs_f64() * 1e6 / self.events as f64;
        let own = per_event(own_cpu()?.saturating_sub(own));
        let server = per_event(self.server.cpu()?.saturating_sub(server));
        let rate = self.events as f64 / took;
        Ok(writeln!(io::stdout(), "{name:<42}{rate:>8.0} events/s   ingest {own:>5.1}   PostgreSQL {server:>5.1}")?)
    }
}

/// Processor time of this process.
fn own_cpu() -> Result<Duration, Error> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields =
        stat.rsplit_once(") ").map(|(_, fields)| fields.split(' ')).ok_or("unknown form of /proc/self/stat")?;
    // User and system time, in hundredths of a second: proc(5).
    Ok(Duration::from_millis(fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10))
}

async fn deliver(mut ingest: Ingest, payloads: &[String]) -> Result<(), Error> {
    for payload in payloads {
        ingest.handle(payload, io::sink()).await?;
    }
    Ok(())
}

fn ingest_for(server: &Server, database: &str) -> Ingest {
    let settings = Settings {
        host: server.host().to_owned(),
        port: 5432,
        name: database.to_owned(),
        secret: String::new(),
        tls: Tls::Disable,
    };
    let database = Database::new(settings, "bench", &OPTIONS).with_credentials("postgres", "");
    Ingest::new(database, String::new(), Source { stack: "bench".to_owned(), function: "ingest".to_owned() })
}

/// An empty database with the real migrations.
fn shop(server: &Server) -> Result<String, Error> {
    let database = server.database()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates/migrations/shop");
    let mut files = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    for file in files {
        server.sql(&database, &std::fs::read_to_string(file)?)?;
    }
    server.sql(&database, "CHECKPOINT")?;
    Ok(database)
}

/// Copies the core tables into files.
fn copy_out(server: &Server, from: &str) -> Result<(), Error> {
    for table in TOPICS {
        let file = format!("{}/{table}.copy", server.host());
        server.sql(from, &format!("COPY {table} TO '{file}' (FORMAT binary)"))?;
    }
    Ok(())
}

/// Copies one of the files into its table.
fn copy_in(server: &Server, to: &str, table: &str) -> Result<(), Error> {
    let file = format!("{}/{table}.copy", server.host());
    server.sql(to, &format!("COPY {table} FROM '{file}' (FORMAT binary)")).map(drop)
}

/// Events in an order in which most parents come before their children, as producers send them.
fn events() -> Vec<(&'static str, String)> {
    let mut events = Vec::new();
    let mut add = |topic: &'static str, fields: Value| {
        let id = events.len();
        let (hour, minute, second) = (id / 36_000 % 24, id / 600 % 60, id / 10 % 60);
        let mut event = json!({
            "event_id": format!("{:08x}-0000-4000-8000-{id:012}", id.wrapping_mul(2_654_435_761) & 0xffff_ffff),
            "occurred_at": format!("2026-03-01T{hour:02}:{minute:02}:{second:02}.{:03}Z", id % 1000),
            "schema_version": 1,
        });
        if let (Some(event), Value::Object(fields)) = (event.as_object_mut(), fields) {
            event.extend(fields);
        }
        events.push((topic, event.to_string()));
    };
    for n in 0..ORDERS {
        let scattered = n.wrapping_mul(2_654_435_761) & 0xffff_ffff;
        let (order_id, customer) = (format!("ord-{scattered:010}"), format!("cus-{:08}", n / 4));
        if n % 4 == 0 {
            add(
                "customers",
                json!({
                    "customer_id": customer, "name": format!("Customer {n}"),
                    "email": format!("customer{n}@example.org"),
                    "country": "de", "created_at": "2026-02-01T08:00:00+01:00",
                }),
            );
        }
        add(
            "orders",
            json!({
                "order_id": order_id, "customer_id": customer, "status": "paid", "currency": "EUR",
                "ordered_at": "2026-03-01T09:30:00+01:00", "channel": "mobile", "shipping_country": "AT",
            }),
        );
        for line_no in 1..=(n % 2 + 1) {
            add(
                "order_details",
                json!({
                    "order_id": order_id, "line_no": line_no, "product_id": format!("prd-{:06}", n % 997),
                    "product_name": format!("Product {} of many", n % 997), "category": " Kitchen ",
                    "quantity": n % 5 + 1,
                    "unit_price": format!("{}.{:02}", n % 90, n % 100), "discount": "0.05",
                }),
            );
        }
        add(
            "payments",
            json!({
                "payment_id": format!("pay-{scattered:010}"), "order_id": order_id, "method": "card",
                "status": "succeeded",
                "amount": format!("{}.00", n % 300), "currency": "EUR", "processed_at": "2026-03-01T09:31:00+01:00",
            }),
        );
    }
    events
}

/// The payloads of the invocations that deliver these events.
fn payloads(events: &[(&'static str, String)]) -> Vec<String> {
    events
        .chunks(BATCH)
        .enumerate()
        .map(|(batch, chunk)| {
            let mut records = serde_json::Map::new();
            for (at, (topic, value)) in chunk.iter().enumerate() {
                let record = json!({
                    "topic": topic, "partition": 0, "offset": batch * BATCH + at, "timestamp": 1_760_000_000_000_i64,
                    "timestampType": "CREATE_TIME", "key": STANDARD.encode("key"), "value": STANDARD.encode(value),
                    "headers": [],
                });
                let list = records.entry(format!("{topic}-0")).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(record);
                }
            }
            json!({"eventSource": "aws:kafka", "eventSourceArn": "arn", "bootstrapServers": "b", "records": records})
                .to_string()
        })
        .collect()
}
