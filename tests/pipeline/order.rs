//! Any order of arrival and any number of copies give the same tables, through the whole pipeline.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::Client;

use crate::{
    oracle::{Record, Tables, tables},
    place::{PATIENCE, Place, copy, produce},
    topics::Stored,
};

/// One pipeline at a time: two are too much for a small machine.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_any_duplicates_same_tables() {
    let _turn = turn().await;
    let place = Place::up().await;
    let database = place.database().await;

    let sent = produce(&place, &["--orders", "10000"]).await.expect("sent");
    place.settle(PATIENCE).await;
    let first = place.records().await;
    assert_eq!(first.len(), sent, "what was sent is in Kafka");
    let straight = found(&database).await;
    agree(&straight, &tables(&records(&first), Timestamp::now()));
    assert_eq!(straight.orders.len(), 10_000);
    assert_eq!(stranded(&database).await, [""; 0]);
    let waited = waiting(&database).await;
    assert!(!waited.is_empty(), "the shop has payments of orders that never come");

    let all = "customers, orders, order_details, payments, rejected_events, waiting_orders, waiting_order_details, \
               waiting_payments";
    database.batch_execute(&format!("TRUNCATE {all}")).await.expect("emptied");
    let mut sent = 0;
    for topic in ["payments", "order_details", "customers", "orders"] {
        let options = ["--orders", "10000", "--shuffle", "--duplicates", "0.2", "--topics", topic];
        sent += produce(&place, &options).await.expect("sent");
        // What follows arrives when this is all in: no luck in the order of the topics.
        place.settle(PATIENCE).await;
    }
    let second = place.records().await;
    let mut next: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    for it in &first {
        let next = next.entry((&it.0, it.1)).or_default();
        *next = (*next).max(it.2 + 1);
    }
    let old = |it: &Stored| next.get(&(it.0.as_str(), it.1)).is_some_and(|next| it.2 < *next);
    let second: Vec<Stored> = second.iter().filter(|it| !old(it)).cloned().collect();
    assert_eq!(second.len(), sent, "what was sent is in Kafka");
    let shuffled = found(&database).await;
    let rejected = tables(&records(&second), Timestamp::now()).rejected_events;
    assert!(rejected.len() > 500, "{} bad events", rejected.len());
    agree(&shuffled, &Tables { rejected_events: rejected, ..straight });
    assert_eq!(waiting(&database).await, waited);
}

pub(crate) fn records(stored: &[Stored]) -> Vec<Record> {
    let record = |(topic, partition, offset, key, value): &Stored| Record {
        topic: topic.clone(),
        partition: *partition,
        offset: *offset,
        key: key.clone(),
        value: value.clone(),
    };
    stored.iter().map(record).collect()
}

/// Reads the tables as the oracle words them.
pub(crate) async fn found(database: &Client) -> Tables {
    let rows = async |columns: &str, table: &str, key: &str| {
        copy(database, &format!("SELECT {columns} FROM {table} ORDER BY {key}")).await
    };
    Tables {
        customers: rows(
            "customer_id, name, email, country, created_at, updated_at, event_id",
            "customers",
            "customer_id",
        )
        .await,
        orders: rows(
            "order_id, customer_id, status, currency, ordered_at, channel, shipping_country, value_tier, updated_at, event_id",
            "orders",
            "order_id",
        )
        .await,
        order_details: rows(
            "order_id, line_no, product_id, product_name, category, quantity, unit_price, discount, updated_at, event_id",
            "order_details",
            "order_id, line_no",
        )
        .await,
        payments: rows(
            "payment_id, order_id, method, status, outcome, amount, currency, failure_reason, processed_at, updated_at, \
             event_id",
            "payments",
            "payment_id",
        )
        .await,
        rejected_events: rows(
            r#"topic, partition, "offset", key, payload"#,
            "rejected_events",
            r#"topic, partition, "offset""#,
        )
        .await,
    }
}

/// Lists the rows that wait for their parents: the shop has a few payments of orders that never come.
async fn waiting(database: &Client) -> Vec<String> {
    let each = ["orders", "order_details", "payments"];
    let each = each.map(|it| format!("SELECT '{it}', to_jsonb(w)::text FROM waiting_{it} w"));
    copy(database, &format!("{} ORDER BY 1, 2", each.join(" UNION ALL "))).await
}

/// Lists the rows that wait although their parent is there.
pub(crate) async fn stranded(database: &Client) -> Vec<String> {
    let each = [
        ("orders", "customers", "customer_id"),
        ("order_details", "orders", "order_id"),
        ("payments", "orders", "order_id"),
    ];
    let each = each
        .map(|(of, parent, key)| format!("SELECT to_jsonb(w)::text FROM waiting_{of} w JOIN {parent} USING ({key})"));
    copy(database, &each.join(" UNION ALL ")).await
}

/// Compares row by row, so that a failure shows the first rows that differ and not all of them.
pub(crate) fn agree(found: &Tables, wanted: &Tables) {
    let tables = |it: &Tables| {
        let it = [&it.customers, &it.orders, &it.order_details, &it.payments, &it.rejected_events];
        it.map(Clone::clone)
    };
    let names = ["customers", "orders", "order_details", "payments", "rejected_events"];
    for ((name, found), wanted) in names.iter().zip(tables(found)).zip(tables(wanted)) {
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{name}");
        }
        assert_eq!(found.len(), wanted.len(), "{name}");
    }
}
