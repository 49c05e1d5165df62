//! A shop's database with the real migrations, events as producers write them, and batches as Lambda delivers them.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use database::{Database, Settings, Tls};
use ingest::{Ingest, OPTIONS, Source, Summary};
use serde_json::{Value, json};
use testing::Server;

/// A database of its own on the shared server, or on one that the test may crash.
pub(crate) struct Shop<'s> {
    pub(crate) server: &'s Server,
    pub(crate) database: String,
}

impl<'s> Shop<'s> {
    pub(crate) fn open(server: &'s Server) -> Self {
        let database = server.database().unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates/migrations/shop");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty());
        for file in files {
            server.sql(&database, &std::fs::read_to_string(file).unwrap()).unwrap();
        }
        Self { server, database }
    }

    pub(crate) fn shared() -> Shop<'static> {
        Shop::open(Server::shared().unwrap())
    }

    pub(crate) fn ingest(&self) -> Ingest {
        self.ingest_with_prefix("")
    }

    pub(crate) fn ingest_with_prefix(&self, prefix: &str) -> Ingest {
        let settings = Settings {
            host: self.server.host().to_owned(),
            port: 5432,
            name: self.database.clone(),
            secret: "arn:none".to_owned(),
            tls: Tls::Disable,
        };
        let database = Database::new(settings, "test", &OPTIONS).with_credentials("postgres", "");
        let source = Source { stack: "test".to_owned(), function: "test-ingest".to_owned() };
        Ingest::new(database, prefix.to_owned(), source)
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.database, sql).unwrap()
    }

    /// Every row of every table, without the database's own clock.
    pub(crate) fn dump(&self) -> String {
        let tables = [
            ("customers", "customer_id"),
            ("orders", "order_id"),
            ("order_details", "order_id, line_no"),
            ("payments", "payment_id"),
            ("waiting_orders", "order_id, customer_id"),
            ("waiting_order_details", "order_id, line_no"),
            ("waiting_payments", "payment_id, order_id"),
        ];
        let select = tables.map(|(table, key)| {
            format!(
                "SELECT '{table}', string_agg((to_jsonb(t) - 'ingested_at')::text, E'\\n' ORDER BY {key})
                 FROM {table} t"
            )
        });
        self.sql(&select.join(" UNION ALL "))
    }

    /// Empties every table.
    pub(crate) fn clear(&self) {
        self.sql(
            "TRUNCATE customers, orders, order_details, payments, waiting_orders, waiting_order_details,
             waiting_payments, rejected_events",
        );
    }
}

/// A record on its way: topic, key, and value.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) topic: &'static str,
    pub(crate) value: Option<Vec<u8>>,
}

impl Sent {
    pub(crate) fn json(topic: &'static str, value: &Value) -> Self {
        Self { topic, value: Some(value.to_string().into_bytes()) }
    }

    pub(crate) fn bytes(topic: &'static str, value: &[u8]) -> Self {
        Self { topic, value: Some(value.to_vec()) }
    }
}

/// The payload of one invocation; offsets count from `first`.
pub(crate) fn payload(records: &[Sent], first: usize) -> String {
    let mut topics = serde_json::Map::new();
    for (at, Sent { topic, value }) in records.iter().enumerate() {
        let value = value.as_ref().map(|bytes| STANDARD.encode(bytes));
        let record = json!({
            "topic": topic, "partition": 0, "offset": first + at, "timestamp": 1_760_000_000_000_i64,
            "timestampType": "CREATE_TIME", "key": STANDARD.encode("key"), "value": value, "headers": [{"h": [-61]}],
        });
        let list = topics.entry(format!("{topic}-0")).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(record);
    }
    json!({"eventSource": "aws:kafka", "eventSourceArn": "arn", "bootstrapServers": "b:9098", "records": topics})
        .to_string()
}

/// Delivers records in one invocation.
pub(crate) async fn deliver(ingest: &mut Ingest, records: &[Sent], first: usize) -> Summary {
    ingest.handle(&payload(records, first), std::io::sink()).await.unwrap()
}

/// An event id that sorts by `number`.
pub(crate) fn event_id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A moment `second` seconds into a day gone by.
pub(crate) fn at(second: u32) -> String {
    format!("2026-03-01T{:02}:{:02}:{:02}Z", second / 3600 % 24, second / 60 % 60, second % 60)
}

fn event(id: u32, second: u32, fields: Value) -> Value {
    let mut event = json!({"event_id": event_id(id), "occurred_at": at(second), "schema_version": 1});
    let (Some(event_fields), Value::Object(fields)) = (event.as_object_mut(), fields) else { unreachable!() };
    event_fields.extend(fields);
    event
}

pub(crate) fn customer(id: u32, second: u32, customer: u32) -> Value {
    let (name, email) = (format!("Name {id}"), format!("c{customer}@example.org"));
    let fields = json!({"customer_id": format!("c{customer}"), "name": name, "email": email, "country": "DE",
        "created_at": at(0)});
    event(id, second, fields)
}

pub(crate) fn order(id: u32, second: u32, order: u32, customer: u32) -> Value {
    let status = ["created", "paid", "shipped", "delivered"][id as usize % 4];
    let fields = json!({
        "order_id": format!("o{order}"), "customer_id": format!("c{customer}"), "status": status, "currency": "EUR",
        "ordered_at": at(1), "channel": "web", "shipping_country": "AT",
    });
    event(id, second, fields)
}

pub(crate) fn line(id: u32, second: u32, order: u32, line_no: u32) -> Value {
    let fields = json!({
        "order_id": format!("o{order}"), "line_no": line_no, "product_id": format!("p{line_no}"),
        "product_name": "Thing",
        "category": "Toys", "quantity": id % 5 + 1, "unit_price": format!("{}.{:02}", id * 7 % 60, id % 100),
        "discount": "0.125",
    });
    event(id, second, fields)
}

pub(crate) fn payment(id: u32, second: u32, payment: u32, order: u32) -> Value {
    let status = ["pending", "authorized", "succeeded", "failed", "refunded"][id as usize % 5];
    let fields = json!({
        "payment_id": format!("y{payment}"), "order_id": format!("o{order}"), "method": "card", "status": status,
        "amount": format!("{id}.5"), "currency": "EUR", "failure_reason": "declined", "processed_at": at(2),
    });
    event(id, second, fields)
}
