//! The oracle against the contract's own words, and the generator against the oracle.

use std::collections::BTreeMap;

use ecomctl::command::produce::{Event, Options, generate};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::oracle::{Record, Tables, tables};

const NOW: &str = "2026-11-01T00:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// Numbers the records of each topic, over three partitions by their key's length.
fn records(events: impl IntoIterator<Item = (&'static str, String, Option<Vec<u8>>)>) -> Vec<Record> {
    let mut offsets: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    let place = |(topic, key, value): (&'static str, String, Option<Vec<u8>>)| {
        let partition = i32::try_from(key.len() % 3).expect("small");
        let offset = offsets.entry((topic, partition)).or_default();
        *offset += 1;
        Record { topic: topic.into(), partition, offset: *offset - 1, key: Some(key.into_bytes()), value }
    };
    events.into_iter().map(place).collect()
}

fn generated(events: impl Iterator<Item = Event>) -> Vec<Record> {
    records(events.map(|it| (it.topic.name(), it.key, it.value.map(|it| it.to_vec()))))
}

/// An event about an entity, newer with every `minute`.
fn event(topic: &'static str, minute: u32, own: Value) -> (&'static str, Value) {
    let mut event = json!({
        "event_id": format!("00000000-0000-4000-8000-{minute:012}"),
        "occurred_at": format!("2026-10-01T12:{minute:02}:00Z"),
        "schema_version": 1,
    });
    if let (Value::Object(event), Value::Object(own)) = (&mut event, own) {
        event.extend(own);
    }
    (topic, event)
}

fn customer(minute: u32, id: &str) -> (&'static str, Value) {
    let created_at = "2026-09-30T22:30:00.5-03:30";
    let own = json!({ "customer_id": id, "name": " Zoë\\Ada\t", "email": " Zoe@Example.ORG", "country": "de", "created_at": created_at });
    event("customers", minute, own)
}

fn order(minute: u32, id: &str, status: &str) -> (&'static str, Value) {
    let own = json!({
        "order_id": id, "customer_id": "c", "status": status, "currency": "eur", "ordered_at": "2026-10-01T00:00:00Z",
        "channel": "web", "shipping_country": "FR",
    });
    event("orders", minute, own)
}

fn bought(minute: u32, order: &str, line_no: u32, quantity: u32, unit_price: &str) -> (&'static str, Value) {
    let own = json!({
        "order_id": order, "line_no": line_no, "product_id": "p", "product_name": "Lamp", "category": " Home ",
        "quantity": quantity, "unit_price": unit_price,
    });
    event("order_details", minute, own)
}

fn payment(minute: u32, id: &str, order: &str, status: &str) -> (&'static str, Value) {
    let own = json!({
        "payment_id": id, "order_id": order, "method": "card", "status": status, "amount": "12.5", "currency": "EUR",
        "processed_at": "2026-10-01T12:00:00Z",
    });
    event("payments", minute, own)
}

fn tables_of(events: &[(&'static str, Value)]) -> Tables {
    let value = |it: &Value| Some(it.to_string().into_bytes());
    tables(&records(events.iter().map(|(topic, it)| (*topic, String::new(), value(it)))), now())
}

#[test]
fn rows_read_as_copy_writes_them() {
    let mut failed = payment(5, "p1", "o", "failed");
    failed.1["failure_reason"] = json!("no funds");
    let mut discounted = bought(2, "o", 1, 3, "19.99");
    discounted.1["discount"] = json!("0.15");
    let events = [customer(0, "c"), order(1, "o", "paid"), discounted, bought(3, "o", 10, 1, "1"), failed];
    let found = tables_of(&events);
    let id = |minute: u32| format!("00000000-0000-4000-8000-{minute:012}");
    let stamp = |minute: u32| format!("2026-10-01 12:{minute:02}:00+00\t{}", id(minute));
    let created_at = "2026-10-01 02:00:00.5+00";
    assert_eq!(found.customers, [format!("c\tZoë\\\\Ada\tzoe@example.org\tDE\t{created_at}\t{}", stamp(0))]);
    let ordered_at = "2026-10-01 00:00:00+00";
    // 3 × 19.99 × 0.85 = 50.9745, so 50.97, and 1.00: not less than 50.
    assert_eq!(found.orders, [format!("o\tc\tpaid\tEUR\t{ordered_at}\tweb\tFR\tmedium\t{}", stamp(1))]);
    let lines = [
        format!("o\t1\tp\tLamp\thome\t3\t19.99\t0.1500\t{}", stamp(2)),
        format!("o\t10\tp\tLamp\thome\t1\t1.00\t0.0000\t{}", stamp(3)),
    ];
    assert_eq!(found.order_details, lines);
    let processed_at = "2026-10-01 12:00:00+00";
    let failed = format!("p1\to\tcard\tfailed\tlost\t12.50\tEUR\tno funds\t{processed_at}\t{}", stamp(5));
    assert_eq!(found.payments, [failed]);
    assert!(found.rejected_events.is_empty());
}

#[test]
fn what_waits_for_its_parent_is_not_visible() {
    let events = [order(1, "o", "paid"), bought(2, "o", 1, 1, "1"), payment(3, "p", "o", "succeeded")];
    assert_eq!(tables_of(&events), Tables::default());
    let with_other = [&events[..], &[customer(4, "other")]].concat();
    assert_eq!(tables_of(&with_other).orders.len(), 0);
    let with_parent = [&events[..], &[customer(4, "c")]].concat();
    let found = tables_of(&with_parent);
    let counts = [&found.customers, &found.orders, &found.order_details, &found.payments].map(Vec::len);
    assert_eq!(counts, [1; 4]);
}

#[test]
fn tier_follows_the_lines() {
    let tier = |lines: &[(u32, &str)]| {
        let mut events = vec![customer(0, "c"), order(1, "o", "created")];
        events.extend(lines.iter().zip(1..).map(|((quantity, price), no)| bought(2 + no, "o", no, *quantity, price)));
        let row = tables_of(&events).orders.remove(0);
        row.split('\t').nth(7).expect("eight columns and more").to_owned()
    };
    assert_eq!(tier(&[]), "\\N");
    assert_eq!(tier(&[(1, "0")]), "small");
    assert_eq!(tier(&[(1, "49.99")]), "small");
    assert_eq!(tier(&[(1, "49.99"), (1, "0.01")]), "medium");
    assert_eq!(tier(&[(2, "99.99"), (1, "0.01")]), "medium");
    assert_eq!(tier(&[(2, "100")]), "large");
}

#[test]
fn newest_wins_and_ties_go_to_the_greater_id() {
    let status = |events: &[(&'static str, Value)]| {
        let mut all = vec![customer(0, "c")];
        all.extend_from_slice(events);
        let row = tables_of(&all).orders.remove(0);
        row.split('\t').nth(2).expect("three columns and more").to_owned()
    };
    let (paid, shipped) = (order(5, "o", "paid"), order(6, "o", "shipped"));
    assert_eq!(status(&[paid.clone(), shipped.clone()]), "shipped");
    assert_eq!(status(&[shipped.clone(), paid.clone()]), "shipped", "stale");
    let (mut same, mut upper) = (shipped.clone(), shipped.clone());
    same.1["occurred_at"] = json!("2026-10-01T14:05:00+02:00");
    assert_eq!(status(&[same.clone(), paid.clone()]), "shipped", "the same moment elsewhere, and a greater id");
    upper.1["event_id"] = json!("A0000000-0000-4000-8000-000000000000");
    upper.1["status"] = json!("delivered");
    let mut lower = upper.clone();
    lower.1["event_id"] = json!("b0000000-0000-4000-8000-000000000000");
    lower.1["status"] = json!("returned");
    assert_eq!(status(&[lower, upper]), "returned", "letters of ids compare without case");
}

#[test]
fn rejects_are_kept_byte_for_byte() {
    let (_, good) = customer(0, "c");
    let spoilt = |name: &str, value: Value| {
        let mut event = good.clone();
        event[name] = value;
        Some(event.to_string().into_bytes())
    };
    let bad = [
        None,
        Some(Vec::new()),
        Some(b"\xff".to_vec()),
        Some(b"{".to_vec()),
        Some(format!("[{good}]").into_bytes()),
        Some(format!("{good}{good}").into_bytes()),
        Some(good.to_string().replace("\"name\"", "\"nom\"").into_bytes()),
        spoilt("schema_version", json!(2)),
        spoilt("schema_version", json!("1")),
        spoilt("event_id", json!("1")),
        spoilt("customer_id", json!(7)),
        spoilt("customer_id", json!("  ")),
        spoilt("customer_id", json!("x".repeat(65))),
        spoilt("email", json!("zoe")),
        spoilt("email", json!("zoe@example")),
        spoilt("country", json!("DEU")),
        spoilt("created_at", json!("2026-10-01")),
        spoilt("created_at", json!("2026-10-01 12:00:00Z")),
        spoilt("occurred_at", json!("2026-11-02T00:00:00.000001Z")),
    ];
    let count = bad.len();
    let found = tables(&records(bad.into_iter().map(|it| ("customers", "k".to_owned(), it))), now());
    assert_eq!(found.customers, [""; 0]);
    assert_eq!(found.rejected_events.len(), count);
    assert_eq!(found.rejected_events[0], "customers\t1\t0\t\\\\x6b\t\\N");
    assert_eq!(found.rejected_events[2], "customers\t1\t2\t\\\\x6b\t\\\\xff");
    let edge = records([("customers", String::new(), spoilt("created_at", json!("2026-11-02T01:00:00+01:00")))]);
    assert_eq!(tables(&edge, now()).customers.len(), 1, "24 hours ahead is not more than 24 hours");
}

#[test]
fn decimals_of_lines_and_payments() {
    let line = |name: &str, value: Value| {
        let mut line = bought(2, "o", 1, 1, "1");
        line.1[name] = value;
        tables_of(&[customer(0, "c"), order(1, "o", "paid"), line]).order_details.len()
    };
    for good in ["0", "0.00", "007.5", "9999999999.99"] {
        assert_eq!(line("unit_price", json!(good)), 1, "{good}");
    }
    for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1.2.3", "1.005", "10000000000"] {
        assert_eq!(line("unit_price", json!(bad)), 0, "{bad}");
    }
    assert_eq!(line("unit_price", json!(1)), 0);
    assert_eq!([line("discount", json!("1")), line("discount", json!("1.0001"))], [1, 0]);
    assert_eq!([line("quantity", json!(1.5)), line("quantity", json!(0)), line("quantity", json!("1"))], [0, 0, 0]);
    let mut paid = payment(2, "p", "o", "succeeded");
    paid.1["amount"] = json!("0.125");
    let found = tables_of(&[customer(0, "c"), order(1, "o", "paid"), paid]);
    assert!(found.payments[0].contains("\t0.13\t"), "{:?}", found.payments);
}

#[test]
fn generator_and_oracle_agree_on_what_is_bad() {
    let options = Options { bad: 200_000, duplicates: 50_000, late: 50_000, ..Options::plain(400, 7, now()) };
    let events: Vec<Event> = generate(&options).collect();
    for event in &events {
        let found = tables(&generated(std::iter::once(event.clone())), now());
        assert_eq!(found.rejected_events.len(), usize::from(event.bad.is_some()), "{event:?}");
    }
    let bad = events.iter().filter(|it| it.bad.is_some()).count();
    assert!(bad > 400, "{bad}");
    let found = tables(&generated(events.into_iter()), now());
    assert_eq!(found.rejected_events.len(), bad);
    assert_eq!(found.orders.len(), 400);
    assert!(found.order_details.iter().any(|it| it.contains("\tuncategorised\t")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_and_any_copies_give_the_same_tables(seed: u64, orders in 1..40_u64, late in 0..500_000_u64) {
        let plain = Options::plain(orders, seed, now());
        let straight = tables(&generated(generate(&plain)), now());
        let troubled = Options { duplicates: 300_000, bad: 100_000, late, shuffle: true, ..plain };
        let troubled = tables(&generated(generate(&troubled)), now());
        prop_assert_eq!(Tables { rejected_events: Vec::new(), ..troubled }, straight);
    }
}
