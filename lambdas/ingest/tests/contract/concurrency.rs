//! Concurrent invocations: nothing is stranded, nothing waits in a circle, sums are of all lines.

use std::sync::Arc;

use ingest::Ingest;
use tokio::{sync::Barrier, task::JoinSet};

use crate::support::{Sent, Shop, customer, deliver, line, order, payment};

const ORDERS: u32 = 40;
const ROUNDS: u32 = 25;

/// Five writers per round: one per topic, and a second one for lines, so that lines of one order come from both. Each
/// delivers its records in two batches. Where the next round begins, everything has its parent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn children_and_parents_that_arrive_at_once_find_each_other() {
    let shop = Shop::shared();
    let mut writers: Vec<Ingest> = (0..5).map(|_| shop.ingest()).collect();
    for round in 0..ROUNDS {
        let base = round * ORDERS;
        let ids = |writer: u32| {
            let mut ids: Vec<u32> = (base..base + ORDERS).collect();
            // Neighbouring writers come from opposite ends: the worst order for locks.
            if (writer + round).is_multiple_of(2) {
                ids.reverse();
            }
            ids
        };
        let records: Vec<Vec<Sent>> = vec![
            ids(0).iter().map(|n| Sent::json("customers", &customer(*n, 0, *n))).collect(),
            ids(1).iter().map(|n| Sent::json("orders", &order(*n, 0, *n, *n))).collect(),
            ids(2).iter().map(|n| Sent::json("order_details", &line(2 * n, 0, *n, 1))).collect(),
            ids(3).iter().map(|n| Sent::json("order_details", &line(2 * n + 1, 0, *n, 2))).collect(),
            ids(4).iter().map(|n| Sent::json("payments", &payment(*n, 0, *n, *n))).collect(),
        ];
        let start = Arc::new(Barrier::new(writers.len()));
        let mut running = JoinSet::new();
        for (mut writer, records) in writers.drain(..).zip(records) {
            let start = Arc::clone(&start);
            running.spawn(async move {
                start.wait().await;
                for (at, half) in records.chunks(records.len() / 2).enumerate() {
                    deliver(&mut writer, half, at).await;
                }
                writer
            });
        }
        while let Some(writer) = running.join_next().await {
            writers.push(writer.unwrap());
        }
        let counts = shop.sql(
            "SELECT (SELECT count(*) FROM waiting_orders) + (SELECT count(*) FROM waiting_order_details)
                  + (SELECT count(*) FROM waiting_payments),
             (SELECT count(*) FROM orders), (SELECT count(*) FROM order_details), (SELECT count(*) FROM payments)",
        );
        let orders = base + ORDERS;
        assert_eq!(counts, format!("0|{orders}|{}|{orders}\n", 2 * orders), "round {round}");
    }
    let wrong_tiers = "SELECT count(*) FROM orders o WHERE value_tier IS DISTINCT FROM
        (SELECT value_tier(sum(line_net(quantity, unit_price, discount))) FROM order_details d
         WHERE d.order_id = o.order_id)";
    assert_eq!(shop.sql(wrong_tiers), "0\n");
}

/// The same records in eight concurrent invocations that begin at different places.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_batch_delivered_at_once_gives_the_same_tables() {
    let shop = Shop::shared();
    let mut records: Vec<Sent> = (0..60)
        .flat_map(|n| {
            [
                Sent::json("payments", &payment(n, 0, n, n / 2)),
                Sent::json("order_details", &line(n, 0, n / 3, n % 3 + 1)),
                Sent::json("orders", &order(n, 0, n / 2, n / 4)),
                Sent::json("customers", &customer(n, 0, n / 4)),
                Sent::bytes("orders", b"{"),
            ]
        })
        .collect();
    deliver(&mut shop.ingest(), &records, 0).await;
    let alone = shop.dump();
    shop.clear();
    let start = Arc::new(Barrier::new(8));
    let mut running = JoinSet::new();
    for _ in 0..8 {
        records.rotate_left(37);
        let (mut writer, records, start) = (shop.ingest(), records.clone(), Arc::clone(&start));
        running.spawn(async move {
            start.wait().await;
            for (at, batch) in records.chunks(50).enumerate() {
                deliver(&mut writer, batch, at * 50).await;
            }
        });
    }
    while let Some(writer) = running.join_next().await {
        writer.unwrap();
    }
    assert_eq!(shop.dump(), alone);
}
