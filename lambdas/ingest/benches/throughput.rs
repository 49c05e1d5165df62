//! Events per second from a Lambda payload to committed rows, beside the same rows written by plain `COPY` as the
//! limit. Own PostgreSQL with its default guarantees (`fsync` on). Run: `cargo bench -p ingest`.

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
    let mut out = io::stdout().lock();
    let events = events();
    let count = events.len();
    writeln!(out, "{count} events in batches of {BATCH}")?;
    let mut report = |name: &str, took: Duration, payloads: usize| {
        let rate = count as f64 / took.as_secs_f64();
        writeln!(
            out,
            "{name:<44} {rate:>9.0} events/s   {:>6.1} ms per batch",
            took.as_secs_f64() * 1e3 / payloads as f64
        )
    };

    let mixed = payloads(&events);
    let by_topic: Vec<Vec<String>> = TOPICS
        .iter()
        .map(|topic| payloads(&events.iter().filter(|(of, _)| of == topic).cloned().collect::<Vec<_>>()))
        .collect();

    let begun = Instant::now();
    for (topic, value) in &events {
        ingest::check(topic, value.as_bytes(), ingest::Moment::now()).map_err(|fault| fault.detail)?;
    }
    report("validation alone", begun.elapsed(), mixed.len())?;

    let database = shop(&server)?;
    let begun = Instant::now();
    runtime.block_on(deliver(ingest_for(&server, &database), mixed.clone()))?;
    report("one writer, topics mixed", begun.elapsed(), mixed.len())?;

    let copied = shop(&server)?;
    report("limit: COPY of the same rows", copy(&server, &database, &copied)?, mixed.len())?;

    let begun = Instant::now();
    runtime.block_on(deliver(ingest_for(&server, &database), mixed.clone()))?;
    report("one writer, everything delivered again", begun.elapsed(), mixed.len())?;

    let database = shop(&server)?;
    let begun = Instant::now();
    for payloads in &by_topic {
        runtime.block_on(deliver(ingest_for(&server, &database), payloads.clone()))?;
    }
    report("one topic after the other, parents first", begun.elapsed(), mixed.len())?;

    let database = shop(&server)?;
    let begun = Instant::now();
    for payloads in by_topic.iter().rev() {
        runtime.block_on(deliver(ingest_for(&server, &database), payloads.clone()))?;
    }
    report("one topic after the other, children first", begun.elapsed(), mixed.len())?;

    let database = shop(&server)?;
    let begun = Instant::now();
    runtime.block_on(async {
        let mut running = JoinSet::new();
        for payloads in by_topic.clone() {
            running.spawn(deliver(ingest_for(&server, &database), payloads));
        }
        running.join_all().await.into_iter().collect::<Result<Vec<()>, Error>>()
    })?;
    report("four writers, one per topic", begun.elapsed(), mixed.len())?;
    Ok(())
}

async fn deliver(mut ingest: Ingest, payloads: Vec<String>) -> Result<(), Error> {
    for payload in payloads {
        ingest.handle(&payload, io::sink()).await?;
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

/// Copies the core tables out of one database, then times `COPY` into another, table by table.
fn copy(server: &Server, from: &str, to: &str) -> Result<Duration, Error> {
    let file = |table: &str| format!("{}/{table}.copy", server.host());
    for table in TOPICS {
        server.sql(from, &format!("COPY {table} TO '{}' (FORMAT binary)", file(table)))?;
    }
    let begun = Instant::now();
    for table in TOPICS {
        server.sql(to, &format!("COPY {table} FROM '{}' (FORMAT binary)", file(table)))?;
    }
    Ok(begun.elapsed())
}

/// Events in an order in which most parents come before their children, as producers send them.
fn events() -> Vec<(&'static str, String)> {
    let mut events = Vec::new();
    let mut add = |topic: &'static str, fields: Value| {
        let id = events.len();
        let mut event = json!({
            "event_id": format!("{:08x}-0000-4000-8000-{id:012}", id.wrapping_mul(2_654_435_761) & 0xffff_ffff),
            "occurred_at": format!("2026-03-01T{:02}:{:02}:{:02}.{:03}Z", id / 36_000 % 24, id / 600 % 60, id / 10 % 60, id % 1000),
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
                    "customer_id": customer, "name": format!("Customer {n}"), "email": format!("customer{n}@example.org"),
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
                    "product_name": format!("Product {} of many", n % 997), "category": " Kitchen ", "quantity": n % 5 + 1,
                    "unit_price": format!("{}.{:02}", n % 90, n % 100), "discount": "0.05",
                }),
            );
        }
        add(
            "payments",
            json!({
                "payment_id": format!("pay-{scattered:010}"), "order_id": order_id, "method": "card", "status": "succeeded",
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
                list.as_array_mut().map(|list| list.push(record));
            }
            json!({"eventSource": "aws:kafka", "eventSourceArn": "arn", "bootstrapServers": "b", "records": records})
                .to_string()
        })
        .collect()
}
